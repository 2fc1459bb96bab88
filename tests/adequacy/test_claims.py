"""What is said of media, of the baseline and of the noise, each planted in draws."""

import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax.adequacy.evidence import evidence
from mmmjax.adequacy.words import not_again
from mmmjax.draws import Draws
from mmmjax.findings import Finding
from mmmjax.model import model_data
from tests.adequacy.worlds import SIGMA, fit_of, writable

T = np.arange(120)


def found(fit):
    said = {f.code: f for f in mm.judge(fit).adequate.findings}
    for one in said.values():
        writable(one.remedy)
    return said


def noise(seed=4):
    return np.random.default_rng(seed).normal(size=120)


def test_a_true_model_is_found_fault_with_nowhere():
    assert found(fit_of(left=noise())) == {}


def test_media_above_the_outcome_and_a_negative_baseline_are_serious():
    fit = fit_of()
    fit.draws.params["saturation_beta"] *= 8.0
    fit.draws.params["intercept"] -= fit.draws.params["intercept"] + 0.3
    said = found(fit)
    assert said["media_above_outcome"].level == "serious"
    assert said["media_above_outcome"].value > 1
    assert said["negative_baseline"].level == "serious"


def test_a_baseline_below_nothing_in_some_periods_only_is_said():
    fit = fit_of(spec=mm.Spec(trend=True))
    fit.draws.params["intercept"] += 0.1
    fit.draws.params["trend_slope"] -= 1.2
    said = found(fit)["negative_baseline"]
    assert 0.05 < said.value < 0.9
    assert "of 120 periods" in said.what


def test_an_intercept_below_0_is_no_fault_where_a_control_carries_the_level():
    fit = fit_of(left=noise())
    panel, x = fit.panel, fit.draws.params
    moved = replace(panel, controls=panel.controls + 50.0)
    fit = replace(fit, panel=moved)
    x["intercept"] = x["intercept"] - 50.0 * x["gamma_control"][..., 0]
    assert x["intercept"].mean() < 0
    assert "negative_baseline" not in found(fit)


@pytest.mark.parametrize("times", [0.4, 2.5])
def test_noise_that_a_prior_holds_is_said_with_its_factor(times):
    fit = fit_of(left=noise())
    fit.draws.params["y_sigma"] *= times
    said = found(fit)
    assert said["noise"].value == pytest.approx(1 / times, rel=0.2)
    assert ("coverage" in said) == (times < 1)
    if times < 1:
        inside = stats.norm.cdf(1.88 * times) * 2 - 1
        assert said["coverage"].value == pytest.approx(inside, abs=0.12)


def test_a_wave_of_the_model_that_is_left_over_is_held_by_priors():
    wave = np.sin(2 * np.pi * (T * 7 + 4) / 365.25)
    fit = fit_of(left=noise() + 4.0 * wave)
    said = found(fit)["held_by_priors"]
    assert said.level == "serious"
    assert said.value > 0.5
    line = re.match(
        r"Widen that prior, for example (.*) under \[model.priors\]", said.remedy
    )
    ((name, table),) = tomllib.loads(line[1]).items()
    wider, prior = mm.Prior.from_dict(table), fit.spec.priors[name]
    assert name in said.what
    assert wider.to_dict()["scale"] == 2 * prior.to_dict()["scale"]
    assert wider.dims == prior.dims


def test_an_effect_that_a_prior_holds_is_the_finding_and_its_curve_is_not():
    """Held down, a channel bends its curve and its memory: not a wrong shape."""
    fit = fit_of()
    steeper = {
        n: x * 1.1 if n == "saturation_lam" else x for n, x in fit.draws.params.items()
    }
    other = replace(fit, draws=Draws(steeper))
    effect, turned = (evidence(f).channel[:, 0, 0].mean(0) for f in (fit, other))
    bent = turned - effect
    known = np.stack([np.ones(120), effect], 1)
    bent -= known @ np.linalg.lstsq(known, bent)[0]
    left = noise() + 7.0 * bent / np.sqrt(bent @ bent)
    assert found(fit_of(left=left))["shape"].level == "serious"
    prior = mm.Prior("HalfNormal", scale=0.02, dims=("channel",))
    held = fit_of(spec=mm.Spec(priors={"saturation_beta": prior}), left=left)
    said = mm.judge(held).adequate
    assert said.ok
    (one,) = said.findings
    assert (one.code, one.level) == ("held_by_priors", "warning")
    assert "saturation_beta m" in one.what
    assert "scale = 0.04" in one.remedy


def test_errors_that_priors_hold_are_not_called_a_wrong_noise():
    """Noise is estimated from all errors: those that priors make enlarge it."""
    e = noise()[:60]
    wave = np.sin(2 * np.pi * (T[:60] * 7 + 4) / 365.25)
    fit = fit_of(left=e / np.sqrt(np.mean(e**2)) + 1.5 * wave, periods=60)
    fit.draws.params["y_sigma"] *= 1.65
    said = found(fit)
    assert "noise" not in said
    assert said["held_by_priors"].level == "warning"
    assert mm.judge(fit).adequate.ok


