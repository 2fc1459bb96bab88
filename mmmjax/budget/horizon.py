"""The response of a plan: spend over a window, its tail, and what came before.

A cell is one paid channel in one geo of one fit; its response depends on its own spend
alone, but for pairs of channels that act together, and for links under which the channels
of a geo multiply: they share what they bring as contributions do. Adstock is linear, so
spend that follows a given profile is carried over once, before the search: a level of the
window is then a factor of the money, and only the saturation is evaluated again. Constant
spend has few distinct levels: ``max_lag - 1`` ramp-up periods, one steady level, which
counts as often as it occurs, ``max_lag - 1`` tail periods. Spend that is free in every
period goes through the whole forward function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmmjax import checks, response
from mmmjax.budget.ahead import lengths_of, multipliers_of, rest_of
from mmmjax.budget.prices import Dearer, at_usual_price, of_cells
from mmmjax.draws import Fit
from mmmjax.posterior.campaigns import money_effects
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec
from mmmjax.terms import Media

__all__ = [
    "CarryIn",
    "Form",
    "Window",
    "block_of",
    "even_levels",
    "make_window",
    "response_of",
    "slopes_of",
    "tabled",
]

type CarryIn = Literal["zero", "history"]
type Response = Callable[[Float[Array, " variable"]], Float[Array, "draw cell"]]

PIECES, TABLED = (16, 64), 2**20  # of a table: fewest and most; draws x cells x pieces
BLOCK_BYTES = 512 * 2**20  # memory of one block of draws
UNROLLED = 48


class Window(NamedTuple):
    """What the response of a plan needs besides its spend: arrays, no names.

    Args:
        draws: Parameters of every cell by name, (draw, cell); "factors" of the levels, see
            :func:`_factored`; with campaigns or reach "past", ``history`` as carry-over
            sees it, (draw, cell, past); of effects that move "ahead", their multiplier in
            every level, (draw, cell, level); where effects do not add up "around", all
            other terms in the window and its tail, (draw, cell, period); for a response
            of one's own whatever its function takes, (draw, ...).
        media_per_money: Scaled media that one unit of money buys, (cell, period), or
            (cell, 1) in any period.
        outcome: Outcome units of one scaled unit, (cell,).
        history: Scaled media of the periods before the window, (cell, past), or of none.
        pattern: Share of the money of the window spent in each level, (cell or 1, level).
        periods: How many periods each level stands for, (level,).
        cells: Of several media terms the cells of each, and the order that puts cells one
            after the other by term back into theirs; of one term nothing.
        split: Where a variable is the money of several cells: the variable of every cell
            and the share of it that the cell gets, both (cell,).
        partners: Of each pair of channels that act together the other cell of all, (cell,).
        geos: Where effects do not add up 1 where a cell lies in a geo, (cell, geo).
        dearer: How prices rise with what is bought, (cell, 1 or period), or nothing.
        days: Where effects that add up are of amounts a day: days of every period of the
            window and its tail, in those of the mean period, (cell, period).
        parts: Where cells are split over campaigns the cell of every part, (part,); "parts"
            of the draws is then what its money does, of what money of the cell does.
    """

    draws: dict[str, Any]
    media_per_money: Any
    outcome: Any
    history: Any
    pattern: Any
    periods: Any
    cells: Any = ()
    split: Any = None
    partners: Any = ()
    geos: Any = ()
    dearer: Any = ()
    days: Any = ()
    parts: Any = ()

    def of_draw(self, draw: Any) -> "Window":
        """The same in one draw, a tree of its parameters."""
        return self._replace(draws=jax.tree.map(lambda x: x[None], draw))


@dataclass(frozen=True)
class Form:
    """What a compiled program depends on: the kind of response, no numbers.

    Args:
        spec: Structure of the model; None for a response of one's own.
        function: (parameters of one draw, spend (cell,)) -> response (cell,), pure JAX,
            each cell a function of its own spend; None for a model.
        free_periods: Periods of the window whose spend is a variable each, 0 for a profile.
        block: Draws evaluated at once.
        by_period: Whether the response stays one of periods, window and tail, (draw, cell,
            period), where each has its spend.
        parts: Whether cells are split over campaigns: "cell" is then "part" outside.
    """

    spec: Spec | None
    function: Callable[..., Any] | None = None
    free_periods: int = 0
    block: int = 2**30
    by_period: bool = False
    parts: bool = False

    @property
    def joint(self) -> bool:
        """Whether a variable's response depends on other variables too."""
        spec = self.spec
        mixed = spec and (spec.interactions or not spec.likelihood.straight)
        return bool(self.free_periods or self.parts or mixed)


