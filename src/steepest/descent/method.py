"""A method of the paper: a norm, a signal, a loss and a schedule, with the seed of its shuffling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from steepest.arguments import one_of, real_number, switch, whole_number
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm, norm_label, norm_name
from steepest.losses import CROSS_ENTROPY, Loss, loss
from steepest.problem import Classification, as_problem
from steepest.schedules import PolynomialDecay, Schedule
from steepest.signals import SIGNALS, Momentum, Reshuffling, Signal, momentum_kind, signal

# An optimiser of the literature is a norm, with momentum or without; "vr-" adds variance reduction.
_NAMED: dict[str, tuple[str, bool]] = {
    "signsgd": ("max", False),
    "signum": ("max", True),
    "normalized-sgd": ("frobenius", False),
    "n-sgd": ("frobenius", False),
    "n-msgd": ("frobenius", True),
    "spectral-sgd": ("spectral", False),
    "muon": ("spectral", True),
}
_DEFAULT_MOMENTUM = 0.9
_PLAIN, _REDUCED, _AVERAGE = "minibatch", "svrg", "ema"
_WEIGHTED, _MEAN = "weighted", "mean"


@dataclass(frozen=True)
class Method:
    """Steepest descent in a norm: W_{t+1} = W_t - η_t D(S_t), with S_t as in :mod:`steepest.signals`.

    Args:
        norm: a norm or its name, such as "spectral".
        batch_size: samples a step, b; None takes all of them (the full batch).
        momentum: β, 0 ≤ β < 1, by default of an exponential moving average.
        variance_reduction: True is another way to write signal="svrg".
        loss: a loss or its name, such as "cross-entropy"; :data:`steepest.losses.LOSSES` has all names.
        schedule: the step sizes η_t.
        seed: of the shuffling, a whole number of at least 0.
        signal: how the gradient is estimated, a signal or its name: "minibatch", "svrg", "loopless-svrg" or
            "saga".
        momentum_kind: what β means, a kind of momentum or its name: "ema", "nesterov" or "heavy-ball".
        rank_cutoff: singular values at or below this times the largest count as zero in spectral and other
            Schatten directions, as in practice; a number in [0, 1). None keeps all that the terms of a
            gradient, or of an average of gradients, have, however small.
        partial_batch: how the smaller last batch of an epoch counts where b does not divide n: "weighted"
            sums it with the m/n of every batch, so that an epoch's signals average to the gradient; "mean"
            takes the mean over its samples, as a loop over a PyTorch DataLoader does.

    Raises:
        InvalidArgument: for a value outside these.

    >>> Method("max", batch_size=10, momentum=0.9).name
    'signum'
    >>> str(Method.named("vr-muon", batch_size=10, momentum=0.99).norm)
    'spectral'
    >>> Method("spectral", batch_size=10, momentum=0.9, signal="saga", momentum_kind="nesterov").name
    'saga-muon with nesterov momentum'
    """

    norm: Norm = field(default_factory=lambda: norm("frobenius"))
    batch_size: int | None = None
    momentum: float = 0.0
    loss: Loss = CROSS_ENTROPY
    schedule: Schedule = field(default_factory=PolynomialDecay)
    seed: int = 0
    signal: Signal = field(default_factory=lambda: signal(_PLAIN))
    momentum_kind: Momentum = field(default_factory=lambda: momentum_kind(_AVERAGE))
    rank_cutoff: float | None = None
    partial_batch: str = _WEIGHTED

    def __init__(
        self,
        norm: Norm | str = "frobenius",
        batch_size: int | None = None,
        momentum: float = 0.0,
        variance_reduction: bool | None = None,
        loss: Loss | str = CROSS_ENTROPY,
        schedule: Schedule | None = None,
        seed: int = 0,
        signal: Signal | str | None = None,
        momentum_kind: Momentum | str = "ema",
        rank_cutoff: float | None = None,
        partial_batch: str = "weighted",
    ):
        values = {
            "norm": _as_norm(norm),
            "batch_size": _validated_batch_size(batch_size),
            "momentum": real_number(
                "momentum", momentum, "give a number β with 0 ≤ β < 1", at_least=0, below=1
            ),
            "loss": _as_loss(loss),
            "schedule": _validated_schedule(PolynomialDecay() if schedule is None else schedule),
            "seed": whole_number("seed", seed, 0),
            "signal": _as_signal(signal, variance_reduction),
            "momentum_kind": _as_momentum_kind(momentum_kind),
            "rank_cutoff": _validated_cutoff(rank_cutoff),
            "partial_batch": one_of("partial_batch", partial_batch, (_WEIGHTED, _MEAN)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def named(cls, name: str, **settings: Any) -> Method:
        """Return the method that the literature calls by that name, with further settings as in the class.

        Names: signsgd, signum, normalized-sgd (n-sgd), n-msgd, spectral-sgd, muon. Before each may stand
        "vr-" for variance reduction (SVRG) or the name of another signal, as in "saga-muon". Those with
        momentum take β = 0.9 unless it is given; those without refuse one.

        >>> str(Method.named("loopless-svrg-signum", batch_size=10).signal)
        'loopless-svrg'
        """
        signal_name, norm_name, has_momentum = _parsed(name)
        for fixed in ("norm", "variance_reduction", "signal"):
            if fixed in settings:
                raise InvalidArgument(
                    fixed, settings[fixed], f"leave it out, {name} says it; or use Method(...)"
                )
        if has_momentum:
            settings.setdefault("momentum", _DEFAULT_MOMENTUM)
        elif settings.get("momentum"):
            raise InvalidArgument(
                "momentum", settings["momentum"], f"{name} has none; use Method(...) instead"
            )
        return cls(norm_name, signal=signal_name, **settings)

    @property
    def variance_reduction(self) -> bool:
        """Whether gradients are corrected by a snapshot at the start of each epoch (SVRG)."""
        return str(self.signal) == _REDUCED

    @property
    def name(self) -> str:
        """The literature's name where there is one, otherwise a description."""
        label = norm_label(self.norm)
        kind = (label, self.momentum > 0)
        names = (name for name, named_kind in _NAMED.items() if named_kind == kind)
        name = next(names, f"{label} descent" + (" with momentum" if self.momentum > 0 else ""))
        if self.momentum > 0 and str(self.momentum_kind) != _AVERAGE:
            name = f"{name.removesuffix(' with momentum')} with {self.momentum_kind} momentum"
        prefix = {_PLAIN: "", _REDUCED: "vr-"}.get(str(self.signal), f"{self.signal}-")
        return prefix + name

    def batch_size_for(self, problem: Classification) -> int:
        """Return the number of samples a step on this problem; InvalidArgument if it has fewer samples."""
        problem = as_problem(problem)
        if self.batch_size is None:
            return problem.samples
        if self.batch_size > problem.samples:
            raise InvalidArgument(
                "batch_size", self.batch_size, f"give an integer from 1 to {problem.samples}, or None"
            )
        return self.batch_size

    def reshuffling(self, problem: Classification) -> Reshuffling:
        """Return the order in which this method visits the samples of the problem."""
        return Reshuffling(as_problem(problem).samples, self.batch_size_for(problem), self.seed)

    @property
    def takes_means(self) -> bool:
        """Whether a smaller last batch counts by the mean over its samples."""
        return self.partial_batch == _MEAN

    def fingerprint(self) -> str:
        """Return a text that names every setting: equal for methods whose runs are equal.

        Raises:
            InvalidArgument: the norm has no name of its own.
        """
        return f"{norm_name(self.norm)} {self.settings()}"

    def settings(self) -> str:
        """Return a text that names every setting but the norm."""
        text = (
            f"b={self.batch_size} beta={self.momentum!r} vr={self.variance_reduction} "
            f"{self.loss.name} {self.schedule!r} seed={self.seed}"
        )
        # What there was first is left out, so that results from before there was more keep their names.
        if str(self.signal) not in (_PLAIN, _REDUCED):
            text += f" signal={self.signal}"
        if str(self.momentum_kind) != _AVERAGE:
            text += f" momentum={self.momentum_kind}"
        if self.rank_cutoff is not None:
            text += f" rank_cutoff={self.rank_cutoff!r}"
        return text if self.partial_batch == _WEIGHTED else f"{text} partial_batch={self.partial_batch}"


