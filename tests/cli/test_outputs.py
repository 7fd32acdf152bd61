"""Compare every output format with golden files; UPDATE_GOLDEN=1 writes them again for review."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree

import jsonschema_rs
import pytest
from cli_harness import Cli
from jsonschema import Draft7Validator

from dbos_manifest.core.diagnostic import make_diagnostic
from dbos_manifest.files.bundled import read_schema
from dbos_manifest.report.junit import junit_document

GOLDEN = Path(__file__).parent.parent / "cases" / "outputs"
SARIF = Path(__file__).parent.parent / "data" / "sarif-2.1.0-rtm.5.json"
HOSTILE = "::add-mask::x \\x1b[31m @team </details> | `code` %0A <script> ]]> & *bold* \\u202eevil"

MANIFEST = """\
version: 1
name: orders
vars: {end: "2026-01-04"}
defaults: {queue: etl}
workflows:
  - workflow: ingest_orders
    id: "orders-${{ day }}-${{ region }}"
    matrix:
      day: {date_range: {start: "2026-01-01", end: "${{ vars.end }}"}}
      region: [eu, us]
    kwargs: {region: "${{ region }}"}
  - {id: "HOSTILE", workflow: check, deduplication_id: once, queue_partition_key: eu}
  - {id: moved, workflow: check, args: [1, {deep: [true]}]}
""".replace("HOSTILE", HOSTILE)
BROKEN = """\
version: 1
name: broken
workflows:
  - {id: "HOSTILE", workflow: check, queue: q, runtime: java}
  - workflow: check
    queue: q
    id: "a-${{ n }}"
    matrix: {n: [1, 2], m: [1, 2]}
