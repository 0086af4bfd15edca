import { describe, expect, it } from 'vitest';
import { CronTrigger, currentRun, IntervalTrigger, type AddJobOptions, type OverlapMode, type Trigger } from 'punctual';
import { DAY, gate, HOUR, makeWorld, MINUTE, SECOND, START_MS, type World } from '../scheduler/support/world.js';

const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });
const ms = (seconds: number): number => START_MS + seconds * SECOND;
const noop = (): undefined => undefined;
const offsets = (events: readonly { readonly scheduledFor: number }[]): number[] =>
  events.map((event) => (event.scheduledFor - START_MS) / SECOND);

/** A ten-second job that was down from 10 s to 65 s: 20, 30, 40, 50 and 60 are due together. */
async function afterDowntime(options: AddJobOptions<[]>): Promise<World> {
  const world = makeWorld();
  await world.scheduler.addJob(noop, every(10), { id: 'x', ...options });
  await world.scheduler.start();
  await world.clock.advance({ seconds: 15 });
  await world.scheduler.pause();
  await world.clock.advance({ seconds: 50 });
  world.recorder.clear();
  await world.scheduler.resume();
  await world.clock.settle();
  expect((await world.scheduler.verifyLedger()).problems).toEqual([]);
  return world;
}

describe('coalesce', () => {
  it.each([
    ['latest (the default)', {}, [60], { scheduledFor: ms(20), scheduledTo: ms(50), count: 4, into: ms(60) }],
    ['true, as in APScheduler: latest', { coalesce: true }, [60], { count: 4, into: ms(60) }],
    ['earliest', { coalesce: 'earliest' as const }, [20], { scheduledFor: ms(30), scheduledTo: ms(60), count: 4, into: ms(20) }],
  ])('%s makes one run of what is due', async (_, options, ran, event) => {
    const { scheduler, recorder } = await afterDowntime(options);
    expect(offsets(recorder.of('jobExecuted'))).toEqual(ran);
    expect(recorder.of('jobExecuted')).toMatchObject([{ isCatchUp: true }]);
    expect(recorder.of('jobCoalesced')).toMatchObject([event]);
    expect(await scheduler.getRuns({ verdict: 'coalesced' })).toMatchObject([{ count: 4, isExact: true, runId: null }]);
    expect((await scheduler.getJob('x'))?.nextRunTime).toEqual(new Date(ms(70)));
  });

  it.each([['all', { coalesce: 'all' as const }], ['false, as in APScheduler: all', { coalesce: false }]])('%s makes a run of each, one after another', async (_, options) => {
    const { recorder } = await afterDowntime(options);
    expect(offsets(recorder.of('jobExecuted'))).toEqual([20, 30, 40, 50, 60]);
    expect(recorder.of('jobCoalesced')).toEqual([]);
    expect(recorder.of('jobMaxInstances')).toEqual([]);
  });

  it('all is capped by maxCatchUp; the rest is one missed entry', async () => {
    const { scheduler, recorder } = await afterDowntime({ coalesce: 'all', maxCatchUp: 2 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([50, 60]);
    expect(recorder.of('jobMissed')).toMatchObject([{ reason: 'catch-up-limit', scheduledFor: ms(20), scheduledTo: ms(40), count: 3 }]);
    expect(await scheduler.getRuns({ verdict: 'missed' })).toMatchObject([{ reason: 'catch-up-limit', count: 3 }]);
  });
});

describe('misfireGraceTime', () => {
  it('misses what is later, and says how late it was', async () => {
    const { recorder } = await afterDowntime({ misfireGraceTime: { seconds: 20 }, coalesce: 'all' });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([50, 60]);
    expect(recorder.of('jobMissed')).toMatchObject([
      { reason: 'misfire-grace', scheduledFor: ms(20), scheduledTo: ms(40), count: 3, latenessMs: 45_000 },
    ]);
  });

  it('lets a run start that is exactly as late as allowed, and none that is later', async () => {
    expect(offsets((await afterDowntime({ misfireGraceTime: 5_000 })).recorder.of('jobExecuted'))).toEqual([60]);
    expect(offsets((await afterDowntime({ misfireGraceTime: 4_999 })).recorder.of('jobExecuted'))).toEqual([]);
  });

  it('null, the default, is as late as it likes', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, new Date(ms(1)), { id: 'x' });
    await clock.advance(400 * DAY);
    await scheduler.start();
    await clock.settle();
    expect(recorder.of('jobExecuted')).toMatchObject([{ scheduledFor: ms(1), isCatchUp: true }]);
  });

  it('is measured once: a run that then waits for a slot still runs', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 15 }), every(10), { id: 'x', misfireGraceTime: SECOND, overlap: 'queue' });
    await scheduler.start();
    await clock.advance({ seconds: 26 });
    expect(offsets(recorder.of('jobStarted'))).toEqual([10, 20]);
    expect(recorder.of('jobMissed')).toEqual([]);
  });
});

