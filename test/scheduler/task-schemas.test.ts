import {
  AsyncExecutor,
  AsyncScheduler,
  currentRun,
  InvalidArgumentsError,
  InvalidOptionError,
  IntervalTrigger,
  isPunctualError,
  MemoryJobStore,
  type JobStore,
  type SchedulerOptions,
  type StandardSchemaV1,
  type TaskRef,
} from 'punctual';
import { EventRecorder, JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { asyncSchema, mail, schema } from './support/schemas.js';

const START = Date.UTC(2026, 0, 1);
const every10s = new IntervalTrigger({ seconds: 10 });

function schedulerOn(clock: VirtualClock, jobStore: JobStore = new MemoryJobStore(), options: SchedulerOptions = {}): AsyncScheduler {
  const silent = (): void => undefined;
  return new AsyncScheduler({
    clock,
    timezone: 'UTC',
    jobStores: { default: jobStore },
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    ...options,
  });
}

/** A schema that can change its mind. */
function moody(): { schema: typeof mail; refuses: boolean } {
  const mood = {
    refuses: false,
    schema: schema<[to: string, times?: number], [to: string, times: number]>(([to], issue) => {
      if (mood.refuses) issue('no longer', 0);
      return [to as string, 1];
    }),
  };
  return mood;
}

describe('arguments that are given', () => {
  it('are refused before anything is changed, wherever they are given', async () => {
    const scheduler = schedulerOn(new VirtualClock(START), new JsonJobStore());
    const task = scheduler.defineTask('mail', (to, times) => `${to} ${times}`, { args: mail });
    const bad = ['nobody'] as [string];
    const added = scheduler.addJob(task, every10s, { id: 'bad', args: bad });
    await expect(added).rejects.toThrow(InvalidArgumentsError);
    await expect(added).rejects.toMatchObject({
      code: 'INVALID_ARGUMENTS',
      task: 'mail',
      issues: [{ path: [0], message: 'expected an address' }],
      message: 'Invalid arguments for task "mail": args[0]: expected an address.',
    });
    await expect(
      scheduler.addJobs([
        { id: 'good', task, trigger: every10s, args: ['a@b'] },
        { id: 'bad', task, trigger: every10s, args: [1, 'x'] },
      ]),
    ).rejects.toMatchObject({ issues: [{ path: [0] }, { path: [1] }] });
    await expect(scheduler.addJob('mail', every10s, { id: 'none' })).rejects.toThrow('args[0]: expected string');
    const definitions = [{ id: 'good', task, trigger: every10s, args: ['a@b'] }, { id: 'bad', task, trigger: every10s, args: bad }];
    await expect(scheduler.sync(definitions, { owner: 'code' })).rejects.toThrow(InvalidArgumentsError);
    expect(await scheduler.getJobs()).toEqual([]);

    const job = await scheduler.addJob(task, every10s, { id: 'good', args: ['a@b'] });
    await expect(scheduler.modifyJob('good', { args: bad, name: 'changed' })).rejects.toThrow(InvalidArgumentsError);
    await expect(scheduler.modifyJob('good', { args: 5 as never })).rejects.toThrow(InvalidOptionError);
    await expect(scheduler.modifyJob('good', null as never)).rejects.toThrow(InvalidOptionError);
    await expect(scheduler.runJob('good', { args: bad })).rejects.toThrow(InvalidArgumentsError);
    await expect(scheduler.addJob(task, every10s, { id: 'good', replaceExisting: true, args: bad })).rejects.toThrow(InvalidArgumentsError);
    const after = await scheduler.getJob('good');
    expect(after?.revision).toBe(job.revision);
    expect(after?.args).toEqual(['a@b']);
  });

  it('are waited for where the schema has to wait', async () => {
    const clock = new VirtualClock(START);
    const scheduler = schedulerOn(clock);
    const slow = asyncSchema<[to: string]>(() => Promise.resolve(), ([to], issue) => {
      if (to === 'nobody') issue('unknown', 0, 'name', 2);
      return [to as string];
    });
    const got: string[] = [];
    const task = scheduler.defineTask('mail', (to) => void got.push(to), { args: slow });
    await expect(scheduler.addJob(task, every10s, { args: ['nobody'] })).rejects.toThrow('args[0].name[2]: unknown.');
    await expect(scheduler.addJobs([{ task, trigger: every10s, args: ['nobody'] }])).rejects.toThrow(InvalidArgumentsError);
    const job = await scheduler.addJob(task, every10s, { args: ['a@b'] });
    await expect(job.modify({ args: ['nobody'] })).rejects.toThrow(InvalidArgumentsError);
    await expect(job.run({ args: ['nobody'] })).rejects.toThrow(InvalidArgumentsError);
    await job.modify({ args: ['c@d'] });
    await scheduler.start();
    await clock.advance(10_000);
    expect(got).toEqual(['c@d']);
    await scheduler.shutdown();
  });

  it('are refused with its words by a schema that throws, or answers something else', async () => {
    const scheduler = schedulerOn(new VirtualClock(START));
    const fn = (): void => undefined;
    scheduler.defineTask('throws', fn, { args: schema<[]>(() => { throw new Error('out of order'); }) });
    scheduler.defineTask('rejects', () => undefined, { args: asyncSchema<[]>(() => Promise.reject(new Error('out of order')), () => []) });
    scheduler.defineTask('object', (..._args: unknown[]) => undefined, { args: schema<[]>(() => ({}) as []) });
    for (const name of ['throws', 'rejects']) {
      await expect(scheduler.addJob(name, every10s)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENTS',
        issues: [{ path: [], message: 'their schema threw: out of order' }],
        cause: { message: 'out of order' },
      });
    }
    await expect(scheduler.addJob('object', every10s)).rejects.toThrow('something else of them than an array');
  });

  it('are stored as given, and passed on as the schema makes them, anew for each run', async () => {
    const clock = new VirtualClock(START);
    const scheduler = schedulerOn(clock, new JsonJobStore());
    const got: unknown[] = [];
    const dates = schema<[day: string, seen?: Date[]], [day: Date, seen: Date[]]>(([day]) => [new Date(day as string), []]);
    const task = scheduler.defineTask(
      'dates',
      (day, seen) => {
        seen.push(day);
        got.push([day.toISOString(), seen.length]);
        return currentRun().attempt;
      },
      { args: dates },
    );
    const job = await scheduler.addJob(task, every10s, { id: 'job', args: ['2026-03-01'] });
    expect(job.args).toEqual(['2026-03-01']);
    await scheduler.start();
    await clock.advance(20_000);
    const byHand = await job.run({ args: ['2026-04-01'] });
    await clock.advance(10);
    expect(await byHand.result()).toBe(1);
    expect(got).toEqual([
      ['2026-03-01T00:00:00.000Z', 1],
      ['2026-03-01T00:00:00.000Z', 1],
      ['2026-04-01T00:00:00.000Z', 1],
    ]);
    expect((await scheduler.getJob('job'))?.args).toEqual(['2026-03-01']);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
    await scheduler.shutdown();
  });
});

