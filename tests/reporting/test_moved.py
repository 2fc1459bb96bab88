"""What a report says of a fit beside others: what moved since the last, drift or bend."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli import files
from mmmjax.cli.app import run
from mmmjax.reporting.html import render
from tests.fits import make_fit, make_panel
from tests.posterior.examples import national_fit
from tests.reporting import examples
from tests.reporting.examples import NASTY
from tests.reporting.test_html import Page

SECTION = "What moved since the last fit"
BENDS = "Does its effect fade, or does its curve bend?"


def shown(found=None, **tables):
    found = found or examples.evidence()
    return Page(render(replace(found, more={**found.more, **tables})).decode())


def data_of(page, head):
    """Heads and rows behind the buttons of the table that has this head."""
    (table,) = [
        x for x in page.data() if isinstance(x, dict) and head in x.get("heads", ())
    ]
    return pd.DataFrame(table["rows"], columns=table["heads"])


def test_neither_is_shown_unless_it_is_given():
    said = Page(render(examples.evidence()).decode()).said()
    assert SECTION not in said
    assert BENDS not in said


def test_what_moved_is_said_and_shown_with_its_numbers():
    table = examples.drift()
    page = shown(drift=table)
    said = page.said()
    part = said[said.index(SECTION, said.index("Every channel")) :]
    assert "2 of 4 moved beyond three Monte Carlo errors" in part
    assert "mm.drift(old, new, causes=True)" in part  # nobody asked why
    far = part.index("ROAS of Search moved from 1.50 to 1.20, 3 of its posterior sd.")
    near = part.index(f"ROAS of {NASTY} moved from 2 to 2.50, 1.2 of its posterior sd.")
    assert far < near < part.index("Before and now, over the same periods")
    assert "of paid media moved" not in part  # not beyond error
    assert "contribution (sales)" in part  # the organic channel
    for text in ("+0.500", "-0.300", "sd 0.400", "+- 0.0200", "-3.00", "paid media"):
        assert text in part
    exact = data_of(page, "beyond_error")
    for name in ("old", "new", "moved", "error", "old_sd", "in_sds"):
        np.testing.assert_allclose(exact[name].astype(float), table[name], rtol=1e-9)


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_after_a_refresh_it_is_known_that_the_data_moved_it(discount):
    found = examples.evidence()
    last = {"from": "2022-08-07", "outcomes": 8, "discount": discount}
    info = {**found.fit.info, "refreshed": [{**last, "from": "2022-05-01"}, last]}
    found = replace(found, fit=replace(found.fit, info=info))
    said = shown(found, drift=examples.drift()).said()
    assert "The last fit knew the outcomes before 7 Aug 2022; 8 came since" in said
    assert ("each of before counts 0.5" in said) is (discount == 0.5)
    assert "Units, priors and model stayed: what moved did so by the data." in said
    still = examples.drift().assign(beyond_error=False)
    assert "now: none moved beyond three" in shown(found, drift=still).said()


def test_returns_on_money_and_causes_are_in_the_units_of_the_page():
    found = examples.evidence()
    panel = replace(found.fit.panel, outcome_value=2.0)
    found = replace(found, fit=replace(found.fit, panel=panel))
    table = examples.drift()
    table = table.assign(prior=0.9 * table["moved"], data=0.1 * table["moved"])
    said = shown(found, drift=table).said()
    assert "Return of Search moved from 3 to 2.40, 3 of its posterior sd." in said
    assert "Most by other priors: -0.540." in said
    assert "by priors" in said
    assert "by units" not in said
    assert "causes=True" not in said
    assert "500,000" in said  # an organic channel has no return


def test_drift_or_saturation_is_shown_with_what_to_try():
    page = shown(conflation=examples.conflation())
    said = page.said()
    first = f"{NASTY}: drift explains it better than saturation by 25.9 nats"
    assert said.index(BENDS) < said.index(f"{first} (standard error 5.2).")
    assert "Search: drift and saturation explain the same, 1.0 nats" in said
    assert "60% of its spend was seen at a strong and a weak effect." in said
    assert 'Try: Weeks that tell: mm.separate(found, "Search"), or --separate 13.' in said
    assert "30,000 to 90,000" in said
    assert "nan" not in said.lower()
    assert list(data_of(page, "overlap")["verdict"]) == ["drift", "cannot tell"]


def test_a_table_that_lacks_a_column_is_refused(tmp_path):
    fit = examples.evidence().fit
    lacking = examples.drift().drop(columns="in_sds")
    with pytest.raises(InputError, match=r'tables\["drift"\]: got no column in_sds'):
        mm.report(fit, tmp_path / "report.html", tables={"drift": lacking})


def test_the_command_finds_both_in_the_folder_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMMJAX_CACHE", "off")
    panel = make_panel(("north",), periods=20)
    spec = mm.Spec(adstock=mm.adstock.Geometric(3), seasonality=None)
    fit = make_fit(chains=2, draws=60, panel=panel, spec=spec)
    out = tmp_path / "run"
    files.write_fit(fit, out)
    names = {NASTY: "TV"}
    files.table(out / files.DRIFT, examples.drift().replace(names))
    (out / "conflation").mkdir()
    two = examples.conflation().replace(names)
    files.table(out / "conflation" / files.CONFLATION, two)
    read = lambda: (out / "report.html").read_text(encoding="utf-8")
    run(["report", str(out)])
    assert "TV: drift explains it better than saturation by 25.9 nats" in read()
    assert "ROAS of Search moved from 1.50 to 1.20" in read()
    files.write_fit(fit, out)  # another fit in the same folder
    assert not (out / files.DRIFT).exists()
    run(["report", str(out)])
    assert SECTION not in read()
    assert BENDS not in read()  # older than the fit


@pytest.mark.parametrize("name", ["drift", "conflation", "backtest", "channels"])
@pytest.mark.parametrize("wrong", ["run/", 3, [], pd.DataFrame({"channel": ["TV"]})])
def test_what_is_no_such_table_is_refused_with_how_to_come_by_it(name, wrong, tmp_path):
    made = {"drift": "mm.drift", "conflation": "mm.conflation", "backtest": "mm.backtest"}
    with pytest.raises(InputError, match=made.get(name, "leave it out")) as caught:
        mm.report(national_fit(draws=20), tmp_path / "r.html", tables={name: wrong})
    assert str(caught.value).startswith(f'tables["{name}"]: got ')


def test_the_record_of_a_drift_is_taken_as_its_table(tmp_path):
    fit = national_fit(draws=20)
    found = mm.drift(fit, fit)
    for given in (found, found.table):
        mm.report(fit, tmp_path / "r.html", tables={"drift": given})
        assert "What moved since the last fit" in (tmp_path / "r.html").read_text()
