# %% [markdown]
# # Lift tests: what to do when demand drives both the spend and the sales
#
# Search is bought when people search. A model that sees only spend and sales takes the
# demand behind both for an effect of Search, and no check of one fit can see it. Two years
# of weekly sales, simulated with a known truth: TV brings 3 for one, Search 1. What does
# the model say without tests, what with four, and what if one of them is wrong?
#
# Run it as a script (`python notebooks/lift_tests.py`; pictures go to `lift-tests-run/`) or
# open it as a notebook. `MMMJAX_SMOKE=1` runs it with short chains, whose numbers mean
# nothing.

# %%
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import mmmjax as mm

SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "lift-tests-run"))
OUT.mkdir(parents=True, exist_ok=True)


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    (OUT / f"{name}.png").write_bytes(mm.plot.to_png(figure))
    return figure


# %% [markdown]
# ## 1. A market with a hidden driver
#
# Demand comes and goes over weeks. It moves sales, and it moves Search spend. It is in no
# column of the table.

# %%
WEEKS, LAGS = 104, 6
rng = np.random.default_rng(3)
dates = pd.date_range("2023-01-02", periods=WEEKS, freq="W-MON")
names = ["TV", "Search"]
demand = np.zeros(WEEKS)
for t in range(1, WEEKS):
    demand[t] = 0.7 * demand[t - 1] + 0.7 * rng.standard_normal()
spend = np.stack(
    [
        60 * rng.gamma(4.0, 0.25, WEEKS),
        60 * np.exp(0.5 * demand + 0.1 * rng.normal(size=WEEKS)),
    ],
    axis=1,
)
top, alpha, truth = spend.max(0), [0.6, 0.2], np.array([3.0, 1.0])


def brought(spend):
    """What each channel brings, carried over and bent, up to a factor."""
    weights = [a ** np.arange(LAGS) for a in alpha]
    pairs = zip((spend / top).T, weights, strict=True)
    carried = np.stack([np.convolve(x, w / w.sum()) for x, w in pairs], axis=1)
    return np.tanh(0.75 * carried)


beta = truth * spend.sum(0) / brought(spend).sum(0)
effect = beta * brought(spend)
sales = 1000 + effect[:WEEKS].sum(1) + 60 * demand + rng.normal(0, 20, WEEKS)
frame = pd.DataFrame(spend, columns=names).assign(week=dates, sales=sales)
panel = mm.Panel.from_frame(frame, date="week", outcome="sales", media=names)
show(mm.plot.spend(mm.explore(panel)), "01-spend")

# %% [markdown]
# ## 2. Without tests
#
# Search is believed to bring most. What does the verdict on the model see of it?

# %%
spec = mm.Spec(adstock=mm.adstock.Geometric(max_lag=LAGS), seasonality=None)
short = mm.HMC(chains=2, warmup=60, draws=60, until=None)
sampler = short if SMOKE else mm.HMC()
without = mm.fit(spec, panel, sampler, progress=False)
print(mm.judge(without).sentence)
show(mm.plot.roas(without), "02-roas-without")

# %% [markdown]
# ## 3. Four tests
#
# Two for each channel: for six weeks a part of the people saw nothing of it (the control
# arm), and what they bought less, with the four weeks after, was measured with an error of
# 15%. The table has the other arm: media as they ran. In a case file that is
#
# ```toml
# [[facts]]
# kind = "lift_test"
# channel = "TV"
# start = 2023-05-22
# end = 2023-07-02
# spend_control = 0.0
# of = "total"
# result = 1150.0
# error = 170.0
# tail = 4
# ```
#
# or a row of a CSV, `lift_tests = "tests.csv"` under `[data]`.


# %%
def measured(channel, start, off=None):
    """Six weeks without the channel in the control arm, four weeks more counted."""
    dark = spend.copy()
    dark[start : start + 6, channel] = 0
    counted = slice(start, start + 10)
    gain = float((effect - beta * brought(dark))[counted, channel].sum())
    error = 0.15 * gain
    result = gain + error * (rng.standard_normal() if off is None else off)
    days = {"start": dates[start].date(), "end": dates[start + 5].date(), "tail": 4}
    return mm.facts.LiftTest(
        names[channel], result=result, error=error, of="total", spend_control=0.0, **days
    )


