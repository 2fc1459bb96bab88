"""Spec: what the model is, as data.

A Spec is frozen, compares and hashes by value, and goes to TOML and back. Its structure
(kernels, families, dims) is static under jit; its numbers (hyperparameters) are resolved
against a panel by :func:`hyperparameters` and passed as arrays.
"""

import dataclasses
import difflib
import functools
import math
import re
import tomllib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import tomli_w

from mmmjax import checks, words
from mmmjax.arguments import checked
from mmmjax.kernels.adstock import AUTO, Geometric
from mmmjax.kernels.saturation import Logistic
from mmmjax.kernels.seasonality import Fourier
from mmmjax.likelihood import LIKELIHOODS, OUTCOME, Likelihood, Normal
from mmmjax.prior import (
    DIMS,
    HORSESHOE,
    SPREAD,
    DataValue,
    Parameter,
    Prior,
    Site,
    Support,
    inside_horseshoe,
    media_share,
    pooled,
    replace_prior,
    sites,
)
from mmmjax.roles import ROLES, check, role_of
from mmmjax.shapes import CAMPAIGN, GEO
from mmmjax.terms import Controls, Intercept, Mean, Media, Reach, Term, Trend, Waves

__all__ = ["Spec", "among", "hyperparameters"]

MEDIA_SHARE = 0.3
"""Weak: with four channels of equal spend its 94% interval is from a tenth to a half."""


class Priors(dict[str, Prior]):
    """Every prior of a spec; ``asked`` are those that are not the default ones.

    So a spec with another kernel, term or likelihood takes the defaults of that.
    """

    def __init__(self, full: Mapping[str, Prior], asked: Mapping[str, Prior]):
        super().__init__(full)
        self.asked = asked


