"""Trees of arrays as the bytes of a NetCDF-4 file, written in one pass.

NetCDF-4 is HDF5 with conventions; xarray and h5netcdf follow them too and look every
dimension up again for every variable, which is four fifths of their time where arrays are
many and small. Readers see no difference (tests compare).

Source: NetCDF-C documentation, "NetCDF-4 file format": dimensions are HDF5 dimension
scales, numbered by ``_Netcdf4Dimid``.
"""

import io
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.conventions import cf_encoder

__all__ = ["to_bytes"]

COMPRESS_ABOVE = 2048  # bytes; smaller arrays only grow by being chunked
ONE_CHUNK = 2**24  # bytes; larger arrays are cut, so that a part of them can be read
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable.%10d"
TEXT = h5py.string_dtype()


def to_bytes(tree: xr.DataTree) -> bytes:
    """A NetCDF-4 file of all groups of a tree; what is large is compressed.

    Arrays keep every bit: there are no fill values. Dates, booleans and text are encoded by
    xarray's CF conventions.

    Args:
        tree: Its groups hold the coordinates of their own dimensions.
    """
    buffer, ids = io.BytesIO(), count()
    with h5py.File(buffer, "w", track_order=True) as file:
        for node in tree.subtree:
            place = (
                file if node.path == "/" else file.create_group(node.path, track_order=True)
            )
            _write(place, node.to_dataset(inherit=False), ids)
    return buffer.getvalue()


def _write(place: Any, data: xr.Dataset, ids: Iterator[int]) -> None:
    variables, attributes = cf_encoder(data.variables, data.attrs)
    _tell(place, attributes)
    made: dict[str, Any] = {}
    for dim, size in data.sizes.items():  # dimensions first: the others refer to them
        name = str(dim)
        if dim in variables:
            made[name] = _array(place, name, variables[dim])
            made[name].make_scale(name)
        else:
            made[name] = place.create_dataset(name, (size,), ">f4")
            made[name].make_scale(NO_VARIABLE % size)
        made[name].attrs["_Netcdf4Dimid"] = np.int32(next(ids))
    for name, variable in variables.items():
        if name in made:
            continue
        array = _array(place, str(name), variable)
        for axis, dim in enumerate(variable.dims):
            array.dims[axis].attach_scale(made[str(dim)])


def _array(place: Any, name: str, variable: xr.Variable) -> Any:
    values = np.asarray(variable.values)
    text = values.dtype.kind in "OU"
    how: dict[str, Any] = {"track_order": True, "dtype": TEXT if text else values.dtype}
    if not text and values.nbytes > COMPRESS_ABOVE:
        whole = values.nbytes <= ONE_CHUNK
        how |= {"chunks": values.shape if whole else True, "shuffle": True}
        how |= {"compression": "gzip", "compression_opts": 4}
    made = place.create_dataset(name, data=values.astype(object) if text else values, **how)
    _tell(made, variable.attrs)
    return made


def _tell(place: Any, attributes: Mapping[Any, Any]) -> None:
    """Attributes: texts as strings, numbers as arrays of one."""
    for name, value in attributes.items():
        values = np.atleast_1d(value)
        if values.dtype.kind in "OU":
            many = values.size > 1
            place.attrs.create(
                name, values.astype(object) if many else str(value), dtype=TEXT
            )
        else:
            place.attrs[name] = values