tests = [measured(0, 20), measured(0, 60), measured(1, 25), measured(1, 65)]
with_four = mm.fit(spec, panel.with_facts(tests), sampler, progress=False)
show(mm.plot.roas(with_four), "03-roas-with")

# %% [markdown]
# Each test beside the prior, what everything but it says, and the posterior. The pull
# is how far the test lies from the rest, in standard deviations of their difference. Where
# p is below 0.01 a finding names the conflict: here the tests of Search contradict the
# series, and the series is what is wrong.

# %%
columns = [
    "test",
    "measured",
    "error",
    "prior_mean",
    "rest_mean",
    "mean",
    "pull",
    "p_value",
]
print(mm.tables.lift_tests(with_four)[columns].round(2).to_string(index=False))
for finding in mm.judge(with_four).adequate.findings:
    if finding.code == "lift_conflict":
        print(finding.message, "\n")

# %% [markdown]
# With the tests in conflict the posterior lies between them and the series. The remedy that
# the finding names are controls: Search spend and its logarithm. What moves with that spend
# and is no effect of it has a place of its own, whether it grows with the money or with its
# share, and the tests tell the two apart.

# %%
for name, moves in (("spend", spend[:, 1]), ("log spend", np.log(spend[:, 1]))):
    frame[name] = (moves - moves.mean()) / moves.std()
controls = ["spend", "log spend"]
columns_of = {"date": "week", "outcome": "sales", "media": names, "controls": controls}
other = mm.Panel.from_frame(frame, **columns_of).with_facts(tests)
remedied = mm.fit(spec, other, sampler, progress=False)
print(mm.tables.lift_tests(remedied)[columns].round(2).to_string(index=False))
show(mm.plot.roas(remedied), "04-roas-remedied")
rows = {"truth": dict(zip(names, truth, strict=True))}
fits = {"without": without, "with four": with_four, "and controls": remedied}
for name, fit in fits.items():
    table = mm.tables.channels(fit).query("geo == 'ALL'").set_index("channel")
    rows[name] = {n: round(table.loc[n, "roas_mean"], 2) for n in names}
print(pd.DataFrame(rows).T.to_string())

# %% [markdown]
# What did the tests teach? Returns without each of them and without all, by weights on the
# draws; where the posterior is too far from what it would be, weights do not tell, and it
# is said. A refit without tests does: `without=`. Then there is also the plan that would
# have been made, and what the tests are worth to it.

# %%
untested = mm.fit(spec, other.with_facts(()), sampler, progress=False)
learned = mm.tables.taught(remedied, untested)
shown = ["without", "channel", "roas_rest_mean", "roas_mean", "how", "spend_rest", "spend"]
print(learned[shown].round(2).to_string(index=False))
print(f"The plan with the tests brings {learned['gain_mean'].iloc[-1]:,.0f} sales more.")

# %% [markdown]
# ## 4. A test that is wrong
#
# The first test of TV again, off by four of its errors (a wrong region, a promotion in one
# arm). TV is not confounded: the series and the other test disagree with it, and it is
# named.

# %%
bad = replace(measured(0, 20, off=4.0), name="TV, wrong")
wrong = mm.fit(spec, other.with_facts([bad, *tests[1:]]), sampler, progress=False)
print(mm.tables.lift_tests(wrong)[columns].round(2).to_string(index=False))
show(mm.plot.roas(wrong), "05-roas-wrong")

# %%
if not SMOKE:
    roas = pd.DataFrame(rows).T
    assert roas.loc["without", "Search"] > roas.loc["without", "TV"]
    assert roas.loc["and controls", "TV"] > 2 * roas.loc["and controls", "Search"]
    assert abs(roas.loc["and controls"] / roas.loc["truth"] - 1).max() < 0.2
    off = mm.tables.lift_tests(wrong).set_index("test")
    assert off.loc["TV, wrong", "pull"] > 2
