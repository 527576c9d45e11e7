"""Whether any weights separate, by a simplex method in rational numbers: independent of the library."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def separable(X, y):
    """Say whether some weights give every sample's class the highest score, by Gordan's alternative.

    Phase one of the simplex method with Bland's rule looks for q >= 0 with A(q) = 0 and sum 1.
    """
    y = np.unique(y, return_inverse=True)[1]
    k, d = int(y.max()) + 1, X.shape[1]
    columns = []
    for i, row in enumerate(X.tolist()):
        for c in range(k):
            if c != y[i]:
                column = [Fraction(0)] * (k * d)
                for j, entry in enumerate(map(Fraction, row)):
                    column[y[i] * d + j] += entry
                    column[c * d + j] -= entry
                largest = max(map(abs, column))
                if largest == 0:
                    return False
                # The rows of the last class are minus the sum of the others; the sum of q comes last.
                columns.append([each / largest for each in column[: (k - 1) * d]] + [Fraction(1)])
    m = len(columns[0])
    inverse = [[Fraction(int(i == j)) for j in range(m)] for i in range(m)]
    basis, values = list(range(-m, 0)), [Fraction(0)] * (m - 1) + [Fraction(1)]
    while True:
        if not any(value for b, value in zip(basis, values, strict=True) if b < 0):
            return False
        artificial = [i for i in range(m) if basis[i] < 0]
        prices = [sum(inverse[i][j] for i in artificial) for j in range(m)]
        entering = next((j for j, a in enumerate(columns) if _product(prices, a) > 0), None)
        if entering is None:
            return True
        change = [_product(row, columns[entering]) for row in inverse]
        rising = [i for i in range(m) if change[i] > 0]
        leaving = min(rising, key=lambda i: (values[i] / change[i], basis[i]))
        inverse[leaving] = [each / change[leaving] for each in inverse[leaving]]
        values[leaving] /= change[leaving]
        for i in range(m):
            if i != leaving and change[i]:
                pairs = zip(inverse[i], inverse[leaving], strict=True)
                inverse[i] = [a - change[i] * b for a, b in pairs]
                values[i] -= change[i] * values[leaving]
        basis[leaving] = entering


def _product(a, b):
    return sum((x * z for x, z in zip(a, b, strict=True) if x and z), Fraction(0))
