"""Effects that move: the multipliers of channels over time, and after training."""

from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float

from mmmjax import checks, response
from mmmjax.arguments import checked
from mmmjax.draws import Fit
from mmmjax.panel.calendar import following
from mmmjax.posterior.fold import thinned
from mmmjax.posterior.scope import ALL, PROB, Scope, summarise
from mmmjax.shapes import GEO
from mmmjax.terms import Frame, Media
from mmmjax.words import long, spread

__all__ = ["drawn", "multipliers"]


@checked
def multipliers(fit: Fit, *, after: int | None = None, prob: float = PROB) -> pd.DataFrame:
    """A row per channel whose effects move and period: the columns of multipliers.csv.

    Columns: geo ("ALL" where geos share them), channel, date, after (True after training),
    and mean, lo, hi of what the effects that come in the period are multiplied by: over
    training the mean is 1 in every draw.

    Args:
        fit: The fit.
        after: Periods after training, what a plan counts on; None: a quarter as many as
            in training.
        prob: Probability inside [lo, hi].

    Raises:
        InputError: Effects do not move.
    """
    panel = fit.panel
    dates: Any = Scope.of(fit).dates
    owner = fit.spec.owners(panel) if panel.channels else np.zeros(0, int)
    moves = np.array([bool(fit.spec.media[k].moving) for k in owner], bool)
    if not moves.any():
        fix = "mm.terms.Media(moving=mm.moving.Process()) among the terms, in a case file "
        fix += 'moving = { kind = "process" }; fit again, then mm.plot.multipliers(fit)'
        got = checks.Phrase("a fit whose effects do not move")
        checks.fail("multipliers", got, "", "a fit with a media term that moves", fix)
    n_train = len(dates)
    late = -(-n_train // 4) if after is None else after
    late = checks.integer("after", late, low=0, fix="after = 13")
    dates = dates.append(following(dates, panel.freq, late))
    draws = drawn(thinned(fit), dates, 0)[:, :, moves, : len(dates)]
    shared = (draws == draws[:, :1]).all()
    draws, geos = (draws[:, :1], [ALL]) if shared else (draws, list(panel.geos))
    names = np.array(panel.channels, object)[moves]
    later = {"after": np.arange(len(dates)) >= n_train}
    labels = {GEO: geos, "channel": names, "date": dates}
    return long(labels, later | spread("", summarise(draws, prob)))


def drawn(
    fit: Fit, dates: pd.DatetimeIndex, start: int, max_draws: int | None = None
) -> Float[np.ndarray, "draw geo channel time"]:
    """Multipliers of every draw in a window, and in the periods after it that effects
    reach; 1 of channels whose effects do not move.

    Args:
        fit: The fit.
        dates: Of the window.
        start: Periods from the first of training to the first of these.
        max_draws: At most this many, evenly spaced.
    """
    spec, panel = fit.spec, fit.panel
    frame = Frame(panel, fit.scale, dates, start, panel.n_periods)
    flat = {n: np.asarray(x, np.float64) for n, x in fit.flat(max_draws).items()}
    owner, draws = spec.owners(panel), len(next(iter(flat.values())))
    length = len(dates) + spec.memory - 1
    out = np.ones((draws, panel.n_geos, len(panel.channels), length))
    for number, term in enumerate(spec.media):
        own = owner == number
        if not (term.moving and own.any()):
            continue
        names = [name for one in term.movers for name in one.parameters()]

        def one(p: Any, term: Media = term, names: list[str] = names) -> Any:
            return term.ahead(response.aligned(p, term, spec, names), frame)

        needed = {n: flat[n] for n in (spec.full(term, name) for name in names)}
        with jax.enable_x64(True):
            found = np.asarray(jax.lax.map(one, needed))
        late = length - found.shape[-1]  # of another term with a longer memory
        out[:, :, own] = np.pad(found, [*[(0, 0)] * 3, (0, late)], mode="edge")
    return out
