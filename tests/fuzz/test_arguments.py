"""Arguments of the library, anything in any of them: a clean message, or what was given.

Oracle: Python's own reading of the value. A number that is taken is the real number that
was given, never a part of a complex one, a text of digits or a truth value; a flag is a
flag, a text that text. The checks of types that the tests switch on are switched off here:
users have none.
"""

import datetime
from decimal import Decimal
from fractions import Fraction

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import simulate
from mmmjax.checks import InputError
from tests.fits import make_fit, make_panel
from tests.fuzz.test_toml import HOW_MANY, clean

COUNT = 130  # inputs in CI
VALUES = (
    None, True, False, np.True_, 0, 1, 3, -1, 2**53 + 1, 10**19, 10**400, -(10**400), 0.5,
    1.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf"), 1 + 2j, 3 + 0j,
    np.complex64(0.5), "12", "0.5", "nan", "", "x", "true", b"12", b"", bytearray(b"3"),
    Decimal("0.5"), Decimal("NaN"), Decimal("sNaN"), Decimal("1e999"), Fraction(1, 2),
    np.float32(0.25), np.int8(3), np.uint64(2**63), np.float16(60000), np.array(3),
    np.array(0.5), np.array([0.5]), np.array([1, 2]), np.array("12"), jnp.float32(0.5),
    [], [1], [0.5, "x"], (), (3,), {}, {"a": 1}, {1: 2}, set(), range(3), slice(3),
    pd.Period("2020", "D"), pd.Timestamp("2020-01-01"), pd.Timedelta(3, "D"), pd.NaT, pd.NA,
    datetime.date(2020, 1, 1), datetime.timedelta(3), np.datetime64("2020-01-01"),
    np.timedelta64(3, "D"), pd.Series([0.5]), pd.Series([], dtype=float), object(), int,
    lambda: 3, "a\0b", "\ud800", "x" * 300,
)  # fmt: skip


class Asked:
    """What is asked with a value: how, and what of the answer must be the value."""

    def __init__(self, name, ask, got):
        self.name, self.ask, self.got = name, ask, got


def records():
    """Every field of every record of settings."""
    prior = lambda dist, field, **more: Asked(
        f"Prior {dist} {field}",
        lambda v: mm.Prior(dist, **{field: v}, **more),
        lambda p, f=field: p.to_dict()[f],
    )
    field = lambda kind, name, **more: Asked(
        f"{kind.__name__} {name}",
        lambda v: kind(**{name: v}, **more),
        lambda made, n=name: getattr(made, n),
    )
    of_samplers = {
        mm.NUTS: ("chains", "warmup", "draws", "target_accept", "max_tree_depth", "chunk",
                  "dtype", "max_draws"),
        mm.HMC: ("chains", "draws", "leapfrogs", "target_accept"),
        mm.Laplace: ("draws", "proposals"), mm.Pathfinder: ("paths", "iterations"),
        mm.SMC: ("target_ess", "moves"), mm.ChEES: ("chains", "max_leapfrogs"),
        mm.MCLMC: ("adjusted",),
    }  # fmt: skip
    return [
        prior("Normal", "loc", scale=1.0), prior("Normal", "scale", loc=0.0),
        prior("Beta", "concentration1", concentration0=2.0),
        prior("Uniform", "low", high=1e9),
        field(mm.adstock.Geometric, "max_lag"), field(mm.adstock.Geometric, "normalize"),
        field(mm.seasonality.Fourier, "order"), field(mm.likelihood.TruncatedNormal, "low"),
        field(mm.Converged, "r_hat"), field(mm.Converged, "ess"),
        *(field(kind, n) for kind, names in of_samplers.items() for n in names),
        field(mm.Spec, "trend"), field(mm.Spec, "adstock_first"),
        field(mm.Spec, "outcome_scale"),
        *(field(simulate.Process, n) for n in ("periods", "seed", "noise", "channels")),
    ]  # fmt: skip


