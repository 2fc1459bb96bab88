"""Geos and their sum: in one pass where memory allows, the same in every case."""

import numpy as np
import pytest

from mmmjax.posterior import curves, decomposition, pooling, sweep
from mmmjax.posterior.pooling import pooled
from mmmjax.posterior.returns import summaries
from tests.posterior.examples import geo_fit, national_fit

QUESTIONS = {
    "curves": lambda fit, **how: curves(fit, points=7, prob=0.5, **how),
    "sweep": lambda fit, **how: sweep(fit, prob=0.5, **how),
    "decomposition": lambda fit, **how: decomposition(fit, prob=0.5, **how),
}


@pytest.mark.parametrize("memory", [1, 40_000, 2**28])
@pytest.mark.parametrize("question", QUESTIONS)
def test_none_is_each_geo_and_then_their_sum(question, memory):
    fit, ask = geo_fit(draws=10), QUESTIONS[question]
    found = ask(fit, total=None, memory=memory)
    assert list(found["geo"].values) == [*fit.panel.geos, "ALL"]
    each, whole = ask(fit, total=False), ask(fit, total=True)
    for name, values in found.items():
        for source, geos in ((each, list(fit.panel.geos)), (whole, ["ALL"])):
            np.testing.assert_allclose(
                values.sel(geo=geos), source[name], rtol=1e-9, atol=1e-9, err_msg=name
            )


@pytest.mark.parametrize("memory", [1, 40_000, 2**28])
def test_windows_too(memory):
    fit = geo_fit(draws=10)
    spans = [slice(a, a + 4) for a in range(0, 16, 4)]
    keep = {"prob": 0.5, "memory": memory}
    found = summaries(fit, spans, total=None, **keep)
    each, whole = (summaries(fit, spans, total=t, **keep) for t in (False, True))
    for name in found._fields:
        both = np.concatenate([getattr(each, name), getattr(whole, name)], axis=-3)
        np.testing.assert_allclose(getattr(found, name), both, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("memory, passes", [(2**28, 1), (1000, 2)])
def test_one_pass_where_memory_allows(monkeypatch, memory, passes):
    calls, actual = [], pooling.fold_cells
    monkeypatch.setattr(
        pooling, "fold_cells", lambda *a, **k: calls.append(1) or actual(*a, **k)
    )
    sweep(geo_fit(draws=10), prob=0.5, total=None, memory=memory)
    assert len(calls) == passes


@pytest.mark.parametrize("question", QUESTIONS)
def test_one_market_is_not_repeated(question):
    fit, ask = national_fit(draws=10), QUESTIONS[question]
    assert list(ask(fit, total=None)["geo"].values) == ["national"]
    assert list(ask(fit, total=True)["geo"].values) == ["ALL"]


def test_pooled_arrays():
    values = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(pooled(values, False), values)
    np.testing.assert_array_equal(pooled(values, True), [[6.0, 9.0]])
    np.testing.assert_array_equal(pooled(values, None)[3], [6.0, 9.0])
    np.testing.assert_array_equal(pooled(values, None, axis=1)[:, 2], [1.0, 5.0, 9.0])
    assert np.isnan(pooled(np.array([[np.nan], [1.0]]), None)[2])
    np.testing.assert_array_equal(pooled(values[:1], None), values[:1])
