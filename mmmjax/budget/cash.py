"""Money over time: a plan pays in its window, and is paid as its effects arrive.

Money t days after the window begins is worth (1 + rate)^(-t / 365.25) of it at the
beginning: spend when it is spent, outcome in the period in which carry-over delivers it.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from mmmjax.budget.curves import ResponseCurves
from mmmjax.budget.given import Spend
from mmmjax.budget.horizon import Form, Window, response_of
from mmmjax.budget.prepare import Prepared
from mmmjax.budget.record import intervals
from mmmjax.checks import Phrase, fail, number
from mmmjax.panel.calendar import following
from mmmjax.shapes import CHANNEL

__all__ = ["cash_flow"]

PLAN, WHEN = "plan", "due"
YEAR = 365.25  # days


def cash_flow(
    prepared: Prepared,
    spends: Sequence[Spend],
    noise: float,
    value: float | None,
    discount_rate: float,
    prob: float,
) -> dict[str, Any]:
    """Variables of :func:`mmmjax.evaluate` that say when money is back.

    Args:
        prepared: The window.
        spends: The plans.
        noise: Of spend: has to be 0.
        value: Money per unit of outcome.
        discount_rate: Of a year, 0.08 is 8%.
        prob: Probability inside every [lo, hi].

    Returns:
        Money as it is worth when the window begins: ``npv_mean``, ``_lo``, ``_hi`` (plan,),
        net present value of what a plan brings less what it costs (no comparison),
        ``probability_npv`` that it is above 0; ``channel_npv_mean``, ``_lo``, ``_hi``
        (plan, channel); ``income`` (its mean) and ``outlay`` (plan, channel, due) of every
        period of window and tail; ``break_even`` (plan,), ``channel_break_even`` (plan,
        channel): the first period from which on the mean income so far is not below the
        outlay so far, NaT where it stays below.
    """
    rate = number("discount_rate", discount_rate, low=0.0, fix="0.08 is 8% a year")
    panel = prepared.about
    if noise:
        got, fix = Phrase("spend_noise too"), "leave one of the two out"
        fail("discount_rate", got, "", "spend as it is planned", fix)
    if value is None:
        fix = "outcome_value = 1.0 under [data] where the outcome is money, or its margin"
        got = Phrase("no outcome_value")
        fail("discount_rate", got, "", "money per unit of outcome", fix)
    if isinstance(panel, ResponseCurves) or not panel.freq:
        got, fix = Phrase("periods without a date"), "leave discount_rate out"
        fail("discount_rate", got, "", "a fit of a panel of regular dates", fix)
    layout, form = prepared.layout, prepared.kind.form
    assert form.spec is not None
    periods, whole = layout.periods, layout.periods + form.spec.memory - 1
    dates = following(panel.dates, panel.freq, whole)
    years = (dates.to_numpy() - dates.to_numpy()[0]) / np.timedelta64(1, "D") / YEAR
    factor = (1.0 + rate) ** -years
    form = replace(form, free_periods=periods, by_period=True)
    inputs = {name: x for name, x in prepared.window.draws.items() if name != "factors"}
    window, incomes, outlays = prepared.window._replace(draws=inputs), [], []
    for spend in spends:
        money = spend.money[:, None] * spend.shares(periods)
        parts = prepared.divided(money, spend.share)
        with jax.enable_x64(True):
            come = _income(window, prepared.members, parts.ravel(), form=form)
        incomes.append(value * factor * np.asarray(come))
        outlays.append(np.pad(layout.members.T @ money, [(0, 0), (0, whole - periods)]))
    income = np.stack(incomes)  # plan, draw, channel, period
    outlay = factor * np.stack(outlays)
    net = income.sum(-1) - outlay.sum(-1)[:, None]
    out: dict[str, Any] = {
        WHEN: dates,
        "income": ((PLAN, CHANNEL, WHEN), income.mean(1)),
        "outlay": ((PLAN, CHANNEL, WHEN), outlay),
        "probability_npv": (PLAN, (net.sum(-1) > 0).mean(1)),
    }
    parts = {"npv": ((PLAN,), net.sum(-1)), "channel_npv": ((PLAN, CHANNEL), net)}
    out |= intervals(parts, prob, axis=1)
    flow = income.mean(1) - outlay
    out["channel_break_even"] = ((PLAN, CHANNEL), _break_even(flow, dates))
    out["break_even"] = (PLAN, _break_even(flow.sum(1), dates))
    return out


@partial(jax.jit, static_argnames=("form",))
def _income(
    window: Window, members: Array, money: Array, *, form: Form
) -> Float[Array, "draw channel period"]:
    """Outcome that arrives in every period of the window and its tail."""

    def one(draw: Any) -> Array:
        return jnp.asarray(members).T @ response_of(window.of_draw(draw), form)(money)[0]

    return jax.lax.map(one, window.draws, batch_size=min(form.block, 64))


def _break_even(flow: Float[np.ndarray, "*plans period"], dates: pd.DatetimeIndex) -> Any:
    """First date from which on what has come is not less than what has gone; else NaT."""
    behind = np.cumsum(flow, -1) < 0
    since = flow.shape[-1] - np.argmax(behind[..., ::-1], -1)
    since = np.where(behind.any(-1), since, 0)
    return dates.insert(len(dates), pd.NaT).to_numpy()[since]