def of_panels():
    frame = pd.DataFrame({
        "date": pd.date_range("2024-01-01", periods=30, freq="W-MON"),
        "y": np.arange(30.0) + 1, "a": np.arange(30.0), "b": np.arange(30.0) % 7,
    })  # fmt: skip
    usual = {"date": "date", "outcome": "y", "media": ["a"]}
    read = lambda **changed: mm.Panel.from_frame(frame, **(usual | changed))

    def cell(value):
        cells = list(frame["a"].astype(object))
        cells[3] = value
        return mm.Panel.from_frame(frame.assign(a=pd.Series(cells, dtype=object)), **usual)

    return [
        Asked("outcome_value", lambda v: read(outcome_value=v), lambda p: p.outcome_value),
        Asked("currency", lambda v: read(currency=v), lambda p: p.currency),
        Asked("date", lambda v: read(date=v), lambda p: p.columns.date),
        Asked("geo", lambda v: read(geo=v), lambda p: p.columns.geo),
        Asked("media", lambda v: read(media=v), None),
        Asked("controls", lambda v: read(controls=v), None),
        Asked("spend", lambda v: read(spend=v), None),
        Asked("freq", lambda v: read(freq=v), None),
        Asked("decimal", lambda v: read(decimal=v), None),
        Asked("a cell of media", cell, None),
        Asked("split", lambda v: read().split(v), None),
        Asked("select", lambda v: read().select(v), None),
    ]


def of_fits():
    fit = make_fit(draws=30, panel=make_panel(geos=("national",), periods=20))
    plan = lambda **asked: mm.optimize(fit, **({"periods": 4, "budget": 500.0} | asked))
    return [
        Asked("predict seed", lambda v: mm.predict(fit, seed=v),
              lambda x: int(x.attrs["seed"])),
        Asked("predict prob", lambda v: mm.predict(fit, draws=False, prob=v),
              lambda x: x.attrs["prob"]),
        Asked("predict memory", lambda v: mm.predict(fit, memory=v), None),
        Asked("optimize budget", lambda v: plan(budget=v),
              lambda p: round(float(p.optimized.sum()), 6)),
        Asked("optimize periods", lambda v: plan(periods=v), None),
        Asked("optimize seed", lambda v: plan(seed=v), None),
        Asked("optimize bounds", lambda v: plan(bounds={"TV": v}), None),
        Asked("optimize bounds of all", lambda v: plan(bounds=v), None),
        Asked("optimize starts", lambda v: plan(starts=v), None),
        Asked("optimize draws", lambda v: plan(max_draws=v), None),
        Asked("prior draws", lambda v: mm.sample_prior(fit.spec, fit.panel, draws=v), None),
        Asked("save", lambda v: mm.save(fit, v), None),
        Asked("load", mm.load, None),
    ]  # fmt: skip


def same(got, value):
    """Whether what was taken is what was given, as plain Python."""
    if isinstance(got, bool | np.bool_):
        return isinstance(value, bool | np.bool_) and bool(got) == bool(value)
    if isinstance(got, str) or got is None:
        return type(value) is type(got) and got == value
    if isinstance(got, int | float):
        known = isinstance(value, int | float | Decimal | Fraction)
        scalar = getattr(value, "shape", None) == () and value.dtype.kind in "iuf"
        if isinstance(value, bool) or not (known or scalar):
            return False
        return got == (int(value) if isinstance(got, int) else float(value))
    return not isinstance(got, Decimal | Fraction | np.generic | np.ndarray)


@pytest.fixture
def unchecked():
    """As users run it."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.mark.parametrize("slow", HOW_MANY)
def test_arguments(slow, unchecked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked, failed = [*records(), *of_panels(), *of_fits()], []
    rng = np.random.default_rng(0)
    pairs = rng.permutation(len(asked) * len(VALUES))[: COUNT * (10 if slow else 1)]
    for pair in pairs:
        one, value = asked[pair // len(VALUES)], VALUES[pair % len(VALUES)]
        left_out = value is None and one.name == "optimize budget"  # that of the reference
        try:
            found = one.ask(value)
            if one.got and not left_out and not same(one.got(found), value):
                failed.append((one.name, value, f"taken as {one.got(found)!r}"))
        except InputError as error:
            if not clean(str(error)):
                failed.append((one.name, value, f"message: {error}"))
        except Exception as error:
            failed.append((one.name, value, f"{type(error).__name__}: {error}"[:200]))
    told = "\n".join(str(f)[:400] for f in failed)
    assert not failed, f"{len(failed)} of {len(pairs)}:\n{told}"
