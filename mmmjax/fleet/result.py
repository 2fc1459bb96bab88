"""Fleet: what fit_fleet gives back, fits by market."""

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd
import xarray as xr

from mmmjax import words
from mmmjax.arguments import checked
from mmmjax.draws import Fit
from mmmjax.fleet.attention import contradicted
from mmmjax.fleet.engine import USABLE
from mmmjax.fleet.plan import FleetPlan
from mmmjax.fleet.store import Folder
from mmmjax.fleet.trees import channels_of, fleet_tree

__all__ = ["Fleet"]


@checked
class Fleet(Mapping[str, Fit]):
    """Fits by market, read from the folder when they are asked for.

    Args:
        table: A row for each market: market, status, reason, r_hat, min_ess, divergences,
            seconds, crps, coverage, sampled (its draws can be used), adequate (the data
            do not contradict its model), finding (what does, or else is worth knowing).
            Refused and failed ones have no fit.
        plan: Which markets shared programs and batches, and what that was to cost; empty
            for one that was opened.
        fits: Fits in memory, or the folder that has them.
        channels: Rows of channels.csv of fits in memory, as far as they are known.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        plan: FleetPlan | tuple[()],
        fits: dict[str, Fit] | Folder,
        channels: Mapping[str, pd.DataFrame] | None = None,
    ):
        """Hold the parts."""
        self.table, self.plan, self._fits = table, plan, fits
        self._channels = channels or {}
        have = set(fits.fitted() if isinstance(fits, Folder) else fits)
        self._names = [name for name in table["market"] if name in have]

    def __getitem__(self, name: str) -> Fit:
        """The fit of a market; KeyError where it has none, with the reason."""
        if name not in self._names:
            row = self.table[self.table["market"] == name]
            why = "no such market" if row.empty else f"{row.status.iloc[0]}: "
            raise KeyError(f"{name}: {why}{'' if row.empty else row.reason.iloc[0]}")
        if isinstance(self._fits, Folder):
            return self._fits.load(name)
        return self._fits[name]

    def __contains__(self, name: object) -> bool:
        """Whether a market has a fit, which is not read for that."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """Names of markets with a fit, in the order of the fleet."""
        return iter(self._names)

    def __len__(self) -> int:
        """How many markets have a fit."""
        return len(self._names)

    @property
    def usable(self) -> dict[str, Fit]:
        """Fits that converged: what a budget over markets should be made of."""
        good = set(self.table["market"][self.table["status"].isin(USABLE)])
        return {name: self[name] for name in self if name in good}

    _repr_html_ = words.in_html

    def __repr__(self) -> str:
        """How many ended how, and what to ask next."""
        counts = self.table["status"].value_counts()
        said = ", ".join(f"{count} {status}" for status, count in counts.items())
        if wrong := int(contradicted(self.table).sum()):
            said += f"; {wrong} of them not adequate: their data contradict the model"
        shapes = ", ".join(
            f"{len(b.markets)} of {b.shape.periods} periods x {b.shape.channels} channels"
            for b in self.plan
        )
        named = f"  shapes   {len(self.plan)}: {shapes}\n" if self.plan else ""
        first = next(iter(self), None)
        then = f', fleet["{first}"], mm.optimize(fleet.usable, ...)'
        then = ', fleet.table["reason"]' if first is None else then
        return (
            f"Fleet: {len(self.table)} markets: {said}\n{named}"
            f"  next     mm.fleet_ranking(fleet.table){then}"
        )

    @property
    def channels(self) -> pd.DataFrame:
        """Rows of channels.csv of all markets with a fit, ``market`` first."""
        return channels_of(self._fits, self._names, self._channels)

    def to_tree(self, markets: Iterable[str] | None = None) -> xr.DataTree:
        """One child for each market with a fit, opened lazily; see `trees`."""
        return fleet_tree(self._fits, self._names, markets)
