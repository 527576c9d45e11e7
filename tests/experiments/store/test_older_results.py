"""A folder of results from before signals had names: it opens, holds the same, and is gone on with."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from steepest.experiments import Executor, carry_out, open_results, write_page
from steepest.experiments.report.folder import read_folder

ARCHIVE = Path(__file__).parent / "results-of-before.tar.xz"


@pytest.fixture
def older(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "before"


def test_every_value_is_found_under_its_labels(older):
    dataset = open_results(older)
    assert dataset["signal"].values.tolist() == ["minibatch", "svrg"]
    with np.load(older / "expected.npz") as expected:
        dimensions = json.loads(str(expected["dims"]))
        for name in set(dimensions) - {"variance_reduction"}:
            renamed = ["signal" if each == "variance_reduction" else each for each in dimensions[name]]
            assert list(dataset[name].dims) == renamed
            np.testing.assert_array_equal(dataset[name].values, expected[name])
        # As they were called before, the runs are found too.
        reduced = dataset["cosine"].sel(variance_reduction=True)
        np.testing.assert_array_equal(reduced, expected["cosine"][:, :, :, :, :, 1])


def test_its_experiment_is_whole_and_has_a_page(older):
    (stored,) = read_folder(older)
    assert stored.settings is not None
    assert stored.settings.experiment.signal == ("minibatch", "svrg")
    assert (stored.name, stored.runs, stored.missing) == ("before", 8, 0)
    assert {claim.name for claim in stored.claims} == {
        "full-batch-converges",
        "worst-case-condition-is-vacuous",
    }
    assert write_page(older).path.exists()


def test_nothing_of_it_is_computed_again(older):
    (stored,) = read_folder(older)
    assert stored.settings is not None
    report = carry_out(stored.settings.experiment, older, executor=Executor("threads", 1))
    assert (report.computed, report.reused) == (0, 2)
