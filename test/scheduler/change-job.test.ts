import { describe, expect, it } from 'vitest';
import { CronTrigger, currentRun, DateTrigger, IntervalTrigger, isPunctualError, MemoryJobStore, type JobChanges } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { DurableStore, FaultyStore } from './support/stores.js';
import { failure, gate, HOUR, iso, makeWorld, MINUTE, SECOND, START_MS } from './support/world.js';

const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });
const noop = (): undefined => undefined;
const at = (seconds: number): Date => new Date(START_MS + seconds * SECOND);
const ms = (seconds: number): number => START_MS + seconds * SECOND;
const offsets = (events: readonly { readonly scheduledFor: number }[]): number[] =>
  events.map((event) => (event.scheduledFor - START_MS) / SECOND);

describe('pauseJob and resumeJob', () => {
  it('pause keeps the cursor; resume skips what was missed, with a verdict', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    const paused = await scheduler.pauseJob('x');
    expect(paused).toMatchObject({ status: 'paused', nextRunTime: null });
    await clock.advance({ seconds: 30 });
    const resumed = await scheduler.resumeJob('x');
    expect(resumed).toMatchObject({ status: 'active', nextRunTime: at(50), reason: null });
    await clock.advance({ seconds: 15 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([10, 50, 60]);
    expect(recorder.of('jobSkipped')).toMatchObject([{ reason: 'paused', count: 3, scheduledFor: ms(20), scheduledTo: ms(40) }]);
    expect(recorder.of('jobPaused')).toMatchObject([{ jobId: 'x', reason: null }]);
    expect(recorder.of('jobResumed')).toMatchObject([{ jobId: 'x', nextRunTime: ms(50) }]);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { succeeded: 3, skipped: 3 } });
  });

  it('with catchUp leaves what was missed to the policies of the job', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    await scheduler.pauseJob('x');
    await clock.advance({ seconds: 30 });
    await scheduler.resumeJob('x', { catchUp: true });
    await clock.settle();
    expect(offsets(recorder.of('jobExecuted'))).toEqual([10, 40]);
    expect(recorder.of('jobCoalesced')).toMatchObject([{ scheduledFor: ms(20), scheduledTo: ms(30), count: 2, into: ms(40) }]);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { succeeded: 2, coalesced: 2 } });
  });

  it('with catchUp a grace still counts', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x', misfireGraceTime: { seconds: 3 } });
    await scheduler.start();
    await scheduler.pauseJob('x');
    await clock.advance({ seconds: 45 });
    await scheduler.resumeJob('x', { catchUp: true });
    await clock.settle();
    expect(recorder.of('jobMissed')).toMatchObject([{ count: 4 }]);
    expect(recorder.of('jobStarted')).toEqual([]);
  });

  it('resumed before the next fire time, it goes on as if nothing had been', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 12 });
    await scheduler.pauseJob('x');
    await clock.advance({ seconds: 5 });
    await scheduler.resumeJob('x');
    await clock.advance({ seconds: 5 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([10, 20]);
    expect(recorder.of('jobSkipped')).toEqual([]);
  });

  it('a running run goes on while its job is paused; its retry waits for the resume', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(
      async () => {
        await clock.sleep({ seconds: 3 });
        if (currentRun().attempt === 1) throw new Error('again');
      },
      every(60),
      { id: 'x', retry: { maxAttempts: 2, delay: { seconds: 1 } } },
    );
    await scheduler.start();
    await clock.advance({ seconds: 61 });
    await scheduler.pauseJob('x');
    await clock.advance({ seconds: 20 });
    expect(recorder.of('jobRetry')).toHaveLength(1);
    expect(recorder.of('jobStarted')).toHaveLength(1);
    await scheduler.resumeJob('x');
    await clock.advance({ seconds: 3 });
    expect(recorder.of('jobExecuted')).toMatchObject([{ attempt: 2, scheduledFor: ms(60) }]);
  });

  it('pausing twice, or resuming what is active, changes nothing', async () => {
    const { scheduler, recorder } = makeWorld();
    const job = await scheduler.addJob(noop, every(10), { id: 'x' });
    expect((await job.resume())?.revision).toBe(job.revision);
    const paused = await job.pause();
    expect((await job.pause()).revision).toBe(paused.revision);
    expect(recorder.of('jobPaused')).toHaveLength(1);
    expect(recorder.of('jobResumed')).toHaveLength(0);
  });

  it('a job whose schedule ended while it was paused is complete when it is resumed', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, at(10), { id: 'x' });
    await scheduler.start();
    await scheduler.pauseJob('x');
    await clock.advance({ minutes: 1 });
    expect(await scheduler.resumeJob('x')).toBeUndefined();
    expect(recorder.of('jobSkipped')).toMatchObject([{ reason: 'paused', count: 1 }]);
    expect(recorder.of('jobCompleted')).toMatchObject([{ runCount: 0 }]);
    expect(await scheduler.getJob('x')).toBeUndefined();
  });

  it('once pauseJob has resolved, nothing starts, however close the fire time was', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    clock.setTimer(10 * SECOND, () => void scheduler.pauseJob('x').then(() => { recorder.clear(); }));
    await clock.advance({ minutes: 5 });
    expect(recorder.of('jobStarted')).toEqual([]);
  });
});

