"""Panel: outcome, media, spend and controls over (geo, time), and the doors in front of it.

`dialect` says how a table is written and `files` reads it so, `columns` finds what the user
named, `cells` reads dates, geos and numbers (`numbers`: as people write them), `calendar`
makes the dates regular, `empty` leaves outcomes out, `reading` puts a table together,
`record` and `container` hold it and `door` decides what can be modelled.
"""

from mmmjax.panel.campaigns import Campaigns
from mmmjax.panel.cells import date_of
from mmmjax.panel.columns import Columns
from mmmjax.panel.container import Panel
from mmmjax.panel.dialect import KEYS as DIALECT
from mmmjax.panel.door import for_prediction, for_training
from mmmjax.panel.empty import zero_ends
from mmmjax.panel.record import joined, known, periods

__all__ = [
    "DIALECT",
    "Campaigns",
    "Columns",
    "Panel",
    "date_of",
    "for_prediction",
    "for_training",
    "joined",
    "known",
    "periods",
    "zero_ends",
]
