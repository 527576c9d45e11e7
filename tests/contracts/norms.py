"""The norms that every contract test loops over; a new norm joins here and is held to all of them."""

from __future__ import annotations

import pytest

import steepest as st

NAMES = (
    "max",
    "sum",
    "frobenius",
    "nuclear",
    "spectral",
    "entrywise-3",
    "entrywise-1.5",
    "entrywise-4/3",
    "schatten-4",
    "schatten-3",
    "schatten-1.5",
    "schatten-2",
)

NORMS = tuple(st.norm(name) for name in NAMES)

every_norm = pytest.mark.parametrize("norm", NORMS, ids=str)
