"""The vocabulary of dimensions: one name each, in arrays, tables and results alike.

Host arrays are (geo, time, ...) for people; arrays inside compiled functions are time
last, where the kernels are fastest.
"""

from typing import Final

__all__ = [
    "CAMPAIGN",
    "CHAIN",
    "CHANNEL",
    "CONTROL",
    "DATE",
    "DRAW",
    "FOURIER",
    "GEO",
    "NATIONAL",
]

GEO: Final = "geo"
DATE: Final = "date"
CHANNEL: Final = "channel"
CAMPAIGN: Final = "campaign"
CONTROL: Final = "control"
FOURIER: Final = "fourier"
CHAIN: Final = "chain"
DRAW: Final = "draw"

NATIONAL: Final = "national"
"""Name of the only geo of a panel that has no geo column."""
