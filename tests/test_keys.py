"""Every key that docs/files.md names changes what is fitted, or is said to be a label."""

import dataclasses
import hashlib
import re
import tempfile
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro import handlers

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli import case as cases
from mmmjax.cli import fleet_case as fleets
from mmmjax.exploration import warnings
from mmmjax.model import program
from mmmjax.prepare import prepare
from mmmjax.samplers import SAMPLERS

DOCS = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
WEEKS = 120


def documented(start, end):
    """Keys of the first column of the tables between two texts."""
    part = DOCS[DOCS.index(start) :]
    part = part[: part.index(end)]
    cells = re.findall(r"^\| (`[^|]*`[^|]*) \|", part, re.MULTILINE)
    return [key for cell in cells for key in re.findall(r"`(\w+)`", cell)]


OF_DATA = documented("`[data]`\n", "`[model]`")
OF_MODEL = documented("`[model]`: left out", "`[[model.term]]`: `kind`")
OF_FLEET = documented("`[fleet]`\n", '`[market."DE".data]`')
OF_PRIORS = re.findall(
    r"`(\w+)`", DOCS[DOCS.index("`[model.priors]`: `name") :].split("in scaled")[0]
)
OF_SAMPLER = DOCS[DOCS.index("`[sampler]`: `kind") :].split("An unknown key")[0]


def table(path, **columns):
    """Two geos of weeks, with all that a key may name."""
    rng = np.random.default_rng(0)
    n = 2 * WEEKS
    dates = np.tile(pd.date_range("2021-01-04", periods=WEEKS, freq="W-MON"), 2)
    frame = pd.DataFrame(
        {
            "week": dates,
            "region": np.repeat(["N", "S"], WEEKS),
            "sales": rng.uniform(50, 100, n).round(1),
            "tv": rng.uniform(1, 9, n).round(3),
            "tv_money": rng.uniform(10, 90, n).round(1),
            "radio": rng.uniform(1, 9, n).round(1),
            "price": rng.uniform(1, 9, n).round(1),
            "people": np.repeat([10, 20], WEEKS),
            "flat": 1.0,
            "area": np.repeat(["A", "B"], WEEKS),
            "leads": rng.uniform(5, 9, n).round(1),
            "day": dates - pd.Timedelta("1D"),
        }
    )
    frame.loc[5, "tv"] = 90.0  # an outlier, for `scale`
    frame = frame.assign(**columns)
    if path.suffix == ".xlsx":
        with pd.ExcelWriter(path) as book:
            frame.to_excel(book, sheet_name="one", index=False)
            frame.assign(sales=frame.leads).to_excel(book, sheet_name="two", index=False)
    else:
        frame.to_csv(path, index=False)
    return frame


BASE = {
    "path": '"t.csv"', "date": '"week"', "outcome": '"sales"', "geo": '"region"',
    "media": '{ TV = "tv", Radio = "radio" }', "controls": '["price"]',
}  # fmt: skip
ARRAYS = {  # key -> its line, lines that stand there both times, the file
    "path": ('"u.csv"', {}, None),
    "date": ('"day"', {}, None),
    "outcome": ('"leads"', {}, None),
    "media": ('{ TV = "tv" }', {}, None),
    "spend": ('{ TV = "tv_money" }', {}, None),
    "controls": ('["price", "leads"]', {}, None),
    "geo": ('"region"', {}, "one geo"),
    "train_until": ('"2022-12-26"', {}, None),
    "freq": ('"W-MON"', {}, "short"),
    "leave_empty": ('["2021-03-01"]', {}, None),
    "fact": (
        '[{ kind = "lift", channel = "TV", x = 50, delta_x = 9, delta_y = 1, sigma = 1 }]',
        {},
        None,
    ),
    "lift_tests": ('"tests.csv"', {}, "tests"),
    "on_empty": ('"drop"', {"controls": '["price", "flat"]', "on_empty": '"prior"'}, None),
    "separator": ('";"', {}, "semicolons"),
    "encoding": ('"utf-16"', {}, "utf-16"),
    "skip_rows": ("1", {}, "title"),
    "comment": ('"#"', {}, "comment"),
    "sheet": ('"two"', {"path": '"t.xlsx"', "sheet": '"one"'}, "book"),
    "decimal": ('{ "sales" = "," }', {}, "commas"),
    "thousands": ('","', {}, "thousands"),
    "strip": ('["$"]', {}, "dollars"),
    "accounting": ("true", {}, "brackets"),
    "missing": ('["n/a"]', {}, "unknown"),
    "date_format": ('"%G-W%V"', {}, "weeks"),
    "population": ('"people"', {}, None),
    "national": ('["TV"]', {}, "whole"),
}
LABELS = {"currency": '"EUR"', "outcome_value": "0.4"}
LABELS["groups"] = '["area"]'


