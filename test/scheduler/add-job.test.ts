import { describe, expect, it } from 'vitest';
import { DateTime } from 'luxon';
import {
  CalendarIntervalTrigger,
  CronTrigger,
  DateTrigger,
  IntervalTrigger,
  isPunctualError,
  MemoryJobStore,
  type AddJobOptions,
  type Job,
  type JobPolicyOptions,
} from 'punctual';
import { DurableStore, FaultyStore } from './support/stores.js';
import { DAY, failure, HOUR, iso, makeWorld, MINUTE, SECOND, START_MS } from './support/world.js';

const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });
const noop = (): undefined => undefined;

describe('addJob: what runs', () => {
  it('takes a function, which gets the arguments', async () => {
    const { clock, scheduler } = makeWorld();
    const calls: unknown[][] = [];
    const job = await scheduler.addJob((name: string, count: number) => { calls.push([name, count]); }, every(10), { args: ['a', 1] });
    await scheduler.start();
    await clock.advance({ seconds: 20 });
    expect(calls).toEqual([['a', 1], ['a', 1]]);
    expect(job).toMatchObject({ task: 'anonymous', jobStore: 'default', status: 'active', args: ['a', 1], runCount: 0 });
    expect(job.fn).toBeTypeOf('function');
  });

  it('names a job after its function', async () => {
    const { scheduler } = makeWorld();
    function sweep(): undefined { return undefined; }
    expect((await scheduler.addJob(sweep, every(10))).task).toBe('sweep');
  });

  it('takes the name of a task, and what defineTask answered', async () => {
    const { clock, scheduler } = makeWorld();
    const calls: string[] = [];
    const ref = scheduler.defineTask('greet', (who: string) => { calls.push(who); });
    await scheduler.addJob('greet', every(10), { args: ['by name'] });
    await scheduler.addJob(ref, every(10), { args: ['by reference'] });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(calls.sort()).toEqual(['by name', 'by reference']);
    expect(ref.name).toBe('greet');
  });

  it('knows the tasks that the constructor was given', async () => {
    let runs = 0;
    const { clock, scheduler } = makeWorld({ tasks: { count: () => { runs += 1; } } });
    await scheduler.addJob('count', every(10));
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(runs).toBe(1);
  });

  it('refuses a task it does not know, and lists those it does', async () => {
    const { scheduler } = makeWorld({ tasks: { known: noop } });
    const error = await failure(scheduler.addJob('unknwon' as 'known', every(10)));
    expect(isPunctualError(error, 'UNKNOWN_TASK')).toBe(true);
    expect(error.message).toMatch(/"unknwon".*known.*defineTask/);
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it.each([[undefined], [null], [42], [{}]])('refuses %s as a task', async (task) => {
    const { scheduler } = makeWorld();
    const error = await failure(scheduler.addJob(task as never, every(10)));
    expect(isPunctualError(error, 'INVALID_OPTION')).toBe(true);
    expect(error.message).toContain('`task`');
  });
});

describe('addJob: when it fires', () => {
  it.each([
    ['a trigger', every(90), '2026-01-01T00:01:30'],
    ['a cron string, in the zone of the scheduler', '30 9 * * *', '2026-01-01T08:30:00'],
    ['a cron trigger with a zone of its own', new CronTrigger('30 9 * * *', { timezone: 'UTC' }), '2026-01-01T09:30:00'],
    ['a cron trigger without a zone', new CronTrigger('30 9 * * *'), '2026-01-01T08:30:00'],
    ['a Date', new Date(START_MS + DAY), '2026-01-02T00:00:00'],
    ['a luxon DateTime', DateTime.fromMillis(START_MS + HOUR) as unknown as Date, '2026-01-01T01:00:00'],
    ['a calendar interval', new CalendarIntervalTrigger({ months: 1 }, { startDate: '2026-01-31', timezone: 'UTC' }), '2026-01-31T00:00:00'],
  ])('takes %s', async (_, trigger, first) => {
    const { scheduler } = makeWorld({ timezone: 'Europe/Berlin' });
    const job = await scheduler.addJob(noop, trigger);
    expect(iso([job.nextRunTime ?? new Date(0)])).toEqual([first]);
  });

  it('anchors an interval when the job is added', async () => {
    const { clock, scheduler } = makeWorld();
    await clock.advance({ seconds: 7 });
    const job = await scheduler.addJob(noop, every(10));
    expect(job.nextRunTime?.getTime()).toBe(START_MS + 17 * SECOND);
  });

  it('spreads an H of a cron expression by the id of the job', async () => {
    const { scheduler } = makeWorld();
    const minutes = new Set<number | undefined>();
    for (let i = 0; i < 12; i++) {
      const job = await scheduler.addJob(noop, 'H * * * *', { id: `job-${i}` });
      minutes.add(job.nextRunTime?.getUTCMinutes());
      expect(iso(await job.nextRunTimes(2))).toHaveLength(2);
    }
    expect(minutes.size).toBeGreaterThan(4);
    const other = makeWorld();
    const same = await other.scheduler.addJob(noop, 'H * * * *', { id: 'job-3' });
    expect(same.nextRunTime).toEqual((await scheduler.getJob('job-3'))?.nextRunTime);
  });

  it('a date that has passed is due at once', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    await scheduler.addJob(noop, new Date(START_MS - DAY), { id: 'late' });
    await clock.settle();
    expect(recorder.of('jobExecuted')).toMatchObject([{ jobId: 'late', scheduledFor: START_MS - DAY, isCatchUp: true }]);
    expect(recorder.of('jobCompleted')).toMatchObject([{ jobId: 'late', reason: 'exhausted', runCount: 1 }]);
    expect(await scheduler.getJob('late')).toBeUndefined();
  });

  it('a date that passed longer ago than the grace is missed', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    await scheduler.addJob(noop, new Date(START_MS - DAY), { id: 'late', misfireGraceTime: { hours: 1 } });
    await clock.settle();
    expect(recorder.of('jobMissed')).toMatchObject([{ jobId: 'late', reason: 'misfire-grace', latenessMs: DAY }]);
    expect(recorder.of('jobStarted')).toEqual([]);
  });

  it('refuses a schedule without a fire time, unless the job is added paused', async () => {
    const { scheduler } = makeWorld();
    const past = new IntervalTrigger({ seconds: 1 }, { endTime: START_MS - DAY, startTime: START_MS - 2 * DAY });
    const error = await failure(scheduler.addJob(noop, past, { id: 'never' }));
    expect(isPunctualError(error, 'NEVER_FIRES')).toBe(true);
    expect(error.message).toMatch(/"never".*paused: true/);
    expect(await scheduler.getJobs()).toEqual([]);
    const parked = await scheduler.addJob(noop, '0 0 30 2 *', { id: 'parked', paused: true });
    expect(parked).toMatchObject({ status: 'paused', nextRunTime: null });
    expect(isPunctualError(await failure(parked.resume()), 'NEVER_FIRES')).toBe(true);
    expect((await scheduler.getJob('parked'))?.status).toBe('paused');
  });

  it.each([[undefined], [null], [42], [{}], [new Date(Number.NaN)]])('refuses %s as a trigger', async (trigger) => {
    const { scheduler } = makeWorld();
    const error = await failure(scheduler.addJob(noop, trigger as never));
    expect(isPunctualError(error, 'INVALID_OPTION')).toBe(true);
  });

  it('refuses a cron expression that is none', async () => {
    const { scheduler } = makeWorld();
    const error = await failure(scheduler.addJob(noop, '61 * * * *'));
    expect(isPunctualError(error, 'INVALID_TRIGGER')).toBe(true);
    expect(error.message).toContain('61');
  });
});

