"""The doors: what a panel must be to be fitted, and to be predicted.

`Panel` itself only says that a table is well formed. Here a panel is refused when the
model could not learn from it, always with the name of what is wrong.
"""

from dataclasses import replace

import numpy as np

from mmmjax.checks import Phrase, choice, fail, listing, show
from mmmjax.panel.calendar import check_follows
from mmmjax.panel.container import Panel, check_names, spread
from mmmjax.panel.record import numbers

__all__ = ["for_prediction", "for_training"]


def for_training(
    panel: Panel, *, max_lag: int, on_empty: str = "error"
) -> tuple[Panel, tuple[str, ...]]:
    """Return the panel to fit and notes on what is masked, unbalanced or dropped.

    Args:
        panel: The training panel.
        max_lag: Periods that the adstock looks at, today included.
        on_empty: What to do with a channel or control that never changes in the window:
            refuse it ("error"), leave it out ("drop"), or keep it, so that its
            coefficient stays at its prior ("prior").
    """
    choice("on_empty", on_empty, ("error", "drop", "prior"))
    check_names(panel)
    _outcomes(panel)
    if panel.n_periods < max_lag:
        where = f"for {panel.n_periods} periods, {_span(panel)}"
        fix = f"give more periods, or set max_lag={max(panel.n_periods // 4, 1)}"
        fail("max_lag", max_lag, where, "at most as many lags as periods", fix)
    _money_for_media(panel)
    panel, dropped = _empty(panel, on_empty)
    panel, idle = _campaigns(panel, on_empty)
    panel = spread(panel)
    return panel, (*dropped, *idle, *_notes(panel))


def _span(panel: Panel) -> str:
    return f"{show(panel.dates[panel.history])} to {show(panel.dates[-1])}"


def _outcomes(panel: Panel) -> None:
    """Refuse outcomes that cannot be explained: none, constant, not positive."""
    name = panel.outcome_name
    if panel.columns.outcome is None:
        got = Phrase("a panel without outcome")
        fail("outcome", got, "", "an outcome to learn from", 'pass outcome="column"')
    for g, geo in enumerate(panel.geos):
        where = f'for geo "{geo}"' if panel.n_geos > 1 else f'in column "{name}"'
        seen = panel.outcome[g][panel.mask[g]]
        apart = "name the right column as outcome, or take a longer training window"
        if panel.n_geos > 1:
            apart = (
                f'leave its rows out of the table; if "{panel.columns.geo}" names channels '
                "and the outcome stands in the rows of one of them, make each of them a "
                "column of media, one row a date, and leave geo out"
            )
        if not seen.size:
            allowed = "at least one observed outcome"
            fail("outcome", Phrase("no observed value"), where, allowed, apart)
        if (seen == seen[0]).all():
            got = Phrase(f"{seen[0]:g} in all {seen.size} observed periods")
            fail("outcome", got, where, "an outcome that varies", apart)
        if seen.max() <= 0:
            got = Phrase(f"a largest value of {seen.max():g}")
            fix = "model a quantity that is positive; check the sign of the column"
            fail("outcome", got, where, "a largest outcome above 0", fix)


def _money_for_media(panel: Panel) -> None:
    """Refuse paid channels that have media without any spend, or spend without media."""
    media = panel.media[:, panel.window].sum((0, 1))
    spend = panel.spend[:, panel.window].sum((0, 1))
    for i in np.flatnonzero(panel.paid):
        name, column = panel.channels[i], panel.columns.media[i]
        where = f'for channel "{name}", {_span(panel)}'
        if media[i] > 0 and spend[i] == 0:
            got = Phrase(f"{media[i]:,.6g} units of media and no spend at all")
            own = "campaigns = ..." if name in panel.columns.campaigns else ""
            own = own or f'column = "{column}"'
            fix = f'if it costs nothing: media "{name}" = {{ {own}, organic = true }}'
            fix += ", and no spend of it"
            fail("spend", got, where, "some spend for a paid channel", fix)
        if spend[i] > 0 and media[i] == 0:
            got = Phrase(f"spend of {spend[i]:,.6g} and no media at all")
            fix = (
                f'check column "{column}", or model the channel on its spend: '
                f'media={{"{name}": "{panel.columns.spend[i]}"}}'
            )
            fail("media", got, where, "some media for a channel with spend", fix)


