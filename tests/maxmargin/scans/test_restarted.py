"""What restarted primal-dual steps share."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steepest.maxmargin.scans.restarted import Iterate, Restarts, balanced, operator_norm, reflected


def _at(W, q):
    return Iterate(np.array([[W]]), np.array([q]), np.array([W]))


def test_a_step_is_reflected_and_drawn_to_the_last_restart_by_hand():
    """After one step from 1 to 2, anchored at 0: half of 2 · 2 - 1, and half of 0."""
    found = reflected(_at(2.0, 2.0), _at(1.0, 1.0), _at(0.0, 0.0), 1, np.float64)
    assert (found.W.item(), found.q.item(), found.M.item()) == (1.5, 1.5, 1.5)


def test_a_step_of_a_fifth_of_the_first_restarts_and_a_longer_one_does_not():
    restarts = Restarts()
    assert not restarts.due(_at(0.0, 0.0), _at(1.0, 0.0), 1.0, 1.0)
    assert not restarts.due(_at(0.0, 0.0), _at(0.9, 0.0), 1.0, 1.0)
    assert not restarts.due(_at(0.0, 0.0), _at(0.5, 0.0), 1.0, 1.0)
    # Longer than the last one, and less than four fifths of the first.
    assert restarts.due(_at(0.0, 0.0), _at(0.6, 0.0), 1.0, 1.0)
    restarts.begin()
    assert not restarts.due(_at(0.0, 0.0), _at(1.0, 0.0), 1.0, 1.0)
    assert restarts.due(_at(0.0, 0.0), _at(0.19, 0.0), 1.0, 1.0)
    assert restarts.steps == 6


def test_the_weight_of_the_sides_follows_moves_and_errors_by_hand():
    """Dual weights moved four times as far: the root of 4. Errors 16 to 1: times 16^(1/4) = 2, the most."""
    new, anchor = _at(1.0, 4.0), _at(0.0, 0.0)
    assert balanced(1.0, new, anchor, 0.0, 1.0) == pytest.approx(2.0)
    assert balanced(1.0, new, anchor, 16.0, 1.0) == pytest.approx(4.0)
    assert balanced(1.0, new, anchor, 1e9, 1.0) == pytest.approx(4.0)


def test_an_operator_norm_is_a_little_above_the_largest_singular_value():
    A = np.random.default_rng(0).normal(size=(7, 12))
    start = np.ones((3, 4))
    found, V = operator_norm(lambda W: A @ W.ravel(), lambda q: (A.T @ q).reshape(3, 4), start)
    largest = float(np.linalg.norm(A, 2))
    assert largest <= found <= 1.03 * largest
    assert V.shape == start.shape
    with np.errstate(all="raise"):
        none, V = operator_norm(np.zeros_like, np.zeros_like, start)
    assert none == 1.0
    assert V is start
    assert math.isfinite(found)
