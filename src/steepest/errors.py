"""One exception tree: every error that a user can cause names the argument, its value and the remedy."""

from __future__ import annotations


class SteepestError(Exception):
    """Base class of every error that steepest raises on purpose."""


class InvalidArgument(SteepestError, ValueError):
    """An argument has a value that cannot be used.

    The message reads ``argument=value: remedy``, so that a command line can print it as one line.

    >>> raise InvalidArgument("batch_size", 0, "give an integer between 1 and 100")
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: batch_size=0: give an integer between 1 and 100
    """

    def __init__(self, argument: str, value: object, remedy: str):
        super().__init__(f"{argument}={_shorten(value)}: {' '.join(remedy.split())}")
        self.argument = argument
        self.value = value
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.argument, self.value, self.remedy)


class InvalidData(InvalidArgument):
    """Features or labels cannot be used: wrong shape, a value that is not finite, fewer than two classes."""


class DataFileError(SteepestError, OSError):
    """A data file cannot be read, or does not hold what was asked of it."""

    def __init__(self, path: object, remedy: str):
        super().__init__(f"{path}: {remedy}")
        self.path = path
        self.remedy = remedy

    def __reduce__(self):
        return type(self), (self.path, self.remedy)


class MissingExtra(SteepestError, ImportError):
    """A feature needs a package that an optional extra of steepest installs."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs {package}: run pip install 'steepest[{extra}]'")
        self.package = package
        self.extra = extra
        self.purpose = purpose

    def __reduce__(self):
        return type(self), (self.package, self.extra, self.purpose)


class MissingCapability(InvalidArgument):
    """A part, such as a norm, lacks what was asked of it beyond its value, dual norm and direction."""

    def __init__(self, argument: str, value: object, capability: str, purpose: str, remedy: str):
        super().__init__(argument, value, f"{purpose} needs {capability}, which it does not offer; {remedy}")
        self.capability, self.purpose, self.suggestion = capability, purpose, remedy

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.argument, self.value, self.capability, self.purpose, self.suggestion)


class RunError(SteepestError, RuntimeError):
    """A run could not go on; what it had computed is kept where the message says."""


class SteepestWarning(UserWarning):
    """Something is allowed but will not do what its user expects; the message has the numbers."""


class CheckpointWarning(SteepestWarning):
    """A checkpoint cannot be read or written; the run goes on, and its result is the same."""


def _shorten(value: object, limit: int = 80) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
