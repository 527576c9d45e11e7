"""One, two and four processes: the same steps, checkpoints of one number for another, and what goes wrong."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.optim.distributed import networks, troubles
from tests.optim.distributed.cases import cases
from tests.optim.distributed.ranks import run

WORLDS = (2, 1, 4)
"""Two first: they save what the others load."""
BEFORE, AFTER = 3, 2
SAVED = ("ddp", "fsdp")


def everything(folder: str) -> dict[str, Any]:
    """Return what one rank finds; the tests below look at it, as processes take long to start."""
    world = dist.get_world_size()
    if world == 2:
        for way in SAVED:
            networks.saved(f"{folder}/{way}", way, BEFORE)
    return {
        "cases": [case.together() for case in cases(world)],
        "networks": {way: networks.together(way) for way in networks.ways()},
        "resumed": {way: networks.resumed(f"{folder}/{way}", "fsdp", AFTER) for way in SAVED},
        "lacking": [troubles.lacking(case) for case in troubles.LACKING],
        "counted": {name: troubles.counted(name) for name in troubles.COUNTED},
        "computed": troubles.computed_here(),
        "refusals": troubles.refusals(),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def results(folder):
    """Return what each rank of each number of ranks finds."""
    return {world: run(world, everything, folder / str(world), str(folder)) for world in WORLDS}


def near(found, expected, bound):
    for own, each in zip(found, expected, strict=True):
        torch.testing.assert_close(own, each, rtol=0, atol=bound)


@pytest.mark.parametrize("world", WORLDS)
def test_ranks_take_the_steps_of_one_process(results, world):
    for index, case in enumerate(cases(world)):
        for found in results[world]:
            near(found["cases"][index], case.alone(), 1e-6)


@pytest.mark.parametrize("world", WORLDS)
def test_networks_are_trained_alike_however_they_are_distributed(results, world):
    expected = networks.alone()
    for found in results[world]:
        for params in found["networks"].values():
            assert list(params) == list(expected)
            near(params.values(), expected.values(), 1e-10)


def test_a_checkpoint_of_two_ranks_is_resumed_on_any_number(results, folder):
    expected = networks.alone(BEFORE + AFTER)
    for found in (*results[1], *results[2], *results[4]):
        for params in found["resumed"].values():
            near(params.values(), expected.values(), 1e-10)
    alone = networks.model()
    with pytest.warns(UserWarning, match="load in a single process"):
        params = networks.resume(alone, networks.made(alone), str(folder / "fsdp"), AFTER)
    near(params.values(), expected.values(), 1e-10)


@pytest.mark.parametrize("world", WORLDS)
def test_gradients_that_some_ranks_lack(results, world):
    for index, case in enumerate(troubles.LACKING):
        for found in results[world]:
            near(found["lacking"][index], troubles.lacking_alone(case, world), 1e-6)


def test_a_shape_of_matrices_takes_two_collectives_at_most(results):
    for world in (2, 4):
        for found in results[world]:
            assert found["counted"] == {name: most for name, (_, _, most) in troubles.COUNTED.items()}


def test_each_direction_is_computed_by_one_rank(results):
    for world in WORLDS:
        found = torch.tensor([found["computed"] for found in results[world]])
        assert found.sum(0).tolist() == [8, 4, 1]
        assert found[:, 1].tolist() == [4 // world] * world


def test_what_cannot_be_distributed_is_refused_by_every_rank(results):
    for world in WORLDS:
        for found in results[world]:
            messages = found["refusals"]
            assert "no rank has the entries of such a parameter" in messages["partial"]
            assert messages["group"].startswith("distributed='world': give a process group or a DeviceMesh")
            assert messages["differentiable"].startswith("differentiable=True: steps of parameters that")
            assert world != 4 or "reduce it" in messages["mixed"]


def test_a_rank_that_ends_ends_the_others(tmp_path):
    start = time.monotonic()
    *others, last = run(3, troubles.bereft, tmp_path, killed=2)
    assert last is None
    assert time.monotonic() - start < 60
    for message in others:
        assert "steepest.errors.RunError: rank" in message
        assert "start all of them again from the last checkpoint" in message
