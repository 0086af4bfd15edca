import { describe, expect, it } from 'vitest';
import {
  AndTrigger,
  CalendarIntervalTrigger,
  CronTrigger,
  DailyTrigger,
  DateTrigger,
  ExceptTrigger,
  IntervalTrigger,
  MemoryJobStore,
  MonthlyTrigger,
  OrTrigger,
  StartupTrigger,
  TriggerRegistry,
  WeeklyTrigger,
  type ExportedJob,
  type ImportResult,
  type JobExport,
  type JobStore,
  type Trigger,
  type TriggerJson,
} from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { JsonJobStore, type VirtualClock } from 'punctual/testing';
import { failure, gate, HOUR, makeWorld, MINUTE, SECOND, START, START_MS, type World } from './support/world.js';

const noop = (): undefined => undefined;
const ms = (seconds: number): number => START_MS + seconds * SECOND;
const at = (seconds: number): Date => new Date(ms(seconds));
const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });
const NOTHING: ImportResult = { added: [], replaced: [], kept: [], completed: [], quarantined: [] };

/** A scheduler with the task `work`, and, under the same clock as others, its own store. */
function world(jobStore: JobStore = new JsonJobStore(), clock?: VirtualClock): World {
  const made = makeWorld({ jobStores: { default: jobStore }, ...(clock === undefined ? {} : { clock }) });
  made.scheduler.defineTask('work', noop);
  return made;
}

const throughText = (data: JobExport): JobExport => JSON.parse(JSON.stringify(data)) as JobExport;
const withJob = (data: JobExport, changes: object): object => ({ ...data, jobs: data.jobs.map((job) => ({ ...job, ...changes })) });
const withState = (data: JobExport, changes: object): object =>
  ({ ...data, jobs: data.jobs.map((job) => ({ ...job, state: { ...job.state, ...changes } })) });
const withDefinition = (data: JobExport, changes: object): object =>
  ({ ...data, jobs: data.jobs.map((job) => ({ ...job, definition: { ...job.definition, ...changes } })) });
/** What must be the same on both sides. */
const essence = ({ id, definition, state }: ExportedJob): object => {
  const { fence: _fence, generation: _generation, firstFireTime: _first, ...place } = state;
  return { id, definition, place };
};

const TRIGGERS: Readonly<Record<string, Trigger>> = {
  and: new AndTrigger([new CronTrigger('0 9 * * *', { timezone: 'Europe/Berlin' }), new WeeklyTrigger({ days: 'mon', time: '09:00' }, { timezone: 'Europe/Berlin' })]),
  calendar: new CalendarIntervalTrigger({ months: 1 }),
  cron: new CronTrigger('*/5 * * * *', { timezone: 'America/New_York', dst: 'compatible' }),
  daily: new DailyTrigger('03:00'),
  date: new DateTrigger('2027-01-01T00:00:00Z'),
  except: new ExceptTrigger(new IntervalTrigger({ hours: 1 }), new DailyTrigger('12:00')),
  interval: new IntervalTrigger({ minutes: 7 }),
  monthly: new MonthlyTrigger({ days: 15, time: '08:00' }),
  or: new OrTrigger([new DailyTrigger('03:00'), new IntervalTrigger({ minutes: 50 })]),
  pause: new IntervalTrigger({ minutes: 9 }, { from: 'completion' }),
  startup: new StartupTrigger(),
};

