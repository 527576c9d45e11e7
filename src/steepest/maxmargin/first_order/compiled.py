"""Compiled first-order iterations: the loop of halpern.py for NumPy arrays, without allocation.

On problems of some hundred samples the arithmetic of an iteration takes microseconds, and calls from Python
would take ten times that. Matrices are C-contiguous: weights [k, d], dual weights and margins [n, k].

No fast-math flag is set and sums have lanes of their own: what the flags permit depends on whether a process
compiled the code or took it from the cache, and results would differ in their last digits.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from steepest.compilation import compiled_and_kept
from steepest.maxmargin.first_order.projections import SINGULAR_VALUES
from steepest.maxmargin.first_order.state import Iterate, Scratch, State

__all__ = ["advance", "first_state"]

WEIGHT, FIRST, PREVIOUS, SINCE, TOTAL, THRESHOLD, MULTIPLIER, _COUNT = range(8)
"""Places in the array of numbers that iterations hand on."""

_SUFFICIENT, _NECESSARY, _LONG = 0.2, 0.8, 0.36
"""When to restart, as in halpern.py."""
_SHARE = 0.99
"""Share of the largest step sizes, as in halpern.py."""
_SWEEPS = 100
"""Most steps of the scalar Newton methods, as in projections.py."""

_plain = numba.njit(nogil=True, error_model="numpy")


def first_state(W: np.ndarray, q: np.ndarray, M: np.ndarray, weight: float) -> State:
    """Return the state that the first iteration starts from, with the first primal weight."""
    numbers = np.zeros(_COUNT)
    numbers[WEIGHT], numbers[PREVIOUS], numbers[THRESHOLD] = weight, math.inf, math.inf
    current, new, anchor = (
        Iterate(*(np.array(each, dtype=float, order="C") for each in (W, q, M))) for _ in range(3)
    )
    return State(
        current, new, anchor, Scratch(np.empty(W.shape), np.empty(W.shape), np.empty(q.shape)), numbers
    )


@_plain
def _sum_of_squares(matrix):
    entries = matrix.reshape(-1)
    size = entries.shape[0]
    whole = size - size % 4
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for j in range(0, whole, 4):
        a += entries[j] * entries[j]
        b += entries[j + 1] * entries[j + 1]
        c += entries[j + 2] * entries[j + 2]
        d += entries[j + 3] * entries[j + 3]
    for j in range(whole, size):
        a += entries[j] * entries[j]
    return (a + b) + (c + d)


@_plain
def _distance_square(A, B):
    return _product_of_differences(A, B, A, B)


@_plain
def _product_of_differences(A, B, C, D):
    a, b, c, d = A.reshape(-1), B.reshape(-1), C.reshape(-1), D.reshape(-1)
    size = a.shape[0]
    whole = size - size % 4
    p, q, r, s = 0.0, 0.0, 0.0, 0.0
    for j in range(0, whole, 4):
        p += (a[j] - b[j]) * (c[j] - d[j])
        q += (a[j + 1] - b[j + 1]) * (c[j + 1] - d[j + 1])
        r += (a[j + 2] - b[j + 2]) * (c[j + 2] - d[j + 2])
        s += (a[j + 3] - b[j + 3]) * (c[j + 3] - d[j + 3])
    for j in range(whole, size):
        p += (a[j] - b[j]) * (c[j] - d[j])
    return (p + q) + (r + s)


@_plain
def _reflected(current, new, anchor, keep, back):
    x, z, a = current.reshape(-1), new.reshape(-1), anchor.reshape(-1)
    for j in range(x.shape[0]):
        x[j] = keep * (2.0 * z[j] - x[j]) + back * a[j]


@_plain
def _pair_sum(X, y, q, towards, out):
    """Write A(q) into ``out``."""
    for i in range(q.shape[0]):
        total = 0.0
        for c in range(q.shape[1]):
            total += q[i, c]
            towards[i, c] = -q[i, c]
        towards[i, y[i]] = total - q[i, y[i]]
    np.dot(towards.T, X, out)


@_plain
def _margins(X, y, W, out):
    """Write the pair margins of W into ``out``, 0 at the true class."""
    np.dot(X, W.T, out)
    for i in range(out.shape[0]):
        true = out[i, y[i]]
        for c in range(out.shape[1]):
            out[i, c] = true - out[i, c]


@_plain
def _excess(v, threshold):
    """Return Σ max(v - θ, 0) and the number of entries above θ."""
    size = v.shape[0]
    whole = size - size % 4
    a, b, c, d, count = 0.0, 0.0, 0.0, 0.0, 0
    for j in range(0, whole, 4):
        p, q, r, s = v[j] - threshold, v[j + 1] - threshold, v[j + 2] - threshold, v[j + 3] - threshold
        a += p if p > 0.0 else 0.0
        b += q if q > 0.0 else 0.0
        c += r if r > 0.0 else 0.0
        d += s if s > 0.0 else 0.0
        count += (p > 0.0) + (q > 0.0) + (r > 0.0) + (s > 0.0)
    for j in range(whole, size):
        above = v[j] - threshold
        a += above if above > 0.0 else 0.0
        count += above > 0.0
    return (a + b) + (c + d), float(count)


@_plain
def _largest(v):
    largest = v[0]
    for j in range(1, v.shape[0]):
        if v[j] > largest:
            largest = v[j]
    return largest


@_plain
def _simplex_threshold(v, start):
    """Return the θ with Σ max(v - θ, 0) = 1, by Newton's method from the left."""
    total, count = _excess(v, start)
    if not total >= 1.0:
        start = _largest(v) - 1.0
        total, count = _excess(v, start)
    threshold = start
    for _ in range(_SWEEPS):
        new = threshold + (total - 1.0) / count
        if not new > threshold:
            break
        threshold = new
        total, count = _excess(v, threshold)
    return threshold


