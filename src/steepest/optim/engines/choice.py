"""Engines by name, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from steepest.errors import InvalidArgument
from steepest.optim.engines.coefficients import COEFFICIENTS
from steepest.optim.engines.exact import SpectralFunction, by_gram, by_svd, ones
from steepest.optim.engines.iterative import Form, Iterative, Precision
from steepest.optim.engines.measured import fastest

__all__ = ["EXACT", "Polar", "chosen", "engine", "exact"]


@runtime_checkable
class Polar(Protocol):
    """What returns the polar factors U Vᵀ of matrices [..., k, d], exactly or nearly: any callable."""

    def __call__(self, S: Tensor, /) -> Tensor:
        """Return matrices of the shape and dtype of S, which it must not change."""
        ...


EXACT: dict[str, Callable[[Tensor, SpectralFunction], Tensor]] = {"svd": by_svd, "gram": by_gram}
"""The exact engines, for any spectral function."""

_GRAM_ASPECT = 1.5
"""From this aspect on a Gram matrix takes less than half of the time of an SVD, on every processor."""
_LARGEST_MEASURED = 256
_MEASURED_ENTRIES = 1 << 14


def chosen(S: Tensor) -> str:
    """Return the name of the exact engine that "auto" takes for matrices on the host.

    Double precision goes to the SVD of the laboratory. Of wide and tall matrices in single and half precision
    a Gram matrix is taken; for nearly square ones the two engines are measured against each other, once a
    process for every power of two of the shorter side.

    >>> chosen(torch.zeros(3, 4, dtype=torch.float64)), chosen(torch.zeros(100, 400))
    ('svd', 'gram')
    """
    short, long = sorted(S.shape[-2:])
    if S.dtype == torch.float64:
        return "svd"
    if long >= _GRAM_ASPECT * short:
        return "gram"
    return _measured(1 << max(0, short - 1).bit_length(), torch.get_num_threads())


@cache
def _measured(side: int, _threads: int) -> str:
    side = min(max(side, 2), _LARGEST_MEASURED)
    engines = {name: partial(_unit, name) for name in EXACT}
    return fastest(engines, (side, side), max(1, _MEASURED_ENTRIES // side**2))


def _unit(name: str, S: Tensor) -> Tensor:
    return EXACT[name](S, ones)


def exact(S: Tensor, function: SpectralFunction, name: str = "auto") -> Tensor:
    """Return U f(Σ) Vᵀ of matrices [..., k, d] by an exact engine."""
    return EXACT[chosen(S) if name == "auto" else name](S, function)


def engine(value: object) -> str | Polar:
    """Return an engine of the spectral direction: "auto", "svd", "gram", an iteration, or a callable.

    Args:
        value: one of those names; or the name of a set of coefficients, after which may stand the number of
            steps, the form and the precision, as in "polar-express-8-gram-float32".

    Raises:
        InvalidArgument: another name, or no callable.

    >>> engine("newton-schulz-5-bfloat16")
    Iterative(coefficients='newton-schulz', steps=5, form='auto', precision='bfloat16')
    >>> engine("svdd")
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: polar='svdd': give auto, svd, gram, a callable, or one of polar-express,
    newton-schulz, cesista, cubic, quintic, also with steps, form and precision as in
    polar-express-8-gram-float32
    """
    if not isinstance(value, str):
        if isinstance(value, Polar) and not isinstance(value, type):
            return value
    elif value == "auto" or value in EXACT:
        return value
    else:
        found = _iterative(value)
        if found is not None:
            return found
    remedy = (
        f"give auto, {', '.join(EXACT)}, a callable, or one of {', '.join(COEFFICIENTS)}, also with steps, "
        f"form and precision as in polar-express-8-gram-float32"
    )
    raise InvalidArgument("polar", value, remedy)


@cache
def _iterative(text: str) -> Iterative | None:
    name = next((each for each in COEFFICIENTS if f"{text}-".startswith(f"{each}-")), None)
    if name is None:
        return None
    steps: int | None = None
    form: Form = "auto"
    precision: Precision = "auto"
    for part in filter(None, text.removeprefix(name).split("-")):
        if part.isdecimal():
            steps = int(part)
        elif part in ("direct", "gram"):
            form = part
        elif part in ("bfloat16", "float16", "float32", "float64"):
            precision = part
        else:
            return None
    return Iterative(name, steps, form, precision)
