"""What each picture draws, and how a Fit, Plan, Backtest, Fleet or Panel gives it.

:func:`taking` stands at the door of ``mm.plot``: the first argument may be the table that
the picture's :class:`Source` names, or what the table is made from; labels that are not
given (outcome, currency, period, colours, ...) are then the panel's. The door also writes
the arguments that pictures share (``SHARED``) into their docstrings.
"""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import tables
from mmmjax.arguments import bound, complete, kind_of
from mmmjax.budget import Plan
from mmmjax.budget.regret import knowledge
from mmmjax.checks import Phrase, fail, listing
from mmmjax.counterfactuals import SCENARIO
from mmmjax.criticism import prior_posterior, residuals
from mmmjax.draws import Fit, summary
from mmmjax.exploration import explore
from mmmjax.fleet import Fleet, FleetReturns, fleet_returns
from mmmjax.graph import Structure, structure
from mmmjax.panel import Panel
from mmmjax.plot import picture
from mmmjax.plot.colours import channel_colours
from mmmjax.posterior import curves, roas
from mmmjax.prediction import predict, prior_predictive, sample_prior
from mmmjax.words import capital, period_noun

__all__ = ["SHARED", "SOURCES", "Source", "taking"]

SHARED = {
    "geo": "The geo drawn; None: the sum over geos, or the geos to choose from.",
    "outcome": "Name of the outcome, with its unit if it has one.",
    "currency": "Label of money.",
    "period": 'Word for one period, such as "week".',
    "per": 'What the money is for: "over the window" or "a week".',
    "value": "Money per unit of outcome, where it is known: returns are then money per\n"
    "        money, with a line at 1, where spend breaks even.",
    "names": 'Parameters, or labels such as "saturation_beta[TV]"; None: all (at most 30).',
    "prob": "Probability inside the intervals.",
    "colours": "Channel -> colour, from ``channel_colours(all channels)``; None: by the\n"
    "        order here.",
    "width": "Pixels.",
}
"""Arguments that pictures share."""

type Given = Mapping[str, Any]
type Make = Callable[[Any, Given], Mapping[str, Any]]


class Source(NamedTuple):
    """What a picture draws.

    Args:
        of: The table in words.
        remedy: A call that draws it.
        columns: What a data frame must have; None: none is taken.
        variables: What a Dataset must have; None: none is taken.
        others: Further kinds that it takes as they are.
        makers: Name of a kind -> its arguments, from a thing and the others given.
    """

    of: str
    remedy: str
    columns: tuple[str, ...] | None = None
    variables: tuple[str, ...] | None = None
    others: tuple[Any, ...] = ()
    makers: Mapping[str, Make] = {}

    @property
    def allowed(self) -> str:
        """All that it takes, in words."""
        kinds = [f"a {kind}" for kind in self.makers if kind != "Dataset"]
        return listing(map(Phrase, [*kinds, self.of]), 9, "or")


def _whole(fit: Fit, given: Given) -> bool:
    """Whether geos are summed: several, and none is asked for."""
    return fit.panel.n_geos > 1 and given.get("geo") is None


def _table(file: str, name: str, *columns: str, **made: Make) -> Source:
    """A picture of the table of a fit."""
    of, remedy = f"a table with the columns of {file}.csv", f"mm.tables.{file}(fit)"
    make: Make = lambda fit, given: {name: getattr(tables, file)(fit)}
    remedy = f"mm.plot.{{}}(fit), or of {remedy}"
    return Source(of, remedy, columns, makers={"Fit": make, **made})


def _windows(kind: str) -> Source:
    """A picture of returns.csv; of months it has rows where they are asked for."""

    def make(fit: Fit, given: Given) -> dict[str, Any]:
        asked = {"month"} & {given.get(kind)}
        return {"returns": tables.returns(fit, ("all", "year", "quarter", *asked))}

    return _table("returns", "returns", "kind", "window", "roas_mean", Fit=make)


def _of_curves(call: str = "mm.plot.{}(fit)") -> Source:
    make: Make = lambda fit, given: {"found": curves(fit, total=_whole(fit, given))}
    what = "a result of mm.curves or a table with the columns of curves.csv"
    remedy, columns = f"{call}, or of mm.curves(fit)", ("channel", "spend", "mean")
    return Source(what, remedy, columns, ("response",), makers={"Fit": make})


def _explored(fit: Fit | Panel, given: Given) -> dict[str, Any]:
    """What mm.explore sees."""
    panel = fit.panel if isinstance(fit, Fit) else fit
    return {"found": explore(panel, total=panel.n_geos > 1 and given.get("geo") is None)}


OF_PANEL: dict[str, Make] = {"Fit": _explored, "Panel": _explored}
CALL = "mm.plot.{}(panel), or of mm.explore(panel)"
SEEN = Source("a result of mm.explore", CALL, None, ("kind",), (), OF_PANEL)


