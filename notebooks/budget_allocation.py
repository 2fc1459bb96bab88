# %% [markdown]
# # Where should the next budget go?
#
# The budget chapter of the case study. The posterior is that of `case_study.py`; here it is
# spent. Five questions, in the order in which they are asked in a meeting: *what is the
# best split, is it really the best, what do our own rules cost, is the total right, and how
# sure are we that any of it is better than what we do today?*
#
# The numbers of an independent implementation lie beside the data, and every number below
# that has a counterpart there is held against it.
#
# Run it as a script (`python notebooks/budget_allocation.py`; pictures and tables go to
# `budget-allocation-run/`) or open it as a notebook. `MMMJAX_SMOKE=1` runs it with short
# chains, whose numbers mean nothing.

# %%
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

import mmmjax as mm

HERE = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()
SMOKE = os.environ.get("MMMJAX_SMOKE", "") not in ("", "0")
SHARED = HERE.parent.parent / "shared"
DATA = SHARED / "data" / "case_study.csv"
NUMBERS = SHARED / "reference" / "case_study.json"
OUT = Path(os.environ.get("MMMJAX_NOTEBOOK_OUT", "budget-allocation-run"))
if not (DATA.exists() and NUMBERS.exists()):
    print(f"skipped: the data and numbers of the case study are not under {SHARED}")
    sys.exit(0)
OUT.mkdir(parents=True, exist_ok=True)
THEIRS = json.loads(NUMBERS.read_text())["budget"]


def show(figure, name):
    """Save a picture; as the last line of a cell it is shown too."""
    (OUT / f"{name}.png").write_bytes(mm.plot.to_png(figure))
    return figure


def agree(what, ours, theirs, error, within=4.0):
    """Hold a number against the independent one, in standard errors."""
    distance = abs(ours - theirs) / error
    print(f"{what:<42}{ours:>14,.4g}{theirs:>14,.4g}{distance:>7.1f} standard errors")
    assert SMOKE or distance <= within, what


# %% [markdown]
# ## 1. The fit
#
# Seven channels, 183 weeks, the priors of the case study. Not a word about budgets before
# the chains have earned it.

# %%
frame = pd.read_csv(DATA)
CHANNELS = {
    "Direct Mail": "mdsp_dm", "Insert": "mdsp_inst", "Newspaper": "mdsp_nsp",
    "Online Display": "mdsp_on", "Radio": "mdsp_audtr", "Social Media": "mdsp_so",
    "TV": "mdsp_vidtr",
}  # fmt: skip
panel = mm.Panel.from_frame(
    frame, date="wk_strt_dt", outcome="sales", media=CHANNELS,
    controls=[c for c in frame if c.startswith("hldy_")],
)  # fmt: skip
train, test = panel.split("2018-02-01")
COLOURS = mm.plot.channel_colours(panel.channels)
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
short = {"chains": 2, "warmup": 100, "draws": 100, "until": None}
sampler = mm.NUTS(**short) if SMOKE else mm.NUTS(target_accept=0.9)
fit = mm.fit(spec, train, sampler, seed=0, progress=False)
verdict = mm.diagnostics(fit)
print(verdict)
assert SMOKE or (verdict.divergences == 0 and verdict.converged)

# %% [markdown]
# ## 2. The plan
#
# What is compared with: the mean spend of the test window, divided by seven. The seventh is
# a convention of the original study, kept so that numbers can be compared; section 7 asks
# what it does. The plan covers 26 weeks of constant spend with the same total, each channel
# within 50% of its reference. It starts from silence (zero carry-in) and is credited with
# what its last weeks still bring after the window.

# %%
PERIODS = len(test.dates)
spent = dict(zip(panel.channels, test.spend.sum((0, 1)).tolist(), strict=True))
reference = {name: money / PERIODS / 7 for name, money in spent.items()}
budget = sum(reference.values())
ask = {"periods": PERIODS, "reference": reference, "bounds": 0.5, "per_period": True}
plan = mm.optimize(fit, **ask)
print(plan.text("week"))
plan.to_frame().to_csv(OUT / "plan.csv", index=False)

# %% [markdown]
# Read the line that begins with *proof*. It says that nothing in this region is better by
# more than a millionth, **in this model**: it is about the search, never about the data. An
# optimizer that stops early looks just like one that has arrived; here the distance to
# whatever might be better is bounded by a number.
#
# The economics behind the proof can be checked by hand. A channel that is free returns on
# its next unit of money exactly what the next unit of budget returns; one at its upper
# bound returns more (it is held back), one at its lower bound less (it is held up).

