"""Carry-over: when the effect of a period's media comes."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from mmmjax import response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.draws import Fit
from mmmjax.posterior.fold import MEMORY, fold_cells
from mmmjax.posterior.scope import PROB, SUMMARY, attributes, summarise, summary
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["LAG", "carryover"]

LAG = "lag"
"""Dimension of the periods since the media ran; 0 is the same period."""


@checked
def carryover(fit: Fit, *, prob: float = PROB, memory: int = MEMORY) -> xr.Dataset:
    r"""Share of a channel's adstocked media that comes after each number of periods.

    The half-life is the number of periods until half of it has come (t50), ``t90`` that
    until 90% has: when money is back, at spend that does not change. A period's share is
    taken to come evenly within that period, so that shares $w_0, w_1, ...$ have come up
    to $t$ by $\sum_l w_l \min(\max(t - l, 0), 1)$: half a period where everything comes
    at once, and $\log(1/2) / \log(\alpha)$ where that of geometric decay is whole.

    Args:
        fit: The fit.
        prob: Probability inside [lo, hi].
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``weight`` and ``cumulative`` (summary, [geo,] channel, lag), shares in
        [0, 1]: weights add up to 1, whether the model normalises them or not;
        ``half_life`` and ``t90`` (summary, [geo,] channel), periods; ``cut`` (summary,
        [geo,] channel), the share of the effect that would come after ``max_lag`` periods
        and that the model leaves out. With geo only where a parameter of the adstock
        differs between geos.
    """
    panel, spec, memory_of = fit.panel, fit.spec, fit.spec.memory
    names = [spec.full(t, n) for t in spec.media for n in t.adstock.parameters()]
    by_geo = any(GEO in fit.dims(n) for n in names if n in fit.draws.params)
    dims = (GEO, CHANNEL) if by_geo else (CHANNEL,)
    coords: dict[str, Any] = {CHANNEL: list(panel.channels), LAG: range(memory_of)}
    coords |= {GEO: list(panel.geos)} if by_geo else {}
    shape = (3, panel.n_geos if by_geo else 1, len(panel.channels), 2 * memory_of + 3)
    values = np.zeros(shape)
    if panel.channels:
        values = fold_cells(
            fit,
            _shares,
            lambda tile, *_: summarise(tile, prob),
            by_geo=by_geo,
            memory=memory,
            timed=(GEO, CHANNEL),
        )
    values = values if by_geo else values[:, 0]
    weight, cumulative = np.split(values[..., :-3], 2, axis=-1)
    data = {
        "weight": summary(weight, (*dims, LAG)),
        "cumulative": summary(cumulative, (*dims, LAG)),
        "half_life": summary(values[..., -3], dims),
        "t90": summary(values[..., -2], dims),
        "cut": summary(values[..., -1], dims),
    }
    labels = {SUMMARY: ["mean", "lo", "hi"], **coords}
    return xr.Dataset(data, labels, attributes(fit, prob=prob))


def _shares(params: Mapping[str, Any], inputs: Arrays, spec: Spec) -> Array:
    """Weights, running sums, t50, t90 and what is cut: (geo or 1, channel, 2 lags + 3)."""
    parts, memory = [], spec.memory
    sizes = inputs.sizes()
    for term in (t for t in spec.media if sizes[spec.dim(t, CHANNEL)]):
        own = response.aligned(params, term, spec)
        each = term.adstock.weights(own)
        each = jnp.pad(each, [(0, 0), (0, 0), (0, memory - term.memory)])
        each = jnp.concatenate([each, term.adstock.cut(own)[..., None]], axis=-1)
        if len(spec.media) > 1:
            members = sizes[spec.dim(term, CHANNEL)]
            each = jnp.broadcast_to(each, (len(each), members, memory + 1))
        parts.append(each)
    geos = max(len(each) for each in parts)
    whole = [jnp.broadcast_to(each, (geos, *each.shape[1:])) for each in parts]
    each = jnp.concatenate(whole, axis=1)
    each = each[:, inputs[response.ORDER]] if len(spec.media) > 1 else each
    weights, cut = each[..., :-1], each[..., -1:]
    weights = weights / weights.sum(-1, keepdims=True)
    come = jnp.cumsum(weights, axis=-1)
    some, times = weights > 0, list[Array]()
    for level in (0.5, 0.9):
        needed = level - (come - weights)  # of each lag's share until that much has come
        part = jnp.where(some, needed / jnp.where(some, weights, 1.0), jnp.sign(needed))
        times.append(jnp.clip(part, 0.0, 1.0).sum(-1, keepdims=True))
    shares = jnp.concatenate([weights, come, *times, cut], axis=-1)
    channels = sizes[CHANNEL]
    return jnp.broadcast_to(shares, (shares.shape[0], channels, shares.shape[-1]))
