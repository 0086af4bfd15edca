/**
 * One test for each promise of docs/guarantees.md, with the public face alone: several schedulers as nodes on one store,
 * one virtual clock, and connections that can be cut. What is random, and what is rare, is in the simulation.
 */
import {
  AsyncScheduler,
  CronTrigger,
  currentRun,
  IntervalTrigger,
  MemoryJobStore,
  TriggerRegistry,
  type ClaimRequest,
  type JobStore,
  type SchedulerEvent,
  type SchedulerOptions,
  type StoredJob,
  type Trigger,
  type TriggerJson,
} from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';

const START = '2026-01-01T00:00:00Z';
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A connection to a store that can be cut: then every call fails, and nothing arrives. */
function cable(store: JobStore): { store: JobStore; cut: boolean } {
  const link = { cut: false, store };
  link.store = new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (link.cut && key !== 'close') throw new Error('the connection is cut');
        return (value as (...args: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  return link;
}

/** A connection whose claims hide nothing and take a while to arrive, so that all nodes go for the same fire times. */
function crowded(store: MemoryJobStore, clock: VirtualClock): JobStore {
  return new Proxy<JobStore>(store, {
    get(target, key) {
      if (key === 'claimDue') {
        return async (request: ClaimRequest): Promise<readonly StoredJob[]> => {
          const found = await target.claimDue({ ...request, reserveMs: 0 });
          await clock.sleep(5);
          return found;
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

class World {
  readonly clock = new VirtualClock(START);
  readonly store = new MemoryJobStore({ shared: true, ledger: { perJob: 100_000 } });
  readonly events: SchedulerEvent[] = [];

  node(node: string, options: SchedulerOptions = {}): AsyncScheduler {
    const scheduler = new AsyncScheduler({
      clock: this.clock,
      timezone: 'UTC',
      node,
      logger: quiet,
      jobStores: { default: this.store },
      ...options,
    });
    scheduler.addListener((event) => this.events.push(event));
    onTestFinished(async () => {
      const stopping = scheduler.shutdown({ wait: false });
      await this.clock.advance({ minutes: 5 });
      await stopping;
    });
    return scheduler;
  }

  seconds(): number {
    return (this.clock.now() - Date.parse(START)) / 1000;
  }
}

describe('guarantees', () => {
  it('G1: every fire time of an active job gets exactly one verdict, and the ledger adds up', async () => {
    const world = new World();
    const scheduler = world.node('a');
    await scheduler.start();
    let calls = 0;
    const flaky = (): void => {
      calls += 1;
      if (calls % 3 === 0) throw new Error('every third call');
    };
    await scheduler.addJob(flaky, '*/10 * * * *', { id: 'flaky', retry: { maxAttempts: 2, delay: { minutes: 1 } } });
    await scheduler.addJob(() => world.clock.sleep({ minutes: 25 }), '*/10 * * * *', { id: 'slow' });
    await scheduler.addJob(flaky, '*/10 * * * *', { id: 'graced', misfireGraceTime: { minutes: 1 } });
    await scheduler.addJob(flaky, '*/10 * * * *', { id: 'all', coalesce: 'all' });

    await world.clock.advance({ hours: 12 });
    world.clock.jump(3_600_000 * 3 + 300_000);
    await world.clock.advance({ hours: 9 });
    await scheduler.pauseJob('flaky');
    await world.clock.advance({ hours: 12 });
    await scheduler.resumeJob('flaky');
    await world.clock.advance({ hours: 1, minutes: 2 });

    // 37 hours and 7 minutes, six fire times an hour.
    for (const jobId of ['flaky', 'slow', 'graced', 'all']) {
      const { ok, problems, counts, pending } = await scheduler.verifyLedger({ jobId });
      expect(problems).toEqual([]);
      expect(ok).toBe(true);
      expect(
        Object.values(counts).reduce((sum, count) => sum + count, pending),
        jobId,
      ).toBe(37 * 6);
    }
    const verdicts = new Set((await scheduler.getRuns({ limit: 10_000 })).map(({ verdict }) => verdict));
    expect([...verdicts].sort()).toEqual(['coalesced', 'failed', 'missed', 'skipped', 'succeeded']);
  });

  it('G2: no fire time starts twice as a first attempt, however many nodes there are', async () => {
    const world = new World();
    const started: string[] = [];
    const nodes = ['a', 'b', 'c', 'd'].map((name) =>
      world.node(name, { jobStores: { default: crowded(world.store, world.clock) } }),
    );
    const task = (): void => void started.push(`${currentRun().runId} ${currentRun().attempt}`);
    for (const node of nodes) node.defineTask('task', task);
    for (const node of nodes) await node.start();
    for (let i = 0; i < 10; i++)
      await nodes[0]!.addJob('task', new IntervalTrigger({ seconds: 7 }), { id: `job-${i}` });

    await world.clock.advance({ minutes: 10, seconds: 1 });

    expect(started.length).toBe(10 * Math.floor(600 / 7));
    expect(new Set(started).size).toBe(started.length);
  });

  it.each([
    ['retry', 'taken over as the next attempt'],
    ['drop', 'given up'],
  ] as const)(
    'G3: with onCrash %s a run of a dead node is %s, within its lease and one wake-up',
    async (onCrash, _becomes) => {
      const world = new World();
      const link = cable(world.store);
      const nodes = [world.node('dead', { jobStores: { default: link.store } }), world.node('alive')];
      const attempts: string[] = [];
      for (const node of nodes) {
        node.defineTask('task', async () => {
          attempts.push(`${node.node} ${currentRun().attempt} at ${world.seconds()} s`);
          if (node.node === 'dead') await new Promise(() => undefined); // a dead process answers nothing
        });
      }
      await nodes[0]!.start();
      await nodes[0]!.addJob('task', new Date(world.clock.now() + 10_000), { id: 'job', onCrash });
      await world.clock.advance({ seconds: 11 });
      link.cut = true;
      await nodes[1]!.start();
      await world.clock.advance({ minutes: 1 });

      const [first, second] = attempts;
      expect(first).toBe('dead 1 at 10 s');
      const [report] = await nodes[1]!.getRuns();
      if (onCrash === 'retry') {
        expect(second).toMatch(/^alive 2 at /);
        expect(Number(/at ([\d.]+) s/.exec(second!)?.[1])).toBeLessThanOrEqual(11 + 15 + 1);
        expect(report).toMatchObject({ verdict: 'succeeded', attempt: 2, node: 'alive' });
      } else {
        expect(second).toBeUndefined();
        expect(report).toMatchObject({ verdict: 'abandoned', attempt: 1, node: 'alive' });
      }
    },
  );

  it('G4: a node that lost its lease is told before others start, and cannot write its result', async () => {
    const world = new World();
    const link = cable(world.store);
    const nodes = [world.node('stalled', { jobStores: { default: link.store } }), world.node('other')];
    const story: string[] = [];
    for (const node of nodes) {
      node.defineTask('task', async () => {
        const { signal, attempt } = currentRun();
        story.push(`${node.node} starts attempt ${attempt}`);
        signal.addEventListener('abort', () => story.push(`${node.node} is told: ${(signal.reason as Error).name}`));
        await world.clock.sleep({ seconds: 40 });
        story.push(`${node.node} ends`);
      });
    }
    await nodes[0]!.start();
    await nodes[0]!.addJob('task', new Date(world.clock.now() + 1_000), { id: 'job' });
    await world.clock.advance({ seconds: 2 });
    link.cut = true;
    await nodes[1]!.start();
    await world.clock.advance({ seconds: 30 });
    link.cut = false; // it is back before its task has ended
    await world.clock.advance({ minutes: 2 });

    expect(story).toEqual([
      'stalled starts attempt 1',
      'stalled is told: LeaseLostError',
      'other starts attempt 2',
      'stalled ends',
      'other ends',
    ]);
    const reports = await nodes[1]!.getRuns();
    expect(reports.map(({ verdict, node, attempt }) => [verdict, node, attempt])).toEqual([['succeeded', 'other', 2]]);
    expect(world.events.filter(({ type }) => type === 'leaseLost').map(({ node }) => node)).toEqual(['stalled']);
  });

  it('G5: maxInstances holds over all nodes', async () => {
    const world = new World();
    let going = 0;
    let most = 0;
    const nodes = ['a', 'b', 'c'].map((name) => world.node(name));
    for (const node of nodes) {
      node.defineTask('task', async () => {
        going += 1;
        most = Math.max(most, going);
        await world.clock.sleep({ seconds: 9 });
        going -= 1;
      });
      await node.start();
    }
    await nodes[0]!.addJob('task', new IntervalTrigger({ seconds: 1 }), {
      id: 'job',
      maxInstances: 2,
      overlap: 'queueAll',
    });
    await world.clock.advance({ minutes: 2 });
    expect(most).toBe(2);
    expect((await nodes[1]!.getJob('job'))?.runs.filter(({ state }) => state === 'running').length).toBeLessThanOrEqual(
      2,
    );
  });

  it.each(['pauseJob', 'removeJob'] as const)(
    'G6: once %s has resolved, no new run starts anywhere',
    async (method) => {
      const world = new World();
      let started = 0;
      const nodes = ['a', 'b', 'c'].map((name) => world.node(name));
      for (const node of nodes) {
        node.defineTask('task', async () => {
          started += 1;
          await world.clock.sleep({ milliseconds: 1_500 });
        });
        await node.start();
      }
      await nodes[0]!.addJob('task', new IntervalTrigger({ seconds: 1 }), { id: 'job', overlap: 'queueAll', retry: 3 });
      await world.clock.advance({ seconds: 20 });
      expect(started).toBeGreaterThan(10);

      await nodes[2]![method]('job');
      const then = started;
      await world.clock.advance({ minutes: 10 });
      expect(started).toBe(then);
    },
  );

  it('G7: what cannot be read is kept and said, and comes back when it can', async () => {
    const world = new World();
    const store = new JsonJobStore();
    class Hourly extends IntervalTrigger {
      override get kind(): 'interval' {
        return 'hourly' as 'interval';
      }
      override withDefaults(): this {
        return this;
      }
      override toJSON(): TriggerJson {
        return { kind: 'hourly', v: 1 };
      }
    }
    const triggers = new TriggerRegistry().register('hourly', () => new Hourly({ hours: 1 }));
    let ran = 0;
    const newNode = (name: string, options: SchedulerOptions): AsyncScheduler => {
      const node = world.node(name, { jobStores: { default: store }, ...options });
      node.defineTask('task', () => void (ran += 1));
      return node;
    };
    const knows = newNode('knows', { triggers });
    await knows.addJob('task', new Hourly({ hours: 1 }), { id: 'job', args: [{ deep: ['data'] }] });
    await knows.shutdown();

    // A release that does not know the kind meets the record.
    const old = newNode('old', {});
    await old.start();
    await world.clock.advance({ hours: 3 });
    const met = await old.getJob('job');
    expect(met?.status).toBe('quarantined');
    expect(met?.reason).toContain('Unknown trigger kind "hourly"');
    expect(ran).toBe(0);
    await old.shutdown();

    const again = newNode('again', { triggers });
    await again.start();
    if ((await again.getJob('job'))?.status === 'quarantined') await again.retryQuarantined('job');
    await world.clock.advance({ hours: 2 });
    expect(ran).toBeGreaterThan(0);
    expect((await again.getJob('job'))?.args).toEqual([{ deep: ['data'] }]);
  });

  it('G8: a store that fails stops nothing: it is said, runs go on, and their results are written later', async () => {
    const world = new World();
    const link = cable(world.store);
    const scheduler = world.node('a', { jobStores: { default: link.store }, leaseDuration: { minutes: 10 } });
    await scheduler.start();
    let ended = false;
    await scheduler.addJob(
      async () => {
        await world.clock.sleep({ minutes: 2 });
        ended = true;
      },
      new Date(world.clock.now() + 1_000),
      { id: 'running' },
    );
    await scheduler.addJob(() => undefined, '* * * * *', { id: 'each-minute' });
    await world.clock.advance({ seconds: 30 });

    link.cut = true;
    await world.clock.advance({ minutes: 5 });
    expect(ended).toBe(true);
    expect(scheduler.health()).toMatchObject({ ok: false, state: 'running' });
    expect(world.events.filter(({ type }) => type === 'storeUnavailable').length).toBeGreaterThan(0);

    link.cut = false;
    await world.clock.advance({ minutes: 2 });
    expect(scheduler.health().ok).toBe(true);
    expect(world.events.filter(({ type }) => type === 'storeRecovered').length).toBe(1);
    expect((await scheduler.getRuns({ jobId: 'running' })).map(({ verdict }) => verdict)).toEqual(['succeeded']);
    const { ok, counts } = await scheduler.verifyLedger({ jobId: 'each-minute' });
    expect(ok).toBe(true);
    expect(counts.succeeded + counts.coalesced).toBe(7);
  });

  it.each(['latest', 'earliest', 'all'] as const)(
    'G9: a year of missed seconds is caught up with in a few steps: %s',
    async (coalesce) => {
      const world = new World();
      let questions = 0;
      const every = new CronTrigger('* * * * * *', { timezone: 'UTC' });
      const counting: Trigger = {
        kind: 'counting',
        next: (after) => {
          questions += 1;
          return every.next(after);
        },
        toJSON: () => ({ kind: 'counting', v: 1 }),
      };
      let ran = 0;
      const scheduler = world.node('a');
      await scheduler.start();
      await scheduler.addJob(() => void (ran += 1), counting, {
        id: 'job',
        coalesce,
        maxCatchUp: 5,
        startTime: '2026-01-01T00:00:10Z',
      });
      questions = 0;

      world.clock.jump(365 * 86_400_000);
      await world.clock.settle();

      expect(ran).toBe(coalesce === 'all' ? 5 : 1);
      expect(questions).toBeLessThan(2_000); // a thousand of them for the count, which is then a lower bound
      const [first] = await scheduler.getRuns();
      expect(first?.count).toBeGreaterThanOrEqual(1_000);
      expect((await scheduler.getRuns()).length).toBeLessThanOrEqual(1 + 5);
      expect((await scheduler.getJob('job'))?.runs).toEqual([]);
    },
  );

  it('G10: every fire time that does not run has an event that says which, and why', async () => {
    const world = new World();
    const scheduler = world.node('a');
    await scheduler.start();
    const overlap = { slow: 'skip', queued: 'queue', replaced: 'replace' } as const;
    for (const [id, mode] of Object.entries(overlap)) {
      await scheduler.addJob(() => world.clock.sleep({ seconds: 25 }, currentRun().signal), '*/10 * * * * *', {
        id,
        overlap: mode,
      });
    }
    await scheduler.addJob(() => undefined, '*/10 * * * * *', { id: 'graced', misfireGraceTime: 1_000 });
    await scheduler.addJob(() => undefined, '*/10 * * * * *', { id: 'paused' });
    await world.clock.advance({ minutes: 2 });
    await scheduler.pauseJob('paused');
    world.clock.jump(95_000);
    await world.clock.advance({ minutes: 2 });
    await scheduler.resumeJob('paused');
    await world.clock.advance({ minutes: 1 });

    const heard = { missed: 0, coalesced: 0, skipped: 0, cancelled: 0 };
    for (const event of world.events) {
      if (event.type === 'jobMissed') heard.missed += event.count;
      else if (event.type === 'jobCoalesced') heard.coalesced += event.count;
      else if (event.type === 'jobSkipped') heard.skipped += event.count;
      else if (event.type === 'jobMaxInstances' && event.action === 'skipped') heard.skipped += 1;
      else if (event.type === 'jobCancelled') heard.cancelled += 1;
    }
    const { counts } = await scheduler.verifyLedger();
    const { missed, coalesced, skipped, cancelled } = counts;
    expect(heard).toEqual({ missed, coalesced, skipped, cancelled });
    for (const count of Object.values(heard)) expect(count).toBeGreaterThan(0);
  });
});
