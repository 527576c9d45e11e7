"""The data of a page's charts, as its script unpacks it."""

import base64
import gzip
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def charts_of(page: Path) -> Any:
    """Return the data of a page's charts, its numbers in their places."""
    found = re.findall(
        r'<script type="application/gzip;base64" id="(charts|numbers)">(.*?)</script>',
        page.read_text("utf-8"),
        re.S,
    )
    parts = {name: gzip.decompress(base64.b64decode(text, validate=True)) for name, text in found}
    tree = json.loads(parts["charts"], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    numbers = np.frombuffer(parts["numbers"], np.uint8).reshape(4, -1).T.copy().view("<f4").ravel()
    return unpacked(tree, [None if math.isnan(each) else float(each) for each in numbers])


def unpacked(value: Any, numbers: list[float | None]) -> Any:
    """Return a tree of JSON values with lists of numbers instead of their places."""
    if isinstance(value, list):
        return [unpacked(each, numbers) for each in value]
    if not isinstance(value, dict):
        return value
    if "packed" in value:
        first, count = value["packed"]
        return numbers[first : first + count]
    return {key: unpacked(each, numbers) for key, each in value.items()}
