import { inspect } from 'node:util';
import {
  after,
  AsyncExecutor,
  AsyncScheduler,
  CronTrigger,
  currentRun,
  EVENT_ALL,
  IntervalTrigger,
  InvalidOptionError,
  MemoryJobStore,
  OrTrigger,
  type Logger,
} from 'punctual';
import { NatsJobStore } from 'punctual/nats';
import { PostgresJobStore } from 'punctual/postgres';
import { RedisJobStore } from 'punctual/redis';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { expect, it, onTestFinished, vi } from 'vitest';

it.each([
  ['a cron trigger', () => new CronTrigger('0 9 * * *', { timeZone: 'Asia/Tokyo' } as never), /`timeZone`.*did you mean `timezone`/],
  ['an interval', () => new IntervalTrigger({ hours: 1 }, { start: 'x' } as never), /`start`/],
  ['a combination', () => new OrTrigger([new IntervalTrigger(5)], { jiter: 5 } as never), /did you mean `jitter`/],
  ['an executor', () => new AsyncExecutor({ limit: 1 } as never), /no option `limit`\. Expected/],
  ['a memory store', () => new MemoryJobStore({ foo: 1 } as never), /`foo`/],
  ['its ledger', () => new MemoryJobStore({ ledger: { perjob: 1 } as never }), /`ledger.perjob`.*did you mean `perJob`/],
  ['a PostgreSQL store', () => new PostgresJobStore({ url: 'postgres://h/db' } as never), /did you mean `connectionString`/],
  ['a Redis store', () => new RedisJobStore({ connectionString: 'redis://h' } as never), /did you mean `url`/],
  ['a NATS store', () => new NatsJobStore({ url: 'nats://h' } as never), /did you mean `servers`/],
  ['a scheduler', () => new AsyncScheduler({ timeZone: 'UTC' } as never), /did you mean `timezone`/],
  ['the executors of a scheduler', () => new AsyncScheduler({ executors: { a: { execute: () => undefined } as never } }), /`executors.a.free`/],
  ['tasks without names', () => new AsyncScheduler({ tasks: [() => 1] as never }), /`tasks`: expected functions by name/],
  ['a mode that is no object', () => new AsyncScheduler({ ha: 'leader' as never }), /\{ mode: 'leader' \}/],
  ['a path in place of a store', () => new AsyncScheduler({ jobStores: { default: 'jobs.db' as never } }), /new SQLiteJobStore\(path\)/],
  ['an executor without an alias', () => new AsyncScheduler({ executors: new AsyncExecutor({ concurrency: 1 }) as never }), /`executors`: expected executors by alias, such as \{ default: executor \}/],
])('%s refuses what it does not know, and says which option was meant', (_, make, message) => {
  expect(make).toThrow(message);
});

it('says where the arguments of a task go, and which option was meant', async () => {
  const scheduler = new AsyncScheduler();
  await expect(scheduler.addJob(() => undefined, '@daily', ['pdf'] as never)).rejects.toThrow(/\{ args: \[\.\.\.\] \}/);
  await expect(scheduler.addJob(() => undefined, '@daily', { retry_: 3 } as never)).rejects.toThrow(/did you mean `retry`/);
  await expect(scheduler.addJob(() => undefined, '@daily', { maxRetries: 3 } as never)).rejects.toThrow(/did you mean `retry`/);
  await expect(scheduler.addJob(() => undefined, '@daily', { retry: { attempts: 3 } as never })).rejects.toThrow(/did you mean `maxAttempts`/);
  await expect(scheduler.addJob(() => undefined, '@daily', { tgas: [] } as never)).rejects.toThrow(/did you mean `tags`/);
  await expect(scheduler.addJob(() => undefined, '@daily', { constructor: 1 } as never)).rejects.toThrow(/no option `constructor`\. Expected/);
});

it.each([{ concurrency: 2 }, { rateLimit: { max: 1, per: 1_000 } }, { onError: () => undefined }])('says that %j is given to the task', async (option) => {
  const scheduler = new AsyncScheduler();
  scheduler.defineTask('work', () => undefined);
  await scheduler.addJob('work', '@daily', { id: 'job' });
  const [key = ''] = Object.keys(option);
  const message = new RegExp(`There is no option .${key}.\\. .*: defineTask\\(name, fn, . ${key} .\\)`);
  await expect(scheduler.addJob('work', '@daily', option as never)).rejects.toThrow(message);
  await expect(scheduler.addJobs([{ task: 'work', trigger: '@daily', ...option }])).rejects.toThrow(message);
  await expect(scheduler.enqueue('work', option as never)).rejects.toThrow(message);
  await expect(scheduler.modifyJob('job', option as never)).rejects.toThrow(message);
});

