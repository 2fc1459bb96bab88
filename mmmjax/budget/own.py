"""Utilities of users: functions made into utilities, and tried out before they are used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mmmjax.budget.algebra import Utility, Values, bind, is_number, plain
from mmmjax.budget.smoothing import Smooth, Smoothing
from mmmjax.checks import InputError, Phrase, fail

__all__ = ["by_channel", "check", "custom"]

DRAWS = 32  # made-up draws of a trial
ALLOWED = "a function of jax.numpy, (samples, budgets) -> one number"


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
    is_custom = True

    def __call__(self, p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
        draws = samples.sum(-1)
        if self.per_channel:
            draws = by_channel(samples, budgets, self.name)
        value = self.function(draws, budgets)
        if not (isinstance(value, jax.Array) or is_number(value)):
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
        fail(
            "samples",
            Phrase(f"{samples.shape[1]} columns for {budgets.shape[0]} channels"),
            f"in {name}",
            "samples (draw, channel)",
            "keep the samples of each channel apart, do not sum them",
        )
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
    if not _has_custom(utility):
        return utility
    rng = np.random.default_rng(0)
    given = samples is not None
    x = rng.uniform(50.0, 150.0, (DRAWS, n_channels)) if samples is None else samples
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
            fail("utility", Phrase(got), f"in {utility}", ALLOWED, fix)
        except Exception as error:
            said = (str(error).splitlines() or [""])[0][:120]
            got = f"a function that raises {type(error).__name__}: {said}"
            shapes = x.shape if utility.per_channel else x.shape[:1], money.shape
            fix = f"call it with arrays of shapes {shapes[0]} and {shapes[1]}"
            fail("utility", Phrase(got), f"in {utility}", ALLOWED, fix)
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


def _has_custom(utility: Utility) -> bool:
    inner = (x for x in utility.parameters.values() if isinstance(x, Utility))
    return isinstance(utility.function, _Custom) or any(map(_has_custom, inner))
