import { describe, expect, it } from 'vitest';
import * as punctual from 'punctual';
import { EVENT_ALL, EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED, EVENT_SCHEDULER_STARTED, EVENT_STORE_HEALTH, IntervalTrigger, isPunctualError, type SchedulerEvent } from 'punctual';
import { EVENT_MASKS } from '../../src/events/masks.js';
import { failure, makeWorld, SECOND, START_MS, type World } from '../scheduler/support/world.js';

const every = (seconds: number): IntervalTrigger => new IntervalTrigger({ seconds });
const noop = (): undefined => undefined;

/** Without the recorder, which would hear everything. */
function quietWorld(options: Parameters<typeof makeWorld>[0] = {}): World {
  const world = makeWorld(options);
  world.scheduler.removeListener(world.recorder.listener);
  return world;
}

describe('events', () => {
  it('of a job with one run come in order, and say what, when, where and who', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    scheduler.defineTask('t', () => 'result');
    await scheduler.addJob({ name: 't' }, every(10), { id: 'x', tags: ['a'], maxRuns: 1 });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    await scheduler.shutdown();
    const at = START_MS + 10 * SECOND;
    const job = { node: 'node-a', jobId: 'x', jobStore: 'default', task: 't', tags: ['a'] };
    const run = { ...job, at, runId: `x@${at}`, scheduledFor: at, attempt: 1, isManual: false, isCatchUp: false };
    expect(recorder.events).toEqual([
      { type: 'jobAdded', at: START_MS, ...job, nextRunTime: at, replaced: false },
      { type: 'schedulerStarted', at: START_MS, node: 'node-a' },
      { type: 'jobSubmitted', ...run, latenessMs: 0 },
      { type: 'jobStarted', ...run },
      { type: 'jobExecuted', ...run, durationMs: 0, result: 'result' },
      { type: 'jobCompleted', at, ...job, reason: 'max-runs', runCount: 1 },
      { type: 'jobRemoved', at, ...job, reason: 'completed' },
      { type: 'schedulerShutdown', at, node: 'node-a', handedBack: 0 },
    ]);
  });

  it('an error comes as plain data and as it was thrown', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const thrown = Object.assign(new TypeError('bad'), { code: 'E_BAD' });
    await scheduler.addJob(() => { throw thrown; }, every(10), { id: 'x', maxRuns: 1 });
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- tasks reject with what they like
    await scheduler.addJob(() => Promise.reject('text'), every(10), { id: 'y', maxRuns: 1 });
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    const errors = new Map(recorder.of('jobError').map((event) => [event.jobId, event]));
    expect(errors.get('x')).toMatchObject({ error: { name: 'TypeError', message: 'bad', code: 'E_BAD', stack: thrown.stack }, cause: thrown });
    expect(errors.get('y')).toMatchObject({ error: { message: 'text', code: null }, cause: 'text' });
  });
});

