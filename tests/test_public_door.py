"""Every public name resolves, twice to the same thing, and none shadows a module."""

import importlib.util
import inspect
import subprocess
import sys

import pytest

import mmmjax as mm


@pytest.mark.parametrize("name", mm.__all__)
def test_every_name_resolves_twice_to_the_same_object(name):
    assert getattr(mm, name) is getattr(mm, name)


def test_functions_share_no_name_with_a_module():
    for name in mm.__all__:
        if callable(getattr(mm, name)):
            assert importlib.util.find_spec(f"mmmjax.{name}") is None, name


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = mm.nonsense


def test_importing_changes_no_global_setting_and_loads_no_heavy_room():
    code = (
        "import sys, mmmjax; mmmjax.Panel, mmmjax.Spec, mmmjax.fit\n"
        "import jax; assert not jax.config.jax_enable_x64\n"
        "heavy = {'altair', 'arviz', 'blackjax', 'jaxopt', 'vl_convert'}\n"
        "assert not heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "space",
    ["mm", *(f"mm.{n}" for n in mm.__all__ if inspect.ismodule(getattr(mm, n)))],
)
def test_completion_lists_public_names_only(space):
    home = mm if space == "mm" else getattr(mm, space.removeprefix("mm."))
    assert dir(home) == sorted(home.__all__)
    for name in dir(home):
        thing = getattr(home, name)
        owner = getattr(thing, "__module__", None)
        assert owner is None or not isinstance(thing, type) or owner.startswith("mmmjax")
    if home is not mm:  # its namespaces are modules; nothing below one leaks an import
        assert not any(inspect.ismodule(getattr(home, name)) for name in dir(home))


@pytest.mark.slow(parts=6)
def test_facts_are_fitted_in_a_process_that_imported_arviz_first():
    """There numpyro.distributions lacks a name that numpyro.factor looks for."""
    code = (
        "import arviz; import mmmjax as mm; from mmmjax import simulate; "
        "made = simulate.generate(periods=30, channels=2, controls=0, seed=2, "
        "test_periods=0); "
        "fact = mm.facts.Lift('TV', x=1e3, delta_x=1e3, delta_y=1.0, sigma=0.5); "
        "print(mm.fit(made.spec, made.panel.with_facts([fact]), mm.Laplace(draws=50))"
        ".draws.n_draws)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "50"
