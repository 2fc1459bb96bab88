"""Lift tests as they are run: density against loops, the door, where they travel."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax import store
from mmmjax.backtesting.folds import Fold, train_panel
from mmmjax.checks import InputError
from mmmjax.cli import case, fleet_case
from mmmjax.facts import LiftTest, read
from mmmjax.prepare import prepare, scale_of
from mmmjax.response import components, make_inputs, total
from tests.fits import make_fit, make_panel, make_spec

LOG = mm.likelihood.Normal(link="log")
ROW = {
    "channel": "TV", "start": "2022-01-16", "end": "2022-01-29", "result": 30.0,
    "of": "total", "spend_control": 0.0, "error": 4.0, "tail": 1, "geos": "north",
}  # fmt: skip
TV = LiftTest(**ROW)


def brought(p, media, spec):
    """Loops over geos, channels, periods and lags: what each channel brings, scaled."""
    out = np.zeros(media.shape)
    geos, times, channels = media.shape
    for g in range(geos):
        for c in range(channels):
            weights = [p["adstock_alpha"][c] ** k for k in range(spec.memory)]
            for t in range(times):
                carried = 0.0
                for k, w in enumerate(weights):
                    carried += w * media[g, t - k, c] if t >= k else 0.0
                grown = np.exp(-p["saturation_lam"][c] * carried / sum(weights))
                out[g, t, c] = p["saturation_beta"][c] * (1 - grown) / (1 + grown)
    return out


def difference(fit, p, arms, geos, times):
    """Sum of the means with one media less with another, and the sum of that."""
    inputs, levels = make_inputs(fit.spec, fit.panel, fit.scale), []
    others = [t for t in fit.spec.parts if t.group != "channel"]
    rest = np.asarray(total(components(p, inputs, fit.spec, others)))
    for media in arms:
        mean = rest + brought(p, fit.scale.scale_media(media), fit.spec).sum(2)
        mean = mean if fit.spec.likelihood.straight else np.exp(mean)
        levels.append(mean * fit.scale.outcome[:, None])
    cells = np.ix_(geos, times)
    return levels[0][cells] - levels[1][cells], levels[1][cells]


def of_panel(panel, channel, times, value, geos=None):
    media = panel.media.copy()
    for g in range(panel.n_geos) if geos is None else geos:
        c = panel.channels.index(channel)
        media[g, times, c] = value(g, media[g, times, c])
    return media


def density(fact, fit, draw=0, spec=None, panel=None):
    """The fact's own, and the arrays it is of."""
    spec, panel = spec or fit.spec, panel or fit.panel
    inputs = make_inputs(spec, panel, fit.scale)
    x = fact.arrays(panel, fit.scale, spec)
    p = {n: v[draw] for n, v in fit.draws.flat().items()}
    with jax.enable_x64(True):
        return float(fact.log_density(p, jax.tree.map(jnp.asarray, x), spec, inputs)), p


CHANGES = {  # what the other arm's media are, by hand; the periods of a test are 2 and 3
    "black-out": ({"spend_control": 0}, lambda panel, cost: lambda g, x: 0 * x),
    "factor": ({"spend_control": "x0.5"}, lambda panel, cost: lambda g, x: 0.5 * x),
    "percent": ({"spend_control": "+20%"}, lambda panel, cost: lambda g, x: 1.2 * x),
    "money": (
        {"spend_control": 30.0, "spend_of": "per_period"},
        lambda panel, cost: lambda g, x: 30.0 * part(panel, cost)[g] / cost[g] + 0 * x,
    ),
    "more": (
        {"spend_control": "+9", "spend_of": "per_period"},
        lambda panel, cost: lambda g, x: x + 9.0 * part(panel, cost)[g] / cost[g],
    ),
    "pattern": (
        {"spend_control": (10.0, 50.0)},
        lambda panel, cost: (
            lambda g, x: np.array([10.0, 50.0]) * part(panel, cost)[g] / cost[g]
        ),
    ),
}


