"""Several media terms side by side: family, lag and order differ by channel."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mmmjax as mm
from mmmjax.prepare import prepare
from mmmjax.response import components, media_contribution
from mmmjax.simulate import generate
from tests.fits import shared

Media = mm.terms.Media
UPPER = Media("upper", ["Radio", "TV"], mm.adstock.Geometric(max_lag=5))
LATER = Media("later", ["Search"], adstock_first=False)
QUICK = mm.NUTS(chains=2, warmup=60, draws=40, until=None)


@pytest.fixture(scope="module")
def data():
    found = generate(seed=3, periods=60, channels=4, test_periods=8)
    return found.panel.split(found.train_until)


@pytest.fixture(scope="module")
def fit(data):
    return mm.fit(mm.Spec(terms=(UPPER, LATER)), data[0], QUICK)


@pytest.mark.slow(parts=6)
def test_each_channel_has_the_kernels_of_its_term(fit):
    """Against a loop over channels, each through its own kernels."""
    spec, draw = fit.spec, {n: x[0] for n, x in fit.flat(1).items()}
    inputs = jax.tree.map(jnp.asarray, fit.inputs())
    together = np.asarray(components(draw, inputs, spec)["channel"])
    owner = spec.owners(fit.panel)
    for c, name in enumerate(fit.panel.channels):
        term = spec.media[owner[c]]
        labels = spec.labels(fit.panel)[spec.dim(term, "channel")]
        at = labels.index(name)
        own = {n: draw[spec.full(term, n)][at] for n in term.parameters()}
        alone = np.asarray(term.effect(own, jnp.asarray(inputs["media"][0, c])))
        np.testing.assert_allclose(together[0, c], alone, rtol=1e-5)
    assert [spec.media[k].name for k in owner] == ["upper", "later", "channel", "upper"]


def test_dims_labels_and_toml(fit):
    spec, panel = fit.spec, fit.panel
    assert spec.labels(panel)["upper.channel"] == ("TV", "Radio")
    assert spec.labels(panel)["channel.channel"] == ("Social",)
    assert spec.dims("upper.saturation_beta") == ("upper.channel",)
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    assert spec.memory == 8


def test_priors_of_a_term_go_by_its_name_and_take_plain_dims():
    prior = mm.Prior("Beta", alpha=2, beta=2, dims=("geo", "channel"))
    spec = mm.Spec(terms=(UPPER,), priors={"upper.adstock_alpha": prior})
    assert spec.dims("upper.adstock_alpha") == ("geo", "upper.channel")


def test_priors_of_a_term_need_no_quotes_in_a_case():
    text = """
    [[model.term]]
    kind = "media"
    name = "tv"
    channels = ["TV"]
    [model.priors]
    tv.saturation_beta = { dist = "HalfNormal", scale = 0.7 }
    """
    prior = mm.Spec.from_toml(text).priors["tv.saturation_beta"]
    assert prior.typical == mm.Prior("HalfNormal", scale=0.7, dims="tv.channel")


def test_one_term_for_all_channels_is_the_short_way(data):
    """A term in place of the usual one gives the very same draws."""
    adstock = mm.adstock.Geometric(max_lag=5)
    short = mm.fit(mm.Spec(adstock=adstock), data[0], QUICK)
    long = mm.fit(mm.Spec(terms=(Media(adstock=adstock),)), data[0], QUICK)
    for name, array in short.draws.params.items():
        np.testing.assert_array_equal(array, long.draws.params[name])


def test_two_terms_of_one_kind_have_the_density_of_one(data, x64):
    """Where both have the same kernels the mean of the model is the same."""
    one, train = shared(mm.Spec()), data[0]
    two = shared(mm.Spec(terms=(Media("other", ["TV", "Social"]),)))
    rng = np.random.default_rng(0)
    draw = {n: rng.uniform(0.1, 0.6, 4) for n in one.media[0].parameters()}
    ready = [prepare(spec, train).data.inputs for spec in (one, two)]
    parts = {"other": [0, 2], "channel": [1, 3]}
    split = {
        two.full(t, n): draw[n][parts[t.name]] for t in two.media for n in t.parameters()
    }
    found = [
        np.asarray(media_contribution(p, jnp.asarray(x["media"]), s, x))
        for p, x, s in zip((draw, split), ready, (one, two), strict=True)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


def test_everything_downstream(fit, data, tmp_path):
    train, test = data
    table = mm.tables.channels(fit)
    whole = table[table["geo"] == "ALL"].set_index("channel")
    assert list(whole.index) == list(train.channels)
    parts = mm.contributions(fit)
    total = parts["channel_total"].mean(("chain", "draw")).sum("geo")
    np.testing.assert_allclose(whole["contribution_mean"], total, rtol=1e-6)
    assert set(mm.carryover(fit)["lag"].to_numpy()) == set(range(8))
    ahead = mm.predict(fit, test)["outcome"]
    assert np.isfinite(ahead).all()
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    np.testing.assert_array_equal(mm.roas(again)["roas"], mm.roas(fit)["roas"])
    drawn = str(mm.structure(fit.spec, train))
    here = fit.spec.present(fit.spec.sizes(train))
    assert all(name in drawn for name in here)
    assert {n for n in fit.spec.priors if n not in here} == {
        f"{t.name}.campaign_effect" if t.name != "channel" else "campaign_effect"
        for t in fit.spec.media
    }


def test_a_plan_is_the_response_of_each_term(fit):
    """The plan's response against the increment of the forward function."""
    plan = mm.optimize(fit, budget=2e5, periods=6)
    both = {"reference": plan.reference, "plan": plan.optimized}
    found = mm.evaluate(fit, both, periods=6)
    assert plan.relative_gap is not None
    values = found["response_mean"].to_numpy()
    assert values[1] >= values[0] * (1 - 1e-9)


