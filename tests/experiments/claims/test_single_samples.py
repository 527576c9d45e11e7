"""Figure 2: what batches of one sample lead to, on a seed that the figure itself does not use."""

import numpy as np
import pytest
import xarray as xr
from tests.experiments.synthetic import results

from steepest.errors import InvalidArgument
from steepest.experiments import paper_experiment
from steepest.experiments.claims.check import check_claims
from steepest.experiments.claims.selection import Runs
from steepest.experiments.claims.verdict import Outcome, Verdict
from steepest.experiments.figures.batch_one import batch_one_panels
from steepest.experiments.reproduction import write_report
from steepest.experiments.sweep.sweep import run_experiment

EXPERIMENT = paper_experiment("figure2").replaced({"seed": 17, "records": 60})


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    return run_experiment(EXPERIMENT, tmp_path_factory.mktemp("figure2"))


def rows(dataset, name):
    return {row.norm: row for row in check_claims(dataset, [name])}


def test_one_data_set_supports_what_is_proven_and_leaves_means_undecided(outcome):
    found = check_claims(outcome.dataset, EXPERIMENT.claims)
    verdicts = {(row.name, row.norm): row.verdict for row in found}
    proven = {"batch-one-spectral-is-frobenius", "worst-case-condition-is-vacuous"}
    assert all((v is Verdict.SUPPORTED) == (name in proven) for (name, _), v in verdicts.items())
    assert not any(row.refutes for row in found)
    about = {row.name: row.data for row in found}
    assert about.pop("frequent-hard-classes-hide-the-bias") == "orthogonal-frequent"
    assert set(about.values()) == {"orthogonal"}


def test_the_distance_to_the_bias_is_within_its_bound_at_every_record(outcome):
    for row in check_claims(outcome.dataset, ["batch-one-bias"]):
        (share,) = [e for e in row.effects if e.proven]
        assert share.outcome is Outcome.SHOWN
        assert 0 < share.largest <= 1
    dataset = outcome.dataset.copy()
    dataset["bias_distance"] = dataset["bias_distance"] * 100
    assert rows(dataset, "batch-one-bias")["frobenius"].verdict is Verdict.CONTRADICTED


def test_reference_errors_in_the_own_norm_are_the_errors(outcome):
    dataset = outcome.dataset
    for norm in dataset["norm"].values:
        own = dataset["reference_relative_margin_error"].sel(norm=norm, reference=norm)
        assert float(abs(own - dataset["relative_margin_error"].sel(norm=norm)).max()) <= 1e-12


def test_the_bias_is_far_from_the_max_margin_where_hard_classes_are_rare_alone(outcome):
    cosine = outcome.dataset["reference_cosine"].isel(step=-1)
    chosen = cosine.sel(norm="frobenius", reference="frobenius", batch_size=1, momentum=0.0).squeeze()
    assert float(chosen.sel(data="orthogonal-rare")) < 0.7
    assert float(chosen.sel(data="orthogonal-frequent")) > 0.95


def test_scales_leave_no_trace_in_batches_of_one_sample(outcome):
    final = outcome.dataset["weights"].isel(step=-1).sel(batch_size=1, momentum=0.0).squeeze()
    for norm in ("max", "frobenius"):
        first, *others = (final.sel(norm=norm, data=data) for data in outcome.dataset["data"].values)
        assert all(float(abs(first - other).max()) <= 1e-12 * float(abs(first).max()) for other in others)


def test_data_with_other_counts_says_nothing_of_scales(outcome):
    dataset = outcome.dataset.copy(deep=True)
    dataset["class_counts"][{"data": 0, "class": 0}] += 1
    row = rows(dataset, "batch-one-ignores-scales")["max"]
    assert (row.verdict, row.reason) == (
        Verdict.UNDECIDED,
        "the experiment has no other data set with the same class counts",
    )


def test_naive_arithmetic_that_stays_is_no_contrast(outcome):
    copies = [outcome.dataset.assign_coords(seed=[seed]) for seed in range(10)]
    seeds = xr.concat(copies, "seed", data_vars="minimal", coords="minimal", compat="override")
    assert rows(seeds, "naive-residuals-lose-the-bias")["frobenius"].verdict is Verdict.SUPPORTED
    seeds["naive_bias_cosine"] = seeds["bias_cosine"].where(seeds["naive_bias_cosine"].notnull())
    row = rows(seeds, "naive-residuals-lose-the-bias")["frobenius"]
    assert row.verdict is Verdict.CONTRADICTED
    (effect,) = [each for each in row.effects if each.quantity == "1 - cosine, naive / exact"]
    assert effect.mean == pytest.approx(1.0)


def test_distances_to_all_optima_are_at_most_those_to_the_canonical_one(outcome):
    dataset = outcome.dataset.sel(data="orthogonal")
    assert dataset["unique_optimum"].sel(norm="frobenius").item() == 1
    assert not dataset["unique_optimum"].sel(norm=["max", "spectral"]).any()
    unique = dataset["reference_unique_optimum"]
    assert (
        unique == dataset["unique_optimum"].rename(norm="reference").sel(reference=unique["reference"])
    ).all()
    distance, cosine = dataset["reference_distance_to_optima"], dataset["reference_cosine"].clip(min=0)
    to_one = (1 - cosine**2) ** 0.5
    assert float((distance - to_one).max()) <= 1e-6
    only = {"reference": "frobenius"}
    assert float(abs(distance - to_one).sel(only).max()) <= 1e-6
    # The full batch goes to an optimum in the spectral norm, if not to the canonical one.
    full = {"norm": "spectral", "reference": "spectral", "batch_size": 100, "momentum": 0.0}
    ends = [each.sel(full).isel(step=-1).values.item() for each in (distance, to_one)]
    assert ends[0] < 0.5 * ends[1]


