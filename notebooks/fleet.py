# %% [markdown]
# # A fleet: one model, many markets, a verdict for each
#
# Two dozen countries, each with its own data: some have three years, some one; some never
# used a channel; two files are broken. The question is not one model but a routine: *fit
# them all, say which can be trusted, learn from all of them what a channel is worth, and
# spread one budget over them.* Nothing here waits for a person until the end, and nothing
# that goes wrong in one market touches another.
#
# The data are simulated: the true returns are known, and the last word is theirs.
#
# Run it as a script (`python notebooks/fleet.py`; pictures, tables and the report go to
# `fleet-run/`) or open it as a notebook. `MMMJAX_SMOKE=1` runs a few markets with short
# chains, whose numbers mean nothing.

# %%
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

import mmmjax as mm

SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "fleet-run"))
OUT.mkdir(parents=True, exist_ok=True)
STORE = OUT / "store"
shutil.rmtree(STORE, ignore_errors=True)  # begin anew; without this line it would go on


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    (OUT / f"{name}.png").write_bytes(mm.plot.to_png(figure))
    return figure


# %% [markdown]
# ## 1. Markets of a ragged fleet
#
# Weekly sales, up to three channels. A channel's true return differs from market to market:
# around 2 for Search, 1.2 for TV and 0.8 for Print, with a spread of about 30% (TV: 10%).
# Markets differ in size by a factor of thirty, in length from one year to three, and every
# fourth one has no Print. Spend comes in bursts, so that there is something to learn from.

# %%
TYPICAL = {"TV": 1.2, "Search": 2.0, "Print": 0.8}
SPREAD = {"TV": 0.1, "Search": 0.3, "Print": 0.3}  # sd of log ROAS between markets
MARKETS = 4 if SMOKE else 24


