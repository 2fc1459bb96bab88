"""Every utility: against NumPy, differentiable, smoothed towards the exact, bounded."""

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmmjax.budget import smoothing
from mmmjax.budget import utility as u
from mmmjax.budget.utility import Smoothing

pytestmark = pytest.mark.usefixtures("x64")
seeds = st.integers(0, 2**32 - 1)
CHANNELS = 4
SIZE = 400.0  # of a typical response: four channels of about 100
SHARES = (0.0, 1e-12, 0.01, 0.3)


def quantile(s, p):
    return np.quantile(s, p)


def tail(s, c):
    return abs(quantile(s, c) - s.mean()) + abs(s.mean() - quantile(s, 1 - c))


def worst(s, level):
    """Mean of the worst draws by water-filling, draw after draw."""
    left = room = (1 - level) * len(s)
    total = 0.0
    for x in sorted(s):
        take = min(1.0, left)
        total, left = total + take * x, left - take
    return total / room


def nats(money):
    shares = money[money > 0] / money.sum()
    return -(shares * np.log(shares)).sum()


@dataclasses.dataclass(frozen=True)
class Case:
    """A utility and what is known about it; `scale` and `shift`: U(cs) = c^scale U(s) and
    U(s + c per channel) = U(s) + shift * channels * c."""

    make: Callable[[], u.Utility]
    oracle: Callable[[Any, Any, Any], Any]  # summed samples, money, samples by channel
    scale: int | None = None
    shift: int | None = None


CASES = {
    "mean_response": Case(u.mean_response, lambda s, b, x: s.mean(), 1, 1),
    "tail_distance": Case(lambda: u.tail_distance(0.8), lambda s, b, x: tail(s, 0.8), 1, 0),
    "mean_tightness": Case(
        lambda: u.mean_tightness(0.9, 0.7),
        lambda s, b, x: s.mean() - 0.9 * tail(s, 0.7), 1, 1,
    ),
    "tightness_ratio": Case(
        lambda: u.tightness_ratio(0.9),
        lambda s, b, x: 1 - 0.9 * tail(s, 0.75) / s.mean(), 0,
    ),
    "value_at_risk": Case(
        lambda: u.value_at_risk(0.9), lambda s, b, x: quantile(s, 1 - 0.9), 1, 1
    ),
    "conditional_value_at_risk": Case(
        lambda: u.conditional_value_at_risk(0.83), lambda s, b, x: worst(s, 0.83), 1, 1
    ),
    "adjusted_value_at_risk": Case(
        lambda: u.adjusted_value_at_risk(0.9, 0.3),
        lambda s, b, x: 0.7 * s.mean() + 0.3 * quantile(s, 1 - 0.9), 1, 1,
    ),
    "sharpe": Case(u.sharpe, lambda s, b, x: s.mean() / s.std(ddof=1), 0),
    "sharpe over 300": Case(
        lambda: u.sharpe(300.0), lambda s, b, x: (s.mean() - 300) / s.std(ddof=1)
    ),
    "raroc": Case(
        lambda: u.raroc(0.9, 7.0),
        lambda s, b, x: (s.mean() - 7) / (s.mean() - quantile(s, 1 - 0.9)),
    ),
    "probability_of": Case(
        lambda: u.probability_of(410.0), lambda s, b, x: np.mean(s >= 410)
    ),
    "expected_shortfall": Case(
        lambda: u.expected_shortfall(410.0), lambda s, b, x: -np.maximum(410 - s, 0).mean()
    ),
    "profit": Case(lambda: u.profit(0.4), lambda s, b, x: 0.4 * s.mean() - b.sum()),
    "portfolio_entropy": Case(u.portfolio_entropy, lambda s, b, x: nats(b), 0, 0),
    "diversification_ratio": Case(
        u.diversification_ratio,
        lambda s, b, x: x.std(0, ddof=1).sum() / s.std(ddof=1), 0,
    ),
    "roas": Case(u.roas, lambda s, b, x: s.mean() / b.sum(), 1),
    "roas of the worst": Case(
        lambda: u.roas(u.conditional_value_at_risk(0.8)),
        lambda s, b, x: worst(s / b.sum(), 0.8), 1,
    ),
    "sum": Case(
        lambda: 2 * u.conditional_value_at_risk(0.8) + u.mean_response() - 5,
        lambda s, b, x: 2 * worst(s, 0.8) + s.mean() - 5, None, 3,
    ),
    "mixed": Case(
        lambda: u.mean_response() / 4 + 30 * u.portfolio_entropy(),
        lambda s, b, x: s.mean() / 4 + 30 * nats(b),
    ),
    "product": Case(
        lambda: u.mean_response() * u.portfolio_entropy() - u.tail_distance(),
        lambda s, b, x: s.mean() * nats(b) - tail(s, 0.75), 1,
    ),
    "custom": Case(
        lambda: u.custom(lambda s, b: jnp.log(s.mean()) - 0.1 * b.sum()),
        lambda s, b, x: np.log(s.mean()) - 0.1 * b.sum(),
    ),
    "custom by channel": Case(
        lambda: u.custom(lambda s, b: s.mean(0).min(), per_channel=True, concave=True),
        lambda s, b, x: x.mean(0).min(), 1,
    ),
}  # fmt: skip
MADE = {name: case.make() for name, case in CASES.items()}
CONCAVE = {
    "mean_response", "conditional_value_at_risk", "expected_shortfall", "sum",
    "custom by channel", "profit",
}  # fmt: skip
AT_TOTAL = CONCAVE | {"portfolio_entropy", "roas", "roas of the worst", "mixed"}


