"""The arguments that say which data a command is about: a data set with its sizes and seed, or a file."""

from __future__ import annotations

from functools import cached_property
from inspect import Parameter as Argument
from inspect import Signature
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from steepest.cli import completion
from steepest.errors import InvalidArgument

if TYPE_CHECKING:
    from steepest.datasets import Parameter
    from steepest.problem import Classification

__all__ = ["Data", "DataCommand", "Encoding", "Label", "Separator", "load_data", "load_named_data"]

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A data set by name (gaussian, mixture, orthogonal, digits, or a plug-in's), the path of a file "
        "(.npz, .npy, .csv, .tsv, .csv.gz, .parquet), or - for standard input.",
        show_default=False,
        autocompletion=completion.data_sets,
    ),
]
_FILES = "Data from a file"
Label = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="The label: a column's name, or its position from 0; in an .npz an array's name; beside a .npy "
        "the file of labels. Default: what is called label, y, target, class or category, else the only "
        "column of text or of whole numbers.",
        rich_help_panel=_FILES,
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="Between the values of a text: ; or tab, say. Default: a comma, in .tsv a tab.",
        rich_help_panel=_FILES,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of a text: latin-1, say. Default: UTF-8.", rich_help_panel=_FILES),
]

_GIVEN = "steepest.data"
_PREFIX = "data_"
"""Of the options' names within the command, which may have an option of its own with a data set's name."""


class DataCommand(TyperCommand):
    """A command that also takes the options of every data set, as their signatures state them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's own parameters and those of the data sets."""
        return [*super().get_params(ctx), *self._data_options]

    @cached_property
    def _data_options(self) -> list[Any]:
        taken = {flag for each in self.params for flag in getattr(each, "opts", ())}
        return _options_of_data_sets(taken)


def load_data(
    context: typer.Context, data: str, label: str | None, separator: str | None, encoding: str | None
) -> Classification:
    """Return the problem that the arguments name; of a file, say on standard error what its labels are."""
    return load_named_data(context, data, label, separator, encoding)[0]


def load_named_data(
    context: typer.Context, data: str, label: str | None, separator: str | None, encoding: str | None
) -> tuple[Classification, tuple[str, ...] | None]:
    """Return what :func:`load_data` does, and what a file calls the features; None where it has no names."""
    from steepest.datasets import load, names_a_file, read_file

    options = {name: text for name, text in context.meta.get(_GIVEN, {}).items() if text is not None}
    of_file = {"label": label, "separator": separator, "encoding": encoding}
    if not names_a_file(data):
        return load(data, **{**of_file, **options}), None
    for name, text in options.items():
        raise InvalidArgument(
            name, text, f"a file takes {', '.join(of_file)}; its sizes are those of its data"
        )
    found = read_file(data, **of_file)
    typer.echo(str(found), err=True)
    return found.problem, found.features


def _options_of_data_sets(taken: set[str]) -> list[Any]:
    """Return an option for each argument of a data set, of text: the one that is chosen reads it."""
    from steepest.datasets import DATA_SETS, parameters_of
    from steepest.plugins import load_installed_plugins

    load_installed_plugins()
    users: dict[str, dict[str, Parameter]] = {}
    for name, make in DATA_SETS.items():
        for parameter in parameters_of(make):
            users.setdefault(parameter.name, {})[name] = parameter

    def command(**_: str | None) -> None: ...

    arguments = [
        Argument(
            _PREFIX + name,
            Argument.KEYWORD_ONLY,
            default=_option(name, of_sets, taken),
            annotation=str | None,
        )
        for name, of_sets in users.items()
    ]
    command.__signature__ = Signature(arguments)
    command.__annotations__ = {each.name: each.annotation for each in arguments}
    holder = typer.Typer(add_completion=False)
    holder.command()(command)
    options = typer.main.get_command(holder).params
    for each in options:
        each.expose_value = False  # kept by the callback, for whichever data set is chosen
    return options


def _option(name: str, of_sets: dict[str, Parameter], taken: set[str]) -> Any:
    flag = f"--{name.replace('_', '-')}"
    return typer.Option(
        None,
        f"--data-{flag[2:]}" if flag in taken else flag,
        metavar=_metavar(next(iter(of_sets.values()))),
        help=_help(of_sets),
        callback=_keep,
        show_default=False,
        rich_help_panel="Generated data",
    )


def _keep(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> None:
    context.meta.setdefault(_GIVEN, {})[parameter.name.removeprefix(_PREFIX)] = value


def _metavar(parameter: Parameter) -> str:
    if parameter.choices:
        return "|".join(map(str, parameter.choices))
    return {int: "N", float: "X", bool: "true|false", str: "TEXT"}[parameter.type]


def _help(of_sets: dict[str, Parameter]) -> str:
    """Return what the data sets say of the argument, and the default of each."""
    sentences: dict[str, list[str]] = {}
    for name, parameter in of_sets.items():
        default = "needed" if parameter.required else parameter.default
        sentences.setdefault(parameter.help, []).append(f"{name} {default}")
    return " ".join(f"{_capital(text)} ({', '.join(defaults)})." for text, defaults in sentences.items())


def _capital(text: str) -> str:
    return (text[:1].upper() + text[1:]).rstrip(".") or "An option"
