"""Fleets: many independent markets under one spec, few programs, a verdict for each.

`buckets` says which markets share arrays of one shape, `engine` samples a batch of them in
lock-step, `store` keeps what is done in one of the `places`, `run` is the door, `opening`
reads a folder again and `trees` all its markets at once. `summary` and `attention` read the
tables of a fleet: what its markets have in common, and which of them somebody must look at.
"""

from mmmjax.fleet.attention import fleet_ranking
from mmmjax.fleet.opening import open_fleet
from mmmjax.fleet.run import Fleet, fit_fleet
from mmmjax.fleet.summary import FleetReturns, fleet_returns

__all__ = [
    "Fleet",
    "FleetReturns",
    "fit_fleet",
    "fleet_ranking",
    "fleet_returns",
    "open_fleet",
]