describe('listeners', () => {
  it('on, once and off', async () => {
    const { clock, scheduler } = quietWorld();
    const heard: string[] = [];
    const always = (): void => { heard.push('on'); };
    const gone = (): void => { heard.push('off'); };
    scheduler.on('jobExecuted', always).once('jobExecuted', () => { heard.push('once'); }).on('jobExecuted', gone).off('jobExecuted', gone);
    await scheduler.addJob(noop, every(10));
    await scheduler.start();
    await clock.advance({ seconds: 20 });
    expect(heard).toEqual(['on', 'once', 'on']);
    scheduler.off('jobExecuted', always);
    await clock.advance({ seconds: 20 });
    expect(heard).toHaveLength(3);
  });

  it('addListener hears what its mask selects, and adding it again replaces the mask', async () => {
    const { clock, scheduler } = quietWorld();
    const heard: string[] = [];
    const listener = (event: SchedulerEvent): void => { heard.push(event.type); };
    scheduler.addListener(listener, EVENT_JOB_EXECUTED | EVENT_SCHEDULER_STARTED | EVENT_JOB_ERROR);
    await scheduler.addJob(noop, every(10));
    await scheduler.start();
    await clock.advance({ seconds: 10 });
    expect(heard).toEqual(['schedulerStarted', 'jobExecuted']);
    scheduler.addListener(listener, EVENT_JOB_EXECUTED);
    await clock.advance({ seconds: 10 });
    expect(heard).toEqual(['schedulerStarted', 'jobExecuted', 'jobExecuted']);
    scheduler.removeListener(listener);
    await clock.advance({ seconds: 10 });
    expect(heard).toHaveLength(3);
  });

  it('the masks are single bits, all different but where one covers two types, and all in EVENT_ALL', () => {
    const exported = Object.entries(punctual).filter((entry): entry is [string, number] => entry[0].startsWith('EVENT_') && typeof entry[1] === 'number' && entry[0] !== 'EVENT_ALL');
    const values = exported.map(([, value]) => value);
    for (const value of values) expect(Math.log2(value) % 1).toBe(0);
    expect(new Set(values).size).toBe(values.length);
    expect(values.reduce((sum, value) => sum | value, 0)).toBe(EVENT_ALL);
    expect(new Set(Object.values(EVENT_MASKS))).toEqual(new Set(values));
    expect([EVENT_SCHEDULER_STARTED, EVENT_JOB_EXECUTED, EVENT_JOB_ERROR, EVENT_JOB_MISSED]).toEqual([1, 4096, 8192, 16384]);
    expect([EVENT_MASKS.storeUnavailable, EVENT_MASKS.storeRecovered]).toEqual([EVENT_STORE_HEALTH, EVENT_STORE_HEALTH]);
  });

  it.each<[string, () => unknown]>([
    ['throws', (): never => { throw new Error('my bug'); }],
    ['rejects', (): Promise<never> => Promise.reject(new Error('my bug'))],
  ])('one that %s is logged; the others hear, and the scheduler goes on', async (_, broken) => {
    const { clock, scheduler, logger } = quietWorld();
    const heard: string[] = [];
    scheduler.on('jobExecuted', broken);
    scheduler.on('jobExecuted', (event) => { heard.push(event.jobId); });
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ seconds: 20 });
    expect(heard).toEqual(['x', 'x']);
    expect(logger.lines).toMatchObject([
      { level: 'error', message: 'a listener for "jobExecuted" failed', fields: { error: { message: 'my bug' }, event: { jobId: 'x' } } },
      { level: 'error' },
    ]);
    expect((await scheduler.verifyLedger()).counts.succeeded).toBe(2);
  });

  it('may call the scheduler', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    scheduler.on('jobExecuted', () => { void scheduler.removeJob('x'); });
    await scheduler.addJob(noop, every(10), { id: 'x' });
    await scheduler.start();
    await clock.advance({ minutes: 1 });
    expect(recorder.of('jobExecuted')).toHaveLength(1);
  });

  it.each(['on', 'once', 'off'] as const)('%s refuses a type there is not, and what is no function', async (method) => {
    const { scheduler } = makeWorld();
    const wrongType = await failure(() => scheduler[method]('jobExecuted ' as 'jobExecuted', noop));
    expect(isPunctualError(wrongType, 'INVALID_OPTION')).toBe(true);
    expect(wrongType.message).toMatch(/`type`.*"jobExecuted "/);
    expect((await failure(() => scheduler[method]('jobExecuted', undefined as never))).message).toMatch(/`listener`.*function/);
  });

  it('addListener refuses a mask that is none', async () => {
    const { scheduler } = makeWorld();
    for (const mask of [0, -1, 1.5, 2 ** 31]) {
      expect((await failure(() => scheduler.addListener(noop, mask))).message).toContain('`mask`');
    }
    expect((await failure(() => scheduler.addListener(7 as never))).message).toMatch(/`callback`.*function/);
  });
});

