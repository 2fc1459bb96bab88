"""THE forward function: parameters and inputs to the mean of the outcome, by component.

The sampler differentiates it, contributions read it, curves sweep it, forecasts continue
it and the budget ascends it; the formula exists nowhere else. Everything is in scaled
units, time last; parameters are one draw (vmap over draws outside).
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmmjax import checks
from mmmjax.arrays import PAST, TIME, WHOLE, Arrays
from mmmjax.panel import Panel
from mmmjax.panel.calendar import following
from mmmjax.scaling import Scale
from mmmjax.shapes import CAMPAIGN, CHANNEL, GEO
from mmmjax.spec import Spec
from mmmjax.terms import Frame, Interaction, Media, Reach, Term

__all__ = [
    "align",
    "aligned",
    "campaign_weights",
    "components",
    "gains",
    "grouped",
    "lengths",
    "level",
    "make_inputs",
    "mean",
    "media_contribution",
    "multiplier",
    "of_campaigns",
    "parts",
    "places",
    "seen",
    "still",
    "total",
    "usual_media",
    "weights_of_campaigns",
]

Params = Mapping[str, Any]
MEDIA, ORDER, PRESENT, DAYS = "media", "order", "present", "log_days"


def make_inputs(
    spec: Spec, panel: Panel, scale: Scale, after: Panel | None = None
) -> Arrays:
    """Arrays of a panel in scaled units (NumPy float64).

    "media" (geo, channel, history + time) holds all channels in the panel's order; every
    term adds its own as "<term>.<name>".

    Args:
        spec: The model.
        panel: Training panel, or a later one of the same channels, controls and geos.
        scale: Frozen at fit.
        after: The training panel that ``panel`` follows: its last ``memory - 1`` periods
            of media become context and the trend continues. None for the training panel
            itself, whose own media history is context.
    """
    media = np.swapaxes(scale.scale_media(panel.media, panel), 1, 2)
    start, n_train = 0, panel.n_periods
    history = panel.history
    if after is not None:
        if (panel.channels, panel.control_names, panel.geos) != (
            after.channels, after.control_names, after.geos,
        ):  # fmt: skip
            allowed = f"channels, controls and geos of the training panel: {after.channels}"
            checks.fail("panel", panel.channels, "forecast", allowed, "align the panel")
        history = min(spec.memory - 1, len(after.dates))
        past = np.swapaxes(scale.scale_media(after.media, after), 1, 2)
        media = np.concatenate([past[..., past.shape[-1] - history :], media], axis=-1)
        start = n_train = after.n_periods
    n_train = n_train if scale.clock is None else int(scale.clock)
    dates = panel.dates if after is not None else panel.dates[history:]
    frame = Frame(panel, scale, dates, start, n_train, after)
    values: dict[str, np.ndarray] = {MEDIA: media}
    axes: dict[str, tuple[str, ...]] = {MEDIA: (GEO, CHANNEL, PAST)}
    if scale.days is not None:
        before = (panel if after is None else after).dates
        before = before[len(before) - history :] if after is not None else before[:history]
        late = following(dates, panel.freq, spec.memory - 1)
        every: Any = before.append([dates, late])
        values[DAYS] = np.log(scale.lengths(every, panel.freq))
        axes[DAYS] = (WHOLE,)
    for term in spec.parts:
        for name, (array, dims) in term.inputs(frame).items():
            values[f"{term.name}.{name}"] = np.asarray(array)
            axes[f"{term.name}.{name}"] = tuple(spec.dim(term, d) for d in dims)
    for name, (array, dims) in _campaigns(spec, panel, scale, after, history).items():
        values[name], axes[name] = array, dims
    for name, (array, dims) in _frequencies(spec, panel, scale, after, history).items():
        values[name], axes[name] = array, dims
    for name, (array, dim) in _memberships(spec, panel).items():
        values[name], axes[name] = array, (dim,)
    if not spec.likelihood.straight:
        values[PRESENT] = panel.present[:, 0 if after is not None else history :] * 1.0
        axes[PRESENT] = (GEO, TIME)
    found = places(spec, panel)
    for dim, place in found.items():
        values[dim], axes[dim] = place, (dim,)
    if found:
        order = np.argsort(np.concatenate(list(found.values())))
        values[ORDER], axes[ORDER] = order, (CHANNEL,)
    return Arrays(values, tuple(axes.items()), history)


def _campaigns(
    spec: Spec, panel: Panel, scale: Scale, after: Panel | None, history: int
) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
    """Arrays of campaigns of every media term that has some: see `Media.weights`.

    "share" (geo, campaign, history + time) is their part of the channel in a period.
    """
    out: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
    if (own := panel.campaigns) is None:
        return out
    for term in spec.media:
        dim, labels = spec.dim(term, CAMPAIGN), spec.labels(panel)
        at = [own.labels.index(label) for label in labels[dim]]
        if not at:
            continue
        share = own.media
        if after is not None:
            known = own.like(after.campaigns, *after.outcome.shape).media
            share = np.concatenate([known[:, known.shape[1] - history :], share], axis=1)
        of = [own.channels[i] for i in at]
        member = np.array([[a == c for a in of] for c in panel.channels], float)
        parts = np.ones(len(own.labels)) if scale.campaigns is None else scale.campaigns
        out |= {
            f"{term.name}.share": (np.swapaxes(share[..., at], 1, 2), (GEO, dim, PAST)),
            f"{term.name}.member": (member, (CHANNEL, dim)),
            f"{term.name}.part": (parts[at], (dim,)),
            f"{term.name}.place": (np.array(at), (dim,)),
        }
    return out


def _frequencies(
    spec: Spec, panel: Panel, scale: Scale, after: Panel | None, history: int
) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
    """Arrays of every term of reach: "frequency" (geo, channel, history + time), "usual".

    Where a panel has none (money that is planned, no impressions) it is as usual.
    """
    out: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
    for term in spec.media:
        if not isinstance(term, Reach):
            continue
        dim = spec.dim(term, CHANNEL)
        names = spec.labels(panel)[dim]
        known = (panel if after is None else after).reached
        if lack := [name for name in names if name not in known]:
            fix = f'media "{lack[0]}" = {{ reach = "people", frequency = "times", spend = '
            got = checks.Phrase(f'"{lack[0]}" without reach and frequency')
            allowed = f"channels that have both ({checks.listing(known, 12) or 'none'})"
            fix += f'"cost" }} under [data], or leave it out of channels of "{term.name}"'
            checks.fail(f"channels of {term.name}", got, "spec", allowed, fix)
        at = [panel.channels.index(name) for name in names]
        often = [p.frequency for p in (after, panel) if p is not None]
        usual = np.ones(len(panel.channels)) if scale.frequency is None else scale.frequency
        nothing = np.full(panel.media.shape, np.nan)
        often = [nothing if x is None else x for x in often]
        if after is not None:
            often[0] = often[0][:, often[0].shape[1] - history :]
        every = np.concatenate(often, axis=1)[..., at]
        every = np.where(np.isnan(every), usual[at], every)
        out |= {
            f"{term.name}.frequency": (np.swapaxes(every, 1, 2), (GEO, dim, PAST)),
            f"{term.name}.usual": (usual[at], (dim,)),
        }
    return out


def seen(
    params: Params, inputs: Arrays, spec: Spec
) -> Float[Array, "geo channel past_and_time"]:
    """Media as carry-over sees them: campaigns by their weights, impressions as heard.

    ``inputs`` holds the media of channels; where their campaigns are split, and people hear
    them as often, as in training, both are the same.
    """
    media = inputs[MEDIA]
    for term in spec.media:
        x = inputs.of(term.name)
        if "share" in x:
            more = (campaign_weights(params, x, term, spec) - 1.0)[..., None] * x["share"]
            media = media * (1.0 + jnp.einsum("ck,gkt->gct", x["member"], more))
    if not any(isinstance(term, Reach) for term in spec.media):
        return media
    several, parts = len(spec.media) > 1, []
    for term in spec.media:
        own = media[:, inputs[spec.dim(term, CHANNEL)]] if several else media
        if isinstance(term, Reach) and own.shape[1]:
            x, p = inputs.of(term.name), aligned(params, term, spec)
            often, usual = jnp.asarray(x["frequency"]), jnp.asarray(x["usual"])
            own = own * term.heard(p, often, usual)
        parts.append(own)
    return jnp.concatenate(parts, axis=1)[:, inputs[ORDER]] if several else parts[0]


def campaign_weights(
    params: Params, x: Mapping[str, Any], term: Media, spec: Spec
) -> Float[Array, "geo campaign"]:
    """Weights of the campaigns of a media term in one draw, geo of size 1 where shared."""
    full = spec.full(term, "campaign_effect")
    effect = align(params[full], spec.dims(full), (GEO, spec.dim(term, CAMPAIGN)))
    return term.weights(effect, x)


def weights_of_campaigns(
    params: Params, inputs: Arrays, spec: Spec
) -> Float[Array, "geo campaign"]:
    """Weights of the campaigns of all media terms in one draw, in the panel's order."""
    weights, places, geos = [], [], inputs.sizes()[GEO]
    for term in spec.media:
        x = inputs.of(term.name)
        if "share" in x:
            weights.append(campaign_weights(params, x, term, spec))
            places.append(x["place"])
    wide = [jnp.broadcast_to(w, (geos, w.shape[1])) for w in weights]
    return jnp.concatenate(wide, 1)[:, jnp.argsort(jnp.concatenate(places))]


