"""The NumPyro program: the only ``numpyro.sample`` calls of the library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from mmmjax import checks, response
from mmmjax.arrays import Arrays
from mmmjax.facts import Fact, stacked
from mmmjax.likelihood import OUTCOME, Target
from mmmjax.media_prior import data_values
from mmmjax.panel import Panel
from mmmjax.prior import Prior, Site, around, sites, standard
from mmmjax.response import align, places
from mmmjax.scaling import Scale
from mmmjax.spec import Spec, hyperparameters

__all__ = [
    "ModelData",
    "at_sites",
    "middle",
    "model_data",
    "nested_around",
    "noise_of",
    "prior_draw",
    "program",
    "replaced",
    "sample_parameters",
]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ModelData:
    """Everything the program takes besides the static structure of the spec: arrays.

    ``facts`` are by kind, one row a fact in every array; ``laws`` are the classes of those
    kinds, in the same order.
    """

    inputs: Arrays
    target: Target
    hyper: dict[str, Any]
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    laws: tuple[type[Fact], ...] = field(default=(), metadata={"static": True})

    def astype(self, dtype: Any) -> "ModelData":
        """The same data in another float type (the mask stays boolean)."""

        def cast(x: Any) -> np.ndarray:
            x = np.asarray(x)
            return x.astype(dtype) if x.dtype.kind == "f" else x

        return jax.tree.map(cast, self)

    def padded(self, history: int, periods: int) -> "ModelData":
        """The same data in arrays of other sizes, what is added masked: see `Arrays`.

        The density of every parameter is the same; data sets of one padded shape share
        their compiled programs.
        """
        inputs = self.inputs.padded(history, periods)
        return replace(self, inputs=inputs, target=self.target.padded(periods))

    def widened(self, spec: Spec, sizes: Mapping[str, int]) -> "ModelData":
        """The same data with more members of some dims, which are zero everywhere.

        The posterior of the parameters of all others is the same; those of the new ones
        follow their priors, independent of everything. So data sets of fewer members share
        the programs of the widest one.

        Args:
            spec: The full spec that the data were made with.
            sizes: Members of dims, at least as many as now: the new ones come last. There
                must be channels where there will be; with several media terms no more.
        """
        before = self.inputs.sizes()
        after = before | dict(sizes)
        hyper = {
            name: _widened(spec.priors[name], self.hyper[name], before, after)
            for name in spec.present(before)
        }
        new = hyperparameters(spec, after, {}, without=hyper)  # controls where none were
        hyper |= {n: _widened(spec.priors[n], v, after, after) for n, v in new.items()}
        return replace(self, inputs=self.inputs.widened(after), hyper=hyper)


def model_data(spec: Spec, panel: Panel, scale: Scale) -> ModelData:
    """Arrays of a training panel for :func:`program` (NumPy, float64)."""
    target = spec.likelihood.target(panel, scale)
    inputs, facts = response.make_inputs(spec, panel, scale), stacked(panel, scale, spec)
    values = data_values(spec, panel, inputs, target)
    sizes, own = spec.sizes(panel), places(spec, panel)
    hyper = hyperparameters(spec, sizes, values, places=own)
    by_kind = {fact.kind: type(fact) for fact in panel.facts}
    return ModelData(inputs, target, hyper, facts, tuple(by_kind[k] for k in facts))


def _widened(
    prior: Prior,
    values: Mapping[str, Any],
    before: Mapping[str, int],
    sizes: Mapping[str, int],
) -> dict[str, Any]:
    """Hyperparameters of a prior, one per member of its dims, whatever they were.

    So priors of the same structure share programs. New members have the mean of the others.
    """
    out: dict[str, Any] = {}
    inside, prior = prior.nested | prior.spreads, prior.typical
    for key, value in values.items():
        inner = inside.get(key)
        if inner is not None:
            out[key] = _widened(inner, value, before, sizes)
            continue
        dims = prior.dims or ()
        shape = tuple(before.get(d, 0) for d in dims)
        array = np.broadcast_to(value, shape) if all(shape) else np.asarray(value)
        more = sizes.get(dims[-1], 0) - shape[-1] if dims else 0
        new = np.repeat(array.mean(-1, keepdims=True), more, -1) if more else array
        out[key] = np.concatenate([array, new], -1) if more else array
    return out


def replaced(spec: Spec, data: ModelData) -> dict[str, Any]:
    """Members, True, of sites whose prior is a fact's in place of their own, by site."""
    out: dict[str, Any] = {}
    for (_, rows), fact in zip(sorted(data.facts.items()), data.laws, strict=True):
        out |= fact.replaces(rows, spec, data.inputs)
    return out


