"""A fleet's folder: a manifest, and two files for each market as it ends.

    manifest.json            what was asked: specs, sampler, seed, markets with their data
    markets/NAME.nc          the fit, as `mmmjax.save` writes it; none if refused or failed
    markets/NAME.json        how the market ended; written last, so it says "done"
    fleet.csv                a row for each market that has ended
    channels.csv             the rows of channels.csv of every market that has a fit

The folder is local or behind a URL (`places`). Every file appears whole or not at all. A
run that was killed goes on with the markets that have no NAME.json; those it had begun are
done again, with the same draws.
"""

import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

import pandas as pd

from mmmjax import checks
from mmmjax.checks import InputError, Phrase, fail, show
from mmmjax.draws import Fit
from mmmjax.fleet.engine import FAILED, USABLE, Done
from mmmjax.fleet.places import MARKETS, place
from mmmjax.resources import NAME, csv
from mmmjax.store import dumps, loads

__all__ = ["COLUMNS", "Folder", "check_market", "read_manifest", "row_of", "table_of"]

FORMAT = 2
COLUMNS = (
    "market", "status", "reason", "r_hat", "min_ess", "divergences", "seconds", "crps",
    "coverage", "sampled", "adequate", "finding", "data", "outcome_value",
)  # fmt: skip
OF_A_CHANNEL = (
    "geo", "channel", "spend",
    *(f"{what}_{end}" for what in ("contribution", "share", "roas", "mroas")
      for end in ("mean", "lo", "hi")),
)  # fmt: skip
TEXT = ("geo", "channel")
MANIFEST = "manifest.json"
LONGEST = NAME - len(".json")  # bytes of a market's name as a file has it
BLOCK = 2000  # markets whose rows are put into tables at a time


def check_market(name: Any) -> str:
    """The name of a market, if a file and a group can be called by it."""
    checks.name("market", name, fix="rename the market")
    if len(_stem(name)) > LONGEST:
        allowed = f"a name of at most {LONGEST} bytes in a file's name (an ü is 6)"
        fail("market", name, "", allowed, "give it a shorter one")
    return name


def row_of(done: Done) -> dict[str, Any]:
    """A market's row of ``fleet.csv``."""
    found = done.verdict
    return {
        "market": done.name,
        "status": done.status,
        "reason": done.reason,
        "r_hat": found.r_hat if found else math.nan,
        "min_ess": found.ess if found else math.nan,
        "divergences": found.divergences if found else 0,
        "seconds": done.seconds,
        "crps": done.crps,
        "coverage": done.coverage,
        "sampled": done.status in USABLE,
        "adequate": math.nan if done.adequate is None else done.adequate,
        "finding": done.finding,
        "data": done.data,
        "outcome_value": (done.fit and done.fit.panel.outcome_value) or math.nan,
    }


