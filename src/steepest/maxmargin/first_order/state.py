"""What the compiled first-order loops are given: tuples of arrays, whose types are part of the kept code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Data", "Iterate", "Scratch", "State"]


class Data(NamedTuple):
    """What stays the same."""

    X: np.ndarray
    """Features, shape [n, d]."""
    y: np.ndarray
    """Class of each sample, shape [n]."""
    size: float
    """Norm of the operator W ↦ margins."""


class Iterate(NamedTuple):
    """Weights [k, d], dual weights [n, k] and the margins [n, k] of the weights."""

    W: np.ndarray
    q: np.ndarray
    M: np.ndarray


class Scratch(NamedTuple):
    """A(q) [k, d], another matrix of that shape, and one of shape [n, k]."""

    A: np.ndarray
    spare: np.ndarray
    target: np.ndarray


class State(NamedTuple):
    """What iterations change, in place."""

    current: Iterate
    new: Iterate
    anchor: Iterate
    scratch: Scratch
    numbers: np.ndarray
    """In the places that compiled.py names."""
