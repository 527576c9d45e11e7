"""Steepest descent in any norm: exact directions, certified max margins, the paper's experiments."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "1.0.0rc1"

_HOME = {
    "BlockNorm": "steepest.geometry",
    "Classification": "steepest.problem",
    "ColumnNorm": "steepest.geometry",
    "Entrywise": "steepest.geometry",
    "MaxMarginSolution": "steepest.maxmargin",
    "Method": "steepest.descent",
    "PolynomialDecay": "steepest.schedules",
    "RowNorm": "steepest.geometry",
    "ScaledNorm": "steepest.geometry",
    "Schatten": "steepest.geometry",
    "Separability": "steepest.maxmargin",
    "SteepestError": "steepest.errors",
    "SteepestWarning": "steepest.errors",
    "Trajectory": "steepest.descent",
    "descend": "steepest.descent",
    "max_margin": "steepest.maxmargin",
    "norm": "steepest.geometry",
    "separability": "steepest.maxmargin.separability.decision",
}
_ROOMS = (
    "datasets",
    "descent",
    "errors",
    "estimators",
    "experiments",
    "geometry",
    "losses",
    "maxmargin",
    "monitor",
    "optim",
    "signals",
    "theory",
)

__all__ = [
    "BlockNorm",
    "Classification",
    "ColumnNorm",
    "Entrywise",
    "MaxMarginSolution",
    "Method",
    "PolynomialDecay",
    "RowNorm",
    "ScaledNorm",
    "Schatten",
    "Separability",
    "SteepestError",
    "SteepestWarning",
    "Trajectory",
    "__version__",
    "datasets",
    "descend",
    "descent",
    "errors",
    "estimators",
    "experiments",
    "geometry",
    "losses",
    "max_margin",
    "maxmargin",
    "monitor",
    "norm",
    "optim",
    "separability",
    "signals",
    "theory",
]

if TYPE_CHECKING:
    from steepest import (
        datasets,
        descent,
        errors,
        estimators,
        experiments,
        geometry,
        losses,
        maxmargin,
        monitor,
        optim,
        signals,
        theory,
    )
    from steepest.descent import Method, Trajectory, descend
    from steepest.errors import SteepestError, SteepestWarning
    from steepest.geometry import BlockNorm, ColumnNorm, Entrywise, RowNorm, ScaledNorm, Schatten, norm
    from steepest.maxmargin import MaxMarginSolution, Separability, max_margin
    from steepest.maxmargin.separability.decision import separability
    from steepest.problem import Classification
    from steepest.schedules import PolynomialDecay


def __getattr__(name: str):
    # Imported on first use, so that `import steepest` and `steepest --help` stay quick.
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _ROOMS:
        return import_module(f"steepest.{name}")
    raise AttributeError(f"module 'steepest' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
