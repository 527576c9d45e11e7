"""``steepest separability``: whether the classes of a data set can be told apart, and what runs off if so."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli.data import Data, Encoding, Label, Separator, load_named_data
from steepest.cli.exits import code_of
from steepest.cli.options import AsJson, TimeLimit
from steepest.cli.output import portable_classes, print_json, written_before
from steepest.cli.terminal import waiting
from steepest.files import check_writable

if TYPE_CHECKING:
    from steepest.maxmargin import Separability

_INTERCEPT = "(intercept)"
_MOST_LINES, _WIDEST = 20, 400


def separability(
    context: typer.Context,
    data: Data,
    intercept: Annotated[
        bool, typer.Option("--intercept", help="Add a feature that is 1 in all samples, called (intercept).")
    ] = False,
    label: Label = None,
    separator: Separator = None,
    encoding: Encoding = None,
    time_limit: TimeLimit = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="Write weights, dual weights, overlaps and coefficients."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print whether any weights separate the classes of DATA, with evidence from the data itself.

    Separable: some weights give every sample's class the highest score. Weakly separable (quasi-complete
    separation): some give it no lower score than any other and to some samples a higher one. Not separable:
    there are dual weights that no weights can get past. Of the first two a logistic regression without a
    penalty has no finite fit: its coefficients that run off to infinity are listed, relative to the first
    class. Features may have any size or offset, and no norm has a say in it.

    Exits with 1 if no weights separate all samples (not, or weakly separable), and with 3 if it is undecided.

    For instance:

    - `steepest separability trial.csv --label relapse --intercept`

    - `steepest separability digits --json`
    """
    from steepest import separability as decide

    if output is not None:
        check_writable("output", output, [".npz"])
    problem, names = load_named_data(context, data, label, separator, encoding)
    with waiting(f"separability of {problem.name}"):
        found = decide(problem, intercept=intercept, time_limit=time_limit)
    if intercept:
        names = names or tuple(f"feature {j}" for j in range(problem.dimension))
        names = (*names, _INTERCEPT)
    with written_before(output, lambda file: _write(file, found)) as kept:
        if as_json:
            print_json(_summary(found, names, kept))
        else:
            typer.echo(_text(found, names, kept))
    raise typer.Exit(code_of(found.separable))


def _summary(found: Separability, names: tuple[str, ...] | None, output: Path | None) -> dict[str, Any]:
    problem = found.problem
    return {
        "data": problem.name,
        "fingerprint": problem.fingerprint,
        "samples": problem.samples,
        "features": problem.dimension,
        "classes": problem.n_classes,
        "kind": found.kind.name.lower(),
        "separable": found.separable,
        "exact": found.exact,
        "message": str(found),
        "margin": found.margin,
        "residual": found.residual,
        "support_size": len(found.support),
        "overlapped_pairs": None if found.overlapped is None else len(found.overlapped),
        "coefficients": _coefficients(found, names),
        "tried": list(found.tried),
        "seconds": found.seconds,
        "output": None if output is None else str(output),
    }


def _coefficients(found: Separability, names: tuple[str, ...] | None) -> list[dict[str, Any]] | None:
    """What becomes of every coefficient but those of the first class, which others are relative to."""
    if found.coefficients is None:
        return None
    problem = found.problem
    classes, words = problem.classes.tolist(), {"0.0": "finite", "inf": "inf", "-inf": "-inf"}
    return [
        {
            "class": str(classes[c]),
            "against": str(classes[0]),
            "feature": j if names is None else names[j],
            "value": words.get(str(float(found.coefficients[c, j])), "undetermined"),
        }
        for c in range(1, problem.n_classes)
        for j in range(problem.dimension)
    ]


def _text(found: Separability, names: tuple[str, ...] | None, output: Path | None) -> str:
    problem = found.problem
    pairs = problem.samples * (problem.n_classes - 1)
    rows = [("verdict", str(found))]
    if found.separable:
        rows.append(("margin", f"at least {found.margin:.2g} of its terms"))
    elif found.separable is False:
        samples = sorted(set(found.support[:, 0].tolist()))
        shown = ", ".join(map(str, samples[:_MOST_LINES])) + (", …" if len(samples) > _MOST_LINES else "")
        rows.append(("shown by", f"{len(samples)} samples, counted from 0: {shown}"))
    if found.overlapped is not None and found.separable is False:
        rows.append(("overlap", f"{len(found.overlapped)} of {pairs} pairs of a sample and another class"))
    lines = found.infinite(None if names is None else names[: found.problem.dimension - found.intercept])
    if lines:
        rows += [("infinite", shorten(line, _WIDEST, placeholder=" …")) for line in lines[:_MOST_LINES]]
        if len(lines) > _MOST_LINES:
            rows.append(("", f"… {len(lines) - _MOST_LINES} more classes: --json lists all"))
        if found.separable:
            rows.append(("", "as these weights have it; others that separate may have other signs"))
    elif found.coefficients is not None:
        rows.append(("infinite", "no coefficient of a logistic regression"))
    elif found.separable is not None:
        rows.append(("infinite", "not known: it could not be shown which pairs overlap"))
    rows.append(("decided by", f"{found.tried[-1]}, {found.seconds:.3g} s"))
    if output is not None:
        rows.append(("written to", str(output)))
    sizes = f"{problem.samples} samples, {problem.dimension} features, {problem.n_classes} classes"
    heading = f"{problem.name}: {sizes}"
    return "\n".join([heading, *(f"  {name:<14}{value}" for name, value in rows)])


def _write(output: Path, found: Separability) -> None:
    import numpy as np

    from steepest.files import writing

    problem = found.problem
    known: dict[str, Any] = {
        name: value
        for name, value in (("overlapped", found.overlapped), ("coefficients", found.coefficients))
        if value is not None
    }
    with writing(output) as file:
        np.savez_compressed(
            file,
            weights=found.weights,
            dual=found.dual,
            classes=portable_classes(problem),
            kind=found.kind.name.lower(),
            exact=found.exact,
            **known,
        )
