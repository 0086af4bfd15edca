import { IntervalTrigger, isPunctualError, TaggedSerializer, type Serializer } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { failure, makeWorld, SECOND, START_MS, type World } from '../../scheduler/support/world.js';

/** Stands for encryption: never the same text twice, and only for who has the key. */
function keyed(key: string): Serializer {
  const plain = new TaggedSerializer();
  let nonce = 0;
  return {
    name: 'keyed',
    serialize: (value) => JSON.stringify([key, ++nonce, plain.serialize(value)]),
    deserialize: (data) => {
      const [itsKey, , text] = JSON.parse(data) as [string, number, string];
      if (itsKey !== key) throw new Error('wrong key');
      return plain.deserialize(text);
    },
  };
}

interface Start extends World {
  readonly calls: unknown[][];
}

function program(path: string, key: string, task: (calls: number) => unknown = () => 1): Start {
  const world = makeWorld({ jobStores: { default: new SQLiteJobStore(path) }, serializer: keyed(key) });
  const calls: unknown[][] = [];
  world.scheduler.defineTask('work', (...args: unknown[]) => {
    calls.push(args);
    return task(calls.length);
  });
  return { ...world, calls };
}

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-keys-'));
  onTestFinished(() => { rmSync(folder, { recursive: true, force: true }); });
  return join(folder, 'jobs.db');
}

it('runs nothing of a job whose arguments cannot be read, neither what waits nor what is asked for, and loses nothing', async () => {
  const path = file();
  const first = program(path, 'a', () => { throw new Error('not yet'); });
  await first.scheduler.addJob('work', new Date(START_MS + SECOND), { id: 'retried', args: ['secret'], retry: { maxAttempts: 3, delay: { seconds: 10 } } });
  await first.scheduler.addJob('work', new IntervalTrigger({ seconds: 30 }), { id: 'due', args: ['secret'] });
  await first.scheduler.addJob('work', new IntervalTrigger({ days: 30 }), { id: 'asked', args: ['secret'] });
  await first.scheduler.start();
  await first.clock.advance({ seconds: 2 });
  await first.scheduler.pause();
  await first.scheduler.runJob('asked');
  await first.scheduler.shutdown();

  const wrong = program(path, 'b');
  await wrong.clock.advance({ seconds: 2 });
  await wrong.scheduler.start();
  await wrong.clock.advance({ minutes: 10 });
  expect(wrong.calls).toEqual([]);
  const jobs = await wrong.scheduler.getJobs();
  expect(jobs.map(({ id, status }) => [id, status])).toEqual([['asked', 'quarantined'], ['due', 'quarantined'], ['retried', 'quarantined']]);
  for (const { reason } of jobs) expect(reason).toContain('wrong key');
  await wrong.scheduler.shutdown();

  const right = program(path, 'a');
  await right.clock.advance({ minutes: 11 });
  for (const { id } of jobs) await right.scheduler.retryQuarantined(id);
  await right.scheduler.start();
  await right.clock.advance({ seconds: 1 });
  expect(right.calls).toEqual([['secret'], ['secret'], ['secret']]);
  expect((await right.scheduler.verifyLedger()).problems).toEqual([]);
});

it('synchronizes without a change where a serializer never writes the same twice', async () => {
  const path = file();
  const jobs = [{ id: 'a', task: 'work', trigger: new IntervalTrigger({ days: 1 }), args: ['secret', new Date(5)], metadata: { since: new Map([[1, 2]]) } }];
  const first = program(path, 'a');
  expect((await first.scheduler.sync(jobs, { owner: 'app' })).create).toHaveLength(1);
  await first.scheduler.shutdown();
  const second = program(path, 'a');
  expect((await second.scheduler.sync(jobs, { owner: 'app' })).isEmpty).toBe(true);
  expect((await second.scheduler.sync([{ ...jobs[0]!, args: ['other'] }], { owner: 'app' })).change).toMatchObject([{ fields: ['args'] }]);
});

it('changes nothing of a job that cannot be read, shows that it cannot, and leaves it to who can', async () => {
  const path = file();
  const first = program(path, 'a');
  await first.scheduler.addJob('work', new IntervalTrigger({ days: 1 }), { id: 'job', args: ['secret'], metadata: { k: 1 }, tags: ['t'] });
  await first.scheduler.shutdown();
  const wrong = program(path, 'b');
  const job = (await wrong.scheduler.getJob('job'))!;
  expect([job.status, job.reason]).toEqual(['quarantined', expect.stringContaining('wrong key') as string]);
  for (const change of [
    (): Promise<unknown> => wrong.scheduler.modifyJob('job', { tags: ['x'] }),
    (): Promise<unknown> => wrong.scheduler.rescheduleJob('job', new IntervalTrigger({ days: 2 })),
    (): Promise<unknown> => wrong.scheduler.runJob('job'),
  ]) {
    const error = await failure(change);
    expect(isPunctualError(error, 'INVALID_STATE')).toBe(true);
    expect(error.message).toContain('wrong key');
  }
  await wrong.scheduler.pauseJob('job');
  await wrong.scheduler.resumeJob('job');
  await wrong.scheduler.shutdown();
  const right = program(path, 'a');
  expect(await right.scheduler.getJob('job')).toMatchObject({ status: 'active', args: ['secret'], metadata: { k: 1 }, tags: ['t'] });
});

it.each([
  ['answers a promise', { serialize: () => Promise.resolve('x') as unknown as string, deserialize: (data: string) => data }, /a promise; it has to answer at once/],
  ['throws', { serialize: () => { throw new Error('the key service is down'); }, deserialize: (data: string) => data }, /: the key service is down\.$/],
])('refuses a job where the serializer %s, and says what is wrong', async (_, methods, message) => {
  const { scheduler } = makeWorld({ jobStores: { default: new SQLiteJobStore(':memory:') }, serializer: { name: 'odd', ...methods }, tasks: { work: () => undefined } });
  const error = await failure(scheduler.addJob('work', new IntervalTrigger({ days: 1 }), { id: 'job' }));
  expect(isPunctualError(error, 'JOB_UNSTORABLE')).toBe(true);
  expect(error.message).toMatch(message);
});
