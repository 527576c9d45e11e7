"""Compiled arithmetic of graded sums S = Σ_p e^{v_p} l_p x_pᵀ, whose terms differ by any power of e.

The matrix S is never formed where that would lose its small parts. Its terms are taken from the largest scale
down. In orthonormal bases of the left and of the right factors, made in that order, a basis vector meets only
terms no larger than the one that brought it, so the core K of S = Uᵀ K Q keeps every scale apart. K is a
matrix of numbers with exponents of their own; elimination with complete pivoting writes it as X diag(e^d) Yᵀ
with X and Y unit triangular, whence one-sided rotations of rows, each with its own exponent, give singular
values and vectors that are accurate one by one (Demmel, Gu, Eisenstat, Slapničar, Veselić and Drmač,
"Computing the singular value decomposition with high relative accuracy", 1999).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from steepest.compilation import compiled_and_kept

__all__ = ["ROUNDING", "graded_singular", "graded_sums", "ordered_terms"]

compiled = numba.njit(nogil=True, error_model="numpy")

ROUNDING = 2e-14
"""A sum that is smaller than this times its terms cannot be told from 0; the next smaller terms decide."""
_DEPENDENT = 1e-12
"""A vector that keeps no more than this of its length beside earlier ones lies in their span."""
_ORTHOGONAL = 1e-15
_BEYOND = 42.0
"""Terms smaller by e^-42 = 6e-19 than the smallest singular value change no digit of a direction."""
_SWEEPS = 60


@compiled_and_kept
def ordered_terms(logs, lefts, which, X):
    """Return the terms that are not zero, largest first, and the logarithms of their sizes in that order."""
    sizes = np.full(logs.shape[0], -np.inf)
    lengths = np.full(X.shape[0], -1.0)
    for p in range(logs.shape[0]):
        if logs[p] > -np.inf:
            i = which[p]
            if lengths[i] < 0.0:
                lengths[i] = _largest(X, i)
            left = _largest(lefts, p)
            if left > 0.0 and lengths[i] > 0.0:
                sizes[p] = logs[p] + math.log(left) + math.log(lengths[i])
    order = np.argsort(-sizes, kind="mergesort")
    count = 0
    while count < order.shape[0] and sizes[order[count]] > -np.inf:
        count += 1
    return order[:count], sizes[order[:count]]


@compiled
def _largest(matrix, i):
    largest = 0.0
    for j in range(matrix.shape[1]):
        largest = max(largest, abs(matrix[i, j]))
    return largest


@compiled_and_kept
def graded_sums(order, logs, A, which, B, mantissas, scales):
    """Write Σ_p e^{logs_p} A_pi B_{which_p, j} entry by entry: mantissas and log-scales, -inf for zero.

    A sum that its rounding hides counts as zero as soon as smaller terms follow: these then decide.
    """
    rows, columns = mantissas.shape
    totals = np.zeros((rows, columns))
    mantissas[:] = 0.0
    scales[:] = -np.inf
    for i in range(rows):
        top = -np.inf
        for p in order:
            a, here = A[p, i], logs[p]
            if a == 0.0:
                continue
            if top == -np.inf:
                top = here
            common = math.exp(here - top)
            for j in range(columns):
                b = B[which[p], j]
                if b == 0.0:
                    continue
                term = a * b
                if scales[i, j] == top:
                    factor = common
                elif scales[i, j] == -np.inf:
                    scales[i, j] = here
                    factor = 1.0
                else:
                    factor = math.exp(here - scales[i, j])
                hidden = ROUNDING * totals[i, j]
                if abs(mantissas[i, j]) <= hidden and abs(term) * factor <= hidden:
                    mantissas[i, j], totals[i, j] = term, abs(term)
                    scales[i, j] = here
                else:
                    mantissas[i, j] += term * factor
                    totals[i, j] += abs(term) * factor
        for j in range(columns):
            if abs(mantissas[i, j]) <= ROUNDING * totals[i, j]:
                mantissas[i, j], scales[i, j] = 0.0, -np.inf


@compiled
def _coordinates(vector, basis, rank, coordinates, limit):
    """Write the coordinates of a vector in a basis, extended if need be; return its rank."""
    size = 0.0
    for j in range(vector.shape[0]):
        size = max(size, abs(vector[j]))
    coordinates[:] = 0.0
    if size == 0.0:
        return rank
    length = 0.0
    for j in range(vector.shape[0]):
        vector[j] /= size
        length += vector[j] * vector[j]
    length = math.sqrt(length)
    for _ in range(3):
        for r in range(rank):
            overlap = 0.0
            for j in range(vector.shape[0]):
                overlap += basis[r, j] * vector[j]
            coordinates[r] += overlap
            for j in range(vector.shape[0]):
                vector[j] -= overlap * basis[r, j]
    rest = 0.0
    for j in range(vector.shape[0]):
        rest += vector[j] * vector[j]
    rest = math.sqrt(rest)
    for r in range(rank):
        # Exact zeros come out as rounding, which would hide what smaller terms say.
        coordinates[r] = size * coordinates[r] if abs(coordinates[r]) > 4e-16 * length else 0.0
    if rank < limit and rest > _DEPENDENT * length:
        for j in range(vector.shape[0]):
            basis[rank, j] = vector[j] / rest
        coordinates[rank] = size * rest
        return rank + 1
    return rank


@compiled
def _same(matrix, i, j):
    same = True
    for column in range(matrix.shape[1]):
        same &= matrix[i, column] == matrix[j, column]
    return same


@compiled
def _core(order, lefts, which, X, until, U, Q, alpha, beta):
    """Write bases and coordinates of the terms whose size is at least ``until``; return both ranks."""
    left_rank, right_rank = 0, 0
    seen = np.zeros(X.shape[0], dtype=np.bool_)
    left, right = np.empty(lefts.shape[1]), np.empty(X.shape[1])
    # Few left factors e_c - e_y are different: those of a pair of classes are found by their extremes.
    earlier = np.full((lefts.shape[1], lefts.shape[1]), -1)
    for p in order[:until]:
        high, low = np.argmax(lefts[p]), np.argmin(lefts[p])
        twin = earlier[high, low]
        if twin >= 0 and _same(lefts, twin, p):
            alpha[p] = alpha[twin]
        else:
            left[:] = lefts[p]
            left_rank = _coordinates(left, U, left_rank, alpha[p], U.shape[0])
            earlier[high, low] = p
        i = which[p]
        if not seen[i]:
            seen[i] = True
            right[:] = X[i]
            right_rank = _coordinates(right, Q, right_rank, beta[i], Q.shape[0])
    return left_rank, right_rank


@compiled
def _pivot(K, scales, free_rows, free_columns):
    """Return row, column and log-size of the largest entry that is left, row -1 where none is."""
    a, b, top = -1, -1, -np.inf
    for i in range(K.shape[0]):
        for j in range(K.shape[1]):
            if free_rows[i] and free_columns[j] and K[i, j] != 0.0:
                size = scales[i, j] + math.log(abs(K[i, j]))
                if size > top:
                    a, b, top = i, j, size
    return a, b, top


@compiled
def _subtract(K, scales, i, j, taken, scale):
    """Subtract taken · e^scale from an entry; what rounding alone may have left is zero."""
    if K[i, j] == 0.0:
        K[i, j], scales[i, j] = -taken, scale
        return
    highest = max(scales[i, j], scale)
    one = K[i, j] * math.exp(scales[i, j] - highest)
    other = taken * math.exp(scale - highest)
    K[i, j], scales[i, j] = one - other, highest
    if abs(K[i, j]) <= ROUNDING * (abs(one) + abs(other)):
        K[i, j], scales[i, j] = 0.0, -np.inf


@compiled
def _eliminated(K, scales, left, right, d):
    """Write K = left diag(e^d) rightᵀ by elimination with complete pivoting; return the rank.

    K has mantissas and log-scales and is overwritten. ``left`` and ``right`` are unit triangular up to the
    order of their rows, entries at most 1.
    """
    rows, columns = K.shape
    free_rows, free_columns = np.ones(rows, dtype=np.bool_), np.ones(columns, dtype=np.bool_)
    left[:], right[:] = 0.0, 0.0
    for r in range(min(rows, columns)):
        a, b, top = _pivot(K, scales, free_rows, free_columns)
        if a < 0:
            return r
        pivot, at = K[a, b], scales[a, b]
        d[r] = top
        sign = 1.0 if pivot > 0.0 else -1.0
        for i in range(rows):
            if free_rows[i]:
                left[i, r] = K[i, b] / pivot * math.exp(scales[i, b] - at) * sign if K[i, b] != 0.0 else 0.0
        for j in range(columns):
            if free_columns[j]:
                right[j, r] = K[a, j] / pivot * math.exp(scales[a, j] - at) if K[a, j] != 0.0 else 0.0
        free_rows[a], free_columns[b] = False, False
        for i in range(rows):
            for j in range(columns):
                if free_rows[i] and free_columns[j] and K[i, b] != 0.0 and K[a, j] != 0.0:
                    taken = K[i, b] / pivot * K[a, j]
                    _subtract(K, scales, i, j, taken, (scales[i, b] - at) + scales[a, j])
    return min(rows, columns)


@compiled
def _triangularised(matrix, rank, upper):
    """Replace the first columns of a matrix by an orthonormal basis; write the triangular factor."""
    upper[:] = 0.0
    for r in range(rank):
        for _ in range(2):
            for s in range(r):
                overlap = 0.0
                for i in range(matrix.shape[0]):
                    overlap += matrix[i, s] * matrix[i, r]
                upper[s, r] += overlap
                for i in range(matrix.shape[0]):
                    matrix[i, r] -= overlap * matrix[i, s]
        length = 0.0
        for i in range(matrix.shape[0]):
            length += matrix[i, r] * matrix[i, r]
        length = math.sqrt(length)
        upper[r, r] = length
        for i in range(matrix.shape[0]):
            matrix[i, r] /= length


@compiled
def _orthogonalised(core, scales, rank, rotations):
    """Rotate rows e^{scales_i} core_i until they are orthogonal; ``rotations`` holds what was done."""
    for i in range(rank):
        for j in range(rank):
            rotations[i, j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS):
        rotated = False
        for one in range(rank - 1):
            for other in range(one + 1, rank):
                p, q = one, other
                if scales[q] > scales[p]:
                    p, q = q, p
                pp, qq, pq = 0.0, 0.0, 0.0
                for j in range(rank):
                    pp += core[p, j] * core[p, j]
                    qq += core[q, j] * core[q, j]
                    pq += core[p, j] * core[q, j]
                if abs(pq) <= _ORTHOGONAL * rank * math.sqrt(pp) * math.sqrt(qq):
                    continue
                rotated = True
                ratio = math.exp(scales[q] - scales[p])
                gap = ratio * ratio * qq - pp
                # The tangent over the ratio stays in range, whatever the scales are.
                slope = 2.0 * pq / (abs(gap) + math.sqrt(gap * gap + 4.0 * (ratio * pq) ** 2))
                if gap < 0.0:
                    slope = -slope
                tangent = slope * ratio
                cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
                for j in range(rank):
                    x, y = core[p, j], core[q, j]
                    core[p, j] = cosine * (x - tangent * ratio * y)
                    core[q, j] = cosine * (y + slope * x)
                    x, y = rotations[p, j], rotations[q, j]
                    rotations[p, j] = cosine * (x - tangent * y)
                    rotations[q, j] = cosine * (y + tangent * x)
        if not rotated:
            return


@compiled_and_kept
def graded_singular(logs, lefts, which, X):
    """Return (u, logs of σ, v): S = Σ_r σ_r u_r v_rᵀ, largest first, u [rank, k] and v [rank, d] orthonormal.

    Terms too small to change a direction of any of them are left out.
    """
    k, d = lefts.shape[1], X.shape[1]
    order, sizes = ordered_terms(logs, lefts, which, X)
    most = min(k, d)
    until = _first_full(order, sizes, which, most)
    while True:
        u, values, v = _singular_of(order, logs, lefts, which, X, until)
        smallest = np.min(values) if values.shape[0] == most else -np.inf
        needed = until
        while needed < order.shape[0] and sizes[needed] > smallest - _BEYOND:
            needed += 1
        if needed == until:
            return u, values, v
        until = needed


@compiled
def _first_full(order, sizes, which, most):
    """Return how many of the terms are worth a first try: those of enough samples, and what is as large."""
    seen = np.zeros(which.max() + 1 if which.shape[0] > 0 else 1, dtype=np.bool_)
    distinct, until = 0, 0
    for p in order:
        if not seen[which[p]]:
            seen[which[p]] = True
            distinct += 1
        until += 1
        if distinct >= most and until >= most:
            break
    if until == 0:
        return 0
    last = sizes[until - 1]
    while until < order.shape[0] and sizes[until] > last - 5.0:
        until += 1
    return until


@compiled
def _singular_of(order, logs, lefts, which, X, until):
    k, d = lefts.shape[1], X.shape[1]
    most = min(d, X.shape[0])
    U, Q = np.zeros((k, k)), np.zeros((most, d))
    alpha, beta = np.zeros((lefts.shape[0], k)), np.zeros((X.shape[0], most))
    rows, columns = _core(order, lefts, which, X, until, U, Q, alpha, beta)
    K, scales = np.zeros((rows, columns)), np.zeros((rows, columns))
    graded_sums(order[:until], logs, alpha, which, beta, K, scales)
    small = min(rows, columns)
    left, right, pivots = np.zeros((rows, small)), np.zeros((columns, small)), np.zeros(small)
    rank = _eliminated(K, scales, left, right, pivots)
    first, second = np.zeros((rank, rank)), np.zeros((rank, rank))
    _triangularised(left, rank, first)
    _triangularised(right, rank, second)
    core, rotations = np.zeros((rank, rank)), np.zeros((rank, rank))
    for i in range(rank):
        for j in range(rank):
            for r in range(max(i, j), rank):
                core[i, j] += first[i, r] * math.exp(pivots[r] - pivots[i]) * second[j, r]
    _orthogonalised(core, pivots, rank, rotations)
    values = np.empty(rank)
    for r in range(rank):
        length = math.sqrt(np.sum(core[r] * core[r]))
        values[r] = pivots[r] + math.log(length)
        core[r] /= length
    u, v = np.zeros((rank, k)), np.zeros((rank, d))
    by_size = np.argsort(-values)
    for place in range(rank):
        r = by_size[place]
        for s in range(rank):
            for i in range(rows):
                for j in range(k):
                    u[place, j] += rotations[r, s] * left[i, s] * U[i, j]
            for i in range(columns):
                weight = core[r, s] * right[i, s]
                for j in range(d):
                    v[place, j] += weight * Q[i, j]
    return u, values[by_size], v
