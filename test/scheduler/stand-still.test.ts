import { AsyncScheduler, currentRun, MemoryJobStore, type Clock, type TimerHandle } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { end, makeWorld, SECOND, START, START_MS } from './support/world.js';

/** The clock of a process that can stand still. Then nothing of it goes off, and all of it when it wakes. */
class ProcessClock implements Clock {
  readonly #world: VirtualClock;
  #held: (() => void)[] | undefined;
  #look: ((lateMs: number) => boolean) | undefined;
  #sleptMs = 0;

  constructor(world: VirtualClock) {
    this.#world = world;
  }
  now(): number {
    return this.#world.now();
  }
  monotonic(): number {
    return this.#world.monotonic() - this.#sleptMs;
  }
  setTimer(delayMs: number, callback: () => void): TimerHandle {
    let isLive = true;
    const goOff = (): void => { if (isLive) callback(); };
    const timer = this.#world.setTimer(delayMs, () => {
      if (this.#held === undefined) goOff();
      else this.#held.push(goOff);
    });
    return { cancel: () => { isLive = false; timer.cancel(); } };
  }
  defer(callback: () => void): void {
    this.#world.defer(callback);
  }
  measureLag(_everyMs: number, look: (lateMs: number) => boolean): void {
    this.#look = look;
  }
  onJump(callback: () => void): () => void {
    return this.#world.onJump(callback);
  }

  stop(): void {
    this.#held = [];
  }

  /** What stood still was the whole machine, and its monotonic clock with it: nothing is late. */
  async wakeFromSleep(ms: number): Promise<void> {
    this.#sleptMs += ms;
    this.#look?.(0);
    await this.#world.settle();
  }

  /** @param first - what is due first of all. */
  async wake(first: 'look' | 'timers', lateMs: number): Promise<void> {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (first === 'look' && this.#look?.(lateMs) === false) this.#look = undefined;
    await Promise.resolve();
    for (const goOff of held) {
      goOff();
      await Promise.resolve();
    }
    await this.#world.settle();
  }
}

const LEASE = 10 * SECOND;

/** How a node reaches the store: what it asks is answered so much later, or never. */
function wire(store: MemoryJobStore, clock: VirtualClock): { store: MemoryJobStore; line: { delayMs: number } } {
  const line = { delayMs: 0 };
  const asked = new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const call = (): unknown => (value as (...args: unknown[]) => unknown).apply(target, args);
        if (line.delayMs === 0 || key === 'open' || key === 'close') return call();
        return line.delayMs === Number.POSITIVE_INFINITY ? new Promise(() => undefined) : clock.sleep(line.delayMs).then(call);
      };
    },
  });
  return { store: asked, line };
}

interface Cluster {
  readonly world: VirtualClock;
  readonly clock: ProcessClock;
  readonly line: { delayMs: number };
  readonly told: string[];
  readonly signals: Map<string, AbortSignal>;
  readonly other: AsyncScheduler;
}

/** A node that has a run, and stands still, and another that does not. */
async function cluster(): Promise<Cluster> {
  const world = new VirtualClock(START);
  const clock = new ProcessClock(world);
  const memory = new MemoryJobStore({ shared: true });
  const { store, line } = wire(memory, world);
  const signals = new Map<string, AbortSignal>();
  const told: string[] = [];
  const silent = (): void => undefined;
  const options = { leaseDuration: LEASE, timezone: 'UTC', logger: { debug: silent, info: silent, warn: silent, error: silent } };
  const frozen = new AsyncScheduler({ ...options, clock, node: 'frozen', jobStores: { default: store } });
  const { scheduler: other } = makeWorld({ ...options, clock: world, node: 'other', jobStores: { default: memory } });
  onTestFinished(async () => {
    line.delayMs = 0;
    await end(frozen, world);
  });
  frozen.on('leaseLost', ({ jobId }) => told.push(jobId));
  for (const node of [frozen, other]) {
    node.defineTask('work', async () => {
      const { signal, attempt } = currentRun();
      signals.set(`${node.node}/${attempt}`, signal);
      await world.sleep(120 * SECOND);
    });
  }
  await frozen.addJob('work', new Date(START_MS + SECOND), { id: 'long' });
  await frozen.start();
  await world.advance(2 * SECOND);
  return { world, clock, line, told, signals, other };
}

