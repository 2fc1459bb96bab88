"""Case files that once ended in a traceback: each is refused by name, or read."""

import shutil
from pathlib import Path

import pytest

import mmmjax as mm
from mmmjax.cli.case import read

DATA = '[data]\npath = "demo.csv"\ndate = "date"\noutcome = "sales"\n'
MEDIA = DATA + 'media = ["tv_spend"]\n'
PRIOR = "[model.priors]\n"
TEXTS = {
    "media = 5": (DATA + "media = 5\n", "[data] media: got 5"),
    "controls = 5": (MEDIA + "controls = 5\n", "[data] controls: got 5"),
    "controls a table": (MEDIA + 'controls = { a = "b" }\n', "[data] controls"),
    "media = a date": (DATA + "media = 2023-01-02\n", "[data] media: got 2023-01-02"),
    "nested list": (DATA + 'media = ["tv_spend", ["x"]]\n', "[data] media"),
    "kind a table": (
        DATA + "[model]\nlikelihood = {kind = {a = 1}}\n",
        "likelihood kind",
    ),
    "kind a list": (DATA + "[model]\nsaturation = { kind = [1] }\n", "saturation kind"),
    "dims = 5": (
        MEDIA + PRIOR + 'intercept = { dist = "Normal", scale = 1.0, dims = 5 }\n',
        "dims: got 5",
    ),
    "spend_share as bound": (
        MEDIA + PRIOR + 'adstock_alpha = { dist = "Uniform", low = 0.0, '
        'high = "spend_share" }\n',
        "prior Uniform high: got spend_share",
    ),
    "10^400": (MEDIA + "[sampler]\ndraws = 1" + "0" * 400 + "\n", "sampler draws: got"),
    "5000 digits": (MEDIA + "[sampler]\ndraws = " + "9" * 5000 + "\n", "too many digits"),
    "deep": ("a = " + "[" * 5000, "brackets in brackets"),
    "kind = nan": (
        MEDIA + "[sampler]\nkind = nan\ndraws = 70\n",
        "kind: got NaN",
    ),
    "trend = 1": (MEDIA + "[model]\ntrend = 1\n", "trend: got 1"),
    "seed empty": (MEDIA + "[sampler]\nseed = ''\n", "[sampler] seed: got"),
    "on_empty empty": (MEDIA + "on_empty = ''\n", "[data] on_empty: got"),
    "text of digits": (MEDIA + '[sampler]\ndraws = "70"\n', 'sampler draws: got "70"'),
    "loc = inf": (
        MEDIA + PRIOR + 'intercept = { dist = "Normal", loc = inf, scale = 1.0 }\n',
        "prior Normal loc: got inf",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_case_files_that_ended_in_a_traceback_are_refused_by_name(name, tmp_path):
    text, said = TEXTS[name]
    shutil.copy(Path(mm.__file__).parent / "datasets" / "demo.csv", tmp_path)
    path = tmp_path / "case.toml"
    path.write_text(text)
    with pytest.raises(mm.InputError) as error:
        read(path)
    assert said in str(error.value)


def test_a_path_that_is_too_long_is_said(tmp_path):
    with pytest.raises(mm.InputError, match=r"cannot be read|no such file"):
        read(tmp_path / ("x" * 300 + ".toml"))


@pytest.mark.parametrize(
    "table, line, home",
    [
        ("data", "seed = 1", "[sampler]"),
        ("data", "trend = true", "[model]"),
        ("data", "warmup = 300", "[sampler]"),
        ("model", "max_lag = 4", '[model] adstock = { kind = "geometric", ... }'),
        ("model", "order = 3", "[model] seasonality = { order = 2 }"),
        ("model", "path = 'x.csv'", "[data]"),
        ("model", "until = false", "[sampler]"),
        ("sampler", "currency = 'EUR'", "[data]"),
        ("sampler", "per_day = true", "[model]"),
    ],
)
def test_a_key_in_the_wrong_table_is_told_its_place(table, line, home, tmp_path):
    lines = {"data": ["path = 'no.csv'"], "model": [], "sampler": []}
    lines[table].append(line)
    path = tmp_path / "case.toml"
    path.write_text("".join(f"[{k}]\n{'\n'.join(v)}\n" for k, v in lines.items()))
    key = line.partition(" ")[0]
    with pytest.raises(mm.InputError) as caught:
        read(path)
    said = [one for one in str(caught.value).splitlines() if f'"{key}"' in one]
    assert len(said) == 1
    assert f"[{table}]" in said[0]
    assert said[0].rstrip(".").endswith(f"Fix: write it in {home}".rstrip("."))


@pytest.mark.parametrize(
    "kind, key, fix",
    [
        ("nuts", "leapfrogs", 'remove it, or write kind = "hmc"'),
        ("hmc", "max_tree_depth", 'remove it, or write kind = "nuts"'),
        ("hmc", "warm_up", 'did you mean "warmup"?'),
    ],
)
def test_a_setting_of_another_sampler_is_told_whose_it_is(kind, key, fix, tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(DATA + f'[sampler]\nkind = "{kind}"\n{key} = 5\n')
    with pytest.raises(mm.InputError) as caught:
        read(path)
    assert f'key: got "{key}" at [sampler]' in str(caught.value)
    assert f"Fix: {fix}" in str(caught.value)