@checked
@dataclass(frozen=True)
class Spec(Mean):
    """What the model is.

    Args:
        adstock: Adstock record, e.g. ``mm.adstock.Geometric(max_lag=8)``.
        saturation: Saturation record, e.g. ``mm.saturation.Logistic()``.
        seasonality: ``mm.seasonality.Fourier(order)`` or None. The default is left out of
            fits of less than a year of data, and says so.
        trend: A linear trend over the training window.
        likelihood: ``mm.likelihood.Normal()``, ``TruncatedNormal()``, ``StudentT()``, ...;
            ``Normal(link="log")``, for one, where effects multiply.
        priors: Priors by parameter name; the rest are the defaults of terms, kernels and
            likelihood. A prior without dims takes the parameter's default ones, and what is
            pooled over geos by default; with dims it has those and no other.
        adstock_first: Carry-over before saturation (the default) or after it.
        outcome_scale: Divide the outcome by one largest value ("shared") or by each geo's
            ("geo"). "auto": by each geo's.
        media_scale: The same for media; or media per head by one largest value per head
            ("population"). "auto": per head where the panel has a population, else by each
            geo's. With one geo "auto" is "shared".
        scale: What a largest value is: "robust" takes the second largest where the largest
            is at least 2.5 times it, "max" the largest whatever it is.
        media_share: Share of the outcome, in (0, 1], that all media together bring before
            the data speak: what ``mm.media_share``, the default scale of saturation_beta,
            stands for.
        per_day: Months and quarters as long as they are, see :meth:`mmmjax.Scale.lengths`.
        terms: Further terms, records of ``mm.terms``; one with the name of a term above
            ("channel", "control", ...) takes its place. Of several media terms each has
            the channels that it names, and one the rest.

    Raises:
        InputError: Unknown parameter, a prior whose values the parameter cannot take, dims
            that the parameter cannot have.
    """

    adstock: Any = field(default_factory=Geometric)
    saturation: Any = field(default_factory=Logistic)
    seasonality: Fourier | None = field(default_factory=lambda: Fourier(auto=True))
    trend: bool = False
    likelihood: Likelihood = field(default_factory=Normal)
    priors: Mapping[str, Prior] = field(default_factory=dict)
    adstock_first: bool = True
    outcome_scale: Literal["auto", "shared", "geo"] = "auto"
    media_scale: Literal["auto", "shared", "geo", "population"] = "auto"
    scale: Literal["robust", "max"] = "robust"
    media_share: float = MEDIA_SHARE
    per_day: bool = False
    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        """Check the choices and complete the priors."""
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if not any(type(value) is type(one) and value == one for one in allowed):
                checks.fail(
                    f"spec {name}", value, "spec", f"one of {allowed}", f"{allowed[0]!r}"
                )
        for name in _RECORDS:
            check(name, getattr(self, name))
        for term in self.terms:
            check("term", term)
        object.__setattr__(self, "terms", tuple(self.terms))
        self.check_terms()
        for term in self.media:
            check("adstock", term.adstock)
            check("saturation", term.saturation)
            for one in term.movers:
                check("moving", one)
        _complete(self, _full(self))
        _check_share(self)

    def __hash__(self) -> int:
        """By value, like equality."""
        each = (vars(self)[n] for n in (*_RECORDS, *_PLAIN, "seasonality", "terms"))
        return hash((*each, tuple(self.priors.items())))

    @functools.cached_property
    def parts(self) -> tuple[Term, ...]:
        """Every term in the model's order: those of the short way, and ``terms``."""
        order = self.seasonality.order if self.seasonality else 0
        usual: list[Term] = [
            Intercept(),
            *([Trend()] if self.trend else []),
            Media("channel", None, self.adstock, self.saturation, self.adstock_first),
            Controls(),
            *([Waves(order)] if order else []),
        ]
        given = {term.name: term for term in self.terms}
        own = [given.get(term.name, term) for term in usual]
        return (*own, *(term for term in self.terms if term not in own))

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Every parameter this spec can have, in the model's order, as priors name it."""
        found: dict[str, Parameter] = {}
        last, levels = self.likelihood.parameters(), self.likelihood.levels()
        for term in self.parts:
            for name, one in {**term.parameters(), **term.within()}.items():
                dims, full = (
                    tuple(self.dim(term, d) for d in one.dims),
                    self.full(term, name),
                )
                if full in found or full in last:
                    fix = f"rename it in the parameters of {term.name} or of the other"
                    checks.fail("parameter", full, "spec", "a name that no other has", fix)
                found[full] = one._replace(dims=dims, prior=levels.get(name, one.prior))
        return {**found, **last}

    def present(self, sizes: Mapping[str, int]) -> tuple[str, ...]:
        """Parameters that a panel of these sizes has (no campaigns: none of campaigns)."""
        return tuple(
            name
            for name, one in self.parameters.items()
            if all(sizes.get(d, d.rpartition(".")[2] != CAMPAIGN) for d in one.dims)
        )

    def sites(self, sizes: Mapping[str, int]) -> tuple[Site, ...]:
        """Sampled arrays of the model for a panel of these sizes, in order.

        Each says which parameter it belongs to (``path[0]``), whether it is shared or local
        (``local``: the dim, or ""), and of offsets of a pooled parameter where they scatter
        (``level``: sites of the typical value and of the spread, link).
        """
        return tuple(s for n in self.present(sizes) for s in sites(n, self.priors[n]))

    def data_values(self, sizes: Mapping[str, int]) -> set[str]:
        """Names of the data-derived hyperparameters that a panel of these sizes needs."""
        values = (v for s in self.sites(sizes) for _, v in s.prior.params)
        return {v.name for v in values if isinstance(v, DataValue)}

    def dims(self, name: str) -> tuple[str, ...]:
        """Dims of a stored parameter or nested hyperparameter, in order."""
        if name in self.priors:
            return self.priors[name].dims or ()
        derived = self.likelihood.formula()
        if name in derived and name != OUTCOME:  # over all dims of what it follows from
            words = re.findall(r"\w+", derived[name])
            over = {d for n in words if n in self.priors for d in self.dims(n)}
            return tuple(dict.fromkeys(d for d in (*DIMS, *sorted(over)) if d in over))
        for parameter, prior in self.priors.items():
            for site in sites(parameter, prior):
                if name in (site.name, site.makes):
                    return site.dims
        raise KeyError(name)

    def structure(self) -> "Spec":
        """This spec without its numbers: what a compiled program depends on."""
        new = object.__new__(Spec)
        for f in dataclasses.fields(self):
            object.__setattr__(new, f.name, getattr(self, f.name))
        bare = {n: p.structure() for n, p in self.priors.items()}
        object.__setattr__(new, "priors", bare)
        object.__setattr__(new, "media_share", MEDIA_SHARE)
        object.__setattr__(new, "likelihood", self.likelihood.structure())
        vars(new).update(parts=self.parts, media=self.media, parameters=self.parameters)
        return new

    def to_dict(self) -> dict[str, Any]:
        """As the [model] table of a case file."""
        return _to_table(self)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Spec":
        """From the [model] table of a case file; an unknown key is an error."""
        return cls(**_from_table(table))

    def to_toml(self) -> str:
        """TOML text with a [model] table; :meth:`from_toml` reads it back equal."""
        return tomli_w.dumps({"model": self.to_dict()})

    @classmethod
    def from_toml(cls, text: str) -> "Spec":
        """From TOML text with a [model] table (other tables are not the spec's)."""
        table = tomllib.loads(text)
        if "model" not in table:
            checks.fail("spec", sorted(table), "TOML", "a [model] table", "add [model]")
        return cls.from_dict(table["model"])

    _repr_html_ = words.in_html

    def __repr__(self) -> str:
        """One line a choice, priors below."""
        order = (
            "adstock, then saturation" if self.adstock_first else "saturation, then adstock"
        )
        lines = [
            "Spec",
            f"  media        {self.adstock!r}, {self.saturation!r} ({order})",
            f"  seasonality  {self.seasonality!r}",
            f"  trend        {'linear' if self.trend else None}",
            f"  likelihood   {self.likelihood!r}",
            f"  scales       outcome {self.outcome_scale}, media {self.media_scale} "
            f"({self.scale})" + ", per day" * self.per_day,
            *(f"  term         {term!r}" for term in self.terms),
            "  priors",
        ]
        width = max(map(len, self.priors))
        return "\n".join(
            lines + [f"    {n:<{width}}  {p!r}" for n, p in self.priors.items()]
        )


