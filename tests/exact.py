"""The same quantities in mpmath with 60 digits: the independent truth that exactness is measured against."""

from __future__ import annotations

import mpmath
import numpy as np

DIGITS = 60


def frobenius(matrix):
    """Return the Frobenius norm of an mpmath matrix."""
    return mpmath.sqrt(mpmath.fsum(entry**2 for entry in matrix))


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
            exponentials = [mpmath.exp(logits[c] - logits[y]) if c != y else mpmath.mpf(0) for c in range(k)]
            total = mpmath.fsum(exponentials)
            scale = 1 / (1 + total) if loss_name == "cross-entropy" else mpmath.mpf(1)
            loss += mpmath.log1p(total) if loss_name == "cross-entropy" else total
            proxy += total * scale
            for c in range(k):
                residual = exponentials[c] * scale if c != y else -total * scale
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
