"""Settings that must stand before anything is imported, and marks for what needs an extra."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from _pytest.doctest import DoctestItem

# The tests share the cores between processes; libraries that start a thread a core would fight over them.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

_ROOT = Path(__file__).parent
_PLACES = {
    "src/steepest/cli": "lab",
    "src/steepest/estimators": "sklearn",
    "src/steepest/experiments": "lab",
    "src/steepest/monitor": "torch",
    "src/steepest/optim": "torch",
    "tests/browser": "browser",
    "tests/cli": "lab",
    "tests/datasets/test_defects_in_files.py": "tables",
    "tests/datasets/test_files.py": "tables",
    "tests/datasets/written.py": "tables",
    "tests/estimators": "sklearn",
    "tests/experiments": "lab",
    "tests/examples": "torch",
    "tests/features/test_spread.py": "dask",
    "tests/integrations": "integrations",
    "tests/monitor": "torch",
    "tests/optim": "torch",
    "tests/site/test_commands.py": "lab",
    "tests/site/test_gallery.py": "lab",
}
"""Folders and files whose every test needs an extra."""

_SIGNS = {
    "torch": ("import torch",),
    "sklearn": ("digits(", "digits_pair(", "sklearn", "estimators"),
    "lab": ("to_xarray(", "steepest.experiments"),
    "tables": ("from_file(",),
    "dask": ("import dask",),
}
"""What examples that need an extra call."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave places uncollected whose extra is deselected: their imports alone would fail without it."""
    extra = _extra_of(collection_path)
    return True if extra is not None and f"not {extra}" in config.option.markexpr else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test and example that needs an extra."""
    for item in items:
        extra = _extra_of(item.path)
        if extra is not None:
            item.add_marker(extra)
        if isinstance(item, DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            for extra, signs in _SIGNS.items():
                if any(sign in source for sign in signs):
                    item.add_marker(extra)


def _extra_of(path: Path) -> str | None:
    if not path.is_relative_to(_ROOT):
        return None
    place = path.relative_to(_ROOT).as_posix()
    return next((extra for start, extra in _PLACES.items() if f"{place}/".startswith(f"{start}/")), None)