def in_bursts(rng, periods):
    """Spend that is off, low or high for six weeks at a time."""
    level = np.repeat(rng.choice([0.0, 0.5, 1.0, 1.6], periods // 6 + 1), 6)[:periods]
    return level * rng.gamma(8, 1 / 8, periods)


def carried(spend, retention=0.4):
    """What still acts of the spend of this week and the five before it."""
    return np.convolve(spend, retention ** np.arange(6))[: len(spend)]


def market(number):
    """A market's table, its channels and its true ROAS."""
    rng = np.random.default_rng([7, number])
    weeks = np.arange(rng.choice([52, 104, 156]))
    size = 10 ** rng.uniform(1, 2.5)  # mean sales a week, kEUR
    names = [c for c in TYPICAL if c != "Print" or number % 4 < 3]
    dates = pd.date_range("2022-01-03", periods=len(weeks), freq="W-MON")
    frame = pd.DataFrame({"week": dates, "holiday": (weeks % 52 >= 50).astype(float)})
    wave = 0.08 * np.sin(2 * np.pi * weeks / 52.18)
    sales = size * (0.7 + wave + 0.15 * frame["holiday"])
    truth = {}
    for name in names:
        spend = 0.08 * size * in_bursts(rng, len(weeks))
        effect = np.tanh(carried(spend) / (0.4 * size))  # straight at first, then flatter
        truth[name] = TYPICAL[name] * np.exp(SPREAD[name] * rng.normal())
        frame[name] = spend.round(3)
        sales = sales + truth[name] * spend.sum() * effect / effect.sum()
    noise = 0.04 * size * rng.normal(size=len(weeks))
    return frame.assign(sales=(sales + noise).round(3)), names, truth


def panel(frame, names):
    """The table as a panel."""
    return mm.Panel.from_frame(
        frame, date="week", outcome="sales", media=names, controls=["holiday"],
        currency="kEUR",
    )  # fmt: skip


made = {f"market {i:02d}": market(i) for i in range(MARKETS)}
panels = {name: panel(frame, names) for name, (frame, names, _) in made.items()}
truth = {name: true for name, (_, _, true) in made.items()}

# %% [markdown]
# Two files are broken, as two of two dozen will be: in one, somebody filled a channel with
# one number; the other stops after three weeks.

# %%
frame, names, _ = made["market 00"]
panels["filled in"] = panel(frame.assign(TV=1.0), names)
panels["three weeks"] = panel(frame.head(3), names)
print(f"{len(panels)} markets, {sum(len(p.dates) for p in panels.values()):,} weeks")

# %% [markdown]
# ## 2. Fit all of them
#
# One spec for all. `fit_fleet` sorts the markets into a few shapes, samples each shape in
# lock-step, goes on with those that have not converged and refits the last ones alone. With
# a `store` every market is on disk as it ends: the same call, after a power cut, repeats
# none of them. A market's draws depend on its own data and seed only.
#
# By itself a fleet fits a market without the channels that never change, and says so in its
# row. Here a channel that is one number means that nobody looked at the file: `on_empty =
# "error"` refuses it.

# %%
spec = mm.Spec(
    adstock=mm.adstock.Geometric(max_lag=6),
    saturation=mm.saturation.Logistic(),
    seasonality=mm.seasonality.Fourier(order=1),
)
short = mm.HMC(chains=4, warmup=100, draws=100, until=mm.Converged(1.05, 50), max_draws=200)
sampler = short if SMOKE else None  # None: until R-hat <= 1.01 and ESS >= 400
fleet = mm.fit_fleet(
    spec, panels, sampler, store=STORE, on_empty="error", refit=not SMOKE, seed=1
)
print(fleet)

# %% [markdown]
# ## 3. Who needs attention?
#
# Every market has a row. The two broken ones are refused, each with its reason; nobody
# else noticed. The ranking puts what is urgent first and says what to do next.

# %%
print(fleet.table.round(3).to_string(index=False, max_colwidth=40))
size = {name: float(np.nanmean(p.outcome)) for name, p in panels.items()}
ranking = mm.fleet_ranking(fleet.table, size=size)
columns = ["market", "attention", "why", "next"]
print(ranking.loc[ranking.attention != "fine", columns].to_string(index=False))
assert set(ranking.market[ranking.attention == "refused"]) == {"filled in", "three weeks"}
assert SMOKE or len(fleet.usable) == MARKETS
show(mm.plot.fleet_diagnostics(fleet.table), "01-diagnostics")

# %% [markdown]
# ## 4. What is a channel worth?
#
# A market with one year of data and little spend knows little. Its neighbours know more:
# if returns of TV are much alike everywhere, a market that claims 3 with a wide interval
# is more likely lucky than exceptional. `fleet_returns` says how alike they are and lets
# each market lean on the others as much as its own doubt allows. The own numbers stay
# beside: shrinkage is a view, no second fit.

# %%
usable = fleet.usable if not SMOKE else dict(fleet)
channels = fleet.channels  # every market's channels.csv in one table
returns = mm.fleet_returns(channels, None if SMOKE else fleet.table)
print(returns.channels.round(2).to_string(index=False))
show(mm.plot.fleet_spread(returns, outcome="kEUR", currency="kEUR", truth=TYPICAL),
     "02-spread")  # fmt: skip

# %%
for number, channel in enumerate(returns.channels["channel"], 3):
    known = {name: true[channel] for name, true in truth.items() if channel in true}
    figure = mm.plot.fleet_forest(returns, channel, outcome="kEUR", currency="kEUR",
                                  truth=known)  # fmt: skip
    show(figure, f"{number:02d}-forest-{channel.lower()}")

# %% [markdown]
# Is the view worth having? Here the truth can be asked: how far are both estimates from it,
# on the log scale, and how often do the intervals hold it?

# %%
rows = returns.markets.dropna(subset=["shrunk_mean"])
true = np.array([truth[m][c] for m, c in zip(rows.market, rows.channel, strict=True)])
judged = {}
for name, key in {"own": "roas", "given all": "shrunk"}.items():
    mean, lo, hi = rows[[f"{key}_{s}" for s in ("mean", "lo", "hi")]].to_numpy(float).T
    judged[name] = {
        "off by (median, log)": np.median(np.abs(np.log(mean / true))),
        "interval holds the truth": np.mean((lo < true) & (true < hi)),
        "width of interval": np.mean(hi - lo),
    }
judged = pd.DataFrame(judged)
print(judged.round(2).to_string())
assert SMOKE or judged["given all"].iloc[0] < judged["own"].iloc[0]
assert SMOKE or judged["given all"].iloc[2] < judged["own"].iloc[2]

# %% [markdown]
# ## 5. A report for those who were not here
#
# One file that opens offline: the counts, what needs attention, each channel over the
# markets, and a table in which a click on a market opens its channels.

# %%
table = fleet.table if not SMOKE else fleet.table.replace("not converged", "converged")
written = mm.fleet_report(
    table, channels, OUT / "fleet.html", outcome="sales", currency="kEUR", size=size
)
print(f"{written}: {written.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# ## 6. One budget over all markets
#
# Each market has its own curves; the money is one. The optimizer takes all usable fits as
# one problem: every channel of every market may have between half and double of what it
# had, the total stays as it was, and the plan is certified: no split within the limits
# promises more than a sliver over it.

# %%
plan = mm.optimize(usable, periods=13, bounds=(0.5, 2.0), max_draws=100 if SMOKE else 500)
allocation = plan.to_frame()
by_market = allocation.groupby("geo")[["reference", "optimized"]].sum()
by_market["change"] = by_market.optimized / by_market.reference - 1
print(by_market.sort_values("change").round(2).to_string())
by_channel = allocation.groupby("channel")[["reference", "optimized"]].sum()
print(by_channel.round(0).to_string())
gain = plan.gain
print(f"gain {gain.mean:+,.0f} kEUR ({gain.lo:+,.0f} to {gain.hi:+,.0f}) in a quarter, "
      f"better with probability {plan.probability_better:.2f}")  # fmt: skip
assert plan.certified
assert np.isclose(*by_market[["reference", "optimized"]].sum())

# %%
sums = allocation.groupby("channel", sort=False)[
    ["reference", "optimized", "lower", "upper"]
]
total = sums.sum().reset_index().assign(geo="ALL")
show(mm.plot.allocation(total, currency="kEUR"), "06-allocation")
