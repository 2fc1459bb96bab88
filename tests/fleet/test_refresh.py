"""A fleet brought up to date: each market as mm.refresh makes it, and what moved."""

import pickle

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import simulate
from mmmjax.checks import InputError
from mmmjax.cli.app import run
from mmmjax.fleet.buckets import fitted_to, shape_of
from mmmjax.fleet.engine import Before, Ready, market_seed, ready
from mmmjax.fleet.plan import Look
from mmmjax.refreshing import renewed

SHORT = mm.HMC(chains=4, warmup=200, draws=300, until=None)


def world(seed):
    return simulate.generate(
        periods=60, channels=2, controls=0, geos=1, seed=seed, test_periods=0
    )


@pytest.fixture(scope="module")
def markets(tmp_path_factory):
    """Panels of now, the fleet of before and the fleet of now, both in folders."""
    place = tmp_path_factory.mktemp("fleets")
    made = {name: world(seed) for seed, name in enumerate(("north", "south"))}
    spec = made["north"].spec
    now = {name: one.panel for name, one in made.items()}
    cut = now["north"].dates[47]
    then = {name: panel.split(cut)[0] for name, panel in now.items()}
    then["gone"] = then["south"]
    mm.fit_fleet(spec, then, SHORT, store=place / "old", refit=False)
    old = mm.open_fleet(place / "old")
    now |= {"extra": now["north"], "gone": then["gone"]}
    mm.refresh_fleet(old, now, SHORT, discount=0.5, store=place / "new", refit=False)
    return now, old, mm.open_fleet(place / "new"), place


@pytest.fixture(scope="module")
def before():
    """A fit of before, approximate, and the panel of now."""
    made = world(0)
    train, _ = made.panel.split(made.panel.dates[47])
    return mm.fit(made.spec, train, mm.Laplace(draws=50)), made.panel


@pytest.mark.slow(parts=6)
def test_a_market_is_what_a_refresh_of_it_makes(markets):
    now, old, new, _ = markets
    for name in ("north", "south"):
        alone, fit = (
            mm.refresh(old[name], now[name], SHORT, discount=0.5, seed=3),
            new[name],
        )
        assert fit.spec == alone.spec
        assert fit.info["refreshed"] == alone.info["refreshed"]
        assert fit.panel.data_hash() == alone.panel.data_hash()
        for part in ("outcome", "media", "clock"):
            both = getattr(fit.scale, part), getattr(alone.scale, part)
            np.testing.assert_array_equal(*both)
        apart = mm.drift(fit, alone).table  # of one posterior: within Monte Carlo error
        assert (apart["moved"].abs() < 5 * apart["error"]).all()


def test_its_density_weighs_older_outcomes(before):
    fit, now = before
    found = ready("north", Before(fit, 0.5), now, 7, "error")
    assert isinstance(found, Ready)
    alone = renewed(fit, now, 0.5, {})
    weight = np.asarray(found.data.target.weight)
    np.testing.assert_array_equal(weight[0], np.repeat([0.5, 1.0], [48, 12]))
    np.testing.assert_array_equal(weight, alone.data.target.weight)
    wide = fitted_to(found.data, found.spec, shape_of(found.data)._replace(periods=70))
    padded = np.asarray(wide.target.weight)
    np.testing.assert_array_equal(padded[:, :60], weight)
    assert found.seed == market_seed(7, "north")
    whole = ready("north", Before(fit), now, 7, "error")
    assert whole.data.target.weight is None
    assert Look.of(whole).key != Look.of(found).key  # arrays of another kind: not together
    again = pickle.loads(pickle.dumps(Before(fit, 0.5)))  # as a cluster is sent it
    np.testing.assert_array_equal(again.renewed(now).data.target.weight, weight)


@pytest.mark.slow(parts=6)
def test_every_market_has_a_status(markets):
    _, _, new, _ = markets
    table = new.table.set_index("market")
    assert list(new) == ["north", "south"]
    assert table.loc["extra", "status"] == table.loc["gone", "status"] == "refused"
    assert "mm.fit_fleet" in table.loc["extra", "reason"]
    assert "rows after" in table.loc["gone", "reason"]


