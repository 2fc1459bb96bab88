"""Refreshed fits: units and clock that stay, rows that count once, and what moved why."""

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import log_density

import mmmjax as mm
from mmmjax import simulate
from mmmjax.checks import InputError
from mmmjax.model import model_data, program
from mmmjax.prior import Prior
from mmmjax.refreshing import weights
from mmmjax.response import make_inputs

SHORT = mm.HMC(chains=4, warmup=250, draws=400)


def world(geos=1, periods=90, seed=2):
    return simulate.generate(
        periods=periods, channels=2, controls=1, geos=geos, seed=seed, test_periods=0
    )


@pytest.fixture(scope="module")
def run():
    made = world()
    train, _ = made.panel.split(made.panel.dates[71])
    old = mm.fit(made.spec, train, SHORT)
    return made, train, old, mm.refresh(old, made.panel, seed=1, discount=0.5)


def test_units_and_clock_stay_and_all_rows_are_there(run):
    made, train, old, new = run
    for name in ("outcome", "media", "cost_per_unit"):
        np.testing.assert_array_equal(getattr(new.scale, name), getattr(old.scale, name))
    np.testing.assert_array_equal(new.panel.outcome, made.panel.outcome)
    assert new.spec == old.spec
    x = make_inputs(new.spec, new.panel, new.scale)["trend.time"]
    later = made.panel.split(train.dates[-1])[1]
    ahead = make_inputs(old.spec, later, old.scale, train)["trend.time"]
    then = make_inputs(old.spec, train, old.scale)["trend.time"]
    np.testing.assert_array_equal(x, np.concatenate([then, ahead]))
    assert x.max() > 1  # not squeezed into one window again
    assert "refreshed with 18 outcomes" in new.info["notes"][0]
    assert mm.diagnostics(new).max_r_hat < 1.03


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("geos", [1, 3])
def test_older_outcomes_count_by_the_discount_and_no_row_twice(geos):
    made = world(geos, 40)
    ready = mm.fit(made.spec, made.panel, mm.Laplace(draws=100))
    data = model_data(ready.spec, ready.panel, ready.scale)
    first = {"from": str(made.panel.dates[20].date()), "discount": 0.5}
    second = {"from": str(made.panel.dates[30].date()), "discount": 0.25}
    weight = weights(made.panel, [first, second])
    expected = np.repeat([0.125, 0.25, 1.0], [20, 10, 10])
    np.testing.assert_array_equal(weight, np.broadcast_to(expected, (geos, 40)))
    weighed = replace(data, target=replace(data.target, weight=weight))
    draw = {n: x[0] for n, x in ready.flat().items()}
    sites = {s.makes for s in ready.spec.sites(ready.spec.sizes(ready.panel))}
    values = {n: x for n, x in draw.items() if n in sites}
    with jax.enable_x64(True):
        of = jax.jit(lambda d: log_density(program, (ready.spec, d), {}, values)[0])
        nothing = replace(data, target=replace(data.target, mask=data.target.mask & False))
        gap = float(of(weighed) - of(nothing))
    every = mm.log_likelihood(ready)["outcome"].values.reshape(-1, geos, 40)[0]
    unit = np.log(ready.scale.outcome)[:, None]  # per unit of outcome, not of the law
    np.testing.assert_allclose(gap, (expected * (every + unit)).sum(), rtol=1e-5)


def test_it_is_a_fit_of_all_rows_where_nothing_is_discounted(run):
    made, train, old, _ = run
    new = mm.refresh(old, made.panel, seed=1)
    assert weights(made.panel, new.info["refreshed"]) is None
    only = mm.refresh(old, made.panel.split(train.dates[-1])[1], seed=1)
    for name, x in new.draws.params.items():  # with or without the rows of before
        np.testing.assert_array_equal(x, only.draws.params[name])


def test_a_refresh_of_a_refresh_keeps_the_first_clock(run, tmp_path):
    made, _, old, _ = run
    middle = made.panel.split(made.panel.dates[80])[0]
    once = mm.refresh(old, middle, mm.Laplace(draws=200), discount=0.5)
    once = mm.load(mm.save(once, tmp_path / "once.nc"))
    assert once.scale.clock == 72
    twice = mm.refresh(once, made.panel, mm.Laplace(draws=200), discount=0.5)
    assert (twice.scale.clock, len(twice.info["refreshed"])) == (72, 2)
    weight = weights(twice.panel, twice.info["refreshed"])
    assert weight is not None
    np.testing.assert_array_equal(weight[0, [0, 71, 72, 80, 81]], [0.25, 0.25, 0.5, 0.5, 1])
    future = mm.predict(twice, seed=1)["outcome"]
    assert np.isfinite(future).all()


def test_what_moved_is_said_with_its_cause(run):
    made, train, old, _ = run
    tight = {"saturation_beta": Prior("HalfNormal", scale=0.02, dims="channel")}
    other = mm.fit(replace(made.spec, priors=made.spec.priors | tight), train, SHORT)
    found = mm.drift(old, other, causes=True)
    assert found.causes == ("prior", "data")
    table = found.table.set_index("channel")
    assert table.loc["TV", "moved"] < -table.loc["TV", "old_sd"]
    # what was fitted again is the new fit itself, to Monte Carlo error
    assert (table["data"].abs() < 4 * table["error"]).all()
    np.testing.assert_allclose(table["prior"] + table["data"], table["moved"], rtol=1e-9)
    said = found.findings()[0]
    assert (said.code, said.level) == ("moved", "warning")
    assert "other priors" in said.message
    same = mm.drift(old, mm.fit(made.spec, train, SHORT, seed=5))
    assert not same.table["beyond_error"].any()
    assert "Nothing moved" in str(same)


