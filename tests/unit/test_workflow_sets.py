"""Compare sets of axis values with the combinations that they describe."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.core.canonical_json import canonical_json
from dbos_manifest.expansion.axis import Axis
from dbos_manifest.expansion.matrix import Combination, Matrix
from dbos_manifest.expressions.filters import UNSET
from dbos_manifest.planning.states import Change, Difference, State
from dbos_manifest.report.differences import DifferenceCounts
from dbos_manifest.report.workflow_sets import SetBuilder, ValueRun, WorkflowSet, WorkflowSets, label_of


def make_matrix(axes: dict[str, list[Any]], excludes: list[Any], includes: list[Any]) -> Matrix:
    made = tuple(Axis(name, len(values), partial(iter, values)) for name, values in axes.items())
    return Matrix(made, tuple(excludes), tuple(includes))


VALUES = ["eu", "us", "apac", 1, 2, True, None, {"id": "x", "n": 1}, "2026-01-01"]
ROWS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(VALUES), min_size=1)
MATRICES = st.builds(
    make_matrix,
    st.dictionaries(
        st.sampled_from("abc"),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=6, unique_by=canonical_json),
        max_size=3,
    ),
    st.lists(ROWS, max_size=2),
    st.lists(ROWS, max_size=3),
)


def values_of(matrix: Matrix, combination: Combination) -> dict[str, str]:
    """Return the shown value of each axis, and for a combination of an include of each name."""
    own = not matrix.axes or combination[0][2] is None
    names = matrix.names if own else matrix.axis_names
    cells = {name: cell[0] for name, cell in zip(names, combination, strict=False)}
    return {name: label_of(value) for name, value in cells.items() if value is not UNSET}


def expand(matrix: Matrix, found: WorkflowSet) -> list[dict[str, str]]:
    """Return every combination of a set by its printed values; the axis completes long runs."""
    values = {axis.name: [*map(label_of, axis.values())] for axis in matrix.axes}
    listed = []
    for name, runs in found.axes.items():
        labels: list[str] = []
        for run in runs:
            ends = [*map(label_of, run.values)]
            if run.size > len(ends):
                start = values[name].index(ends[0])
                ends = values[name][start : start + run.size]
                assert ends[-1] == label_of(run.values[-1])
            labels += ends
        listed.append([(name, label) for label in labels])
    return [
        {name: label for name, label in cell if label != "(none)"} for cell in map(list, product(*listed))
    ]


@given(MATRICES, st.randoms(use_true_random=False), st.integers(1, 7))
def test_sets_have_exactly_the_combinations_that_were_added(matrix: Matrix, random: Any, size: int) -> None:
    chosen = [found for found in matrix.combinations({}) if random.random() < 0.7]
    builder = SetBuilder(matrix)
    for start in range(0, len(chosen), size):
        builder.add(chosen[start : start + size])
    sets, others = builder.build()
    assert others == 0
    assert [found.size for found in sets] == sorted([found.size for found in sets], reverse=True)
    found = Counter(canonical_json(cell) for one in sets for cell in expand(matrix, one))
    assert set(found) == {canonical_json(values_of(matrix, combination)) for combination in chosen}
    for one in sets:
        assert one.size == len(expand(matrix, one))


def run_of(*values: object, size: int | None = None) -> ValueRun:
    return ValueRun(values, size or len(values))


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([run_of("2023-01-01", "2023-12-31", size=365)], "day 2023-01-01 … 2023-12-31"),
        ([run_of("2023-01-01", "2023-01-02", "2023-01-03")], "day 2023-01-01 … 2023-01-03"),
        ([run_of("2023-01-01", "2023-01-02"), run_of("2023-02-01")],
         "day 2023-01-01, 2023-01-02, 2023-02-01"),
        ([run_of(1, 2, 3), run_of(7)], "day 1 … 3, 7"),
        ([run_of("eu", "us", "apac")], "day eu, us, apac"),
        ([run_of("New York", "a;b", "")], 'day "New York", "a;b", ""'),
        ([run_of({"name": "small", "gb": 5}), run_of(None)], "day small, null"),
        ([run_of(number) for number in range(0, 40, 2)], "day 0, 2, 4, 6, 8, 10, … and 14 more"),
    ],
)  # fmt: skip
def test_values_are_printed_as_ranges_and_lists(runs: list[ValueRun], text: str) -> None:
    assert WorkflowSet(1, {"day": runs}).text == text


def test_an_axis_is_read_no_further_than_needed() -> None:
    """A million values are not read for a set whose ends are known."""

    def fail() -> Any:
        raise AssertionError("the axis was read")

    matrix = Matrix((Axis("n", 1_000_000, fail),))
    builder = SetBuilder(matrix)
    builder.add([((number, None, number),) for number in range(100_000)])
    assert builder.build() == WorkflowSets(
        [WorkflowSet(100_000, {"n": [run_of(0, 99_999, size=100_000)]})], 0
    )


def test_a_set_without_a_pattern_is_cut_and_the_rest_is_counted() -> None:
    matrix = make_matrix({"a": [*range(9_000)], "b": [*range(9)]}, [], [])
    chosen = [found for found in matrix.combinations({}) if found[0][0] * 7919 % 9 >= found[1][0]
              if found[0][0] * found[1][0] % 7]  # fmt: skip
    builder = SetBuilder(matrix)
    builder.add(chosen)
    sets, others = builder.build()
    assert sum(found.size for found in sets) + others == len(chosen)


def drifted(**values: tuple[object, object]) -> Change:
    pairs = tuple(Difference(field, new, old) for field, (old, new) in values.items())
    return Change("a", "f", 0, State.DRIFTED, "ENQUEUED", pairs)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ([drifted(queue=("etl", "elt"))] * 3, ["queue: etl → elt"]),
        ([drifted(timeout=("10m", "20m"), queue=(None, "x"))],
         ["timeout: 10m → 20m", "queue: (not set) → x"]),
        ([drifted(queue=("a", "b"))] * 2 + [drifted(queue=("c", "b"))], ["queue: a → b (2), c → b (1)"]),
        ([drifted(**{"kwargs.n": (1, "1")})], ['kwargs.n: 1 → "1"']),
        ([drifted(**{"args[0]": (True, 1)}), drifted(**{"args[0]": (1, 2)})],
         ["args[0]: true → 1 (1), 1 → 2 (1)"]),
        ([drifted(priority=(n, -1)) for n in range(300)], ["priority: values differ"]),
        ([drifted(priority=(n % 30 * (n > 99), 7)) for n in range(300)],
         ["priority: 0 → 7 (106), 10 → 7 (7), 11 → 7 (7), other values (180)"]),
    ],
)  # fmt: skip
def test_differences_are_printed_once_with_counts(changes: list[Change], lines: list[str]) -> None:
    counts = DifferenceCounts()
    counts.add(changes)
    assert [*counts.lines(True)] == lines
    assert [*counts.lines(False)] == [line.partition(": ")[0] for line in lines]
    for field in counts.as_json(True):
        assert ("manifest" in field) == (len({str(change.differences) for change in changes}) == 1)
