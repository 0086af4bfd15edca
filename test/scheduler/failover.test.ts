import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler, currentRun, type JobStore } from 'punctual';
import { PostgresJobStore } from 'punctual/postgres';
import { SQLiteJobStore } from 'punctual/sqlite';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { describePostgres, freshSchema } from '../stores/postgres/support.js';
import { temporaryFile } from '../stores/sqlite/support.js';
import { MemoryLogger } from './support/world.js';

const fixture = fileURLToPath(new URL('fixtures/node-process.ts', import.meta.url));

/** A machine may be so busy that a process takes ten seconds to begin. Nothing here waits for as long as it has. */
const PATIENCE_MS = 40_000;
vi.setConfig({ testTimeout: 3 * PATIENCE_MS });

interface Place {
  readonly args: readonly [kind: string, where: string, schema: string];
  open(): JobStore;
}

/** A node in a process of its own has begun a run that never ends, under a lease of so many ms. */
async function besideProcess({ args, open }: Place, leaseMs: number): Promise<{ child: ChildProcess; scheduler: AsyncScheduler; attempts: number[] }> {
  const child = spawn(process.execPath, ['--import', 'tsx', fixture, ...args, String(leaseMs)], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => { child.kill('SIGKILL'); });
  await once(child.stdout, 'data');
  const attempts: number[] = [];
  const scheduler = new AsyncScheduler({
    jobStores: { default: open() },
    leaseDuration: leaseMs,
    node: 'survivor',
    logger: new MemoryLogger(),
    tasks: { long: () => void attempts.push(currentRun().attempt), tick: () => undefined },
  });
  onTestFinished(() => scheduler.shutdown({ wait: false }));
  await scheduler.start();
  return { child, scheduler, attempts };
}

function failover(place: () => Place): void {
  it('a node that is killed loses its runs to another with its leases', async () => {
    const { child, scheduler, attempts } = await besideProcess(place(), 2_000);
    const killedAt = Date.now();
    child.kill('SIGKILL');
    await expect.poll(() => attempts, { timeout: PATIENCE_MS, interval: 20 }).toEqual([2]);
    await expect.poll(async () => (await scheduler.getRuns({ jobId: 'long' })).map(({ verdict }) => verdict), { timeout: PATIENCE_MS }).toEqual(['succeeded']);
    const [taken] = await scheduler.getRuns({ jobId: 'long' });
    expect(taken).toMatchObject({ attempt: 2, node: 'survivor' });
    expect(taken!.startedAt!.getTime() - killedAt).toBeLessThan(PATIENCE_MS);
    expect(await scheduler.verifyLedger()).toMatchObject({ problems: [] });
  });

  it('a node that stops hands its runs over at once, whatever is left of its leases', async () => {
    const { child, scheduler, attempts } = await besideProcess(place(), 600_000);
    child.stdin!.write('stop\n');
    await expect.poll(() => attempts, { timeout: PATIENCE_MS, interval: 20 }).toEqual([2]);
    await expect.poll(async () => (await scheduler.getNodes()).map(({ node }) => node), { timeout: PATIENCE_MS }).toEqual(['survivor']);
    await expect.poll(async () => (await scheduler.getRuns({ jobId: 'long' })).length, { timeout: PATIENCE_MS }).toBe(1);
    expect(await scheduler.verifyLedger()).toMatchObject({ problems: [] });
  });
}

describe('failover between processes on SQLite', () => {
  it('a node that is killed delays no job but those it was running', async () => {
    const path = temporaryFile();
    const { child, scheduler } = await besideProcess({ args: ['sqlite', path, '-'], open: () => new SQLiteJobStore(path) }, 600_000);
    child.kill('SIGKILL');
    const killedAt = Date.now();
    const after = async (jobId: string): Promise<number> => (await scheduler.getRuns({ jobId, from: new Date(killedAt), verdict: 'succeeded' })).length;
    await expect.poll(async () => Math.max(await after('even'), await after('odd')), { timeout: PATIENCE_MS }).toBeGreaterThan(1);
  });

  failover(() => {
    const path = temporaryFile();
    return { args: ['sqlite', path, '-'], open: () => new SQLiteJobStore(path) };
  });
});

describePostgres('failover between processes on PostgreSQL', (server) => {
  failover(() => {
    const schema = freshSchema();
    return { args: ['postgres', server().url(), schema], open: () => new PostgresJobStore({ connectionString: server().url(), schema }) };
  });
});
