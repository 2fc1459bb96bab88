"""Fit and score every fold, with one compilation for all of them.

The data of a fold come from a panel that ends at its cut, as those of a plain fit, and
are then brought to the size of the longest fold with masked periods. The model without
media is the same program once more, on media of zero: they add nothing whatever their
parameters are, so all others have exactly the posterior of a spec without media.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.backtesting import result as r
from mmmjax.backtesting.baselines import seasonal_naive
from mmmjax.backtesting.collect import Done, collect
from mmmjax.backtesting.folds import (
    Fold,
    Layout,
    forecast_panel,
    lay_out,
    padded,
    train_panel,
)
from mmmjax.backtesting.result import Backtest, Run
from mmmjax.backtesting.watch import Watch
from mmmjax.checks import InputError, Phrase, amount, listing, show
from mmmjax.draws import HDI_PROB, Draws, Fit, diagnostics, summary
from mmmjax.infer.fit import sampled
from mmmjax.infer.progress import Progress
from mmmjax.metrics import hdi
from mmmjax.model import ModelData
from mmmjax.panel import Panel, for_training
from mmmjax.posterior.returns import roas
from mmmjax.posterior.scope import Scope
from mmmjax.prediction import cells, cells_table
from mmmjax.prepare import Prepared, prepare
from mmmjax.samplers import NUTS, Sampler, shorter
from mmmjax.shapes import CHANNEL, CONTROL
from mmmjax.spec import Spec

__all__ = ["backtest"]

ENOUGH = 2000  # draws that score a baseline; the model is scored with all of its own


@checked
def backtest(
    spec: Spec,
    panel: Panel,
    sampler: Sampler | None = None,
    *,
    folds: int = 5,
    horizon: int | None = None,
    step: int | None = None,
    window: Literal["expanding", "rolling"] = "expanding",
    least: int | None = None,
    baselines: bool = True,
    seed: int = 0,
    on_empty: Literal["error", "drop", "prior"] = "error",
    progress: bool | None = None,
) -> Backtest:
    """Time-slice cross-validation: fit at several cuts, score what each forecasts next.

    The last fold is tested on the last observed periods, the others ``step`` periods
    earlier each. A fold sees nothing after its cut: scales, spend shares, trend and
    preconditioner are those of ``mm.fit`` on the panel cut there. Its forecast takes the
    media and controls that were then run as known. A fold that cannot be fitted or does
    not converge says so in its status; the others are kept, also when interrupted.

    A control that never varied before a cut keeps its prior in that fold; a channel that
    had not run by then is left out of its forecast. Both are said in the notes.

    Args:
        spec: What the model is.
        panel: All data; leading and trailing periods without outcome are not tested.
        sampler: Settings of every fold; ``mm.NUTS()`` by default. The model without media
            takes a quarter of the warm-up and is scored with about 2000 of its draws.
        folds: Number of folds.
        horizon: Periods forecast at each cut; a quarter of a year by default.
        step: Periods between cuts; the horizon by default, so that tests do not overlap.
        window: Train on all periods before the cut ("expanding") or on as many in every
            fold ("rolling").
        least: Fewest training periods, by default a year (or ``max_lag``, if longer). In
            rolling windows, the length of each; by default what is left for the first.
        baselines: Score two baselines beside the model, on the same cells: the model
            without media, and the seasonal naive forecast (a year before, its own past
            errors around it), which may use all outcomes before the cut.
        seed: As of :func:`mmmjax.fit`, in every fold.
        on_empty: What to do with a channel or control that never varies in all of
            ``panel``: refuse, leave it out ("drop") or keep it ("prior").
        progress: Show live progress; None shows it on a terminal only.

    Raises:
        InputError: A panel that cannot be modelled, or too short for these folds.
    """
    sampler = NUTS() if sampler is None else sampler
    seed = checks.integer("seed", seed, low=0, high=2**32 - 1)
    panel, notes = for_training(panel, max_lag=spec.memory, on_empty=on_empty)
    spec.likelihood.check(panel)
    layout = lay_out(panel, spec.memory, folds, horizon, step, window, least)
    plan = _Plan.of(spec, panel, sampler, seed, layout, _models(panel, baselines))
    done = [_begun(plan, fold) for fold in layout.folds]
    labels = [show(panel.dates[fold.train.stop - 1]) for fold in layout.folds]
    titles = {model: r.NOUNS[model] for model in plan.sampled}
    with Watch(labels, titles, progress) as watch, ThreadPoolExecutor(1) as scoring:
        try:
            for one in done:
                _run_fold(plan, one, watch, scoring)
        except KeyboardInterrupt:  # what was computed is not lost
            pass
    return collect(panel, layout, done, notes)


def _models(panel: Panel, baselines: bool) -> tuple[str, ...]:
    if not baselines:
        return (r.MMM,)
    return r.MODELS if panel.channels else (r.MMM, r.NAIVE)


class _Plan(NamedTuple):
    """What is to be done in every fold, and the size that all are brought to."""

    spec: Spec
    panel: Panel
    sampler: Sampler
    seed: int
    layout: Layout
    models: tuple[str, ...]
    history: int
    n_periods: int

    @classmethod
    def of(
        cls, spec: Spec, panel: Panel, sampler: Sampler, seed: int, layout: Layout,
        models: tuple[str, ...],
    ) -> "_Plan":  # fmt: skip
        trains = [train_panel(panel, f, spec.memory) for f in layout.folds]
        history = max(t.history for t in trains)
        n_periods = max(t.n_periods for t in trains)
        return cls(spec, panel, sampler, seed, layout, models, history, n_periods)

    @property
    def sampled(self) -> list[str]:
        """The models that draws are taken of."""
        return [m for m in self.models if m != r.NAIVE]


def _begun(plan: _Plan, fold: Fold) -> Done:
    """Nothing yet, but the naive forecast, which is free."""
    stopped = Run(fold.number, r.MMM, r.INTERRUPTED, "stopped before it was done")
    runs = {m: replace(stopped, model=m) for m in plan.models}
    if r.NAIVE in runs:
        runs[r.NAIVE] = _naive(plan, fold)
    return Done(fold, runs)


def _naive(plan: _Plan, fold: Fold) -> Run:
    known = (plan.panel.outcome, fold.train.stop)
    season, possible = plan.layout.season, plan.spec.likelihood.possible
    train, test = (
        seasonal_naive(*known, t, season, possible) for t in (fold.train, fold.test)
    )
    if np.isfinite(test[0]).any():
        return Run(fold.number, r.NAIVE, r.USABLE, "", train, test)
    reason = f"fewer than a year ({plan.layout.season} periods) of outcomes and past errors"
    return Run(fold.number, r.NAIVE, "no data", reason)


class _Ready(NamedTuple):
    """A fold that can be fitted: panels and data, these at the size of all folds."""

    found: Prepared
    train: Panel
    data: ModelData
    wide: Panel  # training, padded
    test: Panel
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, plan: _Plan, fold: Fold) -> "_Ready":
        """Build them from what was known at the cut."""
        past = train_panel(plan.panel, fold, plan.spec.memory)
        found = prepare(plan.spec, past, "prior")
        train = found.panel
        data = found.data.padded(plan.history, plan.n_periods)
        wide = padded(train, plan.history, plan.n_periods)
        per_geo = found.spec.media_scale == "geo"
        test, left_out = forecast_panel(plan.panel, fold, train, per_geo)
        return cls(found, train, data, wide, test, left_out)


class _Drawn(NamedTuple):
    """One model of one fold, sampled and waiting for its scores."""

    ready: _Ready
    model: str
    data: ModelData
    fit: Fit
    progress: Progress


def _run_fold(plan: _Plan, done: Done, watch: Watch, scoring: Executor) -> None:
    """Sample the models of one fold; scores follow on one thread beside the sampler."""
    for model in plan.sampled:
        began = time.perf_counter()
        progress = watch.start(done.fold.number - 1, model, plan.sampler.chains)
        finish = partial(_finish, plan, done, model, watch, began)
        try:
            ready = _Ready.of(plan, done.fold)
            drawn = _sample(plan, ready, model, progress)
            if model == r.MMM:
                done.fit = drawn.fit
                done.notes += _notes(
                    ready, drawn.fit.info["notes"][len(ready.found.notes) :]
                )
        except Exception as error:
            finish(_failure(done.fold, model, error))
        else:
            scoring.submit(finish, drawn)


def _finish(
    plan: _Plan, done: Done, model: str, watch: Watch, began: float, found: Run | _Drawn
) -> None:
    """Keep how a run ended, scored if there are draws."""
    if isinstance(found, _Drawn):
        try:
            found = _scored(plan, done, found)
        except Exception as error:
            found = _failure(done.fold, model, error)
    done.runs[model] = replace(found, seconds=time.perf_counter() - began)
    watch.end(done.fold.number - 1, model, _brief(found))


def _failure(fold: Fold, model: str, error: Exception) -> Run:
    if isinstance(error, InputError):
        return Run(fold.number, model, "refused", str(error))
    return Run(fold.number, model, "failed", f"{type(error).__name__}: {error}")


def _brief(run: Run) -> str:
    if run.test is None:
        return run.status
    crps = run.test[3][np.isfinite(run.test[3])]
    score = f"CRPS {amount(float(crps.mean()))}" if crps.size else "nothing observed"
    return score if run.status == r.USABLE else f"{score} ({run.status})"


def _sample(plan: _Plan, ready: _Ready, model: str, progress: Progress) -> _Drawn:
    """Draws of one model; without media it is easier and needs less warm-up."""
    data, sampler = ready.data, plan.sampler
    if model == r.NO_MEDIA:
        data = replace(data, inputs=_silent(data.inputs))
        sampler = shorter(sampler)
    spec, notes, scale = ready.found.spec, ready.found.notes, ready.found.scale
    draws, info = sampled(spec, data, sampler, plan.seed, progress)
    info["notes"] = [*notes, *info["notes"]]
    progress.phase("score")
    fit = Fit(spec, ready.train, scale, sampler, draws, plan.seed, info)
    return _Drawn(ready, model, data, fit, progress)


def _scored(plan: _Plan, done: Done, drawn: _Drawn) -> Run:
    """Predictions and scores of one model in training and test, and what its draws are."""
    ready, fit = drawn.ready, drawn.fit
    train_scope = Scope(ready.wide, drawn.data.inputs, ready.found.scale.outcome)
    test_scope = Scope.of(fit, ready.test)
    if drawn.model == r.MMM:
        table = summary(fit)
        judged = diagnostics(fit, table)
        train, test = (cells(fit, s, seed=plan.seed) for s in (train_scope, test_scope))
        several = plan.panel.n_geos > 1
        whole = cells(fit, test_scope, seed=plan.seed, total=True) if several else None
        done.forecast = cells_table(test_scope, test, whole)
        done.parameters = _parameters(fit, ready, table)
    else:
        judged = diagnostics(_media_apart(fit))
        test_scope = replace(test_scope, inputs=_silent(test_scope.inputs))
        few, still = _thinned(fit), _silent(fit.inputs())
        train, test = (
            cells(few, s, seed=plan.seed, before=still) for s in (train_scope, test_scope)
        )
    if len(test) == 3:  # nothing observed
        test = np.concatenate([test, np.full_like(test[:1], np.nan)])
    return Run(
        done.fold.number,
        drawn.model,
        r.USABLE if judged.converged else r.NOT_CONVERGED,
        "" if judged.converged else judged.verdict,
        train[..., : ready.train.n_periods],
        test,
        judged.max_r_hat,
        min(judged.min_ess_bulk, judged.min_ess_tail),
        judged.divergences,
    )


def _thinned(fit: Fit) -> Fit:
    """Some of the draws, evenly spaced: as many as a baseline needs."""
    every = max(1, fit.draws.n_chains * fit.draws.n_draws // ENOUGH)
    kept = {name: array[:, ::every] for name, array in fit.draws.params.items()}
    return replace(fit, draws=Draws(kept))


def _silent(inputs: Arrays) -> Arrays:
    """The same inputs without any media."""
    return inputs.replace(media=np.zeros_like(inputs["media"]))


def _media_apart(fit: Fit) -> Fit:
    """The fit without the parameters of media, which media of zero leave at their prior."""
    media = tuple(fit.spec.full(t, n) for t in fit.spec.media for n in t.parameters())
    kept = {n: a for n, a in fit.draws.params.items() if not n.startswith(media)}
    return replace(fit, draws=Draws(kept, fit.draws.stats))


def _unseen(train: Panel) -> tuple[list[str], list[str]]:
    """Channels and controls of which training says nothing: their estimate is the prior."""
    rows = train.present[:, train.window]
    media, controls = (x[:, train.window][rows] for x in (train.media, train.controls))
    flat = (controls == controls[:1]).all(0)
    return (
        [c for c, x in zip(train.channels, media.T, strict=True) if not x.any()],
        [k for k, same in zip(train.control_names, flat, strict=True) if same],
    )


def _notes(ready: _Ready, of_sampler: Sequence[str]) -> list[str]:
    """What to say of one fold besides its scores."""
    channels, controls = _unseen(ready.train)
    said = list(ready.left_out)
    if names := [*channels, *controls]:
        shown = listing(map(Phrase, names), 12)
        said.append(f"{shown} had not varied by the cut: kept at the prior")
    return [*said, *of_sampler]


def _parameters(fit: Fit, ready: _Ready, table: pd.DataFrame) -> pd.DataFrame:
    """Estimates of one fold: ROAS of the training window, then every parameter."""
    given = {"parameter": "parameter", "index": "index", "mean": "mean", "lo": "hdi_3",
             "hi": "hdi_97"}  # fmt: skip
    table = pd.DataFrame({name: table[old] for name, old in given.items()})
    train = ready.train
    if train.channels:
        span = (train.dates[train.history], train.dates[-1])
        found = roas(replace(fit, panel=ready.wide), span)["roas_total"].to_numpy()
        found = found.reshape(-1, found.shape[-1])
        ends = hdi(found, HDI_PROB)
        rows: dict[str, Any] = {"parameter": "roas", "index": list(train.channels)}
        rows |= {"mean": found.mean(0), "lo": ends[0], "hi": ends[1]}
        table = pd.concat([pd.DataFrame(rows), table], ignore_index=True)
    channels, controls = _unseen(train)
    unseen: dict[str, list[str]] = {CHANNEL: channels, CONTROL: controls}
    source = []
    for name, index in zip(table["parameter"], table["index"], strict=True):
        known = name in fit.draws.params  # not: of several media terms, joined
        dims = fit.dims(name) if known else (CHANNEL,)
        names = unseen.get(dims[-1].rpartition(".")[2], []) if dims else []
        alone = any(index == n or index.endswith(f", {n}") for n in names)
        source.append("prior" if alone else "data")
    return table.assign(source=source)
