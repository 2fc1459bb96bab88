"""Pooling stated apart from the family: laws, names, density, one geo, groups."""

import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from scipy import special, stats

import mmmjax as mm
from mmmjax import InputError
from mmmjax.cli.case import read
from mmmjax.infer.density import constrain, positions, sites_of
from mmmjax.infer.precondition import precondition
from mmmjax.model import program, sample_parameters
from mmmjax.prediction import sample_prior
from mmmjax.prepare import prepare
from mmmjax.prior import Prior, pooled, sites
from tests.posterior.examples import geo_panel, national_panel
from tests.reference.density import adstock, saturate

LINKS = {
    "Normal": ({"loc": 0.1, "scale": 0.3}, lambda x: x, lambda x: x),
    "Laplace": ({"scale": 0.3}, lambda x: x, lambda x: x),
    "HalfNormal": ({"scale": 0.3}, np.log, np.exp),
    "Gamma": ({"concentration": 3.0, "rate": 2.0}, np.log, np.exp),
    "LogNormal": ({"loc": -1.0, "scale": 0.3}, np.log, np.exp),
    "Beta": ({"concentration1": 2.0, "concentration0": 3.0}, special.logit, special.expit),
    "LogitNormal": ({"loc": -1.0, "scale": 0.3}, special.logit, special.expit),
    "Uniform": (
        {"low": -1.0, "high": 3.0},
        lambda x: special.logit((x + 1) / 4),
        lambda x: 4 * special.expit(x) - 1,
    ),
    "TruncatedNormal": (
        {"loc": 0.2, "scale": 0.3, "low": 0.0, "high": float("inf")},
        np.log,
        np.exp,
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", LINKS)
def test_the_link_follows_from_the_support_and_the_names_from_nothing(family):
    params, forward, inverse = LINKS[family]
    prior = pooled(Prior(family, **params, dims="channel"), over="geo", spread=0.4)
    assert prior.dims == ("geo", "channel")
    found = sites("x", prior)
    assert [s.name for s in found] == ["x_typical", "x_spread", "x_offset"]
    assert [s.local for s in found] == ["", "", "geo"]
    level = found[-1].level
    assert (level.typical, level.spread, level.value) == ("x_typical", "x_spread", "x")
    at = inverse(np.array([-1.5, 0.0, 2.0]))
    np.testing.assert_allclose(level.link.forward(at), forward(at), rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(level.link.inverse(forward(at)), at, rtol=2e-5, atol=2e-6)
    for again in (prior.to_dict(), tomllib.loads(f"x = {prior.to_toml()}")["x"]):
        assert Prior.from_dict(again) == prior
    assert sites("x", prior.structure())[-1].level == level


def pooled_spec(**priors):
    """Everything pooled that may be, each on another link; alpha over channels."""
    own = {
        "intercept": pooled(Prior("Normal", loc=0.4, scale=0.2), spread=0.2),
        "saturation_beta": pooled(Prior("HalfNormal", scale=[0.3, 0.2, 0.1]), spread=0.5),
        "y_sigma": pooled(
            Prior("HalfNormal", scale=0.5), spread=Prior("Gamma", alpha=2, beta=4)
        ),
        "adstock_alpha": pooled(
            Prior("Beta", alpha=2.0, beta=3.0), over="channel", spread=0.4
        ),
        "gamma_fourier": pooled(Prior("Laplace", loc=0.0, scale=0.2), spread=0.1),
    }  # fmt: skip
    return mm.Spec(
        adstock=mm.adstock.Geometric(4),
        seasonality=mm.seasonality.Fourier(1),
        outcome_scale="shared",
        media_scale="shared",
        priors=own | priors,
    )


def density_by_hand(values, panel, scale):
    """Prior densities of the sites, then mean and likelihood, by loops; scaled units."""
    v, rows = values, panel.window
    logit = lambda x: np.log(x / (1 - x))
    total = stats.norm(0.4, 0.2).logpdf(v["intercept_typical"])
    total += stats.halfnorm(scale=0.2).logpdf(v["intercept_spread"])
    widths = [0.3, 0.2, 0.1]
    for c in range(3):
        total += stats.halfnorm(scale=widths[c]).logpdf(v["saturation_beta_typical"][c])
        total += stats.halfnorm(scale=0.5).logpdf(v["saturation_beta_spread"][c])
        total += stats.gamma(3.0, scale=1.0).logpdf(v["saturation_lam"][c])
    total += stats.halfnorm(scale=0.5).logpdf(v["y_sigma_typical"])
    total += stats.gamma(2.0, scale=1 / 4).logpdf(v["y_sigma_spread"])
    total += stats.beta(2.0, 3.0).logpdf(v["adstock_alpha_typical"])
    total += stats.halfnorm(scale=0.4).logpdf(v["adstock_alpha_spread"])
    for f in range(2):
        total += stats.laplace(0.0, 0.2).logpdf(v["gamma_fourier_typical"][f])
        total += stats.halfnorm(scale=0.1).logpdf(v["gamma_fourier_spread"][f])
    total += stats.norm(0.0, 0.5).logpdf(v["gamma_control"]).sum()
    for name in ("intercept", "saturation_beta", "y_sigma", "adstock_alpha",
                 "gamma_fourier"):  # fmt: skip
        total += stats.norm().logpdf(v[f"{name}_offset"]).sum()
    days = panel.dates[rows].day_of_year
    for g in range(3):
        level = v["intercept_typical"] + v["intercept_spread"] * v["intercept_offset"][g]
        noise = np.exp(np.log(v["y_sigma_typical"])
                       + v["y_sigma_spread"] * v["y_sigma_offset"][g])  # fmt: skip
        mu = np.full(panel.n_periods, level)
        for c in range(3):
            a = logit(v["adstock_alpha_typical"])
            a += v["adstock_alpha_spread"] * v["adstock_alpha_offset"][c]
            x = panel.media[g, :, c] / scale.media[g, c]
            effect = saturate(adstock(x, 1 / (1 + np.exp(-a)), 4), v["saturation_lam"][c])
            own = np.log(v["saturation_beta_typical"][c])
            own += v["saturation_beta_spread"][c] * v["saturation_beta_offset"][g, c]
            mu += np.exp(own) * effect[rows]
        for k in range(2):
            mu += v["gamma_control"][k] * panel.controls[g, rows, k]
        for f, wave in enumerate((np.sin, np.cos)):
            own = v["gamma_fourier_typical"][f]
            own += v["gamma_fourier_spread"][f] * v["gamma_fourier_offset"][g, f]
            mu += own * wave(2 * np.pi * days / 365.25)
        y = panel.outcome[g, rows] / scale.outcome[g]
        seen = np.isfinite(y)
        total += stats.norm(mu[seen], noise).logpdf(y[seen]).sum()
    return total


def test_the_density_is_that_of_the_hierarchy_by_hand():
    panel = geo_panel()
    with jax.enable_x64(True):
        ready = prepare(pooled_spec(), panel)
        data = jax.tree.map(jnp.asarray, ready.data.astype(np.float64))
        spec = ready.spec.structure()
        found = spec.sites(data.inputs.sizes())
        rng = np.random.default_rng(1)
        for _ in range(3):
            values = {}
            for site in found:
                x = rng.normal(size=[data.inputs.sizes()[d] for d in site.dims])
                to = {"positive": lambda x: np.exp(0.5 * x) * 0.3, "unit": special.expit}
                values[site.name] = to.get(site.support, lambda x: x)(x)
            mine = float(log_density(program, (spec, data), {}, values)[0])
            np.testing.assert_allclose(
                mine, density_by_hand(values, panel, ready.scale), rtol=1e-10
            )


@pytest.mark.slow(parts=6)
def test_the_sampler_s_coordinates_lead_back_to_where_it_was():
    """positions() is the inverse of constrain(), pooled levels of every link included."""
    with jax.enable_x64(True):
        ready = prepare(pooled_spec(), geo_panel())
        spec = ready.spec.structure()
        problem = precondition(spec, ready.data)[0].astype(np.float64)
        z = 0.7 * np.random.default_rng(0).normal(size=(2, len(problem.center)))
        params = [constrain(jnp.asarray(x), problem, spec) for x in z]
        both = {
            n: np.stack([np.asarray(p[n]) for p in params]) for n in sites_of(problem, spec)
        }
        again = positions(problem, spec, both)
    np.testing.assert_allclose(again, z, atol=1e-7)


def test_typical_values_and_spreads_have_their_priors():
    """By Kolmogorov and Smirnov: a right one fails in one seed of ten thousand."""
    drawn = sample_prior(pooled_spec(), geo_panel(), draws=2000).flat()
    beta, log = drawn["saturation_beta"], np.log
    assert beta.shape == (2000, 3, 3)
    assert drawn["saturation_beta_spread"].shape == (2000, 3)
    laws = {
        "saturation_beta_typical": stats.halfnorm(scale=0.2),
        "saturation_beta_spread": stats.halfnorm(scale=0.5),
        "gamma_fourier_typical": stats.laplace(0, 0.2),
    }
    for name, law in laws.items():
        assert stats.kstest(drawn[name][:, 1], law.cdf).pvalue > 1e-4
    assert stats.kstest(drawn["adstock_alpha_typical"], stats.beta(2, 3).cdf).pvalue > 1e-4
    for name, to in {"saturation_beta": log, "adstock_alpha": special.logit}.items():
        typical, spread = drawn[f"{name}_typical"], drawn[f"{name}_spread"]
        around = lambda x: x[:, None] if x.ndim < drawn[name].ndim else x  # noqa: B023
        z = (to(drawn[name]) - around(to(typical))) / around(spread)
        assert stats.kstest(z.reshape(2000, -1)[:, 0], "norm").pvalue > 1e-4
        assert stats.kstest(z.reshape(2000, -1)[:, -1], "norm").pvalue > 1e-4


def test_over_one_member_it_is_the_plain_prior():
    """The same spec, structure and names; one channel is not pooled over either."""
    panel = national_panel()
    plain = Prior("HalfNormal", scale=0.3)
    one = mm.Spec(priors={"saturation_beta": pooled(plain), "y_sigma": pooled(plain)})
    two = mm.Spec(priors={"saturation_beta": plain, "y_sigma": plain})
    found, known = prepare(one, panel), prepare(two, panel)
    assert found.spec == known.spec
    assert found.spec.structure() == known.spec.structure()
    assert str(mm.structure(one, panel)) == str(mm.structure(two, panel))
    alpha = pooled(Prior("Beta", alpha=1.0, beta=3.0), over="channel")
    spec = mm.Spec(priors={"adstock_alpha": alpha})
    single = mm.Panel.from_frame(
        panel.to_frame(), date="week", outcome="sales", media=["TV"]
    )
    assert prepare(spec, single).spec.priors["adstock_alpha"].pool == ()
    assert prepare(spec, panel).spec.priors["adstock_alpha"].pool


def test_the_graph_names_every_parameter():
    panel = geo_panel()
    spec = pooled_spec()
    drawn = mm.structure(spec, panel)
    sampled = {node.name for node in drawn.of_kind("parameter")}
    assert sampled == {s.name for s in spec.sites(spec.sizes(panel))}
    text = drawn["y_sigma"].text
    assert text == "exp(log(typical) + spread * offset)"
    assert drawn["saturation_beta"].dims == ("geo", "channel")
    assert {"intercept_typical", "intercept_spread"} < set(drawn.parents("intercept"))


def test_spec_and_toml_say_the_same():
    spec = pooled_spec()
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    short = """
        [model.priors]
        saturation_beta = { dist = "HalfNormal", scale = 0.3, pooled = "geo" }
        y_sigma = { dist = "HalfNormal", scale = 0.5, pooled = { spread = 0.2 } }
    """
    own = {
        "saturation_beta": pooled(Prior("HalfNormal", scale=0.3), over="geo", spread=0.5),
        "y_sigma": pooled(Prior("HalfNormal", scale=0.5), spread=0.2),
    }
    assert mm.Spec.from_toml(short) == mm.Spec(priors=own)
    assert (
        eval(repr(own["y_sigma"]), {"pooled": pooled, "HalfNormal": half}) == own["y_sigma"]
    )


def half(**given):
    """As a prior prints itself."""
    return Prior("HalfNormal", **given)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda p: pooled(p, over=()), ["over", 'over="geo"']),
        (lambda p: pooled(p, over=("channel", "geo")), ["channel", "groups of geos"]),
        (lambda p: pooled(p, over=("geo", "country")), ["country", "groups of geos"]),
        (lambda p: pooled(p, over=("geo", "geo")), ["geo"]),
        (lambda p: pooled(p, spread=0.0), ["0", "above 0"]),
        (lambda p: pooled(p, spread=Prior("Normal", scale=1.0)), ["Normal", "positive"]),
        (lambda p: pooled(p, spread=pooled(p)), ["not pooled"]),
        (lambda p: pooled(p, over=("country", "geo"), spread=[0.1]), ["spread", "2"]),
        (lambda p: pooled(p, spread=-1), ["pooled spread: got -1", "above 0"]),
        (lambda p: pooled(p, spread=True), ["pooled spread: got True"]),
        (lambda p: pooled(p, spread="wide"), ['pooled spread: got "wide"']),
        (lambda p: pooled(p, spread=mm.media_share), ["pooled spread: got media_share"]),
        (
            lambda p: pooled(p, over=("country", "geo"), spread=(0.5, np.nan)),
            ["pooled spread of geo: got NaN"],
        ),
        (lambda p: pooled(pooled(p), "channel"), ["pooled prior", "not pooled yet"]),
        (
            lambda p: mm.Spec.from_dict(
                {"priors": {"y_sigma": p.to_dict() | {"pooled": {"spread": -1}}}}
            ),
            ["prior of y_sigma: pooled spread: got -1"],
        ),
        (
            lambda p: mm.Spec.from_dict(
                {"priors": {"y_sigma": p.to_dict() | {"pooled": {"spread": {"dist": 3}}}}}
            ),
            ["prior of y_sigma: pooled spread: family: got 3"],
        ),
        (
            lambda p: mm.Spec.from_dict(
                {"priors": {"y_sigma": p.to_dict() | {"scale": 0}}}
            ),
            ["prior of y_sigma: prior HalfNormal scale: got 0"],
        ),
        (lambda p: pooled("HalfNormal"), ["prior", "HalfNormal"]),
        (lambda p: mm.Spec(priors={"intercept": pooled(p, over="channel")}), ["channel"]),
        (
            lambda p: mm.Spec(priors={"y_sigma": pooled(Prior("HalfNormal", scale=p))}),
            None,
        ),
        (
            lambda p: Prior.from_dict({"dist": "HalfNormal", "scale": 1, "pooled": True}),
            ["pooled"],
        ),
        (
            lambda p: Prior.from_dict(
                {"dist": "HalfNormal", "scale": 1, "pooled": {"ovr": "geo"}}
            ),
            ["ovr", "over"],
        ),
        (
            lambda p: mm.Spec(
                priors={
                    "y_sigma": pooled(p, spread=Prior("HalfNormal", scale=1.0, dims="geo"))
                }
            ),
            ["geo", "y_sigma_spread"],
        ),
    ],
)
def test_messages_name_the_value_and_the_fix(make, words):
    if words is None:  # nested inside pooled: legal
        make(Prior("HalfNormal", scale=1.0))
        return
    with pytest.raises(InputError) as caught:
        make(Prior("HalfNormal", scale=1.0))
    for word in words:
        assert word in str(caught.value)


