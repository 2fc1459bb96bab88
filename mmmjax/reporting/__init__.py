"""Reports: one HTML file that opens anywhere and says what was found and how sure it is.

`evidence` gathers tables, `sentences` puts them into words; `media`, `returns`,
`responses`, `fitted` and `backtests` make figures of them (`figure` is what a figure is),
`rows` tables; `html` puts all on one page: page.html.j2, page.css and page.js.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmjax.reporting.html import report as report

__all__ = ["report"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load the page on first use: the command line reads tables without it."""
    if name not in __all__:
        raise AttributeError(f"module 'mmmjax.reporting' has no attribute {name!r}")
    return getattr(importlib.import_module("mmmjax.reporting.html"), name)
