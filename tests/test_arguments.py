"""Every public function refuses arguments of another kind, and says what to write.

The walk runs in a plain process: the runtime type checker of the tests would refuse some
of them first. Whether a kind is wrong is beartype's judgement, not that of the source.
"""

import json
import subprocess
import sys

import pytest

ASKED = {  # what a person wrote on the first day: what the message has to say
    "mm.fit(panel, spec)": "swap them: mm.fit(spec, panel)",
    "mm.fit(spec, df)": "mm.Panel.from_frame(df",
    "mm.fit(spec, fit)": "pass its panel: fit.panel",
    "mm.fit(spec, panel, 'nuts')": "mm.NUTS()",
    "mm.fit(spec, panel, sampler='Laplace')": "mm.Laplace()",
    "mm.fit(spec, panel, mm.HMC)": "mm.HMC()",
    "mm.fit({}, panel)": "mm.Spec()",
    "mm.fit_fleet(spec, panel)": 'name it: panels={"north": ...}',
    "mm.refresh_fleet(fit, {'a': panel})": 'name it: fleet={"north": ...}',
    "mm.Spec(adstock='delayed')": "mm.adstock.Delayed()",
    "mm.Spec(trend='linear')": "trend=True",
    "mm.fit(spec, panel, seed='one')": 'seed: got "one"',
    "mm.backtest(panel, spec)": "swap them: mm.backtest(spec, panel)",
    "mm.sample_prior(panel, spec)": "swap them: mm.sample_prior(spec, panel)",
    "mm.roas(panel)": "fit = mm.fit(spec, panel)",
    "mm.summary(spec)": "fit = mm.fit(spec, panel)",
    "mm.predict(panel, fit)": "swap them: mm.predict(fit, panel)",
    "mm.predict(fit, df)": "fit.panel.read_future(df)",
    "mm.save('run.nc', fit)": "swap them: mm.save(fit, path)",
    "mm.Spec(priors={'saturation_beta': {'tv': mm.Prior('HalfNormal', scale=1)}})":
        'mm.Prior("HalfNormal"',
    "mm.Spec(seasonality=2)": "mm.seasonality.Fourier(order=2)",
    "mm.Spec(likelihood='normal')": "mm.likelihood.Normal()",
    "mm.scenarios(fit, {'base': 10.0})": "budgets: got a dict",
    "mm.optimize(panel, budget=10.0, periods=4)": "fit = mm.fit(spec, panel)",
    "mm.Panel(df)": "mm.Panel.from_frame(df",
    "mm.Panel.from_frame(df, date='date', outcome='sales', controls=None)":
        "Fix: controls=()",
    "mm.report(panel, 'x.html')": "fit = mm.fit(spec, panel)",
    "mm.tables.channels(panel)": "fit = mm.fit(spec, panel)",
    "mm.fit(spec)": "panel: got nothing in mm.fit(spec). Allowed: a Panel. Fix: panel =",
    "mm.fit(spec, panel, draws=100)": "Fix: sampler=mm.NUTS(draws=...)",
    "mm.fit(spec, panel, mm.NUTS(), 3)": "got 4 arguments without a name",
    "mm.fit(spec, panel, spec=spec)": "spec: got two values",
    "mm.backtest(spec, panel, fold=3)": "did you mean folds?",
    "mm.optimize(fit, total_budget=1e6)": "Fix: did you mean budget?",
    "mm.frontier(fit, [1.0], period=13)": "did you mean periods?",
    "mm.Spec(season=2)": "did you mean seasonality?",
    "mm.NUTS(n_chains=4)": "did you mean chains?",
    "mm.adstock.Geometric(lag=8)": "in mm.adstock.Geometric(lag)",
    "mm.utility.mean_tightness(a=0.9)": "Allowed: the arguments alpha and level",
    "mm.constraints.group(['TV'], most=2.0)": "did you mean at_most?",
    "mm.tables.channels()": "fit: got nothing in mm.tables.channels()",
    "panel.split()": "date: got nothing in mm.Panel.split()",
    "mm.Panel.from_frame(df, date='date', outcome='sales', media=['tv'], target='x')":
        "target",
}  # fmt: skip

