"""What a run leaves behind: its weights at the recorded steps and everything measured on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from steepest.arrays import as_numpy
from steepest.descent.alignment import StepAlignment
from steepest.descent.method import Method
from steepest.descent.series import OF_A_TRAJECTORY
from steepest.errors import InvalidArgument
from steepest.extras import require
from steepest.geometry import Norm, norm, same_norm
from steepest.losses import Samples, log_mean_exp, normalized_residuals, residuals
from steepest.problem import Classification

if TYPE_CHECKING:
    import xarray

_CHUNK_ENTRIES = 1 << 21


class Solution(Protocol):
    """A max-margin solution to compare with; :class:`steepest.MaxMarginSolution` is one."""

    @property
    def norm(self) -> Norm:
        """The norm in which it is a solution."""
        ...

    @property
    def weights(self) -> np.ndarray:
        """Weights of largest normalised margin, shape [k, d]."""
        ...

    @property
    def upper_bound(self) -> float:
        """A bound of the max margin from above."""
        ...


@dataclass(frozen=True)
class Trajectory:
    """One run of a method on a problem, measured at its recorded steps; every array has the records first.

    Logarithms are natural; margins are in units of the features. ``relative_margin_error`` and ``cosine``
    need a reference: pass one to :func:`steepest.descend`, or use :meth:`against`.
    """

    method: Method
    problem: str
    """Name of the problem."""
    steps: np.ndarray
    """Updates done at each record, shape [r]: 0, ..., T, by default spaced evenly on a log scale."""
    weights: np.ndarray
    """W_t, shape [r, k, d]."""
    log_loss: np.ndarray
    """log L(W_t), shape [r]."""
    log_proxy: np.ndarray
    """log G(W_t), shape [r]."""
    margin: np.ndarray
    """min over pairs of (e_y - e_c)ᵀ W_t x, shape [r]."""
    normalized_margin: np.ndarray
    """margin(W_t) / ‖W_t‖ in the method's norm, shape [r]; a lower bound of the max margin, 0 for W_t = 0."""
    certificates: np.ndarray
    """‖∇L(W_t)‖_* / G(W_t) in the method's norm, shape [r]: each bounds the max margin from above."""
    truncated_directions: np.ndarray
    """Steps so far whose spectral direction left out a small but real singular value, shape [r]."""
    completed: bool
    """Whether the run reached the number of steps, or before it the gap, that was asked for."""
    engine: str
    """Name of the engine that ran it."""
    reference: Solution | None = None
    """The max-margin solution that errors and cosines compare with."""
    data: str | None = None
    """Fingerprint of the problem's data; None where it is not known."""
    alignment: StepAlignment | None = None
    """How far every step went against the full gradient; None unless descend was asked to keep it."""

    def __repr__(self) -> str:
        state = "" if self.completed else ", interrupted"
        return f"Trajectory({self.method.name} on {self.problem}: {self.steps[-1]} steps{state})"

    @property
    def final_weights(self) -> np.ndarray:
        """Weights at the last record, shape [k, d]."""
        return self.weights[-1]

    @property
    def upper_bound(self) -> np.ndarray:
        """Smallest ‖∇L(W_s)‖_* / G(W_s) over the records so far, shape [r]: bounds the max margin from above.

        This is the anytime certificate (Lemma C.2): it needs no solver.
        """
        return np.minimum.accumulate(self.certificates)

    @cached_property
    def relative_margin_error(self) -> np.ndarray:
        """1 - margin(W_t) / (‖W_t‖ γ) in the reference's norm, shape [r], with γ the reference's upper bound.

        So an error is never understated: the true one is smaller by at most the reference's relative gap.
        """
        reference = self._required_reference()
        if same_norm(reference.norm, self.method.norm):
            return 1.0 - self.normalized_margin / reference.upper_bound
        return 1.0 - _ratio(self.margin, reference.norm(self.weights)) / reference.upper_bound

    @cached_property
    def cosine(self) -> np.ndarray:
        """Cosine ⟨W_t, W*⟩ / (‖W_t‖_F ‖W*‖_F) to the reference's weights, shape [r]; 0 for W_t = 0.

        Where the optimum is not unique it depends on which one the reference is: ``max_margin(...,
        canonical=True)`` gives the one of least Frobenius norm, and the reference's ``distance_to_optima`` of
        ``weights`` is the distance to all of them.
        """
        target = self._required_reference().weights
        frobenius = norm("frobenius")
        sizes = frobenius(self.weights) * frobenius(target)
        return _ratio(np.einsum("rkd,kd->r", self.weights, target), sizes)

    def against(self, reference: Solution) -> Trajectory:
        """Return the same trajectory with another max-margin solution as its reference, of any norm.

        Raises:
            InvalidArgument: no solution, or one of other data.
        """
        k, d = self.weights.shape[1:]
        return replace(self, reference=as_reference(reference, (k, d), self.data))

    def to_xarray(self) -> xarray.Dataset:
        """Return the trajectory as a labelled dataset over ``step`` (weights: ``class``, ``feature`` too).

        Raises:
            MissingExtra: xarray is not installed.
        """
        require("lab", "Trajectory.to_xarray", "xarray")
        import xarray

        # Errors and cosines are those to the reference.
        measured = [
            each
            for each in OF_A_TRAJECTORY
            if self.reference is not None or each.name not in ("relative_margin_error", "cosine")
        ]
        variables: dict[str, Any] = {
            each.name: ("step", getattr(self, each.name), each.attributes) for each in measured
        }
        variables["weights"] = (
            ("step", "class", "feature"),
            self.weights,
            {"long_name": "weights", "units": "1"},
        )
        attributes = {
            "problem": self.problem,
            "method": self.method.name,
            "settings": self.method.fingerprint(),
            "engine": self.engine,
            "completed": int(self.completed),
        }
        return xarray.Dataset(variables, {"step": self.steps}, attributes)

    def _required_reference(self) -> Solution:
        if self.reference is None:
            raise InvalidArgument(
                "reference",
                None,
                "pass reference=max_margin(problem, norm) to descend, or call against(solution)",
            )
        return self.reference