describe('events(), the async iterator', () => {
  const drain = async (stream: AsyncIterable<SchedulerEvent>): Promise<string[]> => {
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    return types;
  };

  it('delivers what comes, in order, and ends with the shutdown', async () => {
    const { clock, scheduler, recorder } = makeWorld();
    const types = drain(scheduler.events());
    await scheduler.addJob(noop, every(10), { maxRuns: 2 });
    await scheduler.start();
    await clock.advance({ seconds: 30 });
    await scheduler.shutdown();
    expect(await types).toEqual(recorder.types());
    expect((await types).at(-1)).toBe('schedulerShutdown');
  });

  it('delivers only the types that were asked for', async () => {
    const { clock, scheduler } = makeWorld();
    const types = drain(scheduler.events({ types: ['jobExecuted', 'jobAdded'] }));
    await scheduler.addJob(noop, every(10), { maxRuns: 2 });
    await scheduler.start();
    await clock.advance({ seconds: 30 });
    await scheduler.shutdown();
    expect(await types).toEqual(['jobAdded', 'jobExecuted', 'jobExecuted']);
  });

  it('ends when its signal fires, what waits is still delivered', async () => {
    const { scheduler } = makeWorld();
    const abort = new AbortController();
    const stream = scheduler.events({ signal: abort.signal });
    await scheduler.addJob(noop, every(10));
    abort.abort();
    await scheduler.addJob(noop, every(10));
    expect(await drain(stream)).toEqual(['jobAdded']);
    expect(await drain(scheduler.events({ signal: abort.signal }))).toEqual([]);
  });

  it('ends when the loop over it is left', async () => {
    const { scheduler } = makeWorld();
    const stream = scheduler.events();
    await scheduler.addJob(noop, every(10));
    await scheduler.addJob(noop, every(10));
    for await (const event of stream) {
      expect(event.type).toBe('jobAdded');
      break;
    }
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('fails when more wait than its limit, after those have been read', async () => {
    const { scheduler } = makeWorld();
    const stream = scheduler.events({ limit: 2 });
    for (let i = 0; i < 4; i++) await scheduler.addJob(noop, every(10));
    expect((await stream.next()).value).toMatchObject({ type: 'jobAdded' });
    expect((await stream.next()).value).toMatchObject({ type: 'jobAdded' });
    const error = await failure(stream.next());
    expect(isPunctualError(error, 'EVENT_OVERFLOW')).toBe(true);
    expect(error.message).toMatch(/More than 2 events.*`limit`/);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it.each<[object, RegExp]>([
    [{ limit: 0 }, /`limit`.*1 or more/],
    [{ types: ['jobExecutd'] }, /`types`.*"jobExecutd"/],
    [{ types: 'jobExecuted' }, /`types`/],
    [{ signal: {} }, /`signal`.*AbortSignal/],
    [{ type: 'jobError' }, /`type`.*types/],
  ])('refuses %o', async (options, message) => {
    const { scheduler } = makeWorld();
    const error = await failure(() => scheduler.events(options));
    expect(isPunctualError(error, 'INVALID_OPTION')).toBe(true);
    expect(error.message).toMatch(message);
  });

  it('leaves nothing behind on a signal that lives longer', async () => {
    const { scheduler } = makeWorld();
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>): void => { listeners += 1; add(...args); };
    signal.removeEventListener = (...args: Parameters<typeof remove>): void => { listeners -= 1; remove(...args); };
    const stream = scheduler.events({ signal });
    expect(listeners).toBe(1);
    await stream.return?.();
    expect(listeners).toBe(0);
  });
});

describe('trouble that nobody listens for', () => {
  const failing = async (world: World): Promise<void> => {
    await world.scheduler.addJob(() => { throw new Error('no use'); }, every(10), { id: 'x', maxRuns: 1 });
    await world.scheduler.start();
    await world.clock.advance({ seconds: 10 });
  };

  it('is logged', async () => {
    const world = quietWorld();
    await failing(world);
    expect(world.logger.lines).toMatchObject([{ level: 'error', message: 'punctual: jobError', fields: { jobId: 'x', error: { message: 'no use' } } }]);
  });

  it('is not logged when somebody does', async () => {
    const world = quietWorld();
    world.scheduler.on('jobError', noop);
    await failing(world);
    expect(world.logger.lines).toEqual([]);
  });

  it('is logged although somebody listens to, or reads, something else', async () => {
    const world = quietWorld();
    world.scheduler.on('jobExecuted', noop);
    const stream = world.scheduler.events({ types: ['jobExecuted'] });
    const over = world.scheduler.events({ signal: AbortSignal.abort() });
    await failing(world);
    expect(world.logger.messages('error')).toEqual(['punctual: jobError']);
    await Promise.all([stream.return?.(), over.return?.()]);
  });

  it('what is no trouble is not', async () => {
    const { clock, scheduler, logger } = quietWorld();
    await scheduler.addJob(noop, every(10), { maxRuns: 2 });
    await scheduler.start();
    await clock.advance({ minutes: 1 });
    await scheduler.shutdown();
    expect(logger.lines).toEqual([]);
  });

  it('a logger that fails harms nobody', async () => {
    const fail = (): never => { throw new Error('disk full'); };
    const world = quietWorld({ logger: { debug: fail, info: fail, warn: fail, error: fail } });
    await failing(world);
    expect((await world.scheduler.verifyLedger()).counts.failed).toBe(1);
  });

  it('a logger that takes the fields first gets them first', async () => {
    const lines: unknown[][] = [];
    const write = (...args: unknown[]): void => { lines.push(args); };
    const pino = { debug: write, info: write, warn: write, error: write, bindings: () => ({}) };
    await failing(quietWorld({ logger: pino }));
    expect(lines).toMatchObject([[{ jobId: 'x' }, 'punctual: jobError']]);
  });

  it('a logger that is none is refused', async () => {
    const error = await failure(() => new punctual.AsyncScheduler({ logger: { info: noop } as never }));
    expect(error.message).toMatch(/`logger`.*console or pino/);
  });
});

it('an event that a listener for one time hears is not logged as unheard', async () => {
  const { clock, scheduler, logger } = quietWorld();
  await scheduler.addJob(() => { throw new Error('no'); }, every(1));
  scheduler.once('jobError', noop);
  await scheduler.start();
  await clock.advance(SECOND);
  expect(logger.messages('error')).toEqual([]);
  await clock.advance(SECOND);
  expect(logger.messages('error')).toHaveLength(1);
});
