"""The response of a plan: constant spend over a window, its tail, and what came before.

Constant spend has few distinct adstocked levels: ``max_lag - 1`` ramp-up periods, one
steady level, ``max_lag - 1`` tail periods. The one forward function,
:func:`mmmjax.response.media_contribution`, is evaluated at those and the steady level
counts as often as it occurs: exact, and independent of the number of periods.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmmjax.draws import Fit
from mmmjax.response import media_contribution
from mmmjax.spec import Spec

__all__ = ["CarryIn", "Window", "levels", "make_window", "media_names", "response_of"]

type CarryIn = Literal["zero", "history"]


class Window(NamedTuple):
    """What the response of a plan needs besides its spend: arrays, no names.

    Args:
        draws: Media parameters of the planned channels by name, (draw, *dims).
        media_per_money: Scaled media that one unit of money buys in a period, (geo,
            channel).
        outcome: Outcome units of one scaled unit, (geo,).
        history: Scaled media of the periods before the window, (geo, channel, past), or
            of no period.
        spending: 1 in the levels where money is spent, 0 in the tail, (level,).
        periods: How many periods each level stands for, (level,).
    """

    draws: dict[str, Any]
    media_per_money: Any
    outcome: Any
    history: Any
    spending: Any
    periods: Any


def levels(periods: int, max_lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Spending pattern and multiplicity of the distinct levels of a window.

    The length is 2 max_lag - 1 whatever the window (an unused level has no spend left in
    its lags, and adds nothing), so that another horizon needs no other compilation.

    Args:
        periods: Length of the window, at least 1.
        max_lag: Periods an effect lasts, today included.

    Returns:
        (spending, multiplicity), both (2 max_lag - 1,): the level at index max_lag - 1 is
        the steady one of a window at least that long.
    """
    spending = np.zeros(2 * max_lag - 1)
    spending[: min(periods, max_lag)] = 1.0
    multiplicity = np.ones(2 * max_lag - 1)
    multiplicity[max_lag - 1] += max(periods - max_lag, 0)
    return spending, multiplicity


def media_names(spec: Spec) -> tuple[str, ...]:
    """Parameters of the forward function that act on media."""
    return (*spec.adstock.parameters, *spec.saturation.parameters, "saturation_beta")


def make_window(
    fit: Fit,
    periods: int,
    carry_in: CarryIn,
    cost_per_unit: Float[np.ndarray, "geo channel"],
    max_draws: int | None = None,
) -> Window:
    """Arrays of a window that follows training, for the paid channels of a fit.

    Args:
        fit: The fit.
        periods: Length of the window.
        carry_in: Whether the last max_lag - 1 training periods still act in the window.
        cost_per_unit: Money per unit of media of the paid channels.
        max_draws: Use at most this many draws, evenly spaced.
    """
    spec, panel, scale = fit.spec, fit.panel, fit.scale
    paid = np.flatnonzero(panel.paid)
    flat = fit.flat(max_draws)
    draws = {}
    for name in media_names(spec):
        dims = ("draw", *spec.dims(name))
        axis = dims.index("channel") if "channel" in dims else None
        values = flat[name] if axis is None else flat[name].take(paid, axis)
        draws[name] = np.asarray(values, np.float64)
    past = spec.adstock.max_lag - 1 if carry_in == "history" else 0
    before = max(len(panel.dates) - past, 0)
    media = np.swapaxes(panel.media[..., paid], 1, 2)[..., before:]
    media = np.pad(media, [(0, 0), (0, 0), (past - media.shape[-1], 0)])
    scales = scale.media[:, paid]
    return Window(
        draws,
        1.0 / (cost_per_unit * scales),
        np.asarray(scale.outcome, np.float64),
        media / scales[..., None],
        *levels(periods, spec.adstock.max_lag),
    )


def response_of(
    window: Window, spec: Spec, block: int
) -> Callable[[Float[Array, "geo channel"]], Float[Array, "draw geo channel"]]:
    """Response (outcome units) in every draw, geo and channel as a function of spend.

    With history it is the increment over spending nothing in the window, so that a plan
    is credited only with what it buys.

    Args:
        window: See :class:`Window`; it fixes the number of draws.
        spec: The model (its structure is enough).
        block: Draws evaluated at once; more are worked off block after block, keeping
            only the results, so that memory stays bounded (gradients recompute).

    Returns:
        Function of money a period (geo, channel).
    """
    history = jnp.asarray(window.history)
    n_draws = next(iter(window.draws.values())).shape[0]

    def gross(spend: Float[Array, "geo channel"]) -> Float[Array, "draw geo channel"]:
        media = (spend * window.media_per_money)[..., None] * window.spending
        media = jnp.concatenate([history, media], axis=-1)

        def one(draw: Any) -> Float[Array, "geo channel"]:
            effect = media_contribution(draw, media, spec)[..., history.shape[-1] :]
            return jnp.asarray(window.outcome)[:, None] * (effect @ window.periods)

        if n_draws <= block:
            return jax.vmap(one)(window.draws)
        return jax.lax.map(jax.checkpoint(one), window.draws, batch_size=block)

    if not history.shape[-1]:
        return gross
    idle = gross(jnp.zeros(history.shape[:2]))
    return lambda spend: gross(spend) - idle
