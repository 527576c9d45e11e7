"""The summary holds the numbers of the functions that it gathers, for every method."""

import json
import math

import numpy as np
import pytest

import steepest as st
from steepest.errors import InvalidArgument

PROBLEM = st.datasets.gaussian(classes=3, samples_per_class=4, features=20, seed=1)
SOLUTION = st.max_margin(PROBLEM, "spectral")
METHODS = [
    st.Method("spectral", batch_size=size, momentum=momentum, variance_reduction=reduced, loss=loss)
    for size in (None, 3)
    for momentum in (0.0, 0.9)
    for reduced in (False, True)
    for loss in ("cross-entropy", "exponential")
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.fingerprint())
def test_numbers_are_those_of_the_functions(method):
    summary = st.theory.summarize(PROBLEM, method, SOLUTION)
    assert summary["max_margin"].sharp == SOLUTION.margin
    for constants in ("sharp", "paper"):
        rho = st.theory.effective_margin(PROBLEM, method, SOLUTION, constants)
        found = st.theory.thresholds(PROBLEM, method, SOLUTION, constants)
        assert getattr(summary["effective_margin"], constants) == rho.value
        assert getattr(summary["feature_radius"], constants) == rho.radius
        assert getattr(summary["descent_start"], constants) == found.descent
        assert getattr(summary["separation_start"], constants) == found.separation
    assert summary["batches"].sharp == (1 if method.batch_size is None else 4)
    assert summary["rate_exponent"].sharp == 0.5
    keys = {quantity.key for quantity in summary.quantities}
    assert ("noise_share" in keys) == (not method.variance_reduction)
    assert ("drift_start" in keys) == (method.momentum > 0)
    if "required_momentum" in keys:
        needed = st.theory.required_momentum(PROBLEM, "spectral", method.batch_size, SOLUTION)
        assert summary["required_momentum"].sharp == needed


def test_json_is_plain():
    summary = st.theory.summarize(PROBLEM, st.Method("spectral", batch_size=1), SOLUTION)
    text = json.dumps(summary.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["norm"] == "spectral"
    values = back["quantities"]
    assert values["separation_start"]["sharp"] == "infinite"
    assert values["effective_margin"]["sharp"] < 0
    assert values["max_margin"]["paper"] is None
    assert [each["holds"] for each in back["assumptions"]] == [True, True, True, False]


def test_data_that_is_not_separable_and_unknown_schedules():
    problem = st.Classification([[1.0], [1.0]], [0, 1])
    summary = st.theory.summarize(problem, st.Method("max", batch_size=1), 0.0)
    assert summary["required_momentum"].sharp is None
    assert summary.checks.hold is False

    def schedule(step):
        return 0.1 / (1.0 + np.asarray(step)) ** 0.5

    plain = st.theory.summarize(PROBLEM, st.Method("spectral", schedule=schedule), SOLUTION)
    with pytest.raises(KeyError):
        plain["separation_start"]
    with pytest.raises(InvalidArgument, match="spectral norm"):
        st.theory.summarize(PROBLEM, st.Method("max"), SOLUTION)
    assert math.isfinite(plain["effective_margin"].sharp or math.nan)


@pytest.mark.parametrize("schedule", [0.1, None])
@pytest.mark.parametrize("scale", [1e-300, 1e160, 1e300])
def test_no_number_is_nan_whatever_the_scale_of_the_features(scale, schedule):
    scaled = st.Classification(scale * PROBLEM.features, PROBLEM.labels)
    solution = st.max_margin(scaled, "max", 1e-6)
    steps = st.PolynomialDecay(schedule or 0.15 / solution.margin, 0.5)
    for options in ({}, {"batch_size": 3, "momentum": 0.9, "variance_reduction": True}):
        summary = st.theory.summarize(scaled, st.Method("max", schedule=steps, **options), solution)
        numbers = [value for each in summary.quantities for value in (each.sharp, each.paper)]
        assert not any(value != value for value in numbers)
