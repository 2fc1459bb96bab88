"""What the data make hard: a finding for each kind, with its reason, in a sentence."""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from mmmjax.arguments import checked
from mmmjax.checks import Phrase, listing, show
from mmmjax.exploration import tables
from mmmjax.exploration.copies import copies
from mmmjax.exploration.ends import ends
from mmmjax.exploration.outliers import LIMIT, Outliers, events, outliers
from mmmjax.exploration.units import units
from mmmjax.exploration.windows import Difference, difference
from mmmjax.findings import Finding, Level, ranked
from mmmjax.metrics import APART, condition_number, dependences, robust_largest, vif
from mmmjax.panel import Panel

__all__ = ["controls_beyond", "warnings"]

HIGH_VIF = 10.0
FEW_PERIODS = 10
FEW_SHARE = 0.05
FAR, OFTEN = 1.5, 0.1  # times the training maximum, share of test cells: a warning
ALIKE = 0.8  # correlation of a control with a channel
JUMP = 1.5  # of a population from one period to the next
CARRIED = 0.5  # of media a period later, for the control that follows slowly
CLEAR, MANY = 5.5, 0.01  # robust z, share of cells: fewer and smaller are left unsaid


@checked
def warnings(
    panel: Panel, test: Panel | None = None, n_parameters: int | None = None
) -> tuple[Finding, ...]:
    """Look for what makes effects hard to learn or a test hard to pass.

    Args:
        panel: The training panel.
        test: The panel that follows it, if there is one.
        n_parameters: Number of scalars the model would estimate, if known.

    Returns:
        Findings, the most severe first; one for each kind, which names at most a few.

    Raises:
        InputError: The test panel does not follow the training panel.
    """
    apart = outliers(panel, test).until(panel.n_periods)
    found = [
        *panel.said,
        *units(panel),
        *_too_many(panel, n_parameters),
        *copies(panel),
        *ends(tables.joined(panel, test)),
        *_dependent_controls(panel),
        *_collinear(panel),
        *_controls_with_media(panel),
        *_geo_constant(panel),
        *_sparse(panel),
        *_not_money(panel),
        *_unpaid(panel),
        *_recorded_outliers(panel),
        *_outcome_outliers(panel, apart),
        *_media_outliers(panel, apart),
        *_missing(panel),
        *_population(panel),
    ]
    if test is not None:
        versus = difference(panel, test)
        found += [*_new_in_test(panel, versus), *_beyond(panel, versus)]
        found += controls_beyond(panel, test)
    return ranked(found)


def _too_many(panel: Panel, n_parameters: int | None) -> list[Finding]:
    data = int(tables.cells(panel).sum())
    if n_parameters is None or n_parameters <= data:
        return []
    message = (
        f"{n_parameters} parameters for {data} observed outcomes: most of them will stay "
        "at their priors. Use fewer controls or share parameters over geos"
    )
    return [Finding("serious", "parameters", message)]


def _dependent_controls(panel: Panel) -> list[Finding]:
    found = dependences(tables.within(panel, panel.controls))
    names = panel.control_names
    together: dict[int, list[int]] = {}
    said, where = [], []
    for column, others in found:
        if len(others) == 1:
            together.setdefault(others[0], [others[0]]).append(column)
        elif others:
            mix = listing((names[i] for i in others), 5)
            said.append(Phrase(f'"{names[column]}" is a combination of {mix}'))
            where += [column, *others]
    for group in together.values():
        alike = listing((names[i] for i in sorted(group)), 5)
        said.append(Phrase(f"{alike} always move together"))
        where += group
    if not said:
        return []
    more = [f"{len(said) - 4} more sets"] if len(said) > 4 else []
    message = (
        "controls that follow exactly from others: "
        f"{'; '.join([*said[:4], *more])}. Only their joint effect is learned, the split "
        "comes from the prior"
    )
    named = tuple(names[i] for i in dict.fromkeys(where))
    return [Finding("warning", "rank", message, named)]


def _collinear(panel: Panel) -> list[Finding]:
    """Find channels that other channels and controls nearly determine."""
    table = tables.within(panel, tables.features(panel))
    if table.shape[0] <= table.shape[1] or not panel.channels:
        return []
    n = len(panel.channels)
    factors = vif(table)
    high = np.flatnonzero(factors[:n] > HIGH_VIF)
    if not high.size:
        return []
    names = tables.names(panel)
    pooled = tables.correlations(panel).pooled[1:, 1:]
    correlation = np.abs(np.nan_to_num(pooled))
    np.fill_diagonal(correlation, 0)
    said, told = [], set()
    for i in sorted(high, key=lambda i: -factors[i]):
        partner = int(correlation[i].argmax())
        if (partner, i) not in told:
            told.add((i, partner))
            close = f'correlation {correlation[i, partner]:.2f} with "{names[partner]}"'
            said.append(Phrase(f'"{names[i]}" (VIF {_size(factors[i])}, {close})'))
    message = (
        f"channels that others nearly determine: {listing(said, 3)}; condition number of "
        f"the media {_size(condition_number(table[:, :n]))}. Their effects trade against "
        "each other: a lift test, a stronger prior or merging them helps"
    )
    where = tuple(names[i] for i in high)
    return [Finding("warning", "collinear", message, where)]


