"""Draws behind the pictures: one array per scalar, densities, contraction; no drawing."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mmmjax.checks import fail, listing

__all__ = ["Density", "contraction_of", "density_of", "one_geo", "scalars"]

MOST = 30  # parameters in one picture
BINS = 1024


def scalars(
    draws: Mapping[Any, Any], names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Every scalar parameter by its label, each (chain, draw).

    Args:
        draws: Parameter -> array (chain, draw, ...): ``fit.draws.params``, or
            ``fit.to_arviz()["posterior"]``, whose coordinates name the cells
            (``saturation_beta[TV]`` rather than ``saturation_beta[0]``).
        names: Parameters ("saturation_beta") or labels ("saturation_beta[TV]") to keep,
            in this order; None: all.

    Raises:
        InputError: A name is unknown, or there are more than 30 scalars.
    """
    found: dict[str, tuple[str, np.ndarray]] = {}
    for name, array in draws.items():
        values = np.asarray(array)
        dims = getattr(array, "dims", ())[2:]
        labels = [
            [str(x) for x in array.coords[d].to_numpy()]
            if dims and d in array.coords
            else [str(i) for i in range(size)]
            for d, size in zip(dims or range(2, values.ndim), values.shape[2:], strict=True)
        ]
        flat = values.reshape(*values.shape[:2], -1)
        for i, cell in enumerate(product(*labels)):
            label = f"{name}[{', '.join(cell)}]" if cell else str(name)
            found[label] = (str(name), flat[:, :, i])
    if names is None:
        names = list(found)
    kept: dict[str, np.ndarray] = {}
    for asked in names:
        of = {k: a for k, (name, a) in found.items() if asked in (k, name)}
        if not of:
            every = [*dict.fromkeys(name for name, _ in found.values())]
            fail("names", asked, "the draws", listing(every, 30), f'names=["{every[0]}"]')
        kept |= of
    if len(kept) > MOST:
        first = next(iter(kept)).partition("[")[0]
        fail("names", len(kept), "", f"at most {MOST} parameters in one picture",
             f'names=["{first}"]')  # fmt: skip
    return kept


def contraction_of(prior: np.ndarray, posterior: np.ndarray) -> float:
    """1 - posterior variance / prior variance; NaN where the prior does not vary."""
    before, after = np.var(prior, ddof=1), np.var(posterior, ddof=1)
    return float(1 - after / before) if before > 0 else float("nan")


def one_geo(found: xr.Dataset, geo: str | None) -> xr.Dataset:
    """One geo of a labelled result; None: the only one."""
    geos = [str(g) for g in found["geo"].to_numpy()]
    geo = geos[0] if geo is None and len(geos) == 1 else geo
    if geo not in geos:
        fail("geo", geo, "the result drawn", listing(geos),
             f'geo="{geos[0]}", or total=True where it is made, for the sum')  # fmt: skip
    return found.sel(geo=geo)


class Density(NamedTuple):
    """A density on a grid, both (point,)."""

    at: np.ndarray
    height: np.ndarray

    def inside(self, lo: float, hi: float) -> "Density":
        """The part of it between two values, its ends interpolated; may be empty."""
        lo, hi = max(lo, self.at[0]), min(hi, self.at[-1])
        if lo > hi:
            return Density(np.zeros(0), np.zeros(0))
        at = np.concatenate([[lo], self.at[(self.at > lo) & (self.at < hi)], [hi]])
        return Density(at, np.interp(at, self.at, self.height))


def density_of(draws: Any, points: int = 256) -> Density:
    """Kernel density of draws, reflected at 0 and 1 where they end there.

    Gaussian kernels, bandwidth 0.9 min(sd, IQR / 1.34) n^(-1/5). Draws that are all at
    least 0 and reach to within three bandwidths of it are taken to be of a quantity that
    is not negative, and those in [0, 1] that also come near 1 of a share: the mass that
    the kernels put outside is reflected, so that the density does not sag at the border.

    Args:
        draws: Draws, any shape; what is not finite is left out.
        points: Size of the grid, over the draws and three bandwidths beyond.

    Source: Silverman (1986), "Density Estimation", equation 3.31 and section 2.10.
    """
    x = np.ravel(np.asarray(draws, float))
    x = np.sort(x[np.isfinite(x)])
    if not x.size:
        return Density(np.zeros(1), np.zeros(1))
    quarter, three = np.quantile(x, [0.25, 0.75])
    spread = min(x.std(), (three - quarter) / 1.34) or x.std()
    width = 0.9 * spread * x.size**-0.2 or max(abs(x[0]), 1.0) * 1e-3  # all the same
    low = 0.0 if 0 <= x[0] < 3 * width else -np.inf
    high = 1.0 if low == 0.0 and 1 - 3 * width < x[-1] <= 1 else np.inf
    start, end = max(x[0] - 3 * width, low), min(x[-1] + 3 * width, high)
    at = np.linspace(start, end, points)
    mass, edges = np.histogram(x, bins=BINS, range=(start, end))
    middle = 0.5 * (edges[1:] + edges[:-1])
    height = _kernels(at, middle, mass, width)
    for border in (b for b in (low, high) if np.isfinite(b)):
        height += _kernels(at, 2 * border - middle, mass, width)
    return Density(at, height / x.size)


def _kernels(
    at: np.ndarray, centre: np.ndarray, mass: np.ndarray, width: float
) -> np.ndarray:
    some = mass > 0
    z = (at[:, None] - centre[some]) / width
    return np.exp(-0.5 * z**2) @ mass[some] / (width * np.sqrt(2 * np.pi))
