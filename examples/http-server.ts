/**
 * How do I run jobs inside a web server, and stop both without cutting work short?
 *
 * The scheduler lives and dies with the server. SIGTERM, which Docker, Kubernetes and systemd send, first closes the
 * door for requests, then lets running tasks come to their end. Punctual installs no signal handler by itself.
 *
 * The example sends itself a few requests and then its own SIGTERM.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncScheduler, currentRun, IntervalTrigger, isPunctualError } from 'punctual';

const scheduler = new AsyncScheduler({ timezone: 'UTC' });

scheduler.defineTask('cleanup', async () => {
  const { signal } = currentRun();
  await sleep(300, undefined, { signal }); // ends early when the scheduler can't wait any longer
  return 'clean';
});

const server = createServer((request, response) => {
  void answer(request.method ?? 'GET', request.url ?? '/').then(({ status, body }) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
});

async function answer(method: string, url: string): Promise<{ status: number; body: unknown }> {
  if (url === '/health') {
    const health = scheduler.health();
    return { status: health.ok ? 200 : 503, body: health };
  }
  if (url === '/jobs') return { status: 200, body: await scheduler.getJobs() }; // a Job has toJSON()
  const [, id] = /^\/jobs\/([\w-]+)\/run$/.exec(url) ?? [];
  if (method === 'POST' && id !== undefined) {
    try {
      const run = await scheduler.runJob(id);
      return { status: 202, body: { runId: run.runId } };
    } catch (error) {
      if (isPunctualError(error, 'JOB_NOT_FOUND')) return { status: 404, body: { error: error.message } };
      throw error;
    }
  }
  return { status: 404, body: { error: 'no such page' } };
}

async function stop(): Promise<void> {
  server.close(); // no new requests
  await scheduler.shutdown({ timeout: { seconds: 10 } }); // no new runs; the running ones have 10 s
}
process.once('SIGTERM', () => void stop());

await scheduler.addJob('cleanup', new IntervalTrigger({ hours: 1 }), { id: 'cleanup' });
await scheduler.start();
server.listen(0, '127.0.0.1');
await once(server, 'listening');

// ── What a client sees ──

const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const get = async (path: string, method = 'GET'): Promise<[number, unknown]> => {
  const response = await fetch(base + path, { method, headers: { connection: 'close' } });
  return [response.status, await response.json()];
};

const [healthStatus] = await get('/health');
assert.equal(healthStatus, 200);
const [, jobs] = await get('/jobs');
console.log(
  'jobs:',
  (jobs as { id: string; status: string }[]).map(({ id, status }) => `${id} is ${status}`).join(', '),
);
assert.deepEqual(await get('/jobs/nothing/run', 'POST').then(([status]) => status), 404);
const [runStatus, run] = await get('/jobs/cleanup/run', 'POST');
assert.equal(runStatus, 202);
console.log('run asked for:', (run as { runId: string }).runId.replace(/#\d+/, '#…'));

// The run is going on now. SIGTERM lets it end.
const closed = once(server, 'close');
const stopped = new Promise((resolve) => scheduler.once('schedulerShutdown', resolve));
process.emit('SIGTERM', 'SIGTERM');
await Promise.all([closed, stopped]);

const [entry] = await scheduler.getRuns({ jobId: 'cleanup' });
console.log(`after SIGTERM the run ended as: ${entry?.verdict ?? 'nothing'}`);
assert.equal(entry?.verdict, 'succeeded');
assert.equal(scheduler.health().ok, false);
