"""Every adstock beside every saturation, a media term each: sampled, kept, planned."""

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm

ADSTOCKS = [kind for kind in mm.registry()["adstock"] if kind != "mixed"]
SATURATIONS = [kind for kind in mm.registry()["saturation"] if kind != "mixed"]
WEEKS = 40
BENT = {"hill", "hill_sigmoid"}


def panel():
    """A channel an adstock; the last weeks are for a forecast."""
    rng = np.random.default_rng(0)
    columns = {f"of {kind}": rng.gamma(2.0, 50.0, WEEKS) for kind in ADSTOCKS}
    frame = pd.DataFrame(columns).assign(
        week=pd.date_range("2023-01-01", periods=WEEKS, freq="W"),
        sales=900 + 100 * rng.random(WEEKS) + sum(columns.values()),
    )
    made = mm.Panel.from_frame(frame, date="week", outcome="sales", media=list(columns))
    return made.split(made.dates[35])


@pytest.mark.slow(parts=20)  # one share may have none, another two
@pytest.mark.parametrize("shift", range(len(SATURATIONS)))
def test_every_pair_goes_through_everything(shift, tmp_path):
    """Ten fits of seven terms have all seventy pairs; certified where they may be."""
    curves = [SATURATIONS[(i + shift) % len(SATURATIONS)] for i in range(len(ADSTOCKS))]
    lines = [
        f'"of {carry}" = {{ adstock = {{ kind = "{carry}" }}, '
        f'saturation = {{ kind = "{curve}" }}, adstock_first = {str(i != shift).lower()} }}'
        for i, (carry, curve) in enumerate(zip(ADSTOCKS, curves, strict=True))
    ]
    text = "\n".join(["[model]", "seasonality = false", "[model.channels]", *lines])
    spec, (train, test) = mm.Spec.from_toml(text), panel()
    fit = mm.fit(spec, train, mm.HMC(chains=2, warmup=50, draws=20, until=None), seed=0)
    assert all(np.isfinite(x).all() for x in fit.draws.params.values())
    mm.save(fit, tmp_path / "fit.nc")
    kept = mm.load(tmp_path / "fit.nc")
    assert kept.spec == fit.spec
    parts = mm.contributions(kept).sel(summary="mean")
    media = parts["channel_contribution"].sum("channel")
    np.testing.assert_allclose(
        media + parts["intercept_contribution"], parts["mu"], rtol=1e-4
    )
    assert np.isfinite(mm.predict(kept, test, seed=1)["outcome"]).all()
    table = mm.tables.carryover(kept)
    assert table.drop(columns=["channel", "geo"]).notna().all(axis=None)
    plan = mm.optimize(kept, periods=4, starts=2)
    assert np.isfinite(plan.objective)
    if not BENT & {*curves}:
        assert plan.certified
    if "hill_sigmoid" in curves:
        assert not plan.certified