describe('addJob: options', () => {
  it('keeps id, name, tags and metadata, and takes copies of them', async () => {
    const { scheduler } = makeWorld();
    const tags = ['b', 'a', 'b'];
    const metadata = { owner: 'me' };
    const args: [number[]] = [[1]];
    const job = await scheduler.addJob((_list: number[]) => undefined, every(10), { id: 'x', name: 'An X', tags, metadata, args });
    tags.push('later');
    metadata.owner = 'you';
    args.push([2] as never);
    expect(job).toMatchObject({ id: 'x', name: 'An X', tags: ['b', 'a'], metadata: { owner: 'me' }, args: [[1]] });
  });

  it('makes up an id where none is given', async () => {
    const { scheduler } = makeWorld();
    const [a, b] = [await scheduler.addJob(noop, every(10)), await scheduler.addJob(noop, every(10))];
    expect(a.id).not.toBe(b.id);
    expect(await scheduler.getJob(a.id)).toMatchObject({ id: a.id });
  });

  it('refuses an id that is taken', async () => {
    const { scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    const error = await failure(scheduler.addJob(noop, every(20), { id: 'x' }));
    expect(isPunctualError(error, 'CONFLICTING_JOB_ID')).toBe(true);
    expect(error.message).toMatch(/"x".*replaceExisting/);
    expect(await scheduler.nextRunTimes('x')).toEqual([new Date(START_MS + 10 * SECOND)]);
    expect(recorder.of('jobAdded')).toHaveLength(1);
  });

  const bad: [string, AddJobOptions<[]> | object, RegExp][] = [
    ['an unknown key', { maxInstance: 2 }, /`maxInstance`.*maxInstances/],
    ['an empty id', { id: '' }, /`id`.*not empty.*""/],
    ['an id that is no string', { id: 7 }, /`id`.*7/],
    ['args that are no array', { args: 'a' }, /`args`.*array.*"a"/],
    ['tags that are no array', { tags: 'a' }, /`tags`.*"a"/],
    ['an empty tag', { tags: [''] }, /`tags`/],
    ['metadata that is no object', { metadata: [] }, /`metadata`/],
    ['a name that is empty', { name: '' }, /`name`/],
    ['paused that is no boolean', { paused: 'yes' }, /`paused`.*true or false.*"yes"/],
    ['replaceExisting that is no boolean', { replaceExisting: 1 }, /`replaceExisting`/],
    ['a negative grace', { misfireGraceTime: -1 }, /`misfireGraceTime`.*-1/],
    ['a grace that is no duration', { misfireGraceTime: 'soon' }, /`misfireGraceTime`.*PT5M.*"soon"/],
    ['an unknown coalesce mode', { coalesce: 'newest' }, /`coalesce`.*'latest' or 'earliest' or 'all'.*"newest"/],
    ['maxCatchUp of 0', { maxCatchUp: 0 }, /`maxCatchUp`/],
    ['maxCatchUp beyond what a record may hold', { maxCatchUp: 1e6 }, /`maxCatchUp`.*1 to 10000/],
    ['maxInstances of 0', { maxInstances: 0 }, /`maxInstances`.*1 or more.*0/],
    ['a fraction of an instance', { maxInstances: 1.5 }, /`maxInstances`.*1\.5/],
    ['an unknown overlap mode', { overlap: 'wait' }, /`overlap`.*'queueAll'.*"wait"/],
    ['queueLimit of 0', { queueLimit: 0 }, /`queueLimit`/],
    ['a negative jitter', { jitter: -5 }, /`jitter`/],
    ['retry of 0', { retry: 0 }, /`retry`/],
    ['an unknown retry key', { retry: { attempts: 3 } }, /`retry\.attempts`.*maxAttempts/],
    ['retry.maxAttempts of 0', { retry: { maxAttempts: 0 } }, /`retry\.maxAttempts`/],
    ['an unknown backoff', { retry: { backoff: 'linear' } }, /`retry\.backoff`.*'exponential'/],
    ['retry.jitter above 1', { retry: { jitter: 2 } }, /`retry\.jitter`.*0 to 1/],
    ['retry.retryIf that is no function', { retry: { retryIf: true } }, /`retry\.retryIf`/],
    ['retry that is no policy', { retry: 'often' }, /`retry`.*"often"/],
    ['a timeout of 0', { timeout: 0 }, /`timeout`/],
    ['maxRuns of 0', { maxRuns: 0 }, /`maxRuns`/],
    ['a startTime that is no instant', { startTime: 'tomorrow' }, /`startTime`.*"tomorrow"/],
    ['an endTime before startTime', { startTime: START_MS, endTime: START_MS - 1 }, /`endTime`.*startTime/],
    ['an unknown onCrash', { onCrash: 'ignore' }, /`onCrash`.*'retry' or 'drop'/],
    ['a negative maxCrashes', { maxCrashes: -1 }, /`maxCrashes`/],
    ['a priority that is no number', { priority: 'high' }, /`priority`.*"high"/],
  ];

  it.each(bad)('refuses %s, and changes nothing', async (_, options, message) => {
    const { scheduler, recorder } = makeWorld();
    const error = await failure(scheduler.addJob(noop, every(10), options));
    expect(isPunctualError(error, 'INVALID_OPTION')).toBe(true);
    expect(error.message).toMatch(message);
    expect(await scheduler.getJobs()).toEqual([]);
    expect(recorder.events).toEqual([]);
  });

  it('refuses options that are no object', async () => {
    const { scheduler } = makeWorld();
    for (const options of [null, 'x', 7]) {
      const error = await failure(scheduler.addJob(noop, every(10), options as never));
      expect(isPunctualError(error, 'INVALID_OPTION')).toBe(true);
      expect(error.message).toMatch(/`options`.*object/);
    }
  });

  it('refuses an executor or a store that is not there, and lists those that are', async () => {
    const { scheduler } = makeWorld({ jobStores: { spare: new MemoryJobStore() } });
    const store = await failure(scheduler.addJob(noop, every(10), { jobStore: 'sparse' }));
    expect(isPunctualError(store, 'UNKNOWN_STORE')).toBe(true);
    expect(store.message).toMatch(/"sparse".*"spare", "default"/);
    const executor = await failure(scheduler.addJob(noop, every(10), { executor: 'threads' }));
    expect(isPunctualError(executor, 'UNKNOWN_EXECUTOR')).toBe(true);
    expect(executor.message).toMatch(/"threads".*"default"/);
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it('with paused: true keeps the job from firing until it is resumed', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    const job = await scheduler.addJob(noop, every(10), { id: 'x', paused: true });
    expect(job).toMatchObject({ status: 'paused', nextRunTime: null });
    await clock.advance({ minutes: 1 });
    expect(recorder.of('jobStarted')).toEqual([]);
    await job.resume();
    await clock.advance({ seconds: 10 });
    expect(recorder.of('jobExecuted')).toHaveLength(1);
  });
});

describe('the order of precedence: job, trigger (jitter), task, jobDefaults, built-in', () => {
  type Level = [JobPolicyOptions, unknown];
  const levels: [keyof JobPolicyOptions, keyof Job['policy'], unknown, [Level, Level, Level]][] = [
    ['misfireGraceTime', 'misfireGraceMs', null, [[{ misfireGraceTime: 1 }, 1], [{ misfireGraceTime: 2 }, 2], [{ misfireGraceTime: null }, null]]],
    ['coalesce', 'coalesce', 'latest', [[{ coalesce: 'all' }, 'all'], [{ coalesce: 'earliest' }, 'earliest'], [{ coalesce: true }, 'latest']]],
    ['maxInstances', 'maxInstances', 1, [[{ maxInstances: 2 }, 2], [{ maxInstances: 3 }, 3], [{ maxInstances: 4 }, 4]]],
    ['overlap', 'overlap', 'skip', [[{ overlap: 'queue' }, 'queue'], [{ overlap: 'replace' }, 'replace'], [{ overlap: 'allow' }, 'allow']]],
    ['timeout', 'timeoutMs', null, [[{ timeout: 'PT1S' }, 1_000], [{ timeout: { minutes: 1 } }, 60_000], [{ timeout: null }, null]]],
    ['priority', 'priority', 0, [[{ priority: 1 }, 1], [{ priority: -2 }, -2], [{ priority: 3 }, 3]]],
    ['jitter', 'jitterMs', 0, [[{ jitter: 1 }, 1], [{ jitter: 2 }, 2], [{ jitter: 0 }, 0]]],
    ['onCrash', 'onCrash', 'retry', [[{ onCrash: 'drop' }, 'drop'], [{ onCrash: 'retry' }, 'retry'], [{ onCrash: 'drop' }, 'drop']]],
    ['maxRuns', 'maxRuns', null, [[{ maxRuns: 1 }, 1], [{ maxRuns: 2 }, 2], [{ maxRuns: null }, null]]],
  ];

  it.each(levels)('%s', async (_, field, builtIn, [[defaults, fromDefaults], [task, fromTask], [own, fromJob]]) => {
    const plain = makeWorld();
    expect((await plain.scheduler.addJob(noop, every(10))).policy[field]).toEqual(builtIn);
    const { scheduler } = makeWorld({ jobDefaults: defaults });
    expect((await scheduler.addJob(noop, every(10))).policy[field]).toEqual(fromDefaults);
    scheduler.defineTask('silent', noop);
    expect((await scheduler.addJob({ name: 'silent' }, every(10))).policy[field]).toEqual(fromDefaults);
    scheduler.defineTask('says', noop, task);
    expect((await scheduler.addJob({ name: 'says' }, every(10))).policy[field]).toEqual(fromTask);
    expect((await scheduler.addJob({ name: 'says' }, every(10), own)).policy[field]).toEqual(fromJob);
  });

  it('the jitter of a trigger stands between job and task', async () => {
    const { scheduler } = makeWorld({ jobDefaults: { jitter: 1 } });
    const ref = scheduler.defineTask('task', noop, { jitter: 2 });
    const trigger = new IntervalTrigger({ seconds: 10 }, { jitter: 3 });
    expect((await scheduler.addJob(ref, trigger)).policy.jitterMs).toBe(3);
    expect((await scheduler.addJob(ref, trigger, { jitter: 4 })).policy.jitterMs).toBe(4);
    expect((await scheduler.addJob(ref, trigger, { jitter: 0 })).policy.jitterMs).toBe(0);
    expect((await scheduler.addJob(ref, every(10))).policy.jitterMs).toBe(2);
  });

  it('undefined says nothing', async () => {
    const { scheduler } = makeWorld({ jobDefaults: { maxInstances: 3 } });
    expect((await scheduler.addJob(noop, every(10), { maxInstances: undefined })).policy.maxInstances).toBe(3);
  });

  it('parts of retry are filled in from the level below', async () => {
    const { scheduler } = makeWorld({ jobDefaults: { retry: { maxAttempts: 5, delay: { seconds: 2 }, backoff: 'fixed' } } });
    expect((await scheduler.addJob(noop, every(10), { retry: { delay: 7 } })).policy.retry).toMatchObject({
      maxAttempts: 5,
      delayMs: 7,
      backoff: 'fixed',
      maxDelayMs: HOUR,
    });
    expect((await scheduler.addJob(noop, every(10), { retry: 2 })).policy.retry).toMatchObject({ maxAttempts: 2, delayMs: 2_000 });
    expect((await scheduler.addJob(noop, every(10), { retry: null })).policy.retry).toBeNull();
  });
});

describe('defineTask', () => {
  it('may be repeated with the same function', () => {
    const { scheduler } = makeWorld();
    expect(scheduler.defineTask('a', noop)).toEqual(scheduler.defineTask('a', noop));
  });

  it('refuses a name that another function has, an empty name, what is no function, and bad defaults', async () => {
    const { scheduler } = makeWorld();
    scheduler.defineTask('a', noop);
    expect((await failure(() => scheduler.defineTask('a', () => undefined))).message).toMatch(/`name`.*no other task/);
    expect((await failure(() => scheduler.defineTask('', noop))).message).toMatch(/`name`/);
    expect((await failure(() => scheduler.defineTask('b', 'b' as never))).message).toMatch(/`fn`/);
    expect((await failure(() => scheduler.defineTask('b', noop, { maxInstances: 0 }))).message).toMatch(/`maxInstances`/);
    expect((await failure(() => scheduler.defineTask('b', noop, { id: 'x' } as never))).message).toMatch(/no option `id`/);
  });

  it('changes nothing when it refuses', async () => {
    const { scheduler } = makeWorld();
    const error = await failure(() => scheduler.defineTask('b', noop, { executor: 'threads' }));
    expect(isPunctualError(error, 'UNKNOWN_EXECUTOR')).toBe(true);
    expect(isPunctualError(await failure(scheduler.addJob({ name: 'b' }, every(10))), 'UNKNOWN_TASK')).toBe(true);
  });

  it('lets jobs run that waited for it', async () => {
    // As after a deploy: the job is in the store, and the task is defined a little later.
    const store = new MemoryJobStore({ shared: true });
    const one = makeWorld({ jobStores: { default: store }, tasks: { late: noop } });
    await one.scheduler.addJob('late', every(10), { id: 'x' });
    await one.scheduler.shutdown();
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: store }, clock: one.clock });
    await scheduler.start();
    await clock.advance({ seconds: 25 });
    expect(recorder.of('jobStarted')).toEqual([]);
    expect((await scheduler.getJob('x'))?.status).toBe('active');
    scheduler.defineTask('late', noop);
    await clock.advance(0);
    expect(recorder.of('jobExecuted')).toMatchObject([{ jobId: 'x', scheduledFor: START_MS + 20 * SECOND }]);
  });
});