def grouped_panel(countries=("DE", "DE", "AT", "AT", "AT", "CH"), **more):
    """Six geos in three countries and two regions, rows mixed."""
    rng = np.random.default_rng(5)
    regions = {"DE": "north", "AT": "south", "CH": "south"}
    weeks = pd.date_range("2022-01-03", periods=20, freq="W-MON")
    rows = [
        {"geo": f"g{g}", "week": week, "country": country, "region": regions[country],
         "sales": rng.uniform(50, 150), "tv": rng.gamma(2.0, 1e3)}
        for g, country in enumerate(countries) for week in weeks
    ]  # fmt: skip
    frame = pd.DataFrame(rows).sample(frac=1.0, random_state=1)
    told = {"geo": "geo", "groups": ["region", "country"]} | more
    return mm.Panel.from_frame(frame, date="week", outcome="sales", media=["tv"], **told)


NESTED = pooled(
    Prior("HalfNormal", scale=0.3),
    over=("region", "country", "geo"),
    spread=[0.3, 0.2, 0.1],
)


def test_groups_nest_as_a_loop_says():
    """Typical value, region, country, geo: each around the one above, by a loop."""
    panel = grouped_panel()
    own = dict(zip(panel.geos, panel.groups["country"], strict=True))
    assert [own[f"g{g}"] for g in range(6)] == ["DE", "DE", "AT", "AT", "AT", "CH"]
    spec = mm.Spec(priors={"saturation_beta": NESTED, "y_sigma": NESTED}, seasonality=None)
    ready = prepare(spec, panel)
    sizes = spec.sizes(panel)
    names = [s.name for s in spec.sites(sizes) if s.path[0] == "y_sigma"]
    assert names == [
        "y_sigma_typical", "y_sigma_region_spread", "y_sigma_region_offset",
        "y_sigma_country_spread", "y_sigma_country_offset", "y_sigma_spread",
        "y_sigma_offset",
    ]  # fmt: skip
    locals_ = [s.local for s in spec.sites(sizes) if s.path[0] == "y_sigma"]
    assert locals_ == ["", "", "region", "", "country", "", "geo"]
    with jax.enable_x64(True):
        data = ready.data.astype(np.float64)
        rng = np.random.default_rng(2)
        values = {}
        for site in ready.spec.sites(sizes):
            x = rng.normal(size=[sizes[d] for d in site.dims])
            values[site.name] = np.exp(x) if site.support == "positive" else x
        values["adstock_alpha"] = np.full(1, 0.3)
        with handlers.block(), handlers.substitute(data=values):
            params = sample_parameters(ready.spec.structure(), data)
    order = {dim: list(names) for dim, names in spec.labels(panel).items()}
    for name, member in {"saturation_beta": (0,), "y_sigma": ()}.items():
        v = lambda what: values[f"{name}_{what}"]  # noqa: B023
        for g in range(panel.n_geos):
            region, country = (panel.groups[n][g] for n in ("region", "country"))
            r, c = order["region"].index(region), order["country"].index(country)
            x = np.log(v("typical")[member])
            x = x + v("region_spread")[member] * v("region_offset")[(r, *member)]
            x = x + v("country_spread")[member] * v("country_offset")[(c, *member)]
            middle = np.exp(x)
            x = x + v("spread")[member] * v("offset")[(g, *member)]
            np.testing.assert_allclose(params[name][(g, *member)], np.exp(x), rtol=1e-12)
            np.testing.assert_allclose(
                params[f"{name}_country"][(c, *member)], middle, rtol=1e-12
            )


