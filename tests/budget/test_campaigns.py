"""Plans that split channels over campaigns, against loops over raw draws and grids."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.draws import Draws, Fit
from mmmjax.posterior.campaigns import money_effects
from mmmjax.prepare import prepare
from mmmjax.samplers import NUTS
from tests.posterior.test_campaigns import NAMES, SPECS, Of, columns, table

PERIODS = 6
PAIRS = [(c, k) for c, names in NAMES.items() for k in names]
DEARER = {("TV", "A"): 0.4, ("TV", "B"): 1.5, ("Search", "A"): 3.0}  # money a unit


def fit_of(spec=SPECS["usual"], geos=1, draws=6, seed=1, periods=26, costs=True, **data):
    """A fit of made-up draws, campaigns of different prices that move from week to week."""
    rng, frame = np.random.default_rng(seed), table(geos, periods, seed)
    for pair in PAIRS:
        name = " ".join(pair)
        price = DEARER.get(pair, 1.0) * rng.uniform(0.8, 1.2, len(frame))
        frame[f"{name} cost"] = frame[name] * price
    frame["TV cost"] = frame[[f"TV {k} cost" for k in NAMES["TV"]]].sum(axis=1)
    money = {c: {k: f"{c} {k} cost" for k in names} for c, names in NAMES.items()}
    money = money if costs else money | {"TV": "TV cost"}
    panel = mm.Panel.from_frame(
        frame, date="week", outcome="sales", media=columns(), outcome_value=2.0,
        spend=money | {"Radio": "Radio"}, geo="geo" if geos > 1 else None, **data,
    )  # fmt: skip
    ready = prepare(spec, panel)
    sizes, params = ready.spec.sizes(panel), {}
    for name in ready.spec.present(sizes):
        shape = (2, draws, *(sizes[d] for d in ready.spec.dims(name)))
        params[name] = rng.uniform(0.1, 0.6, shape)
        if name.rpartition(".")[2] == "campaign_effect":
            params[name] = rng.normal(0.0, 0.4, shape)
    return Fit(ready.spec, ready.panel, ready.scale, NUTS(), Draws(params), 0)


def money_of(plan, side):
    """{(geo, channel): {campaign: money over the window}}, a whole channel as ""."""
    unit = plan.periods if plan.per_period else 1
    out = {
        (geo, "Radio"): {"": float(plan_money)}
        for geo, plan_money in getattr(plan, side).sel(channel="Radio").to_series().items()
    }
    for row in plan.campaigns.to_dict("records"):
        out.setdefault((row["geo"], row["channel"]), {})[row["campaign"]] = row[side]
    return {key: {k: unit * x for k, x in own.items()} for key, own in out.items()}


def looped(fit, money):
    """Response of every draw, (draw, geo, channel), one period at a time."""
    panel, spent = fit.panel, fit.panel.to_frame()
    spent = spent.assign(geo=spent.get("geo", panel.geos[0]))
    out = []
    for chain, draw in itertools.product(range(2), range(fit.draws.n_draws)):
        one = {n: x[chain, draw] for n, x in fit.draws.params.items()}
        for g, geo in enumerate(panel.geos):
            mine = spent[spent["geo"] == geo].iloc[panel.history :]
            for channel in panel.channels:
                plan = money[geo, channel]
                of = Of(fit, one, channel, g) if channel != "Radio" else radio(fit, one, g)
                parts = []
                for k, amount in plan.items():
                    price, weight = 1.0, 1.0
                    if k:
                        price = mine[f"{channel} {k} cost"].sum()
                        price /= mine[f"{channel} {k}"].sum()
                        weight = weight_of(of, spent, channel, k, panel.history)
                    media = np.zeros(PERIODS + of.term.adstock.max_lag - 1)
                    media[:PERIODS] = amount / PERIODS / price
                    parts.append(weight * media / of.unit)
                out.append(of.brought(np.stack(parts)).sum())
    shape = (2 * fit.draws.n_draws, panel.n_geos, len(panel.channels))
    return np.array(out).reshape(shape)


def radio(fit, one, g):
    """Numbers of a channel without campaigns."""
    of = object.__new__(Of)
    spec, panel = fit.spec, fit.panel
    of.term = next(t for t in spec.media[::-1] if not t.channels or "Radio" in t.channels)
    labels = spec.labels(panel)[spec.dim(of.term, "channel")]
    of.unit = fit.scale.media[g, panel.channels.index("Radio")]
    of.size = fit.scale.outcome[g]
    kernel = ("adstock_alpha", "saturation_lam", "saturation_beta")
    values = (one[spec.full(of.term, n)] for n in kernel)
    at = labels.index("Radio")
    of.alpha, of.lam, of.beta = (float((x[g] if x.ndim == 2 else x)[at]) for x in values)
    return of


def weight_of(of, frame, channel, k, history):
    """exp(e_k) over its mean by the media of training of all geos."""
    media = {
        j: sum(own[f"{channel} {j}"].to_numpy()[history:].sum()
               for _, own in frame.groupby("geo"))
        for j in NAMES[channel]
    }  # fmt: skip
    whole = sum(media.values())
    mean = sum(np.exp(of.effect(j)) * x / whole for j, x in media.items())
    return np.exp(of.effect(k)) / mean


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize(
    ("spec", "geos"),
    [("usual", 1), ("usual", 3), ("saturation first", 1), ("by geo", 2), ("two terms", 1)],
)
def test_what_a_plan_brings_against_loops(spec, geos):
    fit = fit_of(SPECS[spec], geos)
    plan = mm.optimize(fit, periods=PERIODS, campaigns=True)
    assert plan.certified
    for side in ("reference", "optimized"):
        each = looped(fit, money_of(plan, side))
        found = plan.response_by_channel.sel(plan=side).transpose("draw", "channel")
        np.testing.assert_allclose(found, each.sum(1), rtol=1e-9)
    sums = plan.campaigns.groupby(["geo", "channel"], sort=False)[
        ["reference", "optimized"]
    ]
    whole = plan.to_frame().set_index(["geo", "channel"])
    for key, row in sums.sum().iterrows():
        np.testing.assert_allclose(row, whole.loc[key, ["reference", "optimized"]])
    back = mm.evaluate(fit, plan)
    np.testing.assert_allclose(
        back["response"].sel(plan="plan"), plan.response.sel(plan="optimized"), rtol=1e-9
    )
    np.testing.assert_allclose(
        back["response"].sel(plan="reference"), plan.response.sel(plan="reference"),
        rtol=1e-9,
    )  # fmt: skip


def test_as_in_training_it_is_the_plan_of_channels():
    """In one geo the past split meets the channel's own curve, whatever the weights."""
    fit = fit_of()
    plain = mm.optimize(fit, periods=PERIODS)
    held = mm.optimize(fit, periods=PERIODS, campaigns=0.0)
    assert held.certified
    np.testing.assert_allclose(held.objective, plain.objective, rtol=1e-9)
    np.testing.assert_allclose(held.optimized, plain.optimized, rtol=1e-6)
    np.testing.assert_allclose(held.campaigns["share"], held.campaigns["share_reference"])
    assert set(held.campaigns["binding"]) == {"fixed"}
    free = mm.optimize(fit, periods=PERIODS, campaigns={"TV": True})
    assert set(free.campaigns["channel"]) == {"TV"}
    assert free.objective > plain.objective
    assert free.reference_objective == pytest.approx(plain.reference_objective, rel=1e-9)


