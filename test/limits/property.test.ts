import fc from 'fast-check';
import { MemoryJobStore, type JobStore } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { AsyncScheduler, currentRun } from 'punctual';
import { describe, expect, it } from 'vitest';
import { SECOND, START, START_MS, MemoryLogger, whileTimePasses } from '../scheduler/support/world.js';
import { busiest, peak, type Execution } from './support/shop.js';

const LEASE_MS = 6 * SECOND;

/** What may happen, one thing after the other. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('ask' as const), node: fc.nat(2), count: fc.integer({ min: 1, max: 6 }), task: fc.nat(1), tag: fc.nat(2), ms: fc.integer({ min: 0, max: 8_000 }), fails: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 9_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), node: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stop' as const), node: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), ms: fc.integer({ min: 1, max: 4_000 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Limits {
  readonly concurrency: number;
  readonly max: number;
  readonly per: number;
  readonly tagged: number;
  /** Longest time of a message to the store, or back. */
  readonly lagMs: number;
}

const limits = fc.record({
  concurrency: fc.integer({ min: 1, max: 4 }),
  max: fc.integer({ min: 1, max: 5 }),
  per: fc.integer({ min: 500, max: 10_000 }),
  tagged: fc.integer({ min: 1, max: 3 }),
});

/** Nodes that come and go: each start is a new process under a new name. */
class Crowd {
  readonly clock = new VirtualClock(START);
  readonly executions: (Execution & { readonly tag: string })[] = [];
  readonly asked = new Set<string>();
  readonly done = new Set<string>();
  readonly #store: JobStore;
  readonly #limits: Limits;
  readonly #nodes: ({ scheduler: AsyncScheduler; line: { isCut: boolean }; isDead: boolean } | undefined)[] = [];
  readonly #all: AsyncScheduler[] = [];
  #count = 0;
  #lags = 0;

  constructor(store: JobStore, limits: Limits) {
    this.#store = store;
    this.#limits = limits;
  }

  #lag(): Promise<void> {
    this.#lags += 7;
    return this.clock.sleep(this.#lags % this.#limits.lagMs);
  }