@pytest.mark.slow(parts=6)
def test_terms_without_channels_and_dropped_channels(data):
    train = data[0]
    every = (UPPER, Media("lower", ["Search", "Social"]))
    fit = mm.fit(mm.Spec(terms=every), train, QUICK)
    assert "adstock_alpha" not in fit.draws.params
    assert mm.optimize(fit, budget=1e5, periods=4).optimized.sizes["channel"] == 4
    assert mm.carryover(fit)["half_life"].sizes["channel"] == 4
    silent = dataclasses.replace(
        train, media=train.media * [0, 1, 1, 1], spend=train.spend * [0, 1, 1, 1]
    )
    ready = prepare(mm.Spec(terms=(UPPER, LATER)), silent, "drop")
    assert ready.spec.terms[0].channels == ("Radio",)
    none = dataclasses.replace(
        train, media=train.media * [0, 1, 1, 0], spend=train.spend * [0, 1, 1, 0]
    )
    ready = prepare(mm.Spec(terms=(UPPER,)), none, "drop")
    assert ready.spec.terms == ()
    assert ready.spec.dims("adstock_alpha") == ("channel",)


@pytest.mark.parametrize(
    "terms, words",
    [
        ((Media("upper", ["TV"]), Media("upper", ["Radio"])), "one term of a name"),
        ((Media("a", ["TV"]), Media("b", ["TV"])), "each in one media term"),
        ((Media("a"),), "named in all media terms but one"),
        ((Media("my term", ["TV"]),), "letters, digits and _"),
        ((Media,), "class Media"),
    ],
)
def test_refusals(terms, words):
    with pytest.raises(mm.InputError, match=words):
        mm.Spec(terms=terms)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Media("tv", ["TV"], adstock=mm.saturation.Hill()), "adstock: got a Hill"),
        (lambda: Media("tv", ["TV"], saturation="hill"), "saturation: got .hill"),
        (lambda: Media("tv", ["TV"], adstock_first="no"), "adstock_first: got .no"),
        (lambda: Media("tv", "TV"), "channels"),
        (lambda: mm.Spec(terms=UPPER), r"put it in a list: terms=\[...\]"),
        (lambda: mm.Spec.from_toml('[[model.term]]\nkind="media"\nadstock_first="no"'),
         "adstock_first"),
    ],
)  # fmt: skip
def test_a_term_takes_records_of_its_kinds(make, words):
    with pytest.raises(mm.InputError, match=words):
        make()


def test_a_channel_that_the_panel_lacks_is_named(data):
    with pytest.raises(mm.InputError, match=r'channels of upper: got "Rdio".*Radio'):
        prepare(mm.Spec(terms=(Media("upper", ["Rdio"]),)), data[0])
