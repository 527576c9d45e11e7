"""Norms by name and by exponent: what is read, what is written, what is refused and why."""

from __future__ import annotations

import copy
import math
import pickle
import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.contracts.loops import through
from tests.contracts.norms import FOREIGN, UNEVEN, through_all_norms

import steepest as st
from steepest.errors import InvalidArgument, SteepestError
from steepest.geometry import names, norm_label, norm_name
from steepest.geometry.protocol import own_text

FAMILIES = pytest.mark.parametrize("family", [st.Entrywise, st.Schatten])
ACCEPTED = (
    "max, sum, frobenius, nuclear, spectral, largest-row-length, largest-column-length, "
    "mean-square-spectral, mean-square-row, mean-square-column, "
    "entrywise-P or schatten-P with 1 <= P <= inf (4, 1.5 or 4/3), "
    "row-P/Q or column-P/Q (row-2/inf, row-(4/3)/2), "
    "row-blocks-M/Q:NORM or column-blocks-M/Q:NORM (row-blocks-4/inf:spectral)"
)


@pytest.mark.parametrize(
    ("name", "norm", "text"),
    [
        ("max", st.Entrywise(math.inf), "max"),
        ("entrywise-inf", st.Entrywise(math.inf), "max"),
        ("sum", st.Entrywise(1), "sum"),
        ("frobenius", st.Entrywise(2), "frobenius"),
        ("entrywise-2", st.Entrywise(2), "frobenius"),
        ("entrywise-2.0", st.Entrywise(2), "frobenius"),
        ("nuclear", st.Schatten(1), "nuclear"),
        ("schatten-1", st.Schatten(1), "nuclear"),
        ("spectral", st.Schatten(math.inf), "spectral"),
        ("schatten-infinity", st.Schatten(math.inf), "spectral"),
        ("schatten-2", st.Schatten(2), "schatten-2"),
        ("entrywise-3", st.Entrywise(3), "entrywise-3"),
        ("schatten-4/3", st.Schatten(Fraction(4, 3)), "schatten-4/3"),
        ("schatten-1.3333333333333333", st.Schatten(Fraction(4, 3)), "schatten-4/3"),
        ("schatten-1.5", st.Schatten(Fraction(3, 2)), "schatten-1.5"),
        ("schatten-3/2", st.Schatten(1.5), "schatten-1.5"),
        ("  Spectral ", st.Schatten(math.inf), "spectral"),
        ("SCHATTEN-4", st.Schatten(4), "schatten-4"),
        ("entrywise-1e3", st.Entrywise(1000), "entrywise-1000"),
    ],
)
def test_names_are_read_and_written(name, norm, text):
    assert st.norm(name) == norm
    assert str(norm) == text


@FAMILIES
@given(
    p=some.floats(1, allow_nan=False)
    | some.fractions(1, 10**6)
    | some.integers(1, 10**30)
    | some.sampled_from([4 / 3, 1.1, 1 + 2.0**-52, 10**400, 1 + Fraction(1, 10**400)])
)
def test_text_and_dual_round_trip_for_every_exponent(family, p):
    norm = family(p)
    assert st.norm(str(norm)) == norm
    assert st.norm(str(norm).upper()) == norm
    assert norm.dual_norm.dual_norm == norm
    if 1 < norm.p < math.inf:
        assert 1 / norm.p + 1 / norm.dual_norm.p == 1
    assert norm.p == p or float(norm.p) == p


@FAMILIES
def test_exponents_are_exact_whatever_they_are_given_as(family):
    assert family(4 / 3) == family(Fraction(4, 3))
    assert family(4 / 3).p == Fraction(4, 3)
    assert family(1.1).p == Fraction(11, 10)
    assert family(1.000001).p == Fraction(1000001, 1000000)
    assert family(3) == family(3.0) == family(np.int64(3)) == family(np.float32(3))
    assert isinstance(family(3).p, Fraction)
    assert family(math.inf).p == math.inf
    assert family(math.pi).p == Fraction(math.pi)
    assert len({family(1.5), family(Fraction(3, 2)), family(Fraction(6, 4))}) == 1


def test_families_differ_even_where_their_values_agree():
    assert st.Entrywise(2) != st.Schatten(2)


@through_all_norms
def test_norms_are_values(norm):
    assert pickle.loads(pickle.dumps(norm)) == norm
    assert copy.deepcopy(norm) == norm
    with pytest.raises(AttributeError):
        norm.p = 3


