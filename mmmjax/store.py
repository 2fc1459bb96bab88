"""Save and load a fit: one NetCDF-4 file, written atomically, read without running code.

Groups of a file, format 2:

- ``/`` attributes: mmmjax_format, mmmjax_version, data_hash; mmmjax_digests (JSON) holds a
  digest of every array and of the attributes of every group, checked on load.
- ``/posterior`` and ``/sample_stats``: the draws as ArviZ reads them, named dims.
- ``/panel``: outcome, media, spend, controls, present, population over (geo, date, ...).
- ``/scale``: the units of the model.
- ``/record``: two texts; ``spec`` (TOML) says what the model is, ``run`` (JSON) holds the
  sampler, the seed, library versions and whatever the run reported.

Arrays keep their type and every bit. A file that was damaged, changed, cut short or written
by a newer format is refused with a message that names what is not as it was saved. A file
of format 1 has no digests: it loads, says so in ``fit.info["notes"]``, and is refused where
its panel is not the one it was fitted on.
"""

import dataclasses
import io
import json
import os
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import facts, netcdf
from mmmjax.arguments import checked
from mmmjax.checks import InputError, Phrase, fail, listing
from mmmjax.draws import Draws, Fit
from mmmjax.panel import Campaigns, Columns, Panel
from mmmjax.resources import clean, replace_file, usable_path
from mmmjax.samplers import NUTS, SAMPLERS
from mmmjax.scaling import Scale
from mmmjax.shapes import CAMPAIGN, CHANNEL, CONTROL, DATE, GEO
from mmmjax.spec import Spec

__all__ = ["FORMAT", "NO_DIGEST", "dumps", "load", "loads", "save", "tree_of"]

FORMAT = 2
NO_DIGEST = (
    "loaded from a file of format 1, which carries no digest: whether its numbers are "
    "those that were saved cannot be checked; save it again to have one"
)
SIGNATURE = b"\x89HDF\r\n\x1a\n"
LIBRARIES = ("mmmjax", "jax", "jaxlib", "numpyro", "numpy", "pandas", "xarray", "h5netcdf")
ALLOWED = "a file that mm.save wrote"

PANEL_DIMS = {
    "outcome": (GEO, DATE),
    "present": (GEO, DATE),
    "media": (GEO, DATE, CHANNEL),
    "spend": (GEO, DATE, CHANNEL),
    "controls": (GEO, DATE, CONTROL),
    "population": (GEO,),
    "frequency": (GEO, DATE, CHANNEL),
}
SCALE_DIMS = {
    "outcome": (GEO,),
    "media": (GEO, CHANNEL),
    "cost_per_unit": (GEO, CHANNEL),
    "people": (GEO,),
    "campaigns": (CAMPAIGN,),
    "baseline": (CONTROL,),
    "frequency": (CHANNEL,),
    "clock": (),
    "days": (),
}


@checked
def save(fit: Fit, path: str | os.PathLike[str]) -> Path:
    """Write a fit to one file, all or nothing: a reader never sees half of it.

    The content goes to a temporary file in the same folder, is synced to disk and then
    renamed; whatever stood at ``path`` before stays until the new file is complete.

    Args:
        fit: The fit.
        path: Where to, usually ``*.nc``; its folder must exist.

    Returns:
        The path written.
    """
    target = file_to_write(path, "fit.nc")
    if fit.sampler is None:
        got, fix = (
            Phrase("draws of the prior"),
            "mm.sample_prior draws them again",
        )
        fail("fit", got, "", "a fit of data", fix)
    clean(target.parent)
    replace_file(target, dumps(fit))
    return target


def dumps(fit: Fit) -> bytes:
    """The bytes of a fit's file."""
    return netcdf.to_bytes(tree_of(fit))


@checked
def load(path: str | os.PathLike[str]) -> Fit:
    """Read a fit that :func:`save` wrote; runs no code from the file.

    Raises:
        InputError: No such file, not a file of ours, damaged, of a newer format, or its
            panel is not the data it was fitted on.
    """
    return loads(_read(usable_path("fit file", path)), path)


def loads(content: bytes, path: str | os.PathLike[str]) -> Fit:
    """The fit of a file's bytes.

    Args:
        content: What :func:`dumps` gave.
        path: Where they are from, for messages.

    Raises:
        InputError: As :func:`load`.
    """
    tree = _tree(content, path)
    try:
        return _from_tree(tree)
    except InputError as error:
        raise InputError(f'fit file "{path}": {error}') from error
    except Exception as error:  # whatever a damaged file makes of the steps above
        _damaged(path, error)


def file_to_write(path: str | os.PathLike[str], usual: str) -> Path:
    """Where a file goes, refused before any work; ``usual`` is its usual name."""
    target = usable_path("path", path).resolve()
    if not target.parent.is_dir():
        fix = f"create it: Path({str(target.parent)!r}).mkdir(parents=True)"
        fail("path", str(path), "", "a file in a folder that exists", fix)
    if target.is_dir():
        got = Phrase(f'the folder "{path}"')
        fail("path", got, "", "a file, not a folder", f'write "{path}/{usual}"')
    return target


