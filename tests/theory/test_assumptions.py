"""Every check says yes, no or unknown where it should, with its numbers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from steepest import Classification, PolynomialDecay, theory
from steepest.errors import InvalidArgument

PAIR = Classification([[1.0], [-1.0]], [0, 1])


def check(number, *arguments, **settings):
    found = [each for each in theory.check_assumptions(*arguments, **settings) if each.assumption == number]
    assert len(found) == 1
    return found[0]


def test_all_hold():
    checks = theory.check_assumptions(PAIR, "max", PolynomialDecay(0.1, 0.5), 2.0)
    assert checks.hold
    assert len(str(checks).splitlines()) == len(list(checks)) == 4
    assert "FAILS" not in str(checks)


def test_separability():
    schedule = PolynomialDecay()
    assert check("3.1", PAIR, "max", schedule).holds is None
    assert check("3.1", PAIR, "max", schedule, 0.0).holds is False
    solution = SimpleNamespace(margin=1.9, upper_bound=2.0, separable=True)
    found = check("3.1", PAIR, "max", schedule, solution)
    assert found.holds is True
    assert "certified to be at most 2" in str(found)
    undecided = SimpleNamespace(margin=-1.0, upper_bound=2.0, separable=None)
    assert check("3.1", PAIR, "max", schedule, undecided).holds is None


def test_step_sizes():
    assert check("3.3", PAIR, "max", PolynomialDecay(0.1, 1.0), 2.0).holds is True
    constant = check("3.3", PAIR, "max", PolynomialDecay(0.1, 0.0), 2.0)
    assert constant.holds is False
    assert "does not decrease" in constant.reason
    summable = check("3.3", PAIR, "max", PolynomialDecay(0.1, 1.5), 2.0)
    assert summable.holds is False
    assert "finite sum" in summable.reason
    assert check("3.3", PAIR, "max", lambda t: 0.1 / (1.0 + np.asarray(t)) ** 0.5, 2.0).holds is None
    alike = check("3.3", PAIR, "max", lambda _step: 0.1, 2.0)
    assert alike.holds is None
    assert "never rises over 100000 steps, to 0.1; limit and sum cannot be decided" in alike.reason
    rising = check("3.3", PAIR, "max", lambda t: 0.1 + 0.0 * np.asarray(t) + (np.asarray(t) > 4), 2.0)
    assert rising.holds is False
    assert "rises after step 4" in rising.reason


def test_drift_is_checked_with_momentum_alone():
    schedule = PolynomialDecay(0.1, 0.5)
    checks = theory.check_assumptions(PAIR, "max", schedule, 2.0)
    assert "3.4" not in {each.assumption for each in checks}
    found = check("3.4", PAIR, "max", schedule, 2.0, momentum=0.9)
    assert found.values["c2_limit"] == pytest.approx(2 * 0.9 / 0.01)
    assert found.values["t0"] == theory.drift_bound(schedule, 0.9, 1.0).start
    exact = theory.drift_constant(schedule, 0.9, 1.0, 300_000)[-1]
    assert exact == pytest.approx(found.values["c2_limit"], rel=0.01)
    # Steps that stay as they are drift further than those that vanish.
    constant = PolynomialDecay(0.1, 0.0)
    staying = check("3.4", PAIR, "max", constant, 2.0, momentum=0.5)
    assert staying.values["c2_limit"] == pytest.approx(theory.drift_constant(constant, 0.5, 1.0, 300)[-1])
    assert staying.values["c2_limit"] > 4.0
    large = check("3.4", PAIR, "max", PolynomialDecay(5.0, 0.0), 2.0, momentum=0.9)
    assert large.holds is False
    other = check("3.4", PAIR, "max", lambda t: 0.1 / (1.0 + np.asarray(t)), 2.0, momentum=0.9)
    assert other.holds is None


def test_effective_margin():
    schedule = PolynomialDecay(0.1, 0.5)
    assert check("4.1", PAIR, "max", schedule).holds is None
    vacuous = check("4.1", PAIR, "max", schedule, 2.0, batch_size=1)
    assert vacuous.holds is False
    assert "vacuous" in str(vacuous)
    assert vacuous.values["rho"] == -2.0
    assert check("4.3", PAIR, "max", schedule, 2.0, batch_size=1, momentum=0.9).holds is True
    reduced = check("4.6", PAIR, "max", schedule, 2.0, batch_size=1, variance_reduction=True)
    assert reduced.holds is True
    assert "no noise" in reduced.reason


def test_unusable_arguments():
    unusable: list[dict[str, Any]] = [{"batch_size": 5}, {"loss": "hinge"}, {"momentum": 1.0}]
    for settings in unusable:
        with pytest.raises(InvalidArgument, match=next(iter(settings))):
            theory.check_assumptions(PAIR, "max", PolynomialDecay(), 2.0, **settings)