def at_sites(spec: Spec, data: ModelData, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as their sites hold them: the inverse of what facts make of these."""
    more = {
        name: params[name] * (params[name] / value)
        for name, value in _placed(spec, data, params).items()
        if value is not params[name]
    }
    return {**params, **more}


def prior_draw(spec: Spec, data: ModelData) -> dict[str, Any]:
    """A draw of all parameters from the priors, those of facts in their place."""
    params = sample_parameters(spec, data)
    for (_, rows), fact in zip(sorted(data.facts.items()), data.laws, strict=True):
        params = dict(fact.drawn(params, rows, spec, data, numpyro.prng_key()))
    return params


def sample_parameters(spec: Spec, data: ModelData) -> dict[str, Any]:
    """Sample every parameter from its prior; returns them with nested and derived ones."""
    return _placed(spec, data, _held(spec, data))


def _held(spec: Spec, data: ModelData) -> dict[str, Any]:
    """Sample every parameter, as its site holds it."""
    sizes, other = data.inputs.sizes(), replaced(spec, data)
    params: dict[str, Any] = {}
    for name in spec.present(sizes):
        prior, values = spec.priors[name], data.hyper[name]
        if prior.pool:
            params |= _sample_pooled(name, prior, values, data.inputs, other)
        else:
            params |= _sample(name, prior, values, sizes, other)
    for name, value in spec.likelihood.derived(params).items():
        params[name] = numpyro.deterministic(name, value)
    return params


def _placed(spec: Spec, data: ModelData, held: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters from what their sites hold."""
    out = dict(held)
    for (_, rows), fact in zip(sorted(data.facts.items()), data.laws, strict=True):
        out |= fact.placed(held, rows, spec, data)
    return out


def noise_of(params: Mapping[str, Any], spec: Spec) -> dict[str, Array]:
    """Parameters of the likelihood and what follows from them, (geo, 1) or (1, 1)."""
    names = (*spec.likelihood.parameters(), *spec.likelihood.derived(params))
    return {n: align(params[n], spec.dims(n), ("geo",))[:, None] for n in names}


def program(
    spec: Spec,
    data: ModelData,
    mean: Callable[[Mapping[str, Any], Arrays, Spec], Array] = response.mean,
) -> None:
    """Sample every parameter from its prior, observe the outcome and what else is known.

    Args:
        spec: The model, or its :meth:`Spec.structure`.
        data: From :func:`model_data`.
        mean: The forward function; a sampler that keeps the linear block in other
            coordinates passes an equal one that is cheaper there.
    """
    held = _held(spec, data)
    params = _placed(spec, data, held)
    mu = mean(params, data.inputs, spec)
    outcome = spec.likelihood.around(mu, noise_of(params, spec), data.target)
    outcome = outcome.mask(data.target.mask)
    if data.target.weight is None:
        numpyro.sample(OUTCOME, outcome, obs=data.target.outcome)
    else:
        each = outcome.log_prob(data.target.outcome)
        _factor(OUTCOME, (data.target.weight * each).sum())
    for (kind, rows), fact in zip(sorted(data.facts.items()), data.laws, strict=True):
        each = fact.log_densities(params, held, rows, spec, data)
        if each.ndim != 1:
            got = checks.Phrase(f"an array of shape {each.shape[1:]}")
            fix = "log_density(...).sum()"
            checks.fail(f"log_density of {fact.__name__}", got, "", "one number", fix)
        _factor(f"fact_{kind}", each.sum())


def _factor(name: str, log_density: Array) -> None:
    """What numpyro.factor does, which fails in a process that imported ArviZ first."""
    numpyro.sample(name, dist.Unit(log_density), obs=jnp.empty(0))


def _sample(
    name: str,
    prior: Prior,
    values: Mapping[str, Any],
    sizes: Mapping[str, int],
    other: Mapping[str, Any],
) -> dict[str, Any]:
    """Sample one parameter; with nested hyperparameters non-centred, those first.

    ``other`` of :func:`replaced`: the density of these members is left out.
    """
    dims = prior.dims or ()
    shape = tuple(sizes[d] for d in dims)
    out: dict[str, Any] = {}
    for key, inner in prior.nested.items():
        out |= _sample(f"{name}_{key}", inner, values[key], sizes, other)
    if not out:
        law = prior.distribution(values).expand(shape)
        law = law.mask(~other[name]) if name in other else law
        law = law.to_event(len(shape))
        return {name: numpyro.sample(name, law)}
    law = standard(prior, values).expand(shape).to_event(len(shape))
    offset = numpyro.sample(f"{name}_offset", law)
    loc, scale = nested_around(name, prior, values, out)
    value = prior.link.inverse(loc + scale * offset)
    return {**out, name: numpyro.deterministic(name, value)}


def nested_around(
    name: str, prior: Prior, values: Mapping[str, Any], params: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Location and scale of a nested prior's offsets on the link's scale.

    Args:
        name: Of the parameter, as its site makes it.
        prior: Its prior.
        values: Hyperparameters of that.
        params: Values by name, of what is inside the prior.
    """
    used = {
        key: align(params[f"{name}_{key}"], inner.dims or (), prior.dims or ())
        for key, inner in prior.nested.items()
    }
    return around(prior, {**values, **used})


def middle(site: Site, params: Mapping[str, Any], inputs: Arrays) -> tuple[Array, Array]:
    """Where the members of a pooled site scatter on the link's scale, and how far.

    Args:
        site: One with a ``level``.
        params: Values by name, those of the levels above included.
        inputs: Of the panel: they say which group a member is in.

    Returns:
        The middle and the spread, broadcasting over the dims of the site.
    """
    level, dims = site.level, site.dims
    assert level is not None
    around = level.link.forward(params[level.above])
    if level.group:
        around = around[inputs[f"{level.over}.{level.group}"]]
    else:
        around = align(around, tuple(d for d in dims if d != level.over), dims)
    return around, align(params[level.spread], level.spread_dims, dims)


def _sample_pooled(
    name: str,
    prior: Prior,
    values: Mapping[str, Any],
    inputs: Arrays,
    other: Mapping[str, Any],
) -> dict[str, Any]:
    """Sample one pooled parameter, non-centred: the typical value, then level by level."""
    sizes, spreads = inputs.sizes(), prior.spreads
    out = _sample(f"{name}_typical", prior.typical, values, sizes, other)
    levels = [(site, site.level.link) for site in sites(name, prior) if site.level]
    for (site, link), (key, spread) in zip(levels, spreads.items(), strict=True):
        out |= _sample(f"{name}_{key}", spread, values[key], sizes, other)
        shape = tuple(sizes[d] for d in site.dims)
        law = standard(site.prior, {}).expand(shape).to_event(len(shape))
        offset = numpyro.sample(site.name, law)
        around, scale = middle(site, out, inputs)
        value = link.inverse(around + scale * offset)
        out[site.makes] = numpyro.deterministic(site.makes, value)
    return out