describe('a node that stood still for longer than its lease', () => {
  it('tells its runs before anything else of theirs goes off, where another has them and the store says so at once', async () => {
    const { world, clock, told, signals, other } = await cluster();
    await other.start();
    const seen: boolean[] = [];
    clock.stop();
    await world.advance(SECOND);
    clock.setTimer(SECOND, () => seen.push(signals.get('frozen/1')!.aborted));
    await world.advance(20 * SECOND);
    expect([...signals.keys()]).toEqual(['frozen/1', 'other/2']);
    await clock.wake('look', 20 * SECOND);
    expect(seen).toEqual([true]);
    expect(told).toEqual(['long']);
    expect(signals.get('other/2')!.aborted).toBe(false);
  });

  it.each([
    ['never answers', Number.POSITIVE_INFINITY, 'look'],
    ['never answers', Number.POSITIVE_INFINITY, 'timers'],
    ['answers slowly', 3 * SECOND, 'look'],
    ['answers slowly', 3 * SECOND, 'timers'],
  ] as const)('tells its runs within a moment when the store %s (%d ms, %s first)', async (_, delayMs, first) => {
    const { world, clock, line, told, signals, other } = await cluster();
    await other.start();
    clock.stop();
    await world.advance(21 * SECOND);
    line.delayMs = delayMs;
    await clock.wake(first, 20 * SECOND);
    await world.advance(LEASE * 0.02);
    expect(signals.get('frozen/1')!.aborted).toBe(true);
    expect(told).toEqual(['long']);
    expect(signals.get('other/2')!.aborted).toBe(false);
  });

  it('asks no longer than a quarter of a second, however long its leases are', async () => {
    const { world, clock, line, signals } = await cluster();
    clock.stop();
    await world.advance(60 * SECOND);
    line.delayMs = Number.POSITIVE_INFINITY;
    await clock.wake('timers', 60 * SECOND);
    await world.advance(250);
    expect(signals.get('frozen/1')!.aborted).toBe(true);
  });

  it.each(['look', 'timers'] as const)('keeps them when nobody has taken them and the store says so in time (%s first)', async (first) => {
    const { world, clock, line, told, signals } = await cluster();
    clock.stop();
    await world.advance(21 * SECOND);
    line.delayMs = 100;
    await clock.wake(first, 20 * SECOND);
    line.delayMs = 0;
    await world.advance(60 * SECOND);
    expect([...signals].map(([run, { aborted }]) => [run, aborted])).toEqual([['frozen/1', false]]);
    expect(told).toEqual([]);
  });

  it('keeps what is left of a lease for its question when the lease is not over', async () => {
    const { world, clock, line, signals } = await cluster();
    clock.stop();
    await world.advanceTo(START_MS + 10_200); // taken on at 1 s under a lease of 10 s, trusted for 9 of them
    line.delayMs = Number.POSITIVE_INFINITY;
    await clock.wake('timers', 8_200);
    await world.advanceTo(START_MS + 10_499);
    expect(signals.get('frozen/1')!.aborted).toBe(false);
    await world.advanceTo(START_MS + 10_501);
    expect(signals.get('frozen/1')!.aborted).toBe(true);
  });
});

describe('a machine that slept, and its monotonic clock with it', () => {
  it('asks at once whose its runs are', async () => {
    const { world, clock, told, signals, other } = await cluster();
    await other.start();
    clock.stop();
    await world.advance(21 * SECOND);
    expect(signals.has('other/2')).toBe(true);
    await clock.wakeFromSleep(21 * SECOND);
    expect(told).toEqual(['long']);
    await clock.wake('timers', 0);
  });
});
