"""``steepest theory``: what the theory says of a method on a data set, with the numbers behind it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli.exits import DONE, NEGATIVE, RUN_ERROR
from steepest.cli.terminal import progress, waiting
from steepest.errors import InvalidArgument, RunError

if TYPE_CHECKING:
    from steepest.descent import Method
    from steepest.experiments.required_momentum import RequiredMomentum
    from steepest.maxmargin import MaxMarginSolution
    from steepest.problem import Classification
    from steepest.schedules import PolynomialDecay
    from steepest.theory import TheorySummary

_COLUMNS = (50, 10, 14)


def theory(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="gaussian, mixture, orthogonal, digits, or the path of a .npz, .csv or .parquet file.",
            show_default=False,
        ),
    ],
    norm: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="max, sum, frobenius, nuclear, spectral, entrywise-P or schatten-P with P from 1 up.",
            show_default=False,
        ),
    ],
    batch_size: Annotated[
        int | None, typer.Option(metavar="B", help="Samples a step. Default: all of them.")
    ] = None,
    momentum: Annotated[float, typer.Option(metavar="BETA", help="Momentum, from 0 up to below 1.")] = 0.0,
    variance_reduction: Annotated[
        bool, typer.Option("--variance-reduction", help="Variance-reduced gradients (SVRG).")
    ] = False,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="INITIAL,EXPONENT",
            help="Step sizes INITIAL (t+1)^-EXPONENT. Default: 0.15 over the max margin, 0.5.",
        ),
    ] = None,
    loss: Annotated[
        str, typer.Option(metavar="NAME", help="Such as cross-entropy or pairwise-logistic.")
    ] = "cross-entropy",
    gap: Annotated[float, typer.Option(help="Relative gap of the max margin that is small enough.")] = 1e-6,
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The label in a file, as for steepest margin."),
    ] = None,
    momentum_table: Annotated[
        bool,
        typer.Option(
            "--momentum-table",
            help="Run batch sizes 1 to 50 with many momenta, and put the smallest that worked beside the "
            "smallest that the theory needs.",
        ),
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Run the method, and draw its margin error with the bounds on it and the predicted slope "
            "there (.png, .pdf or .svg).",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(metavar="T", help="Steps of each run of --momentum-table and --figure.")
    ] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what the theory says of a method on DATA: its assumptions, its constants and what they promise.

    Everything is computed with the smallest constants that steepest proves (sharp) and with the paper's. An
    effective margin ρ of at most 0 is vacuous: the theorem then promises nothing, whatever practice shows.

    Exits with 1 if the data is not linearly separable, and with 3 if that could not be decided.

    For instance:

    - `steepest theory digits --norm spectral --batch-size 64 --momentum 0.999`

    - `steepest theory gaussian --norm max --batch-size 10 --variance-reduction --json`

    - `steepest theory gaussian --norm frobenius --schedule 1,0.5 --momentum-table`

    - `steepest theory gaussian --norm spectral --schedule 0.3,0.5 --figure bound.png`
    """
    from steepest.datasets import load
    from steepest.descent import Method
    from steepest.maxmargin import max_margin
    from steepest.theory import summarize

    steps_given = None if schedule is None else _parsed_schedule(schedule)
    # Told before the max margin is computed, not after it.
    Method(norm, batch_size, momentum, variance_reduction, loss, steps_given)
    if figure is not None:
        _check_figure(figure)
    problem = load(data, label=label)
    with waiting(f"max margin of {problem.name} in the {norm} norm"):
        solution = max_margin(problem, norm, gap)
    sizes = steps_given or _default_schedule(solution)
    method = Method(norm, batch_size, momentum, variance_reduction, loss, sizes)
    summary = summarize(problem, method, solution)
    rows = _momenta(problem, method.norm, sizes, solution, steps) if momentum_table else None
    if figure is not None:
        _draw(figure, problem, method, solution, steps)
    if as_json:
        typer.echo(json.dumps(_summary(summary, solution, method, rows), indent=2, allow_nan=False))
    else:
        typer.echo(_text(summary, method, rows, figure))
    raise typer.Exit({True: DONE, False: NEGATIVE, None: RUN_ERROR}[solution.separable])