def test_momentum_does_not_lead_to_the_bias_direction(outcome):
    # The theorem is about single samples without momentum: the full batch goes elsewhere.
    final = outcome.dataset["bias_cosine"].isel(step=-1)
    cosine = final.sel(data="orthogonal", norm="frobenius", momentum=0.0).squeeze()
    assert float(cosine.sel(batch_size=1)) > 0.999
    assert float(cosine.sel(batch_size=100)) < 0.95


def test_weights_that_differ_by_rounding_amplified_fail_the_equality(outcome):
    dataset = outcome.dataset.copy(deep=True)
    late = {"data": 0, "norm": 2, "batch_size": 0, "momentum": 0, "step": -1, "class": 0, "feature": 0}
    dataset["weights"][late] *= 1 + 1e-9
    row = rows(dataset, "batch-one-spectral-is-frobenius")["spectral"]
    assert row.verdict is Verdict.CONTRADICTED
    assert "largest relative difference of the weights" in row.reason


def test_claims_that_compare_with_runs_which_are_not_there_yet_are_not_decided(outcome):
    same, others = ["orthogonal"], ["orthogonal-rare", "orthogonal-frequent"]
    no_norm, no_data = "batch size 1 at momentum 0 in the Fro", "no other data set with the same class counts"
    for name, norm, data, absent, reason in (
        ("batch-one-spectral-is-frobenius", "spectral", same, "frobenius", no_norm),
        ("batch-one-ignores-scales", "max", others, "max", no_data),
    ):
        dataset = outcome.dataset.copy(deep=True)
        for variable in ("weights", "relative_margin_error"):
            dataset[variable].loc[{"data": data, "norm": absent}] = np.nan
        row = rows(dataset, name)[norm]
        assert row.verdict is Verdict.UNDECIDED
        assert reason in row.reason


def test_claims_without_their_measurements_are_not_decided(outcome):
    dataset = outcome.dataset.drop_vars(["bias_cosine", "weights", "naive_bias_cosine"])
    words = {
        "batch-one-bias": "bias = true",
        "batch-one-ignores-scales": "weights = true",
        "batch-one-spectral-is-frobenius": "weights = true",
        "naive-residuals-lose-the-bias": "naive = max",
    }
    for name, expected in words.items():
        row, *_ = rows(dataset, name).values()
        assert row.verdict is Verdict.UNDECIDED
        assert expected in row.reason


@pytest.mark.parametrize("name", ["batch-one-ignores-scales", "frequent-hard-classes-hide-the-bias"])
def test_claims_about_the_frobenius_max_margin_need_it_as_a_reference(outcome, name):
    without = outcome.dataset.drop_vars(["reference_cosine", "reference_relative_margin_error"])
    for dataset, reason in (
        (outcome.dataset.sel(reference=["max"]), "does not name frobenius among its reference norms"),
        (without.drop_dims("reference"), "names no reference norms"),
    ):
        row = rows(dataset, name)["frobenius"]
        assert row.verdict is Verdict.UNDECIDED
        assert row.reason == f"the experiment {reason}"


def test_the_figure_has_errors_cosines_and_the_naive_contrast_a_row_a_method(outcome, tmp_path):
    every = list(Runs.of(outcome.dataset))
    figure = batch_one_panels([runs for runs in every if not runs.contrast], "Batches of one sample")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "(a)  relative margin error",
        "(b)  cosine similarity",
        "(e)  1 - cosine to the bias direction",
        "(c)  relative margin error",
        "(d)  cosine similarity",
        "(f)  1 - cosine to the bias direction",
    ]
    assert [len(axes.lines) for axes in figure.axes] == [3, 4, 3, 3, 4, 3]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ["SignSGD, b = 1", "Normalized-SGD, b = 1"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][-1] == "bias direction, softmax - onehot"
    exact, naive = (np.asarray(line.get_ydata(), float) for line in figure.axes[2].lines[:2])
    assert naive[-1] > 10 * exact[-1]
    report = write_report(EXPERIMENT, outcome, tmp_path)
    assert report.holds
    assert {"figure2-orthogonal.png", "figure2-orthogonal-frequent.pdf"} <= {p.name for p in report.files}


def test_contrasting_data_is_drawn_in_the_papers_two_columns_and_named_as_such(outcome):
    figure = batch_one_panels([r for r in Runs.of(outcome.dataset) if r.data == "orthogonal-frequent"])
    assert [axes.get_title(loc="left")[:3] for axes in figure.axes] == ["(a)", "(b)", "(c)", "(d)"]
    assert "for contrast: orthogonal-frequent data" in figure.get_suptitle()


def test_a_figure_without_its_measurements_says_what_it_needs(outcome):
    with pytest.raises(InvalidArgument, match="norm max or frobenius, batch_size 1, momentum 0"):
        batch_one_panels(list(Runs.of(outcome.dataset.sel(batch_size=[100]))))
    with pytest.raises(InvalidArgument, match="bias = true"):
        batch_one_panels(list(Runs.of(results())))


def test_what_the_bound_says_of_single_samples_is_in_the_title(outcome):
    every = [runs for runs in Runs.of(outcome.dataset) if not runs.contrast]
    first, second = batch_one_panels(every, bound=True).get_suptitle().splitlines()
    assert first.startswith("Batches of one, orthogonal data")
    assert second.startswith("No margin bound: ρ = -")
    assert second.endswith("γ ≤ 0, so the theorem promises nothing for single samples.")
