import { AsyncExecutor, AsyncScheduler, type ClaimRequest, type JobStore, type StoredJob } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { expect, it, onTestFinished } from 'vitest';
import { PostgresJobStore } from 'punctual/postgres';
import { SQLiteJobStore } from 'punctual/sqlite';
import { describePostgres, freshSchema } from '../stores/postgres/support.js';
import { temporaryFile } from '../stores/sqlite/support.js';
import { end, MemoryLogger, SECOND, START, START_MS } from './support/world.js';

/** For a machine that is busy with other things. */
const PATIENCE_MS = 60_000;

const at = (seconds: number): Date => new Date(START_MS + seconds * SECOND);

it('a full executor takes nothing from nodes that have room, and delays no job of another executor', async () => {
  const clock = new VirtualClock(START);
  const store = new JsonJobStore();
  const ran: string[] = [];
  const nodes = ['a', 'b'].map((node) => {
    const scheduler = new AsyncScheduler({
      clock, node, timezone: 'UTC', logger: new MemoryLogger(), jobStores: { default: store },
      executors: { narrow: new AsyncExecutor({ concurrency: node === 'a' ? 1 : 3 }) },
      tasks: {
        hog: () => clock.sleep(600 * SECOND),
        work: (id: string) => { ran.push(`${id} on ${node} at ${clock.now() - START_MS}`); },
      },
    });
    onTestFinished(() => end(scheduler, clock));
    return scheduler;
  });
  const [a, b] = [nodes[0]!, nodes[1]!];
  await a.start();
  await a.addJob('hog', at(1), { id: 'hog', executor: 'narrow' });
  await clock.advance(2 * SECOND);
  for (const id of ['x', 'y', 'z']) await a.addJob('work', at(5), { id, args: [id], executor: 'narrow' });
  await a.addJob('work', at(5), { id: 'other', args: ['other'] });
  await clock.advance(5 * SECOND);
  expect(ran).toEqual(['other on a at 5000']);
  // What `a` cannot take it has not hidden from others either.
  await b.start();
  await clock.advance(0);
  expect([...ran].sort()).toEqual(['other on a at 5000', 'x on b at 7000', 'y on b at 7000', 'z on b at 7000']);
  await a.addJob('work', at(9), { id: 'later', args: ['later'], executor: 'narrow' });
  await clock.advance(2 * SECOND);
  expect(ran.at(-1)).toBe('later on b at 9000');
});

it('a node that is told to stop while it claims keeps nothing from the others', async () => {
  const clock = new VirtualClock(START);
  const store = new JsonJobStore();
  /** Its claims are answered late. */
  const far = new Proxy<JobStore>(store, {
    get: (_, name) => {
      const value: unknown = Reflect.get(store, name, store);
      if (name === 'claimDue') {
        return async (request: ClaimRequest): Promise<readonly StoredJob[]> => {
          const answer = await store.claimDue(request);
          await clock.sleep(100);
          return answer;
        };
      }
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(store) : value;
    },
  });
  const ran: string[] = [];
  const node = (name: string, jobStore: JobStore): AsyncScheduler => {
    const work = (): void => { ran.push(`${name} at ${clock.now() - START_MS}`); };
    const scheduler = new AsyncScheduler({ clock, node: name, timezone: 'UTC', logger: new MemoryLogger(), jobStores: { default: jobStore }, tasks: { work } });
    onTestFinished(() => end(scheduler, clock));
    return scheduler;
  };
  const [a, b] = [node('a', far), node('b', store)];
  await a.start();
  await a.addJob('work', at(1), { id: 'job' });
  await clock.advance(1_050);
  await b.start();
  const pausing = a.pause();
  await clock.advance(SECOND);
  await pausing;
  expect(ran).toEqual(['b at 1100']);
});

/** Two schedulers on a real store: one that is full, and one that has room. */
async function fullAndFree(open: () => JobStore): Promise<void> {
  const ran: string[] = [];
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => { release = resolve; });
  const [full, free] = ['full', 'free'].map((node) => {
    const scheduler = new AsyncScheduler({
      node, logger: new MemoryLogger(), jobStores: { default: open() }, executors: { narrow: new AsyncExecutor({ concurrency: 2 }) },
      tasks: { hog: () => released, work: (id: string) => { ran.push(`${id} on ${node}`); } },
    });
    onTestFinished(() => scheduler.shutdown({ wait: false }));
    return scheduler;
  }) as [AsyncScheduler, AsyncScheduler];
  await full.start();
  for (const id of ['hog 1', 'hog 2']) await full.addJob('hog', new Date(), { id, executor: 'narrow' });
  await expect.poll(() => full.health().jobStores['default']!.activeRuns, { timeout: 10_000 }).toBe(2);
  await free.start();
  const ids = Array.from({ length: 20 }, (_, i) => `job${i}`);
  for (const id of ids) await full.addJob('work', new Date(), { id, args: [id], executor: 'narrow' });
  await full.addJob('work', new Date(), { id: 'wide', args: ['wide'] });
  await expect.poll(() => ran.length, { timeout: 15_000, interval: 20 }).toBe(21);
  expect(ran.filter((run) => !run.startsWith('wide')).sort()).toEqual(ids.map((id) => `${id} on free`).sort());
  release();
  await expect.poll(async () => (await free.verifyLedger()).counts.succeeded, { timeout: 10_000 }).toBe(23);
}

it('on SQLite, what a full node cannot take is run by another', async () => {
  const path = temporaryFile();
  await fullAndFree(() => new SQLiteJobStore(path));
}, PATIENCE_MS);

describePostgres('capacity on PostgreSQL', (server) => {
  it('what a full node cannot take is run by another', async () => {
    const schema = freshSchema();
    await fullAndFree(() => new PostgresJobStore({ connectionString: server().url(), schema }));
  }, PATIENCE_MS);
});
