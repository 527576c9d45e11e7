"""The Euclidean projection on dual weights of chosen pairs within the caps of their samples, compiled."""

from __future__ import annotations

import numba
import numpy as np

from steepest.compilation import compiled_and_kept

__all__ = ["project_capped_pairs"]

_STEPS = 100
"""Far more steps than Newton's method within a bracket takes."""
_TIGHT = 1e-12
"""What caps leave to the sum where all are at their caps but for rounding."""
_plain = numba.njit(nogil=True, error_model="numpy")


@_plain
def _above(v, starts, caps, threshold):
    """Sum over samples of what their entries are above the threshold, at most their cap, and its slope."""
    total, slope = 0.0, 0.0
    for i in range(caps.shape[0]):
        own, count = 0.0, 0
        for place in range(starts[i], starts[i + 1]):
            if v[place] > threshold:
                own += v[place] - threshold
                count += 1
        if own < caps[i]:
            total += own
            slope += count
        else:
            total += caps[i]
    return total, slope


@_plain
def _threshold(v, starts, caps, total, start):
    """The threshold θ for which the sum is ``total``, from a guess, by Newton's method within a bracket."""
    low, high = -np.inf, v.max()
    theta = min(start, high)
    for _ in range(_STEPS):
        found, slope = _above(v, starts, caps, theta)
        if abs(found - total) <= 1e-13 * total:
            break
        if found > total:
            low = theta
        else:
            high = theta
        new = theta + (found - total) / slope if slope > 0 else np.inf
        if not low < new < high:
            # Where all are at their caps, further down only adds up if there is no bracket yet.
            new = 0.5 * (low + high) if low > -np.inf else theta - max(2.0 * (high - theta), 1e-3 * total)
        if new == theta:
            break
        theta = new
    return theta


@compiled_and_kept
def project_capped_pairs(v, starts, caps, total, start, out):
    """Write the nearest point of {q ≥ 0, Σq = total, sums of samples ≤ caps} to v [s] into ``out``.

    The pairs of sample i are at ``starts[i]`` and on. It is max(v - θ - λ_i, 0), with λ_i > 0 in samples at
    their caps alone; θ, which is returned, is looked for from ``start``. It is -∞ where the caps of samples
    with pairs sum to no more than ``total``, and all are at their caps.
    """
    theta = -np.inf if caps.sum() <= total * (1.0 + _TIGHT) else _threshold(v, starts, caps, total, start)
    for i in range(caps.shape[0]):
        first, last = starts[i], starts[i + 1]
        own = 0.0
        for place in range(first, last):
            out[place] = max(v[place] - theta, 0.0)
            own += out[place]
        if own <= caps[i]:
            continue
        level = theta
        for _ in range(last - first + 1):
            count, rest = 0, 0.0
            for place in range(first, last):
                if v[place] > level:
                    rest += v[place]
                    count += 1
            new = (rest - caps[i]) / count
            if new <= level:
                break
            level = new
        for place in range(first, last):
            out[place] = max(v[place] - level, 0.0)
    return theta
