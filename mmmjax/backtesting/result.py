"""Backtest: scores, forecasts and estimates of every fold, labelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import words
from mmmjax.arguments import checked
from mmmjax.backtesting.folds import Layout
from mmmjax.checks import show
from mmmjax.draws import Fit
from mmmjax.prediction import cell_scores
from mmmjax.standing import headline, standings, tally, verdict_of

__all__ = ["MODELS", "Backtest", "Run"]

MMM, NO_MEDIA, NAIVE = "mmm", "no_media", "seasonal_naive"
MODELS = (MMM, NO_MEDIA, NAIVE)
NOUNS = {MMM: "model", NO_MEDIA: "no media", NAIVE: "naive"}
UNITS = ((1e10, 1e9, "billions"), (1e7, 1e6, "millions"), (1e4, 1e3, "thousands"))
USABLE, NOT_CONVERGED, INTERRUPTED = "usable", "not converged", "interrupted"


@dataclass(frozen=True)
class Run:
    """One model in one fold: how it ended and, if it did well, what it predicts.

    Args:
        fold: Number of the fold, from 1.
        model: One of :data:`MODELS`.
        status: "usable", "not converged", "refused" (data that cannot be fitted),
            "failed" (an error), "interrupted" or "no data" (of the naive forecast).
        reason: Why, if it is not usable.
        train: Mean, lo, hi and CRPS of every cell of training, (4, geo, time); or None.
        test: The same of the periods after the cut, (4, geo, horizon).
        max_r_hat, min_ess, divergences: Of its draws; NaN without draws.
        seconds: What it took.
    """

    fold: int
    model: str
    status: str
    reason: str = ""
    train: np.ndarray | None = None
    test: np.ndarray | None = None
    max_r_hat: float = float("nan")
    min_ess: float = float("nan")
    divergences: float = float("nan")
    seconds: float = 0.0


@checked
@dataclass(frozen=True, eq=False)
class Backtest:
    """Result of :func:`mmmjax.backtest`; print it for a summary.

    Args:
        folds: One row per fold (index ``fold``, from 1): train_start, train_end,
            test_start, test_end, n_train (periods).
        runs: One row per fold and model: status, reason, max_r_hat, min_ess (bulk or
            tail), divergences, seconds.
        scores: Dataset over (fold, model, split): crps (outcome units), r2, mape,
            coverage (of 94% intervals), cells (scored), and skill_no_media and
            skill_seasonal_naive: 1 - CRPS / CRPS of that baseline on the cells that both
            predict, above 0 where it is beaten. NaN where a run has no result.
        cells: Dataset of the test periods over (fold, model, geo, step): mean, lo, hi,
            crps; observed (fold, geo, step) and date (fold, step).
        forecast: Forecasts of the model, the columns of backtest_forecast.csv; with
            several geos, geo = "ALL" is their sum.
        parameters: Estimates of the model, the columns of backtest_parameters.csv.
        fits: Fit of the model by number of the fold, where there is one.
        layout: Window, horizon, step and season.
        notes: What was masked, left out or kept at its prior, and in which fold.
        outcome: Name of the outcome.
    """

    folds: pd.DataFrame
    runs: pd.DataFrame
    scores: xr.Dataset
    cells: xr.Dataset
    forecast: pd.DataFrame
    parameters: pd.DataFrame
    fits: Mapping[int, Fit]
    layout: Layout
    notes: tuple[str, ...] = ()
    outcome: str = "outcome"

    @property
    def converged(self) -> bool:
        """Whether the model could be used in every fold."""
        status = self.runs.loc[self.runs["model"] == MMM, "status"]
        return bool((status == USABLE).all())

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before its end."""
        return bool((self.runs["status"] == INTERRUPTED).any())

    def overall(self) -> pd.DataFrame:
        """Scores of each model over the test cells of all folds that all models predict.

        Index: model. Columns: cells, crps, r2, mape, coverage, skill_no_media and
        skill_seasonal_naive.
        """
        values = np.stack([self.cells[n].to_numpy() for n in ("mean", "lo", "hi", "crps")])
        observed = self.cells["observed"].to_numpy()
        given = [m for m in range(values.shape[2]) if np.isfinite(values[3, :, m]).any()]
        common = np.isfinite(values[3][:, given]).all(axis=1)
        seen = np.where(common, observed, np.nan)
        rows = {}
        for m, name in enumerate(self.cells["model"].to_numpy()):
            found = values[:, :, m] if m in given else np.full_like(values[:, :, 0], np.nan)
            known = seen if m in given else np.full_like(seen, np.nan)
            row = {"cells": int(np.isfinite(known).sum())} | cell_scores(known, found)
            rows[str(name)] = row
        table = pd.DataFrame.from_dict(rows, orient="index")
        for base in set(MODELS[1:]) & set(rows):
            table[f"skill_{base}"] = 1 - table["crps"] / table.loc[base, "crps"]
            table.loc[base, f"skill_{base}"] = np.nan
        return table

    @property
    def headline(self) -> str:
        """That media add nothing to its forecasts, where it is so; else empty."""
        return headline(standings(self.to_frames()["backtest"]))

    @property
    def verdict(self) -> str:
        """What it comes to, in sentences; first of all where media add nothing to it."""
        own = self.overall().loc[MMM]
        if not own["cells"]:
            return "No forecast could be scored."
        found = standings(self.to_frames()["backtest"])
        against = tally(found).replace("In a backtest it", "It", 1)
        text = [self.headline or verdict_of(found), against]
        size = f"Off by {own['mape']:.1%} on average" if np.isfinite(own["mape"]) else ""
        inside = f"{own['coverage']:.0%} of what came inside the 94% interval."
        text.append("; ".join(filter(None, [size, inside])))
        return " ".join(filter(None, text))

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """Long tables by name of their file: `backtest`, `backtest_...`."""
        scores = self.scores.to_dataframe().reset_index()
        runs = self.runs.drop(columns="seconds")
        table = self.folds.reset_index().drop(columns="n_train")
        table = table.merge(scores, on="fold").merge(runs, on=["fold", "model"])
        return {
            "backtest": table,
            "backtest_parameters": self.parameters,
            "backtest_forecast": self.forecast,
        }

    def __repr__(self) -> str:
        """The verdict, scores of every fold and of all together, then ROAS over folds."""
        verdict = f"Verdict: {self.verdict}"
        rest = [*_head(self), *_scores_text(self), *_returns_text(self)]
        return "\n".join([verdict, *rest])


