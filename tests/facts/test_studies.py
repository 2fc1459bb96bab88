"""Past studies as one prior: against closed forms and quadrature."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import mmmjax as mm
from mmmjax.checks import InputError

ROWS = [
    {"name": "a", "mean": 2.0, "error": 0.4, "date": "2024-01-01", "context": "here"},
    {"name": "b", "mean": 3.1, "error": 0.5, "date": "2025-01-01", "context": "here"},
    {"name": "c", "mean": 1.2, "error": 0.6, "date": "2026-01-01", "context": "abroad"},
]


def logs(rows):
    scale = np.array([np.log1p((r["error"] / r["mean"]) ** 2) for r in rows])
    return np.log([r["mean"] for r in rows]) - 0.5 * scale, np.sqrt(scale)


def parts(found):
    return tuple(value for _, value in found.prior.params)


@pytest.mark.parametrize("discount", [(1.0, 1.0, 1.0), (0.3, 0.9, 0.5)])
def test_prior_is_the_integral_over_mean_and_tau(discount):
    """scipy's quadrature of both parameters of the discounted likelihood."""
    y, s = logs(ROWS)
    names = ["first", "second", "third"]
    rows = [r | {"context": n} for r, n in zip(ROWS, names, strict=True)]
    found = mm.combine_studies(
        rows, context=dict(zip(names, discount, strict=True)), spread=0.3
    )

    def density(mu, tau):
        law = stats.norm.logpdf(y, mu, np.sqrt(s**2 + tau**2))
        return np.exp((np.array(discount) * law).sum()) * stats.halfnorm.pdf(tau, scale=0.3)

    def moment(f):
        return integrate.dblquad(lambda m, t: f(m, t) * density(m, t), 0, 1.8, -3, 4)[0]

    whole = moment(lambda m, t: 1.0)
    mean = moment(lambda m, t: m) / whole
    variance = moment(lambda m, t: (m - mean) ** 2 + t**2) / whole
    loc, scale = parts(found)
    assert loc == pytest.approx(mean, abs=1e-4)
    assert scale == pytest.approx(np.sqrt(variance), rel=1e-3)
    assert found.spread == pytest.approx(moment(lambda m, t: t) / whole, rel=1e-3)


def test_dersimonian_laird_is_the_textbook_formula():
    y, s = logs(ROWS)
    w = 1 / s**2
    q = (w * (y - np.average(y, weights=w)) ** 2).sum()
    tau2 = max(0.0, (q - 2) / (w.sum() - (w**2).sum() / w.sum()))
    w = 1 / (s**2 + tau2)
    found = mm.combine_studies(ROWS, method="dersimonian_laird")
    loc, scale = parts(found)
    assert tau2 > 0
    assert loc == pytest.approx(np.average(y, weights=w))
    assert scale == pytest.approx(np.sqrt(1 / w.sum() + tau2))
    assert found.table["weight"].to_numpy() == pytest.approx(w / w.sum())


def test_alike_studies_give_their_mean_and_one_study_itself_and_its_spread():
    same = [{"lo": 1.0, "hi": 4.0}] * 400
    loc, scale = parts(mm.combine_studies(same, method="dersimonian_laird"))
    error = np.log(4.0) / (2 * stats.norm.ppf(0.97))
    assert loc == pytest.approx(np.log(2.0))
    assert scale == pytest.approx(error / 20)
    loc, scale = parts(mm.combine_studies(same[:1], spread=0.2))
    assert loc == pytest.approx(np.log(2.0))
    assert scale > error


def test_age_and_context_discount_as_stated():
    how = {"now": "2026-01-01", "half_life": 2.0, "context": {"here": 1.0, "abroad": 0.5}}
    found = mm.combine_studies(pd.DataFrame(ROWS), **how)
    years = np.array([731, 365, 0]) / 365.25
    want = 0.5 ** (years / 2) * [1.0, 1.0, 0.5]
    assert found.table["discount"].to_numpy() == pytest.approx(want)
    assert found.table["weight"].sum() == pytest.approx(1.0)
    assert list(found.table["study"]) == ["a", "b", "c"]
    text = str(found)
    assert 'dist = "LogNormal"' in text
    assert "between" in text
    fact = mm.facts.Return("TV", roas=found.prior)
    assert fact.prior == found.prior
    old = parts(mm.combine_studies(ROWS, half_life=2.0, now="2036-01-01"))
    assert old[1] > parts(mm.combine_studies(ROWS, half_life=2.0))[1]


@pytest.mark.parametrize(("rows", "how", "says"), [
    ([], {}, "studies: got none.*at least one"),
    ([{"mean": 2.0}], {}, "study 1: got.*mean.*mean and error, or lo and hi"),
    ([{"mean": 2.0, "error": 0.1, "lo": 1.0, "hi": 2.0}], {}, "mean and error, or lo"),
    ([{"mean": -2.0, "error": 0.1}], {}, "mean of study 1: got -2.*above 0"),
    ([{"lo": 3.0, "hi": 2.0}], {}, "hi of study 1.*above lo, 3.*swap"),
    ([{"mean": 2.0, "sd": 0.1}], {}, 'studies: got "sd"'),
    ([{"mean": 2.0, "error": 0.1}], {"half_life": 2.0}, "date of study 1.*2025-03-30"),
    (ROWS, {"half_life": 2.0, "now": "2025-06-01"}, "date of a study.*up to now"),
    (ROWS, {"context": {"here": 1.0}}, 'context of study 3: got "abroad".*here'),
    (ROWS, {"context": {"here": 2.0, "abroad": 1.0}}, "context of study 1: got 2"),
    (ROWS, {"method": "grids"}, "method: got.*did you mean|method: got"),
    (ROWS, {"prob": 1.0}, "prob"),
    (ROWS, {"spread": 0.0}, "spread: got 0"),
])  # fmt: skip
def test_door(rows, how, says):
    with pytest.raises(InputError, match=says):
        mm.combine_studies(rows, **how)
