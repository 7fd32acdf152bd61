// graphile-worker: jobs with job keys, 10,000 a call. Prints the seconds.
// node graphile_jobs.mjs URL DAYS SHARDS
import { createRequire } from "node:module";

const require = createRequire(`${process.env.PEERS}/package.json`);
const { makeWorkerUtils, Logger } = require("graphile-worker");
const PER_CALL = 10_000;
const [url, days, shards] = process.argv.slice(2);

const utils = await makeWorkerUtils({ connectionString: url, logger: new Logger(() => () => {}) });
await utils.migrate();
const keys = [];
for (let day = 0; day < Number(days); day++) {
  const date = new Date(Date.UTC(2024, 0, 1 + day)).toISOString().slice(0, 10);
  for (let shard = 0; shard < Number(shards); shard++) keys.push([date, shard]);
}
const start = performance.now();
for (let first = 0; first < keys.length; first += PER_CALL) {
  await utils.addJobs(
    keys.slice(first, first + PER_CALL).map(([day, shard]) => ({
      identifier: "ingest_orders",
      payload: { day, shard, region: "eu" },
      jobKey: `orders-${day}-${shard}`,
    })),
  );
}
console.log((performance.now() - start) / 1000);
await utils.release();
