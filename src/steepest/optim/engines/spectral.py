"""The one function behind which all engines of spectral directions stand, and its form for torch.compile."""

from __future__ import annotations

import torch
from torch import Tensor

from steepest.errors import InvalidArgument
from steepest.optim.engines.choice import EXACT, Polar, engine, exact
from steepest.optim.engines.exact import ones
from steepest.optim.engines.iterative import Iterative

__all__ = ["spectral_direction", "spectral_power"]

_RESOLVED = ("auto", *EXACT)
_ON_ACCELERATORS = Iterative()


def spectral_direction(S: Tensor, polar: str | Polar = "auto", power: float | Tensor = 0.0) -> Tensor:
    """Return the directions of steepest descent of matrices in the spectral norm.

    The direction of S = U Σ Vᵀ is U Vᵀ over the singular values that are not zero; it depends on the scale
    of S only through its sign. 0 gives 0, and an entry that is not finite NaN throughout its matrix. S is
    never changed.

    Args:
        S: matrices [..., k, d] of one shape, of any real floating dtype.
        polar: "auto", "svd" or "gram", exact to the rounding of the dtype (half precision: of float32) and
            rank aware; an iteration, such as "polar-express" or "newton-schulz-5-bfloat16", of which the
            accuracy is that of its coefficients and precision; or a callable that is given S. "auto" decides
            on the host between exact engines by aspect, size, dtype and a measurement; on an accelerator,
            where exact engines would wait for the device, it is "polar-express", but for float64.
        power: p ≥ 0 for U (Σ / σ₁)^p Vᵀ in place of p = 0; exact engines only.

    Raises:
        InvalidArgument: an engine that there is not; a power with an engine that is not exact.

    >>> spectral_direction(torch.tensor([[3e-30, 0.0], [0.0, -4e-30]]))
    tensor([[ 1.,  0.],
            [ 0., -1.]])
    >>> spectral_direction(torch.tensor([[2.0, 0.0], [0.0, -4.0]]), power=1.0)
    tensor([[ 0.5000,  0.0000],
            [ 0.0000, -1.0000]])
    """
    found = polar if not isinstance(polar, str) or polar in _RESOLVED else engine(polar)
    on_host = S.device.type in ("cpu", "meta")
    if found == "auto" and not on_host and S.dtype != torch.float64 and not _is_powered(power):
        found = _ON_ACCELERATORS
    if not isinstance(found, str):
        if _is_powered(power):
            remedy = f"powers of singular values need an exact engine: auto, {', '.join(EXACT)}"
            raise InvalidArgument("polar", polar, remedy)
        # A kernel of others may work in place, and S may be a momentum buffer.
        return found(S) if isinstance(found, Iterative) else found(S.clone())
    if torch.compiler.is_compiling():
        return torch.ops.steepest.spectral_direction(S, found, torch.as_tensor(power, dtype=torch.float64))
    return _exactly(S, found, power)


def spectral_power(power: float | Tensor):
    """Return f(σ) = (σ / σ₁)^power for σ > 0, and f(0) = 0."""

    def function(values: Tensor) -> Tensor:
        largest = values.amax(-1, keepdim=True)
        return torch.where(values > 0, (values / torch.where(largest > 0, largest, 1.0)) ** power, 0.0)

    return function


def _is_powered(power: float | Tensor) -> bool:
    return isinstance(power, Tensor) or power != 0


def _exactly(S: Tensor, name: str, power: float | Tensor) -> Tensor:
    if S.device.type == "meta":
        return torch.empty_like(S)
    return exact(S, spectral_power(power) if _is_powered(power) else ones, name)


@torch.library.custom_op("steepest::spectral_direction", mutates_args=())
def _opaque(S: Tensor, polar: str, power: Tensor) -> Tensor:
    value = float(power)
    return _exactly(S, polar, value).clone(memory_format=torch.contiguous_format)


@_opaque.register_fake
def _(S: Tensor, _polar: str, _power: Tensor) -> Tensor:
    return torch.empty_like(S, memory_format=torch.contiguous_format)