def among(spec: Spec, sizes: Mapping[str, int]) -> Spec:
    """The spec for a panel of these sizes: over a dim of one member nothing is pooled."""
    priors = dict(spec.priors)
    for name, prior in priors.items():
        for dim, _ in prior.pool if GEO in sizes else ():
            if dim not in sizes:
                fix = f'groups = ["{dim}"] under [data], or over = "{GEO}"'
                groups = sorted({*sizes} - {*DIMS})
                allowed = f"a group of the panel ({checks.listing(groups)})"
                checks.fail(f"pooled over of {name}", dim, "spec", allowed, fix)
        kept = tuple(level for level in prior.pool if sizes.get(level[0]) != 1)
        if kept == prior.pool:
            continue
        dims = prior.dims
        if sizes.get(prior.pool[-1][0]) == 1:  # groups of one geo go with it
            kept, dims = (), tuple(d for d in dims or () if d != GEO)
        priors[name] = replace_prior(prior, pool=kept, dims=dims)
    return spec if priors == spec.priors else dataclasses.replace(spec, priors=priors)


def _full(spec: Spec) -> Priors:
    """Every prior of a spec: those that were asked for, of the rest the default ones."""
    known, given = spec.parameters, getattr(spec.priors, "asked", spec.priors)
    for name in given:
        if name not in known:
            _unknown_parameter(name, tuple(known))
    usual = {n: _with_dims(n, p.prior, p) for n, p in known.items()}
    own = {n: _with_dims(n, given[n], known[n]) for n in known if n in given}
    asked = {n: given[n] for n, prior in own.items() if prior != usual[n]}
    return Priors(usual | own, asked)


def _complete(spec: Spec, priors: Priors) -> None:
    """Make a spec explicit: its full priors, and a number for max_lag = "auto"."""
    object.__setattr__(spec, "priors", priors)
    for term in spec.media:
        carry: Any = term.adstock
        if carry.max_lag != AUTO:
            continue
        own = {n: priors[spec.full(term, n)] for n in carry.parameters()}
        found = dataclasses.replace(carry, max_lag=carry.window(own))
        if term in spec.terms:
            new = dataclasses.replace(term, adstock=found)
            terms = tuple(new if one == term else one for one in spec.terms)
            object.__setattr__(spec, "terms", terms)
        else:
            object.__setattr__(spec, "adstock", found)
        vars(spec).pop("parts", None)
    if "parts" not in vars(spec):
        vars(spec).pop("media", None)


