"""What is wrong with an experiment's table, in one line: the key's path, its value and what is accepted."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from steepest.errors import InvalidArgument
from steepest.experiments.spec.schedule import ScheduleChoice

__all__ = ["refusal_of"]


def refusal_of(error: ValidationError, model: type[BaseModel]) -> InvalidArgument:
    """Return the first thing that a table has wrong: the key's path, its value and what is accepted."""
    first, *others = error.errors()
    cause = (first.get("ctx") or {}).get("error")
    if isinstance(cause, InvalidArgument) and not first["loc"]:
        return cause
    remedy = _remedy(first, model) + (f" (and {len(others)} more)" if others else "")
    if isinstance(cause, InvalidArgument) and first["loc"][0] == "data" and len(first["loc"]) == 2:
        # What a data set's own table has wrong is told by the data set, which knows the key.
        return InvalidArgument(f"{_path(first['loc'])}.{cause.argument}", cause.value, remedy)
    # What pydantic calls the input of a missing key is the table that lacks it.
    value = None if first["type"] == "missing" else first.get("input")
    return InvalidArgument(_path(first["loc"]) or "experiment", value, remedy)


def _remedy(detail: Any, model: type[BaseModel]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            keys = _accepted_keys(detail["loc"], model)
            close = get_close_matches(str(detail["loc"][-1]), keys, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            return f"no such key; {hint}accepted: {', '.join(keys)}"
        case "missing":
            return "is required"
        case "string_type":
            return "give text"
        case "model_type":
            return "give a table, such as { initial = 0.1, exponent = 0.5 }"
        case "dict_type":
            return "give a table of keys and values"
        case "value_error":
            cause = detail["ctx"]["error"]
            return cause.remedy if isinstance(cause, InvalidArgument) else str(cause)
        case _:
            return detail["msg"]


def _accepted_keys(location: tuple[Any, ...], model: type[BaseModel]) -> list[str]:
    return list((ScheduleChoice if "schedule" in location[:-1] else model).model_fields)


def _path(location: tuple[Any, ...]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text