def even_levels(periods: int, max_lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of money and multiplicity of the distinct levels of constant spend.

    The length is 2 max_lag - 1 whatever the window (an unused level has no spend left in
    its lags, and adds nothing), so that another horizon needs no other compilation.

    Args:
        periods: Length of the window, at least 1.
        max_lag: Periods an effect lasts, today included.

    Returns:
        (pattern, multiplicity), both (2 max_lag - 1,): the level at index max_lag - 1 is
        the steady one of a window at least that long.
    """
    pattern = np.zeros(2 * max_lag - 1)
    pattern[: min(periods, max_lag)] = 1.0 / periods
    multiplicity = np.ones(2 * max_lag - 1)
    multiplicity[max_lag - 1] += max(periods - max_lag, 0)
    return pattern, multiplicity


def make_window(
    fits: Sequence[Fit],
    periods: int,
    carry_in: CarryIn,
    costs: Sequence[Float[np.ndarray, "_ _ _"]],
    max_draws: int | None = None,
    profile: Float[np.ndarray, "cell period"] | None = None,
    free: bool = False,
    dearer: Sequence[Dearer] = (),
    campaigns: bool = False,
) -> Window:
    """Arrays of a window that follows training, for the paid channels of some fits.

    Several fits are independent markets of one spec: each brings as many draws as the
    smallest has, in an order of its own, so that equal seeds make no false correlation.

    Args:
        fits: The fits; one is the usual case.
        periods: Length of the window.
        carry_in: Whether the last max_lag - 1 training periods still act in the window.
        costs: Money per unit of media of each fit, (geo, paid channel, period or 1).
        max_draws: Use at most this many draws, evenly spaced.
        profile: Share of a cell's money spent in each period, rows of sum 1; None: even.
        free: Whether every period has a variable of its own.
        dearer: How prices of each fit rise, if so.
        campaigns: Whether "campaigns" of the draws is what money of each campaign does.
    """
    spec, lag = fits[0].spec, fits[0].spec.memory
    count = min(fit.draws.n_chains * fit.draws.n_draws for fit in fits)
    kept = count if max_draws is None else min(count, max_draws)
    past = lag - 1 if carry_in == "history" else 0
    most = kept if len(fits) > 1 else max_draws
    flats = [_of_cells(fit, most, periods, campaigns) for fit in fits]
    moves = any(term.moving for term in spec.media)
    if past and any(fit.panel.campaigns or fit.panel.reached for fit in fits):
        weighed = [_weighed(fit, most, past) for fit in fits]
        flats = [flat | {"past": x} for flat, x in zip(flats, weighed, strict=True)]
    each = np.concatenate([[np.sum(f.panel.paid)] * f.panel.n_geos for f in fits])
    geos = np.repeat(np.eye(len(each)), each, axis=0)
    for market, flat in enumerate(flats[1:], start=1):
        order = np.random.default_rng(market).permutation(kept)
        flats[market] = {name: values[order] for name, values in flat.items()}
    draws = {name: np.concatenate([f[name] for f in flats], 1) for name in flats[0]}
    days = lengths_of(fits, periods + lag - 1)
    per_money = _per_money(fits, costs, periods, days)
    if profile is None and (moves or len(days) or per_money.shape[1] > 1):  # none alike
        profile = np.full((len(per_money), periods), 1.0 / periods)
    cells: tuple[np.ndarray, ...] = ()
    if len(spec.media) > 1:
        whose = [fit.spec.owners(fit.panel) for fit in fits]
        pairs_of = zip(fits, whose, strict=True)
        owner = np.concatenate(
            [np.tile(w[f.panel.paid], f.panel.n_geos) for f, w in pairs_of]
        )
        groups = [np.flatnonzero(owner == k) for k in range(len(spec.media))]
        cells = (*groups, np.argsort(np.concatenate(groups)))
    pattern, multiplicity = even_levels(periods, lag)
    pattern = pattern[None]
    if profile is not None:
        pattern = np.pad(profile, [(0, 0), (0, lag - 1)])
        multiplicity = np.ones(pattern.shape[-1])
    window = Window(
        draws,
        per_money,
        np.concatenate([_outcome(fit) for fit in fits]),
        np.concatenate([_history(fit, past) for fit in fits]),
        pattern,
        multiplicity,
        cells,
        partners=_partners(fits),
        geos=() if spec.likelihood.straight else geos,
        dearer=of_cells(dearer),
        days=days if len(days) and spec.likelihood.straight else (),
    )
    if free or window.dearer or not all(term.factored for term in spec.media):
        return window
    with jax.enable_x64(True):
        factors = _factored(window, spec=spec.structure())
    return window._replace(draws=draws | {"factors": factors})


def _of_cells(
    fit: Fit, max_draws: int | None, periods: int, campaigns: bool
) -> dict[str, Float[np.ndarray, "draw cell"]]:
    """Parameters of every media term, of every geo and paid channel that it has.

    And, where effects do not add up, all other terms in the window and its tail; where
    they move, their multipliers; if that is asked for, what money of campaigns does.
    """
    spec, panel = fit.spec, fit.panel
    flat, labels, out = fit.flat(max_draws), spec.labels(panel), {}
    for term in spec.media:
        dim = spec.dim(term, CHANNEL)
        paid = [i for i, c in enumerate(labels[dim]) if c not in panel.organic]
        if len(spec.media) > 1 and not labels[dim]:  # a term without channels has no draws
            continue
        for name in (spec.full(term, n) for n in term.parameters()):
            values, dims = np.asarray(flat[name], np.float64), spec.dims(name)
            values = values[:, None] if GEO not in dims else values
            values = values[:, :, paid] if dim in dims else values[:, :, None]
            whole = np.broadcast_to(values, (len(values), panel.n_geos, len(paid)))
            out[name] = whole.reshape(len(values), -1)
    for term in spec.interactions:
        name = spec.full(term, "gamma_interaction")
        values = np.asarray(flat[name], np.float64).reshape(len(flat[name]), -1, 1)
        has = np.isin(np.array(panel.channels)[panel.paid], term.channels)
        whole = np.broadcast_to(values * has, (len(values), panel.n_geos, len(has)))
        out[name] = whole.reshape(len(values), -1)
    if not spec.likelihood.straight:
        rest = rest_of(fit, periods + spec.memory - 1, max_draws)
        out["around"] = np.repeat(rest, int(np.sum(panel.paid)), axis=1)
    if any(term.moving for term in spec.media):
        out["ahead"] = multipliers_of(fit, periods, max_draws)
    return out | ({"campaigns": money_effects(fit, max_draws)} if campaigns else {})


def _partners(fits: Sequence[Fit]) -> tuple[np.ndarray, ...]:
    """Of every pair of channels that act together the other cell of each cell."""
    out = []
    for term in fits[0].spec.interactions:
        every, begin = [], 0
        for fit in fits:
            names = np.array(fit.panel.channels)[fit.panel.paid].tolist()
            place, pair = np.arange(len(names)), [c for c in term.channels if c in names]
            if len(pair) < 2:
                got, fix = checks.Phrase("no spend"), "give the channel a column of spend"
                what = f'spend of "{term.channels[0]}" and "{term.channels[1]}"'
                allowed = "money of both, as they act together"
                checks.fail(what, got, "", allowed, fix)
            at = [names.index(c) for c in pair]
            place[at] = at[::-1]
            for _ in range(fit.panel.n_geos):
                every.append(begin + place)
                begin += len(names)
        out.append(np.concatenate(every))
    return tuple(out)


def by_term(
    window: Window,
    spec: Spec,
    f: Callable[..., Array],
    *arrays: Any,
) -> Array:
    """``f(term, its parameters, *arrays)`` of the cells of every media term."""
    draws = window.draws

    def parameters(term: Media) -> dict[str, Any]:
        return {name: draws[spec.full(term, name)] for name in term.parameters()}

    if not window.cells:
        return f(spec.media[0], parameters(spec.media[0]), *arrays)
    *groups, order = window.cells
    parts = [
        f(term, parameters(term), *(x[:, own] for x in arrays))
        for term, own in zip(spec.media, groups, strict=True)
        if own.size
    ]
    return jnp.concatenate(parts, axis=1)[:, order]


def _effects(
    window: Window, spec: Spec, f: Callable[..., Array], media: Array, ahead: Any = None
) -> Array:
    """What cells bring, ``f`` of their media, and half of what they bring together.

    ``ahead`` are multipliers of what a cell brings by itself.
    """
    found = by_term(window, spec, f, media)
    found = found if ahead is None else found * ahead
    if not window.partners:
        return found
    draws = window.draws
    beta = [spec.full(term, "saturation_beta") for term in spec.media]
    unit = {name: jnp.ones_like(draws[name]) for name in beta if name in draws}
    bent = by_term(window._replace(draws=draws | unit), spec, f, media)
    for term, partner in zip(spec.interactions, window.partners, strict=True):
        p = {"gamma_interaction": draws[spec.full(term, "gamma_interaction")]}
        found += 0.5 * term(p, {"first": bent, "second": bent[:, partner]})
    return found


def _rise(
    window: Window, spec: Spec, effects: Array, around: Array | None, days: Any
) -> Array:
    """What effects, (draw, cell, time), bring to the mean, shared by the cells of a geo."""
    if around is None:
        return effects if days is None else effects * days
    whole = jnp.einsum("dct,cg->dgt", effects, window.geos)
    whole = jnp.einsum("dgt,cg->dct", whole, window.geos)
    return effects * spec.likelihood.between.rise(around, whole)


def _around(window: Window, spec: Spec) -> Array | None:
    """All other terms in every level, (draw, cell, level): the mean of those it stands for.

    None where effects add up.
    """
    if "around" not in window.draws:
        return None
    around, first = jnp.asarray(window.draws["around"]), spec.memory - 1
    more = around.shape[-1] - np.shape(window.pattern)[-1]  # periods but one of the steady
    if more <= 0:
        return jnp.pad(around, [(0, 0), (0, 0), (0, -more)], mode="edge")
    link, last = spec.likelihood.between, spec.memory + more
    steady = link.inverse(around[..., first:last]).mean(-1, keepdims=True)
    parts = around[..., :first], link.forward(steady), around[..., last:]
    return jnp.concatenate(parts, -1)


def _per_money(
    fits: Sequence[Fit], costs: Sequence[np.ndarray], periods: int, days: np.ndarray
) -> Float[np.ndarray, "cell period"]:
    """Scaled media of one unit of money; (cell, 1) where that is the same in any period."""
    out = []
    for fit, cost in zip(fits, costs, strict=True):
        each = 1.0 / (cost * fit.scale.media_next(fit.panel)[:, fit.panel.paid, None])
        whole = np.broadcast_to(each, (*each.shape[:2], periods))
        out.append(whole.reshape(-1, periods))
    every = np.concatenate(out)
    every = every / days[:, :periods] if len(days) else every
    return every[:, :1] if (every == every[:, :1]).all() else every


def _outcome(fit: Fit) -> Float[np.ndarray, " cell"]:
    scale = np.asarray(fit.scale.outcome, np.float64)
    return np.repeat(scale, int(np.sum(fit.panel.paid)))


def _history(fit: Fit, past: int) -> Float[np.ndarray, "cell past"]:
    paid = np.flatnonzero(fit.panel.paid)
    before = max(len(fit.panel.dates) - past, 0)
    media = fit.scale.scale_media(fit.panel.media, fit.panel)[..., paid]
    media = np.swapaxes(media, 1, 2)[..., before:]
    media = np.pad(media, [(0, 0), (0, 0), (past - media.shape[-1], 0)])
    return media.reshape(fit.panel.n_geos * len(paid), past)


def _weighed(
    fit: Fit, max_draws: int | None, past: int
) -> Float[np.ndarray, "draw cell past"]:
    """History of every draw, media as carry-over sees them."""
    history, inputs = _history(fit, past), fit.inputs()
    paid, flat = np.flatnonzero(fit.panel.paid), fit.flat(max_draws)
    flat = {name: np.asarray(x, np.float64) for name, x in flat.items()}
    ones = inputs.replace(media=np.ones_like(inputs["media"]))
    with jax.enable_x64(True):
        last = lambda p: response.seen(p, ones, fit.spec)[:, paid, -past:]
        ratio = np.asarray(jax.lax.map(last, flat))
    more = past - ratio.shape[-1]
    ratio = np.pad(ratio, [(0, 0)] * 3 + [(more, 0)], constant_values=1.0)
    return history * ratio.reshape(len(ratio), *history.shape)


def block_of(window: Window) -> int:
    """Draws that are evaluated at once within :data:`BLOCK_BYTES`."""
    cells = np.shape(window.media_per_money)[0]
    levels = np.shape(window.pattern)[-1] + np.shape(window.history)[-1]
    return max(1, BLOCK_BYTES // (2 * 8 * cells * levels))


def response_of(window: Window, form: Form) -> Response:
    """Response (outcome units) in every draw and cell as a function of spend.

    With history it is the increment over spending nothing in the window, so that a plan
    is credited only with what it buys.

    Args:
        window: See :class:`Window`; it fixes the number of draws.
        form: See :class:`Form`.

    Returns:
        Function of the money of every variable: of a cell over the window, (cell,), or of a
        cell in a period, (cell * period,).
    """
    if window.split is not None and form.function is None:
        within = response_of(window._replace(split=None), form)
        owner, share = map(jnp.asarray, window.split)

        def divided(spend: Array) -> Array:
            each = spend.reshape(-1, max(form.free_periods, 1))
            belongs = owner[:, None] == jnp.arange(len(each))
            return within((each[owner] * share[:, None]).ravel()) @ belongs.astype(float)

        return divided
    n_draws = _count(window)
    if n_draws <= form.block:
        return _credited(window, form)
    blocks = n_draws // form.block + 1  # of nearly equal size
    size = -(-n_draws // blocks)

    def whole(spend: Array) -> Array:
        def one(draw: Any) -> Array:
            return _credited(window.of_draw(draw), form)(spend)[0]

        return jax.lax.map(jax.checkpoint(one), window.draws, batch_size=size)

    return whole


def slopes_of(
    respond: Response, spend: Float[Array, " cell"]
) -> tuple[Float[Array, "draw cell"], Float[Array, "draw cell"], Float[Array, "draw cell"]]:
    """Response and its first two derivatives in the cell's own spend.

    Cells do not know each other, so one tangent of ones moves them all: forward mode, and
    nothing to keep for a way back.
    """
    ones = (jnp.ones_like(spend),)

    def first(spend: Array) -> tuple[Array, Array]:
        return jax.jvp(respond, (spend,), ones)

    (value, slope), (_, bend) = jax.jvp(first, (spend,), ones)
    # without the barrier XLA evaluates the curves again inside every sum that reads them
    return jax.lax.optimization_barrier((value, slope, bend))


def tabled(
    respond: Response,
    lower: Float[Array, " cell"],
    ranges: Float[Array, " cell"],
    pieces: int | None = None,
) -> Response:
    """A response of single cells in cubic pieces through its values and slopes.

    Good to 1e-7 or so where curves are not bent within a piece, and next to no work.
    Pieces are shortest at the lower end, where curves are steepest; beyond the ends the
    first and last go on.

    Args:
        respond: The response.
        lower: Least spend of each cell.
        ranges: How much more each may spend, above 0.
        pieces: Of a curve, whose slope may then be infinite at its lower end; None: as many
            as memory allows.
    """
    shape = jax.eval_shape(respond, lower).shape
    count = pieces or int(np.clip(TABLED // max(shape[0] * shape[1], 1), *PIECES))
    nodes = lower + (np.arange(count + 1)[:, None] / count) ** 2 * ranges
    value, slope, _ = jax.lax.map(lambda spend: slopes_of(respond, spend), nodes)
    value, slope = value.swapaxes(1, 2), slope.swapaxes(1, 2)  # (node, cell, draw)
    step = (nodes[1:] - nodes[:-1])[..., None]
    first, last = slope[:-1] * step, slope[1:] * step
    rise = value[1:] - value[:-1]
    if pieces:
        first = jnp.where(jnp.isfinite(first), first, 2.0 * rise)  # roots at 0
    powers = value[:-1], first, 3 * rise - 2 * first - last, first + last - 2 * rise
    curves, cells = jnp.stack(powers, 2), np.arange(shape[1])

    def table(spend: Array) -> Array:
        part = jnp.maximum((jax.lax.stop_gradient(spend) - lower) / ranges, 0.0)
        piece = jnp.clip((count * jnp.sqrt(part)).astype(int), 0, count - 1)
        wide = step[piece, cells]  # 0 by rounding where a cell may not move
        at = (spend - nodes[piece, cells])[:, None] / jnp.where(wide > 0, wide, 1.0)
        c = curves[piece, cells]
        return (c[:, 0] + at * (c[:, 1] + at * (c[:, 2] + at * c[:, 3]))).T

    return table


def _count(window: Window) -> int:
    return next(iter(jax.tree.leaves(window.draws))).shape[0]


def _credited(window: Window, form: Form) -> Response:
    """Response of all draws at once, less that of no spend."""
    if form.function is not None:
        function = form.function
        return lambda spend: jax.vmap(lambda draw: function(draw, spend))(window.draws)
    whole = form.free_periods or "factors" not in window.draws
    found = gross = _whole(window, form) if whole else _factors(window, form)
    if np.shape(window.history)[-1]:
        variables = np.shape(window.media_per_money)[0] * max(form.free_periods, 1)
        idle = gross(jnp.zeros(variables))
        found = lambda spend: gross(spend) - idle
    return _by_part(window, found) if form.parts else found


def _by_part(window: Window, respond: Response) -> Response:
    """Response of parts, (draw, part): what their cell brings, by their part in it.

    Parts are constants of a derivative: those of a cell add up to its response, and where
    they count alike, as in all that is asked of a plan, so is the slope that of the cell.
    """
    cell = jnp.asarray(window.parts)
    belongs = cell[:, None] == jnp.arange(np.shape(window.media_per_money)[0])
    belongs = belongs.astype(float)

    def divided(money: Array) -> Array:
        each = jnp.asarray(window.draws["parts"])[..., None] * money.reshape(len(cell), -1)
        whole = jnp.einsum("dpt,pc->dct", each, belongs)
        found = respond(whole.reshape(len(whole), -1))[:, cell]
        own = jax.lax.stop_gradient(each.sum(-1))
        total = (own @ belongs)[:, cell]
        even = 1.0 / belongs.sum(0)[cell]
        own = jnp.where(total > 0, own / jnp.where(total > 0, total, 1.0), even)
        return found * own.reshape(*own.shape, *[1] * (found.ndim - 2))

    return divided


@partial(jax.jit, static_argnames=("spec",))
def _factored(window: Window, *, spec: Spec) -> list[list[Array]]:
    """Carried media of every level for one unit of money, and what the past carries in.

    Returns:
        Per level [factor (draw, cell)] or [factor, carried past]: contiguous arrays, which
        the loops over draws and cells read one after the other.
    """
    media, history = _media_of_money(window, jnp.asarray(window.pattern))
    factors = by_term(window, spec, Media.carried, media)
    parts = [[factors[..., i]] for i in range(factors.shape[-1])]
    past = history.shape[-1]
    if past:
        tail = jnp.pad(history, [(0, 0), (0, 0), (0, factors.shape[-1])])
        rest = by_term(window, spec, Media.carried, tail)[..., past:]
        parts = [[*part, rest[..., i]] for i, part in enumerate(parts)]
    return parts


def _bought(window: Window, money: Array) -> Array:
    """Scaled media of the money of periods or levels, (cell, level), or of draws too."""
    each = jnp.asarray(window.media_per_money)
    more = money.shape[-1] - each.shape[1]
    if each.shape[1] > 1:  # nothing is bought in the tail
        each = jnp.pad(each, [(0, 0), (0, more)])
    if window.dearer:
        e, usual = map(jnp.asarray, window.dearer)
        if usual.shape[1] > 1:
            more = money.shape[-1] - usual.shape[1]
            usual = jnp.pad(usual, [(0, 0), (0, more)], "edge")
        money = at_usual_price(money, Dearer(e, usual))
    return money * each


def _media_of_money(window: Window, money: Array) -> tuple[Array, Array]:
    """Media of the money of periods or levels, (cell, level), and history, of all draws."""
    bought, history = _bought(window, money), _past(window)
    shape = (_count(window), bought.shape[-2])
    return (
        jnp.broadcast_to(bought, (*shape, bought.shape[-1])),
        jnp.broadcast_to(history, (*shape, history.shape[-1])),
    )


def _padded(window: Window, past: int) -> Array | None:
    """Multipliers from the past on, (draw, cell, past + level)."""
    ahead = window.draws.get("ahead")
    ends = ((0, 0), (0, 0), (past, 0))
    return None if ahead is None else jnp.pad(ahead, ends, constant_values=1.0)


def _days(window: Window) -> Array | None:
    """Of every level, where that matters."""
    return jnp.asarray(window.days) if np.size(window.days) else None


def _past(window: Window) -> Array:
    """Scaled media before the window, (cell, past) or (draw, cell, past)."""
    past = window.draws.get("past")
    return jnp.asarray(window.history if past is None else past)


def _whole(window: Window, form: Form) -> Response:
    """Spend of its own in every period, or that of the pattern, carried over each time."""
    spec, free = form.spec, form.free_periods
    assert spec is not None
    cells, past = np.shape(window.history)
    around = window.draws.get("around") if free else _around(window, spec)
    around = None if around is None else jnp.asarray(around)

    def gross(spend: Array) -> Array:
        if free:
            money = spend.reshape(*spend.shape[:-1], cells, free)
            ends = [(0, 0)] * (money.ndim - 1)
            money = jnp.pad(money, [*ends, (0, spec.memory - 1)])
        else:
            money = spend[..., None] * jnp.asarray(window.pattern)
        bought, history = _media_of_money(window, money)
        media = jnp.concatenate([history, bought], axis=-1)
        effect = _effects(window, spec, Media.effect, media, _padded(window, past))
        effect = _rise(window, spec, effect[..., past:], around, _days(window))
        if form.by_period:
            return jnp.asarray(window.outcome)[:, None] * effect
        effect = effect if free else effect * window.periods
        return jnp.asarray(window.outcome) * effect.sum(-1)

    return gross


def _factors(window: Window, form: Form) -> Response:
    """Spend that follows the pattern: carried over before, saturated level by level."""
    spec, draws = form.spec, window.draws
    assert spec is not None
    around, days = _around(window, spec), _days(window)

    def level(
        spend: Array, count: Any, rest: Any, by: Any, length: Any, *parts: Array
    ) -> Array:
        factor, *before = parts
        media = sum(before, start=spend * factor)
        effect = _effects(window, spec, Media.settled, media[..., None], by)
        return count * _rise(window, spec, effect, rest, length)[..., 0]

    def gross(spend: Array) -> Array:
        counts, factors = jnp.asarray(window.periods), draws["factors"]
        total, each = jnp.zeros_like(factors[0][0]), range(len(factors))
        whole: list[Any] = [around, draws.get("ahead"), days]
        cut: Any = lambda x: [x if x is None else x[..., i : i + 1] for i in each]
        rest, by, length = map(cut, whole)
        if len(factors) <= UNROLLED:  # one fused loop over draws and cells
            for index, parts in enumerate(factors):
                own = rest[index], by[index], length[index]
                total += level(spend, counts[index], *own, *parts)
        else:
            stacked = [jnp.stack(parts) for parts in zip(*factors, strict=True)]
            every = [None if x[0] is None else jnp.stack(x) for x in (rest, by, length)]
            turn = lambda sum_, part: (sum_ + level(spend, *part), None)
            total, _ = jax.lax.scan(turn, total, (counts, *every, *stacked), unroll=8)
        return jnp.asarray(window.outcome) * total

    return gross
