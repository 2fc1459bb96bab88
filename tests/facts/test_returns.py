"""What is known of returns: the door, where it travels, and which models it fits."""

import dataclasses
import datetime

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli import case
from mmmjax.cli.app import app
from mmmjax.criticism import prior_returns
from mmmjax.fleet.engine import ready
from mmmjax.fleet.plan import Look
from mmmjax.prepare import prepare
from tests.fits import make_fit, make_panel, make_spec

PRIOR = mm.Prior("LogNormal", loc=0.7, scale=0.3)
SHARE = mm.Prior("Beta", concentration1=2.0, concentration0=8.0)
Return = mm.facts.Return
TV = Return("TV", roas=PRIOR, start="2022-01-16", end=datetime.date(2022, 3, 12))


@pytest.mark.parametrize(("made", "says"), [
    (lambda: Return("TV"), 'prior of the return of "TV": got none.*one of roas, mroas'),
    (lambda: Return("TV", roas=PRIOR, mroas=PRIOR), "got.*roas.*mroas.*one of"),
    (lambda: Return(roas=PRIOR), 'roas: got a return of no channel.*channel = "TV"'),
    (lambda: Return("TV", roas=3.0), 'roas of the return of "TV": got 3.*a prior'),
    (lambda: Return("TV", roas=mm.Prior("LogNormal", loc=[0.1], scale=1.0)), "a prior"),
    (lambda: Return("TV", roas=mm.pooled(PRIOR)), "a prior of one number"),
    (lambda: Return("TV", roas=mm.Prior("Uniform", low=0.0, high=2.0)),
     'got "Uniform".*"LogNormal".*roas = .*LogNormal'),
    (lambda: Return("TV", roas={"dist": "Lognormal", "loc": 0.0}), "LogNormal"),
    (lambda: Return(share=mm.Prior("Normal", loc=0.2, scale=0.1)), "all media.*Beta"),
    (lambda: Return("TV", roas=PRIOR, start="spring"), 'start.*got "spring".*2025-03-30'),
    (lambda: Return("TV", roas=PRIOR, start="2022-03-01", end="2022-02-01"), "swap start"),
    (lambda: Return("Tv", roas=PRIOR), 'channel of a return: got "Tv".*did you mean "TV"'),
    (lambda: Return("Mail", roas=PRIOR), 'got "Mail", which has no money.*share'),
])  # fmt: skip
def test_door(made, says):
    with pytest.raises(InputError, match=says):
        make_panel().with_facts([made()])


@pytest.mark.parametrize("two", [
    (TV, Return("TV", mroas=PRIOR)),
    (Return(share=SHARE), TV),
    (Return(share=SHARE), Return(share=SHARE)),
])  # fmt: skip
def test_one_a_channel_or_one_of_all(two):
    with pytest.raises(InputError, match="one a channel, or one of all media"):
        make_panel().with_facts(two)
    assert make_panel().with_facts([TV, Return("Mail", share=SHARE)]).facts


def priors(**given):
    return dataclasses.replace(make_spec(), priors=given)


def half(scale=1.0, dims="channel"):
    return mm.Prior("HalfNormal", scale=scale, dims=dims)


BOTH = mm.terms.Interaction(channels=["TV", "Search"])
SIGNED = mm.terms.Media(name="tv", channels=["TV"], sign="any")
ANY = mm.Prior("Normal", loc=1.0, scale=0.5)


@pytest.mark.parametrize(("spec", "fact", "says"), [
    (mm.Spec(likelihood=mm.likelihood.Normal(link="log")), TV, "multiply.*lift test"),
    (mm.Spec(terms=[BOTH]), TV, "act together.*leave out"),
    (mm.Spec(terms=[BOTH]), Return(share=SHARE), "act together"),
    (priors(saturation_beta=half(dims=("geo", "channel"))), TV, "pooled geos"),
    (priors(saturation_beta=half(dims=())), TV, "each channel"),
    (priors(saturation_beta=half(half(dims=()))), TV, "numbers in it"),
    (priors(saturation_beta=mm.Prior("Uniform", low=0.0, high=1.0, dims="channel")),
     TV, "what is positive"),
    (priors(saturation_beta=mm.Prior("LogNormal", loc=0.0, scale=1.0, dims="channel")),
     Return(share=SHARE), "HalfNormal"),
    (make_spec(), Return("TV", roas=ANY), "effects are positive.*LogNormal.*loc = -0.112"),
])  # fmt: skip
def test_models_in_which_it_is_no_prior_of_one_coefficient_are_refused(spec, fact, says):
    with pytest.raises(InputError, match=says):
        prepare(spec, make_panel().with_facts([fact]))


