import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AsyncExecutor, AsyncScheduler, currentRun, IntervalTrigger, type SchedulerOptions, type TaskFunction } from 'punctual';
import { PostgresJobStore } from 'punctual/postgres';
import { expect, it, onTestFinished } from 'vitest';
import { MemoryLogger } from '../../scheduler/support/world.js';
import type { PostgresServer } from '../../support/postgres-server.js';
import { describePostgres, freshSchema } from './support.js';

const holder = fileURLToPath(new URL('fixtures/holder.ts', import.meta.url));

function makeScheduler(server: PostgresServer, schema: string, tasks: Record<string, TaskFunction>, options: SchedulerOptions = {}): AsyncScheduler {
  const scheduler = new AsyncScheduler({
    jobStores: { default: new PostgresJobStore({ connectionString: server.url(), schema }) },
    leaseDuration: { seconds: 2 },
    logger: new MemoryLogger(),
    tasks,
    ...options,
  });
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  return scheduler;
}

describePostgres('two schedulers on one database', (server) => {
  it('run each of 200 fire times that are due at once exactly once, and have a verdict on each', { timeout: 90_000 }, async () => {
    const schema = freshSchema();
    const runs: string[] = [];
    const nodes = new Set<string>();
    let open = (): void => undefined;
    // Neither has room for all, and none goes on before both have begun.
    const both = new Promise<void>((resolve) => { open = resolve; });
    const tasks = (name: string): Record<string, TaskFunction> => ({
      work: async () => {
        if (nodes.add(name).size === 2) open();
        runs.push(currentRun().runId);
        await both;
      },
    });
    const make = (name: string): AsyncScheduler => makeScheduler(server(), schema, tasks(name), { executors: { default: new AsyncExecutor({ concurrency: 50 }) }, leaseDuration: { seconds: 60 } });
    const [a, b] = [make('a'), make('b')];
    const due = new Date(Date.now() + 1_000);
    await a.addJobs(Array.from({ length: 200 }, (_, i) => ({ task: 'work', trigger: due, id: `job${i}` })));
    await Promise.all([a.start(), b.start()]);
    await expect.poll(async () => (await a.verifyLedger()).counts.succeeded, { timeout: 60_000, interval: 100 }).toBe(200);
    expect(new Set(runs).size).toBe(200);
    expect(runs).toHaveLength(200);
    expect(await b.verifyLedger()).toMatchObject({ ok: true, problems: [], pending: 0 });
    expect([...nodes].sort()).toEqual(['a', 'b']);
  });

  it('take over what another process had when it was killed', async () => {
    const schema = freshSchema();
    const child = spawn(process.execPath, ['--import', 'tsx', holder, server().url(), schema], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => { child.kill('SIGKILL'); });
    await once(child.stdout, 'data');
    const attempts: number[] = [];
    const scheduler = makeScheduler(server(), schema, { long: () => { attempts.push(currentRun().attempt); } });
    await scheduler.start();
    child.kill('SIGKILL');
    await expect.poll(() => attempts, { timeout: 15_000, interval: 50 }).toEqual([2]);
    await expect.poll(async () => (await scheduler.verifyLedger()).counts.succeeded, { timeout: 5_000 }).toBe(1);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, pending: 0 });
  });

  it('wait while the server is away, say so, and go on when it is back', async () => {
    const schema = freshSchema();
    let runs = 0;
    const scheduler = makeScheduler(server(), schema, { tick: () => { runs += 1; } });
    const events: string[] = [];
    for (const type of ['storeUnavailable', 'storeRecovered'] as const) scheduler.on(type, () => { events.push(type); });
    await scheduler.addJob('tick', '* * * * * *', { id: 'tick' });
    await scheduler.start();
    await expect.poll(() => runs, { timeout: 5_000 }).toBeGreaterThan(0);
    await server().halt();
    await expect.poll(() => events, { timeout: 5_000 }).toEqual(['storeUnavailable']);
    await server().resume();
    await expect.poll(() => events, { timeout: 10_000 }).toEqual(['storeUnavailable', 'storeRecovered']);
    const before = runs;
    await expect.poll(() => runs, { timeout: 5_000 }).toBeGreaterThan(before);
    expect((await scheduler.verifyLedger()).problems).toEqual([]);
  });
});

describePostgres('leader mode on one database', (server) => {
  it('has one leader, whose work another goes on with when it stops', async () => {
    const schema = freshSchema();
    const ran: string[] = [];
    const nodes = ['a', 'b'].map((node) => makeScheduler(server(), schema, { tick: () => { ran.push(node); } }, { node, ha: { mode: 'leader' } }));
    const isIn = { timeout: 30_000, interval: 50 };
    for (const node of nodes) await node.start();
    await nodes[0]!.addJob('tick', new IntervalTrigger({ milliseconds: 100 }), { id: 'tick' });
    await expect.poll(() => ran.length, isIn).toBeGreaterThan(5);
    expect(new Set(ran).size).toBe(1);
    const first = nodes.find(({ node }) => node === ran[0])!;
    const second = nodes.find((node) => node !== first)!;
    expect([first.isLeader, second.isLeader]).toEqual([true, false]);
    const { token } = (await second.leader())!;
    await first.shutdown();
    ran.length = 0;
    await expect.poll(() => ran.length, isIn).toBeGreaterThan(5);
    expect(new Set(ran)).toEqual(new Set([second.node]));
    expect(await second.leader()).toMatchObject({ owner: second.node, token: token + 1 });
    expect(await second.verifyLedger()).toMatchObject({ ok: true, problems: [] });
  });
});
