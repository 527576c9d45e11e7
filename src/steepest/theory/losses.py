"""The lemma constants of each loss, with their proofs; y = nL is the total loss."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from steepest.losses import CrossEntropy, Exponential, PairwiseLogistic
from steepest.theory.lemma_constants import LEMMA_CONSTANTS, LemmaConstants

__all__: list[str] = []


@LEMMA_CONSTANTS.offered_by(CrossEntropy)
@cache
def cross_entropy(_loss: CrossEntropy) -> LemmaConstants:
    """Return the constants of cross-entropy: deficit 1 - (1 - e^-y) / y, and Y = log(e^y - 1).

    1. 1 / r_c is the sum of e^{z_c' - z_c} over all classes c', and each term changes by a factor within
       e^{±δ}.
    2. A sample with loss u has Σ_c r_c = 1 - e^{-u}, concave in u: given Σ u = y it is smallest where one
       sample has all of y, so nG ≥ 1 - e^{-y}; and 1 - e^{-u} ≤ u.
    3. One sample's loss log(1 + Σ_c e^{-margin_c}) is at most y, so every e^{-margin} ≤ e^y - 1.
    4. At W = 0 all k classes have probability 1/k; G is a mean of probabilities.
    5. e^y - 1 = Π_i (1 + Σ_c e^{-margin_ic}) - 1 is a sum of exponentials of linear functions of W, so its
       logarithm is convex. For sample weights see :func:`~steepest.theory.realised_bound`.
    """
    return LemmaConstants(
        loss_at_zero=math.log,
        largest_proxy=lambda _classes: 1.0,
        log_total_odds=_log_odds_of_logistic,
        separating_total=math.log(2.0),
        deficit=_deficit_of_logistic,
        papers_deficit=_papers_deficit,
        convex_odds=True,
    )


@LEMMA_CONSTANTS.offered_by(Exponential)
@cache
def exponential(_loss: Exponential) -> LemmaConstants:
    """Return the constants of the exponential loss: deficit 0, and Y = log y (Appendix I).

    The residuals are the terms e^{a_c} of the loss: 1 and G = L are immediate, one term is at most y, and at
    W = 0 each of the k - 1 terms is 1. The proxy has no bound. y is a sum of exponentials of linear
    functions of W.
    """
    return LemmaConstants(
        loss_at_zero=lambda classes: classes - 1.0,
        largest_proxy=lambda _classes: math.inf,
        log_total_odds=lambda log_total: log_total,
        separating_total=1.0,
        deficit=None,
        convex_odds=True,
    )


@LEMMA_CONSTANTS.offered_by(PairwiseLogistic)
@cache
def pairwise_logistic(_loss: PairwiseLogistic) -> LemmaConstants:
    """Return the constants of the pairwise logistic loss: cross-entropy's, with pairs in place of samples.

    1. The derivative of log σ(a) is 1 - σ(a), between 0 and 1: r_c moves by a factor within e^{±δ}.
    2. A pair with loss φ = log(1 + e^a) has residual σ(a) = 1 - e^{-φ}, the same concave function: given
       Σ φ = y over all pairs it is smallest where one pair has all of y, so nG ≥ 1 - e^{-y}; and it is at
       most φ.
    3. One pair's loss log(1 + e^{-margin}) is at most y, so e^{-margin} ≤ e^y - 1.
    4. At W = 0 each of the k - 1 pairs of a sample has loss log 2; each residual is at most 1.
    5. e^y - 1 = Π (1 + e^{-margin}) - 1 over pairs: convex as cross-entropy's.
    """
    return LemmaConstants(
        loss_at_zero=lambda classes: (classes - 1.0) * math.log(2.0),
        largest_proxy=lambda classes: classes - 1.0,
        log_total_odds=_log_odds_of_logistic,
        separating_total=math.log(2.0),
        deficit=_deficit_of_logistic,
        papers_deficit=_papers_deficit,
        convex_odds=True,
    )


def _log_odds_of_logistic(log_total: np.ndarray) -> np.ndarray:
    """Return log(e^y - 1) from log y."""
    total = np.exp(np.minimum(log_total, 690.0))
    series = log_total + 0.5 * total  # log(e^x - 1) = log x + x/2 + O(x²)
    middle = np.clip(total, 1e-9, 700.0)
    exact = np.where(total > 36.0, total, np.log(np.expm1(np.minimum(middle, 36.0))))
    return np.where(total < 1e-8, series, exact)


def _deficit_of_logistic(log_total: np.ndarray) -> np.ndarray:
    """Return 1 - (1 - e^-y) / y from log y."""
    with np.errstate(over="ignore"):
        total = np.exp(log_total)
    # Below 1e-4 the exact form cancels; its third-order term is below 1e-13 of the first there.
    series = total * (0.5 - total / 6.0 + total**2 / 24.0)
    bounded = np.maximum(np.where(np.isfinite(total), total, 1e300), 1e-5)
    return np.where(total < 1e-4, series, 1.0 + np.expm1(-bounded) / bounded)


def _papers_deficit(log_total: np.ndarray) -> np.ndarray:
    """Return min(1, y/2) from log y."""
    with np.errstate(over="ignore"):
        return np.minimum(1.0, 0.5 * np.exp(log_total))
