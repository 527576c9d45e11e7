"""Figure 2: what batches of one sample lead to, on a seed that the figure itself does not use."""

import pytest
from tests.experiments.synthetic import results

from steepest.errors import InvalidArgument
from steepest.experiments import paper_experiment
from steepest.experiments.batch_one_figure import batch_one_panels
from steepest.experiments.claims import Verdict, check_claims
from steepest.experiments.reproduction import write_report
from steepest.experiments.runs import Runs
from steepest.experiments.sweep import run_experiment

EXPERIMENT = paper_experiment("figure2").replaced({"seed": 17})
CLAIMS = ("batch-one-bias", "batch-one-spectral-is-frobenius", "worst-case-condition-is-vacuous")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    return run_experiment(EXPERIMENT, tmp_path_factory.mktemp("figure2"))


def rows(dataset, name):
    return {row.norm: row for row in check_claims(dataset, [name])}


def test_the_claims_hold_each_for_the_norms_that_it_is_about(outcome):
    assert EXPERIMENT.claims == CLAIMS
    found = check_claims(outcome.dataset, CLAIMS)
    assert [(row.name, row.norm) for row in found] == [
        ("batch-one-bias", "max"),
        ("batch-one-bias", "frobenius"),
        ("batch-one-spectral-is-frobenius", "spectral"),
        ("worst-case-condition-is-vacuous", "max"),
        ("worst-case-condition-is-vacuous", "frobenius"),
        ("worst-case-condition-is-vacuous", "spectral"),
    ]
    assert {row.verdict for row in found} == {Verdict.HOLDS}, [row.reason for row in found]


def test_reference_errors_in_the_own_norm_are_the_errors(outcome):
    dataset = outcome.dataset
    for norm in dataset["norm"].values:
        own = dataset["reference_relative_margin_error"].sel(norm=norm, reference=norm)
        assert float(abs(own - dataset["relative_margin_error"].sel(norm=norm)).max()) <= 1e-12


def test_momentum_does_not_lead_to_the_bias_direction(outcome):
    # The theorem is about single samples without momentum: the full batch goes elsewhere.
    cosine = outcome.dataset["bias_cosine"].isel(step=-1).sel(norm="frobenius", momentum=0.0).squeeze()
    assert float(cosine.sel(batch_size=1)) > 0.999
    assert float(cosine.sel(batch_size=100)) < 0.95


def test_a_limit_other_than_the_bias_fails_its_claim(outcome):
    dataset = outcome.dataset.copy()
    dataset["bias_cosine"] = dataset["bias_cosine"] * 0.998
    row = rows(dataset, "batch-one-bias")["frobenius"]
    assert row.verdict is Verdict.FAILS
    assert "1 - cosine to the bias direction at b = 1, seed 17" in row.reason


def test_weights_that_differ_by_rounding_amplified_fail_the_equality(outcome):
    dataset = outcome.dataset.copy(deep=True)
    late = {"norm": 2, "batch_size": 0, "momentum": 0, "step": -1, "class": 0, "feature": 0}
    dataset["weights"][late] *= 1 + 1e-9
    row = rows(dataset, "batch-one-spectral-is-frobenius")["spectral"]
    assert row.verdict is Verdict.FAILS
    assert "largest relative difference of the weights" in row.reason


def test_claims_without_their_measurements_are_not_decided(outcome):
    dataset = outcome.dataset.drop_vars(["bias_cosine", "weights"])
    assert "bias = true" in rows(dataset, "batch-one-bias")["max"].reason
    row = rows(dataset, "batch-one-spectral-is-frobenius")["spectral"]
    assert row.verdict is Verdict.NOT_DECIDED
    assert "weights = true" in row.reason


def test_the_figure_has_errors_left_and_cosines_right_a_row_a_method(outcome, tmp_path):
    figure = batch_one_panels(list(Runs.of(outcome.dataset)), "Batches of one sample")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "(a)  relative margin error",
        "(b)  cosine similarity",
        "(c)  relative margin error",
        "(d)  cosine similarity",
    ]
    assert [len(axes.lines) for axes in figure.axes] == [3, 4, 3, 4]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["SignSGD, b = 1", "Normalized-SGD, b = 1"]
    assert len(figure.legends) == 1
    report = write_report(EXPERIMENT, outcome, tmp_path)
    assert report.holds
    assert {"figure2-orthogonal.png", "figure2-orthogonal.pdf"} <= {path.name for path in report.files}


def test_a_figure_without_its_measurements_says_what_it_needs(outcome):
    with pytest.raises(InvalidArgument, match="batch size 1, momentum 0"):
        batch_one_panels(list(Runs.of(outcome.dataset.sel(batch_size=[100]))))
    with pytest.raises(InvalidArgument, match="bias = true"):
        batch_one_panels(list(Runs.of(results())))


def test_what_the_bound_says_of_single_samples_is_in_the_title(outcome):
    figure = batch_one_panels(list(Runs.of(outcome.dataset)), bound=True)
    first, second = figure.get_suptitle().splitlines()
    assert first.startswith("Batches of one on orthogonal data")
    assert second.startswith("No margin bound: ρ = -")
    assert second.endswith("γ ≤ 0, so the theorem promises nothing for single samples.")