describe('modifyJob', () => {
  it('changes arguments, name, tags, metadata and policies, and keeps the place in the schedule', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const seen: unknown[] = [];
    await scheduler.addJob((text: string) => { seen.push(text); }, every(10), { id: 'x', args: ['old'], name: 'n', metadata: { a: 1 }, tags: ['t'] });
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    const job = await scheduler.modifyJob('x', { args: ['new'], name: null, tags: ['u'], metadata: null, maxInstances: 3, coalesce: false });
    expect(job).toMatchObject({ args: ['new'], name: null, tags: ['u'], metadata: {}, policy: { maxInstances: 3, coalesce: 'all' }, nextRunTime: at(20), runCount: 1 });
    await clock.advance({ seconds: 5 });
    expect(seen).toEqual(['old', 'new']);
    expect(recorder.of('jobModified')).toMatchObject([{ jobId: 'x', changed: ['args', 'name', 'tags', 'metadata', 'maxInstances', 'coalesce'], nextRunTime: ms(20) }]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('leaves alone what it does not name', async () => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x', tags: ['t'], priority: 4, retry: { maxAttempts: 7, delay: 5 } });
    const job = await scheduler.modifyJob('x', { retry: { delay: 9 }, priority: undefined });
    expect(job).toMatchObject({ tags: ['t'], policy: { priority: 4, retry: { maxAttempts: 7, delayMs: 9 } } });
  });

  it('without a change changes nothing', async () => {
    const { scheduler, recorder } = makeWorld();
    const job = await scheduler.addJob(noop, every(10), { id: 'x' });
    expect((await scheduler.modifyJob('x', {})).revision).toBe(job.revision);
    expect((await scheduler.modifyJob('x', { tags: undefined })).revision).toBe(job.revision);
    expect(recorder.of('jobModified')).toEqual([]);
  });

  const refused: [JobChanges | object, RegExp][] = [
    [{ trigger: every(5) }, /`trigger`.*rescheduleJob/],
    [{ id: 'y' }, /`id`.*remove it and add another/],
    [{ task: 'y' }, /`task`.*replaceExisting/],
    [{ jobStore: 'y' }, /`jobStore`.*stays in its store/],
    [{ paused: true }, /`paused`.*pauseJob/],
    [{ nextRunTime: new Date(0) }, /`nextRunTime`.*runJob/],
    [{ nonsense: 1 }, /`nonsense`.*one of the options/],
    [{ maxInstances: -1 }, /`maxInstances`/],
    [{ args: {} }, /`args`/],
  ];

  it.each(refused)('refuses %o with a hint, and changes nothing', async (changes, message) => {
    const { scheduler } = makeWorld();
    const before = await scheduler.addJob(noop, every(10), { id: 'x' });
    const error = await failure(scheduler.modifyJob('x', { tags: ['t'], ...changes }));
    expect(isPunctualError(error, 'INVALID_OPTION')).toBe(true);
    expect(error.message).toMatch(message);
    expect((await before.refresh())?.revision).toBe(before.revision);
  });

  it('refuses changes that are no object, and an executor that is not there', async () => {
    const { scheduler } = makeWorld();
    const job = await scheduler.addJob(noop, every(10), { id: 'x' });
    expect((await failure(scheduler.modifyJob('x', null as never))).message).toMatch(/`changes`/);
    expect(isPunctualError(await failure(scheduler.modifyJob('x', { executor: 'none' })), 'UNKNOWN_EXECUTOR')).toBe(true);
    expect((await job.refresh())?.revision).toBe(job.revision);
  });

  it('with ifRevision changes only what is still as it was read', async () => {
    const { scheduler } = makeWorld();
    const job = await scheduler.addJob(noop, every(10), { id: 'x' });
    const mine = await scheduler.modifyJob('x', { priority: 1 }, { ifRevision: job.revision });
    const error = await failure(scheduler.modifyJob('x', { priority: 2 }, { ifRevision: job.revision }));
    expect(isPunctualError(error, 'JOB_CHANGED')).toBe(true);
    expect(error.message).toMatch(/"x".*getJob/);
    expect((await mine.refresh())?.policy.priority).toBe(1);
    expect(isPunctualError(await failure(job.reschedule(every(5), { ifRevision: job.revision })), 'JOB_CHANGED')).toBe(true);
    await mine.modify({ priority: 3 }, { ifRevision: mine.revision });
  });

  it('repeats a change that met another, so that none is lost', async () => {
    const store = new FaultyStore();
    const { clock, scheduler } = makeWorld({ jobStores: { default: store } });
    await scheduler.addJob(noop, every(10), { id: 'x' });
    store.faults.set('get', 'delay');
    const changes = Promise.all([scheduler.modifyJob('x', { priority: 5 }), scheduler.modifyJob('x', { maxInstances: 6 }), scheduler.modifyJob('x', { name: 'n' })]);
    await clock.settle();
    store.recover();
    await clock.advance(SECOND);
    await changes;
    expect(await scheduler.getJob('x')).toMatchObject({ name: 'n', policy: { priority: 5, maxInstances: 6 } });
  });

  it('new bounds begin a new schedule', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 15 });
    expect((await scheduler.modifyJob('x', { startTime: at(41), endTime: at(60) })).nextRunTime).toEqual(at(50));
    await clock.advance({ minutes: 5 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([10, 50, 60]);
    expect(recorder.of('jobCompleted')).toHaveLength(1);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('refuses what would leave nothing to fire', async () => {
    const { clock, scheduler } = makeWorld();
    const job = await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 25 });
    for (const changes of [{ maxRuns: 2 }, { endTime: at(5) }]) {
      const error = await failure(scheduler.modifyJob('x', changes));
      expect(isPunctualError(error, 'NEVER_FIRES')).toBe(true);
      expect(error.message).toContain(Object.keys(changes).join());
      expect(await job.refresh()).toMatchObject({ nextRunTime: at(30), policy: { maxRuns: null, endTime: null } });
    }
  });

  it('a running run keeps what it was started with, and its retry gets the new', async () => {
    const { clock, scheduler } = makeWorld();
    const seen: string[] = [];
    await scheduler.addJob(
      async (text: string) => {
        await clock.sleep(SECOND);
        seen.push(text);
        if (currentRun().attempt === 1) throw new Error('again');
      },
      every(60),
      { id: 'x', args: ['old'], retry: { maxAttempts: 2, delay: SECOND } },
    );
    await scheduler.start();
    await clock.advance({ seconds: 60 });
    await scheduler.modifyJob('x', { args: ['new'] });
    await clock.advance({ seconds: 5 });
    expect(seen).toEqual(['old', 'new']);
  });

  it('more runs than before let a job go on whose last run is still going', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 5 }), every(10), { id: 'x', maxRuns: 1 });
    await scheduler.start();
    await clock.advance({ seconds: 12 });
    expect((await scheduler.getJob('x'))?.nextRunTime).toBeNull();
    expect((await scheduler.modifyJob('x', { maxRuns: 3 })).nextRunTime).toEqual(at(20));
    await clock.advance({ seconds: 60 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([10, 20, 30]);
    expect(recorder.of('jobCompleted')).toMatchObject([{ reason: 'max-runs', runCount: 3 }]);
  });

  it('a new jitter counts from the next fire time on', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(60), { id: 'x' });
    await scheduler.start();
    await scheduler.modifyJob('x', { jitter: { seconds: 30 } });
    await clock.advance({ minutes: 1, seconds: 30 });
    const [run] = recorder.of('jobSubmitted');
    expect(run).toMatchObject({ scheduledFor: ms(60) });
    expect(run?.latenessMs).toBeGreaterThan(0);
    expect(run?.latenessMs).toBeLessThanOrEqual(30_000);
  });
});

