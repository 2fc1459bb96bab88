"""Fleets: every market ends with a status, blind to the others, and none is repeated."""

import dataclasses
import json
import re
import tomllib

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import programs
from mmmjax.fleet import batch, engine, run
from mmmjax.infer import laplace
from tests.infer.agreement import errors
from tests.infer.problems import panel, spec

QUICK = mm.HMC(chains=4, warmup=100, draws=100, until=None)
LOOSE = dataclasses.replace(QUICK, until=mm.Converged(r_hat=1.05, ess=50), max_draws=400)


def fleet(count=3):
    """Markets of three lengths, with one or two channels and none to two controls."""
    sizes = [(40, 2, 2), (52, 1, 0), (46, 2, 1), (40, 1, 2)]
    return {
        f"m{i}": panel(
            periods=sizes[i % 4][0], channels=sizes[i % 4][1], controls=sizes[i % 4][2],
            seed=i,
        )
        for i in range(count)
    }  # fmt: skip


def bad_markets():
    """Data that no model can be fitted to, by name."""
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2022-01-03", periods=40, freq="W-MON"),
            "y": np.linspace(50, 90, 40),
            "m0": np.linspace(1, 9, 40),
        }
    )
    make = lambda f: mm.Panel.from_frame(f, date="date", outcome="y", media=["m0"])
    return {
        "no media": make(frame.assign(m0=0.0)),
        "constant channel": make(frame.assign(m0=3.0)),
        "constant outcome": make(frame.assign(y=7.0)),
        "two weeks": make(frame.tail(2)),
    }


def test_every_market_ends_and_bad_ones_touch_nobody(tmp_path):
    good, the_spec = fleet(4), spec()
    ask = {"seed": 3, "refit": False, "progress": False, "on_empty": "error"}
    alone = mm.fit_fleet(the_spec, good, LOOSE, **ask)
    mixed = mm.fit_fleet(the_spec, bad_markets() | good, LOOSE, **ask)
    table = mixed.table.set_index("market")
    assert list(table.index) == [*bad_markets(), *good]
    assert (table.status[:4] == "refused").all()
    assert table.reason[:4].str.len().min() > 20
    assert set(table.status[4:]) <= {"converged", "not converged"}
    assert list(mixed) == list(good)
    with pytest.raises(KeyError, match="refused"):
        mixed["no media"]
    for name in good:
        for parameter, draws in alone[name].draws.params.items():
            np.testing.assert_array_equal(draws, mixed[name].draws.params[parameter])
        assert mixed[name].panel.channels == good[name].channels
        assert len(mm.summary(mixed[name])) == mixed[name].draws.n_parameters
        rows = mixed.channels.query("market == @name")
        assert set(rows.channel) == set(good[name].channels)
    assert repr(mixed).startswith("Fleet: 8 markets: ")
    assert 'fleet["m0"]' in repr(mixed)
    none = mm.fit_fleet(the_spec, bad_markets(), LOOSE, **ask)
    assert repr(none).endswith('fleet.table["reason"]')


def test_what_never_ran_is_left_out_and_said_in_the_row(tmp_path):
    good = fleet(1)["m0"]
    frame = good.to_frame()
    names = good.columns
    ask = {"date": names.date, "outcome": names.outcome}
    ask |= {"media": list(names.media), "controls": list(names.controls)}
    made = {
        "good": frame,
        "off": frame.assign(**{ask["media"][1]: 0.0}),
        "steady": frame.assign(**{ask["media"][0]: 5.0}),
        "no promo": frame.assign(**{ask["controls"][0]: 1.0}),
        "nothing": frame.assign(**dict.fromkeys(ask["media"], 0.0)),
    }
    markets = {name: mm.Panel.from_frame(df, **ask) for name, df in made.items()}
    found = mm.fit_fleet(spec(), markets, QUICK, refit=False, progress=False, seed=1)
    table = found.table.set_index("market")
    assert not set(table.status) & {"refused", "failed"}
    assert table.reason["good"] in ("", None) or "without" not in table.reason["good"]
    assert found["nothing"].panel.channels == ()
    left = {"off": good.channels[1], "steady": good.channels[0],
            "no promo": good.control_names[0]}  # fmt: skip
    for name, column in left.items():
        assert f'without "{column}", which never change' in table.reason[name]
        assert column not in (*found[name].panel.channels, *found[name].panel.control_names)
    strict = mm.fit_fleet(
        spec(), markets, QUICK, refit=False, progress=False, on_empty="error"
    )
    assert (strict.table.set_index("market").status.drop("good") == "refused").all()