def test_a_group_of_one_is_left_out_and_an_unknown_one_refused():
    spec = mm.Spec(priors={"y_sigma": NESTED})
    one = prepare(spec, grouped_panel(countries=["DE"] * 3)).spec.priors["y_sigma"]
    assert [dim for dim, _ in one.pool] == ["geo"]
    assert prepare(spec, grouped_panel().select("g1")).spec.priors["y_sigma"].pool == ()
    with pytest.raises(InputError, match=r'country.*groups = \["country"\]'):
        prepare(spec, grouped_panel(groups=["region"]))
    turned = pooled(Prior("HalfNormal", scale=0.3), over=("country", "region", "geo"))
    with pytest.raises(InputError, match='region "south" in "AT" and in "CH"'):
        prepare(mm.Spec(priors={"y_sigma": turned}), grouped_panel())


def test_groups_are_checked_at_the_door_and_stay_with_the_panel(tmp_path):
    panel = grouped_panel()
    frame = panel.to_frame()
    told = {"date": "week", "outcome": "sales", "media": ["tv"], "geo": "geo"}
    told["groups"] = ["region", "country"]
    again = mm.Panel.from_frame(frame, **told)
    assert again.groups == panel.groups
    assert again.data_hash() == panel.data_hash() != grouped_panel(groups=()).data_hash()
    assert panel.select(["g5", "g0"]).groups["country"] == ("CH", "DE")
    assert panel.split("2022-04-04")[1].groups == panel.groups
    moved = frame.copy()
    moved.loc[moved["geo"].eq("g1") & moved["week"].eq("2022-02-07"), "country"] = "AT"
    cases = {
        "one country per geo": (moved, {}),
        "a geo column": (frame[frame["geo"] == "g1"], {"geo": None}),
        "no name": (frame.assign(country=frame["country"].where(frame["geo"] != "g2")), {}),
        "none of .geo., .date.": (frame.rename(columns={"region": "media"}),
                              {"groups": ["media"]}),
        "did you mean": (frame, {"groups": ["contry"]}),
    }  # fmt: skip
    for words, (table, other) in cases.items():
        with pytest.raises(InputError, match=words):
            mm.Panel.from_frame(table, **(told | other))
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "case.toml").write_text(
        '[data]\npath = "t.csv"\ndate = "week"\noutcome = "sales"\nmedia = ["tv"]\n'
        'geo = "geo"\ngroups = ["region", "country"]\n[model.priors]\n'
        'y_sigma = { dist = "HalfNormal", scale = 0.5, '
        'pooled = { over = ["region", "geo"], spread = [0.5, 0.2] } }\n'
    )
    case = read(tmp_path / "case.toml")
    assert case.train.groups == panel.groups
    assert [d for d, _ in case.spec.priors["y_sigma"].pool] == ["region", "geo"]


