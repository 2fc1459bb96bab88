"""The first page in words: what media brought, which channel pays, how sure we are."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mmmjax.plot.labels import amount, for_geo, large, period_noun, span
from mmmjax.reporting.evidence import Evidence, Interval, Media, Move, Planned

__all__ = [
    "Tile", "lead", "percent", "share_span", "tiles", "verdict",
]  # fmt: skip

GOOD, CARE, BAD, PLAIN = "good", "care", "bad", "plain"  # tones; the text says it too
CLEAR, LIKELY = 0.9, 0.6  # probabilities of being the best
WORTH_TRYING = 0.75  # probability that a move of spend helps, from which it is advised
LEAST_LEARNT = 0.2  # contraction below which a channel's effect is mostly its prior
LEAST_COVERAGE = 0.8  # of intervals that should hold 94%


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


def share_span(interval: Interval) -> str:
    """``lo to hi`` of a share."""
    return f"{percent(interval.lo)} to {percent(interval.hi)}"


def verdict(found: Evidence) -> tuple[str, str, str]:
    """Word, reason (empty if none) and tone of the diagnostics."""
    word, _, reason = found.diagnostics.verdict.partition(" (")
    tones = {"usable": GOOD, "usable with care": CARE}
    return word, reason.removesuffix(")"), tones.get(word, BAD)


def chance(probability: float) -> str:
    """A probability as text, never said to be certain."""
    if probability > 0.995:
        return "over 99%"
    return "under 1%" if probability < 0.005 else f"{probability:.0%}"


def lead(found: Evidence) -> str:
    """The report in a few sentences."""
    outcome, media = found.outcome, found.media
    word, _, _ = verdict(found)
    if media is None:
        return (
            "This model has no media: it is the baseline that others are compared with. "
            f"The fit is {word}."
        )
    said = [
        f"Media brought {percent(media.share.mean)} of {outcome} "
        f"(94% interval {share_span(media.share)}).",
        *([_ranking(media)] if len(media.best) > 1 else []),
        f"The fit is {word}.",
        *([_truth(found)] if found.truth else []),
    ]
    return " ".join(filter(None, said))


def _ranking(media: Media) -> str:
    (first, p), (second, q) = media.best[:2]
    if p < LIKELY:
        return (
            "Which channel has the highest return on spend is not settled: "
            f"{first} has a probability of {chance(p)}, {second} of {chance(q)}."
        )
    how = "clearly" if p >= CLEAR else "probably"
    return f"{first} {how} has the highest return on spend (probability {chance(p)})."


def _truth(found: Evidence) -> str:
    rows = for_geo(found.channels, None)
    held = [
        lo <= found.truth[name] <= hi
        for name, lo, hi in zip(
            rows["channel"], rows["roas_lo"], rows["roas_hi"], strict=True
        )
        if name in found.truth
    ]
    if not held:
        return ""
    return (
        "These data were simulated: the true return lies in its 94% interval for "
        f"{sum(held)} of {len(held)} channels."
    )


def tiles(found: Evidence) -> list[Tile]:
    """The answers of the first page."""
    media = found.media
    to_do = None if media is None or media.move is None else _advice(found, media.move)
    if found.plan is not None:
        to_do = _plan(found, found.plan)
    return [
        *([] if media is None else _media_tiles(found, media)),
        *([] if to_do is None else [to_do]),
        _forecast(found),
        _usable(found),
    ]


def _media_tiles(found: Evidence, media: Media) -> list[Tile]:
    panel = found.fit.panel
    periods = f"{len(found.window):,} {found.period}s"
    observed = large(float(np.nansum(panel.outcome[:, panel.window])))
    brought = Tile(
        "What did media bring?",
        f"{percent(media.share.mean)} of {panel.outcome_name}",
        f"{large(media.total.mean)} {panel.outcome_name} in {periods}, 94% interval "
        f"{span(*media.total)}; observed were {observed}.",
    )
    if media.returns is None:
        return [brought]
    one = f"{panel.currency} of media" if panel.currency else "unit of spend"
    each = Tile(
        f"What did one {one} bring?",
        f"{amount(media.returns.mean)} {panel.outcome_name}",
        f"94% interval {span(*media.returns)}, on {large(media.spend)} "
        f"{panel.currency or 'of spend'}. The next one, spread the same way, brings about "
        f"{amount(media.marginal)}.",
    )
    return [brought, _best(found, media), each]


def _of(found: Evidence, channel: str, name: str) -> Interval:
    """A return of one channel over all geos."""
    rows = for_geo(found.channels, None)
    return Interval.at(rows.loc[rows["channel"] == channel].iloc[0], name)


def _best(found: Evidence, media: Media) -> Tile:
    name, probability = media.best[0]
    interval = _of(found, name, "roas")
    worth = (
        f"{amount(interval.mean)} {found.outcome} per {found.money}, 94% "
        f"interval {span(*interval)}"
    )
    question, several = "Which channel pays best?", len(media.best) > 1
    if several and probability < LIKELY:
        said = f"{name} is ahead with probability {chance(probability)} only: {worth}."
        return Tile(question, "Not settled", said)
    best = f" Best of {len(media.best)} with probability {chance(probability)}."
    return Tile(question, name, f"{worth}.{best if several else ''}")


def _advice(found: Evidence, move: Move) -> Tile:
    """What the marginal returns say about the next unit of money."""
    question = "What to do?"
    word, _, tone = verdict(found)
    if tone == BAD:
        text = (
            f"The fit is {word}, so the numbers may still change: sample longer, then "
            "decide."
        )
        return Tile(question, "Do not act on it yet", text, BAD)
    target, source = (_of(found, name, "mroas") for name in (move.target, move.source))
    worth = (
        f"The next {found.money} brings about {amount(target.mean)} {found.outcome} in "
        f"{move.target} (94% interval {span(*target)}) and {amount(source.mean)} in "
        f"{move.source} ({span(*source)})"
    )
    sure = f"more with probability {chance(move.probability)}"
    if move.probability < WORTH_TRYING:
        text = f"{worth}: {sure} only. An experiment on {move.target} would tell most."
        return Tile(question, "No clear move", text)
    where = f"spend from {move.source} to {move.target}"
    if _learnt(found, move.target) < LEAST_LEARNT:
        text = f"{worth}: {sure}. But the data have said little about {move.target} beyond "
        text += "its prior: make it an experiment, and measure."
        return Tile(question, f"Test moving {where}", text)
    text = f"{worth}: {sure}. This holds near today's spend: move in steps and measure."
    return Tile(question, f"Move {where}", text)


def _learnt(found: Evidence, channel: str) -> float:
    """Contraction of the size of a channel's effect; 1 where it is not known."""
    table = found.table("priors")
    if table is None:
        return 1.0
    mine = (table["parameter"] == "saturation_beta") & (table["index"] == channel)
    known = table.loc[mine, "contraction"].dropna()
    return float(known.iloc[0]) if len(known) else 1.0


