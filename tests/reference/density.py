"""The log density of the model by hand: plain loops in NumPy and SciPy, slow and obvious.

Shares no code with mmmjax. Everything is in float64 and in the scaled units of the model.
``dims`` maps a parameter's name to its dimensions, a subset of ("geo", "channel",
"control", "fourier") in that order; a parameter array has one axis for each.
"""

import math

import numpy as np
from scipy.special import betaln, erfcx, gammaln, log_ndtr

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


# -- prior families: elementwise log densities ------------------------------------------


def normal(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - HALF_LOG_2PI


def laplace(x, loc, scale):
    return -np.abs(x - loc) / scale - np.log(2 * scale)


def student_t(x, df, loc, scale):
    z = (x - loc) / scale
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * math.pi)
    return constant - np.log(scale) - (df + 1) / 2 * np.log1p(z**2 / df)


def half_normal(x, scale):
    return math.log(2) + normal(x, 0.0, scale)


def half_cauchy(x, scale):
    return math.log(2 / math.pi) - np.log(scale) - np.log1p((x / scale) ** 2)


def exponential(x, rate):
    return np.log(rate) - rate * x


def gamma(x, concentration, rate):
    a, b = concentration, rate
    return a * np.log(b) - gammaln(a) + (a - 1) * np.log(x) - b * x


def inverse_gamma(x, concentration, rate):
    a, b = concentration, rate
    return a * np.log(b) - gammaln(a) - (a + 1) * np.log(x) - b / x


def log_normal(x, loc, scale):
    return normal(np.log(x), loc, scale) - np.log(x)


def beta(x, concentration1, concentration0):
    a, b = concentration1, concentration0
    return (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b)


def logit_normal(x, loc, scale):
    return normal(np.log(x / (1 - x)), loc, scale) - np.log(x * (1 - x))


def uniform(x, low, high):
    return -np.log(high - low) + 0 * x


def truncated_both(x, loc, scale, low, high):
    """Normal kept to [low, high]; the mass between by the smaller of the two tails."""
    a, b = (low - loc) / scale, (high - loc) / scale
    a, b = np.where(a > 0, -b, a), np.where(a > 0, -a, b)  # reflect to the lower side
    mass = log_ndtr(b) + np.log1p(-np.exp(log_ndtr(a) - log_ndtr(b)))
    return normal(x, loc, scale) - mass


FAMILIES = {
    "Normal": normal,
    "Laplace": laplace,
    "StudentT": student_t,
    "HalfNormal": half_normal,
    "NegativeHalfNormal": half_normal,
    "HalfCauchy": half_cauchy,
    "Exponential": exponential,
    "Gamma": gamma,
    "InverseGamma": inverse_gamma,
    "LogNormal": log_normal,
    "Beta": beta,
    "LogitNormal": logit_normal,
    "Uniform": uniform,
    "TruncatedNormal": truncated_both,
}


# -- outcome: elementwise log densities --------------------------------------------------


def truncated_below(y, mu, sigma, low):
    """Normal(mu, sigma) kept to y >= low, exact however far mu lies below the bound.

    With t = (y - low) / sigma and m = (mu - low) / sigma < 0, Phi(m) is
    erfcx(-m / sqrt 2) exp(-m^2 / 2) / 2, and the exponent cancels that of the square.
    """
    t, m = (y - low) / sigma, (mu - low) / sigma
    below = np.minimum(m, 0.0)
    far = t * below - 0.5 * t**2 - np.log(0.5 * erfcx(-below / math.sqrt(2)))
    near = -0.5 * ((y - mu) / sigma) ** 2 - log_ndtr(np.maximum(m, 0.0))
    return np.where(m < 0, far, near) - np.log(sigma) - HALF_LOG_2PI


# -- mean --------------------------------------------------------------------------------


