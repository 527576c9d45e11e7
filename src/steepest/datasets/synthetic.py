"""Random data sets of the experiments, each drawn from one seed."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from steepest.arguments import one_of, real_number, whole_number
from steepest.datasets.catalogue import data_set
from steepest.errors import InvalidArgument
from steepest.problem import Classification

_MOST_NUMBERS = 2**59
"""Of features, n d: NumPy cannot count the bytes of more."""
_LARGEST_FACTOR = 1e300
_POSITIVE = "give a finite number greater than 0"


@data_set("gaussian")
def gaussian(
    classes: int = 10,
    samples_per_class: int = 10,
    features: int = 100,
    scale: float = 0.1,
    seed: int = 0,
) -> Classification:
    """Features that say nothing of the class, X_ij ~ N(0, scale²): the paper's setting by default.

    Such data is linearly separable almost surely while d ≥ n - 1. Shapes: X [n, d] and y [n] with
    n = classes · samples_per_class, sorted by class.

    Args:
        classes: number of classes k, from 2 up.
        samples_per_class: samples of each class.
        features: number of features d.
        scale: standard deviation of every feature.
        seed: seed of the random draw, from 0 up.

    Raises:
        InvalidArgument: fewer than two classes, a count below 1, a scale that is not positive and finite,
            or a negative seed.

    >>> problem = gaussian(seed=1)
    >>> problem.samples, problem.dimension, problem.n_classes
    (100, 100, 10)
    """
    features = whole_number("features", features, at_least=1)
    labels = _balanced_labels(classes, samples_per_class, features)
    scale = _factor("scale", scale)
    X = scale * _generator("gaussian", seed).standard_normal((len(labels), features))
    return Classification(X, labels, name="gaussian")


@data_set("mixture")
def mixture(
    classes: int = 5,
    samples_per_class: int = 40,
    features: int = 50,
    separation: float = 1.5,
    seed: int = 0,
) -> Classification:
    """A Gaussian cloud around a random mean for each class: x = separation · μ_y + ε with μ, ε ~ N(0, I/d).

    Its max margin rests on few samples, so that small batches often hold no support vector. Shapes: X [n, d]
    and y [n] with n = classes · samples_per_class, sorted by class.

    Args:
        classes: number of classes k, from 2 up.
        samples_per_class: samples of each class.
        features: number of features d.
        separation: how far the means lie apart, in units of the spread inside a class.
        seed: seed of the random draw, from 0 up.

    Raises:
        InvalidArgument: fewer than two classes, a count below 1, a separation that is not positive and
            finite, or a negative seed.

    >>> problem = mixture()
    >>> problem.samples, problem.dimension, problem.n_classes
    (200, 50, 5)
    """
    features = whole_number("features", features, at_least=1)
    labels = _balanced_labels(classes, samples_per_class, features)
    separation = _factor("separation", separation)
    rng = _generator("mixture", seed)
    means = rng.standard_normal((classes, features)) / math.sqrt(features)
    noise = rng.standard_normal((len(labels), features)) / math.sqrt(features)
    return Classification(separation * means[labels] + noise, labels, name="mixture")


@data_set("orthogonal")
def orthogonal_scale_skewed(
    classes: int = 5,
    samples: int = 100,
    smallest_scale: float = 0.5,
    largest_scale: float = 3.0,
    seed: int = 0,
    *,
    hard_classes: Literal["independent", "rare", "frequent"] = "independent",
) -> Classification:
    """Samples along their own class's axis, x_i = α_i e_{y_i}, with scales and counts that differ by class.

    Every class has one sample, and the others fall to the classes by a multinomial draw with probabilities in
    proportion to a geometric sequence from ``smallest_scale`` to ``largest_scale``. The scales of class c are
    α_i ~ U[l_c, 2 l_c], where l_c runs through the same sequence in an order of its own, drawn independently
    of the counts: "class frequency decoupled from sample hardness" (Appendix J). Classes of small scale are
    the hard ones. For contrast ``hard_classes`` couples the two: "rare" gives the rarest class the smallest
    scales, "frequent" the largest; the counts of a seed are the same in all three. Shapes: X [n, k], y [n],
    sorted by class. This is the data of Section 4.4 and Theorem 4.9: with batches of one sample, descent
    follows the counts alone, not the scales.

    Args:
        classes: number of classes k, from 2 up.
        samples: number of samples n over all classes, from k up.
        smallest_scale: lower end of the scales of the hardest class.
        largest_scale: lower end of the scales of the easiest class.
        seed: seed of the random draw, from 0 up.
        hard_classes: "independent" of how frequent they are, or the "rare" or the "frequent" ones.

    Raises:
        InvalidArgument: fewer than two classes, fewer samples than classes, scales that are not positive,
            finite and in order, an unknown ``hard_classes``, or a negative seed.

    >>> problem = orthogonal_scale_skewed()
    >>> np.bincount(problem.labels)
    array([ 8, 10, 24, 30, 28])
    """
    classes = whole_number("classes", classes, at_least=2)
    samples = whole_number("samples", samples, at_least=classes)
    _require_room(samples, classes)
    smallest_scale = _factor("smallest_scale", smallest_scale)
    largest_scale = _factor("largest_scale", largest_scale)
    if largest_scale < smallest_scale:
        raise InvalidArgument(
            "largest_scale", largest_scale, f"give at least smallest_scale ({smallest_scale})"
        )
    one_of("hard_classes", hard_classes, ("independent", "rare", "frequent"))
    rng = _generator("orthogonal", seed)
    lowest = np.geomspace(smallest_scale, largest_scale, classes)
    counts = 1 + rng.multinomial(samples - classes, lowest / lowest.sum())
    labels = np.repeat(np.arange(classes), counts)
    if hard_classes == "frequent":
        lowest = lowest[::-1]
    elif hard_classes == "independent":
        lowest = rng.permutation(lowest)
    scales = rng.uniform(lowest[labels], 2 * lowest[labels])
    return Classification(scales[:, None] * np.eye(classes)[labels], labels, name="orthogonal")


def _factor(argument: str, value: float) -> float:
    factor = real_number(argument, value, _POSITIVE, above=0)
    if factor > _LARGEST_FACTOR:
        raise InvalidArgument(
            argument, value, f"features so large leave float64: give at most {_LARGEST_FACTOR:g}"
        )
    return factor


def _generator(name: str, seed: int) -> np.random.Generator:
    seed = whole_number("seed", seed, at_least=0)
    # The name keeps the streams of two data sets apart, and apart from shuffling with the same seed.
    return np.random.default_rng([*name.encode(), int(seed)])


def _balanced_labels(classes: int, samples_per_class: int, features: int) -> np.ndarray:
    classes = whole_number("classes", classes, at_least=2)
    samples_per_class = whole_number("samples_per_class", samples_per_class, at_least=1)
    _require_room(classes * samples_per_class, features)
    return np.repeat(np.arange(classes), samples_per_class)


def _require_room(samples: int, features: int) -> None:
    if samples * features > _MOST_NUMBERS:
        raise InvalidArgument(
            "features", f"{samples} × {features}", f"give at most {_MOST_NUMBERS} numbers in all"
        )
