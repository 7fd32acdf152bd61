"""Test columns: an operation on a column equals the operation on each value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.core.columns import (
    Repeated,
    concatenate,
    convert,
    distinct,
    filter_column,
    is_all_none,
    join_texts,
    make_column,
)

ONE = [1]
values = st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from(["", "x"]) | st.just(ONE)
columns = st.lists(values, min_size=1, max_size=6).map(make_column)


def show(column: Any) -> str:
    return repr([*column])


@given(st.lists(values, min_size=1, max_size=6))
def test_column_contains_its_values(found: list[Any]) -> None:
    column = make_column(found)
    assert show(column) == repr(found)
    assert [column[place] for place in range(len(column))] == found
    assert is_all_none(column) == all(value is None for value in found)


@pytest.mark.parametrize("look_alikes", [[1, True], [0, False], [[1], [True]], [0, 0.0], ["", None]])
def test_equal_values_of_different_types_are_not_stored_once(look_alikes: list[Any]) -> None:
    assert not isinstance(make_column(look_alikes), Repeated)
    assert not isinstance(concatenate([Repeated(value, 2) for value in look_alikes]), Repeated)


def test_equal_texts_and_the_same_object_are_stored_once() -> None:
    for same in (["x", "".join(["x"])], [5, 5], [None, None], [ONE, ONE], [True, True]):
        assert isinstance(make_column(same), Repeated)
        assert isinstance(concatenate([make_column(same), make_column(same)]), Repeated)


@given(columns, st.data())
def test_columns_can_be_filtered_sliced_and_concatenated(column: Any, data: st.DataObject) -> None:
    mask = bytes(data.draw(st.lists(st.integers(0, 1), min_size=len(column), max_size=len(column))))
    assert show(filter_column(column, mask)) == repr(
        [v for v, wanted in zip(column, mask, strict=True) if wanted]
    )
    middle = data.draw(st.integers(0, len(column)))
    assert show(concatenate([column[:middle], column[middle:]])) == show(column)
    assert show(column[-2:]) == repr([*column][-2:])


def test_index_out_of_range_is_refused() -> None:
    with pytest.raises(IndexError):
        Repeated("x", 2)[2]


@given(columns)
def test_each_object_is_converted_once(column: Any) -> None:
    seen: list[int] = []

    def note(value: Any) -> str:
        seen.append(id(value))
        return repr(value)

    assert [*convert(column, note)] == [*map(repr, column)]
    if len(seen) < len(column):
        assert sorted(seen) == sorted({*map(id, column)})
    assert len(distinct(column)) == len({*map(id, column)})


@given(
    st.lists(st.lists(st.sampled_from(["", "a", "b"]), min_size=3, max_size=3).map(make_column), max_size=5)
)
def test_texts_of_columns_are_joined_per_record(found: list[Any]) -> None:
    expected = ["".join(column[place] for column in found) for place in range(3)]
    assert [*join_texts(found, 3, "")] == expected
