"""Where mini-batch methods go: limit directions predicted from the data alone (beyond the paper).

- ``single_samples``: batches of one whose directions no weights change; a closed form and its proof
- ``batches``: which batches the expectation is over, with the ages of samples where there is momentum
- ``pulls``, ``entries``, ``fields``: the mean field and its Jacobian, at any size of the weights
- ``path``: dW/dR = F(W) by implicit Euler steps and Newton's method
- ``following``, ``refinement``, ``uncertainty``: paths of a method without their errors, and what is left
- ``predict``, ``result``: the limit, its error estimate and what is known of it, in words
- ``smallest``: from which batch size on the limit is the max margin
"""

from steepest.theory.limits.predict import limit_direction, limit_margin
from steepest.theory.limits.result import LimitDirection, LimitError, LimitPath
from steepest.theory.limits.single_samples import (
    SingleSampleBias,
    batch_one_direction,
    batch_one_distance_bound,
    single_sample_bias,
)
from steepest.theory.limits.smallest import SmallestBatch, smallest_converging_batch

__all__ = [
    "LimitDirection",
    "LimitError",
    "LimitPath",
    "SingleSampleBias",
    "SmallestBatch",
    "batch_one_direction",
    "batch_one_distance_bound",
    "limit_direction",
    "limit_margin",
    "single_sample_bias",
    "smallest_converging_batch",
]
