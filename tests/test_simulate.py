"""The simulated truth against plain NumPy loops; the embedded data against its seed."""

import json
import tomllib
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest

from mmmjax import response, simulate
from mmmjax.checks import InputError
from mmmjax.panel import Panel
from mmmjax.scaling import Scale
from mmmjax.simulate import Process, generate
from mmmjax.spec import Spec, among

SMALL = {"periods": 60, "test_periods": 6, "max_lag": 4}


def loop_contribution(media, alpha, lam, beta, max_lag):
    """The definition for one channel, in plain loops; media in shares of its maximum."""
    weights = np.array([alpha**lag for lag in range(max_lag)])
    weights /= weights.sum()
    out = []
    for t in range(len(media)):
        carried = sum(weights[k] * media[t - k] for k in range(max_lag) if t >= k)
        out.append(beta * (1 - np.exp(-lam * carried)) / (1 + np.exp(-lam * carried)))
    return np.array(out)


def numbers(tree, path=""):
    """Every number of a JSON tree by its path; text stays text."""
    if isinstance(tree, dict):
        pairs = tree.items()
    elif isinstance(tree, list):
        pairs = enumerate(tree)
    else:
        return {path: tree}
    return {
        k: v for key, value in pairs for k, v in numbers(value, f"{path}/{key}").items()
    }


def test_embedded_dataset_is_what_its_seed_writes(tmp_path):
    generate().write(tmp_path, "demo")
    for name in ("demo.csv", "demo_truth.json", "demo.toml"):
        assert (simulate.DEMO / name).is_file()
    stored, new = (pd.read_csv(p / "demo.csv") for p in (simulate.DEMO, tmp_path))
    pd.testing.assert_frame_equal(stored, new, rtol=1e-6, atol=0.02)  # cents may round
    toml = [(p / "demo.toml").read_text() for p in (simulate.DEMO, tmp_path)]
    assert toml[0] == toml[1]
    truths = [
        numbers(json.loads((p / "demo_truth.json").read_text()))
        for p in (simulate.DEMO, tmp_path)
    ]
    assert truths[0].keys() == truths[1].keys()
    for path, value in truths[0].items():
        close = value if isinstance(value, str) else pytest.approx(value, rel=1e-6)
        assert truths[1][path] == close, path


@pytest.mark.parametrize("geos", [1, 3])
def test_truth_agrees_with_plain_loops(geos):
    found = generate(seed=1, geos=geos, **SMALL)
    truth, panel = found.truth, found.panel
    parameters, scale = truth["parameters"], truth["scale"]
    n_train = 54
    spend = panel.spend
    for c, channel in enumerate(panel.channels):
        total, inside = 0.0, 0.0
        for g, geo in enumerate(panel.geos):
            media = spend[g, :, c] / scale["media"][channel]
            args = [
                parameters[n][c]
                for n in ("adstock_alpha", "saturation_lam", "saturation_beta")
            ]
            weekly = scale["outcome"] * loop_contribution(media, *args, 4)
            np.testing.assert_allclose(
                truth["components"]["geos"][geo][channel], weekly, rtol=1e-9
            )
            alone = np.concatenate([media[:n_train], np.zeros(3)])  # nothing spent after
            total += scale["outcome"] * loop_contribution(alone, *args, 4).sum()
            inside += weekly[:n_train].sum()
        row = next(
            r for r in truth["channels"] if (r["geo"], r["channel"]) == ("ALL", channel)
        )
        money = spend[:, :n_train, c].sum()
        assert row["spend"] == pytest.approx(money, rel=1e-12)
        assert row["roas"] == pytest.approx(total / money, rel=1e-9)
        assert row["roas_in_window"] == pytest.approx(inside / money, rel=1e-9)
        assert row["share"] == pytest.approx(
            inside / panel.outcome[:, :n_train].sum(), rel=1e-9
        )
        assert 0.8 <= row["roas"] <= 4.0


@pytest.mark.parametrize("geos", [1, 3])
def test_parameters_are_in_the_units_of_a_fit_of_the_training_window(geos):
    found = generate(seed=2, geos=geos, **SMALL)
    train, test = found.panel.split(found.train_until)
    scale = Scale.fit(train)
    params = {n: np.asarray(v) for n, v in found.truth["parameters"].items()}
    inputs = response.make_inputs(found.spec, train, scale)
    later = response.make_inputs(found.spec, test, scale, after=train)
    with jax.enable_x64(True):
        means = [
            np.asarray(
                response.mean(params, jax.tree.map(jax.numpy.asarray, part), found.spec)
            )
            for part in (inputs, later)
        ]
    mean = np.concatenate(means, axis=1) * scale.outcome[:, None]
    weekly = found.truth["components"]["geos"]
    np.testing.assert_allclose(mean, [weekly[g]["mean"] for g in train.geos], rtol=1e-9)
    noise = found.panel.outcome - mean
    sigma = params["y_sigma"] * scale.outcome[0]
    assert noise.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * noise.size))  # 4 sd
    for geo in train.geos:
        parts = {k: np.array(v) for k, v in weekly[geo].items()}
        np.testing.assert_allclose(parts.pop("mean"), sum(parts.values()), rtol=1e-9)


