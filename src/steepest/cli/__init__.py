"""The command line: ``steepest COMMAND``; each command is a thin file of its own."""

from __future__ import annotations

import errno
import traceback
import warnings
from collections.abc import Sequence
from typing import cast

import typer

from steepest.cli.application import app
from steepest.cli.exits import INTERRUPTED, RUN_ERROR, TERMINATED, USAGE, Told
from steepest.cli.interrupts import termination_as_interrupt
from steepest.errors import DataFileError, InvalidArgument, SteepestError, SteepestWarning

__all__ = ["app", "main"]

# Typer gives its users no name for the base class of its usage errors.
_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on ``arguments``, by default those of the process, and return its exit code.

    Every error is one line on standard error. 0: done, 1: a claim failed or the data is not separable, 2: the
    arguments cannot be used, 3: the run could not be finished, 130: interrupted by Ctrl-C, 143: by SIGTERM.

    ::

        main(["margin", "gaussian", "--norm", "spectral"])
    """
    with termination_as_interrupt() as termination:
        code = _exit_code(None if arguments is None else list(arguments))
    return TERMINATED if code == INTERRUPTED and termination.came else code


def _exit_code(arguments: list[str] | None) -> int:
    command = typer.main.get_command(app)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = command.main(arguments, prog_name="steepest", standalone_mode=False) or 0
            # Typer makes an exit code of Ctrl-C without a word.
            unsaid = code == INTERRUPTED and not isinstance(code, Told)
            return _fail("interrupted", INTERRUPTED) if unsaid else code
    except SystemExit as error:
        # Typer exits with 1 where a reader, such as head, went away; that is no answer of ours.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return RUN_ERROR
    except (InvalidArgument, DataFileError) as error:
        return _fail(str(error), USAGE)
    except SteepestError as error:
        return _fail(str(error), RUN_ERROR)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        code = USAGE if error.errno == errno.ENAMETOOLONG else RUN_ERROR
        return _fail(f"{where}{error.strerror or error}", code)
    except MemoryError as error:
        return _fail(f"not enough memory ({error or 'this machine has no more'})", RUN_ERROR)
    except _UsageError as error:
        if getattr(error, "option_name", None) == "--plugin":
            return _fail(
                f"{_message(error)}: give it before the command, as steepest --plugin FILE COMMAND", USAGE
            )
        return _fail(f"{_message(error)} (see {_command_path(error)} --help)", USAGE)
    except Exception:  # noqa: BLE001 - a mistake of ours must not exit like a claim that failed
        traceback.print_exc()
        return RUN_ERROR


def _fail(message: str, code: int) -> int:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return code


def _message(error: Exception) -> str:
    return getattr(error, "format_message", lambda: str(error))().rstrip(".")


def _command_path(error: Exception) -> str:
    return getattr(getattr(error, "ctx", None), "command_path", "steepest")


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    if issubclass(category, SteepestWarning):
        typer.echo(f"warning: {message}", err=True)
    else:
        typer.echo(f"{category.__name__}: {message}", err=True)
