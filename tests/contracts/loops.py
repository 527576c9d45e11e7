"""Values that one test goes through by itself: a test each would cost more than it tells."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any


def through(argument: str, values: Iterable[Any]) -> Callable[[Callable], Callable]:
    """Call the test for every value of the argument; a failure is told with the value."""

    def decorator(test: Callable) -> Callable:
        @wraps(test)
        def called(*arguments: Any, **named: Any) -> None:
            value = None
            try:
                for value in values:
                    test(*arguments, **named, **{argument: value})
            except AssertionError as error:
                raise AssertionError(f"{argument}={value!r}: {error}") from error

        signature = inspect.signature(test)
        kept = [each for name, each in signature.parameters.items() if name != argument]
        called.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return called

    return decorator
