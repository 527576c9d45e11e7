"""The same quantities in mpmath with 60 digits: the independent truth that exactness is measured against."""

from __future__ import annotations

import mpmath
import numpy as np

DIGITS = 60


def frobenius(matrix):
    """Return the Frobenius norm of an mpmath matrix."""
    return mpmath.sqrt(mpmath.fsum(entry**2 for entry in matrix))


def residuals_and_loss(loss_name, a):
    """Return (residuals of the classes, loss) of a sample with log-odds ``a``, from the definitions."""
    if loss_name == "pairwise-logistic":
        return [1 / (1 + mpmath.exp(-each)) for each in a], mpmath.fsum(
            mpmath.log1p(mpmath.exp(each)) for each in a
        )
    if loss_name == "pairwise-arsinh":
        e = [mpmath.exp(each) for each in a]
        return [each / mpmath.sqrt(1 + each**2) for each in e], mpmath.fsum(map(mpmath.asinh, e))
    margin = mpmath.mpf(loss_name.removeprefix("additive-margin-")) if "margin" in loss_name else 0
    e = [mpmath.exp(each + margin) for each in a]
    total = mpmath.fsum(e)
    if loss_name == "exponential":
        return e, total
    return [each / (1 + total) for each in e], mpmath.log1p(total)


def gradient_and_logs(X, labels, W, loss_name, digits=DIGITS):
    """Return (gradient as an mpmath matrix [k, d], log-loss, log-proxy) of samples X [n, d] at W [k, d]."""
    with mpmath.workdps(digits):
        n, d = X.shape
        k = W.shape[0]
        X = [[mpmath.mpf(float(v)) for v in row] for row in X]
        W = [[mpmath.mpf(float(v)) for v in row] for row in W]
        gradient = mpmath.zeros(k, d)
        loss = proxy = mpmath.mpf(0)
        for i in range(n):
            y = int(labels[i])
            logits = [mpmath.fsum(W[c][j] * X[i][j] for j in range(d)) for c in range(k)]
            others = [c for c in range(k) if c != y]
            residuals, sample_loss = residuals_and_loss(loss_name, [logits[c] - logits[y] for c in others])
            loss += sample_loss
            proxy += mpmath.fsum(residuals)
            for c, residual in [*zip(others, residuals, strict=True), (y, -mpmath.fsum(residuals))]:
                for j in range(d):
                    gradient[c, j] += residual * X[i][j] / n
        return gradient, mpmath.log(loss / n), mpmath.log(proxy / n)


def direction_error(scaled, exact, digits=DIGITS):
    """Return ‖S/‖S‖ - E/‖E‖‖ in the Frobenius norm for a Scaled [k, d] and an mpmath matrix E."""
    with mpmath.workdps(digits):
        mantissa = mpmath.matrix(np.asarray(scaled.mantissa).tolist())
        return float(frobenius(mantissa / frobenius(mantissa) - exact / frobenius(exact)))


def log_size(matrix, digits=DIGITS):
    """Return the natural logarithm of the Frobenius norm of an mpmath matrix."""
    with mpmath.workdps(digits):
        return mpmath.log(frobenius(matrix))
