"""The record of a utility, and how utilities add and scale; see :mod:`..budget.utility`."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mmmjax.budget.smoothing import Smooth, Smoothing
from mmmjax.checks import fail, number

__all__ = ["Kernel", "Utility", "Values", "bind", "has", "is_number", "plain", "valued"]

type Samples = Float[ArrayLike, " draw *channel"]
type Values = Mapping[str, Any]
type Kernel = Callable[[Values, Array, Array, Smoothing], Smooth]


_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Utility:
    """What is maximised; a pytree, so that other numbers in it compile nothing.

    Args:
        parameters: Numbers, draws and utilities that it is made of, by name.
        kind: Its name.
        function: (parameters, samples (draw, channel), budgets, smoothing) -> Smooth.
        concave: Proven concave in (samples, budgets) and increasing in the samples, so
            that a concave response makes a concave objective.
        concave_at_total: The same among plans that spend one given total.
        per_channel: Reads the samples of each channel; others only their sum, and take
            (draw, 1) as well.
        needs_smoothing: Has kinks that a solver must not climb as they are.
    """

    parameters: dict[str, Any]
    kind: str = field(metadata=_STATIC)
    function: Kernel = field(metadata=_STATIC)
    concave: bool = field(default=False, metadata=_STATIC)
    concave_at_total: bool = field(default=False, metadata=_STATIC)
    per_channel: bool = field(default=False, metadata=_STATIC)
    needs_smoothing: bool = field(default=False, metadata=_STATIC)

    __array_ufunc__ = None  # NumPy's numbers leave + - * to the methods below

    def __call__(
        self, samples: Samples, budgets: Float[ArrayLike, " channel"]
    ) -> Float[Array, ""]:
        """The exact utility.

        Args:
            samples: Response, (draw,) or (draw, channel), outcome units.
            budgets: Money over the window.
        """
        return self.smooth(samples, budgets, Smoothing(0.0, 1.0)).value

    def smooth(
        self,
        samples: Samples,
        budgets: Float[ArrayLike, " channel"],
        smoothing: Smoothing,
    ) -> Smooth:
        """The utility blurred, differentiable; see :class:`Smooth` for its ceiling."""
        draws = jnp.asarray(samples)
        draws = draws[:, None] if draws.ndim == 1 else draws
        found = self.function(self.parameters, draws, jnp.asarray(budgets), smoothing)
        return found if self.concave_at_total else plain(found.value)

    def __str__(self) -> str:
        """How a person writes it; :func:`mmmjax.budget.utility.as_utility` reads it."""
        return _text(self)

    __repr__ = __str__

    def __add__(self, other: Any) -> "Utility":
        """Sum with a utility or a number."""
        other = _lifted(other)
        return other if other is NotImplemented else _sum(self, other)

    def __radd__(self, other: Any) -> "Utility":
        """Sum with a number."""
        other = _lifted(other)
        return other if other is NotImplemented else _sum(other, self)

    def __neg__(self) -> "Utility":
        """Less is better."""
        return _scaled(-1.0, self)

    def __sub__(self, other: Any) -> "Utility":
        """Difference to a utility or a number."""
        other = _lifted(other)
        return other if other is NotImplemented else _sum(self, -other)

    def __rsub__(self, other: Any) -> "Utility":
        """Difference of a number."""
        other = _lifted(other)
        return other if other is NotImplemented else _sum(other, -self)

    def __mul__(self, other: Any) -> "Utility":
        """Product with a number or a utility."""
        if isinstance(other, Utility):
            return _product(self, other)
        return _scaled(other, self) if is_number(other) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Utility":
        """Quotient by a number."""
        if not is_number(other):
            return NotImplemented
        field, fix = "divisor of a utility", "mean_response() / 2.0"
        divisor = number(field, other, fix=fix)
        if divisor == 0:
            fail(field, divisor, "", "a finite number other than 0", fix)
        return _scaled(1.0 / divisor, self)


def bind(
    utility: Utility,
    reference_samples: Float[ArrayLike, " draw *channel"],
    reference_budgets: Float[ArrayLike, " channel"] | None = None,
) -> Utility:
    """Tell every part that compares with the reference plan what that one brings.

    Args:
        utility: The utility; one without such parts comes back as it is.
        reference_samples: Response of the reference, outcome units.
        reference_budgets: Its money; needed inside :func:`mmmjax.budget.utility.roas`.
    """
    p = utility.parameters
    if utility.kind == "expected_shortfall" and p["reference"] is None:
        draws = jnp.asarray(reference_samples)
        draws = draws.sum(-1) if draws.ndim == 2 else draws
        return dataclasses.replace(utility, parameters={"reference": draws})
    inner = {name: x for name, x in p.items() if isinstance(x, Utility)}
    if utility.kind == "roas" and reference_budgets is not None:
        total = jnp.asarray(reference_budgets).sum()
        samples = jnp.asarray(reference_samples)
        reference_samples = samples / jnp.where(total > 0, total, jnp.inf)
    bound = {
        name: bind(part, reference_samples, reference_budgets)
        for name, part in inner.items()
    }
    if all(bound[name] is part for name, part in inner.items()):
        return utility
    if utility.kind == "roas" and reference_budgets is None:
        fail(
            "reference_budgets", None, "in roas", "money of the reference, by channel",
            "bind(utility, reference_samples, reference_budgets)",
        )  # fmt: skip
    return dataclasses.replace(utility, parameters={**p, **bound})


def has(utility: Utility, kind: str) -> bool:
    """Whether a utility is, or is made of, one of some kind."""
    parts = [x for x in utility.parameters.values() if isinstance(x, Utility)]
    return utility.kind == kind or any(has(part, kind) for part in parts)


def valued(utility: Utility, value: float | None) -> Utility:
    """Tell every profit without a value of its own what a unit of outcome is worth.

    Args:
        utility: The utility.
        value: Money per unit of outcome; None: not known, the profit then refuses to be.
    """
    parts = {
        name: valued(x, value) if isinstance(x, Utility) else x
        for name, x in utility.parameters.items()
    }
    if utility.kind == "profit" and parts["value"] is None:
        parts["value"] = value
    return dataclasses.replace(utility, parameters=parts)


def plain(value: Any) -> Smooth:
    """A value that proves nothing."""
    return Smooth(value, value)


def is_number(value: Any) -> bool:
    """Whether a value is one number: Python's, NumPy's or a JAX scalar."""
    kinds = (int, float, np.number, np.ndarray, jax.Array)
    return isinstance(value, kinds) and np.ndim(value) == 0 and not isinstance(value, bool)


def _lifted(value: Any) -> Any:
    """Numbers as constant utilities."""
    if isinstance(value, Utility):
        return value
    if not is_number(value):
        return NotImplemented
    value = number("number added to a utility", value, fix="mean_response() - 100.0")
    return Utility({"value": value}, "constant", _constant_kernel, True, True)


def _constant_kernel(p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
    return plain(jnp.asarray(p["value"], samples.dtype))


def _scaled(factor: Any, of: Utility) -> Utility:
    """Factors of factors and of constants are multiplied out."""
    factor = number("factor of a utility", factor, fix="2.0 * mean_response()")
    if of.kind == "constant":
        return dataclasses.replace(
            of, parameters={"value": factor * of.parameters["value"]}
        )
    if of.kind == "scaled":
        factor, of = factor * of.parameters["factor"], of.parameters["of"]
    return dataclasses.replace(
        of,
        parameters={"factor": factor, "of": of},
        kind="scaled",
        function=_scaled_kernel,
        concave=factor >= 0 and of.concave,
        concave_at_total=factor >= 0 and of.concave_at_total,
    )


def _scaled_kernel(p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
    found = p["of"].smooth(samples, budgets, how)
    return Smooth(p["factor"] * found.value, p["factor"] * found.ceiling)


def _sum(left: Utility, right: Utility) -> Utility:
    return Utility(
        {"left": left, "right": right},
        "sum",
        _sum_kernel,
        left.concave and right.concave,
        left.concave_at_total and right.concave_at_total,
        left.per_channel or right.per_channel,
        left.needs_smoothing or right.needs_smoothing,
    )


def _sum_kernel(p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
    left, right = (p[side].smooth(samples, budgets, how) for side in ("left", "right"))
    return Smooth(left.value + right.value, left.ceiling + right.ceiling)


def _product(left: Utility, right: Utility) -> Utility:
    both = _sum(left, right)
    return dataclasses.replace(
        both,
        kind="product",
        function=_product_kernel,
        concave=False,
        concave_at_total=False,
    )


def _product_kernel(p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
    left, right = (p[side].smooth(samples, budgets, how) for side in ("left", "right"))
    return plain(left.value * right.value)


def _text(utility: Utility, bracket: bool = False) -> str:
    """A formula; `bracket` where a sum or a product would be read differently."""
    p, kind = utility.parameters, utility.kind
    if kind == "sum":
        right = _text(p["right"], p["right"].kind == "sum")
        sign = "-" if right.startswith("-") else "+"
        text = f"{_text(p['left'])} {sign} {right.removeprefix('-')}"
        return f"({text})" if bracket else text
    if kind == "product":
        right = _text(p["right"], True)
        right = f"({right})" if p["right"].kind in ("product", "scaled") else right
        return f"{_text(p['left'], True)} * {right}"
    if kind == "scaled":
        factor, of = _figure(p["factor"]), _text(p["of"], True)
        if factor in ("1", "-1"):
            return factor.removesuffix("1") + of
        return f"{factor} * {of}"
    if kind == "constant":
        return _figure(p["value"])
    if getattr(utility.function, "is_custom", False):
        return kind
    return f"{kind}({', '.join(f'{name}={_figure(x)}' for name, x in p.items())})"


def _figure(value: Any) -> str:
    if isinstance(value, (int, float, np.number)):
        short = f"{float(value):.12g}"
        return short if float(short) == value else repr(float(value))
    return f"<{np.shape(value)[0]} draws>" if np.ndim(value) else str(value)
