# %% [markdown]
# # What would have been sold anyway: holidays, steps and seasons that grow
#
# Media are switched on when people buy: before Christmas, before Easter, in season. What of
# these a model leaves out, it gives to the channels that ran then. Three years of weekly
# sales in Germany, simulated with a known truth: holidays, a new shop, a season that grows.
# What does the usual baseline (a line and two waves) make of the channels, what do terms
# with dates make of them, and which of both knows next Easter?
#
# Run it as a script (`python notebooks/baselines.py`; pictures go to `baselines-run/`) or
# open it as a notebook. `MMMJAX_SMOKE=1` runs it with short chains, whose numbers mean
# nothing. It needs `pip install "mmmjax[holidays]"`.

# %%
import os
from pathlib import Path

import holidays
import numpy as np
import pandas as pd

import mmmjax as mm

SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "baselines-run"))
OUT.mkdir(parents=True, exist_ok=True)


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    (OUT / f"{name}.png").write_bytes(mm.plot.to_png(figure))
    return figure


# %% [markdown]
# ## 1. A world with dates
#
# Easter moves between March and April, so no wave of the year can follow it. TV runs in
# bursts, twice as often in the weeks before feasts; Search follows the season.

# %%
WEEKS, HELD_OUT, MAX_LAG = 156, 30, 6
rng = np.random.default_rng(0)
dates = pd.date_range("2022-01-03", periods=WEEKS + HELD_OUT, freq="W-MON")
time = np.arange(len(dates)) / (WEEKS - 1)
calendar = holidays.country_holidays("DE", years=range(2022, 2027), language="en_US")


def days_before(name, window):
    """Days of each week that lie in the window before a holiday, or are it."""
    feasts = [pd.Timestamp(day) for day, text in calendar.items() if name in text]
    within = lambda day: any(0 <= (feast - day).days <= window for feast in feasts)
    every = [[monday + pd.Timedelta(days=k) for k in range(7)] for monday in dates]
    return np.array([sum(map(within, week)) for week in every])


christmas, easter = days_before("Christmas Day", 10), days_before("Easter Monday", 10)
feasts = 24 * christmas / 7 + 18 * easter / 7
shop = 12.0 * (dates >= "2023-09-04")
wave = np.cos(2 * np.pi * (dates.day_of_year.to_numpy() - 200) / 365.25)
season = (4 + 6 * time) * wave
busy = (christmas + easter) > 0
tv = rng.gamma(6.0, 1.5, len(dates)) * (rng.uniform(size=len(dates)) < 0.2 + 0.7 * busy)
search = rng.gamma(12.0, 0.4, len(dates)) * (1 + 0.25 * wave)
media = {"TV": tv, "Search": search}
truth = {}
for (name, spend), alpha, lam, size in zip(
    media.items(), (0.5, 0.2), (1.5, 1.0), (9.0, 18.0), strict=True
):
    weights = alpha ** np.arange(MAX_LAG) / (alpha ** np.arange(MAX_LAG)).sum()
    acting = np.convolve(spend / spend[:WEEKS].max(), weights)[: len(dates)]
    truth[name] = size * np.tanh(lam * acting)
sales = 100 + feasts + shop + season + sum(truth.values()) + rng.normal(0, 2.0, len(dates))
frame = pd.DataFrame({"week": dates, "sales": sales, **media})
panel = mm.Panel.from_frame(frame, date="week", outcome="sales", media=list(media))
train, test = panel.split(dates[WEEKS - 1])
known = pd.Series(
    {n: v[:WEEKS].sum() / media[n][:WEEKS].sum() for n, v in truth.items()},
    name="true ROAS",
)
show(mm.plot.outcome(mm.explore(panel)), "01-sales")

# %% [markdown]
# ## 2. Two baselines
#
# A holiday is a term with a coefficient for each name, drawn to nothing by a common scale
# that is learned; `before` lets it act in the days before, and a week has the days of it
# that it has. The new shop is a step on a known day. `grows` gives every wave a second
# coefficient, times time.

# %%
usual = mm.Spec(adstock=mm.adstock.Geometric(MAX_LAG), trend=True)
dated = mm.Spec(
    adstock=mm.adstock.Geometric(MAX_LAG),
    trend=True,
    terms=[
        mm.terms.Waves(1, grows=True),  # in place of the usual season
        mm.terms.Holidays("DE", before=10),
        mm.terms.Steps({"new shop": "2023-09-04"}),
    ],
)
show(mm.plot.structure(mm.structure(dated, train)), "02-structure")

# %%
sampler = (
    mm.NUTS(chains=2, warmup=100, draws=100, until=None)
    if SMOKE
    else mm.NUTS(chains=4, warmup=1000, draws=1000)
)
fits, rows = {}, {}
for name, spec in {"usual": usual, "dated": dated}.items():
    fits[name] = fit = mm.fit(spec, train, sampler, seed=0, progress=False)
    print(f"{name}: {mm.judge(fit).sentence}\n")
    found = mm.diagnostics(fit)
    assert SMOKE or found.converged
    ahead = mm.predict(fit, test, seed=0)
    returns = mm.tables.channels(fit).query("geo == 'ALL'").set_index("channel")
    told = "{roas_mean:.2f} ({roas_lo:.2f} to {roas_hi:.2f})"
    rows[name] = {
        **{f"ROAS {n}": told.format(**returns.loc[n]) for n in media},
        "crps ahead": round(mm.crps(test, ahead), 2),
        "worst R-hat": round(found.max_r_hat, 4),
    }
    show(mm.plot.roas(mm.tables.channels(fit), outcome="sales"), f"03-roas-{name}")
table = pd.DataFrame(rows).T
table.loc["truth"] = {f"ROAS {n}": f"{known[n]:.2f}" for n in media}
print(table.to_string(na_rep=""))

# %% [markdown]
# ## 3. What belongs to whom
#
# Feasts are in the season, the shop in the baseline: shares of the fitted mean add up.

# %%
for name, fit in fits.items():
    show(mm.plot.contributions(fit), f"04-contributions-{name}")
own = mm.contributions(fits["dated"]).sel(summary="mean").isel(geo=0)
said = {n: float(own[f"{n}_contribution"].sum()) for n in ("holidays", "steps")}
true = {"holidays": feasts[:WEEKS].sum(), "steps": shop[:WEEKS].sum()}
print(pd.DataFrame({"found": said, "true": true}).round(0).to_string())
effects = mm.summary(fits["dated"]).query("parameter == 'gamma_holiday'")
print(effects[["index", "mean", "sd", "r_hat"]].round(3).to_string(index=False))

# %% [markdown]
# ## 4. Next Easter
#
# 2025 it is three weeks later than it was in 2024. Dates are known, so they are in the
# forecast; nothing of the future outcome is read.

# %%
for name, fit in fits.items():
    seen, ahead = mm.predict(fit, seed=1), mm.predict(fit, test, seed=1)
    show(mm.plot.forecast(ahead, seen), f"05-forecast-{name}")
if not SMOKE:
    assert table.loc["dated", "crps ahead"] < table.loc["usual", "crps ahead"]
    assert abs(said["holidays"] / true["holidays"] - 1) < 0.25
