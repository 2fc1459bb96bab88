"""Is every term recovered: truths of the prior, contributions and returns of the fits?

For each carry-over, curve, term of the baseline, lever, effect that moves and likelihood,
parameters are drawn from the prior of a model that has it, an outcome from them, and the
markets so made are fitted as a fleet. What components and channels brought in all, and the
return of each channel, are then as the posterior says: a share of 94% lies between the
third and the 97th percentile of the draws. Mixed kernels are not fitted but made, of fits,
by `mm.stack` (`families.py`).

Bars: the share over all terms in 0.92 to 0.96; that of each term within 3.5 of its
standard errors, by market, as numbers of one fit go together. Units are those of one given
panel, or the prior would follow the outcome that it made. Rows that the result file has are
not made again. ``--seeds`` for fewer markets, ``--terms`` for some.
"""

import json
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from common import options, show, write

import mmmjax as mm
from mmmjax import adstock, likelihood, moving, saturation, terms
from mmmjax.fleet.batch import width_of
from mmmjax.fleet.buckets import shape_of
from mmmjax.fleet.engine import Done, market_seed, ready, sample
from mmmjax.fleet.run import USUAL

WEEKS, SEEDS, PROB, ERRORS = 156, 20, 0.94, 3.5
WHOLE = (0.92, 0.96)
MANY = tuple(f"control {j}" for j in range(12))
VIDEO = {"reach": "people", "frequency": "times", "organic": True}


@dataclass(frozen=True)
class Case:
    """A model, and what its panel has besides two channels."""

    spec: mm.Spec
    media: Any = ("tv", "radio")
    controls: tuple[str, ...] = ()


def _with(media: Any = ("tv", "radio"), controls: Any = (), **how: Any) -> Case:
    """The default model but for `how`."""
    usual: dict[str, Any] = {"adstock": adstock.Geometric(4)}
    return Case(mm.Spec(**(usual | how)), media, controls)


def _term(*some: Any, **more: Any) -> Case:
    return _with(terms=some, seasonality=None, **more)


def _media(**how: Any) -> Case:
    return _with(terms=(terms.Media(adstock=adstock.Geometric(4), **how),))


CASES = {
    "geometric, logistic, waves": _with(),
    **{
        f"adstock {name}": _with(adstock=kind)
        for name, kind in {
            "not normalised": adstock.Geometric(4, normalize=False),
            "half_life": adstock.HalfLife(6), "binomial": adstock.Binomial(6),
            "delayed": adstock.Delayed(6), "weibull_pdf": adstock.WeibullPDF(6),
            "weibull_cdf": adstock.WeibullCDF(6), "none": adstock.NoAdstock(),
        }.items()
    },
    **{
        f"saturation {kind.kind}": _with(saturation=kind)
        for kind in (
            saturation.Exponential(), saturation.Tanh(), saturation.Hill(),
            saturation.InverseScaledLogistic(), saturation.MichaelisMenten(),
            saturation.HillSigmoid(), saturation.Root(), saturation.Log(),
            saturation.NoSaturation(),
        )
    },
    "saturation first": _with(adstock_first=False),
    "holidays": _term(terms.Holidays("DE", before=4)),
    "events": _term(
        terms.Events({"launch": "2022-09-05", "sale": ["2023-05-01:2023-05-14"]})
    ),
    "steps": _term(terms.Steps({"shop": "2023-03-06"}, ramp=28)),
    "trend": _with(trend=True),
    "piecewise": _term(terms.Piecewise(5)),
    "drift": _term(terms.Drift()),
    "knots": _term(terms.Knots(8)),
    "waves that grow": _term(terms.Waves(2, grows=True)),
    "two waves": _term(terms.Waves(2), terms.Waves(1, "month", name="months")),
    "controls": _term(
        terms.Controls(sign={"price": "negative"}), controls=("price", "stock")
    ),
    "levers": _term(
        terms.Controls(levers={"price": "mean", "stock": 0.0}), controls=("price", "stock")
    ),
    "few of twelve controls": _with(
        priors={"gamma_control": mm.Prior("Horseshoe", relevant=2)},
        controls=MANY,
        seasonality=None,
    ),
    "interaction": _term(terms.Interaction(["tv", "radio"])),
    "reach": _term(
        terms.Reach("video", ["video"], adstock.Geometric(4)),
        media={"tv": "tv", "video": VIDEO},
    ),
    "any sign": _media(sign="any"),
    "moving process": _media(moving=moving.Process()),
    "moving piecewise": _media(moving=moving.Piecewise()),
    "moving seasons": _media(moving=moving.Seasons()),
    "student_t": _with(likelihood=likelihood.StudentT()),
    "normal, log link": _with(likelihood=likelihood.Normal("log")),
    "growing noise": _with(likelihood=likelihood.Normal(growing=True)),
    "autoregressive": _with(likelihood=likelihood.Normal(autoregressive=True)),
    "truncated_normal": _with(likelihood=likelihood.TruncatedNormal()),
    "gamma": _with(likelihood=likelihood.Gamma("log")),
    "log_normal": _with(likelihood=likelihood.LogNormal("log")),
    "log_normal, zeros": _with(likelihood=likelihood.LogNormal("log", zeros=True)),
    "poisson": _with(likelihood=likelihood.Poisson("log")),
    "negative_binomial": _with(likelihood=likelihood.NegativeBinomial("log")),
}  # fmt: skip


