"""Roles in a spec: the base class and the kinds of each, and what a kind of one's own says.

A class that a user wrote is looked at here before anything is computed with it, whether it
was registered (:func:`mmmjax.register`) or a record of it was given to a Spec.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from mmmjax import checks
from mmmjax.arguments import meant
from mmmjax.checks import Phrase, listing
from mmmjax.kernels.adstock import ADSTOCKS, Adstock
from mmmjax.kernels.saturation import SATURATIONS, Saturation
from mmmjax.likelihood import LIKELIHOODS, OUTCOME, Likelihood, Target
from mmmjax.prior import DIMS, Parameter, Prior, Support
from mmmjax.shapes import CHAIN, CHANNEL, DATE, DRAW, GEO
from mmmjax.terms import TERMS, Interaction, Media, Term
from mmmjax.terms.base import Group
from mmmjax.terms.moving import MOVING, Moving

__all__ = ["OURS", "ROLES", "Role", "check", "check_class", "role_of", "same"]


class Role(NamedTuple):
    """A part of a spec.

    Args:
        base: What its records derive from.
        kinds: Its classes by kind.
        says: Methods that each has itself.
        write: A record as a person writes it.
    """

    base: type
    kinds: dict[str, Any]
    says: tuple[str, ...]
    write: str

    @property
    def home(self) -> str:
        """Namespace of its records."""
        return ".".join(self.write.split(".")[:2])


ROLES = {
    "adstock": Role(
        Adstock, ADSTOCKS, ("parameters", "weights"), "mm.adstock.Geometric(max_lag=8)"
    ),
    "saturation": Role(
        Saturation, SATURATIONS, ("parameters", "__call__"), "mm.saturation.Logistic()"
    ),
    "likelihood": Role(Likelihood, LIKELIHOODS, ("law",), "mm.likelihood.Normal()"),
    "term": Role(Term, TERMS, ("parameters", "__call__"), "mm.terms.Media()"),
    "moving": Role(
        Moving, MOVING, ("parameters", "labels", "columns"), "mm.moving.Process()"
    ),
}
OURS = frozenset(cls for role in ROLES.values() for cls in role.kinds.values())
TAKEN = (*DIMS, CHAIN, DRAW, DATE, OUTCOME)  # names that no parameter can have
SHAPE, HALF = (2, 3, 12), 0.5  # of a trial: geos, channels, periods; every parameter


def check(name: str, record: Any) -> None:
    """Refuse what is no record of a role, or one of a class that could not be used.

    Args:
        name: The role.
        record: What was given for it.
    """
    role = ROLES[name]
    if not isinstance(record, role.base):
        what = f"a record of {role.home}"
        fix = f"write {meant(role.base, record) or role.write}"
        checks.fail(f"spec {name}", record, "spec", what, fix)
    if type(record) in OURS:
        return
    check_class(name, type(record))
    try:
        hash(record)
    except TypeError:
        got = Phrase(f"{record!r}, which has no hash")
        fix = "a tuple in place of a list or an array"
        checks.fail(name, got, "spec", "fields that cannot be changed", fix)
    _tried(name, record)


def check_class(name: str, cls: type, role: Role | None = None) -> None:
    """Refuse a class that is no frozen dataclass with a kind and methods of its own.

    Args:
        name: The role.
        cls: The class.
        role: What is asked of it, where that is no part of a spec: fields need no default.
    """
    where, part = f"in class {cls.__qualname__}", role is None
    role = ROLES[name] if role is None else role
    made: Any = vars(cls).get("__dataclass_params__")
    if made is None or not (made.frozen and made.eq):
        got = Phrase("a class that is no frozen dataclass")
        fix = f"@dataclass(frozen=True) above class {cls.__name__}"
        checks.fail(name, got, where, "a frozen dataclass", fix)
    kind, fields = getattr(cls, "kind", None), dataclasses.fields(cls)
    if not isinstance(kind, str) or any(f.name == "kind" for f in fields):
        fix = f'kind: ClassVar[str] = "{cls.__name__.lower()}"'
        got = Phrase("none" if kind is None else f"{kind!r}, a field or no text")
        checks.fail("kind", got, where, "a text of the class, no field", fix)
    checks.name("kind", kind)
    other = role.kinds.get(kind, cls)
    if not same(other, cls):
        got = Phrase(f'"{kind}", which is {other.__module__}.{other.__qualname__}')
        checks.fail("kind", got, where, "a kind of its own", f'kind = "{kind}_2"')
    for method in role.says:
        if getattr(cls, method) is getattr(role.base, method) and not issubclass(
            cls, Media
        ):
            fix = f"def {method}(self, ...): see the docstring of {role.base.__name__}"
            checks.fail(method, Phrase("none"), where, "a method of its own", fix)
    for f in fields:
        bare = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if part and f.init and bare:
            fix = f"{f.name}: ... = a usual value"
            checks.fail(f"field {f.name}", Phrase("no default"), where, "one", fix)
    dims = getattr(cls, "dims", ())
    for dim in dims if isinstance(dims, tuple) else ():
        near = checks.closest(dim, DIMS)
        if near and dim not in DIMS:
            fix, allowed = f'"{cls.__name__.lower()}"', f'a name less like "{near}"'
            checks.fail("dim", dim, where, allowed, fix)
    group = getattr(cls, "group", None)
    groups = [g for g in get_args(Group) if g != CHANNEL]
    if name == "term" and not issubclass(cls, Media | Interaction) and group not in groups:
        fix = f'group: ClassVar[str] = "{groups[0]}"'
        checks.fail("group", group, where, listing(groups, 6, "or"), fix)


def same(one: Any, other: Any) -> bool:
    """Whether both are one class or function, or that of a cell which was run again."""
    named = lambda x: (x.__module__, x.__qualname__)
    return one is other or (one not in OURS and named(one) == named(other))


def role_of(cls: Any, field: str) -> str:
    """Role of the record, or of each of several, that a field holds; empty: of none."""
    if field in ROLES:
        return field
    f = next(f for f in dataclasses.fields(cls) if f.name == field)
    made = f.default
    if f.default_factory is not dataclasses.MISSING:
        made = f.default_factory()
    made = made[0] if isinstance(made, tuple) and made else made
    return next((n for n, role in ROLES.items() if isinstance(made, role.base)), "")


@functools.lru_cache(256)
def _tried(name: str, record: Any) -> None:
    """Look at a record of somebody else's: its fields, its parameters, what it makes."""
    where = f"in {record!r}"
    for f in dataclasses.fields(record):
        value, role = getattr(record, f.name), role_of(type(record), f.name)
        if role and value is not None:
            for one in value if isinstance(value, tuple) else (value,):
                check(role, one)
        elif not (_plain(value) or (value is None and f.default is None)):
            allowed = "what a TOML file holds: numbers, text, true or false, tuples of them"
            fix = "float(...) or tuple(...) of it; None only as default"
            checks.fail(f"field {f.name}", value, where, allowed, fix)
    asked = record.parameters()
    if not isinstance(asked, Mapping):
        fix = 'return {"name": mm.terms.Parameter((), prior)}'
        checks.fail("parameters", asked, where, "a dict", fix)
    for parameter, one in asked.items():
        _check_parameter(name, record, parameter, one)
    if isinstance(record, Adstock):
        checks.integer(f"max_lag {where}", getattr(record, "max_lag", None), low=1)
    if isinstance(record, Likelihood) and record.noise not in ("", *asked):
        fix = f'noise: ClassVar[str] = "{next(iter(asked), "")}"'
        checks.fail("noise", record.noise, where, "one of its parameters, or empty", fix)
    if isinstance(record, Term | Moving):  # what it makes depends on the panel
        return
    try:
        problem = _law(record) if isinstance(record, Likelihood) else _kernel(record)
    except checks.InputError:
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:120]
        problem = f"{type(error).__name__}: {said}"
    if problem:
        fix = "call it with media (2, 3, 12) of 0 and 1, parameters (2, 3) of 0.5; guard "
        fix += "roots and logarithms at 0: jnp.where(x > 0, x, 1.0) inside them too"
        if name == "likelihood":
            fix = "call law() with a mean (2, 12) and parameters (2, 1) of 0.5"
        what = f"a {name} of jax.numpy, with parameters that broadcast"
        checks.fail(f"trial of a {name}", Phrase(problem), where, what, fix)


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_plain, value))
    return isinstance(value, bool | int | float | str) and value == value


