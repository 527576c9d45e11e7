"""An experiment with a loss of a user's own, from a file that offers nothing beyond the residuals."""

from __future__ import annotations

import numpy as np
import pytest
from tests.experiments.small import run_into

from steepest.experiments.claims.promises import promise_of
from steepest.experiments.claims.selection import Runs
from steepest.experiments.store.results import open_results
from steepest.losses import LOSSES
from steepest.plugins import VARIABLE, load_plugin

PLUGIN = """
from dataclasses import dataclass

from steepest.doubled import Doubled
from steepest.losses import Residuals, register_loss
from steepest.losses.logarithms import log_sigmoid, log_softplus, log_sum_exp


@dataclass(frozen=True)
class Demanding:
    name = "demanding"

    def residuals(self, log_odds):
        u, shares = log_sum_exp(Doubled(log_odds.high, log_odds.low + 1.0))
        return Residuals(shares, log_sigmoid(u), log_softplus(u))


register_loss(Demanding())
"""


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    folder = tmp_path_factory.mktemp("losses")
    (folder / "demanding.py").write_text(PLUGIN, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder / "demanding.py"))  # for worker processes
        # The tests after these ones know nothing of it.
        patch.setattr(LOSSES, "_parts", dict(LOSSES._parts))
        load_plugin(folder / "demanding.py")
        changes = {"norm": "max", "batch_size": "full", "seed": 1, "loss": ["demanding", "pairwise-logistic"]}
        run_into(folder / "results", **changes)
        yield {runs.loss: runs for runs in Runs.of(open_results(folder / "results"))}


def test_it_is_measured_and_nothing_is_promised_of_it(every):
    own = every["demanding"]
    assert np.all(own.final("normalized_margin", own.samples, 0.0) > 0)
    assert np.isnan(own.dataset["effective_margin"].values).all()
    assert np.all(np.isneginf(own.dataset["margin_floor"].values))
    promise = promise_of(own, own.samples, 0.0, "minibatch")
    assert (promise.proven, promise.vacuous, promise.slope) == (False, False, None)
    assert promise.says == "Nothing: the theory has no lemma constants of this loss."


def test_the_pairwise_logistic_loss_has_its_bound(every):
    runs = every["pairwise-logistic"]
    effective = runs.dataset["effective_margin"].sel(momentum=0.0, signal="minibatch")
    np.testing.assert_allclose(effective, runs.dataset["max_margin"].squeeze(), rtol=1e-12)
    floors = runs.curve("margin_floor", runs.samples, 0.0)
    assert np.all(floors <= runs.curve("normalized_margin", runs.samples, 0.0) + 1e-12)