# %%
assert plan.certified
assert plan.relative_gap <= 1e-6
marginal, at = plan.marginal[0].to_series(), plan.binding[0].to_series()
price = plan.shadow_price
print(pd.DataFrame({"next unit returns": marginal.round(1), "held at": at}).to_string())
assert SMOKE or marginal[at == "free"].map(lambda x: abs(x / price - 1) < 1e-6).all()
assert (marginal[at == "upper"] >= price * (1 - 1e-9)).all()
assert (marginal[at == "lower"] <= price * (1 + 1e-9)).all()
show(mm.plot.allocation(plan.to_frame(), per="a week", colours=COLOURS), "01-plan")
show(mm.plot.plan_responses(plan.response, outcome="sales"), "02-plan-response")
show(
    mm.plot.marginal_returns(
        mm.curves(fit), plan.to_frame(), price=price, outcome="sales", period="week",
        colours=COLOURS,
    ),
    "03-marginal-returns",
)  # fmt: skip

# %% [markdown]
# The curves in the last picture are flat: at a seventh of the real spend nothing saturates,
# and a plan is little more than a ranking. The channels that return most get all they may,
# those that return least what they must, and one in the middle takes the rest. Today's
# split and the plan meet nearly the same returns.
#
# The same plan by the independent implementation. Multipliers agree to the printed digit.
# That says less than it seems: all channels but one end at a bound, and the last one gets
# what is left. It checks the bookkeeping (units, bounds, window, tail); that the objective
# agrees within Monte Carlo error checks the posterior and the response.

# %%
multiplier = plan.multiplier[0].to_series()
for name, theirs in THEIRS["multiplier"].items():
    assert SMOKE or abs(multiplier[name] - theirs) < 0.01, name
assert SMOKE or (at != "free").sum() == len(at) - 1
error = THEIRS["objective_mcse"]
agree("response of the plan", plan.objective, THEIRS["objective"], error)
agree("of the reference", plan.reference_objective, THEIRS["objective_initial"], error)

# %% [markdown]
# ## 3. What our own rules cost
#
# Television is cancelled, says the board: TV is fixed at zero, the total stays. And sales
# wants the mailbox filled: print (Direct Mail, Insert and Newspaper) keeps at least 45% of
# the money. Neither is a matter of statistics; what each costs is. Every rule is a smaller
# region, so its plan is certified too and cannot be better than the free one.

# %%
PRINT = ["Direct Mail", "Insert", "Newspaper"]
KEPT = 0.45
no_tv = mm.optimize(fit, **ask, fixed={"TV": 0.0})
print(no_tv.text("week"))
fill = mm.constraints.group(PRINT, at_least=KEPT, share=True, name="print")
printed = mm.optimize(fit, **ask, constraints=[fill])
print(printed.text("week"))

# %%
assert no_tv.certified
assert printed.certified
share = printed.optimized[0].to_series()[PRINT].sum() / budget
assert share >= KEPT * (1 - 1e-9)
for name, rule in (("no TV", no_tv), ("print", printed)):
    cost = plan.objective - rule.objective
    print(
        f"{name}: costs {cost / 1e6:.1f} M sales, {cost / plan.objective:.1%} of the plan"
    )
    assert cost >= -1e-6 * plan.objective
assert SMOKE or printed.objective < no_tv.objective
theirs = THEIRS["tv_fixed_at_zero"]
for name, money in theirs["allocation"].items():
    ours = float(no_tv.optimized[0].sel(channel=name))
    assert SMOKE or abs(ours - money) / reference[name] < 0.01, name
agree("response without TV", no_tv.objective, theirs["objective"], error)
show(mm.plot.allocation(no_tv.to_frame(), per="a week", colours=COLOURS), "04-no-tv")
show(mm.plot.allocation(printed.to_frame(), per="a week", colours=COLOURS), "05-print")

# %% [markdown]
# A rule that nothing can satisfy is refused, with the rules that clash and a way out; it
# does not come back as a plan that breaks one of them in silence.

# %%
impossible = mm.constraints.group(PRINT, at_least=0.9, share=True)
try:
    mm.optimize(fit, **ask, constraints=[impossible])
except mm.InputError as refused:
    print(refused)
else:
    raise AssertionError("an empty region was accepted")

