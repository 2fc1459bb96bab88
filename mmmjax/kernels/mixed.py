"""Several kernels of one role, of which each draw follows one: what `Mixed` records share.

Which one is a parameter, uniform over [0, number of kernels): its whole part counts the
kernels. As a prior all are as likely; :func:`mmmjax.stack` sets it by the weights of fits.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from mmmjax import checks
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import CHANNEL

__all__ = ["certificates", "check", "names", "parameters", "taken"]


def names(kernels: Sequence[Any]) -> list[dict[str, str]]:
    """Of each kernel: its parameters' names, and those they have beside the others'."""
    kinds = [kernel.kind for kernel in kernels]
    ends = [k if kinds.count(k) == 1 else f"{k}_{i}" for i, k in enumerate(kinds, 1)]
    pairs = zip(kernels, ends, strict=True)
    return [{name: f"{name}_{end}" for name in k.parameters()} for k, end in pairs]


def parameters(kernels: Sequence[Any], which: str) -> dict[str, Parameter]:
    """Those of all kernels, and ``which`` of them."""
    prior = Prior("Uniform", low=0.0, high=float(len(kernels)), dims=())
    out = {which: Parameter((CHANNEL,), prior, "interval")}
    for kernel, own in zip(kernels, names(kernels), strict=True):
        out |= {own[name]: one for name, one in kernel.parameters().items()}
    return out


def taken(
    kernels: Sequence[Any], params: Mapping[str, Any], which: str
) -> Iterator[tuple[Any, dict[str, Any], Any]]:
    """Each kernel, its parameters, and the draws that follow it."""
    index = jnp.clip(jnp.floor(jnp.asarray(params[which])), 0, len(kernels) - 1)
    for k, (kernel, own) in enumerate(zip(kernels, names(kernels), strict=True)):
        yield kernel, {name: params[full] for name, full in own.items()}, index == k


def certificates(
    kernels: Sequence[Any], params: Mapping[str, Any], which: str
) -> dict[str, Any]:
    """Reasons against a concave curve of each kernel, in the draws that follow it."""
    out: dict[str, Any] = {}
    for kernel, own, here in taken(kernels, params, which):
        found = kernel.concave(own)
        if not found:
            out[f"{kernel.kind} is not known to be concave"] = ~here
            continue
        out |= {f"{reason} ({kernel.kind})": ok | ~here for reason, ok in found.items()}
    return out


def check(role: str, base: type, kernels: Any) -> None:
    """Refuse what is no tuple of two kernels or more."""
    if not isinstance(kernels, tuple) or len(kernels) < 2:
        fix = f"kernels=(one, other), records of mm.{role}"
        checks.fail(f"{role} kernels", kernels, "", "a tuple of two or more", fix)
    for one in kernels:
        if not isinstance(one, base):
            allowed = f"records of mm.{role}"
            checks.fail(f"{role} kernels", one, "", allowed, f"see dir(mm.{role})")