def made_up(seed=0, draws=30):
    """One number of draws for most tests: a utility compiles once for all of them."""
    rng = np.random.default_rng(seed)
    return rng, rng.gamma(20.0, 5.0, (draws, CHANNELS)), rng.uniform(1.0, 3.0, CHANNELS)


class Look(NamedTuple):
    value: Any
    ceiling: Any
    slopes: Any  # of the value in (samples, budgets)
    above: Any  # of the ceiling
    exact: Any


def look(utility, samples, budgets, share=0.0, size=SIZE):
    """Everything about a utility in one program, whose arguments are all runtime ones."""
    return _look(utility, samples, budgets, share, size)


@jax.jit
def _look(utility, samples, budgets, share, size):
    how = Smoothing(share, size)
    found, back = jax.vjp(lambda s, b: utility.smooth(s, b, how), samples, budgets)
    one, zero = jnp.ones(()), jnp.zeros(())
    slopes, above = back(u.Smooth(one, zero)), back(u.Smooth(zero, one))
    return Look(*found, slopes, above, utility(samples, budgets))


def exact(utility, samples, budgets):
    return float(look(utility, samples, budgets).exact)


def test_every_factory_has_a_case():
    kinds = {made.kind for made in MADE.values()}
    assert set(u.UTILITIES) <= kinds
    assert all(name in u.__all__ for name in (*u.UTILITIES, "custom"))


@pytest.mark.parametrize("draws", [2, 30])
@pytest.mark.parametrize("name", CASES)
def test_exact_value_is_that_of_numpy(name, draws):
    _, x, money = made_up(draws=draws)
    wanted = CASES[name].oracle(x.sum(1), money, x)
    found = look(MADE[name], x, money)
    assert found.exact.shape == ()
    np.testing.assert_allclose(found.exact, wanted, rtol=1e-12)
    np.testing.assert_allclose(found.value, wanted, rtol=1e-12)


def test_summed_samples_do_where_channels_are_not_needed():
    _, x, money = made_up()
    for name, made in MADE.items():
        if not made.per_channel and name[:6] != "custom":
            wanted = exact(made, x, money)
            np.testing.assert_allclose(made(x.sum(1), money), wanted, rtol=1e-12)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", CASES)
def test_gradient_is_that_of_central_differences(name, share):
    rng, x, money = made_up(1)
    gradients = look(MADE[name], x, money, share).slopes
    for _ in range(4):
        step = 1e-6 * rng.normal(size=x.shape), 1e-6 * rng.normal(size=CHANNELS)
        up = look(MADE[name], x + step[0], money + step[1], share).value
        down = look(MADE[name], x - step[0], money - step[1], share).value
        found = sum((g * s).sum() for g, s in zip(gradients, step, strict=True))
        size = sum(np.linalg.norm(g * s) for g, s in zip(gradients, step, strict=True))
        value = abs(float(up))
        np.testing.assert_allclose(
            found, (up - down) / 2, rtol=0, atol=1e-6 * size + 4e-15 * value
        )


