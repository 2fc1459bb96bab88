"""What all pictures share: colours, number formats, axes, legends.

A picture is a plain :class:`matplotlib.figure.Figure`: no pyplot, no change of global
settings, so it is drawn without a screen and in threads. Every picture is as wide as asked
(inches) and as high as its content needs; one narrower than ``NARROW`` is laid out for a
phone.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from mmmjax.checks import fail, listing

__all__ = [
    "ALL",
    "Amount",
    "amount",
    "canvas",
    "channel_colours",
    "for_geo",
    "numbers_on",
    "period_noun",
    "plain",
    "to_png",
    "to_svg",
    "with_unit",
]

ALL = "ALL"  # the sum over geos where it stands beside them
NARROW = 6.0  # inches
INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"
REST, MODEL, TINT = "#c3cad3", "#3e5c76", "#f3f5f7"  # not media, the model, a background
TEXT, SMALL, LARGE = 10.0, 9.0, 11.0  # points

PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#882255", "#CC79A7", "#332288",
)  # fmt: skip
"""Okabe-Ito with two dark colours of Tol's in place of its yellow and black: every pair
stays apart (CIE76 above 15) in normal, red-blind, green-blind and blue-blind sight."""


def channel_colours(channels: Sequence[str]) -> dict[str, str]:
    """Colour of every channel by its place in the user's order.

    Give the result as ``colours=`` to every picture, so that a channel looks the same in
    all of them, also where some channels are missing. After eight channels the colours
    come again, lighter, then darker.
    """
    towards = ((0.0, 1.0), (0.5, 1.0), (0.45, 0.0))
    colours = {}
    for i, channel in enumerate(channels):
        turn, place = divmod(i, len(PALETTE))
        part, end = towards[turn % len(towards)]
        mixed = [(1 - part) * c + part * end for c in to_rgb(PALETTE[place])]
        colours[str(channel)] = to_hex(mixed).upper()
    return colours


def colours_of(names: Sequence[str], given: Mapping[str, str] | None) -> list[str]:
    """The colours given, or those of this order; names without one are grey."""
    chosen = channel_colours(names) if given is None else given
    return [chosen.get(name, REST) for name in names]


def for_geo(table: pd.DataFrame, geo: str | None) -> pd.DataFrame:
    """Rows of one geo of a table; None: the sum over geos, or the only geo."""
    geos = list(dict.fromkeys(table["geo"].astype(str)))
    if geo is None:
        geo = ALL if ALL in geos or len(geos) > 1 else (geos[0] if geos else ALL)
    if geos and geo not in geos:
        fail("geo", geo, "the table drawn", listing(geos), f'geo="{geos[0]}"')
    return table[table["geo"].astype(str) == geo]


def amount(value: float) -> str:
    """A number as text: thousands separators, three digits if below 1,000."""
    if not np.isfinite(value):
        return ""
    if abs(value) >= 999.5 or value == round(value):
        return f"{value:,.0f}"
    digits = 2 if value == 0 else int(np.clip(2 - np.floor(np.log10(abs(value))), 0, 8))
    return f"{value:,.{digits}f}"


def plain(text: object) -> str:
    """User text for a picture: a dollar is a dollar, not the start of mathematics."""
    return str(text).replace("$", r"\$")


def with_unit(text: str, unit: str) -> str:
    """``sales (EUR)``; the text alone without a unit."""
    return plain(f"{text} ({unit})" if unit else text)


def period_noun(freq: str) -> str:
    """One period in words: ``W-SUN`` is "week"."""
    nouns = {"D": "day", "B": "working day", "W": "week", "MS": "month", "ME": "month",
             "QS": "quarter", "QE": "quarter", "YS": "year", "YE": "year"}  # fmt: skip
    return nouns.get(freq.partition("-")[0], "period")


class Amount(Formatter):
    """Ticks with thousands separators and no more decimals than the steps need."""

    def __init__(self, percent: bool = False) -> None:
        """Shares are written as percentages if ``percent``."""
        self.factor, self.end = (100.0, "%") if percent else (1.0, "")

    def __call__(self, x: float, pos: int | None = None) -> str:
        """One tick."""
        return f"{x * self.factor:,.6g}{self.end}"

    def format_ticks(self, values: Any) -> list[str]:
        """All ticks, with the same number of decimals."""
        scaled = np.asarray(values, float) * self.factor
        steps = [b - a for a, b in pairwise(sorted(scaled)) if b > a]
        digits = max(0, -int(np.floor(np.log10(min(steps)) + 1e-9))) if steps else 0
        texts = [f"{v + 0.0:,.{min(digits, 8)}f}{self.end}" for v in scaled]
        return [
            t.lstrip("-") if float(v) == 0 else t
            for t, v in zip(texts, scaled, strict=True)
        ]


def canvas(width: float, height: float, ax: Axes | None = None) -> tuple[Figure, Axes]:
    """A new figure with one pair of axes, or the axes given and their figure."""
    if ax is None:
        ax = Figure((width, height), layout="constrained", facecolor="white").add_subplot()
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax belongs to no figure")
    return figure, ax


def dress(ax: Axes, title: str, x: str = "", y: str = "", grid: str = "y") -> None:
    """Title, axis labels and a quiet frame; ``grid`` is "x", "y", "both" or ""."""
    ax.set_facecolor("white")
    for side in ("top", "right", *(("left",) if grid == "x" else ())):
        ax.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        ax.spines[side].set_color(MUTED)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=SMALL, length=3)
    if grid:
        ax.grid(True, axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    ax.set_xlabel(plain(x), fontsize=SMALL, color=MUTED)
    ax.set_ylabel(plain(y), fontsize=SMALL, color=MUTED)
    put_title(ax, title)


def put_title(ax: Axes, title: str) -> None:
    """A title at the left, wrapped to the width of the axes."""
    room = ax.get_position().width * inches(ax)[0] * 72 / (LARGE * 0.52)
    lines = textwrap.wrap(title, max(int(room * 1.05), 20))
    ax.set_title(plain("\n".join(lines)), loc="left", fontsize=LARGE, color=INK, pad=9)


def inches(ax: Axes) -> tuple[float, float]:
    """Width and height of the figure of these axes."""
    width, height = canvas(1.0, 1.0, ax)[0].get_size_inches()
    return float(width), float(height)


def numbers_on(axis: Any, percent: bool = False, most: int = 6) -> None:
    """Thousands separators on an axis (``ax.xaxis``), at most so many ticks."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(Amount(percent))


