"""Pictures of the data before any model: the result of ``mm.explore``, drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.checks import fail, listing
from mmmjax.plot import canvas as c
from mmmjax.plot.arrays import one_geo
from mmmjax.shapes import NATIONAL

__all__ = [
    "against_outcome", "correlations", "outcome", "spend", "spend_shares", "train_test",
]  # fmt: skip

DIVERGING = LinearSegmentedColormap.from_list("r", ["#B35806", "#FFFFFF", "#0B5394"])
NAMED, NEEDED = 3, 90.0  # outliers with their dates, and points that such a text takes
READABLE = 14  # rows of a matrix with numbers in its cells
ROWS = 16  # rows of a comparison


def _where(one: xr.Dataset) -> str:
    """`` in North`` where the data are of one of several geos."""
    geo = str(one["geo"].to_numpy())
    return "" if geo in (NATIONAL, c.ALL) else f" in {geo}"


def outcome(
    found: xr.Dataset, *, geo: str | None = None, width: float = 9.0, ax: Axes | None = None
) -> Figure:
    """The outcome over time, its rolling median, and the periods that stand apart.

    Args:
        found: Result of ``mm.explore``.
        geo: The geo drawn, where there are several.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    one, noun = one_geo(found, geo), c.period_noun(found.attrs["freq"])
    name, dates = found.attrs["outcome"], found["date"].to_numpy()
    values, level = (one[n].to_numpy() for n in ("outcome", "outcome_level"))
    apart, event = (one[n].to_numpy().astype(bool) for n in ("outcome_outlier", "event"))
    n = int(apart.sum())
    count = f"{n} {noun}s stand" if n > 1 else f"{'one' if n else 'no'} {noun} stands"
    title = c.capital(f"{name} a {noun}{_where(one)}: {count} apart")
    drawn = c.canvas(width, 3.7, title, ax)
    ax = drawn.ax
    c.dress(ax, y=name)
    ax.plot(dates, level, color=c.REST, lw=2.4)
    ax.plot(dates, values, color=c.MODEL, lw=1.1, marker=".", ms=3)
    span = f"median over {found.attrs['level_periods']} {noun}s"
    handles: list[Any] = [
        Line2D([], [], color=c.MODEL, lw=1.1, marker=".", ms=3, label=c.plain(name)),
        Line2D([], [], color=c.REST, lw=2.4, label=span),
    ]
    kinds = ((apart & ~event, c.APART, "far from it"),
             (apart & event, "white", "far from it, with an event control"))  # fmt: skip
    for chosen, face, label in kinds:
        if chosen.any():
            look: dict[str, Any] = {
                "ls": "",
                "marker": "o",
                "mfc": face,
                "mec": c.APART,
                "ms": 6,
            }
            ax.plot(dates[chosen], values[chosen], **look)
            handles.append(Line2D([], [], label=label, **look))
    c.dates_on(drawn, dates[0], dates[-1])
    handles += _tint([ax], found)
    c.numbers_on(ax.yaxis)
    ax.margins(y=0.12)
    z = np.where(apart & ~event, np.abs(one["outcome_z"].to_numpy()), 0.0)
    for i in np.argsort(-z, kind="stable")[:NAMED]:
        if z[i] > 0:
            _name_date(drawn, dates[i], float(values[i]), high=bool(values[i] > level[i]))
    c.legend_below(drawn, handles)
    return drawn.figure


def _name_date(drawn: c.Canvas, date: Any, value: float, high: bool) -> None:
    """The date of a point, on the side of it that has room."""
    left, right = drawn.ax.get_xlim()
    room = (right - date2num(date)) / (right - left) * drawn.width * 72
    late = bool(room < NEEDED)
    day = np.datetime64(date, "D").item()
    drawn.ax.annotate(
        f"{day.day} {day:%b %Y}", (date, value), (-6 if late else 6, 4 if high else -4),
        textcoords="offset points", ha="right" if late else "left",
        va="bottom" if high else "top", fontsize=c.SMALL - 1, color=c.MUTED,
    )  # fmt: skip


