import { AsyncScheduler, type SchedulerOptions } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { end, HOUR, MemoryLogger, MINUTE, Recorder, SECOND, START, START_MS } from './support/world.js';

interface Node {
  readonly scheduler: AsyncScheduler;
  readonly recorder: Recorder;
  readonly logger: MemoryLogger;
}

function nodeOn(jobStore: JsonJobStore, clock: VirtualClock, node: string | undefined, options: SchedulerOptions = {}): Node {
  const logger = new MemoryLogger();
  const scheduler = new AsyncScheduler({ timezone: 'UTC', logger, clock, node, jobStores: { default: jobStore }, ...options });
  const recorder = new Recorder();
  scheduler.addListener(recorder.listener);
  onTestFinished(() => end(scheduler, clock));
  return { scheduler, recorder, logger };
}

const told = (...nodes: readonly Node[]): number => nodes.reduce((sum, { recorder }) => sum + recorder.of('nodeNameConflict').length, 0);

describe('two living schedulers with one node name', () => {
  it.each([0, 7 * SECOND, HOUR])('are told of, once, within two or three heartbeats, when they start %i ms apart', async (apart) => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const [a, b, c] = [nodeOn(store, clock, 'web'), nodeOn(store, clock, 'web'), nodeOn(store, clock, 'other')];
    await a.scheduler.start();
    await c.scheduler.start();
    await clock.advance(apart);
    await b.scheduler.start();
    await clock.advance(30 * SECOND);
    expect(told(a, b, c)).toBe(0);
    await clock.advance(75 * SECOND);
    expect(told(a, b)).toBeGreaterThanOrEqual(1);
    const [event] = [...a.recorder.of('nodeNameConflict'), ...b.recorder.of('nodeNameConflict')];
    expect(event).toMatchObject({ node: 'web', jobStore: 'default', pid: process.pid });
    expect([START_MS, START_MS + apart]).toContain(event!.startedAt);
    await clock.advance(2 * HOUR);
    expect(told(a)).toBeLessThanOrEqual(1);
    expect(told(b)).toBeLessThanOrEqual(1);
    expect(told(c)).toBe(0);
  });

  it('is an error in the log when nobody listens', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const [a, b] = [nodeOn(store, clock, 'web'), nodeOn(store, clock, 'web')];
    await a.scheduler.start();
    await clock.advance(SECOND);
    await b.scheduler.start();
    await clock.advance(3 * MINUTE);
    expect([...a.logger.messages('error'), ...b.logger.messages('error')]).toContain('punctual: nodeNameConflict');
  });

  it('are told of again when it comes to that again', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const a = nodeOn(store, clock, 'web');
    const b = nodeOn(store, clock, 'web');
    await a.scheduler.start();
    for (let time = 1; time <= 2; time++) {
      await clock.advance(MINUTE);
      await b.scheduler.start();
      await clock.advance(3 * MINUTE);
      expect(told(b)).toBe(time);
      await b.scheduler.shutdown();
      await clock.advance(20 * MINUTE);
    }
  });
});

describe('a node name is not told of', () => {
  it('when a process is restarted, in order or after it died', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const nodes: Node[] = [];
    for (let start = 0; start < 4; start++) {
      const node = nodeOn(store, clock, 'web');
      nodes.push(node);
      await node.scheduler.start();
      await clock.advance(10 * MINUTE);
      await node.scheduler.shutdown();
      // One that died leaves its card behind.
      if (start % 2 === 0) await store.members.announce({ node: 'web', about: JSON.stringify({ v: 1, state: 'running', role: 'active', host: 'h', pid: 1, startedAt: 1, tasks: [], taskCount: 0, executors: [], clockSkew: null, process: `h:1:${start}` }), now: clock.now(), ttlMs: 75 * SECOND });
    }
    expect(told(...nodes)).toBe(0);
  });

  it('while the one before it comes to its end', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const [a, b] = [nodeOn(store, clock, 'web'), nodeOn(store, clock, 'web')];
    let finish = (): void => undefined;
    a.scheduler.defineTask('slow', () => new Promise<void>((resolve) => { finish = resolve; }));
    await a.scheduler.start();
    await a.scheduler.addJob('slow', new Date(START_MS + SECOND), { id: 'slow' });
    await clock.advance(5 * SECOND);
    const stopping = a.scheduler.shutdown({ timeout: { minutes: 30 } });
    await clock.advance(SECOND);
    await b.scheduler.start();
    await clock.advance(10 * MINUTE);
    expect(told(a, b)).toBe(0);
    finish();
    await clock.advance(SECOND);
    await stopping;
  });

  it('for the moment in which a new process takes the place of the old one', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const [a, b] = [nodeOn(store, clock, 'web'), nodeOn(store, clock, 'web')];
    await a.scheduler.start();
    await clock.advance(HOUR);
    await b.scheduler.start();
    await clock.advance(20 * SECOND);
    await a.scheduler.shutdown();
    await clock.advance(HOUR);
    expect(told(a, b)).toBe(0);
  });

  it('where names are made up, and in stores of their own', async () => {
    const clock = new VirtualClock(START);
    const store = new JsonJobStore();
    const nodes = [nodeOn(store, clock, undefined), nodeOn(store, clock, undefined), nodeOn(new JsonJobStore(), clock, 'web'), nodeOn(new JsonJobStore(), clock, 'web')];
    for (const { scheduler } of nodes) await scheduler.start();
    await clock.advance(HOUR);
    expect(told(...nodes)).toBe(0);
  });
});
