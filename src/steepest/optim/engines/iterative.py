"""Polynomial iterations towards the polar factor: products of matrices alone, in any precision.

They are crude where σ is small: a singular value below 1e-3 of the matrix's Frobenius length is not brought
to 1, and one that is rounding alone is brought half way. What is exact is in
:mod:`steepest.optim.engines.exact`.

The direct form multiplies m × n matrices, X ← a X + (b G + c G²) X with G = X Xᵀ. The Gram form multiplies
m × m ones: G ← M G M and Q ← M Q with M = a I + b G + c G², and X ← Q X at the end. It is cheaper from
n = 2 m on. Rounding lets eigenvalues of G fall below 0, where the polynomials would let them grow; so G is
made anew from X after some steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from steepest.arguments import one_of
from steepest.optim.engines.coefficients import COEFFICIENTS, Triple, checked_steps, coefficients
from steepest.optim.engines.measured import multiplies_bfloat16_fast
from steepest.optim.engines.prepared import prepared
from steepest.optim.engines.products import REPAY_BLOCKS, plus_product, symmetric_product

__all__ = ["Iterative"]

Form = Literal["auto", "direct", "gram"]
Precision = Literal["auto", "bfloat16", "float16", "float32", "float64"]

_FORMS = ("auto", "direct", "gram")
_PRECISIONS = ("auto", "bfloat16", "float16", "float32", "float64")
_GRAM_ASPECT = 2
_CACHED = 1 << 19
"""Entries in single precision of which batches are faster than each matrix alone."""
_LONGEST_SEGMENT = {torch.bfloat16: 2, torch.float16: 2, torch.float32: 3, torch.float64: 5}
"""Steps after which the Gram form makes its Gram matrix anew."""


@dataclass(frozen=True)
class Iterative:
    """An iteration towards the polar factor U Vᵀ.

    Args:
        coefficients: the name of a set (:data:`steepest.optim.engines.coefficients.COEFFICIENTS`), or triples
            (a, b, c), one a step, the last repeated where there are more steps.
        steps: how many, from 1 to 100; by default as many as the set usually takes.
        form: "direct", "gram", or "auto" by the aspect of the matrices.
        precision: the dtype of the products; "auto" is float64 for float64, and otherwise bfloat16 where the
            processor multiplies it fast, else float32.

    Raises:
        InvalidArgument: for a value outside these.

    >>> polar = Iterative("polar-express", 8, precision="float32")(torch.tensor([[3.0, 0.0], [0.0, -4.0]]))
    >>> bool(torch.allclose(polar, torch.tensor([[1.0, 0.0], [0.0, -1.0]]), atol=1e-5))
    True
    >>> str(Iterative("newton-schulz", precision="bfloat16"))
    'newton-schulz-5-bfloat16'
    """

    coefficients: str | tuple[Triple, ...] = "polar-express"
    steps: int | None = None
    form: Form = "auto"
    precision: Precision = "auto"
    _triples: tuple[Triple, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self):
        if not isinstance(self.coefficients, str) or self.coefficients not in COEFFICIENTS:
            object.__setattr__(self, "coefficients", coefficients(self.coefficients))
        one_of("form", self.form, _FORMS)
        one_of("precision", self.precision, _PRECISIONS)
        steps = checked_steps(self._usual_steps() if self.steps is None else self.steps)
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "_triples", self._of_steps(steps))

    def _usual_steps(self) -> int:
        if isinstance(self.coefficients, str):
            return COEFFICIENTS[self.coefficients].usual_steps
        return len(self.coefficients)

    def _of_steps(self, steps: int) -> tuple[Triple, ...]:
        if isinstance(self.coefficients, str):
            return COEFFICIENTS[self.coefficients].of_steps(steps)
        return (self.coefficients + self.coefficients[-1:] * max(0, steps - len(self.coefficients)))[:steps]

    def triples(self) -> tuple[Triple, ...]:
        """Return the coefficients of every step."""
        return self._triples

    def __call__(self, S: Tensor) -> Tensor:
        """Return the approximate polar factors of matrices [..., k, d], in their dtype; 0 for 0."""
        if 0 in S.shape:
            return torch.zeros_like(S)
        together = _together(S, self._dtype(S))
        if together < S.shape[:-2].numel():
            pieces = S.reshape(-1, *S.shape[-2:]).split(together)
            return torch.cat([self._mapped(piece) for piece in pieces]).reshape(S.shape)
        return self._mapped(S)

    def _mapped(self, S: Tensor) -> Tensor:
        ready = prepared(S)
        X = ready.matrix
        length = torch.linalg.vector_norm(X, dim=(-2, -1), keepdim=True)
        X = (X / torch.where(length > 0, length, 1.0)).to(self._dtype(S))
        if X.numel() == X.shape[-2] * X.shape[-1]:
            # Products of batches copy what is transposed, even of one matrix.
            X = X.reshape(X.shape[-2:])
        gram = self.form == "gram" or (self.form == "auto" and X.shape[-1] >= _GRAM_ASPECT * X.shape[-2])
        mapped = _by_gram(X, self.triples()) if gram else _directly(X, self.triples())
        return ready.restored(mapped.reshape(ready.matrix.shape).to(ready.matrix.dtype))

    def _dtype(self, S: Tensor) -> torch.dtype:
        if self.precision != "auto":
            return getattr(torch, self.precision)
        if S.dtype == torch.float64:
            return torch.float64
        return torch.bfloat16 if multiplies_bfloat16_fast(S.device.type) else torch.float32

    def __str__(self) -> str:
        name = self.coefficients if isinstance(self.coefficients, str) else "custom"
        extras = [each for each in (self.form, self.precision) if each != "auto"]
        return "-".join([name, str(self.steps), *extras])


def _together(S: Tensor, dtype: torch.dtype) -> int:
    """Return how many matrices are computed together: on the host as many as gain from it."""
    if S.device.type != "cpu" or torch.compiler.is_compiling():
        return S.shape[:-2].numel()
    if min(S.shape[-2:]) >= REPAY_BLOCKS:
        return 1
    return S.shape[:-2].numel() if dtype.itemsize == 2 else max(1, _CACHED // (S.shape[-2] * S.shape[-1]))


def _directly(X: Tensor, triples: tuple[Triple, ...]) -> Tensor:
    for a, b, c in triples:
        G = symmetric_product(X, X.mT)
        X = plus_product(X, a, plus_product(G, b, G, G, c, symmetric=True), X, 1.0)
    return X


def _by_gram(X: Tensor, triples: tuple[Triple, ...]) -> Tensor:
    segment = _LONGEST_SEGMENT[X.dtype]
    for start in range(0, len(triples), segment):
        part = triples[start : start + segment]
        G = symmetric_product(X, X.mT)
        Q = None
        # Polynomials of G commute: their products are symmetric too.
        for position, (a, b, c) in enumerate(part):
            M = plus_product(G, b, G, G, c, symmetric=True)
            M.diagonal(dim1=-2, dim2=-1).add_(a)
            Q = M if Q is None else symmetric_product(M, Q)
            if position + 1 < len(part):
                G = symmetric_product(symmetric_product(M, G), M)
        X = X if Q is None else Q @ X
    return X