def _empty(panel: Panel, on_empty: str) -> tuple[Panel, tuple[str, ...]]:
    """Find channels and controls that never change in the window, and act on them."""
    rows = panel.present[:, panel.window]
    kept, said = {}, []
    for field, array, names in (
        ("media", panel.media, panel.channels),
        ("controls", panel.controls, panel.control_names),
    ):
        cells = array[:, panel.window][rows]  # (cell, column)
        flat = (cells == cells[:1]).all(0)
        for i in [k for k, name in enumerate(names) if name in panel.national]:
            series = array[:, panel.window, i].sum(0)  # its parts differ by geo
            flat[i] = np.allclose(series, series[0], 1e-12, 0.0)
        kept[field] = np.flatnonzero(~flat)
        for i in np.flatnonzero(flat):
            value = "all zero" if cells[0, i] == 0 else f"always {cells[0, i]:g}"
            said.append(Phrase(f'{field} "{names[i]}" ({value})'))
    if not said:
        return panel, ()
    if on_empty == "error":
        fix = (
            'leave them out, or say on_empty="drop" (leave out) or "prior" (keep at prior)'
        )
        got = Phrase(f"nothing to learn from in {listing(said, 12)}")
        allowed = "columns that change in the training window"
        fail("data", got, f"from {_span(panel)}", allowed, fix)
    act = "left out" if on_empty == "drop" else "kept, their effect stays at the prior"
    note = f"{listing(said, 12)} never change from {_span(panel)}: {act}"
    if on_empty != "drop":
        return panel, (note,)
    left = _keep(panel, **kept)
    gone = len(panel.facts) - len(left.facts)
    return left, (note + f", and {gone} facts about them" if gone else note,)


def _campaigns(panel: Panel, on_empty: str) -> tuple[Panel, tuple[str, ...]]:
    """Find campaigns without media in the window, and those that the data cannot tell."""
    known = panel.campaigns
    if known is None:
        return panel, ()
    at = [panel.channels.index(name) for name in known.channels]
    media, share = panel.media[:, panel.window][..., at], known.media[:, panel.window]
    low = np.where(media > 0, share, np.inf).min((0, 1))
    high = np.where(media > 0, share, -np.inf).max((0, 1))
    moving = {known.channels[i] for i in np.flatnonzero(high - low > 1e-9)}
    notes = [
        f"campaigns of {name} have the same parts of it in all periods: their effects stay "
        "at the prior"
        for name in dict.fromkeys(known.channels)
        if name not in moving
    ]
    ran = (share * media).sum((0, 1)) > 0
    if ran.all():
        return panel, tuple(notes)
    idle = [known.labels[i] for i in np.flatnonzero(~ran)]
    said = listing((Phrase(f'campaign "{label}" (all zero)') for label in idle), 12)
    if on_empty == "error":
        fix = (
            'leave them out, or say on_empty="drop" (leave out) or "prior" (keep at prior)'
        )
        got = Phrase(f"nothing to learn from in {said}")
        allowed = "campaigns that ran in the training window"
        fail("data", got, f"from {_span(panel)}", allowed, fix)
    act = "left out" if on_empty == "drop" else "kept, their effect stays at the prior"
    notes.append(f"{said} never ran from {_span(panel)}: {act}")
    if on_empty == "drop":
        columns = panel.columns.without(idle)
        panel = replace(panel, campaigns=known.kept(ran), columns=columns)
    return panel, tuple(notes)


def _keep(panel: Panel, media: np.ndarray, controls: np.ndarray) -> Panel:
    """Return the panel with some of its channels and controls."""
    named, channels = panel.columns, tuple(panel.channels[i] for i in media)
    return replace(
        panel,
        media=panel.media[..., media],
        spend=panel.spend[..., media],
        frequency=None if panel.frequency is None else panel.frequency[..., media],
        channels=channels,
        national=tuple(name for name in panel.national if name in channels),
        facts=tuple(f for f in panel.facts if f.about(panel, panel.geos, channels)),
        campaigns=panel.campaigns
        and panel.campaigns.kept(np.isin(panel.campaigns.channels, channels)),
        controls=panel.controls[..., controls],
        control_names=tuple(panel.control_names[i] for i in controls),
        columns=replace(
            named,
            media=tuple(named.media[i] for i in media),
            spend=tuple(named.spend[i] for i in media),
            controls=tuple(named.controls[i] for i in controls),
            campaigns={c: x for c, x in named.campaigns.items() if c in channels},
            costs={c: x for c, x in named.costs.items() if c in channels},
            reach={c: x for c, x in named.reach.items() if c in channels},
        ),
    )


