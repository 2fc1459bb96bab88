# %% [markdown]
# # A bend or an S, at once or late: which curve, and what if the data cannot say
#
# Twice the money never brings twice the sales, but does the first euro bring the most (a
# bend) or does a channel need a dose before it does anything (an S)? Does an effect fade
# from the day it ran, or does it build up for weeks? A plan leans on the answer: under an S
# it closes a channel or floods it. Three years of weekly sales, simulated with a known
# truth: one channel bends, one is an S, one comes late. What does the default make of them,
# what do candidates that may be right, and what does their mixture?
#
# Run it as a script (`python notebooks/curves_and_carryover.py`; pictures go to
# `curves-and-carryover-run/`) or open it as a notebook. `MMMJAX_SMOKE=1` runs it with few
# candidates and short chains, whose numbers mean nothing.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd

import mmmjax as mm

SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "curves-and-carryover-run"))
OUT.mkdir(parents=True, exist_ok=True)


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    (OUT / f"{name}.png").write_bytes(mm.plot.to_png(figure))
    return figure


# %% [markdown]
# ## 1. Three kinds of channel
#
# Search bends and acts in the week it runs. TV needs a dose: half of its effect comes at
# 45% of its largest carried media, with a slope of 3.5. Sponsoring comes late: most of it
# three weeks after the money.

# %%
WEEKS, LAGS = 156, 10
rng = np.random.default_rng(0)
dates = pd.date_range("2022-01-03", periods=WEEKS, freq="W-MON")
lag = np.arange(LAGS)
flights = np.repeat(rng.random((WEEKS // 3, 3)) < [1.0, 0.7, 0.5], 3, axis=0)
spend = flights * rng.lognormal(0.0, 0.55, (WEEKS, 3))
names = ["Search", "TV", "Sponsoring"]
weights = np.stack([0.1**lag, 0.5**lag, 0.6 ** ((lag - 3.0) ** 2)])
weights /= weights.sum(1, keepdims=True)
carried = np.stack(
    [np.convolve(x, w)[:WEEKS] for x, w in zip(spend.T, weights, strict=True)]
)
carried /= carried.max(1, keepdims=True)
shapes = [
    1 - np.exp(-1.8 * carried[0]),
    carried[1] ** 3.5 / (carried[1] ** 3.5 + 0.45**3.5),
    1 - np.exp(-1.5 * carried[2]),
]
effects = {n: s * 9.0 / s.mean() for n, s in zip(names, shapes, strict=True)}
season = 4 * np.cos(2 * np.pi * (dates.day_of_year.to_numpy() - 20) / 365.25)
sales = 90 + season + sum(effects.values()) + rng.normal(0.0, 2.5, WEEKS)
frame = pd.DataFrame(spend, columns=names).assign(week=dates, sales=sales)
panel = mm.Panel.from_frame(frame, date="week", outcome="sales", media=names)
truth = pd.Series({n: effects[n].sum() / spend[:, i].sum() for i, n in enumerate(names)})
show(mm.plot.spend(mm.explore(panel)), "01-spend")

# %% [markdown]
# ## 2. Candidates side by side
#
# Curves and carry-overs combine freely. Here all channels of a candidate share a pair, and
# the pairs are fitted as one fleet. PSIS-LOO says how well each would have predicted a week
# that it had not seen; stacking gives the weights of the best mixture.

# %%
curves = {"logistic": mm.saturation.Logistic(), "hill": mm.saturation.Hill()}
carries = {"geometric": mm.adstock.Geometric(LAGS), "delayed": mm.adstock.Delayed(LAGS)}
specs = {
    f"{s} {a}": mm.Spec(saturation=curve, adstock=carry)
    for s, curve in curves.items()
    for a, carry in carries.items()
}
short = mm.HMC(chains=2, warmup=60, draws=60, until=None)
compared = mm.compare_specs(specs, panel, short if SMOKE else None, progress=False)
print(compared)

# %% [markdown]
# The default is "logistic geometric". The differences are in units of log density, with
# their standard errors beside them: a candidate whose difference is within two of them is
# not beaten, and stays in the mixture with the weight that stacking gives it.
#
# ## 3. What each makes of the channels
#
# No pair is right for all three. What the candidates say of each channel leads to a fourth
# model, in which each has its own (in a case file a line each under `[model.channels]`).

# %%
fits = {"default": compared.fits["logistic geometric"]}
best = str(compared.table["model"].iloc[0])
fits |= {"best": compared.fits[best], "stacked": compared.stacked()}
late = mm.terms.Media("late", ["Sponsoring"], mm.adstock.Delayed(LAGS))
dose = mm.terms.Media("dose", ["TV"], mm.adstock.Geometric(LAGS), mm.saturation.Hill())
own = mm.Spec(adstock=mm.adstock.Geometric(LAGS), terms=[late, dose])
fits["own"] = mm.fit(own, panel, short if SMOKE else mm.HMC(), progress=False)
rows = {"truth": {n: f"{truth[n]:.2f}" for n in names}}
for name, fit in fits.items():
    table = mm.tables.channels(fit).query("geo == 'ALL'").set_index("channel")
    told = "{roas_mean:.2f} ({roas_lo:.2f} to {roas_hi:.2f})"
    rows[name] = {n: told.format(**table.loc[n]) for n in names}
    print(f"{name}: {mm.judge(fit).sentence}\n")
    show(mm.plot.curves(fit), f"02-curves-{name}")
    show(mm.plot.carryover(fit), f"03-carryover-{name}")
print(f"best: {best}", pd.DataFrame(rows).T.to_string(), sep="\n")

# %% [markdown]
# Payback follows from the carry-over: the weeks until half and nine tenths of an effect
# have come, with their uncertainty, in `carryover.csv` and `returns.csv`.

# %%
pay = mm.tables.carryover(fits["stacked"]).query("lag == 0")
columns = ["channel", "half_life_mean", "half_life_lo", "half_life_hi", "t90_mean"]
print(pay[columns].round(2).to_string(index=False))

# %% [markdown]
# ## 4. The plan
#
# Half a year ahead with half of the money. Under a bend the plan has a proof. Where draws
# hold an S the response is no longer concave, and the plan says so: the best of its starts,
# with the number of draws in which the S stands. The two want the opposite of TV: a bend
# takes a small flight for a good one, an S knows that half a dose does little.

# %%
for name in ("default", "stacked"):
    plan = mm.optimize(fits[name], budget=0.5 * spend[-26:].sum(), periods=26)
    print(name, plan, "", sep="\n")
    show(mm.plot.allocation(plan), f"04-plan-{name}")

# %%
if not SMOKE:
    totals = {
        name: mm.contributions(fit)["channel_total"]
        .mean(("chain", "draw"))
        .to_numpy()
        .ravel()
        for name, fit in fits.items()
    }
    true = np.array([effects[n].sum() for n in names])
    error = {name: np.abs(t / true - 1) for name, t in totals.items()}
    print({name: e.round(2).tolist() for name, e in error.items()})
    assert best.endswith("delayed")
    assert max(error["stacked"].mean(), error["own"].mean()) < error["default"].mean()
