"""Tensors as scikit-learn takes them: as arrays, or where they are with its array API switched on."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from tests.estimators.data import overlapping

from steepest.estimators import MaxMarginClassifier, SteepestDescentClassifier

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    "estimator", [MaxMarginClassifier(nu=0.5), SteepestDescentClassifier("max", max_iter=20)]
)
def test_a_tensor_is_an_array(estimator):
    import torch

    X, y = overlapping(classes=3)
    expected = estimator.fit(X, y).coef_
    found = estimator.fit(torch.tensor(X), torch.tensor(y))
    np.testing.assert_allclose(found.coef_, expected, rtol=1e-12)
    assert isinstance(found.predict(torch.tensor(X)), np.ndarray)


def test_with_the_array_api_tensors_stay_tensors():
    # SciPy reads its switch once, at the first import.
    code = """if True:
        import numpy as np, sklearn, torch
        from sklearn.base import clone
        from sklearn.utils.estimator_checks import check_estimator
        from tests.estimators.data import overlapping
        from steepest.estimators import MaxMarginClassifier, SteepestDescentClassifier
        X, y = overlapping(classes=3)
        for estimator in (MaxMarginClassifier(nu=0.5), SteepestDescentClassifier("max", max_iter=20)):
            make = lambda: clone(estimator)
            expected = make().fit(X, y)
            with sklearn.config_context(array_api_dispatch=True):
                found = make().fit(torch.tensor(X), torch.tensor(y))
                labels, scores = found.predict(torch.tensor(X)), found.decision_function(torch.tensor(X))
                names = make().fit(torch.tensor(X), np.array(["a", "b", "c"])[y]).predict(torch.tensor(X))
                two = make().fit(torch.tensor(X[y < 2]), torch.tensor(y[y < 2])).predict(torch.tensor(X))
            assert isinstance(labels, torch.Tensor) and isinstance(scores, torch.Tensor)
            assert (labels.numpy() == expected.predict(X)).all() and two.shape == (60,)
            assert (names == np.array(["a", "b", "c"])[labels.numpy()]).all()
            assert np.allclose(scores.numpy(), expected.decision_function(X), rtol=1e-10)
            check_estimator(make())
            if hasattr(found, "predict_proba"):
                with sklearn.config_context(array_api_dispatch=True):
                    assert isinstance(found.predict_proba(torch.tensor(X)), torch.Tensor)
    """
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "PYTHONPATH": os.pathsep.join(["src", "."])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
