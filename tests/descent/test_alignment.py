"""What descend keeps of every step with alignment=True: by hand, in every engine, across interruptions."""

import numpy as np
import pytest

from steepest import Classification, Method, PolynomialDecay, descend
from steepest.errors import InvalidArgument
from steepest.losses import log_loss, log_proxy, residual_weights

RNG = np.random.default_rng(0)
PROBLEM = Classification(np.eye(3, 5)[np.arange(9) % 3] + 0.2 * RNG.normal(size=(9, 5)), np.arange(9) % 3)
METHOD = Method("spectral", batch_size=2, momentum=0.5, schedule=PolynomialDecay(0.3, 0.5))
NAMES = ("forward", "backward", "lengths", "log_loss", "log_proxy")


@pytest.mark.parametrize("engine", ["reference", "compiled", "batched"])
def test_every_step_is_measured_as_its_weights_say(engine):
    steps = 300  # more than are measured at once
    run = descend(PROBLEM, METHOD, steps, records=list(range(steps + 1)), alignment=True, engine=engine)
    kept = run.alignment
    assert kept is not None
    loss, W = METHOD.loss, np.asarray(run.weights)
    np.testing.assert_allclose(kept.log_loss, [float(log_loss(PROBLEM, loss, each)) for each in W])
    np.testing.assert_allclose(kept.log_proxy, [float(log_proxy(PROBLEM, loss, each)) for each in W])
    for step in (0, 1, 126, 127, 128, 129, 299):
        move = W[step + 1] - W[step]
        for values, at in ((kept.forward, W[step]), (kept.backward, W[step + 1])):
            ascent = PROBLEM.pair_sum(residual_weights(PROBLEM, loss, at))
            assert values[step] == pytest.approx(np.sum(ascent * move), rel=1e-9)
        assert kept.lengths[step] == pytest.approx(np.linalg.norm(move, 2), rel=1e-9)
    assert [len(getattr(kept, name)) for name in NAMES] == [300, 300, 300, 301, 301]


def test_the_run_itself_is_the_same_and_an_interrupted_one_goes_on(tmp_path):
    methods = [METHOD, Method("spectral", batch_size=3, schedule=PolynomialDecay(0.2, 0.5))]
    whole = descend(PROBLEM, methods, 200, alignment=True)
    plain = descend(PROBLEM, methods, 200)
    calls = []

    def interrupt(done, _total):
        calls.append(done)
        if len(calls) == 1:
            raise KeyboardInterrupt

    descend(PROBLEM, methods, 200, alignment=True, checkpoint=tmp_path, progress=interrupt)
    resumed = descend(PROBLEM, methods, 200, alignment=True, checkpoint=tmp_path)
    for one, other, without in zip(whole, resumed, plain, strict=True):
        np.testing.assert_array_equal(one.weights, without.weights)
        assert without.alignment is None
        assert one.alignment is not None
        assert other.alignment is not None
        for name in NAMES:
            np.testing.assert_allclose(
                getattr(other.alignment, name), getattr(one.alignment, name), rtol=1e-12, atol=1e-15
            )
    # A run without it does not pick up the file of one with it.
    assert descend(PROBLEM, METHOD, 200, checkpoint=tmp_path).alignment is None
    with pytest.raises(InvalidArgument, match="alignment"):
        descend(PROBLEM, METHOD, 5, alignment="yes")  # pyright: ignore[reportCallIssue, reportArgumentType]
