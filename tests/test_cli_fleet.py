"""``mmmjax fleet`` on tiny data: what it reads, refuses and writes, every exit code."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.cli import fleet as command
from mmmjax.cli import fleet_case
from mmmjax.cli.app import run
from mmmjax.fleet import batch as engine
from mmmjax.fleet.engine import Done
from tests.fleet.test_store import sampled
from tests.infer.problems import panel

ROOT = Path(__file__).parent.parent
HEAD = """
[data]
date = "date"
outcome = "y"
media = ["m0", "m1"]
"""
MODEL = """
[model]
adstock = { kind = "geometric", max_lag = 3 }
seasonality = { order = 1 }
[model.priors]
saturation_lam = { dist = "Gamma", concentration = 3.0, rate = 1.0 }
[sampler]
warmup = 50
draws = 50
until = false
"""
OWN = """
[market."Ö 1".model.priors]
saturation_beta = { dist = "HalfNormal", scale = 0.5 }
[market.C.data]
media = { First = "m0" }
controls = ["x0"]
train_until = "2022-09-26"
"""


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    monkeypatch.setenv("MMMJAX_CACHE", "off")


def frame(seed):
    return panel(seed=seed, controls=1).to_frame()


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A long table of three good markets and one with a text for a number."""
    bad = frame(3).astype({"m1": object})
    bad.loc[4, "m1"] = "lots"
    parts = {"A": frame(0), "Ö 1": frame(1), "bad": bad, "C": frame(2)}
    table = pd.concat([f.assign(country=name) for name, f in parts.items()])
    folder = tmp_path_factory.mktemp("long")
    table.to_csv(folder / "all.csv", index=False)
    return folder


def case(folder, *changes, text=None, name="fleet.toml"):
    """A fleet file, (old, new) text replaced."""
    whole = HEAD + 'path = "all.csv"\nmarket = "country"\n' + MODEL + OWN
    text = whole if text is None else text
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


@pytest.mark.slow(parts=6)
def test_a_long_table_becomes_a_fleet_and_bad_markets_are_told(
    long, tmp_path, capsys, monkeypatch
):
    fleets, out = [], tmp_path / "deep" / "run"
    real = command.fit_fleet
    keep = lambda *args, **more: fleets.append(real(*args, **more))
    monkeypatch.setattr(command, "fit_fleet", keep)
    asked = ["fleet", case(long), "--out", str(out), "--no-refit", "--seed", "4"]
    assert run(asked) == 2
    said = capsys.readouterr()
    assert {p.name for p in out.iterdir()} == {
        "manifest.json", "markets", "fleet.csv", "channels.csv", "fleet.html",
    }  # fmt: skip
    table = pd.read_csv(out / "fleet.csv").set_index("market")
    assert list(table.index) == ["A", "Ö 1", "bad", "C"]
    assert table.status["bad"] == "refused"
    line = 2 + 40 + 40 + 4
    assert f"line {line} of all.csv" in table.reason["bad"]
    assert set(table.status.drop("bad")) <= {"converged", "not converged"}, table.reason
    assert "bad: refused: " in said.err
    assert "mm.open_fleet" in said.out
    words = set(re.findall(r"[a-z_0-9]+", (ROOT / "docs" / "files.md").read_text()))
    assert set(pd.read_csv(out / "fleet.csv")) <= words

    found = mm.open_fleet(out)
    priors = {name: fit.spec.priors for name, fit in found.items()}
    scale = {name: dict(own["saturation_beta"].params) for name, own in priors.items()}
    assert scale == {n: {"scale": 0.5 if n == "Ö 1" else mm.media_share} for n in found}
    shared = {str(own["saturation_lam"]) for own in priors.values()}
    assert len(shared) == 1
    assert "3.0" in shared.pop()
    assert found["C"].panel.channels == ("First",)
    assert found["C"].panel.dates[-1] == pd.Timestamp("2022-09-26")
    assert found["A"].panel.control_names == ()
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["seed"], manifest["refit"], len(manifest["specs"])) == (4, False, 2)
    assert manifest["sampler"] | {"warmup": 50, "until": None} == manifest["sampler"]
    shapes = {b.markets: b.key for b in fleets[0].plan}
    assert any({"A", "Ö 1"} <= set(names) for names in shapes)  # priors share programs

    files = sorted((out / "markets").glob("[!b]*"))
    times = [p.stat().st_mtime_ns for p in files]
    assert run(asked) == 2
    assert [p.stat().st_mtime_ns for p in files] == times
    assert run([*asked[:-1], "5"]) == 1
    assert "begun with other seed" in capsys.readouterr().err


