"""Families of distributions as priors name them, before they have numbers."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
import numpyro.distributions as dist
from scipy import special, stats

from mmmjax import laws

__all__ = ["FAMILIES", "HORSESHOE", "Family", "Support"]

Support = Literal["real", "positive", "negative", "unit", "interval"]


class Family(NamedTuple):
    """What is known of one distribution family before it has numbers."""

    make: Callable[..., dist.Distribution]
    names: tuple[str, ...]
    support: Support
    quantile: Callable[..., Any]  # of probability q and the hyperparameters, in NumPy
    aliases: Mapping[str, str] = {}
    optional: Mapping[str, float] = {}
    positive: tuple[str, ...] = ("scale",)
    # hyperparameters that may be priors: value = link.inverse(loc + scale * offset), offset
    # of the standard member of the family ``base``, or of this one
    nests: tuple[str, ...] = ()
    base: str = ""
    link: laws.Link = laws.IDENTITY


def _together(*_: Any, **values: Any) -> NoReturn:
    """Of a family whose members have a law only together."""
    raise NotImplementedError(f"no law of one member alone: {values}")


HORSESHOE = "Horseshoe"
_LOC_SCALE = {"mu": "loc", "sigma": "scale", "b": "scale"}
_BETA = {"alpha": "concentration1", "a": "concentration1", "beta": "concentration0",
         "b": "concentration0"}  # fmt: skip
_GAMMA = {"alpha": "concentration", "beta": "rate"}

FAMILIES: dict[str, Family] = {
    "Normal": Family(
        dist.Normal,
        ("loc", "scale"),
        "real",
        lambda q, loc, scale: loc + scale * special.ndtri(q),
        _LOC_SCALE,
        {"loc": 0.0},
        nests=("loc", "scale"),
    ),
    "Laplace": Family(
        dist.Laplace,
        ("loc", "scale"),
        "real",
        lambda q, loc, scale: loc - scale * np.sign(q - 0.5) * np.log1p(-abs(2 * q - 1)),
        _LOC_SCALE,
        {"loc": 0.0},
        nests=("loc", "scale"),
    ),
    "StudentT": Family(
        laws.StudentT,
        ("df", "loc", "scale"),
        "real",
        lambda q, df, loc, scale: loc + scale * special.stdtrit(df, q),
        _LOC_SCALE | {"nu": "df"},
        {"loc": 0.0},
        ("df", "scale"),
        ("loc", "scale"),
    ),
    "HalfNormal": Family(
        dist.HalfNormal,
        ("scale",),
        "positive",
        lambda q, scale: scale * special.ndtri(0.5 + 0.5 * q),
        {"sigma": "scale"},
        nests=("scale",),
    ),
    "NegativeHalfNormal": Family(
        laws.NegativeHalfNormal,
        ("scale",),
        "negative",
        lambda q, scale: scale * special.ndtri(0.5 * q),
        {"sigma": "scale"},
        nests=("scale",),
    ),
    "HalfCauchy": Family(
        dist.HalfCauchy,
        ("scale",),
        "positive",
        lambda q, scale: scale * np.tan(0.5 * np.pi * q),
        nests=("scale",),
    ),
    "Exponential": Family(
        dist.Exponential,
        ("rate",),
        "positive",
        lambda q, rate: -np.log1p(-q) / rate,
        {"lam": "rate"},
        positive=("rate",),
    ),
    "Gamma": Family(
        laws.Gamma,
        ("concentration", "rate"),
        "positive",
        lambda q, concentration, rate: special.gammaincinv(concentration, q) / rate,
        _GAMMA,
        positive=("concentration", "rate"),
    ),
    "InverseGamma": Family(
        laws.InverseGamma,
        ("concentration", "rate"),
        "positive",
        lambda q, concentration, rate: rate / special.gammainccinv(concentration, q),
        _GAMMA,
        positive=("concentration", "rate"),
    ),
    "LogNormal": Family(
        dist.LogNormal,
        ("loc", "scale"),
        "positive",
        lambda q, loc, scale: np.exp(loc + scale * special.ndtri(q)),
        _LOC_SCALE,
        nests=("loc", "scale"),
        base="Normal",
        link=laws.LOG,
    ),
    "LogitNormal": Family(
        laws.LogitNormal,
        ("loc", "scale"),
        "unit",
        lambda q, loc, scale: special.expit(loc + scale * special.ndtri(q)),
        _LOC_SCALE,
        nests=("loc", "scale"),
        base="Normal",
        link=laws.LOGIT,
    ),
    "Beta": Family(
        laws.Beta,
        ("concentration1", "concentration0"),
        "unit",
        lambda q, concentration1, concentration0: special.betaincinv(
            concentration1, concentration0, q
        ),
        _BETA,
        positive=("concentration1", "concentration0"),
    ),
    "Uniform": Family(
        dist.Uniform,
        ("low", "high"),
        "interval",
        lambda q, low, high: low + (high - low) * q,
        {"lower": "low", "upper": "high"},
        positive=(),
    ),
    "TruncatedNormal": Family(
        lambda loc, scale, low, high: dist.TruncatedNormal(loc, scale, low=low, high=high),
        ("loc", "scale", "low", "high"),
        "interval",
        lambda q, loc, scale, low, high: stats.truncnorm.ppf(
            q, (low - loc) / scale, (high - loc) / scale, loc, scale
        ),
        _LOC_SCALE | {"lower": "low", "upper": "high"},
    ),
    HORSESHOE: Family(
        _together,
        ("relevant", "slab"),
        "real",
        _together,
        optional={"slab": 0.5},
        positive=("relevant", "slab"),
        base="Normal",
    ),
}