UTILITIES = ["mean_response", "mean_tightness(alpha=0.9)", "conditional_value_at_risk(0.8)"]


@pytest.mark.parametrize("utility", UTILITIES)
def test_against_every_split_of_a_grid(utility):
    """Two campaigns, the money of channels held: no point of a grid is better."""
    fit = fit_of(draws=40)
    held = {"TV": 2000.0, "Radio": 500.0, "Search": 3000.0}
    how = {"periods": PERIODS, "utility": utility, "reference": held, "fixed": [*held]}
    given = {"Search": {"A": (0.05, 0.9), "*": (0.0, 1.0)}}
    plan = mm.optimize(fit, campaigns=given, **how)
    assert plan.certified is ("tightness" not in utility)  # that is not concave
    rows = plan.campaigns.set_index("campaign")
    assert rows.loc["A", "share_least"] == pytest.approx(0.05)
    assert rows.loc["B", "share_least"] == pytest.approx(0.1)
    plans = {"best": plan}
    for share in np.linspace(0.05, 0.9, 35):
        split = pd.DataFrame(plan.campaigns)
        split["share"] = np.where(split["campaign"] == "A", share, 1 - share)
        plans[f"{share}"] = dataclasses.replace(plan, campaigns=split)
    found = mm.evaluate(fit, plans, utilities=[utility])["utility_value"].to_numpy()
    assert found[0] == pytest.approx(plan.objective, rel=1e-9)
    best, least = found[1:].max(), found[1:].min()
    assert plan.objective >= best - 1e-9 * abs(best)
    assert plan.objective - best < 0.02 * (best - least)
    if utility == "mean_response":  # one money is always the best: a corner
        assert set(rows["binding"]) == {"lower", "upper"}


