# %% [markdown]
# # This month after last: a fit brought up to date
#
# Thirteen new weeks have come. A fit of everything anew moves for reasons that are none:
# the largest week is another one, so units, and with them what priors say, are others; the
# trend is spread over more weeks. A refresh keeps units, priors and the clock of the trend,
# so that what moves is what the new weeks say. A market with known truth, in which TV buys
# its largest burst in the new weeks: what moved, and why? Then: which test would pay?
#
# Run it as a script (`python notebooks/refresh.py`; pictures go to `refresh-run/`) or open
# it as a notebook. `MMMJAX_SMOKE=1` runs it with short chains, whose numbers mean nothing.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd

import mmmjax as mm

SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "refresh-run"))
OUT.mkdir(parents=True, exist_ok=True)


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    (OUT / f"{name}.png").write_bytes(mm.plot.to_png(figure))
    return figure


# %% [markdown]
# ## 1. A market, and its next quarter

# %%
WEEKS, NEW, MAX_LAG = 117, 13, 6
rng = np.random.default_rng(3)
dates = pd.date_range("2023-01-02", periods=WEEKS + NEW, freq="W-MON")
ran = rng.uniform(size=len(dates)) < 0.6
media = {
    "TV": rng.gamma(6.0, 1.6, len(dates)) * ran,
    "Search": rng.gamma(12.0, 0.4, len(dates)),
    "Social": rng.gamma(8.0, 0.5, len(dates)),
}
media["TV"][WEEKS + 4 : WEEKS + 8] = 38.0  # twice the largest week before
wave = 5 * np.cos(2 * np.pi * (dates.day_of_year.to_numpy() - 200) / 365.25)
sales, truth = 100 + 6 * np.arange(len(dates)) / WEEKS + wave, {}
for (name, spend), alpha, lam, size in zip(
    media.items(), (0.5, 0.2, 0.3), (1.5, 1.0, 1.0), (14.0, 12.0, 9.0), strict=True
):
    weights = alpha ** np.arange(MAX_LAG) / (alpha ** np.arange(MAX_LAG)).sum()
    acting = np.convolve(spend / spend[:WEEKS].max(), weights)[: len(dates)]
    truth[name] = size * np.tanh(lam * acting)
    sales = sales + truth[name]
sales = sales + rng.normal(0, 2.0, len(dates))
frame = pd.DataFrame({"week": dates, "sales": sales, **media})
panel = mm.Panel.from_frame(
    frame, date="week", outcome="sales", media=list(media), outcome_value=1.0
)
before, _ = panel.split(dates[WEEKS - 1])
known = pd.Series({n: v[:WEEKS].sum() / media[n][:WEEKS].sum() for n, v in truth.items()})

# %% [markdown]
# ## 2. Last quarter's fit, all anew, and refreshed

# %%
spec = mm.Spec(adstock=mm.adstock.Geometric(MAX_LAG), trend=True)
sampler = (
    mm.NUTS(chains=2, warmup=100, draws=100, until=None)
    if SMOKE
    else mm.NUTS(chains=4, warmup=1000, draws=1000)
)
old = mm.fit(spec, before, sampler, seed=0, progress=False)
anew = mm.fit(spec, panel, sampler, seed=0, progress=False)
fresh = mm.refresh(old, panel, seed=0, progress=False)
print(fresh.info["notes"][0])
assert SMOKE or all(mm.diagnostics(fit).converged for fit in (old, anew, fresh))

# %% [markdown]
# What a channel returned in the weeks that both fits know, old and new, and how much of its
# posterior sd it moved. Of the fit anew a part is units: nothing that anybody learnt.

# %%
moved = {
    "anew": mm.drift(old, anew, causes=True),
    "refreshed": mm.drift(old, fresh, causes=True),
}
for name, found in moved.items():
    print(f"{name}\n{found}\n")
print(known.round(2).rename("true ROAS, old weeks").to_string())
assert moved["refreshed"].causes == ("data",)
assert moved["anew"].causes == ("units", "data")
returns = mm.tables.channels(fresh)
show(mm.plot.roas(returns, outcome="sales"), "01-roas-refreshed")

# %% [markdown]
# ## 3. Older weeks count less
#
# Where a market changes, older weeks may count less: `discount=0.5` is as if there were
# half as many. Intervals are wider for it.

# %%
half = mm.refresh(old, panel, seed=0, discount=0.5, progress=False)
width = {
    name: mm.roas(fit)["roas_total"].std(["chain", "draw"]).to_series()
    for name, fit in {"all": fresh, "half": half}.items()
}
print(pd.DataFrame(width).round(3).to_string())
assert SMOKE or (width["half"] > width["all"]).mean() > 0.5

# %% [markdown]
# ## 4. Which test next
#
# What no refresh brings is an experiment. Each candidate with its power, what it is
# expected to teach about the return, what planning again after it is worth, and what it
# costs (one that earns money costs nothing: that is the plan's to earn); the lines to
# fill in once it has run.

# %%
wanted = {"periods": 13, "bounds": 0.5}
tests = mm.design_test(
    fresh, **wanted, max_draws=100 if SMOKE else 400, lengths=(4,) if SMOKE else (4, 8)
)
print(tests)
print(tests.stub())
evpi = float(mm.knowledge(fresh, **wanted, channels=False)["evpi"])
print(f"Knowing all would be worth {evpi:.1f} of sales")
assert SMOKE or (tests.table["value"] < 1.2 * evpi).all()