def part(panel, cost):
    money = panel.media[:, :, 0].sum(1) * cost
    return money / money.sum()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("geos", "link"), [(("only",), "identity"), (("north", "süd", "west"), "log")]
)
def test_density_is_of_the_dated_difference(change, geos, link):
    spec = make_spec()
    if link == "log":
        spec = dataclasses.replace(spec, likelihood=LOG, priors={})
    fit = make_fit(spec=spec, panel=make_panel(geos), dtype=np.float64)
    given, other = CHANGES[change]
    cost = fit.scale.cost_per_unit[:, 0]
    every, times = range(len(geos)), [2, 3, 4]
    control = of_panel(fit.panel, "TV", slice(2, 4), other(fit.panel, cost))
    days = {"start": "2022-01-16", "end": "2022-01-29", "tail": 1}
    fact = LiftTest("TV", result=30.0, of="total", error=4.0, **days, **given)
    for draw in range(2):
        got, p = density(fact, fit, draw)
        more, level = difference(fit, p, [fit.panel.media, control], every, times)
        assert got == pytest.approx(stats.norm.logpdf(30.0, more.sum(), 4.0), rel=1e-7)
    percent = dataclasses.replace(fact, of="percent", result=5.0)
    told = stats.norm.logpdf(5.0, 100 * more.sum() / level.sum(), 4.0)
    assert density(percent, fit, 1)[0] == pytest.approx(told, rel=1e-7)


def test_units_geos_shares_and_both_arms():
    fit = make_fit(panel=make_panel(("north", "süd", "west")), dtype=np.float64)
    panel, no = fit.panel, lambda g, x: 0 * x
    control = of_panel(panel, "TV", slice(2, 4), no, [0])
    _, p = density(TV, fit)
    more, _ = difference(fit, p, [panel.media, control], [0], [2, 3, 4])
    spent = panel.spend[0, 2:4, 0].sum()
    close = functools.partial(pytest.approx, rel=1e-7)
    of = lambda **own: density(dataclasses.replace(TV, **own), fit)[0]
    assert of() == close(stats.norm.logpdf(30, more.sum(), 4))
    assert of(of="roas", result=1.5, error=0.4) == close(
        stats.norm.logpdf(1.5, more.sum() / spent, 0.4)
    )
    cost = {"of": "cost_per_outcome", "result": 0.5}  # on the reciprocal
    assert of(**cost, error=0.1) == close(
        stats.norm.logpdf(2.0, more.sum() / spent, 0.1 / 0.25)
    )
    told = (1 / 0.4 - 1 / 0.8) / 2 / stats.norm.ppf(0.95)
    span = {"error": None, "interval": (0.4, 0.8), "probability": 0.9}
    assert of(**cost, **span) == close(stats.norm.logpdf(2.0, more.sum() / spent, told))
    assert of(nu=4.0) == close(stats.t.logpdf(30, 4.0, more.sum(), 4.0))
    assert of(share=0.25) == close(stats.norm.logpdf(30, 0.25 * more.sum(), 4.0))
    assert of(of="per_period", tail=0) == close(
        stats.norm.logpdf(30, more[:, :2].sum() / 2, 4.0)
    )
    # the other arm recorded, money of a region that is a quarter of the geo
    less = {"spend_test": 5.0, "spend_control": "recorded", "spend_of": "per_period"}
    cost = fit.scale.cost_per_unit[0, 0]
    test = of_panel(panel, "TV", slice(2, 4), lambda g, x: 20.0 / cost + 0 * x, [0])
    more, _ = difference(fit, p, [test, panel.media], [0], [2, 3, 4])
    spent = 2 * 5.0 - 0.25 * spent
    assert of(**less, share=0.25, of="roas") == close(
        stats.norm.logpdf(30, 0.25 * more.sum() / spent, 4.0)
    )


