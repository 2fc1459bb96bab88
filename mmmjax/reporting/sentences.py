"""The first page in words: what media brought, which channel pays, how sure we are."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mmmjax.budget.wording import KEEP, LEAST_MOVED
from mmmjax.checks import Phrase, listing
from mmmjax.findings import Finding
from mmmjax.reporting.evidence import Evidence, Interval, Media, Move, Planned
from mmmjax.standing import covered, headline, misfit, standings, tally
from mmmjax.words import (
    PAST,
    amount,
    capital,
    for_geo,
    in_percent,
    large,
    period_noun,
    span,
)

__all__ = [
    "GLOSSARY", "Tile", "chance", "gain_text", "if_it_holds", "lead",
    "share_span", "sure_text", "tiles", "toned", "verdict",
]  # fmt: skip

GOOD, CARE, BAD, PLAIN = "good", "care", "bad", "plain"  # tones; the text says it too
CLEAR, LIKELY = 0.9, 0.6  # probabilities of being the best
WORTH_TRYING = 0.75  # probability that a move of spend helps, from which it is advised
LEAST_LEARNT = 0.2  # contraction below which a channel's effect is mostly its prior
GLOSSARY = (
    ("94% interval", "the range that holds the answer with 94% probability, given the data "
     "and if the model is right; the wider, the less is known"),
    ("return on spend", "the outcome that one unit of money brought, against not spending "
     "it; what comes in the weeks after is counted"),
    ("the next unit", "what one unit more would bring: less than the average one, since "
     "returns fall. At past spend: on top of training, spread over its weeks as the spend "
     "was. After the plan: on top of what the plan spends. In the planner: on top of your "
     "split, in an even window, every week alike. Three questions, so three numbers"),
    ("assumption", "what the model took for likely before it saw the data (the prior); "
     "where the data say little, the answer stays close to it"),
    ("the computation worked", "independent runs of it agree (R-hat, effective sample size "
     "and divergences under Diagnostics); it says nothing about the model"),
    ("paid and organic", "media that cost money, and media that do not"),
)  # fmt: skip
"""Words of the first screen, each with what it means."""


class Tile(NamedTuple):
    """One answer: a question, a few words that answer it, and how sure they are."""

    question: str
    answer: str
    text: str
    tone: str = PLAIN


def share_span(interval: Interval) -> str:
    """``lo to hi`` of a share."""
    return f"{in_percent(interval.lo)} to {in_percent(interval.hi)}"


def toned(findings: Iterable[Finding]) -> list[tuple[str, str, str, str]]:
    """What was found: tone, what, what it means, what to try."""
    tones = {"serious": BAD, "warning": CARE, "note": PLAIN}
    full = lambda text: f"{capital(text)}." if text else ""
    return [
        (tones[one.level], full(one.what), full(one.means), full(one.remedy))
        for one in findings
    ]


def verdict(found: Evidence) -> tuple[str, str, str]:
    """Word, reason (empty if none) and tone of the diagnostics."""
    word, _, reason = found.diagnostics.verdict.partition(" (")
    tones = {"usable": GOOD, "usable with care": CARE}
    return word, reason.removesuffix(")"), tones.get(word, BAD)


def inadequate(found: Evidence) -> bool:
    """Whether what the fit leaves over contradicts it."""
    return not found.judged.adequate.ok


def if_it_holds(found: Evidence) -> str:
    """``, if the model holds, ...`` after a claim, where the data contradict the model."""
    return f", {found.judged.condition}" if inadequate(found) else ""


def chance(probability: float) -> str:
    """A probability as text, never said to be certain."""
    if probability > 0.995:
        return "over 99%"
    return "under 1%" if probability < 0.005 else f"{probability:.0%}"


def lead(found: Evidence) -> str:
    """The report in a few sentences, what speaks against it first."""
    outcome, media = found.outcome, found.media
    worth = _worth(found)
    if media is None:
        return (
            "This model has no media: it is the baseline that others are compared with. "
            f"{worth}"
        )
    said = [
        headline(standings(found.table("backtest"))),
        f"Media brought {in_percent(media.share.mean)} of {outcome} "
        f"(94% interval {share_span(media.share)}){if_it_holds(found)}.",
        *([_ranking(media, inadequate(found))] if len(media.best) > 1 else []),
        worth,
        *([_truth(found)] if found.truth else []),
    ]
    return " ".join(filter(None, said))


def _worth(found: Evidence) -> str:
    """Whether the computation worked and whether the model fits the data, apart."""
    _, _, tone = verdict(found)
    computed = {
        GOOD: "The computation worked",
        CARE: "The computation worked, with care",
    }.get(tone, "The computation did not settle: these numbers may still change")
    if any(one.code == "untested" for one in found.judged.adequate.findings):
        return f"{computed}; whether the model fits the data could not be tested."
    if not inadequate(found):
        return f"{computed}, and the data do not contradict the model."
    first = found.judged.adequate.findings[0].what.partition(" (")[0]  # figures: below
    return f"{computed}. But the data contradict the model: {_lower(first)}."


def _lower(text: str) -> str:
    """A sentence that goes on after a colon; names in capitals stay."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _ranking(media: Media, doubted: bool = False) -> str:
    """Which channel pays best, never clearly where the data contradict the model."""
    (first, p), (second, q) = media.best[:2]
    if p < LIKELY:
        return (
            "Which channel has the highest return on spend is not settled: "
            f"{first} has a probability of {chance(p)}, {second} of {chance(q)}."
        )
    how = "clearly" if p >= CLEAR and not doubted else "probably"
    sure = "" if doubted else f" (probability {chance(p)})"
    return f"{first} {how} has the highest return on spend{sure}."


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
    media_told = [] if media is None else _media_tiles(found, media)
    verdicts, error = [_fits(found), _computed(found)], _forecast(found)
    told = [*media_told, *([] if to_do is None else [to_do]), *_taught(found)]
    first = [error] if error.tone == BAD else []  # what speaks against it all
    return [*first, *verdicts, *told, *([] if first else [error])]


