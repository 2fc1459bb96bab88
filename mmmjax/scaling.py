"""Scale: what makes data of order one. The only place where units change.

Fitted once on the modelled window, frozen, stored with the fit and used again for
prediction: a future table is never rescaled by itself.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail
from mmmjax.metrics import robust_largest
from mmmjax.panel import Panel
from mmmjax.panel.calendar import spans

__all__ = ["Scale", "spend_share"]


@checked
@dataclass(frozen=True, eq=False)
class Scale:
    """Divisors from original to scaled units, all of full shape even where shared.

    Args:
        outcome: Outcome units per scaled unit, (geo,), above 0.
        media: Media units per scaled unit, (geo, channel), above 0.
        cost_per_unit: Money per unit of media, (geo, channel); NaN for organic channels.
        people: Where media are per head: the people of each geo that `media` is for, the
            mean of training (geo,). Else None.
        campaigns: Part of each campaign in the media of its channel in training, over all
            geos, (campaign,); None without campaigns.
        baseline: What each control is counted from, its own units, (control,): 0 but of
            levers; None without levers.
        frequency: Exposures of each person reached over training, (channel,), 1 where that
            is not known; None without channels of reach and frequency.
        clock: Periods that trends count as one window, where those are not the panel's
            own: of a fit that was refreshed, those of the first; else None.
        days: Where the mean is one of amounts a day: the mean days of a period of
            training. Else None.
    """

    outcome: np.ndarray
    media: np.ndarray
    cost_per_unit: np.ndarray
    people: np.ndarray | None = None
    campaigns: np.ndarray | None = None
    baseline: np.ndarray | None = None
    frequency: np.ndarray | None = None
    clock: float | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        """Make the arrays read only."""
        for each in fields(self):
            if getattr(self, each.name) is None or each.name in ("clock", "days"):
                continue
            array = np.array(getattr(self, each.name), np.float64)
            array.setflags(write=False)
            object.__setattr__(self, each.name, array)

    @classmethod
    def fit(
        cls,
        panel: Panel,
        per_geo_outcome: bool = False,
        per_geo_media: bool = False,
        robust: bool = True,
        per_head: bool = False,
        baseline: np.ndarray | None = None,
        per_day: bool = False,
    ) -> "Scale":
        """Take the largest values of the modelled window, over all geos or per geo.

        Robust: where the largest value of a geo is at least 2.5 times its second largest,
        the second largest takes its place, so that one outlier moves no units. Over all
        geos it is the largest of those of the geos.

        Per head: media are divided by the population of their period before, and one
        largest value is shared by all geos.

        `baseline` is as of the term that has the levers. Per day: see `lengths`.

        A channel without media in the window (kept by `on_empty="prior"`) gets scale 1;
        so does a geo without media of a channel when scales are per geo.
        """
        largest = robust_largest if robust else np.max
        outcome = largest(np.where(panel.mask, panel.outcome, -np.inf), axis=1)
        if not per_geo_outcome:
            outcome = np.broadcast_to(outcome.max(), outcome.shape)
        if not (bad := np.isfinite(outcome) & (outcome > 0)).all():
            where = "" if panel.n_geos == 1 else f'geo "{panel.geos[int(bad.argmin())]}"'
            got = Phrase(f"a largest value of {outcome[int(bad.argmin())]:g}")
            allowed = "an outcome that is above 0 somewhere"
            fail(
                "outcome", got, where, allowed, "name the right column or leave the geo out"
            )
        amounts, people = panel.media[:, panel.window], None
        if per_head:
            if panel.people is None:
                got, fix = Phrase("no population"), 'population = "column" under [data]'
                fail("media_scale", "population", "", "a panel with a population", fix)
            heads = panel.people[:, panel.window]
            same = (heads == heads[:, :1]).all(1)  # exactly that, where it does not change
            people = np.where(same, heads[:, 0], heads.mean(1))
            amounts = amounts / heads[..., None]
        media = largest(amounts, axis=1)
        if not per_geo_media:
            media = np.broadcast_to(media.max(0), media.shape)
        media = np.where(media > 0, media, 1.0)
        if people is not None:
            media = media * people[:, None]
        often = None if panel.frequency is None else panel.usual_frequency()
        cost, parts = panel.cost_per_unit(), _parts(panel)
        found = cls(outcome, media, cost, people, parts, baseline, often)
        if not per_day:
            return found
        each = replace(found, days=1.0).lengths(panel.dates[panel.window], panel.freq)
        return replace(found, days=float(each.mean()))

    def lengths(self, dates: pd.DatetimeIndex, freq: str) -> Float[np.ndarray, " time"]:
        """Days of periods, in those of the mean period of training; 1 where `days` is None.

        The model is of amounts in a period of mean length: media are divided by these, and
        the mean of the outcome, with every component of it, is multiplied by them. Noise of
        a size of its own stays. Controls are levels (a price, a share) or amounts a day; an
        event or a holiday brings the same in any period that holds all of it.
        """
        if self.days is None:
            return np.ones(len(dates))
        first, after = spans(dates, freq)
        return (after - first) / self.days

    def scale_outcome(self, outcome: np.ndarray) -> np.ndarray:
        """Outcome units to scaled units, (geo, time)."""
        return outcome / self.outcome[:, None]

    def unscale_outcome(self, scaled: np.ndarray) -> np.ndarray:
        """Scaled units to outcome units, (..., geo, time)."""
        return scaled * self.outcome[:, None]

    def scale_media(self, media: np.ndarray, panel: Panel | None = None) -> np.ndarray:
        """Media units to scaled units, (geo, time, channel), with the people of a panel."""
        return media / (self.media[:, None, :] if panel is None else self.media_in(panel))

    def media_in(self, panel: Panel) -> np.ndarray:
        """Media units per scaled unit in each period, (geo, time or 1, channel).

        Media per head: more people than in training, more media for one scaled unit; the
        same of media per day in a long period.
        """
        unit = self.media[:, None, :]
        if self.days is not None:
            unit = unit * self.lengths(panel.dates, panel.freq)[:, None]
        if self.people is None or panel.people is None:
            return unit
        return unit * (panel.people / self.people[:, None])[..., None]

    def media_next(self, panel: Panel) -> np.ndarray:
        """The same after a panel, with its last people and mean days, (geo, channel)."""
        return replace(self, days=None).media_in(panel)[:, -1]


def _parts(panel: Panel) -> np.ndarray | None:
    """Part of each campaign in its channel; equal parts where that never ran."""
    if (own := panel.campaigns) is None:
        return None
    at = [panel.channels.index(name) for name in own.channels]
    media = (panel.media[..., at] * own.media)[:, panel.window].sum((0, 1))
    whole = np.array([media[[c == d for d in own.channels]].sum() for c in own.channels])
    equal = 1.0 / np.array([own.channels.count(c) for c in own.channels])
    return np.where(whole > 0, media / np.where(whole > 0, whole, 1.0), equal)


def spend_share(panel: Panel) -> np.ndarray:
    """Share of each channel in the paid spend of the window over all geos, (channel,).

    The shares of the channels with spend add up to one. An organic channel is given their
    mean; so is a channel that spent nothing in the window, lest its prior have no width.
    """
    spend = np.where(panel.paid, panel.spend[:, panel.window].sum((0, 1)), np.nan)
    if not panel.paid.any():
        fix = 'write scale = "media_share", or a number, in the prior of saturation_beta'
        allowed = "a panel with at least one paid channel"
        fail("spend_share", Phrase("no channel with spend"), "", allowed, fix)
    total = np.nansum(spend)
    if total <= 0:
        return np.full(spend.size, 1 / panel.paid.sum())
    share = np.where(spend > 0, spend / total, np.nan)
    return np.where(np.isnan(share), np.nanmean(share), share)
