r"""The exact density in coordinates in which a sampler moves easily.

Three reparametrisations, none of which changes the posterior:

1. Positive parameters are scale * softplus(z) with a constant scale, unit ones sigmoid(z).
2. The linear block g (intercept, trend, controls, Fourier) is moved against the media:
   $g = g_0 + L u - G\,m(\theta)$ with $G = (D'WD + \Lambda)^{-1} D'W$ from a ridge fit with
   design D, weights W (0 where masked) and prior precision $\Lambda$. Its determinant is
   that of L, a constant. Nothing assumes that D'D can be inverted.
3. A Laplace fit in those coordinates whitens all of them: x = center + whiten z.

A :class:`Problem` carries all arrays, so that one compiled sampler serves every data set
of the same shape.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import export
from jaxtyping import Array, Float
from numpyro import handlers
from numpyro.infer.util import log_density as numpyro_log_density
from scipy.optimize import minimize

from mmmjax import response
from mmmjax.model import ModelData, program, sample_parameters
from mmmjax.prior import Site
from mmmjax.programs import compiled
from mmmjax.spec import Spec

__all__ = [
    "Potential",
    "Problem",
    "constrain",
    "log_density",
    "outline",
    "precondition",
    "rewhiten",
    "shear",
    "whitened",
]

_EIGENVALUES = (0.3, 1e6)  # of the Laplace precision, in coordinates of prior size
_STARTS = 4
_LBFGS = {"maxiter": 1000, "maxcor": 20}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """A density over R^P and the way back to parameters; all arrays, P sampled scalars.

    Args:
        data: Inputs, target, hyperparameters.
        scales: Constants of the softplus transforms by site.
        design: D (geo * time, p): the mean's derivative in the linear block.
        gain: G (p, geo * time), 0 where the outcome is masked.
        base: g0 (p,).
        factor: L (p, p).
        center: (P,) sheared coordinates at z = 0.
        whiten: (P, P) sheared coordinates per unit of z.
    """

    data: ModelData
    scales: dict[str, Any]
    design: Any
    gain: Any
    base: Any
    factor: Any
    center: Any
    whiten: Any

    def astype(self, dtype: Any) -> "Problem":
        """Cast to the sampler's float type and put on the device."""
        wide = np.dtype(dtype) == np.float64

        def cast(x: Any) -> Any:
            x = np.asarray(x)
            return jax.device_put(x if x.dtype == bool else x.astype(dtype))

        with jax.enable_x64(wide):
            return jax.tree.map(cast, self)


def sizes(data: ModelData) -> dict[str, int]:
    """Members of each dim, from array shapes."""
    geo, channel, _ = data.inputs.media.shape
    control, fourier = data.inputs.controls.shape[1], data.inputs.fourier.shape[0]
    return {"geo": geo, "channel": channel, "control": control, "fourier": fourier}


def layout(spec: Spec, data: ModelData) -> tuple[list[Site], list[Site], dict[str, int]]:
    """Sites outside and inside the linear block, and the sizes of the dims."""
    members = sizes(data)
    every = spec.sites(members)
    inside = [s for s in every if s.name in response.LINEAR and s.prior.support == "real"]
    inside = [s for s in inside if not s.offset]
    return [s for s in every if s not in inside], inside, members