def _size(number: float) -> str:
    return f"{number:.0f}" if number < 1000 else "above 1000"


def _geo_constant(panel: Panel) -> list[Finding]:
    """Find columns that differ between geos but never change within one."""
    if panel.n_geos == 1:
        return []
    table = np.abs(tables.within(panel, tables.features(panel))).max(0, initial=0.0)
    size = np.abs(tables.features(panel)).max((0, 1))
    names = tables.names(panel)
    flat = tuple(names[i] for i in np.flatnonzero((table == 0) & (size > 0)))
    if not flat:
        return []
    message = (
        f"{listing(flat, 6)}: the same in all periods of a geo. An intercept per geo "
        "explains that too, so the effect comes from the prior"
    )
    return [Finding("warning", "geo_constant", message, flat)]


def _sparse(panel: Panel) -> list[Finding]:
    """Find channels that are on in few periods."""
    cells = tables.cells(panel)
    active = (panel.media[cells] > 0).sum(0)
    few = (active > 0) & (active < np.maximum(FEW_PERIODS, FEW_SHARE * cells.sum()))
    if not few.any():
        return []
    said = [Phrase(f'"{panel.channels[i]}" ({active[i]})') for i in np.flatnonzero(few)]
    message = (
        f"channels that ran in few of the {int(cells.sum())} {_unit(panel)}: "
        f"{listing(said, 6)}. Their carryover and saturation will come from the prior"
    )
    where = tuple(panel.channels[i] for i in np.flatnonzero(few))
    return [Finding("warning", "sparse", message, where)]


_COUNTS = re.compile(r"impression|click|view|reach|grp|visit", re.IGNORECASE)


def _not_money(panel: Panel) -> list[Finding]:
    """Find media that are taken as money and look as if they were not."""
    same = panel.paid & (panel.spend == panel.media).all((0, 1))
    counted = tuple(
        name for name, is_same in zip(panel.channels, same, strict=True)
        if is_same and _COUNTS.search(name)
    )  # fmt: skip
    spent = float(panel.spend[:, panel.window][..., same].sum())
    outcome = float(np.nansum(panel.outcome[:, panel.window]))
    if not counted and not spent > outcome > 0:
        return []
    said = f"spend is {spent / outcome:,.1f} times the outcome"
    if counted:
        said = f"taken as money, by its name a count: {listing(counted, 6)}"
    message = (
        f"{said}. Media that are not money need their columns of money under spend (those "
        "left out of it are organic); an outcome that counts pieces may be below spend"
    )
    return [Finding("warning", "not_money", message, counted)]


def _unpaid(panel: Panel) -> list[Finding]:
    """Find periods in which a paid channel ran and cost nothing."""
    window = panel.window
    free = (panel.media[:, window] > 0) & (panel.spend[:, window] == 0) & panel.paid
    if not free.any():
        return []
    said = []
    for i in np.flatnonzero(free.any((0, 1))):
        geo, time = np.argwhere(free[..., i])[0]
        first = _place(panel, geo, time)
        said.append(Phrase(f'"{panel.channels[i]}" ({free[..., i].sum()}, first {first})'))
    message = (
        f"{_unit(panel)} with media and no spend: {listing(said, 4)}. They count as free "
        "media, and make the channel look cheaper: check the table"
    )
    where = tuple(panel.channels[i] for i in np.flatnonzero(free.any((0, 1))))
    return [Finding("warning", "unpaid", message, where)]


def _unit(panel: Panel) -> str:
    return "periods" if panel.n_geos == 1 else "geo-periods"


def _place(panel: Panel, geo: Any, time: Any) -> str:
    """Where a cell of the window is: its date, and its geo where there are several."""
    date = show(panel.dates[panel.window][time])
    return date if panel.n_geos == 1 else f"{panel.geos[geo]} {date}"


