"""Test variables and selection on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_harness import Cli

MANIFEST = """\
version: 1
name: orders
vars: {start: "2026-01-01", days: 2, region: null}
defaults: {queue: etl}
workflows:
  - {id: smoke, workflow: check, name: smoke}
  - workflow: ingest
    name: daily
    id: "orders-${{ day }}-${{ size.name }}"
    matrix:
      day: {date_range: {start: "${{ vars.start }}", end: "2026-01-03"}}
      size: [{name: small, gb: 5}, {name: large, gb: 12}]
    priority: "${{ size.gb }}"
    args: ["${{ day }}", "${{ vars.region }}"]
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.yaml"
    path.write_text(MANIFEST)
    return path


def ids(run: Cli, *words: str) -> list[str]:
    done = run("expand", "orders.yaml", "-o", "ids", "--var", "region=eu", *words)
    assert done.code == 0, done.err
    return done.out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), 7),
        (("--select", "day>=2026-01-02"), 4),
        (("--select", "day>2026-01-02 size.name=small"), 1),
        (("--select", "day>2026-01-02", "--select", "size.name=small"), 1),
        (("--select", "size.gb>5"), 3),
        (("--select", "size.gb<=12"), 6),
        (("--select", "size.name=small,large"), 6),
        (("--select", "size.name!=small"), 3),
        (("--select", "priority=5"), 3),
        (("--select", "workflow=check"), 1),
        (("--select", "id='smoke'"), 1),
        (("--entry", "smoke"), 1),
        (("--entry", "smoke", "--entry", "daily"), 7),
        (("--var", "start=2026-01-03"), 3),
        (("--limit", "3"), 3),
    ],
)
def test_options_select_workflows(run: Cli, orders: Path, words: tuple[str, ...], expected: int) -> None:
    assert len(ids(run, *words)) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--select", "dya=2026-01-01"), "did you mean `day`?"),
        (("--select", "day"), "write comparisons"),
        (("--select", "day>=2026-01-01,2026-01-02"), "expected one value"),
        (("--select", "day=2027-01-01"), "matches none of the 7 workflows"),
        (("--select", "size>3"), "expected text or a number to compare with `>`"),
        (("--select", "size.gb>many"), "expected a number to compare with `size.gb`"),
        (("--entry", "smok"), "did you mean `smoke`?"),
        (("--var", "start"), "expected NAME=VALUE after --var, found `start`"),
        (("--var", "strt=1"), "did you mean `start`?"),
        (("--var", "days=many"), "expected a number"),
        (("--vars-file", "none.yaml"), "none.yaml"),
    ],
)
def test_invalid_options_are_refused(run: Cli, orders: Path, words: tuple[str, ...], message: str) -> None:
    done = run("expand", "orders.yaml", "--var", "region=eu", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_variable_without_value_is_required_by_expand_only(run: Cli, orders: Path) -> None:
    checked = run("validate", "orders.yaml")
    assert checked.code == 0
    assert "no value for `region`, so expressions that use it were not checked" in checked.err
    refused = run("expand", "orders.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert "--var region=…" in refused.err


def test_variables_file_sets_variables(run: Cli, orders: Path) -> None:
    (orders.parent / "prod.yaml").write_text('{region: us, start: "2026-01-03"}')
    done = run("expand", "orders.yaml", "--vars-file", "prod.yaml", "--select", "day=2026-01-03 size.gb=5")
    assert '"args":["2026-01-03","us"]' in done.out


def test_var_overrides_the_variables_file(run: Cli, orders: Path) -> None:
    (orders.parent / "prod.yaml").write_text("{region: us}")
    done = run("expand", "orders.yaml", "--vars-file", "prod.yaml", "--var", "region=eu")
    assert '"eu"' in done.out and '"us"' not in done.out


def test_variables_file_with_a_value_of_another_type_is_refused(run: Cli, orders: Path) -> None:
    (orders.parent / "prod.yaml").write_text("{region: us, start: 3}")
    assert "write it as in the manifest" in run("expand", "orders.yaml", "--vars-file", "prod.yaml").err


def test_undeclared_variable_in_a_variables_file_is_noted(run: Cli, orders: Path) -> None:
    (orders.parent / "prod.yaml").write_text("{region: us, else: 3}")
    done = run("validate", "orders.yaml", "--vars-file", "prod.yaml")
    assert "no manifest declares the variables else" in done.err


def test_count_shows_the_length_of_each_axis(run: Cli, orders: Path) -> None:
    done = run("expand", "orders.yaml", "--count", "--var", "region=eu", "--select", "size.gb=5")
    assert done.out == "orders: 7 workflows\n  workflows[1] (daily): 6 = day 3 × size 2\n  selected: 3\n"


ALL = ("orders.yaml", "--var", "region=eu")
SMALL = (*ALL, "--select", "size.name=small")


def test_commands_use_only_the_selected_workflows(run_db: Cli, orders: Path) -> None:
    assert "Plan: 3 to enqueue\n" in run_db("plan", *SMALL).out
    assert "Enqueued 3 of " in run_db("apply", *SMALL).out
    assert run_db("status", *SMALL, "-o", "json").json["counts"] == {"ENQUEUED": 3}


def test_workflows_outside_the_selection_can_be_enqueued_later(run_db: Cli, orders: Path) -> None:
    run_db("apply", *SMALL)
    assert "Plan: 4 to enqueue, 3 unchanged" in run_db("plan", *ALL).out
    smoke = run_db("plan", *ALL, "--entry", "smoke")
    assert "Plan: 1 to enqueue\n" in smoke.out


def test_ids_from_takes_the_ids_of_status(run_db: Cli, orders: Path) -> None:
    run_db("apply", *SMALL)
    ids = run_db("status", *ALL, "--only", "NOT_ENQUEUED", "-o", "ids").out
    (orders.parent / "ids.txt").write_text(ids)
    assert "Enqueued 4 of " in run_db("apply", *ALL, "--ids-from", "ids.txt").out


def test_ids_from_refuses_an_unknown_id(run_db: Cli, orders: Path) -> None:
    (orders.parent / "ids.txt").write_text("smoke\nsmoky\n")
    refused = run_db("apply", *ALL, "--ids-from", "ids.txt")
    assert (refused.code, "do not contain smoky" in refused.err) == (2, True)


def test_lock_commands_accept_no_selection(run: Cli, orders: Path) -> None:
    assert run("lock", "check", "orders.yaml", "--select", "day=2026-01-01").code == 2