describe('a one-second job after a year without its scheduler', () => {
  class Counting implements Trigger {
    readonly kind = 'counting';
    asked = 0;
    next(after: number): number {
      this.asked += 1;
      return (Math.floor(after / SECOND) + 1) * SECOND;
    }
    toJSON(): { kind: string; v: number } {
      return { kind: this.kind, v: 1 };
    }
  }

  it.each(['latest', 'earliest', 'all'] as const)('coalesce: %s costs no more than after an hour', async (coalesce) => {
    const asked: number[] = [];
    for (const downtime of [HOUR, 365 * DAY]) {
      const { clock, scheduler, recorder } = makeWorld();
      const trigger = new Counting();
      await scheduler.addJob(noop, trigger, { id: 'x', coalesce, misfireGraceTime: coalesce === 'all' ? MINUTE * 30 : null, maxCatchUp: 50 });
      await clock.advance(downtime);
      trigger.asked = 0;
      await scheduler.start();
      await clock.settle();
      asked.push(trigger.asked);
      expect(recorder.of('jobExecuted')).toHaveLength(coalesce === 'all' ? 50 : 1);
      expect((await scheduler.getJob('x'))?.runs).toEqual([]);
      expect((await scheduler.getRuns()).length).toBeLessThan(60);
    }
    const [hour = 0, year = 0] = asked;
    // Bisection asks once more for each doubling; a count stops at a thousand.
    expect(year).toBeLessThan(hour + 1_500);
    expect(year).toBeLessThan(6_000);
  });

  it('is exact where the trigger can count', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(1), { id: 'x' });
    await clock.advance(365 * DAY);
    await scheduler.start();
    await clock.settle();
    expect(recorder.of('jobCoalesced')).toMatchObject([{ count: 365 * 86_400 - 1, exact: true }]);
    expect(await scheduler.verifyLedger()).toMatchObject({ ok: true, counts: { succeeded: 1, coalesced: 365 * 86_400 - 1 } });
  });
});

