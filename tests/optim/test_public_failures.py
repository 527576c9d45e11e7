"""What other optimisers got wrong in public, one test for each report."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest
import torch
from tests.optim.models import Transformer
from torch import nn

from steepest.optim import Layout, Muon, NormalizedSGD, Signum, SpectralSGD, SteepestDescent

CLASSES = [SteepestDescent, Signum, NormalizedSGD, SpectralSGD, Muon]


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def step(cls, start, *gradients, **options):
    """Return a parameter after steps along gradients, and its optimiser."""
    weight = nn.Parameter(start.clone())
    optimizer = cls([weight], **{"lr": 0.1, **options})
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach(), optimizer


def test_bfloat16_without_nesterov_keeps_its_buffer():
    """Pytorch 194664: the momentum buffer itself was normalised (.158 where .1 is right)."""
    gradient = torch.ones(4, 10, dtype=torch.bfloat16)
    _, optimizer = step(Muon, torch.zeros_like(gradient), gradient, momentum=0.9, nesterov=False)
    (state,) = optimizer.state.values()
    assert torch.equal(state["momentum_buffer"], torch.zeros_like(gradient).lerp(gradient, 0.1))


@pytest.mark.parametrize("cls", CLASSES)
def test_tensors_of_no_axis_to_five(cls):
    """Pytorch 166209, optax 1271: convolutions and 3-D were rejected."""
    for dimensions in range(6):
        gradient = draw(*range(2, 2 + dimensions))
        moved, _ = step(cls, torch.zeros_like(gradient), gradient)
        assert float((moved * gradient).sum()) < 0


@pytest.mark.parametrize("scale", ["aspect", "matched-rms", "spectral-width"])
def test_the_scale_is_that_of_the_logical_matrix(scale):
    """KellerJordan 60, timm 2791, ultralytics 25846: scales of kernels came from height and width."""
    kernel = draw(64, 4, 3, 3)
    matrix = kernel.reshape(64, 36)
    moved, _ = step(Muon, torch.zeros_like(kernel), kernel, scale=scale)
    expected, _ = step(Muon, torch.zeros_like(matrix), matrix, scale=scale)
    assert torch.equal(moved.reshape(64, 36), expected)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("shape", [(96, 96), (24, 96), (32,), (8, 3, 3, 3)])
def test_the_size_of_gradients_does_not_matter(cls, shape):
    """Emerging 229: small gradients were silently not orthogonal."""
    start, gradient = draw(*shape, seed=1), draw(*shape)
    expected, _ = step(cls, start, gradient)
    for scale in (1e-30, 1e-12, 1e30):
        moved, _ = step(cls, start, gradient * scale)
        assert torch.allclose(moved, expected, atol=1e-5)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_gradient_of_zero_moves_nothing(cls):
    """Dion 24: NaN."""
    for start in (draw(5, 3), draw(4), draw(3, 2, 2, 2), torch.tensor(2.0)):
        moved, _ = step(cls, start, torch.zeros_like(start))
        assert torch.equal(moved, start)


@pytest.mark.parametrize("cls", CLASSES)
def test_states_are_resumed_in_another_dtype_and_with_parameters_never_trained(cls):
    """KellerJordan 46, dion 18 and 89, DeepSpeed 7746: resume failed, or crashed over dtypes."""
    trained, never = (
        nn.Parameter(draw(6, 4, dtype=torch.bfloat16)),
        nn.Parameter(draw(3, dtype=torch.bfloat16)),
    )
    optimizer = cls([trained, never], lr=0.1)
    for seed in range(3):
        trained.grad = draw(6, 4, seed=seed, dtype=torch.bfloat16)
        optimizer.step()
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    wide = [nn.Parameter(trained.detach().float()), nn.Parameter(never.detach().float())]
    resumed = cls(wide, lr=0.7)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert resumed.param_groups[0]["lr"] == 0.1
    for state, before in zip(resumed.state.values(), optimizer.state.values(), strict=True):
        assert state["momentum_buffer"].dtype == torch.float32
        assert torch.equal(state["momentum_buffer"], before["momentum_buffer"].float())
    for param in wide:
        param.grad = torch.ones_like(param)
    resumed.step()
    assert all(bool(param.isfinite().all()) for param in wide)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weight_decay", [0.1, 0.05, torch.tensor(0.1)])
def test_small_decays_are_not_rounded_to_the_dtype_of_the_parameters(dtype, weight_decay):
    """PyTorch's multiplication of lists takes 1 - 0.002 for 0.996 in bfloat16, and 1 - 0.001 for 1."""
    params = [nn.Parameter(draw(400, 5, dtype=dtype)), nn.Parameter(draw(7))]
    factor = 1 - 0.02 * float(weight_decay)
    expected = (params[0].detach().double() * factor).to(dtype)
    optimizer = Muon(params, lr=0.02, weight_decay=weight_decay)
    for param in params:
        param.grad = torch.zeros_like(param)
    optimizer.step()
    # A product in float32 lies on the other side of a tie now and then.
    assert (params[0] != expected).double().mean() < 0.002
    assert torch.allclose(params[1], draw(7) * factor)


