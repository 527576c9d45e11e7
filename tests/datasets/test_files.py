"""Data from files: every format read back exactly."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.datasets.written import FRAME, csv, npz, parquet, written

from steepest.datasets import from_file, read_file
from steepest.errors import SteepestWarning


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", csv(FRAME)),
        ("t.CSV", csv(FRAME)),
        ("t.csv", csv(FRAME, lineterminator="\r\n")),
        ("t.csv", csv(FRAME, encoding="utf-8-sig")),
        ("t.csv", csv(FRAME[["label", "a", "b"]])),
        ("t.csv", "#a,b,label\n1.5,3,rose\n2,4,tulip\n-1.0,5,rose\n"),
        ("t.csv", " a , b, label \n 1.5, 3, rose\n2,4 , tulip\n-1.0,5,rose\n"),
        ("t.csv.gz", csv(FRAME, compression="gzip")),
        ("t.tsv", csv(FRAME, sep="\t")),
        ("t.TSV.gz", csv(FRAME, sep="\t", compression="gzip")),
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
    X=arrays(np.float64, (4, 3), elements=st.floats(-1e300, 1e300)),
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
        ("a,b,c", " a ", [1, 4]),
        ("a,b,c", 1, [2, 5]),
        ("a,b,c", "1", [2, 5]),
        ("a,b,c", -3, [1, 4]),
        ("a, y,c", None, [2, 5]),
        ("a,Class,c", None, [2, 5]),
        ("Label,p0,p1", None, [1, 4]),
        ("target,p0,p1", None, [1, 4]),
        ("0,1,label", "1", [2, 5]),
        ("2,1,0.5", 0, [1, 2, 4]),
        ("2,1,0.5", "0", [1, 2, 4]),
    ],
)
def test_the_label_is_found_by_name_then_position_then_usual_names(tmp_path, header, label, classes):
    path = written(tmp_path, "t.csv", f"{header}\n1,2,3\n4,5,6\n")
    assert from_file(path, label).classes.tolist() == classes


@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        ("species,a\nu,1\nv,2\n", ["u", "v"], "column 'species' (a guess: the only column of text;"),
        ("1.5,3,u\n2,4,v\n", ["u", "v"], "column 2 (a guess: the only column of text;"),
        ("1.5,y\n2,n\n3,y\n", ["n", "y"], "column 1 (a guess: the only column of text;"),
        (
            "digit,p0,p1\n3,0.5,1\n4,0.25,1\n",
            [3, 4],
            "column 'digit' (a guess: the only one of whole numbers;",
        ),
        ("x,y,label\n1,2,3\n4,5,6\n", [3, 6], "column 'label' (a guess: 'y' is taken for a feature;"),
    ],
)
def test_a_guess_is_said_with_its_reason_the_classes_and_their_counts(tmp_path, text, classes, message):
    path = written(tmp_path, "t.csv", text)
    with pytest.warns(SteepestWarning, match=re.escape(f"t.csv: labels in {message}") + ".*; 2 classes: "):
        assert from_file(path).classes.tolist() == classes
    found = read_file(path)
    assert message in str(found)
    assert str(found).endswith(", ".join(f"{name} {count}" for name, count in counts(found.problem)))


def counts(problem):
    return zip(problem.classes, np.bincount(problem.labels), strict=True)


def test_the_classes_of_a_known_column_are_told_without_a_word_of_guessing(tmp_path):
    path = written(tmp_path, "t.csv", csv(FRAME))
    assert str(read_file(path)) == "t.csv: labels in column 'label'; 2 classes: rose 2, tulip 1"
    many = pd.DataFrame({"a": range(60), "y": [f"{at % 30:040d}" for at in range(60)]})
    shown = str(read_file(written(tmp_path, "t.csv", csv(many))))
    assert "30 classes: " in shown
    assert shown.endswith("… 2, … 18 more, 2 to 2 samples each")
    assert len(shown) < 600


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["7", "007", "7"], ["007", "7"]),
        (["007", "008", "007"], ["007", "008"]),
        (["1", "1.0", "1"], ["1", "1.0"]),
        (["2", "10", "-1"], [-1, 2, 10]),
        (["1.0", "2.0", "2.5"], [1.0, 2.0, 2.5]),
        (["18446744073709551616", "18446744073709551617", "5"], None),
        (["9223372036854775807", "9223372036854775806", "5"], [5, 2**63 - 2, 2**63 - 1]),
        (["NA", "DE", "FR"], ["DE", "FR", "NA"]),
        (["true", "false", "true"], ["false", "true"]),
        (["2026-01-01", "2026-01-02", "2026-01-01"], ["2026-01-01", "2026-01-02"]),
    ],
)
def test_labels_of_text_stay_what_is_written(tmp_path, labels, classes):
    path = written(
        tmp_path, "t.csv", "a,code\n" + "".join(f"{at}.5,{label}\n" for at, label in enumerate(labels))
    )
    problem = from_file(path, "code")
    assert problem.classes.tolist() == (classes or sorted(labels))
    assert problem.classes[problem.labels].astype(str).tolist() == labels


def test_parquet_keeps_the_types_of_labels(tmp_path):
    for labels in ([2**63 + 1, 2**63 + 2], ["007", "7"], [True, False], [-1, 2]):
        frame = pd.DataFrame({"a": [0.5, 1.5], "label": labels})
        problem = from_file(written(tmp_path, "t.parquet", parquet(frame)))
        assert problem.classes[problem.labels].tolist() == labels


@pytest.mark.parametrize(
    ("name", "separator"),
    [
        ("t.csv", ";"),
        ("t.txt", "tab"),
        ("t", "|"),
        ("t.data", "space"),
        ("t.tsv", "comma"),
        ("t.csv.gz", "\\t"),
    ],
)
def test_a_separator_makes_any_file_a_table_of_text(tmp_path, name, separator):
    mark = {"tab": "\t", "space": "  ", "comma": ",", "\\t": "\t"}.get(separator) or separator
    text = mark.join(("a", "b", "y")) + "\n" + mark.join("12u") + "\n" + mark.join("34v") + "\n"
    path = written(tmp_path, name, gzip.compress(text.encode(), mtime=0) if name.endswith("gz") else text)
    problem = from_file(path, separator=separator)
    assert problem.features.tolist() == [[1, 2], [3, 4]]
    assert problem.classes.tolist() == ["u", "v"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_an_encoding_that_is_named_is_read(tmp_path, encoding):
    path = written(tmp_path, "t.csv", "größe,y\n1,süß\n2,herb\n".encode(encoding))
    assert from_file(path, encoding=encoding).classes.tolist() == ["herb", "süß"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", csv(FRAME)),
        ("t.csv.gz", csv(FRAME, compression="gzip")),
        ("t.parquet", parquet(FRAME)),
        ("t.npz", npz(X=FRAME[["a", "b"]].to_numpy(), y=FRAME["label"].to_numpy(str))),
    ],
)
def test_standard_input_and_pipes_are_told_by_their_content(tmp_path, monkeypatch, name, content):
    path = written(tmp_path, name, content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert read_file("-").problem.fingerprint == read_file(path).problem.fingerprint
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sender = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    sender.start()
    assert from_file(pipe).fingerprint == read_file(path).problem.fingerprint
    sender.join()


def test_an_array_takes_its_labels_from_another_file_or_a_column(tmp_path):
    written(tmp_path, "X.npy", lambda path: np.save(path, np.array([[0.5, 1.0], [0.25, 2.0], [1.5, 2.0]])))
    labels = written(tmp_path, "labels.npy", lambda path: np.save(path, np.array(["u", "v", "u"])))
    assert from_file(tmp_path / "X.npy", str(labels)).classes.tolist() == ["u", "v"]
    problem = from_file(tmp_path / "X.npy", 1)
    assert problem.classes.tolist() == [1, 2]
    assert problem.features.tolist() == [[0.5], [0.25], [1.5]]
    with pytest.warns(SteepestWarning, match=r"labels in column 1 \(a guess: the only one of whole numbers"):
        from_file(tmp_path / "X.npy")


def test_an_archive_takes_the_label_by_the_arrays_name(tmp_path):
    path = written(tmp_path, "t.npz", npz(X=np.eye(2), y=[0, 1], other=["u", "v"]))
    assert from_file(path, "other").classes.tolist() == ["u", "v"]


def test_the_users_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, "t.csv", csv(FRAME))
    assert from_file("~/t.csv").samples == 3
