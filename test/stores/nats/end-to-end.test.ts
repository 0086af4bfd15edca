import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler, currentRun, type TaskFunction } from 'punctual';
import { NatsJobStore } from 'punctual/nats';
import { expect, it, onTestFinished } from 'vitest';
import { MemoryLogger } from '../../scheduler/support/world.js';
import type { NatsServer } from '../../support/nats-server.js';
import { describeNats, freshBucket } from './support.js';

const holder = fileURLToPath(new URL('fixtures/holder.ts', import.meta.url));
const LONG = { timeout: 30_000, interval: 50 };

function makeScheduler(server: NatsServer, bucket: string, tasks: Record<string, TaskFunction>): AsyncScheduler {
  const scheduler = new AsyncScheduler({
    jobStores: { default: new NatsJobStore({ servers: server.url, bucket, timeout: { seconds: 5 } }) },
    leaseDuration: { seconds: 2 },
    logger: new MemoryLogger(),
    tasks,
  });
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  return scheduler;
}

describeNats('two schedulers on one bucket', (server) => {
  it('run each of 200 fire times that are due at once exactly once, and have a verdict on each', { timeout: 60_000 }, async () => {
    const bucket = freshBucket();
    const runs: string[] = [];
    const nodes = new Set<string>();
    const tasks = (name: string): Record<string, TaskFunction> => ({
      work: async () => {
        nodes.add(name);
        runs.push(currentRun().runId);
        await new Promise((resolve) => { setImmediate(resolve); });
      },
    });
    const [a, b] = [makeScheduler(server(), bucket, tasks('a')), makeScheduler(server(), bucket, tasks('b'))];
    const due = new Date(Date.now() + 1_000);
    await Promise.all(Array.from({ length: 200 }, (_, i) => a.addJob('work', due, { id: `job${i}` })));
    await Promise.all([a.start(), b.start()]);
    await expect.poll(async () => (await a.verifyLedger()).counts.succeeded, LONG).toBe(200);
    expect(new Set(runs).size).toBe(200);
    expect(runs).toHaveLength(200);
    expect(await b.verifyLedger()).toMatchObject({ ok: true, problems: [], pending: 0 });
    expect(nodes.size).toBeGreaterThan(0);
  });

  it('take over what another process had when it was killed', { timeout: 60_000 }, async () => {
    const bucket = freshBucket();
    const child = spawn(process.execPath, ['--import', 'tsx', holder, server().url, bucket], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => { child.kill('SIGKILL'); });
    await once(child.stdout, 'data');
    const attempts: number[] = [];
    const scheduler = makeScheduler(server(), bucket, { long: () => { attempts.push(currentRun().attempt); } });
    await scheduler.start();
    child.kill('SIGKILL');
    await expect.poll(() => attempts, LONG).toEqual([2]);
    await expect.poll(async () => (await scheduler.verifyLedger()).counts.succeeded, LONG).toBe(1);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, pending: 0 });
  });

  it('wait while the server is away, say so, and go on when it is back', { timeout: 60_000 }, async () => {
    const bucket = freshBucket();
    let runs = 0;
    const scheduler = makeScheduler(server(), bucket, { tick: () => { runs += 1; } });
    const events: string[] = [];
    for (const type of ['storeUnavailable', 'storeRecovered'] as const) scheduler.on(type, () => { events.push(type); });
    await scheduler.addJob('tick', '* * * * * *', { id: 'tick' });
    await scheduler.start();
    await expect.poll(() => runs, LONG).toBeGreaterThan(0);
    await server().halt('SIGTERM');
    await expect.poll(() => events, LONG).toEqual(['storeUnavailable']);
    // Nothing that is answered from memory makes it look well again.
    await new Promise((resolve) => { setTimeout(resolve, 4_000); });
    expect([events, scheduler.health().ok]).toEqual([['storeUnavailable'], false]);
    await server().resume();
    await expect.poll(() => events, LONG).toEqual(['storeUnavailable', 'storeRecovered']);
    const before = runs;
    await expect.poll(() => runs, LONG).toBeGreaterThan(before);
    await expect.poll(async () => (await scheduler.verifyLedger()).problems, LONG).toEqual([]);
  });
});
