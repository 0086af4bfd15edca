import { DAY_SECONDS } from '../../time/civil.js';
import type { DayFinder } from '../cron/day-finder.js';
import type { LocalMatcher } from './engine.js';

/** Given times of day on given days. */
export class TimesMatcher implements LocalMatcher {
  readonly #days: DayFinder;
  /** Seconds of the day, in order; not empty. */
  readonly #times: readonly number[];

  constructor(days: DayFinder, times: readonly number[]) {
    this.#days = days;
    this.#times = times;
  }

  next(local: number): number {
    const day = Math.floor(local / DAY_SECONDS);
    if (this.#days.has(day)) {
      for (const time of this.#times) if (day * DAY_SECONDS + time >= local) return day * DAY_SECONDS + time;
    }
    const later = this.#days.from(day + 1);
    return Number.isNaN(later) ? Infinity : later * DAY_SECONDS + (this.#times[0] ?? 0);
  }

  previous(local: number): number {
    const times = this.#times;
    const day = Math.floor(local / DAY_SECONDS);
    if (this.#days.has(day)) {
      for (let i = times.length - 1; i >= 0; i -= 1) {
        const time = day * DAY_SECONDS + (times[i] ?? 0);
        if (time <= local) return time;
      }
    }
    const earlier = this.#days.upTo(day - 1);
    return Number.isNaN(earlier) ? -Infinity : earlier * DAY_SECONDS + (times[times.length - 1] ?? 0);
  }
}
