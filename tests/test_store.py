"""One file a fit: exact round trips, readable by others, atomic, and refusals in words."""

import dataclasses
import io
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from mmmjax import netcdf, store
from mmmjax.checks import InputError
from mmmjax.kernels.adstock import Geometric
from mmmjax.likelihood import StudentT
from mmmjax.prior import Prior, spend_share
from mmmjax.spec import Spec
from mmmjax.store import load, save
from tests.fits import make_fit, make_panel, make_spec

ROOT = Path(__file__).parent.parent
RELEASED = Path(__file__).parent / "data" / "fit_v1.nc"


def assert_same(actual, expected):
    """Every part equal, arrays bit by bit."""
    assert actual.spec == expected.spec
    assert actual.sampler == expected.sampler
    assert actual.seed == expected.seed
    assert actual.info == expected.info
    for kind in ("params", "stats"):
        ours, theirs = getattr(actual.draws, kind), getattr(expected.draws, kind)
        assert list(ours) == list(theirs)
        for name, array in theirs.items():
            same_array(ours[name], array)
    for name in ("outcome", "media", "cost_per_unit"):
        same_array(getattr(actual.scale, name), getattr(expected.scale, name))
    for name in ("outcome", "media", "spend", "controls", "present", "population"):
        same_array(getattr(actual.panel, name), getattr(expected.panel, name))
    for name in ("geos", "channels", "control_names", "currency", "outcome_name", "history",
                 "freq", "columns", "outcome_value"):  # fmt: skip
        assert getattr(actual.panel, name) == getattr(expected.panel, name), name
    assert actual.panel.dates.equals(expected.panel.dates)
    assert actual.panel.dates.dtype == expected.panel.dates.dtype
    assert actual.panel.data_hash() == expected.panel.data_hash()


def same_array(ours, theirs):
    if theirs is None:
        assert ours is None
        return
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.tobytes() == theirs.tobytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.nc"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip_is_exact(path, dtype):
    fit = make_fit(2, 700, dtype=dtype)  # long enough to be compressed
    fit.draws.params["y_sigma"][1, 3] = np.nan
    assert save(fit, path) == path.resolve()
    assert_same(load(path), fit)
    assert load(path).panel.read_future is not None
    worth = dataclasses.replace(
        fit, panel=dataclasses.replace(fit.panel, outcome_value=0.35)
    )
    save(worth, path)
    assert_same(load(path), worth)


def test_round_trip_of_other_shapes(path):
    """One geo; no controls, no media, no population; a history of media; other records."""
    panel = make_panel(geos=("national",), controls=())
    spec = Spec(
        adstock=Geometric(max_lag=4, normalize=False),
        seasonality=None,
        trend=True,
        likelihood=StudentT(),
        adstock_first=False,
        priors={
            "saturation_lam": Prior("LogNormal", loc=0.1, scale=0.3, dims=()),
            "saturation_beta": Prior("HalfNormal", scale=[0.1, 1 / 3, 2.0]),
        },
    )
    outcome = panel.outcome.copy()
    outcome[:, :3] = np.nan
    with_history = replace(panel, outcome=outcome, history=3, population=None)
    fit = make_fit(spec=spec, panel=with_history)
    save(fit, path)
    assert_same(load(path), fit)
    bare = replace(
        panel, channels=(), media=panel.media[..., :0], spend=panel.spend[..., :0]
    )
    fit = make_fit(panel=bare)
    save(fit, str(path))
    assert_same(load(str(path)), fit)


def test_info_may_hold_numpy_and_nothing_strange(path):
    fit = make_fit()
    fit.info.update(peak=np.float32(0.5), steps=np.arange(3), out=Path("run"))
    save(fit, path)
    info = load(path).info
    assert (info["peak"], info["steps"], info["out"]) == (0.5, [0, 1, 2], "run")
    fit.info["f"] = print
    with pytest.raises(InputError, match="info"):
        save(fit, path)
    assert load(path).info["peak"] == 0.5


def test_arviz_and_xarray_open_it(path):
    fit = make_fit(2, 700)
    save(fit, path)
    import arviz

    tree = arviz.from_netcdf(path)
    beta = tree["posterior"]["saturation_beta"]
    assert beta.dims == ("chain", "draw", "channel")
    assert list(beta["channel"].values) == ["TV", "Search", "Mail"]
    assert "ess_bulk" in arviz.summary(tree, var_names=["saturation_beta"])
    with xr.open_datatree(path) as plain:
        assert {"posterior", "sample_stats", "panel", "scale", "record"} == set(
            plain.children
        )
        assert plain["panel"]["outcome"].dims == ("geo", "date")
        assert "[model" in plain["record"]["spec"].item()
        assert "numpyro" in plain["record"]["run"].item()


def test_large_arrays_are_compressed(path):
    fit = make_fit(4, 1000)
    save(fit, path)
    raw = sum(
        a.nbytes for kind in (fit.draws.params, fit.draws.stats) for a in kind.values()
    )
    assert path.stat().st_size < 0.95 * raw


# -- atomic writes -----------------------------------------------------------------------