describe('arguments that no longer pass when a run starts', () => {
  it.each([
    ['in memory', (): JobStore => new MemoryJobStore()],
    ['in a durable store', (): JobStore => new JsonJobStore()],
  ])('put the job into quarantine, and nothing else, until they are mended: %s', async (_where, newStore) => {
    const clock = new VirtualClock(START);
    const scheduler = schedulerOn(clock, newStore());
    const events = new EventRecorder(scheduler);
    const mood = moody();
    const got: string[] = [];
    scheduler.defineTask('mail', (to) => void got.push(`${to} ${currentRun().attempt} ${(clock.now() - START) / 1000}`), { args: mood.schema });
    scheduler.defineTask('other', () => void got.push('other'));
    await scheduler.addJob('mail', every10s, { id: 'mail', args: ['a@b'] });
    await scheduler.addJob('other', every10s, { id: 'other' });
    await scheduler.start();
    mood.refuses = true;
    await clock.advance(15_000);
    expect(got).toEqual(['other']);
    const job = (await scheduler.getJob('mail'))!;
    expect(job.status).toBe('quarantined');
    const reason = 'Invalid arguments for task "mail": args[0]: no longer.';
    expect(events.of('jobQuarantined').map((event) => [event.jobId, event.reason])).toEqual([['mail', reason]]);
    expect(events.of('jobStarted').map(({ jobId }) => jobId)).toEqual(['other']);
    await clock.advance(60_000);
    expect(events.of('jobQuarantined')).toHaveLength(1);
    await expect(job.run()).rejects.toThrow('no longer');

    // Not mended yet: it comes to the same again, once.
    await scheduler.retryQuarantined('mail');
    await clock.advance(1_000);
    expect(events.of('jobQuarantined')).toHaveLength(2);

    mood.refuses = false;
    got.length = 0;
    await scheduler.retryQuarantined('mail');
    await clock.advance(10_000);
    // What was due first, as if nothing had happened; what came up since, by the policies; and on with the schedule.
    expect(got.find((line) => line !== 'other')).toBe('a@b 1 76');
    expect(got.findLast((line) => line !== 'other')).toBe('a@b 1 80');
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { failed: 0, cancelled: 0 } });
    await scheduler.shutdown();
  });

  it('can be mended by other arguments, or by a job in its place', async () => {
    const clock = new VirtualClock(START);
    const jobStore = new JsonJobStore();
    const old = schedulerOn(clock, jobStore);
    old.defineTask('mail', () => undefined);
    for (const id of ['modified', 'replaced']) await old.addJob('mail', new Date(START + 5_000), { id, args: ['nobody'] });
    await old.shutdown();
    const scheduler = schedulerOn(clock, jobStore);
    const got: string[] = [];
    scheduler.defineTask('mail', (to, times) => void got.push(`${currentRun().jobId} ${to} ${times}`), { args: mail });
    await scheduler.start();
    await clock.advance(10_000);
    expect((await scheduler.getJobs()).map(({ status }) => status)).toEqual(['quarantined', 'quarantined']);
    await scheduler.modifyJob('modified', { args: ['a@b'] });
    expect((await scheduler.retryQuarantined('modified')).status).toBe('active');
    await scheduler.addJob('mail', new Date(START + 20_000), { id: 'replaced', args: ['c@d', 3], replaceExisting: true });
    await clock.advance(20_000);
    expect(got[0]).toBe('modified a@b 1');
    expect(got.slice(1)).toContain('replaced c@d 3');
    expect(await scheduler.getJobs()).toEqual([]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
    await scheduler.shutdown();
  });

  it('do not count for maxRuns more than once, and do not set a schedule from completion going twice', async () => {
    const clock = new VirtualClock(START);
    const scheduler = schedulerOn(clock);
    const mood = moody();
    const got: string[] = [];
    scheduler.defineTask('mail', async () => {
      got.push(`${currentRun().jobId} ${(clock.now() - START) / 1000}`);
      await clock.sleep(5_000);
    }, { args: mood.schema });
    await scheduler.addJob('mail', every10s, { id: 'once', args: ['a@b'], maxRuns: 1 });
    await scheduler.addJob('mail', new IntervalTrigger({ seconds: 10 }, { from: 'completion' }), { id: 'after', args: ['a@b'], overlap: 'allow' });
    await scheduler.start();
    mood.refuses = true;
    await clock.advance(12_000);
    mood.refuses = false;
    await scheduler.retryQuarantined('once');
    await scheduler.retryQuarantined('after');
    await clock.advance(20_000);
    expect(got).toEqual(['once 12', 'after 12', 'after 27']);
    expect(await scheduler.getJob('once')).toBeUndefined();
    await clock.advance(5_000);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
    await scheduler.shutdown();
  });

  it('leave a paused job paused, and keep its run for when it is resumed', async () => {
    const clock = new VirtualClock(START);
    const scheduler = schedulerOn(clock, new MemoryJobStore({ shared: true }));
    let opens: () => void = () => undefined;
    let refuses = false;
    const gate = asyncSchema<[]>(() => (refuses ? new Promise<void>((resolve) => { opens = resolve; }) : Promise.resolve()), (_, issue) => {
      if (refuses) issue('no');
      return [];
    });
    let runs = 0;
    scheduler.defineTask('task', () => void (runs += 1), { args: gate });
    const job = await scheduler.addJob('task', every10s, { id: 'job' });
    await scheduler.start();
    refuses = true;
    await clock.advance(10_000);
    await job.pause();
    opens();
    await clock.advance(10_000);
    expect((await scheduler.getJob('job'))?.status).toBe('paused');
    refuses = false;
    await job.resume();
    await clock.advance(1);
    expect(runs).toBe(1);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
    await scheduler.shutdown();
  });

  it.each([
    ['in memory', (): JobStore => new MemoryJobStore()],
    ['in a durable store', (): JobStore => new JsonJobStore()],
  ])('do not put a job into quarantine that was mended while they were looked at: %s', async (_where, newStore) => {
    const clock = new VirtualClock(START);
    const scheduler = schedulerOn(clock, newStore());
    const events = new EventRecorder(scheduler);
    let strict = false;
    const slow = asyncSchema<[to: string]>(() => (strict ? clock.sleep(2_000) : Promise.resolve()), ([to], issue) => {
      if (strict && to === 'old') issue('outdated', 0);
      return [to as string];
    });
    const got: string[] = [];
    scheduler.defineTask('mail', (to) => void got.push(`${to} ${currentRun().attempt} ${(clock.now() - START) / 1000}`), { args: slow });
    const job = await scheduler.addJob('mail', every10s, { id: 'job', args: ['old'], maxRuns: 1 });
    await scheduler.start();
    strict = true;
    await clock.advance(11_000);
    strict = false;
    await job.modify({ args: ['new'] });
    strict = true;
    await clock.advance(5_000);
    expect(got).toEqual(['new 1 14']);
    expect(events.of('jobQuarantined')).toEqual([]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
    await scheduler.shutdown();
  });

  it('fail a run by hand, whose caller is told, whether they are its own or the job\'s', async () => {
    const clock = new VirtualClock(START);
    const scheduler = schedulerOn(clock, new JsonJobStore());
    const events = new EventRecorder(scheduler);
    const mood = moody();
    scheduler.defineTask('mail', () => undefined, { args: mood.schema, retry: 3 });
    const job = await scheduler.addJob('mail', every10s, { id: 'job', args: ['a@b'], paused: true });
    const own = await job.run({ args: ['c@d'] });
    const jobs = await job.run();
    mood.refuses = true;
    await scheduler.start();
    await clock.advance(2_000);
    for (const handle of [own, jobs]) await expect(handle.result()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' });
    expect((await scheduler.getRuns()).map(({ verdict, reason, isManual }) => [verdict, reason, isManual])).toEqual([
      ['failed', 'invalid-arguments', true],
      ['failed', 'invalid-arguments', true],
    ]);
    expect(events.of('jobError').map(({ error }) => error.code)).toEqual(['INVALID_ARGUMENTS', 'INVALID_ARGUMENTS']);
    expect((await scheduler.getJob('job'))?.status).toBe('paused');

    mood.refuses = false;
    await job.resume();
    await scheduler.pause();
    const third = await job.run({ args: ['e@f'] });
    mood.refuses = true;
    await scheduler.resume();
    await clock.advance(2_000);
    await expect(third.result()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' });
    expect((await scheduler.getJob('job'))?.status).toBe('active');
    expect((await scheduler.verifyLedger()).ok).toBe(true);
    await scheduler.shutdown();
  });
});

describe('a schema that takes its time', () => {
  it('delays nobody else, keeps its room in the executor, and its lease', async () => {
    const clock = new VirtualClock(START);
    const scheduler = schedulerOn(clock, new JsonJobStore(), {
      leaseDuration: 3_000,
      executors: { default: new AsyncExecutor({ concurrency: 2 }) },
    });
    const events = new EventRecorder(scheduler);
    let running = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, (running += 1));
      await clock.sleep(6_000);
      running -= 1;
    };
    scheduler.defineTask('slow', () => work(), { args: asyncSchema<[]>(() => clock.sleep(8_000), () => []) });
    scheduler.defineTask('quick', work);
    const adding = scheduler.addJob('slow', new Date(START + 10_000), { id: 'slow' });
    await clock.advance(8_000);
    await adding;
    for (const id of ['a', 'b', 'c']) await scheduler.addJob('quick', new Date(START + 10_001), { id });
    await scheduler.start();
    await clock.advance(2_500);
    expect(events.of('jobStarted').map(({ jobId }) => jobId)).toEqual(['a']);
    await clock.advance(60_000);
    expect(most).toBe(2);
    expect(events.of('leaseLost')).toEqual([]);
    expect((await scheduler.getRuns()).map(({ verdict, attempt }) => [verdict, attempt])).toEqual(Array(4).fill(['succeeded', 1]));
    await scheduler.shutdown();
  });

  it('is not waited for by a timeout, a run that replaces it, or a shutdown', async () => {
    const clock = new VirtualClock(START);
    const store = new MemoryJobStore();
    const scheduler = schedulerOn(clock, store, { executors: { default: new AsyncExecutor({ concurrency: 3 }) } });
    let waits = false;
    const ran: string[] = [];
    const endless = asyncSchema<[]>(() => (waits ? new Promise(() => undefined) : Promise.resolve()), () => []);
    scheduler.defineTask('endless', () => void ran.push(currentRun().jobId), { args: endless });
    await scheduler.addJob('endless', new Date(START + 1_000), { id: 'timeout', timeout: 500 });
    await scheduler.addJob('endless', every10s, { id: 'replaced', overlap: 'replace' });
    await scheduler.addJob('endless', new Date(START + 30_000), { id: 'shutdown' });
    await scheduler.start();
    waits = true;
    await clock.advance(2_000);
    expect((await scheduler.getRuns({ jobId: 'timeout' })).map(({ verdict, reason }) => [verdict, reason])).toEqual([['failed', 'timeout']]);
    await clock.advanceTo(START + 31_000);
    expect((await scheduler.getRuns({ jobId: 'replaced' })).map(({ verdict, reason }) => [verdict, reason])).toEqual([
      ['cancelled', 'replaced'],
      ['cancelled', 'replaced'],
    ]);
    waits = false;
    const down = scheduler.shutdown({ wait: false });
    await clock.advance(5_000);
    await down;
    expect(ran).toEqual([]);
    expect((await scheduler.getRuns({ jobId: 'shutdown' })).map(({ verdict, reason }) => [verdict, reason])).toEqual([['cancelled', 'shutdown']]);
  });
});

