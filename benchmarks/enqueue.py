"""Compare `apply` of generated workflows with the floor: the same rows into the same tables in minimal code.

The floor is COPY on PostgreSQL and executemany on SQLite, ten thousand rows per transaction.
python benchmarks/enqueue.py [workflows] [rounds] [postgresql|sqlite]
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import psycopg
from dbos import DBOSClient
from measure import Cost, run
from servers import Databases, postgres_server, sqlite_files

MANIFEST = """\
version: 1
name: orders-backfill
limits: {{max_workflows: {workflows}}}
defaults: {{queue: etl}}
workflows:
  - workflow: ingest_orders
    id: "orders-${{{{ day }}}}-${{{{ shard }}}}"
    matrix:
      day: {{date_range: {{start: "2024-01-01", end: "2026-09-26"}}}}
      shard: {{range: {{stop: {shards}}}}}
    args: ["${{{{ day }}}}"]
    kwargs: {{shard: "${{{{ shard }}}}", region: eu}}
"""
DAYS = 1000
PER_TRANSACTION = 10_000
STATUS = (
    "workflow_uuid, status, name, queue_name, priority, created_at, updated_at, recovery_attempts, "
    "serialization, attributes, creator_xid"
)


def floor_sqlite(url: str, workflows: int) -> float:
    """Seconds of executemany."""
    run_id = str(uuid.uuid4())
    mark = json.dumps({"dbos_manifest": {"manifest": "orders-backfill", "run_id": run_id}})
    days = [str(date(2024, 1, 1) + timedelta(days=k)) for k in range(DAYS)]
    start = time.perf_counter()
    now = int(time.time() * 1000)
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    ids = [(day, shard) for day in days for shard in range(workflows // DAYS)]
    for first in range(0, len(ids), PER_TRANSACTION):
        chunk = ids[first : first + PER_TRANSACTION]
        tail = ("ENQUEUED", "ingest_orders", "etl", 0, now, now, 0, "portable_json", mark, run_id)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"INSERT INTO workflow_status ({STATUS}) VALUES ({', '.join('?' * 11)})",
            [(f"orders-{d}-{s}", *tail) for d, s in chunk],
        )
        connection.executemany(
            "INSERT INTO workflow_input (workflow_uuid, inputs, retention_timestamp) VALUES (?, ?, ?)",
            [
                (
                    f"orders-{d}-{s}",
                    f'{{"namedArgs":{{"shard":{s},"region":"eu"}},"positionalArgs":["{d}"]}}',
                    now,
                )
                for d, s in chunk
            ],
        )
        connection.execute("COMMIT")
    connection.close()
    return time.perf_counter() - start


def floor_postgresql(url: str, workflows: int) -> float:
    """Seconds of plain COPY: the text is made in one join, ten thousand rows per transaction."""
    run_id = str(uuid.uuid4())
    mark = json.dumps({"dbos_manifest": {"manifest": "orders-backfill", "run_id": run_id}})
    days = [str(date(2024, 1, 1) + timedelta(days=k)) for k in range(DAYS)]
    shards = workflows // DAYS
    start = time.perf_counter()
    now = int(time.time() * 1000)
    with psycopg.connect(url) as connection:
        ids = [(day, shard) for day in days for shard in range(shards)]
        for first in range(0, len(ids), PER_TRANSACTION):
            chunk = ids[first : first + PER_TRANSACTION]
            tail = f"\t{now}\t{now}\t0\tportable_json\t{mark}\t{run_id}"
            status = "\n".join([f"orders-{d}-{s}\tENQUEUED\tingest_orders\tetl\t0{tail}" for d, s in chunk])
            inputs = "\n".join(
                [
                    f'orders-{d}-{s}\t{{"namedArgs":{{"shard":{s},"region":"eu"}},"positionalArgs":["{d}"]}}\t{now}'
                    for d, s in chunk
                ]
            )
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY dbos.workflow_status ({STATUS}) FROM STDIN") as copy:
                    copy.write(status + "\n")
                with cursor.copy(
                    "COPY dbos.workflow_input (workflow_uuid, inputs, retention_timestamp) FROM STDIN"
                ) as copy:
                    copy.write(inputs + "\n")
            connection.commit()
    return time.perf_counter() - start


def client_loop(url: str, workflows: int) -> float:
    """Seconds of the official client's loop for as many workflows, measured on a thousand of them."""
    client = DBOSClient(system_database_url=url)
    sample = 1000
    start = time.perf_counter()
    for number in range(sample):
        client.enqueue(
            {"workflow_name": "ingest_orders", "queue_name": "etl", "workflow_id": f"loop-{number}"},
            "2024-01-01",
        )
    seconds = time.perf_counter() - start
    client.destroy()
    return seconds * workflows / sample