def _predicted(fit: Fit, given: Given) -> dict[str, Any]:
    """Training, and the panel that follows it where one is given."""
    whole = _whole(fit, given)
    made = {"training": predict(fit, total=whole)}
    for panel in (x for x in given.values() if isinstance(x, Panel)):
        made["test"] = predict(fit, panel, total=whole)
    return made


def _forecast(fit: Fit, given: Given) -> dict[str, Any]:
    """A forecast of the panel that follows, which stands where training would."""
    if not isinstance(given.get("training"), Panel):
        allowed, fix = "a fit and the panel that follows training", "(fit, test)"
        fail("test", Phrase("a Fit alone"), "", allowed, f"mm.plot.forecast{fix}")
    return _predicted(fit, given)


def _predictions(file: str, call: str, make: Make) -> Source:
    of = f"a result of mm.predict or a table with the columns of {file}.csv"
    return Source(of, call, ("date", "mean"), ("outcome",), makers={"Fit": make})


def _posterior(name: str, of: str = "draws by parameter", **more: Any) -> Source:
    def make(fit: Fit, given: Given) -> dict[str, Any]:
        known = {k: fit.draws.stats[v] for k, v in more.items() if v in fit.draws.stats}
        return {name: fit.to_arviz()["posterior"], **known}

    remedy = 'mm.plot.{}(fit), or of fit.to_arviz()["posterior"]'
    return Source(of, remedy, None, ("chain", "draw"), (Mapping,), {"Fit": make})


def _learned(fit: Fit, given: Given) -> dict[str, Any]:
    before = sample_prior(fit.spec, fit.panel)
    return {
        "prior": before.to_arviz()["posterior"],
        "posterior": given.get("posterior", fit.to_arviz()["posterior"]),
    }


def _known(name: str, argument: str, of: str, *rest: str) -> Source:
    """A picture of what mm.knowledge says."""

    def pick(found: xr.Dataset, given: Given) -> dict[str, Any]:
        more = {"error": found["channel_value_error"], "total": float(found["evpi"])}
        return {argument: found[name], **{k: v for k, v in more.items() if k in rest}}

    of = f"a result of mm.knowledge, {of}"
    remedy = "mm.plot.{}(fit), or of mm.knowledge(fit, plan)"
    others = (np.ndarray, xr.DataArray, Mapping, list, tuple)
    make: Make = lambda fit, given: pick(knowledge(fit), given)
    return Source(of, remedy, None, (name,), others, {"Dataset": pick, "Fit": make})


def _of_plan(of: str, name: str, make: Callable[[Plan], Any], *others: Any) -> Source:
    columns = {"plan": ("channel", "reference", "optimized"), "spend": ("channel", "spend")}
    made: Make = lambda plan, given: {name: make(plan)}
    remedy = "mm.plot.{}(plan), of plan = mm.optimize(fit, budget=..., periods=...)"
    return Source(of, remedy, columns.get(name), None, others, {"Plan": made})


def _of_backtest(argument: str, name: str, *columns: str) -> Source:
    made: Make = lambda found, given: {argument: found.to_frames()[name]}
    remedy = "mm.plot.{}(cv), of cv = mm.backtest(spec, panel)"
    of = f"a table with the columns of {name}.csv"
    return Source(of, remedy, columns, makers={"Backtest": made})


def _fleet(fleet: Fleet, given: Given) -> dict[str, Any]:
    return {"returns": fleet_returns(fleet.channels, fleet.table)}


RETURNS, KINDS = "a result of mm.fleet_returns", (FleetReturns,)
OF_FLEET = Source(RETURNS, "mm.plot.{}(fleet, ...)", others=KINDS, makers={"Fleet": _fleet})
CHARTS = (alt.TopLevelMixin, *picture.House.__subclasses__())
DRAWS = (Mapping, xr.DataArray)
BRINGS = _of_plan(
    "Plan.response, or {name: draws}", "response", lambda p: p.response, *DRAWS
)
SECOND = {"plan": (Plan, pd.DataFrame), "posterior": (Mapping,)}

