"""Compare `expand` of a million workflows of two axes with a script written for this manifest alone.

python benchmarks/expand.py [workflows] [rounds]
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from measure import compare, run

MANIFEST = """\
version: 1
name: orders-backfill
limits: {{max_workflows: {workflows}}}
defaults: {{queue: etl, timeout: 10m}}
workflows:
  - workflow: ingest_orders
    id: "orders-${{{{ day }}}}-${{{{ shard }}}}"
    matrix:
      day: {{date_range: {{start: "2024-01-01", end: "2026-09-26"}}}}
      shard: {{range: {{stop: {shards}}}}}
    args: ["${{{{ day }}}}"]
    kwargs: {{shard: "${{{{ shard }}}}"}}
"""
DAYS = 1000

BY_HAND = f"""\
import json, sys
from datetime import date, timedelta
for day in (str(date(2024, 1, 1) + timedelta(days=k)) for k in range({DAYS})):
    for shard in range(int(sys.argv[1])):
        print(json.dumps({{"id": f"orders-{{day}}-{{shard}}", "workflow": "ingest_orders", "queue": "etl",
                           "args": [day], "kwargs": {{"shard": shard}}, "timeout": "10m"}}))
"""


def main() -> None:
    workflows, rounds = (int(word) for word in [*sys.argv[1:], "1000000", "3"][:2])
    shards = workflows // DAYS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = folder / "jobs.yaml"
        manifest.write_text(MANIFEST.format(workflows=workflows, shards=shards))
        (folder / "by_hand.py").write_text(BY_HAND)
        program, out = Path(sys.executable).parent / "dbos-manifest", folder / "out"
        sides = {
            "script by hand": partial(run, [sys.executable, folder / "by_hand.py", str(shards)], out),
            "expand": partial(run, [program, "expand", manifest], out),
            "validate": partial(run, [program, "validate", manifest], out),
        }
        print(f"{workflows:,} workflows, median of {rounds}\n")
        print(compare(sides, rounds))


if __name__ == "__main__":
    main()
