import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from steepest import Classification, Method, PolynomialDecay, descend, max_margin
from steepest.datasets import gaussian, mixture
from steepest.errors import InvalidArgument
from steepest.theory import limit_direction, limit_margin, smallest_converging_batch
from steepest.theory.limits.smallest import _by_halving, _of_all


@pytest.fixture(scope="module")
def problem():
    draw = np.random.default_rng(11)
    y = np.arange(9) % 3
    return Classification(draw.normal(size=(9, 5)) + 4.0 * np.eye(3, 5)[y], y)


@pytest.fixture(scope="module")
def solutions(problem):
    return {name: max_margin(problem, name) for name in ("frobenius", "max", "spectral")}


@pytest.mark.parametrize("name", ["frobenius", "max"])
@pytest.mark.parametrize(("b", "settings"), [(2, {}), (4, {}), (2, {"momentum": 0.5})])
def test_the_state_at_equal_length_is_that_of_a_run(problem, solutions, name, b, settings):
    steps, schedule = 2000, PolynomialDecay(0.5 / solutions[name].margin, 0.6)
    method = Method(name, batch_size=b, schedule=schedule, **settings)
    run = descend(problem, method, steps, reference=solutions[name], records=[steps], engine="reference")
    R = float(np.sum(schedule(np.arange(steps))))
    found = limit_direction(problem, method, at=R, margin=solutions[name])
    measured = 1.0 - float(run.normalized_margin[-1]) / solutions[name].margin
    assert found.kind == "predicted"
    # Steps of finite size scatter about the mean field by their size over R.
    scatter = 10.0 * float(schedule(steps)) / R * float(np.abs(problem.features).sum(axis=1).max())
    assert abs(found.relative_error - measured) <= 2.0 * found.error.total + scatter


def test_closed_forms_find_the_max_margin(problem, solutions):
    for name, solution in solutions.items():
        full = limit_direction(problem, Method(name), margin=solution)
        reduced = limit_direction(problem, Method(name, 2, 0.5, variance_reduction=True), margin=solution)
        for found in (full, reduced):
            assert found.kind == "exact"
            assert found.finds_max_margin() is True
            assert found.relative_error == pytest.approx(0.0, abs=1e-6)
    for signal in ("saga", "loopless-svrg"):
        found = limit_direction(problem, Method("spectral", 2, signal=signal), margin=solutions["spectral"])
        assert (found.kind, found.finds_max_margin()) == ("predicted", True)
    momentum = limit_direction(problem, Method("frobenius", 1, 0.1), margin=solutions["frobenius"])
    assert (momentum.kind, momentum.finds_max_margin()) == ("predicted", True)


def test_momentum_of_the_weights_has_the_plain_limit(problem, solutions):
    plain = limit_direction(problem, Method("frobenius", 2), at=40.0, margin=solutions["frobenius"])
    heavy = Method("frobenius", 2, 0.75, momentum_kind="heavy-ball")
    moved = limit_direction(problem, heavy, at=10.0, margin=solutions["frobenius"])
    np.testing.assert_allclose(np.asarray(moved.weights), np.asarray(plain.weights))


def test_what_is_not_available_says_why(problem, solutions):
    found = limit_direction(problem, Method("spectral", 3), margin=solutions["spectral"])
    assert (found.kind, found.direction, found.finds_max_margin()) == ("not available", None, None)
    assert "frobenius and the max norm alone" in found.status
    assert math.isnan(limit_margin(problem, Method("spectral", 3), margin=solutions["spectral"]))
    late = limit_direction(problem, Method("max", 3, signal="saga"), at=9.0, margin=solutions["max"])
    assert "ages of its corrections" in late.status
    own: Any = SimpleNamespace(norm="max", batch_size=3, momentum=0.0, loss="cross-entropy", signal="mine")
    unknown = limit_direction(problem, own, margin=solutions["max"])
    assert unknown.status == "the signal mine is not known to the mean field"


def test_arguments_that_cannot_be_used_are_told(problem, solutions):
    with pytest.raises(InvalidArgument, match="at=0: give a positive sum"):
        limit_direction(problem, Method("max", 3), at=0)
    with pytest.raises(InvalidArgument, match="batch_size=10: give an integer from 1 to 9"):
        limit_direction(problem, Method("max", 10))
    with pytest.raises(InvalidArgument, match="give data that is separable"):
        limit_direction(problem, Method("max", 3), margin=-1.0)
    for scale, message in (
        (2.0**600, r"max margin of .* leave no room for squares"),
        (2.0**-600, "divide all"),
    ):
        scaled = Classification(scale * np.asarray(problem.features), problem.labels)
        with pytest.raises(InvalidArgument, match=message):
            limit_direction(scaled, Method("max", 3))
    uneven = Classification(
        problem.features * np.r_[2.0**600, np.ones(problem.dimension - 1)], problem.labels
    )
    with pytest.raises(InvalidArgument, match=r"samples of .* leave no room for squares"):
        limit_direction(uneven, Method("frobenius", 3), margin=0.1)
    with pytest.raises(InvalidArgument, match="give one in the max norm"):
        limit_direction(problem, Method("max", 3), margin=solutions["frobenius"])
    with pytest.raises(InvalidArgument, match="give batch sizes from 1 to 9"):
        smallest_converging_batch(problem, Method("max"), [], margin=solutions["max"])
    incomplete: Any = SimpleNamespace(norm="max")
    with pytest.raises(InvalidArgument, match=r"give a steepest\.Method"):
        limit_direction(problem, incomplete)