WALK = """
import inspect, json, sys, typing
import numpy as np, pandas as pd
from beartype import BeartypeConf
from beartype.door import is_bearable
import mmmjax as mm

rng = np.random.default_rng(0)
df = pd.DataFrame({
    "date": pd.date_range("2024-01-07", periods=30, freq="W"),
    "sales": 100 + 20 * rng.random(30), "tv": 10 * rng.random(30),
})
panel = mm.Panel.from_frame(df, date="date", outcome="sales", media=["tv"])
spec = mm.Spec(seasonality=None)
draws = mm.Draws({"intercept": np.zeros((1, 2), np.float32)})
scale = mm.Scale(np.array([100.0]), np.array([[10.0]]), np.array([[1.0]]))
fit = mm.Fit(spec, panel, scale, mm.NUTS(), draws, 0)

class Odd: "Of no kind that a function takes."

wrong = {"DataFrame": df, "str": "abc", "dict": {"a": 1}, "None": None, "list": [1, 2],
         "int": 3, "Panel": panel, "Spec": spec, "Fit": fit, "Odd": Odd(),
         "Prior": mm.Prior("Normal", loc=0, scale=1)}
conf = BeartypeConf(is_pep484_tower=True)
said = []
for home, names in ((mm, mm.__all__), (mm.tables, mm.tables.__all__)):
    for name in names:
        thing = getattr(home, name)
        try:
            parameters = list(inspect.signature(thing).parameters.values())
        except (ValueError, TypeError):  # an exception, a module, the version
            continue
        bare = inspect.unwrap(thing.__init__ if isinstance(thing, type) else thing)
        hints = typing.get_type_hints(bare)
        for p in parameters[:3]:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                continue
            for kind, value in wrong.items():
                if is_bearable(value, hints.get(p.name, typing.Any), conf=conf):
                    continue
                try:
                    thing(**{p.name: value})
                    got = ""
                except Exception as e:
                    got = f"{type(e).__name__}: {e}"
                said.append((f"{home.__name__}.{name}", p.name, kind, got))
asked = {}
for line in json.load(sys.stdin):
    try:
        eval(line)
        asked[line] = ""
    except Exception as e:
        asked[line] = f"{type(e).__name__}: {e}"
print(json.dumps({"said": said, "asked": asked}))
"""

# records of the library's own making
RESULTS = {
    f"mmmjax.{name}"
    for name in (
        "FleetReturns",
        "Finding",
        "Judged",
        "Draws",
        "Compared",
        "Drift",
        "FleetDrift",
        "Comparison",
        "Conflation",
        "Separation",
    )
}


@pytest.fixture(scope="module")
def walked():
    done = subprocess.run(
        [sys.executable, "-c", WALK], input=json.dumps(list(ASKED)),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_every_public_function_names_the_wrong_argument_and_what_it_takes(walked):
    silent = [
        (name, argument, kind, got[:160])
        for name, argument, kind, got in walked["said"]
        if name not in RESULTS
        and not (got.startswith("InputError: ") and "Allowed: " in got)
        and not (kind == "list" and "missing" in got)  # each reads its own members
    ]
    assert not silent, "\n".join(map(str, silent))
    assert len(walked["said"]) > 1000
    assert len({name for name, *_ in walked["said"]}) > 60


def test_a_wrong_record_comes_with_how_to_make_the_right_one(walked):
    made = ("a Fit", "a Panel", "a Spec", "a Plan", "a Fleet", "a Backtest")
    bare = [
        line for line in walked["said"]
        if any(f"Allowed: {kind}." in line[3] for kind in made) and " Fix: " not in line[3]
    ]  # fmt: skip
    assert not bare


@pytest.mark.parametrize("line", ASKED)
def test_first_day_mistakes_are_told_what_to_write(walked, line):
    got = walked["asked"][line]
    assert got.startswith("InputError: ")
    assert ASKED[line] in got
