"""R-hat and ESS of all parameters at once, against ArviZ one by one."""

import numpy as np
import pytest
from arviz_stats.base import array_stats

from mmmjax.infer.judge import statistics, worst


def chains(kind, seed=0, shape=(4, 801, 6)):
    """Autoregressive chains: well mixed, of different means, of different spreads."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(shape)
    x = np.empty(shape)
    x[:, 0] = noise[:, 0]
    rho = np.linspace(-0.4, 0.9, shape[2])
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    if kind == "means":
        x[0] += 0.5
    if kind == "spreads":
        x[0] *= 2.0
    if kind == "tied":
        x = np.round(x, 1)
    return np.exp(x) if kind == "skewed" else x


@pytest.mark.parametrize("kind", ["mixed", "means", "spreads", "skewed", "tied"])
def test_the_numbers_are_those_of_arviz(kind):
    x = chains(kind)
    r_hat, ess = statistics(x)
    by = np.moveaxis(x, -1, 0)
    np.testing.assert_allclose(r_hat, array_stats.rhat(by, method="rank"), atol=2e-4)
    theirs = np.minimum(
        array_stats.ess(by, method="bulk"),
        array_stats.ess(by, method="tail", prob=(0.05, 0.95)),
    )
    np.testing.assert_allclose(ess, theirs, rtol=0.03)
    assert worst({"a": x[..., :3], "b": x[..., 3:]}) == (r_hat.max(), ess.min())


@pytest.mark.parametrize(
    "what", ["constant", "one chain stands", "nan", "few", "one chain"]
)
def test_what_cannot_be_judged_is_never_converged(what):
    x = chains("mixed")
    if what == "constant":
        x[..., 2] = 1.0
    if what == "one chain stands":
        x[1, :, 2] = x[1, 0, 2]
    if what == "nan":
        x[0, 5, 2] = np.nan
    x = x[:, :3] if what == "few" else x[:1] if what == "one chain" else x
    r_hat, ess = statistics(x)
    assert r_hat[2] == np.inf
    assert ess[2] == 0
    assert np.isfinite(r_hat[0]) == (what not in ("few", "one chain"))
