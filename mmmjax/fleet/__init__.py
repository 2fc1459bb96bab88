"""Fleets: many independent markets under one spec, few programs, a verdict for each.

`buckets` says which markets share arrays of one shape, `plan` how many of them a batch
takes, `schedule` gives batches to workers: `devices` of this machine or processes on a
`cluster`. `batch` fits one wherever it is, in lock-step (`engine`), checks its `precision`
and adds its `scores`. `store` keeps what is done in one of the `places`, `run` is the door,
`result` what comes out; `opening` reads a folder again and `trees` all its markets at once.
`summary` and `attention` read the tables of a fleet: what its markets have in common, and
which of them somebody must look at.
"""

from mmmjax.fleet.attention import fleet_ranking
from mmmjax.fleet.opening import open_fleet
from mmmjax.fleet.result import Fleet
from mmmjax.fleet.run import fit_fleet, refresh_fleet
from mmmjax.fleet.summary import FleetReturns, fleet_returns

__all__ = [
    "Fleet",
    "FleetReturns",
    "fit_fleet",
    "fleet_ranking",
    "fleet_returns",
    "open_fleet",
    "refresh_fleet",
]
