# %% [markdown]
# # Geos that learn from each other
#
# Twelve regions, each with its own sales, its own media and its own answer to them. Three
# models can be written down: *one effect for all*, *each region by itself*, and the default
# of mmmjax, in which every region has effects of its own around a typical one, and the data
# say how far from it they may be. The world below is made up, so the truth is known: which
# of the three would you bet the budget on?
#
# Run it as a script (`python notebooks/geo_panel.py`; pictures and tables go to
# `geo-panel-run/`) or open it as a notebook. `MMMJAX_SMOKE=1` runs fewer regions with short
# chains, whose numbers mean nothing.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd

import mmmjax as mm

SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "geo-panel-run"))
OUT.mkdir(parents=True, exist_ok=True)


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    (OUT / f"{name}.png").write_bytes(mm.plot.to_png(figure))
    return figure


# %% [markdown]
# ## 1. A world with regions
#
# Two years of weeks. What a channel does at full saturation differs from region to region
# by 20% to 40%; regions differ in people by a factor of twenty, in the level of sales a
# head, in season and in noise. Radio runs in bursts, the others always, now more, now less.

# %%
GEOS, WEEKS, MAX_LAG = (4, 60, 6) if SMOKE else (12, 104, 6)
CHANNELS = ["TV", "Search", "Social", "Radio"]
TYPICAL = np.array([0.16, 0.10, 0.06, 0.08])  # of the outcome, at full saturation
SPREAD = np.array([0.2, 0.4, 0.3, 0.3])  # sd of the log between regions
RETENTION = np.array([0.6, 0.2, 0.3, 0.45])
STEEPNESS = np.array([2.5, 3.5, 2.0, 3.0])


def carried(media):
    """What still acts of the media of this week and the five before it."""
    weights = RETENTION[:, None] ** np.arange(MAX_LAG)
    weights /= weights.sum(1, keepdims=True)
    early = np.pad(media, ((0, 0), (MAX_LAG - 1, 0), (0, 0)))
    lagged = [early[:, MAX_LAG - 1 - k :][:, : media.shape[1]] for k in range(MAX_LAG)]
    return sum(weights[:, k] * lagged[k] for k in range(MAX_LAG))


def effect(spend, largest, scale):
    """What spend (geo, week, channel) brings, in sales."""
    return scale[:, None] * np.tanh(STEEPNESS / 2 * carried(spend / largest[:, None]))


