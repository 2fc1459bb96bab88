"""Bookkeeping of the case study's plans against the reference numbers; no sampling."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.budget.region import inside, simple
from mmmjax.budget.request import known_of, read
from tests.budget.case_study import PERIODS, REFERENCE

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
NUMBERS = SHARED / "reference" / "case_study.json"
pytestmark = pytest.mark.skipif(not NUMBERS.exists(), reason="needs the shared data")

COLUMNS = {
    "Direct Mail": "mdsp_dm", "Insert": "mdsp_inst", "Newspaper": "mdsp_nsp",
    "Online Display": "mdsp_on", "Radio": "mdsp_audtr", "Social Media": "mdsp_so",
    "TV": "mdsp_vidtr",
}  # fmt: skip


@pytest.mark.parametrize("fixed", [None, {"TV": 0.0}])
def test_reference_plans_are_plans_of_our_request(fixed):
    budget = json.loads(NUMBERS.read_text())["budget"]
    frame = pd.read_csv(SHARED / "data" / "case_study.csv")
    panel = mm.Panel.from_frame(frame, date="wk_strt_dt", outcome="sales", media=COLUMNS)
    train, test = panel.split("2018-02-01")
    np.testing.assert_allclose(
        test.spend.sum((0, 1)) / PERIODS / 7, list(REFERENCE.values()), rtol=1e-6
    )
    asked = read(
        known_of(train), budget=None, periods=PERIODS, bounds=0.5, reference=REFERENCE,
        fixed=fixed, per_period=True,
    )  # fmt: skip
    theirs = (
        budget["tv_fixed_at_zero"]["allocation"]
        if fixed
        else budget["allocation_per_period"]
    )
    spend = PERIODS * np.array([theirs[channel] for channel in known_of(train).channels])
    room = 1e-5 * asked.reference.ravel()  # six digits are printed
    wider = simple(asked.lower.ravel() - room, asked.upper.ravel() + room, spend.sum())
    assert inside(spend, wider)
    assert asked.budget == pytest.approx(spend.sum(), rel=1e-6)
