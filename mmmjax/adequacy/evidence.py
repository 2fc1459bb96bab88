"""What the checks look at: the draws of a fit run forwards once, in bounded memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Array

from mmmjax import response
from mmmjax.arrays import TIME, Arrays
from mmmjax.draws import Draws, Fit
from mmmjax.posterior.fold import fold
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["Evidence", "evidence"]

MOST, LEAST = 400, 50  # draws, evenly spaced: fewer where a draw is large
MEMORY = 64 * 2**20  # bytes of contributions held


@dataclass(frozen=True)
class Evidence:
    """Draws of what the model says of the training window, scaled units.

    Args:
        outcome: Observed, (geo, time), NaN where it was not.
        mu: Fitted mean, (draw, geo, time).
        channel: Contributions of media, (draw, geo, channel, time).
        baseline: Intercept and trend, (draw, geo, time).
        params: The same draws of the parameters.
        inputs: What the model saw.
        noise: Parameters of the likelihood at the middle of their posterior and what
            follows from them, (geo, 1).
        sigma: Size of the noise, (geo,).
        alone: Where effects do not add up, what each channel brings that is taken away
            alone, in the observed periods, (draw, channel), outcome units.
    """

    outcome: np.ndarray
    mu: np.ndarray
    channel: np.ndarray
    baseline: np.ndarray
    params: dict[str, np.ndarray]
    inputs: Arrays
    noise: dict[str, np.ndarray]
    sigma: np.ndarray
    alone: np.ndarray | None = None

    @property
    def seen(self) -> np.ndarray:
        """Whether the outcome was observed, (geo, time)."""
        return np.isfinite(self.outcome)


def evidence(fit: Fit) -> Evidence:
    """Run some of the draws of a fit forwards."""
    panel = fit.panel
    cells = panel.n_geos * panel.n_periods * (len(panel.channels) + 2)
    most = int(np.clip(MEMORY // (8 * cells), LEAST, MOST))
    params = fit.flat(most)
    fewer = replace(fit, draws=Draws({name: x[None] for name, x in params.items()}))
    dims = {n: (GEO, TIME) for n in ("mu", "baseline")}
    dims |= {n: (GEO, CHANNEL, TIME) for n in (CHANNEL, "alone")}
    found = fold(fewer, parts_of, by_geo=True, timed=dims)
    outcome = panel.outcome[:, panel.window] / fit.scale.outcome[:, None]
    law, mu, alone = fit.spec.likelihood, found["mu"], found.get("alone")
    if alone is not None:
        unit = fit.scale.outcome[:, None] * np.isfinite(outcome)
        alone = np.einsum("sgct,gt->sc", alone, unit)
    middle = law.central(params)
    noise = {
        name: np.broadcast_to(x, panel.n_geos)[:, None]
        for name, x in {**middle, **law.derived(middle)}.items()
    }
    return Evidence(
        outcome,
        mu=mu,
        channel=found["channel"],
        baseline=found["baseline"],
        params=params,
        inputs=fit.inputs(),
        noise=noise,
        sigma=law.spread(mu.mean(0), noise, law.target(panel, fit.scale))[:, 0],
        alone=alone,
    )


def parts_of(params: Mapping[str, Any], inputs: Arrays, spec: Spec) -> dict[str, Array]:
    parts = response.parts(params, inputs, spec)
    mu = response.total(parts)
    media = parts.get("channel", mu[:, None][:, :0])
    baseline = response.grouped(parts, spec, 1)["baseline"]
    out = {"mu": mu, "channel": media, "baseline": baseline}
    if not spec.likelihood.straight and "channel" in parts:
        found, back = response.components(params, inputs, spec), spec.likelihood.between
        rest = response.total(found)[:, None] - found["channel"]
        out["alone"] = mu[:, None] - back.inverse(rest)
    return out
