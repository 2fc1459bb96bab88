"""From what is known of every fold to one labelled result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.backtesting.folds import Fold, Layout
from mmmjax.backtesting.result import MMM, Backtest, Run
from mmmjax.checks import Phrase, listing
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.prediction import cell_scores
from mmmjax.shapes import GEO

__all__ = ["Done", "collect"]

RESCALED = 0.01  # smaller changes of a largest value go without a note
SPLITS = ("train", "test")
NUMBERS = ("crps", "r2", "mape", "coverage")


@dataclass
class Done:
    """What is known of a fold so far: its runs by model, and what came of the model.

    Args:
        fold: The fold.
        runs: By model; those not done yet stand as interrupted.
        notes: What to say of it.
        fit: The fit of the model.
        forecast: Its forecast, the columns of forecast.csv.
        parameters: Its estimates: parameter, index, mean, lo, hi, source.
    """

    fold: Fold
    runs: dict[str, Run]
    notes: list[str] = field(default_factory=list)
    fit: Fit | None = None
    forecast: pd.DataFrame | None = None
    parameters: pd.DataFrame | None = None


def collect(
    panel: Panel, layout: Layout, done: Sequence[Done], notes: Sequence[str]
) -> Backtest:
    """Put what is known of every fold together; ``notes`` are of the whole panel."""
    numbers = [d.fold.number for d in done]
    folds = pd.DataFrame(
        {
            "train_start": [panel.dates[d.fold.train.start] for d in done],
            "train_end": [panel.dates[d.fold.train.stop - 1] for d in done],
            "test_start": [panel.dates[d.fold.test.start] for d in done],
            "test_end": [panel.dates[d.fold.test.stop - 1] for d in done],
            "n_train": [d.fold.train.stop - d.fold.train.start for d in done],
        },
        index=pd.Index(numbers, name="fold"),
    )
    runs = {(d.fold.number, m): run for d in done for m, run in d.runs.items()}
    kept = ("fold", "model", "status", "reason", "max_r_hat", "min_ess", "divergences",
            "seconds")  # fmt: skip
    rows = [{name: getattr(run, name) for name in kept} for run in runs.values()]
    observed = {
        d.fold.number: tuple(panel.outcome[:, s] for s in (d.fold.train, d.fold.test))
        for d in done
    }
    return Backtest(
        folds,
        pd.DataFrame(rows),
        _scores(runs, observed),
        _cells(panel, layout.horizon, done),
        _stacked(done, "forecast", ("geo", "date", "observed", "mean", "lo", "hi")),
        _stacked(done, "parameters", ("parameter", "index", "mean", "lo", "hi", "source")),
        {d.fold.number: d.fit for d in done if d.fit is not None},
        layout,
        (*notes, *_said(done)),
        panel.outcome_name,
    )


def _said(done: Sequence[Done]) -> list[str]:
    """Notes of the folds, each text once, with the folds that it is about."""
    about: dict[str, list[int]] = {}
    before: Fit | None = None
    for d in done:
        for note in [*d.notes, *_rescaled(before, d.fit)]:
            about.setdefault(note, []).append(d.fold.number)
        before = d.fit or before
    return [
        text if len(folds) == len(done) else f"fold {listing(folds)}: {text}"
        for text, folds in about.items()
    ]


def _rescaled(before: Fit | None, fit: Fit | None) -> list[str]:
    """Largest values that changed since the fold before: scaled parameters change unit."""
    if before is None or fit is None:
        return []
    names = [fit.panel.outcome_name, *fit.panel.channels]
    old, new = (np.column_stack([f.scale.outcome, f.scale.media]) for f in (before, fit))
    change = (new / old - 1)[np.abs(new / old - 1).argmax(0), np.arange(len(names))]
    said = [
        Phrase(f"{name} {by:+.0%}")
        for name, by in zip(names, change, strict=True)
        if abs(by) > RESCALED
    ]
    text = "largest values, the units of scaled parameters, changed since the fold before"
    return [f"{text}: {listing(said, 12)}"] if said else []


def _stacked(done: Sequence[Done], name: str, columns: Sequence[str]) -> pd.DataFrame:
    """The tables of all folds that have one, with the number of the fold in front."""
    tables = [
        table.assign(fold=d.fold.number)[["fold", *columns]]
        for d in done
        if (table := getattr(d, name)) is not None
    ]
    if not tables:
        return pd.DataFrame(columns=["fold", *columns])
    return pd.concat(tables, ignore_index=True)


def _cells(panel: Panel, horizon: int, done: Sequence[Done]) -> xr.Dataset:
    """Predictions and CRPS of the test cells: (fold, model, geo, step)."""
    models = list(done[0].runs)
    empty = np.full((4, panel.n_geos, horizon), np.nan)
    found = np.stack(
        [[empty if (x := d.runs[m].test) is None else x for m in models] for d in done]
    )
    dims = ("fold", "model", GEO, "step")
    data: dict[str, Any] = {
        name: (dims, found[:, :, i]) for i, name in enumerate(("mean", "lo", "hi", "crps"))
    }
    tests = [d.fold.test for d in done]
    outcomes = np.stack([panel.outcome[:, t] for t in tests])
    data["observed"] = (("fold", GEO, "step"), outcomes)
    coords = {
        "fold": [d.fold.number for d in done],
        "model": models,
        GEO: list(panel.geos),
        "step": np.arange(1, horizon + 1),
        "date": (("fold", "step"), np.stack([panel.dates[t].to_numpy() for t in tests])),
    }
    return xr.Dataset(data, coords, {"outcome": panel.outcome_name})


def _skill(found: np.ndarray, base: np.ndarray) -> float:
    """1 - CRPS / CRPS of a baseline, over the cells that both predict."""
    both = np.isfinite(found) & np.isfinite(base)
    if not both.any() or base[both].mean() == 0:
        return float("nan")
    return float(1 - found[both].mean() / base[both].mean())


def _scores(
    runs: Mapping[tuple[int, str], Run], observed: Mapping[int, Sequence[np.ndarray]]
) -> xr.Dataset:
    """Scores (fold, model, split) of all runs.

    Args:
        runs: By fold and model.
        observed: By fold, what was observed in training and test, each (geo, time).
    """
    folds, models = list(observed), list(dict.fromkeys(m for _, m in runs))
    shape = (len(folds), len(models), len(SPLITS))
    bases = [m for m in models if m != MMM]
    names = ("cells", *NUMBERS, *(f"skill_{base}" for base in bases))
    data = {name: np.full(shape, np.nan) for name in names}
    for (i, f), (j, m), (k, split) in (
        (a, b, c)
        for a in enumerate(folds) for b in enumerate(models) for c in enumerate(SPLITS)
    ):  # fmt: skip
        found = getattr(runs[f, m], split)
        if found is None:
            data["cells"][i, j, k] = 0
            continue
        known = np.where(np.isfinite(found[0]), observed[f][k], np.nan)
        data["cells"][i, j, k] = np.isfinite(known).sum()
        for name, value in cell_scores(known, found).items():
            data[name][i, j, k] = value
        for base in bases:
            other = getattr(runs[f, base], split)
            if base != m and other is not None:
                data[f"skill_{base}"][i, j, k] = _skill(found[3], other[3])
    coords = {"fold": folds, "model": models, "split": list(SPLITS)}
    data["cells"] = data["cells"].astype(int)
    return xr.Dataset({n: (("fold", "model", "split"), v) for n, v in data.items()}, coords)
