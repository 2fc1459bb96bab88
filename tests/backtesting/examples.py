"""What the tests of the backtest share: quick settings and ways to change a panel."""

from dataclasses import replace

from mmmjax.samplers import NUTS

QUICK = NUTS(chains=2, warmup=100, draws=100, until=None, chunk=50)
OPTIONS = {"folds": 3, "horizon": 6, "step": 5, "least": 40, "progress": False}
PERIODS = 72  # cuts after 56, 61 and 66 periods
NAIVE_TOO = PERIODS + 30  # a year and enough errors before the first cut


def changed(of, **arrays):
    """The panel with some cells replaced: name -> function of a copy of the array."""
    new = {name: getattr(of, name).copy() for name in arrays}
    for name, change in arrays.items():
        change(new[name])
    return replace(of, **new)


def cut_at(of, stop):
    """What a user would fit: the panel up to a cut."""
    return of.split(of.dates[stop - 1])[0]
