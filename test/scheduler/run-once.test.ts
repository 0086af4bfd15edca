import { currentRun, InvalidOptionError, IntervalTrigger, JobAbortedError, MemoryJobStore, RunNotSucceededError } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { failure, makeWorld, SECOND, START, START_MS } from './support/world.js';

/** Two nodes on one durable store. */
function twoNodes(): { clock: VirtualClock; store: JsonJobStore; a: ReturnType<typeof makeWorld>; b: ReturnType<typeof makeWorld> } {
  const clock = new VirtualClock(START);
  const store = new JsonJobStore({ shared: true });
  const options = { clock, jobStores: { default: store } };
  return { clock, store, a: makeWorld({ ...options, node: 'node-a' }), b: makeWorld({ ...options, node: 'node-b' }) };
}

describe('enqueue', () => {
  it('runs a task once, at once, after a delay or at an instant, and answers its result', async () => {
    const { clock, scheduler, seconds } = makeWorld();
    const add = scheduler.defineTask('add', (x: number, y: number) => [x + y, seconds()]);
    await scheduler.start();
    const now = await scheduler.enqueue(add, { args: [1, 2] });
    const delayed = await scheduler.enqueue(add, { args: [3, 4], delay: { seconds: 5 } });
    const later = await scheduler.enqueue(add, { args: [5, 6], at: new Date(START_MS + 8 * SECOND) });
    const past = await scheduler.enqueue(() => 'a bare function', { at: new Date(0) });
    await clock.advance({ seconds: 10 });
    expect(await now.result()).toEqual([3, 0]);
    expect(await delayed.result()).toEqual([7, 5]);
    expect(await later.result()).toEqual([11, 8]);
    expect(await past.result()).toBe('a bare function');
    expect(await scheduler.getJobs()).toEqual([]);
    expect((await scheduler.getRuns()).map(({ verdict }) => verdict)).toEqual(['succeeded', 'succeeded', 'succeeded', 'succeeded']);
  });

  it('retries, and answers the last error', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    let attempts = 0;
    const run = await scheduler.enqueue(
      () => {
        attempts += 1;
        throw new TypeError(`attempt ${attempts}`);
      },
      { retry: { maxAttempts: 3, delay: SECOND }, priority: 5 },
    );
    const error = failure(run.result());
    await clock.advance({ minutes: 1 });
    expect(await error).toMatchObject({ name: 'TypeError', message: 'attempt 3' });
  });

  it('happens once for an id: while it waits, while it runs, and once it is history', async () => {
    const { clock, a, b } = twoNodes();
    const runs: string[] = [];
    for (const { scheduler } of [a, b]) {
      scheduler.defineTask('charge', async (what: string) => {
        runs.push(what);
        await clock.sleep(SECOND);
        return `charged ${what}`;
      });
      scheduler.defineTask('other', () => undefined);
      await scheduler.start();
    }
    const enqueue = (world: typeof a, what: string) => world.scheduler.enqueue('charge', { id: 'order-1', args: [what], delay: 2 * SECOND });
    const first = await enqueue(a, 'first');
    const waiting = await enqueue(b, 'second');
    expect(waiting.runId).toBe(first.runId);
    await clock.advance(2 * SECOND + 100);
    const running = await enqueue(b, 'third');
    expect(running.runId).toBe(first.runId);
    await clock.advance(5 * SECOND);
    const over = await enqueue(a, 'fourth');
    expect(over.runId).toBe(first.runId);
    await clock.advance(5 * SECOND);
    expect(await Promise.all([first, waiting, running, over].map((run) => run.result()))).toEqual(Array(4).fill('charged first'));
    expect(runs).toEqual(['first']);
    await a.scheduler.addJob('other', new IntervalTrigger({ hours: 1 }), { id: 'hourly' });
    expect(await failure(a.scheduler.enqueue('other', { id: 'hourly' }))).toMatchObject({ code: 'CONFLICTING_JOB_ID', message: expect.stringContaining('or is for another task. Give another id.') });
    expect(await failure(a.scheduler.enqueue('charge', { id: 'hourly', args: ['x'] }))).toMatchObject({ code: 'CONFLICTING_JOB_ID' });
  });

  it.each([
    ['at once', {}],
    ['after a delay', { delay: 2 * SECOND }],
    ['much later', { delay: 60 * SECOND }],
  ])('happens once when another process adds, runs and finishes it between the look into the history and the insert (%s)', async (_, when) => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore({ shared: true });
    let heldBackMs = 0;
    const slow = new Proxy(store, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]): Promise<unknown> => {
          if (key === 'insert') await clock.sleep(heldBackMs);
          return (value as (...args: unknown[]) => unknown).apply(target, args);
        };
      },
    });
    const a = makeWorld({ clock, node: 'node-a', jobStores: { default: slow } });
    const b = makeWorld({ clock, node: 'node-b', jobStores: { default: store } });
    const ran: string[] = [];
    for (const { scheduler } of [a, b]) {
      scheduler.defineTask('charge', (by: string) => { ran.push(by); return by; });
      await scheduler.start();
    }
    heldBackMs = 4 * SECOND;
    const late = a.scheduler.enqueue('charge', { ...when, id: 'order-1', args: ['a'] });
    await clock.advance(SECOND);
    const early = await b.scheduler.enqueue('charge', { id: 'order-1', args: ['b'] });
    await clock.advance(5 * SECOND);
    const again = await late;
    await clock.advance(120 * SECOND);
    expect(ran).toEqual(['b']);
    expect(again.runId).toBe(early.runId);
    expect(await again.result()).toBe('b');
    expect(await a.scheduler.getJobs()).toEqual([]);
    expect(a.recorder.of('jobAdded')).toEqual([]);
    expect((await a.scheduler.verifyLedger()).ok).toBe(true);
  });

  it.each([
    ['in memory', 0, () => new MemoryJobStore()],
    ['in memory, later', 1, () => new MemoryJobStore()],
    ['in a durable store', 0, () => new JsonJobStore()],
    ['in a durable store, later', 1, () => new JsonJobStore()],
    ['in a shared store, later', 1, () => new JsonJobStore({ shared: true })],
  ])('happens once, and is answered to both, wherever two calls in one process meet, %s', async (_, delay, makeStore) => {
    for (let turns = 0; turns < 50; turns++) {
      const { clock, scheduler } = makeWorld({ jobStores: { default: makeStore() } });
      let ran = 0;
      scheduler.defineTask('charge', () => (ran += 1), { resultTtl: { hours: 1 } });
      await scheduler.start();
      const first = scheduler.enqueue('charge', { id: 'order-1' });
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const second = scheduler.enqueue('charge', { id: 'order-1', delay });
      const results: unknown[] = [];
      for (const call of [first, second]) void call.then(async (run) => results.push(await run.result()));
      await clock.advance({ minutes: 1 });
      expect([ran, results], `${turns} turns of the queue between them`).toEqual([1, [1, 1]]);
      await scheduler.shutdown();
    }
  });

  it('answers to both what it came to where the history keeps no results', async () => {
    const { clock, scheduler } = makeWorld();
    scheduler.defineTask('charge', () => 'charged');
    await scheduler.start();
    const runs = await Promise.all([1, 2, 3].map(() => scheduler.enqueue('charge', { id: 'order-1' })));
    const results = Promise.all(runs.map((run) => run.result()));
    await clock.advance({ minutes: 1 });
    await scheduler.shutdown();
    expect(await results).toEqual(['charged', 'charged', 'charged']);
  });

  it('answers the run that was in the way of another call and has ended, and its job with it, before that could look at it', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore({ shared: true });
    let looks = 0;
    const slow = new Proxy(store, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]): Promise<unknown> => {
          // The first look finds that the id is taken; the next one is for the run.
          if (key === 'get' && ++looks === 2) await clock.sleep(5 * SECOND);
          return (value as (...args: unknown[]) => unknown).apply(target, args);
        };
      },
    });
    const a = makeWorld({ clock, node: 'node-a', jobStores: { default: store } });
    const b = makeWorld({ clock, node: 'node-b', jobStores: { default: slow } });
    const ran: string[] = [];
    for (const { scheduler } of [a, b]) {
      scheduler.defineTask('charge', async (by: string) => {
        ran.push(by);
        await clock.sleep(SECOND);
        return by;
      });
    }
    await a.scheduler.start();
    const early = await a.scheduler.enqueue('charge', { id: 'order-1', args: ['a'] });
    await clock.advance(100);
    const late = b.scheduler.enqueue('charge', { id: 'order-1', args: ['b'] });
    await clock.advance(20 * SECOND);
    const again = await late;
    expect(looks).toBeGreaterThan(1);
    expect(again.runId).toBe(early.runId);
    expect(await again.result()).toBe('a');
    expect(ran).toEqual(['a']);
  });

  it('runs what it has added although the history cannot be asked once more, and begins no later for that question', async () => {
    const clock = new VirtualClock(START);
    let asked = 0;
    let isBroken = true;
    const memory = new JsonJobStore({ shared: true });
    const store = new Proxy(memory, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value === 'function') return (value as (...args: unknown[]) => unknown).bind(target);
        if (key !== 'ledger') return value;
        const ledger = {
          list: (query: Parameters<JsonJobStore['ledger']['list']>[0]) => {
            asked += 1;
            if (asked === 2 && isBroken) throw new Error('away');
            return target.ledger.list(query);
          },
          prunedThrough: (id: string) => target.ledger.prunedThrough(id),
        };
        return ledger;
      },
    });
    const { scheduler, seconds } = makeWorld({ clock, jobStores: { default: store } });
    const ran: number[] = [];
    scheduler.defineTask('work', () => { ran.push(seconds()); });
    await scheduler.start();
    expect(await failure(scheduler.enqueue('work', { id: 'x' }))).toMatchObject({ code: 'STORE_FAILED' });
    await clock.advance(60 * SECOND);
    expect(ran).toEqual([10]);
    isBroken = false;
    await scheduler.enqueue('work', { id: 'y' });
    await clock.advance(1);
    expect(ran).toEqual([10, 60]);
  });

  it('rejects when the run never comes, because its job was removed or has another schedule', async () => {
    const { clock, scheduler } = makeWorld();
    scheduler.defineTask('work', () => 'done');
    await scheduler.start();
    const enqueue = (id: string) => scheduler.enqueue('work', { id, delay: { minutes: 5 } });
    const runs = [await enqueue('removed'), await enqueue('moved'), await enqueue('replaced'), await enqueue('paused'), await enqueue('with-all')];
    const ends = runs.map(({ result }) => result().catch((error: unknown) => error));
    await scheduler.removeJob('removed');
    await scheduler.rescheduleJob('moved', new Date(START_MS + 9 * SECOND));
    await scheduler.addJob('work', new Date(START_MS + 9 * SECOND), { id: 'replaced', replaceExisting: true });
    await scheduler.pauseJob('paused');
    await scheduler.resumeJob('paused');
    await clock.advance({ minutes: 6 });
    const last = await scheduler.enqueue('work', { id: 'last', delay: { minutes: 5 }, dependsOn: [await scheduler.enqueue('work', { delay: { minutes: 9 } })] });
    ends.push(last.result().catch((error: unknown) => error));
    await scheduler.removeAllJobs();
    expect(await Promise.all(ends)).toEqual([
      expect.objectContaining({ code: 'RUN_NOT_SUCCEEDED', runId: runs[0]?.runId, verdict: 'cancelled', reason: 'removed' }),
      expect.objectContaining({ code: 'RUN_NOT_SUCCEEDED', verdict: 'cancelled', reason: 'rescheduled' }),
      expect.objectContaining({ code: 'RUN_NOT_SUCCEEDED', verdict: 'cancelled', reason: 'rescheduled' }),
      'done',
      'done',
      expect.objectContaining({ code: 'RUN_NOT_SUCCEEDED', verdict: 'cancelled', reason: 'removed' }),
    ]);
    await scheduler.shutdown();
  });

  it('rejects when another node has removed the job, and goes on waiting while it is there', async () => {
    const { clock, a, b } = twoNodes();
    for (const { scheduler } of [a, b]) {
      scheduler.defineTask('work', () => 'done');
      await scheduler.start();
    }
    const [soon, later, kept] = [
      await a.scheduler.enqueue('work', { id: 'soon', delay: { minutes: 5 } }),
      await a.scheduler.enqueue('work', { id: 'later', delay: { minutes: 5 } }),
      await b.scheduler.enqueue('work', { id: 'kept', delay: { minutes: 5 } }),
    ];
    const ends = [soon, later, kept].map(({ result }) => result().catch((error: unknown) => error));
    await b.scheduler.removeJob('soon');
    await clock.advance({ minutes: 1 });
    await b.scheduler.removeJob('later');
    await clock.advance({ minutes: 2 });
    expect(await Promise.all(ends.slice(0, 2))).toEqual([
      expect.objectContaining({ code: 'RUN_NOT_SUCCEEDED', runId: soon.runId, verdict: 'unknown', reason: null }),
      expect.objectContaining({ code: 'RUN_NOT_SUCCEEDED', runId: later.runId, verdict: 'unknown', reason: null }),
    ]);
    await clock.advance({ minutes: 3 });
    expect(await ends[2]).toBe('done');
    await Promise.all([a.scheduler.shutdown(), b.scheduler.shutdown()]);
  });

  it('rejects with the verdict of the history when the fire time was passed over', async () => {
    const { clock, scheduler } = makeWorld();
    scheduler.defineTask('work', () => clock.sleep({ minutes: 2 }));
    await scheduler.start();
    const enqueue = (id: string, options = {}) => scheduler.enqueue('work', { id, delay: { minutes: 5 }, ...options });
    const runs = [await enqueue('late', { misfireGraceTime: SECOND }), await enqueue('paused'), await enqueue('overdue'), await enqueue('moved'), await enqueue('busy')];
    const ends = runs.map(({ result }) => result().catch((error: unknown) => error));
    await scheduler.pauseJob('paused');
    await clock.advance({ minutes: 4 });
    await scheduler.runJob('busy');
    await clock.advance({ seconds: 30 });
    await scheduler.pause();
    await clock.advance({ minutes: 1 });
    await scheduler.removeJob('overdue');
    await scheduler.rescheduleJob('moved', new Date(START_MS + 3_600 * SECOND));
    await scheduler.resume();
    await scheduler.resumeJob('paused');
    await clock.advance({ minutes: 10 });
    const history = (await scheduler.getRuns()).filter(({ verdict }) => verdict !== 'succeeded');
    const told = runs.map(({ jobId }) => history.filter((line) => line.jobId === jobId).map(({ verdict, reason }) => [verdict, reason]));
    expect(told).toEqual([[['missed', 'misfire-grace']], [['skipped', 'paused']], [['skipped', 'removed']], [['skipped', 'rescheduled']], [['skipped', 'max-instances']]]);
    await scheduler.shutdown();
    expect((await Promise.all(ends)).map((error) => [[(error as RunNotSucceededError).verdict, (error as RunNotSucceededError).reason]])).toEqual(told);
  });

  it('rejects with the verdict that another node gave a fire time', async () => {
    const { clock, a, b } = twoNodes();
    for (const { scheduler } of [a, b]) scheduler.defineTask('work', () => 'done');
    await b.scheduler.start();
    const run = await a.scheduler.enqueue('work', { id: 'paused', delay: { seconds: 10 } });
    const end = failure(run.result());
    await b.scheduler.pauseJob('paused');
    await clock.advance({ minutes: 1 });
    await b.scheduler.resumeJob('paused');
    await clock.advance({ minutes: 1 });
    await a.scheduler.shutdown();
    expect(await end).toMatchObject({ code: 'RUN_NOT_SUCCEEDED', verdict: 'skipped', reason: 'paused' });
  });

  it('answers the result of a run that another node had, as the history keeps it', async () => {
    const { clock, a, b } = twoNodes();
    b.scheduler.defineTask('abroad', () => ({ at: new Date(0), node: currentRun().runId.split('@')[0] }));
    b.scheduler.defineTask('fails', () => { throw new RangeError('abroad'); });
    // Known to this node, and not to be run by it.
    const ref = { abroad: a.scheduler.defineTask('abroad', () => 'here'), fails: a.scheduler.defineTask('fails', () => 'here') };
    await b.scheduler.start();
    const run = await a.scheduler.enqueue(ref.abroad, { id: 'x' });
    const fails = failure((await a.scheduler.enqueue(ref.fails)).result());
    await clock.advance({ seconds: 40 });
    expect(await run.result()).toEqual({ at: new Date(0), node: 'x' });
    expect(await fails).toMatchObject({ name: 'RangeError', message: 'abroad' });
  });

  it('refuses what makes no sense, and adds nothing then', async () => {
    const { scheduler } = makeWorld();
    const task = (): void => undefined;
    const wrong: [object, string][] = [
      [{ delay: 1, at: new Date() }, 'delay'],
      [{ delay: -1 }, 'delay'],
      [{ at: 'tomorrow' }, 'at'],
      [{ paused: true }, 'paused'],
      [{ maxRuns: 3 }, 'maxRuns'],
      [{ replaceExisting: true }, 'replaceExisting'],
      [{ id: '' }, 'id'],
      [{ wait: 5 }, 'wait'],
    ];
    const misspelt = await failure(scheduler.enqueue(task, { dely: 5 } as never));
    expect(misspelt.message).toContain('did you mean `delay`');
    expect(misspelt.message).not.toContain('replaceExisting');
    for (const [options, name] of wrong) {
      const error = await failure(scheduler.enqueue(task, options));
      expect(error.message).toContain(`\`${name}\``);
    }
    expect(await failure(scheduler.enqueue(task, { delay: 1, at: new Date() }))).toBeInstanceOf(InvalidOptionError);
    expect(await scheduler.getJobs()).toEqual([]);
  });
});