def _check_parameter(role: str, record: Any, name: Any, one: Any) -> None:
    where = f"in {record!r}"
    if not (isinstance(name, str) and name.isidentifier()) or name in TAKEN:
        allowed = "letters, digits and _, and no name of a dim"
        checks.fail("parameter", name, where, allowed, f'"{role}_size"')
    if not isinstance(one, Parameter) or not isinstance(one.prior, Prior):
        fix = 'mm.terms.Parameter((), mm.Prior("Normal", loc=0.0, scale=1.0))'
        checks.fail(f"parameter {name}", one, where, "a Parameter with a Prior", fix)
    if one.support not in get_args(Support) or (
        one.support == "interval" and one.prior.support != "interval"
    ):
        fix = f'"{one.prior.support}", or the prior mm.Prior("Uniform", low=0, high=1)'
        allowed = f"one of {', '.join(get_args(Support))}, as its prior has it"
        checks.fail(f"support of {name}", one.support, where, allowed, fix)
    usual = {CHANNEL} if role in ("adstock", "saturation") else set()
    dims = set(one.dims)
    if role in ("term", "moving"):
        usual, known = dims, {*DIMS, *record.dims} - {GEO}
    else:
        known = usual
    if dims != usual or not dims <= known:
        allowed = listing(sorted(known), 6, "or") or "no dim"
        fix = f"Parameter({tuple(sorted(usual & known))!r}, ...); its prior may say dims"
        checks.fail(f"dims of {name}", one.dims, where, allowed, fix)


