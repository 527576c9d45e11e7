"""Norms of matrices and the steepest-descent directions that they define."""

from __future__ import annotations

from steepest.geometry.names import norm
from steepest.geometry.norms import Entrywise, Norm, Schatten
from steepest.geometry.polar import RANK_CUTOFF, polar_factor

__all__ = ["RANK_CUTOFF", "Entrywise", "Norm", "Schatten", "norm", "polar_factor"]
