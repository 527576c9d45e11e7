"""The optimisers that the literature has names for: steepest descent in one norm each.

Their ``params`` and the options that they do not name are those of
:class:`steepest.optim.SteepestDescent`, and so are the errors.
"""

from __future__ import annotations

from typing import Any

from steepest.geometry import Norm
from steepest.optim.engines import Polar
from steepest.optim.optimizer import Parameters, SteepestDescent
from steepest.optim.policy import Policy
from steepest.optim.scales import Scale
from steepest.optim.update import Number

__all__ = ["Muon", "NormalizedSGD", "SignSGD", "Signum", "SpectralSGD"]


class SignSGD(SteepestDescent):
    """Steepest descent in the max-norm without momentum: every entry moves by lr.

    .. code-block:: python

        W = (1 - lr * weight_decay) * W - lr * scale * sign(G)

    Arguments and errors, ``options`` among them, are those of :class:`SteepestDescent`.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([3.0, -0.5]))
    >>> weight.grad = torch.tensor([7.0, -1e-9])
    >>> SignSGD([weight], lr=0.5).step()
    >>> weight.detach()
    tensor([2.5000, 0.0000])
    """

    def __init__(
        self,
        params: Parameters,
        lr: Number = 1e-3,
        weight_decay: Number = 0.0,
        scale: Scale | None = None,
        **options: Any,
    ):
        options = {"norm": "max", **options}
        super().__init__(params, lr, weight_decay=weight_decay, scale=scale, **options)


class Signum(SteepestDescent):
    """Steepest descent in the max-norm with momentum (Bernstein and others, 2018).

    .. code-block:: python

        M = beta * M + (1 - beta) * G
        S = (1 - beta) * G + beta * M if nesterov else M
        W = (1 - lr * weight_decay) * W - lr * scale * sign(S)

    Arguments and errors, ``options`` among them, are those of :class:`SteepestDescent`.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = Signum([weight], lr=0.25, momentum=0.75)
    >>> for gradient in (1.0, -0.5):  # the average stays above 0: 0.25, then 0.0625
    ...     weight.grad = torch.tensor([gradient])
    ...     optimizer.step()
    >>> weight.detach()
    tensor([0.5000])
    """

    def __init__(
        self,
        params: Parameters,
        lr: Number = 1e-3,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: Number = 0.0,
        scale: Scale | None = None,
        **options: Any,
    ):
        options = {"norm": "max", **options}
        super().__init__(
            params,
            lr,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            scale=scale,
            **options,
        )


class NormalizedSGD(SteepestDescent):
    """Steepest descent in the Frobenius norm: every logical matrix moves by lr in Euclidean length.

    .. code-block:: python

        M = beta * M + (1 - beta) * G
        S = (1 - beta) * G + beta * M if nesterov else M
        W = (1 - lr * weight_decay) * W - lr * scale * S / length(S)

    Arguments and errors, ``options`` among them, are those of :class:`SteepestDescent`.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    >>> weight.grad = torch.tensor([3e-30, 4e-30])
    >>> NormalizedSGD([weight], lr=0.5).step()
    >>> weight.detach()
    tensor([0.7000, 0.6000])
    """

    def __init__(
        self,
        params: Parameters,
        lr: Number = 1e-3,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: Number = 0.0,
        scale: Scale | None = None,
        **options: Any,
    ):
        options = {"norm": "frobenius", **options}
        super().__init__(
            params,
            lr,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            scale=scale,
            **options,
        )


class SpectralSGD(SteepestDescent):
    """Steepest descent in the spectral norm without momentum: every singular value of a step is lr.

    .. code-block:: python

        W = (1 - lr * weight_decay) * W - lr * scale * polar(G)

    Arguments and errors, ``options`` among them, are those of :class:`SteepestDescent`.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.eye(2))
    >>> weight.grad = torch.tensor([[0.0, 2.0], [-1.0, 0.0]])
    >>> SpectralSGD([weight], lr=0.5).step()
    >>> weight.detach()
    tensor([[ 1.0000, -0.5000],
            [ 0.5000,  1.0000]])
    """

    def __init__(
        self,
        params: Parameters,
        lr: Number = 1e-3,
        weight_decay: Number = 0.0,
        scale: Scale | None = None,
        polar: str | Polar = "auto",
        **options: Any,
    ):
        options = {"norm": "spectral", **options}
        super().__init__(params, lr, weight_decay=weight_decay, scale=scale, polar=polar, **options)


class Muon(SteepestDescent):
    """Steepest descent in the spectral norm with Nesterov momentum (Jordan and others, 2024).

    .. code-block:: python

        M = beta * M + (1 - beta) * G
        S = (1 - beta) * G + beta * M if nesterov else M
        W = (1 - lr * weight_decay) * W - lr * scale * polar(S)

    It loads the states of ``torch.optim.Muon`` and goes on along the same trajectory, as far as the accuracy
    of the polar factors goes: PyTorch's are those of ``polar="newton-schulz-5-bfloat16"``. Its
    ``adjust_lr_fn`` is ``scale`` here: "original" (None) is "aspect", the default, and "match_rms_adamw" is
    "matched-rms". Its default weight decay is 0.1, and here it is 0. Arguments and errors, ``options`` among
    them, are those of :class:`SteepestDescent`.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.eye(2))
    >>> weight.grad = torch.tensor([[0.0, 2.0], [-1.0, 0.0]])
    >>> Muon([weight], lr=0.5).step()
    >>> weight.detach()
    tensor([[ 1.0000, -0.5000],
            [ 0.5000,  1.0000]])
    """

    _own_scale: Scale = "aspect"

    def __init__(
        self,
        params: Parameters,
        lr: Number = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: Number = 0.0,
        scale: Scale | None = None,
        polar: str | Polar = "auto",
        norm: Norm | str = "spectral",
        policy: Policy | None = None,
        **options: Any,
    ):
        super().__init__(
            params, lr, norm, momentum, nesterov, weight_decay, scale, polar, policy=policy, **options
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load ``state_dict``, this class's or that of ``torch.optim.Muon``: ``polar`` stays as it is."""
        groups = state_dict["param_groups"]
        if any("ns_steps" in group for group in groups):
            pairs = zip(self.param_groups, groups, strict=False)
            converted = [_from_torch(own, group) for own, group in pairs] + groups[len(self.param_groups) :]
            state_dict = {**state_dict, "param_groups": converted}
        super().load_state_dict(state_dict)


_FROM_TORCH = ("params", "param_names", "lr", "initial_lr", "weight_decay", "momentum", "nesterov")


def _from_torch(own: dict[str, Any], group: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in own.items() if name not in ("params", "param_names")}
    scale = {None: "aspect", "original": "aspect"}.get(group["adjust_lr_fn"], "matched-rms")
    return {**kept, **{name: group[name] for name in _FROM_TORCH if name in group}, "scale": scale}
