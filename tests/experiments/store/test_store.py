import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from steepest.errors import RunError, SteepestWarning
from steepest.experiments.store.netcdf import write_netcdf
from steepest.experiments.store.store import Store, _checksum, key_of

DESCRIPTION = {"kind": "runs", "norm": "max", "momentum": [0.0, 0.5]}


def some_result() -> xr.Dataset:
    return xr.Dataset(
        {"error": (("norm", "step"), np.array([[1.0, np.nan, 0.25]]), {"units": "1"})},
        {"norm": ["max"], "step": [0, 1, 2], "reduced": ("norm", [True])},
        {"notes": "one\ntwo"},
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells")


def test_a_result_comes_back_as_it_was_saved(store):
    assert store.load(DESCRIPTION) is None
    path = store.save(DESCRIPTION, some_result())
    assert path.name == f"{key_of(DESCRIPTION)}.nc"
    xr.testing.assert_identical(store.load(DESCRIPTION), some_result())
    assert [file.name for file in store.directory.iterdir()] == [path.name]  # no temporary file is left


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text(), min_size=2))
def test_the_name_does_not_depend_on_the_order_of_keys(description):
    assert key_of(description) == key_of(dict(reversed(description.items())))
    assert key_of(description) != key_of({**description, "one more": 1})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_said_and_absent(store, share):
    path = store.save(DESCRIPTION, some_result())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.warns(SteepestWarning, match=rf"{path.name} is truncated .*; it is computed again"):
        assert store.load(DESCRIPTION) is None
    store.save(DESCRIPTION, some_result())
    assert store.load(DESCRIPTION) is not None


def test_an_altered_value_is_noticed(store):
    path = store.save(DESCRIPTION, some_result())
    whole = bytearray(path.read_bytes())
    place = whole.index(np.float64(0.25).tobytes())
    whole[place : place + 8] = np.float64(0.26).tobytes()
    path.write_bytes(whole)
    with pytest.warns(SteepestWarning, match="is damaged"):
        assert store.load(DESCRIPTION) is None


def test_foreign_files_are_noticed(store):
    path = store.path(DESCRIPTION)
    store.directory.mkdir()
    path.write_text("not ours", encoding="utf-8")
    with pytest.warns(SteepestWarning, match="no NetCDF file"):
        assert store.load(DESCRIPTION) is None
    some_result().to_netcdf(path, engine="netcdf4")
    with pytest.warns(SteepestWarning, match="that steepest did not write"):
        assert store.load(DESCRIPTION) is None


def test_a_folder_in_the_place_of_a_result_is_said_and_moved_aside(store):
    path = store.path(DESCRIPTION)
    path.mkdir(parents=True)
    (path / "kept").write_text("mine", encoding="utf-8")
    with pytest.warns(SteepestWarning, match=r"is truncated or no NetCDF file .*; it is computed again"):
        assert store.load(DESCRIPTION) is None
    store.save(DESCRIPTION, some_result())
    xr.testing.assert_identical(store.load(DESCRIPTION), some_result())
    (aside,) = store.directory.glob("*.aside")
    assert (aside / "kept").read_text(encoding="utf-8") == "mine"


def test_a_file_under_another_name_is_noticed(store):
    other = {**DESCRIPTION, "norm": "sum"}
    store.save(other, some_result()).rename(store.path(DESCRIPTION))
    with pytest.warns(SteepestWarning, match="holds another result than its name says"):
        assert store.load(DESCRIPTION) is None


def test_everything_of_a_kind_is_listed_without_what_is_foreign(store):
    store.save(DESCRIPTION, some_result())
    store.save({"kind": "max margin", "norm": "max"}, some_result())
    (store.directory / "foreign.nc").write_text("not ours", encoding="utf-8")
    with pytest.warns(SteepestWarning, match="foreign.nc .*; it is left out"):
        ((description, dataset),) = store.everything("runs")
    assert description == DESCRIPTION
    xr.testing.assert_identical(dataset, some_result())


@pytest.mark.parametrize("description", ["{", "[1]", "{}", '{"kind":"runs","norm":"sum"}'])
def test_a_description_that_was_altered_is_noticed_among_all(store, description):
    path = store.save(DESCRIPTION, some_result())
    marks = {"steepest_description": description, "steepest_checksum": _checksum(some_result())}
    write_netcdf(some_result().assign_attrs(marks), path)
    with pytest.warns(SteepestWarning, match=f"{path.name} holds another result than its name says; it is l"):
        assert list(store.everything("runs")) == []


def test_a_folder_that_cannot_be_written_is_an_error_with_its_path(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be written"):
        Store(tmp_path / "file" / "cells").save(DESCRIPTION, some_result())
