import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler, currentRun, type TaskFunction } from 'punctual';
import { RedisJobStore } from 'punctual/redis';
import { expect, it, onTestFinished } from 'vitest';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { RedisServer } from '../../support/redis-server.js';
import { describeRedis, freshPrefix } from './support.js';

const holder = fileURLToPath(new URL('fixtures/holder.ts', import.meta.url));

function makeScheduler(server: RedisServer, prefix: string, tasks: Record<string, TaskFunction>): AsyncScheduler {
  const scheduler = new AsyncScheduler({
    jobStores: { default: new RedisJobStore({ url: server.url(), prefix }) },
    leaseDuration: { seconds: 2 },
    logger: new MemoryLogger(),
    tasks,
  });
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  return scheduler;
}

describeRedis('two schedulers on one server', (server) => {
  it('run each of 200 fire times that are due at once exactly once, and have a verdict on each', async () => {
    const prefix = freshPrefix();
    const runs: string[] = [];
    const tasks = {
      work: async () => {
        runs.push(currentRun().runId);
        await new Promise((resolve) => { setImmediate(resolve); });
      },
    };
    const [a, b] = [makeScheduler(server(), prefix, tasks), makeScheduler(server(), prefix, tasks)];
    const due = new Date(Date.now() + 500);
    await a.addJobs(Array.from({ length: 200 }, (_, i) => ({ task: 'work', trigger: due, id: `job${i}` })));
    await Promise.all([a.start(), b.start()]);
    await expect.poll(async () => (await a.verifyLedger()).counts.succeeded, { timeout: 15_000, interval: 100 }).toBe(200);
    expect(new Set(runs).size).toBe(200);
    expect(runs).toHaveLength(200);
    expect(await b.verifyLedger()).toMatchObject({ ok: true, problems: [], pending: 0 });
  });

  it('take over what another process had when it was killed', async () => {
    const prefix = freshPrefix();
    const child = spawn(process.execPath, ['--import', 'tsx', holder, server().url(), prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => { child.kill('SIGKILL'); });
    await once(child.stdout, 'data');
    const attempts: number[] = [];
    const scheduler = makeScheduler(server(), prefix, { long: () => { attempts.push(currentRun().attempt); } });
    await scheduler.start();
    child.kill('SIGKILL');
    await expect.poll(() => attempts, { timeout: 15_000, interval: 50 }).toEqual([2]);
    await expect.poll(async () => (await scheduler.verifyLedger()).counts.succeeded, { timeout: 5_000 }).toBe(1);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, pending: 0 });
  });

  it('wait while the server is away, say so, and go on when it is back with what it had', async () => {
    const own = await RedisServer.start();
    onTestFinished(() => own.stop());
    let runs = 0;
    const scheduler = makeScheduler(own, freshPrefix(), { tick: () => { runs += 1; } });
    const events: string[] = [];
    for (const type of ['storeUnavailable', 'storeRecovered'] as const) scheduler.on(type, () => { events.push(type); });
    await scheduler.addJob('tick', '* * * * * *', { id: 'tick' });
    await scheduler.start();
    await expect.poll(() => runs, { timeout: 5_000 }).toBeGreaterThan(0);
    await own.halt();
    await expect.poll(() => events, { timeout: 5_000 }).toEqual(['storeUnavailable']);
    await own.resume();
    await expect.poll(() => events, { timeout: 10_000 }).toEqual(['storeUnavailable', 'storeRecovered']);
    const before = runs;
    await expect.poll(() => runs, { timeout: 5_000 }).toBeGreaterThan(before);
    expect((await scheduler.verifyLedger()).problems).toEqual([]);
  });
});
