"""Case, fleet and plan files, anything in any key: a clean message, or what was written.

Oracle: ``tomllib`` reads the same file. Where the command line accepts it, every setting of
the file must stand, unchanged, in what was read; else there is one message and nothing that
looks like Python.
"""

import copy
import datetime
import io
import re
import tomllib
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd
import pytest
import tomli_w

from mmmjax import simulate, store
from mmmjax.checks import InputError
from mmmjax.cli import asked, case, fleet_case
from mmmjax.cli.app import run
from tests.fits import make_fit, make_panel

COUNT = {"case": 70, "fleet": 30, "plan": 30, "text": 20}  # inputs in CI
HOSTILE = (
    True, False, 0, -1, 1, 3, 2**31, 2**63 - 1, 10**19, 10**400, -(10**400), 1.5, 1e308,
    float("nan"), float("inf"), -float("inf"), "", " ", "x", "TV", "*", "[", "a\0b",
    "\x1b[31m", "../..", "x" * 400, "nuts", "spend_share", "12", "1e3", "true", [],
    [1, "a"], [[]], [["m0"]], ["m0", "m0"], [True], [1.5, float("nan")], {}, {"a": 1},
    {"kind": [1]},
    {"kind": {"a": 1}}, {"kind": "hill"}, {"dist": 5}, {"dist": "Normal", "loc": "x"},
    {"": ""}, datetime.date(2023, 1, 2), datetime.datetime(2023, 1, 2, 3, 4),
    datetime.time(7, 30), [datetime.date(2023, 1, 2)], {"m0": {"m0": "m0"}}, [{"a": 1}],
)  # fmt: skip
CASE = {
    "data": {"path": "t.csv", "date": "week", "outcome": "y", 
             "media": {"TV": "m0", "Web": "m1"},
             "controls": ["x*"], "train_until": "2024-01-01", "currency": "EUR",
             "on_empty": "error", "freq": "W-MON", "outcome_value": 0.5},
    "model": {"trend": True, "adstock_first": True, "outcome_scale": "shared",
              "media_scale": "geo",
              "adstock": {"kind": "geometric", "max_lag": 3, "normalize": True},
              "saturation": {"kind": "logistic"}, "seasonality": {"order": 1},
              "likelihood": {"kind": "truncated_normal", "low": 0.0},
              "priors": {
                  "intercept": {"dist": "StudentT", "df": 4.0, "loc": 0.2, "scale": 0.1},
                  "adstock_alpha": {"dist": "Uniform", "low": 0.0, "high": 1.0},
                  "gamma_control": {"dist": "Normal", "loc": 0.0, "dims": ["control"],
                                    "scale": {"dist": "HalfNormal", "scale": 0.5}},
                  "saturation_beta": {"dist": "HalfNormal", "scale": "spend_share"}}},
    "sampler": {"kind": "hmc", "chains": 2, "warmup": 50, "draws": 50, "seed": 3,
                "until": {"r_hat": 1.05, "ess": 50}, "max_draws": 100,
                "target_accept": 0.8, "leapfrogs": 8, "chunk": 50, "dtype": "float32"},
}  # fmt: skip
FLEET = {
    "data": {k: v for k, v in CASE["data"].items() if k != "on_empty"}
    | {"path": "two.csv", "market": "market"},
    "model": CASE["model"],
    "sampler": {k: v for k, v in CASE["sampler"].items() if k != "seed"},
    "fleet": {"seed": 1, "batch": 2, "on_empty": "drop", "refit": False},
    "market": {"A": {"data": {"media": ["m0"], "train_until": "2024-01-01"},
                     "model": {"priors": {"saturation_beta": {"dist": "HalfNormal",
                                                              "scale": 0.5}}}}},
}  # fmt: skip
PLAN = {
    "periods": 4, "budget": 1000.0, "bounds": {"TV": [0.0, 800.0], "*": 0.5},
    "fix": {"Search": 200.0}, "reference": {"TV": 500.0, "Search": 500.0},
    "per_period": False, "carry_in": "zero", "up_to": False,
    "constraints": ["group(['TV'], at_most=900.0)"],
    "flighting": "even", "starts": 2, "seed": 0, "frontier": [800.0, 1000.0],
    "scenarios": {"low": {"TV": 100.0, "Search": 200.0}}, "cost_per_unit": {"TV": 1.0},
    "max_draws": 50,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, the same for two markets, and a run."""
    place = tmp_path_factory.mktemp("fuzz")
    process = simulate.Process(
        seed=3, periods=60, test_periods=8, channels=2, controls=2, max_lag=3,
        seasonality=False, trend=False, flighted=1,
    )  # fmt: skip
    frame = simulate.generate(process).panel.to_frame()
    frame.columns = ["week", "y", "m0", "m1", "x0", "x1"]
    frame.to_csv(place / "t.csv", index=False)
    both = [frame.assign(market=name) for name in ("A", "B")]
    pd.concat(both).to_csv(place / "two.csv", index=False)
    (place / "run").mkdir()
    panel = make_panel(geos=("national",), periods=20)
    store.save(make_fit(draws=30, panel=panel), place / "run" / "fit.nc")
    return place


def mutated(tables, rng):
    """The tables with one to three of their keys changed, and what was done."""
    tables, done = copy.deepcopy(tables), []
    for _ in range(int(rng.integers(1, 4))):
        place, path = tables, []
        while True:
            key = list(place)[rng.integers(len(place))] if place else None
            path.append(key)
            inside = place.get(key)
            if not isinstance(inside, dict) or rng.random() < 0.25:
                break
            place = inside
        value = copy.deepcopy(HOSTILE[rng.integers(len(HOSTILE))])
        act = rng.choice(["replace"] * 7 + ["remove", "rename", "add", "wrap"])
        if key is None or act == "add":
            place["new"] = value
        elif act == "replace":
            place[key] = value
        elif act == "remove":
            del place[key]
        elif act == "rename":
            place[f"{key}x"] = place.pop(key)
        else:
            place[key] = [place[key]]
        done.append((act, path, value))
    return tables, done


def clean(text):
    """A message for people: it has an end, no traceback, no control characters."""
    told = text.strip()
    return (
        bool(told)
        and len(told) < 20_000
        and "Traceback" not in told
        and "nternal error" not in told
        and not re.search(r"\b[A-Z]\w+Error\b|<class|0x[0-9a-f]{6}", told)
        and all(c.isprintable() or c == "\n" for c in told)
    )


def read(reader, path):
    """What a file reads to, or the message."""
    try:
        return reader(path), None
    except InputError as error:
        return None, str(error)


def same(got, asked_for):
    """Equal in value and in kind: True is not 1, nor "1"."""
    if isinstance(asked_for, float) and not isinstance(asked_for, bool):
        return type(got) in (int, float) and got == asked_for
    if isinstance(asked_for, int) and not isinstance(asked_for, bool):
        return type(got) in (int, float) and got == asked_for
    if isinstance(asked_for, list):
        return len(got) == len(asked_for) and all(map(same, got, asked_for))
    if isinstance(asked_for, dict):
        return all(k in got and same(got[k], v) for k, v in asked_for.items())
    return type(got) is type(asked_for) and got == asked_for


def model_stands(spec, told):
    """The choices and priors of a table [model], by name, in the spec."""
    got = spec.to_dict()
    for key, value in told.items():
        if key == "seasonality" and isinstance(value, dict):
            value = {k: v for k, v in value.items() if k != "kind"}
        if key == "trend" and isinstance(value, dict):
            value = True
        if key != "priors":
            assert same(got[key], value), (key, got[key], value)
            continue
        for name, prior in value.items():
            stands(got["priors"][name], prior)


def stands(got, prior):
    """A prior as it was written; dims in the house's order."""
    for key, value in prior.items():
        if key == "dims":
            assert set(got["dims"]) == set([value] if isinstance(value, str) else value)
        elif isinstance(value, dict):
            stands(got[key], value)
        else:
            assert same(got[key], value), (key, got[key], value)


def sampler_stands(sampler, told):
    for key, value in told.items():
        if key in ("kind", "seed"):
            continue
        got = getattr(sampler, key)
        if key == "until" and isinstance(value, dict):
            numbers = {k: float(v) for k, v in value.items()}  # fields of floats
            assert all(same(getattr(got, k), v) for k, v in numbers.items())
        elif key == "until":
            assert (got is not None) is value
        else:
            assert same(got, value), (key, got, value)


def data_stands(panel, told):
    columns = panel.columns
    assert columns.date == told["date"]
    assert columns.outcome == told["outcome"]
    media = told.get("media", [])
    if isinstance(media, dict):
        assert dict(zip(panel.channels, columns.media, strict=True)) == media
    elif "*" not in str(media):
        assert list(columns.media) == ([media] if isinstance(media, str) else media)
    assert panel.currency == told.get("currency", "")
    assert same(panel.outcome_value, told.get("outcome_value"))
    assert isinstance(told.get("train_until", ""), str | datetime.date)


def test_the_files_that_are_changed_are_good(folder):
    write(folder / "c.toml", CASE)
    assert case.read(folder / "c.toml").seed == 3
    write(folder / "f.toml", FLEET)
    assert set(fleet_case.read(folder / "f.toml").panels) == {"A", "B"}
    write(folder / "p.toml", PLAN)
    assert asked.read(folder / "p.toml", {}).plan["periods"] == 4


def write(path, tables):
    path.write_text(tomli_w.dumps(tables), encoding="utf-8")


def by_command(args):
    """Exit code of a command and all that it said."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(args)
    return code, err.getvalue()


def fuzz(count, seed, tables, judge):
    """Judge so many changed files; all that fail are shown, the first ones whole."""
    failed = []
    for i in range(count):
        changed, done = mutated(tables, np.random.default_rng((seed, i)))
        try:
            judge(changed)
        except Exception as error:
            failed.append((i, done, f"{type(error).__name__}: {error}"[:300]))
    assert not failed, f"{len(failed)} of {count}:\n" + "\n".join(map(str, failed[:20]))


def times(kind, slow):
    return COUNT[kind] * (10 if slow else 1)


HOW_MANY = [False, pytest.param(True, marks=pytest.mark.slow(parts=9))]


@pytest.mark.parametrize("slow", HOW_MANY)
def test_cases(folder, slow):
    path = folder / "case.toml"

    def judge(tables):
        write(path, tables)
        code, said = by_command(["check", str(path)])
        assert code in (0, 1), code
        if code == 1:
            assert clean(said), said
            return
        told, found = tomllib.loads(path.read_text()), case.read(path)
        data_stands(found.panel, told["data"])
        model_stands(found.spec, told.get("model", {}))
        sampler_stands(found.sampler, told.get("sampler", {}))
        assert same(found.seed, told.get("sampler", {}).get("seed", 0))

    fuzz(times("case", slow), 1, CASE, judge)


@pytest.mark.parametrize("slow", HOW_MANY)
def test_fleets(folder, slow):
    path = folder / "fleet.toml"

    def judge(tables):
        write(path, tables)
        found, said = read(fleet_case.read, path)
        if said is not None:
            assert clean(said), said
            return
        assert all(map(clean, found.unread.values())), found.unread
        told = tomllib.loads(path.read_text())
        sampler_stands(found.sampler, told.get("sampler", {}))
        assert same(found.settings, told.get("fleet", {}))
        if "B" in found.panels:
            data_stands(found.panels["B"], told["data"])
            model_stands(found.specs["B"], told.get("model", {}))

    fuzz(times("fleet", slow), 2, FLEET, judge)


@pytest.mark.parametrize("slow", HOW_MANY)
def test_plans(folder, slow):
    path = folder / "plan.toml"

    def judge(tables):
        write(path, tables)
        out = ["--out", str(folder / "plan")]
        code, said = by_command(
            ["optimize", str(folder / "run"), "--plan", str(path), *out]
        )
        assert code in (0, 1, 2), code
        if code == 1:
            assert clean(said), said
            return
        told, found = tomllib.loads(path.read_text()), asked.read(path, {})
        for key in (
            "periods",
            "budget",
            "starts",
            "seed",
            "max_draws",
            "per_period",
            "up_to",
        ):
            assert same(found.plan[key], told[key]) if key in told else True, key

    fuzz(times("plan", slow), 3, PLAN, judge)


RAW = (
    b"a = " + b"[" * 5000, b"a = " + b"{a=" * 3000, b"[sampler]\ndraws = " + b"9" * 5000,
    b"\xff\xfe[\x00d\x00", b"\xef\xbb\xbf[data]\n", b"[data]\r\npath = 'a\r\n", b"",
    b"[data]\n[data]\n", b"[" * 3000, b'path = "\\ud800"', b"a.b.c = 1\na = 2\n", b"\x00",
    b"[data]\npath = 1979-05-27T07:32:00-99:00\n", b"a = 0x" + b"f" * 5000, b"a = 1e99999",
    b"a." * 3000 + b"a = 1", b"# " + b"x" * 100_000,
)  # fmt: skip


@pytest.mark.parametrize("slow", HOW_MANY)
def test_bytes_that_are_hardly_toml(folder, slow):
    path, good = folder / "raw.toml", tomli_w.dumps(CASE).encode()
    inputs = list(RAW)
    for i in range(times("text", slow)):
        rng = np.random.default_rng((4, i))
        at, to = sorted(rng.integers(0, len(good), 2))
        noise = rng.integers(0, 256, 3).astype(np.uint8).tobytes()
        inputs.append(
            (good[:at], good[:at] + noise + good[at:], good[:at] + good[to:])[i % 3]
        )
    for content in inputs:
        path.write_bytes(content)
        for reader in (case.read, fleet_case.read, lambda p: asked.read(p, {})):
            found, said = read(reader, path)
            if found is None:
                assert clean(said), said[:300]
            else:  # cut between two keys, or changed inside a text
                tomllib.loads(content.decode("utf-8-sig"))
