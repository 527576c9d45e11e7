"""Momentum that theory needs beside momentum that worked: a small table computed in full."""

import pytest

import steepest as st
from steepest.errors import InvalidArgument
from steepest.experiments.required_momentum import as_table, required_momenta

PROBLEM = st.datasets.gaussian(classes=3, samples_per_class=4, features=30, seed=1)
SCHEDULE = st.PolynomialDecay(1.0, 0.5)


@pytest.fixture(scope="module")
def solution():
    return st.max_margin(PROBLEM, "frobenius")


@pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")
def test_practice_needs_less_than_the_sharp_theory_and_that_less_than_the_paper(solution):
    rows = required_momenta(
        PROBLEM, "frobenius", SCHEDULE, solution, momenta=[0.0, 0.5, 0.9, 0.95], steps=4000, seeds=(0, 1)
    )
    assert [row.batch_size for row in rows] == [1, 5, 10]
    assert [row.batches for row in rows] == [12, 3, 2]
    for row in rows:
        assert row.measured is not None
        assert row.sharp is not None
        assert row.paper is not None
        assert row.measured < row.sharp < row.paper < 1
        method = st.Method("frobenius", row.batch_size, row.sharp)
        assert not st.theory.effective_margin(PROBLEM, method, solution).vacuous
        assert sorted(row.errors) == [0.0, 0.5, 0.9, 0.95]
        full = st.descend(
            PROBLEM, st.Method("frobenius", None, row.measured, schedule=SCHEDULE), 4000, reference=solution
        )
        assert row.errors[row.measured] <= 1.3 * full.relative_margin_error[-1]
    needed = [row.measured or 0.0 for row in rows]
    assert needed == sorted(needed, reverse=True)
    table = as_table(rows, "frobenius")
    assert len(table.splitlines()) == 5
    assert table.splitlines()[2].startswith("| frobenius | 1 | 12 |")


@pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")
def test_a_momentum_that_is_too_small_did_not_work(solution):
    (row,) = required_momenta(
        PROBLEM, "frobenius", SCHEDULE, solution, batch_sizes=[1], momenta=[0.0], steps=2000
    )
    assert row.measured is None
    assert "| none |" in as_table([row], "frobenius")


def test_unusable_arguments(solution):
    for sizes in ([], [0], [12]):
        with pytest.raises(InvalidArgument, match="batch sizes from 1 to 11"):
            required_momenta(PROBLEM, "frobenius", SCHEDULE, solution, batch_sizes=sizes)
    with pytest.raises(InvalidArgument, match="at least one momentum"):
        required_momenta(PROBLEM, "frobenius", SCHEDULE, solution, momenta=[])


def test_runs_that_ctrl_c_ended_decide_nothing(solution):
    reports = []

    def interrupt(done, total):
        reports.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        required_momenta(PROBLEM, "frobenius", SCHEDULE, solution, steps=1_000_000, progress=interrupt)
    assert len(reports) == 1
