"""A fleet's folder, local or behind a URL: whole files, one table, one lazy tree."""

import io
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmmjax as mm
from mmmjax.fleet import batch
from mmmjax.fleet.engine import Done
from mmmjax.fleet.places import Local, Remote
from mmmjax.fleet.result import Fleet
from mmmjax.fleet.store import COLUMNS, Folder, check_market, read_manifest
from mmmjax.infer.judge import Verdict
from mmmjax.posterior.tables import channels_table
from mmmjax.resources import only_run, plain
from tests.fits import make_fit
from tests.infer.problems import panel, spec
from tests.test_resources import Full

ROOT = Path(__file__).parents[2]
ODD = "a/b ü.x*[1]?"
ORDER = ["de", ODD, "bad", ".hidden", "later"]


@pytest.fixture(scope="module")
def fit():
    return make_fit(chains=4, draws=300)


def manifest(**changes):
    the_spec = spec().to_dict()
    asked = {
        "seed": 1,
        "on_empty": "drop",
        "spec": dict.fromkeys(ORDER, the_spec),
        "data": {name: f"hash of {name}" for name in ORDER},
    }
    return asked | changes


def endings(fit):
    found = Verdict.of(fit.draws)
    table = channels_table(fit)
    return [
        Done("bad", "refused", 'two\nlines, "quoted"'),
        Done(".hidden", "not converged", "R-hat", fit, found, 1.5),
        Done("de", "converged", "", fit, found, 2.5, 0.25, 0.9, table),
        Done(
            ODD,
            "refitted",
            "by HMC",
            fit,
            found,
            channels=table,
            adequate=False,
            finding="media follow the outcome",
        ),
    ]


@pytest.fixture(params=["local", "file", "memory"])
def place(request, tmp_path):
    if request.param == "memory":
        yield "memory://runs/x"
        fsspec.filesystem("memory").rm("/runs", recursive=True)
    else:
        yield f"file://{tmp_path}/r" if request.param == "file" else tmp_path / "r"


def test_every_place_keeps_rows_fits_and_tables(place, fit):
    folder = pickle.loads(pickle.dumps(Folder(place, manifest())))
    written = {done.name: folder.write(done) for done in endings(fit)}
    again = Folder.at(place)
    pd.testing.assert_frame_equal(pd.DataFrame(again.rows()).T.sort_index(),
                                  pd.DataFrame(written).T.sort_index())  # fmt: skip
    assert sorted(again.fitted()) == sorted({*ORDER} - {"bad", "later"})
    assert written["bad"]["reason"] == 'two\nlines, "quoted"'
    assert math.isnan(written["bad"]["r_hat"])
    np.testing.assert_array_equal(
        again.load(ODD).draws.params["intercept"], fit.draws.params["intercept"]
    )
    again.write_tables(ORDER)
    read = lambda name: pd.read_csv(io.BytesIO(again.place.read(name)))
    table = read("fleet.csv")
    assert tuple(table) == COLUMNS
    assert table["market"].tolist() == ORDER[:4]
    assert table.loc[0, ["seconds", "crps", "coverage"]].tolist() == [2.5, 0.25, 0.9]
    assert table["sampled"].tolist() == [True, True, False, False]
    assert table["adequate"].tolist()[1] is False
    assert table["adequate"].isna().tolist() == [True, False, True, True]
    assert table["finding"].tolist()[1] == "media follow the outcome"
    channels, theirs = read("channels.csv"), channels_table(fit)
    assert list(channels) == ["market", *theirs]
    assert list(dict.fromkeys(channels["market"])) == ["de", ODD]
    mine = channels[channels["market"] == ODD].drop(columns="market").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, theirs, check_dtype=False, rtol=1e-9)