describe('replaceExisting', () => {
  it('keeps the next fire time when the trigger is the same, so that a restart delays nothing', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    const add = () => scheduler.addJob(noop, every(60), { id: 'x', replaceExisting: true });
    await add();
    for (let i = 0; i < 5; i++) {
      await clock.advance({ seconds: 25 });
      await add();
    }
    expect(recorder.of('jobExecuted').map((event) => (event.scheduledFor - START_MS) / SECOND)).toEqual([60, 120]);
    expect(recorder.of('jobAdded').map((event) => event.replaced)).toEqual([false, true, true, true, true, true]);
    expect((await scheduler.getJob('x'))?.runCount).toBe(2);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('takes over function, arguments and policies', async () => {
    const { clock, scheduler } = makeWorld();
    const seen: string[] = [];
    await scheduler.addJob(() => { seen.push('old'); }, every(10), { id: 'x', tags: ['old'] });
    const job = await scheduler.addJob((text: string) => { seen.push(text); }, every(10), {
      id: 'x',
      replaceExisting: true,
      args: ['new'],
      maxInstances: 4,
    });
    expect(job).toMatchObject({ tags: [], policy: { maxInstances: 4 } });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(seen).toEqual(['new']);
  });

  it('begins the new schedule now when the trigger is another', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(noop, every(60), { id: 'x' });
    await clock.advance({ seconds: 30 });
    const job = await scheduler.addJob(noop, every(50), { id: 'x', replaceExisting: true });
    expect(job.nextRunTime?.getTime()).toBe(START_MS + 80 * SECOND);
  });

  it('compares cron schedules by what they say', async () => {
    const { scheduler } = makeWorld();
    const first = await scheduler.addJob(noop, new CronTrigger('0 9 * * *'), { id: 'x' });
    const second = await scheduler.addJob(noop, '0 9 * * *', { id: 'x', replaceExisting: true });
    expect(second.nextRunTime).toEqual(first.nextRunTime);
  });

  it('leaves a paused job paused, and pauses one on request', async () => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.pauseJob('x');
    expect((await scheduler.addJob(noop, every(10), { id: 'x', replaceExisting: true })).status).toBe('paused');
    await scheduler.resumeJob('x');
    expect((await scheduler.addJob(noop, every(10), { id: 'x', replaceExisting: true, paused: true })).status).toBe('paused');
  });

  it('lets running runs of the old definition end', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 15 }), every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 12 });
    await scheduler.addJob(noop, every(10), { id: 'x', replaceExisting: true });
    await clock.advance({ seconds: 28 });
    expect(recorder.of('jobMaxInstances')).toMatchObject([{ scheduledFor: START_MS + 20 * SECOND }]);
    expect(recorder.of('jobExecuted').map((event) => (event.scheduledFor - START_MS) / SECOND)).toEqual([10, 30, 40]);
  });

  it('refuses what would leave nothing to fire, and leaves the old job as it is', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 35 });
    for (const call of [
      () => scheduler.addJob(noop, every(10), { id: 'x', replaceExisting: true, maxRuns: 2 }),
      () => scheduler.addJob(noop, new DateTrigger(START_MS + 5 * SECOND), { id: 'x', replaceExisting: true }),
    ]) {
      expect(isPunctualError(await failure(call()), 'NEVER_FIRES')).toBe(true);
      expect(await scheduler.getJob('x')).toMatchObject({ nextRunTime: new Date(START_MS + 40 * SECOND), runCount: 3 });
    }
  });

  it('takes the place of a removed job whose last run still goes on: the run keeps its slot', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 15 }), every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    await scheduler.removeJob('x');
    await scheduler.addJob(noop, every(5), { id: 'x' });
    await clock.advance({ seconds: 20 });
    expect(recorder.of('jobMaxInstances').map((event) => (event.scheduledFor - START_MS) / SECOND)).toEqual([15, 20]);
    expect(recorder.of('jobExecuted').map((event) => (event.scheduledFor - START_MS) / SECOND)).toEqual([10, 25, 30]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });
});

