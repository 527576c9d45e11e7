"""Problems built with a known max margin, from a dual certificate."""

from __future__ import annotations

import numpy as np

import steepest as st


def dual_pair(norm, classes, dimension, generator):
    """Return G and W of shape [k, d] with ‖W‖ = 1, ⟨G, W⟩ = ‖G‖_* and rows of G that sum to zero.

    Where p = 1 the dual norm has corners, so W is drawn first and G is the direction of the dual norm there.
    """
    G = generator.normal(size=(classes, dimension))
    if norm.p != 1:
        G[np.arange(dimension) % classes, np.arange(dimension)] += 2.0
        G -= G.mean(axis=0)
        return G, norm.direction(G)
    if isinstance(norm, st.Entrywise):
        half = np.repeat([1.0, -1.0], [classes // 2, classes - classes // 2])
        G = generator.permuted(np.tile(half, (dimension, 1)), axis=1).T
        W = G * generator.uniform(0.5, 1.5, size=G.shape)
    else:
        W = G - G.mean(axis=0)
        G = norm.dual_norm.direction(W)
    return G, W / norm(W)


def problem_with_known_margin(norm, classes=4, dimension=60, samples=40, extra=10, scale=1.0, seed=0):
    """Return a problem whose max margin in the norm is ``scale``, with optimal W and q.

    All margins of the first samples are 1, and q has A(q) = G / ⟨G, W⟩, so margin(W) = 1 = ‖A(q)‖_*:
    - logits: the residual totals Q_ac of class a against c must be -(G Wᵀ)_ca, split at random over samples;
    - features: X Wᵀ = one-hot labels, and Tᵀ X = G where row i of T is Σ_c q_ic (e_{y_i} - e_c).
    Extra samples have larger margins and no dual weight.
    """
    norm = st.norm(norm)
    generator = np.random.default_rng(seed)
    for _ in range(100):
        G, W = dual_pair(norm, classes, dimension, generator)
        totals = -(G @ W.T).T
        np.fill_diagonal(totals, 0.0)
        if totals.min() >= 0.0:
            break
    else:
        raise AssertionError("no dual pair with non-negative totals: more features are needed")
    y = np.arange(samples) % classes
    q = np.zeros((samples, classes))
    for a in range(classes):
        members = np.nonzero(y == a)[0]
        q[members] = generator.dirichlet(np.ones(len(members)), size=classes).T * totals[a]
    T = -q
    T[np.arange(samples), y] = q.sum(axis=1)
    X = np.eye(classes)[y] @ np.linalg.pinv(W).T
    rest = G - T.T @ X
    X = X + np.linalg.pinv(T.T) @ rest
    noise = generator.normal(size=(samples, dimension))
    noise -= (noise @ W.T) @ np.linalg.pinv(W @ W.T) @ W
    X = X + 0.3 * (noise - np.linalg.pinv(T.T) @ (T.T @ noise))
    if extra:
        y_extra = generator.integers(0, classes, extra)
        more = X[generator.integers(0, samples, extra)] * 0.0 + np.eye(classes)[y_extra] @ np.linalg.pinv(W).T
        X = np.concatenate([X, generator.uniform(1.2, 3.0, size=(extra, 1)) * more])
        y, q = np.concatenate([y, y_extra]), np.concatenate([q, np.zeros((extra, classes))])
    return st.Classification(scale * X, y, name=f"{norm} with margin {scale}"), W, q / q.sum()
