"""The record of a utility, how utilities add and scale, and functions of users as such.

See :mod:`mmmjax.budget.utility`.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mmmjax.budget.smoothing import Smooth, Smoothing
from mmmjax.checks import InputError, Phrase, fail, number

__all__ = [
    "Kernel",
    "Utility",
    "Values",
    "bind",
    "by_channel",
    "check",
    "custom",
    "has",
    "plain",
    "valued",
]

type Samples = Float[ArrayLike, " draw *channel"]
type Values = Mapping[str, Any]
type Kernel = Callable[[Values, Array, Array, Smoothing], Smooth]

_STATIC = {"static": True}
TRIED = 32  # made-up draws of a trial
TRACED = "a function of jax.numpy, (samples, budgets) -> one number"


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
        return _scaled(other, self) if _is_number(other) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Utility":
        """Quotient by a number."""
        if not _is_number(other):
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
    return any(part.kind == kind for part in _parts(utility))


def _parts(utility: Utility) -> Iterator[Utility]:
    """The utility and all that it is made of."""
    yield utility
    for x in utility.parameters.values():
        if isinstance(x, Utility):
            yield from _parts(x)


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


def _is_number(value: Any) -> bool:
    """Whether a value is one number: Python's, NumPy's or a JAX scalar."""
    kinds = (int, float, np.number, np.ndarray, jax.Array)
    return isinstance(value, kinds) and np.ndim(value) == 0 and not isinstance(value, bool)


def _lifted(value: Any) -> Any:
    """Numbers as constant utilities."""
    if isinstance(value, Utility):
        return value
    if not _is_number(value):
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
    if isinstance(utility.function, _Custom):
        return kind
    return f"{kind}({', '.join(f'{name}={_figure(x)}' for name, x in p.items())})"


def _figure(value: Any) -> str:
    if isinstance(value, (int, float, np.number)):
        short = f"{float(value):.12g}"
        return short if float(short) == value else repr(float(value))
    return f"<{np.shape(value)[0]} draws>" if np.ndim(value) else str(value)


def custom(
    function: Any,
    concave: bool = False,
    per_channel: bool = False,
    name: str | None = None,
) -> Utility:
    """A utility of your own.

    Args:
        function: (samples (draw,), budgets (channel,)) -> scalar, in jax.numpy; outcome
            units and money. It is used as it is: smoothing does nothing to it.
        concave: You promise that it is concave, and increasing in the samples: plans are
            then certified on your word.
        per_channel: It takes samples (draw, channel).
        name: What to call it; None: the function's name.
    """
    fix = "mm.utility.custom(lambda samples, budgets: samples.mean())"
    allowed = "a function (samples, budgets) -> scalar"
    if not callable(function) or isinstance(function, (type, Utility)):
        fail("function", function, "in custom", allowed, fix)
    try:
        hash(function)
    except TypeError:
        fail("function", function, "in custom", f"{allowed} that can be hashed", fix)
    if name is not None and not (isinstance(name, str) and name.strip()):
        fail("name", name, "in custom", "a text", 'name="cautious"')
    title = name or getattr(function, "__name__", type(function).__name__)
    kernel = _Custom(function, per_channel, title)
    return Utility({}, title, kernel, concave, concave, per_channel)


@dataclass(frozen=True)
class _Custom:
    """Kernel of a user's function; two of the same function compile once."""

    function: Callable[[Any, Any], Any]
    per_channel: bool
    name: str

    def __call__(self, p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
        draws = samples.sum(-1)
        if self.per_channel:
            draws = by_channel(samples, budgets, self.name)
        value = self.function(draws, budgets)
        if not (isinstance(value, jax.Array) or _is_number(value)):
            self._refuse(Phrase(f"{type(value).__name__} as result"))
        if np.shape(value):
            self._refuse(Phrase(f"a result of shape {np.shape(value)}"))
        if jnp.iscomplexobj(value):
            self._refuse(Phrase("a complex result"))
        return plain(jnp.asarray(value, samples.dtype))

    def _refuse(self, got: Phrase) -> NoReturn:
        fail("utility", got, f"in {self.name}", "one number", "return samples.mean()")


def by_channel(samples: Array, budgets: Array, name: str) -> Array:
    """The samples, refused where they are summed over channels already."""
    if samples.shape[1] != budgets.shape[0]:
        got = Phrase(f"{samples.shape[1]} columns for {budgets.shape[0]} channels")
        fix = "keep the samples of each channel apart, do not sum them"
        fail("samples", got, f"in {name}", "samples (draw, channel)", fix)
    return samples


def check(
    utility: Utility,
    n_channels: int,
    samples: Float[ArrayLike, "draw channel"] | None = None,
    budgets: Float[ArrayLike, " channel"] | None = None,
) -> Utility:
    """Try the functions of users in a utility once, traced and differentiated.

    Args:
        utility: The utility; without functions of users there is nothing to try.
        n_channels: Channels of the plan.
        samples: Response to try it on; None: made-up numbers around 100.
        budgets: Money to try it on; None: made-up numbers around 10.

    Returns:
        The utility.

    Raises:
        InputError: A function that cannot be traced, raises, or gives a vector or a number
            that is not finite.
    """
    if not any(isinstance(part.function, _Custom) for part in _parts(utility)):
        return utility
    rng = np.random.default_rng(0)
    given = samples is not None
    x = rng.uniform(50.0, 150.0, (TRIED, n_channels)) if samples is None else samples
    money = rng.uniform(5.0, 15.0, n_channels) if budgets is None else budgets
    with jax.enable_x64(True):
        x, money = jnp.asarray(x, float), jnp.asarray(money, float)
        try:
            value, slopes = _trial(bind(utility, x, money), x, money)
        except InputError:
            raise
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
            got = f"a function that cannot be traced ({type(error).__name__})"
            fix = (
                "use jnp.quantile for np.quantile, jnp.where for if, no float() or .item()"
            )
            fail("utility", Phrase(got), f"in {utility}", TRACED, fix)
        except Exception as error:
            said = (str(error).splitlines() or [""])[0][:120]
            got = f"a function that raises {type(error).__name__}: {said}"
            shapes = x.shape if utility.per_channel else x.shape[:1], money.shape
            fix = f"call it with arrays of shapes {shapes[0]} and {shapes[1]}"
            fail("utility", Phrase(got), f"in {utility}", TRACED, fix)
    finite = [bool(jnp.isfinite(leaf).all()) for leaf in (value, *slopes)]
    if not all(finite):
        what = float(value) if not finite[0] else Phrase("a gradient that is not finite")
        where = f"{'the reference' if given else 'made-up numbers'}, in {utility}"
        fix = "guard logarithms, roots and divisions: jnp.log(jnp.maximum(x, 1e-12))"
        fail("utility", what, where, "a finite number with a finite gradient", fix)
    return utility


@jax.jit
def _trial(utility: Utility, samples: Array, budgets: Array) -> Any:
    def value(samples: Array, budgets: Array) -> Array:
        return utility.smooth(samples, budgets, Smoothing(0.1, 100.0)).value

    return jax.value_and_grad(value, (0, 1))(samples, budgets)