def test_same_seed_same_data_other_seed_other_data():
    first, again, other = generate(**SMALL), generate(**SMALL), generate(seed=1, **SMALL)
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert not first.frame["sales"].equals(other.frame["sales"])


def test_one_option_leaves_the_other_draws_alone():
    plain, noisy = generate(**SMALL), generate(noise=0.1, trend=False, **SMALL)
    spends = [c for c in plain.frame if c.endswith("_spend")]
    pd.testing.assert_frame_equal(plain.frame[spends], noisy.frame[spends])
    assert noisy.frame["sales"].std() > plain.frame["sales"].std()


def test_collinear_and_flighted_spend():
    apart = generate(collinear=0.0, flighted=0, periods=200).panel.spend[0]
    alike = generate(collinear=0.95, flighted=0, periods=200).panel.spend[0]
    off_diagonal = lambda x: np.corrcoef(np.log(x).T)[np.triu_indices(4, 1)]
    assert np.abs(off_diagonal(apart)).max() < 0.5 < 0.85 < off_diagonal(alike).min()
    assert (alike > 0).all()
    off = (generate(flighted=2).panel.spend[0] == 0).mean(axis=0)
    assert (off[:2] == 0).all()
    assert ((off[2:] > 0.2) & (off[2:] < 0.8)).all()


def test_ingredients_can_be_left_out():
    bare = generate(seasonality=False, trend=False, controls=0, test_periods=0, channels=9)
    assert bare.panel.control_names == ()
    assert bare.panel.channels[-1] == "Channel 9"
    assert set(bare.truth["parameters"]) == {
        "intercept", "adstock_alpha", "saturation_lam", "saturation_beta", "y_sigma",
    }  # fmt: skip
    assert set(bare.truth["components"]["geos"]["national"]) == {
        "intercept", *bare.panel.channels, "mean",
    }  # fmt: skip
    media = sum(r["share"] for r in bare.truth["channels"] if r["geo"] == "ALL")
    assert media == pytest.approx(0.3, abs=0.03)
    assert bare.truth["baseline"][-1]["share"] == pytest.approx(1 - media, abs=0.02)


def test_case_file_holds_the_model_that_made_the_data_and_of_geos_the_defaults():
    found = generate(**SMALL)
    case = tomllib.loads(found.case("x.csv"))
    assert among(Spec.from_dict(case["model"]), {"geo": 1}) == found.spec
    assert case["data"]["train_until"] == found.truth["window"]["last"]
    geos = generate(geos=2, **SMALL)
    spec = Spec.from_dict(tomllib.loads(geos.case("x.csv"))["model"])
    assert spec.priors == replace(geos.spec, priors={}).priors
    assert (spec.outcome_scale, spec.media_scale) == ("auto", "auto")
    assert geos.spec.dims("intercept") == ("geo",)
    assert geos.spec.dims("saturation_beta") == ("channel",)


@pytest.mark.parametrize(
    "settings, hint",
    [
        ({"collinear": 1.0}, "collinear"),
        ({"flighted": 5}, "flighted"),
        ({"periods": 20}, "leaves about two years"),
        ({"noise": float("nan")}, "noise"),
        ({"start": "soon"}, "2023-01-02"),
        ({"media_share": 30}, "media_share"),
    ],
)
def test_settings_that_cannot_be_simulated(settings, hint):
    with pytest.raises(InputError, match=hint):
        Process(**settings)


def test_only_the_embedded_data_are_said_to_be_simulated():
    table = pd.read_csv(simulate.DEMO / "demo.csv")
    names = {"TV": "tv_spend", "Radio": "radio_spend"}
    of = lambda rows: Panel.from_frame(rows, date="date", outcome="sales", media=names)
    assert simulate.is_demo(of(table))
    assert simulate.is_demo(of(table.iloc[20:90]))
    assert not simulate.is_demo(of(table.assign(sales=1.01 * table["sales"])))
    late = pd.to_datetime(table["date"]) + pd.Timedelta(weeks=52)
    assert not simulate.is_demo(of(table.assign(date=late)))
    assert not simulate.is_demo(
        of(pd.concat([table, table.tail(1).assign(date=["2025-12-29"])]))
    )