describe('exportJobs', () => {
  it('says what it is, and is plain JSON', async () => {
    const { scheduler } = world();
    await scheduler.addJob('work', every(60), { id: 'a', args: [new Date(0)], tags: ['x'], name: 'A' });
    const data = await scheduler.exportJobs();
    expect(throughText(data)).toStrictEqual(data);
    expect(data).toMatchObject({ format: 'punctual-jobs', version: 1, exportedAt: START, nextCursor: null });
    expect(data.jobs).toMatchObject([
      {
        id: 'a',
        jobStore: 'default',
        definition: { task: 'work', trigger: { kind: 'interval' }, tags: ['x'], name: 'A', owner: null, taskVersion: 1, policy: { maxInstances: 1 } },
        state: { status: 'active', reason: null, nextFireTime: ms(60), nextDueAt: ms(60), lastFireTime: null, runCount: 0, stats: { succeeded: 0 } },
      },
    ]);
    expect(Object.keys(data.jobs[0]!.state)).not.toContain('runs');
    expect(Object.keys(data.jobs[0]!)).not.toContain('revision');
  });

  it('selects as getJobs does', async () => {
    const { scheduler } = world();
    for (const id of ['a', 'b', 'c']) await scheduler.addJob('work', every(60), { id, tags: id === 'b' ? ['x'] : [] });
    expect((await scheduler.exportJobs({ tags: ['x'] })).jobs.map(({ id }) => id)).toEqual(['b']);
    expect(await failure(scheduler.exportJobs({ tag: 'x' } as never))).toMatchObject({ code: 'INVALID_OPTION', option: 'tag' });
    expect(await failure(scheduler.exportJobs({ jobStore: 'none' }))).toMatchObject({ code: 'UNKNOWN_STORE' });
  });

  it('goes by pages, each of which can be imported', async () => {
    const from = world();
    for (let i = 0; i < 7; i++) await from.scheduler.addJob('work', every(60), { id: `job-${i}` });
    const to = world(undefined, from.clock);
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await from.scheduler.exportJobs({ limit: 3, cursor });
      sizes.push(page.jobs.length);
      await to.scheduler.importJobs(page);
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(sizes).toEqual([3, 3, 1]);
    expect(await to.scheduler.getJobs()).toHaveLength(7);
  });

  it('names every job that cannot be exported', async () => {
    const { scheduler } = world(new MemoryJobStore());
    await scheduler.addJob(function alpha() { /* nothing */ }, every(60), { id: 'a' });
    await scheduler.addJob('work', every(60), { id: 'b' });
    await scheduler.addJob(noop, every(60), { id: 'c' });
    await scheduler.addJob('work', every(60), { id: 'd', args: [Symbol('x')] });
    const error = await failure(scheduler.exportJobs());
    expect(error).toMatchObject({ code: 'JOB_UNSTORABLE' });
    for (const name of ['"a"', 'alpha', '"c"', '"d"', '3 of 4']) expect(error.message).toContain(name);
    expect(error.message).not.toContain('"b"');
  });

  it('hands out copies', async () => {
    const { scheduler } = world(new MemoryJobStore());
    await scheduler.addJob('work', every(60), { id: 'a', tags: ['x'] });
    const data = await scheduler.exportJobs();
    ((data.jobs[0]!.definition as { tags: string[] }).tags).push('y');
    expect((await scheduler.getJob('a'))?.tags).toEqual(['x']);
  });
});

