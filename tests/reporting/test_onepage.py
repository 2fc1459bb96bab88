"""One page for print: five pictures of the report's own tables, in one file."""

import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.reporting.paper import page_of
from mmmjax.words import for_geo
from tests import fits
from tests.reporting import examples


def titles(part):
    """Titles of a page in their order."""
    if isinstance(part, dict):
        own = part.get("title")
        if isinstance(own, dict) and "text" in own:
            yield " ".join(own["text"])
        for key in ("vconcat", "hconcat"):
            for inner in part.get(key, []):
                yield from titles(inner)


def texts(part):
    """Everything that marks write."""
    if isinstance(part, dict):
        if isinstance(part.get("mark"), dict) and "text" in part["mark"]:
            said = part["mark"]["text"]
            yield said if isinstance(said, str) else " ".join(said)
        part = part.values()
    if isinstance(part, (list, type({}.values()))):
        for inner in part:
            yield from texts(inner)


def test_a_plan_is_among_the_five_pictures_and_words_stand_on_top():
    found = examples.evidence()
    spec = page_of(found).to_dict()
    named = list(titles(spec))
    assert named[0].endswith("what brought it")
    assert any("Search" in title for title in named[3:])  # where the money goes
    said = " ".join(texts(spec["vconcat"][0]))
    assert "What media brought: sales" in said
    assert "Do not act on it yet" in said  # the draws of the example do not settle
    assert "datum['geo'] === geo" not in str(spec)  # paper has nothing to choose
    whole = for_geo(found.weekly, None)
    tables = [rows for rows in spec["datasets"].values() if "component" in rows[0]]
    names = {row["geo"] for rows in tables for row in rows}
    assert names == set(whole["geo"])
    assert "'width / " not in str(spec)  # signals that parts of a page do not know


def test_without_a_plan_it_shows_where_the_outcome_came_from():
    named = list(titles(page_of(examples.evidence(plan=None)).to_dict()))
    assert len(named) == 5
    assert any("came from" in title for title in named)


def test_it_is_written_whole_and_other_endings_are_refused(tmp_path):
    fit = fits.make_fit(draws=20)
    path = mm.onepage(fit, tmp_path / "page.pdf")
    assert path.read_bytes().startswith(b"%PDF")
    with pytest.raises(InputError, match=r"ending of path: got .*doc"):
        mm.onepage(fit, tmp_path / "page.doc")
    assert [each.name for each in tmp_path.iterdir()] == ["page.pdf"]
