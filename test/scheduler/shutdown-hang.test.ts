import { AsyncScheduler, currentRun, IntervalTrigger, MemoryJobStore, type JobStore, type TimerHandle } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { MemoryLogger, SECOND, START } from './support/world.js';

const AFTERWARDS = 4_750;

/** Counts the timers that keep the process running. */
class CountingClock extends VirtualClock {
  readonly alive = new Set<object>();

  override setTimer(delayMs: number, callback: () => void, keepAlive = true): TimerHandle {
    const mark = {};
    if (keepAlive) this.alive.add(mark);
    const timer = super.setTimer(delayMs, () => {
      this.alive.delete(mark);
      callback();
    });
    return { cancel: () => { this.alive.delete(mark); timer.cancel(); } };
  }
}

const CALLS = [
  'open', 'close', 'get', 'list', 'claimDue', 'commit', 'nextWakeAt', 'now', 'watch', 'unwatch', 'tasks', 'demands', 'maintain',
  'ledger.list', 'leases.acquire', 'leases.get', 'leases.release', 'members.announce', 'members.list', 'members.withdraw',
] as const;
type Call = (typeof CALLS)[number] | 'everything';

/** A shared store on which one call, or every call, never answers once it is told to. */
class HangingStore {
  readonly inner = new MemoryJobStore({ shared: true });
  readonly store: JobStore;
  hangs: Call | undefined;

  constructor(clock: VirtualClock) {
    const asRemote: JobStore = Object.assign(this.inner, {
      now: () => clock.now(),
      maintain: () => false,
      demands: () => [],
      tasks: () => [],
      watch: () => this.#answer('unwatch'),
    });
    this.store = this.#through(asRemote, '');
  }

  #answer(name: Call): () => unknown {
    return () => this.#call(name, () => undefined);
  }

  #call(name: Call, call: () => unknown): unknown {
    if (this.hangs === name || this.hangs === 'everything') return new Promise(() => undefined);
    return Promise.resolve().then(call);
  }

  #through<T extends object>(target: T, prefix: string): T {
    return new Proxy(target, {
      get: (_, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value === 'object' && value !== null) return this.#through(value, `${String(key)}.`);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => this.#call(`${prefix}${String(key)}` as Call, () => (value as (...args: unknown[]) => unknown).apply(target, args));
      },
    });
  }
}

interface Outcome {
  readonly tookMs: number;
  readonly alive: number;
  readonly logger: MemoryLogger;
}

async function play(hangs: Call, options: { readonly leader: boolean; readonly fromStart: boolean; readonly timeout: number }): Promise<Outcome> {
  const clock = new CountingClock(START);
  const hanging = new HangingStore(clock);
  const logger = new MemoryLogger();
  const scheduler = new AsyncScheduler({
    clock,
    logger,
    timezone: 'UTC',
    node: 'node-a',
    jobStores: { default: hanging.store },
    heartbeatInterval: 5 * SECOND,
    ...(options.leader ? { ha: { mode: 'leader' } } : {}),
  });
  const every = new IntervalTrigger({ seconds: 1 });
  scheduler.defineTask('deaf', () => new Promise(() => undefined));
  scheduler.defineTask('good', () => clock.sleep(60 * SECOND, currentRun().signal));
  scheduler.defineTask('quick', () => undefined);
  const added = (async () => {
    for (const task of ['deaf', 'good', 'quick']) await scheduler.addJob(task, every, { id: task });
    await scheduler.addJob('quick', every, { id: 'each', exclusive: false });
  })();
  if (options.fromStart) hanging.hangs = hangs;
  added.catch(() => undefined);
  await clock.advance(5);
  const starting = scheduler.start();
  starting.catch(() => undefined);
  await clock.advance(3_100);
  hanging.hangs = hangs;
  // What goes on when it is shut down differs: at rest, in the middle of a claim, while a call hangs.
  await clock.advance(2 * SECOND + 900);
  const before = clock.monotonic();
  let tookMs = Number.NaN;
  void scheduler.shutdown(options.timeout === 0 ? { wait: false } : { timeout: options.timeout }).then(() => {
    tookMs = clock.monotonic() - before;
  });
  for (let step = 0; step < 400 && Number.isNaN(tookMs); step++) await clock.advance(100);
  const alive = clock.alive.size;
  expect(scheduler.state).toBe('stopped');
  return { tookMs, alive, logger };
}

