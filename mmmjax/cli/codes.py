"""Exit codes: 0 sampled well; 1 bad input, one message and nothing written; 2 not sampled
well, everything written and said loudly; 130 interrupted."""

from mmmjax.adequacy import Judged
from mmmjax.cli import show
from mmmjax.draws import Diagnostics

__all__ = ["BAD_INPUT", "INTERRUPTED", "NOT_CONVERGED", "code"]

BAD_INPUT, NOT_CONVERGED, INTERRUPTED = 1, 2, 130


def code(found: Diagnostics, judged: Judged | None = None, strict: bool = False) -> int:
    """The exit code of a fit; what speaks against it is said loudly, and last.

    Args:
        found: Whether it sampled well.
        judged: Whether its data contradict the model; None where that was not asked.
        strict: Whether a contradicted model is as bad as draws that cannot be used.
    """
    wrong = judged is not None and not judged.adequate.ok
    if judged is not None and wrong:
        show.not_adequate(judged)
    if not found.converged:
        show.not_converged(found)
    return NOT_CONVERGED if not found.converged or (strict and wrong) else 0
