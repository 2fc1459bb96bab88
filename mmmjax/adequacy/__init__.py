"""Two verdicts on a fit, always apart: did the sampler do its work, and does the model fit?

``sampled`` is about the draws (R-hat, ESS, divergences). ``adequate`` is about the model,
from the fit and its data alone: whether what is left over looks like the noise that the
model assumes (`battery`), and whether what it says of media can be believed (`claims`).
No check of one fit sees a driver of demand that moves with spend; the verdict says so.
"""

from mmmjax.adequacy.judge import UNSEEN, Judged, Verdict, judge, judge_model

__all__ = ["UNSEEN", "Judged", "Verdict", "judge", "judge_model"]
