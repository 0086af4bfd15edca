import { after, AsyncExecutor, IntervalTrigger, MemoryJobStore, type JobStore, type LimitOptions } from 'punctual';
import { JsonJobStore } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { SECOND, START_MS, type LogLine } from '../scheduler/support/world.js';
import { busiest, peak, shop } from './support/shop.js';

const stores: readonly (readonly [string, () => JobStore])[] = [
  ['in memory', () => new MemoryJobStore()],
  ['in a durable store', () => new JsonJobStore()],
];

describe.each(stores)('limits of one scheduler, %s', (_name, makeStore) => {
  it('let no more runs of a task go on at one time than its concurrency says', async () => {
    const { clock, node, executions } = shop(makeStore());
    const { scheduler } = node('a', { thumbs: { concurrency: 3 }, other: {} });
    await scheduler.start();
    for (let i = 0; i < 10; i++) await scheduler.enqueue('thumbs', { id: `thumb-${i}`, args: [SECOND] });
    for (let i = 0; i < 4; i++) await scheduler.enqueue('other', { id: `other-${i}`, args: [SECOND] });
    await clock.advance(500);
    expect(executions.filter(({ task }) => task === 'thumbs')).toHaveLength(3);
    expect(executions.filter(({ task }) => task === 'other')).toHaveLength(4);
    await clock.advance(10 * SECOND);
    const thumbs = executions.filter(({ task }) => task === 'thumbs');
    expect(thumbs).toHaveLength(10);
    expect(peak(thumbs)).toBe(3);
    // As soon as one ends, the next one begins.
    expect(thumbs.map(({ startedAt }) => startedAt)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3].map((s) => s * SECOND));
    expect(thumbs.map(({ job }) => job)).toEqual([...thumbs.map(({ job }) => job)].sort());
  });

  it('let no more runs of a task start in any stretch of time than its rate says', async () => {
    const { clock, node, starts } = shop(makeStore());
    const { scheduler } = node('a', { mail: { rateLimit: { max: 2, per: 10 * SECOND } } });
    await scheduler.start();
    await scheduler.enqueue('mail', { id: 'mail-0' });
    await clock.advance(6 * SECOND);
    for (let i = 1; i < 6; i++) await scheduler.enqueue('mail', { id: `mail-${i}` });
    await clock.advance(60 * SECOND);
    // A fixed window would let three of them start between 6 and 12.
    expect(starts()).toEqual([0, 6, 10, 16, 20, 26]);
  });

  it('count the jobs of a tag together, whatever their tasks', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { 'api:acme': { concurrency: 2 } } } });
    const { scheduler } = node('a', { pull: {}, push: {} });
    await scheduler.start();
    for (let i = 0; i < 6; i++) {
      const trigger = new Date(START_MS + SECOND);
      await scheduler.addJob(i % 2 === 0 ? 'pull' : 'push', trigger, { id: `job-${i}`, args: [SECOND], tags: ['api:acme', 'nightly'] });
    }
    await scheduler.addJob('pull', new Date(START_MS + SECOND), { id: 'free', args: [SECOND], tags: ['nightly'] });
    await clock.advance(20 * SECOND);
    const limited = executions.filter(({ job }) => job !== 'free');
    expect(peak(limited)).toBe(2);
    expect(limited.map(({ startedAt }) => startedAt)).toEqual([1, 1, 2, 2, 3, 3].map((s) => s * SECOND));
    expect(executions.find(({ job }) => job === 'free')?.startedAt).toBe(SECOND);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('hold a run until all of its limits have room', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { api: { rateLimit: { max: 1, per: 5 * SECOND } } } } });
    const { scheduler } = node('a', { pull: { concurrency: 1 } });
    await scheduler.start();
    for (let i = 0; i < 3; i++) await scheduler.addJob('pull', new Date(START_MS + SECOND), { id: `api-${i}`, args: [2 * SECOND], tags: ['api'] });
    for (let i = 0; i < 3; i++) await scheduler.addJob('pull', new Date(START_MS + SECOND), { id: `plain-${i}`, args: [2 * SECOND] });
    await clock.advance(40 * SECOND);
    expect(executions).toHaveLength(6);
    expect(peak(executions)).toBe(1);
    expect(busiest(executions.filter(({ job }) => job.startsWith('api')), 5 * SECOND)).toBe(1);
    // What the tag holds back keeps no slot of the task from the others.
    expect(executions.filter(({ job }) => job.startsWith('plain')).map(({ startedAt }) => startedAt)).toEqual([3, 5, 7].map((s) => s * SECOND));
    expect(Math.max(...executions.map(({ startedAt }) => startedAt))).toBeLessThanOrEqual(14 * SECOND);
  });

  it('give each tag that begins so a limit of its own', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { 'customer:*': { concurrency: 1 }, 'customer:vip': { concurrency: 2 } } } });
    const { scheduler } = node('a', { sync: {} });
    await scheduler.start();
    for (const customer of ['ada', 'bob', 'vip']) {
      for (let i = 0; i < 4; i++) await scheduler.enqueue('sync', { id: `${customer}-${i}`, args: [SECOND], tags: [`customer:${customer}`] });
    }
    await clock.advance(20 * SECOND);
    const of = (customer: string) => executions.filter(({ job }) => job.startsWith(customer));
    expect(executions).toHaveLength(12);
    expect([peak(of('ada')), peak(of('bob')), peak(of('vip'))]).toEqual([1, 1, 2]);
    expect(of('ada').map(({ startedAt }) => startedAt / SECOND)).toEqual([0, 1, 2, 3]);
  });

  it('count attempts after an error, and runs by hand', async () => {
    const { clock, node, starts } = shop(makeStore());
    const { scheduler } = node('a', { flaky: { rateLimit: { max: 1, per: 10 * SECOND } } });
    await scheduler.start();
    const job = await scheduler.addJob('flaky', '@yearly', { id: 'flaky', args: [0, 'fail'], retry: { maxAttempts: 3, delay: SECOND, backoff: 'fixed' }, maxInstances: 5 });
    await job.run();
    await clock.advance(500);
    await job.run();
    await clock.advance(100 * SECOND);
    expect(starts()).toEqual([0, 10, 20, 30, 40, 50]);
    expect((await scheduler.getRuns({ jobId: 'flaky' })).map(({ verdict }) => verdict)).toEqual(['failed', 'failed']);
  });

  it('make one run of the fire times that came up while there was no room', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { slow: { rateLimit: { max: 1, per: 60 * SECOND } } } } });
    const { scheduler } = node('a', { tick: {} });
    await scheduler.addJob('tick', new IntervalTrigger({ seconds: 10 }), { id: 'tick', tags: ['slow'], misfireGraceTime: SECOND });
    await scheduler.start();
    await clock.advance(135 * SECOND);
    expect(executions.map(({ startedAt }) => startedAt / SECOND)).toEqual([10, 70, 130]);
    const report = await scheduler.verifyLedger();
    expect(report.ok).toBe(true);
    // How late a fire time is, is measured before it waits.
    expect(report.counts).toMatchObject({ succeeded: 3, missed: 0, coalesced: 10 });
  });

  it('make nothing late that waits for the limit of its task', async () => {
    const { clock, node, executions, elapsed } = shop(makeStore(), { jobDefaults: { misfireGraceTime: SECOND } });
    const { scheduler } = node('a', { work: { concurrency: 1 } });
    await scheduler.start();
    const at = new Date(START_MS + SECOND);
    for (let i = 0; i < 5; i++) await scheduler.addJob('work', at, { id: `job-${i}`, args: [10 * SECOND] });
    await clock.advance(60 * SECOND);
    expect(executions.map(({ startedAt }) => startedAt / SECOND)).toEqual([1, 11, 21, 31, 41]);
    // What was late before it came to wait is missed.
    await scheduler.enqueue('work', { id: 'busy', args: [10 * SECOND] });
    await scheduler.pause();
    await scheduler.addJob('work', new Date(START_MS + elapsed() + SECOND), { id: 'late', args: [0] });
    await clock.advance(5 * SECOND);
    await scheduler.resume();
    await clock.advance(60 * SECOND);
    expect((await scheduler.getRuns({ jobId: 'late' })).map(({ verdict }) => verdict)).toEqual(['missed']);
  });

  it('make no job late either whose grace is its own', async () => {
    const { clock, node, executions } = shop(makeStore());
    const { scheduler } = node('a', { work: { rateLimit: { max: 1, per: 10 * SECOND } } });
    await scheduler.start();
    for (let i = 0; i < 4; i++) await scheduler.enqueue('work', { id: `job-${i}`, misfireGraceTime: i === 3 ? SECOND : null });
    await clock.advance(60 * SECOND);
    expect(executions.map(({ startedAt }) => startedAt / SECOND)).toEqual([0, 10, 20, 30]);
  });

  it.each(['skip', 'queue', 'queueAll', 'replace'] as const)('leave to `overlap: %s` what comes up while a run of the same job goes on', async (overlap) => {
    const trial = async (limit: LimitOptions) => {
      const { clock, node, executions } = shop(makeStore());
      const { scheduler } = node('a', { work: limit });
      await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'work', args: [25_500], overlap });
      await scheduler.start();
      await clock.advance(175 * SECOND);
      return { starts: executions.map(({ startedAt }) => startedAt), counts: (await scheduler.verifyLedger()).counts };
    };
    const without = await trial({});
    expect(await trial({ concurrency: 1 })).toEqual(without);
    expect(without.starts.length).toBeGreaterThan(5);
  });

  it('wait for the executor as well, and cost nothing while it is full', async () => {
    const { clock, node, executions } = shop(makeStore(), { executors: { default: new AsyncExecutor({ concurrency: 2 }) } });
    const { scheduler } = node('a', { work: { concurrency: 1 }, other: {} });
    await scheduler.start();
    for (let i = 0; i < 10; i++) await scheduler.enqueue('work', { id: `work-${i}`, args: [SECOND] });
    for (let i = 0; i < 3; i++) await scheduler.enqueue('other', { id: `other-${i}`, args: [20 * SECOND], priority: 1 });
    await clock.advance(90 * SECOND);
    expect(executions).toHaveLength(13);
    expect(peak(executions)).toBe(2);
    expect(peak(executions.filter(({ task }) => task === 'work'))).toBe(1);
    expect((await scheduler.getJob('work-0'))).toBeUndefined();
  });

  it('hold jobs that follow others as any', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { one: { concurrency: 1 } } } });
    const { scheduler } = node('a', { work: {} });
    await scheduler.start();
    await scheduler.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'load', maxRuns: 3 });
    await scheduler.addJob('work', after('load'), { id: 'report', args: [15 * SECOND], tags: ['one'], coalesce: 'all' });
    const first = await scheduler.enqueue('work', { id: 'first', args: [5 * SECOND], delay: 12 * SECOND, tags: ['one'] });
    await scheduler.enqueue('work', { id: 'second', args: [SECOND], dependsOn: first, tags: ['one'] });
    await clock.advance(200 * SECOND);
    const limited = executions.filter(({ job }) => job !== 'load');
    expect(peak(limited)).toBe(1);
    expect(limited.map(({ job }) => job).sort()).toEqual(['first', 'report', 'report', 'second']); // the fire time in the middle finds a run going on
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('let a job that waits for too long be overdue', async () => {
    const { clock, node } = shop(makeStore());
    const { scheduler, recorder } = node('a', { work: { concurrency: 1 } });
    await scheduler.start();
    await scheduler.enqueue('work', { id: 'long', args: [600 * SECOND] });
    await scheduler.addJob('work', new Date(START_MS + SECOND), { id: 'waits', expect: { maxLateness: 60 * SECOND } });
    await clock.advance(59 * SECOND);
    expect(recorder.of('jobOverdue')).toEqual([]);
    await clock.advance(60 * SECOND);
    expect(recorder.of('jobOverdue')).toMatchObject([{ jobId: 'waits', why: 'not-started', deadline: START_MS + 61 * SECOND }]);
  });

  it('miss what is too late already when it would begin to wait', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { slow: { rateLimit: { max: 1, per: 60 * SECOND } } } } });
    const { scheduler } = node('a', { tick: {} });
    await scheduler.addJob('tick', new Date(START_MS + SECOND), { id: 'first', tags: ['slow'] });
    await scheduler.addJob('tick', new IntervalTrigger({ seconds: 10 }), { id: 'late', tags: ['slow'], misfireGraceTime: 5 * SECOND, coalesce: 'all' });
    await scheduler.start();
    await clock.advance(5 * SECOND);
    await scheduler.pause();
    await clock.advance(30 * SECOND);
    await scheduler.resume();
    await clock.advance(70 * SECOND);
    const [missed] = (await scheduler.getRuns({ jobId: 'late', verdict: 'missed' }));
    expect(missed).toMatchObject({ scheduledFor: new Date(START_MS + 10 * SECOND), count: 2 });
    expect(executions[1]).toMatchObject({ job: 'late', startedAt: 61 * SECOND });
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('leave what waits to whoever pauses, changes or removes it', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { one: { concurrency: 1 } } } });
    const { scheduler } = node('a', { work: {} });
    await scheduler.start();
    const at = new Date(START_MS + SECOND);
    for (const id of ['first', 'paused', 'changed', 'removed', 'last']) await scheduler.addJob('work', at, { id, args: [10 * SECOND], tags: ['one'] });
    await clock.advance(5 * SECOND);
    expect(executions.map(({ job }) => job)).toEqual(['first']);
    await scheduler.pauseJob('paused');
    await scheduler.modifyJob('changed', { tags: [] });
    await scheduler.removeJob('removed');
    await clock.advance(60 * SECOND);
    expect(executions.map(({ job }) => job).sort()).toEqual(['changed', 'first', 'last']);
    await scheduler.resumeJob('paused', { catchUp: true });
    await clock.advance(60 * SECOND);
    expect(executions.map(({ job }) => job)).toContain('paused');
  });

  it('start what has the higher priority first, and else the oldest', async () => {
    const { clock, node, executions } = shop(makeStore(), { limits: { tags: { one: { concurrency: 1 } } } });
    const { scheduler } = node('a', { work: {} });
    await scheduler.start();
    await scheduler.enqueue('work', { id: 'running', args: [10 * SECOND], tags: ['one'] });
    for (let i = 0; i < 4; i++) {
      await clock.advance(SECOND);
      await scheduler.enqueue('work', { id: `plain-${i}`, args: [SECOND], tags: ['one'] });
    }
    await scheduler.enqueue('work', { id: 'urgent', args: [SECOND], tags: ['one'], priority: 5 });
    await clock.advance(30 * SECOND);
    expect(executions.map(({ job }) => job)).toEqual(['running', 'urgent', 'plain-0', 'plain-1', 'plain-2', 'plain-3']);
    expect(executions.at(-1)?.startedAt).toBe(14 * SECOND);
  });

  it('can be changed while it runs', async () => {
    const { clock, node, executions } = shop(makeStore());
    const { scheduler } = node('a', { work: { concurrency: 1 } });
    await scheduler.start();
    for (let i = 0; i < 20; i++) await scheduler.enqueue('work', { id: `work-${i}`, args: [10 * SECOND], tags: ['api'] });
    await clock.advance(SECOND);
    expect(peak(executions)).toBe(1);
    scheduler.setLimit({ task: 'work' }, { concurrency: 3 });
    await clock.advance(SECOND);
    expect(peak(executions)).toBe(3);
    scheduler.setLimit({ tag: 'api' }, { concurrency: 2 });
    scheduler.setLimit({ task: 'work' }, null);
    await clock.advance(30 * SECOND);
    const later = executions.filter(({ startedAt }) => startedAt > 3 * SECOND);
    expect(later.length).toBeGreaterThan(0);
    expect(peak(later)).toBeLessThanOrEqual(3);
    scheduler.setLimit({ tag: 'api' }, null);
    await clock.advance(SECOND);
    expect(executions).toHaveLength(20);
  });

  it('tell that something waits, and for what', async () => {
    const { clock, node } = shop(makeStore(), { limits: { tags: { 'api:acme': { rateLimit: { max: 1, per: 60 * SECOND } } } } });
    const { scheduler, recorder } = node('a', { work: { concurrency: 2 } });
    await scheduler.start();
    expect(scheduler.health().jobStores['default']?.limits).toEqual([
      { subject: 'task', name: 'work', kind: 'concurrency', max: 2, perMs: null, used: 0, isReached: false, heldJobs: 0, freeAt: null },
    ]);
    for (let i = 0; i < 5; i++) await scheduler.enqueue('work', { id: `work-${i}`, args: [5 * SECOND] });
    for (let i = 0; i < 2; i++) await scheduler.enqueue('work', { id: `api-${i}`, args: [SECOND], tags: ['api:acme'] });
    await clock.advance(SECOND);
    expect(recorder.of('limitReached')).toMatchObject([{ subject: 'task', name: 'work', kind: 'concurrency', freeAt: null, jobStore: 'default' }]);
    expect(scheduler.health().jobStores['default']?.limits[0]).toMatchObject({ used: 2, isReached: true });
    await clock.advance(15 * SECOND);
    expect(recorder.of('limitReached').at(-1)).toMatchObject({ subject: 'tag', name: 'api:acme', kind: 'rate', freeAt: START_MS + 70 * SECOND });
    const limits = scheduler.health().jobStores['default']?.limits;
    expect(limits?.find(({ subject }) => subject === 'tag')).toMatchObject({ name: 'api:acme', max: 1, perMs: 60 * SECOND, used: 1, isReached: true, heldJobs: 1, freeAt: START_MS + 70 * SECOND });
    await clock.advance(120 * SECOND);
    expect(scheduler.health().jobStores['default']?.limits.some(({ isReached }) => isReached)).toBe(false);
  });
});