it.each([
  [{ jobDefaults: { concurrency: 2 } }, /no option `jobDefaults\.concurrency`.*defineTask\(name, fn, \{ concurrency \}\).*limits: \{ tags: .*`maxInstances`/],
  [{ jobDefaults: { rateLimit: { max: 1, per: 1_000 } } }, /no option `jobDefaults\.rateLimit`.*limits: \{ tags: /],
  [{ jobDefaults: { onError: () => undefined } }, /no option `jobDefaults\.onError`.*new AsyncScheduler\(\{ onError \}\)/],
  [{ jobDefaults: { version: 2 } }, /no option `jobDefaults\.version`.*defineTask\(name, fn, \{ version \}\)/],
  [{ jobDefaults: { retrys: 2 } }, /no option `jobDefaults\.retrys`; did you mean `retry`/],
  [{ concurrency: 2 }, /no option `concurrency`.*defineTask.*limits: \{ tags: .*of its executor/],
  [{ executor: {} }, /no option `executor`.*executors: \{ default: executor \}/],
  [{ misfireGraceTime: 5 }, /no option `misfireGraceTime`.*jobDefaults: \{ misfireGraceTime \}/],
])('says where what %j means belongs', (options, message) => {
  expect(() => new AsyncScheduler(options as never)).toThrow(message);
});

it('names the options of a task and a limit as they were written', () => {
  const scheduler = new AsyncScheduler();
  expect(() => scheduler.defineTask('work', () => undefined, { timout: 5 } as never)).toThrow(/no option `timout`; did you mean `timeout`/);
  expect(() => scheduler.defineTask('work', () => undefined, { retry: { delay: -1 } })).toThrow(/`retry\.delay`/);
  expect(() => scheduler.defineTask('work', () => undefined, { concurrency: 0 })).toThrow(/`concurrency`/);
  expect(() => { scheduler.setLimit({ task: 'work' }, { max: 1 } as never); }).toThrow(/no option `max`/);
});

it('says where a time zone is given', async () => {
  const scheduler = new AsyncScheduler();
  const work = scheduler.defineTask('work', () => undefined);
  for (const key of ['timezone', 'timeZone', 'tz']) {
    const option = { [key]: 'America/New_York' };
    const adding = scheduler.addJob(work, '0 9 * * *', option);
    await expect(adding).rejects.toThrow(new RegExp(`^There is no option .${key}.\\. Expected .*: new CronTrigger\\(expression, . timezone .\\)`));
  }
  await scheduler.addJob(work, '@daily', { id: 'job' });
  await expect(scheduler.modifyJob('job', { timezone: 'UTC' } as never)).rejects.toThrow(/rescheduleJob\(id, new CronTrigger\(expression, \{ timezone \}\)\)/);
  expect(() => new AsyncScheduler({ jobDefaults: { timezone: 'UTC' } as never })).toThrow(/new AsyncScheduler\(\{ timezone \}\)/);
  expect(() => new CronTrigger('0 9 * * *', 'Europe/Berlin' as never)).toThrow(/`options`.* write \{ timezone: 'Europe\/Berlin' \}/);
  expect(() => new OrTrigger([new IntervalTrigger(5)], 'UTC' as never)).toThrow(/expected an object, got "UTC"\.$/);
});

it.each(['addJobs', 'sync'])('says in which fields %s wants the task and the trigger', async (method) => {
  const scheduler = new AsyncScheduler();
  scheduler.defineTask('report', () => undefined);
  const add = (job: object): Promise<unknown> => {
    const jobs = [{ id: 'job', ...job }] as never;
    return method === 'sync' ? scheduler.sync(jobs, { owner: 'billing' }) : scheduler.addJobs(jobs);
  };
  await expect(add({ fn: 'report', trigger: '@daily' })).rejects.toThrow(/no option `fn`\. Expected one of the options task, trigger, id, .* given as `task`: \{ task: 'report'/);
  await expect(add({ task: 'report', cron: '@daily' })).rejects.toThrow(/no option `cron`\. .* given as `trigger`: \{/);
  await expect(add({ tsk: 'report', trigger: '@daily' })).rejects.toThrow(/no option `tsk`; did you mean `task`/);
  await expect(add({ task: 'report', trigger: '@daily', concurrency: 2 })).rejects.toThrow(/defineTask\(name, fn, \{ concurrency \}\)/);
  expect(await scheduler.getJobs()).toEqual([]);
});

it('shows what a limit is of, and that a set of jobs has an owner', async () => {
  const scheduler = new AsyncScheduler();
  for (const of of ['report', undefined, {}, ['report'], { task: 'a', tag: 'b' }]) {
    const set = (): void => { scheduler.setLimit(of as never, { concurrency: 1 }); };
    expect(set).toThrow(/^setLimit\(\) expects \{ task: 'report' \} or \{ tag: 'name' \} as its first argument, got /);
    expect(set).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  }
  for (const options of [undefined, null, 'billing', {}]) {
    await expect(scheduler.sync([], options as never)).rejects.toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining("such as { owner: 'billing' }") });
  }
});

it('names the task and the event that were probably meant', async () => {
  const scheduler = new AsyncScheduler();
  await expect(scheduler.addJob('report', '@daily')).rejects.toThrow(/^Unknown task "report"\. No task is defined yet/);
  scheduler.defineTask('report', () => undefined);
  await expect(scheduler.addJob('reprot' as never, '@daily')).rejects.toThrow(/^Unknown task "reprot"; did you mean "report"\? Defined are: report\. /);
  await expect(scheduler.addJob('thumbnails' as never, '@daily')).rejects.toThrow(/^Unknown task "thumbnails"\. Defined are: report\. /);
  expect(() => scheduler.on('jobExecutd' as never, () => undefined)).toThrow(/Did you mean 'jobExecuted'\?$/);
  expect(() => scheduler.on('jobFailed' as never, () => undefined)).toThrow(/Did you mean 'jobError'\?$/);
  expect(() => scheduler.on('jobFinal' as never, () => undefined)).toThrow(/got "jobFinal"\.$/);
  expect(() => scheduler.on('completelyElse' as never, () => undefined)).toThrow(/got "completelyElse"\.$/);
  expect(() => scheduler.on(7 as never, () => undefined)).toThrow(/got 7\.$/);
});

it('says that the task comes before the trigger', async () => {
  const scheduler = new AsyncScheduler();
  const work = scheduler.defineTask('work', () => undefined);
  for (const [trigger, task] of [['* * * * *', () => undefined], ['* * * * *', 'work'], [new IntervalTrigger(5_000), work]]) {
    const adding = scheduler.addJob(trigger as never, task as never);
    await expect(adding).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'task', message: expect.stringMatching(/ The task comes first, then the trigger\.$/) });
  }
  await expect(scheduler.addJob('* * * * *', undefined as never)).rejects.toThrow(/^Unknown task/);
  await expect(scheduler.addJob(work, work as never)).rejects.toThrow(/^Invalid value for `trigger`/);
});

it('says that a promise was not awaited', async () => {
  const scheduler = new AsyncScheduler();
  const work = scheduler.defineTask('work', () => undefined);
  const first = scheduler.enqueue(work);
  await expect(scheduler.enqueue(work, { dependsOn: first as never })).rejects.toThrow(/`dependsOn`.* got a promise\. Await it/);
  await expect(scheduler.enqueue(work, { dependsOn: [first] as never })).rejects.toThrow(/`dependsOn\[0\]`.* got a promise\. Await it/);
  await expect(scheduler.cancelRun(first as never)).rejects.toThrow(/`runId`.* got a promise\. Await it/);
  expect(() => after(first as never)).toThrow(/`jobs`.* got a promise\. Await it/);
  await first;
});

it('says that `after` takes the id of a job, and not of a run', async () => {
  const scheduler = new AsyncScheduler();
  const work = scheduler.defineTask('work', () => undefined);
  const { runId, jobId } = await scheduler.enqueue(work, { delay: 60_000 });
  const adding = scheduler.addJob(work, after(runId), { id: 'next' });
  await expect(adding).rejects.toMatchObject({ code: 'UNKNOWN_DEPENDENCY', dependency: runId });
  await expect(adding).rejects.toThrow(`which is the id of a run: \`after\` takes ids of jobs, such as "${jobId}".`);
});

it('calls off a run by its handle', async () => {
  const scheduler = new AsyncScheduler();
  const run = await scheduler.enqueue(scheduler.defineTask('work', () => undefined), { delay: 60_000 });
  expect(await scheduler.cancelRun(run)).toBe(true);
  expect(await scheduler.cancelRun(run)).toBe(false);
  await expect(run.result()).rejects.toMatchObject({ code: 'RUN_NOT_SUCCEEDED' });
  await expect(scheduler.cancelRun({} as never)).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'runId' });
  await expect(scheduler.cancelRun('sales')).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'runId' });
  await expect(scheduler.cancelRun('sales')).rejects.toThrow(/got "sales"\. .*an id given to enqueue\(\) is that of its job\.$/);
});

