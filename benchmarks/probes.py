"""Linear probes: estimators of steepest beside scikit-learn's, on features that are given.

Each classifier is fitted to the same 70 % of the samples, standardised but for text, on one thread in a
process of its own; seconds are those of the processor. Accuracy is that on the other 30 %. The margin of a
classifier in a norm is the smallest of its training rows over the norm of its weights, intercepts not
counted, as a share of the upper bound that MaxMarginClassifier certifies; none where a row is misclassified.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse

import steepest as st
from benchmarks.tables import machine, print_table

NORMS = ("frobenius", "spectral", "nuclear", "max", "sum")
DATA = ("digits", "breast-cancer", "wine", "clusters", "text")
OURS = "MaxMarginClassifier"

Result = dict[str, Any]


def samples(name: str) -> tuple[Any, Any]:
    """Return features and labels of a data set."""
    from sklearn import datasets as of_sklearn

    datasets: Any = of_sklearn
    generator = np.random.default_rng(0)
    if name == "digits":
        return datasets.load_digits(return_X_y=True)
    if name == "breast-cancer":
        return datasets.load_breast_cancer(return_X_y=True)
    if name == "wine":
        return datasets.load_wine(return_X_y=True)
    if name == "clusters":
        # As embeddings of 20 kinds of objects are: directions with noise of the same size all around.
        y = np.arange(2000) % 20
        return generator.normal(size=(20, 256))[y] + 4.0 * generator.normal(size=(2000, 256)), y
    return _text(generator)


def _text(generator: np.random.Generator) -> tuple[Any, np.ndarray]:
    """Return weighted word counts of 1500 texts on 5 subjects, 3000 words, as a sparse matrix."""
    from sklearn.feature_extraction.text import TfidfTransformer

    y = np.arange(1500) % 5
    common = 1.0 / np.arange(1, 3001)
    of_subject = common * generator.gamma(8.0, size=(5, 3000))
    of_subject /= of_subject.sum(axis=1, keepdims=True)
    counts = np.stack([generator.multinomial(generator.integers(40, 160), of_subject[c]) for c in y])
    return TfidfTransformer().fit_transform(sparse.csr_array(counts)), y


def parts(name: str) -> tuple[Any, Any, Any, Any]:
    """Return features to train on and to test on, and their labels."""
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    X, y = samples(name)
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    if not sparse.issparse(X):
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    return train, test, y_train, y_test


def classifiers() -> dict[str, Callable[[], Any]]:
    """Return the classifiers by the names that the table gives them."""
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.svm import LinearSVC

    own = {
        f"{OURS} {norm}": lambda norm=norm: st.estimators.MaxMarginClassifier(norm, time_limit=60.0)
        for norm in NORMS
    }
    known = {
        **own,
        "MaxMarginPathCV frobenius": lambda: st.estimators.MaxMarginPathCV(5, cv=3, gap=1e-2),
        "SteepestDescent spectral": lambda: st.estimators.SteepestDescentClassifier(
            "spectral", batch_size=64, momentum=0.9, max_iter=50, random_state=0
        ),
        "LinearSVC ovr": lambda: LinearSVC(random_state=0, max_iter=100_000),
        "LinearSVC crammer_singer": lambda: LinearSVC(
            multi_class="crammer_singer", random_state=0, max_iter=100_000
        ),
        "LogisticRegression": lambda: LogisticRegression(max_iter=1000),
        "SGDClassifier": lambda: SGDClassifier(random_state=0),
    }
    if find_spec("skglm") is not None:
        known["skglm LinearSVC"] = _skglm
    return known


def _skglm() -> Any:
    from skglm import LinearSVC  # pyright: ignore[reportMissingImports]
    from sklearn.multiclass import OneVsRestClassifier

    return OneVsRestClassifier(LinearSVC(C=1.0))


def measure(name: str, label: str) -> Result:
    """Fit one classifier here, warm: processor seconds, MiB, accuracy, and margins in every norm."""
    train, test, y_train, y_test = parts(name)
    warm_X, warm_y = samples("wine")
    make = classifiers()[label]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make().fit(warm_X[::4], warm_y[::4])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        fitted = make().fit(train, y_train)
        seconds = time.process_time() - started
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found = {
        "seconds": seconds,
        "memory": memory,
        "accuracy": float(fitted.score(test, y_test)),
        "margins": {norm: margin(fitted, train, y_train, norm) for norm in NORMS},
    }
    if label.startswith(OURS):
        found |= {"upper": fitted.upper_bound_, "gap": fitted.gap_, "nu": fitted.nu_}
    return found


def margin(fitted: Any, X: Any, y: np.ndarray, norm: str) -> float:
    """Return the smallest pair margin of the rows over the norm of the weights, of both classes where two."""
    coef, scores = fitted.coef_, fitted.decision_function(X)
    codes = np.searchsorted(fitted.classes_, y)
    if len(fitted.classes_) == 2:
        coef, scores = np.concatenate([-coef, coef]) / 2, np.stack([-scores, scores], axis=1) / 2
    true = np.take_along_axis(scores, codes[:, None], axis=1)
    others = np.where(np.arange(scores.shape[1]) == codes[:, None], -np.inf, scores)
    size = float(st.norm(norm)(coef))
    return float((true[:, 0] - others.max(axis=1)).min()) / size if size > 0 else 0.0


def in_process(name: str, label: str, limit: float) -> Result | None:
    """Run ``measure`` in a process of its own, on one thread; None where it fails or exceeds the limit."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", "probes", name, "--one", label],
            env=os.environ | threads,
            capture_output=True,
            timeout=limit,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    return json.loads(done.stdout.splitlines()[-1])


def rows(name: str, limit: float) -> list[list[str]]:
    """Return a row for every classifier on one data set."""
    measured = {label: in_process(name, label, limit) for label in classifiers()}
    best = {norm: measured[f"{OURS} {norm}"] for norm in NORMS}
    # A soft margin bounds no hard one.
    upper = {norm: each["upper"] if each and each["nu"] is None else math.nan for norm, each in best.items()}
    return [_row(name if first == 0 else "", *line, upper) for first, line in enumerate(measured.items())]


def _row(name: str, label: str, found: Result | None, upper: dict[str, float]) -> list[str]:
    if found is None:
        return [name, label, "none within the limit", *[""] * (3 + len(NORMS))]
    shares = [_share(found["margins"][norm], upper[norm]) for norm in NORMS]
    certified = f"{found['gap']:.0e}" if "gap" in found else ""
    if found.get("nu") is not None:
        certified += f" (nu={found['nu']:.2g})"
    numbers = [f"{found['accuracy']:.3f}", f"{found['seconds']:.2f}", f"{found['memory']:.0f}"]
    return [name, label, *numbers, certified, *shares]


def _share(margin: float, upper: float) -> str:
    return f"{margin / upper:.3f}" if margin > 0 and math.isfinite(upper) else "none"


def run(argv: list[str]) -> None:
    """Print the table of `python -m benchmarks probes`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks probes", description=__doc__)
    parser.add_argument("data", nargs="*", help=f"of {', '.join(DATA)}; all if none")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds a classifier may take")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    names: list[str] = options.data or [*DATA]
    if options.one:
        print(json.dumps(measure(names[0], options.one)))
        return
    print(machine("numpy", "scipy", "scikit-learn"))
    columns = ("data", "classifier", "accuracy", "seconds", "MiB", "certified gap", *NORMS)
    print_table(columns, [row for name in names for row in rows(name, options.limit)])
