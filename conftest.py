"""Marks the examples in docstrings by the extras that they need, as tests mark themselves."""

from __future__ import annotations

import pytest
from _pytest.doctest import DoctestItem

_SIGNS = {"torch": "import torch", "sklearn": "digits("}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every example that needs an extra."""
    for item in items:
        if isinstance(item, DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            for extra, sign in _SIGNS.items():
                if sign in source:
                    item.add_marker(extra)
