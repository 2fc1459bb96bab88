"""Two fits side by side: what moved, beside which error, on what both have."""

import json
from dataclasses import replace

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli import app
from mmmjax.comparing import Spending, compare
from tests.fits import make_fit, make_panel, make_spec

SIZE = {"chains": 4, "draws": 150}


@pytest.fixture(scope="module")
def pair():
    a, b = (make_fit(**SIZE, seed=seed) for seed in (0, 1))
    beta = 1.5 * a.draws.params["saturation_beta"]
    return a, b, make_fit(**SIZE, seed=0, saturation_beta=beta)


def test_other_draws_of_one_model_differ_by_monte_carlo_error_alone(pair):
    a, b, _ = pair
    found = compare(a, b, names=("one", "two"))
    assert [*found.differ["field"]] == ["seed"]
    row = found.returns.set_index("channel").loc["TV"]
    draws = [mm.roas(fit)["roas_total"].sel(channel="TV").values for fit in (a, b)]
    x, y = (np.array([v for chain in d for v in chain]) for d in draws)
    np.testing.assert_allclose(row["a"], sum(x) / len(x), rtol=1e-6)
    np.testing.assert_allclose(row["moved"], y.mean() - x.mean(), rtol=1e-6)
    # the draws are independent, so the error is that of two plain means (ESS within 30%)
    plain = np.sqrt(x.var() / len(x) + y.var() / len(y))
    np.testing.assert_allclose(row["error"], plain, rtol=0.3)
    tables = (found.returns, found.curves, found.parameters)
    z = np.concatenate([t["moved"] / t["error"] for t in tables])
    assert np.abs(z).max() < 4.5  # about 40 z-scores; one beyond 4.5 once in 4,000 runs
    assert any("Monte Carlo error" in one.message for one in found.findings())


def test_curves_are_those_of_mm_curves_at_the_same_spend(pair):
    a, _, c = pair
    found = compare(a, c).curves
    for fit, name in ((a, "a"), (c, "b")):
        every = mm.curves(fit, points=5, upto=1.0, total=True).sel(
            summary="mean", geo="ALL"
        )
        np.testing.assert_allclose(
            found[name].to_numpy(float), every["response"].values[:, 1:].ravel(), rtol=2e-5
        )
    paid = found["channel"] != "Mail"
    spend = mm.curves(a, points=5, upto=1.0, total=True)["spend"].values[0, :2, 1:]
    np.testing.assert_allclose(found.loc[paid, "spend"], spend.ravel(), rtol=1e-6)


def test_a_planted_difference_is_found_and_said_with_its_size(pair):
    a, _, c = pair
    found = compare(a, c, names=("old", "new"))
    rows = found.returns.set_index("channel")
    np.testing.assert_allclose(rows["b"], 1.5 * rows["a"], rtol=1e-5)
    assert rows["beyond_error"].all()
    said = [one for one in found.findings() if one.code == "moved"]
    assert said[0].level == "warning" or abs(said[0].value) <= 1
    assert any("roas of TV moved from" in one.what for one in said)
    assert any("saturation_beta" in one.what for one in said)
    assert not any("adstock_alpha" in one.what for one in said)
    text = str(found)
    assert "Compared: old (a) and new (b)" in text
    assert "beyond_error" in text
    assert "<script" not in replace(found, names=("<script>", "b"))._repr_html_()


def test_scores_are_of_the_cells_that_both_learnt_from(pair):
    a, _, _ = pair
    whole = compare(a, pair[1]).scores.set_index("score")
    np.testing.assert_allclose(
        whole.loc["crps", "a"], mm.scores(a)["crps_train"], rtol=1e-6
    )
    short = make_fit(**SIZE, panel=make_panel(periods=9))
    found = compare(a, short)
    assert "elpd" not in set(found.scores["score"])
    assert found.window == ("2022-01-02", "2022-02-27")


def test_elpd_is_that_of_leaving_one_out(pair):
    # noise so wide that no cell weighs: left out or not, its density is nearly the same
    wide = [np.full((4, 150), sd, np.float32) for sd in (2.0, 3.0)]
    fits = [make_fit(**SIZE, y_sigma=sd) for sd in wide]
    row = compare(*fits).scores.set_index("score").loc["elpd"]
    each = []
    for fit in fits:
        density = mm.log_likelihood(fit)["outcome"].values[..., fit.panel.mask]
        each.append([np.log(np.exp(cell).mean()) for cell in density.reshape(600, -1).T])
    parts = np.array(each[1]) - np.array(each[0])
    np.testing.assert_allclose(row["difference"], sum(parts), rtol=0.02)
    error = np.sqrt(len(parts) * parts.var(ddof=1))
    np.testing.assert_allclose(row["error"], error, rtol=0.1)