def adstock(series, retention, max_lag, normalize=True):
    """Geometric adstock of one series by two loops; nothing is known before its start."""
    weights = [1.0 if lag == 0 else retention**lag for lag in range(max_lag)]
    total = sum(weights) if normalize else 1.0
    out = np.zeros(len(series))
    for t in range(len(series)):
        for lag in range(min(max_lag, t + 1)):
            out[t] += weights[lag] / total * series[t - lag]
    return out


def saturate(series, lam):
    """Logistic saturation of one series."""
    return np.array([-math.expm1(-lam * a) / (1 + math.exp(-lam * a)) for a in series])


def fourier(days_of_year, order):
    """Features (2 * order, time): sines of 1..order, then cosines."""
    rows = [[math.sin(2 * math.pi * n * d / 365.25) for d in days_of_year]
            for n in range(1, order + 1)]  # fmt: skip
    rows += [[math.cos(2 * math.pi * n * d / 365.25) for d in days_of_year]
             for n in range(1, order + 1)]  # fmt: skip
    return np.array(rows)


def value(params, dims, name, **place):
    """One scalar of a parameter, at a geo, channel, control or Fourier feature."""
    array = np.asarray(params[name], np.float64)
    return float(array[tuple(place[d] for d in dims[name])])


def media_effect(series, params, dims, g, c, *, max_lag, normalize, adstock_first):
    """Contribution of one channel in one geo, over all periods of the series."""
    here = {"geo": g, "channel": c}
    alpha = value(params, dims, "adstock_alpha", **here)
    lam = value(params, dims, "saturation_lam", **here)
    if adstock_first:
        effect = saturate(adstock(series, alpha, max_lag, normalize), lam)
    else:
        effect = adstock(saturate(series, lam), alpha, max_lag, normalize)
    return value(params, dims, "saturation_beta", **here) * effect


def mean(
    params, dims, *, media, controls, features, history, n_periods, n_geos,
    max_lag=1, normalize=True, adstock_first=True, trend=False,
):  # fmt: skip
    """Mean of the scaled outcome, (geo, time).

    Args:
        media: (geo, channel, history + time), or None.
        controls: (geo, control, time), or None.
        features: Fourier features (fourier, time), or None.
        history: Leading periods of media before the first period of the mean.
        trend: Whether a line in time, 0 at the first period and 1 at the last, is added.
    """
    mu = np.zeros((n_geos, n_periods))
    for g in range(n_geos):
        mu[g] += value(params, dims, "intercept", geo=g)
        if trend:
            slope = value(params, dims, "trend_slope", geo=g)
            mu[g] += slope * np.array([t / (n_periods - 1) for t in range(n_periods)])
        for c in range(0 if media is None else media.shape[1]):
            effect = media_effect(
                media[g, c], params, dims, g, c,
                max_lag=max_lag, normalize=normalize, adstock_first=adstock_first,
            )  # fmt: skip
            mu[g] += effect[history:]
        for k in range(0 if controls is None else controls.shape[1]):
            mu[g] += value(params, dims, "gamma_control", geo=g, control=k) * controls[g, k]
        for f in range(0 if features is None else features.shape[0]):
            mu[g] += value(params, dims, "gamma_fourier", geo=g, fourier=f) * features[f]
    return mu


def log_likelihood(kind, outcome, mu, params, dims, low=None):
    """Log density of every observed cell (geo, time); 0 where the outcome is missing.

    Args:
        kind: "normal", "truncated_normal" or "student_t".
        outcome: (geo, time), NaN where missing.
        low: Bound of the truncated normal, one per geo, scaled units.
    """
    out = np.zeros_like(mu)
    for g, t in zip(*np.nonzero(np.isfinite(outcome)), strict=True):
        y, m = outcome[g, t], mu[g, t]
        sigma = value(params, dims, "y_sigma", geo=g)
        if kind == "normal":
            out[g, t] = normal(y, m, sigma)
        elif kind == "truncated_normal":
            out[g, t] = truncated_below(y, m, sigma, low[g])
        else:
            out[g, t] = student_t(y, value(params, dims, "y_nu", geo=g), m, sigma)
    return out