def _media_tiles(found: Evidence, media: Media) -> list[Tile]:
    panel = found.fit.panel
    periods = f"{len(found.window):,} {found.period}s"
    observed = large(float(np.nansum(panel.outcome[:, panel.window])))
    brought = Tile(
        "What did media bring?",
        f"{in_percent(media.share.mean)} of {panel.outcome_name}",
        f"{large(media.total.mean)} {panel.outcome_name} in {periods}, 94% interval "
        f"{span(*media.total)}; observed were {observed}.{_kinds(media)}"
        f"{_impossible(media)}",
        BAD if _impossible(media) else CARE if media.share.hi > 1 else PLAIN,
    )
    if media.returns is None:
        return [brought]
    one = f"{panel.currency} of paid media" if panel.currency else "unit of spend"
    of_what = f"{panel.currency} for" if panel.currency else "of spend on"
    unit = found.returned
    returns = Interval(*(unit.times * x for x in media.returns))
    even = " Above 1 it earns more than it costs." if unit.value is not None else ""
    each = Tile(
        f"What did one {one} bring?",
        f"{amount(returns.mean)} {unit.unit}",
        f"94% interval {span(*returns)}, on {large(media.spend)} {of_what} paid "
        f"media. The next one {PAST}, spread the same way, brings about "
        f"{amount(unit.times * media.marginal)}.{even}",
    )
    return [brought, _best(found, media), each]


def _impossible(media: Media) -> str:
    """Why what media brought cannot be; empty if it can."""
    if media.share.mean > 1:
        return (
            " That is more than all there was: without media there would have been less "
            "than nothing. Do not use these returns; look at what the model lacks."
        )
    if media.share.mean < 0:
        return " That is less than nothing: look at what the model lacks."
    return ""


def _kinds(media: Media) -> str:
    """Paid and organic apart, where there are both."""
    if media.paid is None or media.organic is None:
        return ""
    paid, organic = (in_percent(part.share.mean) for part in (media.paid, media.organic))
    return f" Paid media brought {paid}, organic media {organic}."


def _of(found: Evidence, channel: str, name: str) -> Interval:
    """A return of one channel over all geos."""
    rows = for_geo(found.returned.of(found.channels), None)
    return Interval.at(rows.loc[rows["channel"] == channel].iloc[0], name)


def _best(found: Evidence, media: Media) -> Tile:
    name, probability = media.best[0]
    interval = _of(found, name, "roas")
    worth = f"{amount(interval.mean)} {found.returned.per}, 94% interval {span(*interval)}"
    question, several = "Which channel pays best?", len(media.best) > 1
    if several and probability < LIKELY:
        said = f"{name} is ahead with probability {chance(probability)} only: {worth}."
        return Tile(question, "Not settled", said)
    best = f" Best of {len(media.best)} with probability {chance(probability)}"
    best = f"{best}{if_it_holds(found)}." if several else ""
    return Tile(question, name, f"{worth}.{best}")


