"""The claims of the corollaries' rates, on results whose prefactors are set by hand."""

import numpy as np
import pytest
from tests.experiments.synthetic import results

from steepest.experiments.claims.check import check_claims
from steepest.experiments.claims.rates import prefactor
from steepest.experiments.claims.verdict import Verdict
from steepest.theory import predicted_rate

MOMENTUM, BATCHES, REDUCED = (
    "prefactors-grow-no-faster-in-momentum",
    "prefactors-grow-no-faster-in-batches",
    "prefactors-of-reduced-grow-no-faster",
)


def growing(power):
    """Final errors that follow the predicted rate to some power."""

    def error(b, momentum, reduced, seed):
        rate = predicted_rate(0.5, 100, 20_000.0, momentum, -(-100 // b), reduced)
        return 0.01 * (1 + 0.1 * seed) * float(rate) ** power

    return results(error)


@pytest.mark.parametrize("name", [MOMENTUM, BATCHES, REDUCED])
@pytest.mark.parametrize("power", [0.0, 0.7, 1.2])
def test_the_slope_of_a_power_of_the_prediction_is_that_power(name, power):
    (result,) = check_claims(growing(power), [name])
    assert result.verdict is (Verdict.SUPPORTED if power <= 1 else Verdict.CONTRADICTED)
    slopes = [value for m in result.measurements if m.bounded for value in m.values]
    np.testing.assert_allclose(slopes, power, atol=1e-9)


def test_where_there_is_too_little_to_fit_nothing_is_decided():
    few = growing(0.5).isel(batch_size=[4, 5], momentum=[0, 1])
    for name in (MOMENTUM, BATCHES, REDUCED):
        (result,) = check_claims(few, [name])
        assert result.verdict is Verdict.UNDECIDED
        assert "to fit a prefactor over" in result.reason


def test_exponents_are_held_to_the_prediction_and_at_a_of_one_to_falling():
    name = "exponents-follow-the-schedule"
    (holds,), (fails,) = check_claims(results(), [name]), check_claims(results(exponent=0.3), [name])
    assert (holds.verdict, fails.verdict) == (Verdict.SUPPORTED, Verdict.CONTRADICTED)
    slow = results(exponent=0.05)
    slow["step_size_exponent"][:] = 1.0
    (result,) = check_claims(slow, [name])
    assert result.verdict is Verdict.SUPPORTED


def test_a_prefactor_needs_a_positive_error():
    assert np.isnan(prefactor(np.arange(1.0, 20.0), np.zeros(19), 0.5))
    # Errors from the last decade alone.
    t = np.arange(1.0, 101.0)
    assert prefactor(t, np.where(t < 10, 100.0, 2.0 / t), 1.0) == pytest.approx(2.0)
