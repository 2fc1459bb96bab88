"""Prior and posterior predictive: draws of the outcome, in and out of sample.

A forecast continues the training data: the last ``max_lag - 1`` training periods of media
carry over into it and the trend goes on. Decompositions are of mu, everything here is of
y, the outcome itself, in original units. Noise is drawn with one key per draw and geo, so
a seed gives the same numbers whatever the memory bound.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pandas as pd
import xarray as xr
from jaxtyping import Array

from mmmjax import checks, metrics, response
from mmmjax.added import with_geos_of
from mmmjax.arguments import checked
from mmmjax.arrays import TIME, Arrays
from mmmjax.draws import Draws, Fit
from mmmjax.likelihood import Target
from mmmjax.model import ModelData, noise_of, prior_draw
from mmmjax.panel import Panel
from mmmjax.posterior.fold import MEMORY, fold, fold_cells, thinned
from mmmjax.posterior.pooling import Total, over_geos, reduce_geos
from mmmjax.posterior.scope import (
    ALL,
    PROB,
    SUMMARY,
    Scope,
    attributes,
    chain_coords,
    per_draw,
    summarise,
    summary,
)
from mmmjax.prepare import prepare
from mmmjax.programs import compiled
from mmmjax.resources import enough_memory
from mmmjax.seeds import key_data
from mmmjax.shapes import DATE, GEO
from mmmjax.spec import Spec
from mmmjax.words import long, spread

__all__ = [
    "crps",
    "forecast_table",
    "log_likelihood",
    "predict",
    "prior_predictive",
    "sample_prior",
    "scores",
    "scores_table",
]

LEFT = ("y_start", "y_known")  # of `Likelihood.left`


@checked
def predict(
    fit: Fit,
    panel: Panel | None = None,
    *,
    seed: int = 0,
    draws: bool = True,
    total: bool = False,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Posterior predictive of the outcome, original units.

    Args:
        fit: The fit.
        panel: None for the training window; a panel that follows training directly (a
            test panel, or ``fit.panel.read_future(table)``); or one of the training dates
            with other media or controls. Geos that training lacks are from the pooled
            prior, as :func:`mmmjax.add_geos` makes them.
        seed: Seed of the noise, and of the parameters of new geos. Errors that follow one
            another go on from the last outcome of training in a panel that follows it, and
            from their long-run law in training.
        draws: Keep every draw. False: mean, lo and hi only, whatever the size, of as many
            draws as :func:`contributions` takes.
        total: Sum over geos (one geo, "ALL"); periods without a row in the table count
            as zero.
        prob: Probability inside [lo, hi] where ``draws`` is False.
        max_draws: At most this many draws, evenly spaced, where ``draws`` is False.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``outcome`` (chain, draw, geo, date), or (summary, geo, date) without
        draws; ``observed`` (geo, date), NaN where unknown.
    """
    fit = with_geos_of(fit, panel, seed)
    scope, fit = Scope.of(fit, panel), fit if draws else thinned(fit, max_draws)
    options: dict[str, Any] = _options(fit, scope, seed) | {"memory": memory}
    f, args = over_geos(_there) if total else _outcome, _arguments(fit, scope)
    if draws:
        outcome = per_draw(
            fit, fold(fit, f, *args, by_geo=not total, **options), (GEO, DATE)
        )
        coords = chain_coords(fit)
    else:
        values = fold_cells(
            fit,
            f,
            lambda tile, *_: summarise(tile, prob),
            *args,
            by_geo=not total,
            **options,
        )
        outcome = summary(values, (GEO, DATE))
        coords = {SUMMARY: ["mean", "lo", "hi"]}
    every = scope.coords(total)
    return xr.Dataset(
        {"outcome": outcome, "observed": ((GEO, DATE), _observed(scope, total))},
        {**coords, GEO: every[GEO], DATE: every[DATE]},
        attributes(fit, seed=seed, **({} if draws else {"prob": prob})),
    )