it.each<[unknown, RegExp]>([
  ['@every 5m', /new IntervalTrigger\(/],
  ['every 5 minutes', /new IntervalTrigger\(/],
  ['PT5M', /new IntervalTrigger\(/],
  ['5 minutes', /new IntervalTrigger\(/],
  ['30s', /new IntervalTrigger\(/],
  ['5 mon', /^(?!.*IntervalTrigger)/],
  ['2026-05-01T09:00:00Z', /a Date or a DateTrigger/],
  [{ hour: 9 }, /new CronTrigger\(\{ hour: 9 \}\)/],
])('says which trigger %j may mean', async (trigger, hint) => {
  await expect(new AsyncScheduler().addJob(() => undefined, trigger as never)).rejects.toThrow(hint);
});

it.each<[string, (after: number) => unknown]>([
  ['NaN', () => NaN],
  ['nothing', () => undefined],
  ['a Date', (after) => new Date(after + 1)],
  ['a promise', async (after) => Promise.resolve(after + 1)],
  ['an earlier instant', (after) => after - 1],
])('refuses a trigger that answers %s', async (_, next) => {
  const trigger = { kind: 'own', next, toJSON: () => ({ kind: 'own', v: 1 }) } as never;
  const scheduler = new AsyncScheduler();
  await expect(scheduler.addJob(() => undefined, trigger)).rejects.toMatchObject({ code: 'INVALID_TRIGGER' });
  await scheduler.addJob(() => undefined, '@daily', { id: 'job' });
  await expect(scheduler.rescheduleJob('job', trigger)).rejects.toMatchObject({ code: 'INVALID_TRIGGER' });
});

it('takes milliseconds and ISO 8601 for an interval as well', () => {
  expect(new IntervalTrigger(5_000).every).toBe(5_000);
  expect(new IntervalTrigger('PT5M').every).toBe(300_000);
});

it('a listener for the abort of a run finds itself in that run', async () => {
  const clock = new VirtualClock();
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
  const seen: string[] = [];
  const hang = (signal: AbortSignal): Promise<void> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        seen.push(currentRun().jobId);
        reject(signal.reason as Error);
      });
    });
  for (const id of ['a', 'b']) {
    await scheduler.addJob(() => hang(currentRun().signal), new IntervalTrigger(1_000), { id, timeout: 100, maxRuns: 1 });
  }
  scheduler.on('jobError', () => undefined);
  scheduler.on('jobTimeout', () => undefined);
  await scheduler.start();
  await clock.advance(2_000);
  expect(seen).toEqual(['a', 'b']);
  await scheduler.shutdown();
});

it('a listener for everything does not silence the log; one for the event does', async () => {
  const lines: string[] = [];
  const silent = (): void => undefined;
  const logger: Logger = { debug: silent, info: silent, warn: silent, error: (line) => lines.push(line) };
  const clock = new VirtualClock();
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', logger });
  scheduler.addListener(() => undefined, EVENT_ALL);
  await scheduler.addJob(() => Promise.reject(new Error('no')), new IntervalTrigger(1_000));
  await scheduler.start();
  await clock.advance(1_000);
  expect(lines).toEqual(['punctual: jobError']);
  scheduler.on('jobError', () => undefined);
  await clock.advance(1_000);
  expect(lines).toHaveLength(1);
  await scheduler.shutdown();
});

it('marks each line on the console as its own, once, and those for a logger of the user as they are', async () => {
  const spies = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'error')].map((spy) => spy.mockImplementation(() => undefined));
  onTestFinished(() => { for (const spy of spies) spy.mockRestore(); });
  const given: string[] = [];
  const take = (line: string): void => void given.push(line);
  for (const logger of [undefined, { debug: take, info: take, warn: take, error: take }]) {
    const clock = new VirtualClock();
    const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', logger, limits: { tasks: { nobodys: { concurrency: 1 } } } });
    await scheduler.addJob(() => Promise.reject(new Error('no')), new IntervalTrigger(1_000));
    await scheduler.start();
    await clock.advance(1_000);
    await scheduler.shutdown();
  }
  const lines = spies.flatMap(({ mock }) => mock.calls.map(([line]) => line as unknown));
  const warning = 'limits of tasks that this node does not define count for nothing on it';
  expect(lines).toEqual([`punctual: ${warning}`, 'punctual: jobError']);
  expect(given).toEqual([warning, 'punctual: jobError']);
});