describe('a limit of a task that its node does not define', () => {
  const told = ({ lines }: { readonly lines: readonly LogLine[] }) => lines.filter(({ level, message }) => level === 'warn' && message.startsWith('limits of tasks')).map(({ fields }) => fields);

  it('is a warning when the node starts', async () => {
    const { node, logger } = shop(new MemoryJobStore(), { limits: { tasks: { thumbs: { concurrency: 1 }, tumbs: { concurrency: 2 }, mail: { concurrency: 3 } } } });
    const { scheduler } = node('a', { thumbs: {}, other: {} });
    scheduler.setLimit({ task: 'letters' }, { concurrency: 1 });
    scheduler.defineTask('mail', () => undefined); // later than its limit
    expect(told(logger)).toEqual([]);
    await scheduler.start();
    expect(told(logger)).toEqual([{ tasks: ['tumbs', 'letters'], defined: ['thumbs', 'other', 'mail'] }]);
  });

  it('is a warning at once while it runs, whether it is set or taken away', async () => {
    const { node, logger } = shop();
    const { scheduler } = node('a', { thumbs: { concurrency: 1 } });
    await scheduler.start();
    scheduler.setLimit({ task: 'thumbs' }, { concurrency: 2 });
    scheduler.setLimit({ task: 'thumbs' }, null);
    scheduler.setLimit({ task: 'thumbs' }, null);
    scheduler.setLimit({ tag: 'thumb' }, { concurrency: 1 });
    expect(told(logger)).toEqual([]);
    scheduler.setLimit({ task: 'thumb' }, { concurrency: 2 });
    scheduler.setLimit({ task: 'thumb' }, null);
    expect(told(logger)).toEqual([{ tasks: ['thumb'], defined: ['thumbs'] }]);
    scheduler.setLimit({ task: 'tumbs' }, null);
    expect(told(logger)).toHaveLength(2);
  });

  it('is told of once, however often it is changed', async () => {
    const { node, logger } = shop(new MemoryJobStore(), { limits: { tasks: { letters: { concurrency: 1 } } } });
    const { scheduler } = node('a');
    await scheduler.start();
    for (const concurrency of [2, 3, 4]) {
      scheduler.setLimit({ task: 'letters' }, { concurrency });
      scheduler.setLimit({ task: 'thumbs' }, { concurrency });
    }
    expect(told(logger).map((fields) => fields?.['tasks'])).toEqual([['letters'], ['thumbs']]);
  });

  it('counts as soon as the task is defined', async () => {
    const { clock, node, executions } = shop();
    const { scheduler } = node('a');
    await scheduler.start();
    scheduler.setLimit({ task: 'work' }, { concurrency: 1 });
    scheduler.defineTask('work', async () => { executions.push({ node: 'a', job: '', task: 'work', startedAt: 0, endedAt: null }); await clock.sleep(SECOND); });
    for (let i = 0; i < 2; i++) await scheduler.enqueue('work', { id: `work-${i}` });
    await clock.advance(500);
    expect(executions).toHaveLength(1);
  });
});

