"""What PyTorch and its users expect of an optimiser: compilation, states, schedules, scaling, hooks."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from tests.optim.models import Transformer
from torch import nn
from torch._dynamo.testing import CompileCounter

from steepest.geometry import Entrywise
from steepest.optim import Iterative, Muon, NormalizedSGD, SignSGD, Signum, SpectralSGD, SteepestDescent

CLASSES = [SteepestDescent, SignSGD, Signum, NormalizedSGD, SpectralSGD, Muon]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def parameters(*shapes):
    return [nn.Parameter(draw(*shape, seed=seed)) for seed, shape in enumerate(shapes)]


def fill(params, seed):
    for index, param in enumerate(params):
        param.grad = draw(*param.shape, seed=100 * seed + index)


@pytest.mark.parametrize(
    ("options", "scheduled", "shapes"),
    [
        ({"polar": "auto"}, True, 20),
        ({"norm": "max", "weight_decay": 0.1}, False, 3),
        ({"polar": "polar-express-2-float32"}, False, 3),
        ({"norm": "schatten-4"}, False, 3),
    ],
    ids=str,
)
def test_many_shapes_and_a_schedule_compile_once_without_a_break(options, scheduled, shapes):
    """Dion 23, xtuner 1661: the limit of recompilations was hit."""
    torch._dynamo.reset()
    sides = [(5,), (4, 2, 3, 3), *((3 + index, 2 + 2 * index) for index in range(shapes - 2))]
    plain, compiled = parameters(*sides), parameters(*sides)
    optimizers = [Muon(params, lr=0.1, **options) for params in (plain, compiled)]
    schedulers = [torch.optim.lr_scheduler.ExponentialLR(each, 0.5) for each in optimizers if scheduled]
    counter = CompileCounter()
    # A scheduler puts a function of its own before the step, which PyTorch refuses to trace as a part of it.
    step = torch.compile(optimizers[1].step, backend=counter, fullgraph=not scheduled)
    for seed in range(4):
        fill(plain, seed)
        fill(compiled, seed)
        optimizers[0].step()
        step()
        for scheduler in schedulers:
            scheduler.step()
        for optimizer in optimizers if not scheduled else []:
            optimizer.param_groups[0]["lr"] *= 0.5
    assert counter.frame_count == 1
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(plain, compiled, strict=True))
    assert optimizers[1].param_groups[0]["lr"] == pytest.approx(0.1 / 16)


@pytest.mark.parametrize("cls", CLASSES)
def test_numbers_may_be_tensors_that_change_in_place(cls):
    plain, tensors = parameters((4, 3), (3,)), parameters((4, 3), (3,))
    lr, weight_decay = torch.tensor([[0.1]]), torch.tensor([0.2])
    optimizers = [cls(plain, lr=0.1, weight_decay=0.2), cls(tensors, lr=lr, weight_decay=weight_decay)]
    for seed in range(3):
        fill(plain, seed)
        fill(tensors, seed)
        for optimizer in optimizers:
            optimizer.step()
        optimizers[0].param_groups[0]["lr"] *= 0.5
        lr.mul_(0.5)
        optimizers[0].param_groups[0]["weight_decay"] *= 2
        weight_decay.mul_(2)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(plain, tensors, strict=True))


@pytest.mark.parametrize("cls", CLASSES)
def test_pickles_copies_and_files_go_on_alike(cls):
    params = parameters((4, 3), (3,), (2, 2, 3))
    optimizer = cls(params, lr=0.1)
    fill(params, 0)
    optimizer.step()
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    fresh = [nn.Parameter(param.detach().clone()) for param in params]
    loaded = cls(fresh, lr=0.5, maximize=True)
    loaded.load_state_dict(state)
    twins = [loaded, copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    fill(params, 1)
    optimizer.step()
    for twin in twins:
        own = twin.param_groups[0]["params"]
        fill(own, 1)
        twin.step()
        assert all(map(torch.equal, own, params))
        assert str(twin.routing()) == str(optimizer.routing())


def test_norms_as_objects_are_kept_by_name_and_options_of_groups_survive():
    params = parameters((4, 6), (6, 4))
    groups = [
        {"params": params[:1], "norm": Entrywise(float("inf"))},
        {"params": params[1:], "layout": "parts=1,1", "scale": "aspect"},
    ]
    state = SteepestDescent(groups).state_dict()
    assert [group["norm"] for group in state["param_groups"]] == ["max", "spectral"]
    other = SteepestDescent([{"params": params[:1]}, {"params": params[1:]}])
    other.load_state_dict(state)
    rows = list(other.routing())
    assert (rows[0].norm, rows[1].matrices, rows[1].scale) == ("max", ((1, 3, 4),) * 2, "aspect")


def test_iterations_are_kept_by_name_and_a_parameter_may_change_its_shape():
    (param,) = parameters((4, 6))
    optimizer = Muon([param], polar=Iterative("cubic", 12, precision="float32"))
    assert optimizer.state_dict()["param_groups"][0]["polar"] == "cubic-12-float32"
    plain = SpectralSGD([param], lr=1.0)
    param.data = torch.zeros(3, 5)
    param.grad = draw(3, 5)
    plain.step()
    assert torch.allclose(torch.linalg.svdvals(param.detach()), torch.ones(3), atol=1e-5)


def test_torch_s_muon_is_resumed_along_the_same_trajectory():
    shapes = [(12, 8), (8, 30), (6, 6)]
    for adjust, scale in ((None, "aspect"), ("match_rms_adamw", "matched-rms")):
        theirs, ours, exact = (parameters(*shapes) for _ in range(3))
        torch_s = torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1, momentum=0.8, adjust_lr_fn=adjust)
        for seed in range(3):
            fill(theirs, seed)
            torch_s.step()
        optimizers = {
            "newton-schulz-5-direct-bfloat16": (ours, 0.03),
            "auto": (exact, 0.4),
        }
        for polar, (params, tolerance) in optimizers.items():
            with torch.no_grad():
                for param, other in zip(params, theirs, strict=True):
                    param.copy_(other)
            optimizer = Muon(params, lr=1.0, polar=polar)
            optimizer.load_state_dict(copy.deepcopy(torch_s.state_dict()))
            assert optimizer.param_groups[0]["scale"] == scale
            before = [param.detach().clone() for param in theirs]
            resumed = torch.optim.Muon(
                [nn.Parameter(each.clone()) for each in before], lr=0.05, adjust_lr_fn=adjust
            )
            resumed.load_state_dict(copy.deepcopy(torch_s.state_dict()))
            for seed in range(3, 6):
                fill(params, seed)
                fill(resumed.param_groups[0]["params"], seed)
                optimizer.step()
                resumed.step()
            for start, one, other in zip(before, params, resumed.param_groups[0]["params"], strict=True):
                assert (one - other).norm() < tolerance * (other - start).norm()


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("cls", CLASSES)
def test_gradients_are_never_written(cls, differentiable):
    params = [each.detach() for each in parameters((4, 3), (3,))]
    optimizer = cls(params, lr=0.1, weight_decay=0.1, maximize=True, differentiable=differentiable)
    fill(params, 0)
    grads: list[torch.Tensor] = [param.grad for param in params if param.grad is not None]
    versions = [grad._version for grad in grads]
    for _ in range(3):
        optimizer.step()
    assert [grad._version for grad in grads] == versions


@pytest.mark.parametrize("cls", CLASSES)
def test_schedules_closures_and_hooks(cls):
    params = parameters((4, 3), (3,))
    optimizer = cls(params, lr=0.1)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [3])
    called = []
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    optimizer.register_step_post_hook(lambda *_: called.append("after"))

    def closure():
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = torch.stack([param.square().sum() for param in params]).sum()
        loss.backward()
        return loss

    losses = []
    for _ in range(8):
        losses.append(optimizer.step(closure).item())
        scheduler.step()
    assert losses[-1] < losses[0]
    assert called == ["before", "after"] * 8


@pytest.mark.parametrize("cls", CLASSES)
def test_a_gradient_scaler_skips_overflows_and_changes_nothing_else(cls):
    params, plain = parameters((4, 3)), parameters((4, 3))
    optimizer, expected = cls(params, lr=0.1), cls(plain, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    before = params[0].detach().clone()
    scaler.scale(params[0].sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(params[0], before)
    optimizer.zero_grad()
    scaler.scale((params[0] * draw(4, 3, seed=7)).sum()).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(params, 1.0)
    scaler.step(optimizer)
    plain[0].grad = draw(4, 3, seed=7)
    nn.utils.clip_grad_norm_(plain, 1.0)
    expected.step()
    assert torch.allclose(params[0], plain[0], atol=1e-6)


def test_construction_on_the_meta_device_and_training_after_it():
    with torch.device("meta"):
        model = Transformer()
    optimizer = Muon(model, lr=0.1)
    table = str(optimizer.routing())
    real = Transformer()
    assert str(Muon(real, lr=0.1).routing()) == table
    for param in model.parameters():
        param.grad = torch.empty_like(param)
    optimizer.step()


@pytest.mark.parametrize("cls", CLASSES)
def test_maximising_is_minimising_the_negative_and_batches_are_the_loop(cls):
    shapes = [(4, 3), (4, 3), (3,), (2, 3, 2), (4, 3)]
    ends = []
    for options in ({}, {"maximize": True}, {"foreach": False}):
        params = parameters(*shapes)
        optimizer = cls(params, lr=0.1, **options)
        for seed in range(3):
            fill(params, seed)
            if options.get("maximize"):
                for param in params:
                    param.grad = None if param.grad is None else -param.grad
            optimizer.step()
        ends.append(params)
    for others in ends[1:]:
        assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(ends[0], others, strict=True))


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (SignSGD, {}),
        (Signum, {}),
        (NormalizedSGD, {"momentum": 0.9}),
        (SpectralSGD, {}),
        (Muon, {}),
        (SteepestDescent, {"norm": "schatten-4", "momentum": 0.9}),
    ],
    ids=str,
)
def test_steps_have_derivatives_by_gradients_averages_rates_and_decays(cls, options):
    """Two steps, so that a derivative of the first is taken after the second has gone on with its average."""
    weight, gradient, average = (draw(3, 2, seed=seed).double().requires_grad_() for seed in range(3))
    rates = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.1, 0.5)]

    def moved(start, grad, average, lr, weight_decay):
        param = start.clone()
        optimizer = cls([param], lr=lr, weight_decay=weight_decay, differentiable=True, **options)
        if optimizer.param_groups[0]["momentum"]:
            optimizer.state[param]["momentum_buffer"] = average.clone()
        for sign in (1.0, -0.5):
            param.grad = sign * grad + 0.1 * param
            optimizer.step()
        return param

    assert torch.autograd.gradcheck(moved, (weight, gradient, average, *rates))


@pytest.mark.parametrize("cls", CLASSES)
def test_parameters_of_a_complex_dtype_move_as_their_real_views(cls):
    start = torch.complex(draw(4, 3), draw(4, 3, seed=1))
    param, real = nn.Parameter(start.clone()), nn.Parameter(torch.view_as_real(start).clone())
    param.grad = torch.complex(draw(4, 3, seed=2), draw(4, 3, seed=3))
    real.grad = torch.view_as_real(param.grad).clone()
    for each in (param, real):
        cls([each], lr=0.1).step()
    assert torch.equal(torch.view_as_real(param.detach()), real)


def test_pytorch_s_own_file_of_tests_runs_on_these_classes(tmp_path):
    """CONTRIBUTING has the command; this file stands for PyTorch's, whose form it has."""
    (tmp_path / "test_optim.py").write_text("""
import torch
from optim.test_lrscheduler import TestLRScheduler
from torch.testing._internal.common_device_type import instantiate_device_type_tests
from torch.testing._internal.common_optimizers import optim_db, optims
from torch.testing._internal.common_utils import TestCase, run_tests

class TestOptimRenewed(TestCase):
    @optims(optim_db, dtypes=[torch.float32])
    def test_steps(self, device, dtype, optim_info):
        for optim_input in optim_info.optim_inputs_func(device=device):
            weight = torch.ones(2, 3, device=device, requires_grad=True)
            optimizer = optim_info.optim_cls([weight], **optim_input.kwargs)
            optimizer.step(lambda: weight.sum().backward())
            self.assertEqual(bool((weight < 1).all()), not optim_input.kwargs.get("maximize", False))

instantiate_device_type_tests(TestOptimRenewed, globals())
if __name__ == "__main__":
    run_tests()
""")
    command = [sys.executable, "-m", "tests.optim.upstream", str(tmp_path / "test_optim.py"), "-v"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr.count("ok\n") == 7
    assert "test_steps_SpectralMuon_cpu_float32" in run.stderr


def test_an_optimiser_brings_pytorch_and_numpy_and_nothing_else_of_ours():
    code = (
        "import sys, torch, steepest as st; weight = torch.nn.Parameter(torch.eye(3)); "
        "weight.grad = torch.ones(3, 3); st.optim.Muon([weight]).step(); "
        "st.optim.SteepestDescent([weight], norm='schatten-4').step(); "
        "assert not {'numba', 'scipy', 'threadpoolctl', 'xarray', 'sklearn'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