def ends(status, bad="refused"):
    """A stand-in for sampling: markets end like this, without fits; C as ``bad``."""

    def sample(markets, *args, **more):
        emit = args[3]
        for market in markets:
            how = bad if market.name == "C" else status
            emit(Done(market.name, how, "as told"))

    return sample


@pytest.mark.parametrize(
    ("status", "last", "code", "strictly"),
    [("converged", "refused", 0, 2), ("refitted", "converged", 0, 2),
     ("not converged", "refitted", 0, 2), ("not converged", "failed", 2, 2)],
)  # fmt: skip
def test_a_fleet_ends_with_2_only_where_nothing_is_usable_or_if_strict(
    long, tmp_path, monkeypatch, capsys, status, last, code, strictly
):
    """Market "bad" is refused in all of them; that alone never makes a 2."""
    monkeypatch.setattr(engine, "sample", ends(status, last))
    asked = ["fleet", case(long), "--no-report", "--no-refit", "--out", str(tmp_path / "a")]
    assert run(asked) == code
    said = capsys.readouterr().err
    bad = 1 + 2 * (status == "not converged") + (last in ("refused", "failed"))
    assert f"{bad} of 4 markets cannot be used" in said
    assert run([*asked[:-1], str(tmp_path / "b"), "--strict"]) == strictly


def test_markets_that_are_not_adequate_are_counted_and_strict_ends_with_2(
    long, tmp_path, monkeypatch, capsys
):
    def sample(markets, *args, **more):
        for market in markets:
            told = {"adequate": market.name != "C", "finding": "the level breaks"}
            args[3](Done(market.name, "converged", "as told", **told))

    monkeypatch.setattr(engine, "sample", sample)
    asked = ["fleet", case(long), "--no-report", "--no-refit", "--out", str(tmp_path / "a")]
    assert run(asked) == 0
    said = capsys.readouterr()
    assert "1 of 3 usable markets are not adequate" in said.err
    assert run([*asked[:-1], str(tmp_path / "b"), "--strict"]) == 2
    table = mm.open_fleet(tmp_path / "a").table.set_index("market")
    assert table.adequate["C"] is False
    assert table.finding["C"] == "the level breaks"


@pytest.mark.parametrize(
    "paths",
    ['path = ["A.csv", "sub/B.csv"]', 'path = "**/[AB].csv"',
     'files = { A = "A.csv", B = "sub/B.csv" }'],
)  # fmt: skip
def test_a_file_for_each_market(paths, tmp_path):
    (tmp_path / "sub").mkdir()
    frame(0).to_csv(tmp_path / "A.csv", index=False)
    frame(1).to_csv(tmp_path / "sub" / "B.csv", index=False)
    asked = fleet_case.read(Path(case(tmp_path, text=HEAD + paths + MODEL)))
    assert asked.order == list(asked.panels) == ["A", "B"]
    np.testing.assert_array_equal(asked.panels["B"].outcome[0], frame(1)["y"])


def test_all_usable_is_exit_0_behind_a_url_too(long, monkeypatch, capsys):
    monkeypatch.setattr(engine, "sample", sampled)
    own = OWN + '[market.bad.data]\nmedia = ["m0"]\n'
    text = HEAD + 'path = "all.csv"\nmarket = "country"\n' + MODEL + own
    assert run(["fleet", case(long, text=text), "--out", "memory://cli/run"]) == 0
    assert mm.open_fleet("memory://cli/run").table["market"].tolist()[2] == "bad"
    assert "converged" in capsys.readouterr().out


