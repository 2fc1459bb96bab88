"""What a fit is given: the panel, the spec, the scale and the arrays, made ready once.

The one way from a panel and a spec to numbers that a sampler takes: fits, fleets,
backtests, priors and ``check`` all go through :func:`prepare`.
"""

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mmmjax import checks
from mmmjax.checks import Phrase, fail
from mmmjax.facts import check_facts
from mmmjax.findings import Finding
from mmmjax.kernels.seasonality import PERIODS, Fourier, most_pairs
from mmmjax.model import ModelData, model_data
from mmmjax.panel import Panel, for_training
from mmmjax.panel.calendar import describe, offset, period_days, spans
from mmmjax.panel.reading import first_outcome
from mmmjax.prior import Prior, replace_prior
from mmmjax.scaling import Scale
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec, among
from mmmjax.terms import Controls, Interaction, Media, Reach, Term, Waves
from mmmjax.terms.overlap import overlaps

__all__ = ["Prepared", "prepare", "scale_of", "with_scales"]

YEAR = 364  # days: 52 weeks are a year
WEEKDAY = "weekday"


@dataclass(frozen=True, eq=False)
class Prepared:
    """What is fitted.

    Args:
        spec: The spec without what the data decide (`Fourier.auto`, scales): explicit.
        panel: The training panel, without the columns that were dropped.
        scale: Units of the model.
        data: Arrays of :func:`mmmjax.model.program`.
        findings: What was found about terms and facts; also among the notes.
        notes: What was masked, left out or is worth knowing, in sentences.
    """

    spec: Spec
    panel: Panel
    scale: Scale
    data: ModelData
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def prepare(
    spec: Spec, panel: Panel, on_empty: Literal["error", "drop", "prior"] = "error"
) -> Prepared:
    """Check a panel and make ready what a spec makes of it.

    Args:
        spec: What the model is.
        panel: The training data.
        on_empty: What to do with a channel or control that never varies.

    Raises:
        InputError: Data that cannot be fitted, or more seasonality than they can show.
    """
    had = {*panel.channels, *panel.control_names}
    panel, notes = for_training(panel, max_lag=spec.memory, on_empty=on_empty)
    spec.likelihood.check(panel)
    if gone := had - {*panel.channels, *panel.control_names}:
        spec = _without(spec, gone)
    spec, weekday = _weekday(spec, panel)
    panel, late = _lagged(spec, panel)
    sizes = spec.sizes(panel)
    narrow = _narrow(spec, sizes)
    spec, findings = _seasonal(among(spec, sizes), panel)
    spec = with_scales(spec, panel)
    check_facts(map(type, panel.facts))
    off = {fact: why for fact in panel.facts if (why := fact.without_unit(panel, spec))}
    panel = replace(panel, facts=tuple(f for f in panel.facts if f not in off))
    findings += tuple(
        Finding(
            "warning", "fact_left_out", f"{why}: its {fact.kind} is left out",
            means="Training has no periods that it could be about",
            remedy="Train on periods in which it ran",
        )
        for fact, why in off.items()
    )  # fmt: skip
    scale = scale_of(spec, panel)
    data = model_data(spec, panel, scale)
    shared = overlaps(spec, panel, data.inputs, data.target.mask)
    told = (f for x in panel.facts for f in x.findings())
    findings = (*late, *weekday, *findings, *_lags(spec, panel), *narrow, *told, *shared)
    findings = (*findings, *_lengths(spec, panel))
    findings = (*findings, *_levers(spec, panel, scale), *_effects(spec, panel))
    terms = [term for term in spec.media if isinstance(term, Reach)]
    heard = [c for t in terms for c in spec.labels(panel)[spec.dim(t, CHANNEL)]]
    if names := tuple(name for name in panel.reached if name not in heard):
        what = f"{checks.listing(names, 6)}: modelled on impressions, reach times frequency"
        means = "An impression counts the same, however often a person has seen it before"
        fix = f'"{names[0]}" = {{ kind = "reach" }} under [model.channels]'
        found = Finding("note", "frequency_unused", what, names, None, means, fix)
        findings = (*findings, found)
    said = tuple(finding.message for finding in findings)
    return Prepared(spec, panel, scale, data, findings, (*notes, *said))


