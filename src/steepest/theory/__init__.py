"""The theory of steepest descent with mini-batches, as functions to evaluate beside what is measured.

Each lemma and theorem of the paper is a function here whose docstring states it and says why it is true;
tests hold every inequality against random data and against real runs. The layers, from the bottom up:

- ``constants``: the feature radius R, the batches m, and κ(β, m), the noise that momentum lets through
- ``lemma_constants``, ``losses``: what the lemmas use of a loss, and what each loss offers
- ``loss_lemmas``, ``noise_lemmas``: Lemmas C.1 to C.14 as inequalities with both sides
- ``drift``, ``drift_start``: c₂(t) and t₀ (Assumption 3.4, Lemma C.15)
- ``effective_margin``: ρ for the four methods, and the momentum that makes it positive
- ``descent_lemma``: what one step gains and loses (Lemmas D.1, E.1, F.1, G.1)
- ``bound``, ``thresholds``: Theorems 4.1, 4.3 and 4.6, a priori and a posteriori, and when they start
- ``realised``: margin bounds from the alignment that a run had, with no worst case (``stretches``: its terms)
- ``batch_condition``: how well the batches of a partition align on average, a condition on the batch size
- ``alignment``: the effective margin measured at given weights
- ``dimensions``: what a factor d in momentum's drift would cost (Fan et al., 2025)
- ``rates``: Corollaries 4.2, 4.5 and 4.7, and the exponent that a run shows
- ``bias``: where batches of one sample lead (Theorem 4.9)
- ``limits``: where all mini-batch methods lead, predicted from the data (beyond the paper)
- ``assumptions``: all assumptions checked, a line each
- ``summary``: all numbers of a method on a problem

Margins γ are passed in, as numbers or as a :class:`steepest.MaxMarginSolution`; ``required_momentum`` alone
solves for γ where none is given.
"""

import steepest.theory.losses  # noqa: F401 (losses offer their constants where these are defined)
from steepest.theory.alignment import measured_alignment
from steepest.theory.assumptions import AssumptionChecks, Check, check_assumptions
from steepest.theory.batch_condition import (
    BatchAlignment,
    BatchCondition,
    batch_alignment,
    batch_condition,
)
from steepest.theory.bias import bias_direction, bias_distance_bound, per_sample_bias
from steepest.theory.bound import (
    MarginBound,
    UnnormalizedBound,
    margin_bound,
    predicted_margin_bound,
    unnormalized_margin_bound,
)
from steepest.theory.constants import batches_per_epoch, feature_radius, noise_factor, noise_share
from steepest.theory.descent_lemma import descent_coefficients, descent_errors
from steepest.theory.dimensions import DimensionRow, dimension_comparison
from steepest.theory.drift import DriftBound, drift_bound, drift_constant
from steepest.theory.drift_start import drift_start_bound
from steepest.theory.effective_margin import EffectiveMargin, effective_margin, required_momentum
from steepest.theory.inequality import Inequality
from steepest.theory.lemma_constants import LEMMA_CONSTANTS, LemmaConstants, lemma_constants
from steepest.theory.limits import (
    LimitDirection,
    LimitError,
    LimitPath,
    SingleSampleBias,
    SmallestBatch,
    batch_one_direction,
    batch_one_distance_bound,
    limit_direction,
    limit_margin,
    single_sample_bias,
    smallest_converging_batch,
)
from steepest.theory.rates import FittedRate, fit_exponent, fit_rate, predicted_exponent, predicted_rate
from steepest.theory.realised import RealisedBound, realised_bound
from steepest.theory.summary import Quantity, TheorySummary, summarize
from steepest.theory.thresholds import Thresholds, thresholds

__all__ = [
    "LEMMA_CONSTANTS",
    "AssumptionChecks",
    "BatchAlignment",
    "BatchCondition",
    "Check",
    "DimensionRow",
    "DriftBound",
    "EffectiveMargin",
    "FittedRate",
    "Inequality",
    "LemmaConstants",
    "LimitDirection",
    "LimitError",
    "LimitPath",
    "MarginBound",
    "Quantity",
    "RealisedBound",
    "SingleSampleBias",
    "SmallestBatch",
    "TheorySummary",
    "Thresholds",
    "UnnormalizedBound",
    "batch_alignment",
    "batch_condition",
    "batch_one_direction",
    "batch_one_distance_bound",
    "batches_per_epoch",
    "bias_direction",
    "bias_distance_bound",
    "check_assumptions",
    "descent_coefficients",
    "descent_errors",
    "dimension_comparison",
    "drift_bound",
    "drift_constant",
    "drift_start_bound",
    "effective_margin",
    "feature_radius",
    "fit_exponent",
    "fit_rate",
    "lemma_constants",
    "limit_direction",
    "limit_margin",
    "margin_bound",
    "measured_alignment",
    "noise_factor",
    "noise_share",
    "per_sample_bias",
    "predicted_exponent",
    "predicted_margin_bound",
    "predicted_rate",
    "realised_bound",
    "required_momentum",
    "single_sample_bias",
    "smallest_converging_batch",
    "summarize",
    "thresholds",
    "unnormalized_margin_bound",
]