describe('rescheduleJob', () => {
  it('begins the new schedule now', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(60), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 70 });
    const job = await scheduler.rescheduleJob('x', every(7));
    expect(job.nextRunTime).toEqual(at(77));
    await clock.advance({ seconds: 20 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([60, 77, 84]);
    expect(recorder.of('jobModified')).toMatchObject([{ changed: ['trigger'], nextRunTime: ms(77) }]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('takes a cron string and a Date', async () => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, every(60), { id: 'x' });
    expect((await scheduler.rescheduleJob('x', '0 3 * * *')).nextRunTime).toEqual(at(3 * 3_600));
    expect((await scheduler.rescheduleJob('x', at(5))).nextRunTime).toEqual(at(5));
  });

  it('gives what was due under the old schedule a verdict', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await clock.advance({ seconds: 35 });
    await scheduler.rescheduleJob('x', every(60));
    expect(recorder.of('jobSkipped')).toMatchObject([{ reason: 'rescheduled', count: 3, scheduledFor: ms(10), scheduledTo: ms(30) }]);
    expect(await scheduler.getRuns({ jobId: 'x' })).toMatchObject([{ verdict: 'skipped', reason: 'rescheduled', count: 3 }]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('leaves a paused job paused', async () => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x', paused: true });
    expect((await scheduler.rescheduleJob('x', every(20))).status).toBe('paused');
    expect((await scheduler.resumeJob('x'))?.nextRunTime).toEqual(at(20));
  });

  it('takes the jitter of the new trigger, unless the job has its own', async () => {
    const { scheduler } = makeWorld({ jobDefaults: { jitter: 5 } });
    const jittery = new IntervalTrigger({ seconds: 10 }, { jitter: 300 });
    await scheduler.addJob(noop, every(10), { id: 'x' });
    expect((await scheduler.rescheduleJob('x', jittery)).policy.jitterMs).toBe(300);
    expect((await scheduler.rescheduleJob('x', every(20))).policy.jitterMs).toBe(5);
    await scheduler.addJob(noop, every(10), { id: 'y', jitter: 77 });
    expect((await scheduler.rescheduleJob('y', jittery)).policy.jitterMs).toBe(77);
  });

  it('refuses a trigger that never fires, and one that is none, and changes nothing', async () => {
    const { scheduler } = makeWorld();
    const job = await scheduler.addJob(noop, every(10), { id: 'x' });
    expect(isPunctualError(await failure(scheduler.rescheduleJob('x', '0 0 30 2 *')), 'NEVER_FIRES')).toBe(true);
    expect(isPunctualError(await failure(scheduler.rescheduleJob('x', 'nonsense')), 'INVALID_TRIGGER')).toBe(true);
    expect(isPunctualError(await failure(scheduler.rescheduleJob('x', 5 as never)), 'INVALID_OPTION')).toBe(true);
    expect((await job.refresh())?.revision).toBe(job.revision);
  });

  it('a run that goes on keeps its place in the history', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 9 }), every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 11 });
    await scheduler.rescheduleJob('x', every(10));
    await clock.advance({ seconds: 60 });
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true });
  });
});

