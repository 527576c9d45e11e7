"""Settings that must stand before anything is imported, and marks for the examples in docstrings."""

from __future__ import annotations

import os

import pytest
from _pytest.doctest import DoctestItem

# The tests share the cores between processes; libraries that start a thread a core would fight over them.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

_SIGNS = {"torch": "import torch", "sklearn": "digits("}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every example that needs an extra."""
    for item in items:
        if isinstance(item, DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            for extra, sign in _SIGNS.items():
                if sign in source:
                    item.add_marker(extra)
