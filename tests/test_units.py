"""A change of unit is asked about; flights, launches, growth and seasons are not."""

import numpy as np
import pandas as pd
import pytest

from mmmjax.exploration import warnings
from mmmjax.exploration.units import jump
from mmmjax.panel import Panel
from tests.tables import NAMES, weekly


def drawn(rng, weeks=104):
    """A plausible series of spend or sales of one of many kinds, at one unit."""
    t = np.arange(weeks)
    season = 1 + 0.4 * np.sin(2 * np.pi * t / 52 + rng.uniform(0, 6))
    growth = np.exp(rng.uniform(-0.015, 0.02) * t)
    noise = rng.lognormal(0, rng.uniform(0.1, 0.8), weeks)
    x = 100 * season * growth * noise
    kind = rng.integers(4)
    if kind == 1:  # flights
        x *= rng.uniform(size=weeks) < 0.3
    if kind == 2:  # a launch, and a step up that is no power of ten
        x *= np.where(t < rng.integers(20, 80), rng.choice([0, 0.2, 0.5]), 1)
    if kind == 3:  # bursts beside an always-on base
        x = 20 + x * (rng.uniform(size=weeks) < 0.15) * 10
    return x


def test_ordinary_series_raise_no_question():
    rng = np.random.default_rng(0)
    false = sum(jump(drawn(rng)) is not None for _ in range(2000))
    assert false <= 13  # 0.27% in 6,000 other series: 5.3 expected, plus 3.3 sd


@pytest.mark.parametrize("k", [-3, -2, -1, 1, 2, 3])
def test_a_change_of_unit_is_found_where_it_is(k):
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        x = 100 * (1 + 0.3 * np.sin(np.arange(104) / 8.3)) * rng.lognormal(0, 0.15, 104)
        cut = int(rng.integers(15, 90))
        x[cut:] *= 10.0**k
        hits += jump(x) == (cut, k)
    assert hits >= 90


@pytest.mark.parametrize("k", [-3, -2, 2, 3])
def test_a_large_change_is_found_in_noisy_flights_and_near_the_end(k):
    rng = np.random.default_rng(2)
    hits = late = 0
    for _ in range(100):
        x = 100 * rng.lognormal(0, 0.8, 60) * (rng.uniform(size=60) < 0.8)
        y, cut = x.copy(), int(rng.integers(15, 45))
        x[cut:] *= 10.0**k
        found = jump(x)
        hits += found is not None and found[1] == k and abs(found[0] - cut) <= 3
        y[-8:] *= 10.0**k
        late += jump(y) is not None
    assert hits >= (90 if abs(k) == 3 else 75)
    assert late >= (75 if abs(k) == 3 else 40)


@pytest.mark.parametrize(
    "x",
    [
        np.r_[np.zeros(30), np.full(30, 500.0)],  # a launch from nothing
        np.geomspace(1, 1000, 104),  # growth
        np.r_[np.full(30, 10.0), np.full(30, 50.0)],  # a step of five
        np.tile([1.0, 1.0, 1.0, 1000.0], 26),  # bursts
        np.full(60, 3.0),
        np.full(60, np.nan),
        np.r_[np.full(57, 1.0), np.full(3, 100.0)],  # too few cells to say
    ],
)
def test_what_is_no_change_of_unit(x):
    assert jump(x) is None


@pytest.mark.parametrize("column, k", [("sales", 3), ("tv", -2), ("promo", 1)])
def test_the_question_names_column_date_and_factor(column, k):
    df = pd.concat([weekly(30, geos=["N"]), weekly(30, geos=["S"], seed=1)])
    df[["tv", "radio"]] += 20
    df["promo"] = 3.0 + df["promo"]
    df.loc[(df.geo == "S") & (df.date >= "2023-04-16"), column] *= 10.0**k
    panel = Panel.from_frame(df, geo="geo", **NAMES)
    (found,) = [f for f in warnings(panel) if f.code == "units"]
    factor = {3: "1,000 times", -2: "a 100th of", 1: "10 times"}[k]
    said = f'column "{column}" is about {factor} what it was from 2023-04-16 on in geo "S"'
    assert found.what == said
    assert (found.level, found.where, found.value) == ("warning", (column,), 10.0**k)


def of_geos(factor, column, geos=6, seed=5):
    """Geos of very different size; one has a column in another unit."""
    rng = np.random.default_rng(seed)
    frames = []
    for g in range(geos):
        size = 10 ** rng.uniform(0, 2)
        frame = pd.DataFrame({"date": pd.date_range("2023-01-02", periods=30, freq="7D")})
        frame = frame.assign(geo=f"g{g}", sales=size * rng.lognormal(3, 0.2, 30))
        for channel in ("tv", "radio"):
            on = rng.random(30) < 0.6
            frame[channel] = size * rng.uniform(0.5, 2) * rng.lognormal(0, 0.5, 30) * on
        frame["people"] = np.round(1000 * size * rng.uniform(0.5, 2))
        if g == 3 and column:
            frame[column] *= factor
        frames.append(frame)
    names = {"date": "date", "outcome": "sales", "geo": "geo", "media": ["tv", "radio"]}
    names |= {"population": "people"}
    return Panel.from_frame(pd.concat(frames, ignore_index=True), **names)


@pytest.mark.parametrize("factor", [1e-3, 1e-2, 100, 1000])
@pytest.mark.parametrize("column", ["tv", "radio", "people"])
def test_a_geo_in_another_unit_is_asked_about(column, factor):
    (found,) = [f for f in warnings(of_geos(factor, column)) if f.code == "units"]
    column = "population" if column == "people" else column
    assert found.where == (column, "g3")
    assert 0.3 < found.value / factor < 3
    assert f'column "{column}" in geo "g3"' in found.what


def test_geos_of_one_unit_are_not():
    for seed in range(60):
        panel = of_geos(1.0, None, seed=seed)
        assert not [f for f in warnings(panel) if f.code == "units"]
