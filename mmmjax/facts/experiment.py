"""A lift test as it was run: on dates, in geos, of one or several channels."""

import datetime
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy import special, stats

from mmmjax import checks, response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.checks import Phrase, fail
from mmmjax.facts.base import Fact, day_of
from mmmjax.facts.errors import Errors, covarying, joint
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.panel.calendar import offset
from mmmjax.scaling import Scale
from mmmjax.spec import Spec
from mmmjax.terms import Interaction, Media

__all__ = ["LiftTest"]

RECORDED = "recorded"
OF = ("total", "per_period", "percent", "roas", "cost_per_outcome")
AMOUNTS = ("per_period", "total")
NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
LEAST = 1e-3  # of a period's largest outcome: percent of less is of this
ROUND = 8  # periods: windows of about the same length share a program

type Arm = float | str | Sequence[Any] | Mapping[str, Any]


@checked
@dataclass(frozen=True)
class LiftTest(Fact):
    r"""What media did between two dates, against what other media would have done.

    With $\mu$ the mean of the outcome, summed over the geos of the test, its periods and
    ``tail`` periods after them,

    $$\text{result} \sim \text{Normal}\Big(\textstyle\sum \mu(\text{media of the test arm})
    - \sum \mu(\text{media of the control arm}), \text{error}\Big)$$

    through carry-over and saturation, all else as recorded, in the unit of the error.

    Args:
        channel: Its name, or several that were changed together.
        start: First day of the first period of the test.
        end: First or last day of its last period.
        result: What was measured, of the test arm beyond the control arm: one number,
            or one for each period of the test and its tail ("per_period", "percent").
        of: "total" of the periods and the tail, outcome units; "per_period", the same
            divided by the periods; "percent" of the outcome of the control arm; "roas",
            outcome per money of difference in spend; "cost_per_outcome", its reciprocal.
        spend_test: Media of the test arm in the periods of the test: "recorded", what the
            panel has; money, 0 for a black-out, all geos of the test together; a list, one
            for each period; "+20%", "x1.2", "-5000" (money a period), counted from what the
            panel has. For several channels a table by channel where they differ. Media of
            an organic channel where this says money.
        spend_control: The same of the control arm. One of the two is not "recorded".
        spend_of: Whether money is "per_period" or the "total" of the test, spread as what
            was recorded, evenly where nothing was. Needed where money is not 0 and there
            are several periods.
        error: Standard error of the result, its unit, above 0; a list of a series.
        interval: In place of it [low, high] around the result; a list of these of a series.
        probability: Of the interval, in (0, 1).
        tail: Periods after the end whose outcome the result still counts.
        geos: Where; None: all of the panel.
        share: Part of the market of ``geos`` that the test was in, in (0, 1]: of a test in
            a region that the panel does not tell apart. Money and result are the region's;
            "recorded" is the market's, of which it had its share.
        nu: Degrees of freedom of a Student t in place of the Normal; error is its scale.
        bias: Standard deviation of an error that a larger test would not lower, of
            quasi-experiments; unit of the result, the same in all periods of a series.
        covariance: Of the errors of a series, in place of error, (result, result).
        group: Name that tests share whose errors have a part in common or covary.
        shared_error: Standard deviation of that part, unit of the result, beside error.
        covariances: Of the errors with those of other tests of the group, by their names,
            units of both results: see :func:`mmmjax.facts.correlated`.
        name: What tables call it; None: channel and start.
        until: Day from which it is known; None: the end of its tail.

    Raises:
        InputError: What is not stated, or numbers outside their ranges.
    """

    kind: ClassVar[str] = "lift_test"
    channel: str | Sequence[str]
    start: str | datetime.date
    end: str | datetime.date
    result: float | Sequence[float]
    of: str
    spend_test: Any = RECORDED
    spend_control: Any = RECORDED
    spend_of: str | None = None
    error: float | Sequence[float] | None = None
    interval: Sequence[Any] | None = None
    probability: float | None = None
    tail: int = 0
    geos: str | Sequence[str] | None = None
    share: float = 1.0
    nu: float | None = None
    bias: float | None = None
    covariance: Sequence[Any] | None = None
    group: str | None = None
    shared_error: float | None = None
    covariances: Any = None
    name: str | None = None
    until: str | datetime.date | None = None  # pyright: ignore

    def __post_init__(self) -> None:
        """Check the numbers and read dates and arms."""
        own: dict[str, Any] = {}
        for field in ("channel", "geos"):
            many, what = getattr(self, field), f"{field} of a lift test"
            many = [many] if isinstance(many, str) else many
            if field == "channel" or many is not None:
                own[field] = checks.texts(what, many, "at least one", "")
        at = f"of the lift test of {checks.listing(own['channel'], 3)}"
        for field in ("start", "end", "until"):
            if (value := getattr(self, field)) is not None:
                own[field] = day_of(f"{field} {at}", value)
        if own["end"] < own["start"]:
            first, last = str(own["start"]), str(own["end"])
            fail(f"end {at}", last, "", f"from {first} on", f"end = {first}")
        for field, have in (("of", OF), ("spend_of", (*AMOUNTS, None))):
            if (got := getattr(self, field)) not in have:
                fail(f"{field} {at}", got, "", checks.listing(have), f'{field} = "total"')
        own["tail"] = checks.integer(f"tail {at}", self.tail, low=0)
        rest = {"low": 0, "open_low": True}
        own["share"] = checks.number(f"share {at}", self.share, high=1, **rest)
        for field in ("nu", "bias", "shared_error"):
            if (value := getattr(self, field)) is not None:
                own[field] = checks.number(f"{field} {at}", value, **rest)
        own["covariances"] = covarying(self, at)
        for field in ("spend_test", "spend_control"):
            own[field] = _arms(f"{field} {at}", getattr(self, field), own["channel"])
        if own["spend_test"] == own["spend_control"]:
            fix = "spend_control = 0.0, of a black-out in the control arm"
            got, allowed = Phrase("the same media in both arms"), "arms that differ"
            fail(f"spend_control {at}", got, "", allowed, fix)
        own |= _measured(self, at)
        for field, value in own.items():
            object.__setattr__(self, field, value)

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.name or f"{' + '.join(self.channel)} {self.start}"

    def check(self, panel: Panel) -> None:
        """See :meth:`Fact.check`: names, dates and lengths."""
        _fits(self, panel)

    def within(self, dates: pd.DatetimeIndex, freq: str) -> bool:
        """See :meth:`Fact.within`: its periods and its tail are among them."""
        start: Any = pd.Timestamp(self.start)
        end: Any = pd.Timestamp(self.end)
        last = int(dates.searchsorted(end, side="right")) - 1 + self.tail
        inside = start >= dates[0] and end < dates[-1] + offset(freq)
        return bool(inside and last < len(dates))

    def about(self, panel: Panel, geos: Iterable[str], channels: Iterable[str]) -> bool:
        """See :meth:`Fact.about`; what is of all geos together is not of some."""
        where = set(panel.geos if self.geos is None else self.geos)
        return set(self.channel) <= set(channels) and where <= set(geos)

    def without_unit(self, panel: Panel, spec: Spec) -> str:
        """See :meth:`Fact.without_unit`."""
        apart = self.geos if spec.media_scale == "geo" else None
        at = [apart is None or geo in apart for geo in panel.geos]
        for name in self.channel:
            if not panel.media[at][:, panel.window, panel.channels.index(name)].any():
                place = f" in {checks.listing(apart)}" if apart else ""
                return f'"{name}" never ran in training{place}'
        return ""

    def findings(self) -> tuple[Finding, ...]:
        """Say that money brought less than nothing."""
        if self.of != "roas" or np.mean(self.result) >= 0:
            return ()
        value = float(np.mean(self.result))
        what = f'the lift test "{self.label}" has a return of {value:.6g}'
        means = "No effect of media that is not negative does that: it is drawn to 0"
        where, fix = tuple(self.channel), "Check the sign: result is test minus control"
        return (Finding("note", "fact_sign", what, where, value, means, fix),)

    def formula(self) -> str:
        """See :meth:`Fact.formula`."""
        law = "Normal(" if self.nu is None else f"StudentT({self.nu:g}, "
        tail = f" + {self.tail}" if self.tail else ""
        y, e = _covariance(self)[:2]
        unit = "1 / cost_per_outcome" if self.of == "cost_per_outcome" else self.of
        of = f"{unit} {y[0]:.4g}" if len(y) == 1 else f"{unit} of {len(y)} periods"
        days = f"{' + '.join(self.channel)}, {self.start} to {self.end}{tail}"
        return f"{days}: {of} ~ {law}test - control, {e[0]:.4g})"

    def arrays(self, panel: Panel, scale: Scale, spec: Spec) -> Mapping[str, np.ndarray]:
        """Those of :meth:`stack` for this one."""
        return {n: x[0] for n, x in self.stack((self,), panel, scale, spec).items()}

    @classmethod
    def stack(
        cls, facts: Sequence["LiftTest"], panel: Panel, scale: Scale, spec: Spec
    ) -> dict[str, np.ndarray]:  # pyright: ignore
        """All tests as one row, as their errors may have parts in common."""
        return _stacked(facts, panel, scale)

    @staticmethod
    def predicted(
        p: Mapping[str, Any], x: Mapping[str, Any], spec: Spec, inputs: Arrays
    ) -> Float[Array, " result"]:
        """See :meth:`Fact.predicted`."""
        return _predicted(p, x, spec, inputs)

    @staticmethod
    def log_density(
        p: Mapping[str, Any], x: Mapping[str, Any], spec: Spec, inputs: Arrays
    ) -> Array:
        """Density of the results, the unit in which each is stated."""
        z = x["solve"] @ (x["result"] - _predicted(p, x, spec, inputs))
        square = x["block"] @ z**2
        nu = jnp.where(x["nu"] > 0, x["nu"], 1.0)
        heavy = -0.5 * (nu + x["size"]) * jnp.log1p(square / nu)
        return (jnp.where(x["nu"] > 0, heavy, -0.5 * square) + x["constant"]).sum()

    def rows(self) -> list[dict[str, Any]]:
        """See :meth:`Fact.rows`."""
        place = "ALL" if self.geos is None else " + ".join(self.geos)
        about = {"test": self.label, "channel": " + ".join(self.channel), "geo": place}
        about |= {"start": str(self.start), "end": str(self.end)}
        about["of"] = "roas" if self.of == "cost_per_outcome" else self.of
        y, error = _covariance(self)[:2]
        return [about | {"result": a, "error": b} for a, b in zip(y, error, strict=True)]


