import { AsyncScheduler, currentRun, InvalidOptionError, IntervalTrigger, MemoryJobStore, type JobStore, type TaskOptions } from 'punctual';
import { EventRecorder, JsonJobStore, VirtualClock } from 'punctual/testing';
import { expect, describe, it } from 'vitest';
import { FaultyStore } from './support/stores.js';
import { mail } from './support/schemas.js';

const START = Date.UTC(2026, 0, 1);
const every10s = new IntervalTrigger({ seconds: 10 });
const inASecond = new Date(START + 1_000);
const silent = (): void => undefined;

/** Version 1: (name). Version 2: (first, last). Version 3: ({ first, last }). */
const split = ([name]: unknown[]): unknown[] => (name as string).split(' ');
const join = async ([first, last]: unknown[]): Promise<unknown[]> => [{ first, last }];

class Node {
  readonly got: unknown[][] = [];
  readonly scheduler: AsyncScheduler;
  readonly events: EventRecorder;

  constructor(clock: VirtualClock, jobStore: JobStore, node: string, options?: Omit<TaskOptions, 'args'>) {
    this.scheduler = new AsyncScheduler({
      clock,
      node,
      timezone: 'UTC',
      jobStores: { default: jobStore },
      logger: { debug: silent, info: silent, warn: silent, error: silent },
    });
    this.events = new EventRecorder(this.scheduler);
    this.scheduler.defineTask('greet', (...args: unknown[]) => void this.got.push(args), options);
  }

  async version(id: string): Promise<number | undefined> {
    const { definition } = (await (this.scheduler as unknown as Inside).directory.require('default').access.get(id))!.record;
    return definition.taskVersion;
  }
}

interface Inside {
  readonly directory: { require(alias: string): { access: { get(id: string): Promise<{ record: { definition: { taskVersion: number } } } | undefined> } } };
}

describe('arguments of an earlier version', () => {
  it('are brought up step by step when a run starts, and stay as they are in the store', async () => {
    const clock = new VirtualClock(START);
    const jobStore = new JsonJobStore();
    const first = new Node(clock, jobStore, 'first');
    await first.scheduler.addJob('greet', every10s, { id: 'job', args: ['Ada Lovelace'] });
    const second = new Node(clock, jobStore, 'second', { version: 2, upgrades: { 1: split } });
    const third = new Node(clock, jobStore, 'third', { version: 3, upgrades: { 1: split, 2: join } });
    for (const [at, { scheduler, got }, expected] of [
      [10_000, third, [{ first: 'Ada', last: 'Lovelace' }]],
      [20_000, second, ['Ada', 'Lovelace']],
      [30_000, first, ['Ada Lovelace']],
    ] as const) {
      await scheduler.start();
      await clock.advanceTo(START + at);
      await clock.advance(10);
      expect(got).toEqual([expected]);
      await scheduler.pause();
      expect(await first.version('job')).toBe(1);
    }
    const stored = (await third.scheduler.getJob('job'))!;
    expect(stored.args).toEqual(['Ada Lovelace']);
    for (const { scheduler } of [first, second, third]) await scheduler.shutdown();
  });

  it('are checked by the schema after the last step', async () => {
    const clock = new VirtualClock(START);
    const jobStore = new JsonJobStore();
    const old = new Node(clock, jobStore, 'old');
    await old.scheduler.addJob('greet', inASecond, { id: 'good', args: ['ada', 'b'] });
    await old.scheduler.addJob('greet', inASecond, { id: 'bad', args: [5] });
    const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: jobStore }, logger: { debug: silent, info: silent, warn: silent, error: silent } });
    const got: unknown[] = [];
    const upgrades = { 1: ([to, host]: unknown[]) => (typeof to === 'string' ? [`${to}@${String(host)}`] : [to]) };
    scheduler.defineTask('greet', (to, times) => void got.push([to, times]), { args: mail, version: 2, upgrades });
    await scheduler.start();
    await clock.advance(2_000);
    expect(got).toEqual([['ada@b', 1]]);
    expect((await scheduler.getJob('bad'))?.status).toBe('quarantined');
    await scheduler.shutdown();
  });

  it.each([
    ['a step that throws', { 1: () => { throw new Error('no last name'); } }, 'the step of `upgrades` from version 1 threw: no last name'],
    ['a step that rejects', { 1: () => Promise.reject(new Error('no last name')) }, 'the step of `upgrades` from version 1 threw: no last name'],
    ['a step that answers no array', { 1: () => 'Ada' as never }, 'the step of `upgrades` from version 1 answered no array of arguments'],
    ['no step', undefined, 'they are for version 1 of the task, and `upgrades` has no step from there to version 2'],
  ])('put the job into quarantine for %s, until there is another', async (_what, upgrades, reason) => {
    const clock = new VirtualClock(START);
    const jobStore = new JsonJobStore();
    const old = new Node(clock, jobStore, 'old');
    await old.scheduler.addJob('greet', inASecond, { id: 'job', args: ['Ada Lovelace'] });
    const broken = new Node(clock, jobStore, 'broken', { version: 2, upgrades });
    await broken.scheduler.start();
    await clock.advance(30_000);
    expect(broken.events.of('jobQuarantined').map((event) => event.reason)).toEqual([`Invalid arguments for task "greet": ${reason}.`]);
    await broken.scheduler.shutdown();

    const mended = new Node(clock, jobStore, 'mended', { version: 2, upgrades: { 1: split } });
    await mended.scheduler.start();
    await mended.scheduler.retryQuarantined('job');
    await clock.advance(1_000);
    expect(mended.got).toEqual([['Ada', 'Lovelace']]);
    expect(await mended.scheduler.getJobs()).toEqual([]);
    expect((await mended.scheduler.getRuns()).map(({ verdict, attempt }) => [verdict, attempt])).toEqual([['succeeded', 1]]);
    expect((await mended.scheduler.verifyLedger()).ok).toBe(true);
    await mended.scheduler.shutdown();
  });

  it('are brought up in memory too, when a task is defined again', async () => {
    const clock = new VirtualClock(START);
    const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
    const got: unknown[] = [];
    const fn = (...args: unknown[]): void => void got.push(args);
    await scheduler.addJob(scheduler.defineTask('greet', fn), every10s, { args: ['Ada Lovelace'] });
    scheduler.defineTask('greet', fn, { version: 2, upgrades: { 1: split } });
    await scheduler.start();
    await clock.advance(10_000);
    expect(got).toEqual([['Ada', 'Lovelace']]);
    await scheduler.shutdown();
  });
});