def test_risk_splits_within_the_bounds():
    """Each of two campaigns is far better in half of the draws: both of them, alike."""
    fit = fit_of(draws=40, costs=False, seed=3)
    params = dict(fit.draws.params)
    at = list(fit.panel.campaigns.labels)
    effect = np.zeros_like(params["campaign_effect"])
    swing = np.resize([1.5, -1.5], effect.shape[:2])  # prices are less apart
    effect[..., at.index("Search: A")] = swing
    effect[..., at.index("Search: B")] = -swing
    others = {n: np.broadcast_to(x[:1, :1], x.shape) for n, x in params.items()}
    drawn = Draws(others | {"campaign_effect": effect})
    fit = dataclasses.replace(fit, draws=drawn)
    how = {"periods": PERIODS, "campaigns": {"Search": {"*": (0.0, 1.0)}}, "bounds": 0.0}
    safe = mm.optimize(fit, utility="conditional_value_at_risk(0.6)", **how)
    one, other = np.asarray(money_effects(fit, None))[:2, 3:]  # A and B, in either world
    alike = (other - one)[1] / ((one - other)[0] + (other - one)[1])
    share = safe.campaigns.set_index("campaign")["share"]
    bold = mm.optimize(fit, **how).campaigns.set_index("campaign")["share"]
    assert set(bold.round(6)) == {0.0, 1.0}
    assert share["A"] == pytest.approx(alike, abs=1e-6)
    assert 0.1 < alike < 0.9
    spread = safe.response.sel(plan="optimized").std()
    assert float(spread) < 1e-6 * safe.objective  # both worlds bring the same


def test_bounds_are_kept():
    fit = fit_of(geos=3)
    given = {"TV": {"A": 0.1, "B": (0.0, 0.2), "*": ("0.5x", "3x")}, "Search": 0.25}
    plan = mm.optimize(fit, periods=PERIODS, campaigns=given, bounds=(0.0, 3.0))
    assert plan.certified
    off = plan.campaigns["binding"] == "off"
    without = plan.campaigns[off].groupby(["geo", "channel"])["optimized"].sum()
    assert (without == 0).all()
    assert len(without) > 1
    assert plan.campaigns.loc[off, "share"].isna().all()
    rows = plan.campaigns[~off]
    past = rows["share_reference"]
    wide = {"A": (0.9 * past, 1.1 * past), "B": (0.0, 0.2), "C": (0.5 * past, 3 * past)}
    for k, (low, high) in wide.items():
        mine = (rows["channel"] == "TV") & (rows["campaign"] == k)
        share = rows.loc[mine, "share"]
        assert (share >= (low if np.isscalar(low) else low[mine]) - 1e-9).all()
        assert (share <= (high if np.isscalar(high) else high[mine]) + 1e-9).all()
    search = rows["channel"] == "Search"
    assert (abs(rows.loc[search, "share"] / past[search] - 1) <= 0.25 + 1e-9).all()
    assert (rows["share_least"] <= rows["share"] + 1e-9).all()
    assert (rows["share"] <= rows["share_most"] + 1e-9).all()
    assert rows.groupby(["geo", "channel"])["share"].sum().round(9).eq(1).all()
    assert max(plan.residuals.values()) < 1e-6


