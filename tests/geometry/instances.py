"""Matrices that geometry is tested on: ordinary ones, and all that make a norm or a direction hard."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as some

SHAPES = ((1, 1), (1, 6), (5, 1), (2, 2), (3, 4), (4, 3), (5, 5), (2, 9), (3, 20), (17, 3))


def orthogonal(rows, columns, generator):
    """Return a random matrix [rows, columns] with orthonormal columns (rows >= columns)."""
    Q, R = np.linalg.qr(generator.standard_normal((rows, columns)))
    return Q * np.sign(np.diag(R))


def with_singular_values(values, shape, generator):
    """Return a random matrix with these singular values and no others but 0."""
    left, right = (orthogonal(side, len(values), generator) for side in shape)
    return left * np.asarray(values) @ right.T


def well_conditioned(shape, generator):
    """Return a random matrix whose singular values lie apart between 1 and 2."""
    return with_singular_values(np.linspace(2, 1, min(shape)), shape, generator)


def _rank_deficient(shape, generator):
    rank = max(1, min(shape) // 2)
    return generator.standard_normal((shape[0], rank)) @ generator.standard_normal((rank, shape[1]))


def _graded(shape, generator):
    sizes = generator.permutation(np.logspace(0, -12, shape[0]))
    return well_conditioned(shape, generator) * sizes[:, None]


def _one_entry(shape, generator):
    matrix = np.zeros(shape)
    matrix[generator.integers(shape[0]), generator.integers(shape[1])] = -3.0
    return matrix


KINDS = {
    "normal": lambda shape, generator: generator.standard_normal(shape),
    "rank-deficient": _rank_deficient,
    "graded": _graded,
    "integers with ties and zeros": lambda shape, generator: generator.integers(-2, 3, shape).astype(float),
    "one entry": _one_entry,
    "zero": lambda shape, generator: np.zeros(shape),
}


@some.composite
def matrices(draw, count=1):
    """Draw ``count`` matrices of one shape, each of any kind; float64."""
    shape = draw(some.sampled_from(SHAPES))
    generator = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    kinds = [draw(some.sampled_from(sorted(KINDS))) for _ in range(count)]
    drawn = [KINDS[kind](shape, generator) for kind in kinds]
    return drawn[0] if count == 1 else drawn