describe('importJobs', () => {
  const stores: readonly [string, () => JobStore, () => JobStore][] = [
    ['memory to JSON', () => new MemoryJobStore(), () => new JsonJobStore()],
    ['JSON to memory', () => new JsonJobStore(), () => new MemoryJobStore()],
    ['memory to SQLite', () => new MemoryJobStore(), () => new SQLiteJobStore(':memory:')],
    ['SQLite to JSON', () => new SQLiteJobStore(':memory:'), () => new JsonJobStore()],
    ['JSON to JSON', () => new JsonJobStore(), () => new JsonJobStore()],
  ];
  it.each(stores)('keeps all of them, from %s', async (_name, source, target) => {
    const from = world(source());
    const args = [new Date(5), new Map([['k', new Set([1n])]]), undefined, { deep: [Number.NaN, -0] }];
    for (const [id, trigger] of Object.entries(TRIGGERS)) {
      await from.scheduler.addJob('work', trigger, { id, args, metadata: { since: new Date(7) }, retry: { maxAttempts: 5, jitter: 0.5 }, priority: 3, jitter: 900 });
    }
    await from.clock.advance({ minutes: 3 });
    await from.scheduler.pauseJob('daily');
    const data = throughText(await from.scheduler.exportJobs());
    const to = world(target(), from.clock);
    const ids = Object.keys(TRIGGERS).sort();
    expect(await to.scheduler.importJobs(data)).toEqual({ ...NOTHING, added: ids });
    const again = await to.scheduler.exportJobs();
    expect(again.jobs.map(essence)).toEqual(data.jobs.map(essence));
    for (const id of ids) {
      const [before, after] = [await from.scheduler.getJob(id), await to.scheduler.getJob(id)];
      expect(after?.args).toEqual(args);
      expect(after?.metadata).toEqual({ since: new Date(7) });
      expect(after?.nextRunTime).toEqual(before?.nextRunTime);
      expect(await to.scheduler.nextRunTimes(id, 5)).toEqual(await from.scheduler.nextRunTimes(id, 5));
    }
    expect(to.recorder.of('jobAdded')).toHaveLength(ids.length);
  });

  it('goes on at its place, with its counters, and its history adds up', async () => {
    const from = world();
    await from.scheduler.addJob('work', every(10), { id: 'a', maxRuns: 5 });
    await from.scheduler.start();
    await from.clock.advance({ seconds: 35 });
    await from.scheduler.shutdown();
    const data = throughText(await from.scheduler.exportJobs());
    const to = world(undefined, from.clock);
    await to.scheduler.importJobs(data);
    expect(await to.scheduler.getJob('a')).toMatchObject({ runCount: 3, lastFireTime: at(30), nextRunTime: at(40) });
    await to.scheduler.start();
    await to.clock.advance({ seconds: 8 });
    expect(await to.scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { succeeded: 1 } });
    await to.clock.advance({ seconds: 60 });
    expect(to.recorder.of('jobExecuted').map(({ scheduledFor }) => scheduledFor)).toEqual([ms(40), ms(50)]);
    expect(to.recorder.of('jobCompleted')).toMatchObject([{ reason: 'max-runs', runCount: 5 }]);
  });

  it('leaves overdue fire times to the misfire policy', async () => {
    const from = world();
    await from.scheduler.addJob('work', every(10), { id: 'late', misfireGraceTime: { seconds: 1 } });
    await from.scheduler.addJob('work', every(10), { id: 'once' });
    const data = await from.scheduler.exportJobs();
    await from.clock.advance({ seconds: 45 });
    const to = world(undefined, from.clock);
    await to.scheduler.importJobs(data);
    await to.scheduler.start();
    await to.clock.settle();
    expect(to.recorder.of('jobMissed')).toMatchObject([{ jobId: 'late', count: 4, scheduledFor: ms(10) }]);
    expect(to.recorder.of('jobExecuted')).toMatchObject([{ jobId: 'once', scheduledFor: ms(40) }]);
    expect(await to.scheduler.verifyLedger()).toMatchObject({ ok: true });
  });

  it('wakes a scheduler that runs', async () => {
    const from = world();
    await from.scheduler.addJob('work', every(10), { id: 'a' });
    const data = await from.scheduler.exportJobs();
    const to = world(undefined, from.clock);
    await to.scheduler.start();
    await to.scheduler.importJobs(data);
    await to.clock.advance({ seconds: 10 });
    expect(to.recorder.of('jobExecuted')).toHaveLength(1);
  });

  it('lets a job wait for a task that is not defined here', async () => {
    const from = world();
    await from.scheduler.addJob('work', every(10), { id: 'a' });
    for (const store of [new MemoryJobStore(), new JsonJobStore()]) {
      const to = makeWorld({ clock: from.clock, jobStores: { default: store } });
      await to.scheduler.start();
      expect(await to.scheduler.importJobs(await from.scheduler.exportJobs())).toEqual({ ...NOTHING, added: ['a'] });
      await to.clock.advance({ seconds: 15 });
      expect(to.recorder.of('jobStarted')).toEqual([]);
      to.scheduler.defineTask('work', noop);
      await to.clock.advance({ seconds: 1 });
      expect(to.recorder.of('jobExecuted')).toHaveLength(1);
    }
  });

  it('puts each job into the store it came from, or all into one', async () => {
    const from = makeWorld({ jobStores: { default: new MemoryJobStore(), other: new MemoryJobStore() } });
    from.scheduler.defineTask('work', noop);
    await from.scheduler.addJob('work', every(10), { id: 'a' });
    await from.scheduler.addJob('work', every(10), { id: 'b', jobStore: 'other' });
    const data = await from.scheduler.exportJobs();
    const to = makeWorld({ clock: from.clock, jobStores: { default: new JsonJobStore(), other: new JsonJobStore() } });
    await to.scheduler.importJobs(data);
    expect((await to.scheduler.getJobs()).map(({ id, jobStore }) => [id, jobStore])).toEqual([['a', 'default'], ['b', 'other']]);
    const single = world(undefined, from.clock);
    expect(await failure(single.scheduler.importJobs(data))).toMatchObject({ code: 'UNKNOWN_STORE' });
    expect(await single.scheduler.getJobs()).toEqual([]);
    expect(await single.scheduler.importJobs(data, { jobStore: 'default' })).toMatchObject({ added: ['a', 'b'] });
  });

  it('leaves live runs where they are', async () => {
    const open = gate();
    const from = makeWorld({ jobStores: { default: new MemoryJobStore() } });
    from.scheduler.defineTask('work', () => open.promise);
    await from.scheduler.addJob('work', every(10), { id: 'grid' });
    await from.scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }, { from: 'completion' }), { id: 'pause' });
    await from.scheduler.addJob('work', new DateTrigger(at(10)), { id: 'single' });
    await from.scheduler.start();
    await from.clock.advance({ seconds: 12 });
    const data = await from.scheduler.exportJobs();
    const to = world(undefined, from.clock);
    expect(await to.scheduler.importJobs(data)).toEqual({ ...NOTHING, added: ['grid', 'pause'], completed: ['single'] });
    expect((await to.scheduler.getJobs()).map(({ id, nextRunTime, runs }) => [id, nextRunTime, runs])).toEqual([['grid', at(20), []], ['pause', at(22), []]]);
    open.open();
  });

  describe('when an id is taken', () => {
    const taken = async (): Promise<{ to: World; data: JobExport }> => {
      const from = world();
      for (const id of ['a', 'b', 'c']) await from.scheduler.addJob('work', every(60), { id, args: ['new'] });
      const data = await from.scheduler.exportJobs();
      await from.clock.advance({ seconds: 5 });
      const to = world(undefined, from.clock);
      for (const id of ['b', 'c']) await to.scheduler.addJob('work', every(10), { id, args: ['old'] });
      to.recorder.clear();
      return { to, data };
    };

    it('refuses, naming every id, before anything is written', async () => {
      const { to, data } = await taken();
      expect(await failure(to.scheduler.importJobs(data))).toMatchObject({ code: 'CONFLICTING_JOB_ID', jobId: 'b', jobIds: ['b', 'c'] });
      expect((await to.scheduler.getJobs()).map(({ id }) => id)).toEqual(['b', 'c']);
      expect(to.recorder.events).toEqual([]);
    });

    it('keeps what there is', async () => {
      const { to, data } = await taken();
      expect(await to.scheduler.importJobs(data, { onConflict: 'keep' })).toEqual({ ...NOTHING, added: ['a'], kept: ['b', 'c'] });
      expect((await to.scheduler.getJobs()).map(({ args }) => args)).toEqual([['new'], ['old'], ['old']]);
      expect(to.recorder.types()).toEqual(['jobAdded']);
    });

    it('replaces what there is, whose overdue fire times get a verdict', async () => {
      const { to, data } = await taken();
      await to.clock.advance({ seconds: 15 });
      expect(await to.scheduler.importJobs(data, { onConflict: 'replace' })).toEqual({ ...NOTHING, added: ['a'], replaced: ['b', 'c'] });
      expect((await to.scheduler.getJobs()).map(({ args, nextRunTime }) => [args, nextRunTime])).toEqual([[['new'], at(60)], [['new'], at(60)], [['new'], at(60)]]);
      expect(to.recorder.of('jobAdded').map(({ jobId, replaced }) => [jobId, replaced])).toEqual([['a', false], ['b', true], ['c', true]]);
      expect(to.recorder.of('jobSkipped')).toMatchObject([{ jobId: 'b', reason: 'rescheduled' }, { jobId: 'c' }]);
      await to.scheduler.start();
      await to.clock.advance({ minutes: 2 });
      expect(await to.scheduler.verifyLedger()).toMatchObject({ ok: true });
    });

    it('replaced, live runs keep their slots and tokens never come twice', async () => {
      const open = gate();
      const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: new JsonJobStore() } });
      let tokens: number[] = [];
      scheduler.defineTask('work', () => open.promise);
      await scheduler.addJob('work', every(10), { id: 'a' });
      const data = await scheduler.exportJobs();
      await scheduler.start();
      await clock.advance({ seconds: 10 });
      const fences = async (): Promise<number> => (await scheduler.exportJobs()).jobs[0]!.state['fence'] as number;
      tokens = [data.jobs[0]!.state['fence'] as number, await fences()];
      await scheduler.importJobs(data, { onConflict: 'replace' });
      tokens.push(await fences());
      await scheduler.removeJob('a');
      expect(await scheduler.importJobs(data)).toMatchObject({ added: ['a'] });
      tokens.push(await fences());
      expect([...new Set(tokens)].sort((a, b) => a - b)).toEqual(tokens);
      expect((await scheduler.getJob('a'))?.runs).toHaveLength(1);
      open.open();
      await clock.settle();
      expect(recorder.of('jobError')).toEqual([]);
      await clock.advance({ minutes: 1 });
      const runIds = recorder.of('jobStarted').map(({ runId }) => runId);
      expect(runIds.length).toBeGreaterThan(3);
      expect(new Set(runIds).size).toBe(runIds.length);
      expect(await scheduler.verifyLedger()).toMatchObject({ ok: true });
    });

    it('what measures from the end of a run goes on from the end of the one that lives', async () => {
      const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: new JsonJobStore() } });
      const open = gate();
      let runs = 0;
      scheduler.defineTask('work', () => (runs++ === 0 ? open.promise : undefined));
      await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }, { from: 'completion' }), { id: 'a' });
      const data = await scheduler.exportJobs();
      await scheduler.start();
      await clock.advance({ seconds: 12 });
      expect(await scheduler.importJobs(data, { onConflict: 'replace' })).toMatchObject({ replaced: ['a'] });
      expect(await scheduler.getJob('a')).toMatchObject({ nextRunTime: null, runs: [{}] });
      await clock.advance({ seconds: 12 });
      open.open();
      await clock.advance({ seconds: 15 });
      expect(recorder.of('jobStarted').map(({ scheduledFor }) => scheduledFor)).toEqual([ms(10), ms(34)]);
    });

    it('a fire time that has a live run gets no second one, whoever adds the job again', async () => {
      const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: new JsonJobStore() } });
      const open = gate();
      scheduler.defineTask('work', () => open.promise);
      await scheduler.start();
      const add = async (): Promise<unknown> => scheduler.addJob('work', new DateTrigger(at(-5)), { id: 'a' });
      await add();
      await clock.settle();
      await scheduler.removeJob('a');
      await add();
      await clock.advance({ seconds: 5 });
      open.open();
      await clock.advance({ seconds: 5 });
      expect(recorder.of('jobStarted')).toHaveLength(1);
      expect(recorder.of('jobCompleted')).toHaveLength(1);
    });

    it('says so beforehand with dryRun, and writes nothing', async () => {
      const { to, data } = await taken();
      expect(await to.scheduler.importJobs(data, { onConflict: 'replace', dryRun: true })).toEqual({ ...NOTHING, added: ['a'], replaced: ['b', 'c'] });
      expect(await to.scheduler.importJobs(data, { onConflict: 'keep', dryRun: true })).toEqual({ ...NOTHING, added: ['a'], kept: ['b', 'c'] });
      expect(await failure(to.scheduler.importJobs(data, { dryRun: true }))).toMatchObject({ code: 'CONFLICTING_JOB_ID' });
      expect((await to.scheduler.getJobs()).map(({ args }) => args)).toEqual([['old'], ['old']]);
      expect(to.recorder.events).toEqual([]);
    });
  });

  describe('what cannot be read', () => {
    class OddTrigger implements Trigger {
      readonly kind = 'odd';
      next(after: number): number {
        return (Math.floor(after / MINUTE) + 1) * MINUTE;
      }
      toJSON(): TriggerJson {
        return { kind: this.kind, v: 1, extra: [1] };
      }
    }
    const triggers = (): TriggerRegistry => new TriggerRegistry().register('odd', () => new OddTrigger());

    it('goes to quarantine as it is, and comes back whole', async () => {
      const from = makeWorld({ triggers: triggers(), jobStores: { default: new JsonJobStore() } });
      from.scheduler.defineTask('work', noop);
      await from.scheduler.addJob('work', new OddTrigger(), { id: 'a', args: [1] });
      const data = throughText(await from.scheduler.exportJobs());
      for (const store of [new MemoryJobStore(), new JsonJobStore(), new SQLiteJobStore(':memory:')]) {
        const to = world(store, from.clock);
        expect(await to.scheduler.importJobs(data)).toEqual({ ...NOTHING, added: ['a'], quarantined: ['a'] });
        expect(await to.scheduler.getJob('a')).toMatchObject({ status: 'quarantined', reason: expect.stringContaining('odd') });
        expect(to.recorder.of('jobQuarantined')).toHaveLength(1);
        const back = await to.scheduler.exportJobs();
        expect(back.jobs[0]!.definition).toEqual(data.jobs[0]!.definition);
        const home = makeWorld({ triggers: triggers(), clock: from.clock, jobStores: { default: new JsonJobStore() } });
        home.scheduler.defineTask('work', noop);
        expect(await home.scheduler.importJobs(back)).toMatchObject({ quarantined: ['a'] });
        expect(await home.scheduler.retryQuarantined('a')).toMatchObject({ status: 'active', nextRunTime: at(60), args: [1] });
      }
    });

    it('of a newer release keeps every field', async () => {
      const from = world();
      await from.scheduler.addJob('work', every(60), { id: 'a' });
      const data = withDefinition(await from.scheduler.exportJobs(), { v: 99, novelty: { x: 1 }, policy: { overlap: 'dance' } });
      const to = world(undefined, from.clock);
      expect(await to.scheduler.importJobs(data)).toMatchObject({ added: ['a'], quarantined: ['a'] });
      expect((await to.scheduler.exportJobs()).jobs[0]!.definition).toEqual((data as JobExport).jobs[0]!.definition);
    });

    it('is refused when it is no export, or one of a newer form', async () => {
      const { scheduler } = world();
      const data = await scheduler.exportJobs();
      expect(await failure(scheduler.importJobs({ jobs: [] }))).toMatchObject({ code: 'UNKNOWN_FORMAT' });
      expect(await failure(scheduler.importJobs({ ...data, version: 2 }))).toMatchObject({ code: 'UNKNOWN_FORMAT', version: 2 });
      expect(await failure(scheduler.importJobs([]))).toMatchObject({ code: 'INVALID_OPTION', option: 'data' });
      expect(await failure(scheduler.importJobs('text'))).toMatchObject({ code: 'INVALID_OPTION' });
      expect(await failure(scheduler.importJobs({ ...data, jobs: {} }))).toMatchObject({ option: 'data.jobs' });
    });

    it('is refused when it is broken, before anything is written', async () => {
      const from = world();
      await from.scheduler.addJob('work', every(60), { id: 'a' });
      const good = await from.scheduler.exportJobs();
      const to = world(undefined, from.clock);
      const policy = good.jobs[0]!.definition['policy'] as object;
      const bad: readonly [object, string][] = [
        [withJob(good, { id: '' }), 'data.jobs[0].id'],
        [withJob(good, { jobStore: 5 }), 'data.jobs[0].jobStore'],
        [withJob(good, { definition: null }), 'data.jobs[0].definition'],
        [withJob(good, { state: [] }), 'data.jobs[0].state'],
        [withState(good, { status: 'removed' }), 'data.jobs[0].state.status'],
        [withState(good, { nextFireTime: 'soon' }), 'data.jobs[0].state.nextFireTime'],
        [withState(good, { runCount: -1 }), 'data.jobs[0].state.runCount'],
        [withState(good, { fence: Number.MAX_SAFE_INTEGER }), 'data.jobs[0].state.fence'],
        [withState(good, { stats: null }), 'data.jobs[0].state.stats'],
        [withState(good, { stats: { succeeded: 'many' } }), 'data.jobs[0].state.stats.succeeded'],
        [withDefinition(good, { policy: { ...policy, maxInstances: 0 } }), 'data.jobs[0].definition.policy.maxInstances'],
        [withDefinition(good, { policy: { ...policy, misfireGraceMs: -5 } }), 'data.jobs[0].definition.policy.misfireGraceTime'],
        [withDefinition(good, { anchor: 'x' }), 'data.jobs[0].definition.anchor'],
        [withDefinition(good, { owner: 7 }), 'data.jobs[0].definition.owner'],
        [{ ...good, jobs: [...good.jobs, ...good.jobs] }, 'data.jobs[1].id'],
      ];
      for (const [data, option] of bad) expect(await failure(to.scheduler.importJobs(data)), option).toMatchObject({ code: 'INVALID_OPTION', option });
      expect(await failure(to.scheduler.importJobs(good, { onConflict: 'maybe' } as never))).toMatchObject({ option: 'onConflict' });
      expect(await failure(to.scheduler.importJobs(good, { dry: true } as never))).toMatchObject({ option: 'dry' });
      expect(await to.scheduler.getJobs()).toEqual([]);
    });

    it('of policies has the defaults where they are missing', async () => {
      const from = world();
      await from.scheduler.addJob('work', every(60), { id: 'a' });
      const to = world(undefined, from.clock);
      await to.scheduler.importJobs(withDefinition(await from.scheduler.exportJobs(), { policy: { priority: 9, retry: { maxAttempts: 2 } } }));
      expect((await to.scheduler.getJob('a'))?.policy).toMatchObject({ priority: 9, maxInstances: 1, overlap: 'skip', retry: { maxAttempts: 2, delayMs: SECOND, maxDelayMs: HOUR } });
    });
  });

  it('imports thousands', async () => {
    const from = world(new MemoryJobStore());
    await from.scheduler.addJobs(Array.from({ length: 2_500 }, (_, i) => ({ id: `job-${i}`, task: 'work', trigger: every(60) })));
    const to = world(undefined, from.clock);
    expect((await to.scheduler.importJobs(await from.scheduler.exportJobs())).added).toHaveLength(2_500);
    expect(await to.scheduler.getJobs()).toHaveLength(2_500);
  });
});
