"""After the draws: contributions, returns, curves and tables, in bounded memory.

`fold` streams over draws; `scope` says which panel and cells a question is about;
`contributions`, `campaigns`, `returns`, `curves` and `carryover` answer in labelled xarray
data, `frequency`, `tables` and `explained` in tables, as the command line writes them. Some
functions are named as their module: import from here.
"""

from mmmjax.posterior.campaigns import campaigns, campaigns_table
from mmmjax.posterior.carryover import carryover
from mmmjax.posterior.contributions import contributions, decomposition
from mmmjax.posterior.curves import curves, sweep
from mmmjax.posterior.explained import (
    carryover_table,
    curves_table,
    decomposition_table,
    returns_table,
    sweep_table,
)
from mmmjax.posterior.fold import fold, fold_cells, thinned
from mmmjax.posterior.frequency import optimal_frequency
from mmmjax.posterior.multipliers import multipliers
from mmmjax.posterior.returns import incremental, mroas, returns, roas
from mmmjax.posterior.tables import channels_table, weekly_table

__all__ = [
    "campaigns",
    "campaigns_table",
    "carryover",
    "carryover_table",
    "channels_table",
    "contributions",
    "curves",
    "curves_table",
    "decomposition",
    "decomposition_table",
    "fold",
    "fold_cells",
    "incremental",
    "mroas",
    "multipliers",
    "optimal_frequency",
    "returns",
    "returns_table",
    "roas",
    "sweep",
    "sweep_table",
    "thinned",
    "weekly_table",
]
