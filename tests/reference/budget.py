"""Slow NumPy oracle of budgets: the mean response of constant spend, and its optimum.

Written from the equations (adstock, logistic saturation, organic channels apart), period
by period over the whole window and tail; shares no code with the library.
"""

import numpy as np


def carried(x, alpha, max_lag, normalize=True):
    """Geometric adstock of one series by its definition."""
    w = np.array([alpha**k for k in range(max_lag)])
    w = w / w.sum() if normalize else w
    return np.array(
        [sum(w[k] * x[t - k] for k in range(max_lag) if t >= k) for t in range(len(x))]
    )


def response(fit, spend, periods, history=None):
    """Response (draw,) to spend (geo, paid channel; money over the window).

    `history` (geo, channel, past) is scaled media of the periods before; with it the
    response is the increment over spending nothing.
    """
    spec, scale, flat = fit.spec, fit.scale, fit.flat()
    lag, paid = spec.adstock.max_lag, np.flatnonzero(fit.panel.paid)
    n_draws = len(flat["saturation_beta"])
    total = np.zeros(n_draws)
    for d in range(n_draws):
        for g in range(spend.shape[0]):
            for i, c in enumerate(paid):
                alpha, lam, beta = (
                    value(fit, flat, name, d, g, c)
                    for name in ("adstock_alpha", "saturation_lam", "saturation_beta")
                )
                media = (
                    spend[g, i] / periods / scale.cost_per_unit[g, c] / scale.media[g, c]
                )
                before = np.zeros(0) if history is None else history[g, c]
                now = np.concatenate([np.full(periods, media), np.zeros(lag - 1)])

                bought, idle = (
                    effect(spec, np.concatenate([before, x]), alpha, lam)
                    for x in (now, 0 * now)
                )
                effect_sum = (bought - idle)[len(before) :].sum()
                total[d] += beta * effect_sum * scale.outcome[g]
    return total


def effect(spec, x, alpha, lam):
    """Adstock and saturation of one series in the order of the spec."""
    if spec.adstock_first:
        return np.tanh(lam * carried(x, alpha, spec.adstock.max_lag) / 2)
    return carried(np.tanh(lam * x / 2), alpha, spec.adstock.max_lag)


def value(fit, flat, name, draw, geo, channel):
    """One parameter of one draw, whatever its dims."""
    place = {"geo": geo, "channel": channel}
    return flat[name][draw][tuple(place[dim] for dim in fit.spec.dims(name))]


def separable(fit, periods):
    """Mean response and marginal response of each variable apart, vectorised.

    Zero carry-in, adstock first, parameters per channel. Returns a function of spend
    (geo, paid channel; money over the window) -> (mean response, derivative), each
    (geo, paid channel).
    """
    flat, scale, paid = fit.flat(), fit.scale, np.flatnonzero(fit.panel.paid)
    lag = fit.spec.adstock.max_lag
    alpha, lam, beta = (
        np.asarray(flat[n], float)[:, paid]
        for n in ("adstock_alpha", "saturation_lam", "saturation_beta")
    )
    pattern = np.concatenate([np.ones(periods), np.zeros(lag - 1)])
    level = np.zeros((*alpha.shape, len(pattern)))
    for d, c in np.ndindex(alpha.shape):
        level[d, c] = carried(pattern, alpha[d, c], lag)
    per_money = 1.0 / (periods * scale.cost_per_unit * scale.media)[:, paid]

    def at(spend):
        slope = 0.5 * lam[:, None, :, None] * per_money[..., None] * level[:, None]
        curve = np.tanh(slope * spend[..., None])
        mean = (beta[:, None] * curve.sum(-1)).mean(0)
        marginal = (beta[:, None] * (slope * (1 - curve**2)).sum(-1)).mean(0)
        return scale.outcome[:, None] * mean, scale.outcome[:, None] * marginal

    return at


def best_plan(at, lower, upper, budget):
    """Optimum of a separable concave response by bisection on the multiplier.

    Returns the spend, and the value of the Lagrangian: no feasible spend exceeds it.
    """

    def spend_for(price):  # where each marginal return falls to the price
        low, high = lower.copy(), upper.copy()
        for _ in range(60):
            middle = 0.5 * (low + high)
            worth = at(middle)[1] > price
            low, high = np.where(worth, middle, low), np.where(worth, high, middle)
        return np.where(
            at(lower)[1] <= price, lower, np.where(at(upper)[1] >= price, upper, low)
        )

    cheap, dear = 0.0, float(at(lower)[1].max()) * (1 + 1e-12)
    for _ in range(80):
        price = 0.5 * (cheap + dear)
        if spend_for(price).sum() > budget:
            cheap = price
        else:
            dear = price
    spend = spend_for(dear)
    return spend, at(spend)[0].sum() + dear * (budget - spend.sum())


def projection(point, lower, upper, total, metric):
    """Weighted projection on box and sum, by bisection on the multiplier."""
    low = np.min((point - upper) / metric) - 1.0
    high = np.max((point - lower) / metric) + 1.0
    for _ in range(300):
        middle = 0.5 * (low + high)
        if np.clip(point - middle * metric, lower, upper).sum() > total:
            low = middle
        else:
            high = middle
    return np.clip(point - high * metric, lower, upper)