def sql_function(url: str, workflows: int) -> float:
    """Seconds of dbos.enqueue_workflow over JSON arrays of 5,000, measured on 20,000 workflows at most."""
    sample = min(workflows, 20_000)
    call = (
        "SELECT count(dbos.enqueue_workflow('ingest_orders', 'etl', ARRAY[to_json(j->>'day')], "
        "json_build_object('shard', j->'shard', 'region', 'eu'), workflow_id => j->>'id')) "
        "FROM json_array_elements(%s::json) AS t(j)"
    )
    jobs = [{"id": f"function-{n}", "day": "2024-01-01", "shard": n} for n in range(sample)]
    start = time.perf_counter()
    with psycopg.connect(url) as connection:
        for first in range(0, sample, 5000):
            connection.execute(call, (json.dumps(jobs[first : first + 5000]),))
            connection.commit()
        seconds = time.perf_counter() - start
        rows = connection.execute("SELECT count(*) FROM dbos.workflow_status").fetchone()
    if rows != (sample,):
        raise RuntimeError(f"the function made {rows} of {sample} rows")
    return seconds * workflows / sample


def measure(server: Databases, workflows: int, folder: Path) -> dict[str, Cost]:
    """One round: each on a new database of one server."""
    found = {}
    url = server.new_database()
    floor = floor_sqlite if url.startswith("sqlite") else floor_postgresql
    found["floor"] = Cost(floor(url, workflows), 0, 0)
    server.drop(url)
    url = server.new_database()
    command = [
        Path(sys.executable).parent / "dbos-manifest",
        "apply",
        folder / "jobs.yaml",
        "--database-url",
        url,
    ]
    for name in ("apply", "apply again"):
        found[name] = run([*command, "--allow", "queue-not-registered"], folder / "out")
    server.drop(url)
    (folder / "jobs.lock.jsonl").unlink()
    peers = {"client loop (extrapolated)": client_loop}
    if not url.startswith("sqlite"):
        peers["SQL function (extrapolated)"] = sql_function
    for name, peer in peers.items():
        url = server.new_database()
        found[name] = Cost(peer(url, workflows), 0, 0)
        server.drop(url)
    return found


def main() -> None:
    words = [*sys.argv[1:], *("100000", "3", "postgresql")[len(sys.argv) - 1 :]]
    workflows, rounds, dialect = int(words[0]), int(words[1]), words[2]
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        folder = Path(name)
        server = held.enter_context(sqlite_files(folder) if dialect == "sqlite" else postgres_server())
        text = MANIFEST.format(workflows=workflows, shards=workflows // DAYS)
        (folder / "jobs.yaml").write_text(text)
        costs = [measure(server, workflows, folder) for _ in range(rounds)]
    medians = {
        side: Cost(*(median(values) for values in zip(*(cost[side] for cost in costs), strict=True)))
        for side in costs[0]
    }
    print(f"{workflows:,} workflows on {dialect}, median of {rounds}\n")
    print("| | wall s | CPU s | peak MiB | over the floor |\n|---|---|---|---|---|")
    for side, cost in medians.items():
        print(cost.row(side, medians["floor"]))


if __name__ == "__main__":
    main()
