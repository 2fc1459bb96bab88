"""Draws and Fit: shapes, labels, the ArviZ bridge, statistics against oracles, verdicts."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as st

import mmmjax as mm
from mmmjax import convergence
from mmmjax.checks import InputError
from mmmjax.draws import Draws, diagnostics, summary
from tests.adequacy.worlds import fit_of
from tests.fits import make_fit, make_panel, make_spec

CHAINS, DRAWS = 4, 400


@pytest.fixture(scope="module")
def fit():
    return make_fit(CHAINS, DRAWS)


def with_draws(fit, **changed):
    """The fit with other draws or statistics."""
    params = {n: changed.get(n, a) for n, a in fit.draws.params.items()}
    stats = {n: changed.get(n, a) for n, a in fit.draws.stats.items()}
    return replace(fit, draws=Draws(params, stats))


# -- Draws and Fit -----------------------------------------------------------------------


def test_flat_joins_chains_in_order(fit):
    beta = fit.draws.params["saturation_beta"]
    flat = fit.flat()["saturation_beta"]
    assert flat.shape == (CHAINS * DRAWS, 3)
    np.testing.assert_array_equal(flat[DRAWS + 7], beta[1, 7])
    some = fit.flat(max_draws=8)["saturation_beta"]  # two of each chain, evenly spaced
    np.testing.assert_array_equal(some, beta[:, [0, DRAWS // 2]].reshape(8, 3))
    assert len(fit.flat(max_draws=10**9)["saturation_beta"]) == CHAINS * DRAWS
    with pytest.raises(InputError, match="max_draws"):
        fit.flat(max_draws=0)


def test_sizes(fit):
    draws = fit.draws
    assert (draws.n_chains, draws.n_draws) == (CHAINS, DRAWS)
    assert draws.n_parameters == 2 + 3 * 3 + 1 + 2 + 1
    assert "saturation_beta[3]" in repr(draws)


def test_wrong_shapes_are_refused(fit):
    short = {"intercept": np.zeros((4, 10, 2)), "y_sigma": np.ones((4, 9))}
    with pytest.raises(InputError, match=r"y_sigma.*leading shape"):
        Draws(short, {})
    with pytest.raises(InputError, match="at least one parameter"):
        Draws({}, {})
    with pytest.raises(InputError, match="leading shape"):
        Draws({"y_sigma": np.ones((4, 0))}, {})
    with pytest.raises(InputError, match=r"saturation_beta.*shape \(2,\).*\(3,\)"):
        with_draws(fit, saturation_beta=np.zeros((CHAINS, DRAWS, 2)))


def test_coords_are_of_the_training_window(fit):
    coords = fit.coords()
    assert coords["geo"] == ["north", "süd"]
    assert coords["channel"] == ["TV", "Search", "Mail"]
    assert coords["fourier"] == ["sin_1", "cos_1"]
    assert len(coords["date"]) == 12


def test_inputs_are_those_of_the_training_panel(fit):
    inputs = fit.inputs()
    assert inputs["media"].shape == (2, 3, 12)
    np.testing.assert_allclose(inputs["media"].max(axis=(0, 2)), 1.0)


def test_repr_says_what_and_how(fit):
    text = repr(fit)
    for part in ("2 geo", "12 periods", "3 channels", "4 chains x 400", "NUTS", "seed 0"):
        assert part in text
    assert "diverged  0 of 1600" in text


def test_arviz_reads_the_tree():
    fit = make_fit(CHAINS, DRAWS, dtype=np.float64)  # ArviZ folds float32 in float32
    tree = fit.to_arviz()
    assert set(tree.children) == {"posterior", "sample_stats"}
    posterior = tree["posterior"]
    assert posterior["saturation_beta"].dims == ("chain", "draw", "channel")
    assert posterior["intercept"].dims == ("chain", "draw", "geo")
    one = posterior["saturation_beta"].sel(channel="TV", chain=2, draw=3).item()
    assert one == fit.draws.params["saturation_beta"][2, 3, 0]
    assert tree["sample_stats"]["diverging"].dtype == bool
    import arviz_stats

    table = arviz_stats.summary(tree, round_to="none", ci_prob=0.94, ci_kind="hdi")
    ours = summary(fit).set_index(pd.Index(_labels(fit)))
    np.testing.assert_allclose(table["ess_bulk"], ours["ess_bulk"], rtol=1e-12)
    np.testing.assert_allclose(table["r_hat"], ours["r_hat"], rtol=1e-12)
    np.testing.assert_allclose(table["mcse_mean"], ours["mcse_mean"], rtol=1e-9)
    assert list(table.index) == list(ours.index)


def _labels(fit):
    table = summary(fit)
    pairs = zip(table["parameter"], table["index"], strict=True)
    return [f"{p}[{i}]" if i else p for p, i in pairs]


# -- statistics --------------------------------------------------------------------------


def split_r_hat(chains):
    """Rank-normalised split R-hat by its definition: Vehtari et al. (2021), section 4."""

    def plain(halves):
        n = halves.shape[1]
        within = halves.var(axis=1, ddof=1).mean()
        between = n * halves.mean(axis=1).var(ddof=1)
        return np.sqrt(((n - 1) / n * within + between / n) / within)

    def normal_scores(x):
        ranks = st.rankdata(x).reshape(x.shape)
        return st.norm.ppf((ranks - 3 / 8) / (x.size + 1 / 4))

    half = chains.shape[1] // 2
    halves = np.concatenate([chains[:, :half], chains[:, -half:]])
    folded = np.abs(halves - np.median(halves))
    return max(plain(normal_scores(halves)), plain(normal_scores(folded)))


def autoregressive(rng, phi, chains=CHAINS, draws=DRAWS):
    """Chains of AR(1), whose ESS is draws * (1 - phi) / (1 + phi) in the long run."""
    x = rng.normal(size=(chains, draws))
    for t in range(1, draws):
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi**2) * x[:, t]
    return x


def test_summary_columns_and_labels(fit):
    table = summary(fit)
    assert list(table.columns) == [
        "parameter", "index", "mean", "sd", "hdi_3", "hdi_97", "ess_bulk", "ess_tail",
        "r_hat", "mcse_mean",
    ]  # fmt: skip
    assert "mcse_sd" in summary(fit, mcse_sd=True)
    labels = _labels(fit)
    for label in ("adstock_alpha[TV]", "gamma_fourier[sin_1]", "intercept[süd]", "y_sigma",
                  "gamma_control[holiday]"):  # fmt: skip
        assert label in labels
    assert len(table) == fit.draws.n_parameters
    assert not table.isna().any().any()


def test_summary_matches_oracles(fit):
    row = summary(fit).set_index(["parameter", "index"]).loc[("saturation_lam", "Mail")]
    chains = fit.draws.params["saturation_lam"][:, :, 2].astype(np.float64)
    np.testing.assert_allclose(row["mean"], chains.mean())
    np.testing.assert_allclose(row["sd"], chains.std(ddof=1))
    np.testing.assert_allclose(row["r_hat"], split_r_hat(chains), rtol=1e-9)
    inside = (chains >= row["hdi_3"]) & (chains <= row["hdi_97"])
    assert abs(inside.mean() - 0.94) < 0.002
    widths = [
        np.quantile(chains, low + 0.94) - np.quantile(chains, low)
        for low in (0.0, 0.015, 0.03, 0.045, 0.06)
    ]
    assert row["hdi_97"] - row["hdi_3"] <= min(widths) + 1e-3


def test_ess_and_mcse_of_known_chains():
    """AR(1): ESS within 25% of theory (sd of the estimate here: about 7%)."""
    rng = np.random.default_rng(3)
    phi, draws = 0.6, 4000
    fit = make_fit(
        CHAINS, draws, y_sigma=3.0 + 1e-3 * autoregressive(rng, phi, draws=draws)
    )
    row = summary(fit, mcse_sd=True).set_index("parameter").loc["y_sigma"]
    ess = CHAINS * draws * (1 - phi) / (1 + phi)
    assert abs(row["ess_bulk"] / ess - 1) < 0.25
    assert abs(row["mcse_mean"] / (1e-3 / np.sqrt(ess)) - 1) < 0.25
    ess_square = CHAINS * draws * (1 - phi**2) / (1 + phi**2)
    assert abs(row["mcse_sd"] / (1e-3 / np.sqrt(2 * ess_square)) - 1) < 0.25


def test_blocks_of_parameters_change_no_number(fit, monkeypatch):
    whole = summary(fit, mcse_sd=True)
    monkeypatch.setattr(convergence, "BLOCK", 1)
    pd.testing.assert_frame_equal(summary(fit, mcse_sd=True), whole, check_exact=True)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_statistics_do_not_depend_on_the_unit(scale):
    rng = np.random.default_rng(4)
    x = autoregressive(rng, 0.5)
    plain, scaled = (
        summary(make_fit(CHAINS, DRAWS, y_sigma=3.0 * s + x * s), mcse_sd=True)
        .set_index("parameter")
        .loc["y_sigma"]
        for s in (1.0, scale)
    )
    for same in ("ess_bulk", "ess_tail", "r_hat"):
        np.testing.assert_allclose(scaled[same], plain[same], rtol=1e-6)
    for linear in ("mean", "sd", "hdi_3", "hdi_97", "mcse_mean", "mcse_sd"):
        np.testing.assert_allclose(scaled[linear], scale * plain[linear], rtol=1e-6)


def test_summary_is_fast():
    """55 parameters x 4 x 1000 draws in under a second, the lazy import apart."""
    panel = make_panel(geos=tuple(f"g{i}" for i in range(40)))
    fit = make_fit(4, 1000, panel=panel)
    assert fit.draws.n_parameters == 53
    summary(make_fit())
    started = time.perf_counter()
    summary(fit)
    assert time.perf_counter() - started < 1.0 * 3  # three times: a loaded machine


def test_importing_draws_loads_no_arviz():
    code = "import sys, mmmjax.draws; print([m for m in sys.modules if 'arviz' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# -- verdicts ----------------------------------------------------------------------------


def test_good_draws_are_usable(fit):
    found = diagnostics(fit)
    assert found.verdict == "usable"
    assert found.converged
    assert found.n_parameters == fit.draws.n_parameters
    assert found.max_r_hat < 1.01
    assert found.worst_r_hat in _labels(fit)
    assert found.min_ess_bulk > 400
    assert json.loads(json.dumps(found.to_dict()))["divergences"] == 0
    assert str(found).startswith("usable\n")


def test_diagnostics_names_the_worst_parameters(fit):
    table = summary(fit)
    found = diagnostics(fit)
    labels = np.array(_labels(fit))
    assert found.worst_ess_bulk == labels[table["ess_bulk"].argmin()]
    assert found.worst_ess_tail == labels[table["ess_tail"].argmin()]
    assert found.min_ess_tail == table["ess_tail"].min()


def test_one_bad_chain_is_named(fit):
    lam = fit.draws.params["saturation_lam"].copy()
    lam[2, :, 1] += 1.0
    found = diagnostics(with_draws(fit, saturation_lam=lam))
    assert not found.converged
    assert found.worst_r_hat == "saturation_lam[Search]"
    assert found.verdict.startswith("not usable (R-hat")
    assert "saturation_lam[Search] above 1.01" in found.verdict


def test_slow_chains_lack_ess(fit):
    slow = autoregressive(np.random.default_rng(5), 0.95)
    found = diagnostics(with_draws(fit, y_sigma=slow))
    assert not found.converged
    assert found.worst_ess_bulk == "y_sigma"
    assert "bulk ESS" in found.verdict
    assert "below 400" in found.verdict


@pytest.mark.parametrize(
    "share, verdict",
    [(0.0, "usable"), (0.005, "usable with care"), (0.02, "not usable")],
)
def test_divergences(fit, share, verdict):
    diverging = np.zeros((CHAINS, DRAWS), bool)
    diverging.flat[: int(share * diverging.size)] = True
    found = diagnostics(with_draws(fit, diverging=diverging))
    assert found.verdict.split(" (")[0] == verdict
    assert found.divergence_rate == pytest.approx(share)
    assert found.converged == (verdict != "not usable")


def test_slow_energy_asks_for_care(fit):
    energy = np.cumsum(np.random.default_rng(6).normal(size=(CHAINS, DRAWS)), axis=1)
    found = diagnostics(with_draws(fit, energy=energy))
    assert found.verdict.startswith("usable with care (E-BFMI")


def test_constant_draws_are_said_not_fatal(fit):
    gamma = np.full((CHAINS, DRAWS, 1), 0.25, np.float32)
    constant = with_draws(fit, gamma_control=gamma)
    found = diagnostics(constant)
    assert found.not_moving == ("gamma_control[holiday]",)
    assert "gamma_control[holiday] did not move" in found.verdict
    assert not found.converged
    row = summary(constant).set_index("parameter").loc["gamma_control"]
    assert (row["mean"], row["sd"], row["hdi_3"], row["hdi_97"]) == (0.25, 0, 0.25, 0.25)
    assert np.isnan(row[["ess_bulk", "ess_tail", "r_hat"]].astype(float)).all()


def test_one_stuck_chain_is_said(fit):
    gamma = fit.draws.params["gamma_control"].copy()
    gamma[3] = gamma[3, 0]
    found = diagnostics(with_draws(fit, gamma_control=gamma))
    assert found.not_moving == ("gamma_control[holiday]",)
    assert not found.converged


def test_every_chain_stuck_elsewhere_is_said(fit):
    gamma = np.broadcast_to(np.arange(4.0)[:, None, None], (CHAINS, DRAWS, 1))
    found = diagnostics(with_draws(fit, gamma_control=gamma))
    assert not found.converged
    assert found.max_r_hat == np.inf


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_draws_that_are_not_finite_are_said(fit, value):
    beta = fit.draws.params["saturation_beta"].copy()
    beta[1, 5, 0] = value
    bad = with_draws(fit, saturation_beta=beta)
    found = diagnostics(bad)
    assert found.not_finite == ("saturation_beta[TV]",)
    assert found.not_moving == ()
    assert "saturation_beta[TV] are NaN or infinite" in found.verdict
    assert np.isnan(summary(bad)["r_hat"]).sum() == 1


def test_everything_constant():
    params = {n: np.zeros_like(a) for n, a in make_fit(4, 50).draws.params.items()}
    found = diagnostics(make_fit(4, 50, **params))
    assert np.isnan(found.max_r_hat)
    assert found.worst_r_hat == ""
    assert "and 12 more" in found.verdict


@pytest.mark.parametrize(
    "chains, draws, reason",
    [(1, 400, "one chain"), (4, 3, "3 draws a chain"), (2, 1, "1 dr")],
)
def test_too_little_to_judge(chains, draws, reason):
    found = diagnostics(make_fit(chains, draws))
    assert not found.converged
    assert reason in found.verdict
    summary(make_fit(chains, draws))


def test_samplers_without_divergences_or_energies(fit):
    bare = replace(fit, draws=Draws(fit.draws.params, {}))
    assert diagnostics(bare).verdict == "usable"
    assert "diverged" not in repr(bare)
    assert set(bare.to_arviz().children) == {"posterior", "sample_stats"}


def test_no_media_and_no_controls():
    panel = make_panel(controls=())
    none = replace(
        panel, channels=(), media=panel.media[..., :0], spend=panel.spend[..., :0]
    )
    fit = make_fit(4, 50, spec=make_spec(), panel=none)
    assert set(summary(fit)["parameter"]) == {"intercept", "gamma_fourier", "y_sigma"}
    fit.to_arviz()


def test_parameters_of_several_media_terms_are_joined_in_the_order_of_channels():
    """A row is that of its channel, whichever term has it, in every table of parameters."""
    tv = mm.terms.Media("tv", ["m1"], mm.adstock.Delayed(max_lag=5))
    beta = {"dist": "HalfNormal", "scale": 0.3, "dims": ["geo", "channel"]}
    priors = {"tv.saturation_beta": mm.Prior.from_dict(beta)}
    fit = fit_of(spec=mm.Spec(terms=[tv], priors=priors), geos=2)
    table = mm.summary(fit)
    assert "." not in "".join(table["parameter"])
    rows = table.set_index(["parameter", "index"])
    one = lambda name: table.loc[table["parameter"] == name, "index"].tolist()
    assert one("adstock_alpha") == ["m0", "m1", "m2"]
    assert one("adstock_theta") == ["m1"]  # the other family has none
    assert set(one("saturation_beta")) == {"m0", "m2", "g0, m1", "g1, m1"}
    params = fit.draws.params
    for name, index, values in (
        ("adstock_alpha", "m1", params["tv.adstock_alpha"][..., 0]),
        ("adstock_alpha", "m2", params["adstock_alpha"][..., 1]),
        ("saturation_beta", "g1, m1", params["tv.saturation_beta"][..., 1, 0]),
    ):
        assert rows.loc[(name, index), "mean"] == pytest.approx(values.mean())
    told = mm.prior_posterior(fit)
    assert told["parameter"].tolist() == table["parameter"].tolist()
    known = told.set_index(["parameter", "index"])["prior_sd"]
    assert known["saturation_beta", "g1, m1"] == pytest.approx(0.3 * (1 - 2 / np.pi) ** 0.5)
    assert known["adstock_theta", "m1"] != known["adstock_alpha", "m1"]
    alone, given = mm.diagnostics(fit), mm.diagnostics(fit, table)
    assert str(asdict(alone)) == str(asdict(given))
