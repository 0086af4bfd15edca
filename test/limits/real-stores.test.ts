import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncScheduler, currentRun, MemoryJobStore, type JobStore } from 'punctual';
import { NatsJobStore } from 'punctual/nats';
import { PostgresJobStore } from 'punctual/postgres';
import { RedisJobStore } from 'punctual/redis';
import { SQLiteJobStore } from 'punctual/sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MemoryLogger } from '../scheduler/support/world.js';
import { describeNats, freshBucket } from '../stores/nats/support.js';
import { describePostgres, freshSchema } from '../stores/postgres/support.js';
import { describeRedis, freshPrefix } from '../stores/redis/support.js';

const PER_MS = 2_000;
/** The clocks of nodes and stores are compared to within milliseconds. */
const ERROR_MS = 100;

/** Two schedulers, each with a store of its own on the same jobs. */
async function holds(connect: () => JobStore): Promise<void> {
  let running = 0;
  let most = 0;
  const starts: number[] = [];
  const done = new Set<string>();
  const schedulers = ['a', 'b'].map((node) => {
    const scheduler = new AsyncScheduler({
      node: `${node}-${process.pid}`,
      jobStores: { default: connect() },
      logger: new MemoryLogger(),
      limits: { tags: { api: { rateLimit: { max: 3, per: PER_MS } } } },
    });
    const slotted = async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await sleep(20);
      running -= 1;
      done.add(currentRun().jobId);
    };
    scheduler.defineTask('slotted', slotted, { concurrency: 2 });
    scheduler.defineTask('paced', () => {
      starts.push(performance.now());
      done.add(currentRun().jobId);
    });
    onTestFinished(() => scheduler.shutdown({ wait: false }));
    return scheduler;
  });
  for (const scheduler of schedulers) await scheduler.start();
  const asking: Promise<unknown>[] = [];
  for (let i = 0; i < 12; i++) asking.push(schedulers[i % 2]!.enqueue('slotted', { id: `slotted-${i}` }));
  for (let i = 0; i < 7; i++) asking.push(schedulers[i % 2]!.enqueue('paced', { id: `paced-${i}`, tags: ['api'] }));
  await Promise.all(asking);
  await expect.poll(() => done.size, { timeout: 60_000, interval: 50 }).toBe(19);
  expect(most).toBe(2);
  expect(starts).toHaveLength(7);
  for (const start of starts) expect(starts.filter((other) => other >= start && other < start + PER_MS - ERROR_MS).length).toBeLessThanOrEqual(3);
}

const LONG = { timeout: 90_000 };

describe('limits over two schedulers', () => {
  it('hold in memory', LONG, async () => {
    const store = new MemoryJobStore({ shared: true });
    await holds(() => store);
  });

  it('hold on a SQLite file', LONG, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'punctual-limits-'));
    onTestFinished(() => { rmSync(folder, { recursive: true }); });
    await holds(() => new SQLiteJobStore(join(folder, 'jobs.db')));
  });
});

describePostgres('limits over two schedulers', (server) => {
  it('hold on PostgreSQL', LONG, async () => {
    const schema = freshSchema();
    await holds(() => new PostgresJobStore({ connectionString: server().url(), schema }));
  });
});

describeRedis('limits over two schedulers', (server) => {
  it('hold on Redis', LONG, async () => {
    const prefix = freshPrefix();
    await holds(() => new RedisJobStore({ url: server().url(), prefix }));
  });
});

describeNats('limits over two schedulers', (server) => {
  it('hold on NATS', LONG, async () => {
    const bucket = freshBucket();
    await holds(() => new NatsJobStore({ servers: server().url, bucket }));
  });
});
