"""Claims about batches of one beyond orthogonal data, on a small experiment from the spec to the verdict."""

import numpy as np
import pytest

from steepest.datasets.real import digits_pair
from steepest.errors import InvalidArgument
from steepest.experiments import Experiment, run_experiment
from steepest.experiments.claims.check import CLAIMS
from steepest.experiments.claims.selection import Runs
from steepest.experiments.figures.constant_bias import constant_bias_panels

FOLLOWS = "batch-one-follows-its-mean-direction"
SEPARATES = "batch-one-separates-if-its-mean-direction-does"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    experiment = Experiment.model_validate(
        {
            "name": "small",
            "data": [
                {"kind": "gaussian", "classes": 2, "samples_per_class": 6, "features": 14},
                {"kind": "mixture", "classes": 2, "samples_per_class": 6, "features": 14, "separation": 3.0},
            ],
            "norm": ["max", "spectral"],
            "batch_size": 1,
            "steps": 1_500,
            "records": 30,
            "gap": 1e-4,
            "bias": True,
        }
    )
    found = run_experiment(experiment, tmp_path_factory.mktemp("small")).dataset
    assert found is not None
    return list(Runs.of(found))


def values(runs, name, quantity):
    for measurement in CLAIMS[name].measure(runs):
        if measurement.quantity == quantity:
            return np.array(measurement.values), measurement
    raise AssertionError(quantity)


def test_runs_follow_their_mean_direction_and_separate_where_it_does(runs):
    assert len(runs) == 4
    for each in runs:
        shares, measurement = values(each, FOLLOWS, "distance / bound")
        assert measurement.at_most == pytest.approx(1.0)
        assert ((shares > 0) & (shares <= 1)).all()
        quantity = "margin over the max margin, times -1 where B does not separate"
        agreeing, measurement = values(each, SEPARATES, quantity)
        assert measurement.at_least == 0.0
        assert (agreeing >= 0).all()
        predicted, _ = values(each, SEPARATES, "that of B")
        assert (np.sign(predicted) > 0).all() == (each.data == "mixture")


def test_a_run_that_leaves_its_mean_direction_breaks_the_claim(runs):
    worse = runs[0].dataset.assign(bias_distance=runs[0].dataset["bias_distance"] * 1e4)
    broken = Runs(worse, runs[0].data, runs[0].norm, runs[0].loss, worse, worse)
    _, measurement = values(broken, FOLLOWS, "distance / bound")
    assert min(measurement.slack) < 0


def test_the_picture_says_where_the_mean_direction_separates(runs):
    picture = constant_bias_panels(runs, "Small")
    titles = [axes.get_title(loc="left") for axes in picture.axes]
    assert titles[1] == "margin / γ;  B separates in: none"
    assert titles[3] == "margin / γ;  B separates in: max, spectral"
    with pytest.raises(InvalidArgument, match="constant-bias"):
        constant_bias_panels([], "Nothing")


@pytest.mark.sklearn
def test_a_pair_of_digits_has_these_two_classes():
    problem = digits_pair(1, 7)
    assert problem.classes.tolist() == [1, 7]
    for arguments, message in [((3, 3), "second=3: give another digit"), ((10, 1), "first=10: give a digit")]:
        with pytest.raises(InvalidArgument, match=message):
            digits_pair(*arguments)
