"""Terms: what the mean of the outcome is made of, one file or record each.

To add one: a frozen dataclass of :class:`Term`, listed in :data:`TERMS`. Nothing else knows
of it: contributions, tables, forecasts, files, fleets and plans read the list.
"""

from mmmjax.prior import Parameter
from mmmjax.terms.base import Frame, Term
from mmmjax.terms.drift import Drift
from mmmjax.terms.events import Events
from mmmjax.terms.holidays import Holidays
from mmmjax.terms.interaction import Interaction
from mmmjax.terms.linear import Controls, Intercept, Trend, Waves
from mmmjax.terms.mean import Mean
from mmmjax.terms.media import Media
from mmmjax.terms.piecewise import Knots, Piecewise
from mmmjax.terms.reach import Reach
from mmmjax.terms.steps import Steps

__all__ = [
    "TERMS",
    "Controls",
    "Drift",
    "Events",
    "Frame",
    "Holidays",
    "Interaction",
    "Intercept",
    "Knots",
    "Mean",
    "Media",
    "Parameter",
    "Piecewise",
    "Reach",
    "Steps",
    "Term",
    "Trend",
    "Waves",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


TERMS: dict[str, type[Term]] = {
    term.kind: term
    for term in (
        Intercept,
        Trend,
        Media,
        Reach,
        Controls,
        Waves,
        Drift,
        Events,
        Holidays,
        Interaction,
        Steps,
        Piecewise,
        Knots,
    )
}
"""Every term by its kind."""
