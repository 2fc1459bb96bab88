"""Every argument of every picture is described, those that pictures share once."""

import inspect
import re

import pytest

from mmmjax import plot
from mmmjax.plot.given import SHARED, SOURCES


@pytest.mark.parametrize("name", plot.__all__)
def test_help_names_every_argument(name):
    draw = getattr(plot, name)
    own = draw.__doc__.partition("\n\nRaises:")[0]
    told = re.findall(r"^    (\w+): ", own, flags=re.M)
    assert told == list(inspect.signature(draw).parameters)


def test_what_pictures_share_is_said_once_and_what_they_take_by_their_source():
    told, ranks, forest = (
        draw.__doc__ or "" for draw in (plot.roas, plot.ranks, plot.fleet_forest)
    )
    assert f"    currency: {SHARED['currency']}\n" in told
    assert "    channels: A Fit or a table with the columns of channels.csv:" in told
    assert "truth: True ROAS by channel" in told  # its own
    assert "Rank plots" in ranks
    assert "Raises:\n    InputError" in forest
    assert set(plot.__all__) == set(SOURCES)
