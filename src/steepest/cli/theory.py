"""``steepest theory``: what the theory says of a method on a data set, with the numbers behind it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli.data import Data, Encoding, Label, Separator, load_data
from steepest.cli.exits import code_of
from steepest.cli.names import Loss, Norm, as_batch_size
from steepest.cli.options import AsJson, MaxMarginGap, Momentum, VarianceReduction
from steepest.cli.output import print_json, written_before
from steepest.cli.tables import Tables
from steepest.cli.terminal import progress, solving
from steepest.errors import InvalidArgument, RunError
from steepest.files import check_writable, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from steepest.descent import Method
    from steepest.experiments.required_momentum import RequiredMomentum
    from steepest.maxmargin import MaxMarginSolution
    from steepest.problem import Classification
    from steepest.schedules import PolynomialDecay
    from steepest.theory import TheorySummary

_COLUMNS = (50, 10, 14)


def theory(
    context: typer.Context,
    data: Data,
    norm: Norm,
    batch_size: Annotated[
        str, typer.Option(metavar="B", help="Samples a step, a whole number, or full for all of them.")
    ] = "full",
    momentum: Momentum = 0.0,
    variance_reduction: VarianceReduction = False,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="INITIAL,EXPONENT",
            help="Step sizes INITIAL (t+1)^-EXPONENT. Default: 0.15 over the max margin, 0.5.",
        ),
    ] = None,
    loss: Loss = "cross-entropy",
    gap: MaxMarginGap = 1e-6,
    label: Label = None,
    separator: Separator = None,
    encoding: Encoding = None,
    momentum_table: Annotated[
        bool,
        typer.Option(
            "--momentum-table",
            help="Run batch sizes 1 to 50 with many momenta, and put the smallest that worked beside the "
            "smallest that the theory needs.",
        ),
    ] = False,
    batch_table: Annotated[
        bool,
        typer.Option(
            "--batch-table",
            help="Put beside the worst case of each batch size how well its batches align with the full "
            "gradient on average, along the max-margin solution.",
        ),
    ] = False,
    dimension_table: Annotated[
        bool,
        typer.Option(
            "--dimension-table",
            help="Put the paper's t₁ and margin bound beside those with a factor d (Fan et al., 2025) for d "
            "from 10 to 10,000 at fixed R; of the full batch with momentum.",
        ),
    ] = False,
    dimension_figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw what --dimension-table prints (.png, .pdf or .svg)."),
    ] = None,
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
    as_json: AsJson = False,
) -> None:
    """Print what the theory says of a method on DATA: its assumptions, its constants and what they promise.

    Everything is computed with the smallest constants that steepest proves (sharp) and with the paper's. An
    effective margin ρ of at most 0 is vacuous: the theorem then promises nothing, whatever practice shows.

    Exits with 1 if the data is not linearly separable, and with 3 if that could not be decided. Ctrl-C prints
    nothing, since half of a run decides nothing, and exits with 130.

    For instance:

    - `steepest theory digits --norm spectral --batch-size 64 --momentum 0.999`

    - `steepest theory gaussian --norm max --batch-size 10 --variance-reduction --json`

    - `steepest theory gaussian --norm frobenius --schedule 1,0.5 --momentum-table`

    - `steepest theory mixture --norm frobenius --batch-table`

    - `steepest theory gaussian --norm spectral --momentum 0.9 --dimension-table`

    - `steepest theory gaussian --norm spectral --schedule 0.3,0.5 --figure bound.png`
    """
    from steepest.descent import Method
    from steepest.maxmargin import max_margin
    from steepest.theory import summarize

    steps_given = None if schedule is None else _parsed_schedule(schedule)
    samples = as_batch_size(batch_size)
    # Told before the max margin is computed, not after it.
    Method(norm, samples, momentum, variance_reduction, loss, steps_given)
    for name, path in (("figure", figure), ("dimension-figure", dimension_figure)):
        if path is not None:
            check_writable(name, path, [".png", ".pdf", ".svg"])
    if steps < 1 and (momentum_table or figure is not None):
        raise InvalidArgument("steps", steps, "give at least 1 step to compare")
    problem = load_data(context, data, label, separator, encoding)
    with solving(f"max margin of {problem.name} in the {norm} norm") as show:
        solution = max_margin(problem, norm, gap, callback=show)
    if solution.status.name == "STOPPED":
        raise KeyboardInterrupt
    sizes = steps_given or _default_schedule(solution)
    method = Method(norm, samples, momentum, variance_reduction, loss, sizes)
    summary = summarize(problem, method, solution)
    rows = _momenta(problem, method.norm, sizes, solution, steps) if momentum_table else None
    dimensions = dimension_table or dimension_figure is not None
    tables = Tables.of(problem, method, solution, batches=batch_table, dimensions=dimensions)
    drawn = None if figure is None else _run_figure(problem, method, solution, steps)
    costs = None if dimension_figure is None else _dimensions(problem, method, tables)
    with (
        written_before(dimension_figure, _saving(costs)) as first,
        written_before(figure, _saving(drawn)) as second,
    ):
        if as_json:
            print_json(_summary(summary, solution, method, rows) | tables.to_dict())
        else:
            typer.echo(_text(summary, method, rows, tables, [first, second]))
    raise typer.Exit(code_of(solution.separable))


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

    initial = 0.15 / solution.margin if solution.margin > 0 else 0.1
    if math.isinf(initial):
        remedy = f"0.15 over the max margin {solution.margin} leaves float64: give --schedule"
        raise InvalidArgument("schedule", "its default", remedy)
    return PolynomialDecay(initial, 0.5)


def _run_figure(problem: Classification, method: Method, solution: MaxMarginSolution, steps: int) -> Figure:
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
    return bound_figure(problem, trajectory, solution)


def _dimensions(problem: Classification, method: Method, tables: Tables) -> Figure:
    from steepest.experiments.figures.dimensions import dimension_figure

    assert tables.dimensions is not None
    title = f"{method.name} on {problem.name}, β = {method.momentum:g}: what each further feature costs"
    return dimension_figure(tables.dimensions, title)


def _saving(drawn: Figure | None) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        assert drawn is not None
        with writing(path) as file:
            drawn.savefig(file, format=path.suffix[1:], dpi=150)

    return save


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
    summary: TheorySummary,
    method: Any,
    rows: list[RequiredMomentum] | None,
    tables: Tables,
    figures: list[Path | None],
) -> str:
    from steepest.experiments.required_momentum import as_table

    batch = "full batch" if method.batch_size is None else f"batch size {method.batch_size}"
    parts = [f"{summary.problem}: {method.name}, {batch}, {method.loss}"]
    parts += [f"  {line}" for line in str(summary.checks).splitlines()]
    parts += ["", _cells("", "", "sharp", "paper")]
    parts += [_cells(each.name, each.symbol, each.sharp, each.paper) for each in summary.quantities]
    rho = summary["effective_margin"].sharp
    if rho is not None and not rho > 0:
        parts += [
            "",
            "The effective margin is not positive, so the theory promises nothing for this method here.",
        ]
    if rows is not None:
        parts += ["", as_table(rows, method.norm)]
    parts += [line for table in tables.lines() for line in ("", *table)]
    parts += [line for figure in figures if figure is not None for line in ("", f"wrote {figure}")]
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