@checked
def sample_prior(spec: Spec, panel: Panel, draws: int = 500, seed: int = 0) -> Fit:
    """Draws from the prior as a :class:`Fit`, so that every question can be asked of it.

    ``roas(sample_prior(spec, panel))`` is the prior of ROAS, ``contributions`` that of
    the shares.

    Args:
        spec: The model.
        panel: The training panel: data-derived priors and scales come from it.
        draws: Number of draws (one chain).
        seed: Seed.
    """
    draws = checks.integer("draws", draws, low=1)
    ready = prepare(spec, panel)
    sizes = ready.spec.sizes(ready.panel)
    sites = ready.spec.sites(sizes)
    scalars = sum(math.prod(sizes[dim] for dim in site.dims) for site in sites)
    of = f"{draws:,} draws of {scalars:,} numbers"
    enough_memory("draws", 3 * 8 * draws * scalars, of, "draws=500")
    found = prior_params(ready.spec, ready.data, draws, seed)
    params = {n: a[None] for n, a in found.items()}
    info = {"kind": "prior", "notes": list(ready.notes)}
    return Fit(ready.spec, ready.panel, ready.scale, None, Draws(params), seed, info)


def prior_params(
    spec: Spec, data: ModelData, draws: int, seed: int, only: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Prior draws of the parameters, (draw, ...), or of ``only`` some of them.

    What is not asked for is not compiled: gammas take four fifths of all that.
    """
    with jax.enable_x64(True):
        keys = jax.random.key_data(jax.random.split(jax.random.key(seed), draws))
        args = (data.astype(np.float64), np.asarray(keys))
        static = {"spec": spec.structure(), "only": only}
        found = compiled(_prior_draws, static, *args)[0](*args)
    return {n: np.asarray(a) for n, a in found.items()}


@checked
def prior_predictive(
    spec: Spec,
    panel: Panel,
    draws: int = 500,
    seed: int = 0,
    *,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Prior predictive of the outcome over the training window, original units.

    Arguments as :func:`sample_prior`, result as :func:`predict` with one chain.
    """
    return predict(sample_prior(spec, panel, draws, seed), seed=seed, memory=memory)


@checked
def log_likelihood(fit: Fit, *, memory: int = MEMORY) -> xr.Dataset:
    """Log density of every observed outcome under every draw, in original units.

    The density is per unit of the outcome, so that fits with other scales compare; of a
    period that has a probability, such as one of 0 with ``zeros``, it is that. Where errors
    follow one another it is that of an outcome given those before it: LOO is then of one
    step ahead.

    Returns:
        Dataset: ``outcome`` (chain, draw, geo, date), NaN where there is no outcome.
    """
    scope = Scope.of(fit)
    target, keep = _arguments(fit, scope)[0], {"inputs": scope.inputs, "memory": memory}
    values = fold(fit, _log_density, target, by_geo=True, **keep)
    every = scope.coords()
    coords = {**chain_coords(fit), GEO: every[GEO], DATE: every[DATE]}
    return xr.Dataset(
        {"outcome": per_draw(fit, values, (GEO, DATE))}, coords, attributes(fit)
    )


@checked
def crps(
    observed: Panel | xr.DataArray | np.ndarray | Sequence[Any],
    predicted: xr.Dataset | xr.DataArray | np.ndarray | Sequence[Any],
) -> float:
    """Mean CRPS of predictive draws over the observed cells, outcome units.

    Args:
        observed: A panel, or an array (geo, time) with NaN where unknown.
        predicted: Result of :func:`predict` (with draws), its ``outcome``, or an array
            (sample, geo, time).
    """
    if isinstance(observed, Panel):
        observed = observed.outcome[:, observed.history :]
    if isinstance(predicted, xr.Dataset):
        predicted = predicted["outcome"]
    if isinstance(predicted, xr.DataArray):
        if "draw" not in predicted.dims:
            checks.fail("predicted", predicted.dims, "crps", "predictive draws",
                        "predict(fit, panel) with draws=True")  # fmt: skip
        predicted = predicted.to_numpy().reshape(-1, *predicted.shape[2:])
    fix = "crps(panel, predict(fit, panel))"
    arrays: list[np.ndarray] = []
    for field, given in (("observed", observed), ("predicted", predicted)):
        array = checks.numbers(given)
        if array is None or not array.size:
            checks.fail(field, given, "", "an array of numbers", fix)
        arrays.append(array)
    y, draws = arrays[0][None] if arrays[0].ndim == 1 else arrays[0], arrays[1]
    if draws.shape[1:] != y.shape:
        got = checks.Phrase(f"shape {draws.shape}")
        checks.fail("predicted", got, "", f"(sample, *{y.shape}), as observed is", fix)
    return metrics.crps(y, draws)


@checked
def scores(
    fit: Fit,
    test: Panel | None = None,
    *,
    seed: int = 0,
    prob: float = PROB,
    memory: int = MEMORY,
) -> dict[str, float]:
    """How well the posterior predictive describes the outcome, over the observed cells.

    Args:
        fit: The fit.
        test: A panel that follows training and has outcomes.
        seed: Seed of the noise.
        prob: Probability of the intervals whose coverage is counted.
        memory: Bound in bytes on what is held.

    Returns:
        ``crps_train`` (outcome units), ``r2``, ``mape`` (of the predictive mean) and
        ``coverage`` (of the highest density interval) of training; with a test panel also
        ``crps_test``, ``r2_test``, ``mape_test`` and ``coverage_test``. NaN where nothing
        was observed.
    """
    keep: dict[str, Any] = {"seed": seed, "prob": prob, "memory": memory}
    found = judged(fit, **keep)[1]
    return found if test is None else found | judged(fit, test, **keep)[1]


@checked
def forecast_table(
    fit: Fit,
    test: Panel,
    *,
    seed: int = 0,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """Forecast of a test or future panel: the columns of forecast.csv.

    Columns: geo, date, observed (empty where unknown), mean, lo, hi; of y, original units.
    Rows that the table did not have are left out. Where there are several geos,
    geo = "ALL" is their sum.
    """
    fit = fit if max_draws is None else thinned(fit, max_draws)
    return judged(fit, test, seed=seed, prob=prob, memory=memory)[0]


@checked
def scores_table(
    fit: Fit,
    test: Panel | None = None,
    *,
    seed: int = 0,
    prob: float = PROB,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """:func:`scores` of each geo, a row per geo, then ``geo`` = ALL: over all their cells.

    Columns: geo, crps (outcome units), r2, mape, coverage; of the test panel where one is
    given, else of training. Arguments as :func:`scores`.
    """
    fit = with_geos_of(fit, test, seed)
    scope = Scope.of(fit, test)
    found = cells(fit, scope, seed=seed, prob=prob, memory=memory)
    parts = {g: slice(k, k + 1) for k, g in enumerate(scope.panel.geos)} | {
        ALL: slice(None)
    }
    rows = [cell_scores(scope.outcome[part], found[:, part]) for part in parts.values()]
    return pd.DataFrame(rows, index=pd.Index(parts, name=GEO)).reset_index()


def judged(
    fit: Fit,
    panel: Panel | None = None,
    *,
    seed: int = 0,
    prob: float = PROB,
    memory: int = MEMORY,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Predict training (None) or a panel that follows it, and score that: one pass.

    Returns:
        The table of :func:`forecast_table`, and the numbers of :func:`scores` of these
        periods; of a panel other than training their names end in ``_test``.
    """
    fit = with_geos_of(fit, panel, seed)
    scope = Scope.of(fit, panel)
    keep: dict[str, Any] = {"seed": seed, "prob": prob, "memory": memory}
    found, whole = _both(fit, scope, keep)
    return _told(scope, found, whole, "train" if panel is None else "test")


def judged_through(
    fit: Fit, test: Panel, *, seed: int = 0, prob: float = PROB, memory: int = MEMORY
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """:func:`judged` of training and of the panel that follows it, in one pass.

    Returns:
        The table of training, that of ``test``, and the scores of both.
    """
    train, later = Scope.of(fit), Scope.of(fit, test)
    n, keep = len(train.dates), {"seed": seed, "prob": prob, "memory": memory}
    found, whole = _both(fit, train.then(later), keep | {"first": n})

    def told(scope: Scope, part: slice, window: str) -> tuple[pd.DataFrame, dict]:
        sums = None if whole is None else whole[..., part]
        return _told(scope, found[..., part], sums, window)

    table, scores = told(train, slice(n), "train")
    after, more = told(later, slice(n, None), "test")
    return table, after, scores | more


def _both(
    fit: Fit, scope: Scope, keep: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray | None]:
    """:func:`cells` of every geo, and of their sum where there are several."""
    n_geos = scope.panel.n_geos
    found = cells(fit, scope, total=None, **keep)
    return found[:, :n_geos], found[:, n_geos:] if n_geos > 1 else None


def _told(
    scope: Scope, found: Any, whole: Any, window: str
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Table and scores of a window from its cells."""
    numbers = cell_scores(scope.outcome, found)
    if window == "test":
        numbers = {f"{name}_test": value for name, value in numbers.items()}
    else:
        numbers = {"crps_train": numbers.pop("crps"), "crps_test": np.nan} | numbers
    return cells_table(scope, found, whole), numbers


def cells(
    fit: Fit, scope: Scope, *, seed: int = 0, prob: float = PROB, memory: int = MEMORY,
    total: Total = False, first: int | None = None, before: Arrays | None = None,
) -> np.ndarray:  # fmt: skip
    """Mean, lo, hi and CRPS of the prediction of every cell, (4, geo, time).

    CRPS is NaN where nothing was observed, and for the sum over geos; if that is so
    everywhere its row is left out. Where geos are added up, cells without a row are zero.
    ``first`` periods are one window, those after it another, each with the noise that it
    has alone. ``before`` stands for the inputs of training, where what is left over there
    says more of what comes. Of large panels some draws are taken, see
    :func:`mmmjax.posterior.fold.thinned`.
    """
    fit = thinned(fit)
    args, options = (
        _arguments(fit, scope),
        _options(fit, scope, seed, before, first is not None),
    )
    if first is not None:
        args = (*args[:-1], np.zeros((scope.factor.size, first)), args[-1])
    known = total is not True and np.isfinite(scope.outcome).any()

    def reduce(tile: np.ndarray, geos: slice | None, times: slice) -> np.ndarray:
        interval = summarise(tile, prob)
        if not known:
            return interval
        score = np.full(tile.shape[1:], np.nan)
        if geos is not None:
            score = metrics.crps_cells(scope.outcome[geos, times], tile)
        return np.concatenate([interval, score[None]])

    each, there = (_outcome, _there) if first is None else (_through, _through_there)
    keep: dict[str, Any] = {"n_last": len(scope.dates), "memory": memory, **options}
    f = each if total is False else there
    return reduce_geos(fit, f, reduce, *args, total=total, **keep)


def cells_table(
    scope: Scope, found: np.ndarray, whole: np.ndarray | None = None
) -> pd.DataFrame:
    """The table of :func:`forecast_table` from :func:`cells`, by geo and in total."""
    table = _rows(scope, list(scope.panel.geos), scope.outcome, found[:3], scope.present)
    if whole is None:
        return table
    rows = _rows(scope, [ALL], _observed(scope, True), whole[:3],
                 scope.present.any(axis=0, keepdims=True))  # fmt: skip
    return pd.concat([table, rows], ignore_index=True)


def _rows(
    scope: Scope, geos: list[str], observed: np.ndarray, found: np.ndarray,
    there: np.ndarray,
) -> pd.DataFrame:  # fmt: skip
    """Columns of forecast.csv from mean, lo, hi (3, geo, time), where ``there``."""
    labels = {"geo": np.array(geos, object), "date": scope.dates}
    table = long(labels, {"observed": observed} | spread("", found))
    return table.loc[there.ravel()].reset_index(drop=True)


def _observed(scope: Scope, total: bool) -> np.ndarray:
    """Outcome (geo, time); the total only where every geo that was there is observed."""
    if not total:
        return scope.outcome
    known = np.where(scope.present, scope.outcome, 0.0)
    whole = known.sum(axis=0, keepdims=True)
    return np.where(scope.present.any(axis=0), whole, np.nan)


def cell_scores(observed: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Scores over the observed cells from mean, lo, hi and CRPS of each, see `cells`."""
    known = np.isfinite(observed)
    if not known.any():
        return dict.fromkeys(("crps", "r2", "mape", "coverage"), float("nan"))
    mean, lo, hi, score = found
    inside = (observed >= lo) & (observed <= hi)
    return {
        "crps": float(score[known].mean()),
        "r2": metrics.r2(observed, mean),
        "mape": metrics.mape(observed, mean),
        "coverage": float(inside[known].mean()),
    }


def _options(
    fit: Fit, scope: Scope, seed: int, before: Arrays | None = None, through: bool = False
) -> dict[str, Any]:
    """Inputs, one random key for every draw, and what training says of the noise after it.

    ``before`` stands for the training inputs; ``through``: the window begins with training.
    """
    seed = checks.integer("seed", seed, low=0)
    n_draws = fit.draws.n_chains * fit.draws.n_draws
    each = {"key": key_data(seed, count=n_draws)}
    first: Any = scope.dates[0]
    later = through or bool(first > fit.panel.dates[-1])
    if later and fit.spec.likelihood.autoregressive:
        train = Scope.of(fit)
        args = (fit.spec.likelihood.target(train.panel, fit.scale),)
        keep: dict[str, Any] = {"inputs": train.inputs if before is None else before}
        each |= fold(fit, errors_left, *args, by_geo=True, **keep)
    return {"inputs": scope.inputs, "each": each, "timed": (GEO, TIME)}


def _arguments(fit: Fit, scope: Scope) -> tuple[Target, np.ndarray, np.ndarray]:
    """The outcome as the law sees it, number of each geo, and cells with a row."""
    target = fit.spec.likelihood.target(scope.panel, fit.scale)
    return target, np.arange(scope.factor.size, dtype=np.uint32), scope.present


def _noise(params: Mapping[str, Any], spec: Spec) -> dict[str, Array]:
    """Parameters of the likelihood; what follows from them is computed anew."""
    return noise_of({**params, **spec.likelihood.derived(params)}, spec)


def errors_left(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, target: Target
) -> Mapping[str, Array]:
    """What the outcome of training leaves to the noise after it, (geo, 1)."""
    mu = response.level(params, inputs, spec)
    return spec.likelihood.left(mu, _noise(params, spec), target)


def _outcome(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, target: Target, numbers: Array,
    present: Array,
) -> Array:  # fmt: skip
    """One draw of the outcome, (geo, time), original units."""
    mu = response.mean(params, inputs, spec)
    drawn = _drawn(mu, params, spec, target, numbers)
    return drawn * spec.likelihood.original(target)


def _through(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, target: Target, numbers: Array,
    first: Array, present: Array,
) -> Array:  # fmt: skip
    """The same of two windows in one, the first as long as ``first`` (geo, time).

    The noise of each counts from its own start: it is that of the window alone.
    """
    mu, n = response.mean(params, inputs, spec), first.shape[1]
    windows = [mu[:, :n], mu[:, n:]]
    longest = max(window.shape[1] for window in windows)
    padded = [jnp.pad(x, ((0, 0), (0, longest - x.shape[1]))) for x in windows]
    left = {n: jnp.stack([0 * params[n], params[n]]) for n in LEFT if n in params}
    draw = lambda mu, own: _drawn(mu, {**params, **own}, spec, target, numbers)
    drawn = jax.vmap(draw)(jnp.stack(padded), left)
    cut = [y[:, : x.shape[1]] for x, y in zip(windows, drawn, strict=True)]
    return jnp.concatenate(cut, axis=1) * spec.likelihood.original(target)


def _drawn(
    mu: Array, params: Mapping[str, Any], spec: Spec, target: Target, numbers: Array
) -> Array:
    """The outcome around its mean (geo, time), in units of the law."""
    key = jax.random.wrap_key_data(params["key"])

    def of_geo(mu: Array, noise: dict[str, Array], known: Target, number: Array) -> Array:
        law = spec.likelihood.around(mu, noise, known)
        return jnp.asarray(law.sample(jax.random.fold_in(key, number)))

    noise = _noise(params, spec) | {n: params[n][numbers] for n in LEFT if n in params}
    each = {n: jnp.broadcast_to(x, (len(mu), 1)) for n, x in noise.items()}
    return jax.vmap(of_geo)(mu, each, target, numbers)


def _there(*args: Any) -> Array:
    """:func:`_outcome`, zero in cells without a row."""
    return jnp.where(args[-1], _outcome(*args), 0.0)


def _through_there(*args: Any) -> Array:
    """:func:`_through`, zero in cells without a row."""
    return jnp.where(args[-1], _through(*args), 0.0)


def _log_density(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, target: Target
) -> Array:
    mu = response.mean(params, inputs, spec)
    law = spec.likelihood.around(mu, _noise(params, spec), target)
    density = jnp.asarray(law.log_prob(target.outcome))
    density -= jnp.log(spec.likelihood.per(target))
    return jnp.where(target.mask, density, jnp.nan)


def _prior_draws(
    data: ModelData, keys: Array, spec: Spec, only: tuple[str, ...]
) -> dict[str, Array]:
    def one(key: Array) -> dict[str, Array]:
        with numpyro.handlers.seed(rng_seed=jax.random.wrap_key_data(key)):
            found = prior_draw(spec, data)
        return {n: x for n, x in found.items() if not only or n in only}

    return jax.lax.map(one, keys)  # compiles in half the time of vmap