def test_series_several_channels_and_errors_with_parts_in_common():
    fit = make_fit(panel=make_panel(("north", "süd", "west")), dtype=np.float64)
    panel, close = fit.panel, functools.partial(pytest.approx, rel=1e-7)
    arm = {"TV": "x0.5", "Mail": 0}
    both = dataclasses.replace(TV, channel=("TV", "Mail"), spend_control=arm, geos=None)
    control = of_panel(panel, "TV", slice(2, 4), lambda g, x: 0.5 * x)
    control[:, 2:4, panel.channels.index("Mail")] = 0.0
    got, p = density(both, fit)
    more, _ = difference(fit, p, [panel.media, control], range(3), [2, 3, 4])
    assert got == close(stats.norm.logpdf(30, more.sum(), 4.0))
    own = {"of": "per_period", "result": (9.0, 7.0, 2.0), "error": (1.0, 2.0, 3.0)}
    series = dataclasses.replace(both, **own, bias=0.5)
    matrix = np.diag([1.0, 4.0, 9.0]) + 0.25
    law = stats.multivariate_normal(more.sum(0), matrix)
    assert density(series, fit)[0] == close(law.logpdf([9.0, 7.0, 2.0]))
    same = dataclasses.replace(series, error=None, bias=None, covariance=matrix.tolist())
    assert density(same, fit)[0] == close(law.logpdf([9.0, 7.0, 2.0]))
    # two tests with a part of their errors in common, of a third nothing
    common = {"group": "platform", "shared_error": 2.0}
    short = dataclasses.replace(both, result=20.0, tail=0, error=1.0)
    two = [dataclasses.replace(f, **common) for f in (both, short)]
    found = prepare(fit.spec, panel.with_facts([*two, TV])).data
    x = LiftTest.stack((*two, TV), panel, fit.scale, fit.spec)
    assert found.facts["lift_test"]["media"].shape == x["media"].shape == (1, 3, 2, 3, 2, 8)
    inputs = make_inputs(fit.spec, panel, fit.scale)
    with jax.enable_x64(True):
        row = {n: jnp.asarray(a[0]) for n, a in x.items()}
        got = LiftTest.log_density(p, row, fit.spec, inputs)
    matrix = np.array([[16.0 + 4.0, 4.0], [4.0, 1.0 + 4.0]])
    middle = [more.sum(), more[:, :2].sum()]
    told = stats.multivariate_normal(middle, matrix).logpdf([30.0, 20.0])
    assert float(got) == close(told + density(TV, fit)[0])
    heavy = [dataclasses.replace(f, nu=5.0) for f in two]
    x = LiftTest.stack(heavy, panel, fit.scale, fit.spec)
    with jax.enable_x64(True):
        row = {n: jnp.asarray(a[0]) for n, a in x.items()}
        got = LiftTest.log_density(p, row, fit.spec, inputs)
    law = stats.multivariate_t(middle, matrix, df=5.0)
    assert float(got) == close(law.logpdf([30.0, 20.0]))
    odd = [heavy[0], two[1]]
    with pytest.raises(InputError, match=r"nu: got different ones.*platform"):
        prepare(fit.spec, panel.with_facts(odd))


