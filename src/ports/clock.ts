import type { EpochMs } from './trigger.js';

/** Where time comes from. Everything that waits or measures goes through this, so tests can own time. */
export interface Clock {
  /** Wall clock. May jump backwards (NTP, an operator) or forwards (suspend). */
  now(): EpochMs;

  /** Milliseconds that only grow. Durations and lease deadlines are measured with this. */
  monotonic(): number;

  /**
   * Calls `callback` once, not before `delayMs` has passed on the monotonic clock.
   * A delay may be longer than the platform's timers allow; the clock splits it.
   *
   * @param keepAlive - whether a pending timer keeps the process running. Default `true`.
   */
  setTimer(delayMs: number, callback: () => void, keepAlive?: boolean): TimerHandle;

  /**
   * Present on a clock that knows when its wall time is set, and tells. Then nobody needs to wake up from time to time
   * to look. Answers how to stop being told.
   */
  onJump?(callback: () => void): () => void;

  /**
   * Calls `look` about every `everyMs`, with how much later than that it is: as long as the event loop was held up. Goes on
   * until `look` answers `false`, costs nothing before and after, and never keeps the process running. Not there on a
   * clock whose time stands still while code runs.
   */
  measureLag?(everyMs: number, look: (lateMs: number) => boolean): void;

  /** Calls `callback` once, soon, after other work that is waiting (I/O, timers) has had a turn. */
  defer(callback: () => void): void;
}

export interface TimerHandle {
  /** Idempotent; harmless after the timer has fired. */
  cancel(): void;
}
