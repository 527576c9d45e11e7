"""Exit codes of every command."""

DONE = 0
NEGATIVE = 1
"""The answer is no: a claim failed, or the data is not separable."""
USAGE = 2
RUN_ERROR = 3
"""What was asked for could not be reached or written."""
INTERRUPTED = 130
"""By Ctrl-C."""
TERMINATED = 143
"""By SIGTERM, otherwise like Ctrl-C."""


def code_of(answer: bool | None) -> int:
    """Return the code of an answer: yes, no, or None where it could not be decided.

    >>> code_of(True), code_of(False), code_of(None)
    (0, 1, 3)
    """
    if answer is None:
        return RUN_ERROR
    return DONE if answer else NEGATIVE


class Told(int):
    """An exit code whose reason the command itself has told."""