@_plain
def _dual_target(y, q, M, M_new, sigma, out):
    for i in range(q.shape[0]):
        for c in range(q.shape[1]):
            out[i, c] = q[i, c] - sigma * (2.0 * M_new[i, c] - M[i, c])
        out[i, y[i]] = -1e300


@_plain
def _clip_from(v, threshold, out):
    for j in range(v.shape[0]):
        above = v[j] - threshold
        out[j] = above if above > 0.0 else 0.0


@_plain
def _root(a, multiplier, p):
    """Root w of w + λ w^(p-1) = a, by closed forms where there are and Newton from the right elsewhere."""
    if a == 0.0:
        return 0.0
    if p == 3.0:
        return 2.0 * a / (1.0 + math.sqrt(1.0 + 4.0 * multiplier * a))
    if p == 1.5:
        root = 2.0 * a / (multiplier + math.sqrt(multiplier * multiplier + 4.0 * a))
        return root * root
    if p >= 2.0:
        exponent, linear, curved = p - 1.0, 1.0, multiplier
    else:
        # In u = w^(p-1) the equation is u^(1/(p-1)) + λ u = a: again convex, with an exponent above 1.
        exponent, linear, curved = 1.0 / (p - 1.0), multiplier, 1.0
    u = min(a / linear, (a / curved) ** (1.0 / exponent))
    for _ in range(_SWEEPS):
        power = curved * u ** (exponent - 1.0)
        new = (a + (exponent - 1.0) * power * u) / (linear + exponent * power)
        if abs(new - u) <= 4e-16 * u:
            u = new
            break
        u = new
    return u if p >= 2.0 else u ** (1.0 / (p - 1.0))


@_plain
def _power_ball(v, p, guess):
    """Project v on the ball of the vector p-norm in place, 1 < p < ∞; return the multiplier.

    Solves w + λ w^(p-1) = |v| with Σ w^p = 1 for λ: Newton's method in log λ, kept in a bracket.
    """
    total = 0.0
    largest = 0.0
    for j in range(v.shape[0]):
        total += abs(v[j]) ** p
        largest = max(largest, abs(v[j]))
    if total <= 1.0:
        return guess
    low, high = 0.0, math.inf
    multiplier = guess if guess > 0.0 else largest
    for _ in range(_SWEEPS):
        total, slope = 0.0, 0.0
        for j in range(v.shape[0]):
            w = _root(abs(v[j]), multiplier, p)
            power = w * w if p == 3.0 else w ** (p - 1.0)
            total += power * w
            if w > 0.0:
                slope += power * power * w / (w + multiplier * (p - 1.0) * power)
        if abs(total - 1.0) <= 1e-14 * p:
            break
        if total > 1.0:
            low = multiplier
        else:
            high = multiplier
        if high - low <= 1e-15 * low:
            break
        step = math.log(total) * total / (p * multiplier * slope) if slope > 0.0 else math.inf
        proposal = multiplier * math.exp(max(-20.0, min(20.0, step)))
        if not low < proposal < high:
            if low > 0.0 and high < math.inf:
                proposal = math.sqrt(low * high)
            else:
                proposal = multiplier * (4.0 if total > 1.0 else 0.25)
        multiplier = proposal
    size = total ** (1.0 / p)
    for j in range(v.shape[0]):
        v[j] = math.copysign(_root(abs(v[j]), multiplier, p) / size, v[j])
    return multiplier


@_plain
def _vector_ball(v, p, guess):
    """Project v on the ball of the vector p-norm in place; return what speeds the next projection nearby."""
    if p == math.inf:
        for j in range(v.shape[0]):
            v[j] = max(-1.0, min(1.0, v[j]))
        return guess
    if p == 2.0:
        size = math.sqrt(_sum_of_squares(v))
        if size > 1.0:
            for j in range(v.shape[0]):
                v[j] /= size
        return guess
    if p == 1.0:
        sizes = np.empty(v.shape[0])
        total = 0.0
        for j in range(v.shape[0]):
            sizes[j] = abs(v[j])
            total += sizes[j]
        if total <= 1.0:
            return guess
        guess = _simplex_threshold(sizes, guess)
        for j in range(v.shape[0]):
            v[j] = math.copysign(max(sizes[j] - guess, 0.0), v[j])
        return guess
    return _power_ball(v, p, guess)


