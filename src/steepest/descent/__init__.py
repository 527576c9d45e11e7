"""Steepest descent: methods, the engines that run them, and the trajectories that come out."""

from __future__ import annotations

from steepest.descent.method import Method
from steepest.descent.run import descend
from steepest.descent.trajectory import Trajectory

__all__ = ["Method", "Trajectory", "descend"]