def test_the_marginal_is_that_of_a_little_more_money():
    fit = fit_of()
    plan = mm.optimize(fit, periods=PERIODS, campaigns=True)
    money = money_of(plan, "optimized")
    for row in plan.campaigns.to_dict("records"):
        more = {key: dict(own) for key, own in money.items()}
        more[row["geo"], row["channel"]][row["campaign"]] += 0.01
        rise = looped(fit, more).sum((1, 2)) - looped(fit, money).sum((1, 2))
        assert rise.mean() / 0.01 == pytest.approx(row["marginal"], rel=1e-4)


def test_one_split_for_all_geos_where_their_shares_are_held():
    fit = fit_of(geos=2)
    plan = mm.optimize(fit, periods=PERIODS, campaigns=True, fixed_geo_split=True)
    assert plan.certified
    shares = plan.campaigns.pivot_table("share", ["channel", "campaign"], "geo", sort=False)
    np.testing.assert_allclose(shares["g0"], shares["g1"], rtol=1e-9)
    each = looped(fit, money_of(plan, "optimized"))
    found = plan.response_by_channel.sel(plan="optimized")
    np.testing.assert_allclose(found, each.sum(1), rtol=1e-9)


@pytest.mark.slow(parts=6)
def test_several_markets_and_one_without_campaigns():
    one, two = fit_of(), fit_of(seed=5)
    bare = dataclasses.replace(two.panel, campaigns=None)
    ready = prepare(SPECS["usual"], bare)
    kept = {n: x for n, x in two.draws.params.items() if not n.startswith("campaign")}
    plain = Fit(ready.spec, bare, ready.scale, NUTS(), Draws(kept), 0)
    fits = {"de": one, "fr": two, "it": plain}
    plan = mm.optimize(fits, periods=PERIODS, campaigns=True)
    assert plan.certified
    assert set(plan.campaigns["geo"]) == {"de", "fr"}
    for name in ("de", "fr"):
        money = {("national", c): own for (g, c), own in money_of(plan, "optimized").items()
                 if g == name}  # fmt: skip
        found = looped(fits[name], money).sum((1, 2)).mean()
        every = mm.evaluate(fits, plan)
        alone = every["marginal"].sel(geo=name).notnull()
        assert bool(alone.all())
        rows = plan.campaigns[plan.campaigns["geo"] == name]
        parts = dataclasses.replace(
            mm.optimize(fits[name], periods=PERIODS, campaigns=0.0),
            campaigns=rows.assign(geo="national"),
            optimized=plan.optimized.sel(geo=[name]).assign_coords(geo=["national"]),
            spend_by_period=plan.spend_by_period.sel(geo=[name]).assign_coords(
                geo=["national"]
            ),
        )
        back = mm.evaluate(fits[name], {"a": parts})["response_mean"]
        assert float(back[0]) == pytest.approx(found, rel=1e-9)
    only = mm.optimize(fits, periods=PERIODS, campaigns={"de": {"TV": 0.2}})
    assert set(zip(only.campaigns["geo"], only.campaigns["channel"], strict=True)) == {
        ("de", "TV")
    }


def test_spend_that_one_channel_lacks_is_known_of_another():
    own = fit_of(costs=False).panel.campaigns
    of = np.array(own.channels)
    assert np.isnan(own.spend[..., of == "TV"]).all()
    assert np.isfinite(own.spend[..., of == "Search"]).all()


