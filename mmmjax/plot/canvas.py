"""What all pictures share: colours, number formats, axes, legends.

A picture is a plain :class:`matplotlib.figure.Figure`: no pyplot, no change of global
settings, so it is drawn without a screen and in threads. Every picture is as wide as asked
(inches) and as high as its content needs.
"""

import io
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from mmmjax.plot.colours import (
    APART,
    GOOD,
    GRID,
    INK,
    MODEL,
    MUTED,
    PALETTE,
    REST,
    TINT,
    channel_colours,
    colours_of,
)
from mmmjax.plot.labels import (
    ALL,
    amount,
    amounts,
    capital,
    for_geo,
    in_percent,
    period_noun,
    shorten,
    with_unit,
)

__all__ = [
    "ALL", "APART", "GOOD", "GRID", "INK", "MODEL", "MUTED", "PALETTE", "REST", "TINT",
    "Amount", "amount", "amounts", "capital", "channel_colours", "colours_of", "for_geo",
    "in_percent",
    "period_noun", "shorten", "to_png", "to_svg", "with_unit",
]  # fmt: skip

NARROW = 6.0  # inches: narrower is laid out for a phone
LEAST = 1.2  # inches of the axes beside names and notes
TEXT, SMALL, LARGE = 10.0, 9.0, 11.0  # points

LEGEND: dict[str, Any] = {"frameon": False, "fontsize": SMALL, "labelcolor": INK,
                          "handlelength": 1.4, "columnspacing": 1.4}  # fmt: skip

DATE_STEPS = ("1D", "2D", "7D", "14D", "1MS", "2MS", "3MS", "6MS", "1YS", "2YS", "5YS",
              "10YS", "20YS", "50YS")  # fmt: skip


def plain(text: object) -> str:
    """User text for a picture: a dollar is a dollar, not the start of mathematics."""
    return str(text).replace("$", r"\$")


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
        fine = 1e-6 * np.ptp(scaled) if scaled.size > 1 else 1e-9
        exact = (d for d in range(9) if np.allclose(np.round(scaled, d), scaled, 0, fine))
        digits = next(exact, 8)
        return [f"{np.round(v, digits) + 0.0:,.{digits}f}{self.end}" for v in scaled]


class Canvas(NamedTuple):
    """Axes to draw on, their figure, and whether we made it."""

    figure: Figure
    ax: Axes
    own: bool

    @property
    def width(self) -> float:
        """Inches of the figure; nearly all of them are the axes' where it is ours."""
        inches = float(self.figure.get_size_inches()[0])
        return inches if self.own else inches * float(self.ax.get_position().width)

    @property
    def narrow(self) -> bool:
        """Whether there is room for a phone's layout only."""
        return bool(self.width < NARROW)


def canvas(width: float, height: float, title: str, ax: Axes | None = None) -> Canvas:
    """A new figure with one pair of axes and a title, or the axes given, titled."""
    if ax is None:
        figure = blank(width, height, title)
        return Canvas(figure, figure.add_subplot(), True)
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax belongs to no figure")
    made = Canvas(figure, ax, False)
    ax.set_title(wrapped(title, made.width), loc="left", fontsize=LARGE, color=INK, pad=9)
    return made