def test_equal_seeds_give_equal_predictions():
    many = gaussian(3, 12, 40, seed=1)
    solution = max_margin(many, "frobenius")
    draws: list[Any] = [
        limit_direction(many, Method("frobenius", 6), margin=solution, batches=40, repeats=2, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(draws[0].direction, draws[1].direction)
    assert not np.array_equal(draws[0].direction, draws[2].direction)
    assert draws[0].error.samples > 0


def test_smallest_batch_is_found_by_halving_and_among_given_ones(problem, solutions):
    asked = []

    def finds(b):
        asked.append(b)
        return b >= 11

    assert _by_halving(finds, 40) == 11
    assert asked == [1, 2, 4, 8, 16, 12, 10, 11]
    assert _by_halving(lambda b: False, 40) is None
    assert _by_halving(lambda b: b == 40, 40) == 40
    assert _by_halving(lambda b: None if b > 3 else False, 40) is None
    # A floor at a larger batch size counts against the smaller ones.
    assert _of_all({1: False, 2: True, 3: False, 4: True}) == 4
    # An open one is not known to: the answer is above it.
    assert _of_all({1: None, 2: True, 4: True}) == 2
    assert _by_halving(lambda b: b >= 16 if b > 20 else None, 40) == 21
    asked.clear()
    assert _by_halving(finds, 300, 4) == 11
    assert asked == [1, 4, 16, 8, 12, 10, 11]
    assert _of_all({1: True, 2: None}) is None

    found = smallest_converging_batch(problem, Method("max"), margin=solutions["max"])
    assert found.batch_size == 9
    assert list(found.tried)[-1] == 9
    assert "only the full batch" in found.status


def test_large_data_is_screened_by_small_samples_first(monkeypatch):
    from steepest.theory.limits import smallest

    many = mixture(seed=3)
    solution = max_margin(many, "frobenius")
    monkeypatch.setattr(smallest, "_LARGE", 0)
    monkeypatch.setattr(smallest, "_by_halving", lambda finds, *_: 6 if finds(5) else None)
    asked, told = [], []
    whole = smallest.limit_direction

    def watched(*arguments, **settings):
        asked.append((settings.get("repeats"), settings.get("batches")))
        return whole(*arguments, **settings)

    monkeypatch.setattr(smallest, "limit_direction", watched)
    found = smallest_converging_batch(many, Method("frobenius"), margin=solution, progress=told.append)
    # A floor far above the tolerance, and one sample more or less would not change that.
    assert (found.batch_size, asked) == (None, [(2, 150)])
    assert found.tried[5].relative_error - 0.002 > 6 * found.tried[5].error.samples > 0
    assert told[0].startswith("batch size 5, sample 1 of 2, R = ")
    with pytest.raises(InvalidArgument, match="progress=1: give a function of a text, or None"):
        limit_direction(many, Method("frobenius", 5), margin=solution, progress=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "number"), [("frobenius", 0), ("max", 1)])
def test_fresh_data_is_predicted_within_twice_the_estimate(name, number):
    # A part of ``python -m benchmarks limits``, on other seeds.
    data = gaussian(3, 5, 20, seed=3100 + number)
    solution = max_margin(data, name)
    schedule = PolynomialDecay(0.225 / solution.margin, 0.3)
    method = Method(name, batch_size=3, schedule=schedule, seed=number)
    run = descend(data, method, 20_000, reference=solution, records=[20_000])
    R = float(np.sum(schedule(np.arange(20_000))))
    found = limit_direction(data, method, at=R, margin=solution)
    measured = 1.0 - float(run.normalized_margin[-1]) / solution.margin
    assert abs(found.relative_error - measured) <= 2.0 * found.error.total
    assert found.error.total < 0.2


def test_momentum_of_gradients_is_predicted_at_equal_length():
    # In the max-norm a floor remains at every β. Averages are over some 30 samples, and one width of signs
    # for 5 of them puts the error at twice what it is.
    data = gaussian(4, 8, 32, seed=9015)
    solution = max_margin(data, "max")
    R, errors = 40.0 / solution.margin, []
    for initial in (0.1, 0.01):
        schedule = PolynomialDecay(initial / solution.margin, 0.3)
        steps = int(np.searchsorted(np.cumsum(schedule(np.arange(200_000))), R)) + 1
        method = Method("max", 5, 0.8, schedule=schedule)
        run = descend(data, method, steps, reference=solution, records=[steps])
        errors.append(1.0 - float(run.normalized_margin[-1]) / solution.margin)
        found = limit_direction(data, method, at=R, margin=solution, batches=1000)
        assert abs(found.relative_error - errors[-1]) <= 2.0 * found.error.total < 0.3, initial
    # As the steps become small, so does what is due to them, and the mean field itself is seen.
    assert found.error.steps < 0.02


def test_momentum_whose_steps_outgrow_its_memory_is_not_predicted():
    # η γ = 0.2 a step is more than log(1/β): gradients of long ago count more than new ones.
    data = gaussian(3, 4, 16, seed=1)
    solution = max_margin(data, "max")
    method = Method("max", 3, 0.9, schedule=PolynomialDecay(0.2 / solution.margin, 0.0))
    found = limit_direction(data, method, at=20.0 / solution.margin, margin=solution, batches=150)
    assert found.error.steps == math.inf
    assert found.finds_max_margin() is None
