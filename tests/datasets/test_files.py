"""Data from files: every format read back exactly, and every defect named with its place and remedy."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array, save_npz

from steepest.datasets import from_file, read_file
from steepest.errors import DataFileError, InvalidArgument, SteepestError, SteepestWarning

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


def sparse(path):
    with path.open("wb") as stream:
        save_npz(stream, csr_array(np.eye(2)))


class Malicious:
    def __reduce__(self):
        return exec, ("raise SystemExit('this ran')",)


NO_FEATURE = "give finite numbers, drop it, or name it as the label"
OBJECTS = np.array([Malicious(), Malicious()], dtype=object)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "a,b\n1,2\n", "its name ends in .txt: give a .npz, .npy, .csv, .tsv, .csv.gz, .tsv.gz or"),
        ("t", "a,b\n1,2\n", "its name has no ending: give a .npz, .npy, .csv,"),
        ("t.txt", lambda path: None, "its name ends in .txt: give a"),
        ("t" * 300 + ".csv", lambda path: None, "the file cannot be read (File name too long)"),
        ("t\0.csv", lambda path: None, "the file cannot be read (embedded null"),
        ("t.csv", lambda path: None, "there is no such file"),
        ("t.csv", lambda path: path.mkdir(), "this is a folder: give the file inside it"),
        ("t.csv", "", "the file is empty: write a row for each sample"),
        ("t.csv", "\n\n", "the file is empty: write a row for each sample"),
        ("t.csv", "a,b,y\n", "only one line (a,b,y): write a row for each sample"),
        (
            "t.csv",
            "a;b;y\n1;2;0\n",
            "only one column ('a;b;y'): if ';' stands between the values, name it by separator (--sep",
        ),
        ("t.csv", "a\tb\n1\t2\n", "only one column ('a\\tb'): if 'tab' stands between the values, name it"),
        ("t.csv", "a\n1\n", "only one column ('a'): separate features and label by commas"),
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
            "no column is called label, labels, y, target, targets, class, classes, category, and 'a', 'b'",
        ),
        (
            "t.csv",
            "y,y\n1,0\n2,1\n",
            "several columns are called 'y': name the column of the labels by label",
        ),
        (
            "t.csv",
            "digit,p0,p1\n3,0,1\n4,1,0\n",
            "no column is called label, labels, y, target, targets, class, ",
        ),
        (
            "t.csv",
            "5,0,1\n4,1,0\n",
            "the columns have no names, and '0', '1', '2' hold whole numbers: name the",
        ),
        (
            "t.csv",
            "a,b\n0.5,0.25\n0.75,1.5\n",
            "no column is called label, labels, y, target, targets, class, ",
        ),
        ("t.csv", "u,v,a\nx,y,1\nz,w,2\n", "no column is called label, labels, y, target, targets, class, "),
        (
            "t.csv",
            "a,y\n1,0.5\n2,1\n",
            "column 'y' holds fractions (0.5), which are no classes: name the column",
        ),
        (
            "t.csv",
            csv(pd.DataFrame({"a": range(20), "y": range(20)})),
            "column 'y' would make 20 classes of 20 ",
        ),
        (
            "t.npz",
            npz(X=np.eye(2), y=[0.5, 1]),
            "array 'y' holds fractions (0.5), which are no classes: name",
        ),
        (
            "t.csv",
            "a,y\n1,0\n2,NA\n",
            "column 'y' holds 'NA' in row 2 among numbers, where it means a missing",
        ),
        ("t.csv", "a,y\n1,u\n2,\n", "no label in row 2 of column 'y': give one, or drop the row"),
        (
            "t.csv",
            "a,y\n9007199254740993,0\n2,1\n",
            "column 'a' holds 9007199254740993 in row 1, which float64 ",
        ),
        (
            "t.csv",
            "a,y\n1,0\n36893488147419103233,1\n",
            "column 'a' holds 36893488147419103233 in row 2, which",
        ),
        ("t.csv", "a;b;y\n1,5;2;u\n", "only one column ('a;b;y'): if ';' stands between the values, name it"),
        (
            "t.csv",
            '"a",y\n"1,5",u\n2,v\n',
            "column 'a' holds '1,5' in row 1 (1 like it): write decimals with a point",
        ),
        ("t.csv", "2010,2011,label\n1,2,u\n3,4,v\n", "its first line, 2010,2011,label, may be a header or a"),
        (
            "t.csv",
            "a,y\n1,ü\n".encode("utf-16"),
            "this is UTF-16 text: name its encoding, such as utf-16 (--enc",
        ),
        (
            "t.csv",
            "a,y\n1,ü\n".encode("utf-16-le"),
            "this is no UTF-8 text (byte 0xfc at position 12): name its",
        ),
        (
            "t.csv",
            "a,y\n1,u\n".encode("utf-16-le"),
            "it holds zero bytes, as UTF-16 text does: name its encoding",
        ),
        ("t.csv", b"PK\x03\x04rest", "this is a zip archive or a spreadsheet, and no text: save it as CSV"),
        ("t.csv.gz", gzip.compress(b"a,y\n1,u\n" * 99, mtime=0)[:25], "this gzip file is damaged ("),
        (
            "t.npy",
            lambda path: np.save(path, np.arange(3)),
            "an array of shape (3,) and type int64: save numbers of",
        ),
        (
            "t.npy",
            lambda path: np.save(path, OBJECTS),
            "it holds Python objects, which can run code when read",
        ),
        ("t.npy", "a,y\n", "this is no .npy file: write it with numpy.save(file, X)"),
        (
            "t.npy",
            lambda path: np.save(path, np.eye(3)),
            "the columns have no names, and '0', '1', '2' hold whole",
        ),
        ("t.npz", sparse, "this matrix is sparse (it holds "),
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
        (
            "t.csv",
            b"a,y\n1,caf\xe9\n",
            "this is no UTF-8 text (byte 0xe9 at position 9): name its encoding, such as latin-1 (--enc",
        ),
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
            "column 'b' holds timestamp[us] values: give finite numbers, drop it, or name it as the label",
        ),
        (
            "t.parquet",
            parquet(FRAME.assign(b=[["x"], ["y"], ["z"]])),
            "column 'b' holds list<element: string> values: give finite numbers",
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
        ("t.csv", "a,a,y\n1,2,u\n3,4,v\n", "a", "2 columns are called 'a': give a position from 0"),
        ("t.npz", npz(X=np.eye(2), y=[0, 1]), "X", "no array of features (it holds X, y): save it as X"),
    ],
)
def test_a_label_that_is_not_there_is_answered_with_those_that_are(tmp_path, name, content, label, message):
    path = written(tmp_path, name, content)
    with pytest.raises(DataFileError, match=f"^{re.escape(f'{path}: {message}')}"):
        from_file(path, label)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ""}, "separator='': give one character, or tab, "),
        ({"separator": "::"}, "separator='::': give one character, or tab, "),
        ({"separator": 3}, "separator=3: give one character, or tab, "),
        ({"encoding": "klingon"}, "encoding='klingon': give a name that Python knows, such as latin-1"),
        ({"encoding": "hex"}, "encoding='hex': give a name that Python knows, such as latin-1"),
        ({"encoding": 3}, "encoding=3: give a name that Python knows, such as latin-1"),
        ({"label": 1.5}, "label=1.5: give a column's name, or its position from 0"),
        ({"label": True}, "label=True: give a column's name, or its position from 0"),
    ],
)
def test_other_options_are_refused(tmp_path, options, message):
    path = written(tmp_path, "t.csv", csv(FRAME))
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}"):
        from_file(path, **options)


@given(content=st.binary(max_size=200), suffix=st.sampled_from(["csv", "tsv.gz", "parquet", "npz", "npy"]))
def test_any_bytes_give_data_or_an_error_of_ours(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("bytes") / f"t.{suffix}"
    path.write_bytes(content)
    assert str(path) in refusal(path)


def refusal(path):
    """Return the message of the error of ours, or the path where there is none."""
    try:
        read_file(path)
    except SteepestError as error:
        return str(error)
    return str(path)