def test_overwriting_leaves_one_file(path):
    save(make_fit(seed=1), path)
    save(make_fit(seed=2), path)
    assert load(path).seed == 2
    assert [p.name for p in path.parent.iterdir()] == ["fit.nc"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_is_followed(path, tmp_path):
    (tmp_path / "latest.nc").symlink_to(path)
    save(make_fit(seed=1), path)
    save(make_fit(seed=2), tmp_path / "latest.nc")
    assert (tmp_path / "latest.nc").is_symlink()
    assert load(path).seed == 2


def test_a_failed_and_a_killed_save_leave_the_old_file(path):
    """The disk takes no more than 10 kB of a file: writing stops in the middle.

    First as an error; then the kernel kills the process there, and nothing can clean up.
    """
    save(make_fit(seed=1), path)
    code = """
import os, resource, signal, sys
from mmmjax.store import save
from tests.fits import make_fit
fit = make_fit(2, 700, seed=2)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    save(fit, sys.argv[1])
except OSError as error:
    print(error, os.listdir(os.path.dirname(sys.argv[1])), flush=True)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
save(fit, sys.argv[1])
"""
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "File too large" in done.stdout, done.stderr
    assert "['fit.nc']" in done.stdout
    assert done.returncode == -signal.SIGXFSZ
    assert load(path).seed == 1
    rests = [p for p in path.parent.iterdir() if p.name != "fit.nc"]
    assert len(rests) == 1  # half a file, under a name that nobody opens
    assert 0 < rests[0].stat().st_size <= 10_000
    save(make_fit(seed=3), path)
    assert load(path).seed == 3


def test_sigkill_at_any_time_leaves_a_whole_file(path):
    """Saved over and over by a process that is killed; the file is whole whenever."""
    code = """
import sys
from mmmjax.store import save
from tests.fits import make_fit
fits = [make_fit(2, 700, seed=s) for s in (1, 2)]
save(fits[0], sys.argv[1])
print("go", flush=True)
while True:
    for fit in fits:
        save(fit, sys.argv[1])
"""
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "go\n"
            for _ in range(3):  # a reader beside the writer
                assert load(path).seed in (1, 2)
        finally:
            child.kill()
    seed = load(path).seed
    assert_same(load(path), make_fit(2, 700, seed=seed))


# -- refusals ----------------------------------------------------------------------------


def test_missing_file_lists_what_is_there(path, tmp_path):
    save(make_fit(), path)
    with pytest.raises(InputError, match=r"no file .*fit2\.nc.*fit\.nc"):
        load(tmp_path / "fit2.nc")
    with pytest.raises(InputError, match="no file"):
        load(tmp_path / "nowhere" / "fit.nc")
    with pytest.raises(InputError, match="the folder"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"date,sales\n2022-01-02,5\n", b"CDF\x01xxxxxxxxx"]
)
def test_other_files_are_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"mm\.save.*Fix"):
        load(path)


def test_netcdf_of_others_is_refused(path):
    xr.Dataset({"x": ("t", np.arange(3.0))}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(InputError, match="without the mark of mmmjax"):
        load(path)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9, 0.99])
def test_truncated_files_are_refused(path, kept):
    save(make_fit(2, 700), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="damaged or cut short"):
        load(path)


def edited(path, change):
    """The stored tree with a change, written back without our checks."""
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        tree = tree.load()
    change(tree)
    tree.to_netcdf(path, engine="h5netcdf")


def test_a_changed_panel_is_refused(path):
    save(make_fit(), path)

    def change(tree):
        tree["panel"]["media"].values[0, 3, 1] += 1e-9

    edited(path, change)
    with pytest.raises(InputError, match=r"/panel/media differ.*Fix: copy it again"):
        load(path)


def test_a_changed_panel_of_format_1_is_refused_by_its_data_hash(path):
    path.write_bytes(RELEASED.read_bytes())

    def change(tree):
        tree["panel"]["media"].values[0, 3, 1] += 1e-9

    edited(path, change)
    with pytest.raises(InputError, match=r"data hash.*changed after the fit"):
        load(path)


def h5_edited(path, change):
    save(make_fit(), path)
    with h5py.File(path, "r+") as file:
        change(file)


def halved(name):
    def change(file):
        file[name][...] = file[name][...] / 2

    return change


def of_another_type(file):
    values = file["posterior/y_sigma"][...].astype("f8")
    del file["posterior/y_sigma"]
    file["posterior/y_sigma"] = values
    for axis, dim in enumerate(("chain", "draw")):
        file["posterior/y_sigma"].dims[axis].attach_scale(file[f"posterior/{dim}"])