def test_a_store_of_before_models_were_judged_opens(tmp_path, fit):
    folder = Folder(tmp_path, manifest())
    for done in endings(fit):
        folder.write(done)
    for path in (tmp_path / "markets").glob("*.json"):
        old = json.loads(path.read_text())
        for name in ("sampled", "adequate", "finding", "data", "outcome_value"):
            del old[name]
        path.write_text(json.dumps(old))
    opened = mm.open_fleet(tmp_path)
    table = opened.table.set_index("market")
    assert table["sampled"].tolist() == [True, True, False, False, False]
    assert table["adequate"].isna().all()
    assert (table["finding"] == "").all()
    assert "not adequate" not in repr(opened)
    ended = opened.table[opened.table["status"] != "pending"]
    assert "not adequate" not in set(mm.fleet_ranking(ended)["attention"])


def test_half_a_file_is_never_read(tmp_path, fit):
    folder = Folder(tmp_path, manifest())
    for done in endings(fit):
        folder.write(done)
    text = (tmp_path / "markets" / "de.json").read_text()
    json.loads(text, parse_constant=pytest.fail)  # no NaN: other readers take it too
    (tmp_path / "markets" / "de.json").write_text(text[: len(text) // 2])
    (tmp_path / "markets" / ".later.json.9-ab.tmp").write_text(text)
    (tmp_path / "markets" / ".later.nc.9-ab.tmp").write_bytes(b"\x89HDF")
    assert set(folder.rows()) == {"bad", ".hidden", ODD}
    assert "later" not in set(folder.fitted())
    assert mm.open_fleet(tmp_path).table.set_index("market").status["de"] == "pending"


def test_a_manifest_has_each_spec_once_and_says_what_differs(tmp_path):
    Folder(tmp_path, manifest())
    found = read_manifest(tmp_path)
    assert len(found["specs"]) == 1
    assert list(found["markets"]) == ORDER
    assert mm.Spec.from_dict(found["specs"][0]) == spec()
    other = manifest()["spec"] | {"de": spec(trend=True).to_dict()}
    for change, words in [
        ({"seed": 2}, "other seed.* or ask for seed = 1, as it was begun, to go on"),
        ({"on_empty": "prior"}, 'other on_empty.* ask for on_empty = "drop", as it was'),
        ({"spec": other}, 'other spec "de"'),
        ({"data": dict.fromkeys(ORDER, "")}, f'other data ".hidden" and {len(ORDER) - 1}'),
    ]:
        with pytest.raises(mm.InputError, match=words):
            Folder(tmp_path, manifest(**change))
    Folder(tmp_path, manifest())


@pytest.mark.parametrize(
    "path, words",
    [
        ("nowhere://x/y", "Protocol not known"),
        ("file", "a folder"),
        ("damaged", "damaged"),
    ],
)
def test_places_that_cannot_be_one_are_refused(path, words, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "manifest.json").write_text('{"seed": ')
    with pytest.raises(mm.InputError, match=words):
        Folder(path if "://" in path else tmp_path / path, manifest())


def test_names_too_long_for_files_are_refused_first(tmp_path):
    long = {"ü" * 50: spec().to_dict()}
    with pytest.raises(mm.InputError, match="shorter"):
        Folder(tmp_path / "x", manifest(spec=long, data=dict.fromkeys(long, "")))
    assert not (tmp_path / "x").exists()


def test_an_unfinished_run_opens_as_one_lazy_tree(tmp_path, fit):
    with pytest.raises(mm.InputError, match=r"manifest\.json"):
        mm.open_fleet(tmp_path)
    folder = Folder(tmp_path, manifest())
    for done in endings(fit):
        folder.write(done)
    fleet = mm.open_fleet(tmp_path)
    assert fleet.table["market"].tolist() == ORDER
    assert fleet.table["status"].iloc[-1] == "pending"
    assert list(fleet) == ["de", ODD, ".hidden"]
    assert set(fleet.usable) == {"de", ODD}
    with pytest.raises(KeyError, match="pending"):
        fleet["later"]
    theirs = mm.tables.channels(fit)
    mine = fleet.channels
    assert mine["market"].tolist() == ["de"] * len(theirs) + [ODD] * len(theirs)
    file = tmp_path / "markets" / "de.nc"
    with xr.open_datatree(file, engine="h5netcdf") as tree:
        ours = fleet.to_tree(["de"])["de"]
        for path in tree.groups[1:]:
            mine = ours[path.lstrip("/")].to_dataset()
            xr.testing.assert_identical(mine.load(), tree[path].to_dataset().load())
    whole = fleet.to_tree()
    assert list(whole) == ["de", "a%2Fb ü.x*[1]?", ".hidden"]
    assert whole["a%2Fb ü.x*[1]?"].attrs["market"] == ODD
    part = whole["de/posterior/saturation_beta"].isel(draw=slice(20, 5, -3), channel=[2, 0])
    moved = file.rename(tmp_path / "away.nc")
    with pytest.raises(FileNotFoundError):
        _ = part.values
    moved.rename(file)
    expected = fit.draws.params["saturation_beta"][:, 20:5:-3][..., [2, 0]]
    np.testing.assert_array_equal(part.values, expected)
    with pytest.raises(mm.InputError, match="markets with a fit"):
        fleet.to_tree(["bad"])


def test_a_tree_behind_a_url_reads_no_draws_before_they_are_asked_for(fit, monkeypatch):
    url, read = "memory://lazy/x", []
    folder = Folder(url, manifest())
    folder.write(endings(make_fit(chains=4, draws=3000))[2])
    opened = Remote.opened

    def counted(self, name):
        file = opened(self, name)
        into = file.readinto
        file.readinto = lambda buffer: read.append(len(buffer)) or into(buffer)
        return file

    monkeypatch.setattr(Remote, "opened", counted)
    tree = mm.open_fleet(url).to_tree()
    size = fsspec.filesystem("memory").size("/lazy/x/markets/de.nc")
    assert 0 < sum(read) < size / 5
    read.clear()
    assert tree["de/posterior/intercept"].values.shape == (4, 3000, 2)
    assert read


def test_a_fleet_in_memory_has_the_same_table_and_tree(fit):
    table = pd.DataFrame({"market": ["a", "b"], "status": "converged", "reason": ""})
    fleet = mm.Fleet(table, (), {"a": fit, "b": fit})
    theirs = channels_table(fit)
    mine = fleet.channels.iloc[len(theirs) :, 1:].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, theirs)
    assert fleet.channels["market"].unique().tolist() == ["a", "b"]
    assert fleet.to_tree()["b/posterior"].sizes["draw"] == 300


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
import mmmjax as mm, mmmjax.resources as resources
from tests.fleet import test_store as here
whole, count = resources.put, iter(range(9))
def put(path, content):
    if next(count) < 3:  # the manifest and the first market's files
        return whole(path, content)
    path.write_bytes(content[:99])
    os.kill(os.getpid(), signal.SIGKILL)
resources.put = put
here.three({place!r})
"""


def sampled(markets, *rest):
    """In place of the sampler: draws of the market's seed, at once."""
    emit = next(part for part in rest if callable(part))
    for market in markets:
        fit = make_fit(spec=market.spec, panel=market.panel, seed=market.seed)
        emit(Done(market.name, "converged", "", fit))


def three(place):
    """A fleet of three markets, one at a time."""
    markets = {f"m{i}": panel(seed=i) for i in range(3)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "sample", sampled)
        return mm.fit_fleet(spec(), markets, store=place, batch=1, progress=False)


def test_a_process_killed_while_it_writes_goes_on_where_it_was(tmp_path):
    place = tmp_path / "killed"
    code = KILLED.format(root=str(ROOT), place=str(place))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    kept = place / "markets" / "m0.json"
    time = kept.stat().st_mtime_ns
    half, *left = sorted(p.name for p in (place / "markets").iterdir())
    assert half.startswith(".mmmjax-")
    assert left == ["m0.json", "m0.nc"]
    assert mm.open_fleet(place).table["status"].tolist()[1:] == ["pending", "pending"]
    found, whole = three(place), three(tmp_path / "whole")
    assert kept.stat().st_mtime_ns == time
    assert not [p.name for p in place.rglob(".*")]  # of the dead process, and the lock
    assert list(found) == ["m0", "m1", "m2"]
    for name in found:
        for parameter, draws in whole[name].draws.params.items():
            np.testing.assert_array_equal(draws, found[name].draws.params[parameter])


@pytest.mark.slow(parts=6)
def test_a_full_disk_is_no_verdict_and_the_same_call_goes_on(tmp_path, monkeypatch):
    whole = three(tmp_path / "whole")
    files = 1 + 2 * 3 + 2  # the manifest, two a market, two tables
    for left in (*range(1, 5), files - 2, files - 1):
        place = tmp_path / str(left)
        with monkeypatch.context() as patch:
            Full(patch, left)
            words = "No space left on device.*markets have ended and are whole"
            with pytest.raises(OSError, match=words):
                three(place)
        rows = mm.open_fleet(place).table.set_index("market").status
        assert set(rows) <= {"converged", "pending"}
        assert (rows == "converged").sum() == min(3, (left - 1) // 2)
        found = three(place)
        assert found.table["status"].tolist() == ["converged"] * 3
        mine, theirs = (
            (p / "channels.csv").read_bytes() for p in (place, tmp_path / "whole")
        )
        assert mine == theirs
    draws = whole["m1"].draws.params["intercept"]
    np.testing.assert_array_equal(found["m1"].draws.params["intercept"], draws)


def test_what_a_full_disk_made_of_a_market_in_an_earlier_version_is_tried_again(tmp_path):
    three(tmp_path)
    row = Done("m1", "failed", "OSError: [Errno 28] No space left on device")
    Folder.at(tmp_path).write(row)
    assert mm.open_fleet(tmp_path).table["status"].tolist()[1] == "pending"
    assert three(tmp_path).table["status"].tolist() == ["converged"] * 3


def test_a_second_run_in_a_store_is_refused(tmp_path):
    with only_run("store", tmp_path), pytest.raises(mm.InputError, match="is at work"):
        three(tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_a_fleet_beyond_memory_or_disk_is_refused_with_the_number(tmp_path):
    markets = {"a": panel()}
    most = mm.HMC(chains=64, draws=10_000_000, until=None)
    with pytest.raises(mm.InputError, match=r"GB of memory.*this machine holds"):
        mm.fit_fleet(spec(), markets, most, store=tmp_path / "x", progress=False)
    with pytest.raises(mm.InputError, match="store"):
        Local(tmp_path).room(1e15, "the draws of 3 markets")


NAMES = ["a/b", "a%2Fb", "a%252Fb", "..", ".", "%2E%2E", "50%", "=1+1", "ü ", "con"]


def test_every_market_whatever_its_name_is_in_the_tree_and_in_the_store(tmp_path):
    fits = {name: make_fit(draws=4, seed=i) for i, name in enumerate(NAMES)}
    folder = Folder(tmp_path, manifest(spec=dict.fromkeys(NAMES, spec().to_dict()),
                                       data=dict.fromkeys(NAMES, "")))  # fmt: skip
    for name, one in fits.items():
        folder.write(Done(name, "converged", "", one, Verdict.of(one.draws)))
    folder.write_tables(NAMES)
    table = pd.read_csv(tmp_path / "fleet.csv")
    assert plain(table)["market"].tolist() == NAMES
    assert not table["market"].str.startswith("=").any()
    for found in (mm.open_fleet(tmp_path), Fleet(folder_table(fits), (), fits)):
        tree = found.to_tree()
        assert [child.attrs["market"] for child in tree.children.values()] == NAMES
        for name, child in tree.children.items():
            seed = fits[child.attrs["market"]].seed
            told = json.loads(tree[f"{name}/record"]["run"].item())
            assert told["seed"] == seed


def folder_table(fits):
    """The table of fits in memory."""
    rows = [{"market": name, "status": "converged"} for name in fits]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\tb", "\ud800", "\x1b[m", "x" * 251])
def test_names_that_no_file_or_table_can_have_are_refused_before_sampling(name, tmp_path):
    with pytest.raises(mm.InputError, match="market"):
        mm.fit_fleet(spec(), {name: panel()}, store=tmp_path / "x", progress=False)
    assert not (tmp_path / "x").exists()
    check_market("x" * 250)
