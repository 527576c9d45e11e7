"""Data by name or path: which function answers, and what is refused."""

from __future__ import annotations

from typing import Literal

import pytest

from steepest.datasets import (
    DATA_SETS,
    data_set,
    gaussian,
    load,
    mixture,
    orthogonal_scale_skewed,
    parameters_of,
    register_data_set,
)
from steepest.errors import DataFileError, InvalidArgument, InvalidData


@pytest.mark.parametrize(
    ("name", "make"),
    [("gaussian", gaussian), ("mixture", mixture), ("orthogonal", orthogonal_scale_skewed)],
)
def test_a_name_calls_its_function_with_the_options(name, make):
    assert DATA_SETS[name] is make
    assert load(name, seed=5).fingerprint == make(seed=5).fingerprint
    assert load(name, seed=None).fingerprint == make().fingerprint


@pytest.mark.tables
@pytest.mark.parametrize("as_given", [str, lambda path: path])
def test_a_path_is_read_with_its_label(tmp_path, as_given):
    table = tmp_path / "table.csv"
    table.write_text("kind,a\nu,1\nv,2\n")
    problem = load(as_given(table), label="kind")
    assert problem.classes.tolist() == ["u", "v"]
    assert problem.name == "table.csv"


def test_a_path_object_is_never_taken_for_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataFileError, match=r"no-data: its name has no ending: give a \.npz, \.npy,"):
        load(tmp_path / "no-data")


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (
            "gauss",
            {},
            r"data='gauss': did you mean \"gaussian\"\? give digits, digits-pair, gaussian, mixture, ",
        ),
        ("gaussian", {"label": "y"}, r"label='y': this data takes classes, samples_per_class, .*, seed$"),
        ("digits", {"seed": 1}, r"seed=1: this data takes no options$"),
        ("table.csv", {"seed": 1}, r"seed=1: this data takes label, separator, encoding$"),
        ("gaussian", {"classes": 1}, r"classes=1: give a whole number of at least 2$"),
    ],
)
def test_refusals_name_argument_value_and_remedy(data, options, message):
    with pytest.raises(InvalidArgument, match=f"^{message}"):
        load(data, **options)


@pytest.fixture
def own(monkeypatch):
    """Data sets of a test's own, which the next test does not see."""
    monkeypatch.setattr(DATA_SETS, "_parts", dict(DATA_SETS._parts))
    return data_set


def rings(
    classes: int,
    width: float = 0.5,
    shape: Literal["round", "square"] = "round",
    seed: int | None = None,
    *,
    noisy: bool = False,
    note="",
):
    """Rings around the origin.

    Args:
        classes: how many
            rings there are.
        shape (text): of each ring: round or square.

    Raises:
        ValueError: never.
    """
    return [[width * ring, float(noisy)] for ring in range(classes)], [f"{shape}{i}" for i in range(classes)]


def test_the_signature_of_a_generator_says_what_it_takes():
    found = {each.name: each for each in parameters_of(rings)}
    assert [each.type for each in found.values()] == [int, float, str, int, bool, str]
    assert found["classes"].required
    assert found["classes"].help == "how many rings there are."
    assert found["shape"].help == "of each ring: round or square."
    assert found["shape"].choices == ("round", "square")
    assert found["width"].default == 0.5
    assert found["width"].help == ""
    assert found["seed"].optional
    assert not found["width"].optional


def test_every_parameter_of_ours_says_what_it_is():
    for make in DATA_SETS.values():
        assert [each.name for each in parameters_of(make) if not each.help] == []


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("classes", "3", 3),
        ("classes", 3, 3),
        ("classes", "1" * 400, int("1" * 400)),
        ("width", "1e-2", 0.01),
        ("width", 2, 2.0),
        ("noisy", "yes", True),
    ],
)
def test_values_come_from_text_or_as_they_are(name, given, value):
    parameter = next(each for each in parameters_of(rings) if each.name == name)
    assert parameter.value_of(given) == value
    assert type(parameter.value_of(given)) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("classes", "3.5", "classes='3.5': give a whole number"),
        ("classes", True, "classes=True: give a whole number"),
        ("classes", None, "classes=None: give a whole number"),
        ("width", "nan", "width='nan': give a finite number"),
        ("width", "wide", "width='wide': give a finite number"),
        ("width", 10**400, "width=1000.*: give a finite number"),
        ("noisy", "perhaps", "noisy='perhaps': give true or false"),
        ("noisy", 1, "noisy=1: give true or false"),
        ("shape", "flat", "shape='flat': give round or square"),
        ("note", 5, "note=5: give a text"),
    ],
)
def test_other_values_are_refused(name, given, message):
    parameter = next(each for each in parameters_of(rings) if each.name == name)
    with pytest.raises(InvalidArgument, match=f"^{message}$"):
        parameter.value_of(given)


def test_a_generator_of_ones_own_is_used_by_its_name(own):
    own("rings")(rings)
    problem = load("rings", classes="3", noisy="true")
    assert problem.features.tolist() == [[0.0, 1.0], [0.5, 1.0], [1.0, 1.0]]
    assert problem.classes.tolist() == ["round0", "round1", "round2"]
    assert problem.name == "rings"
    with pytest.raises(InvalidArgument, match=r"^classes=None: rings needs it: give a whole number$"):
        load("rings")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda *sizes: sizes, r"parameter='\*sizes': a data set takes arguments by name"),
        (lambda matrix: matrix, "parameter='matrix': annotate it as int, float"),
        (3, "make=3: give a function that returns"),
    ],
)
def test_a_signature_that_cannot_be_typed_is_refused_at_once(own, make, message):
    with pytest.raises(InvalidArgument, match=f"^{message}"):
        register_data_set("own", make)
    assert "own" not in DATA_SETS


def test_arguments_of_other_types_keep_their_defaults():
    def make(sizes: tuple[int, int] = (1, 2), scale: int | float | None = 1): ...

    (scale,) = parameters_of(make)
    assert (scale.name, scale.type, scale.optional) == ("scale", float, True)


def test_a_generator_must_return_data(own):
    own("nothing")(lambda: None)
    with pytest.raises(InvalidData, match=r"^nothing='NoneType': let its generator return"):
        load("nothing")
