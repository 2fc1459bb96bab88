"""Kinds as a user of the library writes them, in a module of theirs; none registered."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import mmmjax as mm
from mmmjax.terms import Parameter


@dataclass(frozen=True)
class Hyperbolic(mm.adstock.Adstock):
    """Weights (1 + lag)^-decay, which sum to one: a long tail."""

    kind: ClassVar[str] = "hyperbolic"
    max_lag: int = 6

    def parameters(self):
        prior = mm.Prior("Gamma", concentration=4.0, rate=2.0)
        return {"adstock_decay": Parameter(("channel",), prior, "positive")}

    def weights(self, params):
        raw = (1.0 + jnp.arange(self.max_lag)) ** -params["adstock_decay"][..., None]
        return raw / raw.sum(-1, keepdims=True)

    def concave(self, params):
        return {"adstock_decay is negative": params["adstock_decay"] >= 0}


@dataclass(frozen=True)
class Weibull(mm.saturation.Saturation):
    """1 - exp(-(x / width)^shape): an S, so not concave."""

    kind: ClassVar[str] = "weibull"
    shape: float = 2.0

    def parameters(self):
        prior = mm.Prior("Gamma", concentration=3.0, rate=6.0)
        return {"saturation_width": Parameter(("channel",), prior, "positive")}

    def __call__(self, media, params):
        return 1.0 - jnp.exp(
            -((media / params["saturation_width"][..., None]) ** self.shape)
        )


@dataclass(frozen=True)
class Exponential(Weibull):
    """Weibull of shape 1, which is concave and says so."""

    kind: ClassVar[str] = "weibull_of_one"
    shape: float = 1.0

    def concave(self, params):
        return {"saturation_width is negative": params["saturation_width"] >= 0}


@dataclass(frozen=True)
class Steps(mm.terms.Term):
    """The level changes at some periods since the start of training."""

    kind: ClassVar[str] = "shifts"
    group: ClassVar[str] = "baseline"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    data: ClassVar[dict] = {"since": (("step", "time"), "0 before, 1 after")}
    name: str = "shifts"
    knots: tuple[float, ...] = (8.0,)

    def parameters(self):
        prior = mm.Prior("Normal", loc=0.0, scale=0.2)
        return {"step_height": Parameter(("step",), prior, linear=True)}

    def labels(self, panel):
        return {"step": tuple(f"{k:g}" for k in self.knots)}

    def inputs(self, frame):
        t = frame.start + np.arange(len(frame.dates))
        since = np.array([t >= k for k in self.knots], float)
        return {"since": (since, ("step", "time"))}

    def __call__(self, p, x):
        return p["step_height"] @ x["since"]


@dataclass(frozen=True)
class Logistic(mm.likelihood.Likelihood):
    """Logistic noise, its scale a multiple of y_sigma that is a number of the record."""

    kind: ClassVar[str] = "logistic_noise"
    heavier: float = 0.5

    def law(self, mean, p, target):
        return dist.Logistic(mean, self.heavier * p["y_sigma"])


@dataclass(frozen=True)
class Base(mm.facts.Fact):
    """The level of the outcome without media is about known, shares of the best week."""

    kind: ClassVar[str] = "base"
    share: tuple[float, float]  # mean and standard deviation
    until: str | None = None

    def arrays(self, panel, scale, spec):
        return {"share": np.array(self.share)}

    @staticmethod
    def log_density(p, x, spec, inputs):
        z = (p["intercept"].mean() - x["share"][0]) / x["share"][1]
        return -0.5 * z**2 - jnp.log(x["share"][1])


EVERY = (Hyperbolic, Weibull, Exponential, Steps, Logistic)


def cautious(samples, budgets):
    """A utility: mean less a standard deviation."""
    return samples.mean() - samples.std()