def test_settings_are_the_usual_ones_unless_given(long):
    sampler = fleet_case.read(Path(case(long, ("until = false\n", "chains = 2\n")))).sampler
    assert sampler.until == mm.Converged()
    assert (sampler.chains, sampler.warmup) == (2, 50)
    more = '[fleet]\nseed = 3\nbatch = 8\non_empty = "drop"\nrefit = false\n'
    asked = fleet_case.read(Path(case(long, ("[model]", more + "[model]"))), {"batch": 9})
    assert asked.settings == {"seed": 3, "batch": 9, "on_empty": "drop", "refit": False}
    assert list(asked.unread) == ["bad"]
    assert asked.order == ["A", "Ö 1", "bad", "C"]


def test_a_market_may_have_its_own_value_of_an_outcome(long):
    for_all = ("[data]\ndate", "[data]\noutcome_value = 0.5\ndate")
    for_c = ("[market.C.data]", "[market.C.data]\noutcome_value = 0.25")
    asked = fleet_case.read(Path(case(long, for_all, for_c)))
    values = {name: panel.outcome_value for name, panel in asked.panels.items()}
    assert values == {"A": 0.5, "Ö 1": 0.5, "C": 0.25}


def test_everything_wrong_with_the_file_is_said_at_once(long, tmp_path, capsys):
    file = case(
        long,
        ('market = "country"', 'market = "contry"\nseed = 3'),
        ("warmup = 50", "warmup = 1\nsead = 2"),
        ("order = 1", "order = -1"),
        ('dist = "HalfNormal"', 'dist = "HalfNormale"'),
        ("[market.C.data]", '[fleet]\nbatch = 0\nrefit = "no"\n[market.C.dta]'),
        ("[model]\n", "[modle]\n[model]\n"),
    )
    out = tmp_path / "run"
    assert run(["fleet", file, "--out", str(out)]) == 1
    assert not out.exists()
    said = capsys.readouterr().err
    for words in (
        'did you mean "model"?', "write it in [fleet]", 'did you mean "country"?', "sead",
        "seasonality", "HalfNormale", '[market."Ö 1"]', "batch", "refit", "dta", "warmup",
    ):  # fmt: skip
        assert words in said, words