SOURCES: dict[str, Source] = {
    "allocation": _of_plan("the columns of plan.csv", "plan", Plan.to_frame),
    "flighting": _of_plan(
        "Plan.spend_by_period, or the columns of plan_periods.csv", "spend",
        lambda plan: plan.spend_by_period, xr.DataArray,
    ),
    **dict.fromkeys(("plan_responses", "mean_and_risk"), BRINGS),
    "marginal_returns": _of_curves(
        "mm.plot.{}(fit, plan) with plan = mm.optimize(fit, periods=13)"
    ),
    "uplift": Source(
        "draws of a difference", 'mm.plot.{}(mm.counterfactual(fit, {{"TV": 1.2}}))', None,
        (SCENARIO,), (np.ndarray, xr.DataArray, list, tuple),
        {"Dataset": lambda found, given: {"draws": found["uplift_outcome"]}},
    ),
    **dict.fromkeys(
        ("outcome", "spend", "spend_shares", "against_outcome", "correlations"), SEEN
    ),
    "train_test": Source(
        SEEN.of, "mm.plot.{}(mm.explore(panel, test))", variables=("kind",)
    ),
    **dict.fromkeys(
        ("to_png", "to_svg"),
        Source("a picture", "mm.plot.{}(mm.plot.roas(fit))", others=CHARTS),
    ),
    "trace": _posterior("draws", diverging="diverging"),
    "ranks": _posterior("draws"),
    "energy": Source(
        "energy of every draw, (chain, draw)", "mm.plot.{}(fit)", None, None,
        (np.ndarray, xr.DataArray, list),
        {"Fit": lambda fit, given: {"energy": fit.draws.stats["energy"]}},
    ),
    "residuals": Source(
        "a result of mm.residuals or a table with the columns of fitted.csv",
        "mm.plot.{}(fit), or of mm.residuals(fit)", ("date", "observed", "mean"),
        ("residual",), (),
        {"Fit": lambda f, given: {"found": residuals(f, total=_whole(f, given))}},
    ),
    "fitted": _predictions("fitted", "mm.plot.{}(fit)", _predicted),
    "forecast": _predictions("forecast", "mm.plot.{}(fit, test)", _forecast),
    "prior_predictive": Source(
        "a result of mm.prior_predictive", "mm.plot.{}(fit)", ("date", "mean"),
        ("outcome",), (),
        {"Fit": lambda fit, given: {"found": prior_predictive(fit.spec, fit.panel)}},
    ),
    "convergence": _table(
        "parameters", "parameters", "r_hat", "ess_bulk",
        Fit=lambda fit, given: {"parameters": summary(fit), "chains": fit.draws.n_chains},
    ),
    "contraction": _table(
        "priors", "priors", "parameter", "contraction",
        Fit=lambda fit, given: {"priors": prior_posterior(fit)},
    ),
    "prior_posterior": Source(
        "draws by parameter under the prior", "mm.plot.{}(fit)", None,
        ("chain", "draw"), (Mapping,), {"Fit": _learned},
    ),
    "distributions": Source(
        "draws by channel", 'mm.plot.{}(fit), or of mm.roas(fit)["roas_total"]', None,
        None, DRAWS, {"Fit": lambda fit, given: {"draws": roas(fit)["roas_total"]}},
    ),
    "structure": Source(
        "a result of mm.structure", "mm.plot.{}(mm.structure(spec, panel))", None, None,
        (Structure,),
        {"Fit": lambda fit, given: {"graph": structure(fit.spec, fit.panel)}},
    ),
    "best_splits": _known(
        "allocation", "optimum", "or its best spend by draw, (draw, channel), money"
    ),
    "value_of_knowing": _known(
        "channel_value", "worth", "or channel -> expected gain", "error", "total"
    ),
    "contributions": _table("weekly", "weekly", "component", "date", "mean"),
    "multipliers": _table("multipliers", "table", "channel", "date", "after", "mean"),
    "decomposition": _table("decomposition", "table", "component"),
    "frontier": Source(
        "a result of mm.frontier or a table with the columns of frontier.csv",
        "mm.plot.{}(mm.frontier(fit, [1e6, 2e6], periods=26))",
        ("budget", "response_mean"), ("response_mean",),
    ),
    "carryover": _table("carryover", "table", "channel", "lag", "mean"),
    "curve": _of_curves('mm.plot.{}(fit, "TV"), and mm.plot.curves(fit) for all channels'),
    "curves": _of_curves(),
    "sweep": _table("sweep", "table", "channel", "multiplier", "mean"),
    "roas": _table("channels", "channels", "channel", "roas_mean", "mroas_mean"),
    "shares": _table("channels", "channels", "channel", "share_mean"),
    "share_and_roas": _table("channels", "channels", "channel", "share_mean", "roas_mean"),
    "shrinkage": _table("shrinkage", "table", "geo", "channel", "own", "pooled_mean"),
    "roas_over_time": _windows("kind"),
    "now_and_after": _windows("window"),
    "backtest_scores": _of_backtest("scores", "backtest", "fold", "model", "split"),
    "backtest_forecasts": _of_backtest("forecast", "backtest_forecast", "fold", "date"),
    "stability": _of_backtest("parameters", "backtest_parameters", "fold", "parameter"),
    "fleet_forest": OF_FLEET,
    "fleet_spread": OF_FLEET,
    "fleet_diagnostics": Source(
        "the table of a fleet, fleet.csv", "mm.plot.{}(fleet)", ("market", "status"),
        makers={"Fleet": lambda fleet, given: {"table": fleet.table}},
    ),
    "channel_colours": Source(
        "names of channels", "mm.plot.{}(fit)", others=(list, tuple, np.ndarray, pd.Index),
        makers={
            "Fit": lambda fit, given: {"channels": fit.panel.channels},
            "Panel": lambda panel, given: {"channels": panel.channels},
        },
    ),
}  # fmt: skip
"""What every picture of ``mm.plot`` draws."""


