import assert from 'node:assert/strict';
import { after, IntervalTrigger, isPunctualError, MemoryJobStore, type AsyncScheduler, type Job } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { expect, test } from 'vitest';
import { gate } from '../scheduler/support/world.js';
import { makeWorld, START, type World } from './support.js';

/** Two nodes on one store. What the first writes waits until it is let go, so that both decide before either has written. */
function twoNodes(store = new MemoryJobStore({ shared: true })): { a: World; b: World; clock: VirtualClock; holdA: () => Promise<void>; letGo: () => void; die: (id: string) => void } {
  const clock = new VirtualClock(START);
  const ran: string[] = [];
  const arrived = gate();
  const released = gate();
  let isHolding = false;
  let dying: string | undefined;
  let isDead = false;
  const held = new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const call = (): unknown => {
          if (isDead) throw new Error('gone');
          const answer = (value as (...all: unknown[]) => unknown).apply(target, args);
          // With the write of this job, and the answer lost.
          isDead = property === 'commit' && (args[0] as readonly { readonly id: string }[]).some(({ id }) => id === dying);
          if (isDead) throw new Error('gone');
          return answer;
        };
        if (!isHolding || property !== 'commit') return call();
        arrived.open();
        return released.promise.then(call);
      };
    },
  });
  const options = { maxSleep: 1_000 };
  const a = makeWorld(held, { ...options, node: 'a' }, clock, ran);
  const b = makeWorld(store, { ...options, node: 'b' }, clock, ran);
  return {
    a,
    b,
    clock,
    holdA: () => { isHolding = true; return arrived.promise; },
    die: (id) => { dying = id; },
    letGo: () => { isHolding = false; released.open(); },
  };
}

async function outcome(call: Promise<Job>): Promise<string> {
  try {
    return (await call).status;
  } catch (error) {
    if (!isPunctualError(error, 'DEPENDENCY_CYCLE')) throw error;
    return `DEPENDENCY_CYCLE, ${error.quarantined ?? 'none'} in quarantine`;
  }
}

const follow = (scheduler: AsyncScheduler, id: string, other: string): Promise<Job> =>
  scheduler.addJob('work', after(other, 'any'), { id, args: [id], replaceExisting: true });

/** Both follow each other by two calls of which neither could see the other. The second is over when the first is written. */
async function closeCircle({ a, b, holdA, letGo, clock }: ReturnType<typeof twoNodes>, before?: () => void): Promise<{ first: string; second: string }> {
  for (const id of ['one', 'two']) await a.scheduler.addJob('work', '@yearly', { id, args: [id] });
  await a.scheduler.start();
  await b.scheduler.start();
  const holding = holdA();
  const first = outcome(follow(a.scheduler, 'one', 'two'));
  await holding;
  await clock.advance(5);
  const second = await outcome(follow(b.scheduler, 'two', 'one'));
  before?.();
  letGo();
  return { first: await first, second };
}

const statusesOf = (scheduler: AsyncScheduler): Promise<(string | undefined)[]> =>
  Promise.all(['one', 'two'].map(async (id) => (await scheduler.getJob(id))?.status));

test('of two jobs that come to follow each other at the same moment, the last one written is stopped, and its caller told', async () => {
  const nodes = twoNodes();
  const { a, b, clock } = nodes;
  expect(await closeCircle(nodes)).toEqual({ first: 'DEPENDENCY_CYCLE, one in quarantine', second: 'active' });
  expect(await statusesOf(b.scheduler)).toEqual(['quarantined', 'active']);
  const events = [...a.events.of('jobQuarantined'), ...b.events.of('jobQuarantined')];
  expect(events).toMatchObject([{ jobId: 'one' }]);
  assert.match(events[0]?.reason ?? '', /"one" follows "two" follows "one"\. "one" is in quarantine/);

  // A run by hand comes to no runs without end.
  await a.scheduler.runJob('two');
  await clock.advance({ minutes: 10 });
  expect(a.ran).toEqual(['two']);

  // It can go on when the circle is opened, and not before.
  await expect(b.scheduler.retryQuarantined('one')).rejects.toMatchObject({ code: 'DEPENDENCY_CYCLE', quarantined: null });
  await b.scheduler.rescheduleJob('two', new IntervalTrigger({ minutes: 1 }));
  await b.scheduler.retryQuarantined('one');
  a.ran.length = 0;
  await clock.advance({ minutes: 2, seconds: 5 });
  expect(a.ran.filter((line) => line.startsWith('one'))).toHaveLength(2);
});