# %% [markdown]
# All plans in one table, in the same draws, against the same reference. Each of them is
# expected to be better than the reference; see in the last column how much less sure that
# is under either rule. A rule costs more than its mean: it takes away the moves of which
# the data are surest.

# %%
named = {"reference": reference, "plan": plan, "no TV": no_tv, "print": printed}
compared = mm.evaluate(fit, named, reference=reference)
rows = mm.tables.scenarios(compared)
rows.to_csv(OUT / "scenarios.csv", index=False)
columns = ["plan", "response_mean", "gain_mean", "gain_lo", "gain_hi"]
print(
    rows[rows.channel == "ALL"][[*columns, "probability_better"]]
    .to_string(index=False, float_format="{:,.4g}".format)
)  # fmt: skip
assert np.isclose(float(compared.response_mean.sel(plan="plan")), plan.objective, rtol=1e-9)
p = compared.probability_better.to_series()
assert SMOKE or max(p["no TV"], p["print"]) < 0.9 < p["plan"]
responses = {str(p): compared.response.sel(plan=p) for p in compared.plan.values}
show(mm.plot.plan_responses(responses, outcome="sales"), "06-plans")

# %% [markdown]
# ## 4. Is the total right?
#
# The split was asked for a total; here the total moves, from 60% to 140% of today's, the
# bounds stay. Beside the best plan of every budget stands the same money in today's split.
# Returns fall with the budget: the first extra money goes where it returns most, and when
# those channels are full it goes to Direct Mail. Where to stop is a matter of margin: as
# long as the next unit brings more *profit* than it costs.

# %%
shares = np.linspace(0.6, 1.4, 9)
found = mm.frontier(fit, budgets=shares * budget, **ask)
assert found.certified.all()
split = {f"{s:.0%}": {c: s * money for c, money in reference.items()} for s in shares}
as_today = mm.evaluate(fit, split, periods=PERIODS, reference=reference, per_period=True)
steps = pd.DataFrame(
    {
        "budget a week": found.budget,
        "best plan": found.response_mean / 1e6,
        "today's split": as_today.response_mean.values / 1e6,
        "next unit returns": found.shadow_price,
    },
    index=list(split),
)
print(steps.round(1).to_string())
steps.to_csv(OUT / "frontier.csv")
assert (steps["best plan"] >= steps["today's split"] * (1 - 1e-9)).all()
assert (steps["next unit returns"].diff().dropna() <= 1e-6 * price).all()
assert np.isclose(found.objective[4], plan.objective, rtol=1e-5)
show(
    mm.plot.frontier(
        found, outcome="sales", per="a week",
        marks={"reference": (budget, plan.reference_objective),
               "plan": (budget, plan.objective)},
    ),
    "07-frontier",
)  # fmt: skip

# %% [markdown]
# The picture holds a second way to use the plan: keep today's response and spend less. How
# much less is read where the frontier crosses the height of the reference.

# %%
saved = 1 - np.interp(plan.reference_objective, found.response_mean, shares)
print(f"today's response could be had for about {saved:.0%} less money")
assert SMOKE or 0.1 < saved < 0.35

# %% [markdown]
# ## 5. In sample: what the plan would have done
#
# A forecast of a plan can hardly be checked; its past can. Every week of training is
# repeated with each channel multiplied as in the plan, all of them rescaled by one factor
# so that four years cost what they cost. Parameters stay, weeks and holidays stay, only the
# split changes, and so every draw gives one uplift.

# %%
what_if = mm.counterfactual(fit, mm.reweight(fit, multiplier.to_dict()))
before, after = what_if["spend"].sum("channel")
assert np.isclose(before, after)
media = what_if["uplift_contribution"].squeeze("geo")
sales = what_if["uplift_outcome"].squeeze("geo")


def hold(what, draws, theirs):
    """Mean, sd and probability of a gain against the independent ones.

    Standard errors are those of our chains (by effective sample size), times the root of
    two: the other side is known no better than ours.
    """
    values = draws.transpose("chain", "draw").to_numpy()
    size = float(array_stats.ess(values, method="mean", chain_axis=0, draw_axis=1))
    sd, gain = float(values.std()), float((values > 0).mean())
    root, p = np.sqrt(2 / size), theirs["p_gt_0"]
    agree(f"{what}: mean", float(values.mean()), theirs["mean"], sd * root)
    agree(f"{what}: standard deviation", sd, theirs["sd"], sd * root / np.sqrt(2))
    agree(f"{what}: P(better)", gain, p, np.sqrt(p * (1 - p)) * root)