def files(folder, kind):
    """The tables that a key of [data] is about."""
    frame = table(folder / "t.csv")
    table(folder / "u.csv", sales=frame.leads)
    text = lambda x: frame.sales.map(x)
    written = {
        "one geo": frame[frame.region == "N"],
        "short": frame[frame.week == "2021-01-04"],
        "commas": frame.assign(sales=text(lambda x: f"{x:.1f}".replace(".", ","))),
        "thousands": frame.assign(sales=text(lambda x: f"{1000 * x:,.0f}")),
        "dollars": frame.assign(sales="$" + frame.sales.astype(str)),
        "brackets": frame.assign(sales=text(lambda x: f"({x})" if x < 51 else str(x))),
        "whole": frame.assign(tv=frame.groupby("week").tv.transform("first")),
        "weeks": frame.assign(week=pd.to_datetime(frame.week).dt.strftime("%G-W%V")),
        "unknown": frame.assign(sales=text(lambda x: "n/a" if x < 51 else str(x))),
    }
    if kind == "book":
        table(folder / "t.xlsx")
    elif kind in written:
        written[kind].to_csv(folder / "t.csv", index=False)
    elif kind == "semicolons":
        frame.to_csv(folder / "t.csv", index=False, sep=";")
    elif kind == "tests":
        row = "TV,2021-03-01,2021-03-28,0,total,9,2"
        head = "channel,start,end,spend_control,of,result,error"
        (folder / "tests.csv").write_text(f"{head}\n{row}\n")
    elif kind == "utf-16":
        frame.to_csv(folder / "t.csv", index=False, encoding="utf-16")
    elif kind in ("title", "comment"):
        first = {"title": "Sales of all regions\n", "comment": "# by hand\n"}[kind]
        (folder / "t.csv").write_text(first + frame.to_csv(index=False))


def read(folder, data, model="", sampler="", more=""):
    lines = "\n".join(f"{key} = {value}" for key, value in data.items())
    text = f"[data]\n{lines}\n[model]\n{model}\n[sampler]\n{sampler}\n{more}\n"
    (folder / "c.toml").write_text(text)
    return cases.read(folder / "c.toml")


def fitted(case):
    """A digest of all that a fit is made of: its arrays, one prior draw and its law."""
    ready = prepare(case.spec, case.train, case.on_empty)
    model = handlers.seed(program, jax.random.key(0))
    data = jax.tree.map(jnp.asarray, ready.data)
    sites = handlers.trace(model).get_trace(ready.spec, data)
    law = sites["y"]["fn"]
    parts = [ready.data, law.base_dist if hasattr(law, "base_dist") else law]
    parts += [s["value"] for s in sites.values() if s["type"] == "sample"]
    leaves = [np.asarray(x) for x in jax.tree.leaves(parts)]
    leaves.append(np.nan_to_num(ready.panel.spend))
    digest = hashlib.sha256(repr((list(sites), type(law).__name__)).encode())
    for x in leaves:
        digest.update(repr((x.shape, x.dtype)).encode() + np.ascontiguousarray(x).tobytes())
    digest.update(np.asarray(case.train.dates, "datetime64[D]").tobytes())
    return digest.hexdigest()


