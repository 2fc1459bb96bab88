"""All markets of a fleet at once: the table of their channels, and one xarray tree."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core.indexing import (
    ExplicitIndexer,
    IndexingSupport,
    LazilyIndexedArray,
    explicit_indexing_adapter,
)

from mmmjax.checks import closest, fail
from mmmjax.draws import Fit
from mmmjax.fleet.store import Folder
from mmmjax.posterior.tables import channels_table
from mmmjax.store import tree_of

__all__ = ["channels_of", "fleet_tree"]

OWN = (
    "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid",
    "_Netcdf4Coordinates", "_NCProperties", "_nc3_strict",
)  # fmt: skip


def channels_of(
    fits: Mapping[str, Fit] | Folder,
    names: Iterable[str],
    known: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Rows of channels.csv of markets, ``market`` first.

    Args:
        fits: Fits in memory, or the folder that has them.
        names: Of the markets, in the order of the rows.
        known: Rows of markets in memory; those of others are computed.
    """
    if isinstance(fits, Folder):
        return fits.channels(names)
    found = []
    for name in names:
        table = known[name].copy() if name in known else channels_table(fits[name])
        table.insert(0, "market", name)
        found.append(table)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def fleet_tree(
    fits: Mapping[str, Fit] | Folder, have: list[str], markets: Iterable[str] | None
) -> xr.DataTree:
    """A child for each market, with the groups of its file.

    Args:
        fits: Fits in memory, or the folder that has them: then nothing of the draws is read
            before it is indexed, and nothing that was read is kept.
        have: Markets with a fit.
        markets: Of these only; None: all. Opening one takes some 30 ms or more.

    Returns:
        Groups posterior, sample_stats, panel, scale and record of each market. A "/" in a
        name is written %2F; the attribute ``market`` has the name itself.

    Raises:
        InputError: A market without a fit.
    """
    children = {}
    for name in have if markets is None else markets:
        if name not in have:
            near = closest(name, have)
            fix = f'did you mean "{near}"?' if near else "see fleet.table for how it ended"
            fail("markets", name, "", "markets with a fit", fix)
        tree = _opened(fits, name) if isinstance(fits, Folder) else tree_of(fits[name])
        tree.attrs = {**tree.attrs, "market": name}
        children[name.replace("/", "%2F")] = tree
    return xr.DataTree(name="fleet", children=children)


@dataclass(frozen=True)
class _Stored(BackendArray):
    """An array of a market's file, read where it is indexed."""

    folder: Folder
    market: str
    path: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, key: ExplicitIndexer) -> Any:
        """Read a part."""
        support = IndexingSupport.OUTER_1VECTOR
        return explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: Any) -> Any:
        with h5py.File(self.folder.opened(self.market)) as file:
            return _array(file, self.path)[key]


def _opened(folder: Folder, market: str) -> xr.DataTree:
    """The groups of a market's file; xarray's own reader takes ten times as long."""

    def lazy(item: h5py.Dataset) -> LazilyIndexedArray:
        dtype = np.dtype(object) if h5py.check_string_dtype(item.dtype) else item.dtype
        return LazilyIndexedArray(
            _Stored(folder, market, str(item.name), item.shape, dtype)
        )

    with h5py.File(folder.opened(market)) as file:
        groups = {f"/{name}": _dataset(file, str(name), lazy) for name in file}
        tree = xr.DataTree.from_dict(groups)
        tree.attrs = _attributes(file)
    return tree


def _dataset(
    file: h5py.File, name: str, lazy: Callable[[h5py.Dataset], LazilyIndexedArray]
) -> xr.Dataset:
    """A group of a file: its coordinates read, its other arrays not."""
    group: Any = file[name]
    variables = {}
    for key, item in group.items():
        if item.is_scale:
            dims, data = (key,), _array(group, key)[:]
        else:
            dims = tuple(str(d[0].name).rsplit("/", 1)[-1] for d in item.dims)
            data = lazy(item)
        variables[key] = xr.Variable(dims, data, _attributes(item))
    return xr.decode_cf(xr.Dataset(variables, attrs=_attributes(group)))


def _array(group: Any, name: str) -> Any:
    """An array of a file, texts as texts."""
    item = group[name]
    return item.asstr() if h5py.check_string_dtype(item.dtype) else item


def _attributes(item: Any) -> dict[str, Any]:
    """Attributes but those by which HDF5 and NetCDF keep dimensions."""
    one = lambda v: v[0] if isinstance(v, np.ndarray) and v.shape == (1,) else v
    return {k: one(item.attrs[k]) for k in item.attrs if k not in OWN}