def _memberships(spec: Spec, panel: Panel) -> dict[str, tuple[np.ndarray, str]]:
    """Which group each geo or finer group lies in, for priors that are pooled in groups."""
    out: dict[str, tuple[np.ndarray, str]] = {}
    pools = {tuple(dim for dim, _ in prior.pool) for prior in spec.priors.values()}
    for above, over in (
        pair for pool in sorted(pools) for pair in itertools.pairwise(pool)
    ):
        groups, found = panel.groups[above], dict[str, str]()
        labels = list(dict.fromkeys(groups))
        finer = panel.geos if over == GEO else panel.groups[over]
        for name, group in zip(finer, groups, strict=True):
            if found.setdefault(name, group) != group:
                got = checks.Phrase(f'{over} "{name}" in "{found[name]}" and in "{group}"')
                fix = f"name them apart in the column {over}, or leave {above} out of over"
                checks.fail("pooled over", got, "spec", f"each {over} in one {above}", fix)
        place = [labels.index(group) for group in found.values()]
        out |= {
            above: (np.arange(len(labels)), above),
            f"{over}.{above}": (np.array(place), over),
        }
    return out


def places(spec: Spec, panel: Panel) -> dict[str, np.ndarray]:
    """Where the channels of each media term stand among all; of a single term nothing."""
    if len(spec.media) == 1:
        return {}
    owner = spec.owners(panel)
    places = [np.flatnonzero(owner == k) for k in range(len(spec.media))]
    dims = [spec.dim(term, CHANNEL) for term in spec.media]
    return dict(zip(dims, places, strict=True))


