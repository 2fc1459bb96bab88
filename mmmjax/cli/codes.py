"""Exit codes: 0 sampled well; 1 bad input, one message and nothing written; 2 not sampled
well, everything written and said loudly; 130 interrupted."""

from mmmjax.cli import show
from mmmjax.draws import Diagnostics

__all__ = ["BAD_INPUT", "INTERRUPTED", "NOT_CONVERGED", "code"]

BAD_INPUT, NOT_CONVERGED, INTERRUPTED = 1, 2, 130


def code(found: Diagnostics) -> int:
    """The exit code of a fit; one that did not converge is said loudly."""
    if found.converged:
        return 0
    show.not_converged(found)
    return NOT_CONVERGED
