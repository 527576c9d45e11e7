"""The constants of the theory: the feature radius R, the batches m and the noise share κ(β, m)."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from steepest.arguments import one_of, real_number, whole_number
from steepest.arrays import as_numpy
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm
from steepest.geometry.facts import largest_pair
from steepest.problem import Classification, as_problem
from steepest.theory.inputs import as_batches, as_momentum

NoiseForm = Literal["exact", "epochwise", "paper"]
"""How κ is computed: the least constant there is, whole epochs cancelled one by one, or the paper's."""


def batches_per_epoch(samples: int, batch_size: int | None) -> int:
    """Return m = ⌈n / b⌉, the batches an epoch (Section 3); ``batch_size=None`` is the full batch.

    Raises:
        InvalidArgument: ``batch_size`` is not an integer between 1 and ``samples``.

    >>> batches_per_epoch(100, 30), batches_per_epoch(100, None)
    (4, 1)
    """
    samples = whole_number("samples", samples, 1)
    if batch_size is None:
        return 1
    remedy = f"give an integer between 1 and {samples}, or None"
    size = whole_number("batch_size", batch_size, 1, remedy)
    if size > samples:
        raise InvalidArgument("batch_size", batch_size, remedy)
    return -(-samples // size)


def effective_samples(problem: Classification) -> float:
    """Return n, or n / min v with sample weights v of mean 1: the number to put for n beside a loss.

    With y = n L / min v = Σ (v_i / min v) ℓ_i no sample's own loss ℓ_i is above y (Lemma C.8), and y (1 -
    deficit(y)) ≤ n G / min v still (Lemma C.7): v (1 - e^{-y/v}) increases in v, so that one sample of the
    smallest weight with all of the loss remains the worst case.

    >>> effective_samples(Classification([[1.0], [-1.0]], [0, 1]).weighted([1.0, 3.0]))
    4.0
    """
    smallest = 1.0 if problem.sample_weight is None else float(problem.sample_weight.min())
    return problem.samples / smallest


def feature_radius(problem: Classification, norm_: Norm | str = "max") -> float:
    """Return R(‖·‖) = ½ max_i max_{a≠b} ‖(e_a - e_b) x_iᵀ‖_*, matrices [k, d], in units of the features.

    For the max-norm this is R = max_i ‖x_i‖₁ of Assumption 3.2. The paper states its lemmas in the pair
    (max-norm, sum-norm) and carries them to other norms by Lemma C.1, ‖A‖_max ≤ ‖A‖, with the same R for all
    of them. Stated in the pair (‖·‖, ‖·‖_*) every proof goes through word for word with R(‖·‖), in any norm:
    the only facts used are that no difference of a sample's logits, ⟨(e_a - e_b) x_iᵀ, W⟩, changes by more
    than 2 R(‖·‖) ‖Δ‖ under W + Δ, and the triangle inequality for ‖·‖_*. In the Frobenius and every Schatten
    norm it is max_i ‖x_i‖₂ / √2, smaller than R by up to √(2 d). It is at most R where Lemma C.1 holds; norms
    scaled by the shape, and norms of your own, may have a larger one.

    Args:
        problem: the data.
        norm_: the norm of the descent.

    >>> problem = Classification([[3.0, -4.0], [1.0, 0.0]], [0, 1])
    >>> feature_radius(problem, "max"), round(feature_radius(problem, "spectral"), 4)
    (7.0, 3.5355)
    """
    problem = as_problem(problem)
    return 0.5 * largest_pair(norm(norm_), as_numpy(problem.features), problem.n_classes)


def papers_radius(problem: Classification, norm_: Norm | str) -> float:
    """Return the radius that the paper's formulas may use in a norm: R = max ‖x_i‖₁, or R(‖·‖) where larger.

    The paper's R bounds the dual norm of a pair by Lemma C.1. A norm that is smaller than the max-norm
    somewhere needs R(‖·‖) itself.

    >>> problem = Classification([[3.0, -4.0], [1.0, 0.0]], [0, 1])
    >>> papers_radius(problem, "spectral")
    7.0
    """
    return max(feature_radius(problem, norm_), feature_radius(problem, "max"))


def noise_factor(momentum: float, batches: int) -> float:
    """Return the least K(β, m) with (1-β) ‖Σ_τ β^τ Ξ_{B_{t-τ}}(W)‖_* ≤ 2R K G(W), for any W, t and data.

    Lemma C.12 in its sharpest form. Over an epoch sample i is in exactly one batch, so with the momentum
    weights w_τ = (1-β) β^τ it counts in one epoch as m w_τ(i) minus the sum of that epoch's weights, and the
    whole sum is (1/n) Σ_i c_i ∇ℓ_i with c_i the total over epochs. Hence K = max |c_i|, reached where all of
    G sits on one sample that the shuffles always put last (or first). A whole epoch that ended r steps ago
    adds at most β^r (q - 1), q = m (1-β) / (1-β^m), to c_i > 0 and β^r (1 - β^{m-1} q) to c_i < 0; the r
    steps of an unfinished epoch add m (1-β) - (1-β^r) and 1 - β^r. The largest sums over r are
    m (1-β) - 1 + β q at r = 1 and 1 - β^{2m-2} q at r = m-1, and the first is the larger: the mean of β^j
    over j < m is at most (1 + β^{m-1}) / 2 (convexity), and (1 - β^{m-2}) (1 - β^{m-1}) ≥ 0. So

        K = m (1-β) - 1 + β q   for m ≥ 2,    K(β, 1) = 0.

    K(0, m) = m - 1 is Lemma C.11; K decreases in β, to 1.5 (1-β) (m-1) as β → 1.

    Args:
        momentum: β in [0, 1).
        batches: m, batches an epoch.

    >>> noise_factor(0.0, 5), noise_factor(0.9, 1)
    (4.0, 0.0)
    """
    return _noise_factor(1.0 - as_momentum(momentum), as_batches(batches))


def noise_share(momentum: float, batches: int, form: NoiseForm = "exact") -> float:
    """Return κ(β, m), the share of the sampling noise 2 (m-1) R G that momentum lets through (Lemma C.12).

    ``form="exact"`` is K(β, m) / (m-1) of :func:`noise_factor`, about 1.5 (1-β) for β → 1.
    ``"epochwise"`` bounds each unfinished epoch by the triangle inequality and each whole epoch after taking
    the median of its weights away (their Ξ sum to 0): with δ = Σ_{l < ⌊m/2⌋} β^l - Σ_{⌈m/2⌉ ≤ l < m} β^l and
    u = (1-β) δ / (1-β^m), κ = 1 - β^{m-1} (1-u), about 1.25 m (1-β).
    ``"paper"`` is the paper's (1-β) m². Each is at most the next; with one batch an epoch κ = 0.

    Args:
        momentum: β in [0, 1).
        batches: m, batches an epoch.
        form: "exact", "epochwise" or "paper".

    Raises:
        InvalidArgument: β is outside [0, 1), m is not a positive integer, or the form is unknown.

    >>> [round(noise_share(0.99, 10, form), 4) for form in ("exact", "epochwise", "paper")]
    [0.015, 0.1094, 1.0]
    """
    momentum, batches = as_momentum(momentum), as_batches(batches)
    one_of("form", form, get_args(NoiseForm))
    if batches == 1:
        return 0.0
    if form == "exact":
        return noise_factor(momentum, batches) / (batches - 1)
    if form == "paper":
        return (1.0 - momentum) * batches**2
    powers = momentum ** np.arange(batches, dtype=float)
    spread = powers[: batches // 2].sum() - powers[-(-batches // 2) :].sum()
    share = spread / powers.sum()
    return float(1.0 - powers[-1] * (1.0 - share))


def required_momentum_for(margin: float, radius: float, batches: int) -> float:
    """Return the smallest β with γ > 4 R K(β, m), that is with a positive effective margin.

    K decreases in β (see :func:`noise_factor`), so the solution is found by bisection on 1 - β, to the last
    bit. Returns 0 for one batch an epoch.

    Raises:
        InvalidArgument: ``margin`` is not positive, or so small that no double below 1 is enough.

    >>> beta = required_momentum_for(margin=1.0, radius=1.0, batches=10)
    >>> noise_factor(beta, 10) < 0.25 <= noise_factor(beta - 1e-9, 10)
    True
    """
    batches = as_batches(batches)
    margin = real_number("margin", margin, "give a positive margin: the theory needs separable data", above=0)
    if batches == 1:
        return 0.0
    enough, too_little = 0.0, 1.0
    while True:
        middle = 0.5 * (enough + too_little)
        if 1.0 - middle in (1.0 - enough, 1.0 - too_little):
            break
        if 4.0 * radius * _noise_factor(middle, batches) < margin:
            enough = middle
        else:
            too_little = middle
    momentum = 1.0 - enough
    while momentum < 1.0 and 4.0 * radius * _noise_factor(1.0 - momentum, batches) >= margin:
        momentum = math.nextafter(momentum, 1.0)
    if momentum >= 1.0:
        raise InvalidArgument("margin", margin, "use larger batches: no momentum below 1 is large enough")
    return momentum


def papers_required_momentum(margin: float, radius: float, batches: int) -> float | None:
    """Return the smallest β with γ > 4 (m-1) R (1-β) m², the paper's condition; None if no double is enough.

    >>> papers_required_momentum(margin=1.0, radius=1.0, batches=2)  # more than 15/16
    0.9375000000000001
    """
    batches = as_batches(batches)
    if batches == 1:
        return 0.0
    noise = 4.0 * (batches - 1) * batches**2 * radius
    momentum = max(0.0, 1.0 - margin / noise)
    while momentum < 1.0 and noise * (1.0 - momentum) >= margin:
        momentum = math.nextafter(momentum, 1.0)
    return momentum if momentum < 1.0 else None


def _noise_factor(lag: float, batches: int) -> float:
    # In terms of 1 - β: the differences below would cancel for β near 1.
    if batches == 1 or lag == 1:
        return batches - 1.0
    log_momentum = math.log1p(-lag)
    ages = np.arange(1, batches)
    missing = float(-np.expm1(ages * log_momentum).sum()) / batches  # 1 - mean of the epoch's powers
    excess = missing / (1.0 - missing)  # q - 1
    return batches * lag + excess - lag * (1.0 + excess)
