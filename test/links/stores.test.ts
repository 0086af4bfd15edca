import { after, AsyncScheduler, currentRun, isPunctualError, type JobStore } from 'punctual';
import { NatsJobStore } from 'punctual/nats';
import { PostgresJobStore } from 'punctual/postgres';
import { RedisJobStore } from 'punctual/redis';
import { SQLiteJobStore } from 'punctual/sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeNats, freshBucket } from '../stores/nats/support.js';
import { describePostgres, freshSchema } from '../stores/postgres/support.js';
import { describeRedis, freshPrefix } from '../stores/redis/support.js';
import { temporaryFile } from '../stores/sqlite/support.js';
import { quiet } from './support.js';

const LONG = { timeout: 120_000, interval: 50 };

/** Two nodes with different tasks on one store: what follows runs on the other node than what it follows. */
async function chain(connect: () => JobStore): Promise<void> {
  const seen: string[] = [];
  const tell = (): string => {
    const { jobId, follows } = currentRun();
    seen.push(follows.length === 0 ? jobId : `${jobId} after ${follows.map((cause) => `${cause.jobId} ${cause.verdict}`).join(', ')}`);
    return jobId;
  };
  const nodes = [0, 1].map(() => {
    const scheduler = new AsyncScheduler({ jobStores: { default: connect() }, leaseDuration: { seconds: 30 }, maxSleep: 1_000, logger: quiet });
    onTestFinished(() => scheduler.shutdown({ wait: false }));
    return scheduler;
  });
  const [left, right] = nodes as [AsyncScheduler, AsyncScheduler];
  left.defineTask('left', tell);
  for (const node of nodes) {
    node.defineTask('right', tell);
    node.defineTask('broken', () => { throw new Error('as it should'); });
  }
  await left.start();

  await left.addJob('right', after('load'), { id: 'early' }).then(
    () => expect.unreachable(),
    (error: unknown) => { expect(isPunctualError(error, 'UNKNOWN_DEPENDENCY')).toBe(true); },
  );
  await left.addJobs([
    { task: 'left', trigger: new Date(Date.now() + 60_000), id: 'load' },
    { task: 'right', trigger: after('load'), id: 'report' },
    { task: 'right', trigger: after(['load', 'report']), id: 'archive' },
  ]);
  const publish = await left.enqueue('right', { id: 'publish', dependsOn: ['report', 'load'] });
  const broken = await left.enqueue('broken', { id: 'broken', dependsOn: publish });
  const never = await left.enqueue('right', { id: 'never', dependsOn: 'broken' });
  await right.start();
  await left.runJob('load');

  expect(await publish.result()).toBe('publish');
  await expect(broken.result()).rejects.toThrow('as it should');
  await expect(never.result()).rejects.toMatchObject({ code: 'RUN_NOT_SUCCEEDED', reason: 'dependency-failed' });
  await expect.poll(() => [...new Set(seen)].sort(), LONG).toEqual(expect.arrayContaining(['archive after load succeeded, report succeeded', 'load', 'report after load succeeded']));
  await expect.poll(async () => (await left.getRuns({ jobId: 'archive' })).map(({ verdict }) => verdict), LONG).toEqual(['succeeded']);
  expect((await right.getRuns({ jobId: 'report' })).map(({ verdict }) => verdict)).toEqual(['succeeded']);
  expect((await right.getRuns({ jobId: 'never' })).map(({ verdict, reason }) => `${verdict} ${String(reason)}`)).toEqual(['cancelled dependency-failed']);
  await expect.poll(async () => (await right.getJobs()).map(({ id }) => id).sort(), LONG).toEqual(['archive', 'load', 'report']);
  expect(await right.verifyLedger()).toMatchObject({ ok: true, problems: [] });
}

describe('chains over nodes in one SQLite file', () => {
  it('go from one to the other', LONG, async () => {
    const path = temporaryFile();
    await chain(() => new SQLiteJobStore({ path, pollInterval: 50 }));
  });
});

describePostgres('chains over nodes on PostgreSQL', (server) => {
  it('go from one to the other', LONG, async () => {
    const schema = freshSchema();
    await chain(() => new PostgresJobStore({ connectionString: server().url(), schema }));
  });

  it('may begin in a transaction of the user’s, with what they follow', LONG, async () => {
    const { default: pg } = await import('pg');
    const pool = new pg.Pool({ connectionString: server().url(), max: 2 });
    onTestFinished(() => pool.end());
    const scheduler = new AsyncScheduler({ jobStores: { default: new PostgresJobStore({ connectionString: server().url(), schema: freshSchema() }) }, logger: quiet });
    onTestFinished(() => scheduler.shutdown({ wait: false }));
    scheduler.defineTask('work', () => currentRun().follows.map(({ jobId, verdict }) => `${jobId} ${verdict}`));
    await scheduler.start();
    await scheduler.enqueue('work', { id: 'outside' });
    for (const end of ['ROLLBACK', 'COMMIT']) {
      const client = await pool.connect();
      await client.query('BEGIN');
      await scheduler.enqueue('work', { id: 'first', client });
      const second = await scheduler.enqueue('work', { id: 'second', dependsOn: ['first', 'outside'], client });
      await client.query(end);
      client.release();
      if (end === 'COMMIT') expect(await second.result()).toEqual(['first succeeded', 'outside succeeded']);
      else expect(await scheduler.getJob('second')).toBeUndefined();
    }
  });
});

describeRedis('chains over nodes on Redis', (server) => {
  it('go from one to the other', LONG, async () => {
    const prefix = freshPrefix();
    await chain(() => new RedisJobStore({ url: server().url(), prefix }));
  });
});

describeNats('chains over nodes on NATS', (server) => {
  it('go from one to the other', LONG, async () => {
    const bucket = freshBucket();
    await chain(() => new NatsJobStore({ servers: server().url, bucket }));
  });
});
