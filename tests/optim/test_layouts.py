"""Layouts: blocks of fused and stacked tensors train as separate parameters do."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from steepest.errors import InvalidArgument
from steepest.optim import Layout, SteepestDescent
from steepest.optim.layouts import layout


def moved(parameter, gradient, **options):
    """Return what one step adds to a parameter at 0."""
    weight = torch.nn.Parameter(torch.zeros_like(parameter))
    weight.grad = gradient.clone()
    SteepestDescent([weight], lr=1.0, **{"norm": "spectral", "scale": "aspect", **options}).step()
    return weight.detach()


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rows_of(counts, interleaved):
    """Return the rows of each part, the slow way: one row after the other."""
    found = [[] for _ in counts]
    row = 0
    for _ in range(interleaved):
        for part, count in enumerate(counts):
            for _ in range(count):
                found[part].append(row)
                row += 1
    return found


@pytest.mark.parametrize(
    ("parts", "interleaved", "unit"),
    [
        ((1, 1, 1), 1, 4),
        ((4, 1, 1), 1, 2),
        ((4, 1, 1), 2, 2),
        ((1, 1), 1, 6),
        ((1, 1, 1), 4, 2),
        ((3, 2), 3, 1),
    ],
)
@pytest.mark.parametrize("name", ["spectral", "frobenius", "max", "row-2/inf"])
def test_fused_blocks_are_separate_parameters_the_scale_included(parts, interleaved, unit, name):
    counts = [part * unit for part in parts]
    gradient = draw(sum(counts) * interleaved, 5)
    fused = moved(gradient, gradient, norm=name, layout=Layout.fused(parts, interleaved))
    turned = moved(
        gradient.T, gradient.T, norm=name, layout=Layout.fused(parts, interleaved, transposed=True)
    )
    for rows in rows_of(counts, interleaved):
        alone = moved(gradient[rows], gradient[rows], norm=name)
        assert torch.allclose(fused[rows], alone, atol=1e-12)
        assert torch.allclose(turned[:, rows], alone.T, atol=1e-12)


def test_heads_and_grouped_queries_are_matrices_of_their_own():
    gradient = draw(2 * (4 + 1 + 1) * 3, 7)
    # Two groups, each of four heads of queries, one of keys and one of values, of three rows each.
    found = moved(gradient, gradient, layout=Layout.fused((4, 1, 1), interleaved=2, heads=(8, 2, 2)))
    for head in range(12):
        rows = slice(3 * head, 3 * head + 3)
        assert torch.allclose(found[rows], moved(gradient[rows], gradient[rows]), atol=1e-12)
    columns = moved(gradient.T, gradient.T, layout=Layout.heads(12, axis=1))
    for head in range(12):
        part = gradient.T[:, 3 * head : 3 * head + 3]
        assert torch.allclose(columns[:, 3 * head : 3 * head + 3], moved(part, part), atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "own", "pieces"),
    [
        ((6, 4, 3, 3), Layout.convolution(), [(slice(None), (6, 36))]),
        ((6, 2, 3), Layout.convolution(groups=2), [(slice(0, 3), (3, 6)), (slice(3, 6), (3, 6))]),
        ((4, 1, 3, 3), Layout.convolution(groups=4), [(slice(i, i + 1), (1, 9)) for i in range(4)]),
        ((3, 4, 5), Layout.experts(), [(i, (4, 5)) for i in range(3)]),
    ],
)
def test_kernels_and_stacks(shape, own, pieces):
    gradient = draw(*shape)
    found = moved(gradient, gradient, layout=own)
    for place, matrix in pieces:
        block = gradient[place].reshape(matrix)
        assert torch.allclose(found[place].reshape(matrix), moved(block, block), atol=1e-12)


def test_transposed_kernels_and_experts_have_their_outputs_elsewhere():
    gradient = draw(4, 3, 2, 2)  # [inputs, outputs / groups, ...]
    found = moved(gradient, gradient, layout=Layout.convolution(groups=2, transposed=True))
    for group in (slice(0, 2), slice(2, 4)):
        matrix = gradient[group].transpose(0, 1).reshape(3, 8)
        expected = moved(matrix, matrix).reshape(3, 2, 2, 2).transpose(0, 1)
        assert torch.allclose(found[group], expected, atol=1e-12)
    stacked = draw(3, 5, 8)  # [experts, inputs, outputs], gated
    found = moved(stacked, stacked, layout=Layout.experts((1, 1), transposed=True))
    for expert in range(3):
        for half in (slice(0, 4), slice(4, 8)):
            matrix = stacked[expert, :, half].T
            assert torch.allclose(found[expert, :, half].T, moved(matrix, matrix), atol=1e-12)


@given(some.data())
def test_views_cover_every_entry_once_and_shapes_tell_theirs(data):
    small = some.integers(1, 3)
    parts = tuple(data.draw(some.lists(small, min_size=1, max_size=3)))
    interleaved, unit = data.draw(small), data.draw(small)
    axis = data.draw(some.integers(0, 2))
    pieces = tuple(interleaved * unit * part if data.draw(some.booleans()) else 1 for part in parts)
    sides = [data.draw(small) for _ in range(3)]
    sides[axis] = interleaved * unit * sum(parts)
    order = data.draw(some.permutations([0, 1, 2]))
    first, second = sorted((data.draw(some.integers(0, 3)), data.draw(some.integers(0, 3))))
    own = Layout(
        tuple(order[:first]),
        tuple(order[first:second]),
        tuple(order[second:]),
        axis,
        parts,
        interleaved,
        pieces,
    )
    assert layout(str(own)) == own
    tensor = torch.arange(sides[0] * sides[1] * sides[2]).reshape(sides)
    views = list(own.views(tensor))
    assert [tuple(view.shape) for view in views] == own.shapes(tuple(sides))
    assert torch.cat([view.flatten() for view in views]).sort().values.tolist() == list(range(tensor.numel()))
    for part, view in zip(own.opened(tuple(sides)), views, strict=True):
        assert part.view(tensor).untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
        assert torch.equal(part.view(tensor).reshape(view.shape), view)


@pytest.mark.parametrize("dimensions", range(6))
@pytest.mark.parametrize("name", ["spectral", "max", "frobenius", "row-2/inf", "nuclear"])
def test_tensors_of_no_axis_to_five_are_trained(dimensions, name):
    gradient = draw(*range(2, 2 + dimensions)) if dimensions else torch.tensor(-3.0, dtype=torch.float64)
    found = moved(gradient, gradient, norm=name)
    assert found.shape == gradient.shape
    assert float((found * gradient).sum()) < 0
    rows = gradient.shape[0] if dimensions else 1
    again = moved(gradient.reshape(rows, -1), gradient.reshape(rows, -1), norm=name).reshape(gradient.shape)
    assert torch.equal(found, again)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Layout((0,), (0,)), "name it once"),
        (lambda: Layout((-1,)), r"outputs=\(-1,\)|outputs=-1: give axes"),
        (lambda: Layout(cast(Any, 0)), "outputs=0: give axes"),
        (lambda: Layout(parts=()), r"parts=\(\): give whole numbers"),
        (lambda: Layout(parts=(1, 1), pieces=(2, 2, 2)), "give one number, or one for each of parts"),
        (lambda: layout("outputs=0 outputs=1"), "give a Layout, or its text"),
        (lambda: layout(cast(Any, 3)), "layout=3: give a Layout"),
        (lambda: Layout.fused().shapes((8, 4)), r"axis 0 of a parameter of shape \[8, 4\] does not split so"),
        (lambda: Layout.heads(4).shapes((6, 4)), "does not split so"),
        (lambda: Layout((0,), (1,), (3,)).shapes((2, 2)), "give each axis a place; the parameter has 2"),
        (lambda: Layout.heads(2, axis=2).shapes((6, 4)), "the parameter has 2 axes only"),
    ],
)
def test_layouts_that_do_not_fit(make, message):
    with pytest.raises(InvalidArgument, match=message):
        make()
