"""Pictures: labelled tables in, one chart out, for a notebook, a file and the report.

All take a Fit (or the Plan, Backtest, Fleet or Panel that they are of), whose labels they
know; or the tables that the command line writes, labelled results, plain arrays of draws;
and return an Altair chart, which composes (``+``, ``|``, ``&``), shows itself and is saved
offline: ``mm.plot.roas(fit).save("roas.png")``. Give one
``colours=channel_colours(fit.panel.channels)`` to all of them, so that a channel keeps its
colour where others are missing.

Each name is loaded on first use: ``colours`` and ``labels`` serve the command line too,
which must not wait for Altair.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmjax.plot.budget import allocation as allocation
    from mmmjax.plot.budget import flighting as flighting
    from mmmjax.plot.budget import marginal_returns as marginal_returns
    from mmmjax.plot.colours import channel_colours as channel_colours
    from mmmjax.plot.counterfactual import uplift as uplift
    from mmmjax.plot.data import against_outcome as against_outcome
    from mmmjax.plot.data import correlations as correlations
    from mmmjax.plot.data import outcome as outcome
    from mmmjax.plot.data import spend as spend
    from mmmjax.plot.data import spend_shares as spend_shares
    from mmmjax.plot.data import train_test as train_test
    from mmmjax.plot.diagnostics import energy as energy
    from mmmjax.plot.diagnostics import ranks as ranks
    from mmmjax.plot.diagnostics import residuals as residuals
    from mmmjax.plot.diagnostics import trace as trace
    from mmmjax.plot.fit import convergence as convergence
    from mmmjax.plot.fit import fitted as fitted
    from mmmjax.plot.fit import forecast as forecast
    from mmmjax.plot.fit import prior_predictive as prior_predictive
    from mmmjax.plot.fleet import fleet_diagnostics as fleet_diagnostics
    from mmmjax.plot.fleet import fleet_forest as fleet_forest
    from mmmjax.plot.fleet import fleet_spread as fleet_spread
    from mmmjax.plot.graph import structure as structure
    from mmmjax.plot.knowledge import best_splits as best_splits
    from mmmjax.plot.knowledge import value_of_knowing as value_of_knowing
    from mmmjax.plot.media import contributions as contributions
    from mmmjax.plot.media import decomposition as decomposition
    from mmmjax.plot.media import multipliers as multipliers
    from mmmjax.plot.picture import to_png as to_png
    from mmmjax.plot.picture import to_svg as to_svg
    from mmmjax.plot.plans import frontier as frontier
    from mmmjax.plot.plans import mean_and_risk as mean_and_risk
    from mmmjax.plot.plans import plan_responses as plan_responses
    from mmmjax.plot.pooling import shrinkage as shrinkage
    from mmmjax.plot.priors import contraction as contraction
    from mmmjax.plot.priors import distributions as distributions
    from mmmjax.plot.priors import prior_posterior as prior_posterior
    from mmmjax.plot.responses import carryover as carryover
    from mmmjax.plot.responses import curve as curve
    from mmmjax.plot.responses import curves as curves
    from mmmjax.plot.responses import sweep as sweep
    from mmmjax.plot.returns import now_and_after as now_and_after
    from mmmjax.plot.returns import roas as roas
    from mmmjax.plot.returns import roas_over_time as roas_over_time
    from mmmjax.plot.returns import share_and_roas as share_and_roas
    from mmmjax.plot.returns import shares as shares
    from mmmjax.plot.validation import backtest_forecasts as backtest_forecasts
    from mmmjax.plot.validation import backtest_scores as backtest_scores
    from mmmjax.plot.validation import stability as stability

_FILES = {
    "budget": ("allocation", "flighting", "marginal_returns"),
    "colours": ("channel_colours",),
    "counterfactual": ("uplift",),
    "data": (
        "against_outcome",
        "correlations",
        "outcome",
        "spend",
        "spend_shares",
        "train_test",
    ),
    "diagnostics": ("energy", "ranks", "residuals", "trace"),
    "fit": ("convergence", "fitted", "forecast", "prior_predictive"),
    "fleet": ("fleet_diagnostics", "fleet_forest", "fleet_spread"),
    "graph": ("structure",),
    "knowledge": ("best_splits", "value_of_knowing"),
    "media": ("contributions", "decomposition", "multipliers"),
    "picture": ("to_png", "to_svg"),
    "plans": ("frontier", "mean_and_risk", "plan_responses"),
    "pooling": ("shrinkage",),
    "priors": ("contraction", "distributions", "prior_posterior"),
    "responses": ("carryover", "curve", "curves", "sweep"),
    "returns": ("now_and_after", "roas", "roas_over_time", "share_and_roas", "shares"),
    "validation": ("backtest_forecasts", "backtest_scores", "stability"),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names}

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