describe('shutdown of a scheduler whose store hangs', () => {
  const cases = ([...CALLS, 'everything'] as const).flatMap((hangs) =>
    [true, false].flatMap((leader) => [true, false].flatMap((fromStart) => [0, 3 * SECOND].map((timeout) => ({ hangs, leader, fromStart, timeout })))),
  );

  it.each(cases)('is over in time: $hangs hangs (leader $leader, from the start $fromStart, timeout $timeout)', async ({ hangs, ...options }) => {
    const { tookMs, alive } = await play(hangs, options);
    expect(tookMs).toBeLessThanOrEqual(options.timeout + AFTERWARDS);
    // The task that waits on the clock heeds its signal, and nothing else has a reason to keep the process.
    expect(alive).toBe(0);
  });

  it('says what was left', async () => {
    const { logger } = await play('everything', { leader: true, fromStart: false, timeout: 0 });
    const left = logger.lines.filter(({ level, fields }) => level === 'warn' && (fields?.['jobStore'] === 'default' || fields?.['unfinished'] !== undefined));
    expect(left.map(({ message }) => message).join('\n')).toMatch(/does not answer, and is left/);
    expect(left.map(({ message }) => message).join('\n')).toMatch(/does not close/);
    const named = left.flatMap(({ fields }) => (fields?.['unfinished'] ?? []) as string[]);
    expect(named).toContain('watch for changes');
  });

  it('leaves an executor that does not close', async () => {
    const clock = new CountingClock(START);
    const logger = new MemoryLogger();
    const executor = { free: 1, execute: () => undefined, close: () => new Promise<void>(() => undefined) };
    const scheduler = new AsyncScheduler({ clock, logger, executors: { default: executor } });
    await scheduler.start();
    let isOver = false;
    void scheduler.shutdown({ timeout: SECOND }).then(() => { isOver = true; });
    await clock.advance(SECOND + AFTERWARDS);
    expect(isOver).toBe(true);
    expect(logger.lines.flatMap(({ fields }) => fields?.['unfinished'] ?? [])).toEqual(['executor default']);
  });
});

describe('a watch that is answered when nobody waits for it any more', () => {
  it('is ended', async () => {
    const clock = new VirtualClock(START);
    let open = 0;
    class LateStore extends MemoryJobStore {
      override watch(): () => void {
        const answer = clock.sleep(60 * SECOND).then(() => {
          open += 1;
          return () => { open -= 1; };
        });
        return answer as unknown as () => void;
      }
    }
    const scheduler = new AsyncScheduler({ clock, logger: new MemoryLogger(), jobStores: { default: new LateStore({ shared: true }) } });
    const starting = scheduler.start();
    await clock.advance(120 * SECOND);
    await starting;
    expect(open).toBe(0);
    await scheduler.shutdown();
  });
});

describe('a run that a hanging store lets begin too late', () => {
  it('is given back by the next start before it begins', async () => {
    const clock = new VirtualClock(START);
    let lateMs = 0;
    class LateStore extends MemoryJobStore {
      override commit(changes: Parameters<MemoryJobStore['commit']>[0]): ReturnType<MemoryJobStore['commit']> {
        const answers = super.commit(changes);
        return (lateMs === 0 ? answers : clock.sleep(lateMs).then(() => answers)) as ReturnType<MemoryJobStore['commit']>;
      }
    }
    const store = new LateStore({ shared: true });
    const scheduler = new AsyncScheduler({ clock, logger: new MemoryLogger(), jobStores: { default: store }, node: 'node-a' });
    const began: number[] = [];
    scheduler.defineTask('work', () => { began.push(currentRun().attempt); });
    await scheduler.addJob('work', new Date(clock.now() + SECOND), { id: 'job' });
    await scheduler.start();
    lateMs = 3 * SECOND;
    await clock.advance(SECOND);
    const stopped = scheduler.shutdown({ wait: false });
    await clock.advance(AFTERWARDS);
    await stopped;
    await clock.advance(60 * SECOND);
    expect(began).toEqual([]);
    lateMs = 0;
    await scheduler.start();
    await clock.advance(60 * SECOND);
    expect(began).toHaveLength(1);
    expect((await scheduler.verifyLedger()).ok).toBe(true);
    await scheduler.shutdown();
  });
});
