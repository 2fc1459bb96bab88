"""After the draws: contributions, returns, curves and tables, in bounded memory.

`fold` streams over draws; `scope` says which panel and cells a question is about;
`contributions`, `returns` and `curves` answer in labelled xarray data, `tables` as the
command line writes it. Some functions are named as their module: import from here.
"""

from mmmjax.posterior.contributions import contributions
from mmmjax.posterior.curves import curves, sweep
from mmmjax.posterior.fold import fold, fold_cells
from mmmjax.posterior.returns import incremental, mroas, roas
from mmmjax.posterior.tables import channels_table, weekly_table

__all__ = [
    "channels_table",
    "contributions",
    "curves",
    "fold",
    "fold_cells",
    "incremental",
    "mroas",
    "roas",
    "sweep",
    "weekly_table",
]