def _head(found: Backtest) -> list[str]:
    layout, n = found.layout, len(found.folds)
    ok = int((found.runs.loc[found.runs["model"] == MMM, "status"] == USABLE).sum())
    lines = [
        f"Backtest: {n} folds, {layout.window} window, horizon {layout.horizon}, "
        f"step {layout.step}; {ok} of {n} usable"
    ]
    for run in found.runs.to_dict("records"):
        if run["reason"]:
            lines.append(f"  fold {run['fold']}, {NOUNS[run['model']]}: {run['reason']}")
    return lines


def _scores_text(found: Backtest) -> list[str]:
    """A table of the test scores: CRPS of every model, then the model's own numbers."""
    models = [str(m) for m in found.scores["model"].to_numpy()]
    bases = [m for m in models if m != MMM]
    test, whole = found.scores.sel(split="test"), found.overall()
    largest = float(np.nan_to_num(test["crps"].to_numpy()).max(initial=0.0))
    units = [(unit, word) for least, unit, word in UNITS if largest >= least]
    unit, word = units[0] if units else (1.0, "")
    heads = ["fold ", "trained to", "CRPS", *(NOUNS[b] for b in bases)]
    heads += [*(f"vs {NOUNS[b]}" for b in bases), "R2", "MAPE", "covered", "R-hat"]
    of_model = found.runs[found.runs["model"] == MMM].set_index("fold")
    rows = []
    for number, fold in found.folds.iterrows():
        one = {m: test.sel(fold=number, model=m) for m in models}
        r_hat = _form(of_model.loc[number, "max_r_hat"], ".3f")
        row = [str(number), show(fold["train_end"]), *_numbers(one, bases, unit), r_hat]
        rows.append(row)
    every = _numbers({m: whole.loc[m] for m in models}, bases, unit)
    rows.append(["all", "", *every, ""])
    of = " in ".join([found.outcome, word]) if word else found.outcome
    said = f"Forecast scores, CRPS of {of}"
    if bases:
        said += "; vs: by how much CRPS is smaller than the baseline's"
    return [said, *(f"  {line}" for line in words.lines(heads, rows))]


def _numbers(by: Mapping[str, Any], bases: list[str], unit: float) -> list[str]:
    scores, own = [by[m]["crps"] / unit for m in by], by[MMM]
    return [
        *(_form(score, "#,.4g") for score in scores),
        *(_form(own[f"skill_{b}"], "+.1%") for b in bases),
        _form(own["r2"], ".2f"), _form(own["mape"], ".1%"), _form(own["coverage"], ".0%"),
    ]  # fmt: skip


def _returns_text(found: Backtest) -> list[str]:
    """Mean ROAS of every channel in every fold."""
    table = found.parameters
    table = table[(table["parameter"] == "roas") & table["mean"].notna()]
    if table.empty:
        return []
    wide = table.pivot_table("mean", "index", "fold", sort=False)
    heads = ["ROAS, mean ", *(f"fold {f}" for f in wide.columns)]
    rows = [
        [str(name), *(_form(v, "#,.3g" if abs(v) < 1e3 else ",.0f") for v in row)]
        for name, row in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return ["", *(f"  {line}" for line in words.lines(heads, rows))]


def _form(value: Any, form: str) -> str:
    value = float(value)
    return format(value, form).rstrip(".") if np.isfinite(value) else ""
