"""Kinds that a user wrote go wherever the library's own go; bad ones stop at the door."""

import inspect
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax.budget.utility import UTILITIES
from mmmjax.facts import FACTS
from mmmjax.model import noise_of
from mmmjax.roles import OURS, ROLES, check
from mmmjax.terms import Parameter
from tests import own
from tests.fits import MADE, shared
from tests.posterior.examples import national_panel

QUICK = mm.NUTS(chains=2, warmup=50, draws=40, until=None)
PARTS = {
    "adstock": own.Hyperbolic(max_lag=4),
    "saturation": own.Weibull(shape=1.5),
    "likelihood": own.Logistic(heavier=0.4),
}
STEPS = own.Steps(knots=(5.0, 11.0))
SPEC = shared(mm.Spec(**PARTS, terms=(STEPS,), seasonality=None))
NAMES = {"adstock_decay", "saturation_width", "step_height", "saturation_beta"}
PRIOR = mm.Prior("Gamma", concentration=3.0, rate=1.0)


@pytest.fixture(autouse=True)
def restored():
    """What a test registers is gone after it."""
    live = [*(role.kinds for role in ROLES.values()), FACTS, UTILITIES]
    kept = [(one, dict(one)) for one in live]
    yield
    for live, was in kept:
        live.clear()
        live.update(was)


@pytest.fixture(scope="module")
def fit():
    return mm.fit(SPEC, national_panel(), QUICK, seed=0)


def elsewhere(code, *args):
    """What a fresh process prints."""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True, text=True, cwd=root, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow(parts=6)
def test_unregistered_records_are_fitted_explained_and_planned(fit):
    assert set(fit.draws.params) >= NAMES
    assert np.isfinite(mm.roas(fit)["roas_total"]).all()
    assert "baseline" in mm.decomposition(fit)["component"].values
    assert {"saturation_width", "step_height"} <= set(mm.summary(fit)["parameter"])
    assert "saturation_width" in str(mm.structure(SPEC, fit.panel))
    plan = mm.optimize(fit, budget=1e4, periods=4)
    assert not plan.certified
    assert "not concave under Weibull" in str(plan)
    concave = mm.Spec(saturation=own.Exponential(), seasonality=None)
    mild = mm.fit(concave, national_panel(), QUICK, seed=0)
    assert mm.optimize(mild, budget=1e4, periods=4).certified


def test_numbers_of_a_likelihood_reach_the_sampler():
    """Not those of its defaults: a compiled program has the density of the record."""
    for heavier in (0.4, 2.0):
        spec = shared(mm.Spec(likelihood=own.Logistic(heavier), seasonality=None))
        bare = spec.structure()
        p = noise_of({"y_sigma": jnp.asarray(0.3)}, bare)
        law = bare.likelihood.law(jnp.zeros((1, 3)), p, None)
        expected = stats.logistic(0.0, heavier * 0.3).logpdf(0.7)
        np.testing.assert_allclose(law.log_prob(0.7), np.full((1, 3), expected), rtol=1e-5)
    one, two = (mm.Spec(likelihood=mm.likelihood.TruncatedNormal(low=x)) for x in (0, 1))
    assert one.structure() == two.structure()  # one program for any bound


LOAD = """
import json, sys, mmmjax as mm
try:
    mm.load(sys.argv[1]); said = ""
except mm.InputError as e:
    said = str(e)
from tests import own
for cls in own.EVERY:
    mm.register(cls)
fit = mm.load(sys.argv[1])
roas = mm.roas(fit)["roas_total"].values.tolist()
from mmmjax.cli.app import app
try:
    app(["optimize", sys.argv[2], "--budget", "1e4", "--periods", "4"])
except SystemExit as e:
    code = e.code
print(json.dumps({"said": said, "spec": fit.spec.to_toml(), "roas": roas, "code": code}))
"""


