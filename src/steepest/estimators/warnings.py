"""Warnings of estimators, which filters of steepest and of scikit-learn both know."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning

from steepest.errors import SteepestWarning

__all__ = ["GapWarning", "MarginWarning"]


class MarginWarning(SteepestWarning, ConvergenceWarning):
    """There is no margin as it was asked for, positive and bounded; the message says what is fitted."""


class GapWarning(SteepestWarning, ConvergenceWarning):
    """A fit ended before its certified gap was the one asked for; the message has both."""
