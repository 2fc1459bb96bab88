"""Pictures of what more knowledge would change: the best split of each draw, its worth."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.checks import Phrase, fail
from mmmjax.plot import picture as p
from mmmjax.plot.arrays import density_of
from mmmjax.plot.colours import INK
from mmmjax.plot.priors import spreads
from mmmjax.words import amounts, large, span, with_unit

__all__ = ["best_splits", "value_of_knowing"]

STEP = 44  # pixels of a row with a violin
WIDEST = 0.42  # half the height of a violin, rows


def best_of(optimum: Any, channels: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Best spend of every channel by draw, (draw,), money over all geos."""
    if isinstance(optimum, xr.DataArray):
        channels = [str(name) for name in optimum["channel"].to_numpy()]
        optimum = optimum.sum("geo") if "geo" in optimum.dims else optimum
        optimum = optimum.transpose(..., "channel").to_numpy().reshape(-1, len(channels))
    draws = np.asarray(optimum, float)
    if draws.ndim != 2 or len(draws) < 2 or draws.shape[1] != len(channels or ()):
        got = Phrase(f"shape {draws.shape}, {len(channels or ())} channels")
        fail("optimum", got, "", "two or more draws of every channel, (draw, channel)",
             "an array with a coordinate channel, or channels=[...]")  # fmt: skip
    return {str(n): x for n, x in zip(channels or (), draws.T, strict=True)}


def best_splits(
    optimum: Any,
    *,
    channels: Sequence[str] | None = None,
    plan: Mapping[str, float] | None = None,
    currency: str = "",
    per: str = "over the window",
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Spend that would be best in each posterior draw, beside what the plan spends.

    Where a violin is wide the data do not settle how much a channel should get.

    Args:
        channels: Names of the columns of an array.
        plan: A plan, or channel -> money of it, marked.
    """
    draws, marked = best_of(optimum, channels), plan or {}
    names, rows = list(draws), spreads(draws, list(draws), 0.94)
    spans = [" to ".join(amounts(ends)) for ends in rows[["lo", "hi"]].to_numpy()]
    plans = [float(marked.get(name, np.nan)) for name in names]
    rows: Any = rows.assign(plan=plans, span=spans, wide=rows["hi"] - rows["lo"])
    widest = rows.loc[rows["wide"].idxmax()]
    best = f"{span(widest['hi'], widest['lo'], widest['hi'])} {currency}".rstrip()
    title = f"{widest['channel']} is the least settled: best at {best}"
    if widest["wide"] <= 1e-9 * max(abs(widest["hi"]), 1e-300):
        title = "Every draw has the same best split"
    money = with_unit("best spend", currency)
    y = p.numbered_rows("row", names, [-0.5, len(names) - 0.5])
    base, paint = p.chart(rows).encode(y=y), p.colours_for(names, colours)
    told = p.told(channel="channel", span="middle 94%")
    diamond = base.mark_point(shape="diamond", color=INK, stroke="white", size=90)
    drawn = p.layer(
        p.chart(_violins(draws))
        .mark_area(opacity=0.5)
        .encode(
            x=p.across("at", f"{money} {per}"),
            y=y,
            y2="end:Q",
            color=p.by("channel", paint, legend=False),
        ),
        base.mark_rule(color=INK, strokeWidth=3).encode(x="lo:Q", x2="hi:Q", tooltip=told),
        *([diamond.encode(x="plan:Q", tooltip=p.tips({"plan": "plan"}))] if marked else []),
        *p.aside(base, {"span": "middle 94%"}),
    )
    unit = f"{money} {per} over draws; lines: 94% intervals"
    unit += "; diamonds: the plan" if marked else ""
    about = ", ".join(f"{name} {text}" for name, text in zip(names, spans, strict=True))
    high = STEP * len(names) + 10
    return p.titled(drawn, title, unit, f"Best spend: {about}", width, high)


def _violins(draws: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Densities above and below their rows, cut where the draws end."""
    parts = []
    for row, (name, x) in enumerate(draws.items()):
        at, half = np.array([x.min(), x.max()]), np.zeros(2)
        if np.ptp(x) > 1e-9 * max(abs(float(x.max())), 1e-300):
            at, height = density_of(x).inside(*at)
            half = WIDEST * height / (float(height.max()) or 1.0)
        ends = {"row": row - half, "end": row + half}
        parts.append(pd.DataFrame({"channel": name, "at": at, **ends}))
    return pd.concat(parts, ignore_index=True)


def value_of_knowing(
    worth: Any,
    *,
    error: Any = None,
    total: float | None = None,
    outcome: str = "outcome",
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """What knowing the effect of each channel exactly would add to the best plan.

    Args:
        error: Channel -> Monte Carlo standard error, drawn as two of them either way.
        total: The same of knowing everything, ``evpi``; said under the title.
    """
    worth, doubt = _by_channel(worth), _by_channel(error)
    if not worth:
        fail("worth", Phrase("no channel"), "", "{channel: expected gain}", "")
    rows: Any = pd.DataFrame({"channel": list(worth), "worth": list(worth.values())})
    rows = rows.sort_values("worth", ascending=False, kind="stable")
    far = 2 * rows["channel"].map(doubt).fillna(0.0)
    rows = rows.assign(
        lo=rows["worth"] - far, hi=rows["worth"] + far, text=amounts(rows["worth"])
    )
    names, most = rows["channel"].tolist(), float(rows["worth"].iloc[0])
    title = f"Learning about {names[0]} is worth most: {large(most)} {outcome}"
    if not most > 0:
        title = "Knowing more would not change the plan"
    paint = p.colours_for(list(worth), colours)
    base = p.chart(rows).encode(y=p.named_rows("channel", names))
    x = p.across("worth", f"expected {outcome} more")
    drawn = p.layer(
        base.mark_bar(size=19).encode(x=x, color=p.by("channel", paint, legend=False)),
        *([base.mark_rule(color=INK).encode(x="lo:Q", x2="hi:Q")] if far.any() else []),
        *p.aside(base, {"text": "worth"}),
    )
    unit = "What exact knowledge of a channel would add to the best plan."
    if total is not None:
        unit += f" Knowing everything: {large(total)} {outcome}. No experiment brings more."
    about = ", ".join(f"{a} {b}" for a, b in zip(names, rows["text"], strict=True))
    return p.titled(drawn, title, unit, f"Worth of knowing: {about}", width, alt.Step(31))


def _by_channel(values: Any) -> dict[str, float]:
    if isinstance(values, xr.DataArray):
        names = [str(name) for name in values["channel"].to_numpy()]
        return dict(zip(names, map(float, values.to_numpy().ravel()), strict=True))
    return {str(name): float(value) for name, value in (values or {}).items()}
