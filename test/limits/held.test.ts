import { IntervalTrigger, type JobChange, type JobStore, type LeaseRequest } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { SECOND, START_MS } from '../scheduler/support/world.js';
import { peak, shop } from './support/shop.js';

const ONE = { limits: { tags: { one: { concurrency: 1 } } } };

/** A scheduler on which `first` has the only slot of a tag for so long, and `held` waits for it from second 100 on, every 100 s. */
async function waiting(firstMs: number, store = new JsonJobStore()) {
  const { clock, node, executions } = shop(store, ONE);
  const { scheduler } = node('a', { work: {} });
  await scheduler.start();
  await scheduler.enqueue('work', { id: 'first', args: [firstMs], tags: ['one'] });
  await scheduler.addJob('work', new IntervalTrigger({ seconds: 100 }), { id: 'held', args: [SECOND], tags: ['one'] });
  await clock.advance(120 * SECOND);
  expect(executions.map(({ job }) => job)).toEqual(['first']);
  const verdicts = async () => (await scheduler.getRuns({ jobId: 'held' })).map(({ verdict, reason, scheduledFor }) => [verdict, reason, scheduledFor.getTime() - START_MS]);
  return { clock, node, executions, scheduler, verdicts };
}

/** The way from a scheduler to the leases of a store. Jobs are reached all the same. */
function leasesOf(store: JsonJobStore): { isCut: boolean } {
  const { leases } = store;
  const line = { isCut: false };
  const over = <T>(answer: () => T): T => {
    if (line.isCut) throw new Error('cut off');
    return answer();
  };
  const cut = {
    acquire: (request: LeaseRequest) => over(() => leases.acquire(request)),
    get: (key: string) => over(() => leases.get(key)),
    release: (key: string, holder: string) => over(() => leases.release(key, holder)),
  };
  Object.defineProperty(store, 'leases', { get: () => cut });
  return line;
}

describe('a job that waits for a limit', () => {
  it('has a verdict on what was due when it is put on another schedule', async () => {
    const { scheduler, verdicts } = await waiting(1_000 * SECOND);
    await scheduler.rescheduleJob('held', new IntervalTrigger({ seconds: 500 }));
    expect(await verdicts()).toEqual([['skipped', 'rescheduled', 100 * SECOND]]);
  });

  it('has a verdict on what was due when it is removed', async () => {
    const { scheduler, verdicts } = await waiting(1_000 * SECOND);
    await scheduler.removeJob('held');
    expect(await verdicts()).toEqual([['skipped', 'removed', 100 * SECOND]]);
  });

  it('skips what came up while it was paused', async () => {
    const { clock, scheduler, executions, verdicts } = await waiting(1_000 * SECOND);
    await scheduler.pauseJob('held');
    await clock.advance(100 * SECOND);
    await scheduler.resumeJob('held');
    expect(await verdicts()).toEqual([['skipped', 'paused', 100 * SECOND]]);
    scheduler.setLimit({ tag: 'one' }, null);
    await clock.advance(50 * SECOND);
    expect(executions.map(({ job }) => job)).toEqual(['first']);
    await clock.advance(50 * SECOND);
    expect(executions[1]).toMatchObject({ job: 'held', startedAt: 300 * SECOND });
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('starts at once when the tag is taken from it', async () => {
    const { clock, scheduler, executions } = await waiting(1_000 * SECOND);
    await scheduler.modifyJob('held', { tags: [] });
    await clock.advance(SECOND);
    expect(executions[1]).toMatchObject({ job: 'held', startedAt: 120 * SECOND });
  });

  it('is taken up by no node that cannot run it any more', async () => {
    const { clock, node, executions, scheduler } = await waiting(150 * SECOND);
    const newer = node('newer');
    const task = async () => { executions.push({ node: 'newer', job: 'held', task: 'work', startedAt: clock.now() - START_MS, endedAt: null }); };
    newer.scheduler.defineTask('work', task, { version: 2, upgrades: { 1: (args: unknown[]) => args } });
    await newer.scheduler.modifyJob('held', { args: [] });
    await clock.advance(40 * SECOND);
    await newer.scheduler.start();
    await clock.advance(30 * SECOND);
    expect(executions.slice(1).map((execution) => execution.node)).toEqual(['newer']);
    expect((await scheduler.getRuns({ jobId: 'held' })).map(({ verdict, attempt }) => [verdict, attempt])).toEqual([['succeeded', 1]]);
  });

  it('is taken up again at once when the store refused to write that it starts', async () => {
    const store = new JsonJobStore();
    let refusals = 0;
    const commit = store.commit.bind(store);
    Object.assign(store, {
      commit: async (changes: readonly JobChange[]) => {
        if (refusals > 0 && changes.some(({ id }) => id === 'held')) {
          refusals -= 1;
          throw new Error('not now');
        }
        return commit(changes);
      },
    });
    const { clock, executions } = await waiting(150 * SECOND, store);
    await clock.advance(29 * SECOND);
    refusals = 1;
    await clock.advance(10 * SECOND);
    expect(refusals).toBe(0);
    expect(executions[1]?.job).toBe('held');
    expect(executions[1]?.startedAt).toBeLessThan(155 * SECOND);
  });
});

describe('a job that runs on each node', () => {
  it('goes on after a run of it has lost its slot', async () => {
    const store = new JsonJobStore();
    const line = leasesOf(store);
    const { clock, node, executions } = shop(store);
    const { scheduler, recorder } = node('a', { work: { concurrency: 1 } });
    await scheduler.start();
    await scheduler.addJob('work', new IntervalTrigger({ seconds: 100 }), { id: 'each', exclusive: false, args: [60 * SECOND] });
    await clock.advance(110 * SECOND);
    line.isCut = true;
    await clock.advance(40 * SECOND);
    line.isCut = false;
    await clock.advance(190 * SECOND);
    expect(recorder.of('leaseLost')).toHaveLength(1);
    // Told to stop, and tried again when there is a slot; then as ever.
    expect(executions[0]!.endedAt).toBeLessThan(130 * SECOND);
    expect(executions).toHaveLength(3);
    expect(executions[1]!.startedAt).toBeGreaterThan(150 * SECOND);
    expect(executions[2]!.startedAt).toBe(300 * SECOND);
  });
});

describe('a leader that is one no longer', () => {
  it('leaves what it has put off to the next, and rests', async () => {
    const store = new JsonJobStore();
    const { clock, node, executions } = shop(store, { ...ONE, ha: { mode: 'leader' } });
    const next = node('next', { work: {} }, {}, viewOf(store));
    const line = leasesOf(store);
    const { scheduler } = node('first', { work: {} });
    await scheduler.start();
    await clock.advance(SECOND);
    for (let i = 0; i < 4; i++) await scheduler.enqueue('work', { id: `job-${i}`, args: [10 * SECOND], tags: ['one'] });
    await clock.advance(SECOND);
    await next.scheduler.start();
    line.isCut = true;
    await clock.advance(60 * SECOND);
    line.isCut = false;
    await clock.advance(60 * SECOND);
    expect(executions.map((execution) => execution.node)).toEqual(['first', 'next', 'next', 'next']);
    expect(peak(executions)).toBe(1);
  });
});

/** The same store by another way. */
function viewOf(store: JsonJobStore): JobStore {
  const { leases } = store;
  return new Proxy(store, {
    get: (_, name) => {
      if (name === 'leases') return leases;
      const value: unknown = Reflect.get(store, name, store);
      return typeof value === 'function' ? (value.bind(store) as unknown) : value;
    },
  });
}
