"""Compare combinations with a direct implementation of GitHub's rules, and counts with combinations."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.core.memory_budget import MemoryBudget
from dbos_manifest.expansion.axis import Axis, AxisError
from dbos_manifest.expansion.axis_values import make_axis
from dbos_manifest.expansion.matrix import Matrix, MemoryMeter
from dbos_manifest.expressions.filters import UNSET
from dbos_manifest.files.folder_tree import FolderTree
from dbos_manifest.reading.sandbox import TreeError

VALUES = st.lists(st.sampled_from([0, 1, "1", True, "a", None, [1]]), min_size=1, max_size=4)
AXES = st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1, max_size=3)
RULES = st.lists(
    st.dictionaries(st.sampled_from("abcde"), st.sampled_from([0, 1, "1", True, "a", None, [1]]), min_size=1),
    max_size=4,
)  # fmt: skip


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def naive(axes: dict[str, list[Any]], excludes: list[dict[str, Any]], includes: list[dict[str, Any]]) -> list[dict[str, Any]]:  # fmt: skip  # noqa: E501
    """Combine axes by the rules of the GitHub Actions manual."""
    combinations = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    combinations = [
        found
        for found in combinations
        if not any(all(same(found[name], rule[name]) for name in rule) for rule in excludes)
    ]
    added: list[dict[str, Any]] = [{} for _ in combinations]
    own = []
    for rule in includes:
        matching = [
            position
            for position, found in enumerate(combinations)
            if all(same(found[name], rule[name]) for name in rule if name in axes)
        ]
        for position in matching:
            added[position] |= {name: value for name, value in rule.items() if name not in axes}
        if not matching:
            own.append(dict(rule))
    return [{**found, **more} for found, more in zip(combinations, added, strict=True)] + own


def make(axes: dict[str, list[Any]], excludes: list[Any], includes: list[Any]) -> Matrix:
    made = tuple(Axis(name, len(values), partial(iter, values)) for name, values in axes.items())
    return Matrix(made, tuple(excludes), tuple(includes))


def combinations(matrix: Matrix, meter: MemoryMeter | None = None) -> list[dict[str, Any]]:
    return [
        {name: cell[0] for name, cell in zip(matrix.names, found, strict=True) if cell[0] is not UNSET}
        for found in matrix.combinations({}, meter)
    ]


@given(AXES, RULES, RULES)
def test_matrix_matches_the_rules_of_github(
    axes: dict[str, list[Any]], excludes: list[Any], includes: list[Any]
) -> None:
    excludes = [{name: rule[name] for name in rule if name in axes} for rule in excludes]
    excludes = [rule for rule in excludes if rule]
    matrix = make(axes, excludes, includes)
    expected = naive(axes, excludes, includes)
    assert repr(combinations(matrix)) == repr(
        [{name: found[name] for name in matrix.names if name in found} for found in expected]
    )
    assert matrix.count == len(expected)
    assert repr(combinations(matrix)) == repr(combinations(matrix))


def test_first_axis_varies_slowest() -> None:
    found = combinations(make({"b": [1, 2], "a": ["x", "y"]}, [], []))
    assert found == [{"b": b, "a": a} for b in (1, 2) for a in ("x", "y")]


@given(AXES)
def test_long_inner_axes_are_read_again(axes: dict[str, list[Any]]) -> None:
    whole = combinations(make(axes, [], []))
    nothing_held = MemoryMeter(MemoryBudget(held_bytes=0))
    assert repr(combinations(make(axes, [], []), nothing_held)) == repr(whole)


def axis(source: Any, tree: Any = None, limit: int = 1000) -> Axis:
    return make_axis("x", source, tree, limit)


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-9, 9).filter(bool))
def test_integer_range_matches_python(start: int, stop: int, step: int) -> None:
    expected = list(range(start, stop, step))
    if not expected:
        with pytest.raises(AxisError, match="no values"):
            axis({"range": {"start": start, "stop": stop, "step": step}})
        return
    found = axis({"range": {"start": start, "stop": stop, "step": step}})
    assert (list(found.values()), found.count) == (expected, len(expected))


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 25))
def test_decimal_range_has_exact_values(start: int, stop: int, step: int) -> None:
    """Values are exact decimals: 0.3, never 0.30000000000000004."""
    first, last, by = (Decimal(number) / 10 for number in (start, stop, step))
    expected, value = [], first
    while value < last:
        expected.append(float(value))
        value += by
    numbers = {"start": float(first), "stop": float(last), "step": float(by)}
    if expected:
        found = axis({"range": numbers})
        assert (list(found.values()), found.count) == (expected, len(expected))


def dbos_ticks(schedule: str, start: datetime, end: datetime, zone: Any) -> Iterator[str]:
    """Yield ticks like `backfill_schedule` of dbos 3.4.0."""
    iterator = croniter(schedule, start.astimezone(zone), second_at_beginning=True)
    while (tick := iterator.get_next(datetime)) < end:
        yield tick.isoformat()


@pytest.mark.parametrize(
    "schedule", ["*/15 * * * *", "30 2 * * *", "0 0 1 * *", "0 12 * * mon-fri", "*/20 * * * * *"]
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_cron_ticks_match_dbos(schedule: str, zone: str) -> None:
    """Start and end are ticks and are excluded; the ranges include clock changes and a first of a month."""
    for start, end in (
        ("2026-03-28", "2026-03-30"),
        ("2026-10-24", "2026-10-26"),
        ("2026-03-07", "2026-03-09"),
        ("2026-02-28", "2026-03-02"),
    ):
        bounds = [datetime.fromisoformat(day).replace(tzinfo=timezone.utc) for day in (start, end)]
        expected = list(dbos_ticks(schedule, *bounds, ZoneInfo(zone)))
        cron = {
            "schedule": schedule,
            "start": f"{start}T00:00:00Z",
            "end": f"{end}T00:00:00Z",
            "timezone": zone,
        }
        if not expected:
            with pytest.raises(AxisError, match="never fires"):
                axis({"cron": cron}, limit=10**6)
            continue
        found = axis({"cron": cron}, limit=10**6)
        assert list(found.values()) == expected


ORDERED: list[tuple[str, dict[str, Any]]] = [
    ("range", {"start": 2, "stop": 11, "step": 3}),
    ("range", {"start": 5, "stop": -5, "step": -4}),
    ("range", {"start": 0, "stop": 1, "step": 0.25}),
    ("date_range", {"start": "2026-01-31", "end": "2026-06-30", "step": "1mo"}),
    ("date_range", {"start": "2026-03-28", "end": "2026-03-30", "step": "1d", "timezone": "Europe/Berlin"}),
    ("date_range", {"start": "2026-03-29T00:00:00Z", "end": "2026-03-29T04:00:00Z", "step": "1h"}),
    (
        "cron",
        {"schedule": "30 2 * * *", "start": "2026-10-20", "end": "2026-11-01", "timezone": "Europe/Berlin"},
    ),
]


@pytest.mark.parametrize(("kind", "settings"), ORDERED)
def test_order_desc_reverses_an_axis(kind: str, settings: dict[str, Any]) -> None:
    forwards = axis({kind: settings})
    for order in (None, "asc"):
        assert list(axis({kind: {**settings, "order": order}}).values()) == list(forwards.values())
    backwards = axis({kind: {**settings, "order": "desc"}})
    assert backwards.count == forwards.count > 1
    assert list(backwards.values()) == list(forwards.values())[::-1]
    assert list(backwards.values()) == list(backwards.values()), "can be gone through again"


@pytest.mark.parametrize(
    ("schedule", "zone", "start", "end", "warned"),
    [
        ("0 3 * * *", "UTC", "2026-01-01", "2026-01-05", []),
        ("0 0 * * *", "UTC", "2026-01-01", "2026-01-05", ["start", "end"]),
        ("0 0 * * *", "UTC", "2026-01-01T00:00:01Z", "2026-01-05", ["end"]),
        ("0 0 * * *", "UTC", "2026-01-01", "2026-01-04T23:59:59Z", ["start"]),
        ("0 0 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-05T00:00:00+01:00", ["end"]),
        ("0 0 * * mon", "UTC", "2026-01-05", "2026-02-01", ["start"]),
        ("*/20 * * * * *", "UTC", "2026-01-01T00:00:20Z", "2026-01-01T00:01:30Z", ["start"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-27", ["start"]),
        ("0 3 * * *", "UTC", "2026-01-01T03:00:00.5Z", "2026-01-05", []),
    ],
)
def test_tick_at_an_excluded_end_is_a_warning(
    schedule: str, zone: str, start: str, end: str, warned: list[str]
) -> None:
    cron = {"schedule": schedule, "timezone": zone, "start": start, "end": end}
    found = axis({"cron": cron})
    assert [(warning.code, warning.path) for warning in found.warnings] == [
        ("excluded-tick", ("cron", key)) for key in warned
    ]
    for warning in found.warnings:
        key = str(warning.path[-1])
        included, left_out = re.findall(r'"([^"]*)"', warning.help)
        wider = axis({"cron": {**cron, key: included}})
        same = axis({"cron": {**cron, key: left_out}})
        assert wider.count == found.count + 1
        assert list(same.values()) == list(found.values())
        assert key not in [other.path[-1] for other in (*wider.warnings, *same.warnings)]


def test_file_axis_has_the_rows_of_its_file(tmp_path: Path) -> None:
    tree = FolderTree(tmp_path)
    (tmp_path / "c.csv").write_bytes(b'\xef\xbb\xbfid,name\n1,"a, b"\n2,"line\nbreak"\n\n3,c\n')
    rows = list(axis({"file": {"path": "c.csv"}}, tree).values())
    assert rows == [{"id": "1", "name": "a, b"}, {"id": "2", "name": "line\nbreak"}, {"id": "3", "name": "c"}]
    chosen = axis({"file": {"path": "c.csv", "select": {"id": [1, "3"]}}}, tree)
    assert [row["id"] for row in chosen.values()] == ["1", "3"]
    (tmp_path / "c.jsonl").write_text('{"id": 1}\n\n{"id": "1"}\n')
    assert list(axis({"file": {"path": "c.jsonl", "select": {"id": 1}}}, tree).values()) == [{"id": 1}]
    (tmp_path / "c.json").write_text('["a", 2, null]')
    assert list(axis({"file": {"path": "c.json"}}, tree).values()) == ["a", 2, None]
    with pytest.raises(AxisError, match="did you mean `id`"):
        try:
            axis({"file": {"path": "c.csv", "select": {"ids": 1}}}, tree)
        except AxisError as error:
            raise AxisError(error.code, f"{error.message} {error.help}") from None


def test_axis_file_that_changes_between_reads_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id\n1\n")
    found = axis({"file": {"path": "c.csv"}}, FolderTree(tmp_path))
    assert len(list(found.values())) == 1
    (tmp_path / "c.csv").write_text("id\n1\n2\n")
    with pytest.raises(TreeError, match="changed while the program ran"):
        list(found.values())
