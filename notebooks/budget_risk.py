# %% [markdown]
# # What does safety cost? Plans under risk
#
# A posterior is not a curve but thousands of them. The usual plan maximises the average
# over them and is indifferent to how far they lie apart. Eight weeks, three thousand a week
# and two channels: one that is on air all the time, so that nobody can tell it from the
# season, and one that is switched on and off, so that its effect is plain to see. What
# should a cautious planner do, what does caution cost, and would it be better to buy
# certainty with a test?
#
# The data are simulated, so at the end the truth can be asked. All money is in thousands.
#
# Run it as a script (`python notebooks/budget_risk.py`; pictures and tables go to
# `budget-risk-run/`) or open it as a notebook. `MMMJAX_SMOKE=1` runs it with short chains,
# whose numbers mean nothing.

# %%
import os
from dataclasses import replace
from pathlib import Path

import altair as alt
import jax.numpy as jnp
import numpy as np
import pandas as pd

import mmmjax as mm
from mmmjax.simulate import generate

SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "budget-risk-run"))
OUT.mkdir(parents=True, exist_ok=True)


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    figure.save(OUT / f"{name}.png")
    return figure


# %% [markdown]
# ## 1. Two channels, one of them known
#
# Two years of weekly sales. TV runs every week, now more, now less; Search runs in bursts
# of a few weeks. Bursts are an experiment nobody planned. What no TV would mean has never
# been seen, and hardly a week had as little of it as the plans below will have: the start
# of its curve is prior and shape.

# %%
simulated = generate(
    seed=0, channels=2, flighted=1, controls=1, periods=104, test_periods=0, max_lag=4,
    outcome_level=20.0, noise=0.08, currency="kEUR",
)  # fmt: skip
panel, spec = simulated.panel, simulated.spec
TV, SEARCH = panel.channels
COLOURS = mm.plot.channel_colours(panel.channels)
seen = mm.explore(panel)
show(mm.plot.spend(seen, colours=COLOURS), "01-spend")
on = (panel.spend[0] > 0).mean(0)
assert on[0] == 1.0
assert on[1] < 0.7
low = (panel.spend[0, :, 0] < 1.5).mean()
print(f"weeks with less than 1.5 kEUR of {TV}: {low:.0%}")
assert low < 0.05

# %%
sampler = (
    mm.NUTS(chains=2, warmup=100, draws=100, until=None)
    if SMOKE
    else mm.NUTS(chains=4, warmup=1000, draws=1000, target_accept=0.95)
)
fit = mm.fit(spec, panel, sampler, seed=0, progress=False)
verdict = mm.diagnostics(fit)
print(verdict)
assert SMOKE or verdict.converged
returns = mm.roas(fit)["roas_total"].squeeze()
spread = pd.DataFrame(
    {"mean": returns.mean(("chain", "draw")), "sd": returns.std(("chain", "draw"))},
    index=list(panel.channels),
)
print(spread.round(2).to_string())
assert SMOKE or spread.sd[TV] > 2 * spread.sd[SEARCH]
channels = mm.tables.channels(fit)
show(mm.plot.roas(channels, outcome="sales", currency="kEUR", colours=COLOURS), "02-roas")

# %% [markdown]
# ## 2. A guess and the best plan on average
#
# The planner's guess: half a thousand a week for TV, the rest for Search. The plan with the
# highest mean is certified, and it moves almost half of the money to TV: Search saturates.
# Look at the gain, though, before sending the order.

