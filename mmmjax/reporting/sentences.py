"""The first page in words: what media brought, which channel pays, how sure we are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmmjax.plot.labels import amount, for_geo, large, period_noun, span
from mmmjax.reporting.evidence import Evidence, Interval, Media, Move, Planned
from mmmjax.reporting.standing import standings, tally

__all__ = [
    "Tile", "chance", "direction", "gain_text", "lead", "percent", "share_span",
    "sure_text", "tiles", "verdict",
]  # fmt: skip

GOOD, CARE, BAD, PLAIN = "good", "care", "bad", "plain"  # tones; the text says it too
CLEAR, LIKELY = 0.9, 0.6  # probabilities of being the best
WORTH_TRYING = 0.75  # probability that a move of spend helps, from which it is advised
LEAST_LEARNT = 0.2  # contraction below which a channel's effect is mostly its prior
LEAST_MOVED = 0.005  # of all spend: smaller changes of a channel are not named
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
    return f"{share:z.1%}" if abs(share) < 0.0995 else f"{share:.0%}"


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
            f"The draws are {word}."
        )
    said = [
        f"Media brought {percent(media.share.mean)} of {outcome} "
        f"(94% interval {share_span(media.share)}).",
        *([_ranking(media)] if len(media.best) > 1 else []),
        f"The draws are {word}.",
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
        *_taught(found),
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
        f"{span(*media.total)}; observed were {observed}.{_kinds(media)}",
    )
    if media.returns is None:
        return [brought]
    one = f"{panel.currency} of paid media" if panel.currency else "unit of spend"
    of_what = f"{panel.currency} for" if panel.currency else "of spend on"
    each = Tile(
        f"What did one {one} bring?",
        f"{amount(media.returns.mean)} {panel.outcome_name}",
        f"94% interval {span(*media.returns)}, on {large(media.spend)} {of_what} paid "
        "media. The next one, spread the same way, brings about "
        f"{amount(media.marginal)}.",
    )
    return [brought, _best(found, media), each]


def _kinds(media: Media) -> str:
    """Paid and organic apart, where there are both."""
    if media.paid is None or media.organic is None:
        return ""
    paid, organic = (percent(part.share.mean) for part in (media.paid, media.organic))
    return f" Paid media brought {paid}, organic media {organic}."


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


def _contractions(found: Evidence) -> dict[str, float]:
    """Contraction of the size of each channel's effect, where it is known."""
    table = found.table("priors")
    if table is None:
        return {}
    rows = table.loc[table["parameter"] == "saturation_beta"]
    known = dict(zip(rows["index"].astype(str), rows["contraction"], strict=True))
    names = found.fit.panel.channels
    return {n: float(known[n]) for n in names if np.isfinite(known.get(n, np.nan))}


def _learnt(found: Evidence, channel: str) -> float:
    """Contraction of the size of a channel's effect; 1 where it is not known."""
    return _contractions(found).get(channel, 1.0)


def _usable(found: Evidence) -> Tile:
    told, (word, reason, tone) = found.diagnostics, verdict(found)
    numbers = (
        f"{told.n_chains * told.n_draws:,} draws, {told.divergences:,} divergent; R-hat at "
        f"most {told.max_r_hat:.3f}, effective sample size at least "
        f"{min(told.min_ess_bulk, told.min_ess_tail):,.0f}. This is about the draws, not "
        "about whether the model is right."
    )
    text = f"{reason[:1].upper()}{reason[1:]}. {numbers}" if reason else numbers
    return Tile("Did the sampler work?", f"Draws: {word}", text, tone)


def _taught(found: Evidence) -> list[Tile]:
    """What the data said about each channel's effect; nothing where it is not known."""
    known = _contractions(found)
    if not known:
        return []
    question = "What did the data teach?"
    lowest = min(known, key=lambda name: known[name])
    prior = [name for name, share in known.items() if share < LEAST_LEARNT]
    scale = (
        "(1 - posterior variance / prior variance of saturation_beta; near 0 the answer is "
        "an assumption)"
    )
    least = percent(max(known[lowest], 0.0))
    if not prior:
        text = f"Least about {lowest}, with a contraction of {least} {scale}."
        return [Tile(question, "Something about every channel", text)]
    text = (
        f"The size of the effect of {_listed(prior, 6)} is still mostly the prior: a "
        f"contraction below {LEAST_LEARNT:.0%} {scale}."
    )
    few = f"Little about {len(prior)} of {len(known)} channels"
    return [Tile(question, few, text, CARE)]


