"""The checks of types are on in all tests, for axes and for everything else."""

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintParamViolation
from jaxtyping import TypeCheckError

from mmmjax import words
from mmmjax.kernels import adstock


def test_axes_must_agree_within_a_call():
    media, retention = np.zeros((2, 30), "float32"), np.zeros(2, "float32")
    adstock.geometric(media, retention, 4)
    with pytest.raises(TypeCheckError, match="retention"):
        adstock.geometric(media, np.zeros(3, "float32"), 4)


def test_other_arguments_are_of_their_kind():
    with pytest.raises(BeartypeCallHintParamViolation):
        words.large("much")