@pytest.mark.slow(parts=6)
def test_a_fit_with_groups_is_stored_and_tabled(tmp_path):
    spec = mm.Spec(
        priors={"saturation_beta": NESTED, "intercept": pooled(Prior("Normal", scale=0.3))},
        adstock=mm.adstock.Geometric(3),
        seasonality=None,
    )
    fit = mm.fit(spec, grouped_panel(), mm.HMC(chains=2, warmup=100, draws=50, until=None))
    table = mm.summary(fit).set_index(["parameter", "index"])
    wanted = {("intercept", "g3"), ("intercept_typical", ""), ("intercept_spread", ""),
              ("saturation_beta", "g0, tv"), ("saturation_beta_country", "CH, tv"),
              ("saturation_beta_region_spread", "tv")}  # fmt: skip
    assert wanted <= set(table.index)
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    assert again.panel.groups == fit.panel.groups
    pd.testing.assert_frame_equal(mm.summary(again), mm.summary(fit))
    assert np.isfinite(mm.prior_posterior(fit)["posterior_mean"]).all()
    rows = mm.predict(fit, fit.panel, draws=False)
    assert rows.sizes["geo"] == 6


def test_a_dim_that_a_prior_leaves_out_is_said():
    priors = {
        "adstock_alpha": Prior("Beta", alpha=1.0, beta=3.0, dims=()),
        "saturation_lam": Prior("Gamma", alpha=3.0, beta=1.0, dims=("geo", "channel")),
    }
    found = {f.where: f for f in prepare(mm.Spec(priors=priors), geo_panel()).findings}
    said = found["adstock_alpha",]
    assert said.code == "dims_dropped"
    assert "one value for all channels" in said.what
    assert ("saturation_lam",) not in found
    name, line = said.remedy.split("those of ")[1].split(" under")[0].split(" = ", 1)
    free = Prior.from_dict(tomllib.loads(f"x = {line}")["x"])
    assert mm.Spec(priors={name: free}).priors[name].dims == ("channel",)