def test_the_documents_name_the_keys_that_are_read():
    assert set(OF_DATA) == set(cases.DATA)
    assert set(OF_DATA) == {*ARRAYS, *LABELS}
    assert set(OF_FLEET) == set(fleets.FLEET)
    assert set(OF_MODEL) == {*mm.Spec(per_day=True).to_dict(), "term"} - {"priors"}
    assert set(OF_PRIORS) >= set(mm.Spec(trend=True).parameters)
    fields = {f.name for kind in SAMPLERS.values() for f in dataclasses.fields(kind)}
    assert fields | {"seed", "kind"} <= set(re.findall(r"[a-z_]+", OF_SAMPLER))


@cache
def usual(model=""):
    """The digest of the usual case."""
    with tempfile.TemporaryDirectory() as folder:
        files(Path(folder), None)
        return fitted(read(Path(folder), BASE, model))


@pytest.mark.parametrize("key", ARRAYS)
def test_a_key_of_data_changes_what_is_fitted(key, tmp_path):
    line, common, kind = ARRAYS[key]
    files(tmp_path, kind)
    base = BASE | common
    if key == "geo":
        base = {k: v for k, v in base.items() if k != "geo"}
    try:
        before = usual() if (common, kind) == ({}, None) else fitted(read(tmp_path, base))
    except InputError:
        before = None  # the table cannot be read without the key
    now = base | {key: line}
    if key == "freq":
        assert before is None
        assert read(tmp_path, now).panel.freq == "W-MON"
        return
    after = fitted(read(tmp_path, now))
    if key == "geo":
        assert read(tmp_path, now).panel.geos == ("N",)
    else:
        assert before != after


@pytest.mark.parametrize("key", LABELS)
def test_labels_change_no_number_and_are_called_labels(key, tmp_path):
    files(tmp_path, None)
    case = read(tmp_path, BASE | {key: LABELS[key]})
    assert usual() == fitted(case)
    row = next(
        line for line in DOCS.splitlines() if line.startswith("| ") and f"`{key}`" in line
    )
    assert "label" in row or "changes no draw" in row
    assert getattr(case.panel, key) is not None


def test_population_is_used_in_the_case_where_it_was_not():
    folder = Path(__file__).parent / "cases/population_ignored"
    case, other = (cases.read(folder / f"{n}.toml") for n in ("with", "without"))
    assert fitted(case) != fitted(other)
    (said,) = [f for f in warnings(case.train) if f.code == "population"]
    assert "population divides media" in said.what
    line = said.remedy.removeprefix("To have each geo by its largest: ").split(" under")[0]
    follow = dataclasses.replace(case, spec=mm.Spec.from_toml(f"[model]\n{line}"))
    assert fitted(follow) == fitted(other)  # the remedy does what it says


MODEL = {
    "adstock": "{ max_lag = 4 }",
    "saturation": '{ kind = "hill" }',
    "seasonality": "{ order = 3 }",
    "trend": "true",
    "likelihood": '{ kind = "student_t" }',
    "adstock_first": "false",
    "outcome_scale": '"shared"',
    "media_scale": '"shared"',
    "scale": '"max"',
    "media_share": "0.5",
    "term": '[{ kind = "drift" }]',
}


# of weeks per_day is refused: tests/test_per_day.py
@pytest.mark.parametrize("key", [key for key in OF_MODEL if key != "per_day"])
def test_a_key_of_model_changes_what_is_fitted(key, tmp_path):
    files(tmp_path, None)
    after = fitted(read(tmp_path, BASE, f"{key} = {MODEL[key]}"))
    assert usual() != after


@pytest.mark.parametrize("name", OF_PRIORS)
def test_a_prior_changes_what_is_fitted(name, tmp_path):
    files(tmp_path, None)
    base = BASE
    if name == "campaign_effect":
        both = '{ TV = { campaigns = { A = "tv", B = "leads" } }, Radio = "radio" }'
        base = BASE | {"media": both}
    whole = 'trend = true\nlikelihood = { kind = "student_t" }\n'
    prior = f'[model.priors]\n{name} = {{ dist = "Uniform", low = 0.1, high = 0.2 }}'
    before = usual(whole) if base == BASE else fitted(read(tmp_path, base, whole))
    assert before != fitted(read(tmp_path, base, whole + prior))