describe('options of limits', () => {
  const refuses = (make: () => unknown, option: string, hint?: string): void => {
    try {
      make();
    } catch (error) {
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
      if (hint !== undefined) expect((error as Error).message).toContain(hint);
      return;
    }
    throw new Error('was accepted');
  };

  it('are checked before anything is changed', () => {
    const { node } = shop();
    const { scheduler } = node('a', { work: { concurrency: 1 } });
    const define = (options: object) => () => scheduler.defineTask('bad', () => undefined, options);
    refuses(define({ concurrency: 0 }), 'concurrency', 'pause');
    refuses(define({ concurrency: 1.5 }), 'concurrency');
    refuses(define({ concurrency: 10_001 }), 'concurrency');
    refuses(define({ rateLimit: { max: 5 } }), 'rateLimit.per');
    refuses(define({ rateLimit: { max: 0, per: 1_000 } }), 'rateLimit.max');
    refuses(define({ rateLimit: { max: 60_000, per: { hours: 1 } } }), 'rateLimit.max', 'a minute');
    refuses(define({ rateLimit: { max: 1, per: '1 minute' } }), 'rateLimit.per', 'PT5M');
    refuses(define({ rateLimit: { max: 1, per: 1_000, burst: 2 } }), 'rateLimit.burst');
    refuses(define({ rateLimit: 5 }), 'rateLimit');
    expect(() => scheduler.defineTask('bad', () => undefined)).not.toThrow();
    const make = (limits: object) => () => node('b', {}, { limits });
    refuses(make({ jobs: {} }), 'limits.jobs');
    refuses(make({ tags: { api: {} } }), 'limits.tags["api"]');
    refuses(make({ tags: { api: { max: 1 } } }), 'limits.tags["api"].max');
    refuses(make({ tags: { '': { concurrency: 1 } } }), 'limits.tags');
    refuses(make({ tags: { 'a*b': { concurrency: 1 } } }), 'limits.tags', 'customer:*');
    refuses(make({ tags: { '*b*': { concurrency: 1 } } }), 'limits.tags', 'customer:*');
    refuses(() => { scheduler.setLimit({ tag: 'a*b' }, { concurrency: 1 }); }, 'tag', 'customer:*');
    refuses(make({ tasks: { work: { concurrency: '3' } } }), 'limits.tasks["work"].concurrency');
    refuses(() => { scheduler.setLimit({} as { tag: string }, null); }, 'of');
    refuses(() => { scheduler.setLimit({ tag: '' }, null); }, 'tag');
    refuses(() => { scheduler.setLimit({ job: 'x' } as unknown as { tag: string }, null); }, 'job');
    refuses(() => { scheduler.setLimit({ tag: 'x' }, {}); }, 'limit');
    refuses(() => { scheduler.setLimit({ tag: 'x' }, { concurrency: -1 }); }, 'concurrency');
    expect(scheduler.health().jobStores['default']?.limits).toHaveLength(1);
  });
});
