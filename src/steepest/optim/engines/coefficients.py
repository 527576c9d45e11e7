"""Published coefficients (a, b, c) of the iterations X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X.

Each step maps every singular value σ to a σ + b σ³ + c σ⁵ and leaves the singular vectors as they are; a set
of steps takes all σ from some bound on up to near 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from steepest.arguments import real_number, whole_number
from steepest.errors import InvalidArgument

__all__ = ["COEFFICIENTS", "CoefficientSet", "Triple", "coefficients", "mapped_value"]

Triple = tuple[float, float, float]

_REMEDY = "give three numbers (a, b, c) a step"


class CoefficientSet(NamedTuple):
    """Coefficients of the first steps, of those that follow, and how many steps are usual."""

    first: tuple[Triple, ...]
    then: Triple
    usual_steps: int

    def of_steps(self, steps: int) -> tuple[Triple, ...]:
        """Return the coefficients of so many steps, at least 1."""
        return (self.first + (self.then,) * max(0, steps - len(self.first)))[:steps]


_SAFETY = 1.01
_POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845749493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
)
_QUINTIC = (15 / 8, -10 / 8, 3 / 8)
_JORDAN = (3.4445, -4.7750, 2.0315)
_CESISTA = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)


def _safe(triple: Triple) -> Triple:
    """Return the coefficients for σ / 1.01, so that rounding takes no σ out of their range."""
    a, b, c = triple
    return a / _SAFETY, b / _SAFETY**3, c / _SAFETY**5


COEFFICIENTS: Mapping[str, CoefficientSet] = MappingProxyType(
    {
        "polar-express": CoefficientSet(tuple(map(_safe, _POLAR_EXPRESS)), _QUINTIC, 8),
        "newton-schulz": CoefficientSet((), _JORDAN, 5),
        "cesista": CoefficientSet(_CESISTA, _QUINTIC, 5),
        "cubic": CoefficientSet((), (1.5, -0.5, 0.0), 30),
        "quintic": CoefficientSet((), _QUINTIC, 20),
    }
)
"""Sets by name.

- polar-express: optimal in the worst case for σ in [1e-3, 1] (Amsel and others, arXiv 2505.16932)
- newton-schulz: of Jordan's Muon and of torch.optim.Muon; σ end in about [0.7, 1.2]
- cesista: five different steps of Cesista and Jiacheng, of which modded-nanogpt and dion made use
- cubic, quintic: the Newton-Schulz iterations that converge to the polar factor itself
"""


def coefficients(value: object) -> tuple[Triple, ...]:
    """Return coefficients that a caller lists, one triple a step.

    Raises:
        InvalidArgument: no triples of finite numbers.

    >>> coefficients([(1.5, -0.5, 0)])
    ((1.5, -0.5, 0.0),)
    """
    if not isinstance(value, (list, tuple)) or not value:
        raise InvalidArgument("coefficients", value, f"give one of {', '.join(COEFFICIENTS)}; or {_REMEDY}")
    return tuple(_triple(each) for each in value)


def _triple(value: object) -> Triple:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise InvalidArgument("coefficients", value, _REMEDY)
    a, b, c = (real_number("coefficients", each, _REMEDY) for each in value)
    return a, b, c


def mapped_value(value: float, triples: tuple[Triple, ...]) -> float:
    """Return what a singular value becomes, in exact steps.

    >>> round(mapped_value(1e-3, COEFFICIENTS["polar-express"].of_steps(8)), 3)
    1.0
    """
    for a, b, c in triples:
        value = value * (a + b * value**2 + c * value**4)
    return value


def checked_steps(value: object) -> int:
    """Return a number of steps from 1 to 100."""
    steps = whole_number("steps", value, 1, "give a whole number from 1 to 100")
    if steps > 100:
        raise InvalidArgument("steps", value, "give a whole number from 1 to 100")
    return steps
