"""Pictures: labelled tables in, one figure out; each file is compute, then draw.

All take the tables that the command line writes (or a result of ``mm.curves``) and return
a :class:`matplotlib.figure.Figure`; nothing global is touched. Give one
``colours=channel_colours(fit.panel.channels)`` to all of them, so that a channel keeps its
colour where others are missing.
"""

from mmmjax.plot.budget import allocation as allocation
from mmmjax.plot.canvas import channel_colours as channel_colours
from mmmjax.plot.canvas import to_png as to_png
from mmmjax.plot.canvas import to_svg as to_svg
from mmmjax.plot.fit import convergence as convergence
from mmmjax.plot.fit import fitted as fitted
from mmmjax.plot.media import contributions as contributions
from mmmjax.plot.media import curve as curve
from mmmjax.plot.media import curves as curves
from mmmjax.plot.media import decomposition as decomposition
from mmmjax.plot.media import roas as roas

__all__ = [
    "allocation",
    "channel_colours",
    "contributions",
    "convergence",
    "curve",
    "curves",
    "decomposition",
    "fitted",
    "roas",
    "to_png",
    "to_svg",
]