def test_a_line_that_the_model_has_is_not_proposed_again():
    spec = mm.Spec(
        trend=True,
        outcome_scale="geo",
        priors={"saturation_lam": mm.Prior("Gamma", concentration=2.0, rate=0.5)},
    )
    lam = 'saturation_lam = { dist = "Gamma", concentration = 2.0, rate = 0.5 }'
    level = 'intercept = { dist = "Normal", loc = 0.5, scale = 0.3, dims = ["geo"] }'
    told = lambda remedy: (
        not_again(Finding("serious", "x", "y", remedy=remedy), spec).remedy
    )
    free = told(f"Write {lam} under [model.priors] to free the curve")
    assert free.startswith(f"The model has {lam} already, and that is not enough")
    both = f'Write {level} under [model.priors], or outcome_scale = "geo" under [model]'
    known = 'The model has outcome_scale = "geo" already: write the other'
    assert told(both) == f"{both}. {known}"
    assert told("Write trend = true under [model]").startswith("The model has trend = true")
    lag = 'adstock = { kind = "geometric", max_lag = 16 } under [model]'
    for new in (f"Write {level} under [model.priors]", "Test it", lag):
        assert told(new) == new


def test_a_model_that_explains_nothing_is_serious():
    fit = fit_of(left=40.0 * noise())
    fit.draws.params["gamma_fourier"] += 0.6
    assert found(fit)["explains_nothing"].value <= 0


def test_channels_that_trade_are_a_pair_and_a_warning_only():
    fit = fit_of(left=noise())
    beta = fit.draws.params["saturation_beta"]
    shift = 0.03 * np.random.default_rng(1).normal(size=beta.shape[:2])
    beta[..., 0] += shift
    beta[..., 1] -= shift
    judged = mm.judge(fit)
    said = {f.code: f for f in judged.adequate.findings}
    assert judged.adequate.ok
    assert said["pair"].where == ("m0", "m1")
    assert said["pair"].value < -0.8


def test_a_channel_that_is_its_prior_and_one_less_certain_than_before():
    fit = fit_of(left=noise())
    rng = np.random.default_rng(2)
    shape = fit.draws.params["saturation_beta"].shape[:2]
    scale = model_data(fit.spec, fit.panel, fit.scale).hyper["saturation_beta"]["scale"]
    fit.draws.params["saturation_beta"][..., 0] = np.abs(rng.normal(0, scale[0], shape))
    fit.draws.params["adstock_alpha"][..., 2] = rng.random(shape) > 0.5
    said = found(fit)
    assert said["prior_dominated"].where == ("m0",)
    assert said["wider_than_prior"].where == ("m2",)
    assert said["wider_than_prior"].value < 0


@pytest.mark.parametrize(("times", "said"), [(1.3, False), (2.0, True)])
def test_a_skewed_prior_is_not_contradicted_by_a_variance_a_little_above_its_own(
    times, said
):
    fit = fit_of(left=noise())
    prior = mm.prior_posterior(fit).set_index(["parameter", "index"])["prior_sd"]
    rng = np.random.default_rng(2)
    alpha = fit.draws.params["adstock_alpha"]
    z = rng.uniform(-np.sqrt(3), np.sqrt(3), alpha.shape[:2])
    z = (z - z.mean()) / z.std()
    alpha[..., 2] = 0.5 + np.sqrt(times) * prior["adstock_alpha", "m2"] * z
    found = {f.code for f in mm.judge(fit).adequate.findings}
    assert ("wider_than_prior" in found) == said


def test_a_return_ten_times_the_others_and_media_that_take_away():
    fit = fit_of(left=noise())
    spend = fit.panel.spend.copy()
    spend[..., 0] *= 0.02
    cheap = replace(fit, panel=replace(fit.panel, spend=spend))
    said = found(cheap)["implausible_return"]
    assert (said.where, said.level) == (("m0",), "warning")
    assert said.value == pytest.approx(50, rel=0.5)
    spec = mm.Spec(priors={"saturation_beta": mm.Prior("Normal", loc=0.0, scale=1.0)})
    fit = fit_of(spec=spec, left=noise())
    fit.draws.params["saturation_beta"][..., 1] *= -1
    assert found(fit)["negative_effect"].where == ("m1",)


def test_organic_media_have_no_return_to_judge():
    fit = fit_of(left=noise())
    spend = fit.panel.spend.copy()
    spend[..., 0] = np.nan
    assert found(replace(fit, panel=replace(fit.panel, spend=spend))) == {}


def test_the_noise_of_the_worlds_is_what_is_said():
    fit = fit_of(left=noise())
    unit = fit.scale.outcome[0] / 1000.0
    assert fit.draws.params["y_sigma"].mean() == pytest.approx(SIGMA / unit, rel=0.05)