def _effects(spec: Spec, panel: Panel) -> tuple[Finding, ...]:
    """Which channels may lower the outcome, and whose effects move in time.

    The first of every prior of saturation_beta with values below 0, asked for by ``sign``
    of a media term or written out.
    """
    own = [spec.full(term, "saturation_beta") for term in spec.media]
    of, found = list(zip(panel.channels, spec.owners(panel), strict=True)), []
    if names := tuple(c for c, k in of if not spec.priors[own[k]].within(0.0, math.inf)):
        what = f"{checks.listing(names, 6)} may lower the outcome: the effect has any sign"
        means = "Returns may be negative, and a plan is certified only where no draw is"
        remedy = 'Where a channel cannot harm: no sign = "any", and a prior of '
        remedy += "saturation_beta that is positive"
        found.append(Finding("note", "signed_media", what, names, None, means, remedy))
    if names := tuple(c for c, k in of if spec.media[k].moving):
        what = f"effects of {checks.listing(names, 6)} move in time"
        means = "Their multipliers have the mean 1 over training: coefficients and curves "
        means += "are those of training on average, a return is that of its window, a plan "
        means += "counts on the multipliers of its own, less sure the later it is"
        found.append(Finding("note", "moving_effects", what, names, None, means))
    return tuple(found)


def _levers(spec: Spec, panel: Panel, scale: Scale) -> tuple[Finding, ...]:
    """What levers count from."""
    if (base := scale.baseline) is None:
        return ()
    values = [float(base[panel.control_names.index(name)]) for name in spec.levers]
    said = [
        Phrase(f"{name} {checks.amount(value)}" + f", its {how}" * isinstance(how, str))
        for (name, how), value in zip(spec.levers.items(), values, strict=True)
    ]
    what = f"levers count from their baseline: {checks.listing(said, 6)}"
    means = "Their contributions are what they brought against it; at it they are 0"
    return (Finding("note", "levers", what, tuple(spec.levers), values[0], means),)


def _lagged(spec: Spec, panel: Panel) -> tuple[Panel, tuple[Finding, ...]]:
    """The panel without outcomes of periods whose lagged controls are not in the table."""
    controls = [term for term in spec.parts if isinstance(term, Controls)]
    lost = np.zeros_like(panel.mask)
    for _, name, lag, _ in (
        row for t in controls for row in t.columns(panel.control_names)
    ):
        values = panel.controls[..., panel.control_names.index(name)]
        known = np.pad(panel.present & np.isfinite(values), ((0, 0), (lag, 0)))
        lost |= panel.mask & ~known[:, : lost.shape[1]]
    if not lost.any():
        return panel, ()
    outcome = np.where(lost, np.nan, panel.outcome)
    first = panel.dates[int(lost.any(0).argmax())]
    lead, where = max(term.lead for term in controls), ("control",)
    what = f"{int(lost.sum())} outcomes from {checks.show(first)} on are left out: "
    what += f"a control acts after {lead} periods, and the table has none before them"
    fix = f"Let the table begin {lead} periods earlier, its outcome empty there"
    found = Finding("note", "lag_start", what, where, int(lost.sum()), "", fix)
    history = first_outcome(outcome)
    if history >= len(panel.dates):
        got = Phrase(f"{lead} in a table of {len(panel.dates)} periods")
        fail("lag of controls", got, "", "an outcome that is left", "a shorter lag")
    return replace(panel, outcome=outcome, history=history), (found,)


def _narrow(spec: Spec, sizes: Mapping[str, int]) -> tuple[Finding, ...]:
    """What to say of priors that leave out dims, or pooling, that are the default."""
    found = []
    for name in spec.present(sizes):
        one, prior = spec.parameters[name], spec.priors[name]
        usual = (GEO, *one.dims) if one.pooled else one.dims
        lost = [d for d in usual if d not in (prior.dims or ()) and sizes[d] > 1]
        alone = one.pooled and sizes[GEO] > 1 and not (prior.pool or prior.nested)
        if not lost and not alone:
            continue
        every = " and ".join(f"{d.rpartition('.')[2]}s" for d in lost)
        what = f"{name} has one value for all {every}: its prior leaves them out of dims"
        means = f"Where {every} differ, other terms and the noise take it up"
        level, code = "warning", "dims_dropped"
        if not lost:
            what = f"{name} is not pooled: its prior gives each geo a value of its own"
            means = "Geos do not learn from each other"
            level, code = "note", "not_pooled"
        free = replace_prior(prior, dims=None, pool=()).to_toml()
        remedy = f"The usual dims are those of {name} = {free} under [model.priors]"
        found.append(Finding(level, code, what, (name,), None, means, remedy))
    return tuple(found)


