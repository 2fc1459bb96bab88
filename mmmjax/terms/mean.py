"""The terms of a mean together: how each is named, and which channels it has."""

import functools

import numpy as np

from mmmjax import checks
from mmmjax.panel import Panel
from mmmjax.shapes import CAMPAIGN, CHANNEL, CONTROL, GEO
from mmmjax.terms.base import Term
from mmmjax.terms.interaction import Interaction
from mmmjax.terms.linear import Controls, Waves
from mmmjax.terms.media import Media

__all__ = ["Mean"]


class Mean:
    """What follows from a list of terms: a spec is one."""

    parts: tuple[Term, ...]  # a property of a spec: every term, in the order of the model

    @functools.cached_property
    def media(self) -> tuple[Media, ...]:
        """Its media terms."""
        return tuple(term for term in self.parts if isinstance(term, Media))

    @functools.cached_property
    def interactions(self) -> tuple[Interaction, ...]:
        """Its pairs of channels that act together."""
        return tuple(term for term in self.parts if isinstance(term, Interaction))

    @property
    def memory(self) -> int:
        """Periods that the effect of media lasts at most, the first included."""
        return max(term.memory for term in self.media)

    @property
    def waves(self) -> int:
        """Pairs of yearly waves: the most that a term has, 0 without any."""
        waves = (term for term in self.parts if isinstance(term, Waves))
        return max((term.order for term in waves if term.period == "year"), default=0)

    @property
    def levers(self) -> dict[str, str | float]:
        """Controls that are levers, and what each counts from."""
        own = (t.levers for t in self.parts if isinstance(t, Controls))
        return {name: how for levers in own for name, how in dict(levers).items()}

    def baselines(self, panel: Panel) -> np.ndarray | None:
        """What controls are counted from, (control,); None without levers."""
        own = (t.baselines(panel) for t in self.parts if isinstance(t, Controls))
        return next((base for base in own if base is not None), None)

    def check_terms(self) -> None:
        """Refuse terms of one name, and channels that several media terms have or none."""
        names = [term.name for term in self.parts]
        for name in names:
            if not isinstance(name, str) or not name.isidentifier():
                fix = 'name = "upper_funnel"'
                checks.fail("name of a term", name, "spec", "letters, digits and _", fix)
            if names.count(name) > 1:
                fix = f'name = "{name}_2" in one [[model.term]] of them'
                checks.fail("name of a term", name, "spec", "one term of a name", fix)
        named = [c for term in self.media for c in term.channels or ()]
        for channel in named:
            if named.count(channel) > 1:
                fix = "leave it out of the others"
                checks.fail("channels", channel, "spec", "each in one media term", fix)
        rest = [term.name for term in self.media if term.channels is None]
        if len(rest) > 1:
            fix = f'write channels = [...] in "{rest[-1]}"'
            got = checks.Phrase(f"none in {checks.listing(rest, 6)}")
            checks.fail("channels", got, "spec", "named in all media terms but one", fix)

    def full(self, term: Term, name: str) -> str:
        """A parameter of a term as priors and draws name it."""
        return name if _usual(term) else f"{term.name}.{name}"

    def dim(self, term: Term, dim: str) -> str:
        """A dim of a term as draws name it."""
        if dim in (CHANNEL, CAMPAIGN) and isinstance(term, Media):
            return dim if len(self.media) == 1 else f"{term.name}.{dim}"
        return f"{term.name}.{dim}" if dim in term.dims and not _usual(term) else dim

    def labels(self, panel: Panel | None) -> dict[str, tuple[str, ...]]:
        """Members of every dim for a panel; without one, those that the spec knows.

        Raises:
            InputError: Channels of a media term that the panel lacks, or that none has.
        """
        out: dict[str, tuple[str, ...]] = {}
        if panel is not None:
            out = {GEO: panel.geos, CHANNEL: panel.channels, CONTROL: panel.control_names}
            if any(self.dim(t, CHANNEL) != CHANNEL or t.channels for t in self.media):
                out |= _channels(self, panel)
            out |= {n: tuple(dict.fromkeys(own)) for n, own in panel.groups.items()}
            out |= _campaigns(self, panel, out)
        for term in self.parts:
            out |= {self.dim(term, d): n for d, n in term.labels(panel).items()}
        return out

    def owners(self, panel: Panel) -> np.ndarray:
        """Number of the media term that has each channel of a panel, (channel,)."""
        labels = self.labels(panel)
        own = [labels[self.dim(term, CHANNEL)] for term in self.media]
        return np.array(
            [next(k for k, n in enumerate(own) if c in n) for c in panel.channels]
        )

    def sizes(self, panel: Panel | None) -> dict[str, int]:
        """How many members every dim has for a panel: see :meth:`labels`."""
        return {dim: len(names) for dim, names in self.labels(panel).items()}


def _campaigns(
    mean: Mean, panel: Panel, labels: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Campaigns of the channels of every media term, as far as the panel has any."""
    out: dict[str, tuple[str, ...]] = {}
    if (own := panel.campaigns) is None:
        return out
    for term in mean.media:
        has = labels[mean.dim(term, CHANNEL)]
        pairs = zip(own.labels, own.channels, strict=True)
        out[mean.dim(term, CAMPAIGN)] = tuple(n for n, c in pairs if c in has)
    return out


def _usual(term: Term) -> bool:
    """Whether a term has the name of its kind, and so needs none before its parameters."""
    return term.name == (CHANNEL if isinstance(term, Media) else type(term).name)


def _channels(mean: Mean, panel: Panel) -> dict[str, tuple[str, ...]]:
    """Channels of every media term, in the panel's order."""
    named = {c for term in mean.media for c in term.channels or ()}
    for term in mean.media:
        for channel in term.channels or ():
            if channel not in panel.channels:
                field, what = f"channels of {term.name}", "channels of the panel"
                checks.unknown(field, channel, "spec", what, panel.channels)
    if all(term.channels is not None for term in mean.media):
        for channel in panel.channels:
            if channel not in named:
                fix = "leave channels out of one media term: it takes the rest"
                checks.fail("channel", channel, "spec", "one of a media term", fix)
    return {
        mean.dim(term, CHANNEL): tuple(
            c for c in panel.channels
            if (c in term.channels if term.channels is not None else c not in named)
        )
        for term in mean.media
    }  # fmt: skip