""".replace("HOSTILE", HOSTILE)


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def check_form(form: str, text: str) -> None:
    """Check what must be true of a format for any content."""
    if form != "ids":
        assert "\x1b" not in text and "\u202e" not in text
    if form in ("json", "sarif"):
        document = json.loads(text)
        if form == "sarif":
            Draft7Validator(json.loads(SARIF.read_text())).validate(document)
    elif form == "jsonl":
        assert all(json.loads(line)["format_version"] == 1 for line in text.splitlines())
    elif form == "junit":
        ElementTree.fromstring(text)
    elif form == "markdown":
        assert len(text) < 60_000
        assert text.count("<details>") == text.count("</details>")
        assert "@team" not in text and "<script>" not in text
    elif form == "github":
        for line in text.splitlines():
            assert line.startswith(("::error ", "::warning ")) or "::" not in line


def without_database(text: str) -> str:
    """Return the text without the name of the database and without durations."""
    text = re.sub(r"\(planned in [0-9.]+ m?s\)$", "(planned in 0.1 s)", text, flags=re.M)
    text = re.sub(r"  [0-9.]+ m?s  lockfile ", "  0.1 s  lockfile ", text)
    return re.sub(r" → (?!false|3).*  lockfile ", " → …  lockfile ", text)


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif", "junit", "markdown"])
def test_validate_prints_the_golden_output(run: Cli, tmp_path: Path, form: str) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    done = run("validate", "broken.yaml", "-o", form)
    assert done.code == 1
    check_form(form, done.out)
    check_golden(f"validate.{form}", done.out)


PLAN_FORMS = ["text", "json", "jsonl", "ids", "github", "sarif", "junit", "markdown"]


@pytest.fixture
def changed(run_db: Cli, tmp_path: Path) -> Cli:
    """Apply two days, then extend the range and change an argument and an option."""
    (tmp_path / "orders.yaml").write_text(MANIFEST)
    assert run_db("apply", "orders.yaml", "--var", "end=2026-01-02").code == 0
    changed = MANIFEST.replace("deep: [true]", "deep: [false, 3]").replace("once,", "once, priority: 3,")
    (tmp_path / "orders.yaml").write_text(changed)
    return run_db


@pytest.mark.parametrize("form", PLAN_FORMS)
def test_plan_prints_the_golden_output(changed: Cli, form: str) -> None:
    done = changed("plan", "orders.yaml", "-o", form, "--show-values")
    assert done.code == 6
    check_form(form, done.out)
    check_golden(f"plan.{form}", without_database(done.out))


def test_plan_prints_no_stored_value_without_show_values(changed: Cli) -> None:
    for form in PLAN_FORMS:
        out = changed("plan", "orders.yaml", "-o", form).out
        assert "→ false" not in out and '"database":' not in out, form


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "github", "sarif", "junit", "markdown"])
def test_apply_prints_the_golden_output(changed: Cli, form: str) -> None:
    done = changed("apply", "orders.yaml", "--allow-drift", "--chunk-size", "2", "-o", form)
    assert done.code == 0
    check_form(form, done.out)
    check_golden(f"apply.{form}", without_database(done.out))


@pytest.mark.parametrize("form", ["json", "jsonl", "markdown"])
def test_refused_apply_prints_the_golden_output(changed: Cli, form: str) -> None:
    done = changed("apply", "orders.yaml", "-o", form)
    assert done.code == 6
    check_form(form, done.out)
    check_golden(f"refused.{form}", done.out)


def test_plan_writes_several_formats_at_once(changed: Cli) -> None:
    words = [word for form in PLAN_FORMS for word in ("-o", f"{form}=out/{form}")]
    assert changed("plan", "orders.yaml", *words).code == 2  # the folder `out` does not exist
    Path("out").mkdir()
    done = changed("plan", "orders.yaml", *words, "--show-values")
    assert without_database(done.out) == (GOLDEN / "plan.text").read_text()
    for form in PLAN_FORMS:
        assert without_database((Path("out") / form).read_text()) == (GOLDEN / f"plan.{form}").read_text()
    refused = changed("plan", "orders.yaml", "-o", "json", "-o", "sarif")
    assert (refused.code, "write one of them to a file: sarif=FILE" in refused.err) == (2, True)
    assert changed("plan", "orders.yaml", "-o", "xml").code == 2
    assert changed("plan", "orders.yaml", "-o", "json=").code == 2


DOCUMENTS = {
    "validate": "diagnostics.v1",
    "plan": "changes.v1",
    "apply": "applied.v1",
    "refused": "applied.v1",
}


@pytest.mark.parametrize("command", DOCUMENTS)
def test_golden_documents_match_their_schemas(command: str) -> None:
    schema = json.loads(read_schema(DOCUMENTS[command]))
    document: Any = json.loads((GOLDEN / f"{command}.json").read_text())
    jsonschema_rs.validator_for(schema).validate(document)


def test_large_plan_is_summarized_by_axis(run_db: Cli, tmp_path: Path) -> None:
    """Ten thousand workflows are shown as exact sets of days, regions and numbers."""
    (tmp_path / "year.yaml").write_text(
        dedent("""\
        version: 1
        name: year
        workflows:
          - workflow: w
            queue: q
            id: "${{ day }}-${{ region }}-${{ n }}"
            matrix:
              day: {date_range: {start: "2026-01-01", end: "2026-04-10"}}
              region: [eu, us]
              n: {range: {stop: 50}}
        """)
    )
    run_db("apply", "year.yaml", "--select", "day<2026-03-01 region=eu")
    done = run_db("plan", "year.yaml")
    assert done.out.splitlines()[2:-1] == [
        "  + create    7,050  w on q",
        "                       4,100  day 2026-03-01 … 2026-04-10; region eu, us; n 0 … 49",
        "                       2,950  day 2026-01-01 … 2026-02-28; region us; n 0 … 49",
        "  = unchanged 2,950  2,950 ENQUEUED",
        "",
        "Plan: 7,050 to enqueue, 2,950 unchanged",
    ]
    assert len(run_db("plan", "year.yaml", "-o", "markdown").out) < 3_000


@pytest.mark.parametrize("form", ["text", "json"])
def test_explain_prints_the_golden_output(changed: Cli, form: str) -> None:
    done = changed("explain", "orders.yaml", "orders-2026-01-03-eu", "-o", form)
    assert done.code == 0
    check_golden(f"explain.{form}", done.out)
    applied = changed("explain", "orders.yaml", "orders-2026-01-01-eu", "-o", "json").json
    assert applied["row"]["status"] == "ENQUEUED"
    assert applied["lock"]["digest"] == applied["digest"]
    close = changed("explain", "orders.yaml", "orders-2026-01-01-au")
    assert (close.code, "did you mean" in close.err) == (2, True)


def test_junit_cases_have_unique_names(run: Cli, tmp_path: Path) -> None:
    """GitLab identifies a case by classname and name, and shows only one of two equal cases."""
    (tmp_path / "twins.yaml").write_text(
        dedent("""\
        version: 1
        name: twins
        catalog: {f: {args: {type: array, minItems: 3, contains: {type: string}, anyOf: [false, false]}}}
        workflows:
          - {id: x, workflow: f, queue: q, args: [1]}
          - {id: "y-${{ n }}", workflow: f, queue: q, args: [1], matrix: {n: [1, 2]}}
        """)
    )
    done = run("validate", "twins.yaml", "-o", "junit")
    cases = ElementTree.fromstring(done.out).findall(".//testcase")
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(names) == 4
    assert len({*names}) == len(names)


@pytest.mark.parametrize("same", [2, 4])
def test_equal_junit_cases_are_numbered(same: int) -> None:
    found = [make_diagnostic("drifted", "`a` differs", ("workflows", 0)).in_file("m.yaml")] * same
    cases = ElementTree.fromstring(junit_document({"m.yaml": found}, strict=False)).findall(".//testcase")
    assert len({case.get("name") for case in cases}) == same
