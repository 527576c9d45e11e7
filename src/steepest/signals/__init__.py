"""What a step follows: gradients of mini-batches, variance reduction, momentum.

A signal estimates the gradient from a batch (Appendix A of the paper), and a kind of momentum makes of the
signals so far what the step follows:

    minibatch       g_t = ∇L_B(W_t)
    svrg            V_t = ∇L_B(W_t) - ∇L_B(W̃) + ∇L(W̃), W̃ the weights at the start of the epoch
    loopless-svrg   the same, W̃ taken at each step with probability 1/m
    saga            V_t = ∇L_B(W_t) - ∇L_B(φ) + (1/n) Σ_j ∇ℓ_j(φ_j), φ_i the weights at which i was last seen

    ema             M_t = β M_{t-1} + (1 - β) V_t, M_{-1} = 0
    nesterov        β M_t + (1 - β) V_t
    heavy-ball      V_t, and the weights keep β of their last move

An epoch has m = ⌈n / b⌉ batches. Where b does not divide n the last batch is smaller, and every batch sum is
multiplied by m / n rather than divided by its own size: then the m signals of an epoch, taken at fixed
weights, average to the full gradient for every order of the samples. For n = m b that is the batch mean.
"""

from __future__ import annotations

from steepest.signals.minibatch import minibatch_gradient
from steepest.signals.momentum import with_momentum
from steepest.signals.names import (
    MOMENTUM_KINDS,
    SIGNALS,
    momentum_kind,
    register_momentum_kind,
    register_signal,
    signal,
)
from steepest.signals.protocol import Draw, Fields, Momentum, Signal
from steepest.signals.reshuffling import Reshuffling, coins
from steepest.signals.svrg import variance_reduced_gradient

__all__ = [
    "MOMENTUM_KINDS",
    "SIGNALS",
    "Draw",
    "Fields",
    "Momentum",
    "Reshuffling",
    "Signal",
    "coins",
    "minibatch_gradient",
    "momentum_kind",
    "register_momentum_kind",
    "register_signal",
    "signal",
    "variance_reduced_gradient",
    "with_momentum",
]