def test_a_market_that_opened_late_is_ranked_and_mended(tmp_path):
    good = fleet(1)["m0"]
    names, frame = good.columns, good.to_frame()
    ask = {"date": names.date, "outcome": names.outcome}
    ask |= {"media": list(names.media), "controls": list(names.controls)}
    late = frame.copy()
    late.loc[late.index[:15], [ask["outcome"], *ask["media"]]] = 0.0
    markets = {"good": good, "late": mm.Panel.from_frame(late, **ask)}
    how = {"refit": False, "progress": False, "seed": 1}
    found = mm.fit_fleet(spec(), markets, QUICK, store=tmp_path, **how)
    table = pd.read_csv(tmp_path / "fleet.csv").set_index("market")
    assert "is 0 and no media ran at the start" in table.data["late"]
    assert pd.isna(table.data["good"])
    ranking = mm.fleet_ranking(found.table.assign(status="converged")).set_index("market")
    assert ranking.attention["late"] == "doubtful data"
    line = re.search(
        r"leave_empty = (.*) under \[market.\"late\".data\]", ranking.next["late"]
    )
    asked = tomllib.loads(f"x = {line[1]}")["x"]
    mended = {"late": mm.Panel.from_frame(late, **ask, leave_empty=asked)}
    again = mm.fit_fleet(spec(), mended, QUICK, **how)
    assert again.table.data[0] == ""
    assert again["late"].panel.history == 15


def test_few_programs_serve_all_markets():
    """A second fleet of other markets compiles nothing."""
    mm.fit_fleet(spec(), fleet(4), QUICK, refit=False, progress=False)
    before = set(programs._PROGRAMS)
    other = {f"x{name}": p for name, p in fleet(4).items()}
    found = mm.fit_fleet(spec(), other, QUICK, seed=9, refit=False, progress=False)
    assert set(programs._PROGRAMS) == before
    assert len(found.plan) == 1