# %%
WEEKS, BUDGET = 8, 3.0
guess = {TV: 0.5, SEARCH: 2.5}
ask = {
    "budget": BUDGET,
    "periods": WEEKS,
    "per_period": True,
    "reference": guess,
    "bounds": {TV: (0.0, BUDGET), SEARCH: (0.0, BUDGET)},
}
average = mm.optimize(fit, **ask)
print(average.text("week"))
assert average.certified
assert abs(float(average.optimized.sum()) - BUDGET) < 1e-9
gain = average.gain
print(
    f"gain {gain.mean:+.1f} kEUR ({gain.lo:+.1f} to {gain.hi:+.1f}), better than the guess "
    f"with probability {average.probability_better:.2f}"
)
assert gain.mean >= 0
assert SMOKE or (gain.lo < 0 < gain.hi and 0.5 < average.probability_better < 0.65)
assert SMOKE or 0.4 < float(average.optimized.sel(channel=TV).sum()) / BUDGET < 0.53
show(
    mm.plot.allocation(average.to_frame(), currency="kEUR", per="a week", colours=COLOURS),
    "03-average-plan",
)
show(mm.plot.plan_responses(average.response, outcome="kEUR"), "04-average-response")

# %% [markdown]
# On average the plan is better than the guess, and in about four worlds of ten it is worse:
# what it wins it wins in the upper half of the distribution. Whoever is paid by the mean
# takes it. Whoever has to explain a bad quarter would like to know what else there is.

# %% [markdown]
# ## 3. Other things to want
#
# - **mean tightness**: the mean less alpha times the distance of the quartiles from it. At
#   alpha 0.3 a mild dislike of spread, at 0.9 a strong one.
# - **value at risk of ROAS** at 0.9: the return that is exceeded with 90% probability.
# - **mean and diversification**: the mean plus a weight times the diversification ratio
#   (how much of the channels' risks cancels). The weight is a taste: here one point of the
#   ratio is worth twenty thousand of sales.
# - **certainty equivalent**, a function of our own: what sure sum would be worth as much to
#   a planner whom each further `tolerance` lost hurts e times as much as the one before. It
#   is concave, and we say so: such a plan is certified on our word, the others but the mean
#   are the best of several starts.


# %%
def certainty_equivalent(samples, budgets, tolerance=10.0):
    """Sure sum that is worth as much as the samples under exponential utility."""
    low = samples.min()  # so that no exponential overflows
    return low - tolerance * jnp.log(jnp.mean(jnp.exp((low - samples) / tolerance)))


WANTED = {
    "mean plan": mm.utility.mean_response(),
    "tightness 0.3": mm.utility.mean_tightness(alpha=0.3),
    "tightness 0.9": mm.utility.mean_tightness(alpha=0.9),
    "VaR of ROAS": mm.utility.roas(mm.utility.value_at_risk(level=0.9)),
    "diversified": mm.utility.mean_response() + 20.0 * mm.utility.diversification_ratio(),
    "certainty eq.": mm.utility.custom(certainty_equivalent, concave=True),
}
plans = {name: mm.optimize(fit, **ask, utility=u) for name, u in WANTED.items()}
for name, plan in plans.items():
    tv = float(plan.optimized.sel(channel=TV).sum())
    print(f"{name:<14}{TV} {tv:.2f}  {plan.utility}: {plan.objective:.3f}, {plan.status}")
    assert plan.objective >= plan.reference_objective
assert plans["certainty eq."].certified

# %% [markdown]
# Each plan must be the best of all of them by its own measure; if one were not, the search
# had failed. `evaluate` computes every measure of every plan exactly, in the same draws.

# %%
compared = mm.evaluate(
    fit, {"guess": guess, **plans}, reference=guess, utilities=list(WANTED.values())
)
scored = compared["utility_value"].to_pandas()
scored.columns = list(WANTED)
print(scored.round(2).to_string())
for name in WANTED:
    best = scored[name].max()
    assert scored.loc[name, name] >= best - 1e-4 * abs(best), name

# %% [markdown]
# ## 4. All of them in one picture

# %%
response = {
    str(p): compared["response"].sel(plan=p).to_numpy() for p in compared.plan.values
}
draws = pd.DataFrame(response)
order = compared["spend"].sel(channel=TV).sum("geo").to_series().sort_values().index
assert SMOKE or draws[order].mean().is_monotonic_increasing
told = pd.DataFrame({"plan": order, "mean": draws[order].mean(),
                     "worst": draws[order].quantile(0.1)})  # fmt: skip