def align(value: Any, dims: tuple[str, ...], to: tuple[str, ...]) -> Any:
    """A parameter with ``dims`` as an array over ``to``, size 1 where it has no dim."""
    return jnp.asarray(value)[tuple(slice(None) if d in dims else None for d in to)]


def aligned(
    params: Params, term: Term, spec: Spec, names: Iterable[str] | None = None
) -> dict[str, Any]:
    """Parameters of a term (those present) by its own names, each over (geo, *dims).

    ``names``: of which; None: of all but those of campaigns and of what effects move by.
    """
    own = {name: spec.full(term, name) for name in names or term.parameters()}
    own = {name: full for name, full in own.items() if full in params}
    dims = {full: (GEO, *spec.parameters[full].dims) for full in own.values()}
    return {n: align(params[f], spec.dims(f), dims[f]) for n, f in own.items()}


def media_contribution(
    params: Params,
    media: Float[Array, "geo channel time"],
    spec: Spec,
    inputs: Arrays,
    beside: Float[Array, "geo channel time"] | None = None,
    at: Any = None,
    late: bool = False,
) -> Float[Array, "geo channel time"]:
    """What every channel brings from any media, in the panel's order.

    Args:
        params: One draw; without a pair's parameter what the pair brings is left out.
        media: Scaled media of all channels.
        spec: The model.
        inputs: Of the panel: they say which term has which channel.
        beside: Media of the others while one channel is asked about: each channel then has
            all of what it brings together with another. None: those of ``media``, and half
            of it, so that channels add up.
        at: Where among the periods of ``inputs``, context counted, ``media`` begin; None:
            with the first. It says by what effects are multiplied that move.
        late: ``media`` and ``beside`` are :func:`carried` already.
    """
    found = _alone(params, media, spec, inputs, at, late)
    days = lengths(inputs, media.shape[-1], at) if spec.likelihood.straight else None
    pairs = [t for t in spec.interactions if spec.full(t, "gamma_interaction") in params]
    if not pairs:
        return found if days is None else found * days
    beta = [spec.full(term, "saturation_beta") for term in spec.media]
    ones = {n: jnp.ones_like(params[n]) for n in beta if n in params}
    unit = still(params, spec) | ones  # what a pair brings together does not move
    bent = others = _alone(unit, media, spec, inputs, late=late)
    if beside is not None:
        others = _alone(unit, beside, spec, inputs, late=late)
    for term in pairs:
        p, pair = aligned(params, term, spec), inputs[f"{term.name}.pair"]
        for one, other in ((pair[0], pair[1]), (pair[1], pair[0])):
            whole = term(p, {"first": bent[:, one], "second": others[:, other]})
            found = found.at[:, one].add(0.5 * whole if beside is None else whole)
    return found if days is None else found * days