@pytest.mark.slow(parts=6)
def test_saved_at_once_loaded_where_it_is_registered(fit, tmp_path):
    path = mm.save(fit, tmp_path / "fit.nc")
    with pytest.raises(mm.InputError, match="import the module that registers it"):
        mm.load(path)
    there = elsewhere(LOAD, path, tmp_path)
    assert there["code"] in (0, 2, None)  # 2: too few draws
    assert '"hyperbolic"' in there["said"]
    assert "import the module that registers it" in there["said"]
    assert there["spec"] == SPEC.to_toml()
    np.testing.assert_allclose(there["roas"], mm.roas(fit)["roas_total"].values, rtol=1e-6)
    for cls in own.EVERY:
        mm.register(cls)
    assert mm.load(path).spec == SPEC


def test_toml_both_ways_and_each_alone():
    text = SPEC.to_toml()
    with pytest.raises(mm.InputError, match='adstock kind: got "hyperbolic"'):
        mm.Spec.from_toml(text)
    for cls in own.EVERY:
        mm.register(cls)
    assert mm.Spec.from_toml(text) == SPEC
    assert hash(mm.Spec.from_toml(text)) == hash(SPEC)
    media = mm.terms.Media(name="tv", channels=("TV",), **{
        k: PARTS[k] for k in ("adstock", "saturation")})  # fmt: skip
    both = mm.Spec(terms=(media,), seasonality=None)
    assert mm.Spec.from_toml(both.to_toml()) == both
    short = mm.Spec.from_toml("[model]\nadstock = { max_lag = 3 }\nsaturation = {}")
    assert short.adstock == mm.adstock.Geometric(max_lag=3)  # no kind: still the usual


@pytest.mark.slow(parts=6)
def test_a_fleet_of_own_kinds_is_fitted_kept_and_opened(tmp_path):
    panels = {"a": national_panel(seed=1), "b": national_panel(periods=24, seed=2)}
    sampler = mm.HMC(chains=4, warmup=50, draws=20, until=None)
    alone = {"refit": False, "check_precision": False, "progress": False}
    fleet = mm.fit_fleet(SPEC, panels, sampler, **alone)  # none is registered
    assert set(fleet.table["status"]) <= {"converged", "not converged"}
    assert set(fleet["b"].draws.params) >= NAMES
    for cls in own.EVERY:
        mm.register(cls)
    kept = mm.fit_fleet(SPEC, panels, sampler, store=tmp_path / "x", **alone)
    opened = mm.open_fleet(tmp_path / "x")
    assert opened["a"].spec == SPEC
    for name in NAMES:
        one, other = (f["b"].draws.params[name] for f in (fleet, kept))
        np.testing.assert_array_equal(one, other)
    del ROLES["adstock"].kinds["hyperbolic"]
    with pytest.raises(
        mm.InputError, match=r'"hyperbolic".*import the module that registers'
    ):
        opened["b"]


def test_a_utility_is_found_by_its_name():
    with pytest.raises(mm.InputError):
        mm.utility.as_utility("cautious")
    made = mm.register(mm.utility.custom(own.cautious))
    assert mm.register(mm.utility.custom(own.cautious)) is not made  # the same again
    found = mm.utility.as_utility("0.5 * cautious + mean_response")
    x = np.random.default_rng(0).normal(10, 2, 50).astype(np.float32)
    expected = 0.5 * (x.mean() - x.std()) + x.mean()
    np.testing.assert_allclose(found(x, np.ones(1)), expected, rtol=1e-5)
    assert "cautious" in mm.registry()["utility"]
    for bad in ("mean_response", "two words"):
        with pytest.raises(mm.InputError, match="name: got"):
            mm.register(mm.utility.custom(own.cautious, name=bad))
    with pytest.raises(mm.InputError, match="name: got"):
        mm.register(mm.utility.custom(lambda samples, budgets: 1.0, name="cautious"))
    with pytest.raises(mm.InputError, match="thing: got"):
        mm.register(2.0 * mm.utility.mean_response())