def test_rows_that_were_corrected_are_named_and_count_as_they_were(run):
    made, train, old, _ = run
    outcome = made.panel.outcome.copy()
    outcome[0, 40:43] *= 1.1
    revised = replace(made.panel, outcome=outcome)
    new = mm.refresh(old, revised, mm.Laplace(draws=100))
    day = f"{made.panel.dates[40]:%Y-%m-%d}"
    assert f"3 of outcome from {day} on" in new.info["notes"][0]
    np.testing.assert_array_equal(new.panel.outcome[:, :72], train.outcome)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, _: p.split(p.dates[71])[0], "rows after"),
        (lambda p, _: p.split(p.dates[75])[1], "directly"),
        (lambda p, _: replace(p, outcome=np.where(np.arange(90) > 71, np.nan, p.outcome)),
         "an observed outcome"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_from_is_refused(run, change, message):
    made, train, old, _ = run
    with pytest.raises(InputError, match=message):
        mm.refresh(old, change(made.panel, train))
    with pytest.raises(InputError, match="discount: got 0"):
        mm.refresh(old, made.panel, discount=0)


def test_a_channel_that_the_fit_does_not_know_is_named(run):
    made, _, old, _ = run
    media = np.concatenate([made.panel.media, made.panel.media[..., :1]], -1)
    spend = np.concatenate([made.panel.spend, made.panel.spend[..., :1]], -1)
    columns = replace(
        made.panel.columns,
        media=(*made.panel.columns.media, "new"),
        spend=(*made.panel.columns.spend, "new"),
    )
    names = (*made.panel.channels, "TikTok")
    wide = replace(made.panel, media=media, spend=spend, channels=names, columns=columns)
    new = mm.refresh(old, wide, mm.Laplace(draws=100))
    assert '"TikTok": in the table and not in the fit' in new.info["notes"][0]
    assert new.panel.channels == old.panel.channels


def test_a_stack_is_refreshed_fit_by_fit(run):
    made, train, old, _ = run
    other = mm.fit(replace(made.spec, saturation=mm.saturation.Tanh()), train, SHORT)
    both = mm.stack({"one": old, "other": other}, {"one": 0.5, "other": 0.5})
    with pytest.raises(InputError, match="refresh each of its fits"):
        mm.refresh(both, made.panel)


@pytest.fixture(scope="module")
def markets():
    """Fits of some markets before and after, of which two can be compared."""
    quick, out = mm.Laplace(draws=300), {}
    for name, seed in (("north", 2), ("south", 3)):
        made = world(periods=60, seed=seed)
        train, _ = made.panel.split(made.panel.dates[47])
        old = mm.fit(made.spec, train, quick)
        new = mm.fit(made.spec, made.panel, quick, seed=1)
        out[name] = (old, new)
    later = made.panel.dates + pd.Timedelta(weeks=520)
    late = mm.fit(made.spec, replace(made.panel, dates=later), quick)
    before = {name: old for name, (old, _) in out.items()} | {"late": old, "gone": old}
    after = {name: new for name, (_, new) in out.items()} | {"late": late, "new": new}
    return before, after


def test_a_fleet_drifts_as_its_markets_do(markets):
    before, after = markets
    found = mm.drift(before, after)
    table = found.table
    assert set(table["market"]) == {"north", "south"}
    for name, rows in table.groupby("market"):
        alone = mm.drift(before[name], after[name])
        assert set(zip(rows["start"], rows["end"], strict=True)) == {alone.window}
        one = alone.table.set_index("channel")
        same = rows.set_index("channel")[one.columns].loc[one.index]
        pd.testing.assert_frame_equal(same, one)
        for fit, column in ((before[name], "old"), (after[name], "new")):  # from the draws
            draws = mm.roas(fit, alone.window).isel(geo=0)
            gain, spend = draws["incremental"], draws["spend"]
            for channel in fit.panel.channels:
                own = (gain / spend).sel(channel=channel).to_numpy()
                assert one.loc[channel, column] == pytest.approx(own.mean(), rel=1e-5)
            whole = (gain.sum("channel") / spend.sum("channel")).to_numpy()
            assert one.loc["ALL", column] == pytest.approx(whole.mean(), rel=1e-5)
    rank = [(not row.beyond_error, -abs(row.in_sds)) for row in table.itertuples()]
    assert rank == sorted(rank)
    reasons = found.left_out.set_index("market")["reason"]
    assert "no period in both" in reasons["late"]
    assert reasons["gone"] == "a fit in old only, none in new"
    assert reasons["new"] == "a fit in new only, none in old"
    told = found.findings()
    assert len(told) == table["beyond_error"].sum()
    if told:
        assert told[0].where == (table["market"][0], table["channel"][0])
    assert "2 markets: " in str(found)
    assert "gone: a fit in old only" in str(found)


def test_why_a_fleet_moved_is_that_of_each_market(markets):
    before, after = ({"north": part["north"]} for part in markets)
    table = mm.drift(before, after, causes=True, seed=4).table
    alone = mm.drift(before["north"], after["north"], causes=True, seed=4)
    own = table.set_index("channel").loc[alone.table["channel"]].reset_index()
    for name in alone.causes:
        np.testing.assert_array_equal(own[name], alone.table[name])
    assert alone.causes[-1] == "data"


def test_what_has_no_market_in_common_is_refused(markets):
    before, after = markets
    with pytest.raises(InputError, match="a market that both have"):
        mm.drift({"gone": before["gone"]}, {"new": after["new"]})
    with pytest.raises(InputError, match="a fit, and fits by market"):
        mm.drift(before["north"], after)
