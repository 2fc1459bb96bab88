"""Pictures of what was assumed and what the data added to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import metrics
from mmmjax.plot import picture as p
from mmmjax.plot.arrays import contraction_of, density_of, scalars
from mmmjax.plot.colours import MODEL, REST
from mmmjax.words import amount, amounts

__all__ = ["contraction", "distributions", "prior_posterior"]

POINTS = 128  # of a density
PRIOR, POSTERIOR, OTHER = "prior", "posterior", "other"


def learned(label: str, prior: np.ndarray, posterior: np.ndarray) -> pd.DataFrame:
    """Densities of one parameter before and after the data.

    Drawn are all of the posterior and the middle 94% of the prior.

    Returns:
        Columns cell (the label and the contraction), kind, at, height.
    """
    before, after = density_of(prior, POINTS), density_of(posterior, POINTS)
    middle = np.quantile(prior, [0.03, 0.97])
    lo, hi = min(middle[0], after.at[0]), max(middle[1], after.at[-1])
    share = contraction_of(prior, posterior)
    head = label if np.isnan(share) else f"{label}: {share:.0%}"
    parts = [
        pd.DataFrame({"cell": head, "kind": kind, "at": part.at, "height": part.height})
        for kind, part in ((PRIOR, before.inside(lo, hi)), (POSTERIOR, after))
    ]
    return pd.concat(parts, ignore_index=True)


def prior_posterior(
    prior: Mapping[Any, Any],
    posterior: Mapping[Any, Any],
    names: Sequence[str] | None = None,
    *,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet:
    """Density of each parameter under its prior and its posterior, with the contraction.

    Contraction is 1 - posterior variance / prior variance: 100% where the data said
    everything, 0% where they said nothing, negative where the posterior is the wider.

    Args:
        prior: Draws by parameter, such as ``mm.sample_prior(spec, panel).draws.params``, or
            the ``posterior`` group of its ``to_arviz()``, which names the channels.
        posterior: The same of the fit.
    """
    after, known = scalars(posterior, names), colours or {}
    before = scalars(prior, list(after))
    parts = []
    for label, values in after.items():
        part = learned(label, before[label], values)
        channel = label.partition("[")[2].removesuffix("]")
        of = channel if channel in known else POSTERIOR
        parts.append(part.assign(kind=part["kind"].where(part["kind"] == PRIOR, of)))
    table = pd.concat(parts, ignore_index=True)
    seen, every = set(table["kind"]), {POSTERIOR: MODEL} | {**known}
    paint = {PRIOR: REST} | {n: x for n, x in every.items() if n in seen}
    shapes = p.Chart().encode(
        x=p.across("at", ticks=4, grid=True, zero=False),
        y=alt.Y("height:Q", axis=None, stack=None),
        color=p.by("kind", paint),
        tooltip=p.told(cell="parameter", kind="density"),
    )
    area = shapes.mark_area(fillOpacity=0.45, line=False)
    drawn, names = (
        p.layer(area, shapes.mark_line(strokeWidth=1.4)),
        [*table["cell"].unique()],
    )
    about = f"Prior and posterior density of {len(after)} parameters, with the contraction"
    return p.titled(
        p.cells(drawn, table, "cell", names, width, 90),
        "What the data added to the priors",
        "Percentage: contraction, 1 - posterior variance / prior variance",
        f"{about}: {', '.join(names)}",
        width,
        hides="kind",
    )


def contracted(priors: pd.DataFrame, known: Mapping[str, str]) -> Any:
    """Contractions of priors.csv; rows without one are left out.

    Returns:
        Columns parameter, index, of (the channel, or that it is none's), contraction, shown
        (at least -100%), place (between -1 and 1 within its parameter), prior and posterior
        (mean and standard deviation in words), median (of the parameter, in words).
    """
    rows: Any = priors.loc[np.isfinite(priors["contraction"].to_numpy(float))]
    index = rows["index"].fillna("").astype(str)
    last = index.str.split(", ").str[-1]
    each = rows.groupby("parameter", sort=False)["contraction"]
    count, place = each.transform("size"), each.cumcount()
    columns = {
        "parameter": rows["parameter"].astype(str),
        "index": index,
        "of": last.where(last.isin([*known]), OTHER),
        "contraction": rows["contraction"].astype(float),
        "shown": rows["contraction"].clip(lower=-1.0),
        "place": 2 * (place + 0.5) / count - 1,
        "median": [f"{x:.0%}" for x in each.transform("median")],
    }
    for kind in (PRIOR, POSTERIOR):
        if f"{kind}_mean" in rows:
            pair = zip(rows[f"{kind}_mean"], rows[f"{kind}_sd"], strict=True)
            columns[kind] = [f"{amount(mean)} ± {amount(sd)}" for mean, sd in pair]
    return pd.DataFrame(columns)


def contraction(
    priors: pd.DataFrame,
    *,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """How much the data narrowed every prior: a row a parameter, a dot a scalar.

    Values below -100% are drawn there. Dots of parameters of a channel have its colour.
    """
    known = colours or {}
    table = contracted(priors, known)
    title = "What the data taught, and what is still the prior"
    if not len(table):
        return p.nothing(
            "No parameter has a prior whose variance is known", title, width=width
        )
    names, seen = [*dict.fromkeys(table["parameter"])], set(table["of"])
    paint = {n: x for n, x in ({**known} | {OTHER: MODEL}).items() if n in seen}
    told = ["parameter:N", alt.Tooltip("index:N", title="of")]
    told += p.tips({"contraction": "contraction"}, ".0%")
    told += [kind for kind in (PRIOR, POSTERIOR) if kind in table]
    ends = [min(-0.03, 1.05 * table["shown"].min()), 1.03]
    rows = p.chart(table).encode(y=p.named_rows("parameter", names))
    dots = rows.mark_point(opacity=0.85, stroke="white", strokeWidth=0.4).encode(
        x=p.across("shown", None, "~%", 5, grid=True, domain=ends),
        yOffset=alt.YOffset("place:Q", scale=alt.Scale(domain=[-1.6, 1.6])),
        color=p.by("of", paint),
        tooltip=told,
    )
    first = rows.transform_window(_row="row_number()", groupby=["parameter"])
    texts = p.aside(first.transform_filter("datum._row === 1"), {"median": "median"})
    middle = table.drop_duplicates("parameter")
    said = [f"{a} {b}" for a, b in zip(middle["parameter"], middle["median"], strict=True)]
    return p.titled(
        p.layer(p.line_at("x", 0.0), dots, *texts),
        title,
        "1 - posterior variance / prior variance. 100%: the data decided; near 0%: the "
        "answer is the prior's, an assumption; below 0%: the data widened it",
        f"Median contraction: {', '.join(said)}",
        width,
        alt.Step(34),
        hides="of",
    )


def by_channel(draws: Mapping[str, Any] | xr.DataArray) -> dict[str, np.ndarray]:
    """Finite draws of every channel; of an array along its dimension channel."""
    if isinstance(draws, xr.DataArray):
        names = [str(name) for name in draws["channel"].to_numpy()]
        each: Any = {n: draws.sel(channel=n).to_numpy() for n in names}
    else:
        each = draws
    flat = {str(name): np.ravel(np.asarray(x, float)) for name, x in each.items()}
    return {name: x[np.isfinite(x)] for name, x in flat.items()}


def violins(draws: Mapping[str, np.ndarray], names: Sequence[str], kind: str) -> Any:
    """Densities above the rows of their channels, as high as the row allows.

    Returns:
        Columns channel, kind, at, row (its number) and top (where the density reaches).
    """
    parts = [pd.DataFrame({x: [] for x in ("channel", "kind", "at", "row", "top")})]
    for row, name in enumerate(names):
        if not len(draws.get(name, ())):
            continue
        part = density_of(draws[name], POINTS)
        high = 0.62 * part.height / (part.height.max() or 1.0)
        told = {"channel": name, "kind": kind, "at": part.at, "row": row, "top": row - high}
        parts.append(pd.DataFrame(told))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def distributions(
    draws: Mapping[str, Any] | xr.DataArray,
    prior: Mapping[str, Any] | xr.DataArray | None = None,
    *,
    of: str = "ROAS",
    label: str = "",
    under: str = "the posterior",
    percent: bool = False,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Distribution of one quantity of every channel: densities, means and intervals.

    For what the priors say of shares and returns, give draws of
    ``mm.sample_prior(spec, panel)``; ``prior=`` puts them behind those of a fit.

    Args:
        prior: The same under the prior, drawn grey behind.
        of: What is drawn, for the title.
        label: Of the x axis, with unit.
        under: What the draws are of, for the title: "the prior".
        percent: Write values as percentages.
    """
    every, behind = by_channel(draws), {} if prior is None else by_channel(prior)
    names = [name for name, x in every.items() if len(x)]
    title = f"{of} of each channel under {under}" + (" and the prior" if behind else "")
    if not names:
        return p.nothing("No channel has draws of it", title, label, width)
    told, old = (spreads(x, names, prob) for x in (every, behind))
    texts = told[["mean", "lo", "hi"]].to_numpy().ravel()
    said = [f"{x:.1%}" for x in texts] if percent else amounts(texts)
    told["said"] = said[::3]
    told["span"] = [f"{lo} to {hi}" for lo, hi in zip(said[1::3], said[2::3], strict=True)]
    far = [*told["lo"], *told["hi"], *old["lo"], *old["hi"]]
    low, top = min(0.0, *far), max(far)
    ends = [low, top + 0.1 * (top - low) or 1.0]
    x = p.across("at", None, "~%" if percent else None, 5, grid=True, domain=ends)
    hills = pd.concat([violins(behind, names, PRIOR), violins(every, names, POSTERIOR)])
    paint = p.colours_for([*every], colours)
    unit = (label or of) + ("; grey: the prior" if behind else "")
    each = zip(names, told["said"], told["span"], strict=True)
    about = ", ".join(f"{name} {mean} ({span})" for name, mean, span in each)
    return p.titled(
        draw_hills(hills, told, x, paint, f"{prob:.0%}"),
        title,
        unit,
        f"Mean and {prob:.0%} interval: {about}",
        width,
        46 * len(names),
    )


def spreads(draws: Mapping[str, np.ndarray], names: Sequence[str], prob: float) -> Any:
    """Mean and highest density interval of every channel that has draws.

    Returns:
        Columns channel, row (its number), mean, lo, hi.
    """
    there = [(i, n, draws[n]) for i, n in enumerate(names) if len(draws.get(n, ()))]
    rows = [(n, i, x.mean(), *map(float, metrics.hdi(x, prob))) for i, n, x in there]
    return pd.DataFrame(rows, columns=["channel", "row", "mean", "lo", "hi"])


def draw_hills(
    hills: pd.DataFrame, told: pd.DataFrame, x: alt.X, paint: Mapping[str, str], prob: str
) -> p.Layer:
    """Densities that stand on the rows of their channels, and intervals below them.

    Args:
        hills: As :func:`violins` has them.
        told: As :func:`spreads` has them, with the columns of text said and span.
        x: Axis of the quantity.
        paint: Channel -> colour.
        prob: Probability inside the interval, in words.
    """
    names = told["channel"].to_list()
    y = lambda field: p.numbered_rows(field, names, [-0.75, len(names) - 0.7])
    colour = p.by("channel", paint, legend=False)
    shapes = p.chart(hills).encode(x=x, y=y("top"), y2="row:Q", detail=["channel:N"])
    old = shapes.transform_filter(f"datum.kind === '{PRIOR}'")
    new = shapes.transform_filter(f"datum.kind !== '{PRIOR}'").encode(color=colour)
    line = p.chart(told).transform_calculate(under="datum.row + 0.08")
    line = line.encode(
        y=y("under"),
        color=colour,
        tooltip=p.told(channel="channel", said="mean", span=prob),
    )
    return p.layer(
        old.mark_area(clip=True, opacity=0.6, color=REST),
        new.mark_area(clip=True, opacity=0.4),
        line.mark_rule(strokeWidth=2.4).encode(x="lo:Q", x2="hi:Q"),
        line.mark_point().encode(x="mean:Q"),
        *p.aside(p.chart(told).encode(y=y("row")), {"said": "mean", "span": prob}),
    )
