"""What the data look like before any model: numbers, and findings with a reason.

Nothing here stops a fit. `tables` has the cells and columns that inform a fit, `outliers`
and `windows` (training against test) the measures, `look` puts them into one dataset and
`findings` says what the posterior will suffer from and what an analyst can do about it.
"""

from mmmjax.exploration.copies import copies_across
from mmmjax.exploration.ends import ends
from mmmjax.exploration.findings import controls_beyond, warnings
from mmmjax.exploration.look import condition, describe, explore
from mmmjax.exploration.outliers import rare, robust_z
from mmmjax.exploration.windows import Difference, difference

__all__ = [
    "Difference",
    "condition",
    "controls_beyond",
    "copies_across",
    "describe",
    "difference",
    "ends",
    "explore",
    "rare",
    "robust_z",
    "warnings",
]
