"""Features spread over a Dask array give what arrays give; two workers make their products."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest

import steepest as st
from steepest.errors import InvalidData
from steepest.features import SpreadRows

da: Any = import_module("dask.array")
distributed: Any = import_module("distributed")


@pytest.fixture(autouse=True)
def _as_if_large(monkeypatch):
    """Scan however small the features are."""
    monkeypatch.setattr("steepest.maxmargin.solve._SMALL", 0)


def clusters(samples=600, dtype: type = np.float32):
    rng = np.random.default_rng(0)
    y = np.arange(samples) % 3
    return (rng.normal(size=(samples, 5)) + 8.0 * np.eye(3, 5)[y]).astype(dtype), y


def assert_same(found, direct, gap):
    assert found.relative_gap <= gap
    assert max(found.margin, direct.margin) <= min(found.upper_bound, direct.upper_bound)


@pytest.mark.parametrize(
    ("norm", "terms"),
    [("frobenius", {}), ("frobenius", {"nu": 0.2}), ("spectral", {"nu": 0.2, "intercept": True})],
)
def test_margins_are_those_of_arrays(norm, terms):
    X, y = clusters()
    spread = st.Classification(da.from_array(X, chunks=(250, 2)), y)
    found = st.max_margin(spread, norm, 1e-4, **terms)
    assert_same(found, st.max_margin(st.Classification(X, y), norm, 1e-6, **terms), 1e-4)


def test_two_workers_make_the_products():
    X, y = clusters()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        held = da.from_array(X, chunks=(150, 5)).persist()
        distributed.wait(held)
        found = st.max_margin(st.Classification(held, y), "frobenius", 1e-4, nu=0.2, intercept=True)
        assert len(client.scheduler_info()["workers"]) == 2
    assert_same(
        found, st.max_margin(st.Classification(X, y), "frobenius", 1e-6, nu=0.2, intercept=True), 1e-4
    )


def test_rows_come_in_order_of_their_chunks_and_as_asked_for():
    X, _ = clusters(10, np.float64)
    rows = SpreadRows(da.from_array(X, chunks=(4, 5)))
    assert [start for start, _ in rows.scan(lambda start, block: (start, block), 1 << 21)] == [0, 2, 4, 6, 8]
    assert np.array_equal(np.concatenate(list(rows.scan(lambda _, block: block, 1))), X)
    assert np.array_equal(rows.take(np.array([7, 1, 7])), X[[7, 1, 7]])


def test_what_cannot_be_is_refused_in_one_line():
    X, y = clusters(10, np.float64)
    X[7, 2] = np.nan
    with pytest.raises(InvalidData, match=r"X\[7, 2\]=nan"):
        st.Classification(da.from_array(X, chunks=(4, 5)), y)
    unknown = da.from_array(X, chunks=(4, 5))
    with pytest.raises(InvalidData, match="compute_chunk_sizes"):
        st.Classification(unknown[unknown[:, 0] > 0], y)
    spread = st.Classification(da.from_array(clusters(10)[0], chunks=(4, 5)), y)
    with pytest.raises(InvalidData, match=r"this needs an array: give X\.compute"):
        spread.features.sum()
