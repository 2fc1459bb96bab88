"""Numbers behind the utilities: quantiles, tails, spreads and ratios that never give NaN.

A risk utility has kinks where draws change their order, and a solver climbs a smoothed one:
``share`` of the draws is blurred, 0.3 at first, 0 at the end, where all is exact. Every
function is finite with a finite gradient for finite samples: at ties, at zero variance,
where nothing is spent. Samples are (draw,), outcome units unless said otherwise.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Float

from mmmjax.budget.region import project, simple

__all__ = [
    "Smooth",
    "Smoothing",
    "entropy",
    "is_exact",
    "order_of",
    "quantiles",
    "ratio",
    "reached",
    "shortfall",
    "soft_abs",
    "spread",
    "worst_mean",
]

FLOOR = 1e-9  # a denominator counts as at least this share of the typical |sample|
FLAT = 1e-12  # a standard deviation below this share of the root mean square is rounding
TINY = 1e-200  # a blur narrower than this is none
LEAST_SHARE = 1e-15  # a budget share below this has the entropy's slope here, not infinity
SHARPEST = 1e-12  # blur, as a share of the largest |sample|, below which tails are exact


class Smoothing(NamedTuple):
    """How much a utility is blurred; a runtime value, no constant.

    Args:
        share: Bandwidth as a share of the draws, in [0, 0.5]; 0: exact.
        size: Samples that count as 1, outcome units, above 0.
    """

    share: Any
    size: Any


class Smooth(NamedTuple):
    """A blurred utility, and a bound on the exact one.

    Args:
        value: What is climbed.
        ceiling: For concave utilities a number with the gradient of `value` (that of ROAS:
            but for a part common to all budgets) whose tangent plane lies above the exact
            utility everywhere (at the same total); `value` for others.
    """

    value: Any
    ceiling: Any


def is_exact(smoothing: Smoothing) -> bool:
    """Whether share 0 is known when tracing, so that the blurred branch can be left out."""
    return isinstance(smoothing.share, (int, float)) and smoothing.share == 0


def quantiles(
    samples: Float[Array, " draw"], levels: tuple[Any, ...], share: Float[ArrayLike, ""]
) -> tuple[Float[Array, ""], ...]:
    r"""Quantiles as weighted means of the sorted draws; one sort for all of them.

    With $h = p (D - 1)$ the draw of rank i, from 0, has the weight of a triangle around h,
    $k_i \propto (1 - |i - h| / b)_+$ with $b = 1 + \mathrm{share} (D - 1)$. At share 0 that
    is NumPy's linear interpolation, and the gradient that of the order statistics.

    Args:
        samples: The draws.
        levels: Probabilities p in (0, 1).
        share: Bandwidth in probability, in [0, 0.5].

    Source: L-estimators of quantiles with a kernel: Sheather and Marron (1990), "Kernel
    quantile estimators", JASA 85.
    """
    n = samples.shape[0]
    order = order_of(samples)
    ranks = jnp.arange(n, dtype=samples.dtype)
    found = []
    for level in levels:
        away = jnp.abs(ranks - level * (n - 1)) / (1.0 + share * (n - 1))
        kernel = jnp.maximum(1.0 - away, 0.0)
        weights = _scattered(kernel / kernel.sum(), order)
        found.append(weights @ samples)
    return tuple(found)


def order_of(samples: Float[Array, " draw"]) -> Any:
    """Indices that sort; ties may go either way, as may what is equal to 12 digits or so.

    A float64 sorts as its bits do, and the last bits make room for the index: one sort of
    integers, three times as fast on a CPU as one of pairs.
    """
    count = samples.shape[0]
    index, keys = jnp.arange(count), lax.stop_gradient(samples)
    if keys.dtype != jnp.float64:
        return lax.sort((keys, index), num_keys=1, is_stable=False)[1]
    bits = lax.bitcast_convert_type(keys, jnp.int64)
    bits = bits ^ ((bits >> 63) & jnp.iinfo(jnp.int64).max)  # negative numbers turned over
    low = (1 << (count - 1).bit_length()) - 1
    return lax.sort((bits & ~low) | index, is_stable=False) & low


def _scattered(by_rank: Float[Array, " draw"], order: Any) -> Float[Array, " draw"]:
    return jnp.zeros_like(by_rank).at[order].set(by_rank, unique_indices=True)


def worst_mean(
    samples: Float[Array, " draw"], tail: Any, smoothing: Smoothing
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Mean of the worst draws: (blurred, ceiling).

    $\min_w \langle w, s \rangle + \frac{\mu D}{2} |w - 1/D|^2$ over $0 \le w_d \le 1/(tD)$,
    $\sum w = 1$, with $\mu$ = share * size. At share 0 the minimum is the mean of the worst
    tD draws, the last one counted in part. For any w in that set $\langle w, s \rangle$ is
    at least the exact utility of s: the ceiling.

    Args:
        samples: The draws.
        tail: Probability t of the tail, in (0, 1).
        smoothing: See :class:`Smoothing`.

    Source: the set of weights is the dual of Rockafellar and Uryasev (2000), "Optimization
    of conditional value-at-risk", J. of Risk 2.
    """
    n, fixed = samples.shape[0], lax.stop_gradient(samples)
    blur = smoothing.share * smoothing.size
    width = lax.stop_gradient(blur)
    most = lax.stop_gradient(1.0 / jnp.asarray(tail, samples.dtype))  # of D w, of mean 1
    narrow = width <= SHARPEST * jnp.abs(fixed).max() + TINY

    def exact() -> Float[Array, " draw"]:
        taken = jnp.clip(n / most - jnp.arange(n, dtype=samples.dtype), 0.0, 1.0)
        return _scattered(taken * (n / taken.sum()), order_of(fixed))

    def blurred() -> Float[Array, " draw"]:
        point = 1.0 - (fixed - fixed.mean()) / jnp.where(narrow, 1.0, width)
        upper = jnp.full(n, jnp.minimum(most, n), samples.dtype)
        return project(point, simple(jnp.zeros_like(upper), upper, float(n)))[0]

    weights = exact() if is_exact(smoothing) else lax.cond(narrow, exact, blurred)
    ceiling = (weights / n) @ samples
    return ceiling + 0.5 * blur * ((weights - 1.0) ** 2).mean(), ceiling


