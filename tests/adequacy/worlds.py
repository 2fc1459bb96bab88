"""Fits whose draws lie close around the truth that made their data, without sampling."""

import re
import tomllib
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import mmmjax as mm
from mmmjax import response
from mmmjax.draws import Draws, Fit
from mmmjax.samplers import NUTS
from mmmjax.scaling import Scale
from tests.fits import shared

SIGMA = 0.03  # noise, scaled units


def panel_of(periods=120, channels=3, geos=1, controls=1, freq="7D", seed=0):
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2021-01-04", periods=periods, freq=freq)
    names = [f"m{i}" for i in range(channels)]
    others = [f"c{i}" for i in range(controls)]
    frames = []
    for g in range(geos):
        frame = pd.DataFrame({"geo": f"g{g}", "date": dates})
        for name in names:
            frame[name] = rng.gamma(2.0, 50.0, periods) * (rng.random(periods) < 0.8)
        for name in others:
            frame[name] = rng.normal(size=periods)
        frame["sales"] = 1.0
        frames.append(frame)
    return mm.Panel.from_frame(
        pd.concat(frames), date="date", outcome="sales", media=names, controls=others,
        geo="geo" if geos > 1 else None,
    )  # fmt: skip


def fit_of(spec=None, left=None, masked=(), seed=0, **settings):
    """A fit whose outcome is its mean plus ``left`` (geo, time), in noise units."""
    spec = shared(spec or mm.Spec())
    panel = panel_of(seed=seed, **settings)
    rng = np.random.default_rng(seed + 1)
    sizes = spec.sizes(panel)
    centre = {"intercept": 0.4, "saturation_lam": 2.0, "saturation_beta": 0.15,
              "adstock_alpha": 0.3, "y_sigma": SIGMA, "y_nu_excess": 2.0,
              "trend_slope": 0.1}  # fmt: skip
    params = {
        name: np.full(tuple(sizes[d] for d in spec.dims(name)), centre.get(name, 0.03))
        for name in spec.present(sizes)
    }
    shape = (panel.n_geos, panel.n_periods)
    noise = rng.normal(size=shape) if left is None else np.broadcast_to(left, shape)
    inputs = response.make_inputs(spec, panel, Scale.fit(panel))
    with jax.enable_x64(True):
        moved = jax.tree.map(jnp.asarray, (params, inputs))
        mu = np.asarray(response.mean(*moved, spec))
    outcome = 1000.0 * (mu + SIGMA * noise)
    for geo, time in masked:
        outcome[geo, time] = np.nan
    panel = replace(panel, outcome=outcome)
    unit = Scale.fit(panel).outcome[0] / 1000.0
    linear = [n for n, p in spec.parameters.items() if p.linear]
    linear += ["saturation_beta", "y_sigma"]
    drawn = {
        n: (x / (unit if n in linear else 1.0))
        * (1 + 0.02 * rng.normal(size=(2, 40, *x.shape)))
        for n, x in params.items()
    }
    sampler = NUTS(chains=2, warmup=50, draws=40)
    return Fit(spec, panel, Scale.fit(panel), sampler, Draws(drawn), seed, {})


LINE = re.compile(
    r"([\w.]+ = (?:\{[^{}]*\}|true|false|\d+|\"\w+\")) ?"
    r"(?:under \[model(\.priors)?\]|(under a new \[\[model.term\]\])|"
    r'under \[\[model.term\]\] name = "(\w+)")?'
)


def writable(text, spec=None):
    """Every line that a remedy says to write makes a spec, where it says to write it."""
    for line, prior, new, name in LINE.findall(text):
        if spec is not None and (name or "." in line.split(" = ")[0]):
            model = spec.to_dict()
            if name:
                (term,) = [t for t in model["term"] if t["name"] == name]
                before = dict(term)
                term |= tomllib.loads(line)
                assert term != before
            else:
                prior, text = line.split(" = ", 1)
                model["priors"][prior] = tomllib.loads(f"x = {text}")["x"]
            assert mm.Spec.from_dict(model) != spec
            continue
        if new:
            model = tomllib.loads(f"[[model.term]]\n{line}")["model"]
            assert mm.Spec.from_dict(model).terms
            continue
        head = "[model.priors]" if prior or "dist" in line else "[model]"
        head = f"[model]\ntrend = true\n{head}" if line.startswith("trend_slope") else head
        mm.Spec.from_dict(tomllib.loads(f"{head}\n{line}")["model"])