def _check_share(spec: Spec) -> None:
    """Refuse media_share where it has no meaning, and a number of it that nothing takes."""
    bounds: dict[str, Any] = {"low": 0, "high": 1, "open_low": True}
    share = checks.number("spec media_share", spec.media_share, **bounds)
    object.__setattr__(spec, "media_share", share)
    effects = {spec.full(term, "saturation_beta") for term in spec.media}
    taken = False
    for name, prior in spec.priors.items():
        for site in sites(name, prior):
            for key in (k for k, v in site.prior.params if v == media_share):
                if name not in effects or key != "scale":
                    allowed = "media_share as the scale of saturation_beta only"
                    place = f"prior of {name} {key}"
                    checks.fail(place, media_share, "", allowed, "write a number")
                taken = True
    if share != MEDIA_SHARE and not taken:
        fix = f"saturation_beta = {Prior('HalfNormal', scale=media_share).to_toml()}"
        got = checks.Phrase(f"{share:g}, but no prior takes it")
        checks.fail("spec media_share", got, "spec", "a prior that takes it", fix)


_CHOICES: dict[str, tuple[Any, ...]] = {
    "trend": (True, False),
    "adstock_first": (True, False),
    "outcome_scale": ("auto", "shared", "geo"),
    "media_scale": ("auto", "shared", "geo", "population"),
    "scale": ("robust", "max"),
    "per_day": (False, True),
}
_RECORDS = ("adstock", "saturation", "likelihood")
_PLAIN = (
    "trend",
    "adstock_first",
    "outcome_scale",
    "media_scale",
    "scale",
    "media_share",
    "per_day",
)
KEYS = (*_RECORDS, "seasonality", *_PLAIN, "priors", "term", "channels", "controls")


def _to_table(spec: Spec) -> dict[str, Any]:
    wave = spec.seasonality
    seasonal: Any = False
    if wave:
        seasonal = {"order": wave.order} | ({"auto": True} if wave.auto else {})
    return {
        "adstock": _record_to_dict(spec.adstock),
        "saturation": _record_to_dict(spec.saturation),
        "seasonality": seasonal,
        "trend": spec.trend,
        "likelihood": _record_to_dict(spec.likelihood),
        "adstock_first": spec.adstock_first,
        "outcome_scale": spec.outcome_scale,
        "media_scale": spec.media_scale,
        "scale": spec.scale,
        "media_share": spec.media_share,
        **({"per_day": True} if spec.per_day else {}),
        "priors": {n: p.to_dict() for n, p in spec.priors.items()},
    } | ({"term": [_record_to_dict(term) for term in spec.terms]} if spec.terms else {})


def _from_table(table: Mapping[str, Any]) -> dict[str, Any]:
    for key in table:
        if key not in KEYS:
            _unknown_key("[model]", key, KEYS)
    args: dict[str, Any] = {k: table[k] for k in _PLAIN if k in table}
    if "trend" in table:
        args["trend"] = _trend_from(table["trend"])
    for name in _RECORDS:
        if name in table:
            args[name] = _record_from_dict(name, table[name])
    if "seasonality" in table:
        args["seasonality"] = _seasonality_from(table["seasonality"])
    if "term" in table:
        if not isinstance(table["term"], list):
            fix = 'write [[model.term]] above kind = "media"'
            checks.fail("term", table["term"], "[model]", "a list of tables", fix)
        args["terms"] = tuple(_term_from(*pair) for pair in enumerate(table["term"], 1))
    usual = {k: table[k] for k in ("adstock", "saturation", "adstock_first") if k in table}
    channels = table.get("channels", {})
    if not isinstance(channels, Mapping) or not all(
        isinstance(own, Mapping) for own in channels.values()
    ):
        fix = 'TV = { saturation = { kind = "hill" } } under [model.channels]'
        checks.fail("[model] channels", channels, "", "a table of tables", fix)
    for channel, own in channels.items():
        name = re.sub(r"\W", "_", channel.lower())
        name = name if name.isidentifier() else f"channel_{name}"
        usual_of = dict(usual)
        if own.get("kind") == Reach.kind:  # what is carried over is not saturated again
            usual_of.pop("saturation", None)
        term = {"kind": Media.kind, "name": name, "channels": [channel], **usual_of, **own}
        args["terms"] = (*args.get("terms", ()), _record_from_dict("term", term))
    if (given := table.get("controls")) is not None:
        args["terms"] = (*args.get("terms", ()), Controls.of(given))
    told = table.get("priors", {})
    if not isinstance(told, Mapping):
        checks.fail("[model] priors", told, "", "a table", "[model.priors]")
    tables: dict[str, Any] = {}
    for name, one in told.items():
        own = isinstance(one, Mapping) and "dist" not in one and one.values()
        if own and all(isinstance(p, Mapping) for p in own):  # tv.adstock_alpha, no quotes
            tables |= {f"{name}.{n}": p for n, p in one.items()}
        else:
            tables[name] = one
    priors: dict[str, Prior] = {}
    for name, one in tables.items():
        try:
            priors[name] = Prior.from_dict(one)
        except checks.InputError as error:
            raise checks.InputError(f"prior of {name}: {error}") from None
    return {**args, "priors": priors}