def test_errors_of_several_tests_covary_as_a_matrix_says():
    """Against SciPy's normal of three, one a cost per outcome; to a file and back."""
    fit = make_fit(panel=make_panel(("north",)), dtype=np.float64)
    panel, geo = fit.panel, {"geos": None}
    own = {"of": "roas", "result": 1.2, "tail": 0, "error": 1.0}
    tests = [
        dataclasses.replace(TV, **geo, name="first"),
        dataclasses.replace(TV, **geo, **own, name="second"),
        dataclasses.replace(TV, **geo, spend_control="x0.5", name="third", result=12.0),
    ]
    matrix = np.array([[16.0, 1.0, -2.0], [1.0, 0.25, 0.3], [-2.0, 0.3, 9.0]])
    told = mm.facts.correlated(tests, matrix, "geo tests")
    assert mm.facts.read([json.loads(json.dumps(f.to_dict())) for f in told]) == told
    inputs, got, each = make_inputs(fit.spec, panel, fit.scale), {}, []
    p = {n: jnp.asarray(a[0]) for n, a in fit.draws.flat().items()}
    cost = dataclasses.replace(told[1], of="cost_per_outcome", result=1 / 1.2)
    # an error of 1 / c is that of c over c squared
    c2 = 1.2**2
    cost = dataclasses.replace(cost, error=0.5 / c2)
    pairs = {"first": 1.0 / c2, "third": 0.3 / c2}
    turned = [
        dataclasses.replace(told[0], covariances={"third": -2.0}),
        dataclasses.replace(cost, covariances=pairs),
        told[2],
    ]
    turned[2] = dataclasses.replace(told[2], covariances="first=-2.0")
    for name, facts in (("matrix", told), ("cost", turned), ("two", told[:2])):
        x = LiftTest.stack(facts, panel, fit.scale, fit.spec)
        with jax.enable_x64(True):
            row = {n: jnp.asarray(a[0]) for n, a in x.items()}
            got[name] = float(LiftTest.log_density(p, row, fit.spec, inputs))
            if name == "matrix":
                each = np.asarray(LiftTest.predicted(p, row, fit.spec, inputs))
    middle, y = each * np.sqrt(np.diag(matrix)), np.array([30.0, 1.2, 12.0])
    law = stats.multivariate_normal(middle, matrix)
    assert got["matrix"] == pytest.approx(law.logpdf(y), rel=1e-6)
    assert got["cost"] == pytest.approx(law.logpdf(y), rel=1e-6)
    two = stats.multivariate_normal(middle[:2], matrix[:2, :2])  # the third was cut off
    assert got["two"] == pytest.approx(two.logpdf(y[:2]), rel=1e-6)
    kept = dataclasses.replace(told[0], covariances={"second": 10.0})
    with pytest.raises(InputError, match=r"covariances: got 10 and 1 of one pair"):
        prepare(fit.spec, panel.with_facts([kept, told[1]]))
    alike = dataclasses.replace(told[1], covariances={"first": 10.0})
    with pytest.raises(InputError, match=r"covariances: got those of group.*definite"):
        prepare(fit.spec, panel.with_facts([kept, alike]))
    wrong = dataclasses.replace(told[0], covariances={"thrid": 1.0})
    tables = [f.to_dict() for f in (wrong, *told[1:])]
    with pytest.raises(InputError, match=r'name in covariances: got "thrid".*"third"'):
        mm.facts.read(tables)
    with pytest.raises(InputError, match=r"covariance of correlated tests.*definite"):
        mm.facts.correlated(tests, -matrix, "geo tests")
    with pytest.raises(InputError, match="names of correlated tests"):
        mm.facts.correlated([tests[0]] * 3, matrix, "geo tests")
    for wrong in (None, [], tests[:1], ["TV", "Search"], pd.DataFrame()):
        with pytest.raises(InputError, match="tests"):
            mm.facts.correlated(wrong, matrix, "geo tests")
    for wrong in (None, "0.4", [["a", "b"], ["c", "d"]], [1.0, 2.0]):
        with pytest.raises(InputError, match="covariance"):
            mm.facts.correlated(tests, wrong, "geo tests")


def test_money_in_all_is_spread_as_it_ran_and_evenly_where_nothing_did():
    panel = make_panel(("only",))
    scale = scale_of(make_spec(), panel)
    own = {"spend_control": 0.0, "spend_test": 90.0, "spend_of": "total", "geos": None}
    x = dataclasses.replace(TV, **own).arrays(panel, scale, make_spec())
    ran, unit = panel.spend[0, 2:4, 0], scale.cost_per_unit[0, 0] * scale.media[0, 0]
    assert x["media"][0, 0, 0, 0, :2] * unit == pytest.approx(90 * ran / ran.sum())
    assert not x["media"][0, 1, 0, 0, :2].any()
    assert x["media"][0, 1, 0, 0, 2] == x["media"][0, 0, 0, 0, 2] > 0  # the tail: recorded
    dark = panel.media.copy()
    dark[0, 2:4, 0] = 0.0
    dark = dataclasses.replace(panel, media=dark)
    spend = panel.spend.copy()
    spend[0, 2:4, 0] = 0.0
    dark = dataclasses.replace(dark, spend=spend)
    x = dataclasses.replace(TV, **own).arrays(dark, scale, make_spec())
    assert x["media"][0, 0, 0, 0, :2] * unit == pytest.approx([45.0, 45.0])


