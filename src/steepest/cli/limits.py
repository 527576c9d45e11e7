"""``steepest limits``: where mini-batch methods go on a data set, over the batch size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli.data import Data, Encoding, Label, Separator, load_data
from steepest.cli.exits import INTERRUPTED, Told, code_of
from steepest.cli.names import Loss, Norm, as_batch_size
from steepest.cli.options import AsJson, MaxMarginGap, Momentum, VarianceReduction
from steepest.cli.output import print_json, written_before
from steepest.cli.terminal import saying, solving
from steepest.errors import InvalidArgument
from steepest.files import check_writable

if TYPE_CHECKING:
    from steepest.maxmargin import MaxMarginSolution
    from steepest.theory import LimitDirection, SmallestBatch

_SIZES = "give whole numbers with commas between them, such as 1,5,20, or full"


def limits(
    context: typer.Context,
    data: Data,
    norm: Norm,
    batch_size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="B",
            help="Samples a step, or full. May be repeated, or several with commas between them: 1,2,5,full. "
            "Default: 1, 2, 4, ... and between, until the smallest that finds the max margin is known.",
            show_default=False,
        ),
    ] = None,
    momentum: Momentum = 0.0,
    variance_reduction: VarianceReduction = False,
    loss: Loss = "cross-entropy",
    at: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            help="The state where the step sizes have added up to R, for a comparison with a run; "
            "without it the limit.",
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Relative error up to which a margin counts as the max margin.")
    ] = 2e-3,
    gap: MaxMarginGap = 1e-6,
    batches: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Batches in a sample of them, where there are too many to take all. Default: 150 to 3,000.",
            show_default=False,
        ),
    ] = None,
    label: Label = None,
    separator: Separator = None,
    encoding: Encoding = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="Write the directions, their batch sizes and margins."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print in which direction mini-batch descent goes on DATA, predicted from the data without a run.

    For each batch size: the relative error of the limit's margin (0 is the max margin, anything above it a
    floor that no number of steps gets below), the error of that prediction, and whether the max margin is
    found. Exact where a closed form exists, otherwise the mean field's, which predicts and does not prove.

    Exits with 1 if the data is not linearly separable, and with 3 if that could not be decided. Ctrl-C prints
    the batch sizes that are done, and exits with 130.

    For instance:

    - `steepest limits gaussian --norm frobenius`

    - `steepest limits mixture --norm max --batch-size 1,5,20,full --json`

    - `steepest limits digits --norm frobenius --batch-size 64 --output limits.npz`
    """
    from steepest.descent import Method
    from steepest.maxmargin import max_margin
    from steepest.theory import smallest_converging_batch

    sizes = (
        None
        if not batch_size
        else [as_batch_size(part, _SIZES) for each in batch_size for part in each.split(",")]
    )
    # Told before the max margin is computed, not after it.
    method = Method(norm, None, momentum, variance_reduction, loss)
    if output is not None:
        check_writable("output", output, [".npz"])
    if at is not None and not (at > 0 and math.isfinite(at)):
        raise InvalidArgument("at", at, "give a positive sum of step sizes")
    problem = load_data(context, data, label, separator, encoding)
    for each in sizes or ():
        Method(norm, each).batch_size_for(problem)
    with solving(f"max margin of {problem.name} in the {norm} norm") as show:
        solution = max_margin(problem, norm, gap, callback=show)
    if solution.status.name == "STOPPED":
        raise KeyboardInterrupt
    if solution.separable:
        with saying(f"limits on {problem.name}") as say:
            found = smallest_converging_batch(
                problem,
                method,
                None if sizes is None else [problem.samples if each is None else each for each in sizes],
                tolerance=tolerance,
                margin=solution,
                at=at,
                batches=batches,
                progress=say,
            )
        with written_before(output, lambda file: _write(file, found)) as kept:
            if as_json:
                print_json(_summary(found, solution, method, at, kept))
            else:
                typer.echo(_text(found, solution, method, at, kept))
        if found.interrupted:
            typer.echo("interrupted", err=True)
            raise typer.Exit(Told(INTERRUPTED))
    else:
        said = "is not linearly separable" if solution.separable is False else "is not known to be separable"
        typer.echo(f"{problem.name} {said}, so there is no max margin to find", err=True)
    raise typer.Exit(code_of(solution.separable))


def _write(output: Path, found: SmallestBatch) -> None:
    import numpy as np

    from steepest.files import writing

    known = {b: each for b, each in found.tried.items() if each.available}
    with writing(output) as file:
        np.savez(
            file,
            batch_sizes=np.array(list(known), dtype=int),
            directions=np.array([each.direction for each in known.values()]),
            margins=np.array([each.margin for each in known.values()]),
            relative_errors=np.array([each.relative_error for each in known.values()]),
            error_estimates=np.array([each.error.total for each in known.values()]),
        )


def _summary(
    found: SmallestBatch, solution: MaxMarginSolution, method: Any, at: float | None, output: Path | None
) -> dict[str, Any]:
    return {
        "method": method.name,
        "norm": str(method.norm),
        "momentum": method.momentum,
        "loss": str(method.loss),
        "at": at,
        "max_margin": solution.margin,
        "upper_bound": solution.upper_bound,
        "tolerance": found.tolerance,
        "smallest_batch_size": found.batch_size,
        "status": found.status,
        "interrupted": found.interrupted,
        "limits": [
            {**each.to_dict(), "finds_max_margin": each.finds_max_margin(found.tolerance)}
            for each in found.tried.values()
        ],
        "output": None if output is None else str(output),
    }


def _text(
    found: SmallestBatch, solution: MaxMarginSolution, method: Any, at: float | None, output: Path | None
) -> str:
    first = next(iter(found.tried.values()))
    where = "in the limit" if at is None else f"at R = {at:g}"
    lines = [
        f"{first.problem}: {method.name} {where}, max margin {solution.margin:.6g}",
        "",
        f"{'batch size':>12}{'relative error':>16}{'+/-':>10}  {'max margin':<12}how it is known",
    ]
    lines += [_line(b, each, found.tolerance) for b, each in found.tried.items()]
    lines += ["", *_notes(found), "", found.status]
    if output is not None:
        lines += ["", f"wrote {output}"]
    return "\n".join(lines)


def _line(b: int, each: LimitDirection, tolerance: float) -> str:
    told = {True: "found", False: "not found", None: "open"}[each.finds_max_margin(tolerance)]
    if not each.available:
        return f"{b:>12}{'':>16}{'':>10}  {'':<12}{each.kind}"
    error = max(0.0, each.relative_error)
    return f"{b:>12}{error:>16.4f}{2 * each.error.total:>10.4f}  {told:<12}{each.kind}"


def _notes(found: SmallestBatch) -> list[str]:
    """Return what was done, once for all batch sizes of which it is true."""
    users: dict[str, list[str]] = {}
    for b, each in found.tried.items():
        users.setdefault(each.status, []).append(str(b))
    return [f"batch size {', '.join(sizes)}: {status}" for status, sizes in users.items()]