def _not_yet(found: Evidence) -> str:
    """Why nobody should act on the numbers yet; empty if nothing speaks against it."""
    if verdict(found)[2] == BAD:
        return (
            "The computation did not settle, so the numbers may still change: run it "
            "longer, then decide."
        )
    return headline(standings(found.table("backtest")))


def _advice(found: Evidence, move: Move) -> Tile:
    """What the marginal returns say about the next unit of money."""
    question = "What to do?"
    why = _not_yet(found)
    if why:
        return Tile(question, "Do not act on it yet", why, BAD)
    target, source = (_of(found, name, "mroas") for name in (move.target, move.source))
    worth = (
        f"The next {found.money} {PAST} brings about {amount(target.mean)} "
        f"{found.returned.unit} "
        f"in {move.target} (94% interval {span(*target)}) and {amount(source.mean)} in "
        f"{move.source} ({span(*source)})"
    )
    sure = f"more with probability {chance(move.probability)}{if_it_holds(found)}"
    if move.probability < WORTH_TRYING:
        text = f"{worth}: {sure} only. An experiment on {move.target} would tell most."
        return Tile(question, "No clear move", text)
    where = f"spend from {move.source} to {move.target}"
    if _learnt(found, move.target) < LEAST_LEARNT:
        text = f"{worth}: {sure}. But the data have said little about {move.target} beyond "
        text += "what was assumed: make it an experiment, and measure."
        return Tile(question, f"Test moving {where}", text)
    if inadequate(found):  # what the data contradict is tried, not done
        text = f"{worth}: {sure}. Make it an experiment."
        return Tile(question, f"Test moving {where}", text, CARE)
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


def _computed(found: Evidence) -> Tile:
    """Whether the sampler worked, without its words; those stand under Diagnostics."""
    tone = verdict(found)[2]
    question, about = "Did the computation work?", "Diagnostics has the numbers."
    if tone == GOOD:
        text = "Independent runs of it agree. This says nothing about whether the model is "
        return Tile(question, "Yes", f"{text}right. {about}", tone)
    if tone == CARE:
        text = "Independent runs of it agree, but parts of it were inexact: take small "
        return Tile(
            question, "Yes, with care", f"{text}differences for none. {about}", tone
        )
    text = "Its independent runs do not agree, or it is only a rough look: the numbers may "
    return Tile(question, "No", f"{text}still change. Run it longer. {about}", tone)


def _fits(found: Evidence) -> Tile:
    """Whether the data contradict the model."""
    question, told = "Does the model fit the data?", found.judged.adequate
    blind = (
        "No such check sees a driver of demand that is missing from the data: an "
        "experiment with media switched off in some places would."
    )
    untested = [one.what for one in told.findings if one.code == "untested"]
    if told.ok and untested:
        text = f"{capital(untested[0])}. {blind}"
        return Tile(question, "Nobody knows: too few data", text, CARE)
    if told.ok:
        text = f"What it leaves over looks like noise. {blind}"
        return Tile(question, "Yes, as far as can be seen", text, GOOD)
    first, more = told.findings[0], len(told.findings) - 1
    others = f" There {'is' if more == 1 else 'are'} {more} more below." if more else ""
    means = f" {first.means}." if first.means else ""
    what = first.what.partition(" (")[0]
    text = f"{capital(what)}.{means}{others} {blind}"
    return Tile(question, "No: it is contradicted", text, BAD)


def _taught(found: Evidence) -> list[Tile]:
    """What the data said about each channel's effect; nothing where it is not known."""
    known = _contractions(found)
    if not known:
        return []
    question = "What did the data teach?"
    lowest = min(known, key=lambda name: known[name])
    prior = [name for name, share in known.items() if share < LEAST_LEARNT]
    if not prior:
        least = in_percent(max(known[lowest], 0.0))
        text = f"Least about {lowest}, where {least} of what was uncertain before is "
        return [Tile(question, "Something about every channel", f"{text}settled.")]
    named = listing(map(Phrase, prior), 6)
    text = (
        f"The size of the effect of {named} is still mostly what was assumed: "
        f"the data settled less than {LEAST_LEARNT:.0%} of what was uncertain before."
    )
    few = f"Little about {len(prior)} of {len(known)} channels"
    return [Tile(question, few, text, CARE)]