@FAMILIES
@through(
    "p",
    [
        0.5,
        0,
        -1,
        -math.inf,
        math.nan,
        Fraction(99, 100),
        True,
        "3",
        None,
        1j,
        np.float64("nan"),
        np.True_,
        [2],
    ],
)
def test_bad_exponents_are_refused(family, p):
    with pytest.raises(InvalidArgument, match=r"^p=.*: give an int, float or Fraction p with 1 <= p <= inf$"):
        family(p)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("inf", r"several norms .* go by this, .*\(max\), .*\(spectral\), an induced norm; "),
        ("Linf", r"several norms .*\(max\), .*\(spectral\), an induced norm; "),
        ("l_inf", r"several norms .*\(max\), .*\(spectral\), an induced norm; "),
        ("l-infinity", r"several norms .*\(max\), .*\(spectral\), an induced norm; "),
        ("l∞", r"several norms .*\(max\), .*\(spectral\), an induced norm; "),
        (math.inf, r"several norms .*\(max\), .*\(spectral\), an induced norm; "),
        ("l2", r"several norms .*\(frobenius\), .*\(spectral\); "),
        ("L2", r"several norms .*\(frobenius\), .*\(spectral\); "),
        ("2", r"several norms .*\(frobenius\), .*\(spectral\); "),
        (2, r"several norms .*\(frobenius\), .*\(spectral\); "),
        (2.0, r"several norms .*\(frobenius\), .*\(spectral\); "),
        ("l1", r"several norms .*\(sum\), .*\(nuclear\), an induced norm; "),
        ("1", r"several norms .*\(sum\), .*\(nuclear\), an induced norm; "),
        ("4/3", r"several norms .*\(entrywise-4/3\), .*\(schatten-4/3\); "),
        ("lp3", r"several norms .*\(entrywise-3\), .*\(schatten-3\); "),
        (1.5, r"several norms .*\(entrywise-1.5\), .*\(schatten-1.5\); "),
        ("fro", 'write it in full, "frobenius"; '),
        ("nuc", 'write it in full, "nuclear"; '),
        ("operator norm", 'write it in full, "spectral"; '),
        ("trace-norm", 'write it in full, "nuclear"; '),
        ("schatten", 'write the exponent after a hyphen, as in "schatten-4"; '),
        ("schatten4", 'write the exponent after a hyphen, as in "schatten-4"; '),
        ("entrywise 3", 'write the exponent after a hyphen, as in "entrywise-3"; '),
        ("entrywise-nan", 'write the exponent after a hyphen, as in "entrywise-3"; '),
        ("schatten-1/0", 'write the exponent after a hyphen, as in "schatten-4"; '),
        ("entrywise--3", 'write the exponent after a hyphen, as in "entrywise-3"; '),
        ("entrywise-٣", 'write the exponent after a hyphen, as in "entrywise-3"; '),
        ("entrywise-" + "9" * 5000, 'write the exponent after a hyphen, as in "entrywise-3"; '),
        ("schatten-0.5", "P=0.5 is below 1; "),
        ("entrywise-1/2", "P=1/2 is below 1; "),
        ("entrywise-0", "P=0 is below 1; "),
        ("spectrl", 'did you mean "spectral"[?] '),
        ("max-norm", 'did you mean "max"[?] '),
        ("l0.5", ""),
        ("euclid", ""),
        ("", ""),
        (None, ""),
        (True, ""),
        (math.nan, ""),
        (["max"], ""),
        (b"max", ""),
    ],
)
def test_other_names_are_refused_with_the_reason_and_the_names_taken(monkeypatch, name, reason):
    ours = {name: part for name, part in names.NORMS._parts.items() if name in ACCEPTED}
    monkeypatch.setattr(names.NORMS, "_parts", ours)
    with pytest.raises(
        InvalidArgument, match=f"(?s)^norm=.*: {reason}give one of {re.escape(ACCEPTED)}$"
    ) as error:
        st.norm(name)
    assert isinstance(error.value, SteepestError)
    assert isinstance(error.value, ValueError)
    assert "\n" not in str(error.value)


def test_a_norm_of_ones_own_is_taken():
    assert st.norm(FOREIGN) is FOREIGN


class Half:
    def dual(self, A):
        return A


class Numbers:
    dual = 3

    def __call__(self, A):
        return A

    def direction(self, S):
        return S


_exponents = some.one_of(
    some.just(math.inf), some.integers(1, 9).map(Fraction), some.fractions(1, 9), some.floats(1, 9)
)


@given(_exponents, _exponents, some.sampled_from([st.RowNorm, st.ColumnNorm]))
def test_norms_of_rows_and_columns_are_read_back(inner, outer, family):
    own = family(inner, outer)
    assert st.norm(str(own)) == own


