"""Priors as data: a family, its hyperparameters and the dimensions it varies over.

A :class:`Prior` separates what is static (family, names, dims) from what is not (the
numbers), so that markets with different priors share one compilation. A hyperparameter
is a number, a list with one number per member of the last dim, a quantity taken from
the data (:data:`media_share`, :data:`spend_share`), or, for location and scale, another
prior.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from mmmjax import checks, laws
from mmmjax.arguments import checked
from mmmjax.families import FAMILIES, HORSESHOE, Family, Support

__all__ = [
    "FAMILIES",
    "HORSESHOE",
    "DataValue",
    "Level",
    "Parameter",
    "Prior",
    "Site",
    "around",
    "few_relevant",
    "inside_horseshoe",
    "media_share",
    "pooled",
    "spend_share",
    "standard",
]

DIMS = ("geo", "channel", "control", "fourier")


@dataclass(frozen=True)
class DataValue:
    """A hyperparameter that is computed from the training panel when the model is built."""

    name: str

    def __repr__(self) -> str:
        """Print the name it has in a TOML file."""
        return self.name


media_share = DataValue("media_share")
"""As the scale of a HalfNormal ``saturation_beta``: before the data speak, money brings the
same return in every channel, and all media together ``Spec.media_share`` of the outcome
(:mod:`mmmjax.media_prior` has the formula). The default."""
few_relevant = DataValue("few_relevant")
"""Scale of the global scale of a Horseshoe: relevant / (members - relevant) times noise
over the root of the number of outcomes (:mod:`mmmjax.sparse`); not to be given by hand."""
spend_share = DataValue("spend_share")
"""Each channel's share of paid spend in the training window (an organic channel gets the
mean share). As the scale of ``saturation_beta`` it says: before the data speak, a peak
period brings effect in proportion to what the channel spends in all periods."""
DATA_VALUES = {"media_share": media_share, "spend_share": spend_share}

SPREAD = 0.5  # of members by default: log and logit differ by about a half

Value = Any  # float | tuple[float, ...] | DataValue | Prior


@checked
@dataclass(frozen=True, init=False)
class Prior:
    """A distribution family with hyperparameters and dims.

    Args:
        family: One of :data:`FAMILIES`; called ``dist`` in TOML.
        dims: "geo", "channel", "control", "fourier" or a dim of a term: one independent
            value per member. None takes the default dims of the parameter it is given to.
        **params: Hyperparameters by numpyro's names (``loc``, ``scale``, ``rate``,
            ``concentration``, ...); PyMC's (``mu``, ``sigma``, ``alpha``, ...) are
            understood. In scaled units (design: outcome and media divided by their
            maxima). A list gives one number per member of the last dim. Location and scale
            of location-scale families, and of LogNormal and LogitNormal (those of the log
            and the logit), may be priors themselves (sampled non-centred).
            ``Horseshoe`` is of many coefficients (``gamma_control``) of which about
            ``relevant`` matter, by ``slab`` for one standard deviation of their column.

    Raises:
        InputError: Unknown family, name or dim; a scale that is not above 0.

    Example:
        ``Prior("Normal", loc=0.2, scale=Prior("HalfNormal", scale=0.1), dims=("geo",))``
    """

    family: str
    params: tuple[tuple[str, Value], ...]
    dims: tuple[str, ...] | None = field(default=None)
    pool: tuple[tuple[str, "Prior"], ...] = ()
    """(dim, spread on the link's scale) of what it is pooled over, the coarsest first:
    see :func:`pooled`."""

    def __init__(
        self, family: str, *, dims: str | Sequence[str] | None = None, **params: Value
    ):
        """Check names and numbers; see the class."""
        known = _lookup("prior family", family, FAMILIES)
        values = {known.aliases.get(k, k): _freeze(family, k, v) for k, v in params.items()}
        for name in values:
            if name not in known.names:
                _unknown(f"hyperparameter of {family}", name, known.names)
        values = {**known.optional, **values}
        missing = [n for n in known.names if n not in values]
        if missing:
            checks.fail(
                f"prior {family}",
                sorted(params),
                "its hyperparameters",
                f"all of {', '.join(n for n in known.names if n not in known.optional)}",
                f"add {', '.join(f'{n}=...' for n in missing)}",
            )
        for name, value in values.items():
            _check_value(family, known, name, value)
        low, high = (np.atleast_1d(values.get(k, i)) for i, k in enumerate(("low", "high")))
        fits = low.size == high.size or 1 in (low.size, high.size)
        if not (fits and np.all(low < high)):
            fix = "swap low and high" if fits else "give as many numbers for both"
            checks.fail(f"prior {family} high", values["high"], "prior", "above low", fix)
        object.__setattr__(self, "family", family)
        object.__setattr__(self, "params", tuple((n, values[n]) for n in known.names))
        object.__setattr__(self, "dims", None if dims is None else _ordered(dims))
        object.__setattr__(self, "pool", ())

    @property
    def nested(self) -> dict[str, "Prior"]:
        """Hyperparameters that are priors themselves; those that a Horseshoe has inside."""
        if self.family == HORSESHOE:
            law = Prior("HalfCauchy", scale=1.0)
            above = replace_prior(law, dims=(), params=(("scale", few_relevant),))
            return {"global": above, "local": replace_prior(law, dims=self.dims)}
        return {k: v for k, v in self.params if isinstance(v, Prior)}

    @property
    def typical(self) -> "Prior":
        """The prior of what members are pooled around: itself where nothing is pooled."""
        if not self.pool:
            return self
        rest = self.dims and tuple(d for d in self.dims if d != self.pool[-1][0])
        return replace_prior(self, pool=(), dims=rest)

    @property
    def spreads(self) -> dict[str, "Prior"]:
        """Priors of the spreads: "spread" of the last dim, "<dim>_spread" of groups."""
        last = len(self.pool) - 1
        names = (
            "spread" if i == last else f"{d}_spread" for i, (d, _) in enumerate(self.pool)
        )
        return dict(zip(names, (spread for _, spread in self.pool), strict=True))

    @property
    def support(self) -> Support:
        """Where the parameter lives, as far as the transforms need to know."""
        return FAMILIES[self.family].support

    @property
    def base(self) -> str:
        """Family of the offset when location or scale is a prior itself."""
        return FAMILIES[self.family].base or self.family

    @property
    def link(self) -> laws.Link:
        """What makes location + scale * offset a value."""
        return FAMILIES[self.family].link

    def within(self, low: float, high: float) -> bool:
        """Whether every value this prior can give lies in [low, high]."""
        if self.support == "real":
            return low == -math.inf and high == math.inf
        if self.support == "positive":
            return low <= 0 and high == math.inf
        if self.support == "negative":
            return low == -math.inf and high >= 0
        if self.support == "unit":
            return low <= 0 and high >= 1
        values = dict(self.params)
        return bool(np.all(np.asarray(values["low"]) >= low)) and bool(
            np.all(np.asarray(values["high"]) <= high)
        )

    def with_dims(self, dims: Sequence[str]) -> "Prior":
        """The same prior over other dims."""
        return replace_prior(self, dims=_ordered(dims))

    def structure(self) -> "Prior":
        """This prior without its numbers: what a compiled program depends on."""
        link = ("low", "high") if self.pool else ()  # bounds of what is pooled
        blank = tuple(
            (k, v.structure() if isinstance(v, Prior) else v if k in link else None)
            for k, v in self.params
        )
        pool = tuple((dim, spread.structure()) for dim, spread in self.pool)
        return replace_prior(self, params=blank, pool=pool)

    def distribution(self, values: Mapping[str, Any]) -> dist.Distribution:
        """The numpyro distribution for hyperparameter arrays (broadcast against dims)."""
        return FAMILIES[self.family].make(**{k: values[k] for k, _ in self.params})

    def to_dict(self) -> dict[str, Any]:
        """As a TOML-ready table."""
        out: dict[str, Any] = {"dist": self.family}
        for name, value in self.params:
            if isinstance(value, Prior):
                out[name] = value.to_dict()
            elif isinstance(value, DataValue):
                out[name] = value.name
            else:
                out[name] = list(value) if isinstance(value, tuple) else value
        if self.pool:
            told = [(dim, spread.to_dict()) for dim, spread in self.pool]
            over, spread = zip(*told, strict=True) if len(told) > 1 else told[0]
            out["pooled"] = {"over": over, "spread": spread}
        return out if self.dims is None else {**out, "dims": list(self.dims)}

    def to_toml(self) -> str:
        """As the inline table of a case file."""
        text = re.sub(r'"(\w+)": ', r"\1 = ", json.dumps(self.to_dict()))
        return text.replace("{", "{ ").replace("}", " }").replace("Infinity", "inf")

    @classmethod
    def from_dict(cls, table: Any) -> "Prior":
        """From a TOML table ``{dist = "HalfNormal", scale = "spend_share"}``."""
        if not isinstance(table, Mapping) or "dist" not in table:
            checks.fail(
                "prior",
                table,
                "[model.priors]",
                'a table with "dist"',
                'write { dist = "Normal", loc = 0.0, scale = 1.0 }',
            )
        values: dict[str, Any] = {}
        for name, value in table.items():
            if name in ("dist", "dims", "pooled"):
                continue
            if isinstance(value, str):
                value = _lookup(f"data value of prior {name}", value, DATA_VALUES)
            values[name] = cls.from_dict(value) if isinstance(value, Mapping) else value
        prior = cls(table["dist"], dims=table.get("dims"), **values)
        if "pooled" not in table:
            return prior
        told: Any = table["pooled"]
        told = {"over": told} if isinstance(told, str) else told
        if not isinstance(told, Mapping) or not set(told) <= {"over", "spread"}:
            fix = 'pooled = { over = "geo", spread = 0.5 }'
            checks.fail("pooled", told, "[model.priors]", "a table of over and spread", fix)
        spread = told.get("spread", SPREAD)
        several = isinstance(spread, (list, tuple))
        made = [_spread(s) for s in (spread if several else [spread])]
        return pooled(prior, told.get("over", "geo"), made if several else made[0])

    def __repr__(self) -> str:
        """As it would be written in Python."""
        inside = ", ".join(
            f"{k}={list(v) if isinstance(v, tuple) else v!r}" for k, v in self.params
        )
        dims = f", dims={self.dims}" if self.dims else ""
        text = f"{self.family}({inside}{dims})"
        if self.pool:
            one = len(self.pool) == 1
            over, spread = self.pool[0] if one else zip(*self.pool, strict=True)
            text = f"pooled({text}, over={over!r}, spread={spread!r})"
        return text


class Parameter(NamedTuple):
    """What a term, a kernel or a likelihood needs sampled.

    Args:
        dims: What it varies over unless its prior says otherwise.
        prior: Its default, scaled units.
        support: The values it can take; a prior must stay within them ("interval": those
            that its default can).
        linear: Whether the mean is affine in it.
        pooled: Spread of geos around a typical value, on the link's scale of its default,
            unless its prior gives dims or says what is pooled; None: one for all geos.
    """

    dims: tuple[str, ...]
    prior: Prior
    support: Support = "real"
    linear: bool = False
    pooled: float | DataValue | None = None


class Level(NamedTuple):
    """How members of a pooled dim scatter: link(value) = link(above) + spread * offset.

    Args:
        value: The parameter that the offsets make: "<name>", or "<name>_<group>".
        typical: Site of the typical value, in natural units.
        above: What they scatter around: ``typical``, or the value of the group above.
        spread: Site of the spread, on the link's scale.
        over: The dim that is pooled over, or the group.
        group: Dim of ``above`` where that is a group: the place of each member's group is
            the array "<over>.<group>".
        link: Between natural units and those of the spread.
        spread_dims: What the spread varies over.
    """

    value: str
    typical: str
    above: str
    spread: str
    over: str
    group: str
    link: laws.Link
    spread_dims: tuple[str, ...]


class Site(NamedTuple):
    """One sampled array of the model.

    Args:
        name: As the program samples it.
        prior: Its prior; of an offset with ``level``, the standard Normal.
        path: The parameter it belongs to, then its address in its hyperparameters.
        dims: What it varies over.
        offset: Sampled as the standard offset of a nested or pooled prior.
        level: Of the offsets of a pooled prior, what they scatter around and how far.
    """

    name: str
    prior: Prior
    path: tuple[str, ...]
    dims: tuple[str, ...]
    offset: bool
    level: Level | None = None

    @property
    def makes(self) -> str:
        """The parameter that it is, or whose offset it is."""
        if self.level:
            return self.level.value
        return self.name.removesuffix("_offset") if self.offset else self.name

    @property
    def local(self) -> str:
        """The dim whose members have each their own part of it; "" of what is shared."""
        over = self.level.over if self.level else ""
        return "geo" if "geo" in self.dims else over

    @property
    def support(self) -> Support:
        """Where the site lives: an offset where its standard law does."""
        return FAMILIES[self.prior.base if self.offset else self.prior.family].support

    @property
    def sign(self) -> int:
        """Of every value it can have: 1 or -1; 0 where it has both, or other bounds."""
        return {"positive": 1, "negative": -1}.get(self.support, 0)


def sites(name: str, prior: Prior) -> list[Site]:
    """Sampled sites of one parameter, nested priors first.

    A prior with nested hyperparameters is sampled as ``<name>_offset``; the nested ones as
    ``<name>_<hyperparameter>``. A pooled one is ``<name>_typical``, ``<name>_spread`` and
    ``<name>_offset``, groups above geos ``<name>_<group>_spread`` and ``..._offset``.
    """
    if prior.pool:
        return _pooled_sites(name, prior)
    found: list[Site] = []
    for key, inner in prior.nested.items():
        found += [
            s._replace(path=(name, key, *s.path[1:])) for s in sites(f"{name}_{key}", inner)
        ]
    own = f"{name}_offset" if found else name
    return [*found, Site(own, prior, (name,), prior.dims or (), bool(found))]


def _pooled_sites(name: str, prior: Prior) -> list[Site]:
    typical = f"{name}_typical"
    found = [s._replace(path=(name, *s.path[1:])) for s in sites(typical, prior.typical)]
    above, group, offset = typical, "", Prior("Normal", loc=0.0, scale=1.0)
    own = prior.pool[-1][0] if prior.pool else ""
    links = {"real": laws.IDENTITY, "positive": laws.LOG, "unit": laws.LOGIT}
    links["negative"] = laws.MINUS_LOG
    link = links.get(prior.support)
    if link is None:
        link = laws.between(*(dict(prior.params)[end] for end in ("low", "high")))
    for (over, spread), key in zip(prior.pool, prior.spreads, strict=True):
        scale = f"{name}_{key}"
        found += [s._replace(path=(name, key, *s.path[1:])) for s in sites(scale, spread)]
        value = scale.removesuffix("_spread")
        dims = tuple(over if d == own else d for d in prior.dims or ())
        level = Level(value, typical, above, scale, over, group, link, spread.dims or ())
        law = replace_prior(offset, dims=dims)
        found.append(Site(f"{value}_offset", law, (name,), dims, True, level))
        above, group = value, over
    return found


@checked
def pooled(
    prior: Prior,
    over: str | Sequence[str] = "geo",
    spread: Any = SPREAD,
) -> Prior:
    """A prior whose members learn from each other, whatever its family.

    Each member's value is link(typical) + spread * offset, taken back by the link, with
    offset ~ Normal(0, 1): the log of what is positive, the logit of what lies between
    bounds, else the value itself. The typical value has the given prior; there is a spread
    for each member of the further dims. Over a dim of one member it is the prior itself.

    Args:
        prior: Of the typical value, scaled units.
        over: The dim; or groups above geos and geos, the coarsest first: ("country",
            "geo"), where the panel has such ``groups``.
        spread: On the link's scale, above 0: a number (HalfNormal of this scale) or a
            Prior; for several dims one for all, or one for each.

    Raises:
        InputError: No prior; a dim twice; groups of anything but geos; a spread that is not
            above 0.
    """
    dims = [over] if isinstance(over, str) else list(over)
    plain = [isinstance(d, str) and all(map(str.isidentifier, d.split("."))) for d in dims]
    if not dims or not all(plain) or len(set(dims)) < len(dims):
        checks.fail("pooled over", over, "prior", "a dim, or a list of them", 'over="geo"')
    if len(dims) > 1 and (dims[-1] != "geo" or {*dims[:-1]} & {*DIMS}):
        allowed, fix = "groups of geos, then geo", 'over=("country", "geo")'
        checks.fail("pooled over", over, "prior", allowed, fix)
    each = tuple(spread) if isinstance(spread, (list, tuple)) else (spread,) * len(dims)
    if len(each) != len(dims):
        allowed = f"one number or Prior, or {len(dims)} of them"
        checks.fail("pooled spread", spread, "prior", allowed, "spread=0.5")
    made = list[Prior]()
    for dim, one in zip(dims, each, strict=True):
        what = "pooled spread" if len(dims) == 1 else f"pooled spread of {dim}"
        if not isinstance(one, Prior):
            try:
                one = Prior("HalfNormal", scale=checks.number(what, one))
            except checks.InputError:
                allowed = "a number above 0, or a Prior of what is positive"
                checks.fail(what, one, "prior", allowed, "spread=0.5")
        if not one.within(0.0, math.inf) or one.pool:
            fix = 'a number, or mm.Prior("HalfNormal", scale=0.5)'
            checks.fail(what, one, "prior", "positive, not pooled", fix)
        made.append(one)
    if prior.family == HORSESHOE:
        allowed, fix = "a law of one number", 'Prior("Normal", scale=0.5)'
        checks.fail("pooled prior", prior, "prior", allowed, fix)
    if prior.pool:
        fix = 'over=("country", "geo") of the plain prior, where groups of geos are meant'
        checks.fail("pooled prior", prior, "prior", "one that is not pooled yet", fix)
    full = None if prior.dims is None else _ordered((*prior.dims, dims[-1]))
    return replace_prior(prior, pool=tuple(zip(dims, made, strict=True)), dims=full)


def standard(prior: Prior, values: Mapping[str, Any]) -> dist.Distribution:
    """The distribution of the offset when location or scale is a prior itself."""
    fixed = {"loc": jnp.zeros(()), "scale": jnp.ones(())}
    base = FAMILIES[prior.base]
    return base.make(**{k: fixed.get(k, values.get(k)) for k in base.names})


def around(prior: Prior, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """Location and scale that standard offsets are put on, on the link's scale.

    Of a Horseshoe the scale is s = slab r / sqrt(1 + r^2) with r = global * local / slab,
    per unit of what the coefficient belongs to.

    Args:
        prior: With priors inside it.
        values: All its hyperparameters, what is sampled of them as sampled.

    Source: Piironen and Vehtari (2017), "Sparsity information and regularization in the
    horseshoe and other shrinkage priors", equation 2.8.
    """
    if prior.family != HORSESHOE:
        return values.get("loc", 0.0), values.get("scale", 1.0)
    slab = values["slab"]
    ratio = values["global"] * values["local"] / slab
    return 0.0, slab * ratio / (1.0 + ratio * ratio) ** 0.5 / values["unit"]


def inside_horseshoe(
    name: str, prior: Prior, many: int, data: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Numbers of what a Horseshoe has inside, and the unit of each of its coefficients.

    Args:
        name: Of the parameter.
        prior: Its prior.
        many: Coefficients.
        data: From :func:`mmmjax.sparse.sparse_values`; 1 where it has nothing of them.

    Raises:
        InputError: As many are said to be relevant as there are, or more.
    """
    relevant: float = dict(prior.params)["relevant"]
    if relevant >= many:
        got, few = checks.Phrase(f"{relevant:g} of {many}"), max(many // 5, 1)
        allowed = f"fewer than there are ({', '.join(prior.dims or ())}: {many})"
        fix = f"relevant = {few}" if many > 1 else 'dist = "Normal", scale = 0.5'
        checks.fail(f"prior of {name} relevant", got, "", allowed, fix)
    noise = data.get(few_relevant.name, np.ones(()))
    return {
        "global": {"scale": np.asarray(relevant / (many - relevant) * noise)},
        "local": {"scale": np.ones(())},
        "unit": data.get(f"swing.{name}", np.ones(many)),
    }


def _spread(told: Any) -> Any:
    try:
        return Prior.from_dict(told) if isinstance(told, Mapping) else told
    except checks.InputError as error:
        raise checks.InputError(f"pooled spread: {error}") from None


def replace_prior(prior: Prior, **changes: Any) -> Prior:
    """A copy with fields replaced, unchecked (they come from a checked prior)."""
    new = object.__new__(Prior)
    for key in ("family", "params", "dims", "pool"):
        object.__setattr__(new, key, changes.get(key, getattr(prior, key)))
    return new


def _freeze(family: str, name: str, value: Any) -> Value:
    if isinstance(value, (Prior, DataValue)):
        return value
    plain = family == HORSESHOE or name in ("low", "high", "lower", "upper")
    known = () if plain else tuple(DATA_VALUES)
    if isinstance(value, str) and (value in known or checks.closest(value, known)):
        return _lookup(f"data value of {family} {name}", value, DATA_VALUES)
    bound = family == "TruncatedNormal" and plain
    what, fix = f"prior {family} {name}", f"write {name}=1.0"
    if isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 1:
        if not len(value):
            checks.fail(what, value, "prior", "one number for each member", fix)
        return tuple(checks.number(what, x, infinite=bound, fix=fix) for x in value)
    try:
        return checks.number(what, value, infinite=bound, fix=fix)
    except checks.InputError:
        some = "" if family == HORSESHOE else ", a list of such numbers"
        more = f", {' or '.join(known)}, or a Prior" if known else ""
        allowed = f"a {'' if bound else 'finite '}number{some}{more}"
        checks.fail(what, value, "prior", allowed, fix)


def _check_value(family: str, known: Family, name: str, value: Value) -> None:
    if family == HORSESHOE and (name == "relevant" or isinstance(value, DataValue)):
        what, allowed = f"prior {family} {name}", "how many are thought to matter"
        if not isinstance(value, float):
            allowed = allowed if name == "relevant" else "a number"
            checks.fail(what, value, "prior", f"a number, {allowed}", f"{name}=3")
    if isinstance(value, Prior) and value.family == HORSESHOE:
        allowed, fix = "a law of one number", 'Prior("Normal", scale=0.1)'
        checks.fail(f"prior {family} {name}", value, "nested prior", allowed, fix)
    if isinstance(value, Prior):
        if name not in known.nests:
            allowed = [f for f, k in FAMILIES.items() if name in k.nests]
            checks.fail(
                f"prior {family} {name}",
                value,
                "nested prior",
                f"a number ({name} can be a prior in {', '.join(allowed) or 'no family'})",
                "use a number or one of those families",
            )
        if name == "scale" and not value.within(0.0, math.inf):
            checks.fail(
                f"prior {family} scale",
                value,
                "nested prior",
                "positive",
                "HalfNormal(...)",
            )
        return
    if isinstance(value, DataValue):
        if name in ("low", "high"):
            fix = "write the bound as a number"
            checks.fail(f"prior {family} {name}", value, "prior", "a number", fix)
        return
    if name in known.positive and not np.all(np.asarray(value) > 0):
        checks.fail(
            f"prior {family} {name}", value, "prior", "above 0", f"write {name}=1.0"
        )


def _ordered(dims: Any) -> tuple[str, ...]:
    given = (dims,) if isinstance(dims, str) else dims
    if not isinstance(given, Iterable):
        allowed, fix = f"some of {', '.join(DIMS)}", f'dims=["{DIMS[0]}"]'
        checks.fail("dims of a prior", dims, "prior", allowed, fix)
    given = tuple(given)
    for dim in given:  # a term may have dims of its own: a spec knows which there are
        plain = isinstance(dim, str) and all(map(str.isidentifier, dim.split(".")))
        near = plain and "." not in dim and dim not in DIMS and checks.closest(dim, DIMS)
        if not plain or near:
            _unknown("dim of a prior", dim, DIMS)
    usual = [d for d in DIMS if d in given]
    return (*usual, *(d for d in dict.fromkeys(given) if d not in DIMS))


def _lookup(what: str, name: Any, table: Mapping[str, Any]) -> Any:
    if name not in tuple(table):
        _unknown(what, name, tuple(table))
    return table[name]


def _unknown(what: str, name: object, allowed: Sequence[str]) -> NoReturn:
    close = difflib.get_close_matches(str(name), allowed, 1)
    fix = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(allowed)}"
    checks.fail(what, name, "prior", f"one of {', '.join(allowed)}", fix)
