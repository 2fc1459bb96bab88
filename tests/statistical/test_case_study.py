"""The case study on real data against an independent implementation's numbers.

Tolerance: 4 combined Monte Carlo standard errors (ours and the reference's), for about 150
numbers with one fixed seed; a right program fails one seed in about a hundred.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from arviz_stats.base import array_stats

import mmmjax as mm
from mmmjax.cli import case as cases
from mmmjax.posterior import channels_table
from tests.budget.case_study import compare

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
REFERENCE = SHARED / "reference" / "case_study.json"
pytestmark = [
    pytest.mark.skipif(
        not REFERENCE.exists(), reason="the shared data are not beside the checkout"
    ),
    pytest.mark.xdist_group("case_study"),
]


@pytest.fixture(scope="module")
def case():
    return cases.read(ROOT / "benchmarks" / "case_study" / "case.toml")


@pytest.fixture(scope="module")
def fit(case):
    return mm.fit(case.spec, case.train, case.sampler, seed=0, progress=False)


@pytest.fixture(scope="module")
def lockstep(case):
    return mm.fit(case.spec, case.train, mm.HMC(), seed=0, progress=False)


@pytest.fixture(params=["nuts", "hmc"])
def each(request):
    """The fit by each of the samplers."""
    return request.getfixturevalue({"nuts": "fit", "hmc": "lockstep"}[request.param])


@pytest.fixture(scope="module")
def reference():
    return json.loads(REFERENCE.read_text())


def mcse(draws, method="mean"):
    """Monte Carlo error of (chain, draw) draws."""
    return float(
        array_stats.mcse(draws.astype(float), chain_axis=0, draw_axis=1, method=method)
    )


def test_the_data_are_prepared_as_in_the_reference(case, fit, reference):
    assert (case.train.n_periods, case.test.n_periods) == (183, 26)
    assert list(case.train.control_names) == reference["controls"]
    assert list(case.train.channels) == list(reference["channel_scale"])
    np.testing.assert_allclose(fit.scale.outcome[0], reference["target_scale"])
    np.testing.assert_allclose(
        fit.scale.media[0], list(reference["channel_scale"].values())
    )


def test_the_sampler_converged(each):
    found = mm.diagnostics(each)
    assert found.divergence_rate <= 1e-3
    assert found.max_r_hat <= 1.01
    assert found.min_ess_bulk >= 2000


def test_all_55_parameters_agree_in_mean_and_sd(each, reference):
    table = mm.summary(each)
    assert len(table) == len(reference["posterior"]) == 55
    flat = {n: v.reshape(*v.shape[:2], -1) for n, v in each.draws.params.items()}
    seen = dict.fromkeys(flat, 0)
    for row in table.itertuples():
        index = table["index"][row[0]]  # row.index is a method of tuples
        label = f"{row.parameter}[{index}]" if index else row.parameter
        draws = flat[row.parameter][:, :, seen[row.parameter]]
        seen[row.parameter] += 1
        expected = reference["posterior"][label]
        exact = draws.astype(float)
        for mine, name in ((exact.mean(), "mean"), (exact.std(), "sd")):
            error = np.hypot(mcse(draws, name), expected[f"mcse_{name}"])
            assert abs(mine - expected[name]) < 4 * error, (label, name)


def agrees(draws, expected, label):
    """Mean of (chain, draw) draws within 4 combined errors of a reference entry."""
    error = np.hypot(mcse(draws), expected["mcse_mean"])
    assert abs(draws.mean() - expected["mean"]) < 4 * error, label


def test_totals_shares_and_roas_agree(fit, reference):
    returns = mm.roas(fit, carryover=False)
    carried = mm.roas(fit)
    total = returns["incremental"].sum("geo")
    shares = total / total.sum("channel")
    for channel in fit.panel.channels:
        pick = lambda x, c=channel: x.sel(channel=c).values
        agrees(
            pick(total),
            reference["total_contribution_original_units_train"][channel],
            channel,
        )
        agrees(
            pick(shares), reference["contribution_share_among_channels"][channel], channel
        )
        in_window = reference["roas_in_window"][channel]
        agrees(pick(returns["roas_total"]), in_window, channel)
        expected = reference["roas_with_carryover"][channel] | {
            "mcse_mean": in_window["mcse_mean"]
        }
        agrees(pick(carried["roas_total"]), expected, channel)
        spend = float(returns["spend"].sel(channel=channel).sum())
        np.testing.assert_allclose(spend, reference["spend_train"][channel])
    agrees(total.sum("channel").values, reference["channels_total"], "all channels")


def test_uplift_of_the_reference_plan_in_sample_agrees(fit, reference):
    budget = reference["budget"]
    found = mm.counterfactual(fit, mm.reweight(fit, budget["multiplier"]))
    # The reference has no errors of these two: those of its ROAS give its effective draws.
    known = reference["roas_in_window"].values()
    draws = min((entry["sd"] / entry["mcse_mean"]) ** 2 for entry in known)
    for name, label in (
        ("uplift_contribution", "uplift_contribution_in_sample"),
        ("uplift_outcome", "uplift_sales_in_sample_predictive"),
    ):
        entry = budget[label]
        expected = entry | {"mcse_mean": entry["sd"] / np.sqrt(draws)}
        agrees(found[name].sel(geo="ALL").values, expected, label)
    p = budget["uplift_contribution_in_sample"]["p_gt_0"]
    expected = {"mean": p, "mcse_mean": np.sqrt(p * (1 - p) / draws)}
    for name in ("contribution", "outcome"):  # the reference's outcomes differ in noise too
        positive = found[f"difference_{name}"].sel(geo="ALL").values > 0
        agrees(positive.astype(float), expected, f"P({name} rises)")
    spend = found["spend"].sum("channel")
    np.testing.assert_allclose(*spend.transpose("scenario", "geo"), rtol=1e-12)


def test_crps_in_and_out_of_sample_is_within_one_per_cent(fit, case, reference):
    found = mm.scores(fit, case.test)
    expected = reference["crps"]
    assert found["crps_train"] == pytest.approx(
        expected["train_posterior_predictive"], rel=0.01
    )
    assert found["crps_test"] == pytest.approx(expected["test"], rel=0.01)


def test_channels_table_orders_channels_as_the_reference(fit):
    table = channels_table(fit).query("geo == 'ALL'").set_index("channel")
    assert list(table.index) == list(fit.panel.channels)
    assert set(table.roas_mean.nlargest(2).index) == {"Insert", "Online Display"}
    assert table.roas_mean.idxmin() == "Direct Mail"


def test_both_plans_agree_and_are_certified(fit, reference):
    found = compare(fit, reference["budget"])
    assert found["multiplier"] <= 0.01
    assert found["allocation_without_tv"] <= 0.01
    assert found["gap"] <= 1e-6
    for name in ("objective", "reference_objective", "objective_without_tv"):
        assert found[name] <= 4, name