def still(params: Params, spec: Spec) -> dict[str, Any]:
    """Without what effects move by: they are then those of all of training together."""
    names = {
        spec.full(term, name)
        for term in spec.media
        for one in term.movers
        for name in one.parameters()
    }
    return {name: value for name, value in params.items() if name not in names}


def multiplier(
    params: Params, inputs: Arrays, spec: Spec, term: Media
) -> Float[Array, "geo channel time"] | None:
    """What the effects of a media term are multiplied by from the first period that is
    modelled on; None where they do not move, or ``params`` are :func:`still`.
    """
    names = [name for one in term.movers for name in one.parameters()]
    p = aligned(params, term, spec, names) if names else {}
    return term.multiplier(p, inputs.of(term.name)) if p else None


def usual_media(inputs: Arrays, periods: int) -> Float[Array, "geo channel time"]:
    """Scaled media that stay as they were in the mean of periods in which any ran."""
    media = inputs[MEDIA][..., inputs.history :]
    ran = jnp.maximum((media.sum(1) > 0).sum(-1), 1)
    mean = media.sum(-1) / ran[:, None]
    return jnp.broadcast_to(mean[..., None], (*mean.shape, periods))


def _alone(
    params: Params,
    media: Array,
    spec: Spec,
    inputs: Arrays,
    at: Any = None,
    late: bool = False,
) -> Array:
    """What channels bring each by itself: see :func:`media_contribution`."""

    def brought(term: Media, media: Array) -> Array:
        effect = (term.settled if late else term.effect)(aligned(params, term, spec), media)
        by = multiplier(params, inputs, spec, term)
        if by is None:
            return effect
        length = effect.shape[-1]
        ends = ((0, 0), (0, 0), (inputs.history, length))  # no effect is left after it
        by = jnp.pad(by, ends, constant_values=1.0)
        if at is None:
            return effect * by[..., :length]
        by = jnp.pad(by, ((0, 0), (0, 0), (length, 0)), constant_values=1.0)
        return effect * jax.lax.dynamic_slice_in_dim(by, at + length, length, axis=-1)

    return _each(brought, media, spec, inputs)


def _each(
    f: Callable[[Media, Array], Array], media: Array, spec: Spec, inputs: Arrays
) -> Array:
    """A function of each media term and the media of its channels, in the panel's order."""
    if len(spec.media) == 1:
        return f(spec.media[0], media)
    own = [(term, inputs[spec.dim(term, CHANNEL)]) for term in spec.media]
    parts = [f(term, media[:, place]) for term, place in own if place.size]
    return jnp.concatenate(parts, axis=1)[:, inputs[ORDER]]


def carried(
    params: Params, media: Float[Array, "geo channel time"], spec: Spec, inputs: Arrays
) -> Float[Array, "geo channel time"]:
    """Media of all channels carried over, linear in them; every term is ``factored``."""
    late = lambda term, own: term.carried(aligned(params, term, spec), own)
    return _each(late, media, spec, inputs)


