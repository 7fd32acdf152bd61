"""Measure `status` of many workflows of which none, a few or all have failed, on PostgreSQL.

python benchmarks/status.py [workflows] [rounds]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

import psycopg
from measure import Cost, run
from servers import postgres_server

MANIFEST = """\
version: 1
name: orders
limits: {{max_workflows: {workflows}}}
defaults: {{queue: etl}}
workflows:
  - workflow: ingest_orders
    id: "orders-${{{{ day }}}}-${{{{ region }}}}-${{{{ shard }}}}"
    matrix:
      day: {{date_range: {{start: "2024-01-01", end: "2024-09-06"}}}}
      region: [eu, us, apac, latam]
      shard: {{range: {{stop: {shards}}}}}
    args: ["${{{{ day }}}}"]
"""
DAYS, REGIONS = 250, 4
US_SINCE_JUNE = "workflow_uuid LIKE '%-us-%' AND workflow_uuid >= 'orders-2024-06-15'"
SHARES = {"none": "false", "one in 12": US_SINCE_JUNE, "all": "true"}
MESSAGE = """'{"name": "TimeoutError", "message": "warehouse ' || created_at || ' did not respond"}'"""


def main(workflows: int, rounds: int) -> None:
    tool = Path(sys.executable).with_name("dbos-manifest")
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        manifest = Path(folder, "orders.yaml")
        manifest.write_text(MANIFEST.format(workflows=workflows, shards=workflows // DAYS // REGIONS))
        url = server.new_database()
        output = Path(folder, "output.txt")
        run([tool, "apply", manifest, "--database-url", url], output)
        print("| failed | status, processor s | elapsed s | peak MiB |\n|---|---|---|---|")
        for name, condition in SHARES.items():
            fail(url, condition)
            command = [tool, "status", manifest, "--database-url", url]
            costs = [run(command, output) for _ in range(rounds)]
            cost = Cost(*map(median, zip(*costs, strict=True)))
            print(f"| {name} | {cost.cpu_s:.1f} | {cost.wall_s:.1f} | {cost.peak_mib:.0f} |", flush=True)


def fail(url: str, condition: str) -> None:
    """End all workflows, those that match the condition with an error in their second step."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = dbos")
        connection.execute("TRUNCATE workflow_output, operation_outputs")
        connection.execute(
            f"UPDATE workflow_status SET status = CASE WHEN {condition} THEN 'ERROR' ELSE 'SUCCESS' END, "
            "started_at_epoch_ms = created_at + 1000, completed_at = created_at + 3000"
        )
        connection.execute(
            "INSERT INTO workflow_output (workflow_uuid, error, retention_timestamp) "
            f"SELECT workflow_uuid, {MESSAGE}, 1 FROM workflow_status WHERE status = 'ERROR'"
        )
        connection.execute(
            "INSERT INTO operation_outputs (workflow_uuid, function_id, function_name, error) "
            "SELECT workflow_uuid, step, 'fetch', CASE WHEN step = 2 THEN 'x' END "
            "FROM workflow_status, generate_series(1, 2) step WHERE status = 'ERROR'"
        )
        connection.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(100_000, 3)[len(given) :])