describe('maxInstances and overlap', () => {
  /** Fires at 10, 20, 30, …; each run takes 25 s. What started, when (in s). */
  async function story(overlap: OverlapMode, options: AddJobOptions<[]> = {}): Promise<World & { starts: [number, number][] }> {
    const world = makeWorld();
    const starts: [number, number][] = [];
    await world.scheduler.addJob(
      async () => {
        const { scheduledFor, signal } = currentRun();
        starts.push([world.seconds(), (scheduledFor.getTime() - START_MS) / SECOND]);
        await world.clock.sleep({ seconds: 25 }, signal);
      },
      every(10),
      { id: 'x', overlap, endTime: new Date(ms(40)), ...options },
    );
    await world.scheduler.start();
    await world.clock.advance({ minutes: 5 });
    expect((await world.scheduler.verifyLedger()).problems).toEqual([]);
    return { ...world, starts };
  }

  it('skip (the default): what finds all busy is skipped; the event names the blocking run, its node and age', async () => {
    const { scheduler, recorder, starts } = await story('skip');
    expect(starts).toEqual([[10, 10], [40, 40]]);
    expect(recorder.of('jobMaxInstances')).toMatchObject([
      { scheduledFor: ms(20), action: 'skipped', blockedBy: [{ runId: `x@${ms(10)}`, node: 'node-a', ageMs: 10_000 }] },
      { scheduledFor: ms(30), action: 'skipped', blockedBy: [{ ageMs: 20_000 }] },
    ]);
    expect(await scheduler.getRuns({ verdict: 'skipped' })).toMatchObject([{ reason: 'max-instances' }, { reason: 'max-instances' }]);
  });

  it('queue: one waits, the others are skipped', async () => {
    const { recorder, starts } = await story('queue');
    expect(starts).toEqual([[10, 10], [35, 20], [60, 40]]);
    expect(recorder.of('jobMaxInstances').map((event) => event.action)).toEqual(['queued', 'skipped', 'queued']);
  });

  it('queueAll: all wait, up to queueLimit', async () => {
    expect((await story('queueAll')).starts).toEqual([[10, 10], [35, 20], [60, 30], [85, 40]]);
    const { scheduler, starts } = await story('queueAll', { queueLimit: 1 });
    expect(starts).toEqual([[10, 10], [35, 20], [60, 40]]);
    expect(await scheduler.getRuns({ verdict: 'skipped' })).toMatchObject([{ reason: 'queue-full' }]);
  });

  it('replace: the running one is aborted, and the new one starts when it has ended', async () => {
    const { scheduler, recorder, starts } = await story('replace');
    expect(starts).toEqual([[10, 10], [20, 20], [30, 30], [40, 40]]);
    expect(offsets(recorder.of('jobCancelled'))).toEqual([10, 20, 30]);
    expect(await scheduler.getRuns({ verdict: 'cancelled' })).toMatchObject([{ reason: 'replaced' }, { reason: 'replaced' }, { reason: 'replaced' }]);
    expect(offsets(recorder.of('jobExecuted'))).toEqual([40]);
  });

  it('replace waits for a task that does not listen, and keeps only the newest waiting', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const work = gate();
    await scheduler.addJob(() => work.promise, every(10), { id: 'x', overlap: 'replace', endTime: new Date(ms(40)) });
    await scheduler.start();
    await clock.advance({ seconds: 45 });
    expect(offsets(recorder.of('jobStarted'))).toEqual([10]);
    expect(offsets(recorder.of('jobSkipped'))).toEqual([20, 30]);
    work.open();
    await clock.settle();
    expect(offsets(recorder.of('jobStarted'))).toEqual([10, 40]);
    // It came to its end all the same: that is what is recorded.
    expect(offsets(recorder.of('jobExecuted'))).toEqual([10, 40]);
  });

  it('allow: no limit', async () => {
    const { recorder, starts } = await story('allow');
    expect(starts).toEqual([[10, 10], [20, 20], [30, 30], [40, 40]]);
    expect(recorder.of('jobMaxInstances')).toEqual([]);
  });

  it('maxInstances: 2 lets two run at a time', async () => {
    expect((await story('skip', { maxInstances: 2 })).starts).toEqual([[10, 10], [20, 20], [40, 40]]);
  });
});

describe('jitter', () => {
  it('delays the start and not the fire time, by the same on each run of the program, and does not add up', async () => {
    const runs: number[][] = [];
    for (let i = 0; i < 2; i++) {
      const { clock, scheduler, recorder } = makeWorld();
      await scheduler.addJob(noop, every(60), { id: 'x', jitter: { seconds: 20 } });
      await scheduler.start();
      await clock.advance({ minutes: 30, seconds: 30 });
      expect(offsets(recorder.of('jobSubmitted'))).toEqual(Array.from({ length: 30 }, (_, n) => (n + 1) * 60));
      const delays = recorder.of('jobSubmitted').map((event) => event.latenessMs);
      expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...delays)).toBeLessThanOrEqual(20_000);
      expect(new Set(delays).size).toBeGreaterThan(20);
      runs.push(delays);
    }
    expect(runs[0]).toEqual(runs[1]);
  });

  it('never reaches the next fire time', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, every(5), { id: 'x', jitter: { hours: 1 } });
    await scheduler.start();
    await clock.advance({ minutes: 10 });
    expect(recorder.of('jobSubmitted').length).toBeGreaterThanOrEqual(119);
    expect(Math.max(...recorder.of('jobSubmitted').map((event) => event.latenessMs))).toBeLessThan(5_000);
    expect(recorder.of('jobCoalesced')).toEqual([]);
  });
});