def of_campaigns(
    params: Params, media: Array, effect: Array, spec: Spec, inputs: Arrays
) -> Float[Array, "geo campaign time"]:
    """What campaigns brought of the effects of their channels, in the panel's order.

    Args:
        params: One draw.
        media: Of channels, as carry-over sees them, (geo, channel, time) from the context
            on: of :func:`seen`, or of some of its periods.
        effect: What these media brought, the same shape.
        spec: The model.
        inputs: Of the panel.
    """
    found, order = [], []
    for term in spec.media:
        x = inputs.of(term.name)
        if "share" not in x:
            continue
        weights, to = campaign_weights(params, x, term, spec)[..., None], "ck,gct->gkt"
        unknown = jnp.einsum("ck,gkt->gct", x["member"], x["share"]) == 0
        share = x["share"] + x["part"][:, None] * jnp.einsum(to, x["member"], unknown * 1.0)
        share = share * weights
        whole = x["member"].T @ x["member"]
        share = share / jnp.einsum("jk,gkt->gjt", whole, share)
        late = media.shape[-1] - share.shape[-1]
        share = jnp.pad(share, ((0, 0), (0, 0), (0, late)))
        every, brought = (jnp.einsum(to, x["member"], y) for y in (media, effect))
        member = x["member"]
        if len(spec.media) > 1:
            member = member[inputs[spec.dim(term, CHANNEL)]]
        p, own = aligned(params, term, spec), member.argmax(0)
        p = {n: v[:, own] if v.shape[1] > 1 else v for n, v in p.items()}
        found.append(brought * term.parts(p, every, every * share))
        order.append(x["place"])
    out = jnp.concatenate(found, 1)
    return out if len(found) == 1 else out[:, jnp.argsort(jnp.concatenate(order))]


def components(
    params: Params, inputs: Arrays, spec: Spec, terms: Iterable[Term] | None = None
) -> dict[str, Array]:
    """Mean of the outcome by component, scaled units, context periods dropped.

    Args:
        params: One draw.
        inputs: Arrays of the window.
        spec: The model.
        terms: Those that are asked for (of media terms all or none); None: all.

    Returns:
        By the name of the term, (geo, time), or (geo, member, time) of a term with members
        ("control" of the panel's controls): those that the panel has. All media terms
        together are "channel", in the panel's order.
    """
    sizes, straight = inputs.sizes(), spec.likelihood.straight
    days = lengths(inputs, inputs.history + sizes[TIME])
    days = None if days is None else days[inputs.history :]
    first = next(term for term in spec.parts if term.group == "baseline").name
    out: dict[str, Array] = {}
    for term in spec.parts if terms is None else terms:
        if (term.over and not sizes[term.over]) or isinstance(term, Interaction):
            continue  # that of two channels is in theirs
        if not isinstance(term, Media):
            value = term(aligned(params, term, spec), inputs.of(term.name))
            if days is not None and straight:
                value = value * days
            elif days is not None and term.name == first:
                value = value + jnp.log(days)
            middle = (sizes[term.over],) if term.over else ()
            out[term.name] = jnp.broadcast_to(value, (sizes[GEO], *middle, sizes[TIME]))
        elif CHANNEL not in out:
            every = media_contribution(params, seen(params, inputs, spec), spec, inputs)
            out[CHANNEL] = every[..., inputs.history :]
    return out


def mean(params: Params, inputs: Arrays, spec: Spec) -> Float[Array, "geo time"]:
    """Mean of the outcome (of mu, before truncation): the sum of :func:`components`.

    On the scale of the likelihood's link: its inverse makes the mean itself.
    """
    return total(components(params, inputs, spec))


def level(params: Params, inputs: Arrays, spec: Spec) -> Float[Array, "geo time"]:
    """Mean of the outcome in its own units (scaled), whatever the link."""
    return spec.likelihood.between.inverse(mean(params, inputs, spec))


def parts(params: Params, inputs: Arrays, spec: Spec) -> dict[str, Array]:
    r"""Contributions of all components to :func:`level`; they add up to it.

    Where the link is the identity they are the components. Under another link g the mean
    goes up in steps: from the intercept to the baseline, on to controls and seasonality,
    on to media, so that all media together have what would go away without them. The
    components c of one step, from a to a + s with $s = \sum c$, share its rise by

    $$\text{part}_i = c_i \frac{g^{-1}(a + s) - g^{-1}(a)}{s},$$

    the mean of their marginal effects along the way (for a log link the logarithmic mean).

    Source: Aumann and Shapley (1974), "Values of non-atomic games"; Ang (2004),
    "Decomposition analysis for policymaking in energy", the same as LMDI.
    """
    found = components(params, inputs, spec)
    if spec.likelihood.straight:
        return found
    groups = {term.name: term.group for term in spec.parts} | {CHANNEL: "channel"}
    order = ("baseline", "control", "seasonality", "channel")
    base, *rest = ([n for n in found if groups[n] == group] for group in order)
    link, start = spec.likelihood.between, found[base[0]]
    out: dict[str, Array] = {base[0]: link.inverse(start)}
    for names in (base[1:], [*rest[0], *rest[1]], rest[2]):
        own = {name: found[name] for name in names}
        if own:
            step = total(own)
            rate: Any = link.rise(start, step)
            out |= {n: c * (rate[:, None] if c.ndim == 3 else rate) for n, c in own.items()}
            start = start + step
    return {name: out[name] for name in found}