it.each([
  [{ minute: 5 }, /There is no unit `timeout\.minute`; did you mean `minutes`\?/],
  [{ min: 5 }, /did you mean `minutes`\?/],
  [{ ms: 5 }, /did you mean `milliseconds`\?/],
  [{ hours: 1, second: 5 }, /did you mean `seconds`\?/],
  [{ months: 1 }, /`timeout\.months`.*Months and years differ in length/],
  [{ minutes: '5' }, /Invalid value for `timeout`/],
  [{}, /Invalid value for `timeout`/],
  [[5], /Invalid value for `timeout`/],
])('refuses %j for a length of time', async (timeout, message) => {
  const scheduler = new AsyncScheduler();
  const error: unknown = await scheduler.addJob(() => undefined, '@daily', { timeout: timeout as never }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringMatching(message) as string });
  expect(() => new AsyncScheduler({ leaseDuration: timeout as never })).toThrow(InvalidOptionError);
  expect(() => new IntervalTrigger(timeout as never)).toThrow(InvalidOptionError);
});

it('verifyLedger counts the jobs whose history is no longer whole', async () => {
  const clock = new VirtualClock('2026-01-01T00:00:00Z');
  const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
  await scheduler.addJob(() => undefined, '0 9 * * *', { id: 'daily' });
  await scheduler.addJob(() => undefined, '0 9 1 * *', { id: 'monthly' });
  await scheduler.start();
  await clock.advance({ days: 365 });
  expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { succeeded: 112 }, prunedJobs: 1 });
  await scheduler.shutdown();
});

