"""What is linear in the mean, sampled in its conditional law given all else.

The law is that under Normal noise of the size of now, each geo's own coefficients taken as
uncorrelated given the data; whatever the likelihood and however they are correlated, the
density is evaluated exactly at the result. So a common coefficient costs a row of one small
factorisation, and a geo's own are as many numbers as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmmjax.infer.sites import Plan, around, columns, shape_of, size_of, unflatten
from mmmjax.model import ModelData, noise_of
from mmmjax.shapes import GEO
from mmmjax.spec import Spec

__all__ = ["Linear", "Take", "Values"]

RIDGE = 1e-9  # of least squares, so that columns may be copies of each other

type Values = dict[str, Array]
type Take = Callable[[str, Callable[[Mapping[str, Array]], Array]], Array]
"""Gives the coordinates of a site; told its name and the inverse of its map."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Linear:
    """Constants of k common and m own linear coefficients, of each geo.

    Args:
        design: (k, geo, time): the mean's derivative in common coefficients.
        across: (k, geo, time): the part of ``design`` that own coefficients cannot make,
            times the weights of the outcome.
        inner: (geo, k, k): its sums of squares.
        shift: (geo, k, m): the rest of ``design`` as own coefficients.
        precision: (k,) of the prior.
        base: (k,) its mean.
        own: (m, geo, time): the mean's derivative in own coefficients.
        squares: (geo, m, time): least squares of own coefficients.
        variance: (geo, m): of those, at noise 1.
        outcome: (geo, time): working response.
        start: (geo, time): the mean of terms that are left out of ``rest``.
    """

    design: Any
    across: Any
    inner: Any
    shift: Any
    precision: Any
    base: Any
    own: Any
    squares: Any
    variance: Any
    outcome: Any
    start: Any

    @classmethod
    def zeros(cls, plan: Plan, periods: int) -> "Linear":
        """Of the shapes that :meth:`of` gives."""
        geos, members = plan.members[GEO], plan.members
        k = sum(size_of(s, members) for s in plan.common)
        m = sum(size_of(s, members) for s in plan.own) // geos
        wide, own, pair = (k, geos, periods), (m, geos, periods), (geos, periods)
        inner, shift, squares = (geos, k, k), (geos, k, m), (geos, m, periods)
        shapes = (wide, wide, inner, shift, (k,), (k,), own, squares, (geos, m), pair, pair)
        return cls(*map(np.zeros, shapes))

    @classmethod
    def of(
        cls,
        design: Float[np.ndarray, "k geo time"],
        own: Float[np.ndarray, "m geo time"],
        mean: Float[np.ndarray, " k"],
        variance: Float[np.ndarray, " k"],
        y: Float[np.ndarray, "geo time"],
        weight: Float[np.ndarray, "geo time"],
        start: Float[np.ndarray, "geo time"],
    ) -> "Linear":
        """The constants, from derivatives, the prior, working outcomes and weights."""
        squares = np.einsum("mgt,gt,ngt->gmn", own, weight, own)
        ridge = RIDGE * np.einsum("gmm->g", squares)[:, None, None] + 1e-12
        inverse = np.linalg.inv(squares + ridge * np.eye(squares.shape[-1]))
        least = np.einsum("gmn,ngt,gt->gmt", inverse, own, weight)
        shift = np.einsum("kgt,gmt->gkm", design, least)
        left = design - np.einsum("gkm,mgt->kgt", shift, own)
        precision = 1.0 / np.where(np.isfinite(variance), variance, 1e4)
        return cls(
            design=design, across=left * weight, shift=shift, own=own,
            inner=np.einsum("kgt,gt,lgt->gkl", left, weight, left), precision=precision,
            base=np.where(np.isfinite(mean), mean, 0.0), squares=least,
            variance=np.einsum("gmm->gm", inverse), outcome=y * 1.0, start=start,
        )  # fmt: skip

    def place(
        self,
        take: Take,
        rest: Float[Array, "geo time"],
        params: Mapping[str, Any],
        plan: Plan,
        data: ModelData,
        spec: Spec,
    ) -> tuple[Values, Array, Array]:
        """Values of the sites, the mean (geo, time), the log determinant.

        Args:
            take: Gives coordinates, of "common" and of "own".
            rest: The mean without what is linear.
            params: All that is not linear, and what the noise needs.
            plan: Which sites are linear.
            data: Of the model.
            spec: Its structure.
        """
        geos = plan.members[GEO]
        noise = jnp.asarray(spec.likelihood.variance(noise_of(params, spec)))
        noise = jnp.broadcast_to(noise, (geos, 1))
        flat = lambda x: x.reshape(geos, -1)
        both = [around(s, params, data) for s in plan.own]
        empty = jnp.zeros((geos, 0), rest.dtype)
        fixed = [flat(a) * (not s.offset) for s, (a, _) in zip(plan.own, both, strict=True)]
        loc = jnp.concatenate([empty, *fixed], 1)  # of offsets it is in the design
        scale = jnp.concatenate([empty, *(flat(b) for _, b in both)], 1)
        left = self.outcome - rest - self.start
        least = jnp.einsum("gmt,gt->gm", self.squares, left) - loc
        each = [jnp.ones(0, rest.dtype)]
        for site in plan.common:
            by = around(site, params, data)[1] if site.offset else jnp.ones(())
            each.append(jnp.broadcast_to(by, shape_of(site, plan.members)).ravel())
        sized = jnp.concatenate(each)
        g, log_det = self._common(take, left, least, noise, scale, sized, plan, data)
        placed = sized * g
        know = 1 / (noise * self.variance)
        k = 1.0 + scale * scale * know
        middle = scale * know * (least - jnp.einsum("gkm,k->gm", self.shift, placed)) / k

        def back(p: Mapping[str, Array]) -> Array:
            z = [empty]
            for site in plan.own:
                there, by = around(site, p, data)
                z.append(flat((p[site.makes] - there) / by))
            return (jnp.concatenate(z, 1) - middle) * jnp.sqrt(k)

        z = middle + take("own", back) / jnp.sqrt(k)
        values = unflatten(g, plan.common, plan.members)
        for site, of in columns(plan.own, plan.members).items():
            moved = z if site.offset else loc + scale * z
            values[site.name] = moved[:, of].reshape(shape_of(site, plan.members))
        mean = rest + self.start + jnp.einsum("kgt,k->gt", self.design, placed)
        mean += (self.own * (loc + scale * z).T[..., None]).sum(0)
        return values, mean, log_det - 0.5 * jnp.log(k).sum()

    def _common(
        self,
        take: Take,
        left: Array,
        least: Array,
        noise: Array,
        scale: Array,
        sized: Array,
        plan: Plan,
        data: ModelData,
    ) -> tuple[Array, Array]:
        """Common sites, coefficients of geos integrated out; their log determinant.

        Offsets whose scale is small stay where their prior has them: in units of ``sized``
        the matrix is the identity and what the data know, however small scales become.
        """
        if not plan.common:
            return take("common", lambda _: self.base), jnp.zeros((), left.dtype)
        total = noise * self.variance + scale * scale
        a = jnp.einsum("g,gkl->kl", 1 / noise[:, 0], self.inner)
        a += jnp.einsum("gkm,gm,glm->kl", self.shift, 1 / total, self.shift)
        a = jnp.diag(self.precision) + sized[:, None] * a * sized
        b = jnp.einsum("kgt,gt->k", self.across, left / noise)
        b += jnp.einsum("gkm,gm->k", self.shift, least / total)
        b = self.precision * self.base + sized * b
        factor = jnp.linalg.cholesky(a)
        tri = lambda x, **how: jax.lax.linalg.triangular_solve(
            factor, x[:, None], left_side=True, lower=True, **how
        )[:, 0]
        middle = tri(b)

        def back(p: Mapping[str, Array]) -> Array:
            each = []
            for site in plan.common:
                value = p[site.makes]
                if site.offset:
                    loc, by = around(site, p, data)
                    value = (value - loc) / by
                each.append(jnp.ravel(value))
            given = jnp.concatenate(each)
            missing = tri(middle, transpose_a=True)  # of members that only pad
            return factor.T @ jnp.where(jnp.isfinite(given), given, missing) - middle

        g = tri(middle + take("common", back), transpose_a=True)
        return g, -jnp.log(jnp.diagonal(factor)).sum()