rng = np.random.default_rng(3)
names = [f"Region {g + 1:02d}" for g in range(GEOS)]
people = np.exp(rng.normal(0, 0.8, GEOS)) * 1e6
dates = pd.date_range("2023-01-02", periods=WEEKS, freq="W-MON")
amount = rng.gamma(2.0, 0.5, (GEOS, WEEKS, 4))
bursts = np.repeat(rng.random((GEOS, WEEKS // 5 + 1)) < 0.5, 5, axis=1)[:, :WEEKS]
amount[..., 3] *= bursts
spend = amount * people[:, None, None] * [0.05, 0.03, 0.02, 0.03]
largest = spend.max(1)
own = TYPICAL * np.exp(SPREAD * rng.standard_normal((GEOS, 4)))
scale = people[:, None] * own
media = effect(spend, largest, scale)
season = (0.05 + 0.02 * rng.standard_normal((GEOS, 1))) * np.sin(
    2 * np.pi * dates.day_of_year.to_numpy() / 365.25
)
level = 0.4 + 0.1 * rng.standard_normal((GEOS, 1))
noise = 0.04 * np.exp(0.3 * rng.standard_normal((GEOS, 1)))
head = level + season + noise * rng.standard_normal((GEOS, WEEKS))
sales = people[:, None] * head + media.sum(2)
frame = pd.DataFrame(
    {
        "week": np.tile(dates, GEOS),
        "region": np.repeat(names, WEEKS),
        "people": np.repeat(people.round(), WEEKS),
        "sales": sales.ravel().round(),
        **{name: spend[..., c].ravel().round() for c, name in enumerate(CHANNELS)},
    }
)
truth = media.sum(1) / spend.sum(1)  # ROAS (region, channel)
print(frame.head(3).to_string(index=False))

# %%
panel = mm.Panel.from_frame(
    frame, date="week", geo="region", outcome="sales", media=CHANNELS,
    population="people", currency="EUR",
)  # fmt: skip
train, test = panel.split(panel.dates[-9])
spec = mm.Spec(adstock=mm.adstock.Geometric(max_lag=MAX_LAG))
print(panel)
show(mm.plot.spend(mm.explore(panel), geo=names[0]), "01-spend")

# %% [markdown]
# ## 2. What the model believes before it sees sales
#
# Nothing was said about pooling: with more than one geo, levels, effects, seasons and noise
# are pooled over them. The prior of effects is neutral in return: money is money, whichever
# channel it went to, and all media together bring about 30% of sales, give or take.

# %%
print(mm.structure(spec, train))
show(mm.plot.structure(mm.structure(spec, train)), "02-structure")
before = mm.sample_prior(spec, train, 100 if SMOKE else 500, seed=1)
assumed = mm.roas(before)["roas_total"].squeeze("chain").quantile([0.03, 0.5, 0.97], "draw")
print(assumed.to_pandas().T.round(2))

# %% [markdown]
# ## 3. Three models
#
# Leaving geos out of a prior's `dims` gives all of them one value; a plain prior with geos
# among its `dims` gives each a value that learns nothing from the others. Both are said
# loudly by the fit: they are rarely meant.

# %%
EFFECT = mm.Prior("HalfNormal", scale=mm.media_share)
models = {
    "pooled": spec,
    "one for all": mm.Spec(
        adstock=spec.adstock,
        priors={"saturation_beta": EFFECT.with_dims(("channel",))},
    ),
    "each by itself": mm.Spec(
        adstock=spec.adstock,
        priors={"saturation_beta": EFFECT.with_dims(("geo", "channel"))},
    ),
}
sampler = mm.HMC(warmup=100, draws=100, until=None) if SMOKE else mm.HMC()
fits = {name: mm.fit(one, train, sampler, seed=1) for name, one in models.items()}
for name, one in fits.items():
    found = mm.diagnostics(one)
    print(f"{name}: R-hat {found.max_r_hat:.3f}, {one.info['timings']['total_s']:.0f} s")
    assert SMOKE or found.converged
fit = fits["pooled"]
print(mm.judge(fit).sentence)

# %% [markdown]
# ## 4. What did each channel bring, region by region?
#
# 94% intervals of what each of the channels brought in each region, against the truth. The
# error is the root mean square over regions and channels, as a share of a region's sales.

# %%
window = train.window
whole = train.outcome.sum(1)[:, None]
true = effect(spend, largest, scale)[:, : len(train.dates)].sum(1)
rows = []
for name, one in fits.items():
    total = mm.contributions(one)["channel_total"].stack(sample=("chain", "draw"))
    lo, hi = np.quantile(total, [0.03, 0.97], axis=-1)
    mean = total.mean("sample").to_numpy()
    rows.append(
        {
            "model": name,
            "error, % of sales": 100 * np.sqrt((((mean - true) / whole) ** 2).mean()),
            "intervals that hold the truth": ((lo < true) & (true < hi)).mean(),
            "width, % of sales": 100 * ((hi - lo) / whole).mean(),
            "error of the total": mean.sum() / true.sum() - 1,
        }
    )
judged = pd.DataFrame(rows).set_index("model")
print(judged.round(3).to_string())
judged.to_csv(OUT / "models.csv")
assert SMOKE or judged["error, % of sales"].idxmin() == "pooled"

# %% [markdown]
# *One for all* is sure of itself and wrong: regions that answer better pay for those that
# answer worse. *Each by itself* is honest and knows little. Pooling takes from the
# neighbours what they have in common, as much as the data say that they have it in common.

# %%
shown = mm.summary(fit).set_index(["parameter", "index"])
print(shown.loc["saturation_beta_spread", ["mean", "sd"]].assign(true=SPREAD).round(2))
for number, region in enumerate(names[:2], 3):
    table = mm.tables.weekly(fit)
    show(mm.plot.contributions(table, geo=region), f"{number:02d}-contributions")
show(mm.plot.curves(mm.curves(fit), geo=names[0]), "05-curves")
show(mm.plot.roas(mm.tables.channels(fit), outcome="sales", currency="EUR"), "06-roas")

# %% [markdown]
# ## 5. Weeks that were held back
#
# Each region has a forecast of its own. The score is the CRPS, a mean distance in sales;
# smaller is better.

# %%
scores = {name: mm.crps(test, mm.predict(one, test, seed=1)) for name, one in fits.items()}
print(pd.Series(scores).round(0).to_string())
seen, ahead = mm.predict(fit, seed=1), mm.predict(fit, test, seed=1)
show(mm.plot.forecast(ahead, seen, geo=names[0]), "07-forecast")

# %% [markdown]
# ## 6. The budget of a quarter, over regions and channels
#
# Every region and channel may have between half and double of what it had. Each model says
# what its plan is worth, and the world says what it truly is.

# %%
AHEAD = 4 if SMOKE else 13
rows = []
for name, one in fits.items():
    plan = mm.optimize(one, periods=AHEAD, bounds=(0.5, 2.0))
    table = plan.to_frame().pivot(index="geo", columns="channel")
    weekly = {n: table[n].loc[names, CHANNELS].to_numpy() / AHEAD
              for n in ("reference", "optimized")}  # fmt: skip
    worth = {}
    for n, x in weekly.items():
        quarter = np.repeat(x[:, None], AHEAD, 1)
        tail = np.pad(quarter, ((0, 0), (0, MAX_LAG - 1), (0, 0)))
        worth[n] = effect(tail, largest, scale).sum()
    claimed = plan.gain.mean / worth["reference"]
    truly = worth["optimized"] / worth["reference"] - 1
    rows.append({"model": name, "claimed": claimed, "truly": truly, "plan": plan.status})
    assert SMOKE or plan.certified
plans = pd.DataFrame(rows).set_index("model")
print(plans.round(3).to_string())
plans.to_csv(OUT / "plans.csv")
best = mm.optimize(fit, periods=AHEAD, bounds=(0.5, 2.0))
table = best.to_frame()
show(mm.plot.allocation(table[table.geo == names[0]], currency="EUR"), "08-allocation")
cells = table.assign(channel=table.channel + " in " + table.geo)[:12]
show(mm.plot.allocation(cells, currency="EUR"), "09-three-regions")
