"""Certified max margins in every norm that offers what a solver needs.

``max_margin`` solves, ``certificate`` bounds the max margin from any weights and dual weights,
``MaxMarginSolution`` carries both bounds with their evidence, and ``Status`` says how it ended.
``SetOfOptima`` is all the optima that there may be, ``Canonical`` the one of least Frobenius norm, and
``Uniqueness`` the verdict on whether it is the only one. ``Progress`` is what a callback is told.
"""

from steepest.maxmargin import norms
from steepest.maxmargin.certificates.bounds import Bounds, certificate
from steepest.maxmargin.forms.watch import Progress
from steepest.maxmargin.optima.set import Canonical, SetOfOptima
from steepest.maxmargin.optima.uniqueness import Uniqueness
from steepest.maxmargin.separability.result import Separability, Separation
from steepest.maxmargin.solution import MaxMarginSolution, Status
from steepest.maxmargin.solve import METHODS, max_margin

__all__ = [
    "METHODS",
    "Bounds",
    "Canonical",
    "MaxMarginSolution",
    "Progress",
    "Separability",
    "Separation",
    "SetOfOptima",
    "Status",
    "Uniqueness",
    "certificate",
    "max_margin",
    "norms",
]