@pytest.mark.parametrize("name", CASES)
def test_less_smoothing_is_nearer_to_the_exact_value(name):
    _, x, money = made_up(2)
    wanted = float(exact(MADE[name], x, money))
    spread = abs(wanted) + float(x.sum(1).std())
    misses = [
        abs(float(look(MADE[name], x, money, share).value) - wanted)
        for share in (0.3, 0.03, 1e-3, 1e-5, 1e-9)
    ]
    assert misses[-1] <= 1e-6 * spread
    assert misses[-2] <= 2e-2 * spread
    assert all(b <= a + 1e-2 * spread for a, b in pairwise(misses))


def edges():
    _, x, money = made_up(3)
    flat, none = np.full_like(x, 100.0), np.zeros_like(x)
    ties = np.round(x / 50) * 50
    one_off = x * np.array([1.0, 1.0, 0.0, 1.0])
    hedged = np.stack([x[:, 0], 200 - x[:, 0], none[:, 0], none[:, 0]], axis=1)
    idle = np.zeros(CHANNELS)
    return {
        "nothing": (none, idle),
        "no money": (x, idle),
        "no response": (none, money),
        "no variance": (flat, money),
        "ties": (ties, money),
        "a channel without spend": (one_off, money * np.array([1.0, 1.0, 0.0, 1.0])),
        "one channel": (x * np.eye(4)[0], money * np.eye(4)[0]),
        "hedged": (hedged, money),
        "losses": (-x, money),
        "one draw": (x[:1], money),
        "two draws": (x[:2], money),
        "tiny": (1e-30 * x, 1e-30 * money),
        "huge": (1e30 * x, 1e30 * money),
    }


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("edge", edges())
def test_nothing_is_ever_nan(edge, share):
    x, money = edges()[edge]
    for name, made in MADE.items():
        if name == "custom":  # the logarithm is the user's
            continue
        for leaf in jax.tree.leaves(look(made, x, money, share)):
            assert np.isfinite(leaf).all(), (name, leaf)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_batch_of_plans_is_never_nan_either(share):
    x, money = (np.stack(z) for z in zip(*list(edges().values())[:8], strict=True))
    made = MADE["sum"] + MADE["roas of the worst"] + MADE["mean_tightness"]
    batch = jax.vmap(look, (None, 0, 0, None))(made, x, money, share)
    for k, pair in enumerate(zip(x, money, strict=True)):
        one = look(made, *pair, share)
        for a, b in zip(jax.tree.leaves(batch), jax.tree.leaves(one), strict=True):
            assert np.isfinite(a).all()
            if k not in (3, 4):  # ties may go either way
                np.testing.assert_allclose(a[k], b, rtol=1e-9, atol=1e-9)


def test_values_at_the_edges_are_those_documented():
    x, money = edges()["no variance"]
    assert exact(u.sharpe(), x, money) == pytest.approx(1e9)
    assert exact(u.sharpe(), -x, money) == pytest.approx(-1e9)
    assert exact(u.raroc(), x, money) == pytest.approx(1e9)
    assert exact(u.sharpe(), 0 * x, money) == 0
    assert exact(u.diversification_ratio(), x, money) == 1
    assert exact(u.tightness_ratio(), 0 * x, money) == 1
    assert exact(u.tightness_ratio(), -edges()["ties"][0], money) < -1e6
    assert exact(u.portfolio_entropy(), x, np.ones(CHANNELS)) == pytest.approx(np.log(4))
    only = np.eye(CHANNELS)[0]
    assert abs(exact(u.portfolio_entropy(), x, only)) < 1e-14
    assert exact(u.portfolio_entropy(), x, 0 * only) == 0
    assert exact(u.roas(), x, 0 * only) == 0


