"""Compare boxes with the set that they describe."""

from __future__ import annotations

from itertools import pairwise, product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.planning.boxes import (
    Box,
    BoxBuilder,
    count_combinations,
    find_runs,
    join_boxes,
    simplify,
    strides_of,
)


@st.composite
def sets(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Draw sizes of axes and numbers of combinations: at random, or a few boxes of them."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    every = range(prod(sizes))
    if draw(st.booleans()):
        return sizes, sorted(draw(st.sets(st.sampled_from(every))))
    boxes = draw(st.lists(st.tuples(*[st.sets(st.integers(0, size - 1)) for size in sizes]), max_size=4))
    found = {cell for box in boxes for cell in product(*box)}
    return sizes, [number for number, cell in enumerate(product(*map(range, sizes))) if cell in found]


def cells_of(box: Box) -> list[tuple[int, ...]]:
    return [*product(*[[at for start, stop in runs for at in range(start, stop)] for runs in box])]


def cell_of(sizes: list[int], number: int) -> tuple[int, ...]:
    return tuple(number // stride % size for size, stride in zip(sizes, strides_of(sizes), strict=True))


def build(sizes: list[int], numbers: list[int], most: int = 4_096) -> BoxBuilder:
    builder = BoxBuilder(sizes, most)
    for run in find_runs(len(numbers), numbers.__getitem__):
        builder.add(*run)
    return builder


@given(sets())
def test_boxes_are_disjoint_and_have_exactly_the_combinations_of_the_set(
    case: tuple[list[int], list[int]],
) -> None:
    sizes, numbers = case
    builder = build(sizes, numbers)
    boxes = builder.boxes()
    found = [cell for box in boxes for cell in cells_of(box)]
    assert sorted(found) == [cell_of(sizes, number) for number in numbers]
    assert (builder.count, builder.cut) == (len(numbers), 0)
    assert len(boxes) <= len([*find_runs(len(numbers), numbers.__getitem__)])
    for box in boxes:
        for runs in box:
            assert all(start < stop for start, stop in runs)
            assert all(one[1] < other[0] for one, other in pairwise(runs))


@given(sets(), st.integers(1, 6))
def test_a_set_that_is_too_complex_is_cut_and_the_rest_is_counted(
    case: tuple[list[int], list[int]], most: int
) -> None:
    sizes, numbers = case
    builder = build(sizes, numbers, most)
    boxes = builder.boxes()
    found = [cell for box in boxes for cell in cells_of(box)]
    assert len({*found}) == len(found) == builder.count
    assert {*found} <= {cell_of(sizes, number) for number in numbers}
    assert builder.count + builder.cut == len(numbers)
    assert len(boxes) <= most


@given(sets())
def test_simplified_boxes_are_the_same_set_whatever_boxes_they_are_made_of(
    case: tuple[list[int], list[int]],
) -> None:
    sizes, numbers = case
    single = [tuple(((at, at + 1),) for at in cell_of(sizes, number)) for number in numbers]
    for boxes in (join_boxes(single), simplify(single) if single else []):
        found = [cell for box in boxes for cell in cells_of(box)]
        assert sorted(found) == [cell_of(sizes, number) for number in numbers]


@given(st.sets(st.integers(0, 200)).map(sorted))
def test_runs_are_maximal_between_splits_and_in_order(numbers: list[int]) -> None:
    runs = [*find_runs(len(numbers), numbers.__getitem__)]
    assert [number for run in runs for number in range(*run)] == numbers


def test_numbers_without_a_gap_are_found_with_two_looks() -> None:
    looks: list[int] = []
    assert [*find_runs(1_000_000, lambda at: looks.append(at) or at + 7)] == [(7, 1_000_007)]  # type: ignore[func-returns-value]
    assert len(looks) == 2


DAYS, REGIONS = 396, 3


@pytest.mark.parametrize(
    ("wanted", "boxes"),
    [
        pytest.param(lambda day, region: True, 1, id="everything"),
        pytest.param(lambda day, region: region == 1, 1, id="one region of every day"),
        pytest.param(lambda day, region: region != 1, 1, id="two regions with a gap"),
        pytest.param(lambda day, region: day < 31 or region == 2, 2, id="a widened backfill"),
        pytest.param(lambda day, region: day % 7 == region, 3, id="a weekday for each region"),
        pytest.param(lambda day, region: (day * 7919 % 11 < 3, day * 31 % 7 < 2, day % 5 < 1)[region], 3,
                     id="days without a pattern for each region"),
        pytest.param(lambda day, region: False, 0, id="nothing"),
    ],
)  # fmt: skip
def test_common_sets_take_few_boxes(wanted: object, boxes: int) -> None:
    assert callable(wanted)
    numbers = [
        day * REGIONS + region for day in range(DAYS) for region in range(REGIONS) if wanted(day, region)
    ]
    assert len(build([DAYS, REGIONS], numbers).boxes()) == boxes


def test_a_long_regular_set_takes_no_more_memory_than_a_short_one() -> None:
    builder = BoxBuilder([100_000, 3], most=8)
    for day in range(100_000):
        builder.add(3 * day + 1, 3 * day + 2)
    assert builder.boxes() == [(((0, 100_000),), ((1, 2),))]
    assert not builder.cut


def test_a_set_without_axes_has_no_boxes() -> None:
    builder = BoxBuilder([])
    builder.add(0, 1)
    assert builder.boxes() == []


def test_combinations_of_a_box_are_counted() -> None:
    assert count_combinations((((0, 10), (20, 21)), ((1, 3),))) == 22
