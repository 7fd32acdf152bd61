// The same for releases before 5.0, which declare their queues in code: node old.mjs worker URL
import { DBOS, WorkflowQueue } from '@dbos-inc/dbos-sdk';

DBOS.setConfig({
  name: 'sdks',
  applicationVersion: 'v1',
  systemDatabaseUrl: process.argv[3],
  runAdminServer: false,
  logLevel: 'error',
});
const greet = async (order) => ({ greeting: `hello ${order.name}`, times: order.times + 1 });
const fail = async (reason) => {
  throw new Error(reason);
};
DBOS.registerWorkflow(greet, { name: 'greet' });
DBOS.registerWorkflow(fail, { name: 'fail' });
new WorkflowQueue('plain', { minPollingIntervalMs: 50 });
await DBOS.launch();
console.log('ready');
