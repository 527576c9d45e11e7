"""The polar factor and the singular values behind it: exact, rank aware, safe from overflow.

Three steps make the plain SVD fit for gradients:

1. The matrix is divided by its largest modulus: entries near 1e±300 and subnormal ones behave like any.
2. Rows and columns of very different sizes are put in order, largest first. Householder reflections then keep
   the small rows and columns to their own accuracy instead of that of the largest (Cox and Higham, "Stability
   of Householder QR factorization for weighted least squares problems", 1998; Higham, "QR factorization with
   complete pivoting and accurate computation of the SVD", Linear Algebra and its Applications 309, 2000).
3. A long side is first reduced by QR, S = Rᵀ Qᵀ, and the SVD is taken of the small factor.

Accuracy. Let σᵢ, uᵢ, vᵢ be the exact singular triples of the matrix as it is stored. The error of the
computed factor D in direction i, the larger of ‖uᵢᵀ D - vᵢᵀ‖ and ‖D vᵢ - uᵢ‖, is at most c eps σ₁/σᵢ, with
c below 100 in all that the tests measure. The rounding of the entries of S alone costs that much, so no
algorithm can promise less of any S. Where that rounding does less harm, as in a well-conditioned matrix whose
rows and columns were then scaled, so does the algorithm: with a short side of at most 25 the error in every
direction that is kept, however small its singular value, is below 200 times the larger of eps and of what the
rounding of the entries does, in practice below 1e-13. (Above 25, LAPACK's divide and conquer takes over, and
tiny singular values cost up to 1e-9.)
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.errors import InvalidArgument
from steepest.geometry.matrices import matrices
from steepest.geometry.vectors import not_finite_as_nan, unit_scaled

RANK_CUTOFF = 450 * 2.0**-52
"""In float64, singular values at or below this times the largest count as zero: 450 eps, about 1e-13."""

# From this ratio of the sides on, QR before the SVD is quicker, most of all for batches and on GPUs.
_QR_ASPECT = 4
# Sizes of rows and columns within this ratio cost two digits at most: not worth putting in order.
_UNGRADED = 1e-2


def rank_cutoff(dtype: Any, xp: Any) -> float:
    """Return the relative rank cut-off of a dtype of the namespace xp.

    It is 450 eps: about 1e-13 in float64 and 5e-5 in float32.

    >>> import numpy as np
    >>> rank_cutoff(np.float64, np) == RANK_CUTOFF
    True
    """
    return 450 * float(xp.finfo(dtype).eps)


def polar_factor(S: Array, cutoff: float | None = None) -> Array:
    """Return the polar factor U Vᵀ of S = U diag(σ) Vᵀ, over the singular values that are not zero.

    It is D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of the spectral norm, and the closest partial isometry with the range
    and the row space of S. The module's text states its accuracy.

    Args:
        S: matrices [..., k, d]; half precision is computed in float32.
        cutoff: singular values at or below ``cutoff`` times the largest of their matrix count as zero; by
            default 450 eps of the dtype that the arithmetic runs in, about 1e-13 in float64 and 5e-5 in
            float32.

    Returns:
        The polar factors [..., k, d]; 0 for S = 0, NaN throughout for an S with an entry that is not finite.

    Raises:
        InvalidArgument: S is not an array of matrices of real numbers, or the cut-off is not in [0, 1).

    >>> import numpy as np
    >>> S = np.array([[3.0, 0.0], [0.0, -1e-3]])
    >>> polar_factor(S)
    array([[ 1.,  0.],
           [ 0., -1.]])
    >>> polar_factor(S, cutoff=1e-2)
    array([[1., 0.],
           [0., 0.]])
    """
    given = matrices("S", S)
    xp = namespace(given.entries)
    # Adding zero turns the -0.0 of a product with nothing left in it into 0.0.
    factor = spectral_map(given.entries, lambda values: xp.astype(values > 0, values.dtype), cutoff) + 0.0
    return given.returned(factor)


def singular_values_below_cutoff(S: Array, cutoff: float | None = None) -> Array:
    """Return how many singular values the rank cut-off takes from S although they are not zero.

    A singular value at or below 4 √min(k, d) eps times the largest cannot be told from the rounding of S and
    does not count; one above it, up to and including ``cutoff`` times the largest, does. Where the count is
    not 0, the spectral direction leaves out a direction that the matrix has.

    Args:
        S: matrices [..., k, d].
        cutoff: as for :func:`polar_factor`.

    Returns:
        The counts [...], of integers; 0 for a matrix with an entry that is not finite.

    Raises:
        InvalidArgument: as for :func:`polar_factor`.

    >>> import numpy as np
    >>> int(singular_values_below_cutoff(np.diag([1.0, 1e-3, 5e-14, 1e-17])))
    1
    """
    entries = matrices("S", S).entries
    xp = namespace(entries)
    values, _ = singular_values(entries)
    largest = values[..., :1]
    rounding = 4 * math.sqrt(min(entries.shape[-2:])) * float(xp.finfo(entries.dtype).eps)
    below = (values > rounding * largest) & (values <= _checked_cutoff(cutoff, entries) * largest)
    return xp.sum(xp.astype(below, xp.int64), axis=-1)


def singular_values(S: Array) -> tuple[Array, Array]:
    """Return the singular values of S over its largest modulus, and that modulus.

    Args:
        S: matrices [..., k, d] of float32 or float64.

    Returns:
        The values [..., min(k, d)], descending and in [0, √(k d)], so that no power of them overflows; and
        the moduli [...]. Values are NaN for a matrix with an entry that is not finite.

    >>> import numpy as np
    >>> values, largest = singular_values(np.diag([3e300, 4e300]))
    >>> values * 4, float(largest)
    (array([4., 3.]), 4e+300)
    """
    xp = namespace(S)
    wide = _wide(S)
    rows, columns = wide.matrix.shape[-2:]
    if rows <= 1:
        values = xp.sqrt(xp.sum(wide.matrix * wide.matrix, axis=-1))
    elif columns >= _QR_ASPECT * rows:
        values = xp.linalg.svdvals(xp.linalg.qr(xp.matrix_transpose(wide.matrix))[1])
    else:
        values = xp.linalg.svdvals(wide.matrix)
    return values + not_finite_as_nan(wide.largest)[..., None], wide.largest


def spectral_map(S: Array, function: Callable[[Array], Array], cutoff: float | None = None) -> Array:
    """Return U diag(f(σ)) Vᵀ of S = U diag(σ) Vᵀ, with the σ at or below the rank cut-off set to zero.

    Args:
        S: matrices [..., k, d] of float32 or float64.
        function: f, which receives the singular values [..., min(k, d)] in descending order, up to a positive
            factor common to a matrix, and maps 0 to 0.
        cutoff: as for :func:`polar_factor`.

    >>> import numpy as np
    >>> spectral_map(np.diag([4.0, 2.0]), lambda values: values**2 / values[..., :1] ** 2)
    array([[1.  , 0.  ],
           [0.  , 0.25]])
    """
    xp = namespace(S)
    relative = _checked_cutoff(cutoff, S)
    wide = _wide(S)
    rows, columns = wide.matrix.shape[-2:]
    if rows <= 1:
        values = xp.sqrt(xp.sum(wide.matrix * wide.matrix, axis=-1, keepdims=True))
        mapped = wide.matrix / xp.where(values > 0, values, 1.0) * function(values)
    elif columns >= _QR_ASPECT * rows:
        Q, R = xp.linalg.qr(xp.matrix_transpose(wide.matrix))
        mapped = xp.matmul(_map(xp.matrix_transpose(R), function, relative), xp.matrix_transpose(Q))
    else:
        mapped = _map(wide.matrix, function, relative)
    return wide.restored(mapped) + not_finite_as_nan(wide.largest)[..., None, None]


def _map(S: Array, function: Callable[[Array], Array], cutoff: float) -> Array:
    xp = namespace(S)
    U, values, Vt = xp.linalg.svd(S, full_matrices=False)
    kept = xp.where(values > cutoff * values[..., :1], values, 0.0)
    return xp.matmul(U * function(kept)[..., None, :], Vt)


def _checked_cutoff(cutoff: float | None, S: Array) -> float:
    if cutoff is None:
        return rank_cutoff(S.dtype, namespace(S))
    if isinstance(cutoff, bool) or not isinstance(cutoff, numbers.Real) or not 0 <= cutoff < 1:
        remedy = "give a number in [0, 1), relative to the largest singular value"
        raise InvalidArgument("cutoff", cutoff, remedy)
    return float(cutoff)


class _Wide(NamedTuple):
    """Matrices made ready for SVD: finite, largest modulus 1, rows ≤ columns, graded ones in order."""

    matrix: Array
    largest: Array
    order: tuple[Array, Array] | None
    transposed: bool

    def restored(self, mapped: Array) -> Array:
        """Return a matrix of the same kind in the order and shape of the original."""
        xp = namespace(mapped)
        if self.order is not None:
            rows, columns = self.order
            mapped = _permuted(mapped, xp.argsort(rows, axis=-1), xp.argsort(columns, axis=-1))
        return xp.matrix_transpose(mapped) if self.transposed else mapped


def _wide(S: Array) -> _Wide:
    xp = namespace(S)
    transposed = S.shape[-2] > S.shape[-1]
    if transposed:
        S = xp.matrix_transpose(S)
    if 0 in S.shape[-2:]:
        return _Wide(S, xp.sum(S, axis=(-2, -1)), None, transposed)
    moduli = xp.abs(S)
    sizes = xp.max(moduli, axis=-1), xp.max(moduli, axis=-2)
    largest = xp.max(sizes[0], axis=-1)
    order = _graded_order(sizes, largest) if S.shape[-2] > 1 else None
    # LAPACK refuses NaN; 0 takes its place here, and the callers put the NaN back.
    scaled = xp.where(xp.isfinite(largest)[..., None, None], unit_scaled(S, largest), 0.0)
    return _Wide(scaled if order is None else _permuted(scaled, *order), largest, order, transposed)


def _graded_order(sizes: tuple[Array, Array], largest: Array) -> tuple[Array, Array] | None:
    """Return the order of the rows and columns of graded matrices, largest first; None if none is graded.

    Matrices of the batch that are not graded keep their order, so that a result never depends on its
    neighbours.
    """
    xp = namespace(largest)
    floor = (_UNGRADED * largest)[..., None]
    # A zero row or column stays zero under every reflection, wherever it stands.
    graded = [xp.any((size < floor) & (size > 0), axis=-1, keepdims=True) for size in sizes]
    either = graded[0] | graded[1]
    if not bool(xp.any(either)):
        return None
    rows, columns = (
        xp.where(either, xp.argsort(size, axis=-1, descending=True), _positions(size)) for size in sizes
    )
    return rows, columns


def _positions(sizes: Array) -> Array:
    return namespace(sizes).arange(sizes.shape[-1], device=device(sizes))


def _permuted(S: Array, rows: Array, columns: Array) -> Array:
    xp = namespace(S)
    entries = rows[..., :, None] * S.shape[-1] + columns[..., None, :]
    flat = (*S.shape[:-2], S.shape[-2] * S.shape[-1])
    return xp.reshape(xp.take_along_axis(xp.reshape(S, flat), xp.reshape(entries, flat), axis=-1), S.shape)
