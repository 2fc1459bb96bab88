"""Columns of events against loops over days; what is refused; forecasts; overlaps."""

import dataclasses
import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.panel import Panel
from mmmjax.prepare import prepare
from mmmjax.scaling import Scale
from mmmjax.spec import Spec
from mmmjax.terms import Events, Frame
from mmmjax.terms.overlap import explained
from tests.fits import make_fit, make_panel

EVENTS = {"launch": "2022-02-03", "sale": ["2022-01-10:2022-01-20", "2022-03-01"]}
FREQS = {"D": 80, "B": 60, "W-SUN": 14, "W-MON": 14, "2W-MON": 8, "MS": 5, "ME": 5, "QS": 3}


def panel_of(freq, periods, geos=("one",), start="2021-12-05"):
    dates = pd.date_range(start, periods=periods, freq=freq)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        [{"date": d, "geo": g, "y": rng.uniform(1, 2), "tv": rng.uniform()}
         for g in geos for d in dates]
    )  # fmt: skip
    return Panel.from_frame(
        frame, date="date", outcome="y", media=["tv"], geo="geo", freq=freq
    )


def columns(term, panel, start=0):
    frame = Frame(panel, Scale.fit(panel), panel.dates[start:], start, panel.n_periods)
    return term.inputs(frame)["columns"][0]


def expected(term, panel):
    """Day by day."""
    step = pd.tseries.frequencies.to_offset(panel.freq)
    last = term.dated == "last" or (term.dated == "auto" and "E" in panel.freq[:2])
    out = np.zeros((panel.n_geos, len(term.events), len(panel.dates)))
    for m, (_, texts) in enumerate(term.events):
        ranges = []
        for text in texts:
            ends = [dt.date.fromisoformat(part) for part in text.split(":")]
            ranges.append((ends[0], ends[-1]))

        def weight(day, ranges=ranges):
            best = 0.0
            for a, b in ranges:
                far, window = 0, 1
                if day < a:
                    far, window = (a - day).days, term.before
                if day > b:
                    far, window = (day - b).days, term.after
                if far > window or (far and not window):
                    continue
                if far == 0 or term.shape == "flat":
                    best = max(best, 1.0)
                elif term.shape == "bump":
                    best = max(best, 0.5 * (1 + math.cos(math.pi * far / (window + 1))))
                else:
                    best = max(best, math.exp(math.log(0.05) * far / window))
            return best

        whole = 0.0
        for a, b in ranges:
            every = [a + dt.timedelta(k) for k in range(-400, 400)]
            alone = lambda day, a=a, b=b: weight(day, [(a, b)])
            whole = max(whole, sum(map(alone, every)))
        for t, date in enumerate(panel.dates):
            if last:
                first, after = (date - step).date() + dt.timedelta(1), date.date()
                after += dt.timedelta(1)
            else:
                first, after = date.date(), (date + step).date()
            if panel.freq == "B":
                after = first + dt.timedelta(1)
            n = (after - first).days
            share = sum(weight(first + dt.timedelta(k)) for k in range(n))
            out[:, m, t] = share / min(n, whole)
    return out


@pytest.mark.parametrize("freq", FREQS)
@pytest.mark.parametrize("shape", ["flat", "bump", "decay"])
def test_columns_are_sums_over_days(freq, shape):
    panel = panel_of(freq, FREQS[freq], ("n", "s"))
    for window in ((0, 0), (3, 0), (5, 9)):
        for dated in ("auto", "first", "last") if freq != "B" else ("auto",):
            term = Events(EVENTS, *window, shape, dated=dated)
            np.testing.assert_allclose(
                columns(term, panel), expected(term, panel), atol=1e-12
            )


def test_a_week_divides_an_event_with_the_next():
    panel = panel_of("W-MON", 6)
    term = Events({"fair": "2021-12-18:2021-12-21"})  # Saturday to Tuesday
    np.testing.assert_allclose(columns(term, panel)[0, 0], [0, 0.5, 0.5, 0, 0, 0])
    long = Events({"works": "2021-12-09:2021-12-22"})  # Thursday on, two weeks
    np.testing.assert_allclose(columns(long, panel)[0, 0], [4 / 7, 1, 3 / 7, 0, 0, 0])


