import type { Clock, TimerHandle } from '../ports/clock.js';
import type { EpochMs } from '../ports/trigger.js';

/** Node fires a timer longer than this at once (the delay is a signed 32-bit integer), so longer ones are split. */
export const MAX_TIMER_MS = 2_147_483_647;

/** The machine's own clocks. */
export class SystemClock implements Clock {
  now(): EpochMs {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  setTimer(delayMs: number, callback: () => void, keepAlive = true): TimerHandle {
    let remaining = delayMs;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const step = Math.min(remaining, MAX_TIMER_MS);
      remaining -= step;
      timer = setTimeout(remaining > 0 ? arm : callback, step);
      if (!keepAlive) timer.unref();
    };
    arm();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  }

  measureLag(everyMs: number, look: (lateMs: number) => boolean): void {
    let dueAt = performance.now() + everyMs;
    const timer = setTimeout(() => {
      const now = performance.now();
      const goesOn = look(Math.max(0, now - dueAt));
      if (!goesOn) return;
      dueAt = now + everyMs;
      timer.refresh();
    }, everyMs);
    timer.unref();
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }
}
