"""Warnings of estimators, which filters of steepest and of scikit-learn both know."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning

from steepest.errors import SteepestWarning

__all__ = ["GapWarning", "NotSeparableWarning"]


class NotSeparableWarning(SteepestWarning, ConvergenceWarning):
    """No weights have a positive margin as it was asked for; the message says what the fit is instead."""


class GapWarning(SteepestWarning, ConvergenceWarning):
    """A fit ended before its certified gap was the one asked for; the message has both."""