def test_what_one_lacks_is_named_and_the_rest_is_aligned(pair):
    a, _, _ = pair
    panel = make_panel(geos=("süd", "west"), periods=15)
    other = make_fit(**SIZE, panel=panel)
    found = compare(a, other)
    said = " ".join(found.apart)
    assert 'geos of a only: "north"' in said
    assert 'geos of b only: "west"' in said
    assert "3 periods of b only" in said
    for fit, name in ((a, "a"), (other, "b")):
        one = mm.roas(fit, found.window)
        gain = one["incremental"].sel(geo="süd", channel="TV")
        spend = float(one["spend"].sel(geo="süd", channel="TV"))
        row = found.returns.set_index("channel").loc["TV"]
        np.testing.assert_allclose(row[name], float(gain.mean()) / spend, rtol=1e-6)
    alone = make_fit(**SIZE, panel=make_panel(geos=("mars",)))
    found = compare(a, alone)
    assert any("no geo in both" in x for x in found.apart)
    assert (len(found.scores), len(found.returns)) == (0, 4)
    every = mm.roas(a)["roas_total"].sel(channel="TV").mean()
    np.testing.assert_allclose(found.returns["a"].iloc[0], float(every), rtol=1e-6)


def test_other_specs_and_data_are_named_by_field(pair):
    a, _, _ = pair
    priors = a.spec.priors | {
        "intercept": mm.Prior("Normal", loc=0.1, scale=0.2, dims="geo")
    }
    outcome = a.panel.outcome.copy()
    outcome[0, 2] *= 1.01
    other = make_fit(
        **SIZE,
        spec=replace(make_spec(), priors=priors),
        panel=replace(a.panel, outcome=outcome),
    )
    found = compare(a, other)
    rows = found.differ.set_index("field")
    assert rows.loc["priors.intercept.loc", ["kind", "a", "b"]].tolist() == [
        "spec",
        "0.4",
        "0.1",
    ]
    assert rows.loc["1 cells of outcome", "kind"] == "data"
    means = next(one for one in found.findings() if one.code == "differ").means
    assert "not known from the two alone" in means


def test_plans_stand_side_by_side_and_are_tried_on_both_fits(pair):
    a, _, c = pair
    plans = [mm.optimize(fit, periods=6, max_draws=600) for fit in (a, c)]
    found = compare(*plans)
    table = found.plans.set_index(["geo", "channel"])
    for name, plan in zip("ab", plans, strict=True):
        money = plan.to_frame().set_index(["geo", "channel"])["optimized"]
        np.testing.assert_allclose(table[name], money.loc[table.index])
    both = mm.evaluate(c, {"a": plans[0], "b": plans[1]})
    np.testing.assert_allclose(
        found.gains.set_index("fit").loc["b", "mean"],
        float(both["gain_mean"][1]),
        rtol=1e-6,
    )
    same = compare(a, c, plans=plans)
    np.testing.assert_allclose(same.gains["mean"], found.gains["mean"])
    given = [Spending(plan.optimized, 6) for plan in plans]
    np.testing.assert_allclose(
        compare(a, c, plans=given).gains["mean"], found.gains["mean"], rtol=1e-6
    )
    uneven = [given[0], given[1]._replace(even=False)]
    assert compare(a, c, plans=uneven).gains.empty
    said = [one for one in found.findings() if one.code == "plans"]
    assert len(said) == 1
    assert "Under b" in said[0].means or "the same" in said[0].what


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda a, p: compare(a, p), "two fits, or two plans"),
        (lambda a, p: compare(a, a, plans=[p]), "two: one plan of each fit"),
        (lambda a, p: compare(a, a, names=("x", "x")), "two different names"),
    ],
)
def test_what_cannot_be_compared_is_refused(pair, asked, message):
    plan = mm.optimize(pair[0], periods=6, max_draws=20)
    with pytest.raises(InputError, match=message):
        asked(pair[0], plan)


def test_no_channel_in_common_is_refused_and_no_media_at_all_is_not(pair):
    a, _, _ = pair
    frame = a.panel.to_frame().rename(columns={"TV": "Radio"})
    panel = mm.Panel.from_frame(
        frame,
        date="week",
        outcome="sales",
        geo="geo",
        media=["Radio"],
        controls=["holiday"],
    )
    with pytest.raises(InputError, match="no channel in both"):
        compare(a, make_fit(**SIZE, panel=panel))
    bare = mm.Panel.from_frame(
        frame, date="week", outcome="sales", geo="geo", media=[], controls=["holiday"]
    )
    one, two = (make_fit(**SIZE, panel=bare, seed=s) for s in (0, 1))
    found = compare(one, two)
    assert (len(found.returns), len(found.curves)) == (0, 0)
    assert len(found.scores)


def test_the_command_prints_writes_and_names_runs(pair, tmp_path, capsys):
    a, _, c = pair
    for name, fit in (("old", a), ("new", c)):
        (tmp_path / name).mkdir()
        mm.save(fit, tmp_path / name / "fit.nc")
        where = str(tmp_path / name)
        assert app.run(["optimize", where, "--periods", "6"]) in (0, 2)
    capsys.readouterr()
    out = tmp_path / "out"
    assert (
        app.run(
            ["compare", *(str(tmp_path / n) for n in ("old", "new")), "--out", str(out)]
        )
        == 0
    )
    text = capsys.readouterr().out
    assert "Under new the plan of new brings" in text or "both plans spend the same" in text
    assert "roas of TV moved from" in text
    told = json.loads((out / "compare.json").read_text())
    assert {one["code"] for one in told["findings"]} >= {"differ", "moved", "plans"}
    assert (
        (out / "compare_returns.csv").read_text().startswith("channel,quantity,a,b,moved")
    )
    assert app.run(["compare", str(tmp_path / "old"), str(tmp_path / "nothing")]) == 1
