"""The experiments that come with steepest: found by name or path, and each runs in its reduced form."""

import re
from pathlib import Path

import pytest

from steepest.errors import DataFileError, InvalidArgument
from steepest.experiments import carry_out, extensions, find_experiment, paper_figures
from steepest.experiments.claims.check import CLAIMS
from steepest.experiments.claims.claim import LONG_RUN, Verdict

EXTENSIONS = [
    pytest.param(name, marks=pytest.mark.sklearn) if name in ("batch-one", "digits") else name
    for name in extensions()
]


@pytest.mark.parametrize("name", [*extensions(), *paper_figures()])
def test_every_name_gives_its_experiment_and_a_valid_reduced_form(name):
    experiment = find_experiment(name)
    assert experiment.name == name
    assert experiment.title
    assert experiment.claims
    assert experiment.reduced().quick == {}
    longest = max(CLAIMS[claim].steps for claim in experiment.claims)
    assert experiment.steps >= longest


def test_the_extensions_are_what_the_paper_names_but_does_not_plot():
    exponential = find_experiment("exponential-loss")
    assert exponential.loss == ("cross-entropy", "exponential")
    assert find_experiment("other-norms").norm == ("nuclear", "entrywise-3", "schatten-4")
    uneven = find_experiment("uneven-batches")
    sizes = [size for size in uneven.batch_size if isinstance(size, int)]
    assert all(samples % size for size in sizes for samples in (100, 200))
    assert [data.kind for data in find_experiment("digits").data] == ["digits"]
    assert find_experiment("long-run").steps == 300_000 > LONG_RUN


@pytest.mark.parametrize("name", EXTENSIONS)
def test_the_reduced_form_runs_from_file_to_figure(name, tmp_path):
    shorter = {"steps": 300, "records": 20, "gap": 1e-3}
    report = carry_out(find_experiment(name).reduced().replaced(shorter), tmp_path)
    assert not report.interrupted
    about_runs = [claim for claim in report.claims if CLAIMS[claim.name].steps]
    assert {claim.verdict for claim in about_runs} <= {Verdict.UNDECIDED}
    assert Verdict.CONTRADICTED not in {claim.verdict for claim in report.claims}
    assert any(path.suffix == ".png" for path in report.files)


def test_a_file_is_found_by_its_path_and_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_text('data = "gaussian"\nnorm = "max"\n', encoding="utf-8")
    assert find_experiment("digits").norm == ("max",)
    with pytest.raises(DataFileError, match=r"digits\.toml: cannot be read"):
        find_experiment("digits.toml")
    assert find_experiment("long-run", {"seed": 4, "schedule.initial": 1}).seed == (4,)


def test_an_unknown_name_is_refused_with_the_names_that_there_are():
    with pytest.raises(
        InvalidArgument, match=r"experiment='figure9': give the path of a \.toml file, or one of"
    ):
        find_experiment("figure9")


def test_the_page_of_findings_names_every_claim_and_no_other():
    page = (Path(__file__).parents[3] / "docs" / "findings.md").read_text(encoding="utf-8")
    section = page.split("## What the paper says, and its check\n")[1].split("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("| "))
    assert set(re.findall(r"`([a-z-]+)`", table)) == set(CLAIMS)
    assert all(name in page for name in extensions() if name not in ("digits", "exponential-loss"))