def _outcome_outliers(panel: Panel, apart: Outliers) -> list[Finding]:
    """Find outcomes far from their rolling median, apart from known events."""
    every, z, name = apart.outcome_apart, apart.outcome.z, panel.outcome_name
    left = every & ~events(panel)
    n, seen = int(every.sum()), int(panel.mask[:, panel.window].sum())
    told = left if left.any() else every
    largest = sorted(np.argwhere(told), key=lambda cell: -abs(z[tuple(cell)]))
    if not n or (told.sum() <= 1 + MANY * seen and abs(z[tuple(largest[0])]) <= CLEAR):
        return []
    said = [Phrase(f"{_place(panel, g, t)} (z {z[g, t]:+.1f})") for g, t in largest]
    message = (
        f"{name}: {n} of {seen:,} {_unit(panel)} far from the median around them (robust z "
        f"> {LIMIT})"
    )
    if not left.any():
        message += f", all with an event control: {listing(said, 3)}"
        return [Finding("note", "outcome_outliers", message, (name,))]
    message += (
        f", {int(left.sum())} of them without an event control: {listing(said, 3)}. They "
        "pull on the media that ran then: check them, or add a control"
    )
    return [Finding("warning", "outcome_outliers", message, (name,))]


def _recorded_outliers(panel: Panel) -> list[Finding]:
    """Find largest values that the scale of the model leaves out."""
    values = tables.variables(panel)[..., : 1 + len(panel.channels)]
    known = np.where(np.isnan(values), -np.inf, values)
    most, usual = known.max(1), robust_largest(values, axis=1)
    said, names = [], (panel.outcome_name, *panel.channels)
    where = np.argwhere(most > usual)
    times = most[tuple(where.T)] / usual[tuple(where.T)]
    for i in np.argsort(-times, kind="stable"):
        g, column = where[i]
        place = _place(panel, g, known[g, :, column].argmax())
        size = f"{times[i]:.1f} times the second largest"
        said.append(Phrase(f'"{names[column]}" {place} ({size})'))
    if not said:
        return []
    return [
        Finding(
            "warning",
            "recorded_outlier",
            f"largest values far above all others: {listing(said, 3)}",
            tuple(names[i] for i in dict.fromkeys(where[:, 1].tolist())),
            float(times.max()),
            "The model divides by the second largest instead, so the other periods keep "
            'their size (not with scale = "max" under [model])',
            "Correct the cell in the table if it is a typing error or a booking of many "
            "periods at once",
        )
    ]


def _media_outliers(panel: Panel, apart: Outliers) -> list[Finding]:
    """Find bursts of media: those that set the scale of a channel, and other clear ones."""
    media, found = panel.media[:, panel.window], apart.media_apart
    usual = robust_largest(media, axis=1)[:, None]
    ordinary = np.where(found, 0.0, media).max(1, keepdims=True)
    squeezes = found & (media > APART * ordinary) & (media <= usual)
    clear = found & (media <= usual) & ~squeezes & (np.nan_to_num(apart.media_z) > CLEAR)
    reasons: dict[Level, str] = {
        "warning": "Media are divided by a value of this size, so the other periods are "
        "squeezed together: correct the cells if they are typing errors",
        "note": "Check that it is no typing error",
    }
    findings = []
    for level, cells in zip(reasons, (squeezes, clear), strict=True):
        where = np.flatnonzero(cells.any((0, 1)))
        if not where.size:
            continue
        said = []
        for c in where:
            times = np.where(cells[..., c], apart.times[..., c], 0.0)
            g, t = (int(i) for i in np.unravel_index(int(times.argmax()), times.shape))
            size = f"{times[g, t]:.1f} times, z {apart.media_z[g, t, c]:+.1f}"
            said.append(Phrase(f'"{panel.channels[c]}" {_place(panel, g, t)} ({size})'))
        above = f"channels far above what is usual for them: {listing(said, 3)}"
        names = tuple(panel.channels[c] for c in where)
        message = f"{above}. {reasons[level]}"
        findings.append(Finding(level, "media_outliers", message, names))
    return findings


def _new_in_test(panel: Panel, versus: Difference) -> list[Finding]:
    """Find channels and controls that never change in training but do in the test."""
    names = tables.names(panel)
    new = tuple(names[i] for i in np.flatnonzero(versus.new[1:]))
    if not new:
        return []
    message = (
        f"columns that only change in the test window: {listing(new, 5)}. Training teaches "
        "nothing about them: their part of the forecast is their prior"
    )
    return [Finding("warning", "new_in_test", message, new)]


def _beyond(panel: Panel, versus: Difference) -> list[Finding]:
    """Find test media beyond the training range, where the curves are extrapolated."""
    part = slice(1, 1 + len(panel.channels))
    share, times = versus.beyond[part], versus.times[part]
    out = np.flatnonzero((share > 0) & ~versus.new[part])
    if not out.size:
        return []
    said = [
        Phrase(
            f'"{panel.channels[i]}" ({share[i]:.0%} of the cells, '
            + (f"{times[i]:.2f} times)" if np.isfinite(times[i]) else "from nothing)")
        )
        for i in sorted(out, key=lambda i: -share[i])
    ]
    message = (
        f"test media above the largest period of training: {listing(said, 3)}. The "
        "saturation curve is extrapolated there"
    )
    far = ((share[out] > OFTEN) | (times[out] > FAR)).any()
    where = tuple(panel.channels[i] for i in out)
    return [Finding("warning" if far else "note", "beyond_training", message, where)]