def _tint(cells: Sequence[Axes], found: xr.Dataset) -> list[Any]:
    """Tint the test window on axes whose dates are set; return its legend."""
    later = found["in_test"].to_numpy()
    if not later.any() or later.all():
        return []
    dates = date2num(found["date"].to_numpy())
    start = (dates[later][0] + dates[~later][-1]) / 2
    for ax in cells:
        ax.axvspan(start, ax.get_xlim()[1], color=c.TINT, zorder=0, lw=0)
        ax.axvline(start, color=c.MUTED, lw=1, ls=":")
    return [Patch(facecolor=c.TINT, edgecolor=c.MUTED, ls=":", label="test window")]


def _money(found: xr.Dataset, channel: str) -> bool:
    """Whether the channel has a spend."""
    return bool(np.isfinite(found["spend"].sel(channel=channel)).any())


def _names(found: xr.Dataset) -> list[str]:
    return [str(name) for name in found["channel"].to_numpy()]


def spend(
    found: xr.Dataset,
    *,
    geo: str | None = None,
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """Spend of every channel over time (media, if organic); each cell has its own scale.

    Args:
        found: Result of ``mm.explore``.
        geo: The geo drawn, where there are several.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
    """
    one, names = one_geo(found, geo), _names(found)
    noun, dates = c.period_noun(found.attrs["freq"]), found["date"].to_numpy()
    unit = c.with_unit("spend", found.attrs["currency"])
    title = c.capital(f"{unit} a {noun}{_where(one)}, channel by channel")
    figure, cells = c.grid(len(names), width, 1.45, title, 4.0)
    marked = False
    for ax, name, colour in zip(cells, names, c.colours_of(names, colours), strict=True):
        paid, cell = _money(one, name), one.sel(channel=name)
        values = cell["spend" if paid else "media"].to_numpy()
        c.dress(ax)
        ax.fill_between(dates, 0.0, values, color=colour, alpha=0.35, lw=0, step="mid")
        ax.step(dates, values, color=colour, lw=1.0, where="mid")
        apart = cell["media_outlier"].to_numpy().astype(bool)
        ax.plot(dates[apart], values[apart], "o", mfc=c.APART, mec=c.APART, ms=5)
        marked |= bool(apart.any())
        head = name if paid else f"{c.shorten(name)}: media (organic)"
        ax.set_title(c.plain(c.shorten(head, 40)), loc="left", fontsize=c.TEXT, color=c.INK)
        ax.set_ylim(0.0, float(np.nanmax(values, initial=0.0)) * 1.08 or 1.0)
        c.dates_on(c.Canvas(figure, ax, False), dates[0], dates[-1])
        c.numbers_on(ax.yaxis, most=3)
    handles = _tint(cells, found)
    if marked:
        handles.append(Line2D([], [], ls="", marker="o", mfc=c.APART, mec=c.APART, ms=5,
                              label="far above the usual"))  # fmt: skip
    if handles:
        c.legend_under(figure, handles)
    return figure


def spend_shares(
    found: xr.Dataset,
    *,
    geo: str | None = None,
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Share of every channel in the paid spend of training, and how often it ran.

    Args:
        found: Result of ``mm.explore``.
        geo: The geo drawn, where there are several.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    one, names, currency = one_geo(found, geo), _names(found), found.attrs["currency"]
    share, total, active = (
        one[n].to_numpy() for n in ("spend_share", "spend_total", "active")
    )
    height = 1.3 + 0.3 * max(len(names), 1)
    drawn = c.canvas(
        width, height, f"Spend in training{_where(one)}, channel by channel", ax
    )
    ax, noun = drawn.ax, c.period_noun(found.attrs["freq"])
    c.dress(ax, "share of the spend", grid="x")
    paint = c.colours_of(names, colours)
    ax.barh(np.arange(len(names)), np.nan_to_num(share), color=paint, height=0.62)
    ax.set_xlim(0.0, float(np.nanmax(share, initial=0.0)) * 1.05 or 1.0)
    texts = [f"{s:.1%}" if np.isfinite(s) else "organic" for s in share]
    money = [c.amount(t) for t in total]
    ran = [f"{a:.0%}" if np.isfinite(a) else "" for a in active]
    notes = [("share", texts), (c.with_unit("spend", currency), money),
             (f"{noun}s on", ran)]  # fmt: skip
    c.rows_on(drawn, names, notes, percent=True)
    return drawn.figure


def against_outcome(
    found: xr.Dataset,
    *,
    geo: str | None = None,
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """Each channel's media against the outcome of the same period, with the correlation.

    The correlation is of the training periods, drawn full; test periods are hollow.

    Args:
        found: Result of ``mm.explore``.
        geo: The geo drawn, where there are several.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
    """
    one, names, name = one_geo(found, geo), _names(found), found.attrs["outcome"]
    noun, later = c.period_noun(found.attrs["freq"]), found["in_test"].to_numpy()
    title = c.capital(
        f"{name}{_where(one)} against media of the same {noun}, with correlations"
    )
    figure, cells = c.grid(len(names), width, 2.0, title, 2.2)
    y, same = one["outcome"].to_numpy(), one["media"].equals(one["spend"])
    unit = c.with_unit("spend", found.attrs["currency"]) if same else "media"
    for ax, channel, colour in zip(cells, names, c.colours_of(names, colours), strict=True):
        x = one["media"].sel(channel=channel).to_numpy()
        r = float(one["correlation"].sel(variable=channel))
        c.dress(ax, grid="both")
        ax.plot(x[~later], y[~later], "o", ms=3, color=colour, alpha=0.6, mew=0)
        ax.plot(x[later], y[later], "o", ms=3.5, mfc="none", mec=c.INK, mew=0.8)
        head = f"{c.shorten(channel, 20)}  r = {r:.2f}" if np.isfinite(r) else channel
        ax.set_title(c.plain(head), loc="left", fontsize=c.TEXT, color=c.INK)
        ax.set_xlim(0.0, float(np.nanmax(x, initial=0.0)) * 1.05 or 1.0)
        columns = _columns(ax)
        c.numbers_on(ax.xaxis, most=3, room=width / columns - 0.9)
        c.numbers_on(ax.yaxis, most=4)
        if ax not in cells[::columns]:
            ax.tick_params(labelleft=False)
        if ax in cells[-columns:]:
            ax.set_xlabel(c.plain(f"{unit} a {noun}"), fontsize=c.SMALL, color=c.MUTED)
    figure.supylabel(c.plain(f"{name} a {noun}"), fontsize=c.SMALL, color=c.MUTED)
    if later.any():
        dot: dict[str, Any] = {"ls": "", "marker": "o", "ms": 4}
        full = Line2D([], [], color=c.MODEL, label="training", **dot)
        hollow = Line2D([], [], mfc="none", mec=c.INK, label="test", **dot)
        c.legend_under(figure, [full, hollow])
    return figure


def _columns(ax: Axes) -> int:
    """Columns of the grid that the axes lie in."""
    place = ax.get_subplotspec()
    return place.get_gridspec().ncols if place is not None else 1


def correlations(
    found: xr.Dataset,
    *,
    variables: Sequence[str] | None = None,
    width: float = 6.6,
    ax: Axes | None = None,
) -> Figure:
    """Pairwise correlations within geos, in training: a matrix.

    Args:
        found: Result of ``mm.explore``.
        variables: Names of outcome, channels or controls; None: all of them if they are
            at most 14, else outcome and channels.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    every = [str(name) for name in found["variable"].to_numpy()]
    kinds = found["kind"].to_numpy()
    left_out = ""
    if variables is None:
        few = len(every) <= READABLE
        keep = np.ones(len(every), bool) if few else kinds != "control"
        variables = [name for name, kept in zip(every, keep, strict=True) if kept]
        left_out = "" if few else " of outcome and channels"
    for name in variables:
        if name not in every:
            fail("variables", name, "", listing(every, 30), "name what explore() found")
    index = [every.index(name) for name in variables]
    table = found["correlations"].to_numpy()[np.ix_(index, index)]
    number = float(found["condition_number"])
    title = f"Correlations{left_out}; condition number of the media {number:.1f}"
    n = len(variables)
    drawn = c.canvas(width, 1.6 + 0.38 * n, title, ax)
    ax = drawn.ax
    c.dress(ax, grid="x")
    ax.grid(False)
    ax.imshow(table, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto")
    shown = [c.plain(c.shorten(name, 24)) for name in variables]
    ax.set_yticks(range(n), shown)
    ax.set_xticks(range(n), shown, rotation=40, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for i, j in np.ndindex(*table.shape):
        if i != j and n <= READABLE and np.isfinite(table[i, j]):
            colour = "white" if abs(table[i, j]) > 0.65 else c.INK
            ax.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center",
                    fontsize=c.SMALL, color=colour)  # fmt: skip
    return drawn.figure


def train_test(
    found: xr.Dataset,
    *,
    colours: Mapping[str, str] | None = None,
    width: float = 7.0,
    ax: Axes | None = None,
) -> Figure:
    """How the means of the test window differ from training, and what lies beyond it.

    Of more than 16 rows: the outcome, channels, controls, those first that differ most.

    Args:
        found: Result of ``mm.explore`` with a test panel.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    if "smd" not in found:
        fail("found", sorted(map(str, found)), "", "the result of explore(panel, test)",
             "give the test panel to mm.explore")  # fmt: skip
    smd = found["smd"].to_numpy()
    kinds = found["kind"].to_numpy()
    size = np.abs(np.nan_to_num(smd, posinf=1e9, neginf=-1e9))
    size += 1e12 * (kinds == "outcome") + 1e10 * (kinds == "media")
    rows = np.sort(np.argsort(-size, kind="stable")[:ROWS])
    names = [str(found["variable"].to_numpy()[i]) for i in rows]
    known = c.channel_colours(_names(found)) if colours is None else colours
    most = f", {ROWS} of {len(smd)} columns" if len(smd) > ROWS else ""
    drawn = c.canvas(width, 1.35 + 0.28 * len(rows), f"Test against training{most}", ax)
    ax = drawn.ax
    c.dress(ax, "difference of the means, standard deviations", grid="x")
    ax.axvline(0.0, color=c.MUTED, lw=1)
    limit = max(1.0, 1.15 * float(np.max(np.abs(smd[np.isfinite(smd)]), initial=0.0)))
    for row, i in enumerate(rows):
        value = float(
            np.clip(np.nan_to_num(smd[i], posinf=limit, neginf=-limit), -9e9, 9e9)
        )
        colour = c.INK if kinds[i] == "outcome" else known.get(names[row], c.MUTED)
        ax.plot([0.0, value], [row, row], color=colour, lw=2)
        ax.plot(value, row, "o", color=colour, ms=6)
    ax.set_xlim(-limit, limit)
    train, test = (found[n].to_numpy()[rows] for n in ("train_mean", "test_mean"))
    beyond = found["beyond"].to_numpy()[rows]
    notes = [("training", [c.amount(v) for v in train]),
             ("test", [c.amount(v) for v in test]),
             ("above range", [_small(b) for b in beyond])]  # fmt: skip
    c.rows_on(drawn, names, notes)
    return drawn.figure


def _small(share: float) -> str:
    """A share that is not 0 is not said to be."""
    if not share > 0:
        return ""
    return "<1%" if share < 0.005 else f"{share:.0%}"