def lengths(inputs: Arrays, length: int, at: Any = None) -> Array | None:
    """Days of ``length`` periods in those of the mean period of training: by how much the
    mean of a period is more, if it is one of amounts a day; else None.

    The first is that of the context, or number ``at`` of it; 1 where a day is not known.
    """
    if DAYS not in inputs.values:
        return None
    log = jnp.pad(jnp.asarray(inputs[DAYS]), (0 if at is None else length, length))
    if at is None:
        return jnp.exp(log[:length])
    return jnp.exp(jax.lax.dynamic_slice_in_dim(log, at + length, length))


def linear_gains(
    params: Params, inputs: Arrays, spec: Spec
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """:func:`gains` in two steps, the first linear in media: carry-over, if it comes first.

    Media of sums and multiples need it once for each of their parts.
    """
    if not all(term.factored for term in spec.media):
        return lambda media: media, gains(params, inputs, spec)
    carry = lambda media: carried(params, media, spec, inputs)
    return carry, gains(params, inputs, spec, late=True)


def gains(
    params: Params, inputs: Arrays, spec: Spec, steady: bool = False, late: bool = False
) -> Callable[[Array], Array]:
    """How much more every channel brings with some media than with none, scaled units.

    Everything else is as it was: in periods of ``inputs`` (or of the same length and
    context) what it was then, before and after them the mean of those.

    Args:
        params: One draw.
        inputs: Of the window.
        spec: The model.
        steady: Everything else is at its mean in every period, and effects that move are
            those of training on average.
        late: The media that are asked about are :func:`carried` already.

    Returns:
        Function of scaled media (geo, channel, past + time + more) of all channels.
    """
    own = seen(params, inputs, spec) if spec.interactions else None
    even = inputs.without(DAYS)
    given = even if steady else inputs
    now = still(params, spec) if steady else params

    def effect(media: Array) -> Array:
        beside, length = None, media.shape[-1]
        if own is not None:
            more = ((0, 0), (0, 0), (0, max(length - own.shape[-1], 0)))
            beside = usual_media(inputs, length) if steady else jnp.pad(own, more)
            beside = carried(now, beside, spec, inputs) if late else beside
        return media_contribution(now, media, spec, given, beside, late=late)

    if spec.likelihood.straight:
        return effect
    found, link = components(params, even, spec), spec.likelihood.between
    there = inputs[PRESENT][:, None] > 0
    whole = found[CHANNEL]
    if own is not None:
        whole = media_contribution(params, own, spec, inputs, own)[..., inputs.history :]
    rest = total(found)[:, None] - whole
    sizes = jnp.where(there, link.inverse(rest), 0.0).sum(-1, keepdims=True)
    usual = link.forward(sizes / jnp.maximum(there.sum(-1, keepdims=True), 1))
    rest = jnp.where(there, rest, usual)

    def gain(media: Array) -> Array:
        brought, around = effect(media), usual
        if not steady:
            before = jnp.broadcast_to(usual, (*rest.shape[:2], inputs.history))
            late = brought.shape[-1] - inputs.history - rest.shape[-1]
            after = jnp.broadcast_to(usual, (*rest.shape[:2], max(late, 0)))
            around = jnp.concatenate([before, rest, after], -1)[..., : brought.shape[-1]]
        more = link.inverse(around + brought) - link.inverse(around)
        days = lengths(given, more.shape[-1])
        return more if days is None else more * days

    return gain


def grouped(parts: Mapping[str, Any], spec: Spec, members: int) -> dict[str, Any]:
    """Components besides media added up by group: baseline, controls, seasonality.

    Args:
        parts: Of :func:`components`, or sums of them.
        spec: The model.
        members: Axis of the members of a component that has some.
    """
    out: dict[str, Any] = {}
    for term in spec.parts:
        if term.group == "channel" or term.name not in parts:
            continue
        value = parts[term.name].sum(members) if term.over else parts[term.name]
        group = "controls" if term.group == "control" else term.group
        out[group] = out[group] + value if group in out else value
    return out


def total(parts: Mapping[str, Array]) -> Array:
    """Sum of components over components, channels and controls: (geo, time)."""
    flat = [v.sum(axis=1) if v.ndim == 3 else v for v in parts.values()]
    return sum(flat[1:], start=flat[0])