def panel_of(case: Case) -> mm.Panel:
    """The panel that gives units, media and controls: its outcome is never fitted."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "date": pd.date_range("2022-01-03", periods=WEEKS, freq="W-MON"),
        "y": rng.integers(500, 1000, WEEKS), "tv": rng.gamma(2.0, 1.0, WEEKS),
        "radio": rng.gamma(2.0, 1.0, WEEKS) * (rng.uniform(size=WEEKS) < 0.5),
        "people": rng.gamma(2.0, 1.0, WEEKS), "times": rng.uniform(1, 8, WEEKS),
        "price": rng.normal(size=WEEKS), "stock": rng.normal(size=WEEKS),
    })  # fmt: skip
    frame[[*MANY]] = rng.normal(size=(WEEKS, len(MANY)))
    media = case.media if isinstance(case.media, dict) else list(case.media)
    names = {"outcome": "y", "media": media, "controls": list(case.controls)}
    return mm.Panel.from_frame(frame, date="date", **names)


def told(fit: mm.Fit) -> dict[str, np.ndarray]:
    """What components and channels brought in all, and returns, (draw, number)."""
    found = mm.contributions(fit)
    parts = [n for n in found.data_vars if str(n).endswith("_total") and "chain"
             in found[n].dims and n != "mu_total"]  # fmt: skip
    out = {str(n): found[n] for n in parts} | {"roas": mm.roas(fit)["roas"]}
    flat = {n: x.stack(at=("chain", "draw")).transpose("at", ...) for n, x in out.items()}
    rows = {n: x.to_numpy().reshape(x.sizes["at"], -1) for n, x in flat.items()}
    return {n: x[:, ~np.isnan(x).all(0)] for n, x in rows.items()}  # organic: no return


def recovered(name: str, seeds: int, sampler: mm.HMC) -> dict[str, Any]:
    """The row of one case: shares inside by market, how the fits ended."""
    case = CASES[name]
    panel = panel_of(case)
    one = ready(name, case.spec, panel, 0, "error")
    if isinstance(one, Done):
        raise RuntimeError(one.reason)
    prior = mm.sample_prior(one.spec, one.panel, seeds, market_seed(15, name))
    truth = told(prior)
    outcome = mm.predict(prior, seed=1)["outcome"].to_numpy()[0]
    markets = []
    for i in range(seeds):
        drawn = replace(one.panel, outcome=outcome[i])
        target = one.spec.likelihood.target(drawn, one.scale)
        data = replace(one.data, target=target)
        own = {"name": f"{name} {i}", "seed": market_seed(i, name)}
        markets.append(replace(one, panel=drawn, data=data, **own))
    done: dict[str, Done] = {}
    began, width = time.perf_counter(), width_of(sampler, seeds)
    emit = lambda end: done.update({end.name: end})
    sample(markets, shape_of(one.data), sampler, width, emit, refit=True)
    inside: dict[str, list[np.ndarray]] = {part: [] for part in truth}
    for i, market in enumerate(markets):
        fit = done[market.name].fit
        if fit is None:
            raise RuntimeError(f"{market.name}: {done[market.name].reason}")
        for part, draws in told(fit).items():
            below = (draws < truth[part][i]).mean(0)
            inside[part].append(abs(below - 0.5) < PROB / 2)
    each = np.array([np.concatenate(x).mean() for x in zip(*inside.values(), strict=True)])
    numbers = sum(len(x[0]) for x in inside.values())
    least = PROB * (1 - PROB) / numbers  # variance if the numbers did not go together
    error = np.sqrt(max(each.var(ddof=1), least) / seeds)
    ends = [one.status for one in done.values()]
    return {
        "term": name, "markets": seeds, "numbers": numbers, "inside": float(each.mean()),
        "error": float(error), "within": bool(abs(each.mean() - PROB) < ERRORS * error),
        "by_market": each.tolist(),
        "parts": {part: float(np.mean(x)) for part, x in inside.items()},
        "ends": {status: ends.count(status) for status in sorted(set(ends))},
        "seconds": time.perf_counter() - began,
    }  # fmt: skip


def main() -> int:
    """Run, print, write; exit 1 if a bar does not hold."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="markets of each term")
    parser.add_argument("--terms", nargs="+", default=list(CASES), choices=list(CASES))
    asked = parser.parse_args()
    sampler, path = USUAL, asked.out / "recovery.json"
    if asked.smoke:
        asked.seeds, asked.terms = 2, asked.terms[:1]
        sampler = mm.HMC(chains=2, warmup=50, draws=30, until=None)
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for name in asked.terms:
        if (name, asked.seeds) in [(row["term"], row["markets"]) for row in rows]:
            continue
        rows = [row for row in rows if row["term"] != name]
        rows.append(recovered(name, asked.seeds, sampler))
        last = rows[-1]
        print(f"{name}: {last['inside']:.3f} +- {last['error']:.3f} {last['ends']} "
              f"{last['seconds']:.0f} s", flush=True)  # fmt: skip
        write("recovery", rows, asked.out)
    heads = ("term", "numbers", "inside", "error", "within", "seconds")
    whole = float(np.mean([share for row in rows for share in row["by_market"]]))
    show(f"{PROB:.0%} intervals, {asked.seeds} markets a term: {whole:.3f} over all",
         heads, [[row[n] for n in heads] for row in rows])  # fmt: skip
    held = WHOLE[0] <= whole <= WHOLE[1] and all(row["within"] for row in rows)
    return 0 if asked.smoke or held else 1


if __name__ == "__main__":
    sys.exit(main())