def _listed(names: Sequence[str], most: int = 3) -> str:
    """``a, b and c``; a long list is cut and that is said."""
    shown = [*names[:most]]
    if len(names) > most:
        shown = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _forecast(found: Evidence) -> Tile:
    scores, outcome = found.scores, found.outcome
    within, warning = "of what was observed lies in its 94% interval", _misfit(scores)
    compared = standings(found)
    behind = any(not standing.ahead for standing in compared)
    after = " ".join(filter(None, [warning.strip(), tally(compared)]))
    tone = CARE if warning or behind else PLAIN
    if not np.isfinite(scores.get("crps_test", np.nan)):
        return Tile(
            "How well does it describe the data?",
            f"Off by {percent(scores['mape'])}",
            f"Mean error of a prediction in training; {percent(scores['coverage'])} "
            f"{within}. Nothing was held back, so this says nothing about forecasts. "
            f"{after}".rstrip(),
            tone,
        )
    crps = f"CRPS {large(scores['crps_test'])} {outcome}"
    error = scores.get("mape_test", np.nan)
    if found.tested is None:
        periods, lacking = "periods it had not seen", " The forecast table is not there."
    else:
        periods = f"{found.tested['date'].nunique():,} {found.period}s it had not seen"
        lacking = ""
    return Tile(
        "How well does it forecast?",
        f"Off by {percent(error)}" if np.isfinite(error) else crps,
        f"Mean error over {periods}; {percent(scores.get('coverage_test', np.nan))} "
        f"{within}. {crps}, in training {large(scores['crps_train'])} (smaller is "
        f"better).{lacking} {after}".rstrip(),
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


def sure_text(plan: Planned) -> str:
    """How probable it is that a plan beats its reference."""
    known = plan.probability
    return "not known" if known is None else f"with probability {chance(known)}"


def gain_text(found: Evidence, plan: Planned) -> str:
    """Gain of a plan with its interval, and as a share of the outcome where known."""
    mean, lo, hi = gain = plan.gain
    known = np.isfinite([lo, hi]).all()
    interval = f", 94% interval {span(*gain)}" if known else ", interval not known"
    whole = _of_all(found, plan)
    share = "" if whole is None else (
        f"; {percent(mean / whole)} of all {found.outcome}")  # fmt: skip
    return f"{large(mean)} {found.outcome}{interval}{share}"


def _of_all(found: Evidence, plan: Planned) -> float | None:
    """Outcome of as many periods as the plan has, at the observed mean of a period."""
    panel = found.fit.panel
    seen = panel.outcome[:, panel.window]
    counts = np.isfinite(seen).sum(axis=1)
    if not counts.all():
        return None
    whole = float((np.nansum(seen, axis=1) / counts).sum()) * plan.facts["periods"]
    return whole if whole > 0 else None


def direction(plan: Planned) -> tuple[str, list[str]]:
    """Which way money moves, in words without the verb, and where it goes to."""
    moved = sorted(plan.moved.items(), key=lambda pair: pair[1])
    least = LEAST_MOVED * float(plan.sums["reference"].sum())
    down = [name for name, money in moved if money < -least]
    up = [name for name, money in moved[::-1] if money > least]
    if up and down:
        return f"move money from {_listed(down)} to {_listed(up)}", up
    if up:
        return f"spend more on {_listed(up)}", up
    return (f"spend less on {_listed(down)}" if down else "keep the split"), up


def _budget(found: Evidence, plan: Planned) -> str:
    """What the plan costs, and whether that is what the reference costs."""
    facts: Mapping[str, Any] = plan.facts
    unit = f" {facts['currency']}" if facts["currency"] else ""
    noun = period_noun(found.fit.panel.freq)
    each = f" a {noun}" if facts["per_period"] else ""
    more = sum(plan.moved.values())
    spent = large(facts.get("spent", facts["budget"]))
    text = f"{spent}{unit}{each} over {facts['periods']} {noun}s"
    if abs(more) <= LEAST_MOVED * abs(float(facts["budget"])):
        return f"It is another split of {text}."
    word = "more" if more > 0 else "less"
    return f"It spends {text}: {large(abs(more))}{unit}{each} {word} than the reference."


def _plan(found: Evidence, plan: Planned) -> Tile:
    """What a plan says to do, as sure as it is."""
    question, sure = "What to do?", plan.probability
    where, targets = direction(plan)
    gain, before, (word, _, tone) = plan.gain, plan.before, verdict(found)
    of = "what paid media bring"
    more = "more" if gain.mean >= 0 else "less"
    size = f"{percent(abs(gain.mean) / before)} {more} of {of}" if before > 0 else (
        f"{more} of {of}")  # fmt: skip
    how = f"better than the reference {sure_text(plan)}"
    if sure is None:
        how = "whether it beats the reference, and how surely, is not known"
    only = " only" if sure is not None and sure < CLEAR else ""
    worth = f"{size} ({gain_text(found, plan)}); {how}{only}. {_budget(found, plan)}"
    capital = where[:1].upper() + where[1:]
    if tone == BAD:
        text = f"The plan would {where}: {worth} The fit is {word}: do not act on it yet."
        return Tile(question, "Do not act on it yet", text, BAD)
    if sure is None or sure < CLEAR or not targets:
        move = None if found.media is None else found.media.move
        target = targets[:1] if move is None else [move.target]
        trial = f" An experiment on {target[0]} would tell most." if target else ""
        return Tile(question, "No clear move", f"The plan would {where}: {worth}{trial}")
    text = f"{size[:1].upper()}{size[1:]}{worth[len(size) :]}"
    unknown = [name for name in targets if _learnt(found, name) < LEAST_LEARNT]
    if unknown:
        text += f" But the data have said little about {_listed(unknown)} beyond "
        text += f"{'its prior' if len(unknown) == 1 else 'their priors'}: make it an "
        text += "experiment, and measure."
        return Tile(question, f"Test this: {where}", text)
    return Tile(question, capital, f"{text} Move in steps and measure.")