def _read(path: Path) -> bytes:
    """The whole file, at once: another process may replace it meanwhile."""
    if not path.exists():
        near = (
            sorted(p.name for p in path.parent.glob("*.nc")) if path.parent.exists() else []
        )
        fix = f"the folder has {', '.join(near)}" if near else "check the path"
        fail("fit file", Phrase(f'no file "{path}"'), "", ALLOWED, fix)
    if path.is_dir():
        fail("fit file", Phrase(f'the folder "{path}"'), "", ALLOWED, f"{path}/fit.nc")
    return path.read_bytes()


def _tree(content: bytes, path: str | os.PathLike[str]) -> xr.DataTree:
    """All groups in memory."""
    if not content.startswith(SIGNATURE):
        got = Phrase(f'"{path}", which is {"not NetCDF-4" if content else "empty"}')
        fail("fit file", got, "", ALLOWED, "name the fit.nc of a run")
    if not netcdf.sound(content):
        _differs(path, "its names, texts or attributes")
    try:
        with h5py.File(io.BytesIO(content)) as file:
            marks = netcdf.attributes(file)
            _check_format(marks, path)
            digests = json.loads(file.attrs.get(netcdf.DIGESTS, "{}"))
            found = netcdf.raw(file)
        changed = netcdf.changed(found, digests) if digests else []
        groups = {where: xr.decode_cf(data).load() for where, data in found.items()}
    except InputError:
        raise
    except Exception as error:  # HDF5 and its readers raise nearly everything
        _damaged(path, error)
    if changed or not (digests or int(marks["mmmjax_format"]) == 1):
        what = listing((Phrase(name) for name in changed), 4) if changed else "its digests"
        _differs(path, what)
    return xr.DataTree.from_dict(groups)


def _differs(path: str | os.PathLike[str], what: str) -> NoReturn:
    """Refuse a file that is not what was saved."""
    fail(
        "fit file",
        Phrase(f'"{path}", in which {what} differ from what was saved'),
        "",
        f"{ALLOWED}, every value as it was",
        "copy it again from where it was written, or fit again: it was damaged, or "
        "another program changed it",
    )


def _damaged(path: str | os.PathLike[str], error: Exception) -> NoReturn:
    """Refuse a file that starts well and cannot be read."""
    raise InputError(
        f'fit file: got "{path}", which is damaged or cut short ({error}). Allowed: a '
        "complete file that mm.save wrote. Fix: copy it again, or fit again."
    ) from error


