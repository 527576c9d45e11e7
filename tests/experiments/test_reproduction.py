import json

import pytest
import xarray as xr
from tests.experiments.synthetic import as_the_paper_says, results

from steepest.errors import InvalidArgument, RunError
from steepest.experiments import Verdict, paper_experiment, paper_figures, reproduce, reproduction
from steepest.experiments.reproduction import write_report
from steepest.experiments.sweep.sweep import Outcome, run_experiment


def outcome_of(dataset, *, interrupted=False, notes=()):
    return Outcome(
        dataset, interrupted, computed=0, reused=36, notes=notes, fingerprints={"gaussian, seed 0": "c0ffee"}
    )


def test_figure_1_has_the_settings_of_the_paper():
    experiment = paper_experiment("figure1")
    assert experiment.norm == ("frobenius",)
    assert experiment.batch_size == (1, 5, 10, 20, 50, "full")
    assert experiment.momentum == (0.0, 0.5, 0.99)
    assert experiment.signal == ("minibatch", "svrg")
    assert (experiment.steps, experiment.records, experiment.seed) == (20_000, 200, tuple(range(10)))
    gaussian, mixture = experiment.data
    assert (gaussian.kind, mixture.kind) == ("gaussian", "mixture")
    sizes = {"classes": 10, "samples_per_class": 10, "features": 100, "scale": 0.1}
    assert gaussian.options == sizes
    # The paper's data decides; the other is shown, on fewer data sets.
    assert (gaussian.generalises, mixture.generalises, mixture.most_seeds) == (False, True, 3)
    assert experiment.generalisations == ("mixture",)
    assert mixture.options == {"classes": 5, "samples_per_class": 40, "features": 50, "separation": 1.5}
    assert experiment.schedule_for(gaussian).initial_step_size("frobenius", margin=0.5) == 1.0
    assert experiment.schedule_for(mixture).initial_step_size("frobenius", margin=0.5) == pytest.approx(0.3)
    assert len(experiment.claims) == 7


@pytest.mark.parametrize("figure", paper_figures())
def test_every_shipped_experiment_has_a_valid_reduced_form(figure):
    reduced = paper_experiment(figure).reduced()
    assert reduced.steps == paper_experiment(figure).steps  # so that its claims can still be decided


def test_unknown_figures_and_seeds_are_refused(tmp_path):
    with pytest.raises(
        InvalidArgument, match="figure='figure9': give one of figure1, figure2, figure3, figure4, or all"
    ):
        reproduce("figure9", tmp_path)
    with pytest.raises(InvalidArgument, match="seed"):
        reproduce("figure1", tmp_path, seeds=(-1,))
    with pytest.raises(InvalidArgument, match=r"seed=.*: an empty list has no runs"):
        reproduce("figure1", tmp_path, seeds=())


def test_everything_is_written_down(tmp_path):
    experiment = paper_experiment("figure1")
    report = write_report(experiment, outcome_of(results(), notes=("momentum stalls",)), tmp_path)
    assert report.holds
    assert sorted(path.name for path in report.files) == [
        "figure1-claims.json",
        "figure1-claims.md",
        "figure1-gaussian.pdf",
        "figure1-gaussian.png",
        "figure1.nc",
    ]
    rows = json.loads((tmp_path / "figure1-claims.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in rows] == list(experiment.claims)
    assert {row["verdict"] for row in rows} == {"supported"}
    assert rows[0]["measurements"][0]["at_least"] is None  # infinities are no JSON
    table = (tmp_path / "figure1-claims.md").read_text(encoding="utf-8")
    assert "| `large-momentum-recovers` | gaussian, frobenius | **supported** |" in table
    assert "- **supported**: `large-momentum-recovers`, gaussian, frobenius: all " in table
    assert rows[1]["effect"]["data_sets"] == 10
    assert rows[1]["effect"]["low"] <= rows[1]["effect"]["mean"] <= rows[1]["effect"]["high"]
    assert "- momentum stalls" in table
    with xr.open_dataset(tmp_path / "figure1.nc", engine="netcdf4") as data:
        assert data["relative_margin_error"].dims[0] == "data"
        assert json.loads(data.attrs["experiment"])["name"] == "figure1"
        assert json.loads(data.attrs["data_hashes"]) == {"gaussian, seed 0": "c0ffee"}


def test_one_claim_that_is_contradicted_is_enough_and_an_undecided_one_is_not(tmp_path):
    dataset = results(lambda b, m, v, s: as_the_paper_says(100 if m == 0 else b, m, v, s))
    report = write_report(paper_experiment("figure1"), outcome_of(dataset), tmp_path)
    assert not report.holds
    (failed,) = [claim for claim in report.claims if claim.refutes and "lags" in claim.name]
    assert failed.verdict is Verdict.CONTRADICTED
    few = write_report(paper_experiment("figure1"), outcome_of(results().isel(seed=[0, 1])), tmp_path)
    assert {claim.verdict for claim in few.claims} == {Verdict.UNDECIDED, Verdict.SUPPORTED}
    assert few.holds


def test_an_interrupted_experiment_writes_no_claims(tmp_path):
    report = write_report(paper_experiment("figure1"), outcome_of(results(), interrupted=True), tmp_path)
    assert (report.holds, report.interrupted, report.claims, report.files) == (False, True, (), [])


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match=r"taken.*cannot be written"):
        write_report(paper_experiment("figure1"), outcome_of(results()), tmp_path / "taken" / "below")


def test_the_paper_in_small_from_data_to_undecided_claims(tmp_path):
    experiment = paper_experiment("figure1").replaced({"steps": 60, "seed": 9, "batch_size": [10, "full"]})
    report = write_report(experiment, run_experiment(experiment, tmp_path / "cells"), tmp_path)
    decided = {claim.name for claim in report.claims if claim.verdict is not Verdict.UNDECIDED}
    assert decided == {"worst-case-condition-is-vacuous"}  # which is about settings, not about runs
    assert {claim.data for claim in report.claims} == {"gaussian", "mixture"}
    assert {path.name for path in report.files} >= {"figure1-gaussian.png", "figure1-mixture.png"}
    assert report.holds


def test_all_figures_go_one_after_the_other_into_one_folder(tmp_path, monkeypatch):
    def small(name):
        changes = {"steps": 20, "batch_size": [1, "full"], "momentum": 0.0, "quick": {"seed": 4}}
        return paper_experiment(name).replaced(changes)

    monkeypatch.setattr(reproduction, "paper_experiment", small)
    seen = []
    report = reproduce("all", tmp_path, quick=True, bound=True, progress=lambda *told: seen.append(told))
    assert all(experiment.bound for experiment in report.experiments)
    assert [experiment.name for experiment in report.experiments] == list(paper_figures())
    assert {experiment.seed for experiment in report.experiments} == {(4,)}
    assert {path.name for path in report.files} >= {
        "figure1-gaussian.png",
        "figure2-orthogonal.png",
        "figure3-mixture.pdf",
        "figure4.nc",
    }
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    # Which cell ends last is up to the workers.
    assert seen[-1][0].startswith("figure4: 8 of 8 runs, ")
    assert seen[-1][1] == seen[-1][2]

    def interrupt(what, done, total):
        raise KeyboardInterrupt

    stopped = reproduce("all", tmp_path, quick=True, seeds=(6,), progress=interrupt)
    assert stopped.interrupted
    assert not stopped.holds
    assert [experiment.name for experiment in stopped.experiments] == ["figure1"]