long = draws.melt(var_name="plan", value_name="kEUR")
x = alt.X("kEUR:Q", bin=alt.Bin(maxbins=60), title=f"kEUR of sales in {WEEKS} weeks")
hills = alt.Chart().mark_area(interpolate="step", opacity=0.75).encode(
    x=x, y=alt.Y("count():Q", axis=None),
    color=alt.condition("datum.plan === 'guess'", alt.value("#c3cad3"),
                        alt.value("#3e5c76")),
)  # fmt: skip
figure = (
    alt.layer(hills, data=long)
    .properties(width=560, height=46)
    .facet(
        row=alt.Row(
            "plan:N",
            sort=[*order[::-1]],
            title=None,
            header=alt.Header(labelAngle=0, labelAlign="left"),
        ),
    )
    .properties(title=f"More {TV}, upwards: the mean rises, the worst tenth falls")
)
print(told.round(1).to_string(index=False))
show(figure, "05-all-plans")
show(mm.plot.mean_and_risk(response, outcome="kEUR"), "06-mean-and-risk")

# %%
result = pd.DataFrame(
    {
        f"{TV} a week": compared["spend"].sel(channel=TV).sum("geo").to_series(),
        "mean": draws.mean(),
        "sd": draws.std(),
        "worst tenth": draws.quantile(0.1),
        "best tenth": draws.quantile(0.9),
        "ROAS": compared["roas"].to_series(),
        "P(beats guess)": compared["probability_better"].to_series(),
        "P(beats mean plan)": draws.gt(draws["mean plan"], axis=0).mean(),
    }
).loc[list(draws)]
result.loc["mean plan", "P(beats mean plan)"] = np.nan
result.to_csv(OUT / "plans.csv")
print(result.round(2).to_string())

# %% [markdown]
# Read the table from left to right. The more a plan dislikes spread, the less it gives to
# TV. The mean falls slowly and the spread fast, at first: that is the shape of every
# frontier near its top, where the mean is flat and the spread is not. Strong tightness and
# value at risk end at nearly the same plan, and that is no accident: for a bell-shaped
# response 0.9 times the distance of both quartiles is 1.2 standard deviations below the
# mean, and the value exceeded with 90% lies 1.3 below it. Two names, one wish.
#
# And the guess was not a bad one: it is nearly the cautious plan, and does a little better
# on average. Someone has planned by gut feeling what a strict utility says.
#
# What each step costs and buys, against the mean plan:

# %%
top = result.loc["mean plan"]
steps = pd.DataFrame(
    {
        "mean given up": top["mean"] - result["mean"],
        "in percent": 100 * (1 - result["mean"] / top["mean"]),
        "sd avoided": top["sd"] - result["sd"],
        "worst tenth gained": result["worst tenth"] - top["worst tenth"],
    }
).drop(index="mean plan")
steps["gained per kEUR given up"] = steps["worst tenth gained"] / steps["mean given up"]
print(steps.round(2).to_string())
mild, strict = steps.loc["tightness 0.3"], steps.loc["tightness 0.9"]
assert (steps["mean given up"] >= -1e-9).all()
assert SMOKE or mild["gained per kEUR given up"] > 2 * strict["gained per kEUR given up"]
assert SMOKE or 0.5 < mild["in percent"] < 4
assert SMOKE or 0 < result["mean"]["guess"] - result["mean"]["tightness 0.9"] < 3
assert SMOKE or abs(result[f"{TV} a week"]["tightness 0.9"]
                    - result[f"{TV} a week"]["VaR of ROAS"]) < 0.3  # fmt: skip

# %% [markdown]
# The whole way from bold to cautious, in one call: the price of the tail, alpha, from 0 to
# 1.2. The first steps are nearly free.