describe('removeJob and removeAllJobs', () => {
  it('ends the schedule; what runs goes on', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const work = gate();
    await scheduler.addJob(() => work.promise, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    await scheduler.removeJob('x');
    expect(await scheduler.getJob('x')).toBeUndefined();
    expect(await scheduler.getJobs()).toEqual([]);
    await clock.advance({ minutes: 1 });
    work.open();
    await clock.settle();
    expect(recorder.of('jobExecuted')).toHaveLength(1);
    expect(recorder.of('jobRemoved')).toMatchObject([{ jobId: 'x', reason: 'requested' }]);
    expect(await scheduler.getRuns({ jobId: 'x' })).toMatchObject([{ verdict: 'succeeded' }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives waiting runs and due fire times a verdict', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const work = gate();
    await scheduler.addJob(() => work.promise, every(10), { id: 'x', overlap: 'queue' });
    await scheduler.start();
    await clock.advance({ seconds: 25 });
    await scheduler.pause();
    await clock.advance({ seconds: 20 });
    await scheduler.removeJob('x');
    work.open();
    await clock.settle();
    expect(recorder.of('jobCancelled')).toMatchObject([{ reason: 'removed', scheduledFor: ms(20), attempt: 0 }]);
    expect(recorder.of('jobSkipped')).toMatchObject([{ reason: 'removed', scheduledFor: ms(30), scheduledTo: ms(40), count: 2 }]);
    expect((await scheduler.verifyLedger()).counts).toMatchObject({ succeeded: 1, cancelled: 1, skipped: 2 });
  });

  it('a failing run of a removed job is not tried again', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const work = gate();
    await scheduler.addJob(() => work.promise, every(10), { id: 'x', retry: 5 });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    await scheduler.removeJob('x');
    work.fail(new Error('too late'));
    await clock.advance({ minutes: 10 });
    expect(recorder.of('jobError')).toMatchObject([{ attempt: 1 }]);
    expect(recorder.of('jobRetry')).toEqual([]);
  });

  it.each(['getJob', 'removeJob', 'pauseJob', 'resumeJob', 'runJob', 'retryQuarantined', 'nextRunTimes'] as const)('%s of a job that is not there', async (method) => {
    for (const jobStores of [{}, { other: new MemoryJobStore() }]) {
      const { scheduler } = makeWorld({ jobStores });
      if (method === 'getJob') {
        expect(await scheduler.getJob('none')).toBeUndefined();
        continue;
      }
      const error = await failure(scheduler[method]('none'));
      expect(isPunctualError(error, 'JOB_NOT_FOUND')).toBe(true);
      expect(error).toMatchObject({ jobId: 'none' });
      expect(error.message).toContain('"none"');
    }
  });

  it.each(['getJob', 'removeJob', 'pauseJob', 'resumeJob', 'runJob', 'nextRunTimes'] as const)('%s refuses an id that is none', async (method) => {
    const { scheduler } = makeWorld();
    for (const id of ['', 7, undefined]) {
      const error = await failure(scheduler[method](id as string));
      expect(isPunctualError(error, 'INVALID_OPTION')).toBe(true);
      expect(error.message).toContain('`id`');
    }
  });

  it('removeAllJobs empties all stores, or one, and says how many', async () => {
    const { scheduler, recorder } = makeWorld({ jobStores: { other: new MemoryJobStore() } });
    const specs = ['a', 'b', 'c'].map((id) => ({ task: noop, trigger: every(10), id, jobStore: id === 'c' ? 'other' : 'default' }));
    await scheduler.addJobs(specs);
    expect(await scheduler.removeAllJobs({ jobStore: 'other' })).toBe(1);
    expect(await scheduler.removeAllJobs()).toBe(2);
    expect(await scheduler.removeAllJobs()).toBe(0);
    expect(recorder.of('allJobsRemoved')).toMatchObject([
      { jobStore: 'other', count: 1 },
      { jobStore: null, count: 2 },
      { jobStore: null, count: 0 },
    ]);
    expect(recorder.of('jobRemoved').map((event) => event.jobId)).toEqual(['c', 'a', 'b']);
  });
});

describe('getJobs', () => {
  async function filled(): Promise<ReturnType<typeof makeWorld>> {
    const world = makeWorld({ jobStores: { first: new MemoryJobStore(), second: new MemoryJobStore() } });
    const { scheduler } = world;
    scheduler.defineTask('mail', noop);
    await scheduler.addJobs([
      { task: noop, trigger: every(10), id: 'a1', jobStore: 'first', tags: ['red', 'big'] },
      { task: 'mail', trigger: every(10), id: 'a2', jobStore: 'first', tags: ['red'] },
      { task: 'mail', trigger: every(10), id: 'b1', jobStore: 'second', name: 'The Weekly Digest' },
      { task: noop, trigger: every(10), id: 'b2', jobStore: 'second', paused: true },
      { task: noop, trigger: every(10), id: 'd1' },
    ]);
    return world;
  }
  const ids = (jobs: readonly { readonly id: string }[]): string[] => jobs.map((job) => job.id);

  it('answers all jobs of all stores in order of store and id', async () => {
    const { scheduler } = await filled();
    expect(ids(await scheduler.getJobs())).toEqual(['a1', 'a2', 'b1', 'b2', 'd1']);
    expect((await scheduler.getJobs()).nextCursor).toBeNull();
  });

  it('filters by tags, task, status, text and store; all that is given must hold', async () => {
    const { scheduler } = await filled();
    expect(ids(await scheduler.getJobs({ tags: ['red'] }))).toEqual(['a1', 'a2']);
    expect(ids(await scheduler.getJobs({ tags: ['big', 'red'] }))).toEqual(['a1']);
    expect(ids(await scheduler.getJobs({ task: 'mail' }))).toEqual(['a2', 'b1']);
    expect(ids(await scheduler.getJobs({ status: 'paused' }))).toEqual(['b2']);
    expect(ids(await scheduler.getJobs({ status: ['paused', 'active'] }))).toHaveLength(5);
    expect(ids(await scheduler.getJobs({ text: 'wEEKLy' }))).toEqual(['b1']);
    expect(ids(await scheduler.getJobs({ text: 'MAI' }))).toEqual(['a2', 'b1']);
    expect(ids(await scheduler.getJobs({ jobStore: 'second' }))).toEqual(['b1', 'b2']);
    expect(ids(await scheduler.getJobs({ task: 'mail', tags: ['red'] }))).toEqual(['a2']);
    expect(ids(await scheduler.getJobs({ tags: ['none'] }))).toEqual([]);
  });

  it.each([1, 2, 3, 4])('pages over several stores, %i at a time', async (limit) => {
    const { scheduler } = await filled();
    const seen: string[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < 10; page++) {
      const jobs = await scheduler.getJobs({ limit, cursor });
      expect(jobs.length).toBeLessThanOrEqual(limit);
      seen.push(...ids(jobs));
      if (jobs.nextCursor === null) break;
      cursor = jobs.nextCursor;
    }
    expect(seen).toEqual(['a1', 'a2', 'b1', 'b2', 'd1']);
  });

  it('goes on after a job that was removed between two pages', async () => {
    const { scheduler } = await filled();
    const first = await scheduler.getJobs({ limit: 2 });
    await scheduler.removeJob('a2');
    expect(ids(await scheduler.getJobs({ cursor: first.nextCursor ?? '' }))).toEqual(['b1', 'b2', 'd1']);
  });

  it.each<[object, RegExp]>([
    [{ tag: 'red' }, /`tag`.*tags/],
    [{ tags: 'red' }, /`tags`.*"red"/],
    [{ status: 'removed' }, /`status`.*'active'.*"removed"/],
    [{ status: ['active', 'pausd'] }, /`status`.*"pausd"/],
    [{ task: 7 }, /`task`.*7/],
    [{ text: null }, /`text`/],
    [{ limit: 0 }, /`limit`/],
    [{ cursor: 'page 2' }, /`cursor`.*nextCursor/],
    [{ cursor: '["gone","x"]' }, /`cursor`/],
  ])('refuses %o', async (query, message) => {
    const { scheduler } = await filled();
    const error = await failure(scheduler.getJobs(query));
    expect(isPunctualError(error, 'INVALID_OPTION')).toBe(true);
    expect(error.message).toMatch(message);
  });

  it('refuses a store that is not there', async () => {
    const { scheduler } = await filled();
    expect(isPunctualError(await failure(scheduler.getJobs({ jobStore: 'third' })), 'UNKNOWN_STORE')).toBe(true);
  });
});

describe('a job handle', () => {
  it('is what was read; refresh reads it again', async () => {
    const { clock, scheduler } = makeWorld();
    const job = await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(job).toMatchObject({ runCount: 0, lastFireTime: null, nextRunTime: at(10) });
    expect(await job.refresh()).toMatchObject({ runCount: 1, lastFireTime: at(10), nextRunTime: at(20) });
    await job.remove();
    expect(await job.refresh()).toBeUndefined();
  });

  it('does all that the scheduler does by id, in its own store', async () => {
    const { clock, scheduler } = makeWorld({ jobStores: { other: new MemoryJobStore() } });
    const seen: unknown[] = [];
    await scheduler.addJob(noop, every(10), { id: 'x' });
    const job = await scheduler.addJob((...args: unknown[]) => { seen.push(args); }, every(60), { id: 'x', jobStore: 'other' });
    await scheduler.start();
    expect((await job.pause()).status).toBe('paused');
    expect((await job.resume())?.status).toBe('active');
    expect((await job.modify({ tags: ['t'] })).tags).toEqual(['t']);
    expect((await job.reschedule(every(30))).nextRunTime).toEqual(at(30));
    await job.run({ args: [1] });
    await clock.settle();
    expect(seen).toEqual([[1]]);
    expect(iso(await job.nextRunTimes(2))).toEqual(['2026-01-01T00:00:30', '2026-01-01T00:01:00']);
    await job.remove();
    expect((await scheduler.getJobs()).map((left) => [left.id, left.jobStore])).toEqual([['x', 'default']]);
    expect(await scheduler.getJob('x', { jobStore: 'default' })).toMatchObject({ tags: [], nextRunTime: at(10) });
  });

  it('shows live runs', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 100 }), every(10), { id: 'x', overlap: 'queue' });
    await scheduler.start();
    await clock.advance({ seconds: 20 });
    expect((await scheduler.getJob('x'))?.runs).toEqual([
      { runId: `x@${ms(10)}`, scheduledFor: at(10), attempt: 1, state: 'running', node: 'node-a', startedAt: at(10), isManual: false },
      { runId: `x@${ms(20)}`, scheduledFor: at(20), attempt: 0, state: 'queued', node: null, startedAt: null, isManual: false },
    ]);
  });

  it('prints as plain data', async () => {
    const { scheduler } = makeWorld();
    const job = await scheduler.addJob(noop, every(10), { id: 'x', tags: ['t'] });
    const plain: unknown = JSON.parse(JSON.stringify(job));
    expect(plain).toMatchObject({ id: 'x', jobStore: 'default', task: 'noop', tags: ['t'], trigger: { kind: 'interval' }, nextRunTime: at(10).toISOString() });
  });
});

