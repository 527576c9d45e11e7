"""Data from files: every format read back exactly, and every defect named with its place and remedy."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steepest.datasets import from_file
from steepest.errors import DataFileError, SteepestError

FRAME = pd.DataFrame({"a": [1.5, 2.0, -1.0], "b": [3, 4, 5], "label": ["rose", "tulip", "rose"]})


def written(tmp_path, name, content):
    """Write text, bytes or, through a function of the path, anything else."""
    path = tmp_path / name
    if callable(content):
        content(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")
    return path


def csv(frame, **options):
    return lambda path: frame.to_csv(path, index=False, **options)


def parquet(frame):
    return frame.to_parquet


def npz(**arrays_by_name):
    return lambda path: np.savez(path, **arrays_by_name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", csv(FRAME)),
        ("t.CSV", csv(FRAME)),
        ("t.csv", csv(FRAME, lineterminator="\r\n")),
        ("t.csv", csv(FRAME, encoding="utf-8-sig")),
        ("t.csv", csv(FRAME[["label", "a", "b"]])),
        ("t.csv", csv(FRAME, header=False)),
        ("t.csv", "a,b,label\n\n1.5,3,rose\n2,4,tulip\n\n-1.0,5,rose\n\n"),
        ("t.csv", 'a,"b",label\n1.5,"3","rose"\n2,4,tulip\n-1,5,rose'),
        ("t.parquet", parquet(FRAME)),
        ("t.parquet", parquet(FRAME.astype({"label": "category", "b": "Int64", "a": "Float64"}))),
        ("t.npz", npz(X=FRAME[["a", "b"]].to_numpy(), y=FRAME["label"].to_numpy(str))),
        ("t.npz", npz(labels=FRAME["label"].to_numpy(str), Features=FRAME[["a", "b"]].to_numpy())),
    ],
)
def test_every_form_of_the_same_data_is_the_same_problem(tmp_path, name, content):
    problem = from_file(written(tmp_path, name, content))
    assert np.asarray(problem.features).tolist() == [[1.5, 3.0], [2.0, 4.0], [-1.0, 5.0]]
    assert problem.classes.tolist() == ["rose", "tulip"]
    assert problem.labels.tolist() == [0, 1, 0]
    assert problem.classes.dtype.kind == "U"
    assert problem.name == name


@given(
    X=arrays(np.float64, (4, 3), elements=st.floats(allow_nan=False, allow_infinity=False)),
    suffix=st.sampled_from(["csv", "parquet", "npz"]),
)
def test_every_finite_float_survives_exactly(tmp_path_factory, X, suffix):
    path = tmp_path_factory.mktemp("exact") / f"t.{suffix}"
    frame = pd.DataFrame(X, columns=["p", "q", "r"]).assign(y=[0, 1, 0, 1])
    {"csv": csv(frame), "parquet": parquet(frame), "npz": npz(X=X, y=frame["y"].to_numpy())}[suffix](path)
    np.testing.assert_array_equal(from_file(path).features, X)


@pytest.mark.parametrize(
    ("header", "label", "classes"),
    [
        ("a,b,c", "a", [1, 4]),
        ("a,b,c", 1, [2, 5]),
        ("a,b,c", "1", [2, 5]),
        ("a,b,c", -3, [1, 4]),
        ("a,b,c", None, [3, 6]),
        ("a,Class,c", None, [2, 5]),
        ("target,b,y", None, [3, 6]),
        ("target,b,label", None, [3, 6]),
        ("0,1,label", "1", [2, 5]),
        ("2,1,0.5", 0, [1, 2, 4]),
        ("2,1,0.5", "0", [1, 2, 4]),
    ],
)
def test_the_label_is_found_by_name_then_position_then_usual_names_then_last(
    tmp_path, header, label, classes
):
    path = written(tmp_path, "t.csv", f"{header}\n1,2,3\n4,5,6\n")
    assert from_file(path, label).classes.tolist() == classes


def test_an_archive_takes_the_label_by_the_arrays_name(tmp_path):
    path = written(tmp_path, "t.npz", npz(X=np.eye(2), y=[0, 1], other=["u", "v"]))
    assert from_file(path, "other").classes.tolist() == ["u", "v"]


def test_the_users_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, "t.csv", csv(FRAME))
    assert from_file("~/t.csv").samples == 3


def truncated(path):
    np.savez_compressed(path, X=np.random.default_rng(0).normal(size=(50, 50)), y=np.arange(50))
    path.write_bytes(path.read_bytes()[:5000])


def damaged(path):
    np.savez_compressed(path, X=np.random.default_rng(0).normal(size=(50, 50)), y=np.arange(50))
    content = bytearray(path.read_bytes())
    content[500:700] = bytes(200)
    path.write_bytes(content)


def plain_array(path):
    with path.open("wb") as stream:
        np.save(stream, np.eye(2))


class Malicious:
    def __reduce__(self):
        return exec, ("raise SystemExit('this ran')",)


NO_FEATURE = "give finite numbers, drop it, or name it as the label"
OBJECTS = np.array([Malicious(), Malicious()], dtype=object)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "a,b\n1,2\n", "its name ends in .txt: give a .npz, .csv or .parquet file"),
        ("t", "a,b\n1,2\n", "its name has no ending: give a .npz, .csv or .parquet file"),
        ("t.csv", lambda path: None, "there is no such file"),
        ("t.csv", lambda path: path.mkdir(), "this is a folder: give the file inside it"),
        ("t.csv", "", "the file is empty: write a row for each sample"),
        ("t.csv", "\n\n", "the file is empty: write a row for each sample"),
        ("t.csv", "a,b,y\n", "only one line (a,b,y): write a row for each sample"),
        ("t.csv", "a;b;y\n1;2;0\n", "only one column ('a;b;y'): separate features and label by commas"),
        ("t.csv", "a,b,y\n1,2,0\n3,4\n", "line 3 has 2 values, the first has 3: make them equal"),
        ("t.csv", "a,b,y\n1,2,0\n3,4,1,1\n", "line 3 has 4 values, the first has 3: make them equal"),
        ("t.csv", "a,b,y\n1,2,0,9\n3,4,1,9\n", "line 2 has 4 values, the first has 3: make them equal"),
        (
            "t.csv",
            "a,b,y\n1,,0\n3,,1\n",
            f"column 'b' has no value in row 1 (2 missing): {NO_FEATURE}",
        ),
        ("t.csv", "a,b,y\n1,2,0\n3,4,\n", "no label in row 2 of column 'y': give one, or drop the row"),
        (
            "t.csv",
            "a,b,y\n1,2,0\n3,red,1\n",
            f"column 'b' holds 'red' in row 2 (1 like it): {NO_FEATURE}",
        ),
        (
            "t.csv",
            "a,b,y\n1,2,0\n3,inf,1\n",
            f"column 'b' holds inf in row 2 (1 like it): {NO_FEATURE}",
        ),
        ("t.csv", "a,b,y\n1,2,0\n3,4,0\n", "y=[0]: give samples of at least two classes"),
        (
            "t.csv",
            "a,b,c\n1,2,0.5\n3,4,1\n",
            "no column is called label, labels, y, target, class, and the last, 'c', holds fractions",
        ),
        (
            "t.csv",
            "0,1,x\n3,4,y\n",
            "its first line, 0,1,x, may be a header or a sample: write a header with names",
        ),
        (
            "t.csv",
            FRAME.to_csv,
            "the first column has no name and numbers the rows: leave it out (index=False)",
        ),
        ("t.csv", b"a,y\n1,caf\xe9\n", "the file cannot be read ('utf-8' codec can't decode byte 0xe9"),
        ("t.parquet", "a,y\n1,2\n", "this is no parquet file ("),
        (
            "t.parquet",
            parquet(FRAME[:0]),
            "no rows under the header a, b, label: write a row for each sample",
        ),
        ("t.parquet", parquet(FRAME[["a"]]), "only one column (a): give features and a label"),
        (
            "t.parquet",
            parquet(FRAME.assign(b=pd.date_range("2026-01-01", periods=3))),
            "column 'b' holds datetime64",
        ),
        (
            "t.parquet",
            parquet(FRAME.assign(b=[["x"], ["y"], ["z"]])),
            "column 'b' holds array(['x'], dtype=object) in row 1 (3 like it)",
        ),
        (
            "t.parquet",
            parquet(FRAME.assign(b=pd.array([1, None, 2], dtype="Int64"))),
            "column 'b' has no value in row 2 (1 missing)",
        ),
        ("t.npz", npz(X=np.eye(2), z=[0, 1]), "no array of labels (it holds X, z): save it as y"),
        ("t.npz", npz(q=np.eye(2), y=[0, 1]), "no array of features (it holds q, y): save it as X"),
        ("t.npz", npz(), "no array of labels (it holds nothing): save it as y"),
        ("t.npz", npz(X=np.eye(3), y=[0, 1]), "y=(2,): give one label for each of the 3 samples, shape [3]"),
        ("t.npz", npz(X=[[1, np.nan], [1, 2]], y=[0, 1]), "X[0, 1]=nan: replace values that are not finite"),
        (
            "t.npz",
            npz(X=np.eye(2), y=OBJECTS),
            "array y holds Python objects, which can run code when read: save numbers or text",
        ),
        (
            "t.npz",
            lambda path: path.write_bytes(pickle.dumps(OBJECTS)),
            "this is no .npz archive: write it with",
        ),
        ("t.npz", "X,y\n1,2\n", "this is no .npz archive: write it with numpy.savez(file, X=X, y=y)"),
        ("t.npz", plain_array, "this is no .npz archive: write it with numpy.savez(file, X=X, y=y)"),
        ("t.npz", truncated, "this is no .npz archive: write it with numpy.savez(file, X=X, y=y)"),
        ("t.npz", damaged, "this is no .npz archive: write it with numpy.savez(file, X=X, y=y)"),
    ],
)
def test_a_defect_is_named_with_the_file_what_was_found_and_the_remedy(tmp_path, name, content, message):
    path = written(tmp_path, name, content)
    with pytest.raises(DataFileError, match=f"^{re.escape(f'{path}: {message}')}"):
        from_file(path)


@pytest.mark.parametrize(
    ("name", "content", "label", "message"),
    [
        (
            "t.csv",
            csv(FRAME),
            "colour",
            "no column 'colour': name one of a, b, label, or give a position from 0",
        ),
        ("t.csv", csv(FRAME), 3, "no column 3: name one of a, b, label, or give a position from 0 to 2"),
        ("t.csv", csv(FRAME), -4, "no column -4: name one of a, b, label"),
        (
            "t.npz",
            npz(X=np.eye(2), y=[0, 1]),
            "z",
            "no array of labels called 'z' (it holds X, y): save it as y",
        ),
        ("t.npz", npz(X=np.eye(2), y=[0, 1]), "X", "no array of features (it holds X, y): save it as X"),
    ],
)
def test_a_label_that_is_not_there_is_answered_with_those_that_are(tmp_path, name, content, label, message):
    path = written(tmp_path, name, content)
    with pytest.raises(DataFileError, match=f"^{re.escape(f'{path}: {message}')}"):
        from_file(path, label)


@given(content=st.binary(max_size=200), suffix=st.sampled_from(["csv", "parquet", "npz"]))
def test_any_bytes_give_data_or_an_error_of_ours(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("bytes") / f"t.{suffix}"
    path.write_bytes(content)
    assert str(path) in refusal(path)


def refusal(path):
    """Return the message of the error of ours, or the path where there is none."""
    try:
        from_file(path)
    except SteepestError as error:
        return str(error)
    return str(path)
