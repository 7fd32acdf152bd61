"""Compare `validate` of explicit entries with check-jsonschema and the same schema, and the start-up of both.

python benchmarks/frontend.py [workflows] [rounds]
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from measure import compare, run

HEAD = "version: 1\nname: explicit\nlimits: {max_workflows: 1000000}\nworkflows:\n"
ENTRY = """\
- id: orders-{number:07}
  workflow: ingest_orders
  queue: etl
  priority: {priority}
  timeout: 10m
  args: ["2026-01-{day:02}", {number}]
  kwargs: {{region: eu, full: true}}
"""
SMALL = 10


def write_manifest(path: Path, workflows: int) -> Path:
    with path.open("w") as file:
        file.write(HEAD)
        for number in range(workflows):
            file.write(ENTRY.format(number=number, priority=number % 9, day=number % 28 + 1))
    return path


def main() -> None:
    workflows, rounds = (int(word) for word in [*sys.argv[1:], "100000", "3"][:2])
    programs = Path(sys.executable).parent
    schema = Path(__file__).parent.parent / "schemas" / "manifest.v1.schema.json"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (workflows, SMALL):
            manifest = write_manifest(folder / f"{count}.yaml", count)
            other = [programs / "check-jsonschema", "--schemafile", schema, manifest]
            sides = {
                "check-jsonschema": partial(run, other, folder / "out"),
                "validate": partial(run, [programs / "dbos-manifest", "validate", manifest], folder / "out"),
            }
            if count == SMALL:
                sides["--help"] = partial(run, [programs / "dbos-manifest", "--help"], folder / "out")
            print(f"\n{count:,} explicit entries, median of {rounds}\n")
            print(compare(sides, rounds))


if __name__ == "__main__":
    main()
