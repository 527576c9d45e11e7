"""The effective margin ρ: what is left of γ after sampling noise (Theorems 4.1, 4.3 and 4.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from steepest.arguments import one_of, real_number
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm, norm_label, same_norm
from steepest.losses import Loss, loss
from steepest.problem import Classification, as_problem
from steepest.schedules import Schedule
from steepest.theory.constants import (
    batches_per_epoch,
    effective_samples,
    feature_radius,
    noise_factor,
    noise_share,
    papers_radius,
    required_momentum_for,
)
from steepest.theory.inputs import as_momentum, require_parts
from steepest.theory.lemma_constants import LemmaConstants, lemma_constants

Constants = Literal["sharp", "paper", "fan"]
"""Which constants: the smallest that this library can prove, the paper's (derived again), or, of the full
batch with momentum, those of the entry-wise bounds before it, with a factor d (Fan et al., 2025)."""


class MethodLike(Protocol):
    """What the theory reads of a method; :class:`steepest.Method` is one."""

    @property
    def norm(self) -> Norm: ...  # noqa: D102
    @property
    def batch_size(self) -> int | None: ...  # noqa: D102
    @property
    def momentum(self) -> float: ...  # noqa: D102
    @property
    def variance_reduction(self) -> bool: ...  # noqa: D102
    @property
    def loss(self) -> Any: ...  # noqa: D102
    @property
    def schedule(self) -> Schedule: ...  # noqa: D102


@dataclass(frozen=True)
class Setting:
    """A method on a problem, reduced to the numbers that the theory depends on."""

    samples: float
    """n, or what stands for it with sample weights, see ``effective_samples``."""
    n_classes: int
    batches: int
    """m, batches an epoch."""
    momentum: float
    variance_reduction: bool
    schedule: Schedule
    loss: Loss
    norm: Norm
    radius: float
    """R(‖·‖) for sharp constants; R = max ‖x_i‖₁, or R(‖·‖) where larger, for the paper's."""
    constants: Constants
    features: int = 1
    """d, which enters with Fan et al.'s constants alone."""

    @property
    def width(self) -> float:
        """What multiplies drift and start-up of momentum: d with Fan et al.'s constants, 1 with others."""
        return float(self.features) if self.constants == "fan" else 1.0

    @property
    def lemmas(self) -> LemmaConstants:
        """What the lemmas use of the loss; MissingCapability if it does not offer it."""
        return lemma_constants(self.loss)

    @property
    def sharp(self) -> bool:
        """Whether the constants are the sharp ones."""
        return self.constants == "sharp"


def setting(problem: Classification, method: MethodLike, constants: Constants = "sharp") -> Setting:
    """Return the numbers that the theory of ``method`` on ``problem`` depends on.

    Raises:
        InvalidArgument: other constants, or a signal or a momentum that the theory says nothing of.
        MissingCapability: the loss offers no lemma constants.
    """
    problem = as_problem(problem)
    require_parts("method", method, _READ, "give a steepest.Method")
    _require_analysed(method)
    one_of("constants", constants, get_args(Constants))
    norm_, loss_ = norm(method.norm), loss(method.loss)
    lemma_constants(loss_)
    radius = feature_radius if constants == "sharp" else papers_radius
    batches = batches_per_epoch(problem.samples, method.batch_size)
    if constants == "fan" and batches > 1:
        raise InvalidArgument("constants", constants, "give a method of the full batch: they know no other")
    return Setting(
        samples=effective_samples(problem),
        n_classes=problem.n_classes,
        batches=batches,
        momentum=as_momentum(method.momentum),
        variance_reduction=bool(method.variance_reduction),
        schedule=method.schedule,
        loss=loss_,
        norm=norm_,
        radius=radius(problem, norm_),
        constants=constants,
        features=problem.dimension,
    )


def is_analysed(method: MethodLike) -> bool:
    """Return whether Theorems 4.1, 4.3 and 4.6 are about the signal and the momentum of a method."""
    return next(_not_analysed(method), None) is None


def _require_analysed(method: MethodLike) -> None:
    for argument, name in _not_analysed(method):
        remedy = f"the theory covers {' and '.join(_ANALYSED[argument])} alone"
        raise InvalidArgument(argument, name, remedy)


def _not_analysed(method: MethodLike) -> Iterator[tuple[str, str]]:
    signal, kind = (str(getattr(method, name, known[0])) for name, known in _ANALYSED.items())
    if signal not in _ANALYSED["signal"]:
        yield "signal", signal
    if float(method.momentum) > 0 and kind not in _ANALYSED["momentum_kind"]:
        yield "momentum_kind", kind


_READ = ("norm", "batch_size", "momentum", "variance_reduction", "loss", "schedule")
_ANALYSED = {"signal": ("minibatch", "svrg"), "momentum_kind": ("ema",)}


@dataclass(frozen=True)
class EffectiveMargin:
    """The effective margin ρ = γ - noise, with the numbers that it is made of."""

    margin: float
    """γ: the max margin, or any number below it (the theory then holds for that number)."""
    noise: float
    """What sampling noise takes away, 4R K(β, m) or 4(m-1)R κ(β, m); 0 with variance reduction."""
    radius: float
    """R, in units of the features."""
    batches: int
    """m, batches an epoch."""
    noise_share: float
    """κ(β, m)."""

    @property
    def value(self) -> float:
        """The effective margin ρ = γ - noise."""
        return self.margin - self.noise

    @property
    def vacuous(self) -> bool:
        """Whether ρ > 0 fails: the theorem then says nothing, whatever practice shows."""
        return not self.value > 0