def _fits(fact, panel: Panel) -> None:
    """Refuse a panel without its names or dates, and lists of another length."""
    at, first = f"of the lift test of {checks.listing(fact.channel, 3)}", panel.history
    for field, names, have in (
        ("channel", fact.channel, panel.channels),
        ("geo", fact.geos, panel.geos),
    ):
        for got in (n for n in names or () if n not in have):
            part = "; of a part of a geo: name the geo, and share = 0.2"
            fix = "leave the test out" + part * (field == "geo")
            what = f"{field}s of the panel"
            checks.unknown(f"{field} of a lift test", got, "", what, have, fix)
    dates, beyond = panel.dates, panel.dates[-1] + offset(panel.freq)
    begins: Any = pd.Timestamp(fact.start) < dates[first]
    ends: Any = pd.Timestamp(fact.end) < beyond
    if not fact.within(dates[first:], panel.freq):
        span = f"{checks.show(dates[first])} to {checks.show(dates[-1])}"
        field = "start" if begins else "end"
        late = field == "end" and ends
        field, got = ("tail", fact.tail) if late else (field, str(vars(fact)[field]))
        fix = "shorten the test and its result to these, or give a longer table"
        allowed = f"the periods of the table with an outcome, {span}"
        fail(f"{field} {at}", got, "", allowed, fix)
    for field in ("start", "end"):
        day: Any = pd.Timestamp(vars(fact)[field])
        i = int(dates.searchsorted(day, side="right")) - 1
        after = dates[i + 1] if i + 1 < len(dates) else beyond
        if day == dates[i] or (field == "end" and day + pd.Timedelta(days=1) == after):
            continue
        span = f"{checks.show(dates[i])} to {checks.show(after - pd.Timedelta(days=1))}"
        allowed = "the first day of a period" + ", or its last" * (field == "end")
        fix = f"{field} = {dates[i]:%Y-%m-%d}; the whole period counts"
        fail(f"{field} {at}", str(day.date()), f"in the period {span}", allowed, fix)
    count, times = len(_periods(fact, panel)), _periods(fact, panel)
    there = panel.present[:, times[: count - fact.tail]].any(1)
    for got in (g for g in fact.geos or () if not there[panel.geos.index(g)]):
        allowed = f"geos with rows then ({checks.listing(np.compress(there, panel.geos))})"
        fix = "mend the dates, or leave it out of geos"
        fail(f"geo {at}", got, f"{fact.start} to {fact.end}", allowed, fix)
    for field, want in (
        ("result", count),
        ("spend_test", count - fact.tail),
        ("spend_control", count - fact.tail),
    ):
        value = vars(fact)[field]
        of = [value] if field == "result" else [arm for _, arm in value]
        for one in (x for x in of if _series(x) and len(x) != want):
            more = f" and its tail of {fact.tail}" if field == "result" else ""
            allowed = f"{want}, one for each period of the test{more}"
            fix = "one number a period of the table, in the order of dates"
            fail(f"{field} {at}", Phrase(f"{len(one)} numbers"), "", allowed, fix)
    if fact.of == "per_period" and fact.tail and not isinstance(fact.result, tuple):
        fix = 'of = "total" and the total of the test and its tail'
        allowed = "one number for each period where there is a tail"
        fail(f"result {at}", fact.result, "", allowed, fix)
    amounts = [arm for _, arm in (*fact.spend_test, *fact.spend_control)]
    money = any(isinstance(arm, float) and arm for arm in amounts)
    if money and fact.spend_of is None and count - fact.tail > 1:
        fix = 'spend_of = "per_period", or "total" of the whole test'
        fail(f"spend_of {at}", Phrase("none"), "", checks.listing(AMOUNTS), fix)
    organic = [c for c in fact.channel if c in panel.organic]
    if organic and fact.of in ("roas", "cost_per_outcome"):
        fix = 'of = "total"'
        fail(f"of {at}", fact.of, "", "for channels with spend", fix)