describe('cancelRun', () => {
  it('stops a run that goes on, on this node', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    await scheduler.start();
    let reason: unknown;
    const run = await scheduler.enqueue(async () => {
      const { signal } = currentRun();
      signal.addEventListener('abort', () => { ({ reason } = signal); });
      await clock.sleep({ hours: 1 }, signal);
    });
    const result = failure(run.result());
    await clock.advance(SECOND);
    expect(await scheduler.cancelRun(run.runId, { reason: 'no longer wanted' })).toBe(true);
    await clock.advance(1);
    expect(reason).toBeInstanceOf(JobAbortedError);
    expect(reason).toMatchObject({ reason: 'no longer wanted' });
    const error = await result;
    expect(error).toBeInstanceOf(RunNotSucceededError);
    expect(error).toMatchObject({ runId: run.runId, verdict: 'cancelled', reason: 'no longer wanted' });
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ verdict: 'cancelled', reason: 'no longer wanted' });
    expect(recorder.of('jobCancelled')).toMatchObject([{ runId: run.runId, reason: 'no longer wanted' }]);
    expect(await scheduler.getRuns()).toMatchObject([{ verdict: 'cancelled', reason: 'no longer wanted' }]);
    expect(await scheduler.cancelRun(run.runId)).toBe(false);
  });

  it('keeps a run that waits from beginning, and lets its job go on', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    const ran: number[] = [];
    const job = await scheduler.addJob(() => { ran.push(currentRun().attempt); throw new Error('again'); }, new IntervalTrigger({ seconds: 10 }), {
      id: 'job',
      retry: { maxAttempts: 5, delay: { seconds: 3 }, backoff: 'fixed' },
    });
    await clock.advance(11 * SECOND);
    const [live] = (await job.refresh())!.runs;
    expect(live).toMatchObject({ state: 'retrying' });
    expect(await scheduler.cancelRun(live!.runId)).toBe(true);
    await clock.advance(8 * SECOND);
    expect(ran).toEqual([1]);
    expect(await scheduler.getRuns()).toMatchObject([{ verdict: 'cancelled', reason: 'cancelled', attempt: 1 }]);
    await clock.advance(2 * SECOND);
    expect(ran).toEqual([1, 1]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('calls off the fire time that comes next, and only that', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    const ran: number[] = [];
    await scheduler.addJob(() => { ran.push(currentRun().scheduledFor.getTime() - START_MS); }, new IntervalTrigger({ seconds: 10 }), { id: 'job', maxRuns: 2 });
    expect(await scheduler.cancelRun(`job@${START_MS + 20 * SECOND}`), 'two ahead').toBe(false);
    expect(await scheduler.cancelRun(`job@${START_MS + 10 * SECOND}`, { reason: 'a holiday' })).toBe(true);
    expect(await scheduler.nextRunTimes('job')).toEqual([new Date(START_MS + 20 * SECOND)]);
    const completion = await scheduler.addJob(() => undefined, new IntervalTrigger({ seconds: 7 }, { from: 'completion' }), { id: 'after' });
    await clock.advance(SECOND);
    expect(await scheduler.cancelRun(`after@${Number(completion.nextRunTime)}`)).toBe(true);
    expect(await scheduler.nextRunTimes('after')).toEqual([new Date(START_MS + 8 * SECOND)]);
    await clock.advance({ minutes: 1 });
    expect(ran).toEqual([20 * SECOND, 30 * SECOND]);
    expect(await scheduler.getRuns({ jobId: 'job' })).toMatchObject([{ verdict: 'cancelled', reason: 'a holiday' }, { verdict: 'succeeded' }, { verdict: 'succeeded' }]);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
  });

  it('calls off work that was just enqueued', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    let ran = false;
    const run = await scheduler.enqueue(() => { ran = true; }, { delay: SECOND });
    expect(await scheduler.cancelRun(run.runId)).toBe(true);
    expect(await failure(run.result())).toBeInstanceOf(RunNotSucceededError);
    await clock.advance({ minutes: 1 });
    expect(ran).toBe(false);
    expect(await scheduler.getJobs()).toEqual([]);
  });

  it('calls off work that was enqueued for later, by removing its job', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    const run = await scheduler.enqueue(() => 'ran', { delay: SECOND });
    const result = failure(run.result());
    await scheduler.removeJob(run.jobId);
    await clock.advance({ minutes: 1 });
    expect(await scheduler.getRuns({ verdict: 'succeeded' })).toEqual([]);
    await scheduler.shutdown();
    expect(await result).toBeInstanceOf(Error);
  });

  it('reaches the node that has the run long before a lease is renewed', async () => {
    const { clock, a, b } = twoNodes();
    const aborted: number[] = [];
    b.scheduler.defineTask('work', async () => {
      const { signal } = currentRun();
      signal.addEventListener('abort', () => aborted.push(clock.now()));
      await clock.sleep({ hours: 1 }, signal);
    });
    a.scheduler.defineTask('none', () => undefined);
    await b.scheduler.start();
    await a.scheduler.start();
    await b.scheduler.addJob('work', new Date(START_MS + SECOND), { id: 'job' });
    await clock.advance(1_200);
    const asked = clock.now();
    expect(await a.scheduler.cancelRun(`job@${START_MS + SECOND}`, { reason: 'from afar' })).toBe(true);
    expect(await a.scheduler.cancelRun(`job@${START_MS + SECOND}`), 'it is asked already').toBe(false);
    await clock.advance(10 * SECOND);
    expect(aborted).toHaveLength(1);
    expect(aborted[0]! - asked).toBeLessThan(1_000);
    expect(await a.scheduler.getRuns()).toMatchObject([{ verdict: 'cancelled', reason: 'from afar', node: 'node-b' }]);
  });

  it('finds a run of a job that was removed, and refuses what is no id of a run', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    await scheduler.addJob(() => clock.sleep({ hours: 1 }, currentRun().signal), new IntervalTrigger({ seconds: 10 }), { id: 'a@b#c' });
    await clock.advance(10 * SECOND);
    await scheduler.removeJob('a@b#c');
    expect(await scheduler.cancelRun(`a@b#c@${START_MS + 10 * SECOND}`)).toBe(true);
    await clock.advance(1);
    expect(await scheduler.getRuns({ verdict: 'cancelled' })).toHaveLength(1);
    expect(await scheduler.cancelRun('nobody@1')).toBe(false);
    for (const id of ['a@b#c', '', 7]) expect(await failure(scheduler.cancelRun(id as string))).toBeInstanceOf(InvalidOptionError);
    expect(await failure(scheduler.cancelRun('a@1', { jobStore: 'elsewhere' }))).toMatchObject({ code: 'UNKNOWN_STORE' });
  });
});

