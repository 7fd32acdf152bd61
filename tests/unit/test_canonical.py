"""Compare canonical JSON with the vectors of RFC 8785 and with the json module."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.core.canonical_json import canonical_bytes, canonical_json, digest_texts

# RFC 8785, appendix B: the bits of a double and its text
FRACTIONS = {
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}
# from the same table; the RFC rounds these to double precision, here the integer is kept
INTEGRAL = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352825856",
    "444b1ae4d6e2ef50": "1000000000000000000000",
    "44b52d02c7e14af6": "99999999999999991611392",
}


def double(bits: str) -> float:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    return float(value)


@pytest.mark.parametrize(("bits", "text"), [*FRACTIONS.items(), *INTEGRAL.items()])
def test_numbers_match_the_vectors_of_the_rfc(bits: str, text: str) -> None:
    assert canonical_json(double(bits)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (1e-5, "0.00001"),
        (-1e-6, "-0.000001"),
        (0.1, "0.1"),
        (100.0, "100"),
        (10**40, "1" + "0" * 40),
        ([1, 1.0, True], "[1,1,true]"),
        ((1, [None, False]), "[1,[null,false]]"),
        ({}, "{}"),
        ('\u20ac$\u000f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
    ],
)
def test_values_have_their_canonical_text(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize("extra", [{}, {"float": 0.5}])
def test_keys_of_the_rfc_are_sorted_by_utf_16(extra: dict[str, float]) -> None:
    keys = {"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\x80": 6, "ö": 7}  # RFC 8785, §3.2.3
    written = list(json.loads(canonical_json(keys | extra)))
    assert written == [
        key for key in ["\r", "1", "float", "\x80", "ö", "€", "😀", "\ufb33"] if key in keys | extra
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")], {"a": {1, 2}}, b"bytes"])
def test_values_without_a_json_form_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["a", "1", "true", "null"])
    | st.text(max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are equal: 1 equals 1.0, true does not equal 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


@given(values)
def test_canonical_text_is_read_back_as_the_same_value(value: Any) -> None:
    text = canonical_json(value)
    assert same(json.loads(text), value)
    assert canonical_json(json.loads(text)) == text


@given(values, values)
def test_equal_texts_mean_equal_values(left: Any, right: Any) -> None:
    assert (canonical_json(left) == canonical_json(right)) == same(left, right)


def test_values_that_only_python_considers_equal_differ() -> None:
    look_alikes = [0, False, None, "", [], {}, "0", [0], [False]]
    for left, right in combinations(look_alikes, 2):
        assert canonical_json(left) != canonical_json(right)
    assert canonical_json(1) == canonical_json(1.0) != canonical_json(True)


@given(st.dictionaries(st.text(max_size=4), st.floats(0, 1) | st.integers(), max_size=6))
def test_keys_are_in_utf_16_order(value: dict[str, float]) -> None:
    written = list(json.loads(canonical_json(value)))
    assert written == sorted(value, key=lambda key: key.encode("utf-16-be"))


def test_digest_has_22_characters_and_never_changes() -> None:
    raw = hashlib.sha256(b'{"a":"\xc3\xa9","b":1.5}').digest()[:16]
    assert digest_texts([canonical_bytes({"b": 1.5, "a": "é"}), b"{}"]) == [
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "RBNvo1WzZ4oRRq0W9-hkng",
    ]