def blank(width: float, height: float, title: str) -> Figure:
    """A figure without axes, its title at the left edge."""
    figure = Figure((width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)  # type: ignore[union-attr]
    text = wrapped(title, width)
    figure.suptitle(text, x=0.06 / width, ha="left", fontsize=LARGE, color=INK)
    return figure


def grid(
    number: int, width: float, height: float, title: str, least: float = 2.7
) -> tuple[Figure, list[Axes]]:
    """A figure of so many cells, ``height`` inches high and at least ``least`` wide."""
    columns = max(1, min(int(width / least), number))
    rows = max(1, -(-number // columns))
    figure = blank(width, 0.7 + height * rows, title)
    figure.get_layout_engine().set(hspace=0.06, wspace=0.04)  # type: ignore[union-attr]
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in cells[number:]:
        ax.set_axis_off()
    return figure, list(cells[:number])


def name_cell(ax: Axes, name: str, most: int = 34) -> None:
    """The title of one cell of a grid."""
    ax.set_title(plain(shorten(name, most)), loc="left", fontsize=TEXT, color=INK)


def label_lowest(
    cells: Sequence[Axes], text: str, which: Sequence[bool] | None = None
) -> None:
    """An x label under the lowest cell of every column of a grid, among those chosen."""
    chosen = [True] * len(cells) if which is None else which
    lowest = {
        ax.get_position().x0: ax for ax, yes in zip(cells, chosen, strict=True) if yes
    }
    for ax in lowest.values():
        ax.set_xlabel(plain(text), fontsize=SMALL, color=MUTED)


def say(drawn: Canvas, text: str) -> None:
    """A line of small text between title and axes, in as many rows as it needs."""
    room = drawn.width - (1.2 if drawn.own else 0.0)  # names at the left take some
    rows = textwrap.wrap(text, max(int(room * 14), 20))
    look: dict[str, Any] = {"fontsize": SMALL, "color": MUTED}
    if drawn.own:  # the title is the figure's
        drawn.ax.set_title(plain("\n".join(rows)), loc="left", **look)
        return
    title = drawn.ax.get_title(loc="left")
    pad = 9 + 1.25 * SMALL * len(rows)
    drawn.ax.set_title(title, loc="left", fontsize=LARGE, color=INK, pad=pad)
    drawn.ax.annotate(
        plain("\n".join(rows)), (0.0, 1.0), (0.0, 5.0), xycoords="axes fraction",
        textcoords="offset points", va="bottom", **look,
    )  # fmt: skip


def wrapped(title: str, width: float) -> str:
    """A title in as many lines as it needs."""
    return plain("\n".join(textwrap.wrap(title, max(int(width * 72 / (LARGE * 0.56)), 20))))


def dress(ax: Axes, x: str = "", y: str = "", grid: str = "y") -> None:
    """Axis labels and a quiet frame; ``grid`` is "x", "y" or "both"."""
    ax.set_facecolor("white")
    for side in ("top", "right", *(("left",) if grid == "x" else ())):
        ax.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        ax.spines[side].set_color(MUTED)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=SMALL, length=3)
    ax.grid(True, axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    ax.set_axisbelow(True)
    ax.set_xlabel(plain(x), fontsize=SMALL, color=MUTED)
    ax.set_ylabel(plain(y), fontsize=SMALL, color=MUTED)


def numbers_on(axis: Any, percent: bool = False, most: int = 6, room: float = 99.0) -> None:
    """Thousands separators on an axis: at most so many steps, labels in ``room`` inches.

    Only the x axis needs room; set its limits first.
    """
    form = Amount(percent)
    low, high = sorted(axis.get_view_interval())
    for steps in range(most, 0, -1):
        locator = MaxNLocator(steps, steps=[1, 2, 2.5, 5, 10])
        ticks = [t for t in locator.tick_values(low, high) if low <= t <= high]
        if sum(map(len, form.format_ticks(ticks))) * SMALL * 0.72 / 72 <= room:
            break
    axis.set_major_locator(locator)
    axis.set_major_formatter(form)


def dates_on(drawn: Canvas, first: Any, last: Any) -> None:
    """Readable dates on the x axis, from the first to the last."""
    ticks, labels = date_ticks(first, last, 5 if drawn.narrow else 9)
    start, end = date2num([np.datetime64(first), np.datetime64(last)])
    edge = (end - start) / 100 or 1.0
    drawn.ax.set_xlim(start - edge, end + edge)
    drawn.ax.set_xticks(date2num(ticks.to_numpy()), labels)


def date_ticks(first: Any, last: Any, most: int) -> tuple[pd.DatetimeIndex, list[str]]:
    """At most so many round dates; the year stands under the first tick of each."""
    first, last = pd.Timestamp(first), pd.Timestamp(last)
    ticks, step = pd.DatetimeIndex([first]), ""
    for step in DATE_STEPS:
        years = int(step.removesuffix("YS")) if step.endswith("YS") else 1
        start = pd.Timestamp(first.year // years * years, 1, 1)
        ticks = pd.date_range(first if step.endswith("D") else start, last, freq=step)
        ticks = ticks[ticks >= first - (last - first) / 100]
        if len(ticks) <= most:
            break
    if step.endswith("YS"):
        return ticks, [f"{t.year}" for t in ticks]
    new = [i == 0 or t.year != ticks[i - 1].year for i, t in enumerate(ticks)]
    text = [(f"{t.day} " if step.endswith("D") else "") + f"{t:%b}" for t in ticks]
    return ticks, [f"{name}\n{t.year}" if is_new else name
                   for name, t, is_new in zip(text, ticks, new, strict=True)]  # fmt: skip


def columns_of(labels: Sequence[str], room: float) -> int:
    """Most columns in which a legend, filled downwards, fits in so many points."""
    for rows in range(1, len(labels)):
        n = -(-len(labels) // rows)
        sizes = [len(labels) // n + (i < len(labels) % n) for i in range(n)]
        starts = [sum(sizes[:i]) for i in range(n)]
        longest = [
            max(map(len, labels[s : s + k])) for s, k in zip(starts, sizes, strict=True)
        ]
        if sum(SMALL * (0.6 * most + 3.9) for most in longest) <= room:
            return n
    return 1


def legend_below(drawn: Canvas, handles: Sequence[Any], gap: float = 36.0) -> None:
    """A legend ``gap`` points under the axes, where it never covers data.

    A figure of ours grows by what a second and further row need.
    """
    labels = [str(h.get_label()) for h in handles]
    n_columns = columns_of(labels, (drawn.width - 1.0) * 72)
    if drawn.own:
        rows = -(-len(labels) // n_columns)
        width, height = drawn.figure.get_size_inches()
        drawn.figure.set_size_inches(width, height + 0.2 * (rows - 1))
    down = ScaledTranslation(0, -gap / 72, drawn.figure.dpi_scale_trans)
    drawn.ax.legend(
        handles=list(handles), loc="upper left", bbox_to_anchor=(0.0, 0.0),
        bbox_transform=drawn.ax.transAxes + down, ncols=n_columns, borderaxespad=0.0,
        **LEGEND,
    )  # fmt: skip


def legend_under(figure: Figure, handles: Sequence[Any]) -> None:
    """A legend under all cells of a grid, where it never covers data."""
    width, height = figure.get_size_inches()
    n_columns = columns_of([str(h.get_label()) for h in handles], (width - 0.4) * 72)
    figure.set_size_inches(width, height + 0.2 + 0.2 * -(-len(handles) // n_columns))
    figure.legend(handles=list(handles), loc="outside lower left", ncols=n_columns,
                  **LEGEND)  # fmt: skip


def rows_on(
    drawn: Canvas,
    names: Sequence[str],
    notes: Sequence[tuple[str, Sequence[str]]],
    percent: bool = False,
) -> None:
    """Rows from the top down: names at the left, columns of notes under their heads.

    The x axis, whose limits are set, gets numbers in the room that is left; a figure of
    ours grows where that is too little.
    """
    ax = drawn.ax
    shown = [shorten(name) for name in names]
    ax.set_yticks(range(len(names)), [plain(name) for name in shown])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    reach = 0.0
    for head, texts in notes:
        reach += max(map(len, [head, *texts])) * SMALL * 0.6 + 9
        shift = ScaledTranslation(reach / 72, 0, drawn.figure.dpi_scale_trans)
        look: dict[str, Any] = {
            "transform": ax.get_yaxis_transform() + shift, "ha": "right", "fontsize": SMALL,
        }  # fmt: skip
        ax.text(1.0, -0.66, plain(head), va="bottom", color=MUTED, **look)
        for row, text in enumerate(texts):
            ax.text(1.0, row, plain(text), va="center", color=INK, **look)
    aside = (max(map(len, shown), default=0) * SMALL * 0.58 + reach) / 72 + 0.2
    if drawn.own and drawn.width - aside < LEAST:
        drawn.figure.set_figwidth(aside + LEAST)
    numbers_on(ax.xaxis, percent, 5, drawn.width - aside)


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