def hyperparameters(
    spec: Spec,
    sizes: Mapping[str, int],
    data: Mapping[str, np.ndarray],
    without: Container[str] = (),
    places: Mapping[str, np.ndarray] | None = None,
) -> dict[str, dict[str, Any]]:
    """Numbers of all priors as arrays: the pytree that compiled programs take.

    Args:
        spec: A full spec (not its structure).
        sizes: Members of each dim: geo, channel, control, fourier.
        data: Values of data-derived hyperparameters by name, e.g. ``spend_share``
            (channel,), one number per member of the last dim as of a list; where there is
            a "geo.<name>" (geo, channel) too, a prior over geos takes that.
        without: Parameters to leave out.
        places: Of a dim that holds some of the channels only, where they stand among all.
    """
    names = [name for name in spec.present(sizes) if name not in without]
    return {n: _resolve(n, spec.priors[n], sizes, data, places or {}) for n in names}


def _resolve(
    name: str, prior: Prior, sizes: Mapping[str, int], data: Mapping[str, np.ndarray],
    places: Mapping[str, np.ndarray],
) -> dict[str, Any]:  # fmt: skip
    out: dict[str, Any] = {
        key: _resolve(f"{name}_{key}", spread, sizes, data, places)
        for key, spread in prior.spreads.items()
    }
    prior = prior.typical
    shape = tuple(sizes[d] for d in prior.dims or ())
    own = places.get(prior.dims[-1], slice(None)) if prior.dims else slice(None)
    if prior.family == HORSESHOE:
        out |= inside_horseshoe(name, prior, shape[-1], data)
    for key, value in prior.params:
        if isinstance(value, Prior):
            out[key] = _resolve(f"{name}_{key}", value, sizes, data, places)
            continue
        more = ""
        if isinstance(value, DataValue):
            array, more = data[value.name], f" ({value} needs the channel dim)"
            if GEO in (prior.dims or ()):
                array = data.get(f"{GEO}.{value}", array)
            array = array[..., own]
        else:
            array = np.asarray(value, float)
        if array.ndim and array.shape not in (shape[-1:], shape):
            last = prior.dims[-1] if prior.dims else "no dim"
            checks.fail(
                f"prior of {name} {key}",
                f"{array.size} numbers",
                f"dims {prior.dims}",
                f"one number, or one per {last} ({shape[-1] if shape else 0})",
                f"give as many numbers as the last dim has members{more}",
            )
        out[key] = array
    return out


_RANGES: dict[Support, tuple[float, float, str]] = {
    "unit": (0.0, 1.0, "in [0, 1]: Beta or Uniform(low=0, high=1)"),
    "positive": (0.0, math.inf, "positive: Gamma, HalfNormal, LogNormal, ..."),
    "negative": (-math.inf, 0.0, "negative: NegativeHalfNormal"),
}


