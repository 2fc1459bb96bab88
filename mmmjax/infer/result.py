"""What every sampler returns."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Result"]


class Result(NamedTuple):
    """Draws (chain, draw, ...), statistics (chain, draw) and what happened on the way."""

    params: dict[str, np.ndarray]
    stats: dict[str, np.ndarray]
    info: dict[str, Any]
