# %% [markdown]
# # Effects that move
#
# What a channel brings is seldom the same for two years. A model that holds every effect
# still spreads the loss over all weeks, and plans next quarter on an average that is over.
# A market with known truth: the effect of TV falls to a quarter,
# that of Search stays. How far are weekly contributions off without and with effects that
# move? Is it drift at all, or a curve that bends? And what may a plan count on?
#
# Run it as a script (`python notebooks/time_varying.py`; pictures go to
# `time-varying-run/`) or open it as a notebook. `MMMJAX_SMOKE=1` runs it with short chains,
# whose numbers mean nothing.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd

import mmmjax as mm

SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "time-varying-run"))
OUT.mkdir(parents=True, exist_ok=True)


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    figure.save(OUT / f"{name}.png")
    return figure


# %% [markdown]
# ## 1. A market whose TV tires

# %%
WEEKS, MAX_LAG = 130, 6
rng = np.random.default_rng(11)
dates = pd.date_range("2023-01-02", periods=WEEKS, freq="W-MON")
names = ["TV", "Search"]
spend = rng.gamma(2.0, 30.0, (2, WEEKS)) * (rng.uniform(size=(2, WEEKS)) < 0.8)
weights = np.array([0.5, 0.2])[:, None] ** np.arange(MAX_LAG)
weights /= weights.sum(1, keepdims=True)
carried = np.array([np.convolve(s, w)[:WEEKS] for s, w in zip(spend, weights, strict=True)])
bent = np.tanh(0.8 * carried / spend.max(1, keepdims=True))
year = np.arange(WEEKS) / 52
moved = np.ones((2, WEEKS))
moved[0] = np.interp(year, [0.0, 0.6, 1.6, 2.5], [1.6, 1.4, 0.5, 0.4])
moved[0] /= moved[0].mean()
truth = np.array([120.0, 70.0])[:, None] * bent * moved
sales = 150 + truth.sum(0) + rng.normal(0, 3.0, WEEKS)
frame = pd.DataFrame(
    {"week": dates, "sales": sales, **dict(zip(names, spend, strict=True))}
)
panel = mm.Panel.from_frame(
    frame, date="week", outcome="sales", media=names, outcome_value=4.0
)

# %% [markdown]
# ## 2. Still, and moving
#
# `moving` is a list of what the effects of a media term are multiplied by: a slow drift of
# each channel here. Its mean over training is one in every draw, so that
# `saturation_beta` keeps its meaning, and its amplitude is shrunk to none: Search has the
# same freedom as TV and need not use it.

# %%
SAMPLER = (
    mm.HMC(chains=2, warmup=100, draws=100, until=None)
    if SMOKE
    else mm.HMC(chains=4, warmup=500, draws=500, leapfrogs=16)
)


def spec_of(*moving):
    """Geometric carry-over, a logistic curve, and what may move."""
    term = mm.terms.Media(adstock=mm.adstock.Geometric(MAX_LAG), moving=moving)
    return mm.Spec(seasonality=None, terms=(term,))


still = mm.fit(spec_of(), panel, SAMPLER, seed=0, progress=False)
moving = mm.fit(spec_of(mm.moving.Process()), panel, SAMPLER, seed=0, progress=False)
assert SMOKE or all(mm.diagnostics(fit).converged for fit in (still, moving))

# %% [markdown]
# The verdict of the first already says that something is missing, before anybody knows
# the truth:

# %%
for name, fit in {"still": still, "moving": moving}.items():
    print(f"{name}: {mm.judge(fit).sentence}\n")

# %%
table = mm.multipliers(moving)
show(mm.plot.multipliers(table), "01-multipliers")

# %%
week_error, inside = {}, {}
for name, fit in {"still": still, "moving": moving}.items():
    found = mm.contributions(fit)["channel_contribution"].to_numpy()[:, 0]
    week_error[name] = np.sqrt(((found[0] - truth) ** 2).mean(1))
    inside[name] = ((found[1] <= truth) & (truth <= found[2])).mean(1)
print("Error of weekly contributions, and truth inside the 94% interval")
print(pd.DataFrame(week_error, names).round(2).to_string())
print(pd.DataFrame(inside, names).round(2).to_string())
assert SMOKE or week_error["moving"][0] < 0.5 * week_error["still"][0]

# %% [markdown]
# ## 3. Drift, or a curve that bends?
#
# Where spend grew while returns fell the two look alike, and the plans they ask for are
# opposites: wait, or spend less. The report fits each channel both ways and says which
# the weeks prefer, or that they cannot tell.

# %%
told = mm.conflation(
    moving, sampler=mm.HMC(chains=2, warmup=100, draws=100, until=None) if SMOKE else None
)
print(told)
verdict = told.table.set_index("channel")["verdict"]
assert SMOKE or verdict["TV"] == "drift"

# %% [markdown]
# Where they cannot tell, the flighting of the coming weeks can: the same money, spent in
# the order that sets the two furthest apart.

# %%
apart = mm.separate(told, "Search", periods=8)
print(apart)
assert apart.chance >= apart.even[1] - 1e-6

# %% [markdown]
# ## 4. What a plan may count on
#
# A plan of next quarter counts on the multiplier of next quarter, less known the further
# ahead it lies, and not on the average of two years.

# %%
asked = {"periods": 13, "bounds": (0.5, 1.5)}
plans = {
    name: mm.optimize(fit, **asked) for name, fit in (("still", still), ("moving", moving))
}
split = {name: plan.optimized.to_series() for name, plan in plans.items()}
print(pd.DataFrame(split).round(0).to_string())
print(plans["moving"])
show(mm.plot.roas(mm.tables.channels(moving)), "02-roas")
show(mm.plot.allocation(plans["moving"]), "03-plan")

# %% [markdown]
# ## 5. When the money is back
#
# Carry-over brings part of it after the window. At 8% a year, what is the plan worth
# today, and when has each channel paid for itself?

# %%
worth = mm.evaluate(moving, plans["moving"], discount_rate=0.08)
values = ["npv_mean", "npv_lo", "npv_hi", "probability_npv", "break_even"]
print(worth[values].to_dataframe().to_string())
