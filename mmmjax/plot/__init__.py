"""Pictures: labelled tables in, one chart out, for a notebook, a file and the report.

All take a Fit (or the Plan, Backtest, Fleet or Panel that they are of), whose labels they
know; or the tables that the command line writes, labelled results, plain arrays of draws;
and return an Altair chart, which composes (``+``, ``|``, ``&``), shows itself and is saved
offline: ``mm.plot.roas(fit).save("roas.png")``. Give one
``colours=channel_colours(fit.panel.channels)`` to all of them, so that a channel keeps its
colour where others are missing.

Each name is loaded on first use: ``colours`` and ``labels`` serve the command line too,
which must not wait for Altair. What a picture takes first, and arguments that several
share, are described in :mod:`mmmjax.plot.given`, and from there in ``help(mm.plot.roas)``.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmjax.plot.budget import *
    from mmmjax.plot.colours import channel_colours as channel_colours
    from mmmjax.plot.counterfactual import *
    from mmmjax.plot.data import *
    from mmmjax.plot.diagnostics import *
    from mmmjax.plot.fit import *
    from mmmjax.plot.fleet import *
    from mmmjax.plot.graph import *
    from mmmjax.plot.knowledge import *
    from mmmjax.plot.media import *
    from mmmjax.plot.picture import *
    from mmmjax.plot.plans import *
    from mmmjax.plot.pooling import *
    from mmmjax.plot.priors import *
    from mmmjax.plot.responses import *
    from mmmjax.plot.returns import *
    from mmmjax.plot.validation import *

_FILES = {
    "budget": "allocation flighting marginal_returns",
    "colours": "channel_colours",
    "counterfactual": "uplift",
    "data": "against_outcome correlations outcome spend spend_shares train_test",
    "diagnostics": "energy ranks residuals trace",
    "fit": "convergence fitted forecast prior_predictive",
    "fleet": "fleet_diagnostics fleet_forest fleet_spread",
    "graph": "structure",
    "knowledge": "best_splits value_of_knowing",
    "media": "contributions decomposition multipliers",
    "picture": "to_png to_svg",
    "plans": "frontier mean_and_risk plan_responses",
    "pooling": "shrinkage",
    "priors": "contraction distributions prior_posterior",
    "responses": "carryover curve curves sweep",
    "returns": "now_and_after roas roas_over_time share_and_roas shares",
    "validation": "backtest_forecasts backtest_scores stability",
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names.split()}

__all__ = sorted(_FILE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load a picture on first use."""
    if name not in _FILE_OF:
        raise AttributeError(f"module 'mmmjax.plot' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mmmjax.plot.{_FILE_OF[name]}"), name)
    value = importlib.import_module("mmmjax.plot.given").taking(name, value)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List public names, loaded or not."""
    return list(__all__)
