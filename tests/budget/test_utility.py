"""Every utility: against NumPy, increasing in the samples, differentiable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmmjax.budget import utility

ORACLES = {utility.mean_response: lambda samples, money: np.mean(samples)}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("chosen", ORACLES)
def test_contract_of_utilities(chosen):
    rng = np.random.default_rng(0)
    samples, money = (
        jnp.asarray(rng.normal(5.0, 2.0, 101)),
        jnp.asarray(rng.uniform(1, 2, 3)),
    )
    value, gradient = jax.jit(jax.value_and_grad(chosen))(samples, money)
    np.testing.assert_allclose(value, ORACLES[chosen](samples, money), rtol=1e-12)
    assert value.shape == ()
    assert (gradient >= 0).all()
    assert chosen(samples + 1.0, money) > value


def test_concave_utilities_are_listed_here():
    assert set(ORACLES) >= utility.CONCAVE
