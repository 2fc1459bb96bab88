r"""The flighting of coming weeks that tells drift from saturation, at the same money.

Under either fit of :func:`mmmjax.conflation` the outcome of the window is a cloud of draws
$y_k(b)$ in the spend b of each period, with means $\mu_k$ and covariances $S_k$, to which
the noise $\sigma^2$ of a period is added. Which of the two it is, z, is learnt from y: the
share of the variance of z that is expected to be gone after a linear reading of y is
$$\frac{q / 4}{1 + q / 4}, \qquad q(b) = (\mu_s - \mu_d)^\top
\left(\tfrac12 (S_s + S_d) + \sigma^2 I\right)^{-1} (\mu_s - \mu_d),$$
both kinds as likely before. The plan climbs it by the gradient of JAX within a box of
every period and a total, from several flightings; where both are normal it names the right
kind with probability $\Phi(\sqrt{q} / 2)$.

Source: the discrimination of rival models by design, Atkinson and Fedorov (1975),
Biometrika 62; their T-optimality with what each model does not know.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy import stats

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.budget.ahead import rest_of
from mmmjax.budget.horizon import Form, Window, make_window, response_of
from mmmjax.budget.region import project, simple
from mmmjax.budget.request import known_of, prices_of
from mmmjax.checks import Phrase, fail
from mmmjax.conflating import KINDS, Conflation
from mmmjax.draws import Fit
from mmmjax.panel.calendar import following
from mmmjax.posterior.contributions import contributions

__all__ = ["Separation", "separate"]

DRAWS = 300  # of each fit
STEPS = 120  # of a climb
FIRST, LAST = 0.5, 0.01  # sizes of its steps, ranges of spend


@dataclass(frozen=True, eq=False)
class Separation:
    """Spend of a channel that tells drift from saturation.

    Args:
        table: A row a period: date, spend (planned), even, least, most (money), and the
            outcome that it is expected to add to even spend, outcome units, should the
            channel saturate (saturation) or drift (drift).
        channel: Its name.
        contraction: Expected share of the doubt that is gone after the window.
        chance: With which the right kind is named after it.
        even: The same two of even spend: (contraction, chance).
    """

    table: pd.DataFrame
    channel: str
    contraction: float
    chance: float
    even: tuple[float, float]

    def __str__(self) -> str:
        """The plan, and what it is expected to tell."""
        total = checks.amount(float(self.table["spend"].to_numpy().sum()))
        said = (
            f"{self.channel}, {total} over {len(self.table)} periods: names the right one "
        )
        said += f"of drift and saturation with probability {self.chance:.0%} "
        said += f"(even spend {self.even[1]:.0%}), if one of the two holds"
        return "\n".join(
            [said, self.table.to_string(index=False, float_format="{:.4g}".format)]
        )


class _Question(NamedTuple):
    """What spend brings under either fit, and what else there is in the window.

    Args:
        windows: Of either fit.
        rest: Outcome without paid media under either, (draw, period).
        usual: Money of every cell, the channel's 0, (cell, 1).
        share: Money of the channel's cells at a level of 1, (cell, 1).
        noise: Variance of the outcome of a period.
    """

    windows: tuple[Window, ...]
    rest: tuple[Any, ...]
    usual: Any
    share: Any
    noise: Any


@checked
def separate(
    found: Conflation,
    channel: str,
    *,
    periods: int = 13,
    budget: float | None = None,
    limits: tuple[float, float] = (0.0, 2.0),
    seed: int = 0,
) -> Separation:
    """Spend of the coming periods that tells drift from saturation best.

    Other channels go on at their mean of training; in a panel every geo has its part of the
    mean in each period. What earlier spend still brings is not counted.

    Args:
        found: The report, with the fits of the channel.
        channel: Which; a paid one.
        periods: Length of the window, at least 2.
        budget: Money of the channel over it; None: its mean of training.
        limits: Least and largest spend of a period, times the mean of the budget.
        seed: Of the flightings that the search begins from.

    Raises:
        InputError: A channel without spend or a report of it, limits that leave no choice,
            effects that multiply.
    """
    fits = found.fits.get(channel)
    if fits is None:
        allowed = f"channels of the report ({checks.listing(found.fits, 12)})"
        fix = f'mm.conflation(fit, channels=["{channel}"])'
        fail("channel", channel, "", allowed, fix)
    periods = checks.integer("periods", periods, low=2, high=500, fix="periods=13")
    seed = checks.integer("seed", seed, low=0, fix="seed=0")
    first = fits["saturation"]
    if channel in first.panel.organic:
        fix = "an organic channel has no spend to plan"
        fail("channel", channel, "", "a paid channel", fix)
    if not first.spec.likelihood.straight:
        got, allowed = Phrase("effects that multiply"), "an identity link"
        fail("found", got, "", allowed, "test the channel: mm.design_test(fit)")
    if not first.panel.freq:
        got, fix = Phrase("periods of no frequency"), "give dates that are regular"
        fail("found", got, "", "a panel of regular dates", fix)
    known = known_of(first)
    c, mean = known.channels.index(channel), known.mean
    total = float(mean[:, c].sum()) * periods
    if budget is not None:
        fix = "budget=None: its mean of training"
        total = checks.number("budget", budget, low=0.0, open_low=True, fix=fix)
    low = checks.number("limits", limits[0], low=0.0, high=1.0, open_high=True)
    high = checks.number("limits", limits[1], low=1.0, open_low=True, fix="limits=(0, 2)")
    usual, share = np.array(mean), np.zeros_like(mean)
    usual[:, c], share[:, c] = 0.0, mean[:, c] / mean[:, c].sum() * total / periods
    pair = [fits[kind] for kind in KINDS]
    forms = tuple(Form(fit.spec.structure(), None, periods, by_period=True) for fit in pair)
    made = contributions(first, total=True)["mu"].sel(summary="mean").to_numpy()[0]
    seen = np.where(first.panel.mask, first.panel.outcome, np.nan)[:, first.panel.window]
    cost, _ = prices_of(known, None, periods)
    with jax.enable_x64(True):
        how: Any = periods, "history", [cost], DRAWS
        windows = tuple(make_window([fit], *how, free=True) for fit in pair)
        rest = tuple(_rest(fit, periods) for fit in pair)
        noise = np.nanvar(seen.sum(0) - made)
        cells = usual.reshape(-1, 1), share.reshape(-1, 1)
        question = _Question(windows, rest, *cells, noise)
        begin = _begin(periods, low, high, seed)
        ends, values = _climb(begin, low, high, question, forms=forms)
        best = np.asarray(ends)[int(np.argmax(values))]
        answers = [_distance(x, question, forms) for x in (best, np.ones(periods))]
    (q, means), (q_even, means_even) = answers
    step, dates = total / periods, following(first.panel.dates, first.panel.freq, periods)
    table = pd.DataFrame({"date": dates, "spend": step * best, "even": step})
    table = table.assign(least=low * step, most=high * step)
    for kind, x, y in zip(KINDS, means, means_even, strict=True):
        table[kind] = np.asarray(x) - np.asarray(y)
    both = np.maximum([float(q), float(q_even)], 0.0)
    gone, named = both / (4 + both), stats.norm.cdf(np.sqrt(both) / 2)
    even = float(gone[1]), float(named[1])
    return Separation(table, channel, float(gone[0]), float(named[0]), even)


def _rest(fit: Fit, periods: int) -> Float[np.ndarray, "draw period"]:
    """Outcome of the window without paid media, over geos."""
    scaled = rest_of(fit, periods, DRAWS)
    return (scaled * np.asarray(fit.scale.outcome)[:, None]).sum(1)


def _begin(periods: int, low: float, high: float, seed: int) -> np.ndarray:
    """Flightings to begin from: waves of several lengths, either end first, and luck."""
    t = np.arange(periods)
    waves = [np.sign(np.sin(2 * np.pi * (t + 0.5) / n + p)) for n in (2, 4, 8, 2 * periods)
             for p in (0.0, np.pi)]  # fmt: skip
    luck = np.random.default_rng(seed).uniform(-1, 1, (4, periods))
    return 1.0 + 0.9 * min(high - 1.0, 1.0 - low) * np.concatenate([waves, luck])


def _distance(
    level: Any, question: _Question, forms: tuple[Form, ...]
) -> tuple[Array, list[Array]]:
    """q of spend that is `level` times its mean in each period; means of the outcomes."""
    money = (question.usual + question.share * jnp.asarray(level)).ravel()
    means, covariance = [], question.noise * jnp.eye(len(level))
    for window, form, rest in zip(question.windows, forms, question.rest, strict=True):
        come = response_of(window, form)(money)[..., : len(level)].sum(1)
        outcome = come + rest
        means.append(outcome.mean(0))
        covariance += jnp.cov(outcome, rowvar=False) / 2
    apart = means[0] - means[1]
    return apart @ jnp.linalg.solve(covariance, apart), means


@partial(jax.jit, static_argnames=("forms",))
def _climb(
    begin: Array, low: Any, high: Any, question: _Question, *, forms: tuple[Form, ...]
) -> tuple[Float[Array, "start period"], Float[Array, " start"]]:
    """Where projected gradient steps of falling size lead to, and the best q on the way."""
    periods = begin.shape[1]
    region = simple(
        jnp.full(periods, low), jnp.full(periods, high), jnp.asarray(1.0 * periods)
    )
    value = jax.value_and_grad(lambda x: _distance(x, question, forms)[0])

    def step(state: Any, size: Array) -> tuple[Any, None]:
        x, best, most = state
        q, slope = value(x)
        best, most = jnp.where(q > most, x, best), jnp.maximum(q, most)
        slope = slope - slope.mean()
        move = size * (high - low) * slope / jnp.maximum(jnp.abs(slope).max(), 1e-300)
        return (project(x + move, region)[0], best, most), None

    def climb(x: Array) -> tuple[Array, Array]:
        x = project(x, region)[0]
        sizes = jnp.geomspace(FIRST, LAST, STEPS)
        (_, best, most), _ = jax.lax.scan(step, (x, x, -jnp.inf), sizes)
        return best, most

    return jax.lax.map(climb, jnp.asarray(begin))
