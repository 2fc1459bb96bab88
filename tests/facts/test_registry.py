"""What every fact is held to: a new one is tested by being listed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.facts import FACTS, read
from mmmjax.fleet.buckets import fitted_to, shape_of
from mmmjax.prepare import prepare
from tests import own
from tests.fits import make_fit, make_panel, make_spec

KINDS = FACTS | {"base": own.Base}
EXAMPLES = {  # two of each kind
    "base": (own.Base((0.5, 0.1)), own.Base((0.4, 0.2), until="2022-03-01")),
    "lift": (
        mm.facts.Lift("TV", x=40.0, delta_x=10.0, delta_y=6.0, sigma=2.0),
        mm.facts.Lift("Mail", 3.0, -3.0, -1.0, 2.0, geo="north", until="2022-03-01"),
    ),
    "lift_test": (
        mm.facts.LiftTest(
            "TV",
            "2022-01-16",
            "2022-01-29",
            30.0,
            "total",
            spend_control=0.0,
            error=4.0,
            tail=1,
            geos="north",
            group="g",
            shared_error=1.0,
        ),
        mm.facts.LiftTest(
            ["TV", "Mail"],
            "2022-01-16",
            "2022-02-05",
            (1.0, 2.0, 2.0),
            "percent",
            spend_test={"TV": "x2", "Mail": (3.0, 1.0, 2.0)},
            error=1.0,
            nu=None,
            group="g",
            shared_error=0.5,
            until="2022-03-01",
        ),
    ),
    "return": (
        mm.facts.Return("TV", roas=mm.Prior("LogNormal", loc=0.7, scale=0.3)),
        mm.facts.Return(
            "Mail",
            share=mm.Prior("Beta", concentration1=2.0, concentration0=8.0),
            start="2022-01-16",
            end="2022-03-12",
            until="2022-03-01",
        ),
    ),
}


def test_every_fact_has_examples():
    assert EXAMPLES.keys() == KINDS.keys()
    assert all(type(f) is KINDS[kind] for kind, two in EXAMPLES.items() for f in two)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fact_as_a_table_is_read_back_equal(kind, monkeypatch):
    monkeypatch.setitem(FACTS, kind, KINDS[kind])
    assert read([fact.to_dict() for fact in EXAMPLES[kind]]) == EXAMPLES[kind]
    assert all(fact.formula() for fact in EXAMPLES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_one_trace_finite_slopes_and_the_same_in_wider_arrays(kind):
    spec, panel = make_spec(), make_panel().with_facts(EXAMPLES[kind])
    data = prepare(spec, panel).data
    size = shape_of(data)
    size = size._replace(history=3, periods=size.periods + 4, channels=size.channels + 2)
    wide, rows = fitted_to(data, spec, size), data.astype("f4").facts[kind]
    cast = lambda x: jax.tree.map(jnp.asarray, x.astype("f4"))
    p = {n: x[0] for n, x in make_fit().draws.flat().items()}
    over = [n for n in p if spec.dims(n)[-1:] == ("channel",)]
    more = p | {n: np.pad(p[n], (0, 2), "edge") for n in over}
    traces = []

    def density(p, row, data):
        traces.append(1)
        return KINDS[kind].log_densities(p, p, row, spec, data).sum()

    both = jax.jit(jax.value_and_grad(density))
    for i in (slice(1), slice(-1, None)):  # of a kind whose facts know each other one row
        row = {n: jnp.asarray(x[i]) for n, x in rows.items()}
        value, slope = both(p, row, cast(data))
        assert value.shape == ()
        assert all(np.isfinite(v).all() for v in (value, *slope.values()))
        assert any((v != 0).any() for v in slope.values())
        (again,) = KINDS[kind].log_densities(more, more, row, spec, cast(wide))
        assert float(again) == pytest.approx(float(value), rel=1e-5)
        assert {*KINDS[kind].placed(p, row, spec, cast(data))} <= {*p}
    assert len(traces) == 1


@pytest.mark.parametrize(("tables", "says"), [
    ([{"kind": "lifts"}], r'kind of facts 1: got "lifts". Allowed: "lift".*kind = "lift"'),
    ([{"channel": "TV"}], r'kind of facts 1: got none.*kind = "lift"'),
    ([{"kind": ["lift"]}], r"kind of facts 1: got"),
    ({"kind": "lift"}, r"facts: got.*a list of tables.*\[\[facts\]\]"),
    ([{"kind": "lift", "channel": "TV"}], r"x"),
])  # fmt: skip
def test_tables_that_are_no_facts_are_refused(tables, says):
    with pytest.raises(InputError, match=says):
        read(tables)
