"""What the tests of residuals found, in words: what, how strong, its meaning, a remedy."""

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmmjax.adequacy.battery import LEAST_FREE, Tested
from mmmjax.adequacy.evidence import Evidence
from mmmjax.checks import show
from mmmjax.draws import Fit
from mmmjax.findings import Finding
from mmmjax.likelihood import Likelihood, Normal, StudentT
from mmmjax.prior import Prior, replace_prior
from mmmjax.spec import Spec
from mmmjax.terms import Drift, Term, Trend, Waves

__all__ = ["WEAK", "not_again", "said", "season", "untested", "wider"]

LINE = re.compile(
    r'([\w.]+) = (\{[^{}]*\}|"[^"]*"|true|false)(?= (?:under|to|and|or))'
    r'(?: under \[\[model\.term\]\] name = "(\w+)")?'
)
DRIFT = f'kind = "{Drift.kind}" under a new [[model.term]]'

WIDENS = {"scale": 2.0, "rate": 0.5} | dict.fromkeys(
    ("concentration", "concentration0", "concentration1"), 0.5
)  # times what a prior has, the mean of a Gamma and a Beta kept
WEAK = 30  # degrees of freedom: with fewer only gross faults are seen
TOGETHER = 0.1  # mean correlation of geos that is told, where it is clear
CLEAR = 5.0  # standard errors
MEMORY = ("lag1", "ljung_box", "cusum")
TAILS = ("largest", "kurtosis", "heavy", "skewness")
SPREAD = ("spread_level", "spread_time")

DEPARTURES = {
    "season": (
        "what is left over follows the calendar ({label} waves a year: {share} of it)",
        "The seasons of this market are not those that the model knows, and media that "
        "run in season are given their effect",
    ),
    "holiday": (
        "sales around {label} are off in every year ({share} of what is left over)",
        "A holiday or a yearly event that no column has, and media that run then are given "
        "its effect",
    ),
    "weekday": (
        "what is left over follows the days of the week ({share} of it)",
        "Days of the week differ and the model does not know it",
    ),
    "trend": (
        "what is left over drifts over the window ({share} of it)",
        "The level moves in a way that the model cannot follow",
    ),
    "break": (
        "the level or its slope breaks around {label} ({share} of what is left over)",
        "Something lasting happened that no column has: a price, a shop, a competitor, "
        "another way of counting",
    ),
    "carryover": (
        "past media explain what is left over ({label}: {share} of it)",
        "The effect lasts longer, or comes later, than the model allows",
    ),
    "leads": (
        "media follow the outcome: what is left over tells the media of later periods "
        "({label}: {share} of it)",
        "Spend is set by demand, or both by something that no column has: then the effect "
        "of media is not what the model says",
    ),
    "shape": (
        "the response to {label} has another shape ({share} of what is left over)",
        "The curve bends elsewhere than the model lets it, an S for instance: plans far "
        "from past spend are then wrong",
    ),
    "drift": (
        "the effect of {label} changes over the window ({share} of what is left over)",
        "The model has one effect for all periods, so what it says of today is an average "
        "of the past",
    ),
    "synergy": (
        "{label} act together ({share} of what is left over)",
        "One raises the effect of the other, and the model adds them up",
    ),
    "curvature": (
        "errors bend with the level that the model expects ({share} of what is left over)",
        "The parts multiply rather than add up: an effect is larger where more is sold",
    ),
}


def said(fit: Fit, tested: Tested) -> Iterator[Finding]:
    """A finding for every kind of departure, the one that explains most first."""
    found = tested.found
    for code in sorted(set(found) & set(DEPARTURES), key=lambda c: -tested.share[c]):
        share, label = tested.share[code], tested.label[code]
        what, means = DEPARTURES[code]
        text = what.format(share=f"{share:.0%}", label=label)
        where = tuple(n for n in fit.panel.channels if n in label.split(" and "))
        remedy = _remedy(fit, code, label)
        yield Finding("serious", code, text, where, share, means, remedy)
    law = fit.spec.likelihood
    free = isinstance(law, Normal) and not law.autoregressive
    lasting = f"; what then is left over may last, {noise(law, 'autoregressive')}"
    lasting = lasting if free else ""
    if any(code in found for code in MEMORY):
        yield Finding(
            "serious",
            "memory",
            f"what is left over repeats itself (lag 1: {tested.lag:.2f})",
            (),
            tested.lag,
            "Something with a memory is missing, and intervals are too narrow",
            _slow(fit) + lasting,
        )
    if any(code in found for code in TAILS):
        size = np.abs(np.nan_to_num(tested.left))
        geo, t = np.unravel_index(int(size.argmax()), size.shape)
        panel = fit.panel
        date = show(panel.dates[panel.window][int(t)])
        place = date if panel.n_geos == 1 else f"{panel.geos[int(geo)]} {date}"
        yield Finding(
            "serious",
            "tails",
            f"errors too large for the noise of the model (the largest {size.max():.1f} "
            f"standard deviations, {place})",
            (),
            float(size.max()),
            "An event that no column has, a typing error, or noise with heavy tails: media "
            "that ran then are given it",
            f"Correct the cell, add a control that is 1 on {date} and else 0, or write "
            'likelihood = { kind = "student_t" } under [model]',
        )
    if any(code in found for code in SPREAD):
        how = "level" if "spread_level" in found else "time"
        other = 'likelihood = { kind = "student_t" } under [model]'
        if how == "level" and isinstance(law, Normal | StudentT) and not law.growing:
            other = f"{noise(law, 'growing')}, of noise that grows with the mean"
        yield Finding(
            "serious",
            "spread",
            "the size of the errors changes with "
            + ("the level of the outcome" if how == "level" else "time"),
            (how,),
            min(tested.p[code] for code in SPREAD),
            "Noise is not the same everywhere, so that some periods are believed too much",
            f"Fit a window in which it is steady, or write {other}",
        )
    yield from _geos(fit, tested)