def dates_on(ax: Axes) -> None:
    """Readable dates on the x axis."""
    locator = AutoDateLocator(minticks=3, maxticks=5 if inches(ax)[0] < NARROW else 9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=True))
    ax.margins(x=0.01)


def legend_below(ax: Axes, handles: Sequence[Any], gap: float = 24.0) -> None:
    """A legend under the axes, ``gap`` points below them: it never covers data."""
    figure, _ = canvas(1.0, 1.0, ax)
    longest = max(len(str(h.get_label())) for h in handles)
    room = ax.get_position().width * inches(ax)[0] * 72
    columns = int(np.clip(room / (SMALL * (0.58 * longest + 4)), 1, len(handles)))
    ax.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=ax.transAxes
        + ScaledTranslation(0, -gap / 72, figure.dpi_scale_trans),
        ncols=columns,
        borderaxespad=0.0,
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        handlelength=1.4,
        columnspacing=1.4,
    )


def rows_on(ax: Axes, names: Sequence[str], notes: Sequence[str], head: str) -> None:
    """Rows from the top down: names at the left, notes under ``head`` at the right."""
    ax.set_yticks(range(len(names)), [plain(shorten(name)) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    figure, _ = canvas(1.0, 1.0, ax)
    reach = max(map(len, [*notes, head]), default=0) * SMALL * 0.58 + 8
    shift = ScaledTranslation(reach / 72, 0, figure.dpi_scale_trans)
    place: dict[str, Any] = {
        "transform": ax.get_yaxis_transform() + shift, "ha": "right", "fontsize": SMALL,
    }  # fmt: skip
    for row, note in enumerate(notes):
        ax.text(1.0, row, plain(note), va="center", color=INK, **place)
    ax.text(1.0, -0.72, plain(head), va="bottom", color=MUTED, **place)


def shorten(name: str, most: int = 28) -> str:
    """A name that leaves room for the picture."""
    return name if len(name) <= most else name[: most - 1] + "…"


def to_svg(figure: Figure) -> str:
    """The picture as SVG text; letters are outlines, so no font is needed to see it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def to_png(figure: Figure, dpi: int = 150) -> bytes:
    """The picture as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