  async #node(index: number): Promise<AsyncScheduler> {
    const known = this.#nodes[index];
    if (known !== undefined) return known.scheduler;
    const line = { isCut: false };
    const name = `node-${this.#count++}`;
    const { concurrency, max, per, tagged } = this.#limits;
    const scheduler = new AsyncScheduler({
      clock: this.clock,
      logger: new MemoryLogger(),
      node: name,
      timezone: 'UTC',
      leaseDuration: LEASE_MS,
      jobStores: { default: cuttable(this.#store, line, this.#limits.lagMs === 0 ? null : () => this.#lag()) },
      limits: { tags: { shared: { concurrency: tagged }, 'each:*': { rateLimit: { max: 1, per: 1_000 } } } },
    });
    const node = { scheduler, line, isDead: false };
    const work = async (ms: number, fails: boolean, tag: string): Promise<void> => {
      const { jobId, attempt, signal } = currentRun();
      const execution = { node: name, job: jobId, task: currentRun().task, tag, startedAt: Math.round(this.clock.now()), endedAt: null as number | null };
      this.executions.push(execution);
      try {
        if (ms > 0) await this.clock.sleep(ms, signal);
        if (fails && attempt === 1) throw new Error('the first attempt fails');
        if (!node.isDead) this.done.add(jobId);
      } finally {
        execution.endedAt ??= Math.round(this.clock.now());
      }
    };
    scheduler.defineTask('slotted', work, { concurrency, retry: { maxAttempts: 3, delay: 500 } });
    scheduler.defineTask('paced', work, { rateLimit: { max, per }, retry: { maxAttempts: 3, delay: 500 } });
    this.#nodes[index] = node;
    this.#all.push(scheduler);
    await whileTimePasses(this.clock, scheduler.start(), 20);
    return scheduler;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'ask': {
        const scheduler = await this.#node(step.node);
        for (let i = 0; i < step.count; i++) {
          const id = `job-${this.asked.size}`;
          const tag = ['shared', `each:${step.node}`, 'none'][step.tag]!;
          this.asked.add(id);
          const task = ['slotted', 'paced'][step.task]!;
          const adding = scheduler.addJob(task, new Date(START_MS), { id, args: [step.ms, step.fails, tag], tags: [tag], maxCrashes: 100 });
          await whileTimePasses(this.clock, adding, 20);
        }
        break;
      }
      case 'wait':
        await this.clock.advance(step.ms);
        break;
      case 'crash': {
        // The process is gone: what it ran has ended, and nothing more is heard of it.
        const node = this.#nodes[step.node];
        if (node === undefined) break;
        node.line.isCut = true;
        node.isDead = true;
        for (const execution of this.executions) if (execution.node === node.scheduler.node) execution.endedAt ??= Math.round(this.clock.now());
        this.#nodes[step.node] = undefined;
        break;
      }
      case 'stop': {
        const node = this.#nodes[step.node];
        if (node === undefined) break;
        this.#nodes[step.node] = undefined;
        const stopping = node.scheduler.shutdown({ wait: false });
        await whileTimePasses(this.clock, stopping, 100);
        break;
      }
      case 'lose': {
        // Nobody reaches the store for a while, shorter than a lease.
        for (const node of this.#nodes) if (node !== undefined) node.line.isCut = true;
        await this.clock.advance(step.ms);
        for (const node of this.#nodes) if (node !== undefined && !node.isDead) node.line.isCut = false;
        break;
      }
      default:
        step satisfies never;
    }
  }

  /** Lets everything run that was asked for. */
  async finish(): Promise<void> {
    await this.#node(0);
    for (let turn = 0; turn < 120 && this.done.size < this.asked.size; turn++) await this.clock.advance(10 * SECOND);
  }

  async end(): Promise<void> {
    const stopping = Promise.all(this.#all.map(async (scheduler) => scheduler.shutdown({ wait: false })));
    await whileTimePasses(this.clock, stopping);
  }
}

/** A store as a node sees it that may be cut off. */
function cuttable(store: JobStore, line: { readonly isCut: boolean }, lag: (() => Promise<void>) | null): JobStore {
  const through = (target: object): object =>
    new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (name === 'leases' || name === 'ledger' || name === 'members') return through(value as object);
        if (typeof value !== 'function') return value;
        if (name === 'open' || name === 'close' || name === 'watch') return value.bind(target);
        return (...args: unknown[]): unknown => {
          if (line.isCut) throw new Error('cut off');
          if (lag === null) return value.apply(target, args);
          // The way there, and the way back. An answer to one who is cut off by then does not come.
          return lag().then(() => value.apply(target, args) as unknown).then(async (answer) => {
            await lag();
            if (line.isCut) throw new Error('cut off');
            return answer;
          });
        };
      },
    });
  return through(store) as JobStore;
}

describe('in any order of starts, ends, crashes and outages', () => {
  it.each([
    ['in memory', (): JobStore => new MemoryJobStore({ shared: true }), fc.constant(0)],
    ['in a durable store', (): JobStore => new JsonJobStore(), fc.constant(0)],
    ['in a store that is far away', (): JobStore => new JsonJobStore(), fc.integer({ min: 2, max: 60 })],
  ])('limits hold, and everything runs in the end, %s', async (_name, makeStore, lag) => {
    await fc.assert(
      fc.asyncProperty(limits, lag, fc.array(step, { minLength: 4, maxLength: 24 }), async (chosen, lagMs, steps) => {
        const given = { ...chosen, lagMs };
        const crowd = new Crowd(makeStore(), given);
        try {
          for (const one of steps) await crowd.take(one);
          await crowd.finish();
        } finally {
          await crowd.end();
        }
        const of = (task: string) => crowd.executions.filter((execution) => execution.task === task);
        const tagged = (tag: string) => crowd.executions.filter((execution) => execution.tag === tag);
        expect(peak(of('slotted'))).toBeLessThanOrEqual(given.concurrency);
        expect(busiest(of('paced'), given.per)).toBeLessThanOrEqual(given.max);
        expect(peak(tagged('shared'))).toBeLessThanOrEqual(given.tagged);
        for (const index of [0, 1, 2]) expect(busiest(tagged(`each:${index}`), 1_000)).toBeLessThanOrEqual(1);
        expect([...crowd.asked].filter((id) => !crowd.done.has(id))).toEqual([]);
      }),
      // The same on each run. Others were tried by the thousand.
      { numRuns: 40, seed: 29 },
    );
  }, 120_000);
});
