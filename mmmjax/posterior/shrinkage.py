r"""What pooling did to the geos: their own estimates, the pooled ones, the population.

No refit is needed. On the scale of the link (the log of what is positive) a pooled
parameter of a geo has posterior mean $m$ and variance $v$ over the draws. What the
population alone says of a geo has mean $m_0 = E[\mu]$ and variance
$v_0 = E[\tau^2] + \mathrm{Var}[\mu]$, for the middle $\mu$ and spread $\tau$ of each draw.
Taking both for normal laws and dividing the second out of the first leaves what the data
of the geo say: precision $h = 1/v - 1/v_0$ and mean $(m/v - m_0/v_0)/h$. The pooled
estimate is their mean, in which the population weighs $v/v_0$. $\mu$ and $\tau$ have seen
the geo as well, one of many: with few geos its own estimate is a little too certain.
"""

from statistics import NormalDist

import jax
import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.draws import Fit
from mmmjax.posterior.scope import PROB, summarise
from mmmjax.prior import Level, sites
from mmmjax.shapes import GEO

__all__ = ["pooled_over_geos", "shrinkage_table"]


def pooled_over_geos(fit: Fit) -> dict[str, Level]:
    """Parameters that are pooled over geos in a fit, and how."""
    return {
        name: level
        for name, prior in fit.spec.priors.items()
        if name in fit.draws.params
        for level in (site.level for site in sites(name, prior))
        if level and level.value == name and level.over == GEO
    }


@checked
def shrinkage_table(
    fit: Fit, parameter: str | None = "saturation_beta", *, prob: float = PROB
) -> pd.DataFrame:
    """Own, pooled and population estimate of every geo, a row per geo and member.

    Columns: parameter, geo, channel (or what else the parameter is over, empty where that
    is nothing); own, own_lo, own_hi: what the geo's data say without the other geos
    (empty where they say nothing); pooled_mean, _lo, _hi: the posterior; population_mean,
    _lo, _hi: the typical value, or that of the geo's group; weight: of the population in
    the pooled estimate, 0 to 1. Scaled units.

    Args:
        fit: The fit.
        parameter: One that is pooled over geos; None: all of them, one after the other.
        prob: Probability inside [lo, hi].

    Raises:
        InputError: The parameter is not pooled over geos in this fit.
    """
    pooled = pooled_over_geos(fit)
    fix = "fit mm.Spec() to a panel of geos, whose priors are pooled, then "
    fix += 'mm.plot.shrinkage(fit); or write pooled = { over = "geo" } in the prior'
    if not pooled:
        got = checks.Phrase(f"{parameter or 'all'}, in a fit that pools nothing over geos")
        checks.fail("parameter", got, "", "a parameter that is pooled over geos", fix)
    if parameter is None:
        each = [shrinkage_table(fit, name, prob=prob) for name in pooled]
        return pd.concat(each, ignore_index=True)
    level = pooled[checks.choice("parameter", parameter, tuple(pooled))]
    flat, dims = fit.flat(), fit.dims(parameter)
    labels = [list(map(str, fit.coords()[d])) for d in dims[1:]]
    with jax.enable_x64(True):
        value, above = (
            np.asarray(level.link.forward(flat[name].astype(float)))
            for name in (level.value, level.above)
        )
        spread = flat[level.spread].astype(float)
        if level.group:
            above = above[:, fit.inputs()[f"{level.over}.{level.group}"]]
        else:
            above = above[:, None]
        sizes = zip(dims, value.shape[1:], strict=True)
        shape = [n if d in level.spread_dims else 1 for d, n in sizes]
        spread = spread.reshape(len(spread), *shape)
        mean, variance = value.mean(0), value.var(0)
        middle = np.broadcast_to(above.mean(0), mean.shape)
        wide = np.broadcast_to(np.square(spread).mean(0) + above.var(0), mean.shape)
        weight = np.minimum(variance / wide, 1.0)
        precision = np.where(weight < 1, 1 / variance - 1 / wide, np.nan)
        own = (mean / variance - middle / wide) / precision
        step = NormalDist().inv_cdf((1 + prob) / 2) / np.sqrt(precision)
        ends = (own, own - step, own + step)
        each = [np.asarray(level.link.inverse(end)) for end in ends]
        whole = np.asarray(level.link.inverse(np.broadcast_to(above, value.shape)))
    names = np.array(np.meshgrid(fit.panel.geos, *labels, indexing="ij"), object)
    table = {"parameter": parameter, "geo": names[0].ravel()}
    index = names[1:].reshape(len(labels), names[0].size).T
    table["channel"] = [", ".join(map(str, cell)) for cell in index]
    columns = dict(zip(("own", "own_lo", "own_hi"), each, strict=True))
    for name, draws in (("pooled", flat[parameter].astype(float)), ("population", whole)):
        found = zip(("mean", "lo", "hi"), summarise(draws, prob), strict=True)
        columns |= {f"{name}_{statistic}": x for statistic, x in found}
    columns["weight"] = weight
    return pd.DataFrame(table | {n: np.ravel(x) for n, x in columns.items()})
