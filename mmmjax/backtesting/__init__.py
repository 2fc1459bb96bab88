"""Backtest: fit at several past dates and score each forecast on what came after.

`folds` cuts the panel, `baselines` holds the seasonal naive forecast, `run` fits and
scores all folds with one compilation, `watch` shows how far it is, `collect` puts what is
known together, `result` is what comes out.
"""

from mmmjax.backtesting.result import Backtest
from mmmjax.backtesting.run import backtest

__all__ = ["Backtest", "backtest"]
