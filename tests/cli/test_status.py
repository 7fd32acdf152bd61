"""Test the option `--only` of `status`."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_harness import Cli

from dbos_manifest.planning.rows import STATUSES


@pytest.mark.parametrize("name", [*STATUSES, "NOT_ENQUEUED", "enqueued"])
def test_only_accepts_the_statuses_of_dbos(run_db: Cli, jobs: Path, name: str) -> None:
    assert run_db("apply", "jobs.yaml").code == 0
    done = run_db("status", "jobs.yaml", "--only", name, "-o", "json")
    assert done.code == 0
    assert done.json["counts"] == ({"ENQUEUED": 3} if name.upper() == "ENQUEUED" else {})


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("ENQUEUD", "did you mean `ENQUEUED`?"), ("sucess", "did you mean `SUCCESS`?"), ("FAILED", "PENDING"),
        ("", "PENDING"), (" SUCCESS", "did you mean `SUCCESS`?"), ("SUCCESS,ERROR", "SUCCESS"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["text", "json", "ids"])
def test_only_refuses_other_statuses(run_db: Cli, jobs: Path, name: str, help: str, form: str) -> None:
    done = run_db("status", "jobs.yaml", "--only", name, "-o", form)
    assert (done.code, done.out) == (2, "")
    assert help in done.err
