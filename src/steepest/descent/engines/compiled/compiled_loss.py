"""The capability of a loss to run in the compiled engine, declared apart: to offer it needs no numba."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steepest.capabilities import Capability

__all__ = ["COMPILED_LOSS", "CompiledLoss", "PairResiduals", "ResidualKernel", "TotalResiduals"]


@dataclass(frozen=True)
class PairResiduals:
    """Residuals r_ic = exp(min(a_ic, 0) + correction(a_ic)): for Σ_c φ(a_ic), with log φ'(a) the exponent.

    ``correction`` is a plain function of one number that numba can compile (``math``, conditions, loops).
    What stands in front of it is formed in doubled precision, so that residuals are exact at margins of 1e5.
    """

    correction: Callable[[float], float]


@dataclass(frozen=True)
class TotalResiduals:
    """Residuals r_ic ∝ exp(a_ic) with Σ_c r_ic = exp(min(u_i, 0) + correction(u_i)), u_i = log Σ_c exp(a_ic).

    For losses φ(u_i), with log φ'(u) the exponent; ``correction`` as in :class:`PairResiduals`.
    """

    correction: Callable[[float], float]


@dataclass(frozen=True)
class ResidualKernel:
    """Residuals by a loop over arrays, where a function of one number is not enough, or not fast enough.

    ``kernel(b, log_odds, low, doubled, numbers, bits, powers)`` is a plain function or a compiled one. It
    gets a_ic in the first b rows of ``log_odds`` [n, k], -inf at the true class, to which ``low`` [n, k] is
    to be added where ``doubled``. It returns a shift and leaves residuals in ``log_odds``, sums and weights
    in the first two rows of ``numbers`` [5, n], such that

        r_ic = e^shift · numbers[1, i] · log_odds[i, c],    numbers[0, i] = Σ_c log_odds[i, c],

    with the largest Σ_c r_ic · e^-shift of order one; what it leaves at the true class counts for nothing and
    must be negligible in the sum. The rest of ``numbers``, ``low``, ``bits`` [n k] and ``powers``, the same
    memory seen as floats, are scratch space.
    """

    kernel: Callable[..., float]


CompiledLoss = PairResiduals | TotalResiduals | ResidualKernel

COMPILED_LOSS: Capability[CompiledLoss] = Capability(
    "compiled code for its residuals", "Residuals as code that numba compiles, for the compiled engine."
)
