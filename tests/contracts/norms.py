"""The norms that every contract test loops over; a new norm joins here and is held to all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from tests.contracts.arrays import NUMPY
from tests.contracts.loops import through

import steepest as st


@dataclass(frozen=True)
class Foreign:
    """A norm that offers nothing but value, dual, direction and its name, as one from outside would."""

    base: st.geometry.Norm

    def __call__(self, A):
        return self.base(A)

    def dual(self, A):
        return self.base.dual(A)

    def direction(self, S):
        return self.base.direction(S)

    def __str__(self):
        return f"foreign-{self.base}"


@dataclass(frozen=True)
class Uneven:
    """A foreign norm of NumPy arrays, ‖w ∘ A‖_base, whose weights w [k, d] change with place and shape.

    No two rows or columns are alike, it is no product on products of columns and rows, a row of zeros more
    changes it, and it lies neither above the max-norm nor below the sum-norm. It has no text form.
    """

    base: st.geometry.Norm

    @staticmethod
    def weights(A):
        rows, columns = np.indices(A.shape[-2:])
        return 2.0 ** ((rows + 2 * columns) % 3) / A.shape[-2]

    def __call__(self, A):
        return self.base(A * self.weights(A))

    def dual(self, A):
        return self.base.dual(A / self.weights(A))

    def direction(self, S):
        w = self.weights(S)
        return self.base.direction(S / w) / w

    __repr__ = object.__repr__


FOREIGN = Foreign(st.Entrywise(3))
UNEVEN = Uneven(st.Schatten(4))

P_NORMS = (
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
"""Entry-wise and Schatten norms: the family of the paper, with Lemma C.1."""

OTHERS = (
    "row-2/inf",
    "row-1/inf",
    "row-3/1.5",
    "column-2/inf",
    "column-2/1",
    "mean-square-spectral",
    "mean-square-row",
    "mean-square-column",
    "row-blocks-1/3:spectral",
    "column-blocks-1/inf:row-2/1",
)

FEW = ("max", "nuclear", "spectral", "entrywise-3", "schatten-1.5", "row-2/inf", "mean-square-spectral")
"""One of each kind, for libraries and dtypes beside NumPy's float64."""

NAMES = P_NORMS + OTHERS
NORMS = tuple(st.norm(name) for name in P_NORMS)
ALL_NORMS = (*NORMS, *(st.norm(name) for name in OTHERS), FOREIGN)

every_norm = pytest.mark.parametrize("norm", NORMS, ids=str)
"""The paper's family, for what needs its lemmas or solvers."""

any_norm = pytest.mark.parametrize("norm", ALL_NORMS, ids=str)
"""Every norm that there is, and a foreign one."""


through_all_norms = through("norm", ALL_NORMS)
through_norms = through(
    "norm", lambda named: ALL_NORMS if named["kind"] == NUMPY else [st.norm(name) for name in FEW]
)
"""Every norm for NumPy's float64, one of each kind for the other kinds of arrays."""
