"""Criticism of a fit: what it leaves over, and what the data added to the priors.

Residuals that go on in one direction for weeks say that something with a memory is
missing; a posterior as wide as its prior says that the number is an assumption.
"""

import functools
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import checks, metrics
from mmmjax.arguments import checked
from mmmjax.draws import Fit, scalars, summary
from mmmjax.infer.sites import law_of
from mmmjax.media_prior import brought, quantiles
from mmmjax.model import ModelData, model_data
from mmmjax.panel import Panel
from mmmjax.posterior.fold import MEMORY
from mmmjax.posterior.scope import ALL
from mmmjax.prediction import predict, prior_params
from mmmjax.shapes import DATE, GEO
from mmmjax.spec import Spec

__all__ = ["LAG", "prior_posterior", "prior_returns", "residuals"]

LAG = "lag"
"""Dimension of autocorrelations, in periods."""


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
        draws: Prior draws for parameters whose prior is itself uncertain (nested) or that
            follow from others; all other moments are exact.
        seed: Seed of those draws.
    """
    table = summary(fit) if table is None else table
    data = model_data(fit.spec, fit.panel, fit.scale)
    known = _exact(fit, data)
    if left := tuple(name for name in fit.draws.params if name not in known):
        drawn = prior_params(fit.spec, data, draws, seed, left)
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


def _exact(fit: Fit, data: ModelData) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of the priors that have plain numbers, shaped as parameters."""
    shapes = {n: a.shape[2:] for n, a in fit.draws.params.items()}
    with jax.enable_x64(True):
        found = jax.device_get(_moments(fit.spec.structure(), data.astype(np.float64)))
    return {
        name: (np.broadcast_to(mean, shapes[name]), np.broadcast_to(variance, shapes[name]))
        for name, (mean, variance) in found.items()
        if name in shapes
    }


@functools.partial(jax.jit, static_argnums=0)
def _moments(spec: Spec, data: ModelData) -> dict[str, Any]:
    laws = {
        site.name: law_of(site, data)
        for site in spec.sites(data.inputs.sizes())
        if not site.offset
    }
    return {name: (law.mean, law.variance) for name, law in laws.items()}


def prior_returns(
    spec: Spec, panel: Panel, data: ModelData, draws: int = 4000, seed: int = 0
) -> pd.DataFrame:
    """What the priors believe of returns and shares before the data speak, over all geos.

    The same as ``roas`` and ``contributions`` of :func:`sample_prior`, in a second.

    Args:
        spec: The model.
        panel: The training panel.
        data: Its arrays.
        draws: Of the priors.
        seed: Of the draws.

    Returns:
        One row a channel and one of all, "ALL": channel, spend (money), and median, lo and
        hi (94% HDI) of roas (outcome per unit of money, of paid channels, carry-over after
        the window counted; NaN without spend) and of share (of the observed outcome).
    """
    sizes, rng = spec.sizes(panel), np.random.default_rng(seed)
    own = [spec.full(term, name) for term in spec.media for name in term.parameters()]
    chance = lambda shape: rng.random((draws, *shape))
    params = {
        name: quantiles(
            spec.priors[name], data.hyper[name], sizes, chance, data.inputs.values
        )
        for name in own
        if name in data.hyper
    }
    unit = np.asarray(spec.likelihood.original(data.target))
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
