"""What a fit is given: the seasonality that data can show, and one way to it."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.backtesting import folds
from mmmjax.backtesting import run as runs
from mmmjax.cli import case as cases
from mmmjax.cli.app import run
from mmmjax.fleet import engine
from mmmjax.prepare import prepare
from tests.tables import NAMES


def panel(periods, freq="W-MON", **change):
    rng = np.random.default_rng(0)
    columns = {
        name: rng.uniform(1, 9, periods) for name in ("sales", "tv", "radio", "promo")
    }
    dates = pd.date_range("2022-01-03", periods=periods, freq=freq)
    return mm.Panel.from_frame(pd.DataFrame({"date": dates, **columns}), **NAMES | change)


def codes(spec, data):
    found = prepare(spec, data)
    seasons = [(f.level, f.code) for f in found.findings if "season" in f.code]
    return found.spec.seasonality, seasons


SHORT, OUT = ("warning", "season_short"), ("note", "season_left_out")


@pytest.mark.parametrize(
    ("periods", "freq", "order", "said"),
    [
        (51, "W-MON", None, [OUT]),
        (52, "W-MON", 2, [SHORT]),
        (103, "W-MON", 2, [SHORT]),
        (104, "W-MON", 2, []),
        (60, "D", None, [OUT]),
        (728, "D", 2, []),
        (11, "MS", None, [OUT]),
        (12, "MS", 2, [SHORT]),
        (24, "MS", 2, []),
        (12, "QS", 1, [("note", "season_order")]),
        (12, "YS", None, [OUT]),
    ],
)
def test_the_default_is_what_data_can_show(periods, freq, order, said):
    wave, found = codes(mm.Spec(), panel(periods, freq))
    assert found == said
    assert (wave and wave.order) == order
    assert wave is None or not wave.auto  # a fit's spec is explicit


def test_an_order_that_is_asked_for_stays_and_is_warned_of():
    asked = mm.Spec(seasonality=mm.seasonality.Fourier(2))
    for periods, than in ((30, "a year"), (60, "two years")):
        found = prepare(asked, panel(periods))
        assert found.spec.seasonality == asked.seasonality
        assert f"less than {than} of data" in found.findings[0].what
        assert found.findings[0].message in found.notes
    told = (
        found.findings[0].remedy.removeprefix("Without it: ").removesuffix(" under [model]")
    )
    without = mm.Spec.from_toml(f"[model]\n{told}")
    assert prepare(without, panel(60)).findings == ()


def test_the_outcome_counts_not_the_rows():
    data = panel(120)
    late = mm.Panel.from_frame(data.to_frame().assign(
        sales=lambda df: df.sales.where(df.index >= 90)), **NAMES)  # fmt: skip
    assert codes(mm.Spec(), late) == (None, [OUT])


@pytest.mark.parametrize(
    ("freq", "order", "fix"),
    [
        ("QS", 2, "order = 1"),
        ("MS", 6, "order = 5"),
        ("ME", 7, "order = 5"),
        ("W-MON", 27, "order = 26"),
        ("YS", 1, "seasonality = false"),
    ],
)
def test_an_order_beyond_the_periods_is_refused_with_the_largest(freq, order, fix):
    spec = mm.Spec(seasonality=mm.seasonality.Fourier(order))
    with pytest.raises(mm.InputError, match=fix) as caught:
        prepare(spec, panel(40, freq))
    line = "seasonality" + str(caught.value).rsplit("seasonality", 1)[1]
    prepare(mm.Spec.from_toml(f"[model]\n{line}"), panel(40, freq))


@pytest.mark.parametrize("name", ["seasonality", "more"])
def test_waves_of_a_term_are_judged_as_those_of_the_spec(name):
    asked = lambda order, **more: mm.Spec(
        terms=[mm.terms.Waves(order=order, name=name)], **more
    )
    place = rf'\[\[model.term\]\] name = "{name}"'
    for freq, order in (("QS", 1), ("MS", 5), ("W-MON", 26)):
        prepare(asked(order), panel(60, freq))
        with pytest.raises(mm.InputError, match=f"order = {order} under {place}"):
            prepare(asked(order + 1), panel(60, freq))
    with pytest.raises(mm.InputError, match=f"leave out {place}"):
        prepare(asked(1), panel(40, "YS"))
    found = prepare(asked(1), panel(40))
    codes = [(f.level, f.code) for f in found.findings]
    assert codes == ([SHORT] if name == "seasonality" else [OUT, SHORT])
    assert f'name = "{name}"' in found.findings[-1].remedy
    assert prepare(asked(1), panel(120)).findings == ()


LINES = {
    'kind = "fourier"\norder = 0': "order = 2",
    'kind = "fourier"\norder = 2.5': "order = 2",
    'kind = "drift"\nbasis = "few"': "basis = 12",
    'kind = "drift"\nbasis = 0': "basis = 12",
    'kind = "drift"\nedge = 0.5': "edge = 1.5",
    'kind = "drft"': 'kind = "drift"',
    'kind = "medai"\nchannels = ["tv"]': 'kind = "media"',
}


@pytest.mark.parametrize(("table", "line"), LINES.items())
def test_messages_of_terms_say_which_table_and_give_its_line(table, line):
    first = '[[model.term]]\nkind = "drift"\nname = "slow"\n'
    text = f"[model]\ntrend = true\n{first}[[model.term]]\n{table}\n"
    with pytest.raises(mm.InputError) as caught:
        mm.Spec.from_toml(text)
    said = str(caught.value)
    assert said.startswith("[[model.term]] 2 (kind = ")
    fix = said.partition("Fix: ")[2].partition(";")[0].removeprefix("write ")
    assert fix == line
    key = line.partition(" = ")[0]
    kept = [x for x in table.split("\n") if not x.startswith(f"{key} =")]
    mm.Spec.from_toml(f"[model]\n{first}[[model.term]]\n" + "\n".join([*kept, fix]))
    with pytest.raises(mm.InputError, match=r'slow_2" in one \[\[model.term'):
        mm.Spec.from_toml(f"[model]\n{first}{first}")


def test_every_door_takes_the_same_way():
    data, spec = panel(48), mm.Spec(adstock=mm.adstock.Geometric(max_lag=3))
    prior, market = (
        mm.sample_prior(spec, data, 10),
        engine.ready("a", spec, data, 0, "drop"),
    )
    laid = folds.lay_out(data, 3, 2, 4, 4, "expanding", 24)
    plan = runs._Plan.of(spec, data, mm.HMC(), 0, laid, ("mmm",))
    first = runs._Ready.of(plan, laid.folds[0]).found
    for one, notes in (
        (prior, prior.info["notes"]), (market, market.notes), (first, first.notes)
    ):  # fmt: skip
        assert one.spec.seasonality is None
        assert any("seasonality is left out" in note for note in notes)
    assert "gamma_fourier" not in prior.draws.params


@pytest.mark.parametrize("name", ["days", "weeks"])
def test_the_case_of_a_short_season(name, capsys):
    folder = Path(__file__).parent / "cases/season_short"
    assert run(["check", str(folder / f"{name}.toml")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "yearly seasonality is left out: the outcome is known for" in said
    assert "less than a year" in said
    assert "seasonality_contribution" not in said
    case = cases.read(folder / f"{name}.toml")
    kept = dataclasses.replace(case.spec, seasonality=mm.seasonality.Fourier(1))
    assert codes(kept, case.train)[1] == [SHORT]
    assert "seasonality = false" in prepare(kept, case.train).findings[0].remedy


def found(spec, data):
    return {f.code: f for f in prepare(spec, data).findings}


@pytest.mark.parametrize("freq, order", [("D", 3), ("B", 2)])
def test_days_have_their_week_by_default(freq, order):
    data = panel(180, freq)
    ready = prepare(mm.Spec(), data)
    (term,) = ready.spec.terms
    assert (term.kind, term.period, term.order) == ("fourier", "week", order)
    waves = ready.data.inputs["weekday.fourier"]  # every weekday has a level of its own
    assert np.linalg.matrix_rank(np.vstack([waves, np.ones(180)])) == (
        5 if freq == "B" else 7
    )
    again = prepare(ready.spec, data)
    assert again.spec == ready.spec
    assert mm.Spec.from_toml(ready.spec.to_toml()) == ready.spec
    line = found(mm.Spec(), data)["weekday"].remedy.split(": ")[1].split(" under")[0]
    text = f"[model]\n{line}"
    assert not prepare(mm.Spec.from_toml(text), data).spec.terms
    for own in (
        mm.Spec(seasonality=None),
        mm.Spec(terms=[mm.terms.Waves(1, "week", name="days")]),
        mm.Spec(terms=[mm.terms.Waves(1, 7.0, name="days")]),
        mm.Spec(terms=[mm.terms.Waves(1)]),
    ):
        assert prepare(own, data).spec.terms == own.terms


def test_weeks_and_longer_have_no_weekday():
    for freq in ("W-SUN", "MS", "QS"):
        assert not prepare(mm.Spec(), panel(60, freq)).spec.terms


def test_lags_are_said_in_days_where_periods_are_no_weeks():
    def said(spec, periods, freq):
        return found(spec, panel(periods, freq)).get("lags_in_days")

    assert said(mm.Spec(), 120, "W-SUN") is None
    day, month = said(mm.Spec(), 120, "D"), said(mm.Spec(), 60, "MS")
    assert (day.level, day.value, month.level) == ("warning", 8.0, "note")
    for one, freq, days in ((day, "D", 1.0), (month, "MS", 30.44)):
        carry, prior = one.remedy.split(": ", 1)[1].split(" under [model], ")
        text = f"[model]\n{carry}\n[model.priors]\n{prior.split(' under')[0]}\n"
        spec = mm.Spec.from_toml(text)
        assert said(spec, 120, freq) is None
        usual = mm.adstock.HalfLife().parameters()["adstock_half_life"].prior
        weeks = np.exp(dict(usual.params)["loc"])
        mine = np.exp(dict(spec.priors["adstock_half_life"].params)["loc"])
        assert mine * days / 7 == pytest.approx(weeks, rel=0.01)
        assert 50 <= spec.memory * days <= 100
