r"""The linear block moved against media by a gain that stays: models of one geo.

$g = g_0 + L u - G\,m(\theta)$ with $G = (D'WD + \Lambda)^{-1} D'W$ from a ridge fit with
design D, weights W (0 where masked) and prior precision $\Lambda$. Its determinant is that
of L, a constant. Nothing assumes that D'D can be inverted.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jaxtyping import Array, Float
from numpyro import handlers

from mmmjax import response
from mmmjax.infer.sites import (
    from_support,
    law_of,
    layout,
    shape_of,
    to_support,
    typical,
    unflatten,
)
from mmmjax.model import ModelData, sample_parameters
from mmmjax.programs import compiled
from mmmjax.spec import Spec

__all__ = ["Frozen", "build", "outline"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Frozen:
    """Constants of the map; p sampled scalars are in the linear block.

    Args:
        design: D (geo * time, p): the mean's derivative in the linear block.
        gain: G (p, geo * time), 0 where the outcome is masked.
        base: g0 (p,).
        factor: L (p, p).
    """

    design: Any
    gain: Any
    base: Any
    factor: Any

    def resolve(
        self,
        x: Float[Array, " n"],
        data: ModelData,
        scales: Mapping[str, Array],
        spec: Spec,
    ) -> tuple[dict[str, Array], Array, Array]:
        """Site values, mean of the outcome (flat) and log determinant at ``x``."""
        others, linear, members = layout(spec, data)
        n_linear = self.base.shape[0]
        split = x.shape[0] - n_linear
        values: dict[str, Array] = {}
        log_det = jnp.zeros((), x.dtype)
        for name, raw in unflatten(x[:split], others, members).items():
            site = next(s for s in others if s.name == name)
            values[name], more = to_support(site, raw, data, scales)
            log_det = log_det + more
        at_zero = unflatten(jnp.zeros(n_linear, x.dtype), linear, members)
        with handlers.block(), handlers.substitute(data={**values, **at_zero}):
            params = sample_parameters(spec, data)
        rest = response.mean(params, data.inputs, spec).reshape(-1)
        g = self.base + self.factor @ x[split:] - self.gain @ rest
        values |= unflatten(g, linear, members)
        return values, rest + self.design @ g, log_det

    def position(
        self,
        params: Mapping[str, Array],
        data: ModelData,
        scales: Mapping[str, Array],
        spec: Spec,
    ) -> Float[Array, " n"]:
        """The inverse of :meth:`resolve` from all that is sampled; 0 where it is NaN."""
        others, linear, _ = layout(spec, data)
        parts = [from_support(s, params, data, scales).ravel() for s in others]
        flat = jnp.concatenate([*parts, jnp.zeros(self.base.shape)])
        flat = jnp.where(jnp.isfinite(flat), flat, 0.0)
        middle, _, _ = self.resolve(flat, data, scales, spec)  # linear block at u = 0
        join = lambda of: jnp.concatenate([jnp.ravel(of[s.name]) for s in linear])
        if linear:
            gap = join(params) - join(middle)
            gap = jnp.where(jnp.isfinite(gap), gap, 0.0)
            u = jnp.linalg.solve(self.factor, gap)
            flat = flat.at[flat.shape[0] - u.shape[0] :].set(u)
        return flat


def outline(spec: Spec, data: ModelData) -> tuple[Frozen, dict[str, Any], Any]:
    """Zeros of the shapes that :func:`build` gives."""
    others, linear, members = layout(spec, data)
    size = lambda sites: sum(math.prod(shape_of(s, members)) for s in sites)
    p, total = size(linear), size(spec.sites(members))
    n = data.target.outcome.size
    positive = [s for s in others if s.sign]
    scales = {s.name: np.zeros(shape_of(s, members)) for s in positive}
    zeros = [np.zeros(s) for s in ((n, p), (p, n), p, (p, p))]
    return Frozen(*zeros), scales, np.zeros((total, total))


def build(spec: Spec, data: ModelData) -> tuple[Frozen, dict[str, Any], Any, float]:
    """The block, scales of positive sites, the identity, seconds of compiling."""
    look, seconds = compiled(_probe, {"spec": spec}, data)
    found = jax.tree.map(np.asarray, look(data))
    _, _, whiten = outline(spec, data)
    return _ridge(spec, data, found), found.scales, np.eye(len(whiten)), seconds


class _Look(NamedTuple):
    """What the shear needs to know of a problem."""

    scales: dict[str, Any]  # of positive sites
    design: Any  # (n, p)
    media: Any  # (n, channel): effects at a typical point
    mean: Any  # (p,) prior mean of the linear block
    variance: Any  # (p,)


export.register_namedtuple_serialization(_Look, serialized_name="mmm.Look")


def _probe(data: ModelData, spec: Spec) -> _Look:
    """Scales, design and prior of the linear block, channel effects at a typical point."""
    others, linear, members = layout(spec, data)
    positive = [s for s in others if s.sign]
    scales = {
        s.name: jnp.broadcast_to(typical(s, data), shape_of(s, members)) for s in positive
    }
    n_linear = sum(int(np.prod(shape_of(s, members))) for s in linear)
    values = {
        s.name: to_support(s, jnp.zeros(shape_of(s, members)), data, scales)[0]
        for s in others
    }

    def parts(g: Array) -> dict[str, Array]:
        with (
            handlers.block(),
            handlers.substitute(data={**values, **unflatten(g, linear, members)}),
        ):
            params = sample_parameters(spec, data)
        return response.components(params, data.inputs, spec)

    def mean(g: Array) -> Array:
        return response.total(parts(g)).reshape(-1)

    origin = jnp.zeros(n_linear)
    design = jax.vmap(mean)(jnp.eye(n_linear)) - mean(origin)
    channels = parts(origin).get("channel")
    shape = data.target.outcome.shape
    media = jnp.zeros((shape[0], 0, shape[1])) if channels is None else channels
    effects = jnp.moveaxis(media, 1, -1)
    effects = effects.reshape(shape[0] * shape[1], -1 if media.size else 0)

    def gather(of: Any) -> Array:
        each = [jnp.broadcast_to(of(law_of(s, data)), shape_of(s, members)) for s in linear]
        return jnp.concatenate([jnp.ravel(x) for x in each] or [jnp.zeros(0)])

    mean_of, variance_of = gather(lambda law: law.mean), gather(lambda law: law.variance)
    return _Look(scales, design.T, effects, mean_of, variance_of)


def _ridge(spec: Spec, data: ModelData, look: _Look) -> Frozen:
    """Ridge fit of the linear block with media at a typical response beside it."""
    design, media = look.design, look.media
    precision = 1.0 / np.where(np.isfinite(look.variance), look.variance, 1e4)
    middle = np.where(np.isfinite(look.mean), look.mean, 0.0)
    y, relative = (np.asarray(x).ravel() for x in spec.likelihood.working(data.target))
    both = np.concatenate([design, media], axis=1)
    penalty = np.concatenate([precision, np.ones(media.shape[1])])
    target = np.concatenate([middle, np.ones(media.shape[1])])
    sd = max(float(np.std(y[relative > 0])), 1e-6)
    for _ in range(5):
        weight = relative / sd**2
        precise = (both.T * weight) @ both + np.diag(penalty)
        fitted = both @ np.linalg.solve(precise, (both.T * weight) @ y + penalty * target)
        residual = (y - fitted) * np.sqrt(relative)
        sd = max(float(np.sqrt((residual**2).sum() / relative.sum())), 1e-4)
    weight = relative / sd**2
    precise = (design.T * weight) @ design + np.diag(precision)
    gain = np.linalg.solve(precise, design.T * weight) if len(precise) else design.T
    base = (
        gain @ y + np.linalg.solve(precise, precision * middle) if len(precise) else middle
    )
    factor = np.linalg.inv(np.linalg.cholesky(precise)).T if len(precise) else precise
    return Frozen(design, gain, base, factor)