def shortfall(
    excess: Float[Array, " draw"], smoothing: Smoothing
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Mean of min(excess, 0): (blurred, ceiling).

    $\frac1D \min_{0 \le w \le 1} \langle w, e \rangle + \frac\mu2 |w - \frac12|^2$ with
    $\mu$ = share * size: a parabola of width $\mu$ rounds the kink.

    Args:
        excess: The draws less what they are compared with.
        smoothing: See :class:`Smoothing`.
    """
    blur = smoothing.share * smoothing.size
    width, fixed = lax.stop_gradient(blur), lax.stop_gradient(excess)
    narrow = width <= TINY
    rounded = jnp.clip(0.5 - fixed / jnp.where(narrow, 1.0, width), 0.0, 1.0)
    weights = jnp.where(narrow, jnp.where(fixed < 0, 1.0, 0.0), rounded)
    ceiling = (weights * excess).mean()
    return ceiling + 0.5 * blur * ((weights - 0.5) ** 2).mean(), ceiling


def reached(excess: Float[Array, " draw"], smoothing: Smoothing) -> Float[Array, ""]:
    """Share of draws of at least 0; blurred, a logistic curve of width share * size.

    The exact share is a step function: its gradient is 0.
    """
    width = smoothing.share * smoothing.size
    narrow = width <= TINY
    curve = jax.nn.sigmoid(excess / jnp.where(narrow, 1.0, width))
    return jnp.where(narrow, (excess >= 0).astype(excess.dtype), curve).mean()


def soft_abs(x: Float[Array, ""], smoothing: Smoothing) -> Float[Array, ""]:
    """|x|, its kink rounded by a parabola over share^2 * size (the slope at 0 is 0).

    The square, because the tails this is for are much smaller than the response.
    """
    width = smoothing.share**2 * smoothing.size
    near = jnp.abs(x) < width
    rounded = 0.5 * x**2 / jnp.where(width > TINY, width, 1.0) + 0.5 * width
    return jnp.where(near, rounded, jnp.abs(x))


def spread(samples: Float[Array, " draw *rest"]) -> Float[Array, "*rest"]:
    """Standard deviation over draws (over D - 1); 0, with slope 0, where flat."""
    centred = samples - samples.mean(0)
    variance = (centred**2).sum(0) / max(samples.shape[0] - 1, 1)
    varies = variance > FLAT**2 * lax.stop_gradient((samples**2).mean(0))
    return jnp.where(varies, jnp.sqrt(jnp.where(varies, variance, 1.0)), 0.0)


def ratio(
    above: Float[Array, ""], below: Float[Array, ""], typical: Float[Array, ""]
) -> Float[Array, ""]:
    """above / below, where below counts as at least 1e-9 of `typical`; 0 / 0 is 0.

    Args:
        above: Numerator.
        below: Denominator, at least 0.
        typical: Size of a typical sample, at least 0.
    """
    floored = jnp.maximum(below, FLOOR * typical)
    some = floored > 0
    return jnp.where(some, above / jnp.where(some, floored, 1.0), 0.0)


def entropy(
    budgets: Float[Array, " channel"], share: Float[ArrayLike, ""]
) -> Float[Array, ""]:
    r"""$-\sum_i w_i \log w_i$ of the budget shares w, nats; 0 where nothing is spent.

    Below a least share of a hundredth of `share` each term continues along its tangent,
    which is finite at 0 and, the function being concave, never below it: what is climbed is
    concave and bounds the exact entropy itself.

    Args:
        budgets: Money, at least 0.
        share: See :class:`Smoothing`; at 0 the value at zero spend is off by 1e-15.
    """
    total = budgets.sum()
    spent = total > 0
    weights = jnp.where(spent, budgets / jnp.where(spent, total, 1.0), 0.0)
    least = jnp.maximum(0.01 * jnp.asarray(share, weights.dtype), LEAST_SHARE)
    curve = -weights * jnp.log(jnp.maximum(weights, least))
    tangent = least - weights * (1.0 + jnp.log(least))
    terms = jnp.where(weights < least, tangent, curve)
    return jnp.where(spent, terms.sum(), 0.0)
