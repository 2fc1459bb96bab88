"""Terms of the baseline, and reach: truths of the prior are recovered, draws are good."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm

pytestmark = pytest.mark.slow(parts=8)

DATES = pd.date_range("2022-01-03", periods=150, freq="W-MON")
TERMS = {
    "dated": (
        mm.terms.Holidays("DE", before=4),
        mm.terms.Events({"launch": "2022-09-05", "sale": ["2023-05-01:2023-05-14"]}),
        mm.terms.Steps({"shop": "2023-03-06"}, ramp=28),
    ),
    "slow": (mm.terms.Piecewise(5), mm.terms.Waves(2, grows=True)),
    "smooth": (mm.terms.Knots(8), mm.terms.Waves(1, "month", name="months")),
    "pair": (mm.terms.Interaction(["tv", "radio"]),),
    "controls": (mm.terms.Controls(sign={"price": "negative"}),),
    "reach": (mm.terms.Reach("video", ["video"], mm.adstock.Geometric(4)),),
}
VIDEO = {"reach": "people", "frequency": "times", "organic": True}
REPLICAS = 8


@pytest.mark.parametrize("part", TERMS)
def test_truths_of_the_prior_lie_in_their_intervals(part, monkeypatch):
    """Ranks of the truths among draws: 94% between the third and the 97th of 99.

    By replica, as numbers of one fit go together: the mean of their shares is within 3.5 of
    its standard errors, and so is the mean rank of every parameter.
    """
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setattr(sys, "path", [str(root / "benchmarks"), *sys.path])
    import panel_sbc

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "date": DATES, "y": rng.uniform(0.5, 1.0, 150), "tv": rng.gamma(2.0, 1.0, 150),
        "radio": rng.gamma(2.0, 1.0, 150) * (rng.uniform(size=150) < 0.5),
    })  # fmt: skip
    frame["people"], frame["times"] = rng.gamma(2.0, 1.0, 150), rng.uniform(1, 8, 150)
    media = {"tv": "tv", "video": VIDEO} if part == "reach" else ["tv", "radio"]
    given: list[str] = []
    if part == "controls":
        given = ["price", "stock"]
        frame[given] = rng.normal(size=(150, 2))
    names = {"date": "date", "outcome": "y", "media": media, "controls": given}
    panel = mm.Panel.from_frame(frame, **names)
    spec = mm.Spec(
        adstock=mm.adstock.Geometric(4), seasonality=None, scale="max", terms=TERMS[part]
    )
    ranks, r_hats = panel_sbc.ranks(spec, panel, range(REPLICAS), 1, mm.HMC())
    assert (r_hats <= 1.01).mean() >= 0.75  # prior draws of media may be far out
    for name, rank in ranks.items():
        each = rank.reshape(REPLICAS, -1)
        middle, inside = each.mean(1) / 99, ((each >= 3) & (each <= 96)).mean(1)
        error = max(middle.std(ddof=1), 0.29 / each.shape[1] ** 0.5) / REPLICAS**0.5
        assert abs(middle.mean() - 0.5) < 3.5 * error, (name, middle)
        least = (0.94 * 0.06 / each.size) ** 0.5
        error = max(inside.std(ddof=1) / REPLICAS**0.5, least)
        assert abs(inside.mean() - 0.94) < 3.5 * error, (name, inside)
