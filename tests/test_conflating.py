"""Drift or saturation: the two models, the report on them, and the flighting that tells."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli.app import run
from mmmjax.conflating import KINDS, as_drift_and_saturation, told
from mmmjax.posterior.multipliers import drawn
from mmmjax.prepare import prepare
from tests.fits import make_fit

SPEC = mm.Spec(adstock=mm.adstock.Geometric(4), seasonality=None)
PERIODS, NOISE = 5, 2.0


def market(drifts, seed=0, weeks=78, geos=1):
    """Two channels; the spend of TV grows, and it bends or fades strongly."""
    rng = np.random.default_rng([seed, drifts])
    frames = []
    for g in range(geos):
        media = rng.gamma(4.0, 15.0, (2, weeks)) * (rng.random((2, weeks)) < 0.9)
        media[0] *= np.linspace(0.5, 1, weeks)
        share = media / media.max(1, keepdims=True)
        truth = np.tanh(2.5 * share) / np.tanh(2.5)
        if drifts:
            truth[0] = share[0] * np.exp(-1.5 * np.arange(weeks) / weeks)
        sales = 100 + np.array([60.0, 40.0]) @ truth + rng.normal(0, NOISE, weeks)
        frame = pd.DataFrame({"sales": sales, "TV": media[0], "Search": media[1]})
        frame["week"] = pd.date_range("2023-01-01", periods=weeks, freq="W-SUN")
        frames.append(frame.assign(geo=f"g{g}"))
    return mm.Panel.from_frame(
        pd.concat(frames), date="week", outcome="sales", media=["TV", "Search"],
        geo="geo" if geos > 1 else None,
    )  # fmt: skip


@pytest.fixture(scope="module", params=[1, 2], ids=["one market", "two geos"])
def found(request):
    """A report of made-up draws."""
    panel = market(False, weeks=30, geos=request.param)
    ways = as_drift_and_saturation(prepare(SPEC, panel).spec, panel, "TV")
    pair = {}
    for kind, spec in ways.items():
        priors = {n: p.typical for n, p in prepare(spec, panel).spec.priors.items()}
        spec = dataclasses.replace(spec, priors=priors)
        rng = np.random.default_rng(1)
        sizes = prepare(spec, panel).spec.sizes(panel)
        size = {n: (2, 40, *(sizes[d] for d in spec.dims(n))) for n in spec.present(sizes)}
        moves = {n: rng.normal(0, 0.5, s) for n, s in size.items() if "moving" in n}
        moves |= {n: rng.uniform(0.3, 0.8, (2, 40)) for n in moves if "length" in n}
        alphas = {n: rng.beta(2.0, 4.0, s) for n, s in size.items() if "alpha" in n}
        pair[kind] = make_fit(2, 40, spec, panel, dtype=np.float64, **moves, **alphas)
    return mm.Conflation(pd.DataFrame([told("TV", pair)]), {"TV": pair})


def test_the_two_models_differ_in_one_channel_and_keep_its_priors():
    alpha = mm.Prior("Beta", alpha=[2.0, 3.0], beta=[5.0, 6.0])
    spec = mm.Spec(
        adstock=mm.adstock.Geometric(4), saturation=mm.saturation.Hill(), seasonality=None,
        priors={"adstock_alpha": alpha, "intercept": mm.Prior("Normal", loc=0.1, scale=1)},
    )  # fmt: skip
    ways = as_drift_and_saturation(spec, market(False), "Search")
    assert tuple(ways) == KINDS
    for kind, made in ways.items():
        rest, watched = made.media
        assert (rest.saturation, rest.moving) == (mm.saturation.Hill(), ())
        assert watched.channels == ("Search",)
        assert bool(watched.moving) is (kind == "drift")
        linear = isinstance(watched.saturation, mm.saturation.NoSaturation)
        assert linear is (kind == "drift")
        said = {name: dict(made.priors[name].params) for name in made.priors}
        assert said["adstock_alpha"]["concentration1"] == (2.0,)
        assert said["watched.adstock_alpha"]["concentration0"] == (6.0,)
        assert said["intercept"]["loc"] == 0.1
    alone = mm.Spec(terms=(mm.terms.Media(name="own", channels=["TV", "Search"]),))
    for made in as_drift_and_saturation(alone, market(False), "TV").values():
        assert {t.name: t.channels for t in made.media if t.channels} == {
            "own": ("Search",), "watched": ("TV",),
        }  # fmt: skip


def test_the_row_of_a_channel(found):
    (row,), pair = found.table.to_dict("records"), found.fits["TV"]
    parts = {}
    for kind in KINDS:
        made = mm.contributions(pair[kind], total=True)["channel_contribution"]
        mean, lo, hi = made.sel(channel="TV").to_numpy()[:, 0]
        parts[kind] = mean, (hi - lo) / (2 * stats.norm.ppf(0.97))
    panel = pair["drift"].panel
    spend = np.asarray(panel.spend)[:, panel.window, 0].sum(0)
    shared = []
    for t in np.flatnonzero(spend):  # of two normals, by a sum over a grid
        (m, s), (n, r) = ((x[t] for x in parts[kind]) for kind in KINDS)
        grid = np.linspace(min(m, n) - 9 * max(s, r), max(m, n) + 9 * max(s, r), 4001)
        root = np.sqrt(stats.norm.pdf(grid, m, s) * stats.norm.pdf(grid, n, r))
        shared.append(np.trapezoid(root, grid))
    assert row["overlap"] == pytest.approx(np.mean(shared), rel=1e-3)
    moved = mm.multipliers(pair["drift"], after=0)["mean"].to_numpy()
    strong = spend[(spend > 0) & (moved[: len(spend)] >= 1)]
    assert row["strong_lo"] == pytest.approx(np.quantile(strong, 0.1))
    assert 0 <= row["shared"] <= 1
    assert row["verdict"] in (*KINDS, "cannot tell")
    assert ("mm.separate" in str(found)) is (row["verdict"] == "cannot tell")


def test_the_distance_is_that_of_clouds_of_loops(found):
    """Outcomes of every draw by their equations, then q by inverting a covariance."""
    plan = mm.separate(found, "TV", periods=PERIODS)
    first = found.fits["TV"]["saturation"]
    panel, outcome = first.panel, np.asarray(first.scale.outcome)
    spend, geos = np.asarray(panel.spend)[:, panel.window], panel.n_geos
    mean = spend.mean(1)
    made = mm.contributions(first, total=True)["mu"].sel(summary="mean").to_numpy()[0]
    noise = np.var(np.asarray(panel.outcome)[:, panel.window].sum(0) - made)
    ahead = pd.date_range(panel.dates[-1], periods=PERIODS + 1, freq="W-SUN")[1:]
    told_of = []
    for column in ("spend", "even"):
        level = plan.table[column].to_numpy() / plan.table["even"].to_numpy()
        means, cover = [], noise * np.eye(PERIODS)
        for kind, fit in found.fits["TV"].items():
            flat, scale = fit.flat(), fit.scale.media_next(panel)
            moves = drawn(fit, ahead, panel.n_periods)
            cloud = np.zeros((len(moves), PERIODS))
            for d, g, c in np.ndindex(len(moves), geos, 2):
                own = "watched." if c == 0 else ""
                value = lambda n, d=d, g=g, own=own, flat=flat: float(
                    np.broadcast_to(np.asarray(flat[own + n][d]).reshape(-1), (geos,))[g]
                )
                weights = value("adstock_alpha") ** np.arange(4)
                weights /= weights.sum()
                later = mean[g, c] * (level if c == 0 else np.ones(PERIODS))
                for money, sign in ((later, 1), (0 * later, -1)):
                    whole = np.concatenate([spend[g, :, c], money]) / scale[g, c]
                    for t in range(PERIODS):
                        at = len(whole) - PERIODS + t
                        x = sum(weights[k] * whole[at - k] for k in range(4))
                        if not (c == 0 and kind == "drift"):
                            x = np.tanh(value("saturation_lam") * x / 2)
                        x *= value("saturation_beta") * moves[d, g, c, t]
                        cloud[d, t] += sign * x * outcome[g]
            base = np.asarray(flat["intercept"], float).reshape(len(cloud), -1)
            cloud += (np.broadcast_to(base, (len(cloud), geos)) @ outcome)[:, None]
            means.append(cloud.mean(0))
            cover += np.cov(cloud.T) / 2
        apart = means[0] - means[1]
        told_of.append(apart @ np.linalg.inv(cover) @ apart)
    got = [(plan.contraction, plan.chance), plan.even]
    for q, (contraction, chance) in zip(told_of, got, strict=True):
        assert contraction == pytest.approx(q / 4 / (1 + q / 4), rel=1e-6)
        assert chance == pytest.approx(stats.norm.cdf(np.sqrt(q) / 2), rel=1e-6)


def test_the_flighting_keeps_its_limits_and_beats_others(found):
    plan = mm.separate(found, "TV", periods=PERIODS, budget=500.0, limits=(0.5, 1.8))
    spend = plan.table["spend"].to_numpy()
    assert spend.sum() == pytest.approx(500.0)
    assert (spend >= 50.0 - 1e-6).all()
    assert (spend <= 180.0 + 1e-6).all()
    assert plan.chance > plan.even[1]
    narrow = mm.separate(found, "TV", periods=PERIODS, budget=500.0, limits=(0.8, 1.2))
    assert narrow.chance <= plan.chance
    assert "names the right one" in str(plan)


def test_what_cannot_be_asked(found):
    panel = found.fits["TV"]["drift"].panel
    with pytest.raises(InputError, match="with a panel"):
        mm.conflation(panel)
    with pytest.raises(InputError, match='did you mean "TV"'):
        mm.conflation(panel, SPEC, channels=["Tv"])
    with pytest.raises(InputError, match="channels of the report"):
        mm.separate(found, "Search")
    with pytest.raises(InputError, match="limits"):
        mm.separate(found, "TV", limits=(1.2, 2.0))


def test_a_channel_beside_one_that_is_watched_already():
    panel = market(False)
    spec = as_drift_and_saturation(SPEC, panel, "TV")["drift"]
    for made in as_drift_and_saturation(spec, panel, "Search").values():
        owners = [made.media[i].name for i in made.owners(panel)]
        assert owners == ["watched", "watched_Search"]


@pytest.mark.slow
def test_the_command_says_and_writes_both(tmp_path, capsys):
    panel = market(False, weeks=52)
    fit = mm.fit(SPEC, panel, mm.NUTS(chains=2, warmup=50, draws=50, until=None), seed=0)
    mm.save(fit, tmp_path / "fit.nc")
    run(["conflation", str(tmp_path), "--channel", "TV", "--separate", "6"])
    said = capsys.readouterr().out
    assert "names the right one" in said
    table = pd.read_csv(tmp_path / "conflation" / "conflation.csv")
    assert list(table["channel"]) == ["TV"]
    plan = pd.read_csv(tmp_path / "conflation" / "separate_1.csv")
    assert plan["spend"].sum() == pytest.approx(plan["even"].sum())
    run(["conflation", str(tmp_path), "--channel", "Search"])
    both = pd.read_csv(tmp_path / "conflation" / "conflation.csv")
    assert list(both["channel"]) == ["TV", "Search"]  # nothing computed is lost
    pd.testing.assert_frame_equal(both[:1], table)
    aside = tmp_path / "aside"
    aside.mkdir()
    both[:1].to_csv(aside / "conflation.csv", index=False)  # of who knows which fit
    run(["conflation", str(tmp_path), "--channel", "Search", "--out", str(aside)])
    assert list(pd.read_csv(aside / "conflation.csv")["channel"]) == ["Search"]
    mm.save(fit, tmp_path / "fit.nc")  # another fit, of which TV's row is not
    run(["conflation", str(tmp_path), "--channel", "Search"])
    only = pd.read_csv(tmp_path / "conflation" / "conflation.csv")
    assert list(only["channel"]) == ["Search"]


@pytest.mark.slow
@pytest.mark.parametrize("drifts", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_was_planted_is_named_or_left_open(drifts, seed):
    """Wrong in at most a fifth of markets (benchmarks/conflation.py), so not in these."""
    sampler = mm.HMC(chains=4, warmup=250, draws=200)
    found = mm.conflation(market(drifts, seed), SPEC, channels=["TV"], sampler=sampler)
    wrong = KINDS[0] if drifts else KINDS[1]
    assert found.table["verdict"][0] != wrong
