"""fit: spec + panel + sampler to a Fit."""

import dataclasses
import functools
import importlib
import importlib.metadata
import platform
import time
from typing import Any, Literal

import numpy as np

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.draws import Draws, Fit
from mmmjax.infer.lanes import unfolding
from mmmjax.infer.precondition import Potential, Problem, outline, precondition
from mmmjax.infer.progress import LOG, Progress
from mmmjax.infer.threads import pool, single_blas
from mmmjax.model import ModelData
from mmmjax.panel import Panel
from mmmjax.prepare import prepare
from mmmjax.programs import device
from mmmjax.resources import enough_memory
from mmmjax.samplers import (
    HMC,
    MCLMC,
    MEADS,
    NUTS,
    SMC,
    ChEES,
    Laplace,
    Pathfinder,
    Sampler,
    kept,
)  # fmt: skip
from mmmjax.spec import Spec

__all__ = ["fit", "machine", "sampled"]

ENGINES: dict[type, str] = {  # modules of this room, loaded when they are used
    NUTS: "nuts", HMC: "hmc", Laplace: "approximation", Pathfinder: "approximation",
    ChEES: "black", MCLMC: "black", MEADS: "black", SMC: "tempering",
}  # fmt: skip
COPIES = 5  # of the draws alive at the end: as they came, unfolded, joined
PROGRAMS = 0.9e9  # bytes of a process that has compiled what it samples with
_PACKAGES = ("mmmjax", "jax", "jaxlib", "numpyro", "blackjax", "numpy")
_JUDGED = (
    "until",
    "pareto_k",
    "weights_ess",
    "energy_error",
    "drift",
)  # of some samplers only


@checked
def fit(
    spec: Spec,
    panel: Panel,
    sampler: Sampler | None = None,
    *,
    seed: int = 0,
    on_empty: Literal["error", "drop", "prior"] = "error",
    progress: bool | None = None,
) -> Fit:
    """Sample the posterior of a spec given a panel.

    Args:
        spec: What the model is.
        panel: The training data (:meth:`mmmjax.Panel.split` gives one).
        sampler: Settings; by default ``mm.NUTS()`` of one geo, ``mm.HMC()`` of several,
            for which it takes a fraction of the time.
        seed: The same seed, data and settings give the same draws on the same machine.
        on_empty: What to do with a channel or control that never varies: refuse ("error"),
            leave it out ("drop"), or keep it and let its prior speak ("prior").
        progress: Show live progress; None shows it on a terminal only.

    Returns:
        The fit. It is returned even when chains did not converge:
        :func:`mmmjax.diagnostics` and its ``repr`` say so.

    Raises:
        InputError: Data that cannot be fitted; the message names row, date, geo, column.
    """
    began = time.perf_counter()
    if sampler is None:
        sampler = NUTS() if panel.n_geos == 1 else HMC()
    seed = checks.integer("seed", seed, low=0, high=2**32 - 1)
    found = prepare(spec, panel, on_empty)
    shapes = outline(found.spec.structure(), found.data)
    needed, of = kept(sampler, int(shapes.center.size))
    needed = COPIES * needed + PROGRAMS
    needed += unfolding(shapes, sampler) if isinstance(sampler, HMC) else 0
    enough_memory("sampler", needed, of, "fewer chains, or fewer draws in a chain")
    with Progress(sampler.chains, progress) as shown:
        draws, info = sampled(found.spec, found.data, sampler, seed, shown, began)
    info["notes"] = [*found.notes, *info["notes"]]
    for note in info["notes"]:
        LOG.info("%s", note, extra={"event": "finding"})
    return Fit(found.spec, found.panel, found.scale, sampler, draws, seed, info)


def sampled(
    spec: Spec,
    data: ModelData,
    sampler: Sampler,
    seed: int,
    progress: Progress,
    began: float | None = None,
) -> tuple[Draws, dict[str, Any]]:
    """Sample the posterior given arrays, which may be padded; draws and what happened.

    Args:
        spec: The model.
        data: From :func:`mmmjax.model.model_data`.
        sampler: Settings.
        seed: Of everything random.
        progress: Where to show what happens.
        began: Clock at which preparation began; now if None.
    """
    began = time.perf_counter() if began is None else began
    structure = spec.structure()
    with single_blas():
        problem, compiled_s = _prepare(structure, data, sampler, seed)
        progress.compiled = compiled_s
        prepared = time.perf_counter()
        result = engine(sampler).run(problem, structure, sampler, seed, progress)
    found = result.info
    info: dict[str, Any] = {
        "timings": {
            "prepare_s": max(0.0, prepared - began - compiled_s),
            "compile_s": compiled_s + found["compile_s"],
            "warmup_s": found["warmup_s"],
            "sample_s": found["sample_s"],
            "total_s": time.perf_counter() - began,
        },
        "gradients": found["gradients"],
        "warmup": found["warmup"],
        "restarts": found["restarts"],
        "n_parameters": int(np.asarray(problem.center).size),
        **machine(),
        "notes": [*_rounded(sampler, found), *found["restarts"], *_went_on(sampler, found)],
    }
    info |= {name: found[name] for name in _JUDGED if found.get(name) is not None}
    return Draws(result.params, result.stats), info


def _prepare(
    spec: Spec, data: ModelData, sampler: Sampler, seed: int
) -> tuple[Problem, float]:
    """Precondition while the sampler's program compiles; seconds waited for compiling.

    The program of the Laplace fit comes first: sampling waits for it and for its own.
    """
    shapes = outline(spec, data)
    with pool(2) as others:
        fitting = others.submit(Potential, shapes, spec)
        ahead = others.submit(engine(sampler).build, shapes, spec, sampler)
        problem, seconds = precondition(spec, data, seed)
        fitting.result()
        worked = time.perf_counter()
        compiled_now = ahead.result()[-1] > 0
        waited = time.perf_counter() - worked if compiled_now else 0.0
        return problem, seconds + waited


def machine() -> dict[str, Any]:
    """Device, platform and versions, for the record of a run."""
    where = {"device": str(device().device_kind), "platform": platform.platform()}
    return where | {"versions": dict(_installed())}


def engine(sampler: Sampler) -> Any:
    """The module that runs a sampler."""
    return importlib.import_module(f"mmmjax.infer.{ENGINES[type(sampler)]}")


@functools.cache  # reading what is installed takes milliseconds, a fleet asks often
def _installed() -> dict[str, str]:
    return {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _went_on(sampler: Sampler, info: dict[str, Any]) -> list[str]:
    """That draws went on until they were enough, or were not enough at the end."""
    judged = info.get("until")
    if not judged or not isinstance(sampler, NUTS | HMC) or sampler.until is None:
        return []
    first, *_, last = judged["looks"] * 2
    now = f"R-hat {judged['r_hat']:.4f} and ESS {judged['ess']:.0f}"
    if not judged["met"]:
        least = sampler.until.least(sampler.chains)
        return [
            f"stopped at {last:,} draws a chain, the most allowed, with {now}: asked for "
            f"were {sampler.until.r_hat:g} and {least:.0f} (until, max_draws)"
        ]
    if last == first:
        return []
    return [f"went on from {first:,} to {last:,} draws a chain, until {now}"]


def _rounded(sampler: Sampler, info: dict[str, Any]) -> list[str]:
    settings = dataclasses.asdict(sampler)
    return [
        f"{name} rounded up from {settings[name]} to {info[name]} "
        f"(whole chunks of {settings['chunk']})"
        for name in ("warmup", "draws")
        if name in settings and info[name] != settings[name]
    ]