describe('nextRunTimes', () => {
  it('tells the next fire times', async () => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, '0 9 * * 1-5', { id: 'x' });
    expect(iso(await scheduler.nextRunTimes('x', 3))).toEqual(['2026-01-01T09:00:00', '2026-01-02T09:00:00', '2026-01-05T09:00:00']);
    expect(await scheduler.nextRunTimes('x')).toHaveLength(1);
  });

  it('ends where the schedule ends, at a bound or at maxRuns', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'bound', endTime: at(30) });
    await scheduler.addJob(noop, every(10), { id: 'runs', maxRuns: 2 });
    await scheduler.addJob(noop, at(5), { id: 'once' });
    expect(await scheduler.nextRunTimes('bound', 9)).toEqual([at(10), at(20), at(30)]);
    expect(await scheduler.nextRunTimes('runs', 9)).toEqual([at(10), at(20)]);
    expect(await scheduler.nextRunTimes('once', 9)).toEqual([at(5)]);
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(await scheduler.nextRunTimes('runs', 9)).toEqual([at(20)]);
  });

  it('has no jitter', async () => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, every(60), { id: 'x', jitter: { seconds: 50 } });
    expect(await scheduler.nextRunTimes('x', 2)).toEqual([at(60), at(120)]);
  });

  it.each([0, -1, 1.5, 1e6, 'two'])('refuses %s as a count', async (count) => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    expect((await failure(scheduler.nextRunTimes('x', count as number))).message).toMatch(/`count`.*1 to 100000/);
  });
});

