"""A folder of results as one HTML page that opens from disk: claims, curves, heat maps, data and settings."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from steepest import __version__
from steepest.arguments import switch
from steepest.experiments.claims.shown import verdict_counts
from steepest.experiments.inputs import as_path
from steepest.experiments.report import tables
from steepest.experiments.report.curves import groups_of, quantities_of
from steepest.experiments.report.folder import StoredExperiment, read_folder
from steepest.experiments.report.packing import compressed, embedded, packed
from steepest.experiments.report.pictures import pictures_of
from steepest.experiments.report.plotly import compressed_bundle
from steepest.experiments.report.predictions import predictions_of
from steepest.files import check_writable, write_text

__all__ = ["Page", "render_page", "write_page"]

_ENDINGS = (".html", ".htm")
_TEMPLATES = "templates"
_SCRIPTS = ("shared", "curves", "heatmaps", "unpack", "start")


@dataclass(frozen=True)
class Page:
    """A report that was written."""

    path: Path
    """Where it is."""
    experiments: tuple[StoredExperiment, ...]
    """What the folder holds, in the order of the page."""

    @property
    def runs(self) -> int:
        """Number of runs on the page."""
        return sum(experiment.runs for experiment in self.experiments)


def write_page(directory: str | Path, output: str | Path | None = None, *, predicted: bool = False) -> Page:
    """Write everything that a folder of results holds into one HTML page, and return where it is.

    The page needs no network and no other file: pictures first, claims with a line for each verdict, curves
    over the steps with the theory's bound and predicted slope over them, final values over batch size and
    momentum, data sets, certified margins, settings and versions. An unfinished sweep is shown as far as it
    came. Pictures, verdicts and tables need no script.

    Args:
        directory: the folder that experiments were run in, or a folder of such folders.
        output: the page; by default ``report.html`` in that folder.
        predicted: whether to draw the errors that :func:`steepest.theory.limit_direction` predicts over those
            of mini-batches without momentum; that takes seconds to minutes for each batch size.

    Raises:
        InvalidArgument: the folder holds no results, the page cannot go where it should, or ``predicted`` is
            neither True nor False.
        RunError: the page cannot be written.

    Warns:
        SteepestWarning: a file is damaged or foreign; it is left out.

    ::

        page = write_page("results/figure1")
        print(page.path, page.runs)
    """
    predicted = switch("predicted", predicted)
    directory = as_path("directory", directory, "give the folder of a run")
    path = directory / "report.html" if output is None else as_path("output", output, "give a file's path")
    if output is not None:
        check_writable("output", path, _ENDINGS)
    stored = read_folder(directory)
    write_text(path, render_page(stored, directory.resolve().name, predicted=predicted))
    return Page(path, stored)


def render_page(stored: Sequence[StoredExperiment], name: str, *, predicted: bool = False) -> str:
    """Return the HTML of a report on experiments; ``name`` is what the page calls their folder."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("steepest.experiments.report", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = embedded
    folder = resources.files("steepest.experiments.report") / _TEMPLATES
    tree, numbers = packed(_charts(stored, predicted=predicted))
    return environment.get_template("report.html.jinja").render(
        name=name,
        version=__version__,
        experiments=[_section(place, each) for place, each in enumerate(stored)],
        contradicted=[row for place, each in enumerate(stored) for row in _contradicted(place, each)],
        counts=verdict_counts([claim for each in stored for claim in each.claims]),
        pictures=pictures_of(stored),
        charts=compressed(tree),
        numbers=gzip.compress(numbers, mtime=0),
        plotly=compressed_bundle(),
        style=(folder / "report.css").read_text(encoding="utf-8"),
        script="\n".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in _SCRIPTS),
    )


def _section(place: int, experiment: StoredExperiment) -> dict[str, Any]:
    claims = experiment.claims
    asked = len(experiment.cells) + experiment.missing
    return {
        "id": _id(place),
        "name": experiment.name,
        "title": experiment.title,
        "known": experiment.settings is not None,
        "runs": f"{experiment.runs:,}",
        "steps": f"{max(int(cell.description['steps']) for cell in experiment.cells):,}",
        "progress": f"{len(experiment.cells)} of {asked} cells" if experiment.missing else "",
        "claims": list(tables.claim_tables(claims)),
        "counts": verdict_counts(claims) or "no claims",
        "data": tables.data_rows(experiment),
        "margins": tables.margin_rows(experiment),
        "settings": tables.setting_rows(experiment),
        "provenance": {} if experiment.settings is None else experiment.settings.provenance,
        "notes": experiment.notes,
    }


def _contradicted(place: int, experiment: StoredExperiment) -> Iterator[dict[str, str]]:
    for name in dict.fromkeys(claim.name for claim in experiment.claims):
        for number, claim in enumerate((each for each in experiment.claims if each.name == name), start=1):
            if claim.refutes:
                found = f"{_id(place)}-{name}-{number}"
                yield {"id": found, "name": name, "where": f"{claim.data}, {claim.norm}"}


def _id(place: int) -> str:
    return f"experiment-{place}"


def _charts(stored: Sequence[StoredExperiment], *, predicted: bool) -> dict[str, Any]:
    datasets = [experiment.dataset for experiment in stored]
    predictions = [predictions_of(experiment) if predicted else {} for experiment in stored]
    return {
        "quantities": quantities_of(datasets),
        "experiments": [
            {"name": _told_apart(stored, place), "groups": list(groups_of(dataset, predictions[place]))}
            for place, dataset in enumerate(datasets)
        ],
    }


def _told_apart(stored: Sequence[StoredExperiment], place: int) -> str:
    experiment = stored[place]
    same = [each for each in stored if each.name == experiment.name]
    return experiment.name if len(same) == 1 else f"{experiment.name} ({same.index(experiment) + 1})"