def _forecast(found: Evidence) -> Tile:
    scores, compared = found.scores, standings(found.table("backtest"))
    within = "of what was observed lies in its 94% interval"
    trained, after_it = found.cells
    against, useless = misfit(scores, after_it or None)
    worse = headline(compared)
    behind = any(not standing.ahead for standing in compared)
    after = " ".join(filter(None, [against, tally(compared)]))
    tone = BAD if useless or worse else CARE if against or behind else PLAIN
    error = scores.get("mape_test", np.nan)
    if not np.isfinite(scores.get("crps_test", np.nan)):
        question = "How well does it describe the data?"
        answer = f"Off by {in_percent(scores['mape'])}"
        text = (
            f"Mean error of a prediction in training; {in_percent(scores['coverage'])} "
            f"{within}, {covered(scores['coverage'], trained)}. Nothing was held back, so "
            f"this says nothing about forecasts. {after}"
        )
    else:
        question = "How well does it forecast?"
        answer = f"Off by {in_percent(error)}"
        if not np.isfinite(error):
            answer = f"{in_percent(scores.get('coverage_test', np.nan))} inside its range"
        if found.tested is None:
            periods, lacking = (
                "periods it had not seen",
                " The forecast table is not there.",
            )
        else:
            count = found.tested["date"].nunique()
            periods, lacking = f"{count:,} {found.period}s it had not seen", ""
        inside = scores.get("coverage_test", np.nan)
        held = "".join(f", {x}" for x in [covered(inside, after_it)] if x)
        text = (
            f"Mean error over {periods}, in training {in_percent(scores['mape'])}; "
            f"{in_percent(inside)} {within}{held}.{lacking} {after}"
        )
    if worse:
        answer, text = "No better than without media", f"{worse} {answer}: {_lower(text)}"
    return Tile(question, answer, text.rstrip(), tone)


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
        f"; {in_percent(mean / whole)} of all {found.outcome}")  # fmt: skip
    return f"{large(mean)} {found.outcome}{interval}{share}"


def net_text(found: Evidence, plan: Planned) -> str:
    """What a plan brings after the cost of media; empty where that is not known."""
    if plan.net is None:
        return ""
    more = "more" if plan.net.mean >= 0 else "less"
    size = f"{large(abs(plan.net.mean))} {found.money} {more} after the cost of media"
    return f"{size} (94% interval {span(*plan.net)})"


def _of_all(found: Evidence, plan: Planned) -> float | None:
    """Outcome of as many periods as the plan has, at the observed mean of a period."""
    panel = found.fit.panel
    seen = panel.outcome[:, panel.window]
    counts = np.isfinite(seen).sum(axis=1)
    if not counts.all():
        return None
    whole = float((np.nansum(seen, axis=1) / counts).sum()) * plan.facts["periods"]
    return whole if whole > 0 else None


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
    where, targets = plan.direction
    gain, before, why = plan.gain, plan.before, _not_yet(found)
    of = "what paid media bring"
    more = "more" if gain.mean >= 0 else "less"
    size = f"{in_percent(abs(gain.mean) / before)} {more} of {of}" if before > 0 else (
        f"{more} of {of}")  # fmt: skip
    how = f"better than the reference {sure_text(plan)}"
    if sure is None:
        how = "whether it beats the reference, and how surely, is not known"
    only = " only" if sure is not None and sure < CLEAR else ""
    how = f"{how}{only}{if_it_holds(found)}"
    size = size if plan.net is None else f"{net_text(found, plan)}: {size}"
    worth = f"{size} ({gain_text(found, plan)}); {how}. {_budget(found, plan)}"
    if why:
        text = f"{why} The plan would {where}: {worth}"
        return Tile(question, "Do not act on it yet", text, BAD)
    idle = not targets and (plan.net is None or where == KEEP)  # to save may be a move
    if sure is None or sure < CLEAR or idle:
        move = None if found.media is None else found.media.move
        target = targets[:1] if move is None else [move.target]
        trial = f" An experiment on {target[0]} would tell most." if target else ""
        return Tile(question, "No clear move", f"The plan would {where}: {worth}{trial}")
    text = capital(worth)
    unknown = [name for name in targets if _learnt(found, name) < LEAST_LEARNT]
    if unknown:
        named = listing(map(Phrase, unknown), 3)
        text += f" But the data have said little about {named} beyond "
        text += "what was assumed: make it an experiment, and measure."
        return Tile(question, f"Test this: {where}", text)
    if inadequate(found):
        return Tile(question, f"Test this: {where}", f"{text} Make it an experiment.", CARE)
    return Tile(question, capital(where), f"{text} Move in steps and measure.")