def test_only_where_it_happened():
    panel = panel_of("W-MON", 12, ("n", "s"))
    found = columns(Events(EVENTS, geos=["s"]), panel)
    assert not found[0].any()
    np.testing.assert_array_equal(found[1], columns(Events(EVENTS), panel)[0])
    with pytest.raises(mm.InputError, match='did you mean "s"'):
        columns(Events(EVENTS, geos=["S"]), panel)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"events": {}}, "none"),
        ({"events": {"a": "03.04.2025"}}, "YYYY-MM-DD"),
        ({"events": {"a": "2025-02-30"}}, "YYYY-MM-DD"),
        ({"events": {"a": 20250203}}, "YYYY-MM-DD"),
        ({"events": {"a": "2025-03-02:2025-03-01"}}, "first:last"),
        ({"events": {"a": "2025-03-02:2025-03-04:2025-03-05"}}, "first:last"),
        ({"events": {"a": []}}, "a date"),
        ({"events": ["2025-02-03"]}, "a table of names"),
        ({"events": {"a\n": "2025-02-03"}}, "events"),
        ({"events": EVENTS, "before": -1}, "before"),
        ({"events": EVENTS, "after": 2.5}, "after"),
        ({"events": EVENTS, "shape": "bumb"}, 'did you mean "bump"'),
        ({"events": EVENTS, "dated": "end"}, "dated"),
        ({"events": EVENTS, "geos": "n"}, "a list of geos"),
    ],
)
def test_what_is_no_event_is_refused(given, word):
    with pytest.raises(mm.InputError, match=word):
        Events(**given)


def test_dates_of_toml_and_python_are_the_same():
    one = Events({"a": ["2025-02-03", "2025-03-01:2025-03-05"]})
    two = Events({"a": [dt.date(2025, 2, 3), "2025-03-01:2025-03-05"]})
    assert one == two == Events((("a", ("2025-02-03", "2025-03-01:2025-03-05")),))
    text = '[model]\n[[model.term]]\nkind = "events"\n'
    text += 'events = { a = [2025-02-03, "2025-03-01:2025-03-05"] }\n'
    assert Spec.from_toml(text).terms == (one,)


def test_a_forecast_has_its_dates_and_reads_no_outcome():
    whole = make_panel(periods=30)
    train, test = whole.split(whole.dates[21])
    day = f"{test.dates[3]:%Y-%m-%d}"
    spec = mm.Spec(seasonality=None, terms=[Events({"fair": ["2022-01-20", day]})])
    fit = make_fit(spec=spec, panel=train)
    changed = dataclasses.replace(test, outcome=test.outcome * 7)
    one, two = (mm.predict(fit, p, seed=1)["outcome"] for p in (test, changed))
    np.testing.assert_array_equal(one, two)
    part = mm.contributions(fit, test).sel(summary="mean")["events_contribution"]
    assert (part[:, 3] != 0).all()
    assert (part.drop_isel(date=3) == 0).all()


def test_explained_is_the_share_of_least_squares():
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(2, 20)), rng.normal(size=(2, 3, 20))
    seen = rng.uniform(size=(2, 20)) < 0.8
    left = whole = 0.0
    for g in range(2):
        a = np.column_stack([np.ones(seen[g].sum()), x[g][:, seen[g]].T])
        b = np.linalg.solve(a.T @ a, a.T @ y[g, seen[g]])
        left += ((y[g, seen[g]] - a @ b) ** 2).sum()
        whole += ((y[g, seen[g]] - y[g, seen[g]].mean()) ** 2).sum()
    assert explained(y, x, seen) == pytest.approx(1 - left / whole)
    assert math.isnan(explained(0 * y, x, seen))


def test_an_event_that_the_waves_are_is_said():
    panel = panel_of("W-MON", 120)
    summer = [f"{y}-04-01:{y}-09-30" for y in (2022, 2023, 2024)]
    spec = mm.Spec(
        terms=[Events({"summer": summer, "late": "2030-01-01", "x": "2022-05-04"})]
    )
    found = {f.code: f for f in prepare(spec, panel).findings}
    assert found["season_overlap"].where == ("summer",)
    assert found["season_overlap"].value > 0.8
    assert found["never_in_training"].where == ("late",)
    assert "week of 2021-12-06 to end on 2021-12-12" in found["weeks_dated"].message
    said = mm.Spec(terms=[Events({"x": "2022-05-04"}, dated="last")])
    assert "weeks_dated" not in {f.code for f in prepare(said, panel).findings}


def test_media_that_a_drift_can_follow_are_said():
    panel = panel_of("W-MON", 80)
    slow = np.sin(np.arange(80) / 12)[None, :, None] + 1
    slow = dataclasses.replace(panel, media=slow, spend=slow)
    spec = mm.Spec(terms=[mm.terms.Drift()], seasonality=None)
    found = [f for f in prepare(spec, slow).findings if f.code == "media_overlap"]
    assert found[0].where == ("tv",)
    assert "lift test" in found[0].message
    assert not [f for f in prepare(spec, panel).findings if f.code == "media_overlap"]