def test_entropy_pulls_spend_into_an_empty_channel():
    x, _ = edges()["no variance"]
    slopes = look(u.portfolio_entropy(), x, np.array([1.0, 1, 0, 1])).slopes[1]
    assert 10 < slopes[2] - slopes[0] < 100


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("draws", [1, 2, 500, 513])
def test_draws_are_ordered_by_their_bits(draws, dtype):
    """Any sign, size and tie; the last bits, which hold the index, may be out of order."""
    rng = np.random.default_rng(draws)
    wide = rng.normal(size=draws) * 10.0 ** rng.uniform(-30, 30, draws)
    tied = rng.integers(-3, 4, draws) * 1.0
    for s in (wide, -np.abs(wide), tied, tied * -0.0, 1e9 + np.arange(draws)[::-1] * 1e-2):
        s = s.astype(dtype)
        order = np.asarray(smoothing.order_of(jnp.asarray(s)))
        np.testing.assert_array_equal(np.sort(order), np.arange(draws))
        size = np.maximum(np.abs(s[order][1:]), np.abs(s[order][:-1]))
        assert (np.diff(s[order].astype(float)) >= -1e-12 * size).all()


@pytest.mark.parametrize("level", [0.25, 0.5, 0.9])
def test_slope_of_a_quantile_is_that_of_its_order_statistics(level):
    _, x, money = made_up(4, 11)
    s = x.sum(1)
    at = (1 - level) * 10
    wanted = np.zeros(11)
    order = np.argsort(s)
    wanted[order[int(at)]] += 1 - (at - int(at))
    if at > int(at):
        wanted[order[int(at) + 1]] += at - int(at)
    found = look(u.value_at_risk(level), x, money).slopes[0]
    np.testing.assert_allclose(found, np.repeat(wanted[:, None], CHANNELS, 1), atol=1e-13)


@pytest.mark.parametrize("share", [0.5, 0.1, 1e-3, 1e-6])
@given(seed=seeds, level=st.floats(0.01, 0.99), draws=st.sampled_from([2, 30]))
def test_smoothed_worst_mean_is_the_minimum_it_is_said_to_be(share, seed, level, draws):
    """First-order conditions of the quadratic programme, by bisection on its multiplier."""
    rng, x, money = made_up(seed, draws)
    s = np.round(x.sum(1)) if rng.random() < 0.3 else x.sum(1)
    cap, mu = 1 / ((1 - level) * draws), share * SIZE
    low, high = s.min() - mu * draws, s.max() + mu * draws
    for _ in range(200):
        middle = 0.5 * (low + high)
        w = np.clip(1 / draws - (s - middle) / (mu * draws), 0, cap)
        low, high = (middle, high) if w.sum() < 1 else (low, middle)
    wanted = w @ s + mu / 2 * draws * ((w - 1 / draws) ** 2).sum()
    utility = u.conditional_value_at_risk(level)
    found = look(utility, s[:, None], money, share)
    np.testing.assert_allclose(found.value, wanted, rtol=1e-9)
    assert found.ceiling >= found.exact - 1e-9


@pytest.mark.parametrize("name", sorted(AT_TOTAL))
@given(seed=seeds, share=st.sampled_from([0.0, 1e-3, 0.1, 0.5]), wild=st.booleans())
def test_ceiling_lies_above_the_exact_utility_everywhere(name, seed, share, wild):
    made = MADE[name]
    rng, x, money = made_up(seed)
    elsewhere = x * rng.lognormal(0, 1.0 if wild else 0.1, x.shape)
    elsewhere = np.round(elsewhere, -1) if wild else elsewhere
    away = rng.dirichlet(np.full(CHANNELS, 0.1 if wild else 10)) * money.sum()
    if wild:
        money = rng.permutation(np.array([0.0, 0.0, 0.5, 0.5])) * money.sum()
    found = look(made, x, money, share)
    slopes, above = found.slopes, found.above
    np.testing.assert_allclose(slopes[0], above[0], atol=1e-12)
    apart = slopes[1] - above[1]  # that of ROAS: the same for all budgets
    np.testing.assert_allclose(apart, apart.mean(), atol=1e-11)
    bound = found.ceiling + (slopes[0] * (elsewhere - x)).sum() + slopes[1] @ (away - money)
    value = float(exact(made, elsewhere, away))
    assert bound >= value - 1e-10 * max(abs(value), 1.0)
    assert found.value >= found.exact - 1e-10 * SIZE


@pytest.mark.parametrize("name", sorted(CONCAVE))
@given(seed=seeds)
def test_concave_utilities_increase_in_every_sample(name, seed):
    rng, x, money = made_up(seed)
    more = x + rng.exponential(5.0, x.shape) * (rng.random(x.shape) < 0.3)
    assert exact(MADE[name], more, money) >= exact(MADE[name], x, money) - 1e-10
    for share in SHARES:
        assert (look(MADE[name], x, money, share).slopes[0] >= 0).all()