describe('the options of a task', () => {
  it('refuse what is no schema', () => {
    const scheduler = schedulerOn(new VirtualClock(START));
    for (const args of [['a@b'], {}, null, 'string', { '~standard': {} }]) {
      expect(() => scheduler.defineTask('task', () => undefined, { args: args as never })).toThrow(/`args`: expected a schema/);
    }
    expect(() => scheduler.defineTask('task', () => undefined, { schema: mail } as never)).toThrow(InvalidOptionError);
  });

  it('may have a schema that is a function', async () => {
    const scheduler = schedulerOn(new VirtualClock(START));
    scheduler.defineTask('task', (to) => to, { args: Object.assign(() => undefined, mail) });
    const refused = await scheduler.addJob('task', every10s, { args: ['x'] }).catch((error: unknown) => error);
    expect(isPunctualError(refused, 'INVALID_ARGUMENTS')).toBe(true);
  });

  it('know the types of the schema', () => {
    function compiles(): void {
      const scheduler = schedulerOn(new VirtualClock(START));
      const days = schema<[day: string], readonly [Date]>(([day]) => [new Date(day as string)]);
      const task = scheduler.defineTask('days', (day) => day.getTime(), { args: days });
      expectTypeOf(task).toEqualTypeOf<TaskRef<[day: string], number>>();
      void scheduler.addJob(task, every10s, { args: ['2026-01-01'] });
      // @ts-expect-error -- it takes the text
      void scheduler.addJob(task, every10s, { args: [new Date()] });
      // @ts-expect-error -- the arguments are missing
      void scheduler.addJob(task, every10s);
      // @ts-expect-error -- the task gets a date
      scheduler.defineTask('text', (day: string) => day, { args: days });
      // @ts-expect-error -- a schema of all arguments in an array
      scheduler.defineTask('object', () => undefined, { args: schema as unknown as StandardSchemaV1<{ to: string }> });
      const optional = scheduler.defineTask('mail', (to: string, times: number) => to.repeat(times), { args: mail });
      void scheduler.addJob(optional, every10s, { args: ['a@b'] });
      void scheduler.addJob(scheduler.defineTask('plain', (a: number) => a, { version: 2, retry: 3 }), every10s, { args: [1] });
    }
    expectTypeOf(compiles).toBeFunction();
  });
});
