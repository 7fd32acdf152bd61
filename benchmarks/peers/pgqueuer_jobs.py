"""PgQueuer: jobs with dedupe keys, 5,000 a call. Prints the seconds.

python pgqueuer_jobs.py URL DAYS SHARDS
"""

import asyncio
import json
import sys
import time
from datetime import date, timedelta

import asyncpg
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

PER_CALL = 5000


async def main(url: str, days: int, shards: int) -> None:
    connection = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    keys = [
        (str(date(2024, 1, 1) + timedelta(days=day)), shard) for day in range(days) for shard in range(shards)
    ]
    start = time.perf_counter()
    for first in range(0, len(keys), PER_CALL):
        part = keys[first : first + PER_CALL]
        await queries.enqueue(
            ["ingest_orders"] * len(part),
            [json.dumps({"day": day, "shard": shard, "region": "eu"}).encode() for day, shard in part],
            [0] * len(part),
            dedupe_key=[f"orders-{day}-{shard}" for day, shard in part],
        )
    print(time.perf_counter() - start)
    await connection.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
