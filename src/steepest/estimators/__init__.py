"""Estimators for scikit-learn: certified max margins, their path over ν, and steepest descent.

They need the extra [sklearn], which is asked for where one of them is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from steepest.extras import require

_HOME = {
    "GapWarning": "warnings",
    "MaxMarginClassifier": "max_margin_classifier",
    "MaxMarginPath": "max_margin_path",
    "MaxMarginPathCV": "max_margin_path_cv",
    "MarginWarning": "warnings",
    "SteepestDescentClassifier": "steepest_descent_classifier",
}

__all__ = [
    "GapWarning",
    "MarginWarning",
    "MaxMarginClassifier",
    "MaxMarginPath",
    "MaxMarginPathCV",
    "SteepestDescentClassifier",
]

if TYPE_CHECKING:
    from steepest.estimators.max_margin_classifier import MaxMarginClassifier
    from steepest.estimators.max_margin_path import MaxMarginPath
    from steepest.estimators.max_margin_path_cv import MaxMarginPathCV
    from steepest.estimators.steepest_descent_classifier import SteepestDescentClassifier
    from steepest.estimators.warnings import GapWarning, MarginWarning


def __getattr__(name: str):
    if name in _HOME:
        require("sklearn", f"steepest.estimators.{name}")
        return getattr(import_module(f"steepest.estimators.{_HOME[name]}"), name)
    raise AttributeError(f"module 'steepest.estimators' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
