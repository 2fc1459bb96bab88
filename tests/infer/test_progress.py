"""Progress: what a person sees while a fit runs, and nothing when it is switched off."""

import io
from types import SimpleNamespace

import numpy as np
from rich.console import Console

from mmmjax.infer.progress import Progress


def chunk(diverging=0):
    """What one finished chunk of ten iterations tells."""
    return SimpleNamespace(
        diverging=np.arange(10) < diverging,
        step_size=np.full(10, 0.4321),
        n_steps=np.full(10, 7),
    )


def test_phase_draws_divergences_step_size_and_gradients_are_shown():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    with Progress(2, True, console) as shown:
        shown.begin(10, 1, 1, 3.25)
        shown.phase("warm-up")
        shown.advance(0, chunk(diverging=3))  # of warm-up: not counted as divergent draws
        shown.phase("sample")
        shown.advance(0, chunk(diverging=2))
        shown.advance(1, chunk())
    last = text.getvalue().rsplit("sample", 1)[1]
    rows = [line for line in last.splitlines() if "%" in line]
    assert "compiling 3.2 s" in last or "compiling 3.3 s" in last
    assert rows[0].split()[-5:] == ["100%", "10", "2", "0.432", "7.0"]
    assert rows[1].split()[-5:] == ["50%", "10", "0", "0.432", "7.0"]


def test_why_it_goes_on_is_shown():
    progress = Progress(2, True, Console(file=io.StringIO(), force_terminal=True))
    progress.begin(50, 2, 4, 0.0)
    progress.extend(200, "R-hat 1.016, ESS 380: 200 draws more")
    assert progress.total == 500
    assert "R-hat 1.016, ESS 380: 200 draws more" in str(progress.table().title)


def test_nothing_is_drawn_when_it_is_off_or_no_terminal():
    for show, terminal in ((False, True), (None, False)):
        text = io.StringIO()
        console = Console(file=text, force_terminal=terminal)
        with Progress(1, show, console) as shown:
            shown.phase("sample")
            shown.advance(0, chunk())
        assert text.getvalue() == ""