def _parsed(name: object) -> tuple[str, str, bool]:
    """Return signal, norm, and whether there is momentum, of a method's name."""
    text = name if isinstance(name, str) else ""
    for plain, (geometry, has_momentum) in _NAMED.items():
        if text.lower() == plain:
            return _PLAIN, geometry, has_momentum
        prefix = text[: -len(plain) - 1]
        if text.lower() == f"{prefix.lower()}-{plain}":
            if prefix.lower() == "vr":
                return _REDUCED, geometry, has_momentum
            for signal_name in (prefix, prefix.lower()):
                if signal_name in SIGNALS:
                    return signal_name, geometry, has_momentum
    remedy = f"give one of {', '.join(_NAMED)}, alone or after 'vr-' or a signal's name, as saga-muon"
    raise InvalidArgument("name", name, remedy)


def _as_norm(value: Norm | str) -> Norm:
    return norm(value)


def _as_loss(value: Loss | str) -> Loss:
    return loss(value)


def _validated_batch_size(value: object) -> int | None:
    if value is None:
        return None
    return whole_number("batch_size", value, 1, "give an integer of at least 1, or None for the full batch")


def _validated_cutoff(value: object) -> float | None:
    if value is None:
        return None
    remedy = "give a number in [0, 1), relative to the largest singular value, or None"
    return real_number("rank_cutoff", value, remedy, at_least=0, below=1)


def _as_signal(value: Signal | str | None, variance_reduction: object) -> Signal:
    if variance_reduction is not None:
        variance_reduction = switch("variance_reduction", variance_reduction)
    if value is None:
        return signal(_REDUCED if variance_reduction else _PLAIN)
    chosen = signal(value)
    if variance_reduction is not None and variance_reduction != (str(chosen) == _REDUCED):
        remedy = f"leave it out, signal={chosen} says it"
        raise InvalidArgument("variance_reduction", variance_reduction, remedy)
    return chosen


def _as_momentum_kind(value: Momentum | str) -> Momentum:
    return momentum_kind(value)


def _validated_schedule(value: object) -> Schedule:
    if not isinstance(value, Schedule) or isinstance(value, type):
        raise InvalidArgument("schedule", value, "give a schedule such as PolynomialDecay(0.1, 0.5)")
    return value
