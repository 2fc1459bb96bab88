"""Spec: round trips, structure, dims and the messages of a wrong one."""

import dataclasses
import pickle

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.prior import Prior
from mmmjax.spec import Spec, hyperparameters

SIZES = {"geo": 3, "channel": 2, "control": 4, "fourier": 4}
SPECS = {
    "default": Spec(),
    "case study": Spec(
        adstock=mm.adstock.Geometric(max_lag=6),
        seasonality=mm.seasonality.Fourier(order=5),
        likelihood=mm.likelihood.TruncatedNormal(low=0.0),
        priors={"intercept": mm.Prior("Normal", loc=0.2, scale=0.05)},
    ),
    "largest": Spec(scale="max", seasonality=mm.seasonality.Fourier(2)),
    "everything": Spec(
        seasonality=None,
        trend=True,
        likelihood=mm.likelihood.StudentT(),
        adstock_first=False,
        outcome_scale="geo",
        media_scale="geo",
        priors={
            "intercept": mm.Prior(
                "Normal", scale=mm.Prior("HalfNormal", scale=0.1), dims=("geo",)
            ),
            "saturation_beta": mm.Prior(
                "HalfNormal", scale=[0.5, 0.2], dims=("geo", "channel")
            ),
            "adstock_alpha": mm.Prior("Uniform", low=0.0, high=0.9, dims=()),
        },
    ),
}


@pytest.mark.parametrize("name", sorted(SPECS))
def test_toml_round_trip_keeps_value_hash_and_text(name):
    spec = SPECS[name]
    again = Spec.from_toml(spec.to_toml())
    assert again == spec
    assert hash(again) == hash(spec)
    assert again.to_toml() == spec.to_toml()
    assert "priors" in repr(spec)


def test_dims_of_terms_go_through_toml_with_the_name_of_the_term():
    tv = mm.terms.Media(name="tv", channels=["TV"])
    spec = Spec(terms=(tv, mm.terms.Waves(name="second"), mm.terms.Drift(name="slow")))
    assert spec.dims("adstock_alpha") == ("channel.channel",)
    assert spec.dims("tv.saturation_beta") == ("geo", "tv.channel")
    assert spec.dims("second.gamma_fourier") == ("geo", "second.fourier")
    assert spec.dims("slow.drift_offset") == ("slow.drift",)
    assert Spec.from_toml(spec.to_toml()) == spec


def test_structure_forgets_numbers_and_nothing_else():
    one = Spec(priors={"intercept": mm.Prior("Normal", loc=0.1, scale=1.0)})
    two = Spec(priors={"intercept": mm.Prior("Normal", loc=0.9, scale=2.0)})
    other = Spec(priors={"intercept": mm.Prior("StudentT", df=3.0, scale=2.0)})
    assert one != two
    assert one.structure() == two.structure()
    assert hash(one.structure()) == hash(two.structure())
    assert one.structure() != other.structure()


def test_dims_and_sites_follow_priors():
    spec = SPECS["everything"]
    assert spec.dims("saturation_beta") == ("geo", "channel")
    assert spec.dims("adstock_alpha") == ()
    assert spec.dims("intercept_scale") == ()
    assert spec.dims("y_nu") == ()
    names = [s.name for s in spec.sites(SIZES)]
    assert names[:2] == ["intercept_scale", "intercept_offset"]
    assert "gamma_fourier" not in names
    bare = spec.present({**SIZES, "channel": 0, "control": 0})
    assert bare == ("intercept", "trend_slope", "y_sigma", "y_nu_excess")


def test_hyperparameters_resolve_data_and_lists():
    hyper = hyperparameters(
        SPECS["everything"], SIZES, {"spend_share": np.array([0.7, 0.3])}
    )
    np.testing.assert_array_equal(hyper["saturation_beta"]["scale"], [0.5, 0.2])
    assert hyper["intercept"]["scale"]["scale"] == 0.1
    default = hyperparameters(Spec(), SIZES, {"media_share": np.array([0.7, 0.3])})
    np.testing.assert_array_equal(default["saturation_beta"]["scale"], [0.7, 0.3])
    each = {"media_share": np.ones(2), "geo.media_share": np.arange(6.0).reshape(3, 2)}
    spec = Spec(priors={"saturation_beta": Prior("HalfNormal", scale=mm.media_share,
                                                 dims=("geo", "channel"))})  # fmt: skip
    own = hyperparameters(spec, SIZES, each)
    np.testing.assert_array_equal(own["saturation_beta"]["scale"], each["geo.media_share"])


def test_the_share_of_media_is_a_number_of_the_spec():
    spec = Spec(media_share=0.15)
    assert Spec.from_toml(spec.to_toml()) == spec != Spec()
    assert spec.structure() == Spec().structure()  # markets share programs
    assert hash(spec.structure()) == hash(Spec().structure())
    assert Spec.from_dict({}).media_share == 0.3


def test_every_parameter_has_a_prior():
    for spec in SPECS.values():
        assert set(spec.priors) == set(spec.parameters)


