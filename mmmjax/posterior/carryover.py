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

    The half-life is the number of periods until half of it has come. A period's share is
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
        ``half_life`` (summary, [geo,] channel), periods. With geo only where a parameter
        of the adstock differs between geos.
    """
    panel, spec, memory_of = fit.panel, fit.spec, fit.spec.memory
    names = [spec.full(t, n) for t in spec.media for n in t.adstock.parameters()]
    by_geo = any(GEO in fit.dims(n) for n in names if n in fit.draws.params)
    dims = (GEO, CHANNEL) if by_geo else (CHANNEL,)
    coords: dict[str, Any] = {CHANNEL: list(panel.channels), LAG: range(memory_of)}
    coords |= {GEO: list(panel.geos)} if by_geo else {}
    shape = (3, panel.n_geos if by_geo else 1, len(panel.channels), 2 * memory_of + 1)
    values = np.zeros(shape)
    if panel.channels:
        values = fold_cells(
            fit,
            _shares,
            lambda tile, *_: summarise(tile, prob),
            by_geo=by_geo,
            memory=memory,
        )
    values = values if by_geo else values[:, 0]
    weight, cumulative = np.split(values[..., :-1], 2, axis=-1)
    data = {
        "weight": summary(weight, (*dims, LAG)),
        "cumulative": summary(cumulative, (*dims, LAG)),
        "half_life": summary(values[..., -1], dims),
    }
    labels = {SUMMARY: ["mean", "lo", "hi"], **coords}
    return xr.Dataset(data, labels, attributes(fit, prob=prob))


def _shares(params: Mapping[str, Any], inputs: Arrays, spec: Spec) -> Array:
    """Weights, their running sums and the half-life: (geo or 1, channel, 2 lags + 1)."""
    parts, memory = [], spec.memory
    sizes = inputs.sizes()
    for term in (t for t in spec.media if sizes[spec.dim(t, CHANNEL)]):
        each = term.adstock.weights(response.aligned(params, term, spec))
        each = jnp.pad(each, [(0, 0), (0, 0), (0, memory - term.memory)])
        if len(spec.media) > 1:
            members = sizes[spec.dim(term, CHANNEL)]
            each = jnp.broadcast_to(each, (len(each), members, memory))
        parts.append(each)
    geos = max(len(each) for each in parts)
    whole = [jnp.broadcast_to(each, (geos, *each.shape[1:])) for each in parts]
    weights = jnp.concatenate(whole, axis=1)
    weights = weights[:, inputs[response.ORDER]] if len(spec.media) > 1 else weights
    weights = weights / weights.sum(-1, keepdims=True)
    come = jnp.cumsum(weights, axis=-1)
    needed = 0.5 - (come - weights)  # of each lag's share until half has come
    some = weights > 0
    part = jnp.where(some, needed / jnp.where(some, weights, 1.0), jnp.sign(needed))
    half_life = jnp.clip(part, 0.0, 1.0).sum(-1, keepdims=True)
    shares = jnp.concatenate([weights, come, half_life], axis=-1)
    channels = sizes[CHANNEL]
    return jnp.broadcast_to(shares, (shares.shape[0], channels, shares.shape[-1]))