def _notes(panel: Panel) -> tuple[str, ...]:
    """Say what is masked or filled, so that nothing happens in silence."""
    notes = []
    present, mask = panel.present[:, panel.window], panel.mask[:, panel.window]
    if panel.history:
        upto = show(panel.dates[panel.history])
        notes.append(f"{panel.history} periods before {upto} only carry media over")
    short = np.flatnonzero(~present.all(1))
    if short.size:
        spans = []
        for g in short:
            when = panel.dates[panel.window][present[g]]
            spans.append(Phrase(f"{panel.geos[g]} ({show(when[0])} to {show(when[-1])})"))
        notes.append(f"unbalanced, masked where absent: {listing(spans, 4)}")
    unknown = present & ~mask
    if unknown.any():
        g, t = np.argwhere(unknown)[0]
        first = show(panel.dates[panel.window][t])
        first += f" in {panel.geos[g]}" if panel.n_geos > 1 else ""
        notes.append(f"missing outcomes masked: {int(unknown.sum())} (first: {first})")
        tail = int((~mask.any(0))[::-1].argmin())
        if tail:
            notes.append(
                f"the last {tail} periods have no outcome: split them off to forecast"
            )
    if panel.national:
        by = "its outcome" if panel.population is None else "population"
        who = listing(map(Phrase, panel.national), 12)
        notes.append(f"national: {who}; one series, each geo's part by {by}, counted once")
    media = panel.media[:, panel.window].sum(1)
    free = (media > 0) & (panel.spend[:, panel.window].sum(1) == 0)
    for c in np.flatnonzero(free.any(0)):
        where = listing((Phrase(panel.geos[g]) for g in np.flatnonzero(free[:, c])), 4)
        name = panel.channels[c]
        notes.append(f"{name} has media but no spend in {where}: costs as overall there")
    return tuple(notes)


def for_prediction(training: Panel, future: Panel) -> Panel:
    """Return the future (or test) panel with geos, channels and controls as in training.

    Its dates must follow the training dates directly and at the same frequency.
    """
    if future.freq != training.freq and len(future.dates) > 1:
        allowed = f"the frequency of training ({training.freq})"
        fail("test panel", future.freq, "", allowed, "bring both to one frequency")
    check_follows(future.dates, training.dates[-1], training.freq, "test panel")
    for field in ("geos", "channels", "control_names"):
        ours, theirs = getattr(training, field), getattr(future, field)
        if missing := [name for name in ours if name not in theirs]:
            got = Phrase(f"no {listing(missing)}")
            allowed = f"all {field} of training"
            fix = "read the table with training.read_future or with the same columns"
            fail(f"test panel {field}", got, "", allowed, fix)
    if extra := [name for name in future.geos if name not in training.geos]:
        allowed = f"the geos of training ({listing(training.geos)})"
        fix = "ask it of mm.add_geos(fit, panel), whose new geos are from the pooled prior"
        fix += "; or drop its rows, or train on it too"
        fail("test panel geos", extra[0], "", allowed, fix)
    order = [future.geos.index(name) for name in training.geos]
    ordered = numbers(future, lambda x: x[order])
    if (own := training.campaigns) is not None:  # those of training, as they are now
        now = future.campaigns and future.campaigns.each(lambda x: x[order])
        own = own.like(now, *ordered["outcome"].shape)
    people = None
    if training.people is not None:  # as it was last, unless it is given
        known = future.people
        people = training.people[:, -1] if known is None else known[order]
    aligned = replace(
        future,
        **ordered,
        geos=training.geos,
        population=people,
        groups=training.groups,
        campaigns=None,
        history=0,
        facts=(),
    )
    media = np.array([aligned.channels.index(c) for c in training.channels], int)
    names = [aligned.control_names.index(c) for c in training.control_names]
    kept = _keep(aligned, media, np.array(names, int))
    return spread(replace(kept, campaigns=own), training)