@pytest.mark.slow(parts=6)
def test_a_fact_of_ones_own_draws_the_fit_and_is_loaded_where_it_is_registered(tmp_path):
    known = own.Base((0.9, 0.001))
    panel = national_panel().with_facts([known])
    fit = mm.fit(shared(mm.Spec(seasonality=None)), panel, QUICK, seed=0)
    level = fit.draws.params["intercept"]
    assert abs(level.mean() - 0.9) < 0.005
    path = mm.save(fit, tmp_path / "fit.nc")
    with pytest.raises(mm.InputError, match=r'got "base".*import what registers it'):
        mm.load(path)
    assert mm.register(own.Base) is own.Base
    assert mm.registry()["fact"]["base"] is own.Base
    assert mm.load(path).panel.facts == (known,)
    assert mm.facts.read([known.to_dict()]) == (known,)

    @dataclass(frozen=True)
    class Base(own.Base):  # another law of the same name is another program
        kind: ClassVar[str] = "base"

        @staticmethod
        def log_density(p, x, spec, inputs):
            return own.Base.log_density(
                p, {"share": x["share"] - np.array([0.4, 0])}, *"ab"
            )

    with pytest.raises(mm.InputError, match="kind: got"):
        mm.register(Base)
    del FACTS["base"]
    other = mm.fit(fit.spec, panel.with_facts([Base((0.9, 0.001))]), QUICK, seed=0)
    assert abs(other.draws.params["intercept"].mean() - 0.5) < 0.005


def test_the_list_has_every_role_and_cannot_be_written_to():
    before = mm.registry()
    assert list(before) == [
        "adstock", "saturation", "likelihood", "term", "moving", "fact", "utility"
    ]  # fmt: skip
    assert before["saturation"] == {
        cls.kind: cls for name in mm.saturation.__all__
        if isinstance(cls := getattr(mm.saturation, name), type) and hasattr(cls, "kind")
    }  # fmt: skip
    assert len(before["saturation"]) == 11
    assert mm.register(own.Weibull) is own.Weibull
    assert mm.register(own.Weibull) is own.Weibull  # the same again
    assert mm.registry()["saturation"]["weibull"] is own.Weibull
    mm.registry()["saturation"].clear()
    assert "weibull" in mm.registry()["saturation"]
    again = type(
        "Weibull", (own.Weibull,), {"__module__": own.Weibull.__module__, "kind": "weibull"}
    )
    again.__qualname__ = own.Weibull.__qualname__
    again = frozen(again)
    assert mm.register(again) is again  # a cell that was run again
    assert mm.registry()["saturation"]["weibull"] is again


@pytest.mark.parametrize("cls", sorted(OURS, key=lambda c: c.__name__))
def test_what_is_built_in_would_pass_the_door(cls, monkeypatch):
    monkeypatch.setattr("mmmjax.roles.OURS", frozenset())
    name = next(n for n, role in ROLES.items() if issubclass(cls, role.base))
    check(name, cls(**(MADE.get(cls.kind, {}) if name == "term" else {})))


def curve(f=lambda x, k: x / (x + k), *, base=mm.saturation.Saturation, asked=None, **more):
    """A saturation, as a frozen dataclass."""
    asked = {"k": Parameter(("channel",), PRIOR, "positive")} if asked is None else asked
    body = {
        "__annotations__": {"kind": ClassVar[str]},
        "kind": "curve",
        "parameters": lambda self: asked,
        "__call__": lambda self, media, p: f(media, p["k"][..., None]),
    }
    return type("Curve", (base,), body | more)


def frozen(cls):
    return dataclass(frozen=True)(cls)


@dataclass(frozen=True)
class Bare(mm.saturation.Saturation):
    kind: ClassVar[str] = "bare"
    width: float  # no default

    def parameters(self):
        return {}

    def __call__(self, media, params):
        return media


@dataclass(frozen=True)
class Listed(own.Weibull):
    kind: ClassVar[str] = "listed"
    ends: list = field(default_factory=list)


