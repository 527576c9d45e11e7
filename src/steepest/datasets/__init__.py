"""Data sets: the paper's random ones, real data, and the user's own files."""

from __future__ import annotations

from steepest.datasets.catalogue import NAMES, load
from steepest.datasets.files import from_file
from steepest.datasets.real import digits
from steepest.datasets.synthetic import gaussian, mixture, orthogonal_scale_skewed

__all__ = ["NAMES", "digits", "from_file", "gaussian", "load", "mixture", "orthogonal_scale_skewed"]