@pytest.mark.parametrize("cls", CLASSES)
def test_accumulated_micro_batches_are_one_batch(cls):
    """DeepSpeed 8443: each micro-batch was orthogonalised."""
    inputs, ends = draw(8, 5, dtype=torch.float64), []
    for parts in (1, 4):
        torch.manual_seed(0)
        model = nn.Linear(5, 3, dtype=torch.float64)
        optimizer = cls(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            for part in inputs.chunk(parts):
                (model(part).square().mean() / parts).backward()
            optimizer.step()
        ends.append(model.weight.detach())
    assert torch.allclose(*ends, atol=1e-12)


@pytest.mark.parametrize("cls", CLASSES)
def test_clipping_of_gradients_leaves_the_first_update(cls):
    """DeepSpeed 8439: the update was clipped in place of the gradient."""
    start, gradient = draw(6, 4, seed=1), draw(6, 4)
    expected, _ = step(cls, start, gradient)
    weight = nn.Parameter(start.clone())
    weight.grad = gradient.clone()
    nn.utils.clip_grad_norm_([weight], 1e-3)
    cls([weight], lr=0.1).step()
    assert torch.allclose(weight, expected, atol=1e-6)


def test_fused_projections_are_separate_ones():
    """Megatron 4731, torchtitan 4532: fused projections were split wrongly."""
    gradient, start = draw(12, 4), draw(12, 4, seed=1)
    moved, _ = step(Muon, start, gradient, layout=Layout.fused())
    for rows in (slice(0, 4), slice(4, 8), slice(8, 12)):
        assert torch.allclose(moved[rows], step(Muon, start[rows], gradient[rows])[0], atol=1e-6)
    whole, _ = step(Muon, start, gradient)
    assert not torch.allclose(moved, whole, atol=1e-2)


def test_a_tied_weight_is_routed_alike_in_any_order():
    """Megatron 4641: a tied embedding was routed by the order of its owners."""
    found = [Muon(Transformer(head_first=first)).routing() for first in (False, True)]
    first, second = ({row[1:] for row in routing} for routing in found)
    assert first == second


@pytest.mark.parametrize("cls", CLASSES)
def test_weight_decay_by_its_closed_form(cls):
    """Kozistr 517, tinygrad 17709, bnb 1992: decay was ignored, or coupled to the direction."""
    start = draw(6, 4)
    moved, _ = step(cls, start, *[torch.zeros_like(start)] * 3, lr=0.01, weight_decay=10.0)
    assert torch.allclose(moved, start * (1 - 0.01 * 10.0) ** 3, rtol=1e-6)
    gradient = draw(6, 4, seed=1)
    decayed, _ = step(cls, start, gradient, lr=0.01, weight_decay=10.0)
    plain, _ = step(cls, start, gradient, lr=0.01)
    assert torch.allclose(decayed, plain - 0.1 * start, atol=1e-6)


def test_a_step_takes_memory_for_one_batch_of_matrices():
    """Optax 1650: unrolled iterations blew up memory."""
    some, more = _peak_of_a_step(12), _peak_of_a_step(24)
    one = 256 * 1024 * 4
    # Batches are of four matrices at most, and of each a few buffers: its signal, its product, the result.
    assert one < some < 4 * 4 * one
    assert more == some


def _peak_of_a_step(matrices: int) -> int:
    weights = [nn.Parameter(torch.zeros(256, 1024)) for _ in range(matrices)]
    for weight in weights:
        weight.grad = draw(256, 1024)
    optimizer = Muon(weights, lr=0.1)
    optimizer.step()
    with torch.profiler.profile(
        profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]
    ) as found:
        optimizer.step()
    events: Any = cast(Any, found.profiler).kineto_results.events()
    total = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            total += event.nbytes()
            peak = max(peak, total)
    return peak


def test_signum_s_momentum_by_hand():
    """Kozistr 516: Signum's momentum was a no-op."""
    moved, _ = step(
        Signum, torch.zeros(2), torch.tensor([1.0, 1.0]), torch.tensor([-4.0, -0.1]), lr=1.0, momentum=0.75
    )
    # Averages: 0.25 and 0.25; then 0.1875 - 1 and 0.1875 - 0.025.
    assert moved.tolist() == [0.0, -2.0]


def test_rank_is_kept_where_half_precision_loses_it():
    """Spec 7.3: of rank 4 in 64 × 128, torch.optim.Muon leaves 37 singular values above .1."""
    gradient = draw(64, 4) @ draw(4, 128, seed=1)
    values = torch.linalg.svdvals(step(SpectralSGD, torch.zeros(64, 128), gradient, lr=1.0)[0])
    assert ((values - 1).abs() < 1e-3).sum() == 4
    assert (values < 1e-3).sum() == 60
