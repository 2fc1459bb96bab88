# %% [markdown]
# # A media mix study, from a raw table to a meeting
#
# Four years of a retailer's weekly sales, seven channels, twenty-two holidays. The question
# that pays for this work: *what did each channel bring, how sure are we, and where should
# the next budget go?* The order below is the order in which a careful analyst works:
# look, say what is believed before fitting, fit, doubt the fit, and only then explain,
# forecast, validate and decide.
#
# Run it as a script (`python notebooks/case_study.py`; pictures and tables go to
# `case-study-run/`) or open it as a notebook. `MMMJAX_SMOKE=1` runs it with short chains,
# whose numbers mean nothing.

# %%
import os
import sys
from pathlib import Path

import pandas as pd

import mmmjax as mm

HERE = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()
SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
DATA = HERE.parent.parent / "shared" / "data" / "case_study.csv"
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "case-study-run"))
if not DATA.exists():
    sys.exit(f"the data of the case study are not here: {DATA}")
OUT.mkdir(parents=True, exist_ok=True)


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    (OUT / f"{name}.png").write_bytes(mm.plot.to_png(figure))
    return figure


# %% [markdown]
# ## 1. Look
#
# Every model is downstream of the table. The door refuses duplicated and missing weeks,
# text among numbers, negative spend; here we look at what it let in. Training ends in
# February 2018; half a year is kept back, and nothing below may look at it before the
# forecast.

# %%
frame = pd.read_csv(DATA)
CHANNELS = {
    "Direct Mail": "mdsp_dm", "Insert": "mdsp_inst", "Newspaper": "mdsp_nsp",
    "Online Display": "mdsp_on", "Radio": "mdsp_audtr", "Social Media": "mdsp_so",
    "TV": "mdsp_vidtr",
}  # fmt: skip
panel = mm.Panel.from_frame(
    frame,
    date="wk_strt_dt",
    outcome="sales",
    media=CHANNELS,
    controls=[c for c in frame if c.startswith("hldy_")],
)
train, test = panel.split("2018-02-01")
print(train)
assert (len(train.dates), len(test.dates)) == (183, 26)
COLOURS = mm.plot.channel_colours(panel.channels)

# %%
seen = mm.explore(train, test)
for finding in mm.warnings(train, test):
    print(finding)
table = pd.DataFrame(
    {
        "spend": seen["spend_total"][0],
        "share": seen["spend_share"][0],
        "weeks on": seen["active"][0],
        "r with sales": seen["correlation"][0].sel(variable=list(CHANNELS)),
        "VIF": seen["vif"].sel(variable=list(CHANNELS)),
    },
    index=list(CHANNELS),
)
print(table.round(2).to_string())

# %% [markdown]
# Direct Mail takes almost half of the money and hardly moves with sales; TV and Insert do,
# because they are bought for the season. Correlations of spend and sales are no returns: a
# channel that is switched on before Christmas correlates with Christmas. Three December
# weeks stand apart without a holiday control of their own; remember them when the residuals
# come. Newspaper had all but stopped by the test window: its forecast says little.

# %%
show(mm.plot.outcome(seen), "01-outcome")
show(mm.plot.spend(seen, colours=COLOURS), "02-spend")
show(mm.plot.spend_shares(seen, colours=COLOURS), "03-spend-shares")
show(mm.plot.against_outcome(seen, colours=COLOURS), "04-against-sales")
show(mm.plot.correlations(seen), "05-correlations")
show(mm.plot.train_test(seen, colours=COLOURS), "06-train-test")

# %% [markdown]
# ## 2. Say what is believed before fitting
#
# Sales without media are put near 20% of the largest week, give or take 5; each channel's
# largest possible effect has a half-normal prior as wide as its share of spend, because
# a planner who spends half of the money on a channel believes it can do more than one that
# gets a hundredth. It is a weak belief in returns of about the same size for all.

# %%
spec = mm.Spec(
    adstock=mm.adstock.Geometric(max_lag=6),
    saturation=mm.saturation.Logistic(),
    seasonality=mm.seasonality.Fourier(order=5),
    likelihood=mm.likelihood.TruncatedNormal(low=0.0),
    priors={
        "intercept": mm.Prior("Normal", loc=0.2, scale=0.05),
        "adstock_alpha": mm.Prior("Beta", alpha=1, beta=3, dims="channel"),
        "saturation_lam": mm.Prior("Gamma", alpha=3, beta=1, dims="channel"),
        "saturation_beta": mm.Prior("HalfNormal", scale=mm.spend_share, dims="channel"),
        "gamma_control": mm.Prior("Normal", loc=0, scale=1, dims="control"),
        "gamma_fourier": mm.Prior("Laplace", loc=0, scale=1, dims="fourier"),
        "y_sigma": mm.Prior("HalfNormal", scale=1),
    },
)
structure = mm.structure(spec, train)
print(structure)
assert structure.n_parameters == 55
show(mm.plot.structure(structure), "07-structure")