def _parsed_schedule(text: str) -> PolynomialDecay:
    from steepest.schedules import PolynomialDecay

    try:
        initial, exponent = (float(part) for part in text.split(","))
    except ValueError as error:
        remedy = "give the first step size and the exponent with a comma between them, such as 0.1,0.5"
        raise InvalidArgument("schedule", text, remedy) from error
    return PolynomialDecay(initial, exponent)


def _default_schedule(solution: MaxMarginSolution) -> PolynomialDecay:
    from steepest.schedules import PolynomialDecay

    return PolynomialDecay(0.15 / solution.margin if solution.margin > 0 else 0.1, 0.5)


def _check_figure(figure: Path) -> None:
    if figure.suffix not in (".png", ".pdf", ".svg"):
        raise InvalidArgument("figure", str(figure), "give a file name that ends in .png, .pdf or .svg")
    if not figure.parent.is_dir():
        raise InvalidArgument("figure", str(figure), f"make the folder {figure.parent} first")


def _draw(
    figure: Path, problem: Classification, method: Method, solution: MaxMarginSolution, steps: int
) -> None:
    from steepest.descent import descend
    from steepest.experiments.figures.bound import bound_figure

    if not solution.separable:
        raise RunError("figure: the data is not known to be separable, so there is no margin error to draw")
    with progress("run-steps") as shown:
        trajectory = descend(
            problem, method, steps, reference=solution, progress=lambda done, total: shown("run", done, total)
        )
    if not trajectory.completed:
        raise KeyboardInterrupt
    bound_figure(problem, trajectory, solution).savefig(figure, dpi=150)


def _momenta(
    problem: Classification, norm: Any, sizes: Any, solution: MaxMarginSolution, steps: int
) -> list[RequiredMomentum]:
    from steepest.experiments.required_momentum import required_momenta

    if not solution.separable:
        raise RunError(
            "momentum-table: the data is not known to be separable, so no run has an error to compare"
        )
    with progress("run-steps") as shown:
        return required_momenta(
            problem,
            norm,
            sizes,
            solution,
            steps=steps,
            progress=lambda done, total: shown("momenta", done, total),
        )


def _summary(
    summary: TheorySummary, solution: MaxMarginSolution, method: Any, rows: list[RequiredMomentum] | None
) -> dict[str, Any]:
    found = {
        **summary.to_dict(),
        "method": method.name,
        "batch_size": method.batch_size,
        "momentum": method.momentum,
        "variance_reduction": method.variance_reduction,
        "loss": str(method.loss),
        "schedule": {"initial": method.schedule.initial, "exponent": method.schedule.exponent},
        "separable": solution.separable,
        "upper_bound": solution.upper_bound,
    }
    if rows is not None:
        found["required_momentum"] = [
            {
                "batch_size": row.batch_size,
                "batches": row.batches,
                "paper": row.paper,
                "sharp": row.sharp,
                "measured": row.measured,
                "errors": [{"momentum": beta, "error": error} for beta, error in row.errors.items()],
            }
            for row in rows
        ]
    return found


def _text(
    summary: TheorySummary, method: Any, rows: list[RequiredMomentum] | None, figure: Path | None
) -> str:
    from steepest.experiments.required_momentum import as_table

    batch = "full batch" if method.batch_size is None else f"batch size {method.batch_size}"
    parts = [f"{summary.problem}: {method.name}, {batch}, {method.loss}"]
    parts += [f"  {line}" for line in str(summary.checks).splitlines()]
    parts += ["", _cells("", "", "sharp", "paper")]
    parts += [_cells(each.name, each.symbol, each.sharp, each.paper) for each in summary.quantities]
    rho = summary["effective_margin"].sharp
    if rho is not None and rho <= 0:
        parts += [
            "",
            "The effective margin is not positive, so the theory promises nothing for this method here.",
        ]
    if rows is not None:
        parts += ["", as_table(rows, method.norm)]
    if figure is not None:
        parts += ["", f"wrote {figure}"]
    return "\n".join(parts)


def _cells(name: str, symbol: str, sharp: float | str | None, paper: float | str | None) -> str:
    wide, narrow, number = _COLUMNS
    return f"  {name:<{wide}}{symbol:<{narrow}}{_number(sharp):>{number}}{_number(paper):>{number}}".rstrip()


def _number(value: float | str | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if math.isinf(value):
        return "never"
    # Momenta close to 1 differ in their last digits alone.
    return f"{value:.8g}" if 0.99 < value < 1 else f"{value:.6g}"