# %%
alphas = np.linspace(0.0, 1.2, 9)
way = mm.frontier(fit, alphas=alphas, **ask)
path = pd.DataFrame(
    {
        f"{TV} a week": way["spend"].sel(channel=TV).sum("geo"),
        "mean": way["response_mean"],
        "sd": way["response_sd"],
    },
    index=pd.Index(alphas.round(2), name="alpha"),
)
path.to_csv(OUT / "alphas.csv")
print(path.round(2).to_string())
for at, name in ((2, "tightness 0.3"), (6, "tightness 0.9")):
    assert np.isclose(way["objective"][at], plans[name].objective, rtol=1e-3)
assert (path["sd"].diff().dropna() < 0.02 * path["sd"].iloc[0]).all()

# %%
marked = path.iloc[[0, 2, 8]].reset_index()
marked["text"] = [f"alpha {alpha:g}" for alpha in marked["alpha"]]
curve = alt.Chart(path).mark_line(point=True, color="#3e5c76").encode(
    x=alt.X("sd:Q", title="standard deviation (kEUR)", scale=alt.Scale(zero=False)),
    y=alt.Y("mean:Q", title="mean (kEUR)", scale=alt.Scale(zero=False)), order="alpha:Q",
)  # fmt: skip
texts = alt.Chart(marked).mark_text(align="left", dx=8, dy=8)
weekly = path.reset_index()[["alpha", f"{TV} a week"]].rename(columns={f"{TV} a week": TV})
weekly[SEARCH] = BUDGET - weekly[TV]
areas = alt.Chart(weekly.melt("alpha", var_name="channel", value_name="kEUR")).mark_area()
figure = alt.hconcat(
    curve.properties(width=260, height=230)
    + texts.encode(x="sd:Q", y="mean:Q", text="text:N"),
    areas.encode(
        x=alt.X("alpha:Q", title="alpha: price of the tail"),
        y=alt.Y("kEUR:Q", title="kEUR a week"),
        color=alt.Color("channel:N", scale=alt.Scale(domain=[TV, SEARCH],
                        range=[COLOURS[TV], COLOURS[SEARCH]])),
    ).properties(width=260, height=230),
).properties(title="The first steps away from risk are nearly free")  # fmt: skip
show(figure, "07-alphas")

# %% [markdown]
# ## 5. Would a test be better than caution?
#
# Caution pays a premium every time. A test pays once and removes the reason. The most a
# test could add to the mean in these eight weeks is the expected value of perfect
# information: the mean over worlds of what the best plan of that world brings, less what
# the best plan for all of them brings. It says which channel to test, too.

# %%
bold = mm.knowledge(fit, plans["mean plan"], max_draws=20 if SMOKE else 400)
evpi, error = float(bold["evpi"]), float(bold["evpi_error"])
worth = bold["channel_value"].to_series()
premium = strict["mean given up"]
print(f"perfect information: {evpi:.1f} kEUR of sales in {WEEKS} weeks (+-{2 * error:.1f})")
print(f"of it by knowing one channel alone: {worth.round(1).to_dict()}")
print(f"premium of the strict plan: {premium:.1f} kEUR, of the mild one "
      f"{mild['mean given up']:.1f}")  # fmt: skip
assert SMOKE or worth[TV] > 4 * worth[SEARCH]
assert SMOKE or mild["mean given up"] < evpi < premium
show(
    mm.plot.best_splits(
        bold["allocation"], plan=plans["mean plan"].optimized[0].to_series().to_dict(),
        currency="kEUR", per="a week", colours=COLOURS,
    ),
    "08-best-splits",
)  # fmt: skip
show(
    mm.plot.value_of_knowing(
        bold["channel_value"], error=bold["channel_value_error"], total=evpi,
        outcome="kEUR", colours=COLOURS,
    ),
    "09-value-of-knowing",
)  # fmt: skip

