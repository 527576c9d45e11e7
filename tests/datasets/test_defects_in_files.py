"""Data from files that have a defect: it is named with its place and remedy."""

from __future__ import annotations

import gzip
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, save_npz
from tests.datasets.written import FRAME, csv, npz, parquet, written

from steepest.datasets import from_file, read_file
from steepest.errors import DataFileError, InvalidArgument, SteepestError


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
            "a,y\n1,ü\n".encode("utf-32"),
            "this is UTF-32 text: name its encoding, such as utf-32 (--enc",
        ),
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
            lambda path: np.save(path, np.zeros((0, 3))),
            "an array of shape (0, 3) has no rows: save a row for each sample",
        ),
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