@pytest.mark.parametrize(
    "make, words",
    [
        (
            lambda: Spec(priors={"interceptt": mm.Prior("Normal", scale=1.0)}),
            ["interceptt", "did you mean"],
        ),
        (
            lambda: Spec(priors={"trend_slope": mm.Prior("Normal", scale=1.0)}),
            ["trend=True"],
        ),
        (
            lambda: Spec(
                seasonality=None, priors={"gamma_fourier": mm.Prior("Normal", scale=1.0)}
            ),
            ["seasonality"],
        ),
        (
            lambda: Spec(priors={"y_sigma": mm.Prior("Normal", scale=1.0)}),
            ["y_sigma", "positive"],
        ),
        (
            lambda: Spec(priors={"adstock_alpha": mm.Prior("Uniform", low=0.0, high=1.5)}),
            ["adstock_alpha", "[0, 1]"],
        ),
        (
            lambda: Spec(
                priors={"intercept": mm.Prior("Normal", scale=1.0, dims="channel")}
            ),
            ["intercept", "geo"],
        ),
        (
            lambda: Spec(priors={"gamma_control": mm.Prior("Normal", scale=1.0, dims=())}),
            ["gamma_control", "control"],
        ),
        (
            lambda: Spec(
                adstock=mm.adstock.Delayed(5),
                priors={"adstock_theta": mm.Prior("Uniform", low=0.0, high=6.0)},
            ),
            ["adstock_theta", "[0, 4]", "Uniform(low=0, high=4)"],
        ),
        (lambda: Spec.from_dict({"adstok": {}}), ["adstok", "adstock"]),
        (
            lambda: Spec.from_dict({"adstock": {"kind": "geometrc"}}),
            ["geometrc", "geometric"],
        ),
        (lambda: Spec.from_dict({"adstock": {"kind": "geometric", "lag": 3}}), ["lag"]),
        (lambda: Spec.from_dict({"seasonality": 3}), ["order"]),
        (lambda: Spec.from_dict({"seasonality": {"kind": "knots"}}), ["knots", "fourier"]),
        (lambda: Spec.from_dict({"trend": {"kind": "knots"}}), ["knots", '"linear"']),
        (lambda: Spec.from_dict({"trend": {"knid": "linear"}}), ["knid", "kind"]),
        (lambda: Spec(scale="biggest"), ["scale", "robust", "max"]),
        (lambda: Spec(media_share=30), ["media_share", "30", "(0, 1]"]),
        (lambda: Spec(media_share="0.3"), ["media_share", "number"]),
        (
            lambda: Spec(
                media_share=0.2, priors={"saturation_beta": Prior("HalfNormal", scale=1.0)}
            ),
            ["media_share", "0.2", 'scale = "media_share"'],
        ),
        (
            lambda: Spec(
                priors={"saturation_lam": Prior("HalfNormal", scale="media_share")}
            ),
            ["saturation_lam scale", "saturation_beta only"],
        ),
        (
            lambda: Spec(
                priors={"saturation_beta": Prior("Gamma", alpha=2.0, beta="media_share")}
            ),
            ["saturation_beta rate", "as the scale"],
        ),
        (lambda: Spec.from_toml("[data]\npath = 'x'"), ["[model]"]),
    ],
)
def test_messages_name_the_value_and_the_fix(make, words):
    with pytest.raises(mm.InputError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_a_kernel_without_kind_is_the_usual_one():
    table = {"adstock": {"max_lag": 5}, "saturation": {}}
    media = {"kind": "media", "name": "tv", "channels": ["TV"], "adstock": {"max_lag": 3}}
    spec = Spec.from_dict({**table, "term": [media]})
    assert (spec.adstock, spec.saturation) == (
        mm.adstock.Geometric(5), mm.saturation.Logistic(),
    )  # fmt: skip
    assert spec.media[1].adstock == mm.adstock.Geometric(3)
    hill = Spec.from_dict({"saturation": {"kind": "hill"}})
    assert hill == Spec(saturation=mm.saturation.Hill())
    assert "saturation_slope" in hill.priors


def test_a_list_of_the_wrong_length_is_refused_when_the_panel_is_known():
    spec = Spec(priors={"saturation_beta": mm.Prior("HalfNormal", scale=[1.0, 2.0, 3.0])})
    with pytest.raises(mm.InputError, match=r"saturation_beta.*3 numbers.*channel \(2\)"):
        hyperparameters(spec, SIZES, {"spend_share": np.array([0.7, 0.3])})


def test_terms_may_all_be_written_as_records():
    table = {"trend": {"kind": "linear"}, "seasonality": {"kind": "fourier", "order": 3}}
    found = Spec.from_dict(table)
    assert found == Spec(trend=True, seasonality=mm.seasonality.Fourier(3))
    assert Spec.from_dict({"seasonality": {"order": 2}}) != Spec()  # asked for, not auto
    assert Spec.from_dict({}) == Spec()


@pytest.mark.parametrize(
    "changes",
    [{"trend": 1}, {"trend": 1.0}, {"trend": "true"}, {"adstock_first": 0},
     {"outcome_scale": ["shared"]}, {"adstock": mm.saturation.Logistic()},
     {"adstock": mm.adstock.Geometric},
     {"saturation": mm.adstock.Geometric()}, {"priors": {"intercept": 5}},
     {"priors": {"intercept": "Normal"}}],
    ids=str,
)  # fmt: skip
def test_choices_of_the_wrong_type_are_refused_never_converted(changes):
    with pytest.raises(mm.InputError):
        Spec(**changes)


def test_max_lag_auto_is_a_number_once_a_spec_is_made():
    """By the priors of each media term, usual or one's own; TOML has the number."""
    slow = Prior("Uniform", low=0.0, high=0.8)
    tv = mm.terms.Media("tv", ["TV"], mm.adstock.WeibullCDF("auto"))
    spec = Spec(mm.adstock.Geometric("auto"), terms=[tv], priors={"adstock_alpha": slow})
    assert spec.adstock == mm.adstock.Geometric(11)
    assert isinstance(spec.terms[0].adstock.max_lag, int)
    assert spec.memory == max(11, spec.terms[0].adstock.max_lag)
    assert [term.adstock for term in spec.media] == [spec.adstock, spec.terms[0].adstock]
    assert Spec.from_toml(spec.to_toml()) == spec
    text = '[model]\nadstock = { max_lag = "auto" }\n'
    assert Spec.from_toml(text) == Spec(mm.adstock.Geometric(7))
    late = text.replace("{", '{ kind = "delayed",')
    with pytest.raises(mm.InputError, match="max_lag"):
        Spec.from_toml(late)


def test_a_table_of_channels_is_a_media_term_each():
    """What a channel does not say it takes from [model]."""
    text = """[model]
adstock = { max_lag = 4 }
[model.channels]
TV = { adstock = { kind = "weibull_pdf", max_lag = 6 }, adstock_first = false }
"Direct Mail" = { saturation = { kind = "root" } }
2nd = { adstock = { kind = "none" } }
[model.priors]
"tv.adstock_k" = { dist = "LogNormal", loc = 1.0, scale = 0.2 }
"""
    spec, media = Spec.from_toml(text), mm.terms.Media
    slow, usual = mm.adstock.WeibullPDF(6), mm.adstock.Geometric(4)
    assert spec.terms == (
        media("tv", ["TV"], slow, adstock_first=False),
        media("direct_mail", ["Direct Mail"], usual, mm.saturation.Root()),
        media("channel_2nd", ["2nd"], mm.adstock.NoAdstock()),
    )
    assert spec.memory == 6
    assert Spec.from_toml(spec.to_toml()) == spec
    for wrong in ("channels = 3", "channels = { TV = 3 }", "channels = { TV = { x = 1 } }"):
        with pytest.raises(mm.InputError, match=r"channels|key: got"):
            Spec.from_toml(f"[model]\n{wrong}\n")


OTHER = {  # another value of every field
    "adstock": mm.adstock.WeibullPDF(max_lag=6),
    "saturation": mm.saturation.Hill(),
    "seasonality": None,
    "trend": True,
    "likelihood": mm.likelihood.StudentT(),
    "priors": {"saturation_beta": mm.Prior("HalfNormal", scale=0.2)},
    "adstock_first": False,
    "outcome_scale": "geo",
    "media_scale": "shared",
    "scale": "max",
    "media_share": 0.2,
    "per_day": True,
    "terms": (mm.terms.Media("upper", channels=["TV"], adstock=mm.adstock.Delayed(5)),),
}
LEVEL = {"intercept": mm.Prior("Normal", loc=0.2, scale=0.05)}


@pytest.mark.parametrize("asked", [{}, LEVEL], ids=["nothing", "intercept"])
@pytest.mark.parametrize(
    "come",
    [
        lambda spec: spec,
        lambda spec: Spec.from_toml(spec.to_toml()),
        lambda spec: pickle.loads(pickle.dumps(spec)),
        lambda spec: dataclasses.replace(spec, priors={**spec.priors}),
    ],
    ids=["made", "loaded", "sent", "spelled out"],
)
@pytest.mark.parametrize("name", OTHER)
def test_replaced_fields_bring_their_own_defaults(name, come, asked):
    assert set(OTHER) == {f.name for f in dataclasses.fields(Spec)}
    found = dataclasses.replace(come(Spec(priors=asked)), **{name: OTHER[name]})
    wanted = Spec(**({"priors": asked} | {name: OTHER[name]}))
    assert found == wanted
    assert found.to_toml() == wanted.to_toml()
    back = dataclasses.replace(found, **{name: getattr(Spec(priors=asked), name)})
    assert back == Spec(priors=asked)


def test_a_prior_that_was_asked_for_is_not_lost_in_silence():
    own = {"saturation_lam": mm.Prior("Gamma", concentration=2.0, rate=1.0)}
    with pytest.raises(mm.InputError, match="saturation_lam"):
        dataclasses.replace(Spec(priors=own), saturation=mm.saturation.Hill())
