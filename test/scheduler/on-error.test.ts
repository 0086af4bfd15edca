import { AsyncScheduler, AsyncExecutor, currentRun, IntervalTrigger, JobAbortedError, type FailedAttempt } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FaultyStore } from './support/stores.js';
import { end, gate, makeWorld, MemoryLogger, MINUTE, SECOND, START, START_MS } from './support/world.js';

type Told = [error: unknown, attempt: FailedAttempt];

const soon = (): Date => new Date(START_MS + SECOND);

describe('onError', () => {
  it('is told of each failed attempt, by the task and by the scheduler, with the error as it was thrown', async () => {
    const told: [string, ...Told][] = [];
    const thrown: Error[] = [];
    const { scheduler, clock } = makeWorld({ onError: (error, attempt) => { told.push(['scheduler', error, attempt]); } });
    scheduler.defineTask(
      'work',
      (_who: string) => {
        thrown.push(new Error(`attempt ${currentRun().attempt}`));
        throw thrown.at(-1)!;
      },
      { retry: { maxAttempts: 2, delay: { seconds: 5 }, backoff: 'fixed' }, onError: (error, attempt) => { told.push(['task', error, attempt]); } },
    );
    await scheduler.addJob('work', soon(), { id: 'job', name: 'A job', args: ['ada'], tags: ['x'], metadata: { team: 'a' } });
    await scheduler.start();
    await clock.advance(MINUTE);

    expect(told.map(([by, error]) => [by, error])).toEqual([['task', thrown[0]], ['scheduler', thrown[0]], ['task', thrown[1]], ['scheduler', thrown[1]]]);
    expect(told[0]![2]).toEqual({
      jobId: 'job', jobName: 'A job', jobStore: 'default', task: 'work', args: ['ada'], tags: ['x'], metadata: { team: 'a' },
      runId: `job@${START_MS + SECOND}`, scheduledFor: soon(), attempt: 1, startedAt: soon(), durationMs: 0, timedOut: false,
      isManual: false, isCatchUp: false, node: 'node-a', willRetry: true, retryAt: new Date(START_MS + 6 * SECOND),
    });
    expect(told[2]![2]).toMatchObject({ attempt: 2, willRetry: false, retryAt: null, runId: `job@${START_MS + SECOND}` });
    expect(Object.isFrozen(told[0]![2])).toBe(true);
  });

  it('is told of timeouts, of runs by hand and of bare functions, and of nothing that succeeds or is cancelled', async () => {
    const told: Told[] = [];
    const { scheduler, clock } = makeWorld({ onError: (...given) => { told.push(given); } });
    await scheduler.addJob(() => clock.sleep(MINUTE), soon(), { id: 'slow', timeout: { seconds: 2 } });
    await scheduler.addJob(() => undefined, soon(), { id: 'fine' });
    await scheduler.addJob(() => clock.sleep(MINUTE, currentRun().signal), soon(), { id: 'cancelled' });
    await scheduler.addJob(() => { throw new TypeError('by hand'); }, '@yearly', { id: 'manual' });
    await scheduler.start();
    await clock.advance(SECOND);
    await scheduler.cancelRun(`cancelled@${START_MS + SECOND}`);
    await scheduler.runJob('manual');
    await clock.advance(MINUTE);
    expect(told.map(([error, { jobId, timedOut, isManual }]) => [(error as Error).name, jobId, timedOut, isManual])).toEqual([
      ['TypeError', 'manual', false, true],
      ['JobTimeoutError', 'slow', true, false],
    ]);
    expect(told.some(([error]) => error instanceof JobAbortedError)).toBe(false);
  });

  it('is told whatever was thrown', async () => {
    const told: unknown[] = [];
    const { scheduler, clock } = makeWorld({ onError: (error) => { told.push(error); } });
    for (const thrown of [undefined, null, 'text', 7]) {
      await scheduler.addJob(() => Promise.reject(thrown as unknown as Error), soon());
    }
    await scheduler.start();
    await clock.advance(MINUTE);
    expect(told).toHaveLength(4);
    expect(told).toEqual(expect.arrayContaining([undefined, null, 'text', 7]));
  });

  it('harms nothing by what it throws: that is logged, the other is called, and the run is tried again', async () => {
    const told: number[] = [];
    const { scheduler, clock, logger, recorder } = makeWorld({ onError: async (_error, { attempt }) => { told.push(attempt); await Promise.reject(new Error('rejected')); } });
    scheduler.defineTask('work', () => { throw new Error('first'); }, { retry: 2, onError: () => { throw new Error('thrown'); } });
    await scheduler.addJob('work', soon(), { id: 'job' });
    await scheduler.start();
    await clock.advance(MINUTE);
    expect(told).toEqual([1, 2]);
    expect(recorder.of('jobError')).toHaveLength(1);
    const lines = logger.lines.filter(({ message }) => message.startsWith('onError failed'));
    expect(lines.map(({ level, fields }) => [level, fields?.['jobId'], fields?.['attempt'], (fields?.['error'] as Error).message])).toEqual([
      ['error', 'job', 1, 'thrown'], ['error', 'job', 1, 'rejected'], ['error', 'job', 2, 'thrown'], ['error', 'job', 2, 'rejected'],
    ]);
  });

  it('is called after the attempt was recorded, once, also when the answer of the store got lost', async () => {
    const clock = new VirtualClock(START);
    const store = new FaultyStore();
    const told: FailedAttempt[] = [];
    const logger = new MemoryLogger();
    const scheduler = new AsyncScheduler({ clock, logger, timezone: 'UTC', jobStores: { default: store }, onError: (_error, attempt) => { told.push(attempt); } });
    onTestFinished(() => end(scheduler, clock));
    const work = gate();
    await scheduler.addJob(async () => work.promise, soon(), { id: 'job', retry: { maxAttempts: 2, delay: { minutes: 5 } } });
    await scheduler.start();
    await clock.advance(SECOND);
    store.faults.set('commit', 'lose');
    work.fail(new Error('no'));
    await clock.settle();
    expect(told).toEqual([]);
    store.recover();
    await clock.advance(MINUTE);
    expect(told.map(({ attempt, willRetry, retryAt }) => [attempt, willRetry, retryAt !== null])).toEqual([[1, true, true]]);
  });

  it('is waited for by a shutdown', async () => {
    const { scheduler, clock } = makeWorld({ onError: async () => { begun = true; await flushed.promise; } });
    let begun = false;
    const flushed = gate();
    await scheduler.addJob(() => { throw new Error('no'); }, soon());
    await scheduler.start();
    await clock.advance(SECOND);
    expect(begun).toBe(true);
    let isOver = false;
    const stopping = scheduler.shutdown().then(() => { isOver = true; });
    await clock.advance(10 * SECOND);
    expect(isOver).toBe(false);
    flushed.open();
    await clock.settle();
    expect(isOver).toBe(true);
    await stopping;
  });

  it('is waited for no longer than the shutdown has time', async () => {
    const { scheduler, clock, logger } = makeWorld({ onError: () => new Promise(() => undefined) });
    await scheduler.addJob(() => { throw new Error('no'); }, soon());
    await scheduler.start();
    await clock.advance(SECOND);
    let isOver = false;
    void scheduler.shutdown({ timeout: { seconds: 5 } }).then(() => { isOver = true; });
    await clock.advance(10 * SECOND);
    expect(isOver).toBe(true);
    expect(logger.messages('warn')).toContain('onError was still being waited for when the time of the shutdown was up');
  });

  it('is called on the node that ran the task', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const told: string[] = [];
    for (const node of ['a', 'b']) {
      const executors = { default: new AsyncExecutor(), own: new AsyncExecutor({ concurrency: node === 'a' ? 1 : 2 }) };
      const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', node, logger: new MemoryLogger(), executors, jobStores: { default: store }, onError: (_error, attempt) => { told.push(`${node} ${attempt.node} ${attempt.jobId}`); } });
      onTestFinished(() => end(scheduler, clock));
      scheduler.defineTask(`work-${node}`, () => { throw new Error('no'); });
      await scheduler.addJob(`work-${node}`, soon(), { id: `job-${node}` });
      await scheduler.start();
    }
    await clock.advance(MINUTE);
    expect(told.sort()).toEqual(['a a job-a', 'b b job-b']);
  });

  it('is not called for a run whose lease was lost', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const told: Told[] = [];
    const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', node: 'a', logger: new MemoryLogger(), jobStores: { default: store }, onError: (...given) => { told.push(given); } });
    onTestFinished(() => end(scheduler, clock));
    const work = gate();
    scheduler.defineTask('work', async () => work.promise);
    await scheduler.addJob('work', new IntervalTrigger({ minutes: 1 }), { id: 'job' });
    await scheduler.start();
    await clock.advance(MINUTE);
    // Somebody else has taken it over.
    const { record, revision } = (await store.get('job'))!;
    const runs = record.state.runs.map((run) => (run.state === 'running' ? { ...run, owner: 'b', token: run.token + 1 } : run));
    await store.commit([{ id: 'job', expected: revision, next: { ...record, state: { ...record.state, runs, fence: record.state.fence + 1 } }, ledger: [] }]);
    work.fail(new Error('late'));
    await clock.advance(SECOND);
    expect(told).toEqual([]);
  });

  it.each(['no', 5, {}, true])('refuses %j', (onError) => {
    expect(() => new AsyncScheduler({ onError: onError as never })).toThrow('a function (error, attempt) => void');
    expect(() => new AsyncScheduler().defineTask('work', () => undefined, { onError: onError as never })).toThrow('a function (error, attempt) => void');
  });
});
