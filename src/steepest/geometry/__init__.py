"""Norms of matrices and the steepest-descent directions that they define.

`norm` reads a name; `Entrywise` and `Schatten` are the two families; `polar_factor` is the spectral
direction.
"""

from __future__ import annotations

from steepest.geometry.names import norm
from steepest.geometry.norms import Entrywise, Norm, Schatten
from steepest.geometry.polar import RANK_CUTOFF, polar_factor, singular_values_below_cutoff

__all__ = [
    "RANK_CUTOFF",
    "Entrywise",
    "Norm",
    "Schatten",
    "norm",
    "polar_factor",
    "singular_values_below_cutoff",
]
