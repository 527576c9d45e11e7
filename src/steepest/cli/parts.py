"""``steepest parts``: what there is by name, norms and data sets and the rest, a plug-in's included."""

from __future__ import annotations

from textwrap import TextWrapper
from typing import Any

import typer

from steepest.cli.options import AsJson
from steepest.cli.output import print_json

_WIDTH = 100


def parts(
    as_json: AsJson = False,
) -> None:
    """List what there is by name: norms, losses, signals, and data sets with their options.

    What a plug-in adds is listed like the rest.

    For instance:

    - `steepest --plugin mine.py parts`
    """
    from steepest.plugins import load_installed_plugins

    load_installed_plugins()
    found = {"norms": _norms(), "losses": _losses(), **_signals(), "data": _data_sets()}
    if as_json:
        print_json(found)
    else:
        typer.echo(_text(found))


def _norms() -> list[str]:
    from steepest.geometry.names import FAMILIES, NORMS

    return [*NORMS, *(f"{family}-…" for family in FAMILIES)]


def _losses() -> list[str]:
    from steepest.losses import LOSSES

    return list(LOSSES)


def _signals() -> dict[str, list[str]]:
    from steepest.signals.names import MOMENTUM_KINDS, SIGNALS

    return {"signals": list(SIGNALS), "momentum_kinds": list(MOMENTUM_KINDS)}


def _data_sets() -> dict[str, list[dict[str, Any]]]:
    from steepest.datasets import DATA_SETS, parameters_of

    return {
        name: [
            {
                "name": each.name,
                "type": each.type.__name__,
                "choices": list(each.choices),
                "required": each.required,
                "default": None if each.required else each.default,
                "help": each.help,
            }
            for each in parameters_of(make)
        ]
        for name, make in DATA_SETS.items()
    }


def _text(found: dict[str, Any]) -> str:
    wrapper = TextWrapper(_WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    lines = []
    for kind, listed in found.items():
        lines += [*([""] if lines else []), kind.replace("_", " ")]
        if isinstance(listed, list):
            lines.append(wrapper.fill(", ".join(listed)))
        else:
            lines += [
                wrapper.fill(f"{name} {_options(options)}".rstrip()) for name, options in listed.items()
            ]
    return "\n".join(lines)


def _options(options: list[dict[str, Any]]) -> str:
    values = {each["name"]: "…" if each["required"] else each["default"] for each in options}
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in values.items())