def test_the_default_is_pooled_over_geos_and_plain_with_one():
    spec = mm.Spec()
    pooled_ = {n: p.pool for n, p in spec.priors.items() if p.pool}
    assert set(pooled_) == {"intercept", "saturation_beta", "gamma_fourier", "y_sigma"}
    one = prepare(spec, national_panel()).spec
    assert not any(p.pool for p in one.priors.values())
    assert one.dims("intercept") == ()
    found = prepare(spec, geo_panel())
    assert not [f for f in found.findings if f.code in ("dims_dropped", "not_pooled")]
    trace = handlers.trace(handlers.seed(program, jax.random.key(0)))
    names = trace.get_trace(found.spec, jax.tree.map(jnp.asarray, found.data))
    assert names["saturation_beta"]["value"].shape == (3, 3)
    assert names["saturation_beta_spread"]["value"].shape == (3,)
    assert names["adstock_alpha"]["value"].shape == (3,)


@pytest.mark.parametrize(
    "family, params",
    [("HalfNormal", {"scale": 0.2}), ("LogNormal", {"loc": -1.0, "scale": 0.5}),
     ("Gamma", {"concentration": 2.0, "rate": 4.0}), ("Normal", {"scale": 0.2})],
)  # fmt: skip
def test_another_family_leaves_what_is_pooled(family, params):
    spec = mm.Spec(priors={"saturation_beta": Prior(family, **params)})
    prior = spec.priors["saturation_beta"]
    assert [dim for dim, _ in prior.pool] == ["geo"]
    assert prior.dims == ("geo", "channel")
    spread = dict(prior.pool[0][1].params)["scale"]
    assert spread == (0.2 if family == "Normal" else 0.5)  # on the link's scale


def test_what_a_prior_with_dims_leaves_out_of_the_default_is_said():
    shared_ = Prior("HalfNormal", scale=0.2, dims="channel")
    apart = Prior("HalfNormal", scale=0.2, dims="geo")
    spec = mm.Spec(priors={"saturation_beta": shared_, "y_sigma": apart})
    found = {f.where: f for f in prepare(spec, geo_panel()).findings}
    assert found["saturation_beta",].code == "dims_dropped"
    assert "one value for all geos" in found["saturation_beta",].what
    assert found["y_sigma",].code == "not_pooled"
    quiet = prepare(spec, national_panel()).findings
    assert not {f.code for f in quiet} & {"dims_dropped", "not_pooled"}
