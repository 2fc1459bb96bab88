"""Small tables as analysts bring them, for the tests of the data rooms."""

import numpy as np
import pandas as pd

NAMES = {
    "date": "date",
    "outcome": "sales",
    "media": ["tv", "radio"],
    "controls": ["promo"],
}


def weekly(periods=12, geos=(), seed=0):
    """Weeks from 2023-01-01 (a Sunday), once per geo: sales, tv, radio, promo."""
    rng = np.random.default_rng(seed)
    parts = []
    for geo in geos or [None]:
        part = pd.DataFrame(
            {
                "date": pd.date_range("2023-01-01", periods=periods, freq="W-SUN"),
                "sales": rng.uniform(50, 100, periods),
                "tv": rng.uniform(0, 9, periods),
                "radio": rng.uniform(0, 9, periods),
                "promo": np.arange(periods) % 2.0,
            }
        )
        if geo is not None:
            part.insert(1, "geo", geo)
            part["people"] = 1000.0
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def with_cell(column, row, value, **table):
    """The weekly table with one cell replaced, whatever its type."""
    df = weekly(**table)
    df[column] = df[column].astype(object)
    df.loc[row, column] = value
    return df
