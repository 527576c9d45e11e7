"""Data that scikit-learn ships, and what is said where it is missing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from steepest.datasets import digits


@pytest.mark.sklearn
def test_digits_are_scikit_learns_images_scaled_to_one():
    from sklearn.datasets import load_digits

    problem = digits()
    pixels, labels = load_digits(return_X_y=True)
    np.testing.assert_array_equal(np.asarray(problem.features) * 16, pixels)
    np.testing.assert_array_equal(problem.labels, labels)
    assert problem.features.max() == 1.0
    assert problem.name == "digits"


def test_without_scikit_learn_the_extra_is_named():
    code = "import sys; sys.modules['sklearn'] = None; import steepest as st; st.datasets.digits()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "steepest.errors.MissingExtra: the digits data needs scikit-learn: "
        "run pip install 'steepest[sklearn]'"
    )