describe('removeJob with cancelRunning', () => {
  it('stops what runs, and without it lets that come to its end', async () => {
    const { clock, scheduler } = makeWorld();
    await scheduler.start();
    for (const id of ['stopped', 'left']) {
      await scheduler.addJob(() => clock.sleep({ seconds: 30 }, currentRun().signal), new IntervalTrigger({ minutes: 1 }), { id });
    }
    await clock.advance({ seconds: 65 });
    await (await scheduler.getJob('stopped'))!.remove({ cancelRunning: true });
    await scheduler.removeJob('left');
    await clock.advance({ minutes: 5 });
    const ends = await scheduler.getRuns({ verdict: ['succeeded', 'cancelled', 'failed'] });
    expect(ends.map(({ jobId, verdict, reason }) => [jobId, verdict, reason])).toEqual([
      ['stopped', 'cancelled', 'removed'],
      ['left', 'succeeded', null],
    ]);
  });
});

describe('waiting for a run of another node', () => {
  /** Two nodes, of which one runs what the other enqueues, and how often that one has looked into the history. */
  async function asking(): Promise<ReturnType<typeof twoNodes> & { looks: () => number }> {
    const world = twoNodes();
    const { a, b, store } = world;
    const { ledger } = store;
    for (const { scheduler } of [a, b]) scheduler.defineTask('work', () => 'done', { resultTtl: { hours: 3 } });
    await b.scheduler.start();
    let looks = 0;
    const list: typeof ledger.list = (query) => {
      if (query.runId !== undefined) looks += 1;
      return ledger.list(query);
    };
    Object.defineProperty(store, 'ledger', { value: { ...ledger, list } });
    return { ...world, looks: () => looks };
  }

  it('asks the store less and less often, and soon again once somebody wants the result', async () => {
    const { clock, a, looks } = await asking();
    const handle = await a.scheduler.enqueue('work', { delay: { hours: 2 } });
    await clock.advance({ minutes: 1 });
    expect(looks()).toBe(0);
    await clock.advance({ minutes: 59 });
    expect(looks()).toBeLessThan(15);
    const before = looks();
    const result = handle.result();
    await clock.advance({ minutes: 1 });
    expect(looks() - before).toBeGreaterThan(10);
    await clock.advance({ minutes: 58, seconds: 59 });
    expect(looks() - before).toBeLessThan(200);
    let answer: unknown;
    void result.then((value) => { answer = value; });
    await clock.advance({ seconds: 5 });
    expect(answer).toBe('done');
  });

  it('looks no more once the scheduler is shut down', async () => {
    const { clock, a, looks } = await asking();
    const run = await a.scheduler.enqueue('work', { delay: { hours: 2 } });
    const result = failure(run.result());
    await a.scheduler.shutdown();
    expect(await result).toMatchObject({ code: 'SCHEDULER_SHUTDOWN' });
    await clock.advance({ minutes: 10 });
    expect(looks()).toBe(0);
  });
});