@given(some.integers(1, 99), _exponents, _exponents, some.sampled_from(["rows", "columns"]))
def test_norms_of_blocks_and_shapes_are_read_back(blocks, outer, p, axis):
    own = st.BlockNorm(st.RowNorm(p, outer), blocks, outer, axis)
    assert st.norm(str(own)) == own
    scaled = st.ScaledNorm(own, rows=-0.5, columns=1 / 3)
    assert st.norm(str(scaled)) == scaled


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("row-2", "write the exponents within and across the rows as in row-2/inf"),
        ("column-4/3/2", "a fraction in parentheses as in column-[(]4/3[)]/2"),
        ("row-0.5/2", "P=0.5 is below 1"),
        ("row-blocks-0/2:max", "write blocks, exponent and norm as in row-blocks-4/inf:spectral"),
        ("row-blocks-2/2:l2", "several norms of a matrix go by this"),
        ("rms-to-rms", 'write it in full, "mean-square-spectral"'),
    ],
)
def test_norms_of_parts_are_refused_with_the_reason(name, remedy):
    with pytest.raises(InvalidArgument, match=remedy) as error:
        st.norm(name)
    assert error.value.argument == "norm"
    assert error.value.value in (name, "l2")


@pytest.mark.parametrize(
    ("given", "missing"),
    [(sum, "dual, direction"), (Half(), "__call__, direction"), (Numbers(), "dual")],
    ids=["a function", "no value, no direction", "a dual that is no method"],
)
@through("call", [st.norm, lambda norm: st.ScaledNorm(norm, 0.5), lambda norm: st.BlockNorm(norm, 2)])
def test_half_a_norm_is_refused_by_the_name_of_what_is_missing(call, given, missing):
    with pytest.raises(InvalidArgument, match=f"^(norm|base)=.*: a norm needs {missing} too$"):
        call(given)
    with pytest.raises(InvalidArgument, match="this is a class; give an instance of it"):
        call(st.Entrywise)


def test_a_norm_without_a_text_is_named_by_its_registration_or_asked_for_one(monkeypatch):
    monkeypatch.setattr(names.NORMS, "_parts", dict(names.NORMS._parts))
    assert norm_label(UNEVEN) == "Uneven"
    with pytest.raises(InvalidArgument, match=r"give its class a __str__ .* or register it by a name"):
        norm_name(UNEVEN)
    names.register_norm("uneven-of-this-test", UNEVEN)
    assert norm_name(UNEVEN) == norm_label(UNEVEN) == "uneven-of-this-test"
    assert st.norm(norm_name(UNEVEN)) is UNEVEN


def test_a_text_that_cannot_be_read_back_gives_way_to_the_name_of_registration(monkeypatch):
    monkeypatch.setattr(names.NORMS, "_parts", dict(names.NORMS._parts))
    assert norm_name(FOREIGN) == "foreign-entrywise-3"
    names.register_norm("cubic-of-this-test", FOREIGN)
    assert norm_name(FOREIGN) == "cubic-of-this-test"
    assert norm_name(st.norm("largest-row-length")) == "row-2/inf"  # its text can be read back


def test_a_text_that_numpy_shortens_is_no_name():
    @dataclass
    class Long(Half):
        weights: np.ndarray

    assert own_text(Long(np.zeros(2000))) is None  # type: ignore[arg-type]
    assert own_text(Long(np.zeros(2))) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("power", [17, -17.0, math.nan, math.inf, True, "1", 10**400])
def test_powers_that_could_leave_the_range_of_floats_are_refused(power):
    with pytest.raises(InvalidArgument, match=r"rows=.*: give a power from -16 to 16"):
        st.ScaledNorm(st.Entrywise(2), rows=power)
    assert math.isfinite(st.ScaledNorm(st.Entrywise(2), 16, 16).factor((10**9, 10**9)))


def test_powers_beyond_that_are_refused_in_names_too():
    for text in ("17", "-1e400", "1e999", "9" * 400):
        with pytest.raises(InvalidArgument, match="give a power from -16 to 16"):
            st.norm(f"spectral*rows^{text}*columns^0.5")


def test_a_name_is_registered_once_and_in_lower_case(monkeypatch):
    for registry in (names.NORMS, names.FAMILIES):
        monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    names.register_norm("foreign-of-this-test", FOREIGN)
    assert st.norm("Foreign-of-this-test") is FOREIGN
    with pytest.raises(InvalidArgument, match="there is a norm of that name"):
        names.register_norm("max", FOREIGN)
    with pytest.raises(InvalidArgument, match="write the name in lower case"):
        names.register_norm("Mine", FOREIGN)
    names.register_norm_family("foreign-family-of-this-test", lambda text: st.Entrywise(float(text)))
    assert st.norm("foreign-family-of-this-test-3") == st.Entrywise(3)