it('a job shows what it is when it is printed, and many are refused unless they are a list', async () => {
  const scheduler = new AsyncScheduler({ timezone: 'UTC' });
  const job = await scheduler.addJob(() => undefined, '@daily', { id: 'shown' });
  expect(inspect(job)).toContain("status: 'active'");
  await expect(scheduler.addJobs({} as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
});

it('a task whose parameters have no types is a compile error, not an any', () => {
  const scheduler = new AsyncScheduler({ tasks: { report: (format: string) => format, other: (format: string | undefined = 'pdf') => format } });
  const add = (): unknown => [
    // @ts-expect-error the argument has another type
    scheduler.addJob('report', '@daily', { args: [1] }),
    // @ts-expect-error so has this one
    scheduler.addJob('other', '@daily', { args: [1] }),
  ];
  expect(add).toBeTypeOf('function');
});

it('a run that a shutdown cut short is handed back where the record lives on, although its task heard the signal', async () => {
  const jobStore = new JsonJobStore({ shared: true });
  const clock = new VirtualClock();
  const attempts: string[] = [];
  const make = (node: string): AsyncScheduler => {
    const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', node, jobStores: { default: jobStore } });
    scheduler.on('jobAbandoned', () => undefined);
    scheduler.defineTask('work', () => {
      attempts.push(`${node}/${currentRun().attempt}`);
      return node === 'first' ? clock.sleep({ hours: 1 }, currentRun().signal) : undefined;
    });
    return scheduler;
  };
  const first = make('first');
  await first.addJob('work', new IntervalTrigger(1_000), { id: 'job', maxRuns: 1 });
  await first.start();
  await clock.advance(1_000);
  await first.shutdown({ wait: false });
  const second = make('second');
  await second.start();
  await clock.advance(1_000);
  expect(attempts).toEqual(['first/1', 'second/2']);
  expect(await second.getRuns({ jobId: 'job' })).toMatchObject([{ verdict: 'succeeded', attempt: 2 }]);
  await second.shutdown();
});