@pytest.mark.slow(parts=6)
def test_other_requests_hold_with_campaigns():
    fit = fit_of()
    how = {"periods": PERIODS, "campaigns": True, "bounds": (0.0, 2.0)}
    whole = mm.optimize(fit, **how)
    less = mm.optimize(fit, until_mroas=1.02 * whole.shadow_price, **how)
    assert less.certified
    assert float(less.optimized.sum()) < float(whole.optimized.sum())
    limits = [mm.constraints.minimum_if_on({"Search": 100.0})]
    on = mm.optimize(fit, constraints=limits, **how)
    search = float(on.optimized.sel(channel="Search").sum())
    assert search == 0 or search >= 100 - 1e-6
    assert on.objective == pytest.approx(whole.objective, rel=1e-6)
    level = 0.98 * whole.objective / float(whole.optimized.sum())
    floor = mm.optimize(fit, constraints=[mm.constraints.roas_floor(level)], **how)
    assert floor.objective == pytest.approx(whole.objective, rel=1e-5)
    goal = mm.optimize(fit, target=0.9 * whole.objective, **how)
    assert goal.objective == pytest.approx(0.9 * whole.objective, rel=1e-5)
    levels = mm.frontier(fit, [1000.0, 3000.0], **how)
    assert bool(levels["certified"].all())
    dates = ("2024-02-05", "2024-04-01")
    some = mm.optimize(fit, reference=dates, **how).campaigns
    assert not np.allclose(some["share_reference"], whole.campaigns["share_reference"])
    weights = mm.optimize(fit, flighting={"TV": [1, 0, 0, 0, 0, 1]}, **how)
    assert weights.certified
    late = mm.optimize(fit, carry_in="history", **how)
    back = mm.evaluate(fit, late)
    np.testing.assert_allclose(
        back["response"].sel(plan="plan"), late.response.sel(plan="optimized"), rtol=1e-9
    )


def test_money_over_time_and_noise_with_campaigns():
    fit = fit_of()
    plan = mm.optimize(fit, periods=PERIODS, campaigns=True)
    found = mm.evaluate(fit, plan, discount_rate=0.0)
    worth = 2.0 * found["response_mean"] - found["total_spend"]
    np.testing.assert_allclose(found["npv_mean"], worth, rtol=1e-9)
    still = mm.evaluate(fit, plan, spend_noise=1e-9)
    np.testing.assert_allclose(still["response"], found["response"], rtol=1e-6)
    plain, held = (
        mm.evaluate(fit, mm.optimize(fit, periods=PERIODS, campaigns=by), spend_noise=0.5)
        for by in (None, 0.0)
    )  # the luck is that of a channel
    np.testing.assert_allclose(held["response"], plain["response"], rtol=1e-6)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("geos", [1, 3])
def test_a_forecast_of_the_plan_buys_its_campaigns(geos):
    """As if the media of campaigns had been written into a table of the window."""
    fit = fit_of(geos=geos)
    plan = mm.optimize(fit, periods=PERIODS, campaigns=True)
    found = mm.forecast_plan(fit, plan, noise=False)
    sides = []
    for side in ("reference", "optimized"):
        frame = fit.panel.to_frame()
        frame = frame.assign(geo=frame.get("geo", fit.panel.geos[0]))
        rows, money = [], money_of(plan, side)
        for geo, own in frame.groupby("geo"):
            own = own.iloc[fit.panel.history :]
            ahead = {"week": found["date"].to_numpy(), "geo": geo}
            for (g, channel), parts in money.items():
                for k, amount in parts.items() if g == geo else ():
                    name = f"{channel} {k}".strip()
                    price = own[f"{name} cost"].sum() / own[name].sum() if k else 1.0
                    ahead[name] = amount / PERIODS / price
                    ahead[f"{name} cost"] = amount / PERIODS
            rows.append(pd.DataFrame(ahead))
        future = fit.panel.read_future(
            pd.concat(rows).drop(columns="geo" if geos == 1 else [])
        )
        brought = mm.contributions(fit, future)
        sides.append(brought["channel_total"].sum(["geo", "channel"]).to_numpy().ravel())
    gain = found["gain"].to_numpy()
    np.testing.assert_allclose(gain, sides[1] - sides[0], rtol=1e-4, atol=1e-4)


def test_words_and_files(tmp_path):
    fit = fit_of()
    plan = mm.optimize(fit, periods=PERIODS, campaigns=True)
    said = [one.what for one in plan.facts() if one.code == "campaigns"]
    assert len(said) == 2
    assert said[0].startswith("share of TV: ")
    rows = plan.campaigns[plan.campaigns["channel"] == "Search"].set_index("campaign")
    for k in ("A", "B"):
        assert f"{k} {100 * rows.loc[k, 'share_reference']:.0f}% to" in said[1]
    told = plan.to_dict()["campaigns"]
    assert [(r["channel"], r["campaign"]) for r in told] == PAIRS
    assert "campaigns" not in mm.optimize(fit, periods=PERIODS).to_dict()


