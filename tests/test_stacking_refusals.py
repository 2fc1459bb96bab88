"""Fits whose draws have the same names and shapes but another meaning are not mixed."""

import dataclasses

import pandas as pd
import pytest

import mmmjax as mm
from tests.fits import make_fit, make_panel, make_spec

PANEL = make_panel(periods=20)


def moved(mover):
    return dataclasses.replace(make_spec(), terms=(mm.terms.Media(moving=mover),))


def monthly(per_day):
    dates = pd.date_range("2022-01-01", periods=20, freq="MS")
    panel = dataclasses.replace(PANEL, dates=dates, freq="MS")
    spec = dataclasses.replace(make_spec(), per_day=per_day)
    return make_fit(2, 6, spec=spec, panel=panel)


@pytest.mark.parametrize(
    "pair, words",
    [
        # the same names, dims and units, another mean: what was silently that of the first
        (
            lambda: [
                make_fit(2, 6, spec=moved(mm.moving.Process(kernel=k)), panel=PANEL)
                for k in ("squared_exponential", "matern52")
            ],
            "terms",
        ),
        (lambda: [monthly(False), monthly(True)], "data or units"),
        (
            lambda: [
                make_fit(2, 6, spec=make_spec(), panel=panel)
                for panel in (PANEL, dataclasses.replace(PANEL, spend=2 * PANEL.spend))
            ],
            "data or units",
        ),
        (
            lambda: [
                make_fit(2, 6, spec=make_spec(), panel=panel)
                for panel in (
                    PANEL,
                    dataclasses.replace(PANEL, controls=1 - PANEL.controls),
                )
            ],
            "data or units",
        ),
    ],
    ids=["moving", "per_day", "spend", "controls"],
)
def test_fits_whose_mean_or_money_differs_are_not_mixed(pair, words):
    first, second = pair()
    assert {n: a.shape for n, a in first.draws.params.items()} == {
        n: a.shape for n, a in second.draws.params.items()
    }
    with pytest.raises(mm.InputError, match=words):
        mm.stack({"a": first, "b": second}, {"a": 1.0, "b": 1.0})