@pytest.mark.slow(parts=6)
def test_a_store_goes_on_with_its_own_refresh_only(markets):
    now, old, new, place = markets
    again = mm.refresh_fleet(
        old, now, SHORT, discount=0.5, store=place / "new", refit=False
    )
    pd.testing.assert_frame_equal(again.table, new.table)
    with pytest.raises(InputError, match="begun with other refreshed"):
        mm.refresh_fleet(old, now, SHORT, store=place / "new", refit=False)
    names = ("north", "south")
    panels = {name: now[name] for name in names}
    with pytest.raises(InputError, match="begun with other"):
        mm.fit_fleet(old["north"].spec, panels, SHORT, store=place / "new", refit=False)


@pytest.mark.slow(parts=6)
def test_what_moved_is_told_from_the_folders_of_both(markets):
    _, old, new, _ = markets
    found = mm.drift(old, new, causes=True)
    for name, rows in found.table.groupby("market"):
        alone = mm.drift(old[name], new[name]).table.set_index("channel")
        same = rows.set_index("channel")[alone.columns].loc[alone.index]
        pd.testing.assert_frame_equal(same, alone)
        np.testing.assert_allclose(rows["data"], rows["moved"])  # a refresh: nothing else
    assert set(found.left_out["market"]) == {"gone"}


def test_channels_that_do_not_concern_a_market_are_no_matter(before):
    fit, now = before
    channels = {"TikTok": "pooled", "Radio": "ended"}
    found = ready("north", Before(fit, 1.0, channels), now, 0, "error")
    assert isinstance(found, Ready)
    assert found.panel.channels == fit.panel.channels
    gone = ready("north", Before(None), now, 0, "error")
    assert gone.status == "refused"
    assert "mm.fit_fleet" in gone.reason


@pytest.mark.slow(parts=6)
def test_the_commands_take_the_folder_of_a_fleet(markets, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MMMJAX_CACHE", "off")
    now, _, new, place = markets
    frames = [now[n].to_frame().assign(market=n) for n in ("north", "south")]
    pd.concat(frames).to_csv(tmp_path / "now.csv", index=False)
    columns = now["north"].columns
    media = zip(now["north"].channels, columns.media, strict=True)
    media = ", ".join(f'{name} = "{column}"' for name, column in media)
    (tmp_path / "fleet.toml").write_text(f"""[data]
path = "now.csv"
market = "market"
date = "{frames[0].columns[0]}"
outcome = "{columns.outcome}"
media = {{ {media} }}
[sampler]
warmup = 200
draws = 300
max_draws = 300
[fleet]
refit = false
""")
    out = tmp_path / "again"
    base = ["refresh", str(place / "old"), str(tmp_path / "fleet.toml"), "--out", str(out)]
    run([*base, "--discount", "0.5"])
    said = capsys.readouterr().out
    assert "2 markets: " in said
    assert "drift.csv, fleet.html" in said
    fleet = mm.open_fleet(out)
    assert list(fleet) == ["north", "south"]
    np.testing.assert_array_equal(  # of its seed and data alone
        fleet["north"].draws.params["intercept"], new["north"].draws.params["intercept"]
    )
    table = pd.read_csv(out / "drift.csv")
    assert list(table.columns[:3]) == ["market", "channel", "quantity"]
    assert len(table) == 6
    page = (out / "fleet.html").read_text(encoding="utf-8")
    assert "What moved since the last fit" in page
    north = out / "markets" / "north.nc"
    assert run(["conflation", str(out)]) == 1
    assert str(north) in "".join(capsys.readouterr()).replace("\n", "")
    run(["conflation", str(north), "--channel", "TV"])
    assert "TV" in capsys.readouterr().out
    assert not (out / "markets" / "conflation").exists()
