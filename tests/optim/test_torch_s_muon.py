"""States of torch.optim.Muon go on as they would have there, but for what each engine makes of a matrix."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim import _muon as torch_s

from steepest.optim import Muon, spectral_direction

SHAPES = [(12, 8), (8, 30), (6, 6), (64, 48)]
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def draw(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fill(params, step):
    for index, param in enumerate(params):
        param.grad = draw(*param.shape, seed=100 * step + index).to(param.dtype)


def torch_s_engine(S):
    """Return what torch.optim.Muon makes of matrices [b, k, d], in its strides, which decide roundings."""
    # Of half precision it divides what it is given in place.
    found = [torch_s._zeropower_via_newtonschulz(each.clone(), COEFFICIENTS, 5, 1e-7) for each in S]
    tall = S.shape[-2] > S.shape[-1]
    return torch.stack([each.mT for each in found]).mT if tall else torch.stack(found)


def both(dtype, nesterov, polar, steps=5, adjust=None):
    """Return parameters after some steps of both optimisers from one state, and what they were before."""
    theirs = [nn.Parameter(draw(*shape, seed=index).to(dtype)) for index, shape in enumerate(SHAPES)]
    optimizer = torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1, nesterov=nesterov, adjust_lr_fn=adjust)
    for step in range(3):
        fill(theirs, step)
        optimizer.step()
    ours = [nn.Parameter(param.detach().clone()) for param in theirs]
    before = [param.detach().clone() for param in theirs]
    resumed = Muon(ours, polar=polar)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for step in range(3, 3 + steps):
        for params, each in ((theirs, optimizer), (ours, resumed)):
            fill(params, step)
            each.step()
    return ours, theirs, before


@pytest.mark.parametrize("adjust", [None, "match_rms_adamw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_with_its_engine_every_step_is_the_same_to_the_bit(dtype, adjust):
    ours, theirs, _ = both(dtype, True, torch_s_engine, adjust=adjust)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_averages_in_half_precision_without_nesterov_differ_by_its_defect_alone(monkeypatch):
    """Pytorch 194664: its buffer is divided by its own length at each step."""
    ours, theirs, before = both(torch.bfloat16, False, torch_s_engine)
    distances = [
        float((one - other).detach().norm() / (other - start).detach().norm())
        for one, other, start in zip(ours, theirs, before, strict=True)
    ]
    assert max(distances) > 0.3
    plain = torch_s._zeropower_via_newtonschulz
    monkeypatch.setattr(
        torch_s, "_zeropower_via_newtonschulz", lambda grad, *rest: plain(grad.clone(), *rest)
    )
    ours, theirs, _ = both(torch.bfloat16, False, torch_s_engine)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "polar", ["auto", "newton-schulz-5-direct-bfloat16", "newton-schulz-5-direct-float32"]
)
def test_with_another_engine_steps_differ_by_what_the_engines_do(polar):
    errors: list[torch.Tensor] = []

    def measured(S):
        found = spectral_direction(S, polar)
        errors.extend((found - torch_s_engine(S)).norm(dim=(-2, -1)))
        return found

    ours, theirs, before = both(torch.float32, True, measured)
    for index, (one, other, start) in enumerate(zip(ours, theirs, before, strict=True)):
        rows, columns = one.shape
        own = errors[index :: len(SHAPES)]
        # Gradients are given, so signals agree, and what one step does differently later ones only shrink.
        bound = 0.05 * math.sqrt(max(1.0, rows / columns)) * float(sum(own))
        distance = float((one - other).detach().norm())
        assert distance <= 1.001 * bound + 1e-6
        share = distance / float((other - start).detach().norm())
        assert share < (0.2 if polar == "auto" else 0.02)
