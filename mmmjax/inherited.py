r"""Returns of channels without data of their own: what an earlier fit knows of others.

Over the posterior draws of a fit let log ROAS of channel c, in its training window and over
all geos, have the mean $m_c$ and the sd $s_c$. The prior of the return of a channel n is

$$\log \text{ROAS}_n \sim \text{Normal}(m_c, \sqrt{s_c^2 + 0.3^2})$$

where n is said to be like c: two channels that are alike differ by a third, rarely twofold.
Pooled, it is the predictive law of the next return after those of all paid channels
(:func:`mmmjax.facts.studies.combine_studies`: channels scatter around a mean by tau, a
HalfNormal(0.5)). Of another market, discounted by d in (0, 1],

$$\log \text{ROAS}'_c \sim \text{Normal}\big(m_c + \log(v / v'),\; s_c / \sqrt{d}\big),$$

a Gaussian to the power d; v and v' are the money per unit of outcome (``outcome_value``).

It is the exact prior of that return whatever carry-over and saturation are, and takes the
place of the channel's prior of ``saturation_beta`` (:mod:`mmmjax.facts.proportional`). A
return is outcome per money, so that neither units of media nor their scales enter. Carry-
over and saturation of the channel keep the priors of the spec. Priors are independent: what
the data say of n tells nothing of c.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail, listing
from mmmjax.draws import Fit
from mmmjax.facts import Return
from mmmjax.facts.studies import combine_studies
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.panel.container import spread
from mmmjax.posterior.returns import roas
from mmmjax.prepare import scale_of
from mmmjax.prior import Prior, replace_prior
from mmmjax.scaling import Scale
from mmmjax.shapes import CHANNEL
from mmmjax.spec import Spec

__all__ = [
    "ENDED",
    "POOLED",
    "asleep",
    "log_returns",
    "transfer",
    "with_channels",
    "with_units",
]

POOLED, ENDED = "pooled", "ended"
LIKE = 0.3  # sd of the log of two returns that are said to be alike, apart


def log_returns(fit: Fit) -> dict[str, tuple[float, float]]:
    """Mean and sd of log ROAS over the posterior, by paid channel that ran in training.

    Raises:
        InputError: Effects of any sign: a return below 0 has no log.
    """
    found = roas(fit)["roas_total"].transpose(CHANNEL, ...)
    draws = found.to_numpy().reshape(found.sizes[CHANNEL], -1)
    known = np.isfinite(draws).all(1)
    for name, own in zip(fit.panel.channels, draws, strict=True):
        if (own < 0).any():
            got, allowed = Phrase(f'"{name}", returns below 0'), "effects that are positive"
            fix = 'leave out sign = "any", or write its prior as [[facts]] kind = "return"'
            fail("return of a channel", got, "", allowed, fix)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.maximum(draws, 1e-300))
    rows = zip(fit.panel.channels, logs, known, strict=True)
    return {name: (float(x.mean()), float(x.std(ddof=1))) for name, x, yes in rows if yes}


def law(returns: Mapping[str, tuple[float, float]], like: str) -> Prior:
    """The prior of the return of a channel that is like another, or pooled."""
    if like in returns:
        mean, sd = returns[like]
        return Prior("LogNormal", loc=mean, scale=math.hypot(sd, LIKE))
    studies = [
        {
            "name": name,
            "mean": math.exp(mean + sd**2 / 2),
            "error": math.exp(mean + sd**2 / 2) * math.sqrt(math.expm1(sd**2)),
        }
        for name, (mean, sd) in returns.items()
    ]
    return combine_studies(studies).prior


@checked
def transfer(
    fit: Fit,
    panel: Panel,
    *,
    discount: float = 0.25,
    channels: Mapping[str, str] | None = None,
) -> Panel:
    """The panel of a market that knows the returns of another one, discounted.

    What is transferred is the ROAS of each channel, as a fact of the panel, so that fits,
    fleets, backtests and files take it as they are: :mod:`mmmjax.inherited` has the
    equation. It is the one number that has no unit of either market, if outcomes are alike
    or their value in money is known. Not transferred are intercept, trend, seasonality,
    controls and noise, which are of a market; carry-over and saturation, whose priors are
    those of the spec; and that returns were estimated together. ROAS is that of the
    other's training, at what it spent.

    Args:
        fit: Of the other market.
        panel: Of this one, the training data.
        discount: How much of that counts, in (0, 1]: 0.25 makes every sd (of a log return)
            twice as large.
        channels: Channels of the panel by name, each a channel of the fit or "pooled" (like
            all of them); the others that both have by their own names.

    Returns:
        The panel, with a ``mm.facts.Return`` for each channel that is transferred.

    Raises:
        InputError: No channel in common, a name that is not there, a return that is given
            already; outcomes whose value only one market says.
    """
    bounds: dict[str, Any] = {"low": 0, "high": 1, "open_low": True}
    discount = checks.number("discount", discount, **bounds)
    values = fit.panel.outcome_value, panel.outcome_value
    if (values[0] is None) != (values[1] is None):
        where = "the panel" if values[0] else "the other market"
        got, fix = Phrase(f"none in {where}"), "outcome_value = 1.0 where it is money"
        fail("outcome_value", got, "", "the value of one outcome in both, or in none", fix)
    returns, ran = log_returns(fit), (panel.spend[:, panel.window] > 0).any((0, 1))
    here = [name for name, yes in zip(panel.channels, ran, strict=True) if yes]
    for name, like in (channels or {}).items():
        for one, known, allowed in (
            (name, here, "a paid channel of the panel"),
            (like, [*returns, POOLED], 'a paid channel of the fit, or "pooled"'),
        ):
            if one not in known:
                checks.unknown("channels", one, "", allowed, known)
    pairs = {name: name for name in here if name in returns} | dict(channels or {})
    if not pairs:
        got, some = Phrase(f"none of {listing(here, 12)}"), listing(returns, 12)
        fix = 'channels={"channel of the panel": "channel of the fit"}'
        fail("channels", got, "", f"channels of the fit ({some})", fix)
    money = math.log(values[0] / values[1]) if values[0] and values[1] else 0.0
    facts = list(panel.facts)
    for name, like in pairs.items():
        loc, sd = returns.get(like) or [value for _, value in law(returns, like).params]
        wide = sd / math.sqrt(discount)
        facts.append(Return(name, roas=Prior("LogNormal", loc=loc + money, scale=wide)))
    wide = panel.with_facts(facts)
    for fact in facts:
        fact.check(wide)
    return wide


def with_channels(
    fit: Fit, panel: Panel, channels: Mapping[str, str]
) -> tuple[Spec, Panel, Panel, list[Finding]]:
    """What a fit was made with, and a table of now, of the same channels.

    Args:
        fit: The earlier fit.
        panel: The table of now.
        channels: New channels by name, each a channel of the fit that it is like, or
            "pooled"; and channels of the fit that the table lacks, "ended".

    Returns:
        The spec and the panel of the fit with the new channels in their place (media as the
        table has them, else 0; their returns among the facts); the table with the ended
        ones at 0; what to say of it. Where a prior has a number for each channel, a new one
        has that of the channel it is like, or their mean; where that channel is of a media
        term that names its channels, so is the new.

    Raises:
        InputError: A name that is not where it must be; no money or media of a new channel;
            a model in which effects multiply.
    """
    _check(fit, panel, channels)
    old, found = fit.panel, list[Finding]()
    if gone := [name for name, like in channels.items() if like == ENDED]:
        shape = (*panel.outcome.shape, len(gone))

        def nothing(name: str, then: np.ndarray) -> np.ndarray:
            unknown = np.isnan(then).all((0, 1)) | (name == "frequency")
            return np.broadcast_to(np.where(unknown, np.nan, 0.0), shape)

        panel = _beside(panel, old, gone, nothing)
        what = f"{listing(map(Phrase, gone))}: not in the table, so 0 after training"
        found.append(Finding("note", ENDED, what, tuple(gone)))
    new = {name: like for name, like in channels.items() if like != ENDED}
    if not new:
        return fit.spec, old, panel, found
    geos, at = [panel.geos.index(g) for g in old.geos], old.dates.get_indexer(panel.dates)

    def known(name: str, now: np.ndarray) -> np.ndarray:
        out = np.full((*old.outcome.shape, now.shape[-1]), np.nan * (name == "frequency"))
        out[:, at[at >= 0]] = now[geos][:, at >= 0]
        return out

    wide = spread(_beside(old, panel, [*new], known))
    returns, spec, facts = log_returns(fit), fit.spec, list(old.facts)
    for name, like in new.items():
        if like != POOLED and like not in returns:
            got, allowed = Phrase(f'"{like}", without money'), "a paid channel that ran"
            fix = f'channels={{"{name}": "{POOLED}"}}'
            fail(f"channels of {name}", got, "", allowed, fix)
        spec, prior = _with_place(spec, old, name, like), law(returns, like)
        late = panel.dates >= old.dates[old.history]
        ran = panel.media[..., panel.channels.index(name)].any(0) & late
        first: Any = panel.dates[int(ran.argmax())]
        last: Any = panel.dates[-1]
        facts.append(Return(name, roas=prior, start=first.date(), end=last.date()))
        loc, sd = (value for _, value in prior.params)
        lo, mid, hi = (checks.amount(math.exp(loc + z * sd)) for z in (-1.88, 0.0, 1.88))
        what = f"{name} is new: before its data its ROAS is {mid}, between {lo} and {hi} "
        what += f"with 94%, {'as of all channels' if like == POOLED else f'like {like}'}"
        means = ""
        if early := int((ran & np.asarray(panel.dates <= old.dates[-1])).sum()):
            means = f"It ran in {early} periods of training already: as the table has it"
        found.append(Finding("note", "mapped", what, (name,), math.exp(loc), means))
    return spec, replace(wide, facts=tuple(facts)), panel, found


def _check(fit: Fit, panel: Panel, channels: Mapping[str, str]) -> None:
    """Refuse channels that are not where they must be, and what has no return."""
    ours, theirs = fit.panel.channels, panel.channels
    for name, like in channels.items():
        field, write = f"channels of {name}", f'channels={{"{name}": "{POOLED}"}}'
        if like == ENDED and like not in ours:
            if name not in ours or name in theirs:
                got = f"a channel of the fit ({listing(ours, 12)}) that the table lacks"
                fail(field, like, "", got, "leave it out: it counts as the table has it")
            continue
        if like != POOLED and like not in ours:
            near = checks.closest(like, [*ours, POOLED, ENDED])
            fix = f'did you mean "{near}"?' if near else write
            fail(field, like, "", f'{listing(ours, 12)}, "{POOLED}" or "{ENDED}"', fix)
        if name in ours or name not in theirs:
            lacks = [n for n in theirs if n not in ours]
            what = "channels of the table that the fit lacks"
            checks.unknown("channels", name, "", what, lacks)
        i, late = theirs.index(name), panel.dates >= fit.panel.dates[fit.panel.history]
        if not panel.paid[i] or not (panel.spend[:, late, i] > 0).any():
            got, fix = Phrase("no money"), "leave it out of channels and of the table"
            fail(field, got, "", "spend, which a return is counted by", fix)
        if not fit.spec.likelihood.straight:
            got, fix = Phrase("a model in which effects multiply"), "fit again with mm.fit"
            allowed = "effects that add up: else a return is not of one channel"
            fail(field, got, "", allowed, fix)
        if name in panel.columns.campaigns or name in panel.reached:
            got = Phrase("campaigns, or reach and frequency")
            fix = f'media = {{ "{name}" = "column" }} under [data]'
            fail(field, got, "", "media in one column where a channel is new", fix)


def _beside(
    panel: Panel, other: Panel, names: Sequence[str], change: Callable[..., np.ndarray]
) -> Panel:
    """The panel with channels of another, their arrays changed to its geos and periods."""
    at = [other.channels.index(name) for name in names]
    own, theirs = panel.columns, other.columns
    both: dict[str, Any] = {}
    for name in ("media", "spend", "frequency"):
        mine, more = getattr(panel, name), getattr(other, name)
        if mine is not None:
            more = np.full_like(other.media, np.nan) if more is None else more
            both[name] = np.concatenate([mine, change(name, more[..., at])], -1)
    columns = replace(
        own,
        media=(*own.media, *(theirs.media[i] for i in at)),
        spend=(*own.spend, *(theirs.spend[i] for i in at)),
    )
    national = (*panel.national, *(n for n in names if n in other.national))
    channels = (*panel.channels, *names)
    return replace(panel, **both, channels=channels, national=national, columns=columns)


def _with_place(spec: Spec, panel: Panel, name: str, like: str) -> Spec:
    """The spec with a place and numbers for a new channel, which comes last."""
    owner = next((t for t in spec.media if like in (t.channels or ())), None)
    owner = owner or next((t for t in spec.media if t.channels is None), None)
    if owner is None:
        some = listing(panel.channels, 12, "or")
        fix = "say which it is like: channels={...}"
        fail(
            f"channels of {name}", like, "", f"{some}: every media term names its own", fix
        )
    dim = spec.dim(owner, CHANNEL)
    names = spec.labels(panel)[dim]
    if owner.channels is not None:
        grown = replace(owner, channels=(*owner.channels, name))
        spec = replace(spec, terms=tuple(grown if t == owner else t for t in spec.terms))

    def longer(prior: Prior) -> Prior:
        own = (prior.typical.dims or ())[-1:] == (dim,)
        params = list[tuple[str, Any]]()
        for key, value in prior.params:
            if isinstance(value, Prior):
                value = longer(value)
            elif own and isinstance(value, tuple):
                mine = value[names.index(like)] if like in names else np.mean(value)
                value = (*value, float(mine))
            params.append((key, value))
        pool = tuple((over, longer(spread)) for over, spread in prior.pool)
        return replace_prior(prior, params=tuple(params), pool=pool)

    return replace(spec, priors={n: longer(p) for n, p in spec.priors.items()})


def with_units(scale: Scale, spec: Spec, panel: Panel) -> Scale:
    """The scale with units of channels that it lacks: the largest values of a panel."""
    n = scale.media.shape[1]
    if n == len(panel.channels):
        return scale
    new = scale_of(spec, panel)
    media = new.media[:, n:]
    if scale.people is not None and new.people is not None:
        media = media / new.people[:, None] * scale.people[:, None]
    cost = np.concatenate([scale.cost_per_unit, new.cost_per_unit[:, n:]], 1)
    often = scale.frequency
    often = None if often is None else np.pad(often, (0, media.shape[1]), constant_values=1)
    media = np.concatenate([scale.media, media], 1)
    return replace(scale, media=media, cost_per_unit=cost, frequency=often)


def asleep(panel: Panel, names: Collection[str]) -> Panel:
    """The panel as if some channels had never run."""
    ran = ~np.isin(panel.channels, [*names])
    return replace(panel, media=panel.media * ran, spend=panel.spend * ran)
