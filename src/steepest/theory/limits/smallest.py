"""From which batch size on the predicted limit of a method is the max margin; beyond the paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from steepest.arguments import real_number
from steepest.geometry import norm
from steepest.problem import Classification, as_problem
from steepest.theory.effective_margin import MethodLike
from steepest.theory.inputs import as_batch_sizes, require_parts
from steepest.theory.limits.plan import READ
from steepest.theory.limits.predict import limit_direction
from steepest.theory.limits.result import LimitDirection

__all__ = ["SmallestBatch", "smallest_converging_batch"]

_SCREENED = 150
"""Batches of a sample that is only to tell a floor from none."""
_LARGE = 200_000
"""Of n k d, from which on such samples come first."""
_FINENESS = 16
"""Batch sizes closer than one part in so many are not told apart by halving."""
_STRIDE = 4
"""By which the batch size grows on such data until one finds the max margin."""


@dataclass(frozen=True)
class SmallestBatch:
    """The smallest batch size whose limit is the max margin, among those that were tried."""

    batch_size: int | None
    """b*, the smallest that is known to; None where none is. The status names open ones below it."""
    tolerance: float
    """Relative error up to which a margin counts as the max margin."""
    tried: dict[int, LimitDirection]
    """The limits at the batch sizes that were looked at, in increasing order."""
    status: str
    """What that means, in words."""
    interrupted: bool = False
    """Whether Ctrl-C came before all was tried."""


class _WithBatchSize:
    """A method of another batch size, whatever the method is."""

    def __init__(self, method: MethodLike, batch_size: int):
        self._method, self.batch_size = method, batch_size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)


def smallest_converging_batch(
    problem: Classification,
    method: MethodLike,
    batch_sizes: Iterable[int] | None = None,
    *,
    tolerance: float = 2e-3,
    margin: Any = None,
    **settings: Any,
) -> SmallestBatch:
    """Return the smallest batch size from which on the predicted limit of a method is the max margin.

    Without ``batch_sizes`` 1, 2, 4, 8, ... are tried until one finds the max margin, and then by halving
    those between it and the last that is not known to, to within 1/16 of it. On large data every second of
    these powers is left out, and no more than two small samples of batches are taken where the verdict is
    clear from them. With ``batch_sizes`` all of them are tried. The answer is the smallest that is known to
    find the max margin, as all larger ones among those tried are; the status names those below it that are
    open. That larger ones do so too is not certain: where b does not divide n the last batch of an epoch is
    smaller and may bring a floor back, as b = n - 1 shows, whose last batch is of one sample.

    Args:
        problem: separable data.
        method: a :class:`steepest.Method`, or anything with its attributes; its batch size does not matter.
        batch_sizes: the batch sizes to try, from 1 to n.
        tolerance: relative error of the margin that counts as none.
        margin: γ or a max-margin solution, as in :func:`limit_direction`.
        settings: further arguments of :func:`limit_direction`.

    Ctrl-C ends it with what has been tried; before the first result it is raised.

    Raises:
        InvalidArgument: no batch sizes, one that cannot be used, or what :func:`limit_direction` refuses.

    >>> from steepest import Method
    >>> problem = Classification([[2.0, 1.0], [-1.0, 1.0], [-2.0, -3.0]], [0, 1, 1])
    >>> method = Method("max", batch_size=1)
    >>> smallest_converging_batch(problem, method, [1, 3]).batch_size
    3
    """
    problem = as_problem(problem)
    require_parts("method", method, READ, "give a steepest.Method")
    tolerance = real_number(
        "tolerance", tolerance, "give a positive relative error below 1", above=0, below=1
    )
    if margin is None:
        from steepest.maxmargin import max_margin

        margin = max_margin(problem, norm(method.norm))
    sizes = None if batch_sizes is None else as_batch_sizes(batch_sizes, problem.samples)
    tried: dict[int, LimitDirection] = {}
    large = problem.samples * problem.n_classes * problem.dimension > _LARGE
    few: dict[str, Any] = {"batches": _SCREENED}

    def finds(b: int) -> bool | None:
        at_size: Any = _WithBatchSize(method, b)
        if large and sizes is None and settings.get("batches") is None and "repeats" not in settings:
            tried[b] = limit_direction(problem, at_size, margin=margin, repeats=2, **(settings | few))
            if _is_clear(tried[b], tolerance):
                return tried[b].finds_max_margin(tolerance)
        tried[b] = limit_direction(problem, at_size, margin=margin, **settings)
        return tried[b].finds_max_margin(tolerance)

    answer, interrupted = None, False
    try:
        if sizes is not None:
            answer = _of_all({b: finds(b) for b in sizes})
        else:
            answer = _by_halving(finds, problem.samples, _STRIDE if large else 2)
    except KeyboardInterrupt:
        if not tried:
            raise
        interrupted = True
    ordered = dict(sorted(tried.items()))
    status = (
        f"interrupted; tried until then: {', '.join(map(str, ordered))}"
        if interrupted
        else _told(answer, ordered, tolerance, problem.samples)
    )
    return SmallestBatch(answer, tolerance, ordered, status, interrupted)


def _is_clear(found: LimitDirection, tolerance: float) -> bool:
    """Return whether more samples of batches would not change the verdict, by a wide margin."""
    error = found.error
    wide = 6.0 * error.samples + 2.0 * (error.total - error.samples)
    return not found.available or error.samples == 0 or abs(found.relative_error - tolerance) > wide


def _of_all(found: dict[int, bool | None]) -> int | None:
    answer = None
    for size in sorted(found, reverse=True):
        if found[size] is not True:
            break
        answer = size
    return answer


def _by_halving(finds: Callable[[int], bool | None], samples: int, stride: int = 2) -> int | None:
    low, high = 0, 1
    while finds(high) is not True:
        if high == samples:
            return None
        low, high = high, min(stride * high, samples)
    while high - low > max(1, low // _FINENESS):
        # Powers of two as long as there are any between them.
        middle = 2 * low if high >= 4 * low else (low + high) // 2
        # An open one is not known to find it: the answer is then above it, and the status says so.
        low, high = (low, middle) if finds(middle) is True else (middle, high)
    return high


def _told(answer: int | None, tried: dict[int, LimitDirection], tolerance: float, samples: int) -> str:
    sizes = ", ".join(map(str, tried))
    if answer is None:
        open_ = _open(tried, tolerance)
        if not open_:
            return f"no batch size among {sizes} finds the max margin to {tolerance:g}"
        return f"cannot be told to {tolerance:g}: open at batch size {', '.join(open_)}"
    below = {b: each for b, each in tried.items() if b < answer}
    open_ = _open(below, tolerance)
    told = f"of those tried ({sizes})"
    if open_:
        told += f"; open at batch size {', '.join(open_)}"
    if answer == samples:
        known = "is known to find" if open_ else "finds"
        return f"only the full batch of {samples} {known} the max margin to {tolerance:g}, {told}"
    return f"from batch size {answer} on the max margin is found to {tolerance:g}, {told}"


def _open(tried: dict[int, LimitDirection], tolerance: float) -> list[str]:
    return [str(b) for b, each in tried.items() if each.finds_max_margin(tolerance) is None]
