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
from mmmjax.fleet.places import Remote
from mmmjax.fleet.store import COLUMNS, Folder, read_manifest
from mmmjax.infer.judge import Verdict
from mmmjax.posterior.tables import channels_table
from tests.fits import make_fit
from tests.infer.problems import panel, spec

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
        for name in ("sampled", "adequate", "finding"):
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
        ({"seed": 2}, "other seed"),
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
import mmmjax as mm, mmmjax.store as store
from tests.fleet import test_store as here
def half(path, mode):
    file = open(path, mode)
    if "m1.nc" in str(path):
        file.write(b"\\x89HDF\\r\\n\\x1a\\n half of a fit")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return file
store.open = half
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
    assert half.startswith(".m1.nc.")
    assert left == ["m0.json", "m0.nc"]
    assert mm.open_fleet(place).table["status"].tolist()[1:] == ["pending", "pending"]
    found, whole = three(place), three(tmp_path / "whole")
    assert kept.stat().st_mtime_ns == time
    assert list(found) == ["m0", "m1", "m2"]
    for name in found:
        for parameter, draws in whole[name].draws.params.items():
            np.testing.assert_array_equal(draws, found[name].draws.params[parameter])