describe('arguments of a later version', () => {
  it('wait for a node that knows it', async () => {
    const clock = new VirtualClock(START);
    const jobStore = new JsonJobStore();
    const old = new Node(clock, jobStore, 'old');
    const fresh = new Node(clock, jobStore, 'fresh', { version: 2, upgrades: { 1: split } });
    await fresh.scheduler.addJob('greet', every10s, { id: 'new', args: ['Ada', 'Lovelace'] });
    await old.scheduler.addJob('greet', every10s, { id: 'old', args: ['Alan Turing'] });
    await old.scheduler.start();
    await clock.advance(25_000);
    expect(old.got).toEqual([['Alan Turing'], ['Alan Turing']]);
    await old.scheduler.shutdown();
    await fresh.scheduler.start();
    await clock.advance(100);
    expect(fresh.got).toEqual([['Ada', 'Lovelace']]);
    await clock.advanceTo(START + 30_100);
    expect(fresh.got).toHaveLength(3);
    expect(fresh.got.slice(1)).toEqual(expect.arrayContaining([['Ada', 'Lovelace'], ['Alan', 'Turing']]));
    await fresh.scheduler.shutdown();
  });

  it('are written by whoever gives new ones', async () => {
    const clock = new VirtualClock(START);
    const jobStore = new JsonJobStore();
    const old = new Node(clock, jobStore, 'old');
    for (const id of ['modified', 'replaced', 'renamed']) await old.scheduler.addJob('greet', every10s, { id, args: ['Ada Lovelace'] });
    const fresh = new Node(clock, jobStore, 'fresh', { version: 2, upgrades: { 1: split } });
    await fresh.scheduler.modifyJob('modified', { args: ['Alan', 'Turing'] });
    await fresh.scheduler.modifyJob('renamed', { name: 'another' });
    await fresh.scheduler.addJob('greet', every10s, { id: 'replaced', args: ['Alan', 'Turing'], replaceExisting: true });
    expect([await fresh.version('modified'), await fresh.version('replaced'), await fresh.version('renamed')]).toEqual([2, 2, 1]);
    for (const { scheduler } of [old, fresh]) await scheduler.start();
    await clock.advance(10_100);
    expect([...old.got, ...fresh.got]).toHaveLength(3);
    expect(fresh.got.filter(([name]) => name === 'Alan')).toHaveLength(2);
    for (const { scheduler } of [old, fresh]) await scheduler.shutdown();
  });
});