@dataclass(frozen=True)
class Arrayed(own.Weibull):
    kind: ClassVar[str] = "arrayed"
    ends: object = complex(1)


@dataclass(frozen=True)
class Named(own.Weibull):
    kind: str = "named"


@dataclass(frozen=True)
class Grouped(own.Steps):
    kind: ClassVar[str] = "grouped"
    group: ClassVar[str] = "channel"


@dataclass(frozen=True)
class Noiseless(own.Logistic):
    kind: ClassVar[str] = "noiseless"
    noise: ClassVar[str] = "y_scale"


@dataclass(frozen=True)
class Uncounted(mm.likelihood.Likelihood):
    kind: ClassVar[str] = "uncounted"

    def law(self, mean, p, target):
        return dist.Logistic(mean, p["y_sigma"]).to_event(1)


@dataclass(frozen=True)
class Unranked(mm.likelihood.Likelihood):
    kind: ClassVar[str] = "unranked"

    def law(self, mean, p, target):
        return dist.Logistic(mean, p["y_sigma"]).mask(mean == mean)  # without a cdf


@dataclass(frozen=True)
class Near(own.Steps):
    kind: ClassVar[str] = "near"
    dims: ClassVar[tuple[str, ...]] = ("channels",)


@dataclass(frozen=True)
class Unbounded(own.Weibull):
    kind: ClassVar[str] = "unbounded"

    def parameters(self):
        return {"saturation_width": Parameter(("channel",), PRIOR, "interval")}


@dataclass(frozen=True)
class Wishful(own.Exponential):
    kind: ClassVar[str] = "wishful"
    shape: float = 2.0  # an S


@dataclass(frozen=True)
class Endless(own.Hyperbolic):
    kind: ClassVar[str] = "endless"
    max_lag: int = 0


