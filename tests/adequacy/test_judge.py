"""Both verdicts in words: what is said, that remedies can be written, and the case."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.adequacy import UNSEEN
from mmmjax.adequacy.words import DEPARTURES, _remedy, not_again
from mmmjax.cli.codes import code
from mmmjax.findings import Finding
from tests.adequacy.worlds import fit_of, writable

T = np.arange(120)


def test_a_true_model_is_adequate_and_a_false_one_says_what_and_what_to_try():
    good = mm.judge(fit_of())
    assert good.adequate.ok
    assert good.sentence.endswith(f"{UNSEEN}.")
    noise = np.random.default_rng(4).normal(size=120)
    bad = mm.judge(fit_of(left=noise + 3.0 * (T >= 70)))
    assert not bad.adequate.ok
    assert bad.adequate.findings[0].what in bad.adequate.sentence
    assert bad.sentence.endswith(f"{UNSEEN}.")
    told = {f["code"]: f for f in bad.to_dict()["adequate"]["findings"]}["break"]
    assert {"level", "what", "value", "means", "try"} <= set(told)
    assert "control that is 0 before 2022" in told["try"]


def test_a_short_series_says_that_nothing_was_tested():
    judged = mm.judge(fit_of(periods=18))
    assert judged.adequate.sentence.startswith("Adequacy not tested")
    assert judged.adequate.findings[0].code == "untested"


def test_the_unit_of_the_outcome_changes_no_verdict():
    from dataclasses import replace

    fit = fit_of(left=np.random.default_rng(4).normal(size=120) + 3.0 * (T >= 70))
    panel = replace(fit.panel, outcome=fit.panel.outcome * 1e-6)
    other = replace(fit, panel=panel, scale=type(fit.scale).fit(panel))
    one, two = mm.judge(fit).adequate, mm.judge(other).adequate
    assert [f.code for f in one.findings] == [f.code for f in two.findings]


@pytest.mark.parametrize(
    "spec",
    [
        mm.Spec(),
        mm.Spec(seasonality=None, trend=True),
        mm.Spec(saturation=mm.saturation.Hill()),
        mm.Spec(mm.adstock.NoAdstock(), mm.saturation.NoSaturation()),
        mm.Spec(mm.adstock.WeibullPDF(), mm.saturation.Root()),
    ],
)
@pytest.mark.parametrize("code", DEPARTURES)
def test_lines_of_a_remedy_can_be_written(code, spec):
    writable(_remedy(fit_of(spec=spec), code, "4" if code == "season" else "m0 and m1"))


OWN = mm.Spec(
    seasonality=None,
    priors={"tv.adstock_alpha": mm.Prior("Beta", concentration1=1.0, concentration0=3.0)},
    terms=[
        mm.terms.Media("tv", ["m1"], mm.adstock.Delayed(max_lag=5)),
        mm.terms.Waves(order=3, name="year"),
    ],
)


@pytest.mark.parametrize("code", DEPARTURES)
@pytest.mark.parametrize("label", ["m0", "m1", "m0 and m1", "all channels"])
def test_lines_are_those_of_the_term_that_has_the_channel(code, label):
    said = _remedy(fit_of(spec=OWN), code, "5" if code == "season" else label)
    writable(said, OWN)
    both = label in ("m0 and m1", "all channels")
    if code == "carryover":
        own = (
            'adstock = { kind = "delayed", max_lag = 10 } under [[model.term]] name = "tv"'
        )
        usual = 'adstock = { kind = "geometric", max_lag = 16 } under [model]'
        assert (own in said) == (both or label == "m1")
        assert (usual in said) == (both or label == "m0")
        assert ("tv.adstock_alpha = {" in said) == (own in said)
        assert not_again(Finding("serious", code, "x", remedy=said), OWN).remedy == said
    if code == "shape":
        assert ("tv.saturation_lam = {" in said) == (both or label == "m1")
    if code == "season":
        assert 'order = 5 under [[model.term]] name = "year"' in said


def test_a_level_that_drifts_is_told_of_the_term_that_drifts():
    line = 'kind = "drift" under a new [[model.term]]'
    usual, trend = mm.Spec(), mm.Spec(trend=True)
    for spec in (usual, trend, mm.Spec(trend=True, seasonality=None), OWN):
        assert line in _remedy(fit_of(spec=spec), "trend", "")
    assert "trend = true" not in _remedy(fit_of(spec=trend), "trend", "")
    drift = mm.Spec(trend=True, terms=[mm.terms.Drift()])
    assert "Add controls" in _remedy(fit_of(spec=drift), "trend", "")
    slow = 6 * np.sin(np.linspace(0, 3, 120)) + np.random.default_rng(4).normal(size=120)
    judged = mm.judge(fit_of(spec=trend, left=slow)).adequate
    told = {f.code: f.remedy for f in judged.findings}
    assert line in (told.get("trend") or told["memory"])


def test_exit_codes_know_both_verdicts(capsys):
    """0: sampled, adequate or not, said last; with strict, or not sampled: 2."""
    noise = np.random.default_rng(4).normal(size=120)
    good, bad = mm.judge(fit_of()), mm.judge(fit_of(left=noise + 4.0 * (T > 60)))
    assert (good.adequate.ok, bad.adequate.ok) == (True, False)
    draws = replace(mm.diagnostics(fit_of()), converged=True)
    unsettled = replace(draws, converged=False)
    assert [code(draws, good), code(draws, good, True)] == [0, 0]
    assert [code(draws, bad), code(draws, bad, True)] == [0, 2]
    said = capsys.readouterr().err
    assert said.count("NOT ADEQUATE") == 2
    assert bad.adequate.findings[0].what in " ".join(said.split())
    assert code(unsettled, good) == code(unsettled, bad) == code(unsettled) == 2
    assert code(draws) == 0


@pytest.mark.slow
def test_media_over_all_is_said_loudly(tmp_path):
    from mmmjax.cli.fitting import fit

    case = Path(__file__).parent.parent / "cases" / "media_over_all" / "case.toml"
    assert fit(case, tmp_path / "run", no_report=True, strict=True) == 2
    told = json.loads((tmp_path / "run" / "diagnostics.json").read_text())
    codes = {f["code"]: f for f in told["adequate"]["findings"]}
    assert not told["adequate"]["ok"]
    assert codes["media_above_outcome"]["value"] > 1
    assert "negative_baseline" in codes
