"""Trees of arrays as the bytes of a NetCDF-4 file, written in one pass.

NetCDF-4 is HDF5 with conventions; xarray and h5netcdf follow them too and look every
dimension up again for every variable, which is four fifths of their time where arrays are
many and small. Readers see no difference (tests compare).

A root attribute holds a digest of every array and of the attributes of every group, as they
are stored: names, dims, types, values and attributes. Who reads can tell what has changed.
HDF5 itself trusts the tables of a file, and can loop for ever over damaged ones; so behind
its end stands a seal, a digest of all bytes that are no array, looked at before HDF5 is.

Source: NetCDF-C documentation, "NetCDF-4 file format": dimensions are HDF5 dimension
scales, numbered by ``_Netcdf4Dimid``.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.conventions import cf_encoder

__all__ = [
    "DIGESTS",
    "array",
    "attributes",
    "changed",
    "digest",
    "dims_of",
    "raw",
    "sound",
    "to_bytes",
]

COMPRESS_ABOVE = 2048  # bytes; smaller arrays only grow by being chunked
ONE_CHUNK = 2**24  # bytes; larger arrays are cut, so that a part of them can be read
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable.%10d"
UNNAMED = NO_VARIABLE[:30].encode()
TEXT = h5py.string_dtype()
DIGESTS = "mmmjax_digests"
SEAL = b"mmmjaxsl"  # the last bytes of a file; before them the length of the seal
OWN = {
    "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid",
    "_Netcdf4Coordinates", "_NCProperties", "_nc3_strict", DIGESTS,
}  # fmt: skip

type Read = Callable[[h5py.Dataset], Any]


def to_bytes(tree: xr.DataTree) -> bytes:
    """A NetCDF-4 file of all groups of a tree; what is large is compressed.

    Arrays keep every bit: there are no fill values. Dates, booleans and text are encoded by
    xarray's CF conventions.

    Args:
        tree: Its groups hold the coordinates of their own dimensions.
    """
    buffer, ids = io.BytesIO(), count()
    digests: dict[str, str] = {}
    with h5py.File(buffer, "w", track_order=True) as file:
        for node in tree.subtree:
            place = (
                file if node.path == "/" else file.create_group(node.path, track_order=True)
            )
            found = _write(place, node.to_dataset(inherit=False), ids)
            digests |= {f"{node.path.rstrip('/')}/{n}": text for n, text in found.items()}
        file.attrs.create(DIGESTS, json.dumps(digests), dtype=TEXT)
    content = buffer.getvalue()
    with h5py.File(io.BytesIO(content)) as file:
        places = sorted(_places(file))
    seal = json.dumps([places, _layout(content, places)]).encode()
    return content + seal + len(seal).to_bytes(8, "little") + SEAL


def sound(content: bytes) -> bool:
    """Whether what is no array is as it was written; True of files without a seal."""
    if not content.endswith(SEAL):
        return True
    try:
        end = len(content) - 16
        start = end - int.from_bytes(content[end : end + 8], "little")
        places, digest = json.loads(content[max(start, 0) : end])
        return bool(digest == _layout(content[:start], places))
    except (ValueError, TypeError, RecursionError):
        return False


def _places(group: Any) -> Iterator[tuple[int, int]]:
    """Where the bytes of arrays lie in a file: first byte and length of each block."""
    for item in group.values():
        if isinstance(item, h5py.Group):
            yield from _places(item)
        elif item.chunks:
            blocks = (item.id.get_chunk_info(i) for i in range(item.id.get_num_chunks()))
            yield from ((block.byte_offset, block.size) for block in blocks)
        elif item.dtype.kind != "O" and item.id.get_offset() is not None:
            yield item.id.get_offset(), item.id.get_storage_size()


def _layout(content: bytes, places: Sequence[Sequence[int]]) -> str:
    """Digest of a file but for its arrays, whose own digests say which has changed."""
    made, at = hashlib.blake2b(json.dumps(places).encode(), digest_size=16), 0
    for start, size in places:
        made.update(content[at:start])
        at = start + size
    made.update(content[at:])
    return made.hexdigest()


def raw(file: h5py.File, read: Read | None = None) -> dict[str, xr.Dataset]:
    """Groups of a file by path, as they are stored: nothing is decoded yet.

    Args:
        file: Open.
        read: Gives the data of arrays that are no coordinates; None: all are read.
    """
    found, left = {}, ["/"]
    while left:
        path = left.pop()
        group: Any = file[path]
        variables = {}
        for name, item in group.items():
            if isinstance(item, h5py.Group):
                left.append(f"{path.rstrip('/')}/{name}")
                continue
            if item.is_scale and bytes(item.attrs["NAME"]).startswith(UNNAMED):
                continue
            if item.is_scale:
                dims, data = (name,), array(item)[()]
            else:
                dims = dims_of(item)
                data = read(item) if read else array(item)[()]
            variables[name] = xr.Variable(dims, data, attributes(item))
        found[path] = xr.Dataset(variables, attrs=attributes(group))
    return dict(sorted(found.items()))


def dims_of(item: h5py.Dataset) -> tuple[str, ...]:
    """Names of the dimensions of an array."""
    named = ((d[0].name if len(d) else f"dim_{i}") for i, d in enumerate(item.dims))
    return tuple(str(name).rsplit("/", 1)[-1] for name in named)


def array(item: h5py.Dataset) -> Any:
    """An array of a file, texts as texts."""
    return item.asstr() if h5py.check_string_dtype(item.dtype) else item


def attributes(item: Any) -> dict[str, Any]:
    """Attributes but those by which HDF5 and NetCDF keep dimensions, and the digests."""
    one = lambda v: v[0] if isinstance(v, np.ndarray) and v.shape == (1,) else v
    return {k: one(item.attrs[k]) for k in item.attrs if k not in OWN}


def changed(found: Mapping[str, xr.Dataset], digests: Mapping[str, str]) -> list[str]:
    """What of a file is not as it was written; attributes of a group by its name and "/".

    Args:
        found: From :func:`raw`, all arrays read.
        digests: Of the file, by path.
    """
    now = {}
    for path, data in found.items():
        start = path.rstrip("/") + "/"
        now[start] = digest((), np.zeros(0), data.attrs)
        for name, v in data.variables.items():
            now[f"{start}{name}"] = digest(v.dims, v.values, v.attrs)
    return sorted(n for n in {*now, *digests} if now.get(n) != digests.get(n))


def digest(dims: Iterable[Any], values: Any, about: Mapping[Any, Any]) -> str:
    """Of an array as it is stored: 128 bits, hexadecimal."""
    made = hashlib.blake2b(repr([str(dim) for dim in dims]).encode(), digest_size=16)
    for name, value in [("", values), *sorted(about.items())]:
        part = np.asarray(value) if name == "" else np.atleast_1d(value)
        if part.dtype.kind in "OUT":
            kind, stored = "text", repr([str(text) for text in part.ravel()]).encode()
        else:
            kind = part.dtype.kind + str(part.dtype.itemsize)
            stored = part.astype(part.dtype.newbyteorder("<"), copy=False).tobytes()
        if name == "_FillValue" and kind[0] == "f" and np.isnan(part).all():
            continue  # other writers add it; NaN in place of NaN changes nothing
        made.update(repr((name, kind, part.shape, len(stored))).encode() + stored)
    return made.hexdigest()


def _write(place: Any, data: xr.Dataset, ids: Iterator[int]) -> dict[str, str]:
    """Write a group; the digests of its arrays, under "" that of its attributes."""
    variables, about = cf_encoder(data.variables, data.attrs)
    _tell(place, about)
    digests = {"": digest((), np.zeros(0), about)}
    digests |= {str(n): digest(v.dims, v.values, v.attrs) for n, v in variables.items()}
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
        stored = _array(place, str(name), variable)
        for axis, dim in enumerate(variable.dims):
            stored.dims[axis].attach_scale(made[str(dim)])
    return digests


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
