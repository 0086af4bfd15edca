/**
 * How do I share jobs among processes that have a NATS server, and no database?
 *
 * A NatsJobStore keeps jobs and their history in JetStream. Each fire time starts on one of the nodes; limits, locks and
 * `getNodes()` hold over all of them. Both nodes are in this one program here; in yours they are on as many machines as you like.
 *
 *     NATS_URL=nats://127.0.0.1:4222 npx tsx examples/nats-nodes.ts      (a server with JetStream: nats-server -js)
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import { AsyncScheduler, currentRun } from 'punctual';
import { NatsJobStore } from 'punctual/nats';

const servers = process.env['NATS_URL'];
if (servers === undefined) {
  console.log('This needs a NATS server with JetStream: say where it is with NATS_URL=nats://127.0.0.1:4222');
  process.exit(77);
}
const bucket = `example-${randomUUID()}`; // one name for all nodes of an application

/** One process of many: the same program, the same tasks, the same bucket. */
function startNode(node: string) {
  const scheduler = new AsyncScheduler({ node, jobStores: { default: new NatsJobStore({ servers, bucket }) } });
  const tick = scheduler.defineTask('tick', () => { console.log(`${node}: tick of ${currentRun().scheduledFor.toISOString()}`); });
  const index = scheduler.defineTask('index', (page: string) => `${page} by ${node}`, { concurrency: 2 });
  return { scheduler, tick, index };
}
const berlin = startNode('berlin');
const tokyo = startNode('tokyo');
await berlin.scheduler.start();
await tokyo.scheduler.start();

// 1. Each node adds what it needs to be there; whoever is second finds it.
for (const { scheduler, tick } of [berlin, tokyo]) {
  await scheduler.addJob(tick, '* * * * * *', { id: 'tick', replaceExisting: true });
}

// 2. Work is done once, wherever there is room, and whoever asked gets the result.
const runs = await Promise.all(['a', 'b', 'c', 'd'].map((page) => berlin.scheduler.enqueue(berlin.index, { args: [page] })));
console.log(await Promise.all(runs.map((run) => run.result())));

// 3. With an id it is done once, however many nodes ask for it.
const [here, there] = await Promise.all([
  berlin.scheduler.enqueue(berlin.index, { id: 'index-2026-01', args: ['january'] }),
  tokyo.scheduler.enqueue(tokyo.index, { id: 'index-2026-01', args: ['january'] }),
]);
assert.equal(here.runId, there.runId);
assert.equal(await here.result(), await there.result());

// 4. No second was done twice. The history is the same from everywhere.
await (await berlin.scheduler.runJob('tick')).result();
while ((await tokyo.scheduler.getRuns({ jobId: 'tick', verdict: 'succeeded' })).length < 3) await new Promise((resolve) => setTimeout(resolve, 200));
const ticks = (await tokyo.scheduler.getRuns({ jobId: 'tick' })).flatMap(({ runId }) => runId ?? []);
assert.equal(new Set(ticks).size, ticks.length);
console.log((await berlin.scheduler.getNodes()).map(({ node }) => node).sort());

// 5. One that ends hands over; the other goes on.
await berlin.scheduler.shutdown();
assert.equal((await tokyo.scheduler.getJob('tick'))?.status, 'active');
await tokyo.scheduler.removeJob('tick');
await tokyo.scheduler.shutdown();

// Only here: nothing is left behind.
const connection = await connect({ servers });
const { streams } = (await connection.request('$JS.API.STREAM.NAMES')).json<{ readonly streams: readonly string[] }>();
for (const stream of streams.filter((name) => name.includes(bucket))) await connection.request(`$JS.API.STREAM.DELETE.${stream}`);
await connection.close();
console.log('done');
