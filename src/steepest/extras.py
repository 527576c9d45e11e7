"""What the extras of an installation bring, and the one line that is said where one is missing.

The core (norms, descent, max margins, theory) needs none of them. Whatever does asks here before its first
import, so that a user reads which command to run, and not which module was not found.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from steepest.errors import MissingExtra

__all__ = ["MODULES", "require"]

MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lab": (
            "filelock",
            "jinja2",
            "joblib",
            "matplotlib",
            "netCDF4",
            "pydantic",
            "rich",
            *(("tomli",) if sys.version_info < (3, 11) else ()),
            "typer",
            "xarray",
        ),
        "tables": ("pyarrow",),
        "peers": ("clarabel",),
        "sklearn": ("sklearn",),
        "torch": ("torch",),
        "dask": ("distributed",),
        "ray": ("ray",),
    }
)
"""The modules that each extra brings, as pyproject.toml lists their packages."""

_PACKAGES = {"sklearn": "scikit-learn"}


def require(extra: str, purpose: str, *modules: str) -> None:
    """Check, without an import, that an extra's modules are installed; all of them where none is named.

    Raises:
        MissingExtra: one is not, with the purpose, the packages and the command that installs them.

    >>> require("lab", "an example", "numpy")
    """
    missing = [_PACKAGES.get(name, name) for name in modules or MODULES[extra] if not _is_installed(name)]
    if missing:
        raise MissingExtra(", ".join(missing), extra, purpose)


def _is_installed(name: str) -> bool:
    return sys.modules[name] is not None if name in sys.modules else find_spec(name) is not None