def _geos(fit: Fit, tested: Tested) -> Iterator[Finding]:
    """Levels and noise of geos that one number cannot describe, and what they share."""
    if "geo_level" in tested.found:
        yield Finding(
            "serious",
            "geo_level",
            "geos lie above or below what the model expects of them, all the time",
            value=tested.p["geo_level"],
            means="They differ in level and the model has one for all",
            remedy='Write intercept = { dist = "Normal", loc = 0.5, scale = 0.3 } under '
            "[model.priors] (without dims it is pooled over geos), or outcome_scale = "
            '"geo" under [model]',
        )
    if "geo_noise" in tested.found:
        yield Finding(
            "serious",
            "geo_noise",
            "the size of the errors differs between geos",
            value=tested.p["geo_noise"],
            means="One size of noise for all believes some geos too much",
            remedy=fit.spec.likelihood.freed("geo"),
        )
    pairs = len(tested.free) * (len(tested.free) - 1) / 2
    error = 1 / np.sqrt(max(pairs, 1) * fit.panel.n_periods)
    if tested.common > max(TOGETHER, CLEAR * error):
        yield Finding(
            "warning",
            "geos_together",
            f"what is left over moves together in all geos (correlation "
            f"{tested.common:.2f})",
            value=tested.common,
            means="Something common to all geos is missing; totals over geos are less "
            "certain than they read",
            remedy="Add what they have in common as a control",
        )


def not_again(found: Finding, spec: Spec) -> Finding:
    """A finding that does not propose, as if it were new, a line that the model has."""
    model = spec.to_dict()
    terms = {term["name"]: term for term in model.get("term", ())}
    old, lines = [], list(LINE.finditer(found.remedy))
    for line in lines:
        wanted = tomllib.loads(f"x = {line[2]}")["x"]
        table = terms.get(line[3], model)
        has = model["priors"].get(line[1], table.get(line[1]))
        if line[1] in spec.priors:  # with the dims and the pooling that the line would have
            priors = {**spec.priors, line[1]: Prior.from_dict(wanted)}
            wanted = dataclasses.replace(spec, priors=priors).priors[line[1]].to_dict()
        elif isinstance(wanted, dict) and isinstance(has, dict):
            has = {key: has.get(key) for key in wanted}
        if has == wanted:
            old.append(f"{line[1]} = {line[2]}")
    if not old:
        return found
    remedy = f"{found.remedy}. The model has {' and '.join(old)} already: write the other"
    if len(old) == len(lines):
        remedy = (
            f"The model has {' and '.join(old)} already, and that is not enough: mend the "
            "other findings first; what stays is a limit of this model, so plan close to "
            "past spend and test what matters"
        )
    return dataclasses.replace(found, remedy=remedy)


def wider(name: str, spec: Spec) -> str:
    """What to write where a prior holds a parameter away from the data."""
    has = spec.priors[name].to_dict() if name in spec.priors else {}
    wide = dict(has)
    for key in {*has} & {*WIDENS}:
        text, number = isinstance(has[key], str), isinstance(has[key], int | float)
        wide[key] = 1.0 if text else WIDENS[key] * has[key] if number else has[key]
    if wide == has:
        return "Widen that prior"
    new = Prior.from_dict(wide)
    free = replace_prior(new, dims=None, pool=())  # what is pooled by default needs no word
    usual = dataclasses.replace(spec, priors={**spec.priors, name: free}).priors[name]
    new = free if new.pool and usual == new else new
    line = f"{name} = {new.to_toml()}"
    return f"Widen that prior, for example {line} under [model.priors]"


def untested(tested: Tested | None, seen: Evidence) -> Iterator[Finding]:
    """That little or nothing could be tested, where it is so."""
    n = int(seen.seen.sum())
    if tested is None:
        yield Finding(
            "warning",
            "untested",
            f"nothing could be tested: {n} observed periods leave fewer than {LEAST_FREE} "
            "degrees of freedom beside what the model fits",
            means="Whether the model describes the data cannot be said from so few",
            remedy="Take more periods, fewer controls or a lower order of seasonality",
        )
        return
    free = sum(x for x in tested.free if x >= LEAST_FREE)
    if free < WEAK:
        what = f"only {free} degrees of freedom are left to test"
        yield Finding(
            "note", "weakly_tested", what, (), free, "Only gross faults would show"
        )