describe('arguments of a run by hand', () => {
  it('have the version of whoever gave them, whatever that of the job', async () => {
    const clock = new VirtualClock(START);
    const jobStore = new JsonJobStore();
    const old = new Node(clock, jobStore, 'old');
    await old.scheduler.addJob('greet', every10s, { id: 'job', args: ['Ada Lovelace'], paused: true });
    await old.scheduler.runJob('job', { args: ['Grace Hopper'] });
    const fresh = new Node(clock, jobStore, 'fresh', { version: 2, upgrades: { 1: split } });
    await fresh.scheduler.runJob('job', { args: ['Alan', 'Turing'] });
    await fresh.scheduler.modifyJob('job', { args: ['Emmy', 'Noether'] });
    await fresh.scheduler.runJob('job');
    await fresh.scheduler.start();
    await clock.advance(5_000);
    expect(fresh.got).toEqual([['Grace', 'Hopper'], ['Alan', 'Turing'], ['Emmy', 'Noether']]);
    await fresh.scheduler.shutdown();
  });

  it('fail on a node that has an earlier version, and keep theirs through a retry', async () => {
    const clock = new VirtualClock(START);
    const jobStore = new JsonJobStore();
    const fresh = new Node(clock, jobStore, 'fresh', { version: 2, upgrades: { 1: split } });
    const old = new Node(clock, jobStore, 'old', { retry: 2 });
    const job = await old.scheduler.addJob('greet', every10s, { id: 'job', args: ['Ada Lovelace'], paused: true });
    const handle = await fresh.scheduler.runJob('job', { args: ['Alan', 'Turing'] });
    await old.scheduler.start();
    await clock.advance(5_000);
    await expect(handle.result()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENTS',
      message: 'Invalid arguments for task "greet": they are for version 2 of the task, and here it has version 1.',
    });
    await old.scheduler.shutdown();

    let attempts = 0;
    const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: jobStore } });
    const got: unknown[][] = [];
    scheduler.defineTask('greet', (...args: unknown[]) => {
      got.push(args);
      if ((attempts += 1) === 1) throw new Error('again');
      return currentRun().attempt;
    }, { version: 2, upgrades: { 1: split } });
    const again = await scheduler.runJob(job.id, { args: ['Alan', 'Turing'] });
    await scheduler.start();
    await clock.advance(5_000);
    expect(await again.result()).toBe(2);
    expect(got).toEqual([['Alan', 'Turing'], ['Alan', 'Turing']]);
    await scheduler.shutdown();
    await fresh.scheduler.shutdown();
  });
});

it('a refusal whose answer got lost is not taken for a lost lease', async () => {
  const clock = new VirtualClock(START);
  const store = new FaultyStore(new MemoryJobStore({ shared: true }));
  const node = new Node(clock, store, 'node');
  const job = await node.scheduler.addJob('greet', every10s, { id: 'job', args: ['Ada Lovelace'] });
  const other = new AsyncScheduler({
    clock,
    timezone: 'UTC',
    node: 'other',
    jobStores: { default: store },
    logger: { debug: silent, info: silent, warn: silent, error: silent },
  });
  const events = new EventRecorder(other);
  other.defineTask('greet', () => undefined, {
    version: 2,
    upgrades: {
      1: async () => {
        await clock.sleep(500);
        store.faults.set('commit', 'lose');
        throw new Error('no');
      },
    },
  });
  await other.start();
  await clock.advance(10_600);
  store.faults.clear();
  await clock.advance(10_000);
  expect((await other.getJob(job.id))?.status).toBe('quarantined');
  expect(events.of('leaseLost')).toEqual([]);
  expect(other.health().jobStores['default']).toMatchObject({ ok: true, activeRuns: 0 });
  await other.shutdown();
  await node.scheduler.shutdown();
});

describe('the options', () => {
  it('refuse a step that leads nowhere, and a hole between two', () => {
    const scheduler = new AsyncScheduler({ clock: new VirtualClock(START), timezone: 'UTC' });
    const define = (options: unknown) => (): unknown => scheduler.defineTask('task', silent, options as { version: number });
    for (const version of [0, 1.5, '2', null]) expect(define({ version })).toThrow(InvalidOptionError);
    expect(define({ upgrades: { 1: split } })).toThrow('Invalid value for `upgrades.1`: expected no step but from versions before `version`, which is 1');
    expect(define({ version: 3, upgrades: { 1: split } })).toThrow('Invalid value for `upgrades.2`: expected a step from version 2 to 3');
    expect(define({ version: 4, upgrades: { 1: split, 3: join } })).toThrow('`upgrades.2`');
    expect(define({ version: 2, upgrades: { 0: split } })).toThrow('`upgrades.0`');
    expect(define({ version: 2, upgrades: { one: split } })).toThrow('`upgrades.one`');
    expect(define({ version: 2, upgrades: { 1: 'split' } })).toThrow('`upgrades.1`');
    expect(define({ version: 2, upgrades: [split] })).toThrow('`upgrades`');
    // Of earlier versions nothing may be left.
    for (const options of [{ version: 3 }, { version: 3, upgrades: {} }, { version: 3, upgrades: { 2: join } }]) expect(define(options)).not.toThrow();
  });
});