describe('retry', () => {
  async function attempts(retry: AddJobOptions<[]>['retry'], fail: (attempt: number) => unknown): Promise<World & { times: number[] }> {
    const world = makeWorld();
    const times: number[] = [];
    await world.scheduler.addJob(
      () => {
        const { attempt } = currentRun();
        times.push(world.clock.now() - ms(1));
        const error = fail(attempt);
        if (error !== undefined) throw error as Error;
      },
      new Date(ms(1)),
      { id: 'x', retry },
    );
    await world.scheduler.start();
    await world.clock.advance({ hours: 10 });
    expect((await world.scheduler.verifyLedger()).problems).toEqual([]);
    return { ...world, times };
  }
  const always = (): Error => new Error('no use');

  it('without a policy there is one attempt', async () => {
    const { recorder, times } = await attempts(undefined, always);
    expect(times).toEqual([0]);
    expect(recorder.of('jobError')).toMatchObject([{ attempt: 1, error: { name: 'Error', message: 'no use' } }]);
  });

  it('doubles the delay (default), up to maxDelay', async () => {
    expect((await attempts({ maxAttempts: 5, delay: SECOND, maxDelay: 3 * SECOND }, always)).times).toEqual([0, 1_000, 3_000, 6_000, 9_000]);
  });

  it('fixed keeps it', async () => {
    expect((await attempts({ maxAttempts: 4, delay: SECOND, backoff: 'fixed' }, always)).times).toEqual([0, 1_000, 2_000, 3_000]);
  });

  it('jitter shortens it, deterministically', async () => {
    const policy = { maxAttempts: 6, delay: 10 * SECOND, backoff: 'fixed', jitter: 0.5 } as const;
    const { times } = await attempts(policy, always);
    const delays = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    for (const delay of delays) {
      expect(delay).toBeGreaterThanOrEqual(5_000);
      expect(delay).toBeLessThan(10_000);
    }
    expect(new Set(delays).size).toBe(delays.length);
    expect((await attempts(policy, always)).times).toEqual(times);
  });

  it('a number is the number of attempts', async () => {
    expect((await attempts(2, always)).times).toEqual([0, 1_000]);
  });

  it('keeps the run id, tells each failure, and ends in one verdict', async () => {
    const { scheduler, recorder } = await attempts({ maxAttempts: 5, delay: 10 }, (attempt) => (attempt < 3 ? new Error(`no ${attempt}`) : undefined));
    expect(new Set(recorder.of('jobStarted').map((event) => event.runId))).toEqual(new Set([`x@${ms(1)}`]));
    expect(recorder.of('jobRetry')).toMatchObject([
      { attempt: 1, retryAt: ms(1) + 10, error: { message: 'no 1' } },
      { attempt: 2, error: { message: 'no 2' } },
    ]);
    expect(recorder.of('jobError')).toEqual([]);
    expect(recorder.of('jobExecuted')).toMatchObject([{ attempt: 3 }]);
    expect(await scheduler.getRuns({ jobId: 'x' })).toMatchObject([{ verdict: 'succeeded', attempt: 3 }]);
  });

  it('retryIf decides by error and attempt; one that throws means no', async () => {
    const seen: unknown[] = [];
    const wanted = await attempts(
      { maxAttempts: 9, delay: 1, retryIf: (error, attempt) => { seen.push([(error as Error).message, attempt]); return attempt < 2; } },
      always,
    );
    expect(wanted.times).toHaveLength(2);
    expect(seen).toEqual([['no use', 1], ['no use', 2]]);
    const broken = await attempts({ maxAttempts: 9, delay: 1, retryIf: () => { throw new Error('broken'); } }, always);
    expect(broken.times).toHaveLength(1);
    expect(broken.logger.messages('error').join()).toContain('retryIf threw');
    expect(broken.recorder.of('jobError')).toMatchObject([{ error: { message: 'no use' } }]);
  });

  it('retryIf: null of a job asks nobody, even if its task has one', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const ref = scheduler.defineTask('t', () => { throw new Error('no'); }, { retry: { maxAttempts: 3, delay: 1, retryIf: () => false } });
    await scheduler.addJob(ref, new Date(ms(1)), { id: 'own', retry: { retryIf: null } });
    await scheduler.addJob(ref, new Date(ms(1)), { id: 'inherited' });
    await scheduler.start();
    await clock.advance({ minutes: 1 });
    expect(recorder.of('jobError').map((event) => [event.jobId, event.attempt]).sort()).toEqual([['inherited', 1], ['own', 3]]);
  });

  it('delays no fire time', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => { if (currentRun().scheduledFor.getTime() === ms(10)) throw new Error('no'); }, every(10), { id: 'x', retry: { maxAttempts: 2, delay: { seconds: 25 } } });
    await scheduler.start();
    await clock.advance({ seconds: 40 });
    expect(recorder.of('jobStarted').map((event) => [(event.scheduledFor - START_MS) / SECOND, event.attempt, (event.at - START_MS) / SECOND])).toEqual([
      [10, 1, 10],
      [20, 1, 20],
      [30, 1, 30],
      [10, 2, 35],
      [40, 1, 40],
    ]);
  });
});

