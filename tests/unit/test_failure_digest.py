"""Test how failed workflows are grouped by error and step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.planning.axis_columns import AxisColumn
from dbos_manifest.planning.error_masks import MAX_CHARACTERS, mask_text
from dbos_manifest.planning.failure_digest import (
    MOST_GROUPS,
    Failure,
    FailureDigest,
    FailureGroup,
    LastStep,
)

FETCH = LastStep(2, "fetch", True)


def digest(*failures: Failure) -> list[FailureGroup]:
    found = FailureDigest()
    for position, failure in enumerate(failures):
        found.add(position, failure)
    return found.groups([], len(failures))


def failure(message: str | None, workflow_id: str = "orders-1", step: LastStep | None = FETCH) -> Failure:
    return Failure(workflow_id, "ERROR", "ValueError", message, step, 1_000)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("warehouse 17 did not respond in 30 s", "warehouse <n> did not respond in <n> s"),
        ("took 1,234.5ms and 30s", "took <n>ms and <n>s"),
        ("no file for 2026-01-31", "no file for <date>"),
        ("at 2026-01-31T09:00:00.123Z, 2026-01-31 09:00", "at <time>, <time>"),
        ("id 9f86d081-1234-4abc-8def-0123456789ab", "id <id>"),
        ("object at 0x7f3a12", "object at <id>"),
        ("charge ch_3MqZlPLkdIwHu7ix", "charge ch_<id>"),
        ("orders-2026-01-31-us failed", "<id> failed"),
        ("orders-2026-01-31-us-2 failed", "<id>-<n> failed"),
        ("xorders-2026-01-31-us", "xorders-<date>-us"),
        ("HTTP 503 from api", "HTTP 503 from api"),
        ("status=404, code: 12", "status=404, code: 12"),
        ("utf8 int64 s3", "utf8 int64 s3"),
        ("order12345", "order<n>"),
        ("two\n  lines", "two lines"),
        ("", ""),
    ],
)
def test_what_differs_is_masked(text: str, masked: str) -> None:
    found = mask_text(text, "orders-2026-01-31-us")
    assert found.show([None] * len(found.values)) == masked
    assert found.show(found.values) == " ".join(text.split())


@given(st.text(), st.text())
def test_a_masked_text_keeps_every_character(text: str, workflow_id: str) -> None:
    found = mask_text(text, workflow_id)
    assert len(found.literals) == len(found.kinds) + 1 == len(found.values) + 1
    shortened = " ".join(text[: 2 * MAX_CHARACTERS].split())[:MAX_CHARACTERS]
    assert found.show([" ".join(value.split()) for value in found.values]) == shortened


@given(st.integers(), st.dates(), st.uuids())
def test_messages_that_differ_in_values_are_one_group(number: int, day: object, key: object) -> None:
    texts = [
        f"row {abs(number)} of {day} ({key})",
        "row 1 of 2026-01-01 (9f86d081-1234-4abc-8def-0123456789ab)",
    ]
    assert len(digest(*map(failure, texts))) == 1


@pytest.mark.parametrize(
    "text",
    ["1" * 10**6, "a1" * 10**6, "a" * 10**6, "1,a" * 10**6, "0-" * 10**6, "2026-01-01T" * 10**5, " " * 10**7],
)
def test_a_hostile_message_is_masked_quickly(text: str) -> None:
    for _ in range(100):
        mask_text(text, "orders-1")


def test_values_that_all_messages_share_are_shown() -> None:
    texts = [f"warehouse {number} did not respond in 30 s" for number in range(5)]
    (group,) = digest(*map(failure, texts))
    assert (group.message, group.size) == ("warehouse <n> did not respond in 30 s", 5)


def test_groups_differ_by_name_message_step_and_status() -> None:
    one = failure("empty file")
    other_step = failure("empty file", step=LastStep(3, "load", True))
    cancelled = Failure("c", "CANCELLED", None, None, None, None)
    exceeded = Failure("m", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", None, None, None, None)
    found = digest(one, one, other_step, one._replace(name="KeyError"), cancelled, exceeded)
    assert [group.size for group in found] == [2, 1, 1, 1, 1]
    assert found[0].examples == ["orders-1", "orders-1"]


def test_a_group_has_the_times_of_its_first_and_last_failure() -> None:
    first, last = failure("x")._replace(completed_ms=5), failure("x")._replace(completed_ms=9)
    (group,) = digest(last, first, first._replace(completed_ms=None))
    assert (group.first_ms, group.last_ms) == (5, 9)


def test_many_different_messages_are_grouped_by_name() -> None:
    letters = "abcdefghij"
    words = ["".join(letters[int(digit)] for digit in str(number)) for number in range(MOST_GROUPS + 500)]
    found = digest(*map(failure, words))
    assert len(found) == MOST_GROUPS + 1
    assert (found[0].message, found[0].size) == ("(other messages)", 500)


def test_each_group_has_the_condition_of_its_workflows() -> None:
    column = AxisColumn("region", ["", "eu", "us"], [1, 2] * 100)
    found = FailureDigest()
    for position in range(200):
        message = "timeout" if position % 2 else "empty file"
        if position % 2 or position < 40:
            found.add(position, failure(message))
    groups = found.groups([column], 200)
    assert [(group.message, group.condition and group.condition.text) for group in groups] == [
        ("timeout", "region=us"),
        ("empty file", "region=eu"),
    ]