def _series(value: Any) -> bool:
    """Whether it is a number for each period; ("x", 1.2) and ("+", 10.0) are not."""
    return isinstance(value, tuple) and not isinstance(value[0], str)


def _arms(field: str, value: Any, channels: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    """What each channel had in an arm: "recorded", ("x", factor), ("+", money), money, a
    number for each period; the pairs of an arm that was read before stay.
    """
    if isinstance(value, Mapping):
        value = tuple(value.items())
    pairs = (
        isinstance(value, list | tuple)
        and value
        and all(
            isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[0], str)
            for one in value
        )
    )
    if not pairs or value[0][0] in ("x", "+"):
        money = isinstance(value, int | float) and value != 0
        if len(channels) > 1 and (money or isinstance(value, list | tuple)):
            fix = f'{{ "{channels[0]}" = ..., "{channels[1]}" = ... }}'
            fail(field, value, "", "a table by channel where several changed", fix)
        value = tuple((name, value) for name in channels)
    given = dict(value)
    for name in given:
        if name not in channels:
            allowed = f"channels of the test ({checks.listing(channels)})"
            fail(f"channel of {field}", name, "", allowed, "leave it out")
    return tuple((n, _arm(f"{field}", given.get(n, RECORDED))) for n in channels)


def _arm(field: str, value: Any) -> Any:
    """One arm of a channel."""
    if isinstance(value, list | tuple):
        if len(value) == 2 and value[0] in ("x", "+"):
            return (value[0], float(value[1]))
        return tuple(checks.number(field, one, low=0) for one in value)
    if not isinstance(value, str):
        return checks.number(field, value, low=0)
    text = value.strip().lower().replace(",", "") if "%" not in value else value.strip()
    if text == RECORDED:
        return RECORDED
    if found := re.fullmatch(rf"[x*]{NUMBER}", text):
        return ("x", float(found[1]))
    if found := re.fullmatch(rf"([+-]){NUMBER}%", text):
        factor = 1 + float(found[1] + found[2]) / 100
        if factor >= 0:
            return ("x", round(factor, 12))
    if found := re.fullmatch(rf"([+-]){NUMBER}", text):
        return ("+", float(found[1] + found[2]))
    if re.fullmatch(NUMBER, text):
        return float(text)
    allowed = '"recorded", money, a list of it, "+20%" (from -100%), "x1.2" or "-5000"'
    return fail(field, value, "", allowed, '"-50%" is half of what the panel has')