def margin_value(margin: Any, norm_: Norm) -> float:
    """Return γ as a number, from a number or from a solution with an attribute ``margin``.

    Of a certified solution it is the lower bound, which is attained: the theory holds for every number that
    is at most the max margin. InvalidArgument for a solution in another norm, and for NaN or infinity.
    """
    other = getattr(margin, "norm", norm_)
    if not same_norm(other, norm_):
        given, wanted = norm_label(other), norm_label(norm_)
        raise InvalidArgument("margin", f"a solution in the {given} norm", f"give one in the {wanted} norm")
    value = getattr(margin, "margin", margin)
    return real_number("margin", value, "give a finite number or a max-margin solution")


def effective_margin(
    problem: Classification, method: MethodLike, margin: Any, constants: Constants = "sharp"
) -> EffectiveMargin:
    """Return the effective margin ρ of a method on a problem.

    One step of any of the methods lowers the loss by at least η_t G (ρ - errors that vanish with η_t), where

        no momentum             ρ = γ - 4 (m-1) R              (Theorem 4.1)
        momentum                ρ = γ - 4 (m-1) R κ(β, m)      (Theorem 4.3)
        variance reduction      ρ = γ, with or without momentum (Theorem 4.6)

    since ⟨∇L, D(S)⟩ ≥ ‖∇L‖_* - 2 ‖S - ∇L‖_* and the sampling noise in S is at most 2 (m-1) R κ G
    (Lemmas C.11 and C.12), while ‖∇L‖_* ≥ γ G (Lemma C.5).

    Note that γ ≤ 2R always: γ ≤ ‖A(q)‖_* ≤ Σ q ‖(e_y - e_c) xᵀ‖_* ≤ 2R. So without momentum ρ > 0 for the
    full batch alone: at m ≥ 2, ρ ≤ 2R - 4R < 0 on any data and in any norm. Momentum needs κ < γ /
    (4(m-1)R); see :func:`required_momentum`.

    Args:
        problem: the data.
        method: a :class:`steepest.Method`, or anything with its attributes.
        margin: γ as a number, or a max-margin solution in the method's norm.
        constants: ``"sharp"`` uses R(‖·‖) and the exact κ; ``"paper"`` R = max ‖x_i‖₁ (or R(‖·‖), where
            that is larger) and κ = (1-β) m², or 1 without momentum; ``"fan"``, of the full batch alone,
            the paper's with a factor d in drift and start-up of momentum (see ``descent_errors``).

    Sharper than the paper. Its (1-β) m² tends to m² as β → 0, where Theorem 4.1 has 1: Remark 4.4 says that
    its analysis with momentum does not recover the one without. The exact κ does: K(β, m) → m - 1 as β → 0,
    and the errors δ_t of a step tend to theirs at β = 0 as well, so that with sharp constants Theorem 4.1 is
    the limit of Theorem 4.3.

    Raises:
        InvalidArgument: a batch size, momentum, loss or margin that cannot be used.
        MissingCapability: the loss offers no lemma constants.

    >>> from steepest import Method
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> method = Method("max", batch_size=1)
    >>> rho = effective_margin(problem, method, margin=2.0)
    >>> rho.value, rho.vacuous
    (-2.0, True)
    """
    numbers = setting(problem, method, constants)
    return effective_margin_of(numbers, margin_value(margin, numbers.norm))


def effective_margin_of(numbers: Setting, margin: float) -> EffectiveMargin:
    """Return the effective margin for the numbers of :func:`setting`."""
    m, beta, radius = numbers.batches, numbers.momentum, numbers.radius
    # Without momentum Theorem 4.1 has κ = 1; the paper's (1-β) m² is about β > 0 (Remark 4.4).
    share = noise_share(beta, m, "exact" if numbers.sharp or beta == 0 else "paper")
    if numbers.variance_reduction:
        noise = 0.0
    else:
        noise = 4.0 * radius * (noise_factor(beta, m) if numbers.sharp else (m - 1) * share)
    return EffectiveMargin(margin, noise, radius, m, share)


def required_momentum(
    problem: Classification, norm_: Norm | str, batch_size: int | None, margin: Any = None
) -> float:
    """Return the smallest momentum β with a positive effective margin, without variance reduction.

    Uses the sharp constants; 1 - β is then about γ / (6 (m-1) R(‖·‖)). It is 0 for the full batch.

    Args:
        problem: the data.
        norm_: the norm of the descent.
        batch_size: b, or None for the full batch.
        margin: γ as a number, or a max-margin solution in that norm; without it γ is solved for here.

    Raises:
        InvalidArgument: the margin is not positive, or no momentum below 1 is large enough.

    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> round(required_momentum(problem, "max", 1, margin=2.0), 4)
    0.6404
    """
    m = batches_per_epoch(as_problem(problem).samples, batch_size)
    if margin is None:
        # Everything else here takes γ as it is given; the solvers are heavy to load for one function.
        from steepest.maxmargin import max_margin

        margin = max_margin(problem, norm_)
    return required_momentum_for(margin_value(margin, norm(norm_)), feature_radius(problem, norm_), m)