def table_of(rows: Mapping[str, Mapping[str, Any]], order: list[str]) -> pd.DataFrame:
    """Rows in the order of the fleet."""
    kept = [rows[name] for name in order if name in rows]
    return pd.DataFrame(kept, columns=list(COLUMNS))


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The manifest of a folder; None if no run was begun there.

    Its keys: ``seed``, ``sampler``, ``on_empty``, ``refit``, ``batch`` and whatever else
    the run was asked; ``specs``, each distinct one once; ``markets``, for each in the order
    of the fleet the hash of its data and the number of its spec.

    Raises:
        InputError: A manifest that cannot be read.
    """
    at = place(path)
    try:
        content = at.read(MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError) as error:
        raise InputError(
            f'store: got "{at}", whose {MANIFEST} is damaged ({error}). Allowed: the '
            "folder of a fleet. Fix: name another folder."
        ) from None


class Folder:
    """The folder of a fleet; it can be pickled and sent to another process.

    Args:
        path: Where, a local path or a URL; created.
        manifest: What is asked; ``spec`` and ``data`` by market. A folder of another fleet
            is refused.

    Raises:
        InputError: The folder holds a fleet of another spec, sampler, seed or data; a place
            that cannot be one, or names of markets that are too long for files.
    """

    def __init__(self, path: str | os.PathLike[str], manifest: Mapping[str, Any]):
        """Create, or check what is there."""
        self.place = place(path)
        for name in manifest["spec"]:
            check_market(name)
        asked = json.loads(json.dumps({"format": FORMAT, **_compact(manifest)}))
        found = read_manifest(path)
        self.place.make(MARKETS)
        if found is None:
            self.place.write(MANIFEST, json.dumps(asked, indent=1).encode())
        else:
            _check_same(found, asked, str(self.place))

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> "Folder":
        """A folder that is there, whatever fleet it holds."""
        new = cls.__new__(cls)
        new.place = place(path)
        return new

    def rows(self) -> dict[str, dict[str, Any]]:
        """How every market that has ended did, without its channels."""
        return {row["market"]: row for row, _ in self._records(self._ended())}

    def write(self, done: Done) -> dict[str, Any]:
        """Keep how a market ended: the fit first, then the word that it is done."""
        file = f"{MARKETS}/{_stem(done.name)}"
        if done.fit is not None:
            self.place.write(f"{file}.nc", dumps(done.fit))
        table = done.channels
        channels = {} if table is None else {"channels": table.to_dict("list")}
        plain = _known(row_of(done) | channels)
        self.place.write(f"{file}.json", json.dumps(plain).encode())
        return _row(plain)

    def write_tables(self, order: Iterable[str]) -> None:
        """Write ``fleet.csv`` and ``channels.csv`` from the files of the markets.

        Args:
            order: Of the rows; markets that have not ended are left out.
        """
        rows: list[dict[str, Any]] = []
        channels = [csv(_channels([]))]  # the header
        for found in self._blocks(order):
            rows += [row for row, _ in found]
            channels.append(csv(_channels(found), header=False))
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        self.place.write("fleet.csv", csv(table).encode())
        self.place.write("channels.csv", "".join(channels).encode())

    def channels(self, order: Iterable[str]) -> pd.DataFrame:
        """The table of ``channels.csv``."""
        return _channels(pair for found in self._blocks(order) for pair in found)

    def load(self, name: str) -> Fit:
        """The fit of a market that has one."""
        file = f"{MARKETS}/{_stem(name)}.nc"
        return loads(self.place.read(file), f"{self.place}/{file}")

    def opened(self, name: str) -> Any:
        """What xarray reads the fit of a market from, in parts."""
        return self.place.opened(f"{MARKETS}/{_stem(name)}.nc")

    def fitted(self) -> Iterator[str]:
        """Names of markets with a fit."""
        return self._listed(".nc")

    def _ended(self) -> list[str]:
        return list(self._listed(".json"))

    def _listed(self, suffix: str) -> Iterator[str]:
        for file in self.place.names(MARKETS):
            if file.endswith(suffix):
                yield unquote(file.removesuffix(suffix))

    def _blocks(self, order: Iterable[str]) -> Iterator[list[tuple[dict, dict]]]:
        """Rows and channels of markets that have ended, some at a time."""
        ended = set(self._ended())
        names = [name for name in order if name in ended]
        for some in itertools.batched(names, BLOCK):
            yield list(self._records(some))

    def _records(self, names: Iterable[str]) -> Iterator[tuple[dict, dict]]:
        """Row and channels of markets, but of those whose file was not written whole."""
        files = [f"{MARKETS}/{_stem(name)}.json" for name in names]
        for content in self.place.read_all(files):
            try:
                record = json.loads(content)
                if record["status"] == FAILED and record["reason"].startswith("OSError"):
                    continue  # a full disk of an earlier version's run: no verdict
                yield _row(record), record.get("channels", {})
            except (
                ValueError,
                KeyError,
                TypeError,
            ):  # half of a file, where a put is not one step
                continue


def _stem(name: str) -> str:
    return quote(name, safe=" ")


def _known(value: Any) -> Any:
    """Plain JSON: what is not known (NaN, infinity) is null."""
    if isinstance(value, dict):
        return {k: _known(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_known(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    late = {"sampled": record["status"] in USABLE, "adequate": None, "finding": ""}
    late |= {"data": "", "outcome_value": None}
    whole = late | dict(record)  # what stores of earlier versions lack
    return {k: math.nan if whole[k] is None else whole[k] for k in COLUMNS}


def _channels(found: Iterable[tuple[dict, dict]]) -> pd.DataFrame:
    """Channels of some markets in one table, ``market`` first."""
    columns: dict[str, list[Any]] = {key: [] for key in ("market", *OF_A_CHANNEL)}
    for row, channels in found:
        columns["market"] += [row["market"]] * len(channels.get("channel", []))
        for key in OF_A_CHANNEL if channels else ():
            columns[key] += channels[key]
    table = pd.DataFrame(columns)
    return table.astype({key: float for key in OF_A_CHANNEL if key not in TEXT})


def _compact(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Each distinct spec once, and by market the hash of its data and its spec's number."""
    numbers: dict[str, int] = {}
    markets = {}
    for name, spec in manifest["spec"].items():
        text = json.dumps(spec)
        number = numbers.setdefault(text, len(numbers))
        markets[name] = {"data": manifest["data"][name], "spec": number}
    rest = {k: v for k, v in manifest.items() if k not in ("spec", "data")}
    return {**rest, "specs": [json.loads(text) for text in numbers], "markets": markets}


def _by_market(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with the spec and the data of each market."""
    found = dict(manifest)
    specs, markets = found.pop("specs", []), found.pop("markets", {})
    found["spec"] = {name: specs[market["spec"]] for name, market in markets.items()}
    found["data"] = {name: market["data"] for name, market in markets.items()}
    return found


def _check_same(found: Mapping[str, Any], asked: Mapping[str, Any], path: str) -> None:
    """Refuse to go on with a fleet that is another one."""
    if "refreshed" in found:  # the same data, fitted afresh, are another fleet
        asked = {"refreshed": {}, **asked}
    if all(found.get(key) == asked[key] for key in asked):
        return
    found, asked = _by_market(found), _by_market(asked)
    for key in asked:
        if found.get(key) == asked[key]:
            continue
        what = key
        if isinstance(asked[key], dict) and isinstance(found.get(key), dict):
            names = sorted(
                n for n in {*asked[key], *found[key]}
                if asked[key].get(n) != found[key].get(n)
            )  # fmt: skip
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            what = f'{key} "{names[0]}"{more}'
        same = "the same fleet"
        if isinstance(found.get(key), str | int | float):
            same = f"{key} = {show(found[key])}, as it was begun,"
        fail(
            "store",
            Phrase(f'"{path}", a fleet begun with other {what}'),
            "",
            "an empty folder, or the fleet that is asked for",
            f"name another folder, or ask for {same} to go on with it",
        )
