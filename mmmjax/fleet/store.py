"""A fleet's folder: a manifest, and two files for each market as it ends.

    manifest.json            what was asked: spec, sampler, seed, markets with their data
    markets/NAME.nc          the fit, as `mmmjax.save` writes it; none if refused or failed
    markets/NAME.json        how the market ended; written last, so it says "done"
    fleet.csv                a row for each market that has ended

Every file appears whole or not at all. A run that was killed goes on with the markets that
have no NAME.json; those it had begun are done again, with the same draws.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pandas as pd

from mmmjax.checks import Phrase, fail
from mmmjax.draws import Fit
from mmmjax.fleet.engine import Done
from mmmjax.store import load, replace_file, save

__all__ = ["COLUMNS", "Folder", "row_of", "table_of"]

FORMAT = 1
COLUMNS = (
    "market", "status", "reason", "r_hat", "min_ess", "divergences", "seconds", "crps",
    "coverage",
)  # fmt: skip


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
    }


def table_of(rows: Mapping[str, Mapping[str, Any]], order: list[str]) -> pd.DataFrame:
    """Rows in the order of the fleet."""
    kept = [rows[name] for name in order if name in rows]
    return pd.DataFrame(kept, columns=list(COLUMNS))


class Folder:
    """The folder of a fleet.

    Args:
        path: Where; created.
        manifest: What is asked. A folder of another fleet is refused.

    Raises:
        InputError: The folder holds a fleet of another spec, sampler, seed or data.
    """

    def __init__(self, path: str | Path, manifest: Mapping[str, Any]):
        """Create, or check what is there."""
        self.path = Path(path)
        if self.path.is_file():
            fail("store", Phrase(f'the file "{path}"'), "", "a folder", "name another")
        self.markets = self.path / "markets"
        self.markets.mkdir(parents=True, exist_ok=True)
        file = self.path / "manifest.json"
        asked = json.loads(json.dumps({"format": FORMAT, **manifest}))
        if file.exists():
            _check_same(json.loads(file.read_text("utf-8")), asked, self.path)
        else:
            replace_file(file, json.dumps(asked, indent=1).encode())

    def _file(self, name: str, suffix: str) -> Path:
        return self.markets / f"{quote(name, safe=' ')}{suffix}"

    def rows(self) -> dict[str, dict[str, Any]]:
        """How every market that has ended did."""
        found = {}
        for file in self.markets.glob("*.json"):
            name = unquote(file.name.removesuffix(".json"))
            row = json.loads(file.read_text("utf-8"))
            found[name] = {k: math.nan if v is None else v for k, v in row.items()}
        return found

    def write(self, done: Done) -> dict[str, Any]:
        """Keep how a market ended: the fit first, then the word that it is done."""
        if done.fit is not None:
            save(done.fit, self._file(done.name, ".nc"))
        row = row_of(done)
        plain = {
            k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()
        }
        replace_file(self._file(done.name, ".json"), json.dumps(plain).encode())
        return row

    def write_table(self, table: pd.DataFrame) -> None:
        """Write ``fleet.csv``."""
        replace_file(self.path / "fleet.csv", table.to_csv(index=False).encode())

    def load(self, name: str) -> Fit:
        """The fit of a market that has one."""
        return load(self._file(name, ".nc"))

    def fitted(self) -> Iterator[str]:
        """Names of markets with a fit."""
        for file in self.markets.glob("*.nc"):
            if not file.name.startswith("."):
                yield unquote(file.name.removesuffix(".nc"))


def _check_same(found: Mapping[str, Any], asked: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with a fleet that is another one."""
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
        fail(
            "store",
            Phrase(f'"{path}", a fleet begun with other {what}'),
            "",
            "an empty folder, or the fleet that is asked for",
            "name another folder, or ask for the same fleet to go on with it",
        )