def _with_dims(name: str, prior: Any, parameter: Parameter) -> Prior:
    default = parameter.dims
    if not isinstance(prior, Prior):
        fix = 'mm.Prior("Normal", loc=0.0, scale=1.0)'
        checks.fail(f"prior of {name}", prior, "spec", "a Prior", fix)
    prior = _renamed(prior, {d.rpartition(".")[2]: d for d in default})
    sparse = prior.family == HORSESHOE
    if parameter.pooled and prior.dims is None and not prior.pool and not sparse:
        spread: Any = parameter.pooled
        same = (prior.support == "real") == (parameter.prior.support == "real")
        if not same:  # another link than the default's: as far as the prior, or by a half
            own = dict(prior.params).get("scale")
            own = own if isinstance(own, (float, tuple)) else 0.1
            spread = own if prior.support == "real" else SPREAD
        prior = pooled(prior, GEO, spread=Prior("HalfNormal", scale=spread))
    dims = default if prior.dims is None else prior.dims
    last = prior.pool[-1][0] if prior.pool else ""
    if last and last not in dims:
        dims = prior.with_dims((*dims, last)).dims or ()
    allowed = {GEO, *default}
    if not set(dims) <= allowed:
        near = checks.closest(next(d for d in dims if d not in allowed), allowed)
        fix = f"dims={list(default)}, or add 'geo' for one value per geo"
        fix = f'did you mean "{near}"?' if near else fix
        checks.fail(f"prior of {name}", dims, "dims", f"a subset of {sorted(allowed)}", fix)
    ranges = dict(_RANGES)
    if parameter.support == "interval":
        ends = dict(parameter.prior.params)
        low, high = ends["low"], ends["high"]
        words = f"in [{low:g}, {high:g}]: Uniform(low={low:g}, high={high:g})"
        ranges["interval"] = (low, high, words)
    if sparse and not (parameter.linear and default and set(dims) == {*default}):
        allowed = "of coefficients of one dim, such as gamma_control, and over that dim"
        fix = 'Prior("Normal", scale=0.5), or no dims'
        checks.fail(f"prior of {name}", prior, "spec", f"{HORSESHOE} {allowed}", fix)
    if parameter.support in ranges:
        low, high, words = ranges[parameter.support]
        if not prior.within(low, high):
            checks.fail(f"prior of {name}", prior, "spec", words, "change the family")
    missing = [d for d in default if d not in dims]
    if missing and parameter.linear:
        fix = f"dims={list(default)}: each {missing[0]} has its own coefficient"
        checks.fail(f"prior of {name}", dims, "dims", f"with {missing[0]!r}", fix)
    rest = tuple(d for d in dims if d != last)
    nested = tuple(
        (k, _nested_dims(name, k, v, rest) if isinstance(v, Prior) else v)
        for k, v in prior.params
    )
    pool = tuple(
        (
            over,
            _nested_dims(name, key, s if s.dims is not None else s.with_dims(rest), rest),
        )
        for (over, s), key in zip(prior.pool, prior.spreads, strict=True)
    )
    return replace_prior(prior, dims=dims, params=nested, pool=pool)


def _renamed(prior: Prior, names: Mapping[str, str]) -> Prior:
    """With the dims of a term as a spec names them, in nested priors too."""
    params = tuple(
        (k, _renamed(v, names) if isinstance(v, Prior) else v) for k, v in prior.params
    )
    own = lambda dim: names.get(dim.rpartition(".")[2], dim)
    dims = prior.dims and tuple(map(own, prior.dims))
    pool = tuple((own(over), _renamed(spread, names)) for over, spread in prior.pool)
    return replace_prior(prior, dims=dims, params=params, pool=pool)


def _nested_dims(name: str, key: str, inner: Prior, outer: Sequence[str]) -> Prior:
    dims = inner.dims or ()
    if not set(dims) <= set(outer):
        fix = "a hyperparameter varies over fewer dims than its parameter"
        allowed = f"a subset of {outer}"
        checks.fail(f"prior of {name}_{key}", dims, "nested prior", allowed, fix)
    params = tuple(
        (k, _nested_dims(f"{name}_{key}", k, v, dims) if isinstance(v, Prior) else v)
        for k, v in inner.params
    )
    return replace_prior(inner, dims=dims, params=params)


def _record_to_dict(record: Any) -> dict[str, Any]:
    """A record as a table, those inside it too; what is None is left out."""
    fields = [(f, getattr(record, f.name)) for f in dataclasses.fields(record) if f.init]
    return {"kind": record.kind} | {
        f.name: dict(found) if f.metadata.get("table") and type(found) is list else found
        for f, found in ((f, _plain(value)) for f, value in fields)
        if found is not None and not (f.metadata.get("usual") and found == f.default)
    }


def _plain(value: Any) -> Any:
    """As TOML holds it."""
    if hasattr(value, "kind"):
        return _record_to_dict(value)
    return list(map(_plain, value)) if isinstance(value, tuple) else value