one = lambda name, dims=("channel",): {name: Parameter(dims, PRIOR, "positive")}
fact = lambda **body: frozen(
    type("F", (mm.facts.Fact,), {"kind": "f", "arrays": dict, "log_density": len} | body)
)
BAD = {
    "fact: no until": (fact(), "until: got none"),
    "fact: no law": (
        fact(until=None, log_density=mm.facts.Fact.log_density),
        "log_density: got none",
    ),
    "fact: no arrays": (fact(until=None, arrays=mm.facts.Fact.arrays), "arrays: got none"),
    "fact: kind taken": (fact(until=None, kind="lift"), "mmmjax.facts.lift.Lift"),
    "fact: a record": (own.Base((0.5, 0.1)), "the class itself"),
    "no class": (own.Weibull(), "the class itself"),
    "no base": (dict, "derives from mm.adstock.Adstock"),
    "no dataclass": (curve(), "@dataclass(frozen=True) above class Curve"),
    "not frozen": (dataclass(curve()), "@dataclass(frozen=True) above class Curve"),
    "no equality": (dataclass(frozen=True, eq=False)(curve()), "frozen dataclass"),
    "no kind": (frozen(curve(kind=None)), "kind: got none"),
    "kind a field": (Named, "a text of the class, no field"),
    "kind taken": (frozen(curve(kind="logistic")), "mmmjax.kernels.saturation.Logistic"),
    "no parameters": (
        frozen(curve(parameters=mm.saturation.Saturation.parameters)),
        "parameters: got none",
    ),
    "no law": (frozen(type("L", (mm.likelihood.Likelihood,), {"kind": "l"})), "law: got"),
    "no default": (Bare, "field width: got no default"),
    "a list": (Listed, "cannot be changed"),
    "no toml": (Arrayed, "what a TOML file holds"),
    "parameters no dict": (frozen(curve(asked=["k"])), "Allowed: a dict"),
    "no Parameter": (frozen(curve(asked={"k": PRIOR})), "a Parameter with a Prior"),
    "name of a dim": (frozen(curve(asked=one("channel"))), "no name of a dim"),
    "name of another": (frozen(curve(asked=one("adstock_alpha"))), "trial of a saturation"),
    "no dim": (frozen(curve(asked=one("k", ()))), "dims of k"),
    "unknown dim": (frozen(curve(asked=one("k", ("brand",)))), "dims of k"),
    "of no media": (frozen(curve(lambda x, k: 1 + x / k)), "which is not 0"),
    "not finite": (frozen(curve(lambda x, k: jnp.log(x) * k)), "not finite"),
    "shape": (frozen(curve(lambda x, k: (x / k).sum(-1))), "an array of shape"),
    "raises": (frozen(curve(lambda x, k: x.nonsense)), "AttributeError"),
    "group": (Grouped, "group: got"),
    "noise": (Noiseless, "noise: got"),
    "law of another shape": (Uncounted, "a density of shape"),
    "law without a cdf": (Unranked, "without a cdf"),
    "dim like another": (Near, "less like"),
    "no interval": (Unbounded, "as its prior has it"),
    "falsely concave": (Wishful, "bends upwards"),
    "window": (Endless, "max_lag"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_classes_are_refused_at_the_door(case):
    thing, words = BAD[case]
    register = inspect.unwrap(mm.register)  # without the tests' checker of types
    with pytest.raises(mm.InputError) as caught:
        register(thing)
    assert words in str(caught.value)
    assert " Fix: " in str(caught.value) or case == "window"
    other = case in ("no base", "no default", "window") or case.startswith("fact")
    if isinstance(thing, type) and not other:
        role = next(n for n, r in ROLES.items() if issubclass(thing, r.base))
        given = {"terms": (thing(),)} if role == "term" else {role: thing()}
        with pytest.raises(mm.InputError):  # as a record that was never registered too
            mm.Spec(**given)


def test_names_that_two_parts_have_are_refused():
    f = lambda x, k: x / (x + k)
    twice = frozen(curve(f, asked=one("k") | one("saturation_beta")))
    with pytest.raises(mm.InputError, match=r"saturation_beta.*no other has"):
        mm.Spec(saturation=twice())
    other = frozen(curve(f, asked=one("k") | one("intercept"), kind="curve_2"))
    with pytest.raises(mm.InputError, match=r"intercept.*no other has"):
        mm.Spec(saturation=other())


@pytest.mark.parametrize("role", ["adstock", "saturation", "likelihood", "term", "moving"])
def test_the_remedy_for_a_kind_or_a_class_is_the_record_that_was_meant(role):
    """Never the usual one, which would be another model."""
    for kind, cls in ROLES[role].kinds.items():
        for wrong in (kind, cls, {"kind": kind}, cls.__name__, kind.replace("_", " ")):
            ask = {"term": lambda x: mm.Spec(terms=(x,)),
                   "moving": lambda x: mm.terms.Media(moving=x)}  # fmt: skip
            with pytest.raises(mm.InputError) as caught:
                ask.get(role, lambda x: mm.Spec(**{role: x}))(wrong)
            fix = str(caught.value).partition("Fix: ")[2].removeprefix("write ")
            assert fix == f"{ROLES[role].home}.{cls.__name__}()"
            if kind not in ("events", "holidays", "interaction", "steps"):  # need names
                assert isinstance(eval(fix, {"mm": mm}), cls)


def test_settings_of_a_table_stay_in_its_remedy():
    asked = {"kind": "geometric", "max_lag": 12, "normalize": False}
    right = r"mm.adstock.Geometric\(max_lag=12, normalize=False\)$"
    for ask in (lambda x: mm.Spec(adstock=x), lambda x: mm.terms.Media(adstock=x)):
        with pytest.raises(mm.InputError, match=right):
            ask(asked)


@pytest.mark.parametrize(
    "wrong, right", [("yes", True), ("no", False), ({"kind": 1}, True)]
)
def test_a_switch_is_proposed_as_it_was_meant(wrong, right):
    with pytest.raises(mm.InputError, match=f"Fix: trend={right}$"):
        mm.Spec(trend=wrong)
