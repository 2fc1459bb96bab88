"""The term of holidays of any country, by the `holidays` package."""

import functools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.checks import Phrase, fail, listing
from mmmjax.panel import Panel
from mmmjax.panel.calendar import spans
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import GEO
from mmmjax.terms.base import Frame, Group, Named
from mmmjax.terms.columns import Dated, days, table_of

__all__ = ["Holidays", "calendar"]

YEARS = range(1990, 2051)
NOW, OFTEN = range(2015, 2036), 5
"""A name that stands in fewer of these years is of one day, no holiday."""
ADDED = (" (observed)", " (estimated)")  # to a name: the same holiday


@dataclass(frozen=True)
class Holidays(Dated):
    """Holidays of a country or of each geo's, a coefficient for each name.

    Every day of a name counts; the names are in English where the package has them, so that
    countries share them. Moving feasts are where they are, from 1990 to 2050, of some
    countries (India) to 2035.

    Args:
        country: Code of a country or of a part of it, "DE" or "DE-BY"; or one by geo.
        only: Names of those to take, in this order; None: all.
        categories: Of the package: "public", and in some countries others.
        before: Days of the window before each.
        after: Days after it.
        shape: Of the window: "flat", "bump" or "decay", as of :class:`Events`.
        dated: As of :class:`Events`.
        name: Its name in results.

    Raises:
        InputError: A country, part, category or name that the package does not have; a geo
            without a country; the package is not installed.
    """

    kind: ClassVar[str] = "holidays"
    group: ClassVar[Group] = "seasonality"
    dims: ClassVar[tuple[str, ...]] = ("holiday",)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "columns": ((GEO, "holiday", "time"), "how much of each holiday a period has")
    }
    country: str | Mapping[str, str] = field(default="", metadata={"table": True})
    only: Sequence[str] | None = None
    categories: Sequence[str] = ("public",)
    before: int = 0
    after: int = 0
    shape: str = "flat"
    dated: str = "auto"
    name: str = "holidays"

    def __post_init__(self) -> None:
        """Look the countries up."""
        self.check_window()
        if not isinstance(self.country, str):
            fix = 'country = { North = "DE-HH", South = "DE-BY" }'
            what = f"{self.name} country"
            pairs = table_of(what, self.country, fix)
            checks.texts(
                what, [code for _, code in pairs], "codes of countries by geo", fix
            )
            object.__setattr__(self, "country", pairs)
        for key in ("only", "categories"):
            value = getattr(self, key)
            if value is None and key == "only":
                continue
            fix = f'{key} = ["{value if isinstance(value, str) else "public"}"]'
            names = checks.texts(f"{self.name} {key}", value, "a list of names", fix)
            object.__setattr__(self, key, names)
        known = self._known()
        for name in self.only or ():
            if name not in known:
                near = checks.closest(name, known)
                fix = f'did you mean "{near}"?' if near else "leave it out"
                fail(f"{self.name} only", name, "", listing(sorted(known), 40), fix)

    def _codes(self) -> tuple[str, ...]:
        """Countries, each once."""
        given: Any = self.country
        return (given,) if isinstance(given, str) else tuple(dict(given).values())

    def _known(self) -> dict[str, None]:
        """Names of all countries, in order of the year."""
        codes = dict.fromkeys(self._codes())
        return {n: None for c in codes for n in calendar(c, self.categories)}

    def parameters(self) -> Mapping[str, Parameter]:
        """How large effects of holidays are is learned from all of them.

        A holiday that the data say little of is drawn to nothing.
        """
        spread = Prior("HalfNormal", scale=0.1)
        prior = Prior("Normal", loc=0.0, scale=spread)
        return {"gamma_holiday": Parameter(("holiday",), prior, linear=True)}

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """Names of the holidays."""
        return {"holiday": tuple(self.only or self._known())}

    def inputs(self, frame: Frame) -> Named:
        """A column for each name in each geo, 0 where it is none."""
        given: Any = self.country
        geos = frame.panel.geos
        own = dict.fromkeys(geos, given) if isinstance(given, str) else dict(given)
        for geo in geos:
            if geo not in own:
                fix = f'add {geo} = "{next(iter(own.values()))}" with its own code'
                fail(
                    f"{self.name} country", Phrase("none"), f"for geo {geo}", "a code", fix
                )
        periods = spans(frame.dates, frame.panel.freq, self.dated)
        (names,), usual = self.labels(None).values(), frame.scale.days

        @functools.cache
        def columns(code: str) -> np.ndarray:
            found = calendar(code, self.categories)
            each = [[(day, day) for day in found.get(name, ())] for name in names]
            return np.array([self.column(one, periods, usual) for one in each])

        return {
            "columns": (np.stack([columns(own[g]) for g in geos]), (GEO, "holiday", "time"))
        }


@functools.lru_cache(256)
def calendar(code: str, categories: tuple[str, ...] = ("public",)) -> dict[str, list[int]]:
    """Days of every holiday by name, days since 1970.

    Args:
        code: Of a country, or of a country and a part of it, joined by "-".
        categories: Of the package.
    """
    try:
        import holidays
    except ImportError:
        fix = 'pip install "mmmjax[holidays]"'
        fail("kind", "holidays", "", "the package holidays", fix)
    countries, (country, _, part) = holidays.list_supported_countries(), code.partition("-")
    if country not in countries:
        near = checks.closest(country.upper(), countries)
        fix = f'did you mean "{near}"?' if near else 'country = "DE"'
        fail("country", code, "", 'a code of ISO 3166 such as "DE" or "US-CA"', fix)
    if part and part not in countries[country]:
        near = checks.closest(part.upper(), countries[country])
        fix = f'country = "{country}-{near}"' if near else f'country = "{country}"'
        parts = listing(sorted(countries[country]), 60) or "no parts"
        fail(f"part of {country}", part, "", parts, fix)
    made: Any = functools.partial(holidays.country_holidays, country, subdiv=part or None)
    about = made()
    for one in categories:
        checks.choice(f"categories of {country}", one, about.supported_categories)
    english = [n for n in ("en_US", "en_GB") if n in about.supported_languages]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of years that a country's calendar lacks
        every = made(years=YEARS, categories=categories, language=next(iter(english), None))
    found: dict[str, list[Any]] = {}
    for day, text in sorted(every.items()):
        for name in text.split("; "):
            for more in ADDED:
                name = name.removesuffix(more)
            found.setdefault(name, []).append(pd.Timestamp(day))
    often = {n: d for n, d in found.items() if len({x.year for x in d} & {*NOW}) >= OFTEN}
    first = lambda name: min(d.day_of_year for d in often[name] if d.year in NOW)
    return {n: days(pd.DatetimeIndex(often[n])).tolist() for n in sorted(often, key=first)}