SAME = [
    ("trend = true", 'trend = { kind = "linear" }'),
    ("seasonality = true", "seasonality = { order = 2 }"),
    ("seasonality = {}", 'seasonality = { kind = "fourier", order = 2 }'),
    ("adstock = { max_lag = 4 }", 'adstock = { kind = "geometric", max_lag = 4 }'),
    ("saturation = {}", 'saturation = { kind = "logistic" }'),
]


@pytest.mark.parametrize("one, other", SAME)
def test_neighbours_read_alike(one, other, tmp_path):
    files(tmp_path, None)
    assert read(tmp_path, BASE, one).spec == read(tmp_path, BASE, other).spec


# --- one place a key -----------------------------------------------------------------


def fleet(folder, data="", sampler="", more=""):
    files(folder, None)
    keys = {k: v for k, v in BASE.items() if k != "geo"}
    lines = "\n".join(f"{k} = {v}" for k, v in keys.items()) + '\nmarket = "region"\n'
    (folder / "f.toml").write_text(f"[data]\n{lines}{data}\n[sampler]\n{sampler}\n{more}\n")
    return fleets.read(folder / "f.toml")


def test_seed_and_on_empty_are_read_in_both_tables_of_both_files(tmp_path):
    files(tmp_path, None)
    for how in ({"sampler": "seed = 7"}, {"more": "[fleet]\nseed = 7"},
                {"sampler": "seed = 7", "more": "[fleet]\nseed = 7"}):  # fmt: skip
        assert read(tmp_path, BASE, **how).seed == 7
        assert fleet(tmp_path, **how).settings["seed"] == 7
    drop = 'on_empty = "drop"'
    assert read(tmp_path, BASE, more=f"[fleet]\n{drop}").on_empty == "drop"
    assert fleet(tmp_path, data=drop).settings["on_empty"] == "drop"
    assert fleet(tmp_path, more=f"[fleet]\n{drop}").settings["on_empty"] == "drop"
    assert "on_empty" not in fleet(tmp_path).settings


def test_two_values_of_one_key_are_refused(tmp_path):
    files(tmp_path, None)
    differ = {"sampler": "seed = 7", "more": "[fleet]\nseed = 8"}
    words = r"seed: got (8|7) in \[\w+\] and (7|8) in \[\w+\]"
    with pytest.raises(InputError, match=words):
        read(tmp_path, BASE, **differ)
    with pytest.raises(InputError, match=words):
        fleet(tmp_path, **differ)
    with pytest.raises(InputError, match="on_empty: got"):
        fleet(tmp_path, data='on_empty = "drop"', more='[fleet]\non_empty = "error"')
    with pytest.raises(InputError, match='key: got "batch"'):
        read(tmp_path, BASE, more="[fleet]\nbatch = 4")
    path = tmp_path / "c.toml"
    path.write_text(path.read_text().replace("batch = 4", "seed = 8"))
    assert cases.read(path, {"seed": 9}).seed == 9  # a flag is above both


SAMPLER = {
    "chains": "4", "warmup": "100", "draws": "100", "target_accept": "0.95",
    "leapfrogs": "4", "seed": "3", "dtype": '"float64"', "max_draws": "100",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("key", SAMPLER)
def test_a_key_of_sampler_changes_the_draws(key, tmp_path):
    files(tmp_path, "one geo")
    data = {k: v for k, v in BASE.items() if k != "geo"}
    lines = {"kind": '"hmc"', "chains": "2", "warmup": "50", "draws": "50"}
    lines["until"] = "{ r_hat = 1.0001, ess = 1e6 }" if key == "max_draws" else "false"
    found = []
    for mine in (lines, lines | {key: SAMPLER[key]}):
        case = read(
            tmp_path, data, sampler="\n".join(f"{k} = {v}" for k, v in mine.items())
        )
        fit = mm.fit(case.spec, case.train, case.sampler, seed=case.seed, progress=False)
        found.append(np.asarray(fit.draws.params["intercept"]))
    assert found[0].shape != found[1].shape or (found[0] != found[1]).any()
