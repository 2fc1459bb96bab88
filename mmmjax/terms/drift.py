"""The term of a level that moves slowly: a Gaussian process in its Hilbert-space basis."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmmjax import checks
from mmmjax.panel import Panel
from mmmjax.prior import Parameter, Prior
from mmmjax.terms.base import Frame, Group, Named, Term

__all__ = ["Drift"]

MATERN = {"matern32": 1.5, "matern52": 2.5}
"""Smoothness by kernel."""
LENGTH = Prior("InverseGamma", concentration=5.0, rate=2.0)  # 0.22 to 1.0: 90%


def sines(
    t: Float[np.ndarray, " time"], basis: int, edge: float
) -> Float[np.ndarray, "basis time"]:
    """Functions of the box from -edge to edge, where training is -1/2 to 1/2."""
    omega = np.arange(1, basis + 1) * math.pi / (2 * edge)
    return np.sin(omega[:, None] * (t + edge)) / math.sqrt(edge)


def density_root(kernel: str, length: Any, omega: Any) -> Array:
    """Root of the spectral density at frequencies, of a process of size 1."""
    if kernel in MATERN:
        nu = MATERN[kernel]
        rate = jnp.sqrt(2 * nu) / length
        size = 2 * math.sqrt(math.pi) * math.gamma(nu + 0.5) / math.gamma(nu)
        density = size * rate ** (2 * nu) / (rate**2 + omega**2) ** (nu + 0.5)
        return jnp.sqrt(density)
    root = jnp.exp(-0.25 * (length * omega) ** 2)
    return jnp.sqrt(math.sqrt(2 * math.pi) * length) * root


@dataclass(frozen=True)
class Drift(Term):
    r"""A baseline that drifts: $\sigma \sum_k \sqrt{S(\omega_k; \ell)} z_k \phi_k(t)$.

    It is a Gaussian process with size $\sigma$ and length $\ell$, and continues in a
    forecast, where it goes back to 0 within some lengths.

    Args:
        basis: Functions; 12 show lengths from a fifth of the training window on.
        edge: Half-width of the box of the basis, training windows: from it on, a window
            after training at 1.5, the drift is 0.
        kernel: Covariance: "squared_exponential", smooth; "matern52" and "matern32",
            rougher, which take more functions (24).
        name: Its name in results.

    Source: Riutort-Mayol et al. (2022), "Practical Hilbert space approximate Bayesian
    Gaussian processes for probabilistic programming", eq. 4 to 8.
    """

    kind: ClassVar[str] = "drift"
    group: ClassVar[Group] = "baseline"
    dims: ClassVar[tuple[str, ...]] = ("drift",)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "phi": (("drift", "time"), "sines over training and beyond"),
        "omega": (("drift",), "their frequencies"),
    }
    basis: int = 12
    edge: float = 1.5
    kernel: str = "squared_exponential"
    name: str = "drift"

    def __post_init__(self) -> None:
        """Refuse what is no basis."""
        basis = checks.integer(f"{self.name} basis", self.basis, low=1, fix="basis = 12")
        size = checks.number(
            f"{self.name} edge", self.edge, low=0.5, open_low=True, fix="edge = 1.5"
        )
        checks.choice("kernel", self.kernel, ("squared_exponential", *MATERN))
        object.__setattr__(self, "basis", basis)
        object.__setattr__(self, "edge", size)

    def parameters(self) -> Mapping[str, Parameter]:
        """A tenth of the best week in size, a fifth of the window to all of it in length.

        A shorter length would follow single campaigns and take their effect.
        """
        return {
            "drift_scale": Parameter((), Prior("HalfNormal", scale=0.1), "positive"),
            "drift_length": Parameter((), LENGTH, "positive"),
            "drift_offset": Parameter(("drift",), Prior("Normal", loc=0.0, scale=1.0)),
        }

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """1 .. basis."""
        return {"drift": tuple(str(k) for k in range(1, self.basis + 1))}

    def inputs(self, frame: Frame) -> Named:
        """Functions of the box, and their frequencies; training is -1/2 to 1/2 in it."""
        steps = frame.start + np.arange(len(frame.dates))
        t = np.minimum(steps / max(frame.n_train - 1, 1) - 0.5, self.edge)
        omega = np.arange(1, self.basis + 1) * math.pi / (2 * self.edge)
        phi = sines(t, self.basis, self.edge)
        return {"phi": (phi, ("drift", "time")), "omega": (omega, ("drift",))}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """(geo, time)."""
        length, scale = p["drift_length"][:, None], p["drift_scale"][:, None]
        root = density_root(self.kernel, length, x["omega"])
        return (scale * root * p["drift_offset"]) @ x["phi"]

    def formula(self) -> str:
        """As a process over time."""
        return "GP(drift_scale, drift_length): drift_offset @ phi(omega)"
