import { InvalidOptionError } from '../errors/errors.js';
import type { Clock, TimerHandle } from '../ports/clock.js';
import type { EpochMs } from '../ports/trigger.js';
import { Heap, type HeapItem } from '../stores/shared/heap.js';
import { toMs, type DurationInput } from '../time/duration.js';
import { toInstant, type InstantInput } from '../time/instant.js';

/** Turns of the event loop after which work without timers or I/O has come to rest. */
const TURNS = 3;
/** Time moves in steps of this fraction of a millisecond: such sums are exact, so that no instant is missed by a rounding error. */
const STEPS_PER_MS = 1_024;

interface Timer extends HeapItem {
  readonly at: number;
  readonly sequence: number;
  readonly callback: () => void;
  pending: boolean;
}

/**
 * Time that moves only when it is told to. Between two instants nothing happens; at each instant the timers that are
 * due go off in the order of their time and, at one time, in the order in which they were set, and what they set going
 * comes to rest before the next one does. So a year of schedule passes in milliseconds, and always in the same way.
 *
 * Tasks that wait must wait on this clock (`clock.sleep`), not on real timers.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock('2026-01-01T00:00:00Z');
 * const scheduler = new AsyncScheduler({ clock, timezone: 'UTC' });
 * const seen: Date[] = [];
 * await scheduler.addJob(() => { seen.push(currentRun().scheduledFor); }, '0 9 * * 1');
 * await scheduler.start();
 * await clock.advance({ weeks: 52 });
 * // seen has 52 Mondays
 * ```
 */
export class VirtualClock implements Clock {
  /** Wall time minus elapsed time. Kept in place of the wall time, which parts of milliseconds added one by one would make inexact. */
  #offset: number;
  #monotonic = 0;
  #sequence = 0;
  readonly #timers = new Heap<Timer>((a, b) => a.at < b.at || (a.at === b.at && a.sequence < b.sequence));
  #advancing = false;
  #deferred = 0;
  readonly #jumpListeners = new Set<() => void>();

  /** @param start - the wall time it begins with. Default 2026-01-01T00:00:00Z. @throws InvalidOptionError */
  constructor(start: InstantInput = '2026-01-01T00:00:00Z') {
    this.#offset = toInstant(start, 'start', 'UTC');
  }

  now(): EpochMs {
    return this.#offset + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    const timer: Timer = {
      at: onGrid(this.#monotonic + Math.max(0, delayMs)),
      sequence: ++this.#sequence,
      callback,
      pending: true,
      position: 0,
    };
    this.#timers.push(timer);
    return {
      cancel: () => {
        if (!timer.pending) return;
        timer.pending = false;
        this.#timers.remove(timer);
      },
    };
  }

  defer(callback: () => void): void {
    this.#deferred += 1;
    setImmediate(() => {
      this.#deferred -= 1;
      callback();
    });
  }

  onJump(callback: () => void): () => void {
    this.#jumpListeners.add(callback);
    return () => {
      this.#jumpListeners.delete(callback);
    };
  }

  /** Resolves after `duration` of this clock's time; rejects with the signal's reason when it fires first. */
  sleep(duration: DurationInput, signal?: AbortSignal): Promise<void> {
    const ms = toMs(duration, 'duration');
    return new Promise((resolve, reject) => {
      const fail = (): void => {
        timer.cancel();
        reject(signal?.reason as Error);
      };
      const timer = this.setTimer(ms, () => {
        signal?.removeEventListener('abort', fail);
        resolve();
      });
      if (signal?.aborted === true) fail();
      else signal?.addEventListener('abort', fail, { once: true });
    });
  }

  /** Timers that wait. 0 when nothing is planned any more. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Lets both clocks run on by `duration`. @throws InvalidOptionError when that is negative, or inside another advance. */
  async advance(duration: DurationInput): Promise<void> {
    await this.#run(onGrid(this.#monotonic + toMs(duration, 'duration')));
  }

  /** Lets both clocks run on until the wall clock shows `instant`. @throws InvalidOptionError when that has passed. */
  async advanceTo(instant: InstantInput): Promise<void> {
    const at = toInstant(instant, 'instant', 'UTC');
    if (at < this.now()) {
      throw new InvalidOptionError('instant', instant, `an instant not before ${new Date(this.now()).toISOString()}`, 'jump() sets the wall clock back.');
    }
    await this.#run(at - this.#offset);
  }

  /** Sets the wall clock forwards or back by `ms`, as an operator or NTP would; elapsed time does not change. */
  jump(ms: number): void {
    this.#offset += ms;
    for (const callback of this.#jumpListeners) callback();
  }

  /** Lets what is going on come to rest, without any time passing. */
  async settle(): Promise<void> {
    await this.#atRest();
  }

  async #run(until: number): Promise<void> {
    if (this.#advancing) {
      throw new InvalidOptionError('advance', 'a second call', 'one call at a time', 'Await the one before; a task that waits uses clock.sleep().');
    }
    this.#advancing = true;
    try {
      await this.#atRest();
      for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) {
        this.#timers.pop();
        timer.pending = false;
        this.#moveTo(timer.at);
        timer.callback();
        await this.#atRest();
      }
      this.#moveTo(until);
      await this.#atRest();
    } finally {
      this.#advancing = false;
    }
  }

  async #atRest(): Promise<void> {
    for (let quiet = 0; quiet < TURNS; quiet = this.#deferred > 0 ? 0 : quiet + 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #next(until: number): Timer | undefined {
    const next = this.#timers.peek();
    return next === undefined || next.at > until ? undefined : next;
  }

  #moveTo(monotonic: number): void {
    this.#monotonic = Math.max(this.#monotonic, monotonic);
  }
}

function onGrid(ms: number): number {
  return Number.isFinite(ms) ? Math.ceil(ms * STEPS_PER_MS) / STEPS_PER_MS : ms;
}
