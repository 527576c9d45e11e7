"""What is promised of runs on several data sets: the sentence says what the number beside it says."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.experiments.synthetic import results

from steepest.experiments.claims.promises import promise_of
from steepest.experiments.claims.selection import Runs

FULL = 100


def runs_with(shares, proven=()):
    """Return runs of a data set a share, and a floor of 0.4 of all of them at the records ``proven``."""
    dataset = results().isel(seed=range(len(shares)))
    floor = xr.full_like(dataset["relative_margin_error"], -np.inf)
    floor[{"step": [1 + each for each in proven]}] = 0.4
    effective = dataset["effective_margin"] * 0 + xr.DataArray(np.asarray(shares), dims="seed")
    (runs,) = Runs.of(dataset.assign(margin_floor=floor, effective_margin=effective))
    return runs


def test_one_data_set_without_a_promise_is_one_too_many_for_more_steps():
    # In the median ρ is positive, and on the second data set no number of steps proves anything.
    promise = promise_of(runs_with([0.5, -0.2, 0.7]), FULL, 0.0)
    assert promise.share == pytest.approx(-0.2)
    assert (promise.vacuous, promise.proven, promise.slope) == (True, False, None)
    assert promise.says.startswith("Vacuous on 1 of 3 data sets: ")
    assert "the least ρ = -0.2 γ ≤ 0" in promise.says
    assert "more steps" not in promise.says


def test_more_steps_are_promised_where_every_data_set_leaves_a_margin():
    promise = promise_of(runs_with([0.5, 0.2, 0.7]), FULL, 0.0)
    assert promise.share == pytest.approx(0.2)
    assert promise.slope is not None
    assert promise.says.startswith("Nothing by step 20,000: the least ρ = 0.2 γ is positive")
    assert promise.says.endswith("It would with more steps.")


def test_a_gap_ends_what_is_proven_from_a_step_on():
    records = len(runs_with([0.5]).steps)
    runs = runs_with([0.5, 0.6], proven=[20, 21, *range(30, records)])
    says = promise_of(runs, FULL, 0.0).says
    first, lasting = runs.steps[20], runs.steps[30]
    assert says.startswith(
        f"Proven at every recorded step from {lasting:,} on, and at 2 before from step {first:,} on"
    )
    assert says.endswith("at step 20,000 the error is at most 0.6.")


def test_what_is_not_proven_at_the_last_step_is_not_proven_from_a_step_on():
    runs = runs_with([0.5], proven=[20, 21, 25])
    promise = promise_of(runs, FULL, 0.0)
    steps = runs.steps
    assert promise.says.startswith(
        f"Proven at 3 of {len(steps)} recorded steps, from {steps[20]:,} to {steps[25]:,}, and not at the "
        f"last: at step {steps[25]:,} the error is at most 0.6"
    )
    assert " on" not in promise.says


@settings(max_examples=25, deadline=None)
@given(some.lists(some.floats(-2, 1), min_size=1, max_size=4), some.sets(some.integers(0, 40), max_size=40))
def test_the_sentence_and_the_number_agree(shares, proven):
    runs = runs_with(shares, proven)
    promise = promise_of(runs, FULL, 0.0)
    assert promise.share == pytest.approx(min(shares))
    assert promise.says.startswith("Proven") == promise.proven == bool(np.isfinite(promise.floor).any())
    assert promise.says.startswith("Vacuous") == (promise.vacuous and not promise.proven)
    assert promise.says.endswith("more steps.") == (not promise.vacuous and not promise.proven)
    if "every recorded step from" in promise.says:
        first = int(promise.says.split(" from ")[1].split(" ")[0].replace(",", ""))
        assert np.isfinite(promise.error[runs.steps >= first]).all()
