"""All markets of a fleet at once: the table of their channels, and one xarray tree."""

import json
import re
from collections.abc import Iterable, Mapping
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

from mmmjax import netcdf
from mmmjax.checks import Phrase, closest, fail
from mmmjax.draws import Fit
from mmmjax.fleet.store import Folder
from mmmjax.posterior.tables import channels_table
from mmmjax.store import tree_of

__all__ = ["channels_of", "fleet_tree"]


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
        name is written %2F, the names "." and ".." %2E and %2E%2E, and such a text in a
        name itself as %252F; the attribute ``market`` has the name itself.

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
        children[_child(name)] = tree
    return xr.DataTree(name="fleet", children=children)


def _child(market: str) -> str:
    """Name of a market's group: no two markets have the same."""
    once = re.sub("%(?=2F|2E|25)", "%25", market).replace("/", "%2F")
    return once.replace(".", "%2E") if once in (".", "..") else once


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
            item: Any = file[self.path]
            if item.nbytes > netcdf.ONE_CHUNK:  # the only arrays that are read in part
                return netcdf.array(item)[key]
            values = netcdf.array(item)[()]
            digest = json.loads(file.attrs.get(netcdf.DIGESTS, "{}")).get(self.path)
            dims, about = netcdf.dims_of(item), netcdf.attributes(item)
        if digest and digest != netcdf.digest(dims, values, about):
            got = Phrase(
                f'{self.path} of "{self.market}", which differs from what was saved'
            )
            fix = "remove the market's two files and run the fleet again: the same draws"
            fail("fleet", got, "", "arrays as the fit was saved", fix)
        return np.asarray(values)[key]


def _opened(folder: Folder, market: str) -> xr.DataTree:
    """The groups of a market's file, nothing read but coordinates and attributes."""

    def lazy(item: h5py.Dataset) -> LazilyIndexedArray:
        dtype = np.dtype(object) if h5py.check_string_dtype(item.dtype) else item.dtype
        return LazilyIndexedArray(
            _Stored(folder, market, str(item.name), item.shape, dtype)
        )

    with h5py.File(folder.opened(market)) as file:
        found = netcdf.raw(file, lazy)
    return xr.DataTree.from_dict({path: xr.decode_cf(x) for path, x in found.items()})