def scale_of(spec: Spec, panel: Panel) -> Scale:
    """The units that a spec gives a training panel."""
    spec = with_scales(spec, panel)
    return Scale.fit(
        panel,
        per_geo_outcome=spec.outcome_scale == "geo",
        per_geo_media=spec.media_scale == "geo",
        robust=spec.scale == "robust",
        per_head=spec.media_scale == "population",
        baseline=spec.baselines(panel),
        per_day=spec.per_day,
    )


def with_scales(spec: Spec, panel: Panel) -> Spec:
    """The spec with the scales that several geos are fitted with where it leaves them open.

    Geos differ in size: each has an outcome of order one, and media are per head where
    that is known, else per geo. One geo has one largest value whatever the scale.
    """
    media = "geo" if panel.population is None else "population"
    usual = {"outcome_scale": "geo", "media_scale": media}
    open_: dict[str, Any] = {n: one for n, one in usual.items() if vars(spec)[n] == "auto"}
    return replace(spec, **open_) if open_ and panel.n_geos > 1 else spec


def _without(spec: Spec, gone: Container[str]) -> Spec:
    """The spec for a panel from which columns were dropped: no term names them.

    A term whose channels are all gone goes with them, and so do its priors.
    """
    terms: list[Term] = []
    for term in spec.terms:
        if isinstance(term, Media) and term.channels is not None:
            kept = tuple(c for c in term.channels if c not in gone)
            terms += [replace(term, channels=kept)] if kept else []
        elif isinstance(term, Controls):
            terms.append(term.without(gone))
        elif isinstance(term, Interaction):
            terms += [] if any(c in gone for c in term.channels) else [term]
        else:
            terms.append(term)
    names = replace(spec, terms=tuple(terms), priors={}).parameters
    priors = {name: prior for name, prior in spec.priors.items() if name in names}
    for name, prior in priors.items():  # no control has a sign any more
        moved = dict(zip(spec.parameters[name].dims, names[name].dims, strict=True))
        dims = prior.dims and tuple(moved.get(d, d) for d in prior.dims)
        priors[name] = replace_prior(prior, dims=dims)
    return replace(spec, terms=tuple(terms), priors=priors)


def _weekday(spec: Spec, panel: Panel) -> tuple[Spec, tuple[Finding, ...]]:
    """The spec with waves of a week where periods are days and seasons are left to data."""
    wave, order = spec.seasonality, most_pairs(panel.freq, PERIODS["week"])
    waves = [t for t in spec.terms if isinstance(t, Waves)]
    weekly = any(t.days == PERIODS["week"] or t.name == WEEKDAY for t in waves)
    seasons = any(t.name == Waves.name for t in spec.terms)
    if not wave or not wave.auto or not order or weekly or seasons:
        return spec, ()
    spec = replace(spec, terms=(*spec.terms, Waves(order, "week", name=WEEKDAY)))
    what = f"days of the week are in the model ({order} pairs of waves): the data are daily"
    without = f"Without them: seasonality = {{ order = {wave.order} }} under [model]"
    found = Finding("note", "weekday", what, (WEEKDAY,), float(order), remedy=without)
    return spec, (found,)


def _lags(spec: Spec, panel: Panel) -> tuple[Finding, ...]:
    """What lags are in days, where periods are no weeks and it may not suit them."""
    days, found = period_days(panel.dates, panel.freq), []
    for term in spec.media if panel.channels else ():
        lasts, length = round(term.memory * days), describe(panel.freq)
        short = days < 2 and term.memory > 1 and lasts < 28
        if not short and not (days > 27 and lasts > 140):
            continue
        half = spec.full(term, "adstock_half_life")
        prior = Prior("LogNormal", loc=round(-0.5 - math.log(days / 7), 2), scale=0.8)
        window = 56 if short else max(2, math.ceil(56 / days) + 1)
        line = f'adstock = {{ kind = "half_life", max_lag = {window} }}'
        means = (
            "Lags and their priors count periods: what comes later is left out"
            if short
            else "Lags and their priors count periods: few media act for so long"
        )
        found.append(
            Finding(
                "warning" if short else "note", "lags_in_days",
                f"{term.name} acts for at most {term.memory} periods ({length}), "
                f"{lasts} days",
                (term.name,), float(lasts), means,
                f"For two months and the usual half-life of days: {line} under [model], "
                f"{half} = {prior.to_toml()} under [model.priors]",
            )
        )  # fmt: skip
    return tuple(found)


