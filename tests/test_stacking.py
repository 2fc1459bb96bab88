"""Fits mixed by weights: every draw is a draw of one of them, whatever is asked."""

import dataclasses
import warnings

import arviz
import numpy as np
import pytest
from scipy import optimize, special

import mmmjax as mm
from mmmjax.draws import Draws
from mmmjax.stacking import compared
from tests.fits import make_fit, make_panel, make_spec

PANEL = make_panel(periods=20)
CARRIES = (mm.adstock.Geometric(max_lag=3), mm.adstock.Delayed(max_lag=5))
CURVES = (mm.saturation.Logistic(), mm.saturation.Hill())


def fits(draws=12, **changed):
    """Four, of two adstocks and two saturations, draws at random."""
    spec, out = make_spec(), {}
    for i, carry in enumerate(CARRIES):
        for j, curve in enumerate(CURVES):
            priors = {n: p for n, p in spec.priors.items() if "_" not in n}
            one = dataclasses.replace(spec, adstock=carry, saturation=curve, priors=priors)
            name = f"{carry.kind} {curve.kind}"
            own = changed if curve.kind == "hill" else {}
            out[name] = make_fit(2, draws, spec=one, panel=PANEL, seed=2 * i + j, **own)
    return out


WEIGHTS = {"geometric logistic": 0.5, "geometric hill": 0.0, "delayed logistic": 0.25,
           "delayed hill": 0.25}  # fmt: skip


def of_draw(every, stacked, answer):
    """Each draw of the mixture beside what some draw of its own fit gives."""
    whole = answer(stacked)
    which = stacked.draws.params
    pairs = np.stack([np.floor(which[f"{r}_which"]) for r in ("adstock", "saturation")], -1)
    found = np.zeros(len(every), int)
    alone = {name: answer(fit) for name, fit in every.items()}
    for chain, draw in np.ndindex(whole.shape[:2]):
        i, j = pairs[chain, draw].astype(int)
        name = f"{CARRIES[i].kind} {CURVES[j].kind}"
        own = alone[name][chain]
        gaps = np.abs(own - whole[chain, draw]).reshape(len(own), -1)
        assert gaps.max(1).min() < 1e-5 * np.abs(whole[chain, draw]).max()
        found[list(every).index(name)] += 1
    return found / found.sum()


@pytest.mark.parametrize(
    "answer",
    [
        lambda fit: mm.contributions(fit)["channel_total"].to_numpy(),
        lambda fit: mm.roas(fit)["roas"].fillna(0.0).to_numpy(),
        lambda fit: mm.log_likelihood(fit)["outcome"].fillna(0.0).to_numpy(),
    ],
    ids=["contributions", "roas", "density"],
)
def test_every_draw_is_one_of_its_fit(answer):
    every = fits()
    stacked = mm.stack(every, WEIGHTS)
    shares = of_draw(every, stacked, answer)
    np.testing.assert_allclose(shares, list(WEIGHTS.values()))
    assert stacked.info["stacked"] == WEIGHTS


