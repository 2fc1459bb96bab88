"""Utilities as a user meets them: added, written as text, refused, own functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmmjax.budget import utility as u
from mmmjax.checks import InputError

pytestmark = pytest.mark.usefixtures("x64")
SAMPLES = np.random.default_rng(0).gamma(20.0, 5.0, (30, 3))
MONEY = np.array([1.0, 2.0, 3.0])


def value(utility):
    return float(utility(SAMPLES, MONEY))


MEAN = SAMPLES.sum(1).mean()
SHARES = MONEY / MONEY.sum()
ENTROPY = -(SHARES * np.log(SHARES)).sum()


@pytest.mark.parametrize(
    ("made", "wanted", "text"),
    [
        (lambda m, e: m + 2 * e, MEAN + 2 * ENTROPY,
         "mean_response() + 2 * portfolio_entropy()"),
        (lambda m, e: m - e, MEAN - ENTROPY, "mean_response() - portfolio_entropy()"),
        (lambda m, e: m - 0.5 * e - 3, MEAN - 0.5 * ENTROPY - 3,
         "mean_response() - 0.5 * portfolio_entropy() - 3"),
        (lambda m, e: -m, -MEAN, "-mean_response()"),
        (lambda m, e: -1 * -m, MEAN, "mean_response()"),
        (lambda m, e: 3 * (2 * m), 6 * MEAN, "6 * mean_response()"),
        (lambda m, e: m / 4, MEAN / 4, "0.25 * mean_response()"),
        (lambda m, e: m * e, MEAN * ENTROPY, "mean_response() * portfolio_entropy()"),
        (lambda m, e: 2 * (m + e), 2 * (MEAN + ENTROPY),
         "2 * (mean_response() + portfolio_entropy())"),
        (lambda m, e: m * (e - m), MEAN * (ENTROPY - MEAN),
         "mean_response() * (portfolio_entropy() - mean_response())"),
        (lambda m, e: m - (e + m), -ENTROPY,
         "mean_response() - (portfolio_entropy() + mean_response())"),
        (lambda m, e: 1 - m, 1 - MEAN, "1 - mean_response()"),
        (lambda m, e: 1 + m, 1 + MEAN, "1 + mean_response()"),
        (lambda m, e: m * (e * m), MEAN**2 * ENTROPY,
         "mean_response() * (portfolio_entropy() * mean_response())"),
        (lambda m, e: m * (-2 * e), -2 * MEAN * ENTROPY,
         "mean_response() * (-2 * portfolio_entropy())"),
        (lambda m, e: np.float64(2) * m, 2 * MEAN, "2 * mean_response()"),
        (lambda m, e: m * jnp.asarray(2), 2 * MEAN, "2 * mean_response()"),
        (lambda m, e: u.roas(m - 1), MEAN / 6 - 1, "roas(of=mean_response() - 1)"),
    ],
)  # fmt: skip
def test_arithmetic_and_its_text(made, wanted, text):
    utility = made(u.mean_response(), u.portfolio_entropy())
    assert value(utility) == pytest.approx(wanted, rel=1e-12, abs=1e-9)
    assert str(utility) == repr(utility) == text
    again = u.as_utility(text)
    assert str(again) == text
    assert value(again) == pytest.approx(wanted, rel=1e-12, abs=1e-9)
    assert (again.concave, again.concave_at_total) == (
        utility.concave,
        utility.concave_at_total,
    )


@pytest.mark.parametrize("name", u.UTILITIES)
def test_every_utility_is_read_back_from_its_text(name):
    needs = {"probability_of": "target=305.5", "expected_shortfall": "1e6"}
    text = str(u.as_utility(f"{name}({needs.get(name, '')})"))
    assert text.startswith(f"{name}(")
    again = u.as_utility(text)
    assert str(again) == text
    assert again.parameters == u.as_utility(text).parameters or name == "roas"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("mean_tightness(alpha=0.9)", "mean_tightness(alpha=0.9, level=0.75)"),
        (" mean_tightness(0.9, .6) ", "mean_tightness(alpha=0.9, level=0.6)"),
        ("mean_response + 0.1*portfolio_entropy",
         "mean_response() + 0.1 * portfolio_entropy()"),
        ("probability_of(1_000_000)", "probability_of(target=1000000)"),
        ("probability_of(0.1 + 2 * 3)", "probability_of(target=6.1)"),
        ("sharpe(risk_free=-1)", "sharpe(risk_free=-1)"),
        ("roas(of=sharpe)", "roas(of=sharpe(risk_free=0))"),
        ("expected_shortfall(reference=None)", "expected_shortfall(reference=None)"),
        (u.mean_response, "mean_response()"),
        (u.mean_tightness, "mean_tightness(alpha=0.5, level=0.75)"),
        (u.sharpe(0.1 + 0.2), "sharpe(risk_free=0.30000000000000004)"),
        (u.bind(u.expected_shortfall(), SAMPLES),
         "expected_shortfall(reference=<30 draws>)"),
    ],
)  # fmt: skip
def test_what_a_user_may_give(given, text):
    assert str(u.as_utility(given)) == text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mean_tightnes", 'did you mean "mean_tightness"?'),
        ("average_response", 'did you mean "mean_response"?'),
        ("mean_tightness_score(0.5)", 'did you mean "tightness_ratio"?'),
        ("sharpe_ratio", 'did you mean "sharpe"?'),
        ("CVaR(0.9)", 'did you mean "conditional_value_at_risk"?'),
        ("nothing_like_it", "Allowed: .*adjusted_value_at_risk"),
        ("mean_tightness(alpa=1)", "the argument alpa in mean_tightness.*mean alpha="),
        ("mean_tightness(1, alpha=1)", "the argument alpha twice"),
        ("mean_response(3)", "1 arguments in mean_response.*no arguments"),
        ("probability_of", r"no target in probability_of.*probability_of\(target=\.\.\.\)"),
        (u.probability_of, "no target in probability_of"),
        ("mean_tightness(alpha=nan)", 'got "nan"'),
        ("mean_tightness(alpha=-1)", "alpha: got -1"),
        ("value_at_risk(level=95)", "level: got 95.*in \\(0, 1\\)"),
        ("mean_response ** 2", r'in the part "mean_response \*\* 2"'),
        ("mean_response / portfolio_entropy", 'in the part "mean_response / portf'),
        ("mean_response / 0", "divisor of a utility: got 0.*other than 0"),
        ("2 + 3", "a utility, its name, or a function"),
        ("", "cannot be read"),
        ("mean_response +", "cannot be read"),
        ("-None", 'in the part "None"'),
        ("mean_response(*[1])", "in the part"),
        ("__import__('os').system('true')", "in the part"),
        ("u.mean_response()", "in the part"),
        ("'mean_response'", "in the part"),
        ("(" * 500 + ")" * 500, "cannot be read"),
        ("1+" * 600 + "mean_response", "1000 characters"),
        (3.0, "utility: got 3"),
        (None, "utility: got None"),
        (np.zeros(3), "utility: got array"),
        (dict, "utility: got the class dict"),
        (u.custom, "utility: got an object of type function"),
    ],
)  # fmt: skip
def test_what_is_refused_says_what_would_do(given, said):
    with pytest.raises(InputError, match=said):
        u.as_utility(given)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: u.mean_tightness(float("nan")), "alpha: got NaN.*at least 0"),
        (lambda: u.mean_tightness(level=1.0), "level: got 1.*level=0.75"),
        (lambda: u.tightness_ratio(-0.1), "alpha: got -0.1"),
        (lambda: u.tail_distance(0.0), "level: got 0"),
        (lambda: u.value_at_risk(-0.5), "level: got -0.5"),
        (lambda: u.conditional_value_at_risk(2.0), "level: got 2"),
        (lambda: u.adjusted_value_at_risk(alpha=1.5), r"alpha: got 1.5.*in \[0, 1\]"),
        (lambda: u.raroc(level=1.0), "level: got 1"),
        (lambda: u.sharpe(float("inf")), "risk_free: got inf"),
        (lambda: u.probability_of(float("nan")), "target: got NaN.*finite"),
        (lambda: u.expected_shortfall(float("inf")), "reference: got inf"),
        (lambda: float("nan") * u.mean_response(), "factor of a utility: got NaN"),
        (lambda: u.mean_response() / 0, "divisor of a utility: got 0"),
        (lambda: u.mean_response() + float("nan"), "number added to a utility: got NaN"),
        (lambda: u.custom(3), "function: got 3 in custom"),
        (lambda: u.custom(u.mean_response()), "function: got mean_response"),
        (lambda: u.expected_shortfall()(SAMPLES, MONEY), "reference: got None.*bind"),
        (lambda: u.diversification_ratio()(SAMPLES.sum(1), MONEY),
         "samples: got 1 columns for 3 channels in diversification_ratio"),
        (lambda: u.bind(u.roas(u.expected_shortfall()), SAMPLES), "reference_budgets: got"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_refused_at_the_door(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_arithmetic_with_what_is_no_number_is_a_type_error():
    for other in ("2", None, np.zeros(2), True, [1.0]):
        with pytest.raises(TypeError):
            u.mean_response() + other
        with pytest.raises(TypeError):
            other * u.mean_response()
    with pytest.raises(TypeError):
        u.mean_response() / u.sharpe()


def best_share(samples, budgets):
    return samples.mean() * (budgets / budgets.sum()).max()


def test_a_function_is_a_utility():
    made = u.as_utility(best_share)
    assert value(made) == pytest.approx(MEAN / 2)
    assert str(2 * made) == "2 * best_share"
    assert (made.concave, made.per_channel) == (False, False)
    assert u.check(made, 3) is made
    each = u.custom(lambda s, b: (s.mean(0) / b).min(), per_channel=True, name="worst")
    assert str(each) == "worst"
    assert value(each) == pytest.approx((SAMPLES.mean(0) / MONEY).min())
    assert u.check(each + u.expected_shortfall(), 3)
    assert u.check(each, 3, SAMPLES, MONEY) is each
    count = u.custom(lambda s, b: (s > 300).sum())
    assert value(u.check(count, 3)) == (SAMPLES.sum(1) > 300).sum()
    assert u.check(u.mean_response(), 3)


def raises(samples, budgets):
    raise KeyError("tv")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda s, b: s, r"a result of shape \(32,\) in <lambda>.*one number"),
        (lambda s, b: None, "NoneType as result"),
        (lambda s, b: (s.mean(), 1.0), "tuple as result"),
        (lambda s, b: 1j * s.mean(), "a complex result"),
        (lambda s, b: jnp.log(-s.mean()), "NaN at made-up numbers, in .*<lambda>.*guard"),
        (lambda s, b: s.mean() / 0.0, "got inf"),
        (lambda s, b: jnp.sqrt((s - s).sum()), "a gradient that is not finite"),
        (lambda s, b: np.quantile(s, 0.1), "cannot be traced.*jnp.quantile for np.q"),
        (lambda s, b: s.mean() if s.mean() > 0 else 0.0, "cannot be traced"),
        (lambda s, b: float(s.mean()), "cannot be traced"),
        (lambda s, b: s[s > 0].mean(), "cannot be traced"),
        (raises, "raises KeyError: 'tv'"),
        (lambda s: s.mean(), "raises TypeError.*shapes \\(32,\\) and \\(3,\\)"),
        (lambda s, b: s @ b, "raises TypeError"),
    ],
)  # fmt: skip
def test_a_function_that_cannot_be_used_is_refused_in_one_message(function, said):
    for utility in (u.custom(function), 2 * u.custom(function) + u.mean_response()):
        with pytest.raises(InputError, match=said) as caught:
            u.check(utility, 3)
        assert len(str(caught.value)) < 600


def test_a_function_without_a_hash_is_refused():
    class Mine:
        __hash__ = None

        def __call__(self, samples, budgets):
            return samples.mean()

    with pytest.raises(InputError, match="can be hashed"):
        u.as_utility(Mine())


def test_utilities_pass_through_compiled_functions():
    made = u.mean_tightness(0.9) + 3 * u.roas(u.sharpe())
    leaves, tree = jax.tree.flatten(made)
    assert len(leaves) == 4
    assert str(jax.tree.unflatten(tree, leaves)) == str(made)
