"""Panel: outcome, media, spend and controls over (geo, time), and the doors in front of it.

`columns` finds what the user named, `cells` reads dates, geos and numbers, `calendar`
makes the dates regular, `reading` puts a table together, `container` holds it and `door`
decides what can be modelled.
"""

from mmmjax.panel.columns import Columns
from mmmjax.panel.container import Panel, periods
from mmmjax.panel.door import for_prediction, for_training

__all__ = ["Columns", "Panel", "for_prediction", "for_training", "periods"]
