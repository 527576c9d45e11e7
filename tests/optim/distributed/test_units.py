"""How tensors are cut into shards and put together to matrices, in one process."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.optim.distributed.cases import LAYOUTS

from steepest.optim import Layout
from steepest.optim.distributed.assignment import assigned
from steepest.optim.distributed.lengths import block
from steepest.optim.distributed.runs import chunk, merged, overlaps, size
from steepest.optim.distributed.spreads import Spread
from steepest.optim.distributed.units import pieces, units
from steepest.optim.lengths import over_given, over_length


@st.composite
def spreads(draw):
    """Return a layout, and how a tensor that has it lies on ranks: each cut along some axes, in copies."""
    layout, shape = draw(
        st.sampled_from([*LAYOUTS, (Layout(), (3, 5)), (Layout(), (1, 7)), (Layout(), (4,))])
    )
    held = [tuple(((0, length),) for length in shape)]
    for _ in range(draw(st.integers(0, 2))):
        axis, count = draw(st.integers(0, len(shape) - 1)), draw(st.integers(1, 4))
        held = [
            (*own[:axis], chunk(own[axis], count, index), *own[axis + 1 :])
            for own in held
            for index in range(count)
        ]
    copies = draw(st.integers(1, 2))
    places = tuple(copy for copy in range(copies) for _ in held)
    return layout, Spread(shape, tuple(held * copies), places)


def shards(tensor, spread):
    """Return what each rank holds of a tensor."""
    found = []
    for held in spread.runs:
        own = tensor
        for axis, runs in enumerate(held):
            indices = [index for start, stop in runs for index in range(start, stop)]
            own = own.index_select(axis, torch.tensor(indices, dtype=torch.long))
        found.append(own)
    return found


@given(spreads(), st.integers(1, 3))
def test_pieces_make_the_matrices_and_back(made, most):
    layout, spread = made
    tensor = torch.arange(math.prod(spread.shape), dtype=torch.float64).reshape(spread.shape)
    held = shards(tensor, spread)
    returned = [torch.full_like(own, -1) for own in held]
    for part in layout.opened(spread.shape):
        found = []
        for unit, holders in units(0, part, spread, most):
            assert unit.shape[0] <= most
            box = torch.full(unit.box, -1, dtype=torch.float64)
            for rank, own in enumerate(held):
                common = pieces(unit.runs, spread.runs[rank])
                assert (rank in holders) == (sum(piece.entries for piece in common) == unit.entries)
                for piece in common if spread.copies[rank] == 0 else ():
                    box[piece.box] = own[piece.local]
            found.append(unit.matrices(box))
            again = unit.boxed(found[-1])
            for rank in range(len(held)):
                for piece in pieces(unit.runs, spread.runs[rank]):
                    returned[rank][piece.local] = again[piece.box]
        assert torch.equal(torch.cat(found), part.matrices(tensor))
    assert all(map(torch.equal, returned, held))


@given(spreads(), st.sampled_from([(-1,), (-2,), (-2, -1)]), st.sampled_from([1.0, 1e-200, 1e200]))
def test_lengths_of_shards_make_those_of_matrices(made, over, scale):
    layout, spread = made
    tensor = scale * torch.randn(
        spread.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    held = shards(tensor, spread)
    expected = torch.empty_like(tensor)
    for part in layout.opened(spread.shape):
        view = part.view(expected)
        view.copy_(over_length(part.matrices(tensor), over).reshape(view.shape))
    for rank, own in enumerate(shards(expected, spread)):
        found = torch.empty_like(own)
        for part in layout.opened(spread.shape):
            blocks = [block(0, part, spread, other, over) for other in range(len(held))]
            lengths = torch.stack([each.lengths(shard) for each, shard in zip(blocks, held, strict=True)])
            mine = blocks[rank]
            total = lengths[rank]
            if mine.is_cut:
                largest = lengths.max()
                total = torch.linalg.vector_norm(lengths[list(mine.copies)] / largest, dim=0) * largest
            for piece in mine.pieces:
                found[piece.local] = over_given(held[rank][piece.local], mine.spread_out(total, piece))
        torch.testing.assert_close(found, own)


@given(st.lists(st.floats(0.1, 9), max_size=12), st.integers(1, 4))
def test_work_is_balanced(costs, ranks):
    loads = [0.0] * ranks
    owners = assigned(costs, [()] * len(costs), loads)
    for rank in range(ranks):
        own = [cost for cost, owner in zip(costs, owners, strict=True) if owner == rank]
        assert math.isclose(sum(own), loads[rank])
        assert loads[rank] <= min(loads) + max(own, default=0.0) + 1e-9


@given(st.integers(0, 9), st.integers(1, 5), st.integers(1, 3))
def test_chunks_are_those_of_torch(length, count, inner):
    whole = ((0, length),)
    expected = [each.tolist() for each in torch.arange(length).chunk(count)] if length else []
    found = [chunk(whole, count, index) for index in range(count)]
    listed = [[index for start, stop in runs for index in range(start, stop)] for runs in found]
    assert [each for each in listed if each] == expected
    for runs in found:
        finer = [chunk(runs, inner, index) for index in range(inner)]
        assert merged(tuple(run for each in finer for run in each)) == runs
        assert sum(each.length for each in overlaps(runs, whole)) == size(runs)
