"""The first page in words: what media brought, which channel pays, how sure we are."""

from typing import NamedTuple

import numpy as np

from mmmjax.plot.canvas import amount, for_geo, period_noun
from mmmjax.reporting.evidence import Evidence, Interval, Media

__all__ = ["Tile", "lead", "money", "percent", "span", "tiles", "verdict"]

GOOD, CARE, BAD, PLAIN = "good", "care", "bad", "plain"  # tones; the text says it too
CLEAR, LIKELY = 0.9, 0.6  # probabilities of being the best


class Tile(NamedTuple):
    """One answer: a question, a few words that answer it, and how sure they are."""

    question: str
    answer: str
    text: str
    tone: str = PLAIN


def percent(share: float) -> str:
    """A share as text: one decimal below 10%."""
    if not np.isfinite(share):
        return "unknown"
    return f"{share:.1%}" if abs(share) < 0.0995 else f"{share:.0%}"


def money(found: Evidence) -> str:
    """One unit of money in words."""
    return found.fit.panel.currency or "unit of money"


def span(interval: Interval, write: object = amount) -> str:
    """``lo to hi``."""
    return f"{write(interval.lo)} to {write(interval.hi)}"  # type: ignore[operator]


def verdict(found: Evidence) -> tuple[str, str, str]:
    """Word, reason (empty if none) and tone of the diagnostics."""
    word, _, reason = found.diagnostics.verdict.partition(" (")
    tones = {"usable": GOOD, "usable with care": CARE}
    return word, reason.removesuffix(")"), tones.get(word, BAD)


def lead(found: Evidence) -> str:
    """The report in two or three sentences."""
    outcome, media = found.fit.panel.outcome_name, found.media
    word, _, _ = verdict(found)
    said = [f"The draws are {word}."]
    if media is not None:
        said.insert(0, f"Media brought {percent(media.share.mean)} of {outcome} "
                       f"(94% interval {span(media.share, percent)}).")  # fmt: skip
        if len(media.best) > 1:
            said.insert(1, _ranking(media))
    else:
        said.insert(0, "This model has no media: it is the baseline that others are "
                       "compared with.")  # fmt: skip
    return " ".join(said)


def _ranking(media: Media) -> str:
    (first, p), (second, q) = media.best[:2]
    if p >= CLEAR:
        return f"{first} has the highest return on spend, and that is clear ({percent(p)})."
    how = "likely" if p >= LIKELY else "not settled"
    return (
        f"{first} has the highest return on spend, but that is {how}: "
        f"its probability to be the best is {percent(p)}, that of {second} {percent(q)}."
    )


def tiles(found: Evidence) -> list[Tile]:
    """The answers of the first page."""
    media = [] if found.media is None else _media_tiles(found, found.media)
    sure = [_usable(found), _forecast(found)]
    more = [
        *([_truth(found)] if found.truth else []),
        *([_plan(found)] if found.plan else []),
    ]
    return [*media, *sure, *more]


def _media_tiles(found: Evidence, media: Media) -> list[Tile]:
    panel, one = found.fit.panel, money(found)
    periods = f"{panel.n_periods:,} {period_noun(panel.freq)}s"
    brought = Tile(
        "What did media bring?",
        f"{percent(media.share.mean)} of {panel.outcome_name}",
        f"{amount(media.total.mean)} {panel.outcome_name} in {periods}; "
        f"94% interval {span(media.total)}.",
    )
    if media.returns is None:
        return [brought]
    return [brought, _best(found, media), Tile(
        f"What did one {one} of media bring?",
        f"{amount(media.returns.mean)} {panel.outcome_name}",
        f"94% interval {span(media.returns)}, on {amount(media.spend)} "
        f"{panel.currency or 'of spend'}. The next {one}, spread the same way, brings about "
        f"{amount(media.marginal)}.",
    )]  # fmt: skip


def _best(found: Evidence, media: Media) -> Tile:
    name, probability = media.best[0]
    rows = for_geo(found.channels, None)
    row = rows.loc[rows["channel"] == name].iloc[0]
    interval = Interval(*(float(row[f"roas_{s}"]) for s in ("mean", "lo", "hi")))
    text = (
        f"{amount(interval.mean)} {found.fit.panel.outcome_name} per {money(found)}, 94% "
        f"interval {span(interval)}."
    )
    if len(media.best) > 1:
        text += f" Best of {len(media.best)} with probability {percent(probability)}."
    return Tile("Which channel pays best?", name, text)


def _usable(found: Evidence) -> Tile:
    told, (word, reason, tone) = found.diagnostics, verdict(found)
    numbers = (
        f"{told.n_chains * told.n_draws:,} draws, {told.divergences:,} divergent; R-hat at "
        f"most {told.max_r_hat:.3f}, effective sample size at least "
        f"{min(told.min_ess_bulk, told.min_ess_tail):,.0f}."
    )
    text = f"{reason[:1].upper()}{reason[1:]}. {numbers}" if reason else numbers
    return Tile("Can the numbers be used?", word.capitalize(), text, tone)


def _forecast(found: Evidence) -> Tile:
    scores, outcome = found.scores, found.fit.panel.outcome_name
    if found.test is None or not np.isfinite(scores.get("mape_test", np.nan)):
        return Tile(
            "How well does it describe the data?",
            f"off by {percent(scores['mape'])}",
            f"Mean error of a prediction in training; {percent(scores['coverage'])} of what "
            "was observed lies in its 94% interval. Nothing was held back, so this says "
            "nothing about forecasts.",
        )
    periods = f"{len(found.test.dates):,} {period_noun(found.test.freq)}s"
    return Tile(
        "How well does it forecast?",
        f"off by {percent(scores['mape_test'])}",
        f"Mean error over {periods} it had not seen; {percent(scores['coverage_test'])} of "
        f"what was observed lies in its 94% interval. CRPS {amount(scores['crps_test'])} "
        f"{outcome}, in training {amount(scores['crps_train'])} (smaller is better).",
    )


def _truth(found: Evidence) -> Tile:
    rows = for_geo(found.channels, None)
    held = [
        lo <= found.truth[name] <= hi
        for name, lo, hi in zip(
            rows["channel"], rows["roas_lo"], rows["roas_hi"], strict=True
        )
        if name in found.truth
    ]
    return Tile(
        "Is the truth found?",
        f"{sum(held)} of {len(held)} channels",
        "These data were simulated: the true ROAS of so many channels lies in its 94% interval.",
    )


def _plan(found: Evidence) -> Tile:
    plan = found.plan
    if plan is None:
        raise ValueError("no plan")
    gain = plan.objective - plan.reference_objective
    share = (
        gain / plan.reference_objective if plan.reference_objective > 0 else float("nan")
    )
    better = plan.response.sel(plan="optimized") > plan.response.sel(plan="reference")
    each = " a period" if plan.per_period else ""
    words = f"+{percent(share)}" if share >= 0 else percent(share)
    return Tile(
        "What to do?",
        f"{words} {plan.outcome_name} from media" if np.isfinite(share) else amount(gain),
        f"By another split of {amount(plan.budget)} {plan.currency}{each} over {plan.periods} "
        f"periods; better than the reference with probability {percent(float(better.mean()))}.",
    )