describe('timeout', () => {
  it('fires the signal; the run has failed', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ hours: 1 }, currentRun().signal), every(60), { id: 'x', timeout: { seconds: 5 } });
    await scheduler.start();
    await clock.advance({ seconds: 65 });
    expect(recorder.of('jobTimeout')).toMatchObject([{ jobId: 'x', timeoutMs: 5_000, at: ms(65) }]);
    expect(recorder.of('jobError')).toMatchObject([{ error: { code: 'JOB_TIMEOUT' }, durationMs: 5_000 }]);
    expect(await scheduler.getRuns()).toMatchObject([{ verdict: 'failed', reason: 'timeout' }]);
  });

  it('is tried again like any failure', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => (currentRun().attempt === 1 ? clock.sleep({ hours: 1 }, currentRun().signal) : undefined), every(600), { timeout: SECOND, retry: { maxAttempts: 2, delay: SECOND } });
    await scheduler.start();
    await clock.advance({ seconds: 602 });
    expect(recorder.of('jobExecuted')).toMatchObject([{ attempt: 2 }]);
  });

  it('a task that does not listen keeps its slot until it ends, and has failed', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 12 }), every(10), { id: 'x', timeout: SECOND, maxRuns: 1 });
    await scheduler.start();
    await clock.advance({ seconds: 21 });
    expect(recorder.of('jobError')).toEqual([]);
    await clock.advance({ seconds: 2 });
    expect(recorder.of('jobError')).toMatchObject([{ error: { code: 'JOB_TIMEOUT' } }]);
  });

  it('leaves no timer behind when the task is in time', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.addJob(noop, new Date(ms(1)), { timeout: HOUR });
    await scheduler.start();
    await clock.advance({ seconds: 2 });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('maxRuns, startTime and endTime', () => {
  it('maxRuns completes the job after so many scheduled runs; skipped fire times are none', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(() => clock.sleep({ seconds: 15 }), every(10), { id: 'x', maxRuns: 2 });
    await scheduler.start();
    await clock.advance({ minutes: 5 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([10, 30]);
    expect(recorder.of('jobCompleted')).toMatchObject([{ jobId: 'x', reason: 'max-runs', runCount: 2, at: ms(45) }]);
    expect(recorder.of('jobRemoved')).toMatchObject([{ jobId: 'x', reason: 'completed' }]);
    expect(await scheduler.getJob('x')).toBeUndefined();
    expect(clock.pendingTimers).toBe(0);
  });

  it('maxRuns holds for a catch-up too', async () => {
    const { recorder } = await afterDowntime({ coalesce: 'all', maxRuns: 3 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([20, 30]);
  });

  it('bounds are inclusive', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.addJob(noop, new CronTrigger('*/10 * * * * *'), { id: 'x', startTime: new Date(ms(20)), endTime: new Date(ms(40)) });
    await scheduler.start();
    await clock.advance({ minutes: 5 });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([20, 30, 40]);
    expect(recorder.of('jobCompleted')).toMatchObject([{ reason: 'exhausted', runCount: 3 }]);
  });

  it('nothing fires beyond endTime after a downtime', async () => {
    const { recorder } = await afterDowntime({ endTime: new Date(ms(40)) });
    expect(offsets(recorder.of('jobExecuted'))).toEqual([40]);
    expect(recorder.of('jobCompleted')).toHaveLength(1);
  });
});

describe('priority', () => {
  it('of what is due together, higher numbers start first', async () => {
    const { clock, scheduler, recorder } = makeWorld({ batchSize: 2 });
    for (const [id, priority] of [['low', -1], ['high', 10], ['mid', 5], ['none', undefined]] as const) {
      await scheduler.addJob(noop, new Date(ms(1)), { id, priority });
    }
    await scheduler.start();
    await clock.advance({ seconds: 1 });
    expect(recorder.of('jobStarted').map((event) => event.jobId)).toEqual(['high', 'mid', 'none', 'low']);
  });
});

describe('an interval from completion', () => {
  it('pauses that long between the end of one run and the start of the next', async () => {
    const { clock, scheduler, seconds } = makeWorld();
    const starts: number[] = [];
    await scheduler.addJob(
      async () => {
        starts.push(seconds());
        await clock.sleep({ seconds: 7 });
      },
      new IntervalTrigger({ seconds: 10 }, { from: 'completion' }),
      { id: 'x' },
    );
    await scheduler.start();
    await clock.advance({ seconds: 30 });
    expect((await scheduler.getJob('x'))?.nextRunTime).toBeNull();
    await clock.advance({ seconds: 60 });
    expect(starts).toEqual([10, 27, 44, 61, 78]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('counts from the last attempt', async () => {
    const { clock, scheduler, recorder, seconds } = makeWorld();
    const starts: number[] = [];
    await scheduler.addJob(
      () => {
        starts.push(seconds());
        if (starts.length === 1) throw new Error('no');
      },
      new IntervalTrigger({ seconds: 10 }, { from: 'completion' }),
      { id: 'x', retry: { maxAttempts: 2, delay: 3 * SECOND } },
    );
    await scheduler.start();
    await clock.advance({ seconds: 24 });
    expect(starts).toEqual([10, 13, 23]);
    expect(recorder.of('jobRetry')).toHaveLength(1);
  });
});

describe('currentRun()', () => {
  it('tells a task about its run', async () => {
    const { clock, scheduler } = makeWorld();
    const seen: unknown[] = [];
    await scheduler.addJob(
      function report() {
        const { jobId, jobName, runId, task, scheduledFor, startedAt, attempt, isCatchUp, isManual, nextRunTime, tags, metadata, signal } = currentRun();
        seen.push({ jobId, jobName, runId, task, scheduledFor, startedAt, attempt, isCatchUp, isManual, nextRunTime, tags, metadata, aborted: signal.aborted });
      },
      every(60),
      { id: 'x', name: 'The X', tags: ['t'], metadata: { a: 1 } },
    );
    await scheduler.start();
    await clock.advance({ minutes: 1 });
    expect(seen).toEqual([
      {
        jobId: 'x',
        jobName: 'The X',
        runId: `x@${ms(60)}`,
        task: 'report',
        scheduledFor: new Date(ms(60)),
        startedAt: new Date(ms(60)),
        attempt: 1,
        isCatchUp: false,
        isManual: false,
        nextRunTime: new Date(ms(120)),
        tags: ['t'],
        metadata: { a: 1 },
        aborted: false,
      },
    ]);
  });

  it('is there after each await and in all that the task calls, apart for runs that overlap', async () => {
    const { clock, scheduler } = makeWorld();
    const seen: string[] = [];
    const deep = async (): Promise<void> => {
      await clock.sleep({ seconds: 15 });
      await Promise.resolve();
      seen.push(currentRun().runId);
    };
    await scheduler.addJob(async () => { await deep(); }, every(10), { id: 'x', overlap: 'allow', maxRuns: 2 });
    await scheduler.start();
    await clock.advance({ minutes: 1 });
    expect(seen).toEqual([`x@${ms(10)}`, `x@${ms(20)}`]);
  });

  it('is refused outside a run', () => {
    expect(() => currentRun()).toThrow(expect.objectContaining({ code: 'INVALID_STATE', message: expect.stringContaining('outside a run') as unknown }) as Error);
  });

  it('has a logger that adds the ids, and lets no failure of the logger out', async () => {
    const { clock, scheduler, logger, recorder } = makeWorld();
    await scheduler.addJob(() => { currentRun().logger.info('done', { rows: 3 }); }, every(10), { id: 'x', maxRuns: 1 });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(logger.lines).toContainEqual({ level: 'info', message: 'done', fields: { jobId: 'x', runId: `x@${ms(10)}`, attempt: 1, rows: 3 } });
    const fail = (): never => { throw new Error('disk full'); };
    const other = makeWorld({ logger: { debug: fail, info: fail, warn: fail, error: fail } });
    await other.scheduler.addJob(() => { currentRun().logger.error('x'); }, every(10), { maxRuns: 1 });
    await other.scheduler.start();
    await other.clock.advance({ seconds: 10 });
    expect(other.recorder.of('jobExecuted')).toHaveLength(1);
    expect(recorder.of('jobError')).toEqual([]);
  });
});
