"""Engines of the spectral direction U Vᵀ: exact and iterative ones, and a choice between them."""

from __future__ import annotations

from steepest.optim.engines.choice import EXACT, Polar, engine
from steepest.optim.engines.coefficients import COEFFICIENTS
from steepest.optim.engines.iterative import Iterative
from steepest.optim.engines.spectral import spectral_direction

__all__ = ["COEFFICIENTS", "EXACT", "Iterative", "Polar", "engine", "spectral_direction"]
