"""The one function of scikit-learn that moved between its versions 1.5 and 1.6."""

from __future__ import annotations

from typing import Any

from sklearn.utils import validation

__all__ = ["validate_data"]


def validate_data(estimator: Any, *arrays: Any, **settings: Any) -> Any:
    """Check features, and labels where they are given, and keep or compare the names of the features."""
    if hasattr(validation, "validate_data"):
        return validation.validate_data(estimator, *arrays, **settings)
    return estimator._validate_data(*arrays, **settings)
