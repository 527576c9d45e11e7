"""Values that one test goes through by itself: a test each would cost more than it tells."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any


def through(
    argument: str, values: Iterable[Any] | Callable[[dict[str, Any]], Iterable[Any]]
) -> Callable[[Callable], Callable]:
    """Call the test for every value of the argument; a failure is told with the value.

    ``values`` may be a function of the other arguments. Below ``@given`` each example goes through them all.
    """

    def decorator(test: Callable) -> Callable:
        signature = inspect.signature(test)
        others = [each for name, each in signature.parameters.items() if name != argument]

        @wraps(test)
        def called(*arguments: Any, **named: Any) -> None:
            # Hypothesis passes what it draws by position.
            named.update(zip([each.name for each in others], arguments, strict=False))
            value = None
            try:
                for value in values(named) if callable(values) else values:
                    test(**named, **{argument: value})
            except AssertionError as error:
                raise AssertionError(f"{argument}={value!r}: {error}") from error

        called.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return called

    return decorator