REFUSED = {
    "unknown channel": ({"TV": True, "Serach": True}, 'did you mean "Search"'),
    "no campaigns": ({"Radio": True}, "no campaigns"),
    "unknown campaign": ({"TV": {"D": 0.2}}, "its campaigns"),
    "text": ("all", "its share"),
    "far": (1.5, "1.5"),
    "money": ({"TV": {"A": (100.0, 200.0)}}, "a share of the channel"),
    "no x": ({"TV": {"A": ("0.5", "2")}}, "times its share"),
    "turned": ({"TV": {"A": (0.5, 0.2)}}, "least <= largest"),
    "too much": ({"Search": {"*": (0.6, 0.9)}}, "add up to 1.2"),
    "too little": ({"Search": {"*": (0.0, 0.4)}}, "add up to 0.8"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_split(given, words):
    with pytest.raises(mm.InputError, match=words):
        mm.optimize(fit_of(), periods=PERIODS, campaigns=given)


def test_what_does_not_go_together():
    fit = fit_of()
    how = {"periods": PERIODS, "campaigns": True}
    with pytest.raises(mm.InputError, match="weights of the periods"):
        mm.optimize(fit, flighting="optimal", **how)
    with pytest.raises(mm.InputError, match="rises with what is bought"):
        mm.optimize(fit, cost_per_unit={"TV": {"elasticity": 0.2}}, **how)
    with pytest.raises(mm.InputError, match="what each of them cost"):
        mm.optimize(fit_of(costs=False), **how)
    some = mm.optimize(fit_of(costs=False), periods=PERIODS, campaigns={"Search": 0.5})
    assert set(some.campaigns["channel"]) == {"Search"}
    plan = mm.optimize(fit, **how)
    with pytest.raises(mm.InputError, match="channels alone"):
        mm.knowledge(fit, plan)
    with pytest.raises(mm.InputError, match="channels alone"):
        mm.planner(fit, "page.html", plan)
    bare = dataclasses.replace(fit.panel, campaigns=None)
    ready = prepare(fit.spec, bare)
    kept = {n: x for n, x in fit.draws.params.items() if not n.startswith("campaign")}
    plain = Fit(ready.spec, bare, ready.scale, NUTS(), Draws(kept), 0)
    for call in (
        lambda: mm.optimize(plain, **how),
        lambda: mm.evaluate(plain, plan),
        lambda: mm.forecast_plan(plain, plan),
        lambda: mm.optimize({"a": plain, "b": plain}, **how),
    ):
        with pytest.raises(mm.InputError, match="campaigns"):
            call()


def test_levers_beside_campaigns():
    """The media of the best margin are the plan of campaigns at that margin."""
    frame, rng = table(1), np.random.default_rng(0)
    frame["price"] = rng.uniform(1.8, 2.4, len(frame))
    levers = (mm.terms.Controls(levers={"price": "mean"}),)
    spec = mm.Spec(mm.adstock.Geometric(max_lag=4), seasonality=None, terms=levers)
    panel = mm.Panel.from_frame(
        frame, date="week", outcome="sales", media=columns(), controls=["price"]
    )
    ready = prepare(spec, panel)
    sizes, params = ready.spec.sizes(panel), {}
    for name in ready.spec.present(sizes):
        shape = (2, 6, *(sizes[d] for d in ready.spec.dims(name)))
        params[name] = rng.uniform(0.1, 0.6, shape)
    fit = Fit(ready.spec, ready.panel, ready.scale, NUTS(), Draws(params), 0)
    how = {"periods": PERIODS, "campaigns": True}
    price = {"kind": "price", "unit_cost": 1.1, "range": [1.8, 2.4]}
    plan = mm.optimize(fit, levers={"price": price}, utility="profit", **how)
    alone = mm.optimize(fit, utility=mm.utility.profit(plan.levers.margin[1]), **how)
    np.testing.assert_allclose(plan.optimized, alone.optimized, rtol=1e-6)
    np.testing.assert_allclose(plan.campaigns["share"], alone.campaigns["share"], rtol=1e-6)
