"""What is national in a geo panel: one series, divided over the geos and counted once."""

import numpy as np

__all__ = ["by_period", "one_series", "weights"]


def one_series(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One value a period of a column that has it in all rows, or in one of them.

    Args:
        cells: (geo, time), at least 0; NaN where there is no number.

    Returns:
        The series (time,), and the cells (geo, time) that fit in neither way: another
        number than the largest of the period, where that is not the only one above 0.
    """
    known = ~np.isnan(cells)
    series = np.where(known, cells, 0.0).max(0)
    alone = (np.where(known, cells, 0.0) > 0).sum(0) <= 1
    return series, known & ~alone & ~np.isclose(cells, series, rtol=1e-9, atol=0.0)


def by_period(people: np.ndarray | None, periods: int) -> np.ndarray | None:
    """Population of every period (geo, time), from that or one of the geo (geo,)."""
    if people is None or people.ndim == 2:
        return people
    return np.broadcast_to(people[:, None], (len(people), periods))


def weights(
    outcome: np.ndarray, people: np.ndarray | None, present: np.ndarray
) -> np.ndarray:
    """Share of national media that each geo gets in each period, (geo, time).

    By population where it is known: media per head are then the same everywhere. Else by
    the mean outcome, so that a geo is charged as it sells; the model, which divides media
    of each geo by its largest, sees the same whatever the shares. Of the geos that have a
    row in the period: they add up to one.

    Args:
        outcome: Of the modelled periods, (geo, period), NaN where it is not known.
        people: Population, (geo, time), or None.
        present: Whether there is a row, (geo, time).
    """
    if people is None:
        known = np.isfinite(outcome)
        total = np.where(known, outcome, 0.0).sum(1)
        people = np.maximum(total / np.maximum(known.sum(1), 1), 0.0)[:, None]
        if not (people > 0).all():
            people = np.ones_like(people)
    here = np.where(present, people, 0.0)
    whole = here.sum(0)
    return np.divide(here, whole, np.zeros_like(here), where=whole > 0)
