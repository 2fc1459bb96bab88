"""THE forward function: parameters and inputs to the mean of the outcome, by component.

The sampler differentiates it, contributions read it, curves sweep it, forecasts continue
it and the budget ascends it; the formula exists nowhere else. Everything is in scaled
units, time last; parameters are one draw (vmap over draws outside).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmmjax import checks
from mmmjax.panel import Panel
from mmmjax.scaling import Scale
from mmmjax.spec import Spec

__all__ = [
    "LINEAR",
    "Inputs",
    "carried",
    "components",
    "make_inputs",
    "mean",
    "media_contribution",
    "media_effect",
    "saturated",
    "sizes_of",
]

Params = Mapping[str, Any]

# The mean is affine in these; samplers may treat them as one linear block.
LINEAR = ("intercept", "trend_slope", "gamma_control", "gamma_fourier")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Inputs:
    """What the forward function needs besides parameters: arrays in scaled units.

    Args:
        media: (geo, channel, history + time), the first ``history`` periods are context.
        controls: (geo, control, time), as given.
        fourier: (2 * order, time), or (0, time) without seasonality.
        trend: (time,), 0 at the first and 1 at the last training period.
        history: Leading context periods of ``media``, dropped from every result.
    """

    media: Any
    controls: Any
    fourier: Any
    trend: Any
    history: int = field(default=0, metadata={"static": True})

    def astype(self, dtype: Any) -> "Inputs":
        """The same inputs in another float type."""
        return jax.tree.map(lambda x: np.asarray(x, dtype), self)

    def padded(self, history: int, periods: int) -> "Inputs":
        """The same inputs in arrays of other sizes, zeros where nothing was.

        Args:
            history: Context periods, at least as many as now; the new ones come first.
            periods: Periods, at least as many as now; the new ones come last.
        """
        before, after = history - self.history, periods - np.shape(self.trend)[-1]

        def pad(x: Any, first: int = 0) -> np.ndarray:
            return np.pad(x, [(0, 0)] * (np.ndim(x) - 1) + [(first, after)])

        return Inputs(
            pad(self.media, before), pad(self.controls), pad(self.fourier),
            pad(self.trend), history,
        )  # fmt: skip


def sizes_of(panel: Panel, spec: Spec) -> dict[str, int]:
    """Members of each dim: the sizes that :meth:`Spec.sites` and priors need."""
    return {
        "geo": panel.n_geos,
        "channel": len(panel.channels),
        "control": len(panel.control_names),
        "fourier": 2 * spec.seasonality.order if spec.seasonality else 0,
    }


def make_inputs(
    spec: Spec, panel: Panel, scale: Scale, after: Panel | None = None
) -> Inputs:
    """Arrays of a panel in scaled units (NumPy float64).

    Args:
        spec: The model.
        panel: Training panel, or a later one of the same channels, controls and geos.
        scale: Frozen at fit.
        after: The training panel that ``panel`` follows: its last ``max_lag - 1`` periods
            of media become context and the trend continues. None for the training panel
            itself, whose own media history is context.
    """
    media = np.swapaxes(panel.media / scale.media[:, None, :], 1, 2)
    start, n_train = 0, panel.n_periods
    history = panel.history
    if after is not None:
        if (panel.channels, panel.control_names, panel.geos) != (
            after.channels, after.control_names, after.geos,
        ):  # fmt: skip
            allowed = f"channels, controls and geos of the training panel: {after.channels}"
            checks.fail("panel", panel.channels, "forecast", allowed, "align the panel")
        history = min(spec.adstock.max_lag - 1, len(after.dates))
        past = np.swapaxes(after.media / scale.media[:, None, :], 1, 2)
        media = np.concatenate([past[..., past.shape[-1] - history :], media], axis=-1)
        start = n_train = after.n_periods
    dates = panel.dates if after is not None else panel.dates[history:]
    controls = np.swapaxes(panel.controls, 1, 2)[..., panel.history :]
    steps = start + np.arange(len(dates))
    fourier = (
        spec.seasonality.features(dates) if spec.seasonality else np.zeros((0, len(dates)))
    )
    return Inputs(
        media, controls, np.asarray(fourier), steps / max(n_train - 1, 1), history
    )


def align(value: Any, dims: tuple[str, ...], to: tuple[str, ...]) -> Any:
    """A parameter with ``dims`` as an array over ``to``, size 1 where it has no dim."""
    return jnp.asarray(value)[tuple(slice(None) if d in dims else None for d in to)]


def media_contribution(
    params: Params, media: Float[Array, "geo channel time"], spec: Spec
) -> Float[Array, "geo channel time"]:
    """Contribution of every channel: saturation_beta * saturation(adstock(media))."""
    names = (*spec.adstock.parameters, *spec.saturation.parameters, "saturation_beta")
    over = {n: align(params[n], spec.dims(n), ("geo", "channel")) for n in names}
    return media_effect(over, media, spec)


def media_effect(
    params: Params, media: Float[Array, "*cell time"], spec: Spec
) -> Float[Array, "*cell time"]:
    """:func:`media_contribution` of any cells, parameters broadcasting to ``*cell``."""
    if spec.adstock_first:
        return saturated(params, carried(params, media, spec), spec)
    scaled = params["saturation_beta"][..., None]
    return scaled * carried(params, spec.saturation(media, params), spec)


def carried(
    params: Params, media: Float[Array, "*cell time"], spec: Spec
) -> Float[Array, "*cell time"]:
    """Media carried over in time; linear in media, whatever the kernel."""
    return spec.adstock(media, params)


def saturated(
    params: Params, media: Float[Array, "*cell time"], spec: Spec
) -> Float[Array, "*cell time"]:
    """Effect of carried media, elementwise over time."""
    return params["saturation_beta"][..., None] * spec.saturation(media, params)


def components(params: Params, inputs: Inputs, spec: Spec) -> dict[str, Array]:
    """Mean of the outcome by component, scaled units, context periods dropped.

    Returns:
        ``intercept`` (geo, time), ``trend`` (geo, time) if the spec has one, ``channel``
        (geo, channel, time) and ``control`` (geo, control, time) if the panel has any,
        ``seasonality`` (geo, time) if the spec has it.
    """
    shape = (inputs.media.shape[0], inputs.trend.shape[-1])

    def over(name: str, *to: str) -> Any:
        return align(params[name], spec.dims(name), to)

    out = {"intercept": jnp.broadcast_to(over("intercept", "geo")[:, None], shape)}
    if spec.trend:
        slope = over("trend_slope", "geo")
        out["trend"] = jnp.broadcast_to(slope[:, None] * inputs.trend, shape)
    if inputs.media.shape[1]:
        out["channel"] = media_contribution(params, inputs.media, spec)[
            ..., inputs.history :
        ]
    if inputs.controls.shape[1]:
        out["control"] = (
            over("gamma_control", "geo", "control")[..., None] * inputs.controls
        )
    if spec.seasonality:
        wave = over("gamma_fourier", "geo", "fourier") @ inputs.fourier
        out["seasonality"] = jnp.broadcast_to(wave, shape)
    return out


def mean(params: Params, inputs: Inputs, spec: Spec) -> Float[Array, "geo time"]:
    """Mean of the outcome (of mu, before truncation): the sum of :func:`components`."""
    return total(components(params, inputs, spec))


def total(parts: Mapping[str, Array]) -> Array:
    """Sum of components over components, channels and controls: (geo, time)."""
    flat = [v.sum(axis=1) if v.ndim == 3 else v for v in parts.values()]
    return sum(flat[1:], start=flat[0])