# %% [markdown]
# The picture of the best splits is the whole trouble in one line: in some worlds TV should
# get next to nothing, in others more than half of the money. No plan is right in both.
#
# Strict caution costs more than perfect knowledge could add: it pays for safety with sales.
# Knowledge pays for itself twice, because the mean rises *and* the bad cases get better:

# %%
after = pd.Series(bold["response_known"].to_numpy())
informed = pd.DataFrame(
    {
        "mean": [top["mean"], result["mean"]["tightness 0.9"], after.mean()],
        "worst tenth": [
            top["worst tenth"], result["worst tenth"]["tightness 0.9"], after.quantile(0.1)
        ],
    },
    index=["mean plan", "strict plan", "knowing first"],
)  # fmt: skip
print(informed.round(1).to_string())
best = bold["allocation"].sel(channel=TV).squeeze("geo")
lo, hi = np.quantile(best, [0.03, 0.97])
print(f"best spend on {TV}: {lo:.2f} to {hi:.2f} kEUR a week in 94% of the worlds")
assert SMOKE or (lo < 0.2 * BUDGET and hi > 0.5 * BUDGET)
assert SMOKE or (informed.iloc[2] > informed.iloc[0]).all()

# %% [markdown]
# ## 6. Which plan?
#
# **What is certain.** Search works, and by how much is known within a tenth or so. Every
# plan here gives it about half of the money or more. Nobody needs a utility function for
# that.
#
# **What is not.** Whether the last thousand is better placed with TV. The data cannot say:
# the mean plan loses to the guess in four worlds of ten.
#
# **What risk costs.** The mild plan gives up a few percent of the mean at most and gains
# more than twice as much in the worst tenth, per thousand given up, as the strict plan
# does. The strict plans buy safety where it has become expensive.
#
# **So: the mild plan, and a test of TV.** If this budget is one of many in the company, the
# mean plan is right in principle (the risks of many budgets cancel); the mild plan costs
# little against it. If a bad quarter is what ends the programme, take the strict one and
# know its price. Either way switch TV off in a few weeks, or in some regions: in these
# eight weeks alone knowing TV is worth more sales than the mild plan gives up, and it is
# worth that again in the next eight. What a test may cost is that worth times the margin,
# and no real test is perfect; but the bill is paid once.

# %%
relative = spread.sd / spread["mean"]
print(
    f"certain: sd of the ROAS of {SEARCH} is {relative[SEARCH]:.0%} of its mean, "
    f"of {TV} {relative[TV]:.0%}"
)
assert SMOKE or relative[SEARCH] < 0.15
least = BUDGET - result[f"{TV} a week"].max()
assert SMOKE or least > 0.47 * BUDGET
assert SMOKE or worth[TV] > mild["mean given up"]

# %% [markdown]
# ## 7. And the truth?
#
# Only a simulation can say. The true parameters as a posterior of one draw:

# %%
true = {
    name: np.asarray(value, float)[None, None]
    for name, value in simulated.truth["parameters"].items()
}
truth = replace(fit, draws=mm.Draws(true))
really = mm.evaluate(truth, {"guess": guess, **plans}, reference=guess)["response_mean"]
ideal = mm.optimize(truth, **ask)
print(really.to_series().round(1).to_string())
print(f"the best plan there is: {ideal.objective:.1f}, {TV} "
      f"{float(ideal.optimized.sel(channel=TV).sum()):.2f} a week")  # fmt: skip
assert ideal.certified
assert (really <= ideal.objective * (1 + 1e-9)).all()
quantile = (draws.lt(really.to_series(), axis=1)).mean()
print("share of draws below the truth:", quantile.round(2).to_dict())
assert SMOKE or quantile.between(0.02, 0.98).all()

# %% [markdown]
# In this world TV is weaker than the posterior believed, and caution was right. In another
# one, with the same data, it would have been wrong. A decision is not judged by one world;
# that is why the truth comes last.

# %%
print(f"pictures: {len(list(OUT.glob('*.png')))}, in {OUT}")
