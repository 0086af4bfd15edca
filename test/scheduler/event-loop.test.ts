import { AsyncScheduler, currentRun, InvalidOptionError, MemoryJobStore, type JobChange, type Revision, type SchedulerOptions } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeWorld, SECOND, START, START_MS, type World } from './support/world.js';

/** A virtual clock under which the event loop is held up when a test says so. */
class BlockableClock extends VirtualClock {
  looks = 0;
  #look: ((lateMs: number) => boolean) | undefined;

  measureLag(_everyMs: number, look: (lateMs: number) => boolean): void {
    this.looks += 1;
    this.#look = look;
  }

  /** The next look is late. Answers whether anybody goes on looking; `undefined` when nobody did. */
  late(ms: number): boolean | undefined {
    const goesOn = this.#look?.(ms);
    if (goesOn === false) this.#look = undefined;
    return goesOn;
  }
}

async function blockable(options: SchedulerOptions = {}): Promise<World & { clock: BlockableClock }> {
  const clock = new BlockableClock(START);
  const world = makeWorld({ ...options, clock });
  await world.scheduler.start();
  return { ...world, clock };
}

describe('eventLoopBlocked', () => {
  it('names the runs that went on, and nobody looks while nothing runs', async () => {
    const { clock, scheduler, recorder, logger } = await blockable();
    expect(clock.looks).toBe(0);
    await scheduler.addJob(() => clock.sleep(60 * SECOND), new Date(START_MS + SECOND), { id: 'heavy' });
    await clock.advance(2 * SECOND);
    expect(clock.looks).toBe(1);
    expect(clock.late(999)).toBe(true);
    expect(recorder.of('eventLoopBlocked')).toEqual([]);
    expect(clock.late(1_200)).toBe(true);
    expect(recorder.of('eventLoopBlocked')).toMatchObject([
      { blockedMs: 1_200, risksLeases: false, runCount: 1, runs: [{ jobId: 'heavy', jobStore: 'default', runId: `heavy@${START_MS + SECOND}` }] },
    ]);
    expect(logger.messages('warn')).toEqual([]);
    await clock.advance(60 * SECOND);
    expect(clock.late(0)).toBe(false);
    expect(clock.late(5_000)).toBeUndefined();
    await scheduler.addJob(() => undefined, new Date(clock.now() + SECOND), { id: 'next' });
    await clock.advance(SECOND);
    expect(clock.looks).toBe(2);
  });

  it('names a run that ended in the same breath', async () => {
    const { clock, scheduler, recorder } = await blockable();
    await scheduler.addJob(() => clock.sleep(2 * SECOND), new Date(START_MS + SECOND), { id: 'heavy' });
    await scheduler.addJob(() => undefined, new Date(START_MS + SECOND), { id: 'light' });
    await clock.advance(4 * SECOND);
    expect(clock.late(1_900)).toBe(false);
    expect(recorder.of('eventLoopBlocked')).toMatchObject([{ runCount: 1, runs: [{ jobId: 'heavy' }] }]);
  });

  it('is a warning when it cost a renewal of leases, and names ten of many', async () => {
    const { clock, scheduler, recorder, logger } = await blockable({ leaseDuration: 6 * SECOND, blockedAfter: 500 });
    for (let i = 0; i < 25; i++) await scheduler.addJob(() => clock.sleep(60 * SECOND), new Date(START_MS + SECOND), { id: `job${i}` });
    await clock.advance(2 * SECOND);
    clock.late(1_999);
    expect(logger.messages('warn')).toEqual([]);
    clock.late(2_000);
    expect(logger.messages('warn')).toEqual(['punctual: eventLoopBlocked']);
    const [, last] = recorder.of('eventLoopBlocked');
    expect([last!.risksLeases, last!.runs.length, last!.runCount]).toEqual([true, 10, 25]);
  });

  it('refuses a threshold that is none', () => {
    for (const blockedAfter of [9, Number.NaN, 'long']) expect(() => new AsyncScheduler({ blockedAfter })).toThrow(InvalidOptionError);
  });

  it('is told of a task that really computes without a break', async () => {
    const scheduler = new AsyncScheduler({ blockedAfter: 50 });
    onTestFinished(() => scheduler.shutdown({ wait: false }));
    const told = new Promise<string[]>((resolve) => {
      scheduler.on('eventLoopBlocked', ({ blockedMs, runs }) => {
        if (blockedMs >= 150) resolve(runs.map(({ jobId }) => jobId));
      });
    });
    await scheduler.start();
    await scheduler.addJob(
      () => {
        const until = performance.now() + 300;
        while (performance.now() < until);
      },
      new Date(),
      { id: 'busy' },
    );
    expect(await told).toContain('busy');
  });
});

describe('a lease under a blocked event loop', () => {
  /** Timers go off late, all at once, after the event loop was held up. */
  class StallingClock extends VirtualClock {
    #held: (() => void)[] | undefined;

    override setTimer(delayMs: number, callback: () => void): { cancel: () => void } {
      let isLive = true;
      const goOff = (): void => { if (isLive) callback(); };
      const timer = super.setTimer(delayMs, () => {
        if (this.#held === undefined) goOff();
        else this.#held.push(goOff);
      });
      return { cancel: () => { isLive = false; timer.cancel(); } };
    }

    async stall(ms: number): Promise<void> {
      this.#held = [];
      await this.advance(ms);
      const held = this.#held;
      this.#held = undefined;
      for (const goOff of held) {
        goOff();
        await Promise.resolve();
      }
      await this.settle();
    }
  }

  /** Answers a little later, as a store on the network does. */
  class RemoteStore extends MemoryJobStore {
    readonly #clock: VirtualClock;
    isAway = false;
    constructor(clock: VirtualClock) {
      super({ shared: true });
      this.#clock = clock;
    }
    override commit(changes: readonly JobChange[]): (Revision | undefined)[] {
      const answer = this.#clock.sleep(100).then(() => {
        if (this.isAway) throw new Error('away');
        return super.commit(changes);
      });
      return answer as unknown as (Revision | undefined)[];
    }
  }

  async function holding(): Promise<{ clock: StallingClock; store: RemoteStore; signals: AbortSignal[] }> {
    const clock = new StallingClock(START);
    const store = new RemoteStore(clock);
    const { scheduler } = makeWorld({ clock, jobStores: { default: store }, leaseDuration: 10 * SECOND });
    const signals: AbortSignal[] = [];
    await scheduler.addJob(() => { signals.push(currentRun().signal); return clock.sleep(120 * SECOND); }, new Date(START_MS + SECOND), { id: 'long' });
    await scheduler.start();
    await clock.advance(2 * SECOND);
    return { clock, store, signals };
  }

  // The run was taken on at 1 s under a lease of 10 s, which is trusted for 9 of them.
  it.each([8_300, 8_800, 12_000, 40_000])('is kept after %i ms, if nobody has taken it', async (ms) => {
    const { clock, signals } = await holding();
    await clock.stall(ms);
    await clock.advance(20 * SECOND);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });

  it('is given up soon when the store does not answer after the block', async () => {
    const { clock, store, signals } = await holding();
    store.isAway = true;
    await clock.stall(8_300);
    await clock.advance(900);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('is given up when the loop is blocked once more before the store has answered', async () => {
    const { clock, store, signals } = await holding();
    store.isAway = true;
    await clock.stall(8_300);
    for (let i = 0; i < 4; i++) await clock.stall(700);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('is kept through any number of blocks if the store answers in between', async () => {
    const { clock, signals } = await holding();
    for (let i = 0; i < 4; i++) {
      await clock.stall(8_300);
      await clock.advance(300);
    }
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });
});