describe('runJob', () => {
  it('runs a job now and does not disturb its schedule', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x', maxRuns: 2 });
    await scheduler.start();
    await clock.advance({ seconds: 4 });
    await scheduler.runJob('x');
    await clock.settle();
    expect(recorder.of('jobExecuted')).toMatchObject([{ isManual: true, isCatchUp: false, scheduledFor: ms(4) }]);
    expect(await scheduler.getJob('x')).toMatchObject({ nextRunTime: at(10), runCount: 0 });
    await clock.advance({ minutes: 1 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([4, 10, 20]);
    expect(await scheduler.getRuns({ jobId: 'x' })).toMatchObject([{ isManual: true }, { isManual: false }, { isManual: false }]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('takes other arguments, for this run only', async () => {
    const { clock, scheduler } = makeWorld();
    const seen: string[] = [];
    await scheduler.addJob((text: string) => { seen.push(text); }, every(10), { id: 'x', args: ['own'] });
    await scheduler.start();
    const given = ['given'];
    await scheduler.runJob('x', { args: given });
    given[0] = 'changed later';
    await clock.advance({ seconds: 10 });
    expect(seen).toEqual(['given', 'own']);
  });

  it('keeps them for a retry', async () => {
    const { clock, scheduler } = makeWorld();
    const seen: [string, number][] = [];
    await scheduler.addJob(
      (text: string) => {
        const { attempt } = currentRun();
        seen.push([text, attempt]);
        if (attempt === 1) throw new Error('again');
      },
      every(3_600),
      { id: 'x', args: ['own'], retry: { maxAttempts: 2, delay: SECOND } },
    );
    await scheduler.start();
    await scheduler.runJob('x', { args: ['given'] });
    await clock.advance({ seconds: 2 });
    expect(seen).toEqual([['given', 1], ['given', 2]]);
  });

  it('works on a paused job', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x', paused: true });
    await scheduler.start();
    const run = await scheduler.runJob('x');
    await clock.settle();
    expect(recorder.of('jobExecuted')).toMatchObject([{ runId: run.runId, jobId: 'x' }]);
    await clock.advance({ minutes: 1 });
    expect(recorder.of('jobExecuted')).toHaveLength(1);
  });

  it('waits for a slot of maxInstances', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 5 }), every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 12 });
    await scheduler.runJob('x');
    await clock.advance({ seconds: 2 });
    expect(recorder.of('jobStarted')).toHaveLength(1);
    await clock.advance({ seconds: 1 });
    expect(recorder.of('jobStarted')).toMatchObject([{ isManual: false }, { isManual: true }]);
    expect(recorder.of('jobMaxInstances')).toEqual([]);
  });

  it('waits until the scheduler runs', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.runJob('x');
    await clock.settle();
    expect(recorder.of('jobStarted')).toEqual([]);
    await scheduler.start();
    await clock.settle();
    expect(recorder.of('jobExecuted')).toHaveLength(1);
  });

  it('result() resolves with the value of the task', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(async (n: number) => { await clock.sleep(SECOND); return n * 2; }, every(60), { id: 'x', args: [21] });
    await scheduler.start();
    const run = await scheduler.runJob('x');
    expect(run).toMatchObject({ jobId: 'x', runId: expect.stringMatching(/^x#\d+$/) as unknown });
    await clock.advance(SECOND);
    expect(await run.result()).toBe(42);
    expect(await run.result()).toBe(42);
  });

  it('result() rejects with the error of the task, once no attempt follows', async () => {
    const { clock, scheduler } = makeWorld();
    const error = new Error('no use');
    await scheduler.addJob(() => { throw error; }, every(60), { id: 'x', retry: { maxAttempts: 2, delay: SECOND } });
    await scheduler.start();
    const run = await scheduler.runJob('x');
    let settled = false;
    const outcome = failure(run.result().finally(() => { settled = true; }));
    await clock.settle();
    expect(settled).toBe(false);
    await clock.advance(SECOND);
    expect(await outcome).toBe(error);
  });

  it('result() rejects with the verdict of a run that was cancelled', async () => {
    const { clock, scheduler } = makeWorld();
    const work = gate();
    await scheduler.addJob(() => work.promise, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    const run = await scheduler.runJob('x');
    const outcome = failure(run.result());
    await scheduler.removeJob('x');
    work.open();
    const error = await outcome;
    expect(isPunctualError(error, 'RUN_NOT_SUCCEEDED')).toBe(true);
    expect(error).toMatchObject({ runId: run.runId, verdict: 'cancelled' });
    expect(error.message).toContain('removed');
  });

  it('a result nobody asks for disturbs nobody', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => { throw new Error('unheard'); }, every(60), { id: 'x' });
    await scheduler.start();
    await scheduler.runJob('x');
    await clock.settle();
    expect(recorder.of('jobError')).toHaveLength(1);
  });

  it('refuses arguments that are no array, and options it does not know', async () => {
    const { scheduler } = makeWorld();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    expect((await failure(scheduler.runJob('x', { args: 'a' as never }))).message).toMatch(/`args`.*array/);
    expect((await failure(scheduler.runJob('x', { arg: [] } as never))).message).toMatch(/`arg`/);
    expect((await scheduler.getJob('x'))?.runs).toEqual([]);
  });

  it('refuses arguments a durable store cannot keep', async () => {
    const { scheduler } = makeWorld({ jobStores: { default: new DurableStore() }, tasks: { t: (_: unknown) => undefined } });
    await scheduler.addJob('t', every(10), { id: 'x', args: [1] });
    expect(isPunctualError(await failure(scheduler.runJob('x', { args: [new WeakMap()] })), 'JOB_UNSTORABLE')).toBe(true);
  });

  it('several at once each get a run of their own', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob((n: number) => n, every(60), { id: 'x', args: [0] });
    await scheduler.start();
    const runs = await Promise.all([1, 2, 3].map((n) => scheduler.runJob('x', { args: [n] })));
    expect(new Set(runs.map((run) => run.runId)).size).toBe(3);
    await clock.advance(MINUTE);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([1, 2, 3]);
  });
});