def _measured(fact: LiftTest, at: str) -> dict[str, Any]:
    """Result and error, checked."""
    series = isinstance(fact.result, list | tuple | np.ndarray)
    if series and fact.of not in ("per_period", "percent"):
        fix = 'of = "per_period", or one result'
        fail(f"result {at}", Phrase("a list"), "", f"one number of a {fact.of}", fix)
    low = {"low": 0, "open_low": True} if fact.of == "cost_per_outcome" else {}
    every = [checks.number(f"result {at}", y, **low) for y in np.ravel(fact.result)]
    own: dict[str, Any] = {"result": tuple(every) if series else every[0]}
    given = [n for n in ("error", "interval", "covariance") if vars(fact)[n] is not None]
    if len(given) != 1:
        got = Phrase(checks.listing(given, last="and") or "none")
        fix = "error = its standard error; or interval = [low, high] and probability = 0.95"
        fail(f"error {at}", got, "", "one of error, interval and covariance", fix)
    if (fact.probability is None) != (fact.interval is None):
        fix = "interval = [low, high] and probability = 0.95"
        fail(f"probability {at}", fact.probability, "", "beside an interval", fix)
    if fact.error is not None:
        errors = np.ravel(fact.error)  # pyright: ignore
        if len(errors) not in (1, len(every)):
            allowed = f"one, or one for each of {len(every)} results"
            fail(f"error {at}", Phrase(f"{len(errors)}"), "", allowed, "error = 0.5")
        fix = "its standard error, in the unit of the result"
        found = [
            checks.number(f"error {at}", e, low=0, open_low=True, fix=fix) for e in errors
        ]
        own["error"] = found[0] if len(found) == 1 else tuple(found)
    elif fact.interval is not None:
        ends = np.asarray(fact.interval, object)
        ends = ends[None] if ends.ndim == 1 else ends
        if ends.shape != (len(every), 2):
            got, fix = Phrase(f"of shape {ends.shape}"), "interval = [low, high]"
            fail(f"interval {at}", got, "", "[low, high] for each result", fix)
        pairs = [[checks.number(f"interval {at}", x, **low) for x in pair] for pair in ends]
        for y, (a, b) in zip(every, pairs, strict=True):
            if not a <= y <= b or a == b:
                got, fix = Phrase(f"[{a:g}, {b:g}] around {y:g}"), "[low, high]"
                fail(f"interval {at}", got, "", "low < high with the result inside", fix)
        own["interval"] = tuple(map(tuple, pairs)) if series else tuple(pairs[0])
        own["probability"] = checks.number(
            f"probability {at}",
            fact.probability,
            low=0,
            high=1,
            open_low=True,
            open_high=True,
            fix="probability = 0.95",
        )
    else:
        matrix = np.array(fact.covariance, float)
        square = matrix.shape == (len(every), len(every)) and np.isfinite(matrix).all()
        if (
            not square
            or not np.allclose(matrix, matrix.T)
            or (np.linalg.eigvalsh(matrix).min() <= 0)
        ):
            allowed = f"{len(every)} x {len(every)} numbers, symmetric, positive definite"
            got, fix = Phrase(f"of shape {matrix.shape}"), "error = its standard errors"
            fail(f"covariance {at}", got, "", allowed, fix)
        own["covariance"] = tuple(map(tuple, matrix.tolist()))
    return own


