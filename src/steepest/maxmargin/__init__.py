"""Certified max margins in every entry-wise and Schatten norm.

``max_margin`` solves, ``certificate`` bounds the max margin from any weights and dual weights,
``MaxMarginSolution`` carries both bounds with their evidence, and ``Status`` says how it ended.
"""

from steepest.maxmargin.certificate import Bounds, certificate
from steepest.maxmargin.solution import MaxMarginSolution, Status
from steepest.maxmargin.solve import METHODS, max_margin

__all__ = ["METHODS", "Bounds", "MaxMarginSolution", "Status", "certificate", "max_margin"]
