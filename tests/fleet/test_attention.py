"""The order in which markets need attention, and what is said about each."""

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.fleet.attention import contradicted
from tests.fleet.examples import table_of


def fleet():
    """Every kind, in an order that is not that of the ranking."""
    statuses = ["converged", "not converged", "converged", "refused", "refitted",
                "not converged", "failed", "not converged"] + ["converged"] * 4  # fmt: skip
    table = table_of(statuses, divergences=[0, 0, 0, 0, 0, 9, 0, 0] + [0] * 4)
    table.loc[[1, 5, 7], "r_hat"] = [1.02, 1.4, 2.1]
    table.loc[2, "coverage"] = 0.7
    return table


def test_the_worst_come_first():
    found = mm.fleet_ranking(fleet()).set_index("market")
    assert found.index[:7].tolist() == ["m6", "m3", "m7", "m5", "m1", "m4", "m2"]
    assert found.attention[:7].tolist() == [
        "failed", "refused", *["not converged"] * 3, "refitted", "odd scores",
    ]  # fmt: skip
    assert (found.attention[7:] == "fine").all()
    assert found.why["m3"] == "because refused"
    assert found.why["m2"] == "70% of periods inside the 94% interval"
    assert "StudentT" in found.next["m2"]
    assert "different things" in found.next["m7"]
    assert "target_accept" in found.next["m5"]
    assert "max_draws" in found.next["m1"]
    assert (found.next[:7] != "").all()


def test_doubtful_data_come_before_what_is_said_of_the_model():
    table = fleet().assign(data="", adequate=True, finding="")
    table.loc[[2, 8], "data"] = "sales is 0 at the start: 2022-01-03. Write leave_empty"
    table.loc[[8, 9], "adequate"] = False
    table.loc[[8, 9], "finding"] = "what is left over repeats itself"
    found = mm.fleet_ranking(table).set_index("market")
    assert set(found.index[5:7]) == {"m2", "m8"}
    assert (found.attention[5:8] == ["doubtful data"] * 2 + ["not adequate"]).all()
    assert found.why["m2"].startswith("sales is 0 at the start: 2022-01-03; 70% of")
    assert "repeats itself" in found.why["m8"]
    assert found.next["m2"] == "Write leave_empty"
    table.loc[2, "data"] = 'market "St. G. Total" is the sum of "a. b". Leave it. Then more'
    found = mm.fleet_ranking(table).set_index("market")
    assert found.why["m2"].startswith('market "St. G. Total" is the sum of "a. b"; 70%')
    assert found.next["m2"] == "Leave it. Then more"
    old = mm.fleet_ranking(fleet().assign(data=np.nan))  # a table of before
    assert "doubtful data" not in set(old.attention)


def test_a_crps_is_judged_by_the_size_of_its_market():
    rng = np.random.default_rng(0)
    size = 10.0 ** rng.uniform(0, 6, 20)
    table = table_of(["converged"] * 20)
    table["crps"] = size * 0.05 * np.exp(rng.normal(0, 0.1, 20))
    sizes = dict(zip(table.market, size, strict=True))
    assert (mm.fleet_ranking(table, size=sizes).attention == "fine").all()
    table.loc[4, "crps"] *= 4
    found = mm.fleet_ranking(table, size=sizes)
    assert (found.attention == "odd scores").sum() == 1
    assert found.market[0] == "m4"
    assert "CRPS" in found.why[0]
    assert found.crps_share[0] == pytest.approx(table.crps[4] / size[4])
    assert (mm.fleet_ranking(table).attention == "fine").all()


def judged():
    """The same fleet, three of its markets contradicted by their data."""
    table = fleet().assign(adequate=True, finding="")
    table["adequate"] = table["adequate"].astype(object)
    table.loc[[3, 6], "adequate"] = np.nan  # without a fit
    table.loc[[1, 4, 9], "adequate"] = False
    table.loc[[1, 4, 9], "finding"] = "what is left over repeats itself (lag 1: 0.97)"
    table.loc[8, "finding"] = "a note"
    return table


def test_markets_whose_data_contradict_the_model_come_after_those_without_draws():
    found = mm.fleet_ranking(judged()).set_index("market")
    assert found.index[:8].tolist() == ["m6", "m3", "m7", "m5", "m1", "m4", "m9", "m2"]
    assert found.attention[5:7].tolist() == ["not adequate"] * 2
    assert found.attention["m1"] == "not converged"
    assert found.attention["m8"] == "fine"
    assert "because refitted" in found.why["m4"]
    assert found.why["m9"] == "what is left over repeats itself (lag 1: 0.97)"
    assert 'fleet["m9"].findings()' in found.next["m9"]
    assert contradicted(judged()).nonzero()[0].tolist() == [4, 9]
    assert not contradicted(fleet()).any()  # a table of before they were judged
    assert "adequate" not in mm.fleet_ranking(fleet())


def test_verdicts_read_from_the_file_are_the_same(tmp_path):
    judged().to_csv(tmp_path / "fleet.csv", index=False)
    again = pd.read_csv(tmp_path / "fleet.csv")
    now, then = mm.fleet_ranking(again), mm.fleet_ranking(judged())
    pd.testing.assert_frame_equal(now.drop(columns="finding"), then.drop(columns="finding"))
    assert contradicted(again).tolist() == contradicted(judged()).tolist()


def test_it_reads_the_file_too(tmp_path):
    fleet().to_csv(tmp_path / "fleet.csv", index=False)
    again = pd.read_csv(tmp_path / "fleet.csv")
    assert mm.fleet_ranking(again).equals(mm.fleet_ranking(fleet()))


@pytest.mark.parametrize(
    "change, more, words",
    [
        (lambda t: t.drop(columns="crps"), {}, "no column crps"),
        (lambda t: t.assign(status="well"), {}, "status"),
        (lambda t: t, {"size": {"m0": 1.0}}, 'market "m1"'),
        (lambda t: t, {"coverage_off": 0.0}, "coverage_off"),
        (lambda t: t, {"crps_ratio": 0.5}, "crps_ratio"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, more, words):
    with pytest.raises(mm.InputError, match=words):
        mm.fleet_ranking(change(fleet()), **more)