describe('a job under the same id as an earlier one', () => {
  it('has a history of its own', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    for (let i = 0; i < 2; i++) {
      await scheduler.addJob(noop, new DateTrigger(START_MS - HOUR), { id: 'x' });
      await clock.advance({ seconds: 1 });
    }
    expect(await scheduler.getRuns({ jobId: 'x' })).toMatchObject([{ verdict: 'succeeded' }, { verdict: 'succeeded' }]);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true });
  });

  it('may have another kind of trigger', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await clock.advance({ seconds: 20 });
    await scheduler.removeJob('x');
    await scheduler.addJob(noop, new CronTrigger('*/30 * * * * *'), { id: 'x' });
    await clock.advance({ seconds: 40 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([10, 20, 30, 60]);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true });
  });
});

it('what a task does to its arguments changes neither its next run nor what a durable store keeps', async () => {
  const jobStore = new SQLiteJobStore(':memory:');
  const { clock, scheduler } = makeWorld({ jobStores: { default: jobStore } });
  const seen: number[] = [];
  scheduler.defineTask('count', (box: { n: number }) => { seen.push(box.n++); });
  await scheduler.addJob('count', every(10), { id: 'x', args: [{ n: 0 }] });
  await scheduler.start();
  await clock.advance({ seconds: 35 });
  await scheduler.modifyJob('x', { name: 'renamed' });
  expect(seen).toEqual([0, 0, 0]);
  expect((await scheduler.getJob('x'))?.args).toEqual([{ n: 0 }]);
  await scheduler.shutdown();
});
