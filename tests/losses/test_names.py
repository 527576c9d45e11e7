"""Losses by name, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.contracts.losses import OPEN

import steepest as st
from steepest.errors import InvalidArgument
from steepest.losses import LOSSES, Loss, loss, register_loss
from steepest.registry import Registry


def test_names_are_those_of_the_losses():
    names = ["cross-entropy", "exponential", "pairwise-logistic"]
    assert [*LOSSES][:3] == names
    for name in names:
        each = LOSSES[name]
        assert each.name == name == str(each)
        assert isinstance(each, Loss)
        assert loss(name) is loss(each) is each
        assert each == type(each)()


@pytest.mark.parametrize("name", ["mse", "", None, 3])
def test_unknown_loss_lists_the_known(name):
    with pytest.raises(InvalidArgument, match="give one of cross-entropy, exponential, pairwise-logistic"):
        loss(name)


def test_a_registered_loss_goes_by_its_name(monkeypatch):
    monkeypatch.setattr("steepest.losses.names.LOSSES", registry := Registry("loss"))
    assert register_loss(OPEN) is OPEN
    assert registry["pairwise-arsinh"] is loss("pairwise-arsinh") is OPEN
    assert st.Method(loss="pairwise-arsinh").loss is OPEN


class Unhashable:
    name = "unhashable"
    __hash__ = None  # type: ignore[assignment]

    def residuals(self, log_odds): ...


class Nameless(Unhashable):
    name = 3  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Unhashable(), "loss='unhashable': make it hashable: a frozen dataclass is"),
        (Nameless(), "name it by a text"),
        (object(), "give an object with a name and residuals"),
        (Unhashable, "give an object with a name and residuals"),
    ],
)
def test_what_is_no_loss_is_refused(part, message):
    with pytest.raises(InvalidArgument, match=message):
        register_loss(part)


def test_losses_need_no_numba():
    code = "import sys, steepest.losses; assert not {'numba', 'torch', 'scipy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
