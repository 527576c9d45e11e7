"""What a norm must have: its value, its dual norm and its direction of steepest descent."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from steepest.arrays import Array
from steepest.errors import InvalidArgument

__all__ = ["Norm", "norm_name"]


@runtime_checkable
class Norm(Protocol):
    """A norm ‖·‖ of matrices [..., k, d], with its dual norm and its steepest-descent direction.

    These three are all that a norm of your own needs; its text form is the name that results show. What is
    faster or stronger it may offer as a capability (:mod:`steepest.capabilities`).

    >>> class Doubled:
    ...     '''Twice the Frobenius norm.'''
    ...
    ...     def __call__(self, A):
    ...         return 2 * np.linalg.norm(A, axis=(-2, -1))
    ...
    ...     def dual(self, A):
    ...         return 0.5 * np.linalg.norm(A, axis=(-2, -1))
    ...
    ...     def direction(self, S):
    ...         size = np.linalg.norm(S, axis=(-2, -1), keepdims=True)
    ...         return 0.5 * S / np.where(size > 0, size, 1.0)
    ...
    ...     def __str__(self):
    ...         return "doubled-frobenius"
    >>> import numpy as np
    >>> isinstance(Doubled(), Norm)
    True
    """

    def __call__(self, A: Array, /) -> Array:
        """Return ‖A‖ of matrices [..., k, d] as [...]."""
        ...

    def dual(self, A: Array, /) -> Array:
        """Return ‖A‖_* = max_{‖V‖ ≤ 1} ⟨V, A⟩ of matrices [..., k, d] as [...]."""
        ...

    def direction(self, S: Array, /) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d], ⟨S, D(S)⟩ = ‖S‖_*; D(0) = 0."""
        ...


def norm_name(norm: Norm) -> str:
    """Return the name under which results of a norm are kept: its text form.

    Raises:
        InvalidArgument: the norm has no text form of its own, so that two norms could not be told apart.

    >>> from steepest.geometry import Entrywise
    >>> norm_name(Entrywise(2))
    'frobenius'
    """
    text = str(norm)
    if text == object.__repr__(norm):
        raise InvalidArgument("norm", norm, "give its class a __str__ that names the norm and its parameters")
    return text
