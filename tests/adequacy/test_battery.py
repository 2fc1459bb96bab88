"""The size of every test and of all together on noise; power on planted departures."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax.adequacy.battery import (
    LEVEL,
    SIMULATIONS,
    battery,
    deviates,
    family,
    noise,
    statistics,
)
from mmmjax.adequacy.design import design
from mmmjax.adequacy.evidence import evidence
from tests.adequacy.worlds import fit_of

ROWS = 400


def designs_of(fit):
    seen = evidence(fit)
    return [design(fit, seen, g) for g in range(fit.panel.n_geos)], deviates(fit, seen)


@pytest.fixture(scope="module")
def national():
    return designs_of(fit_of())


@pytest.mark.parametrize("case", [{}, {"geos": 3, "periods": 60}, {"masked": 20}])
def test_p_values_are_uniform_on_noise_and_the_family_keeps_its_level(case):
    cells = [(0, t) for t in range(case.pop("masked", 0))]
    designs, _ = designs_of(fit_of(masked=cells, **case))
    rng = np.random.default_rng(7)
    size = (SIMULATIONS + ROWS, len(designs), len(designs[0].seen))
    names, found, _ = statistics(designs, noise(rng, size, 0.3 if case else 0.0))
    p, limit, whole = family(found[:ROWS], found[ROWS:])
    level = 1e-4 / len(names)  # of all these tests together, 1 in 10,000 seeds is red
    for name, column in zip(names, p.T, strict=True):
        assert stats.kstest(column, "uniform").pvalue > level, name
    alarms = int((p.min(1) <= limit).sum())
    assert stats.binom.sf(alarms - 1, ROWS, LEVEL) > 1e-4
    assert (whole <= LEVEL).sum() == alarms
    assert stats.kstest(whole, "uniform").pvalue > 1e-4


def lagged_noise(rng, n, rho=0.6):
    e = rng.normal(size=n)
    for t in range(1, n):
        e[t] = rho * e[t - 1] + np.sqrt(1 - rho**2) * e[t]
    return e


def media(fit, channel=0):
    x = fit.panel.media[0, :, channel]
    return x / x.std()


T = np.arange(120)
PLANTED = {
    "season": lambda e, x: e + np.sin(2 * np.pi * 3 * T * 7 / 365.25),
    "break": lambda e, x: e + 2.0 * (T >= 70),
    "trend": lambda e, x: e + 6.0 * (T / 120 - 0.5) ** 2 * 4,
    "carryover": lambda e, x: e + 0.7 * sum(np.roll(x, k) for k in range(9, 13)),
    "leads": lambda e, x: e + 0.9 * np.roll(x, -1),
    "shape": lambda e, x: e + 0.5 * x**2,
    "drift": lambda e, x: e + 2.0 * x * (T / 120 - 0.5),
    "lag1": lambda e, x: lagged_noise(np.random.default_rng(1), 120),
    "largest": lambda e, x: e + 8.0 * (T == 33),
    "kurtosis": lambda e, x: np.random.default_rng(3).standard_t(2, 120),
    "spread_time": lambda e, x: e * (0.3 + 1.5 * T / 120),
}


@pytest.mark.parametrize("code", PLANTED)
def test_what_is_planted_is_found_by_its_name(national, code):
    designs, _ = national
    e = np.random.default_rng(11).normal(size=120)
    tested = battery(designs, PLANTED[code](e, media(fit_of()))[None])
    assert code in tested.found
    assert tested.family <= LEVEL
    if code == "season":
        assert tested.label[code] == "3"
    if code in ("carryover", "leads", "shape", "drift"):
        assert tested.label[code] == "m0"


@pytest.mark.parametrize("steep", [2.0, 5.0])
def test_an_s_of_all_channels_is_found_where_no_channel_shows_it(national, steep):
    designs, _ = national
    fit, noise = fit_of(), np.random.default_rng(11).normal(size=120)
    effect = evidence(fit).channel[:, 0].mean(0)
    u = effect / effect.max(1, keepdims=True)
    bent = u**steep / (u**steep + np.median(u, 1, keepdims=True) ** steep)
    bent = (bent - bent.mean(1, keepdims=True)).sum(0)
    bent -= designs[0].basis @ (designs[0].basis.T @ bent)
    away = 5.0 * bent / np.sqrt(bent @ bent)
    tested = battery(designs, (noise + away)[None])
    assert "shape" in tested.found
    assert tested.label["shape"] == "all channels"
    # turned about it is no S: what counts only as it is does not count
    sets = [d for d in zip(designs[0].sets, designs[0].signed, strict=True) if d[1]]
    _, _, one = statistics(designs, -away[None, None])
    alone = one["gain"][designs[0].signed]
    codes = np.array([code for (code, _), _ in sets])
    labels = np.array([label for (_, label), _ in sets])
    assert alone[(codes == "shape") & (labels == "all channels")].max() < 1.0


def test_every_verdict_rests_on_all_simulations(national):
    """A p-value is a number of simulations, whatever they say first."""
    designs, left = national
    tested = battery(designs, left)
    counts = np.array([*tested.p.values(), tested.family]) * (SIMULATIONS + 1)
    assert SIMULATIONS >= 4999
    assert min(tested.p.values()) > LEVEL
    np.testing.assert_allclose(counts, counts.round(), atol=1e-6)
    assert (counts.round() % 5 != 0).any()  # no multiple of fewer


def test_what_the_fit_took_in_part_is_given_back():
    """Residuals of a linear normal model, exactly: y - E[mean | y] has covariance 1 - H."""
    rng = np.random.default_rng(3)
    design_ = designs_of(fit_of())[0][0]
    followed = np.array([0.1, 0.4, 0.7])
    columns = np.linalg.qr(np.concatenate([design_.basis, rng.normal(size=(120, 3))], 1))[
        0
    ][:, -3:]
    d = replace(design_, partly=columns, rest=np.sqrt(1 - followed))
    prior = followed / (1 - followed)  # of what moves along a column, in noise variances
    moved = rng.normal(size=(20_000, 3)) * np.sqrt(prior)
    y = rng.normal(size=(20_000, 120)) + moved @ columns.T
    left = y - (y @ columns) * followed @ columns.T
    found = np.array([d.whitened(row) for row in left[:4000]]) @ columns
    error = np.sqrt(2 / len(found))
    np.testing.assert_allclose(found.var(0), 1.0, atol=4.5 * error)


def test_weekdays_are_looked_at_where_periods_are_days():
    fit = fit_of(periods=140, freq="D")
    designs, _ = designs_of(fit)
    e = np.random.default_rng(2).normal(size=140) + 1.5 * (np.arange(140) % 7 == 5)
    assert "weekday" in battery(designs, e[None]).found


def test_one_geo_of_many_is_not_drowned():
    designs, left = designs_of(fit_of(geos=6, periods=80))
    assert battery(designs, left).family > LEVEL
    left[2] += 3.0 * (np.arange(80) >= 40)
    assert "break" in battery(designs, left).found


def test_geos_that_differ_in_noise_or_move_together_are_said():
    rng = np.random.default_rng(5)
    designs, _ = designs_of(fit_of(geos=4, periods=80))
    left = rng.normal(size=(4, 80))
    left[1] *= 3.0
    assert "geo_noise" in battery(designs, left).found
    both = rng.normal(size=(4, 80)) + rng.normal(size=80)
    assert battery(designs, both).common == pytest.approx(0.5, abs=0.15)


def test_order_of_channels_and_unit_of_the_residuals_change_nothing(national):
    designs, left = national
    one = battery(designs, left)
    more = battery(designs, 5.0 * left)
    assert more.p == one.p
    fit = fit_of()
    order = [2, 0, 1]
    turned = fit_of()
    for name in turned.draws.params:
        if "channel" in turned.dims(name):
            turned.draws.params[name] = fit.draws.params[name][..., order]
    panel = turned.panel
    new = mm.Panel(
        **{f: getattr(panel, f) for f in panel.__dataclass_fields__}
        | {"media": panel.media[..., order], "spend": panel.spend[..., order],
           "channels": tuple(panel.channels[i] for i in order)}
    )  # fmt: skip
    object.__setattr__(turned, "panel", new)
    object.__setattr__(turned, "scale", type(fit.scale).fit(new))
    again = battery(*designs_of(turned))
    assert again.p == pytest.approx(one.p, abs=2e-3)


def test_what_is_masked_has_no_say(national):
    designs, left = designs_of(fit_of(masked=[(0, 30), (0, 31)]))
    assert np.isnan(left[0, 30])
    shouted = left.copy()
    shouted[0, 30] = 1e6
    assert battery(designs, shouted).p == battery(designs, left).p


def test_short_series_are_not_tested():
    designs, left = designs_of(fit_of(periods=18))
    assert battery(designs, left) is None


def test_a_model_without_media_or_controls_is_tested():
    designs, left = designs_of(fit_of(channels=0, controls=0))
    tested = battery(designs, left)
    assert tested.family > LEVEL
    assert "carryover" not in tested.share


def test_many_dependent_controls_leave_what_they_do_not_span():
    fit = fit_of(controls=6)
    controls = fit.panel.controls[..., [0, 1, 2, 1, 4, 5]]
    fit = replace(fit, panel=replace(fit.panel, controls=controls))
    designs, left = designs_of(fit)
    assert designs[0].free > 60
    assert battery(designs, left) is not None


@pytest.mark.parametrize("kind", ["student_t", "truncated_normal"])
def test_deviates_are_the_quantiles_of_the_fitted_law(kind):
    likelihood = {
        "student_t": mm.likelihood.StudentT(),
        "truncated_normal": mm.likelihood.TruncatedNormal(low=300.0),
    }[kind]
    fit = fit_of(spec=mm.Spec(likelihood=likelihood), left=np.abs(np.sin(np.arange(120))))
    seen = evidence(fit)
    mu, sigma = seen.mu.mean(0)[0], seen.sigma[0]
    if kind == "student_t":
        law = stats.t(seen.noise["y_nu"][0], mu, sigma)
    else:
        low = 300.0 / fit.scale.outcome[0]
        law = stats.truncnorm((low - mu) / sigma, np.inf, mu, sigma)
    expected = stats.norm.ppf(law.cdf(seen.outcome[0]))
    np.testing.assert_allclose(deviates(fit, seen)[0], expected, atol=1e-6)
