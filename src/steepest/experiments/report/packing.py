"""What a page carries for its charts, made small: numbers as four bytes each, everything compressed."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np

__all__ = ["compressed", "embedded", "packed"]

_FEWEST = 16
"""Shorter lists stay as they are, with every digit: bounds of a margin, say."""
_SINGLE = np.finfo(np.float32)


def packed(value: Any) -> tuple[Any, bytes]:
    """Return plain JSON values whose long lists of numbers are references, and the bytes that those refer to.

    A list of at least sixteen floats (None for what is missing) becomes ``{"packed": [first, count]}``: where
    it is in one array of single precision, seven digits, with NaN for None. Single precision keeps the order
    of numbers, so a bound that is above a value stays above it or meets it. The bytes of the array are
    little-endian, and sorted by their place in a number, which compresses a third better: first every lowest
    byte, last every sign. A list that holds a number beyond single precision, such as 1e60, stays as it is.

    Args:
        value: dictionaries, lists, strings, numbers, booleans and None, inside one another.

    >>> tree, numbers = packed({"steps": [1, 2], "values": [0.5] * 15 + [None]})
    >>> tree, len(numbers)
    ({'steps': [1, 2], 'values': {'packed': [0, 16]}}, 64)
    """
    found: list[np.ndarray] = []
    tree = _without_numbers(value, found, [0])
    every = np.concatenate(found) if found else np.empty(0, "<f4")
    return tree, every.view(np.uint8).reshape(-1, 4).T.tobytes()


def _without_numbers(value: Any, found: list[np.ndarray], starts: list[int]) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(each, found, starts) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) < _FEWEST or not all(each is None or _fits(each) for each in value):
        return [_without_numbers(each, found, starts) for each in value]
    found.append(np.array([np.nan if each is None else each for each in value], "<f4"))
    starts.append(starts[-1] + len(value))
    return {"packed": [starts[-2], len(value)]}


def _fits(value: Any) -> bool:
    # Margins have the unit of the features, which may be far from 1.
    least, most = float(_SINGLE.tiny), float(_SINGLE.max)
    return isinstance(value, float) and (value == 0 or least <= abs(value) <= most)


def compressed(value: Any) -> bytes:
    """Return plain JSON values as compressed text.

    Args:
        value: dictionaries, lists, strings, numbers, booleans and None, inside one another.

    Raises:
        ValueError: a number is NaN or infinite, which JSON has no words for.

    >>> gzip.decompress(compressed({"γ": 0.5})).decode()
    '{"γ":0.5}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def embedded(content: bytes) -> str:
    """Return bytes as text that an HTML element or attribute can hold: letters, digits, + / and =.

    Args:
        content: any bytes.

    >>> embedded(b"<script>")
    'PHNjcmlwdD4='
    """
    return base64.b64encode(content).decode("ascii")