describe('addJobs', () => {
  it('adds many at once, in several stores, and answers them in the order given', async () => {
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { other: new MemoryJobStore() } });
    await scheduler.start();
    const jobs = await scheduler.addJobs([
      { task: noop, trigger: every(10), id: 'a' },
      { task: noop, trigger: every(10), id: 'b', jobStore: 'other' },
      { task: noop, trigger: '* * * * *', id: 'c', tags: ['t'] },
    ]);
    expect(jobs.map((job) => [job.id, job.jobStore])).toEqual([['a', 'default'], ['b', 'other'], ['c', 'default']]);
    expect(recorder.of('jobAdded').map((event) => event.jobId).sort()).toEqual(['a', 'b', 'c']);
    await clock.advance(MINUTE);
    expect(new Set(recorder.of('jobExecuted').map((event) => event.jobId))).toEqual(new Set(['a', 'b', 'c']));
  });

  it('checks all before it adds the first', async () => {
    const { scheduler } = makeWorld();
    const error = await failure(
      scheduler.addJobs([
        { task: noop, trigger: every(10), id: 'a' },
        { task: noop, trigger: every(10), id: 'b', maxInstances: 0 },
      ]),
    );
    expect(error.message).toContain('maxInstances');
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it('replaces where that was asked for', async () => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, every(60), { id: 'b', tags: ['old'] });
    const jobs = await scheduler.addJobs([
      { task: noop, trigger: every(10), id: 'a' },
      { task: noop, trigger: every(60), id: 'b', tags: ['new'], replaceExisting: true },
      { task: noop, trigger: every(10), id: 'c' },
    ]);
    expect(jobs.map((job) => job.tags)).toEqual([[], ['new'], []]);
  });

  it('that meets a taken id fails, and jobs that were added fire all the same', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    await scheduler.addJob(noop, every(3_600), { id: 'b' });
    const error = await failure(
      scheduler.addJobs([
        { task: noop, trigger: every(10), id: 'a' },
        { task: noop, trigger: every(10), id: 'b' },
        { task: noop, trigger: every(10), id: 'c' },
      ]),
    );
    expect(isPunctualError(error, 'CONFLICTING_JOB_ID')).toBe(true);
    await clock.advance({ seconds: 10 });
    const stored = (await scheduler.getJobs()).map((job) => job.id).filter((id) => id !== 'b');
    expect(stored).toContain('a');
    expect(recorder.of('jobExecuted').map((event) => event.jobId).sort()).toEqual(stored.sort());
    expect(recorder.of('jobAdded').map((event) => event.jobId).sort()).toEqual(['b', ...stored].sort());
  });
});