test('jobs of a circle that are let go at the same moment do not close it again', async () => {
  const store = new MemoryJobStore({ shared: true });
  const { a, b, clock, holdA, letGo } = twoNodes(store);
  for (const id of ['one', 'two']) await a.scheduler.addJob('work', '@yearly', { id, args: [id] });
  // Both are stopped, as when two callers see what they have closed.
  for (const [id, other] of [['one', 'two'], ['two', 'one']] as const) {
    const { record, revision } = store.get(id)!;
    const next = { ...record, definition: { ...record.definition, trigger: after(other, 'any') }, state: { ...record.state, status: 'quarantined' as const, nextFireTime: null, nextDueAt: null } };
    expect(store.commit([{ id, expected: revision, next, ledger: [] }])).not.toEqual([undefined]);
  }
  const holding = holdA();
  const first = outcome(a.scheduler.retryQuarantined('one'));
  await holding;
  expect(await outcome(b.scheduler.retryQuarantined('two'))).toBe('active');
  letGo();
  expect(await first).toBe('DEPENDENCY_CYCLE, one in quarantine');
  expect(await statusesOf(b.scheduler)).toEqual(['quarantined', 'active']);
  await b.scheduler.start();
  await b.scheduler.runJob('two');
  await clock.advance({ minutes: 10 });
  expect(b.ran).toEqual(['two']);
});

test.each(['addJobs', 'sync'] as const)('a call that closes several circles stops a job of each (%s)', async (how) => {
  const { a, b, holdA, letGo } = twoNodes();
  for (const id of ['w', 'x', 'y', 'z']) await a.scheduler.addJob('work', '@yearly', { id, args: [id] });
  const specs = [['w', 'x'], ['y', 'z']].map(([id, other]) => ({ id: id!, task: 'work', trigger: after(other!, 'any'), args: [id!] }));
  const holding = holdA();
  const call: Promise<unknown> = how === 'sync' ? a.scheduler.sync(specs, { owner: 'me', adopt: true }) : a.scheduler.addJobs(specs.map((spec) => ({ ...spec, replaceExisting: true })));
  const error = call.then(() => undefined, (reason: unknown) => reason);
  await holding;
  expect(await outcome(follow(b.scheduler, 'x', 'w'))).toBe('active');
  expect(await outcome(follow(b.scheduler, 'z', 'y'))).toBe('active');
  letGo();
  expect(await error).toMatchObject({ code: 'DEPENDENCY_CYCLE', quarantined: 'w' });
  const statuses = await Promise.all(['w', 'x', 'y', 'z'].map(async (id) => (await b.scheduler.getJob(id))?.status));
  expect(statuses).toEqual(['quarantined', 'active', 'quarantined', 'active']);
});

test('a circle whose last caller died before it looked is found when the jobs are looked after', async () => {
  const nodes = twoNodes();
  const { b, clock, die } = nodes;
  await expect(closeCircle(nodes, () => { die('one'); })).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(await statusesOf(b.scheduler)).toEqual(['active', 'active']);
  await clock.advance({ minutes: 2 });
  // The one that came to follow last.
  expect(await statusesOf(b.scheduler)).toEqual(['active', 'quarantined']);
  expect(b.events.of('jobQuarantined')).toMatchObject([{ jobId: 'two' }]);
  await b.scheduler.runJob('one');
  await clock.advance({ minutes: 10 });
  expect(b.ran).toEqual(['one']);
});

test('a circle that lies beside another one is found', async () => {
  const store = new MemoryJobStore({ shared: true });
  const { a, b, holdA, letGo } = twoNodes(store);
  for (const id of ['w', 'x', 'y', 'z']) await a.scheduler.addJob('work', '@yearly', { id, args: [id] });
  const holding = holdA();
  const x = outcome(a.scheduler.addJob('work', after(['w', 'y'], 'any'), { id: 'x', args: ['x'], replaceExisting: true }));
  await holding;
  expect(await outcome(follow(b.scheduler, 'w', 'x'))).toBe('active');
  expect(await outcome(follow(b.scheduler, 'y', 'z'))).toBe('active');
  // By hand, as in a transaction that looked before.
  const { record, revision } = store.get('z')!;
  const next = { ...record, definition: { ...record.definition, trigger: after('y', 'any') } };
  expect(store.commit([{ id: 'z', expected: revision, next, ledger: [] }])).not.toEqual([undefined]);
  letGo();
  expect(await x).toBe('DEPENDENCY_CYCLE, x in quarantine');
  expect((await b.scheduler.getJob('w'))?.status).toBe('active');
});

test('jobs that wait for each other are told so, too', async () => {
  const nodes = twoNodes();
  const { a, b, clock, holdA, letGo } = nodes;
  for (const id of ['one', 'two']) await a.scheduler.addJob('work', '@yearly', { id, args: [id] });
  await a.scheduler.start();
  await b.scheduler.start();
  const wait = (scheduler: AsyncScheduler, id: string, dependsOn: string): Promise<string> =>
    outcome(scheduler.addJob('work', '@daily', { id, args: [id], dependsOn, replaceExisting: true }));
  const holding = holdA();
  const first = wait(a.scheduler, 'one', 'two');
  await holding;
  const second = await wait(b.scheduler, 'two', 'one');
  letGo();
  expect([await first, second]).toEqual(['DEPENDENCY_CYCLE, one in quarantine', 'active']);
  expect(await statusesOf(b.scheduler)).toEqual(['quarantined', 'active']);
  // Whoever takes it away lets the other know.
  await b.scheduler.removeJob('one');
  await clock.advance({ minutes: 2 });
  expect(await b.scheduler.getJob('two')).toBeUndefined();
  expect(await b.scheduler.getRuns({ jobId: 'two' })).toMatchObject([{ verdict: 'cancelled', reason: 'dependency-failed' }]);
});
