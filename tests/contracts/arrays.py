"""The kinds of arrays that array code is tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest


@dataclass(frozen=True)
class ArrayKind:
    """A library and a dtype: makes arrays of NumPy values and takes them back."""

    library: str
    dtype: str

    @property
    def eps(self) -> float:
        return float(np.finfo(self.dtype).eps)

    @property
    def tiny(self) -> float:
        return float(np.finfo(self.dtype).tiny)

    def __call__(self, values: Any) -> Any:
        array = np.asarray(values, dtype=self.dtype)
        if self.library == "numpy":
            return array
        import torch

        return torch.tensor(array)

    def back(self, array: Any) -> np.ndarray:
        """Return float64 NumPy values, after checking that the array is of this kind."""
        if self.library == "numpy":
            assert isinstance(array, np.ndarray | np.floating)
        else:
            import torch

            assert isinstance(array, torch.Tensor)
            array = array.numpy()
        assert array.dtype == self.dtype
        return np.asarray(array, dtype=np.float64)

    def __str__(self) -> str:
        return f"{self.library}-{self.dtype}"


NUMPY = ArrayKind("numpy", "float64")
TORCH = ArrayKind("torch", "float64")
NUMPY_SINGLE = ArrayKind("numpy", "float32")
TORCH_SINGLE = ArrayKind("torch", "float32")


def _over(*kinds: ArrayKind):
    marks = [
        pytest.param(k, id=str(k), marks=pytest.mark.torch if k.library == "torch" else ()) for k in kinds
    ]
    return pytest.mark.parametrize("kind", marks)


every_kind = _over(NUMPY, NUMPY_SINGLE, TORCH, TORCH_SINGLE)
every_double = _over(NUMPY, TORCH)