def _kernel(record: Any) -> str:
    """What is wrong with what a kernel makes of numbers; empty if nothing is."""
    lag = getattr(record, "max_lag", 1)
    shape = (*SHAPE[:2], max(SHAPE[2], lag))
    middle = lambda one: np.mean([v for k, v in one.prior.params if k in ("low", "high")])
    p = {
        name: jnp.full(SHAPE[:2], middle(one) if one.support == "interval" else HALF)
        for name, one in record.parameters().items()
    }
    if isinstance(record, Adstock):
        got = jax.eval_shape(record.weights, p).shape
        if p and got != (*SHAPE[:2], lag):
            return f"weights of shape {got} for parameters of {SHAPE[:2]} and {lag} lags"
    media = jnp.concatenate([jnp.zeros((*shape[:2], 1)), jnp.ones(shape)[..., 1:]], -1)
    out = jax.eval_shape(record, media, p)
    if out.shape != shape:
        return f"an array of shape {out.shape} for media of {shape}"
    value, slopes = jax.value_and_grad(lambda p: record(media, p).sum())(p)
    if not all(bool(jnp.isfinite(x).all()) for x in (value, *slopes.values())):
        return f"a value or slope that is not finite, of media 0 and 1 at {HALF}"
    nothing = record(jnp.zeros(shape), p)
    if bool((nothing != 0).any()):
        return f"{float(nothing.ravel()[0]):g} of no media, which is not 0"
    said = record.concave(p)
    if isinstance(record, Saturation) and said and all(np.all(x) for x in said.values()):
        line = np.asarray(record(jnp.broadcast_to(jnp.linspace(0, 4, 200), (2, 3, 200)), p))
        if np.any(np.diff(line, n=2) > 1e-4 * np.abs(line).max()):
            return "a curve that bends upwards, which concave() says it does not"
    return ""


def _law(record: Likelihood) -> str:
    """The same of a likelihood."""
    shape = SHAPE[::2]
    p = {n: np.full((SHAPE[0], 1), HALF) for n in record.parameters()}
    p |= {n: np.asarray(x) for n, x in record.derived(p).items()}
    ones = np.ones((SHAPE[0], 1))
    target = Target(np.ones(shape), np.ones(shape, bool), 0 * ones, ones)
    ask = lambda mean, y: record.law(mean, p, target).log_prob(y)
    found = jax.eval_shape(ask, np.ones(shape), target.outcome).shape
    if found != shape:
        return f"a density of shape {found} for outcomes of {shape}"
    if type(record).deviates is Likelihood.deviates:
        ask = lambda mean, y: record.law(mean, p, target).cdf(y)
        try:
            jax.eval_shape(ask, np.ones(shape), target.outcome)
        except NotImplementedError:
            return "a law without a cdf, and no deviates() of its own"
    return ""
