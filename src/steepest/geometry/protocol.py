"""What a norm must have: its value, its dual norm and its direction of steepest descent."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

from steepest.arrays import Array
from steepest.errors import InvalidArgument

__all__ = ["Norm", "own_text", "required_norm"]

# Of text that NumPy shortens, two norms with other entries may show the same.
_UNTELLING = re.compile(r" at 0x[0-9a-fA-F]+|\.\.\.")


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


def required_norm(argument: str, value: object) -> Norm:
    """Return the value as a norm.

    Raises:
        InvalidArgument: it is a class, or lacks some of the three methods, which the message names.

    >>> required_norm("base", sum)
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: base=<built-in function sum>: a norm needs dual, direction too
    """
    if isinstance(value, type):
        raise InvalidArgument(argument, value, "this is a class; give an instance of it")
    missing = [each for each in ("__call__", "dual", "direction") if not callable(getattr(value, each, None))]
    if missing or not isinstance(value, Norm):
        raise InvalidArgument(argument, value, f"a norm needs {', '.join(missing)} too")
    return value


def own_text(norm: Norm) -> str | None:
    """Return the text by which a norm can be told from others; None if it is an address or shortened.

    >>> from steepest.geometry import Entrywise
    >>> own_text(Entrywise(2))
    'frobenius'
    """
    text = str(norm)
    return None if _UNTELLING.search(text) else text
