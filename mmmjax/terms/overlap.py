"""What terms of the baseline have in common with each other and with media.

Where the columns of one lie among those of another, the data cannot tell them apart: that
is said before anything is sampled.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from mmmjax.arrays import TIME, Arrays
from mmmjax.checks import Phrase, listing, show
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.shapes import GEO
from mmmjax.terms.base import Term
from mmmjax.terms.columns import Columns, Dated
from mmmjax.terms.linear import Trend, Waves
from mmmjax.terms.mean import Mean
from mmmjax.terms.media import Media

__all__ = ["explained", "overlaps"]

MUCH = 0.6  # share of a column's variance


def explained(
    target: Float[np.ndarray, "geo time"],
    span: Float[np.ndarray, "geo column time"],
    seen: Bool[np.ndarray, "geo time"],
) -> float:
    """Share of a column's variance over time that columns and a level explain, in [0, 1].

    Over the periods that are seen, each geo by itself; NaN where it never varies.
    """
    left = whole = 0.0
    for y, x, here in zip(target, span, seen, strict=True):
        y, x = y[here] - y[here].mean(), x[:, here].T
        x = x - x.mean(0)
        whole += float(y @ y)
        left += float(np.sum((y - x @ np.linalg.lstsq(x, y)[0]) ** 2)) if y.any() else 0.0
    return 1 - left / whole if whole else float("nan")


def overlaps(
    mean: Mean, panel: Panel, arrays: Arrays, seen: Bool[np.ndarray, "geo time"]
) -> Iterator[Finding]:
    """What to say of dated columns and waves, of slow terms and media, of unseen columns.

    Args:
        mean: The terms.
        panel: Of training.
        arrays: Of training.
        seen: Where the outcome is known.
    """
    periods = seen.shape[1]
    axes, terms = dict(arrays.axes), [t for t in mean.parts if not isinstance(t, Media)]
    columns: dict[Term, np.ndarray] = {}
    for term in terms:
        rows = [
            arrays[name].reshape(len(seen) if axes[name][0] == GEO else 1, -1, periods)
            for name in (f"{term.name}.{n}" for n in term.data)
            if axes[name][-1] == TIME
        ]
        wide = [np.broadcast_to(x, (len(seen), *x.shape[1:])) for x in rows]
        if wide:
            columns[term] = np.concatenate(wide, 1)
    waves = [t for t in columns if isinstance(t, Waves)]
    media = arrays["media"][..., arrays.history :]
    asked = [t.name for t in terms if getattr(t, "dated", "") == "auto"]
    if asked and panel.freq.startswith("W"):
        first, last = (show(panel.dates[0] + pd.Timedelta(days=k)) for k in (0, 6))
        what = f"{listing(asked)} takes the week of {first} to end on {last}"
        fix = f'If weeks end on their date, write dated = "last" in {listing(asked)}'
        yield Finding("note", "weeks_dated", what, tuple(asked), None, "", fix)
    for term, own in columns.items():
        if isinstance(term, Columns):
            names = term.labels(panel)[term.dims[0]]
            parts = [x[:, here] for x, here in zip(own, seen, strict=True) if here.any()]
            varies = np.any([np.ptp(x, axis=1) > 0 for x in parts], axis=0)
            unseen = [n for n, some in zip(names, varies, strict=True) if not some]
            if unseen:
                what = f"in training {term.name} does not change by {listing(unseen, 4)}"
                means = "In a forecast its effect is that of the prior"
                where = tuple(unseen)
                yield Finding("note", "never_in_training", what, where, None, means)
        if isinstance(term, Dated) and waves:
            span = np.concatenate([columns[w] for w in waves], 1)
            taken = _taken(own, names, span, seen)
            few = f"Fewer pairs of waves (order) in {listing([w.name for w in waves])}"
            yield from _shared(
                taken,
                f"waves explain most of the columns of {term.name}",
                "season_overlap",
                "The data know their sum; how it is divided the priors say",
                f"{few} leave it to {term.name}",
            )
        if term.group == "baseline" and type(term) is not Trend:
            yield from _shared(
                _taken(media, panel.channels, own, seen),
                f"{term.name} can follow most of the media",
                "media_overlap",
                "What moves alike in a channel and in the level cannot be told apart",
                f"A lift test ([[data.fact]]) can; else leave {term.name} out",
            )


def _taken(
    rows: np.ndarray, names: Sequence[str], span: np.ndarray, seen: np.ndarray
) -> dict[str, float]:
    """Which rows (geo, row, time) lie for the most part in a span, and how much."""
    share = [explained(rows[:, k], span, seen) for k in range(len(names))]
    found = {n: s for n, s in zip(names, share, strict=True) if s > MUCH}
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _shared(
    taken: Mapping[str, float], what: str, code: str, means: str, remedy: str
) -> Iterator[Finding]:
    """One finding of all that are taken, none where nothing is."""
    if taken:
        shares = listing((Phrase(f"{n} {s:.0%}") for n, s in taken.items()), 6)
        most, where = max(taken.values()), tuple(taken)
        yield Finding("warning", code, f"{what}: {shares}", where, most, means, remedy)
