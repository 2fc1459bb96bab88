"""Files of our writer, read by xarray, against those that xarray writes itself."""

import io
import json
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mmmjax import netcdf
from mmmjax.store import dumps, loads
from tests.fits import make_fit


def tree():
    """Every kind of array and attribute that a fit has, and some that it might."""
    rng = np.random.default_rng(0)
    coords = {
        "date": pd.date_range("2024-01-01", periods=5, freq="W"),
        "channel": ["TV", "Außenwerbung", ""],
        "draw": np.arange(300),
    }
    one = xr.Dataset(
        {
            "wide": (("draw", "channel"), rng.standard_normal((300, 3))),
            "short": (("date",), np.array([0.0, -0.0, np.nan, np.inf, 5e-324])),
            "single": (("date", "channel"), rng.random((5, 3)).astype(np.float32)),
            "flag": (("date", "free"), rng.random((5, 2)) < 0.5),
            "count": (("free",), np.array([1, 2**62])),
            "bytes": (("free",), np.array([0, 255], np.uint8)),
            "text": ((), "several\nlines, ü"),
        },
        coords,
        {"name": "x", "empty": "", "size": 3, "share": 0.5, "dims": ["a", "b"]},
    )
    two = xr.Dataset({"again": (("letter",), np.arange(3.0))}, {"letter": list("abc")})
    groups = {"/": xr.Dataset(attrs={"format": 1}), "/one": one, "/one/two": two}
    return xr.DataTree.from_dict(groups)


def opened(content):
    with xr.open_datatree(io.BytesIO(content), engine="h5netcdf") as found:
        return found.load()


def test_readers_see_what_xarray_would_have_written():
    plain = {n: {"_FillValue": None} for n in ("wide", "short", "single")}
    encoding = {"/one": plain, "/one/two": {"again": {"_FillValue": None}}}
    theirs = opened(bytes(tree().to_netcdf(engine="h5netcdf", encoding=encoding)))
    ours = opened(netcdf.to_bytes(tree()))
    assert ours.attrs.pop(netcdf.DIGESTS)
    xr.testing.assert_identical(ours, theirs)
    for node in theirs.subtree:
        for name, variable in node.variables.items():
            mine = ours[node.path].variables[name]
            assert mine.dtype == variable.dtype, name
            assert mine.attrs == variable.attrs, name
            if variable.dtype.kind in "fiu":
                assert mine.values.tobytes() == variable.values.tobytes(), name


def test_dimensions_are_numbered_and_attached():
    with h5py.File(io.BytesIO(netcdf.to_bytes(tree()))) as file:
        numbers: list[int] = []

        def look(_: str, item: Any) -> None:
            if "_Netcdf4Dimid" in item.attrs:
                numbers.append(int(item.attrs["_Netcdf4Dimid"]))

        file.visititems(look)
        assert sorted(numbers) == list(range(5))
        wide: Any = file["one/wide"]
        short: Any = file["one/short"]
        assert [scale[0].name for scale in wide.dims] == ["/one/draw", "/one/channel"]
        assert wide.compression == "gzip"
        assert short.compression is None


def test_our_reader_and_xarrays_agree_and_digests_tell_what_changed():
    content = netcdf.to_bytes(tree())
    with h5py.File(io.BytesIO(content)) as file:
        found = netcdf.raw(file)
        digests = json.loads(file.attrs[netcdf.DIGESTS])
    assert netcdf.changed(found, digests) == []
    theirs = opened(content)
    theirs.attrs.pop(netcdf.DIGESTS)
    decoded = {path: xr.decode_cf(data).load() for path, data in found.items()}
    xr.testing.assert_identical(xr.DataTree.from_dict(decoded), theirs)
    found["/one"]["short"].values[1] = 0.0  # was minus zero
    found["/one"].attrs["size"] = 4
    del found["/one/two"]["letter"]
    del digests["/one/wide"]
    changed = ["/one/", "/one/short", "/one/two/letter", "/one/wide"]
    assert netcdf.changed(found, digests) == changed


@pytest.mark.parametrize("draws", [3, 200])
def test_a_fit_comes_back_to_the_bit(draws):
    fit = make_fit(2, draws)
    again = loads(dumps(fit), "fit.nc")
    for name, values in fit.draws.params.items():
        assert again.draws.params[name].tobytes() == values.tobytes(), name
    assert again.panel.data_hash() == fit.panel.data_hash()


def test_large_arrays_are_cut_so_that_a_part_can_be_read(monkeypatch):
    monkeypatch.setattr(netcdf, "ONE_CHUNK", 4096)
    values = np.random.default_rng(0).standard_normal((5000, 50))
    data = xr.Dataset({"wide": (("draw", "parameter"), values)})
    content = netcdf.to_bytes(xr.DataTree(data))
    with h5py.File(io.BytesIO(content)) as file:
        wide: Any = file["wide"]
        assert wide.chunks != wide.shape
    np.testing.assert_array_equal(opened(content)["wide"].to_numpy(), values)