@_plain
def _copy(target, source):
    # A loop: an assignment of slices takes seconds to compile, for its error messages.
    written, read = target.reshape(-1), source.reshape(-1)
    for j in range(read.shape[0]):
        written[j] = read[j]


@_plain
def _project(ball, V, scratch, guess):
    """Project V on the unit ball in place; ``scratch`` is of V's shape."""
    if ball.kind != SINGULAR_VALUES:
        return _vector_ball(V.reshape(-1), ball.p, guess)
    wide = V.shape[0] <= V.shape[1]
    squares, U = np.linalg.eigh(np.dot(V, V.T) if wide else np.dot(V.T, V))
    size = squares.shape[0]
    kept = np.empty(size)
    for j in range(size):
        squares[j] = math.sqrt(max(squares[j], 0.0))
        kept[j] = squares[j]
    guess = _vector_ball(kept, ball.p, guess)
    # Only the factor f(σ)/σ is used, so that small singular values lose nothing.
    scaled = np.empty((size, size))
    for j in range(size):
        factor = kept[j] / squares[j] if squares[j] > 0.0 else 1.0
        for i in range(size):
            scaled[i, j] = U[i, j] * factor
    core = np.dot(scaled, U.T)
    _copy(scratch, V)
    if wide:
        np.dot(core, scratch, V)
    else:
        np.dot(scratch, core, V)
    return guess


@_plain
def _copy_all(target, source):
    _copy(target.W, source.W)
    _copy(target.q, source.q)
    _copy(target.M, source.M)


@_plain
def _restart(state):
    """Start again from the new point, with the weight that balances how far both sides moved."""
    moved_W = math.sqrt(_distance_square(state.new.W, state.anchor.W))
    moved_q = math.sqrt(_distance_square(state.new.q, state.anchor.q))
    if moved_W > 0 and moved_q > 0:
        state.numbers[WEIGHT] = math.sqrt(state.numbers[WEIGHT] * moved_q / moved_W)
    _copy_all(state.anchor, state.new)
    _copy_all(state.current, state.new)
    state.numbers[SINCE], state.numbers[PREVIOUS] = 0, math.inf


@compiled_and_kept
def advance(data, ball, state, steps):
    """Advance by ``steps`` iterations in place, and leave A(q) of the new dual weights in ``scratch.A``.

    ``data`` is a Data, ``ball`` a BallCode, ``state`` a State.
    """
    # Taken out of the tuples once: every access counts references, which small problems feel.
    X, y, size = data
    W, q, M = state.current
    W_new, q_new, M_new = state.new
    W_0, q_0, M_0 = state.anchor
    A, spare, target = state.scratch
    numbers = state.numbers
    W_flat, A_flat, W_new_flat = W.reshape(-1), A.reshape(-1), W_new.reshape(-1)
    target_flat, q_new_flat = target.reshape(-1), q_new.reshape(-1)
    for _ in range(steps):
        weight = numbers[WEIGHT]
        tau, sigma = _SHARE / (size * weight), _SHARE * weight / size
        _pair_sum(X, y, q, target, A)
        for j in range(W_flat.shape[0]):
            W_new_flat[j] = W_flat[j] + tau * A_flat[j]
        numbers[MULTIPLIER] = _project(ball, W_new, spare, numbers[MULTIPLIER])
        _margins(X, y, W_new, M_new)
        _dual_target(y, q, M, M_new, sigma, target)
        numbers[THRESHOLD] = _simplex_threshold(target_flat, numbers[THRESHOLD])
        _clip_from(target_flat, numbers[THRESHOLD], q_new_flat)
        # The length of the step in the norm in which the method contracts, divided by sqrt(‖A‖).
        squares = weight * _distance_square(W_new, W) + _distance_square(q_new, q) / weight
        crossed = _product_of_differences(q_new, q, M_new, M)
        residual = math.sqrt(max(0.0, squares / _SHARE + 2.0 * crossed / size))
        numbers[TOTAL] += 1
        numbers[SINCE] += 1
        since = numbers[SINCE]
        if since == 1:
            numbers[FIRST] = residual
        elif (
            residual <= _SUFFICIENT * numbers[FIRST]
            or (residual <= _NECESSARY * numbers[FIRST] and residual > numbers[PREVIOUS])
            or since >= max(_LONG * numbers[TOTAL], 20)
        ):
            _restart(state)
            continue
        numbers[PREVIOUS] = residual
        keep, back = since / (since + 1.0), 1.0 / (since + 1.0)
        _reflected(W, W_new, W_0, keep, back)
        _reflected(q, q_new, q_0, keep, back)
        _reflected(M, M_new, M_0, keep, back)
    _pair_sum(X, y, q_new, target, A)