def _usable(found: Evidence) -> Tile:
    told, (word, reason, tone) = found.diagnostics, verdict(found)
    numbers = (
        f"{told.n_chains * told.n_draws:,} draws, {told.divergences:,} divergent; R-hat at "
        f"most {told.max_r_hat:.3f}, effective sample size at least "
        f"{min(told.min_ess_bulk, told.min_ess_tail):,.0f}."
    )
    text = f"{reason[:1].upper()}{reason[1:]}. {numbers}" if reason else numbers
    return Tile("Can we rely on the numbers?", word.capitalize(), text, tone)


def _forecast(found: Evidence) -> Tile:
    scores, outcome = found.scores, found.outcome
    within, warning = "of what was observed lies in its 94% interval", _misfit(scores)
    tone = CARE if warning else PLAIN
    if found.tested is None or not np.isfinite(scores.get("mape_test", np.nan)):
        return Tile(
            "How well does it describe the data?",
            f"Off by {percent(scores['mape'])}",
            f"Mean error of a prediction in training; {percent(scores['coverage'])} "
            f"{within}. Nothing was held back, so this says nothing about forecasts."
            f"{warning}",
            tone,
        )
    periods = f"{found.tested['date'].nunique():,} {found.period}s"
    return Tile(
        "How well does it forecast?",
        f"Off by {percent(scores['mape_test'])}",
        f"Mean error over {periods} it had not seen; {percent(scores['coverage_test'])} "
        f"{within}. CRPS {large(scores['crps_test'])} {outcome}, in training "
        f"{large(scores['crps_train'])} (smaller is better).{warning}",
        tone,
    )


def _misfit(scores: Mapping[str, float]) -> str:
    """What speaks against the model although its draws are fine; empty if nothing."""
    if scores["r2"] <= 0:
        return " Care: in training it predicts no better than the plain mean of the data."
    if scores.get("r2_test", 1.0) <= 0:
        return " Care: it did no better than the mean of these periods, known afterwards."
    if min(scores["coverage"], scores.get("coverage_test", 1.0)) < LEAST_COVERAGE:
        return " Care: its intervals are too narrow."
    return ""


def _plan(found: Evidence, plan: Planned) -> Tile:
    facts: Mapping[str, Any] = plan.facts
    before = facts["reference_objective"]
    gain = facts["objective"] - before
    size = percent(abs(gain) / before) if before > 0 else large(abs(gain))
    more = "more" if gain >= 0 else "less"
    unit = f" {facts['currency']}" if facts["currency"] else ""
    noun = period_noun(found.fit.panel.freq)
    each = f" a {noun}" if facts["per_period"] else ""
    sure = "" if plan.better is None else (
        f"; better than the reference with probability {chance(plan.better)}")  # fmt: skip
    word, _, tone = verdict(found)
    warning = f" The fit is {word}: do not act on it yet." if tone == BAD else ""
    return Tile(
        "What to do?",
        f"{size} {more} {found.outcome} from media",
        f"By another split of {large(facts['budget'])}{unit}{each} over "
        f"{facts['periods']} {noun}s{sure}.{warning}",
        BAD if warning else PLAIN,
    )