def _covariance(fact: LiftTest) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Results, their errors with the bias in it, covariance without what tests share, and
    the part that is shared; a cost per outcome as its reciprocal.

    An error of the cost c comes from one of the outcome, so that of 1 / c is error / c^2;
    an interval is turned over end by end.
    """
    y = np.atleast_1d(np.array(fact.result, float))
    turned = fact.of == "cost_per_outcome"
    rate = 1.0 / y**2 if turned else np.ones(1)
    if fact.covariance is not None:
        matrix = np.array(fact.covariance, float) * rate[0] ** 2
    else:
        if fact.interval is not None:
            ends = np.array(fact.interval, float).reshape(-1, 2)
            ends = 1.0 / ends[:, ::-1] if turned else ends
            law: Any = stats.norm if fact.nu is None else stats.t(fact.nu)
            error = (
                np.diff(ends, axis=1)[:, 0]
                / 2
                / law.ppf(0.5 + (fact.probability or 0.0) / 2)
            )
        else:
            error = np.broadcast_to(np.array(fact.error, float), y.shape) * rate
        matrix = np.diag(error**2)
    matrix = matrix + ((fact.bias or 0.0) * rate[0]) ** 2
    shared = (fact.shared_error or 0.0) * rate[0]
    y = 1.0 / y if turned else y
    return y, np.sqrt(np.diag(matrix) + shared**2), matrix, shared


def _periods(fact: LiftTest, panel: Panel) -> np.ndarray:
    """Numbers of its periods and its tail among the dates of a panel."""
    dates = panel.dates
    days: Any = pd.DatetimeIndex([fact.start, fact.end])
    first, last = dates.searchsorted(days, side="right") - 1
    return np.arange(first, last + 1 + fact.tail)


def _media_of(
    fact: LiftTest, panel: Panel, scale: Scale
) -> tuple[np.ndarray, np.ndarray, float]:
    """Media of both arms (arm, geo, changed, window), the geos, and spend more.

    Own units of media; the window has the tail, with media as recorded. A geo has no media
    in periods in which it has no row.
    """
    times = _periods(fact, panel)
    n = len(times) - fact.tail
    there = panel.present[:, times[:n]]
    used = np.array([fact.geos is None or g in fact.geos for g in panel.geos])
    at = [panel.channels.index(c) for c in fact.channel]
    recorded = panel.media[:, times][..., at].transpose(0, 2, 1)
    arms, more = np.stack([recorded, recorded]), 0.0
    for k, c in enumerate(at):
        cost = np.where(panel.paid[c], scale.cost_per_unit[:, c], 1.0)[:, None]
        money_of = panel.spend if panel.paid[c] else panel.media
        spent, media = money_of[:, times[:n], c], recorded[:, k, :n]
        usual = panel.media[:, panel.window, c].sum(1) * cost[:, 0] * used
        usual = usual if usual.any() else used * 1.0
        part = usual[:, None] * there
        part = np.where(part.any(0), part, used[:, None] * there)
        part = part / np.maximum(part.sum(0), 1e-300) / fact.share
        along = np.full(n, 1.0)
        if fact.spend_of == "total":
            along = spent[used].sum(0)
            along = along / along.sum() if along.any() else np.full(n, 1 / n)
        for arm, (field, sign) in enumerate((("spend_test", 1), ("spend_control", -1))):
            how: Any = vars(fact)[field][k][1]
            relative = isinstance(how, tuple) and how[0] in ("x", "+")
            if how == RECORDED:
                money, ran = spent, media
            elif relative and how[0] == "x":
                money, ran = spent * how[1], media * how[1]
            else:
                by: Any = how[1] if relative else np.array(how)
                amount = part * (by if _series(how) else by * along)
                base = (spent, media) if relative else (0.0 * spent, 0.0 * media)
                money, ran = base[0] + amount, base[1] + amount / cost
            if relative and (not media[used].any() or ran[used].min() < -1e-9):
                had = f"{spent[used].sum():,.6g} in all, {spent[used].sum(0).min():,.6g}"
                got = Phrase(f'"{how[0]}{how[1]:g}" of what the panel has: {had} at least')
                where = f'"{fact.channel[k]}", {fact.start} to {fact.end}'
                allowed = "a change of media that ran then, which leaves no less than 0"
                fix = f"{field} = money a period, of a black-out 0.0"
                fail(field, got, where, allowed, fix)
            arms[arm][used, k, :n] = np.maximum(ran, 0.0)[used]
            more += sign * float(money[used].sum()) * fact.share if panel.paid[c] else 0.0
    if np.allclose(arms[0], arms[1], 1e-9, 0.0):
        got, fix = Phrase("the same media in both arms"), "spend_control = 0.0"
        where = f"the lift test of {checks.listing(fact.channel)}, {fact.start}"
        fail("spend_control", got, where, "arms that differ from what was recorded", fix)
    if fact.of in ("roas", "cost_per_outcome") and not more:
        where = f"the lift test of {checks.listing(fact.channel)}, {fact.start}"
        got, fix = Phrase("arms of the same spend"), 'of = "total"'
        fail("of", got, where, "arms that differ in spend", fix)
    return arms, used, more


def _stacked(
    facts: Sequence[LiftTest], panel: Panel, scale: Scale
) -> dict[str, np.ndarray]:
    """See :meth:`LiftTest.stack`.

    Arrays by test: "start" (test,), periods since the first that is modelled; "channel"
    (test, changed); "media" (test, arm, geo, changed, window), the test arm first; "there"
    (test, geo, window), 1 where the geo has a row. By result: "test" (result,), "geo"
    (result, geo) and "cells" (result, window), what of the difference it adds up, in units
    of its error; "percent" (result,); "result" (result,), "solve" (result, result), inverse
    Cholesky factor of the correlation of the errors. By block of results whose errors have
    parts in common: "block" (block, result), "nu", "size" and "constant" (block,).
    """
    wide = max(len(_periods(fact, panel)) for fact in facts)
    wide = math.ceil(wide / ROUND) * ROUND
    most = max(len(fact.channel) for fact in facts)
    unit, by_test, by_result = scale.outcome.max(), [], []
    errors, members = [], dict[Any, list[int]]()
    for number, fact in enumerate(facts):
        media, used, more = _media_of(fact, panel, scale)
        times, at = _periods(fact, panel), [panel.channels.index(c) for c in fact.channel]
        per_unit = np.broadcast_to(scale.media_in(panel), panel.media.shape)
        media = media / per_unit[:, times][..., at].transpose(0, 2, 1)
        ends = ((0, 0), (0, 0), (0, 0), (0, wide - media.shape[-1]))
        media = np.pad(media, ends)[:, :, [*range(len(at)), *[0] * (most - len(at))]]
        at = [*at, *at[:1] * (most - len(at))]
        there = np.pad(panel.present[:, times] * 1.0, ends[2:])
        by_test.append((times[0] - panel.history, at, media, there))
        y, error, matrix, shared = _covariance(fact)
        cells = np.arange(wide) < len(times)
        cells = np.eye(wide)[: len(y)] if isinstance(fact.result, tuple) else cells[None]
        percent = fact.of == "percent"
        size = more if fact.of in ("roas", "cost_per_outcome") else 1.0
        if fact.of == "per_period" and not isinstance(fact.result, tuple):
            size = len(times)
        geo = used * fact.share * scale.outcome / size
        rows = slice(len(by_result), len(by_result) + len(y))
        for i in range(len(y)):
            own = used * scale.outcome / unit if percent else geo / error[i]
            of_one = (number, own, cells[i] * 1.0, 100 / error[i] if percent else 0.0)
            by_result.append((*of_one, y[i] / error[i], error[i]))
        rate = y[0] ** 2 if fact.of == "cost_per_outcome" else 1.0
        errors.append(Errors(rows, matrix, np.full(len(y), shared), rate))
        key = number if fact.group is None else fact.group
        members.setdefault(key, []).append(number)
    names = ("test", "geo", "cells", "percent", "result", "error")
    of_results = dict(zip(names, map(np.array, zip(*by_result, strict=True)), strict=True))
    names = ("start", "channel", "media", "there")
    of_tests = dict(zip(names, map(np.array, zip(*by_test, strict=True)), strict=True))
    matrix, blocks = joint(facts, errors, members)
    error = of_results.pop("error")
    matrix = matrix / np.outer(error, error)
    factor = np.linalg.cholesky(matrix)
    inside = np.zeros((len(blocks), len(error)))
    for row, (at, _) in zip(inside, blocks, strict=True):
        row[at] = 1.0
    nu, size = np.array([nu for _, nu in blocks]), inside.sum(1)
    some = np.where(nu > 0, nu, 1.0)
    student = special.gammaln((some + size) / 2) - special.gammaln(some / 2)
    student = student - 0.5 * size * np.log(some * math.pi)
    normal = -0.5 * size * math.log(2 * math.pi)
    constant = np.where(nu > 0, student, normal)
    constant = constant - inside @ (np.log(np.diag(factor)) + np.log(error))
    found = of_tests | of_results
    found |= {"solve": np.linalg.inv(factor), "block": inside, "nu": nu}
    found |= {"size": size, "constant": constant}
    for name in ("start", "channel", "test"):
        found[name] = found[name].astype(np.int32)
    return {name: x[None] for name, x in found.items()}


def _predicted(
    p: Mapping[str, Any], x: Mapping[str, Any], spec: Spec, inputs: Arrays
) -> Float[Array, " result"]:
    """Results as the model has them, in units of their errors."""
    before, wide = spec.memory - 1, x["media"].shape[-1]
    media = jnp.asarray(inputs[response.MEDIA])
    heard = response.seen(p, inputs.replace(media=jnp.ones_like(media)), spec)
    ends = ((0, 0), (0, 0), (before, wide))
    media, heard = jnp.pad(media, ends), jnp.pad(heard, ends, constant_values=1.0)
    others = [t for t in spec.parts if not isinstance(t, Media | Interaction)]
    rest = response.total(response.components(p, inputs, spec, others))
    rest, link = jnp.pad(rest, ((0, 0), (0, wide))), spec.likelihood.between

    def of_test(start: Array, channel: Array, arms: Array) -> tuple[Array, Array]:
        cut = lambda a, at, n: jax.lax.dynamic_slice_in_dim(a, at, n, axis=-1)
        at = inputs.history + start
        ran = cut(media, at, before + wide)
        weight, around = cut(heard, at, before + wide), cut(rest, start, wide)

        def brought(arm: Array) -> Array:
            own = ran.at[:, channel, before:].set(arm)
            first = at - before  # of the media, among the periods of the panel
            every = response.media_contribution(p, own * weight, spec, inputs, at=first)
            return every[..., before:].sum(1)

        test, control = jax.vmap(brought)(arms)
        if spec.likelihood.straight:
            return test - control, around + control
        low = link.inverse(around + control)
        return link.inverse(around + test) - low, low

    more, level = jax.vmap(of_test)(x["start"], x["channel"], x["media"])
    of = x["geo"][:, :, None] * x["cells"][:, None] * x["there"][x["test"]]
    added = lambda a: (of * a[x["test"]]).sum((1, 2))
    whole = jnp.maximum(added(level), LEAST)
    share = added(more) / jnp.where(x["percent"] > 0, whole, 1.0)
    return jnp.where(x["percent"] > 0, x["percent"] * share, share)
