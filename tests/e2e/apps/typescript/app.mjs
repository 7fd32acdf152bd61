// The application of the other folders, for the TypeScript SDK, without a compiler, and its client:
//
//   node app.mjs worker URL
//   node app.mjs enqueue URL < one JSON object a line: queue, workflow, args, and options
//   node app.mjs result URL ID
import { createInterface } from 'node:readline';
import { ConfiguredInstance, DBOS, DBOSClient } from '@dbos-inc/dbos-sdk';

const [mode, url, id] = process.argv.slice(2);

class Warehouse extends ConfiguredInstance {
  async initialize() {}
  async restock(sku) {
    return `${this.name}: ${sku}`;
  }
}

class Report {
  static async daily(day) {
    return `Orders of ${day}`;
  }
}

async function worker() {
  DBOS.setConfig({
    name: 'sdks',
    applicationVersion: 'v1',
    systemDatabaseUrl: url,
    systemDatabaseSchemaName: process.env.APP_SCHEMA ?? 'dbos',
    useListenNotify: false,
    runAdminServer: false,
    logLevel: 'error',
  });
  const register = (name, body) => DBOS.registerWorkflow(body, { name });
  register('greet', async (order) => ({ greeting: `hello ${order.name}`, times: order.times + 1 }));
  register('echo', async (value) => value);
  register('pair', async (...values) => values);
  register('when', async (moment) => `${moment.constructor.name} ${moment}`);
  register('identity', async () => ({ user: DBOS.authenticatedUser, roles: DBOS.authenticatedRoles }));
  register('fail', async (reason) => {
    throw new Error(reason);
  });
  register('slow', async (seconds) => {
    for (let nap = 0; nap < seconds * 10; nap++) await DBOS.sleepms(100);
    return 'done';
  });
  Warehouse.prototype.restock = DBOS.registerWorkflow(Warehouse.prototype.restock, {
    name: 'restock',
    ctorOrProto: Warehouse,
    className: 'Warehouse',
  });
  Report.daily = DBOS.registerWorkflow(Report.daily, { name: 'daily', ctorOrProto: Report, className: 'Report' });
  new Warehouse('berlin');
  await DBOS.launch();
  const quick = { minPollingIntervalMs: 50 };
  await DBOS.registerQueue('plain', quick);
  await DBOS.registerQueue('serial', { ...quick, globalConcurrency: 1 });
  await DBOS.registerQueue('partitioned', { ...quick, partitionConcurrency: 1 });
  await DBOS.registerQueue('limited', { ...quick, rateLimit: { limitPerPeriod: 2, periodSec: 1 } });
  console.log('ready');
  process.on('SIGTERM', () => process.exit(0));
}

async function enqueue(client) {
  for await (const line of createInterface({ input: process.stdin })) {
    const one = JSON.parse(line);
    const options = {
      queueName: one.queue,
      workflowName: one.workflow,
      workflowID: one.id,
      workflowClassName: one.class_name,
      workflowConfigName: one.instance_name,
      deduplicationID: one.deduplication_id,
      priority: one.priority,
      workflowTimeoutMS: one.timeout_ms,
      queuePartitionKey: one.queue_partition_key,
      appVersion: one.application_version,
      applicationName: one.application,
      delaySeconds: one.delay_ms === undefined ? undefined : one.delay_ms / 1000,
      authenticatedUser: one.authenticated_user,
      authenticatedRoles: one.authenticated_roles,
      attributes: one.attributes,
    };
    await client.enqueuePortable(options, one.args);
  }
}

if (mode === 'worker') {
  await worker();
} else {
  const client = await DBOSClient.create({ systemDatabaseUrl: url });
  if (mode === 'enqueue') await enqueue(client);
  else console.log(JSON.stringify(await client.retrieveWorkflow(id).getResult()));
  await client.destroy();
}
