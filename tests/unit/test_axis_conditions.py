"""Test that a condition covers what it states, that it names the cause, and that chance has none."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.expansion.axis import Axis
from dbos_manifest.expansion.expansion import Expansion
from dbos_manifest.expansion.matrix import Matrix
from dbos_manifest.expansion.selection import Selection, can_select, format_terms, parse_terms
from dbos_manifest.expansion.selection import Term as Comparison
from dbos_manifest.planning.axis_columns import AxisColumns
from dbos_manifest.planning.axis_conditions import (
    LEAST_SHARE,
    MOST_TERMS,
    Condition,
    ConditionFinder,
)
from dbos_manifest.workflows.spec import WorkflowSpec

DAYS = [f"2026-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
REGIONS = ["eu", "us", "apac"]
Values = dict[str, list[object]]


class Workflows(NamedTuple):
    """The workflows of one entry, and what a selection needs to know of it."""

    specs: list[WorkflowSpec]
    names: tuple[str, ...]

    def names_of(self, entry: int) -> tuple[str, ...]:
        return self.names

    def find(self, positions: Sequence[int]) -> Condition | None:
        """Find the condition of the workflows at some positions."""
        axes = tuple(Axis(name, 1, lambda: iter(())) for name in self.names)
        columns = AxisColumns(_Source(Matrix(axes)))  # type: ignore[arg-type]
        for spec in self.specs:
            columns.add(spec)
        return ConditionFinder(columns.columns(), columns.count).find(positions)

    def select(self, text: str) -> set[int]:
        """Return the positions of the workflows that `--select` takes."""
        selection = Selection(parse_terms(text))
        expansion: Expansion = self  # type: ignore[assignment]
        return {place for place, spec in enumerate(self.specs) if selection.matches(expansion, spec)}

    def where(self, holds: Callable[..., bool]) -> list[int]:
        """Return the positions of the workflows whose axis values a function accepts."""
        return [place for place, spec in enumerate(self.specs) if holds(*(cell[0] for cell in spec.binding))]


class _Source(NamedTuple):
    matrix: Matrix

    def matrix_of(self, entry: int) -> Matrix:
        return self.matrix


def multiply(axes: Values) -> Workflows:
    """Make one workflow for each combination of values."""
    bindings: list[tuple[tuple[object, ...], ...]] = [()]
    for values in axes.values():
        bindings = [(*binding, (value, None)) for binding in bindings for value in values]
    specs = [
        WorkflowSpec(id=f"w{place}", workflow="ingest", queue="etl", args=[], kwargs={}, binding=binding)
        for place, binding in enumerate(bindings)
    ]
    return Workflows(specs, tuple(axes))


YEAR = multiply({"day": DAYS, "region": [*REGIONS]})


@pytest.mark.parametrize(
    ("holds", "text"),
    [
        (lambda day, region: region == "us", "region=us"),
        (lambda day, region: day >= "2026-12-01", "day>=2026-12-01"),
        (lambda day, region: day <= "2026-02-03", "day<=2026-02-03"),
        (lambda day, region: day == "2026-03-05", None),  # 3 of 1,008 workflows: too few to be sure
        (lambda day, region: "2026-03-05" <= day <= "2026-04-07", "day>=2026-03-05 day<=2026-04-07"),
        (lambda day, region: day >= "2026-12-01" and region == "us", "day>=2026-12-01 region=us"),
        (lambda day, region: True, None),
    ],
)
def test_the_condition_names_the_cause(holds: Callable[..., bool], text: str | None) -> None:
    failed = YEAR.where(holds)
    found = YEAR.find(failed)
    if text is None:
        assert found is None or found.matching < len(YEAR.specs)
        assert holds("2026-01-01", "eu") is False or found is None
    else:
        assert found is not None
        assert (found.text, found.covered, found.matching) == (text, len(failed), len(failed))


def test_a_few_failures_elsewhere_make_the_condition_partial() -> None:
    failed = YEAR.where(lambda day, region: region == "us")
    elsewhere = YEAR.where(lambda day, region: region == "eu")[::60]
    found = YEAR.find(sorted([*failed, *elsewhere]))
    assert found is not None
    assert found.text == "region=us"
    assert (found.covered, found.total) == (336, 342)


def test_a_few_failures_elsewhere_hide_no_part_of_the_cause() -> None:
    failed = YEAR.where(lambda day, region: region == "us" and day >= "2026-11-01")
    elsewhere = random.Random(5).sample(YEAR.where(lambda day, region: day < "2026-11-01"), 5)
    found = YEAR.find(sorted([*failed, *elsewhere]))
    assert found is not None
    assert found.text == "day>=2026-11-01 region=us"
    assert (found.covered, found.total, found.matching) == (56, 61, 56)


def test_a_few_failures_of_a_cause_are_enough() -> None:
    failed = YEAR.where(lambda day, region: region == "us" and day >= "2026-11-28")
    found = YEAR.find(failed[::3])
    assert found is not None
    assert found.text == "day>=2026-11-28 region=us"


def test_keys_of_maps_and_numbers_are_named_as_a_selection_takes_them() -> None:
    customers = [{"id": number, "tier": "basic plan" if number % 2 else "gold"} for number in range(40)]
    workflows = multiply({"customer": customers, "size": [*range(30)]})
    found = workflows.find(workflows.where(lambda customer, size: customer["tier"] == "gold" and size >= 20))
    assert found is not None
    assert found.text == "customer.tier=gold size>=20"
    basic = workflows.find(workflows.where(lambda customer, size: customer["id"] % 2 and size % 3))
    assert basic is not None
    assert basic.text == 'customer.tier="basic plan"'


def test_an_axis_that_implies_another_is_named_alone() -> None:
    stores = [{"name": f"store{number}", "country": "de" if number < 3 else "fr"} for number in range(30)]
    workflows = multiply({"day": DAYS[:60], "store": stores})
    found = workflows.find(workflows.where(lambda day, store: store["name"] == "store1"))
    assert found is not None
    assert found.text == "store.name=store1"


values = st.one_of(
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=20, unique=True),
    st.lists(st.integers(-50, 50), min_size=1, max_size=20, unique=True),
    st.lists(st.sampled_from([*REGIONS, "a b", 'c"d', "e,f", "g'h", "", "\n", "ü"]), min_size=1, unique=True),
    st.lists(st.sampled_from([True, None, 1.5, "x", {"id": 1, "k": "v"}, [1]]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["2026-01-01T00:00:00+01:00", "2026-01-01T00:30:00+02:00"]), min_size=1),
)


@given(st.data(), st.lists(values, min_size=1, max_size=3))
def test_every_condition_selects_what_it_states(data: st.DataObject, axes: list[list[object]]) -> None:
    workflows = multiply({f"axis_{place}": axis for place, axis in enumerate(axes)})
    count = len(workflows.specs)
    wanted = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    by_axis = data.draw(st.integers(0, len(axes) - 1))
    value = data.draw(st.sampled_from(axes[by_axis]))
    planted = {place for place, spec in enumerate(workflows.specs) if spec.binding[by_axis][0] is value}
    for failed in (wanted, planted, planted | {0}):
        found = workflows.find(sorted(failed))
        if found is not None:
            selected = workflows.select(found.text)
            assert len(selected) == found.matching < count
            assert len(selected & failed) == found.covered
            assert found.total == len(failed)
            assert found.covered >= LEAST_SHARE * found.total
            names = [*dict.fromkeys(term.name for term in found.terms)]
            assert len(names) <= MOST_TERMS


words = st.text("ab ,;'=<>!\\$ü世\u00a0", min_size=1, max_size=6) | st.text('ab ,"', min_size=1, max_size=6)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True),
            st.lists(words, min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_comparisons_are_read_as_they_were_written(pairs: list[tuple[str, list[str]]]) -> None:
    terms = [Comparison(name, "=", tuple(filter(can_select, found)) or ("x",)) for name, found in pairs]
    assert parse_terms(format_terms(terms)) == terms


@pytest.mark.parametrize("size", [1, 2, 5, 12, 50, 318, 700])
def test_random_failures_get_no_explanation(size: int) -> None:
    draw = random.Random(size)
    found = [YEAR.find(sorted(draw.sample(range(len(YEAR.specs)), size))) for _ in range(60)]
    assert sum(condition is not None for condition in found) <= 1


def test_random_failures_within_a_cause_get_no_more_than_the_cause() -> None:
    draw, within = random.Random(1), YEAR.where(lambda day, region: region == "us")
    found = [YEAR.find(sorted(draw.sample(within, 60))) for _ in range(100)]
    assert sum(condition is not None and condition.text == "region=us" for condition in found) >= 99
