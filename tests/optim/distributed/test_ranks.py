"""One, two and four processes: the same steps, checkpoints of one number for another, and what goes wrong."""

from __future__ import annotations

import time

import pytest
import torch
from tests.optim.distributed import eight_bits, networks, troubles
from tests.optim.distributed.cases import Case, all_together, cases
from tests.optim.distributed.ranks import run

from examples import distributed as example
from steepest.optim import Muon

WORLDS = (1, 2, 4)
BEFORE, AFTER = 3, 2
"""Steps before a checkpoint and after it."""


def near(found, expected, bound):
    for own, each in zip(found, expected, strict=True):
        torch.testing.assert_close(own, each, rtol=0, atol=bound)


@pytest.mark.parametrize("world", WORLDS)
def test_ranks_take_the_steps_of_one_process(world, tmp_path):
    results = run(world, all_together, tmp_path)
    for index, case in enumerate(cases(world)):
        for found in results:
            near(found[index], case.alone(), 1e-6)


@pytest.mark.parametrize("world", WORLDS)
def test_networks_are_trained_alike_however_they_are_distributed(world, tmp_path):
    expected = networks.alone()
    for found in run(world, networks.all_together, tmp_path):
        for params in found.values():
            assert list(params) == list(expected)
            near(params.values(), expected.values(), 1e-10)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_a_checkpoint_of_two_ranks_is_resumed_on_any_number(way, tmp_path):
    folder = str(tmp_path / "saved")
    expected = networks.alone(BEFORE + AFTER)
    run(2, networks.saved, tmp_path / "2", folder, way, BEFORE)
    for world in (1, 4):
        for params in run(world, networks.resumed, tmp_path / str(world), folder, "fsdp", AFTER):
            near(params.values(), expected.values(), 1e-10)
    alone = networks.model()
    with pytest.warns(UserWarning, match="load in a single process"):
        params = networks.resume(alone, networks.made(alone), folder, AFTER)
    near(params.values(), expected.values(), 1e-10)


def test_averages_in_eight_bits_do_not_depend_on_ranks_where_rows_are_blocks_of_their_own(tmp_path):
    """Shards move as parameters of their own would, and files have averages in full, for whoever loads them.

    Blocks across short rows are those of a shard, and rounded otherwise on another number of ranks.
    """
    folder = str(tmp_path / "saved")
    expected = eight_bits.alone(2, BEFORE + AFTER)
    whole = eight_bits.alone(1, BEFORE + AFTER)
    for found, numbers in run(2, eight_bits.saved, tmp_path / "2", folder, BEFORE, AFTER):
        near(found, expected, 1e-6)
        near(found[1:], whole[1:], 1e-6)
        assert numbers <= 1.05
    for found in run(2, eight_bits.resumed, tmp_path / "again", folder, "int8", BEFORE, AFTER):
        near(found, expected, 1e-6)
    for found in run(4, eight_bits.resumed, tmp_path / "4", folder, "int8", BEFORE, AFTER):
        near(found[1:], whole[1:], 1e-6)
        near(found[:1], whole[:1], 1e-3)
    for found in run(1, eight_bits.resumed_by_copies, tmp_path / "copies", folder, BEFORE, AFTER):
        near(found[1:], whole[1:], 1e-6)
    for found in run(4, eight_bits.resumed, tmp_path / "full", folder, None, BEFORE, AFTER):
        near(found, expected, 1e-3)


def test_the_example_goes_on_in_another_way(tmp_path):
    folder = tmp_path / "saved"
    sums = run(2, example.train, tmp_path / "2", "fsdp", 3, None, folder)
    sums += run(1, example.train, tmp_path / "1", "ddp", 0, folder)
    sums += run(1, example.train, tmp_path / "alone", "ddp", 3)
    assert max(sums) - min(sums) < 1e-4


@pytest.mark.parametrize("world", [2, 4])
def test_gradients_that_some_ranks_lack(world, tmp_path):
    results = run(world, troubles.all_lacking, tmp_path)
    for index, case in enumerate(troubles.LACKING):
        for found in results:
            near(found[index], troubles.lacking_alone(case, world), 1e-6)


@pytest.mark.parametrize("world", [2, 4])
def test_work_and_collectives_are_shared_as_they_should(world, tmp_path):
    """A shape of matrices takes two collectives at most, each direction is computed by one rank."""
    results = run(world, troubles.counts, tmp_path)
    most = {name: most for name, (_, _, most) in troubles.COUNTED.items()}
    assert [found["collectives"] for found in results] == [most] * world
    matrices = torch.tensor([found["matrices"] for found in results])
    assert matrices.sum(0).tolist() == [8, 4, 1]
    assert matrices[:, 1].tolist() == [4 // world] * world


def test_meshes_of_some_ranks_and_gradients_still_to_be_summed(tmp_path):
    (expected,) = Case(Muon, ((5, 4),)).alone(steps=1)
    for found in run(4, troubles.on_other_meshes, tmp_path):
        near(found, [expected] * 3, 1e-6)


def test_what_cannot_be_distributed_is_refused_by_every_rank(tmp_path):
    for messages in run(4, troubles.refusals, tmp_path):
        assert "no rank has the entries of such a parameter" in messages["partial"]
        assert messages["group"].startswith("distributed='world': give a process group or a DeviceMesh")
        assert messages["differentiable"].startswith("differentiable=True: steps of parameters that")
        assert messages["mixed"].startswith("grad='None on some ranks for shape [4, 2]': ranks that hold")
        assert messages["flat"].startswith("params='FullyShardedDataParallel': FSDP1 flattens parameters")
        assert messages["views"] == messages["flat"]
        assert {"flat max", "views max"}.isdisjoint(messages)


def test_a_rank_that_ends_ends_the_others(tmp_path):
    start = time.monotonic()
    *others, last = run(3, troubles.bereft, tmp_path, killed=2)
    assert last is None
    assert time.monotonic() - start < 60
    for message in others:
        assert "steepest.errors.RunError: rank" in message
        assert "start all of them again from the last checkpoint" in message
