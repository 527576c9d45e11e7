"""Values as JSON has them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

__all__ = ["as_json", "plain"]


def as_json(value: Any) -> str:
    """Return JSON text with the values that :func:`plain` makes.

    Args:
        value: mappings, lists and tuples, of texts, numbers, booleans, None and members of an Enum.

    >>> print(as_json({"bound": math.inf}))
    {
      "bound": null
    }
    """
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Return values that JSON has: a number that is not finite is None, a member of an Enum its word.

    Args:
        value: as :func:`as_json` takes them.

    >>> plain({"bounds": (0.5, math.inf), "steps": 3})
    {'bounds': [0.5, None], 'steps': 3}
    """
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
