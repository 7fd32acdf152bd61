"""Compare `apply` with the bulk calls of other queues on PostgreSQL, each on a new database of one server.

Ours is the whole command; theirs is the time of their calls alone, without start and connection.
python benchmarks/peers.py [workflows] [rounds]; `make bench-peers` installs the peers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs, quote, urlsplit

from enqueue import DAYS, MANIFEST, floor_postgresql
from measure import run
from servers import Server, postgres_server

Side = Callable[[str, int], float]
"""Puts so many jobs into the database of a URL, and gives the seconds."""

PEERS = Path(sys.prefix) / "peers"
SCRIPTS = Path(__file__).parent / "peers"


def on_socket(url: str) -> str:
    """The URL with its socket's folder where the peers' drivers look for it."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [""])[0]
    return f"postgresql://postgres@{quote(host, safe='')}{parts.path}" if host else url


def peer(*command: Path | str) -> Side:
    def seconds(url: str, workflows: int) -> float:
        done = subprocess.run(
            [*map(str, command), on_socket(url), str(DAYS), str(workflows // DAYS)],
            env={**os.environ, "PEERS": str(PEERS)},
            check=True,
            capture_output=True,
            text=True,
        )
        return float(done.stdout)

    return seconds


def present_peers() -> dict[str, Side]:
    found = {}
    if (PEERS / "node_modules" / "graphile-worker").is_dir():
        found["graphile-worker addJobs, 10,000 a call"] = peer("node", SCRIPTS / "graphile_jobs.mjs")
    if (PEERS / "bin" / "python").exists():
        found["PgQueuer enqueue, 5,000 a call"] = peer(PEERS / "bin" / "python", SCRIPTS / "pgqueuer_jobs.py")
    return found


def apply(folder: Path) -> Side:
    def seconds(url: str, workflows: int) -> float:
        text = MANIFEST.format(workflows=workflows, shards=workflows // DAYS)
        (folder / "jobs.yaml").write_text(text)
        program = Path(sys.executable).parent / "dbos-manifest"
        words = [program, "apply", folder / "jobs.yaml", "--database-url", url]
        cost = run([*words, "--allow", "queue-not-registered"], folder / "out")
        (folder / "jobs.lock.jsonl").unlink()
        return cost.wall_s

    return seconds


def measure(
    server: Server, sides: dict[str, Callable[[str, int], float]], workflows: int
) -> dict[str, float]:
    found = {}
    for name, side in sides.items():
        url = server.new_database()
        found[name] = side(url, workflows)
        server.drop(url)
    return found


def main() -> None:
    workflows, rounds = (int(word) for word in [*sys.argv[1:], *("100000", "3")[len(sys.argv) - 1 :]])
    peers = present_peers()
    if not peers:
        sys.exit("no peer is installed: make bench-peers")
    with tempfile.TemporaryDirectory() as name, postgres_server() as server:
        sides = {"floor": floor_postgresql, "apply, whole command": apply(Path(name)), **peers}
        costs = [measure(server, sides, workflows) for _ in range(rounds)]
    print(f"{workflows:,} jobs on postgresql, median of {rounds}\n")
    print("| | s | jobs/s | over the floor |\n|---|---|---|---|")
    floor_s = median(cost["floor"] for cost in costs)
    for side in sides:
        wall_s = median(cost[side] for cost in costs)
        print(f"| {side} | {wall_s:.2f} | {workflows / wall_s:,.0f} | {wall_s / floor_s:.2f} |")


if __name__ == "__main__":
    main()
