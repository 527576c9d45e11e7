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


class Told(int):
    """An exit code whose reason the command itself has told."""
