"""Reports: one HTML file that opens anywhere and says what was found and how sure it is.

`evidence` gathers tables, `sentences` puts them into words, `rows` and `more_rows` into
tables; `figures` chooses the charts of `mmmjax.plot` and `embed` takes them apart for a
page; `html` puts all on one: page.html.j2, page.css and page.js, drawn by vega.js. `fleet`
does the same for many markets: fleet.html.j2 and fleet.js. Both pages extend frame.html.j2
and are made of parts.html.j2. `paper` is for print. `planning` writes the page in which
a split of the budget is tried: planner.html.j2, planner.css and planner.js. What the pages
share stands in page.css and common.js.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmjax.reporting.evidence import media_of as media_of
    from mmmjax.reporting.fleet import fleet_report as fleet_report
    from mmmjax.reporting.html import report as report
    from mmmjax.reporting.paper import onepage as onepage
    from mmmjax.reporting.planning import planner as planner

_FILE_OF = {
    "fleet_report": "fleet",
    "media_of": "evidence",
    "onepage": "paper",
    "planner": "planning",
    "report": "html",
}

__all__ = ["fleet_report", "media_of", "onepage", "planner", "report"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load the page on first use: the command line reads tables without it."""
    if name not in __all__:
        raise AttributeError(f"module 'mmmjax.reporting' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mmmjax.reporting.{_FILE_OF[name]}"), name)