def taking(name: str, draw: Callable[..., Any]) -> Callable[..., Any]:
    """A picture that takes what its table is made from, and refuses what it cannot draw."""
    source, signature, place = SOURCES[name], inspect.signature(draw), f"plot.{name}"
    first, remedy = next(iter(signature.parameters)), source.remedy.format(name)

    @functools.wraps(draw)
    def door(*args: Any, **named: Any) -> Any:
        given = bound(place, signature, {}, args, named)
        if first not in given:
            fail(first, Phrase("nothing"), f"in mm.{place}()", source.of, remedy)
        thing = given[first]
        kinds = [kind.__name__ for kind in type(thing).__mro__]
        made = next((source.makers[kind] for kind in kinds if kind in source.makers), None)
        if made is None or isinstance(thing, xr.Dataset):
            _check(name, first, source, thing)
        labels = _labels(thing)
        if made is not None:
            given |= made(thing, given)
        planned = given.get("plan")
        if isinstance(planned, Plan):
            given |= _planned(name, planned)
            labels = _labels(planned) | labels
        known = {k: v for k, v in labels.items() if k in signature.parameters and v}
        asked = signature.parameters.get("channel")
        if asked and asked.default is asked.empty and "channel" not in given:
            table = getattr(given[first], "channels", given[first])
            names = [*dict.fromkeys(map(str, np.asarray(table["channel"])))]
            fix = f'mm.plot.{name}({first}, "{names[0]}")' if names else remedy
            where, got = f"in mm.{place}({first})", Phrase("nothing")
            fail("channel", got, where, listing(names), fix)
        complete(place, signature, SECOND, given, remedy)
        return draw(**(known | given))

    head, _, told = (inspect.getdoc(draw) or "").partition("\n\nArgs:\n")
    own, mark, rest = told.partition("\n\n")
    texts = re.split(r"^    (\w+): ", own, flags=re.M)[1:]
    taken = {first: f"{capital(source.allowed)}:\n        {remedy}."}
    every = SHARED | taken | dict(zip(texts[::2], texts[1::2], strict=True))
    said = (f"    {n}: {every[n].rstrip()}" for n in signature.parameters if n in every)
    door.__doc__ = "\n".join([f"{head}\n\nArgs:", *said]) + mark + rest
    return door


def _planned(name: str, plan: Plan) -> dict[str, Any]:
    """The arguments that a plan beside the curves (or draws) gives."""
    if name == "best_splits":
        return {"plan": plan.optimized.sum("geo").to_series().to_dict()}
    periods = 1 if plan.per_period else plan.periods
    return {"plan": plan.to_frame(), "periods": periods, "price": plan.shadow_price}


def _labels(thing: Any) -> dict[str, Any]:
    """What a thing says of itself, for the labels that a picture may have."""
    if isinstance(thing, Fit):
        thing = thing.panel
    if isinstance(thing, Panel | Plan):
        noun = period_noun(thing.freq)
        known = {"outcome": thing.outcome_name, "currency": thing.currency, "period": noun}
        if isinstance(thing, Plan):
            return known | {"per": f"a {noun}" if thing.per_period else "over the window"}
        colours = channel_colours(thing.channels)
        return known | {"value": thing.outcome_value, "colours": colours}
    if isinstance(thing, Fleet):
        of_one = _labels(next(iter(thing.values()))) if len(thing) else {}
        return {name: x for name, x in of_one.items() if name in ("outcome", "currency")}
    return {"outcome": thing.outcome} if type(thing).__name__ == "Backtest" else {}


def _check(name: str, first: str, source: Source, thing: Any) -> None:
    """Refuse what a picture cannot draw, with what it can."""
    got: Any = kind_of(thing)
    if isinstance(thing, pd.DataFrame | xr.Dataset):
        table = isinstance(thing, pd.DataFrame)
        needed = source.columns if table else source.variables
        known = {*thing} if table else {*thing.variables, *thing.sizes}
        lacking = [x for x in needed or () if x not in known]
        if needed is not None and not lacking:
            return
        if lacking:
            got = Phrase(f"{got} without {listing(lacking, 3)}")
    elif type(thing) in source.others or (
        isinstance(thing, source.others)
        and not type(thing).__module__.startswith("mmmjax")  # a Fleet is a mapping too
    ):
        return
    fail(first, got, f"in mm.plot.{name}", source.allowed, source.remedy.format(name))
