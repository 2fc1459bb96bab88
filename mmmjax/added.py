r"""Geos that training did not have: their parameters from the pooled prior, draw by draw.

Whatever is shared keeps its posterior. What a new geo has of its own is drawn from its law
given the typical value and spread of that draw (a parameter that geos have without pooling:
from its prior), so that a forecast knows how far geos differ and how well that is known.

Its units follow from what is known of it. Outcome, where each geo has its own: a size,
times the mean (of logs) over the geos of training of unit / size. The size is a mean
outcome that is stated; else the mean of the outcomes it has in periods of training, beside
that of the others in the same ones; else its people. Only people say the size from outside:
how far the log of a head's mean outcome scatters over the G geos of training is drawn too,
as a factor of the geo's own level, effects and noise, with variance $(s_{head}^2 -
s_{unit}^2)(1 + 1/G)$, as $s_{unit}^2$, that of mean / unit, is in the pooled level already.
Media, where each geo has its own: as in training where it has rows in half of the periods,
else as large beside its outcome as theirs. Costs of a unit: its own, or the channel's.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from numpyro.primitives import Messenger

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail, listing
from mmmjax.draws import Draws, Fit
from mmmjax.findings import Finding
from mmmjax.likelihood import Likelihood
from mmmjax.media_prior import data_values
from mmmjax.metrics import robust_largest
from mmmjax.model import ModelData, sample_parameters
from mmmjax.panel import Panel
from mmmjax.panel.record import NUMBERS
from mmmjax.response import make_inputs, places
from mmmjax.scaling import Scale
from mmmjax.seeds import key_data
from mmmjax.shapes import GEO
from mmmjax.spec import Spec, hyperparameters

__all__ = ["ADDED", "add_geos", "with_geos_of", "without_added"]

ADDED = "added"
"""Key of ``Fit.info``: the findings about geos that were added."""


@checked
def add_geos(
    fit: Fit,
    panel: Panel,
    *,
    outcome_mean: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Fit:
    """A fit that has the geos of a panel too: theirs are draws from the pooled prior.

    Contributions, returns, curves, forecasts and plans of it are those of any fit. Nothing
    is learned from the new geos: their outcomes, where there are some, say their size only.

    Args:
        fit: The fit, of two geos or more.
        panel: Rows of the new geos (those of others are not read): periods of training, for
            media that carry over and for the units of the geo, or periods that follow it.
        outcome_mean: Mean outcome a period of new geos, outcome units, where no row and no
            population says how large they are.
        seed: Seed of their parameters.

    Raises:
        InputError: A fit of one geo or with national media; no new geo; a channel, control,
            group or population that it lacks; no size.
    """
    train, new = fit.panel, [g for g in panel.geos if g not in fit.panel.geos]
    known = listing(map(Phrase, train.geos), 12)
    if train.n_geos < 2:
        got, fix = Phrase("a fit of one geo"), "fit a panel of several geos"
        fail("geos", got, "", "a fit that says how far geos differ", fix)
    if not new:
        got = Phrase(f"none but {known}")
        fail("new geos", got, "", "a geo that training lacks", "the fit has them already")
    if train.national:
        got = Phrase(f'"{new[0]}" beside national {listing(train.national, 6)}')
        fix = "fit again with the rows of the new geos"
        fail("new geos", got, "", "media by geo: national ones are divided over all", fix)
    for name in outcome_mean or {}:
        if name not in new:
            checks.unknown("outcome_mean", name, "", "new geos", new)
    wide = _with_rows(train, panel, new)
    scale, scatter, said = _units(fit, wide, panel, outcome_mean or {})
    labels, before = fit.spec.labels(wide), fit.spec.labels(train)
    for dim, names in before.items():
        if labels[dim][: len(names)] != names:
            got = Phrase(f"{dim} {listing(labels[dim], 6)}")
            fail(
                "new geos",
                got,
                "",
                f"those of training first ({listing(names, 6)})",
                "fit again with the rows of the new geos",
            )
    params = _drawn(fit, wide, scale, checks.integer("seed", seed, low=0))
    _resized(fit.spec, params, len(train.geos), scatter, seed)
    what = f"{listing(map(Phrase, new), 12)}: not in training, so from the pooled prior"
    means = "What is their own is drawn around what is typical of the geos of training. "
    found = Finding(
        "warning",
        "pooled_prior",
        what,
        tuple(new),
        None,
        means + said,
        "Fit again once they have outcomes of a year or so",
    )
    notes = [*fit.info.get("notes", []), found.message]
    info = fit.info | {ADDED: [*fit.info.get(ADDED, []), found.to_dict()], "notes": notes}
    draws = Draws(params, fit.draws.stats)
    return replace(fit, panel=wide, scale=scale, draws=draws, info=info)


def with_geos_of(fit: Fit, panel: Panel | None, seed: int = 0) -> Fit:
    """The fit itself, or with the geos of a panel that it lacks: see :func:`add_geos`."""
    if panel is None or set(panel.geos) <= set(fit.panel.geos):
        return fit
    return add_geos(fit, panel, seed=seed)


def without_added(fit: Fit) -> Fit:
    """The fit of the geos that training had: the fit itself where none were added."""
    new = {geo for one in fit.info.get(ADDED, ()) for geo in one["where"]}
    if not new:
        return fit
    panel, n = fit.panel.select([g for g in fit.panel.geos if g not in new]), len(new)
    sizes, old = fit.spec.sizes(panel), fit.scale
    params = {
        name: x[(..., *(slice(sizes[d]) for d in fit.dims(name)))]
        for name, x in fit.draws.params.items()
    }
    people = None if old.people is None else old.people[:-n]
    scale = replace(
        old,
        outcome=old.outcome[:-n],
        media=old.media[:-n],
        cost_per_unit=old.cost_per_unit[:-n],
        people=people,
    )
    info = {key: value for key, value in fit.info.items() if key != ADDED}
    draws = Draws(params, fit.draws.stats)
    return replace(fit, panel=panel, scale=scale, draws=draws, info=info)


def _with_rows(train: Panel, panel: Panel, new: list[str]) -> Panel:
    """The training panel with the rows that new geos have in its periods; no outcomes."""
    more, here = len(new), [panel.geos.index(name) for name in new]
    at = train.dates.get_indexer(panel.dates)
    late: Any = panel.dates[0]
    if (at < 0).all() and late <= train.dates[-1]:
        got = Phrase(f"periods from {checks.show(panel.dates[0])}")
        allowed = f"periods of training, or after {checks.show(train.dates[-1])}"
        fail("dates of new geos", got, "", allowed, "bring both to one frequency")
    from_, to = np.flatnonzero(at >= 0), at[at >= 0]
    order: dict[str, list[int]] = {}
    for field in ("channels", "control_names"):
        ours, theirs = getattr(train, field), getattr(panel, field)
        if lacks := [name for name in ours if name not in theirs]:
            got, fix = Phrase(f"no {listing(lacks)}"), "read its table as that of training"
            fail(f"{field} of new geos", got, "", f"all {field} of training", fix)
        order[field] = [theirs.index(name) for name in ours]
    of = {"media": "channels", "spend": "channels", "controls": "control_names"}
    arrays = {}
    for name in NUMBERS:
        old = getattr(train, name)
        rows = np.zeros((more, *old.shape[1:]), old.dtype)
        if name == "outcome":
            rows[:] = np.nan
        else:
            if name == "spend":
                rows[..., ~train.paid] = np.nan
            given = getattr(panel, name)[here][:, from_]
            rows[:, to] = given[..., order[of[name]]] if name in of else given
        arrays[name] = np.concatenate([old, rows])
    people, groups = train.population, dict(train.groups)
    if people is not None:
        if panel.people is None:
            got, fix = Phrase(f"none of {listing(new)}"), "add the column to its table"
            fail("population of new geos", got, "", "people, as in training", fix)
        known = panel.people[here]
        rows = np.repeat(known[:, :1], len(train.dates), axis=1)
        rows[:, to] = known[:, from_]
        people = np.concatenate([np.asarray(train.people), rows])
    for name, own in groups.items():
        if name not in panel.groups:
            got, fix = Phrase(f"none of {listing(new)}"), f'groups=["{name}"] in its table'
            fail(f"{name} of new geos", got, "", "the group of each geo", fix)
        groups[name] = (*own, *(panel.groups[name][i] for i in here))
    own = train.campaigns
    if own is not None:
        theirs = panel.campaigns and panel.campaigns.each(lambda x: x[here][:, from_])
        seen = own.like(theirs, more, len(from_))
        wide = own.each(lambda x: np.zeros((more, *x.shape[1:])))
        wide.media[:, to], wide.spend[:, to] = seen.media, seen.spend
        pairs = ((own.media, wide.media), (own.spend, wide.spend))
        media, spend = (np.concatenate(pair) for pair in pairs)
        own = replace(own, media=media, spend=spend)
    if train.frequency is not None:
        rows = np.full((more, *train.frequency.shape[1:]), np.nan)
        if panel.frequency is not None:
            rows[:, to] = panel.frequency[here][:, from_][..., order["channels"]]
        arrays["frequency"] = np.concatenate([train.frequency, rows])
    geos = (*train.geos, *new)
    return replace(
        train, **arrays, geos=geos, population=people, groups=groups, campaigns=own
    )


def _units(
    fit: Fit, wide: Panel, panel: Panel, means: Mapping[str, float]
) -> tuple[Scale, np.ndarray, str]:
    """Units of old and new geos; how far those of outcome scatter (new,); what they are."""
    train, old, spec = fit.panel, fit.scale, fit.spec
    n, new = train.n_geos, wide.geos[train.n_geos :]
    people = None if wide.people is None else wide.people[:, wide.window].mean(1)
    unit, scatter, said = np.full(len(new), old.outcome[0]), np.zeros(len(new)), []
    shared = spec.outcome_scale != "geo"
    for i, name in enumerate(new) if not shared else ():
        unit[i], scatter[i], by = _size(fit, wide, panel, name, means)
        said.append(f"{name} {by}")
    media = np.broadcast_to(old.media[0], (len(new), len(train.channels))).copy()
    if old.people is not None and people is not None:
        media *= (people[n:] / old.people[0])[:, None]
    elif spec.media_scale == "geo":
        ran = train.media[:, train.window].max(1) > 0  # (geo, channel)
        beside = np.where(ran, np.log(old.media / old.outcome[:, None]), np.nan)
        none = ~ran.any(0)
        usual = np.exp(np.nanmean(np.where(none, 0.0, beside), axis=0))
        largest = robust_largest if spec.scale == "robust" else np.max
        for i in range(len(new)):
            amounts, there = (
                wide.media[n + i, wide.window],
                wide.present[n + i, wide.window],
            )
            own = largest(amounts, axis=0)
            enough = 2 * there.sum() >= wide.n_periods
            own = np.where(enough & (own > 0), own, unit[i] * usual)
            media[i] = np.where(none, 1.0, own)
    cost = np.concatenate([old.cost_per_unit, wide.cost_per_unit()[n:]])
    both = lambda a, b: np.concatenate([a, b])
    known = old.people is not None and people is not None
    scale = replace(
        old,
        outcome=both(old.outcome, unit),
        media=both(old.media, media),
        cost_per_unit=cost,
        people=both(old.people, np.asarray(people)[n:]) if known else None,
    )
    text = "Units of all geos are the same" if shared else f"Size: {'; '.join(said)}"
    return scale, scatter, text


def _size(
    fit: Fit, wide: Panel, panel: Panel, name: str, means: Mapping[str, float]
) -> tuple[float, float, str]:
    """Outcome unit of a new geo, the scatter of its log, and what it is made of."""
    train, unit = fit.panel, fit.scale.outcome
    outcome, here = train.outcome[:, train.window], panel.geos.index(name)
    at = panel.dates.get_indexer(train.dates[train.window])
    own = np.where(at < 0, np.nan, panel.outcome[here][at])
    noun, seen = train.outcome_name, np.isfinite(outcome).sum(1)
    usual = np.nansum(outcome, 1) / np.maximum(seen, 1)  # 0 of geos added before
    if name in means:
        what = f'outcome_mean "{name}"'
        size = checks.number(what, means[name], low=0, open_low=True, fix="1000.0")
        sizes = usual
        by = f"by a mean {noun} of {size:g}, as stated"
    elif np.isfinite(own).any() and np.nanmean(own) > 0:
        part = outcome[:, np.isfinite(own)]
        sizes = np.nansum(part, 1) / np.maximum(np.isfinite(part).sum(1), 1)
        if not (sizes > 0).any():
            sizes = usual
        size, periods = float(np.nanmean(own)), int(np.isfinite(own).sum())
        by = f"by its {noun} in {periods} periods of training"
    elif train.people is not None and wide.people is not None:
        people = wide.people[:, wide.window].mean(1)
        sizes, size = people[: train.n_geos], float(people[wide.geos.index(name)])
        by = f"by {size:,.0f} people"
    else:
        got = Phrase("a geo of unknown size: no outcome in training, no population")
        fix = f'say its mean {noun}: outcome_mean={{"{name}": 1000.0}}, or '
        fix += f'--outcome-mean "{name}=1000" of mmmjax predict'
        fail(
            f'new geo "{name}"', got, "", f"its size, as each geo has its {noun} unit", fix
        )
    good = (sizes > 0) & (usual > 0)
    logs, scatter = np.log(unit[good] / sizes[good]), 0.0
    if by.endswith("people"):
        heads, own = (np.log(usual[good] / x[good]).var(ddof=1) for x in (sizes, unit))
        scatter = float(np.sqrt(max(heads - own, 0.0) * (1 + 1 / len(logs))))
        by += f" (a head's {noun} differs by {np.expm1(np.sqrt(heads)):.0%}: in the draws)"
    return float(np.exp(logs.mean()) * size), scatter, by


def _drawn(fit: Fit, wide: Panel, scale: Scale, seed: int) -> dict[str, np.ndarray]:
    """All parameters, new members last: (chain, draw, *dims)."""
    spec, train = fit.spec, fit.panel
    inputs, sizes = make_inputs(spec, wide, scale), spec.sizes(wide)
    values: dict[str, np.ndarray] = {}
    if spec.data_values(spec.sizes(train)):
        target = spec.likelihood.target(train, fit.scale)
        values = data_values(spec, train, fit.inputs(), target)
        for name in values:
            if name.startswith(f"{GEO}."):  # of a new geo the mean of the others
                mean = values[name].mean(0, keepdims=True)
                more = np.repeat(mean, wide.n_geos - train.n_geos, 0)
                values[name] = np.concatenate([values[name], more])
    try:
        hyper = hyperparameters(spec, sizes, values, places=places(spec, wide))
    except checks.InputError as error:
        raise checks.InputError(f"new geos: {error}") from None
    target = spec.likelihood.target(wide, scale)
    flat, (chains, draws) = fit.flat(), (fit.draws.n_chains, fit.draws.n_draws)
    with jax.enable_x64(True):
        data = ModelData(inputs, target, hyper).astype(np.float64)
        keys = key_data(seed, count=chains * draws)
        known = {n: np.asarray(x, np.float64) for n, x in flat.items()}
        found = _every(spec.structure(), data, known, keys)
    out = {}
    for name, old in flat.items():
        if name not in found or found[name].shape == old.shape:
            out[name] = old
            continue
        made = np.array(found[name], old.dtype)
        made[tuple(map(slice, old.shape))] = old  # bit for bit
        out[name] = made
    return {n: x.reshape(chains, draws, *x.shape[1:]) for n, x in out.items()}


@functools.partial(jax.jit, static_argnums=0)
def _every(
    spec: Spec, data: ModelData, known: dict[str, Array], keys: Array
) -> dict[str, Array]:
    """Parameters of every draw: what is known of a site stays, new members are drawn."""

    def one(drawn: tuple[dict[str, Array], Array]) -> dict[str, Array]:
        with _Kept(*drawn):
            return sample_parameters(spec, data)

    return jax.lax.map(one, (known, keys))


class _Kept(Messenger):
    """Sites, sampled and derived, keep their first members; the others are drawn."""

    def __init__(self, values: Mapping[str, Array], key: Array) -> None:
        self.values, self.key, self.count = values, jax.random.wrap_key_data(key), 0
        super().__init__()

    def process_message(self, msg: dict[str, Any]) -> None:
        own = self.values.get(msg["name"])
        if msg["type"] == "sample":
            self.count += 1
            if own is not None and own.shape == msg["fn"].shape():
                msg["value"] = own
                return
            msg["value"] = msg["fn"].sample(jax.random.fold_in(self.key, self.count))
        if own is not None:
            msg["value"] = msg["value"].at[tuple(map(slice, own.shape))].set(own)


def _resized(
    spec: Spec, params: dict[str, np.ndarray], n: int, scatter: np.ndarray, seed: int
) -> None:
    """Multiply what new geos have of their own and is in units of the outcome, in place."""
    if not scatter.any():
        return
    any_ = next(iter(params.values()))
    rng = np.random.default_rng([seed, n])
    factor = np.exp(scatter * rng.standard_normal((*any_.shape[:2], len(scatter))))
    linear = {
        spec.full(term, name)
        for term in spec.parts
        for name, one in term.parameters().items()
        if one.linear or (name == "saturation_beta" and term in spec.media)
    }
    straight = spec.likelihood.straight
    own_size = type(spec.likelihood).spread is Likelihood.spread
    noise = {spec.likelihood.noise} if own_size else set()
    for name in ((linear if straight else {"intercept"}) | noise) & {*params}:
        dims = spec.dims(name)
        if GEO not in dims:
            continue
        axis = 2 + dims.index(GEO)
        at = (*(slice(None),) * axis, slice(n, None))
        shape = (*factor.shape[:2], *(len(scatter) if d == GEO else 1 for d in dims))
        own, wide = factor.reshape(shape), params[name].copy()
        times = straight or name in noise
        wide[at] = wide[at] * own if times else wide[at] + np.log(own)
        params[name] = wide
