r"""The best frequency of channels of reach: the same impressions, on fewer or more people.

Money buys impressions at a channel's price, whatever the frequency, so the question is how
often each person should see what is bought: r = m / f people, f times each. What is carried
over grows with h(f) / f alone (:mod:`mmmjax.terms.reach`), so in each draw the best f is
where that is largest, whatever carry-over, saturation and money. With u = log f,

$$\frac{d}{du} \log \frac{h(f)}{f} = \frac{s}{1 + (f / \kappa)^s} - 1$$

falls in u: log h(f) - u is concave, and the zero of its gradient, found by halving, is
the best there is, $\kappa (s - 1)^{1/s}$ for s > 1 and never below 1. One frequency for all
draws has the largest mean response, of a sum of such curves that may have several peaks: it
is the best of :data:`POINTS`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from mmmjax import checks, response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.draws import Fit
from mmmjax.posterior.fold import MEMORY, fold
from mmmjax.posterior.scope import ALL, PROB, Scope, summarise
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec
from mmmjax.terms import Reach

__all__ = ["optimal_frequency"]

POINTS = 41
"""Frequencies that are compared for the mean response, evenly in their logarithm."""
HALVINGS = 40


@checked
def optimal_frequency(
    fit: Fit,
    upto: float | None = None,
    *,
    prob: float = PROB,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """How often people should see each channel of reach, for the money of training.

    Impressions and money stay as they were in every period; fewer people see more of them
    or more people fewer, as far as there are people. Carry-over after training counts.

    Args:
        fit: A fit with a term ``mm.terms.Reach``.
        upto: Largest frequency, above 1; None: the largest in the training of the channel.
        prob: Probability inside [lo, hi], a highest-density interval.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        One row a channel (geo "ALL"), and before it one for each geo where the curve of
        frequency differs by geo. Columns: geo, channel, usual (impressions over reach in
        training), upto, best_mean, best_lo, best_hi (the best frequency of each draw: of
        its concave problem the certified one; empty for ALL where geos differ), at_end
        (share of draws whose best is 1 or ``upto``), frequency (the one of 41 with the
        largest mean response), response_mean, _lo, _hi (outcome units, at frequencies as
        they were), gain_mean, gain_lo, gain_hi (outcome units: all periods at
        ``frequency`` against that), roas_mean and roas_best_mean (outcome per unit of
        money, now and at ``frequency``; empty for organic channels).

    Raises:
        InputError: No term of reach; ``upto`` not above 1.
    """
    spec, panel, scope = fit.spec, fit.panel, Scope.of(fit)
    terms = [term for term in spec.media if isinstance(term, Reach)]
    labels = spec.labels(panel)
    names = [name for term in terms for name in labels[spec.dim(term, CHANNEL)]]
    if not names:
        got = checks.Phrase("a fit without a term of reach")
        fix = f'"{panel.channels[0] if panel.channels else "Video"}" = {{ kind = "reach" }}'
        fix += " under [model.channels], or mm.terms.Reach"
        checks.fail("optimal_frequency", got, "", "channels of reach and frequency", fix)
    at = [panel.channels.index(name) for name in names]
    often = np.asarray(panel.frequency)[:, panel.window][..., at]
    most = np.nanmax(often, (0, 1), initial=1.0)
    if upto is not None:
        upto = checks.number("upto", upto, low=1.0, open_low=True, fix="upto=6.0")
        most = np.full(len(at), upto)
    grid = most[:, None] ** np.linspace(0.0, 1.0, POINTS)
    args = (scope.factor, np.broadcast_to(grid, (panel.n_geos, *grid.shape)))
    found = fold(fit, _values, *args, by_geo=True, memory=memory)
    used = [spec.full(t, n) for t in terms for n in t.exposures.parameters()]
    apart = panel.n_geos > 1 and any(GEO in spec.dims(n) for n in used)
    spend = panel.spend[:, panel.window].sum(1)[:, at]
    rows = []
    for geos in [*([[g] for g in range(panel.n_geos)] * apart), [*range(panel.n_geos)]]:
        whole = len(geos) > 1 or not apart
        now, then = (found[n][:, geos].sum(1) for n in ("now", "then"))
        best = np.log(found["best"][:, geos[0]])  # (draw, channel)
        for c, name in enumerate(names):
            point = int(then[:, c].mean(0).argmax())
            gain, money = then[:, c, point] - now[:, c], spend[geos, c].sum()
            money = money if money > 0 else np.nan
            ends = np.isclose(best[:, c], 0) | np.isclose(best[:, c], np.log(most[c]))
            row: dict[str, Any] = {GEO: ALL if whole else panel.geos[geos[0]]}
            row |= {CHANNEL: name, "usual": panel.usual_frequency()[at[c]], "upto": most[c]}
            known = not (apart and whole)
            row |= _three("best", np.exp(best[:, c]) if known else None, prob)
            row |= {"at_end": ends.mean() if known else np.nan, "frequency": grid[c, point]}
            row |= _three("response", now[:, c], prob) | _three("gain", gain, prob)
            row["roas_mean"] = now[:, c].mean() / money
            row["roas_best_mean"] = then[:, c, point].mean() / money
            rows.append(row)
    return pd.DataFrame(rows)


def _three(name: str, draws: np.ndarray | None, prob: float) -> dict[str, float]:
    """Mean and interval by the names of their columns."""
    values = [np.nan] * 3 if draws is None else summarise(draws[:, None], prob)[:, 0]
    return {
        f"{name}_{e}": float(v) for e, v in zip(("mean", "lo", "hi"), values, strict=True)
    }


def _values(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, grid: Array
) -> dict[str, Array]:
    """Of one draw and every channel of reach, in the order of their terms.

    "best" frequency (geo, channel); what the media of training bring "now" (geo, channel),
    and "then", at each frequency of ``grid`` (geo, channel, point).
    """
    found, start = [], 0
    for term in (t for t in spec.media if isinstance(t, Reach)):
        place = slice(None) if len(spec.media) == 1 else inputs[spec.dim(term, CHANNEL)]
        media, x = inputs[response.MEDIA][:, place], inputs.of(term.name)
        if not media.shape[1]:
            continue
        p = response.aligned(params, term, spec)
        tail = ((0, 0), (0, 0), (0, spec.memory - 1))
        media, often = (jnp.pad(y, tail) for y in (media, x["frequency"]))
        inside = jnp.arange(media.shape[-1]) >= inputs.history
        own = grid[:, start : start + media.shape[1]]
        start += media.shape[1]
        by = response.multiplier(params, inputs, spec, term)  # of effects that move
        late = 0 if by is None else media.shape[-1] - inputs.history - by.shape[-1]
        ends = ((0, 0), (0, 0), (inputs.history, late))
        by = jnp.ones(()) if by is None else jnp.pad(by, ends, constant_values=1.0)

        def brought(
            f: Array,
            term: Reach = term,
            p: Any = p,
            m: Array = media,
            x: Any = x,
            by: Array = by,
        ) -> Array:
            heard = m * term.heard(p, f, x["usual"])
            late = jnp.arange(m.shape[-1]) >= inputs.history
            gain = term.effect(p, heard) - term.effect(p, jnp.where(late, 0.0, heard))
            return (gain * by).sum(-1) * factor[:, None]

        def at(
            f: Array, brought: Any = brought, often: Array = often, inside: Array = inside
        ) -> Array:
            return brought(jnp.where(inside, f[..., None], often))

        then = jax.lax.map(at, jnp.moveaxis(own, -1, 0))
        best = _best(term, p, jnp.log(own[..., -1]))
        found.append((best, brought(often), jnp.moveaxis(then, 0, -1)))
    parts = [jnp.concatenate(part, axis=1) for part in zip(*found, strict=True)]
    return dict(zip(("best", "now", "then"), parts, strict=True))


def _best(term: Reach, p: Mapping[str, Any], high: Array) -> Array:
    """Frequency with the largest effect of an impression, by the sign of its gradient."""

    def curve(u: Array) -> Array:
        return jnp.log(term.exposures(jnp.exp(u)[..., None], p))[..., 0]

    def halved(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        _, slope = jax.jvp(curve, (middle,), (jnp.ones_like(middle),))
        return jnp.where(slope > 1, middle, low), jnp.where(slope > 1, high, middle)

    low, high = jax.lax.fori_loop(0, HALVINGS, halved, (jnp.zeros_like(high), high))
    return jnp.exp((low + high) / 2)