# %% [markdown]
# The prior predictive says what this means for sales. These priors are the study's own and
# wide: seasonality may swing by more than the largest week, so the expected level lies far
# above the data. They allow the data without knowing them, which is what matters here; the
# prior of ROAS spans everything that could be true, about the same for every channel. That
# is the belief to read the result against: a channel whose posterior looks like this has
# told us nothing.

# %%
before = mm.sample_prior(spec, train, draws=100 if SMOKE else 1000)
show(mm.plot.prior_predictive(mm.predict(before), outcome="sales"), "08-prior-predictive")
prior_roas = mm.roas(before)["roas_total"]
prior_share = mm.contributions(before, total=True)["channel_share"]
show(
    mm.plot.distributions(prior_roas, of="ROAS", under="the prior", colours=COLOURS),
    "09-prior-roas",
)
show(
    mm.plot.distributions(
        prior_share, of="share of sales", under="the prior", percent=True, colours=COLOURS
    ),
    "10-prior-shares",
)

# %% [markdown]
# ## 3. Fit, then doubt
#
# Four chains of a thousand draws. The verdict comes before any result: divergences, R-hat,
# effective sample sizes. A result of chains that disagree is not a result.

# %%
sampler = (
    mm.NUTS(chains=2, warmup=100, draws=100, until=None)
    if SMOKE
    else mm.NUTS(chains=4, warmup=1000, draws=1000, target_accept=0.9)
)
fit = mm.fit(spec, train, sampler, seed=0, progress=False)
mm.save(fit, OUT / "fit.nc")
verdict = mm.diagnostics(fit)
print(verdict)
parameters = mm.summary(fit)
assert SMOKE or (verdict.divergences == 0 and verdict.converged)

# %%
draws = fit.to_arviz()["posterior"]
KEY = ["intercept", "y_sigma", "adstock_alpha[TV]", "saturation_beta[Direct Mail]"]
show(mm.plot.trace(draws, KEY, diverging=fit.draws.stats["diverging"]), "11-trace")
show(mm.plot.ranks(draws, KEY), "12-ranks")
show(mm.plot.energy(fit.draws.stats["energy"]), "13-energy")
show(mm.plot.convergence(parameters, chains=sampler.chains), "14-convergence")

# %% [markdown]
# What did the data say? The contraction compares the width of the posterior with that of
# the prior. The baseline and the noise are learned; the carry-over and the saturation of
# small channels stay close to their priors. What stays at its prior is an assumption, and
# is told as one.

# %%
learned = mm.prior_posterior(fit, parameters)
print(learned.sort_values("contraction").round(3).head(8).to_string(index=False))
show(mm.plot.contraction(learned, colours=COLOURS), "15-contraction")
show(
    mm.plot.prior_posterior(
        before.to_arviz()["posterior"],
        draws,
        [f"saturation_beta[{name}]" for name in CHANNELS],
        colours=COLOURS,
    ),
    "16-prior-posterior",
)

# %% [markdown]
# Does it describe the weeks it has seen? Residuals should be noise: no slope, no wave, no
# memory from one week to the next.

# %%
fitted = mm.predict(fit)
show(mm.plot.fitted(fitted, outcome="sales"), "17-fitted")
show(mm.plot.residuals(mm.residuals(fit), outcome="sales", period="week"), "18-residuals")
scores = mm.scores(fit, test)
print({name: float(f"{value:.4g}") for name, value in scores.items()})

# %% [markdown]
# ## 4. Explain
#
# Contributions add up to the fitted mean exactly. Most sales would have come without any
# media: the intercept alone is about 60% of them.

# %%
whole = mm.contributions(fit, total=True)
intercept = whole["intercept_total"] / whole["outcome_total"]
print(f"intercept: {float(intercept.mean()):.1%} of sales")
assert SMOKE or 0.5 < float(intercept.mean()) < 0.7
weekly, channels = mm.tables.weekly(fit), mm.tables.channels(fit)
show(mm.plot.contributions(weekly, outcome="sales", colours=COLOURS), "19-contributions")
show(
    mm.plot.decomposition(mm.tables.decomposition(fit), outcome="sales", colours=COLOURS),
    "20-decomposition",
)
show(mm.plot.shares(channels, outcome="sales", colours=COLOURS), "21-shares")

# %% [markdown]
# Returns. Online Display and Insert bring most per unit of money, Direct Mail least: the
# channel with most of the money is the most saturated one. Look at the intervals before
# the means: Insert's is wide, and what we do about it is decided below, not here.

# %%
order = channels.query("geo == 'ALL'").sort_values("roas_mean", ascending=False)
print(
    order[["channel", "roas_mean", "roas_lo", "roas_hi", "mroas_mean"]]
    .round(2)
    .to_string(index=False)
)
ranking = list(order["channel"])
assert SMOKE or (
    set(ranking[:2]) == {"Online Display", "Insert"} and ranking[-1] == "Direct Mail"
)
show(mm.plot.roas(channels, outcome="sales", colours=COLOURS), "22-roas")
show(mm.plot.share_and_roas(channels, outcome="sales", colours=COLOURS), "23-share-roas")
show(
    mm.plot.distributions(
        mm.roas(fit)["roas_total"], prior_roas, of="ROAS", colours=COLOURS
    ),
    "24-roas-prior-posterior",
)
returns = mm.tables.returns(fit)
show(mm.plot.roas_over_time(returns, outcome="sales", colours=COLOURS), "25-roas-quarters")
show(mm.plot.now_and_after(returns, outcome="sales", colours=COLOURS), "26-now-after")

