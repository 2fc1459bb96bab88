"""The live table of a backtest."""

import io

import numpy as np
from rich.console import Console

from mmmjax.backtesting.watch import Watch


def text(watch):
    console = Console(file=io.StringIO(), width=100)
    console.print(watch.table())
    return console.file.getvalue()


def test_a_row_a_fold_and_how_far_it_is():
    watch = Watch(
        ["2022-01-03", "2022-04-04"], {"mmm": "model", "no_media": "no media"}, False
    )
    assert "2022-04-04" in text(watch)
    assert "no media" in text(watch)
    progress = watch.start(0, "no_media", 2)
    progress.begin(50, 2, 2, 0.0)
    progress.phase("warm-up")
    progress.done += np.array([50, 150])
    line = next(x for x in text(watch).splitlines() if "2022-01-03" in x)
    assert "warm-up  50%" in line
    watch.end(0, "no_media", "CRPS 12")
    assert "CRPS 12" in text(watch)
    assert "warm-up" not in text(watch)


def test_it_draws_on_a_terminal_only():
    quiet = Console(file=io.StringIO())
    with Watch(["a"], {"mmm": "model"}, None, quiet):
        pass
    assert quiet.file.getvalue() == ""
    loud = Console(file=io.StringIO(), force_terminal=True)
    with Watch(["a"], {"mmm": "model"}, None, loud) as watch:
        watch.end(0, "mmm", "CRPS 7")
    assert "CRPS 7" in loud.file.getvalue()