def _remedy(fit: Fit, code: str, label: str) -> str:
    """What to write against a departure, lines that this version knows."""
    spec, panel = fit.spec, fit.panel
    order, pair = spec.waves, label.split(" and ")
    waves = int(label) if label.isdigit() else order + 2
    every = zip(panel.channels, spec.owners(panel), strict=True)
    named = {k for channel, k in every if channel in pair} or range(len(spec.media))
    own = [term for k, term in enumerate(spec.media) if k in named]  # that have them
    flat = '{ dist = "Beta", concentration1 = 2.0, concentration0 = 2.0 }'
    wide = '{ dist = "Gamma", concentration = 2.0, rate = 0.5 }'
    longer, slower, curves = list[str](), list[str](), list[str]()
    for term in own:
        carry: Any = term.adstock
        bends = [spec.full(term, name) for name in term.saturation.parameters()]
        if term.saturation.kind == "logistic":
            curves += [f"write {n} = {wide} under [model.priors]" for n in bends]
        elif bends:
            curves.append(f"widen the priors of {' and '.join(bends)}")
        else:
            curves.append(f'write saturation = {{ kind = "hill" }} {_under(spec, term)}')
        if any(f.name == "max_lag" for f in dataclasses.fields(carry)):
            kernel = f'{{ kind = "{carry.kind}", max_lag = {2 * term.memory} }}'
            longer.append(f"adstock = {kernel} {_under(spec, term)}")
            if carry.kind in ("geometric", "delayed"):
                slower.append(f"{spec.full(term, 'adstock_alpha')} = {flat}")
        elif carry.kind == "none":
            longer.append(f"adstock = {{ max_lag = 8 }} {_under(spec, term)}")
    last = f"Write {' and '.join(longer)}" if longer else "Take an adstock twice as long"
    last += f", and {' and '.join(slower)} under [model.priors]" if slower else ""
    free = " and ".join(curves)
    free = f"{free[0].upper()}{free[1:]}"
    seasons = season(spec, max(waves, order + 1))
    return {
        "season": f"Write {seasons}, or add holidays and events under controls",
        "holiday": f"Add a control that is 1 in the weeks around {label} of every year and "
        'else 0; or a [[model.term]] of kind "holidays", which has those of a country',
        "weekday": "Add a control of 0 and 1 for each day of the week but one; or a "
        '[[model.term]] of kind "fourier" whose period is "week", of order 3',
        "trend": _slow(fit),
        "break": f"Add a control that is 0 before {label} and 1 from then on (or a "
        '[[model.term]] of kind "steps" with this date), or fit only what came after',
        "carryover": last,
        "leads": "Add what drives demand (price, distribution, search interest) under "
        "controls; a lift test shows the effect without it",
        "shape": f"{free} to free the curve, and plan close to past spend",
        "drift": "Fit the last year or two only, or give the channel two columns, before "
        "and after the change",
        "synergy": "Add the product of both columns, divided by its largest value, under "
        "controls; a test that runs them alone shows the rest",
        "curvature": "Take an outcome per shop or per customer where their number "
        "changes, or fit a window in which the level is steady",
    }[code]


def season(spec: Spec, order: int) -> str:
    """Which line to write, and where, for so many pairs of yearly waves."""
    for term in spec.terms:
        if isinstance(term, Waves) and term.period == "year":
            return f"order = {order} {_under(spec, term)}"
    return f"seasonality = {{ order = {order} }} under [model]"


def _under(spec: Spec, term: Term) -> str:
    """Where in a case a line of a term stands."""
    own = f'under [[model.term]] name = "{term.name}"'
    return own if term in spec.terms else "under [model]"


def noise(law: Likelihood, field: str) -> str:
    """What to write so that a likelihood has one more of its choices."""
    told: dict[str, object] = {"kind": law.kind}
    for f in dataclasses.fields(law):  # pyright: ignore
        value = True if f.name == field else getattr(law, f.name)
        told |= {} if value == f.default else {f.name: value}
    inside = ", ".join(f"{name} = {json.dumps(x)}" for name, x in told.items())
    return f"likelihood = {{ {inside} }} under [model]"


def _slow(fit: Fit) -> str:
    """What to write against a level that moves."""
    spec = fit.spec
    has = {type(term) for term in spec.parts}
    lines = [] if Trend in has else ["trend = true under [model]"]
    lines += [] if spec.waves else [season(spec, 2)]
    lines += [] if Drift in has else [f"{DRIFT} (a level that moves slowly)"]
    if not lines:
        return "Add controls for what moves demand slowly: price, distribution, competitors"
    return f"Write {' or '.join(lines)}, and add controls for what else moved demand"