def _shape(site: Site, members: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(members[d] for d in site.dims)


def _unflatten(
    flat: Array, sites: list[Site], members: Mapping[str, int]
) -> dict[str, Array]:
    out, start = {}, 0
    for site in sites:
        shape = _shape(site, members)
        size = int(np.prod(shape))
        out[site.name] = flat[start : start + size].reshape(shape)
        start += size
    return out


def _hyper(site: Site, data: ModelData) -> Mapping[str, Any]:
    values: Any = data.hyper
    for key in site.path:
        values = values[key]
    return values


def _law(site: Site, data: ModelData) -> dist.Distribution:
    values = _hyper(site, data)
    return site.prior.standard(values) if site.offset else site.prior.distribution(values)


def _to_support(
    site: Site, x: Array, data: ModelData, scales: Mapping[str, Array]
) -> tuple[Array, Array]:
    """Value of a site and the log determinant for its unconstrained coordinates."""
    if site.prior.support == "positive":
        scale = scales[site.name]
        log_det = jax.nn.log_sigmoid(x) + jnp.log(scale)
        return scale * jax.nn.softplus(x), log_det.sum()
    if site.prior.support == "real":
        return x, jnp.zeros((), x.dtype)
    move = dist.biject_to(_law(site, data).support)
    value = move(x)
    return value, jnp.sum(move.log_abs_det_jacobian(x, value))


def _resolve(
    x: Float[Array, " n"], problem: Problem, spec: Spec
) -> tuple[dict[str, Array], Array, Array]:
    """Site values, mean of the outcome (flat) and log determinant at sheared ``x``."""
    data = problem.data
    others, linear, members = layout(spec, data)
    n_linear = problem.base.shape[0]
    split = x.shape[0] - n_linear
    values: dict[str, Array] = {}
    log_det = jnp.zeros((), x.dtype)
    for name, raw in _unflatten(x[:split], others, members).items():
        site = next(s for s in others if s.name == name)
        values[name], more = _to_support(site, raw, data, problem.scales)
        log_det = log_det + more
    at_zero = _unflatten(jnp.zeros(n_linear, x.dtype), linear, members)
    with handlers.block(), handlers.substitute(data={**values, **at_zero}):
        params = sample_parameters(spec, data)
    rest = response.mean(params, data.inputs, spec).reshape(-1)
    g = problem.base + problem.factor @ x[split:] - problem.gain @ rest
    values |= _unflatten(g, linear, members)
    return values, rest + problem.design @ g, log_det


def log_density(z: Float[Array, " n"], problem: Problem, spec: Spec) -> Float[Array, ""]:
    """Log density of the posterior at z, up to the linear maps' constant determinants."""
    return _joint(z, problem, spec)[0]


def _joint(z: Array, problem: Problem, spec: Spec) -> tuple[Array, dict[str, Array]]:
    values, mu, log_det = _resolve(problem.center + problem.whiten @ z, problem, spec)
    shape = problem.data.target.outcome.shape
    args = (spec, problem.data, lambda *_: mu.reshape(shape))
    return numpyro_log_density(program, args, {}, values)[0] + log_det, values


def constrain(z: Float[Array, " n"], problem: Problem, spec: Spec) -> dict[str, Array]:
    """Parameters of the model at z, nested and derived ones included."""
    values, _, _ = _resolve(problem.center + problem.whiten @ z, problem, spec)
    with handlers.block(), handlers.substitute(data=values):
        return sample_parameters(spec, problem.data)


def rewhiten(problem: Problem, mean: np.ndarray, chol: np.ndarray) -> Problem:
    """The same density with z = mean + chol z' as new coordinates (on the host)."""
    center, whiten = (np.asarray(x, float) for x in (problem.center, problem.whiten))
    return dataclasses.replace(problem, center=center + whiten @ mean, whiten=whiten @ chol)


def precondition(spec: Spec, data: ModelData, seed: int = 0) -> tuple[Problem, float]:
    """Build the preconditioned problem of a spec and its data, in float64.

    Args:
        spec: Structure of the spec (hyperparameters come with the data).
        data: From :func:`mmmjax.model.model_data`.
        seed: Of the starts of the Laplace fit.

    Returns:
        The problem and the seconds spent compiling.
    """
    problem, seconds = shear(spec, data)
    problem, more = whitened(problem, spec, seed)
    return problem, seconds + more


def outline(spec: Spec, data: ModelData) -> Problem:
    """Zeros shaped as the problem that :func:`precondition` gives: to compile for."""
    others, linear, members = layout(spec, data)
    size = lambda sites: sum(math.prod(_shape(s, members)) for s in sites)
    p, total = size(linear), size(spec.sites(members))
    n = data.target.outcome.size
    positive = [s for s in others if s.prior.support == "positive"]
    scales = {s.name: np.zeros(_shape(s, members)) for s in positive}
    zeros = [np.zeros(s) for s in ((n, p), (p, n), p, (p, p), total, (total, total))]
    return Problem(data, scales, *zeros)


def shear(spec: Spec, data: ModelData) -> tuple[Problem, float]:
    """The first two reparametrisations; center 0 and whiten 1 are to be filled in."""
    with jax.enable_x64(True):
        data = data.astype(np.float64)
        look, seconds = compiled(_probe, {"spec": spec}, data)
        found = jax.tree.map(np.asarray, look(data))
        return _shear(spec, data, found), seconds


def whitened(problem: Problem, spec: Spec, seed: int) -> tuple[Problem, float]:
    """The third one: the Laplace fit in the sheared coordinates."""
    potential = Potential(problem, spec, smooth=True)
    mode, hessian = _laplace(potential, seed)
    values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
    whiten = vectors / np.sqrt(np.clip(values, *_EIGENVALUES))
    return dataclasses.replace(problem, center=mode, whiten=whiten), potential.seconds


class _Look(NamedTuple):
    """What the shear needs to know of a problem."""

    scales: dict[str, Any]  # of positive sites
    design: Any  # (n, p)
    media: Any  # (n, channel): effects at a typical point
    mean: Any  # (p,) prior mean of the linear block
    variance: Any  # (p,)


export.register_namedtuple_serialization(_Look, serialized_name="mmm.Look")


def _typical(site: Site, data: ModelData) -> Array:
    """Prior mean of a positive site, or its scale where it has none: a constant of size."""
    mean = jnp.asarray(_law(site, data).mean)
    values = {} if site.offset else _hyper(site, data)
    size = jnp.asarray(values.get("scale", values.get("rate", 1.0)))
    return jnp.where(jnp.isfinite(mean) & (mean > 0), mean, size)


def _probe(data: ModelData, spec: Spec) -> _Look:
    """Scales, design and prior of the linear block, channel effects at a typical point."""
    others, linear, members = layout(spec, data)
    positive = [s for s in others if s.prior.support == "positive"]
    scales = {
        s.name: jnp.broadcast_to(_typical(s, data), _shape(s, members)) for s in positive
    }
    n_linear = sum(int(np.prod(_shape(s, members))) for s in linear)
    values = {
        s.name: _to_support(s, jnp.zeros(_shape(s, members)), data, scales)[0]
        for s in others
    }

    def parts(g: Array) -> dict[str, Array]:
        with (
            handlers.block(),
            handlers.substitute(data={**values, **_unflatten(g, linear, members)}),
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
        each = [jnp.broadcast_to(of(_law(s, data)), _shape(s, members)) for s in linear]
        return jnp.concatenate([jnp.ravel(x) for x in each] or [jnp.zeros(0)])

    mean_of, variance_of = gather(lambda law: law.mean), gather(lambda law: law.variance)
    return _Look(scales, design.T, effects, mean_of, variance_of)


def _shear(spec: Spec, data: ModelData, look: _Look) -> Problem:
    """Ridge fit of the linear block with media at a typical response beside it."""
    _, _, members = layout(spec, data)
    design, media = look.design, look.media
    precision = 1.0 / np.where(np.isfinite(look.variance), look.variance, 1e4)
    middle = np.where(np.isfinite(look.mean), look.mean, 0.0)
    y = np.asarray(data.target.outcome).ravel()
    mask = np.asarray(data.target.mask).ravel().astype(float)
    both = np.concatenate([design, media], axis=1)
    penalty = np.concatenate([precision, np.ones(media.shape[1])])
    target = np.concatenate([middle, np.ones(media.shape[1])])
    sd = max(float(np.std(y[mask > 0])), 1e-6)
    for _ in range(5):
        weight = mask / sd**2
        precise = (both.T * weight) @ both + np.diag(penalty)
        fitted = both @ np.linalg.solve(precise, (both.T * weight) @ y + penalty * target)
        residual = (y - fitted) * mask
        sd = max(float(np.sqrt((residual**2).sum() / mask.sum())), 1e-4)
    weight = mask / sd**2
    precise = (design.T * weight) @ design + np.diag(precision)
    gain = np.linalg.solve(precise, design.T * weight) if len(precise) else design.T
    base = (
        gain @ y + np.linalg.solve(precise, precision * middle) if len(precise) else middle
    )
    factor = np.linalg.inv(np.linalg.cholesky(precise)).T if len(precise) else precise
    total = sum(int(np.prod(_shape(s, members))) for s in spec.sites(members))
    return Problem(
        data, look.scales, design, gain, base, factor, np.zeros(total), np.eye(total)
    )


class Potential:
    """Negative log density and gradient at a point of R^P on the host, in float64.

    Compiled once per shape; the Laplace fit and the starts of every sampler use it.

    Args:
        problem: The problem.
        spec: Structure of its spec.
        smooth: Replace the kink of Laplace priors by a parabola of the same variance, for
            a Hessian.
    """

    def __init__(self, problem: Problem, spec: Spec, smooth: bool = False):
        """Compile, or take the compiled one of this shape."""
        with jax.enable_x64(True):
            self.problem = problem.astype(jnp.float64)
            self.smooth = jnp.asarray(float(smooth))
            size = jnp.zeros(problem.center.shape[0])
            args = (size, self.problem, self.smooth)
            self.call, self.seconds = compiled(_slope, {"spec": spec}, *args)

    def __call__(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; where either is not finite, infinity and zeros."""
        with jax.enable_x64(True):
            found = self.call(np.asarray(z, float), self.problem, self.smooth)
            value, slope = float(found[0]), np.asarray(found[1])
        good = np.isfinite(value) and np.isfinite(slope).all()
        return (value, slope) if good else (np.inf, np.zeros_like(slope))


def _slope(z: Array, problem: Problem, smooth: Array, spec: Spec) -> tuple[Array, Array]:
    def potential(z: Array) -> Array:
        log_density, values = _joint(z, problem, spec)
        excess = jnp.zeros(())
        for site in spec.sites(sizes(problem.data)):
            if site.prior.family == "Laplace" and not site.offset:
                law: Any = _law(site, problem.data)
                t = (values[site.name] - law.loc) / law.scale
                excess += jnp.sum(t * t / 4 - jnp.abs(t))
        return smooth * excess - log_density

    return jax.value_and_grad(potential)(z)


def _laplace(potential: Potential, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mode of the best of several L-BFGS runs; Hessian there by central differences."""
    size = potential.problem.center.shape[0]
    random = np.random.default_rng(seed)
    best: Any = None
    for spread in np.linspace(0.0, 1.0, _STARTS):
        start = spread * random.standard_normal(size)
        found = minimize(potential, start, jac=True, method="L-BFGS-B", options=_LBFGS)
        if np.isfinite(found.fun) and (best is None or found.fun < best.fun):
            best = found
    mode = np.zeros(size) if best is None else best.x
    h = 1e-4
    rows = [potential(mode + h * e)[1] - potential(mode - h * e)[1] for e in np.eye(size)]
    return mode, np.stack(rows) / (2 * h)
