"""Criticism of a fit: what it leaves over, and what the data added to the priors.

Residuals that go on in one direction for weeks say that something with a memory is
missing; a posterior as wide as its prior says that the number is an assumption.
"""

import math
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import qmc

from mmmjax import checks, metrics
from mmmjax.added import without_added
from mmmjax.arguments import checked
from mmmjax.draws import Fit, of_fit, scalars, summary
from mmmjax.infer.sites import hyperparameters
from mmmjax.media_prior import brought, quantiles
from mmmjax.model import ModelData, model_data, replaced
from mmmjax.panel import Panel
from mmmjax.posterior.fold import ENOUGH, LARGE, MEMORY
from mmmjax.posterior.scope import ALL
from mmmjax.prediction import predict, prior_params
from mmmjax.prior import FAMILIES
from mmmjax.shapes import DATE, GEO
from mmmjax.spec import Spec

__all__ = ["LAG", "prior_posterior", "prior_returns", "residuals"]

LAG = "lag"
"""Dimension of autocorrelations, in periods."""

ROUND = 64  # numbers of a family that are looked at together


@checked
def residuals(
    fit: Fit,
    panel: Panel | None = None,
    *,
    total: bool = False,
    lags: int = 26,
    seed: int = 0,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Observed outcome minus its predictive mean, and how long such errors last.

    Args:
        fit: The fit.
        panel: None for training; a panel that follows it.
        total: Sum over geos.
        lags: Largest lag of the autocorrelation, in periods.
        seed: Seed of the predictive noise.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``residual`` (geo, date), outcome units, NaN where nothing was observed;
        ``autocorrelation`` (geo, lag), lag 0 to ``lags``; ``bound`` (geo,), 1.96 over the
        root of the number of residuals: 95% of the autocorrelations of independent errors
        lie within it (Bartlett 1946).
    """
    lags = checks.integer("lags", lags, low=1)
    found = predict(fit, panel, seed=seed, draws=False, total=total, memory=memory)
    left = found["observed"] - found["outcome"].isel(summary=0, drop=True)
    values = left.transpose(GEO, DATE).to_numpy()
    lags = min(lags, values.shape[1] - 1)
    with np.errstate(divide="ignore"):
        bound = 1.96 / np.sqrt(np.isfinite(values).sum(1))
    data = {
        "residual": left,
        "autocorrelation": ((GEO, LAG), metrics.autocorrelation(values, lags)),
        "bound": (GEO, bound),
    }
    return xr.Dataset(data, {LAG: np.arange(lags + 1)}, found.attrs)


@checked
def prior_posterior(
    fit: Fit, table: pd.DataFrame | None = None, *, draws: int = 4000, seed: int = 0
) -> pd.DataFrame:
    """Prior beside posterior of every scalar parameter: the columns of priors.csv.

    Columns: parameter, index, prior_mean, prior_sd, posterior_mean, posterior_sd,
    contraction; scaled units. Contraction is 1 - posterior variance / prior variance: 1
    where the data said everything, 0 where they said nothing, below 0 where they disagree
    with the prior. It is empty where the prior has no variance.

    Source: Schad, Betancourt and Vasishth (2021), "Toward a principled Bayesian workflow
    in cognitive science", section on posterior contraction.

    Args:
        fit: The fit.
        table: The :func:`mmmjax.summary` of this fit, if it is at hand.
        draws: Prior draws for parameters whose prior is itself uncertain (pooled, nested)
            or that follow from others; all other moments are exact.
        seed: Seed of those draws.
    """
    if (trained := without_added(fit)) is not fit:  # nothing was learned of the others
        fit, table = trained, None
    draws = checks.integer("draws", draws, low=2)
    table = summary(fit) if table is None else of_fit(fit, table)
    data = model_data(fit.spec, fit.panel, fit.scale)
    known = _exact(fit, data)
    drawn = _pooled(fit, data, draws, seed)
    done = known | drawn
    if left := tuple(name for name in fit.draws.params if name not in done):
        drawn |= prior_params(fit.spec, data, draws, seed, left)
    known = {n: (a.mean(0), a.var(0, ddof=1)) for n, a in drawn.items()} | known
    moments = [known[name] for name in fit.draws.params]
    order = scalars(fit)[1]
    mean = np.concatenate([np.ravel(m) for m, _ in moments])[order]
    variance = np.concatenate([np.ravel(v) for _, v in moments])[order]
    variance = np.where(np.isfinite(variance) & (variance > 0), variance, np.nan)
    spread = table["sd"].to_numpy(float)
    return pd.DataFrame(
        {
            "parameter": table["parameter"],
            "index": table["index"],
            "prior_mean": np.where(np.isfinite(mean), mean, np.nan),
            "prior_sd": np.sqrt(variance),
            "posterior_mean": table["mean"],
            "posterior_sd": spread,
            "contraction": 1.0 - np.square(spread) / variance,
        }
    )


def _pooled(fit: Fit, data: ModelData, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Draws of the priors of pooled parameters by their quantiles, each stratum once.

    Nothing is compiled, and moments are nearer than those of as many random draws.
    """
    sizes, rng = data.inputs.sizes(), np.random.default_rng(seed)

    def chance(shape: tuple[int, ...]) -> np.ndarray:
        found = qmc.LatinHypercube(math.prod(shape), rng=rng).random(draws)
        return found.reshape(draws, *shape)

    return {
        name: quantiles(prior, data.hyper[name], sizes, chance, data.inputs.values)
        for name, prior in fit.spec.priors.items()
        if prior.pool and name in fit.draws.params and not data.facts
    }


def _exact(fit: Fit, data: ModelData) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of the priors that have plain numbers, shaped as parameters.

    Numbers of a family stand in one row of a round length, so that the markets of a fleet
    share one program, whatever channels and controls they have.
    """
    rows: dict[str, dict[str, list[np.ndarray]]] = {}
    shapes: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    other = replaced(fit.spec, data)
    for site in fit.spec.sites(data.inputs.sizes()):
        if site.offset or site.name not in fit.draws.params or site.name in other:
            continue
        family, shape = site.prior.family, fit.draws.params[site.name].shape[2:]
        shapes.setdefault(family, []).append((site.name, shape))
        values = hyperparameters(site, data)
        for name, _ in site.prior.params:
            row = np.broadcast_to(np.asarray(values[name], float), shape).ravel()
            rows.setdefault(family, {}).setdefault(name, []).append(row)
    long: dict[str, dict[str, np.ndarray]] = {}
    for family, numbers in rows.items():
        joined = {name: np.concatenate(parts) for name, parts in numbers.items()}
        long[family] = {
            name: np.pad(x, (0, -x.size % ROUND), mode="edge") for name, x in joined.items()
        }
    with jax.enable_x64(True):
        moments = jax.device_get(_moments(long))
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for family, members in shapes.items():
        start = 0
        for name, shape in members:
            cut = slice(start, start := start + math.prod(shape))
            mean, variance = (x[cut].reshape(shape) for x in moments[family])
            found[name] = (mean, variance)
    return found


@jax.jit
def _moments(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    laws = {family: FAMILIES[family].make(**numbers) for family, numbers in rows.items()}
    return {family: (law.mean, law.variance) for family, law in laws.items()}


def prior_returns(
    spec: Spec, panel: Panel, data: ModelData, draws: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """What the priors believe of returns and shares before the data speak, over all geos.

    The same as ``roas`` and ``contributions`` of :func:`sample_prior`, in a second.

    Args:
        spec: The model.
        panel: The training panel.
        data: Its arrays.
        draws: Of the priors; None: 4,000, of large panels as many as tables are made of.
        seed: Of the draws.

    Returns:
        One row a channel and one of all, "ALL": channel, spend (money), and median, lo and
        hi (94% HDI) of roas (outcome per unit of money, of paid channels, carry-over after
        the window counted; NaN without spend) and of share (of the observed outcome).
    """
    if draws is None:
        cells = panel.n_geos * panel.n_periods * max(len(panel.channels), 1)
        draws = 4000 if 4000 * cells <= LARGE else ENOUGH
    sizes, rng = spec.sizes(panel), np.random.default_rng(seed)
    own = [spec.full(term, name) for term in spec.media for name in term.parameters()]
    chance = lambda shape: rng.random((draws, *shape))
    own = [name for name in own if name in data.hyper]
    if replaced(spec, data):
        params = prior_params(spec, data, draws, seed, tuple(own))
    else:
        params = {
            name: quantiles(
                spec.priors[name], data.hyper[name], sizes, chance, data.inputs.values
            )
            for name in own
        }
    unit = np.asarray(spec.likelihood.original(data.target))
    if not spec.likelihood.straight:  # effects are shares of what there is, on average
        unit = np.nanmean(panel.outcome[:, panel.window], 1, keepdims=True)
    found = brought(params, data.inputs, spec, data.target)
    share, gain = ((unit * x).sum(1) for x in found)
    outcome = np.nansum(panel.outcome[:, panel.window])
    spend = np.where(panel.paid, panel.spend[:, panel.window].sum((0, 1)), 0.0)
    money = np.append(spend, spend.sum())
    gain = np.column_stack([gain, gain[:, panel.paid].sum(1)])
    share = np.column_stack([share, share.sum(1)])
    with np.errstate(divide="ignore", invalid="ignore"):
        roas = np.where(money > 0, gain / money, np.nan)
    table = pd.DataFrame({"channel": [*panel.channels, ALL], "spend": money})
    for name, values in (("roas", roas), ("share", share / outcome)):
        table[f"{name}_median"] = np.median(values, 0)
        table[f"{name}_lo"], table[f"{name}_hi"] = metrics.hdi(values)
    return table