def test_concavity_is_claimed_only_where_it_is_proven():
    assert {name for name, made in MADE.items() if made.concave} == CONCAVE
    assert {name for name, made in MADE.items() if made.concave_at_total} == AT_TOTAL
    cvar, mean = u.conditional_value_at_risk(), u.mean_response()
    assert (0 * cvar + mean).concave
    assert not (-cvar).concave
    assert not (mean - cvar).concave
    assert not (mean * cvar).concave
    assert not (mean + u.value_at_risk()).concave_at_total


def test_what_needs_smoothing_and_channels_says_so():
    rough = {name for name, made in MADE.items() if made.needs_smoothing}
    smooth_ones = {
        "mean_response", "sharpe", "sharpe over 300", "portfolio_entropy", "roas", "mixed",
        "diversification_ratio", "custom", "custom by channel", "profit",
    }  # fmt: skip
    assert rough == set(MADE) - smooth_ones
    by_channel = {name for name, made in MADE.items() if made.per_channel}
    assert by_channel == {"diversification_ratio", "custom by channel"}
    assert u.roas(u.diversification_ratio() + u.value_at_risk()).per_channel


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize("name", CASES)
@given(seed=seeds, factor=st.sampled_from([1e-3, 0.5, 1e6]))
def test_units_origin_and_order_of_draws_do_not_matter(name, share, seed, factor):
    case, made = CASES[name], MADE[name]
    rng, x, money = made_up(seed)
    value = look(made, x, money, share).value
    shuffled = rng.permutation(x)
    np.testing.assert_allclose(look(made, shuffled, money, share).value, value, rtol=1e-10)
    if case.scale is not None:
        found = look(made, factor * x, money, share, factor * SIZE).value
        np.testing.assert_allclose(found, factor**case.scale * value, rtol=1e-10)
    if case.shift is not None:
        found = look(made, x + 7.0, money, share).value
        wanted = value + 7.0 * CHANNELS * case.shift
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-9)


def test_other_numbers_compile_nothing():
    _, x, money = made_up()
    for name, others in {
        "mean_tightness": [u.mean_tightness(a, c) for a, c in ((0.5, 0.6), (2, 0.9))],
        "sum": [
            f * u.conditional_value_at_risk(c) + u.mean_response() + f
            for f, c in ((0.1, 0.5), (7, 0.95))
        ],
        "roas": [u.roas(u.expected_shortfall(r)) for r in (1.0, 2.5)],
    }.items():
        chex.clear_trace_counter()

        @jax.jit
        @chex.assert_max_traces(n=1)
        def run(utility, samples, budgets, share):
            return utility.smooth(samples, budgets, Smoothing(share, SIZE)).value

        values = {float(run(o, x, money, s)) for o in others for s in (0.0, 0.1)}
        assert len(values) > 1, name


def test_functions_of_users_compile_once():
    def mine(samples, budgets):
        calls.append(1)
        return samples.mean()

    calls = []
    _, x, money = made_up()
    exact(u.custom(mine), x, money)
    traced = len(calls)
    for _ in range(3):
        exact(u.custom(mine), x, money)
    assert len(calls) == traced


def test_expected_shortfall_compares_draw_by_draw_with_the_bound_reference():
    rng, x, money = made_up(5)
    before, paid = rng.gamma(20.0, 5.0, x.shape), money * 2
    bound = u.bind(u.expected_shortfall(), before, paid)
    wanted = -np.maximum(before.sum(1) - x.sum(1), 0).mean()
    np.testing.assert_allclose(exact(bound, x, money), wanted, rtol=1e-12)
    mixed = u.mean_response() - 2 * -u.roas(u.expected_shortfall())
    found = exact(u.bind(mixed, before.sum(1), paid), x, money)
    per_money = before.sum(1) / paid.sum() - x.sum(1) / money.sum()
    wanted = x.sum(1).mean() - 2 * np.maximum(per_money, 0).mean()
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    same = u.mean_response() + u.expected_shortfall(3.0)
    assert u.bind(same, before) is same