def _missing(panel: Panel) -> list[Finding]:
    present = panel.present[:, panel.window]
    unknown = present & ~panel.mask[:, panel.window]
    share = unknown.sum() / max(present.sum(), 1)
    if not 0.1 <= share < 1:
        return []
    first = panel.dates[panel.window][unknown.any(0)][0]
    message = (
        f"{share:.0%} of the outcomes are missing (first: {show(first)}): they are masked, "
        "not guessed, and teach the model nothing"
    )
    return [Finding("note", "missing", message)]


def controls_beyond(panel: Panel, future: Panel) -> list[Finding]:
    """Find controls that leave the range of training: where, and by how much of it."""
    seen = panel.controls[:, panel.window][panel.present[:, panel.window]]
    low, high = seen.min(0), seen.max(0)
    there = future.present[..., None] & np.isfinite(future.controls)
    far = np.fmax(future.controls - high, low - future.controls)
    far = np.where(there & (high > low), far, 0.0)
    out = far > 1e-9 * np.maximum(np.abs(low), np.abs(high))
    said, sizes = [], []
    for c in np.flatnonzero(out.any((0, 1))):
        first = show(future.dates[int(out[..., c].any(0).argmax())])
        sizes.append(float(far[..., c].max() / (high[c] - low[c])))
        name, size = panel.control_names[c], f"{sizes[-1]:.0%} of its range beyond"
        said.append(Phrase(f'"{name}" (first {first}, up to {size})'))
    if not said:
        return []
    what = f"controls outside of what training saw: {listing(said, 3)}"
    means = "Their effect is carried on as a straight line there"
    names = tuple(panel.control_names[c] for c in np.flatnonzero(out.any((0, 1))))
    level: Level = "warning" if max(sizes) > OFTEN else "note"
    remedy = "Check the unit and the values of these periods"
    return [Finding(level, "controls_beyond", what, names, max(sizes), means, remedy)]


def _controls_with_media(panel: Panel) -> list[Finding]:
    """Find controls that follow a channel: they may be its consequence, or a copy."""
    n, carried = len(panel.channels), panel.media.copy()
    if not n or not panel.control_names or tables.cells(panel).sum() < FEW_PERIODS:
        return []
    for t in range(1, carried.shape[1]):
        carried[:, t] += CARRIED * carried[:, t - 1]
    pooled = np.zeros((n, len(panel.control_names)))
    for media in (panel.media, carried):
        found = tables.correlations(replace(panel, media=media)).pooled
        found = np.nan_to_num(found[1 : n + 1, n + 1 :])
        pooled = np.where(np.abs(found) > np.abs(pooled), found, pooled)
    pairs = sorted(np.argwhere(np.abs(pooled) > ALIKE), key=lambda p: -abs(pooled[*p]))
    if not pairs:
        return []
    said = [
        Phrase(
            f'"{panel.control_names[k]}" with "{panel.channels[c]}" ({pooled[c, k]:+.2f})'
        )
        for c, k in pairs
    ]
    names = dict.fromkeys(panel.control_names[k] for _, k in pairs)
    what = f"controls that follow media (correlation): {listing(said, 3)}"
    means = (
        "A control that is a consequence of a channel (visits, leads), or a copy of it, "
        "takes its effect away"
    )
    remedy = "Take it out of controls, unless it moves for reasons of its own"
    size = float(np.abs(pooled).max())
    return [Finding("warning", "control_media", what, tuple(names), size, means, remedy)]


def _population(panel: Panel) -> list[Finding]:
    """Say what a population does, and where it jumps."""
    people, where = panel.people, ("population",)
    if people is None:
        return []
    jumps = np.maximum(people[:, 1:] / people[:, :-1], people[:, :-1] / people[:, 1:])
    if jumps.size and (size := float(jumps.max())) > JUMP:
        g, t = np.argwhere(jumps == size)[0]
        when = f"{show(panel.dates[t + 1])} in {panel.geos[g]}"
        what = f"population is {size:.3g} times another from one period to the next: {when}"
        means = "Media per head change by as much from then on"
        remedy = "Check its unit and its digits there"
        return [Finding("warning", "population", what, where, size, means, remedy)]
    what = "population divides media: per head they are alike in geos of any size"
    remedy = 'To have each geo by its largest: media_scale = "geo" under [model]'
    if panel.n_geos == 1:
        what = "population changes no number of one geo"
        remedy = 'Media per head, where it grows: media_scale = "population" under [model]'
    return [Finding("note", "population", what, where, remedy=remedy)]
