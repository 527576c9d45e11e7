"""``steepest margin``: a certified max margin of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli.data import Data, Encoding, Label, Separator, load_data
from steepest.cli.exits import DONE, INTERRUPTED, NEGATIVE, RUN_ERROR
from steepest.cli.names import Norm
from steepest.cli.options import AsJson, TimeLimit
from steepest.cli.output import portable_classes, print_json, written_before
from steepest.cli.terminal import solving
from steepest.files import check_writable

if TYPE_CHECKING:
    from steepest.maxmargin import MaxMarginSolution, Uniqueness
    from steepest.problem import Classification


def margin(
    context: typer.Context,
    data: Data,
    norm: Norm,
    gap: Annotated[
        float, typer.Option(help="Relative gap between the two bounds that is small enough.")
    ] = 1e-8,
    label: Label = None,
    separator: Separator = None,
    encoding: Encoding = None,
    time_limit: TimeLimit = None,
    canonical: Annotated[
        bool,
        typer.Option(
            "--canonical",
            help="Where the optimum is not unique, give the one of least Frobenius norm.",
        ),
    ] = False,
    intercept: Annotated[
        bool,
        typer.Option("--intercept", help="Scores W x + b, with b free of the norm."),
    ] = False,
    nu: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="The soft margin: the mean of the margins of this share of the samples, the worst ones.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="Write weights, dual weights, support and bounds there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the max margin of DATA in a norm, between two bounds that are computed from the data itself.

    The max margin is the largest γ for which weights W with ‖W‖ ≤ 1 give every sample's class a score at
    least γ above every other class. The lower bound is attained by the weights, the upper bound by dual
    weights, and both hold whatever the solver did. Where the norm's ball has flat parts (max, sum, spectral,
    nuclear) it is also said, with the reason, whether these weights are the only ones.

    Exits with 1 if the data is not linearly separable, or has no soft margin at this share, and with 3 if the
    gap was not reached. Ctrl-C prints the best bounds so far, and exits with 130.

    For instance:

    - `steepest margin digits --norm spectral`

    - `steepest margin flowers.csv --label species --norm max --json`

    - `steepest margin patients.csv --norm sum --intercept --nu 0.1`

    - `steepest margin gaussian --classes 3 --seed 1 --norm schatten-4 --output weights.npz`

    - `zcat flowers.csv.gz | steepest margin - --norm spectral`
    """
    from steepest.geometry import norm as parse_norm
    from steepest.maxmargin import max_margin

    parsed = parse_norm(norm)
    if output is not None:
        check_writable("output", output, [".npz"])
    problem = load_data(context, data, label, separator, encoding)
    with solving(f"max margin of {problem.name} in the {parsed} norm") as show:
        solution = max_margin(
            problem,
            parsed,
            gap,
            time_limit=time_limit,
            canonical=canonical,
            intercept=intercept,
            nu=nu,
            callback=show,
        )
        # Worked out while the user is told to wait; nobody waits for it who has stopped the rest.
        known = not (intercept or nu is not None or solution.status.name == "STOPPED")
        uniqueness = solution.uniqueness if known else None
    with written_before(output, lambda file: _write(file, problem, solution)) as kept:
        if as_json:
            print_json(_summary(problem, solution, uniqueness, kept))
        else:
            typer.echo(_text(problem, solution, uniqueness, kept))
    raise typer.Exit(_exit_code(solution, gap))


def _exit_code(solution: MaxMarginSolution, gap: float) -> int:
    if solution.status.name == "STOPPED":
        return INTERRUPTED
    if solution.separable is False or solution.status.name == "NO_SOFT_MARGIN":
        return NEGATIVE
    return DONE if solution.margin > 0 and solution.relative_gap <= gap else RUN_ERROR


def _summary(
    problem: Classification, solution: MaxMarginSolution, uniqueness: Uniqueness | None, output: Path | None
) -> dict[str, Any]:
    return {
        "data": problem.name,
        "fingerprint": problem.fingerprint,
        "samples": problem.samples,
        "features": problem.dimension,
        "classes": problem.n_classes,
        "norm": _norm_of(solution),
        "separable": solution.separable,
        "margin": solution.margin,
        "upper_bound": solution.upper_bound,
        "relative_gap": solution.relative_gap,
        "support_size": len(solution.support),
        "intercept": None if solution.intercept is None else solution.intercept.tolist(),
        "nu": solution.nu,
        "unique": None if uniqueness is None else uniqueness.unique,
        "uniqueness": None if uniqueness is None else str(uniqueness),
        "canonical": None if solution.canonical is None else str(solution.canonical),
        "status": solution.status.name.lower(),
        "message": str(solution.status),
        "method": solution.method,
        "iterations": solution.iterations,
        "seconds": solution.seconds,
        "output": None if output is None else str(output),
    }


def _text(
    problem: Classification, solution: MaxMarginSolution, uniqueness: Uniqueness | None, output: Path | None
) -> str:
    relaxed = "" if solution.nu is None else f", soft at nu = {solution.nu:g}"
    relaxed += "" if solution.intercept is None else ", free intercept"
    heading = (
        f"{problem.name}: {problem.samples} samples, {problem.dimension} features, "
        f"{problem.n_classes} classes; {_norm_of(solution)} norm{relaxed}"
    )
    support = solution.support
    rows = {
        "margin": f"{solution.margin:.12g}",
        "upper bound": f"{solution.upper_bound:.12g}",
        "relative gap": f"{solution.relative_gap:.2g}",
        "support": f"{len(support)} pairs of a sample and a class, "
        f"{len(set(support[:, 0].tolist()))} of the samples",
        **({} if uniqueness is None else {"optimum": str(uniqueness)}),
        **({} if solution.canonical is None else {"weights": str(solution.canonical)}),
        "solved by": f"{solution.method}, {solution.iterations} iterations, {solution.seconds:.3g} s",
        "status": str(solution.status),
    }
    if solution.separable is False or solution.status.name == "NO_SOFT_MARGIN":
        # The margin is zero here; what counts is how small the certificate makes it.
        rows = {"upper bound": f"{solution.upper_bound:.2g}", **{k: rows[k] for k in ("solved by", "status")}}
    if output is not None:
        rows["written to"] = str(output)
    return "\n".join([heading, *(f"  {name:<14}{value}" for name, value in rows.items())])


def _norm_of(solution: MaxMarginSolution) -> str:
    from steepest.geometry import norm_label

    return norm_label(solution.norm)


def _write(output: Path, problem: Classification, solution: MaxMarginSolution) -> None:
    import numpy as np

    from steepest.files import writing

    intercept: dict[str, Any] = {} if solution.intercept is None else {"intercept": solution.intercept}
    with writing(output) as file:
        np.savez_compressed(
            file,
            weights=solution.weights,
            dual=solution.dual,
            support=solution.support,
            classes=portable_classes(problem),
            margin=solution.margin,
            upper_bound=solution.upper_bound,
            norm=_norm_of(solution),
            **intercept,
        )