def _record_from_dict(role: str, table: Any) -> Any:
    registry = ROLES[role].kinds
    if isinstance(table, Mapping) and role in _RECORDS:
        table = {"kind": next(iter(registry)), **table}
    if not isinstance(table, Mapping) or table.get("kind") not in tuple(registry):
        got = table.get("kind", table) if isinstance(table, Mapping) else table
        near = checks.closest(got, registry) if isinstance(got, str) else None
        fix = f'write {role} = {{ kind = "{near or next(iter(registry))}" }}'
        if role == "term":
            fix = f'write kind = "{near or Media.kind}"'
        if isinstance(got, str):
            fix += "; a kind of your own: first import the module that registers it"
        checks.fail(f"{role} kind", got, "[model]", f"one of {', '.join(registry)}", fix)
    return _made(role, registry[table["kind"]], table)


def _term_from(number: int, table: Any) -> Any:
    """The record of one [[model.term]]; what is wrong with it says which."""
    own = table if isinstance(table, Mapping) else {}
    named = [f'{k} = "{own[k]}"' for k in ("name", "kind") if k in own][:1]
    try:
        return _record_from_dict("term", table)
    except checks.InputError as error:
        place = " ".join(["[[model.term]]", str(number), *(f"({n})" for n in named)])
        raise checks.InputError(f"{place}: {error}") from None


def _made(what: str, cls: Any, table: Mapping[str, Any]) -> Any:
    """The record of a table; lists become tuples."""
    fields = [f.name for f in dataclasses.fields(cls) if f.init]
    args: dict[str, Any] = {}
    for key, value in table.items():
        if key not in ("kind", *fields):
            _unknown_key(f"[model] {what}", key, ("kind", *fields))
        if key != "kind":
            role = role_of(cls, key)
            several = role and isinstance(value, list)
            read = functools.partial(_record_from_dict, role) if role else _tuples
            args[key] = tuple(map(read, value)) if several else read(value)
    return cls(**args)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _seasonality_from(value: Any) -> Fourier | None:
    if value is False:
        return None
    if not isinstance(value, Mapping) and value is not True:
        allowed, fix = "{ order = N }, true or false", "write seasonality = { order = 2 }"
        checks.fail("seasonality", value, "[model]", allowed, fix)
    table = {} if value is True else value
    kind = table.get("kind", Fourier.kind)
    if kind != Fourier.kind:
        fix = f'write seasonality = {{ kind = "{Fourier.kind}" }}'
        checks.fail("seasonality kind", kind, "[model]", f"one of {Fourier.kind}", fix)
    return _made("seasonality", Fourier, table)


def _trend_from(value: Any) -> bool:
    """Of true, false or `{ kind = "linear" }`, as its neighbours are written."""
    table = value if isinstance(value, Mapping) else {}
    for key in table:
        if key != "kind":
            _unknown_key("[model] trend", key, ("kind",))
    kind = table.get("kind", "linear")
    if kind != "linear" or not isinstance(value, Mapping | bool):
        allowed, fix = 'true, false or { kind = "linear" }', "write trend = true"
        got = kind if kind != "linear" else value
        checks.fail("trend", got, "[model]", allowed, fix)
    return value if isinstance(value, bool) else True


def _unknown_key(where: str, key: str, allowed: Sequence[str]) -> None:
    close = difflib.get_close_matches(key, allowed, 1)
    fix = f"did you mean {close[0]!r}?" if close else "remove it"
    checks.fail("key", key, where, f"one of {', '.join(allowed)}", fix)


def _unknown_parameter(name: str, names: Sequence[str]) -> None:
    hints = {
        "gamma_fourier": "this spec has no seasonality: set seasonality=Fourier(order)",
        "trend_slope": "this spec has no trend: set trend=True",
        "y_rho": 'likelihood = { kind = "normal", autoregressive = true } has it',
        "y_growth": "a likelihood with growing = true has it",
        "y_zero": "a likelihood with zeros = true has it",
    }
    for cls in LIKELIHOODS.values():
        new = {n: f"only the {cls.__name__} likelihood has it" for n in cls().parameters()}
        hints = new | hints
    close = difflib.get_close_matches(str(name), names, 1)
    fix = hints.get(name) or (f"did you mean {close[0]!r}?" if close else "remove it")
    checks.fail("prior for parameter", name, "spec", f"one of {', '.join(names)}", fix)