def test_tests_travel_cut_by_their_dates():
    panel = make_panel().with_facts([TV, dataclasses.replace(TV, geos="süd", tail=3)])
    train, test = panel.split("2022-02-06")  # six periods; the second's tail ends later
    assert train.facts == (panel.facts[0],)
    assert test.facts == ()
    assert panel.split("2022-01-23")[0].facts == ()
    late = dataclasses.replace(TV, until="2022-03-01")  # analysed in March
    assert make_panel().with_facts([late]).split("2022-02-06")[0].facts == ()
    assert panel.select("süd").facts == (panel.facts[1],)
    whole = dataclasses.replace(TV, geos=None)
    assert make_panel().with_facts([whole]).select("süd").facts == ()
    assert read([fact.to_dict() for fact in panel.facts]) == panel.facts
    saved = store.tree_of(make_fit(panel=panel))["panel"].attrs["facts"]
    assert read(json.loads(saved)) == panel.facts
    fold = Fold(1, slice(2, 6), slice(6, 8))
    assert train_panel(panel, fold, 3).facts == panel.facts[:1]
    assert train_panel(panel, fold._replace(train=slice(3, 9)), 3).facts == ()


@pytest.mark.parametrize(("change", "says"), [
    ({"channel": "Tv"}, 'channel of a lift test: got "Tv".*did you mean "TV"'),
    ({"geos": ["nrth"]}, 'geo of a lift test: got "nrth".*did you mean "north"'),
    ({"geos": ["Texas"]}, r"geo of a lift test: got \"Texas\".*share = 0.2"),
    ({"start": "2021-11-07"}, 'start of the lift test.*got "2021-11-07".*2022-01-02'),
    ({"start": "2022-01-18"}, "start.*in the period 2022-01-16 to 2022-01-22.*2022-01-16"),
    ({"end": "2022-01-25"}, "end.*got.*first day of a period, or its last.*2022-01-23"),
    ({"end": "2022-05-08"}, 'end.*got "2022-05-08".*2022-03-20'),
    ({"end": "2022-01-02"}, "end.*from 20"),
    ({"end": "16/01/2022"}, "end.*a date such as"),
    ({"tail": 9}, "tail.*got 9"),
    ({"of": "sales"}, 'of .*got "sales".*total'),
    ({"of": "percent", "result": (1.0, 2.0)}, "result.*got 2 numbers.*3, one for each"),
    ({"result": (1.0, 2.0)}, "result.*got a list.*one number of a total"),
    ({"of": "per_period"}, "result.*where there is a tail.*total"),
    ({"error": 0.0}, "error.*got 0.*above 0"),
    ({"error": None}, "error.*got none.*interval"),
    ({"interval": (1.0, 2.0)}, "error.*got \"error\" and \"interval\""),
    ({"error": None, "interval": (31.0, 40.0), "probability": 0.9}, "interval.*around 30"),
    ({"error": None, "interval": (20.0, 40.0)}, "probability.*beside an interval"),
    ({"error": None, "covariance": [[-1.0]]}, "covariance.*positive definite"),
    ({"spend_control": "recorded"}, "spend_control.*same media in both arms"),
    ({"spend_control": "20%"}, r"spend_control.*got \"20%\".*\+20%"),
    ({"spend_control": -3.0}, "spend_control.*got -3.*at least 0"),
    ({"spend_control": 5.0}, "spend_of.*got none.*per_period"),
    ({"spend_control": [1.0]}, "spend_control.*got 1 numbers.*2, one for each"),
    ({"spend_control": {"Radio": 0}}, 'channel of spend_control.*got "Radio"'),
    ({"channel": ["TV", "Mail"], "spend_control": 5.0}, "a table by channel"),
    ({"channel": "Mail", "of": "roas"}, 'of of.*got "roas".*total'),
    ({"share": 20}, r"share.*got 20.*\(0, 1\]"),
    ({"group": "g"}, "shared_error.*both or neither"),
    ({"covariances": {"a": 1.0}}, "group.*both or neither"),
    ({"group": "g", "covariances": {"a": "x"}}, "covariances.*of numbers"),
    ({"group": "g", "covariances": [1.0]}, "covariances.*by the name"),
    ({"nu": 0.0}, "nu.*above 0"),
    ({"of": "cost_per_outcome", "result": -1.0}, "result.*got -1.*above 0"),
])  # fmt: skip
def test_door(change, says):
    with pytest.raises(InputError, match=says):
        make_panel().with_facts([LiftTest(**(ROW | change))])


