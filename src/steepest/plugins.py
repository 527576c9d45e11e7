"""Files and packages of the user's own that add norms, signals, losses and data sets.

A plug-in is a Python file, or an installed module, that registers its parts when it is imported. It is named
on the command line (``steepest --plugin mine.py``), in an experiment (``plugins = ["mine.py"]``), in the
environment variable STEEPEST_PLUGINS, or by an installed package's entry point in the group
``steepest.plugins``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from steepest.errors import InvalidArgument

__all__ = ["VARIABLE", "load_installed_plugins", "load_plugin", "loaded_plugins"]

VARIABLE = "STEEPEST_PLUGINS"
"""Environment variable with plug-ins, separated as paths are; processes that are started inherit it."""

_GROUP = "steepest.plugins"
_NO_MODULE = "no such module; give the path of a .py file"
_loaded: dict[str, None] = {}


def load_plugin(name: str | os.PathLike[str]) -> ModuleType:
    """Import a plug-in, the path of a .py file or the name of a module, once.

    Raises:
        InvalidArgument: there is no such file or module, or its own code fails.

    >>> load_plugin("no_such_file.py")
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: plugin='no_such_file.py': no such file
    """
    text = os.fspath(name)
    try:
        module = _module_from_file(Path(text)) if text.endswith(".py") else import_module(text)
        _loaded[str(Path(text).resolve()) if text.endswith(".py") else text] = None
        return module
    except InvalidArgument as error:
        if error.argument == "plugin":
            raise
        raise InvalidArgument("plugin", text, f"its code fails: {error}") from error
    except ModuleNotFoundError as error:
        if error.name == text:
            raise InvalidArgument("plugin", text, _NO_MODULE) from error
        if Path(text).is_file() and not text.endswith(".py"):
            # A file of another ending reads as a module of a package.
            raise InvalidArgument("plugin", text, _NO_MODULE) from error
        raise InvalidArgument("plugin", text, f"it imports {error.name}, which is not installed") from error
    except (Exception, SystemExit) as error:
        said = f"its code fails{_line_of(error, Path(text))}: {type(error).__name__}: {error}"
        raise InvalidArgument("plugin", text, said) from error


def loaded_plugins() -> tuple[str, ...]:
    """Return the plug-ins that were loaded, for processes elsewhere that are to know the same names.

    >>> isinstance(loaded_plugins(), tuple)
    True
    """
    return tuple(_loaded)


@cache
def load_installed_plugins() -> None:
    """Import, once a process, what STEEPEST_PLUGINS and the entry points of installed packages name."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        load_plugin(name)
    for entry in entry_points(group=_GROUP):
        load_plugin(entry.module)


def _line_of(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f" in line {error.lineno}"
    here = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path.resolve())
    ]
    return f" in line {here[-1]}" if here else ""


def _module_from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidArgument("plugin", str(path), "no such file")
    place = path.resolve()
    # The name tells files of one stem apart, and is the same in every process.
    name = f"steepest_plugin_{place.stem}_{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