describe('a durable job store', () => {
  it('needs an explicit id and a registered task, and says what to write instead', async () => {
    const { scheduler } = makeWorld({ jobStores: { default: new DurableStore() } });
    scheduler.defineTask('report', noop);
    const noId = await failure(scheduler.addJob({ name: 'report' }, every(10)));
    expect(isPunctualError(noId, 'JOB_UNSTORABLE')).toBe(true);
    expect(noId.message).toMatch(/explicit id.*replaceExisting/);
    const closure = await failure(scheduler.addJob(function sweep() { return undefined; }, every(10), { id: 'x' }));
    expect(isPunctualError(closure, 'JOB_UNSTORABLE')).toBe(true);
    expect(closure.message).toMatch(/"sweep".*defineTask\('sweep', fn\).*addJob\('sweep'/);
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it.each([
    ['a function', noop, 'the function "noop"'],
    ['a symbol', Symbol('s'), 'a symbol'],
    ['an instance', new FaultyStore(), 'an instance of FaultyStore'],
    ['a promise', Promise.resolve(), 'an instance of Promise'],
    ['an error', new Error('x'), 'an instance of Error'],
  ] as readonly [string, unknown, string][])('refuses %s deep in the arguments and names the place', async (_, value, message) => {
    const { scheduler } = makeWorld({ jobStores: { default: new DurableStore() } });
    const ref = scheduler.defineTask('report', (_options: unknown) => undefined);
    const error = await failure(scheduler.addJob(ref, every(10), { id: 'x', args: [{ a: [1, value] }] }));
    expect(error.message).toContain(message);
    expect(JSON.stringify([error.message, String(error.cause)])).toContain('[0].a[1]');
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it('keeps what JSON has no words for', async () => {
    const { clock, scheduler } = makeWorld({ jobStores: { default: new DurableStore() } });
    const seen: unknown[][] = [];
    const ref = scheduler.defineTask('report', (...args: unknown[]) => void seen.push(args));
    const shared = { n: 1 };
    const args = [new Date(5), new Map([[{ k: 1 }, new Set([1n])]]), undefined, Number.NaN, -0, new Uint8Array([1, 2]), /x/gi, new URL('https://a.b/c'), [shared, shared]];
    const job = await scheduler.addJob(ref, every(10), { id: 'x', args, metadata: { since: new Date(7) } });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(seen).toEqual([args]);
    expect((await job.refresh())?.metadata).toEqual({ since: new Date(7) });
  });

  it('tells an unstorable value apart from a store that fails', async () => {
    const { scheduler } = makeWorld({ jobStores: { default: new DurableStore() } });
    const ref = scheduler.defineTask('report', (_value: unknown) => undefined);
    const error = await failure(scheduler.addJob(ref, every(10), { id: 'x', args: [new WeakMap()] }));
    expect(isPunctualError(error, 'JOB_UNSTORABLE')).toBe(true);
    const broken = new FaultyStore();
    broken.faults.set('insert', 'fail');
    const other = makeWorld({ jobStores: { default: broken } });
    expect(isPunctualError(await failure(other.scheduler.addJob(noop, every(10))), 'STORE_FAILED')).toBe(true);
  });

  it('refuses retryIf of a job, when it is added and when it is modified, and uses that of the task', async () => {
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: new DurableStore() } });
    const ref = scheduler.defineTask('fail', () => { throw new Error('no use'); }, { retry: { maxAttempts: 3, delay: 1, retryIf: () => false } });
    const retryIf = (): boolean => true;
    const onAdd = await failure(scheduler.addJob(ref, every(10), { id: 'x', retry: { retryIf } }));
    expect(onAdd.message).toMatch(/retryIf.*defineTask\("fail", fn, { retry: { retryIf } }\)/);
    await scheduler.addJob(ref, every(10), { id: 'x' });
    const onModify = await failure(scheduler.modifyJob('x', { retry: { retryIf } }));
    expect(isPunctualError(onModify, 'JOB_UNSTORABLE')).toBe(true);
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(recorder.of('jobError')).toMatchObject([{ attempt: 1 }]);
  });

  it('gives everything back as it was', async () => {
    const { clock, scheduler, recorder } = makeWorld({ jobStores: { default: new DurableStore() } });
    const calls: unknown[] = [];
    const ref = scheduler.defineTask('report', (...args: unknown[]) => { calls.push(args); });
    await scheduler.addJob(ref, new CronTrigger({ second: '*/20' }), { id: 'x', args: [{ kind: 'pdf', pages: [1, 2] }, null], metadata: { a: 1 }, tags: ['t'] });
    await scheduler.start();
    await clock.advance({ seconds: 40 });
    expect(calls).toEqual([[{ kind: 'pdf', pages: [1, 2] }, null], [{ kind: 'pdf', pages: [1, 2] }, null]]);
    expect(recorder.of('jobExecuted')).toHaveLength(2);
    expect(await scheduler.getJob('x')).toMatchObject({ fn: null, metadata: { a: 1 }, tags: ['t'], runCount: 2 });
  });
});

it('what a handle shows of a durable job cannot be changed behind the scheduler’s back', async () => {
  const { scheduler } = makeWorld({ jobStores: { default: new DurableStore() }, tasks: { t: (..._args: unknown[]) => undefined } });
  await scheduler.addJob('t', every(10), { id: 'x', args: [{ n: 1, list: [1] }], metadata: { k: { deep: 1 } } });
  const job = (await scheduler.getJob('x'))!;
  const [first] = job.args as [{ n: number; list: number[] }];
  expect(() => { first.n = 2; }).toThrow(TypeError);
  expect(() => { first.list.push(2); }).toThrow(TypeError);
  expect(() => { (job.metadata['k'] as { deep: number }).deep = 2; }).toThrow(TypeError);
});