def test_effects_of_any_sign_take_a_normal():
    spec = mm.Spec(terms=[SIGNED], seasonality=None, adstock=mm.adstock.Geometric(3))
    panel = make_panel(geos=("a",), periods=20)
    fit = mm.sample_prior(spec, panel.with_facts([Return("TV", roas=ANY)]), draws=800)
    draws = mm.roas(fit)["roas_total"][..., 0].to_numpy()
    assert abs(draws.mean() - 1.0) < 4.5 * 0.5 / np.sqrt(800)
    assert abs(draws.std() - 0.5) < 4.5 * 0.5 / np.sqrt(1600)
    for fact in (TV, Return("TV", cost_per_outcome=ANY)):
        with pytest.raises(InputError, match="any sign"):
            prepare(spec, panel.with_facts([fact]))


def test_what_training_is_not_about_is_left_out_and_said():
    panel = make_panel()
    late = Return("TV", roas=PRIOR, start="2022-03-01", end="2023-03-01")
    early = Return("Mail", share=SHARE, start="2021-01-01")
    found = prepare(make_spec(), panel.with_facts([late, early]))
    assert found.panel.facts == ()
    assert sum("periods outside training: its return is left out" in n for n in found.notes)
    train, _ = panel.with_facts([TV]).split("2022-02-20")
    assert prepare(make_spec(), train).panel.facts == ()  # a backtest's cut
    quiet = panel.media.copy()
    quiet[:, :8, 0] = 0.0
    panel = dataclasses.replace(panel, media=quiet, spend=quiet)
    fact = Return("TV", roas=PRIOR, end="2022-02-20")
    found = prepare(make_spec(), panel.with_facts([fact]))
    assert any("never ran in the window" in note for note in found.notes)
    found = prepare(make_spec(), panel.with_facts([Return("TV", roas=PRIOR)])).findings
    (said,) = (f for f in found if f.code == "return_known")
    assert said.value == pytest.approx(np.exp(0.7))


def test_it_follows_geos_is_saved_and_shown(tmp_path):
    panel = make_panel().with_facts([TV, Return("Mail", share=SHARE)])
    assert panel.select("north").facts == ()  # a return of all geos
    mm.save(make_fit(panel=panel), tmp_path / "fit.nc")
    assert mm.load(tmp_path / "fit.nc").panel.facts == panel.facts
    line = "return TV: roas ~ LogNormal(loc=0.7, scale=0.3), 2022-01-16 to 2022-03-12"
    assert line in str(mm.structure(make_spec(), panel))
    looks = [
        Look.of(ready("a", make_spec(), make_panel().with_facts(f), 0, "error"))
        for f in ([TV], [Return("Search", roas=PRIOR)], [Return("Mail", share=SHARE)])
    ]
    assert looks[0] == looks[1]
    assert looks[0].key != looks[2].key


def test_prior_tables_know_it():
    """prior_posterior and what check prints: draws of the prior that holds."""
    panel = make_panel(geos=("a",), periods=20).with_facts([Return("TV", roas=PRIOR)])
    ready_ = prepare(mm.Spec(seasonality=None), panel)
    table = prior_returns(ready_.spec, ready_.panel, ready_.data, draws=2000)
    error = 1.2533 * 0.3 / np.sqrt(2000)  # of the log of a median
    assert abs(np.log(table["roas_median"][0]) - 0.7) < 4.5 * error


def test_a_case_file_takes_it(tmp_path):
    weeks = pd.date_range("2022-01-02", periods=30, freq="W")
    rng = np.random.default_rng(0)
    rows = {"week": weeks, "sales": rng.uniform(50, 90, 30), "TV": rng.gamma(2, 9, 30)}
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    text = '[data]\npath = "a.csv"\ndate = "week"\noutcome = "sales"\nmedia = ["TV"]\n'
    text += '[[data.fact]]\nkind = "return"\nchannel = "TV"\nstart = 2022-01-16\n'
    text += 'end = 2022-03-12\nroas = { dist = "LogNormal", loc = 0.7, scale = 0.3 }\n'
    file = tmp_path / "case.toml"
    file.write_text(text)
    assert case.read(file).panel.facts == (TV,)
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert "ROAS of TV is known before the data speak: 2.01" in shown