def test_a_market_of_a_fleet_has_the_posterior_of_a_fit_alone():
    """Padded and among others, against NUTS on its own arrays: 5 Monte Carlo errors."""
    found = mm.fit_fleet(
        spec(), fleet(3), mm.HMC(chains=4, draws=1000), progress=False, refit=False
    )
    theirs = mm.fit(spec(), fleet(3)["m1"], mm.NUTS(warmup=500, draws=1000), progress=False)
    assert found["m1"].draws.params.keys() == theirs.draws.params.keys()
    for name, value in found["m1"].draws.params.items():
        a, b = value.astype(float), theirs.draws.params[name].astype(float)
        assert a.shape[2:] == b.shape[2:]
        z = (a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(errors(a), errors(b))
        assert np.all(np.abs(z) < 5), (name, z)


def test_what_does_not_converge_goes_on_and_is_then_fitted_alone(monkeypatch):
    alone = mm.NUTS(chains=4, warmup=100, draws=100, until=None)
    monkeypatch.setattr(engine, "ALONE", alone)
    strict = dataclasses.replace(QUICK, until=mm.Converged(ess=1e6), max_draws=250)
    found = mm.fit_fleet(spec(), fleet(2), strict, progress=False, refit=False)
    assert found["m0"].draws.n_draws == 250
    again = mm.fit_fleet(spec(), fleet(2), dataclasses.replace(QUICK, draws=50), seed=1,
                         progress=False)  # fmt: skip
    short = again.table.set_index("market")
    assert short.reason.str.startswith(("by NUTS", "by HMC")).all()
    assert again["m0"].sampler == alone
    assert again.usable.keys() == set(short.index[short.status == "refitted"])


def test_a_killed_run_goes_on_with_the_same_draws(tmp_path, monkeypatch):
    the_spec, markets = spec(), fleet(4)
    ask = {"seed": 5, "refit": False, "progress": False, "batch": 2}
    whole = mm.fit_fleet(the_spec, markets, LOOSE, store=tmp_path / "whole", **ask)
    place, written = tmp_path / "part", []
    write = run.Folder.write

    def killed(self, done):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(done.name)
        return write(self, done)

    monkeypatch.setattr(run.Folder, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        mm.fit_fleet(the_spec, markets, LOOSE, store=place, **ask)
    times = {n: (place / "markets" / f"{n}.json").stat().st_mtime_ns for n in written}
    (place / "markets" / ".m9.nc.1-ab.tmp").write_bytes(b"half of a fi")  # of the kill
    monkeypatch.setattr(run.Folder, "write", write)
    found = mm.fit_fleet(the_spec, markets, LOOSE, store=place, **ask)
    for name, time in times.items():
        assert (place / "markets" / f"{name}.json").stat().st_mtime_ns == time
    assert list(found) == list(markets)
    for name in markets:
        for parameter, draws in whole[name].draws.params.items():
            np.testing.assert_array_equal(draws, found[name].draws.params[parameter])
    csv = pd.read_csv(place / "fleet.csv")
    assert csv.market.tolist() == list(markets)
    np.testing.assert_allclose(csv.r_hat, whole.table.r_hat)
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["seed"] == 5

    changes = [
        {"seed": 6},
        {"spec": spec(trend=True)},
        {"panels": markets | {"m1": panel(seed=77)}},
        {"sampler": QUICK},
        {"batch": 3},
    ]
    asked = {"spec": the_spec, "panels": markets, "sampler": LOOSE} | ask
    for change in changes:
        with pytest.raises(mm.InputError, match="begun with other"):
            mm.fit_fleet(**(asked | change), store=place)


def test_a_batch_too_large_for_memory_is_halved(monkeypatch):
    sizes, sample = [], batch.sample

    def small(markets, shape, sampler, width, emit, refit):
        sizes.append((len(markets), width))
        if len(markets) > 1:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")
        return sample(markets, shape, sampler, width, emit, refit)

    monkeypatch.setattr(batch, "sample", small)
    same = {f"m{i}": panel(seed=i) for i in range(3)}
    found = mm.fit_fleet(spec(), same, QUICK, refit=False, progress=False)
    assert len(found) == 3
    assert [count for count, _ in sizes] == [3, 2, 1, 1, 1]
    assert [width for _, width in sizes] == [8, 4, 2, 2, 4]


def test_a_market_that_fails_is_reported(monkeypatch):
    real, bad = laplace._hessians, []

    def broken(potentials, modes, like):
        found = real(potentials, modes, like)
        found[1] = np.nan
        bad.append(len(found))
        return found

    monkeypatch.setattr(laplace, "_hessians", broken)
    found = mm.fit_fleet(spec(), fleet(3), QUICK, refit=False, progress=False)
    row = found.table.set_index("market").loc["m1"]
    assert row.status == "failed"
    assert row.reason.startswith("FloatingPointError: ")
    assert bad == [3]
    assert list(found) == ["m0", "m2"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"panels": {}}, "no markets"),
        ({"spec": {"m0": spec()}}, 'none for "m1"'),
        ({"sampler": mm.NUTS()}, "lock-step"),
        ({"batch": 0}, "batch"),
        ({"seed": -1}, "seed"),
    ],
)
def test_requests_that_cannot_be_meant_are_refused(change, words):
    with pytest.raises(mm.InputError) as error:
        mm.fit_fleet(**({"spec": spec(), "panels": fleet(2), "progress": False} | change))
    assert words in str(error.value)


def test_markets_with_geos_may_be_members():
    mixed = {"one": panel(), "two": panel(geos=2)}
    found = mm.fit_fleet(spec(), mixed, QUICK, refit=False, progress=False)
    assert len(found.plan) == 2
    assert found["two"].panel.n_geos == 2