def _check_format(marks: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Refuse files of other libraries and of newer formats."""
    found = marks.get("mmmjax_format")
    if found is None:
        got = Phrase(f'"{path}", a NetCDF file without the mark of mmmjax')
        fail("fit file", got, "", ALLOWED, "name the fit.nc of a run")
    if not 1 <= int(found) <= FORMAT:
        writer = marks.get("mmmjax_version", "a newer version")
        fail(
            "fit file",
            Phrase(f"format {int(found)}, written by mmmjax {writer}"),
            str(path),
            f"formats up to {FORMAT}, which this mmmjax {_version('mmmjax')} reads",
            f'upgrade: pip install -U "mmmjax>={writer}"; or the file is damaged',
        )


def _version(library: str) -> str:
    """Version of an installed library; "source" where it runs without being installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "source"


def tree_of(fit: Fit) -> xr.DataTree:
    """Everything of a fit as groups of arrays and text."""
    run = {
        "sampler": {"kind": fit.sampler.kind, **dataclasses.asdict(fit.sampler)},
        "seed": fit.seed,
        "versions": {name: _version(name) for name in LIBRARIES},
        "info": fit.info,
    }
    panel, scale = fit.panel, fit.scale
    coords = {
        GEO: list(panel.geos),
        DATE: panel.dates,
        CHANNEL: list(panel.channels),
        CONTROL: list(panel.control_names),
    }
    about = {
        "currency": panel.currency,
        "outcome_name": panel.outcome_name,
        "history": panel.history,
        "freq": panel.freq,
        "columns": json.dumps(dataclasses.asdict(panel.columns)),
    }
    if panel.outcome_value is not None:
        about["outcome_value"] = panel.outcome_value
    if panel.national:
        about["national"] = json.dumps(panel.national)
    if panel.campaigns:
        own = panel.campaigns
        about["campaigns"] = json.dumps([own.channels, own.names])
        coords[CAMPAIGN] = list(own.labels)
    if panel.groups:
        about["groups"] = json.dumps(dict(panel.groups))
    if panel.facts:
        about["facts"] = json.dumps([fact.to_dict() for fact in panel.facts])
    texts = {"spec": fit.spec.to_toml(), "run": json.dumps(run, default=_plain)}
    groups = fit.to_arviz()
    groups["panel"] = xr.DataTree(_dataset(panel, PANEL_DIMS, coords).assign_attrs(about))
    if panel.campaigns:
        for name in ("media", "spend"):
            of = getattr(panel.campaigns, name)
            names = {CAMPAIGN: coords[CAMPAIGN]}
            shares = xr.DataArray(of, names, (GEO, DATE, CAMPAIGN))
            groups["panel"][f"campaign_{name}"] = shares
    groups["scale"] = xr.DataTree(_dataset(scale, SCALE_DIMS, coords))
    groups["record"] = xr.DataTree(xr.Dataset({k: ((), v) for k, v in texts.items()}))
    groups.attrs = {
        "mmmjax_format": FORMAT,
        "mmmjax_version": _version("mmmjax"),
        "data_hash": panel.data_hash(),
    }
    return groups


def _from_tree(tree: xr.DataTree) -> Fit:
    """The fit of a file of this format."""
    record = tree["record"]
    run = json.loads(record["run"].item())
    panel = _panel(tree["panel"].to_dataset())
    if (now := panel.data_hash()) != (then := tree.attrs["data_hash"]):
        fail(
            "data hash",
            Phrase(f"{now[:12]}... of the panel in the file"),
            "",
            f"{then[:12]}..., the data the draws were made from",
            "the panel was changed after the fit: take the original file, or fit again",
        )
    if int(tree.attrs["mmmjax_format"]) == 1:
        run["info"]["notes"] = [*run["info"].get("notes", []), NO_DIGEST]
    sizes = {GEO: len(panel.geos), CHANNEL: len(panel.channels), CAMPAIGN: 0, CONTROL: 0}
    settings = dict(run["sampler"])
    model = tomllib.loads(record["spec"].item())["model"]
    kind = settings.pop("kind")
    if kind not in SAMPLERS:
        fail("sampler", kind, "", f"one of {', '.join(SAMPLERS)}", "upgrade mmmjax")
    if kind == NUTS.kind:
        settings.setdefault("until", None)  # of a time when it did not go on
    return Fit(
        spec=Spec.from_dict({"scale": "max"} | model),  # of a time without the choice
        panel=panel,
        scale=Scale(**_arrays(tree["scale"].to_dataset(), SCALE_DIMS, sizes)),
        sampler=SAMPLERS[kind](**settings),
        draws=Draws(_variables(tree["posterior"]), _variables(tree["sample_stats"])),
        seed=run["seed"],
        info=run["info"],
    )


def _variables(node: Any) -> dict[str, np.ndarray]:
    return {str(name): variable.values for name, variable in node.data_vars.items()}


def _dataset(
    holder: Any, dims: Mapping[str, tuple[str, ...]], coords: Mapping[str, Any]
) -> xr.Dataset:
    """The arrays of a record that have members; a dim without any cannot be stored."""
    arrays = {n: (d, getattr(holder, n)) for n, d in dims.items()}
    kept = {n: (d, a) for n, (d, a) in arrays.items() if a is not None and np.size(a)}
    if "population" in kept and kept["population"][1].ndim == 2:
        kept["population"] = ((GEO, DATE), kept["population"][1])
    used = [dim for d, _ in kept.values() for dim in d]
    return xr.Dataset(kept, {dim: coords[dim] for dim in dict.fromkeys(used)})


def _arrays(
    data: xr.Dataset, dims: Mapping[str, tuple[str, ...]], sizes: Mapping[str, int]
) -> dict[str, Any]:
    """The arrays of a record: None where one may be, else again of their shape."""
    empty: dict[str, Any] = {
        n: np.zeros([sizes[dim] for dim in d]) for n, d in dims.items()
    }
    none = ("population", "people", "campaigns", "baseline", "frequency", "clock", "days")
    empty |= dict.fromkeys(none)
    return {n: data[n].values if n in data else empty[n] for n in dims}


def _panel(data: xr.Dataset) -> Panel:
    names = {
        dim: tuple(map(str, data[dim].values)) if dim in data.coords else ()
        for dim in (GEO, CHANNEL, CONTROL)
    }
    sizes = {dim: len(labels) for dim, labels in names.items()} | {DATE: data.sizes[DATE]}
    arrays = _arrays(data, PANEL_DIMS, sizes)
    columns: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads(data.attrs["columns"]).items()
    }
    own = None
    if "campaigns" in data.attrs:
        channels, campaigns = map(tuple, json.loads(data.attrs["campaigns"]))
        shares = (data[f"campaign_{name}"].values for name in ("media", "spend"))
        own = Campaigns(campaigns, channels, *shares)
    return Panel(
        **arrays,
        campaigns=own,
        dates=pd.DatetimeIndex(data[DATE].values),
        geos=names[GEO],
        channels=names[CHANNEL],
        control_names=names[CONTROL],
        currency=str(data.attrs["currency"]),
        outcome_name=str(data.attrs["outcome_name"]),
        history=int(data.attrs["history"]),
        freq=str(data.attrs["freq"]),
        columns=Columns(**columns),
        outcome_value=data.attrs.get("outcome_value"),
        facts=facts.read(json.loads(data.attrs.get("facts", "[]"))),
        national=tuple(json.loads(data.attrs.get("national", "[]"))),
        groups={k: tuple(v) for k, v in json.loads(data.attrs.get("groups", "{}")).items()},
    )


def _plain(value: Any) -> Any:
    """JSON of what run records hold besides plain Python."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    allowed = "numbers, text, lists and dictionaries"
    return fail("fit.info", value, "", allowed, "store its numbers or its name instead")
