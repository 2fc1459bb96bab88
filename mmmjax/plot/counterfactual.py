"""Pictures of what other media would have changed."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mmmjax import metrics
from mmmjax.checks import Phrase, fail
from mmmjax.plot import picture as p
from mmmjax.plot.arrays import density_of
from mmmjax.plot.colours import INK, MODEL, REST
from mmmjax.words import amounts, with_unit

__all__ = ["uplift"]

GAIN, LOSS = "gain", "loss"


def uplift(
    draws: Any,
    *,
    of: str = "the outcome",
    plan: str = "the changed media",
    percent: bool = True,
    unit: str = "",
    prob: float = 0.94,
    width: int = p.WIDE,
) -> p.Layer:
    """Distribution of what changed media bring, its mean, interval and probability.

    Args:
        of: What the uplift is of, for the title: "sales".
        plan: What it is compared with today, for the title.
        percent: Draws are relative: 0.1 is written 10%.
        unit: Unit of absolute draws, for the axis.
    """
    values = np.ravel(np.asarray(draws, float))
    values = values[np.isfinite(values)]
    if values.size < 2:
        got, fix = Phrase(f"{values.size} finite draws"), "mm.counterfactual(fit, media)"
        fail("draws", got, "", "two or more", fix)
    density = density_of(values)
    lo, hi = (float(x) for x in metrics.hdi(values, prob))
    mean, above = float(values.mean()), float((values > 0).mean())
    ends = (mean, lo, hi)
    texts = [
        f"{x:+.1%}" if percent else f"{'+' * (x > 0)}{text}"
        for x, text in zip(ends, amounts(ends), strict=True)
    ]
    chance = f"{above:.0%}"  # never certain where it is not
    chance = "below 1%" if 0 < above < 0.01 else chance
    chance = "above 99%" if 0.99 < above < 1 else chance
    said = f"Mean {texts[0]}, {prob:.0%} interval {texts[1]} to {texts[2]}"
    sides = {LOSS: density.inside(-np.inf, 0.0), GAIN: density.inside(0.0, np.inf)}
    top = float(density.height.max()) or 1.0
    parts = [
        pd.DataFrame({"part": side, "x": area.at, "y": area.height / top})
        for side, area in sides.items()
    ]
    marks = {"part": ["mean", "interval"], "x": [mean, lo], "x2": [np.nan, hi]}
    table = pd.concat([*parts, pd.DataFrame(marks)], ignore_index=True)
    is_ = lambda *names: alt.FieldOneOfPredicate("part", list(names))
    label = f"change of {of} against the actual media"
    label = label if percent else with_unit(label, unit)
    form = "+~%" if percent else None
    x = p.across("x", label, form, {"expr": "width / 80"}, grid=True, nice=True)
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.1, 1.08]))
    paint = {GAIN: MODEL, LOSS: REST}
    base = p.chart(table)
    area = base.transform_filter(is_(*sides)).encode(x=x, y=y)
    drawn = p.layer(
        area.mark_area(opacity=0.75).encode(color=p.by("part", paint)),
        area.mark_line(strokeWidth=1.6),
        p.line_at("x", 0.0),
        base.transform_filter(is_("mean"))
        .mark_rule(color=INK, strokeWidth=1.4, strokeDash=[5, 3])
        .encode(x="x:Q"),
        base.transform_filter(is_("interval"))
        .mark_rule(color=INK, strokeWidth=4)
        .encode(x="x:Q", x2="x2:Q", y=alt.datum(-0.05)),
    )
    words = f"{said}; probability of an uplift {chance}"
    return p.titled(drawn, f"Uplift of {of} under {plan}", words, words, width, 260)
