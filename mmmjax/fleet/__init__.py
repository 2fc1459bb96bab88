"""Fleets: many independent markets under one spec, few programs, a verdict for each.

`buckets` says which markets share arrays of one shape, `engine` samples a batch of them in
lock-step, `store` keeps what is done, `run` is the door.
"""

from mmmjax.fleet.run import Fleet, fit_fleet

__all__ = ["Fleet", "fit_fleet"]
