"""mmmjax: Bayesian media mix modelling on JAX.

The public door: about fifty names, each loaded on first use, so that importing the
package stays quick and plots, reports and optimizers cost nothing until asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmjax import facts as facts
    from mmmjax import likelihood as likelihood
    from mmmjax import plot as plot
    from mmmjax import tables as tables
    from mmmjax import terms as terms
    from mmmjax.added import add_geos as add_geos
    from mmmjax.adequacy import Judged as Judged
    from mmmjax.adequacy import judge as judge
    from mmmjax.backtesting import Backtest as Backtest
    from mmmjax.backtesting import backtest as backtest
    from mmmjax.budget import Plan as Plan
    from mmmjax.budget import ResponseCurves as ResponseCurves
    from mmmjax.budget import constraints as constraints
    from mmmjax.budget import design_test as design_test
    from mmmjax.budget import evaluate as evaluate
    from mmmjax.budget import forecast_plan as forecast_plan
    from mmmjax.budget import frontier as frontier
    from mmmjax.budget import knowledge as knowledge
    from mmmjax.budget import optimize as optimize
    from mmmjax.budget import scenarios as scenarios
    from mmmjax.budget import utility as utility
    from mmmjax.checks import InputError as InputError
    from mmmjax.comparing import Comparison as Comparison
    from mmmjax.comparing import compare as compare
    from mmmjax.conflating import Conflation as Conflation
    from mmmjax.conflating import conflation as conflation
    from mmmjax.counterfactuals import counterfactual as counterfactual
    from mmmjax.counterfactuals import reweight as reweight
    from mmmjax.criticism import prior_posterior as prior_posterior
    from mmmjax.criticism import residuals as residuals
    from mmmjax.draws import Draws as Draws
    from mmmjax.draws import Fit as Fit
    from mmmjax.draws import diagnostics as diagnostics
    from mmmjax.draws import summary as summary
    from mmmjax.exploration import explore as explore
    from mmmjax.exploration import warnings as warnings
    from mmmjax.facts.studies import combine_studies as combine_studies
    from mmmjax.findings import Finding as Finding
    from mmmjax.fleet import Fleet as Fleet
    from mmmjax.fleet import FleetReturns as FleetReturns
    from mmmjax.fleet import fit_fleet as fit_fleet
    from mmmjax.fleet import fleet_ranking as fleet_ranking
    from mmmjax.fleet import fleet_returns as fleet_returns
    from mmmjax.fleet import open_fleet as open_fleet
    from mmmjax.fleet import refresh_fleet as refresh_fleet
    from mmmjax.graph import structure as structure
    from mmmjax.infer.fit import fit as fit
    from mmmjax.inherited import transfer as transfer
    from mmmjax.kernels import adstock as adstock
    from mmmjax.kernels import saturation as saturation
    from mmmjax.kernels import seasonality as seasonality
    from mmmjax.panel import Panel as Panel
    from mmmjax.posterior import campaigns as campaigns
    from mmmjax.posterior import carryover as carryover
    from mmmjax.posterior import contributions as contributions
    from mmmjax.posterior import curves as curves
    from mmmjax.posterior import decomposition as decomposition
    from mmmjax.posterior import incremental as incremental
    from mmmjax.posterior import mroas as mroas
    from mmmjax.posterior import multipliers as multipliers
    from mmmjax.posterior import optimal_frequency as optimal_frequency
    from mmmjax.posterior import roas as roas
    from mmmjax.posterior import sweep as sweep
    from mmmjax.prediction import crps as crps
    from mmmjax.prediction import log_likelihood as log_likelihood
    from mmmjax.prediction import predict as predict
    from mmmjax.prediction import prior_predictive as prior_predictive
    from mmmjax.prediction import sample_prior as sample_prior
    from mmmjax.prediction import scores as scores
    from mmmjax.prior import Prior as Prior
    from mmmjax.prior import media_share as media_share
    from mmmjax.prior import pooled as pooled
    from mmmjax.prior import spend_share as spend_share
    from mmmjax.refreshing import Drift as Drift
    from mmmjax.refreshing import FleetDrift as FleetDrift
    from mmmjax.refreshing import drift as drift
    from mmmjax.refreshing import refresh as refresh
    from mmmjax.registries import register as register
    from mmmjax.registries import registry as registry
    from mmmjax.reporting import fleet_report as fleet_report
    from mmmjax.reporting import onepage as onepage
    from mmmjax.reporting import planner as planner
    from mmmjax.reporting import report as report
    from mmmjax.samplers import HMC as HMC
    from mmmjax.samplers import MCLMC as MCLMC
    from mmmjax.samplers import MEADS as MEADS
    from mmmjax.samplers import NUTS as NUTS
    from mmmjax.samplers import SMC as SMC
    from mmmjax.samplers import ChEES as ChEES
    from mmmjax.samplers import Converged as Converged
    from mmmjax.samplers import Laplace as Laplace
    from mmmjax.samplers import Pathfinder as Pathfinder
    from mmmjax.scaling import Scale as Scale
    from mmmjax.separating import Separation as Separation
    from mmmjax.separating import separate as separate
    from mmmjax.spec import Spec as Spec
    from mmmjax.stacking import Compared as Compared
    from mmmjax.stacking import compare_specs as compare_specs
    from mmmjax.stacking import stack as stack
    from mmmjax.store import load as load
    from mmmjax.store import save as save
    from mmmjax.terms import moving as moving
    from mmmjax.workbook import to_excel as to_excel

__version__ = "0.1.0"

_ROOMS = {
    "mmmjax": ("facts", "likelihood", "plot", "tables", "terms"),
    "mmmjax.kernels": ("adstock", "saturation", "seasonality"),
    "mmmjax.added": ("add_geos",),
    "mmmjax.adequacy": ("Judged", "judge"),
    "mmmjax.backtesting": ("Backtest", "backtest"),
    "mmmjax.budget": (
        "Plan",
        "ResponseCurves",
        "constraints",
        "design_test",
        "evaluate",
        "forecast_plan",
        "frontier",
        "knowledge",
        "optimize",
        "scenarios",
        "utility",
    ),
    "mmmjax.checks": ("InputError",),
    "mmmjax.comparing": ("Comparison", "compare"),
    "mmmjax.counterfactuals": ("counterfactual", "reweight"),
    "mmmjax.criticism": ("prior_posterior", "residuals"),
    "mmmjax.draws": ("Draws", "Fit", "diagnostics", "summary"),
    "mmmjax.exploration": ("explore", "warnings"),
    "mmmjax.facts.studies": ("combine_studies",),
    "mmmjax.findings": ("Finding",),
    "mmmjax.fleet": (
        "Fleet",
        "FleetReturns",
        "fit_fleet",
        "fleet_ranking",
        "fleet_returns",
        "open_fleet",
        "refresh_fleet",
    ),
    "mmmjax.graph": ("structure",),
    "mmmjax.infer.fit": ("fit",),
    "mmmjax.panel": ("Panel",),
    "mmmjax.posterior": (
        "carryover",
        "campaigns",
        "contributions",
        "curves",
        "decomposition",
        "incremental",
        "mroas",
        "multipliers",
        "optimal_frequency",
        "roas",
        "sweep",
    ),
    "mmmjax.prediction": (
        "crps",
        "log_likelihood",
        "predict",
        "prior_predictive",
        "sample_prior",
        "scores",
    ),
    "mmmjax.prior": ("Prior", "media_share", "pooled", "spend_share"),
    "mmmjax.registries": ("register", "registry"),
    "mmmjax.reporting": ("fleet_report", "onepage", "planner", "report"),
    "mmmjax.samplers": (
        "HMC",
        "MCLMC",
        "MEADS",
        "NUTS",
        "SMC",
        "ChEES",
        "Converged",
        "Laplace",
        "Pathfinder",
    ),
    "mmmjax.scaling": ("Scale",),
    "mmmjax.spec": ("Spec",),
    "mmmjax.inherited": ("transfer",),
    "mmmjax.refreshing": ("Drift", "FleetDrift", "drift", "refresh"),
    "mmmjax.conflating": ("Conflation", "conflation"),
    "mmmjax.separating": ("Separation", "separate"),
    "mmmjax.stacking": ("Compared", "compare_specs", "stack"),
    "mmmjax.store": ("load", "save"),
    "mmmjax.terms": ("moving",),
    "mmmjax.workbook": ("to_excel",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
_MODULES = {
    *_ROOMS["mmmjax"],
    *_ROOMS["mmmjax.kernels"],
    "moving",
    "constraints",
    "utility",
}

__all__ = sorted([*_ROOM_OF, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'mmmjax' has no attribute {name!r}")
    room = _ROOM_OF[name]
    if name in _MODULES:
        return importlib.import_module(f"{room}.{name}")
    value = getattr(importlib.import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List public names, loaded or not."""
    return list(__all__)
