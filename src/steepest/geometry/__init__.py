"""Norms of matrices and the steepest-descent directions that they define.

`norm` reads a name; every family of norms is a file: entry-wise, Schatten, rows and columns, blocks, and
multiples by the shape. `register_norm` and `register_norm_family` add names. `polar_factor` is the spectral
direction.
"""

from __future__ import annotations

from steepest.geometry.blocks import BlockNorm
from steepest.geometry.entrywise import Entrywise
from steepest.geometry.facts import same_norm
from steepest.geometry.names import norm, norm_label, norm_name, register_norm, register_norm_family
from steepest.geometry.polar import RANK_CUTOFF, polar_factor, singular_values_below_cutoff
from steepest.geometry.protocol import Norm
from steepest.geometry.rows import ColumnNorm, RowNorm
from steepest.geometry.schatten import Schatten
from steepest.geometry.shape_scaled import ScaledNorm

__all__ = [
    "RANK_CUTOFF",
    "BlockNorm",
    "ColumnNorm",
    "Entrywise",
    "Norm",
    "RowNorm",
    "ScaledNorm",
    "Schatten",
    "norm",
    "norm_label",
    "norm_name",
    "polar_factor",
    "register_norm",
    "register_norm_family",
    "same_norm",
    "singular_values_below_cutoff",
]