hold("uplift of contributions", media, THEIRS["uplift_contribution_in_sample"])

# %% [markdown]
# For sales there is a fork. Predicted sales carry noise. The other implementation draws it
# anew for the two sides; then the uplift contains a difference of two noises which is no
# property of the plan. Drawn so, our numbers agree with theirs. With the *same* noise on
# both sides (what `counterfactual` does) the mean is the same, the interval narrower, and
# the chance of a gain the one of the contributions: whether sales rise is then a question
# about media, not about luck.

# %%
again = mm.counterfactual(fit, mm.reweight(fit, multiplier.to_dict()), seed=1)
apart = again["outcome"].sel(scenario="changed") / what_if["outcome"].sel(scenario="actual")
hold(
    "uplift of sales, noise apart",
    apart.squeeze("geo") - 1,
    THEIRS["uplift_sales_in_sample_predictive"],
)
print(
    f"sd of the uplift of sales: {float(sales.std()):.3f} under the same noise, "
    f"{float(apart.std()):.3f} under noise drawn apart"
)
assert float(sales.std()) < float(apart.std())
same = float(((sales > 0) == (media > 0)).mean())
assert SMOKE or same > 0.97
show(
    mm.plot.uplift(media, of="media contributions", plan="the plan's split"), "08-in-media"
)
show(mm.plot.uplift(sales, of="sales", plan="the plan's split"), "09-in-sales")

# %% [markdown]
# ## 6. Out of sample: the half year that was kept back
#
# The same question about weeks the model has not seen: what was really spent in the test
# window, week by week, against the plan's split scaled to the same total, each channel in
# its own weekly rhythm. What was spent in January still acts in February, on both sides.

# %%
money = np.array([spent[name] for name in panel.channels])
factor = multiplier[list(panel.channels)].to_numpy()
factor = factor * money.sum() / (factor * money).sum()
changed = replace(test, media=test.media * factor, spend=test.spend * factor)
ahead = mm.counterfactual(fit, changed, actual=test)
out_media = ahead["uplift_contribution"].squeeze("geo")
out_sales = ahead["uplift_outcome"].squeeze("geo")
for what, draws in (("contributions", out_media), ("sales", out_sales)):
    lo, hi = np.quantile(draws, [0.03, 0.97])
    print(
        f"{what}: {float(draws.mean()):+.1%} (94% {lo:+.1%} to {hi:+.1%}), "
        f"P(better) {float((draws > 0).mean()):.2f}"
    )
assert SMOKE or float(out_media.mean()) < float(media.mean())
assert SMOKE or float((out_media > 0).mean()) > 0.9
of = {"of": "media contributions", "plan": "the plan, test weeks"}
show(mm.plot.uplift(out_media, **of), "10-out-media")
show(mm.plot.uplift(out_sales, **(of | {"of": "sales"})), "11-out-sales")

# %% [markdown]
# There is a second way to the same number, through the budget's own arithmetic: `evaluate`
# with the real weekly weights and the history carried in. It also counts what the last
# weeks bring after the window, which sales of the window do not hold; apart from that tail
# the two ways must agree, draw for draw.

# %%
weekly = {name: test.spend[0, :, i] for i, name in enumerate(panel.channels)}
sides = {
    "actual": dict(zip(panel.channels, money, strict=True)),
    "plan": dict(zip(panel.channels, money * factor, strict=True)),
}
other = mm.evaluate(fit, sides, periods=PERIODS, flighting=weekly, carry_in="history")
gain = (other.response.sel(plan="plan") - other.response.sel(plan="actual")).to_numpy()
window = ahead["difference_contribution"].to_numpy().ravel()
print(
    f"gain: {window.mean() / 1e6:.1f} M in the window, {gain.mean() / 1e6:.1f} M with "
    f"tail; correlation over draws {np.corrcoef(window, gain)[0, 1]:.4f}"
)
assert SMOKE or abs(gain.mean() / window.mean() - 1) < 0.05
assert np.corrcoef(window, gain)[0, 1] > 0.99

# %% [markdown]
# ## 7. Does the seventh matter?
#
# The plan was made for a seventh of the real weekly spend, where curves are straight, and
# then judged at the whole, where they bend. The same request at the real spend, with
# history carried in:

# %%
real = {name: money / PERIODS for name, money in spent.items()}
whole = mm.optimize(fit, **(ask | {"reference": real}), carry_in="history")
print(whole.text("week"))
assert whole.certified
both = pd.DataFrame(
    {"at a seventh": multiplier, "at the real spend": whole.multiplier[0].to_series()}
)
print(both.round(2).to_string())
moved = (both["at a seventh"] - both["at the real spend"]).abs()
print(f"largest change of a multiplier: {moved.max():.2f}, of {moved.idxmax()}")
assert SMOKE or moved.max() < 0.3
show(
    mm.plot.marginal_returns(
        mm.curves(fit), whole.to_frame(), price=whole.shadow_price, outcome="sales",
        period="week", colours=COLOURS,
    ),
    "12-marginal-returns-whole",
)  # fmt: skip

# %% [markdown]
# The same channels win and lose; where the curves bend, a second channel in the middle is
# left between its bounds. The convention does not change the message, it only makes the
# first plan look more certain of itself than it should.
#
# ## 8. How sure are we?
#
# Not of the optimum: that is proven. Of the world: every posterior draw is a world, with a
# best plan of its own. Where the violins are wide the data do not settle what a channel
# should get, and a plan that looks sharp (all channels but one at a bound) is sharp only
# because it is the best answer *on average*.

# %%
known = mm.knowledge(fit, plan, max_draws=20 if SMOKE else 200)
ranked = mm.tables.knowledge(known)
ranked.to_csv(OUT / "knowledge.csv", index=False)
print(
    ranked[["channel", "plan", "allocation_lo", "allocation_hi", "probability_more"]]
    .round(2)
    .to_string(index=False)
)
show(
    mm.plot.best_splits(
        known["allocation"], plan=plan.optimized[0].to_series().to_dict(), per="a week",
        colours=COLOURS,
    ),
    "13-best-splits",
)  # fmt: skip

# %% [markdown]
# Two ways to go wrong from here. One is to average the best plans of the worlds: that is a
# plan too, and a worse one, because the best reply to the average is not the average of the
# best replies. The other is to wait for certainty without asking what it is worth. Knowing
# everything before spending would add the expected value of perfect information; no test
# can bring more, and a test of one channel brings at most that channel's bar.

# %%
mean_best = known["allocation_mean"][0].to_series().to_dict()
averaged = mm.evaluate(fit, {"plan": plan, "averaged": mean_best}, reference=reference)
lost = float(averaged.response_mean.sel(plan="plan") - averaged.response_mean[1])
print(f"the average of the best plans brings {lost / 1e6:.1f} M less than the plan")
assert lost > 0
evpi, evpi_error = float(known["evpi"]), float(known["evpi_error"])
print(
    f"perfect information: {evpi / 1e6:.1f} M sales (+-{2 * evpi_error / 1e6:.1f}), "
    f"{evpi / plan.objective:.1%} of the plan's response; most worth testing: "
    f"{ranked.channel[0]}"
)
assert evpi > 0
assert SMOKE or (known["channel_value"] <= evpi + 4 * evpi_error).all()
show(
    mm.plot.value_of_knowing(
        known["channel_value"], error=known["channel_value_error"], total=evpi,
        outcome="sales", colours=COLOURS,
    ),
    "14-value-of-knowing",
)  # fmt: skip

# %% [markdown]
# ## 9. What to say in the meeting
#
# - Move the money as in the plan: the gain is large and its direction is nearly certain.
#   Its *size* is not, and the interval of the difference touches zero.
# - The direction holds in sample, out of sample and at the real spend; the percentage
#   shrinks as spend grows, because curves flatten.
# - Cancelling TV is expensive, filling the mailbox more so, and under either rule it is no
#   longer clear that moving money helps at all.
# - The bounds do most of the work: nearly every channel is at one. Before widening them,
#   test the channels at the top of the last picture: what lies beyond the bounds is the
#   shape of a curve, not data.

# %%
gain = plan.gain
print(
    f"plan: {gain.mean / 1e6:+.0f} M sales ({gain.lo / 1e6:+.0f} to "
    f"{gain.hi / 1e6:+.0f} M), better with probability {plan.probability_better:.2f}; "
    f"without TV {no_tv.gain.mean / 1e6:+.0f} M, {no_tv.probability_better:.2f}"
)
assert SMOKE or (gain.mean > 0 and plan.probability_better > 0.9)
assert SMOKE or (gain.lo < 0.15 * gain.mean and no_tv.probability_better < 0.9)
print(f"pictures: {len(list(OUT.glob('*.png')))}, in {OUT}")
