"""What lift tests changed: returns and the plan, without them and with them."""

from typing import Any, Unpack

import pandas as pd

from mmmjax.arguments import checked
from mmmjax.budget.compare import evaluate
from mmmjax.budget.prepare import Asked
from mmmjax.budget.solve import optimize
from mmmjax.checks import InputError, Phrase, fail
from mmmjax.draws import Fit
from mmmjax.experiments import REFIT, taught_table, tested, without_tests
from mmmjax.posterior.fold import MEMORY
from mmmjax.posterior.returns import returns
from mmmjax.posterior.scope import PROB, summarise
from mmmjax.shapes import CHANNEL, GEO

__all__ = ["taught"]

DRAWS = 500  # of each plan, where not asked for
FIT = "a fit without them"
REST = ("roas_rest_mean", "roas_rest_lo", "roas_rest_hi")
GAIN = ("gain_mean", "gain_lo", "gain_hi", "probability_better")


@checked
def taught(
    fit: Fit,
    without: Fit | None = None,
    *,
    prob: float = PROB,
    memory: int = MEMORY,
    **asked: Unpack[Asked],
) -> pd.DataFrame:
    """What lift tests changed: :func:`mmmjax.experiments.taught_table`, and the plan.

    A plan is made of the posterior, and one as if no test had been run. On the rows that
    leave out all tests: spend, spend_rest: money of the channel in either plan, over its
    window; gain_mean, _lo, _hi: what the first brings more than the second, outcome units,
    by the posterior, which has seen the tests; probability_better, that it is more;
    periods of the window; plan: "made", or why there is none.

    Args:
        fit: The fit.
        without: A fit of the same panel without its tests, where weights cannot tell.
        prob: Probability inside [lo, hi].
        memory: Bound in bytes on what lives besides the result.
        **asked: Of the plan, as :func:`mmmjax.optimize` takes it; by default a quarter
            within +-50% of past spend, by at most 500 draws.

    Raises:
        InputError: A fit without tests that has some, or another panel; a plan asked for
            that cannot be made.
    """
    table = taught_table(fit, prob=prob, memory=memory)
    table = table.assign(spend=float("nan"), spend_rest=float("nan"), plan="")
    table = table.assign(**dict.fromkeys((*GAIN, "periods"), float("nan")))
    if without is not None:
        fix = "mm.fit(spec, panel.with_facts(()))"
        if tested(without):
            fail("without", Phrase("a fit with tests"), "", "a fit without them", fix)
        known = lambda panel: (panel.channels, panel.geos, panel.dates.tolist())
        if known(fit.panel) != known(without.panel):
            got, allowed = Phrase("a fit of another panel"), "the same, without its tests"
            fail("without", got, "", allowed, fix)
    if table.empty:
        return table
    every = table["tests"] == table["tests"].max()
    last = table["without"] == table.loc[every, "without"].iloc[-1]
    if without is not None:
        mine = returns(without, memory=memory)["roas_total"]
        for i in table.index[last]:
            draws = mine.sel({CHANNEL: table.at[i, CHANNEL]}).to_numpy().ravel()
            table.loc[i, list(REST)] = summarise(draws, prob)
        table.loc[last, "how"] = FIT
    plain = without if without is not None else without_tests(fit, memory=memory)
    if plain is None or last.sum() < 2:
        table.loc[last, "plan"] = REFIT if plain is None else "one channel has no choice"
        return table
    request: dict[str, Any] = {"max_draws": DRAWS} | asked
    try:
        plans = {"rest": optimize(plain, **request), "all": optimize(fit, **request)}
        found = evaluate(fit, plans, max_draws=request["max_draws"], prob=prob)
    except InputError as error:
        if asked:
            raise
        table.loc[last, "plan"] = str(error).splitlines()[0]
        return table
    for name, column in (("all", "spend"), ("rest", "spend_rest")):
        money = plans[name].optimized.sum(GEO).to_series()
        table.loc[last, column] = table.loc[last, CHANNEL].map(money)
    gains = found.sel(plan="all")
    table.loc[last, list(GAIN)] = [float(gains[name]) for name in GAIN]
    table.loc[last, "periods"] = plans["all"].periods
    table.loc[last, "plan"] = "made"
    return table