# %% [markdown]
# Where does each channel stand on its curve, how long does its effect last, and what would
# more or less of it have done? The dashed part of a curve has never been observed.

# %%
show(
    mm.plot.curves(mm.curves(fit), outcome="sales", period="week", colours=COLOURS),
    "27-curves",
)
show(
    mm.plot.carryover(mm.tables.carryover(fit), period="week", colours=COLOURS),
    "28-carryover",
)
sweep = mm.tables.sweep(fit)
show(mm.plot.sweep(sweep, measure="uplift", outcome="sales", colours=COLOURS), "29-sweep")
show(
    mm.plot.sweep(sweep, measure="marginal", outcome="sales", colours=COLOURS),
    "30-sweep-marginal",
)

# %% [markdown]
# ## 5. Forecast
#
# The half year that was kept back. A forecast continues the media of training, so that
# what was spent in January still acts in February.

# %%
forecast = mm.predict(fit, test)
show(mm.plot.fitted(fitted, forecast, outcome="sales"), "31-train-test-fit")
show(mm.plot.forecast(forecast, fitted, outcome="sales"), "32-forecast")
inside, outside = scores["crps_train"] / 1e6, scores["crps_test"] / 1e6
print(f"CRPS: train {inside:.1f} M, test {outside:.1f} M")
assert SMOKE or scores["crps_test"] < scores["crps_train"]
show(
    mm.plot.contributions(
        mm.tables.weekly(fit, test), outcome="sales", only_media=True, colours=COLOURS
    ),
    "33-contributions-test",
)

# %% [markdown]
# ## 6. Validate
#
# One split is one story. Five cuts, each forecasting the quarter after it, beside two
# forecasters who know nothing of media: last year's week, and the same model without media.
# A model of media need not forecast better than one without; it must not forecast much
# worse, and its returns must not jump when a quarter of data is added.

# %%
backtest = mm.backtest(
    spec,
    panel,
    mm.NUTS(chains=2, warmup=100, draws=100, until=None) if SMOKE else sampler,
    folds=2 if SMOKE else 5,
    horizon=13,
    progress=False,
)
print(backtest)
folds = backtest.to_frames()
for name, folded in folds.items():
    folded.to_csv(OUT / f"{name}.csv", index=False)
show(mm.plot.backtest_scores(folds["backtest"], outcome="sales"), "34-backtest-scores")
show(
    mm.plot.backtest_forecasts(folds["backtest_forecast"], outcome="sales"),
    "35-backtest-forecasts",
)
show(mm.plot.stability(folds["backtest_parameters"], colours=COLOURS), "36-stability")

# %% [markdown]
# ## 7. What would have happened
#
# The same total, spread as a plan for the test window would spread it (each channel within
# 50% of what it had). Applied to the four years of training, which is the fairest way to
# see what the plan is worth: contributions of media rise by about a quarter, sales by about
# a tenth, and there is a chance of a few percent that it would have been a mistake.

# %%
spent = {name: float(test.spend[..., i].sum()) for i, name in enumerate(panel.channels)}
weekly_spend = {
    name: value / len(test.dates) / len(CHANNELS) for name, value in spent.items()
}
plan = mm.optimize(
    fit,
    budget=sum(weekly_spend.values()),
    periods=len(test.dates),
    reference=weekly_spend,
    bounds=0.5,
    per_period=True,
)
print(plan)
assert SMOKE or plan.certified
multiplier = {
    str(name): float(plan.multiplier[0].sel(channel=name)) for name in panel.channels
}
what_if = mm.counterfactual(fit, mm.reweight(fit, multiplier))
media, sales = what_if["uplift_contribution"], what_if["uplift_outcome"]
print(
    f"contributions {float(media.mean()):+.1%}, P(better) "
    f"{float(what_if['probability_contribution'][0]):.2f}; sales {float(sales.mean()):+.1%}"
)
assert SMOKE or (0.20 < float(media.mean()) < 0.32 and 0.07 < float(sales.mean()) < 0.12)
show(
    mm.plot.uplift(media, of="media contributions", plan="the reweighted spend"),
    "37-uplift-media",
)
show(mm.plot.uplift(sales, of="sales", plan="the reweighted spend"), "38-uplift-sales")
show(mm.plot.allocation(plan.to_frame(), per="a week", colours=COLOURS), "39-plan")

# %% [markdown]
# ## 8. Report
#
# One file, for the meeting; everything above and the exact spec, in the order in which
# people ask.

# %%
path = mm.report(fit, OUT / "report.html", test=test, plan=plan)
print(
    f"{path}: {path.stat().st_size / 1e6:.1f} MB; pictures: {len(list(OUT.glob('*.png')))}"
)
