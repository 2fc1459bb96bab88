"""Lift tests of panels whose geos start late or end early."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from mmmjax.checks import InputError
from mmmjax.facts import LiftTest
from tests.facts.test_experiment import LOG, density, difference, of_panel
from tests.fits import make_fit, make_panel, make_spec


def without_rows(panel, g, times):
    """The panel, a geo without rows in some periods."""
    arrays = {n: np.array(getattr(panel, n)) for n in ("outcome", "media", "spend")}
    arrays["outcome"][g, times] = np.nan
    arrays["media"][g, times] = 0.0
    arrays["spend"][g, times] = np.where(panel.paid, 0.0, np.nan)
    present = np.array(panel.present)
    present[g, times] = False
    return dataclasses.replace(panel, present=present, **arrays)


@pytest.mark.parametrize("link", ["identity", "log"])
def test_what_a_geo_without_rows_would_have_is_no_part_of_a_test(link):
    spec = make_spec()
    if link == "log":
        spec = dataclasses.replace(spec, likelihood=LOG, priors={})
    whole = make_panel(("north", "süd", "west"))
    panel = without_rows(without_rows(whole, 2, slice(0, 6)), 1, slice(4, None))
    fit = make_fit(spec=spec, panel=panel, dtype=np.float64)
    days = {"start": "2022-01-16", "end": "2022-01-29", "tail": 1, "error": 4.0}
    fact = LiftTest("TV", result=5.0, of="percent", spend_control=0.0, **days)
    control = of_panel(panel, "TV", slice(2, 4), lambda g, x: 0 * x)
    _, p = density(fact, fit)
    more, level = difference(fit, p, [panel.media, control], range(3), [2, 3, 4])
    # west has no row yet, and süd none from the tail on
    more, low = (x[0].sum() + x[1, :2].sum() for x in (more, level))
    told = stats.norm.logpdf(5.0, 100 * more / low, 4.0)
    assert density(fact, fit)[0] == pytest.approx(told, rel=1e-7)
    # money goes to geos that have a row
    money = dataclasses.replace(
        fact, of="total", result=30.0, spend_control=90.0, spend_of="per_period"
    )
    cost = fit.scale.cost_per_unit[:, 0]
    usual = panel.media[:, :, 0].sum(1) * cost
    shares = usual[:2] / usual[:2].sum()
    control = of_panel(
        panel, "TV", slice(2, 4), lambda g, x: 90 * shares[g] / cost[g] + 0 * x, [0, 1]
    )
    more, _ = difference(fit, p, [panel.media, control], range(3), [2, 3, 4])
    told = stats.norm.logpdf(30.0, more[0].sum() + more[1, :2].sum(), 4.0)
    assert density(money, fit)[0] == pytest.approx(told, rel=1e-7)
    late = dataclasses.replace(fact, geos="west")
    with pytest.raises(InputError, match=r'got "west" at 2022-01-16.*geos with rows then'):
        panel.with_facts([late])