def test_saved_loaded_forecast_and_planned(tmp_path):
    every = fits(draws=8)
    stacked = mm.stack(every, WEIGHTS)
    mm.save(stacked, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == stacked.spec
    assert mm.Spec.from_toml(stacked.spec.to_toml()) == stacked.spec
    np.testing.assert_array_equal(mm.roas(again)["roas"], mm.roas(stacked)["roas"])
    later = make_panel(periods=28).split(PANEL.dates[-1])[1]
    assert np.isfinite(mm.predict(again, later)["outcome"]).all()
    assert mm.optimize(again, periods=8).certified  # no draw of a Hill has an S
    bent = fits(draws=8, saturation_slope=np.full((2, 8, 3), 1.5))
    plan = mm.optimize(mm.stack(bent, WEIGHTS), periods=8, starts=2)
    assert "saturation_slope is above 1 (hill) in 4 of 16 draws" in plan.gap_reason


def test_one_shared_kernel_stays_plain():
    every = fits()
    two = {n: every[n] for n in ("geometric logistic", "geometric hill")}
    stacked = mm.stack(two, {"geometric logistic": 1.0, "geometric hill": 3.0})
    assert stacked.spec.adstock == CARRIES[0]
    assert stacked.spec.saturation == mm.saturation.Mixed(CURVES)
    assert "adstock_alpha" in stacked.draws.params
    one = mm.stack(two, {"geometric logistic": 0.0, "geometric hill": 1.0})
    assert one.spec == two["geometric hill"].spec  # nothing is left to mix


def test_several_media_terms_are_mixed_each():
    def spec(curve):
        usual = make_spec()
        tv = mm.terms.Media("tv", ["TV"], mm.adstock.Geometric(max_lag=2), curve)
        priors = {n: p for n, p in usual.priors.items() if "_" not in n}
        return dataclasses.replace(usual, terms=(tv,), priors=priors)

    two = {c.kind: make_fit(2, 6, spec=spec(c), panel=PANEL) for c in CURVES}
    stacked = mm.stack(two, {"logistic": 1.0, "hill": 1.0})
    assert stacked.spec.saturation == mm.saturation.Logistic()
    assert stacked.spec.terms[0].saturation == mm.saturation.Mixed(CURVES)
    assert "tv.saturation_kappa_hill" in stacked.draws.params
    assert mm.roas(stacked)["roas"].shape[:2] == (2, 6)


def test_parameters_of_kernels_keep_their_dims():
    lam = mm.Prior("Gamma", concentration=3.0, rate=1.0, dims=("geo", "channel"))
    spec = dataclasses.replace(make_spec(), priors={"saturation_lam": lam})
    hill = dataclasses.replace(make_spec(), saturation=CURVES[1], priors={})
    two = {"logistic": make_fit(2, 6, spec=spec, panel=PANEL),
           "hill": make_fit(2, 6, spec=hill, panel=PANEL)}  # fmt: skip
    stacked = mm.stack(two, {"logistic": 1.0, "hill": 1.0})
    assert stacked.dims("saturation_lam_logistic") == ("geo", "channel")
    assert stacked.draws.params["saturation_lam_logistic"].shape == (2, 6, 2, 3)


def test_weights_are_the_ones_that_predict_best():
    """Against the maximum of the stacked score itself, by scipy, from the same scores."""
    every = fits(draws=40)
    found = compared(every)
    with warnings.catch_warnings(action="ignore"):  # draws at random: k is large
        each = [arviz.loo(f.to_arviz(True), pointwise=True) for f in every.values()]
    scores = np.stack([loo.elpd_i.to_numpy().ravel() for loo in each], 1)
    highest = scores.max(1, keepdims=True)

    def loss(x):
        return -np.log(np.exp(scores - highest) @ special.softmax(x)).sum()

    best = optimize.minimize(loss, np.zeros(4)).fun
    weights = np.array([found.weights[name] for name in every])
    ours = -np.log(np.exp(scores - highest) @ weights).sum()
    assert ours <= best + 1e-3
    np.testing.assert_allclose(weights.sum(), 1.0)
    top = found.table.iloc[0]
    assert top["difference"] == 0.0
    assert "mm.backtest" in str(found)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"weights": {"a": 1.0}}, "weights: got ['a']"),
        ({"weights": {"a": -1.0, "b": 1.0}}, "weight of a"),
        ({"weights": {"a": 0.0, "b": 0.0}}, "one above 0"),
        ({"fits": {"a": 1}}, "two fits or more"),
        ({"likelihood": mm.likelihood.Normal()}, 'likelihood: got Normal() at "b"'),
        ({"trend": True}, "terms"),
        ({"panel": make_panel(periods=21)}, "other data or units"),
    ],
)
def test_what_cannot_be_mixed_is_refused(change, words):
    first = make_fit(2, 6, spec=make_spec(), panel=PANEL)
    own = {k: v for k, v in change.items() if k in ("likelihood", "trend")}
    spec = dataclasses.replace(make_spec(), **own)
    second = make_fit(2, 6, spec=spec, panel=change.get("panel", PANEL))
    two = {"a": first, "b": second}
    two = {"a": first} if "fits" in change else two
    with pytest.raises(mm.InputError) as error:
        mm.stack(two, change.get("weights", dict.fromkeys(two, 1.0)))
    assert words in str(error.value)


def test_candidates_are_fitted_side_by_side_and_one_alone_is_refused():
    with pytest.raises(mm.InputError, match="two candidates or more"):
        mm.compare_specs({"one": mm.Spec()}, PANEL)


def test_a_candidate_whose_chain_never_moved_has_no_score():
    every = fits(draws=40)
    first = every["geometric hill"]
    stuck = {n: a.copy() for n, a in first.draws.params.items()}
    for name, values in stuck.items():  # far from everything the other chain says
        values[0] = values[0, :1] + 9.0 * (name == "intercept")
    every["geometric hill"] = dataclasses.replace(first, draws=Draws(stuck))
    with pytest.raises(ValueError, match="same"):
        arviz.loo(every["geometric hill"].to_arviz(True))
    found = compared(every)
    row = found.table.set_index("model").loc["geometric hill"]
    assert found.weights["geometric hill"] == 0
    assert np.isnan(row["elpd"])
    assert not row["sampled"]
    assert list(found.table["model"])[-1] == "geometric hill"
    assert sum(found.weights.values()) == pytest.approx(1)
    assert "geometric hill" in str(found)
    assert mm.roas(found.stacked())["roas"].shape[1] == 40
    two = {n: every[n] for n in ("geometric hill", "delayed hill")}
    with pytest.raises(mm.InputError, match='do not move in "geometric hill"'):
        compared(two)