def renamed(file):
    file.move("posterior/saturation_beta", "posterior/saturation_bets")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (halved("scale/outcome"), "/scale/outcome"),
        (halved("posterior/saturation_beta"), "/posterior/saturation_beta"),
        (lambda f: f["posterior/y_sigma"].write_direct(np.full((2, 5), np.nan, "f4")),
         "/posterior/y_sigma"),
        (of_another_type, "/posterior/y_sigma"),
        (renamed, "/posterior/saturation_bet[as] and /posterior/saturation_bet"),
        (lambda f: f["panel"].attrs.modify("currency", "USD"), "/panel/ "),
        (lambda f: f["panel"].attrs.pop("freq"), "/panel/ "),
        (lambda f: f["panel/date"].attrs.modify("units", "days since 2021-01-02"),
         "/panel/date"),
        (lambda f: f["posterior/y_sigma"].attrs.create("_FillValue", np.float32(0.3)),
         "/posterior/y_sigma"),
        (lambda f: f.attrs.modify("data_hash", "0" * 64), " / "),
        (lambda f: f.pop("scale"), "/scale/"),
        (lambda f: f.pop("sample_stats/energy"), "/sample_stats/energy"),
        (lambda f: f.create_group("extra").create_dataset("x", data=[1.0]), "/extra/"),
        (lambda f: f.create_group("extra").create_group("deeper"), "/extra/"),
        (lambda f: f["record/run"].write_direct(np.array("{}", object)), "/record/run"),
        (lambda f: f.attrs.pop(netcdf.DIGESTS), "its digests"),
        (lambda f: f.attrs.modify(netcdf.DIGESTS, "{"), "damaged"),
    ],
)  # fmt: skip
def test_what_was_changed_is_named(path, change, named):
    """One array halved, NaN, of another type or name; attributes; groups gone or added."""
    h5_edited(path, change)
    with pytest.raises(InputError, match=named):
        load(path)


def test_a_flip_anywhere_is_refused_or_changes_nothing(path, capfd):
    """One byte of every array, and every 300th byte of the file, each with other bits."""
    fit = make_fit(panel=make_panel(periods=8))
    content = store.dumps(fit)
    places = set(range(0, len(content), 300))
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda _, x: places.update(bytes_of(x)))
    assert len(places) > len(content) / 300 + 25
    harmless = 0
    for number, place in enumerate(sorted(places)):
        flipped = bytearray(content)
        flipped[place] ^= (1, 16, 128, 255)[number % 4]
        try:
            found = store.loads(bytes(flipped), "fit.nc")
        except InputError:
            continue
        assert_same(found, fit)
        harmless += 1
    assert harmless < 5  # in the last bytes, by which the seal is known
    assert capfd.readouterr().err == ""


def bytes_of(item):
    """A place among the bytes of an array; texts lie in heaps, which the steps reach."""
    if not isinstance(item, h5py.Dataset) or h5py.check_string_dtype(item.dtype):
        return []
    if item.chunks:
        found = item.id.get_chunk_info(0)
        return [found.byte_offset + found.size // 2]
    offset = item.id.get_offset()
    return [] if offset is None else [offset + item.nbytes // 2]


def test_a_newer_format_is_refused(path):
    save(make_fit(), path)
    edited(path, lambda tree: tree.attrs.update(mmmjax_format=3, mmmjax_version="9.1"))
    with pytest.raises(InputError, match=r"format 3, written by mmmjax 9\.1.*pip install"):
        load(path)


def test_an_unknown_sampler_is_refused(path):
    tree = store.tree_of(make_fit())
    tree["record"]["run"] = '{"sampler": {"kind": "dice"}, "seed": 0, "info": {}}'
    path.write_bytes(netcdf.to_bytes(tree))
    with pytest.raises(InputError, match="dice"):
        load(path)


def test_bad_targets_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"folder that exists.*mkdir"):
        save(make_fit(), tmp_path / "none" / "fit.nc")
    with pytest.raises(InputError, match="not a folder"):
        save(make_fit(), tmp_path)


# -- released formats --------------------------------------------------------------------


def released_fit():
    """What ``tests/data/fit_v*.nc`` hold; ``-m tests.test_store`` writes the last."""
    panel, spec = make_panel(geos=("north", "süd"), periods=8), make_spec()
    then = {"saturation_beta": Prior("HalfNormal", scale=spend_share)}  # the default
    spec = replace(spec, priors={**spec.priors, **then})
    return make_fit(2, 5, spec=spec, panel=panel, seed=7)


@pytest.mark.parametrize("number", [1, 2])
def test_released_formats_load(number):
    file = RELEASED.with_name(f"fit_v{number}.nc")
    assert file.stat().st_size < 40_000
    assert store.FORMAT == 2, "a new format: commit a file of it and keep loading these"
    fit, written = load(file), released_fit()
    assert fit.spec == replace(written.spec, scale="max")  # the only scale of those days
    assert fit.scale.people is None
    assert fit.panel.geos == ("north", "süd")
    assert fit.panel.currency == "EUR"
    assert fit.panel.outcome_value is None
    assert fit.sampler.target_accept == 0.9
    until = written.sampler.until if number > 1 else None  # nothing went on in those days
    assert fit.sampler.until == until
    assert fit.draws.params["saturation_beta"].dtype == np.float32
    np.testing.assert_array_equal(
        fit.draws.params["adstock_alpha"], written.draws.params["adstock_alpha"]
    )
    assert np.isnan(fit.panel.spend[..., 2]).all()
    assert fit.info["notes"][1:] == ([store.NO_DIGEST] if number == 1 else [])


if __name__ == "__main__":
    save(released_fit(), RELEASED.with_name(f"fit_v{store.FORMAT}.nc"))