def measured(
    problem: Classification,
    method: Method,
    steps: np.ndarray,
    weights: np.ndarray,
    truncated_directions: np.ndarray,
    *,
    completed: bool,
    engine: str,
    reference: Solution | None,
    alignment: StepAlignment | None = None,
) -> Trajectory:
    """Return the trajectory of a run whose weights [r, k, d] were recorded at ``steps``."""
    chunk = max(1, _CHUNK_ENTRIES // (problem.samples * problem.n_classes))
    parts = [
        _measure(problem, method, weights[first : first + chunk]) for first in range(0, len(steps), chunk)
    ]
    log_loss, log_proxy, margin, normalized_margin, certificates = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Trajectory(
        method=method,
        problem=problem.name,
        steps=steps,
        weights=weights,
        log_loss=log_loss,
        log_proxy=log_proxy,
        margin=margin,
        normalized_margin=normalized_margin,
        certificates=certificates,
        truncated_directions=truncated_directions,
        completed=completed,
        engine=engine,
        reference=reference,
        data=problem.fingerprint,
        alignment=alignment,
    )


def as_reference(value: object, shape: tuple[int, int], data: str | None) -> Solution:
    """Return a max-margin solution with weights of a shape [k, d], of data with that fingerprint.

    A solution that does not say of what data it is, or data that is not known, passes.

    Raises:
        InvalidArgument: no solution, or one of other data.
    """
    if not all(hasattr(value, name) for name in ("norm", "weights", "upper_bound")) or isinstance(
        value, type
    ):
        raise InvalidArgument("reference", value, "give a solution, as max_margin(problem, norm) returns")
    solution = cast("Solution", value)
    if tuple(solution.weights.shape) != shape:
        remedy = f"give a solution with weights {shape}"
        raise InvalidArgument("reference", tuple(solution.weights.shape), remedy)
    problem = getattr(solution, "problem", None)
    if data is not None and problem is not None and problem.fingerprint != data:
        remedy = "its margins are those of other samples: give max_margin(problem, norm) of this problem"
        raise InvalidArgument("reference", f"a solution of other data ({problem.name})", remedy)
    return solution


def certified_margins(
    problem: Classification, method: Method, recorded: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return margin(W)/‖W‖ and the anytime upper bound of the max margin for weights [r, k, d], each [r]."""
    _, _, _, margins, certificates = _measure(problem, method, recorded)
    return margins, certificates


def _measure(problem: Classification, method: Method, recorded: np.ndarray) -> tuple[np.ndarray, ...]:
    weights = problem.weights_like_features(recorded)
    found = residuals(method.loss, Samples.of(problem), weights)
    margins = as_numpy(problem.margin(weights))
    certificates = method.norm.dual(problem.pair_sum(normalized_residuals(found)))
    return (
        as_numpy(log_mean_exp(found.log_losses)),
        as_numpy(log_mean_exp(found.log_weights)),
        margins,
        _ratio(margins, as_numpy(method.norm(weights))),
        as_numpy(certificates),
    )


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient, and 0 where the weights are 0 and have no direction."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