@pytest.mark.parametrize(("change", "says"), [
    ({"spend_control": "-999", "spend_of": "per_period"}, "leaves no less than 0"),
    ({"spend_control": "x1.0"}, "same media in both arms"),
    ({"spend_control": {"TV": "x2", "Search": 0.0}, "channel": ["TV", "Search"],
      "of": "roas"}, ""),
])  # fmt: skip
def test_what_the_media_do_not_allow_is_refused_when_a_fit_is_prepared(change, says):
    panel = make_panel().with_facts([LiftTest(**(ROW | change))])
    if not says:
        assert prepare(make_spec(), panel).data.facts["lift_test"]["media"].shape[4] == 2
        return
    with pytest.raises(InputError, match=says):
        prepare(make_spec(), panel)
    dark = mm.counterfactual(make_fit(panel=panel), {"TV": 0.0})  # asks nothing of a test
    assert np.isfinite(dark["difference_outcome"]).all()


def test_a_case_a_table_of_tests_and_a_fleet_say_the_same(tmp_path):
    weeks = pd.date_range("2022-01-02", periods=12, freq="W")
    rng = np.random.default_rng(0)
    rows = {"week": weeks, "sales": rng.uniform(50, 90, 12), "TV": rng.gamma(2, 9, 12)}
    pd.DataFrame(rows | {"Mail": 1 + rng.random(12)}).to_csv(tmp_path / "a.csv")
    head = "channel,name,start,end,spend_control,of,result,error,low,high,probability,tail"
    lines = [
        "TV,,2022-01-16,2022-01-29,0,total,30,4,,,,1",
        "TV,week by week,2022-01-16,2022-01-29,-20%,percent,3|2|1,1,,,,1",
        "TV,,2022-01-16,2022-01-29,10|12,roas,1.5,,1,2,0.9,",
    ]
    (tmp_path / "tests.csv").write_text("\n".join([head, *lines]))
    steady = "channel,x,delta_x,delta_y,sigma\nTV,40,10,6,2\n"
    (tmp_path / "steady.csv").write_text(steady)
    (tmp_path / "german.csv").write_text(steady.replace(",", ";"))
    data = 'date = "week"\noutcome = "sales"\nmedia = ["TV", "Mail"]\n'
    table = (
        '[[facts]]\nkind = "lift"\nchannel = "TV"\nstart = 2022-01-16\nend = 2022-01-29\n'
        'spend_control = 0.0\nof = "total"\nresult = 30.0\nerror = 4.0\ntail = 1\n'
    )
    start = f'path = "a.csv"\n{data}'
    read_case = lambda more, also="": _written(tmp_path, start + more, also)
    first = LiftTest(**(ROW | {"geos": None}))
    found = read_case('lift_tests = "tests.csv"\n').facts
    assert found[0] == first
    assert found[1] == dataclasses.replace(
        first,
        spend_control="-20%",
        of="percent",
        result=(3.0, 2.0, 1.0),
        error=1.0,
        name="week by week",
    )
    assert found[2].interval == (1.0, 2.0)
    assert found[2].spend_control == (("TV", (10.0, 12.0)),)
    assert read_case("", table).facts == (first,)
    lift = (mm.facts.Lift("TV", 40.0, 10.0, 6.0, 2.0),)
    assert read_case('lift_tests = "steady.csv"\n').facts == lift
    with pytest.raises(InputError, match=r"lift_tests: path.*german.csv.*semicolons"):
        read_case('lift_tests = "german.csv"\n')
    (tmp_path / "a;.csv").write_text((tmp_path / "a.csv").read_text().replace(",", ";"))
    start = start.replace("a.csv", "a;.csv") + 'separator = ";"\n'
    assert read_case('lift_tests = "german.csv"\n').facts == lift
    assert read_case('lift_tests = "steady.csv"\n').facts == lift
    start = f'path = "a.csv"\n{data}'
    bad = lines[0].replace("30,4", "30,-4")
    (tmp_path / "tests.csv").write_text("\n".join([head, lines[1], bad]))
    with pytest.raises(InputError, match=r"tests.csv line 3: error.*got -4.*above 0"):
        read_case('lift_tests = "tests.csv"\n')
    (tmp_path / "tests.csv").write_text(f"{head},sd\n{lines[0]},5")
    with pytest.raises(InputError, match=r'column of lift_tests: got "sd" at tests.csv'):
        read_case('lift_tests = "tests.csv"\n')
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        f'[data]\nfiles = {{ a = "a.csv", b = "a.csv" }}\n{data}'
        '[market."a".data]\nlift_tests = "steady.csv"\n'
    )
    panels = fleet_case.read(fleet).panels
    assert panels["a"].facts == lift
    assert panels["b"].facts == ()
    rows = [f"a,{lines[0]}", f"b,{lines[1]}", f",{lines[2]}"]
    (tmp_path / "all.csv").write_text("\n".join([f"market,{head}", *rows]))
    start = f'[data]\nfiles = {{ a = "a.csv", b = "a.csv" }}\n{data}'
    fleet.write_text(f'{start}lift_tests = "all.csv"\n')
    panels = fleet_case.read(fleet).panels
    weekly = dataclasses.replace(found[1], name="week by week")
    assert panels["a"].facts == (found[0], found[2])
    assert panels["b"].facts == (weekly, found[2])
    own = '[market."b".data]\nlift_tests = "steady.csv"\n'
    fleet.write_text(f'{start}lift_tests = "all.csv"\n{own}')
    panels = fleet_case.read(fleet).panels
    assert panels["a"].facts == (found[0], found[2])
    assert panels["b"].facts == lift
    (tmp_path / "all.csv").write_text("\n".join([f"market,{head}", f"c,{lines[0]}"]))
    with pytest.raises(InputError, match=r'market of a lift test: got "c" at all.csv'):
        fleet_case.read(fleet)
    with pytest.raises(InputError, match='column of lift_tests: got "market"'):
        mm.facts.of_table(tmp_path / "all.csv")


def _written(folder, data, also):
    file = folder / "case.toml"
    file.write_text(f"[data]\n{data}{also}")
    return case.read(file).panel


def test_a_test_of_what_never_ran_where_media_have_a_unit_of_each_geo_is_left_out():
    panel = make_panel()
    quiet = panel.media.copy()
    quiet[panel.geos.index("north"), :, 0] = 0.0
    own = {"spend_control": 9.0, "spend_of": "per_period"}
    north, both = (LiftTest(**(ROW | own | {"geos": g})) for g in ("north", None))
    part = dataclasses.replace(panel, media=quiet, spend=quiet, facts=(north, both))
    assert prepare(make_spec(), part).panel.facts == (north, both)  # in others' units
    found = prepare(dataclasses.replace(make_spec(), media_scale="geo"), part)
    assert found.panel.facts == (both,)
    assert any('never ran in training in "north"' in f.what for f in found.findings)
