import { AsyncScheduler, currentRun, DateTrigger, IntervalTrigger, MemoryJobStore } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { end, failure, makeWorld, MemoryLogger, MINUTE, Recorder, SECOND, START, START_MS } from './support/world.js';

const everyMinute = (): IntervalTrigger => new IntervalTrigger({ minutes: 1 });

describe('maxConsecutiveFailures', () => {
  it('pauses a job after so many failed runs in a row, and says so', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => { throw new Error('broken'); }, everyMinute(), { id: 'job', maxConsecutiveFailures: 3, tags: ['t'] });
    await scheduler.start();
    await clock.advance(2 * MINUTE);
    expect((await scheduler.getJob('job'))?.status).toBe('active');
    expect((await scheduler.getJob('job'))?.stats.consecutiveFailures).toBe(2);
    await clock.advance(10 * MINUTE);

    expect(recorder.of('jobError')).toHaveLength(3);
    expect(recorder.of('jobPaused')).toMatchObject([
      { jobId: 'job', jobStore: 'default', tags: ['t'], reason: 'max-consecutive-failures', failures: 3, error: { message: 'broken' }, at: START_MS + 3 * MINUTE },
    ]);
    const job = await scheduler.getJob('job');
    expect(job).toMatchObject({ status: 'paused', reason: 'max-consecutive-failures', nextRunTime: null });
    expect(job!.stats).toMatchObject({ failed: 3, consecutiveFailures: 3, lastSuccessAt: null });
    expect((await scheduler.getJobs({ status: 'paused' })).map(({ id }) => id)).toEqual(['job']);
  });

  it('is logged as an error when nobody listens; a pause that was asked for is not', async () => {
    const clock = new VirtualClock(START);
    const logger = new MemoryLogger();
    const scheduler = new AsyncScheduler({ clock, logger, timezone: 'UTC' });
    onTestFinished(() => end(scheduler, clock));
    await scheduler.addJob(() => { throw new Error('broken'); }, everyMinute(), { id: 'job', maxConsecutiveFailures: 1 });
    await scheduler.addJob(() => undefined, everyMinute(), { id: 'other' });
    await scheduler.start();
    await scheduler.pauseJob('other');
    await clock.advance(MINUTE);
    expect(logger.messages('error')).toContain('punctual: jobPaused');
    expect(logger.lines.filter(({ message }) => message === 'punctual: jobPaused')).toHaveLength(1);
  });

  it('begins to count anew with a success, and when the job is resumed', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    let runs = 0;
    const failing = new Set([1, 2, 4, 5, 7, 8, 9, 10, 11, 12]);
    await scheduler.addJob(() => { if (failing.has(++runs)) throw new Error(`run ${runs}`); }, everyMinute(), { id: 'job', maxConsecutiveFailures: 3 });
    await scheduler.start();
    await clock.advance(20 * MINUTE);
    expect(runs).toBe(9);
    expect(recorder.of('jobPaused')).toHaveLength(1);
    const successAt = (await scheduler.getJob('job'))!.stats.lastSuccessAt;
    expect(successAt).toEqual(new Date(START_MS + 6 * MINUTE));

    const resumed = await scheduler.resumeJob('job');
    expect(resumed).toMatchObject({ status: 'active', reason: null });
    expect(resumed!.stats.consecutiveFailures).toBe(0);
    expect(resumed!.nextRunTime).toEqual(new Date(START_MS + 21 * MINUTE));
    await clock.advance(20 * MINUTE);
    expect(runs).toBe(12);
    expect(recorder.of('jobPaused')).toHaveLength(2);
  });

  it('counts a run once, after its last attempt, also when it timed out', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    const attempts: string[] = [];
    await scheduler.addJob(
      async () => {
        attempts.push(`${currentRun().scheduledFor.getUTCMinutes()}/${currentRun().attempt}`);
        await clock.sleep(10 * SECOND);
      },
      everyMinute(),
      { id: 'job', maxConsecutiveFailures: 2, timeout: { seconds: 1 }, retry: { maxAttempts: 3, delay: { seconds: 1 }, backoff: 'fixed' } },
    );
    await scheduler.start();
    await clock.advance(10 * MINUTE);
    expect(attempts).toEqual(['1/1', '1/2', '1/3', '2/1', '2/2', '2/3']);
    expect(recorder.of('jobPaused')).toMatchObject([{ failures: 2, error: { name: 'JobTimeoutError' } }]);
  });

  it('does not count cancelled runs, fire times without a run, and runs by hand, and those do not begin the count anew', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    let mode: 'fail' | 'hang' | 'pass' = 'fail';
    await scheduler.addJob(
      async () => {
        if (mode === 'fail') throw new Error('no');
        if (mode === 'hang') await clock.sleep(3 * MINUTE, currentRun().signal);
      },
      everyMinute(),
      { id: 'job', maxConsecutiveFailures: 2 },
    );
    await scheduler.start();
    await clock.advance(MINUTE);
    const failures = async (): Promise<number> => (await scheduler.getJob('job'))!.stats.consecutiveFailures;
    expect(await failures()).toBe(1);
    await scheduler.runJob('job');
    await clock.advance(SECOND);
    expect((await scheduler.getJob('job'))!.stats.failed).toBe(2);
    expect(await failures()).toBe(1);
    mode = 'pass';
    await (await scheduler.runJob('job')).result();
    expect(await failures()).toBe(1);
    mode = 'hang';
    await clock.advance(MINUTE + 30 * SECOND); // begins, and the next fire time is skipped
    await scheduler.cancelRun((await scheduler.getJob('job'))!.runs[0]!.runId);
    await clock.advance(SECOND);
    expect((await scheduler.getJob('job'))!.stats).toMatchObject({ cancelled: 1 });
    expect(await failures()).toBe(1);
    expect(recorder.of('jobPaused')).toEqual([]);
    mode = 'fail';
    await clock.advance(MINUTE);
    expect(recorder.of('jobPaused')).toMatchObject([{ failures: 2 }]);
  });

  it('counts runs whose nodes died and that were given up', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const recorder = new Recorder();
    const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', node: 'b', logger: new MemoryLogger(), jobStores: { default: store } });
    scheduler.addListener(recorder.listener);
    onTestFinished(() => end(scheduler, clock));
    scheduler.defineTask('work', () => undefined);
    await scheduler.addJob('work', new IntervalTrigger({ minutes: 1 }), { id: 'job', maxConsecutiveFailures: 1, onCrash: 'drop' });
    // What a node that has died leaves behind.
    const { record, revision } = (await store.get('job'))!;
    const run = {
      state: 'running', id: `job@${START_MS}`, scheduledFor: START_MS, attempt: 1, manual: false, catchUp: false, crashes: 0, args: null,
      owner: 'a', token: START_MS + 1, leaseUntil: START_MS + SECOND, startedAt: START_MS, abort: null,
    } as const;
    await store.commit([{ id: 'job', expected: revision, next: { ...record, state: { ...record.state, runs: [run], fence: START_MS + 1 } }, ledger: [] }]);
    await scheduler.start();
    await clock.advance(5 * SECOND);
    expect(recorder.of('jobAbandoned')).toHaveLength(1);
    expect(recorder.of('jobPaused')).toMatchObject([{ reason: 'max-consecutive-failures', failures: 1, error: null }]);
    expect((await scheduler.getJob('job'))?.status).toBe('paused');
  });

  it('leaves a job alone that has nothing left to do: it completes', async () => {
    const { scheduler, clock, recorder } = makeWorld({ jobDefaults: { maxConsecutiveFailures: 1 } });
    await scheduler.addJob(() => { throw new Error('once'); }, new DateTrigger(new Date(START_MS + SECOND)), { id: 'date' });
    await scheduler.addJob(() => { throw new Error('twice'); }, everyMinute(), { id: 'limited', maxRuns: 1 });
    const run = await scheduler.enqueue(() => { throw new Error('queued'); });
    await scheduler.start();
    await clock.advance(MINUTE);
    expect((await failure(run.result())).message).toBe('queued');
    expect(recorder.of('jobPaused')).toEqual([]);
    expect(recorder.of('jobCompleted')).toHaveLength(3);
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it('holds back what waits, and lets what runs come to its end', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    let runs = 0;
    await scheduler.addJob(
      async () => {
        const run = ++runs;
        await clock.sleep(run === 1 ? 150 * SECOND : 5 * SECOND);
        throw new Error(`run ${run}`);
      },
      everyMinute(),
      { id: 'job', maxConsecutiveFailures: 1, overlap: 'queueAll' },
    );
    await scheduler.start();
    await clock.advance(10 * MINUTE);
    // The first failed at 3:30, when two fire times were waiting.
    expect(runs).toBe(1);
    expect(recorder.of('jobPaused')).toHaveLength(1);
    expect((await scheduler.getJob('job'))!.runs.map(({ state }) => state)).toEqual(['queued', 'queued']);
    await scheduler.resumeJob('job');
    await clock.advance(6 * SECOND);
    expect(runs).toBe(2);
    expect((await scheduler.getJob('job'))).toMatchObject({ status: 'paused' });
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('pauses a job that measures from the end of its runs, and resumes it', async () => {
    const { scheduler, clock } = makeWorld();
    let runs = 0;
    await scheduler.addJob(() => { runs += 1; throw new Error('no'); }, new IntervalTrigger({ minutes: 1 }, { from: 'completion' }), { id: 'job', maxConsecutiveFailures: 2 });
    await scheduler.start();
    await clock.advance(10 * MINUTE);
    expect(runs).toBe(2);
    expect((await scheduler.getJob('job'))?.status).toBe('paused');
    await scheduler.resumeJob('job');
    await clock.advance(10 * MINUTE);
    expect(runs).toBe(4);
  });

  it('a limit that is lowered waits for the next failure', async () => {
    const { scheduler, clock, recorder } = makeWorld();
    await scheduler.addJob(() => { throw new Error('no'); }, everyMinute(), { id: 'job' });
    await scheduler.start();
    await clock.advance(5 * MINUTE);
    await scheduler.modifyJob('job', { maxConsecutiveFailures: 2 });
    expect((await scheduler.getJob('job'))?.status).toBe('active');
    await clock.advance(MINUTE);
    expect(recorder.of('jobPaused')).toMatchObject([{ failures: 6 }]);
    await scheduler.modifyJob('job', { maxConsecutiveFailures: null });
    await scheduler.resumeJob('job');
    await clock.advance(10 * MINUTE);
    expect(recorder.of('jobPaused')).toHaveLength(1);
  });

  it('is a policy of jobs, of tasks and of the scheduler', async () => {
    const { scheduler } = makeWorld({ jobDefaults: { maxConsecutiveFailures: 10 } });
    scheduler.defineTask('own', () => undefined, { maxConsecutiveFailures: 5 });
    scheduler.defineTask('plain', () => undefined);
    expect((await scheduler.addJob('plain', '@daily')).policy.maxConsecutiveFailures).toBe(10);
    expect((await scheduler.addJob('own', '@daily')).policy.maxConsecutiveFailures).toBe(5);
    expect((await scheduler.addJob('own', '@daily', { maxConsecutiveFailures: 2 })).policy.maxConsecutiveFailures).toBe(2);
    expect((await scheduler.addJob('own', '@daily', { maxConsecutiveFailures: null })).policy.maxConsecutiveFailures).toBeNull();
  });

  it.each([0, -1, 1.5, '3', Number.NaN])('refuses %s', async (maxConsecutiveFailures) => {
    const { scheduler } = makeWorld();
    await expect(scheduler.addJob(() => undefined, '@daily', { maxConsecutiveFailures: maxConsecutiveFailures as number })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      option: 'maxConsecutiveFailures',
    });
  });

  it('does not stop a job that each node runs', async () => {
    const clock = new VirtualClock(START);
    const store = new MemoryJobStore({ shared: true });
    const runs: string[] = [];
    for (const node of ['a', 'b']) {
      const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', node, logger: new MemoryLogger(), jobStores: { default: store } });
      onTestFinished(() => end(scheduler, clock));
      scheduler.defineTask('work', () => { runs.push(node); throw new Error('no'); });
      if (node === 'a') await scheduler.addJob('work', '* * * * *', { id: 'job', exclusive: false, maxConsecutiveFailures: 1 });
      await scheduler.start();
    }
    await clock.advance(5 * MINUTE);
    expect(runs.filter((node) => node === 'a')).toHaveLength(5);
    expect(runs.filter((node) => node === 'b').length).toBeGreaterThanOrEqual(4);
  });
});