@pytest.mark.parametrize(
    "changes, words",
    [
        ([('path = "all.csv"', 'path = "al.csv"')], 'did you mean "all.csv"?'),
        ([('market = "country"\n', "")], 'market = "country" beside path'),
        ([('path = "all.csv"\nmarket = "country"', 'path = "*.json"')], "pattern of files"),
        ([('path = "all.csv"\nmarket = "country"', 'path = ["al.csv"]')], "exists"),
        ([('path = "all.csv"\nmarket = "country"', "")], "a file for each market"),
        ([('path = "all.csv"', 'path = "all.csv"\nfiles = {}')], "leave them out"),
        ([("[market.C.data]", "[market.bat.data]")], 'did you mean "bad"?'),
        ([('["m0", "m1"]', '["n0"]'), ('{ First = "m0" }', '["n0"]')], "no market can be"),
        ([('outcome = "y"\n', "")], "no outcome"),
        ([("[sampler]", '[sampler]\nkind = "nuts"')], "lock-step"),
    ],
)
def test_bad_input_is_exit_1_and_writes_nothing(changes, words, long, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(["fleet", case(long, *changes), "--out", str(out)]) == 1
    assert words in capsys.readouterr().err
    assert not out.exists()


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Two markets and their sum, in one table."""
    folder, parts = tmp_path_factory.mktemp("counted"), [frame(0), frame(1)]
    columns = ["y", "m0", "m1"]
    whole = parts[0].assign(**{c: parts[0][c] + parts[1][c] for c in columns})
    named = zip(("A", "B", "St. Total"), (*parts, whole), strict=True)
    table = pd.concat([f.assign(country=name) for name, f in named])
    table.to_csv(folder / "all.csv", index=False)
    return folder


COUNTED = HEAD + 'path = "all.csv"\nmarket = "country"\n' + MODEL


@pytest.mark.slow(parts=6)
def test_a_market_that_is_the_sum_of_the_others_is_told_before_and_after(
    counted, tmp_path, capsys
):
    file, out = case(counted, text=COUNTED), tmp_path / "run"
    assert run(["fleet", file, "--check", "--out", str(out)]) == 0
    assert not out.exists()
    said = " ".join(capsys.readouterr().out.split())
    what = 'market "St. Total" is the sum of "A" and "B", and so are its media'
    assert what in said
    assert "Ready (3 of 3 markets): mmmjax fleet" in said
    assert run(["fleet", file, "--no-report", "--no-refit", "--out", str(out)]) in (0, 2)
    assert 'copy of other markets): "St. Total"' in capsys.readouterr().err
    table = pd.read_csv(out / "fleet.csv").set_index("market")
    assert table["data"].dropna().index.tolist() == ["St. Total"]
    ranking = mm.fleet_ranking(mm.open_fleet(out).table.assign(status="converged"))
    first = ranking.iloc[0]
    assert (first.market, first.attention) == ("St. Total", "doubtful data")
    assert first.why.startswith(what)
    assert first.next.startswith('Leave the rows or the file of "St. Total" out')


def test_check_says_why_markets_are_refused_and_a_case_is_told_from_a_fleet(long, capsys):
    file = case(long)
    assert run(["fleet", file, "--check"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "- bad: refused: " in said
    assert "Ready (3 of 4 markets)" in said
    assert run(["check", file]) == 1
    assert f"Fix: mmmjax fleet {file} --check" in capsys.readouterr().err


def test_a_date_of_leave_empty_that_a_market_lacks_is_told_of_that_market_alone(counted):
    table = pd.read_csv(counted / "all.csv")
    later = table[(table.country != "B") | (table.date > table.date.min())]
    later.to_csv(counted / "later.csv", index=False)
    date = f'leave_empty = ["{table.date.min()}"]\n'
    text = COUNTED.replace("all.csv", "later.csv").replace("[model]", f"{date}[model]")
    asked = fleet_case.read(Path(case(counted, text=text, name="later.toml")))
    assert set(asked.panels) == {"A", "St. Total"}
    assert [*asked.unread] == ["B"]
    assert f"leave_empty: got {table.date.min()}" in asked.unread["B"]


@pytest.mark.slow
def test_batch_and_refit_of_the_file_change_what_is_done(counted, tmp_path, monkeypatch):
    plans, real = {}, command.fit_fleet

    def keep(*args, **more):
        plans[more["store"]] = real(*args, **more).plan

    monkeypatch.setattr(command, "fit_fleet", keep)
    kinds, strict = {}, MODEL.replace("until = false", "until = { r_hat = 1.0001 }")
    for batch, refit in ((1, "false"), (2, "true")):
        more = f"max_draws = 50\n[fleet]\nbatch = {batch}\nrefit = {refit}\n"
        text = COUNTED.replace(MODEL, strict + more).replace("all.csv", "two.csv")
        table = pd.read_csv(counted / "all.csv")
        table[table.country != "B"].to_csv(counted / "two.csv", index=False)
        out = str(tmp_path / f"{batch}")
        run(["fleet", case(counted, text=text), "--no-report", "--out", out])
        kinds[batch] = {fit.sampler.kind for fit in mm.open_fleet(out).values()}
    sizes = [[len(part.markets) for part in plan.parts()] for plan in plans.values()]
    assert sizes == [[1, 1], [2]]
    assert kinds == {1: {"hmc"}, 2: {"nuts"}}
