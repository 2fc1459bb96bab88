"""Holidays against the package, day by day; shares of weeks and months; what is refused."""

import datetime as dt
import itertools
import sys

import holidays as package
import numpy as np
import pytest

import mmmjax as mm
from mmmjax.prepare import prepare
from mmmjax.spec import Spec
from mmmjax.terms import Holidays
from mmmjax.terms.holidays import calendar
from tests.terms.test_events import columns, panel_of

EPOCH = dt.date(1970, 1, 1)
MOVING = {
    "DE-BY": ["Good Friday", "Easter Monday", "Corpus Christi"],
    "US": ["Thanksgiving Day", "Memorial Day"],
    "CN": ["Chinese New Year (Spring Festival)", "Mid-Autumn Festival"],
    "TR": ["Eid al-Fitr", "Eid al-Adha"],
    "IL": ["Rosh Hashanah", "Pesach"],
    "IN": ["Diwali", "Holi"],
    "GB-ENG": ["Easter Monday", "Late Summer Bank Holiday"],
}


def of_package(code, years):
    """Days by name, observed and estimated ones with the others."""
    country, _, part = code.partition("-")
    every = package.country_holidays(
        country, subdiv=part or None, years=years, language="en_US"
    )
    found = {}
    for day, text in every.items():
        for name in text.split("; "):
            for more in (" (observed)", " (estimated)"):
                name = name.removesuffix(more)
            found.setdefault(name, set()).add(day)
    return found


@pytest.mark.parametrize("code", MOVING)
def test_moving_feasts_are_right_to_2035(code):
    found, years = calendar(code), range(2015, 2036)
    theirs = of_package(code, years)
    assert set(MOVING[code]) <= set(found)
    for name, every in found.items():
        ours = {EPOCH + dt.timedelta(day) for day in every}
        assert {d for d in ours if d.year in years} == theirs[name]
    rare = [n for n, d in theirs.items() if len({x.year for x in d}) < 5]
    assert set(found) == set(theirs) - set(rare)


def test_easter_is_where_the_church_has_it():
    """By the formula of Gauss, Meeus and Jones, not by the package."""
    fridays = {EPOCH + dt.timedelta(day) for day in calendar("DE")["Good Friday"]}
    for year in range(2020, 2036):
        a, b, c = year % 19, year // 100, year % 100
        h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
        k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
        m = (a + 11 * h + 22 * k) // 451
        month, day = divmod(h + k - 7 * m + 114, 31)
        easter = dt.date(year, month, day + 1)
        assert easter - dt.timedelta(2) in fridays


@pytest.mark.parametrize("freq", ["D", "W-MON", "W-SUN", "MS", "ME"])
def test_a_period_counts_its_days(freq):
    panel = panel_of(freq, 400 if freq == "D" else 60 if freq[0] == "W" else 24)
    term = Holidays("CN")
    (names,) = term.labels(None).values()
    found = dict(zip(names, columns(term, panel)[0], strict=True))
    last = freq == "ME"
    step = panel.dates[-1] + (panel.dates[1] - panel.dates[0])
    dates = [d.date() for d in [*panel.dates, step]]
    if last:
        dates = [d.date().replace(day=1) for d in panel.dates] + [dt.date(2023, 12, 1)]
    if freq == "MS":
        dates[-1] = dt.date(2024, 1, 1)
    theirs = of_package("CN", range(2021, 2025))
    for name, row in found.items():
        for t, (first, after) in enumerate(itertools.pairwise(dates)):
            assert row[t] == sum(first <= d < after for d in theirs.get(name, ())), (
                name,
                t,
            )


def test_a_window_reaches_into_the_week_before():
    panel = panel_of("W-MON", 20)
    term = Holidays("DE", only=["Christmas Day"], before=9)  # 16 to 25 December 2021
    row = columns(term, panel)[0, 0]
    assert panel.dates[2] == dt.datetime(2021, 12, 20)
    np.testing.assert_allclose(row[:5], [0, 4 / 7, 6 / 7, 0, 0])


def test_each_geo_has_its_own():
    panel = panel_of("W-MON", 60, ("n", "s"))
    term = Holidays({"n": "DE-HH", "s": "DE-BY"})
    (names,) = term.labels(None).values()
    assert len(set(names)) == len(names)
    assert {"Epiphany", "Reformation Day", "Christmas Day"} <= set(names)
    found = columns(term, panel)
    at = {name: k for k, name in enumerate(names)}
    assert not found[0, at["Epiphany"]].any()
    assert not found[1, at["Reformation Day"]].any()
    np.testing.assert_array_equal(
        found[0, at["Christmas Day"]], found[1, at["Christmas Day"]]
    )
    assert Spec.from_toml(mm.Spec(terms=[term]).to_toml()).terms == (term,)
    with pytest.raises(mm.InputError, match="for geo s"):
        columns(Holidays({"n": "DE"}), panel)


@pytest.mark.slow(parts=6)
def test_coefficients_shrink_together_and_geos_may_learn_from_each_other():
    text = """[model]
    seasonality = false
    [[model.term]]
    kind = "holidays"
    country = { n = "DE", s = "AT" }
    [model.priors.gamma_holiday]
    dist = "Normal"
    loc = 0.0
    scale = { dist = "HalfNormal", scale = 0.1 }
    pooled = { over = "geo", spread = 0.05 }
    """
    spec, panel = Spec.from_toml(text), panel_of("W-MON", 60, ("n", "s"))
    assert Spec.from_toml(spec.to_toml()) == spec
    ready = prepare(spec, panel)
    n = len(ready.spec.labels(panel)["holiday"])
    drawn = mm.sample_prior(spec, panel, 400).draws.params
    assert drawn["gamma_holiday"].shape == (1, 400, 2, n)
    size = drawn["gamma_holiday_typical_scale"][0]
    z = drawn["gamma_holiday_typical"][0] / size[:, None]
    assert abs(z.std() - 1) < 4 * (2 * z.size) ** -0.5


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"country": ""}, "ISO 3166"),
        ({"country": "de"}, 'did you mean "DE"'),
        ({"country": "DE-XX"}, "part of DE"),
        ({"country": "US-ca"}, 'country = "US-CA"'),
        ({"country": "DE", "only": ["Good friday"]}, 'did you mean "Good Friday"'),
        ({"country": "DE", "only": "Good Friday"}, "a list"),
        ({"country": "DE", "categories": ["publik"]}, 'did you mean "public"'),
        ({"country": "DE", "before": -3}, "before"),
        ({"country": {"n": "DE", "s": "QQ"}}, "ISO 3166"),
    ],
)
def test_what_is_no_country_is_refused(given, word):
    with pytest.raises(mm.InputError, match=word):
        Holidays(**given)


def test_without_the_package_the_line_to_install_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    calendar.cache_clear()
    with pytest.raises(mm.InputError, match=r"mmmjax\[holidays\]"):
        Holidays("DE")