def _lengths(spec: Spec, panel: Panel) -> tuple[Finding, ...]:
    """What it means that periods are of several lengths, or are taken as of one."""
    first, after = spans(panel.dates[panel.window], panel.freq)
    days = after - first
    least, most = int(days.min()), int(days.max())
    said = f"{describe(panel.freq)}: periods have {least} to {most} days"
    reach = [term for term in spec.media if isinstance(term, Reach)]
    if spec.per_day and least == most:
        got, fix = Phrase(f"true for data that are {describe(panel.freq)}"), "leave it out"
        fail("per_day", got, "", "periods of unequal length: months, quarters, years", fix)
    if spec.per_day and reach:
        got, fix = Phrase(f'"{reach[0].name}" of kind "reach"'), "leave per_day out"
        fail("per_day", got, "", "media that are a sum of their days: reach is not", fix)
    where, value = ("per_day",), most / least - 1
    if value < 0.01 and not spec.per_day:
        return ()
    if spec.per_day:
        what = f"{said}; the model is of amounts a day"
        means = "The same media a day bring as much a day in a short period as in a long"
        return (Finding("note", "per_day", what, where, value, means),)
    what = f"{said}, and the model takes them as equally long"
    means = "A short period looks like one that sells little and whose media are few"
    remedy = "To have them as long as they are: per_day = true under [model]"
    return (Finding("note", "unequal_periods", what, where, value, means, remedy),)


def _seasonal(spec: Spec, panel: Panel) -> tuple[Spec, tuple[Finding, ...]]:
    """The spec with the yearly seasonality that a panel can show, and what to say of it."""
    taken = any(term.name == Waves.name for term in spec.terms)  # another's place
    wave = None if taken else spec.seasonality
    most, length = most_pairs(panel.freq), describe(panel.freq)
    places = {t.name: f'[[model.term]] name = "{t.name}"' for t in spec.terms}
    asked: list[tuple[Waves, str, str]] = []  # which, where, how to do without
    for t in spec.terms:
        if isinstance(t, Waves):
            place = places[t.name]
            asked.append((t, f"order = {{}} under {place}", f"leave out {place}"))
    off = "seasonality = false"
    if wave and not wave.auto:
        asked.append((Waves(wave.order), "seasonality = {{ order = {} }}", off))
    for t, fix, out in asked:
        shown = most_pairs(panel.freq, t.days)
        if t.order > shown:
            got = Phrase(f"{t.order} for data that are {length}")
            some = f"at most {shown} pairs of {t.season} waves"
            allowed = some if shown else f"no {t.season} waves"
            fail(f"{t.name} order", got, "", allowed, fix.format(shown) if shown else out)
    asked = [one for one in asked if one[0].period == "year"]
    if not (asked or wave):
        return spec, ()
    seen = np.flatnonzero(panel.mask.any(0))
    ends: Any = panel.dates[seen[[0, -1]]]
    years = (ends[1] + offset(panel.freq) - ends[0]).days / YEAR
    span = f"{checks.show(ends[0])} to {checks.show(ends[1])}"
    short = f"the outcome is known for {12 * years:.1f} months ({span})"
    trades = (
        "Yearly waves trade with the baseline and with every channel where no season is "
        "seen twice"
    )
    order = min(wave.order, most) if wave else 0
    where, keep = ("seasonality",), f"seasonality = {{ order = {order} }}"
    if wave and wave.auto and (not most or years < 1):
        priors = {n: p for n, p in spec.priors.items() if n not in Waves().parameters()}
        why = f"{short}, less than a year" if most else f"the data are {length}"
        what = f"yearly seasonality is left out: {why}"
        means, remedy = (trades, f"To have it nevertheless: {keep}") if most else ("", "")
        found = Finding("note", "season_left_out", what, where, years, means, remedy)
        spec = replace(spec, seasonality=None, priors=priors)
        return spec, (found, *_seasonal(spec, panel)[1])
    spec, findings = replace(spec, seasonality=Fourier(order)) if wave else spec, []
    if wave and order < wave.order:
        what = (
            f"one season is {order} pair of waves, all that data can show that are {length}"
        )
        findings.append(Finding("note", "season_order", what, where, order))
    if years < 2:
        than = "a year" if years < 1 else "two years"
        what = f"yearly seasonality from less than {than} of data: {short}"
        remedy = f"Without it: {off} under [model]"
        if not wave:
            remedy = f"Without it: {' and '.join(out for *_, out in asked)}"
        findings.append(
            Finding("warning", "season_short", what, where, years, trades, remedy)
        )
    return spec, tuple(findings)
