import type { EpochMs } from '../ports/trigger.js';
import { DAY_MS } from '../time/civil.js';
import { modulo, Progression } from './progression.js';

/** So many times of day are worth the arithmetic of meeting an interval one by one. */
const MAX_MEETINGS = 64;

/** The instants that have certain times of the UTC day and, as far as that can be told cheaply, lie on an interval. */
export class DayTimes {
  /** Milliseconds since midnight. */
  readonly #times: readonly number[];
  /** When each time of day meets the interval, instead of when it comes. */
  readonly #meetings: readonly Progression[] | undefined;

  /**
   * @param times - in milliseconds since midnight, in order.
   * @param interval - where it does not have the same times on each day, and the times are few, it tells the days.
   */
  constructor(times: readonly number[], interval: Progression | undefined) {
    this.#times = times;
    if (interval === undefined || DAY_MS % interval.period === 0 || times.length > MAX_MEETINGS) return;
    this.#meetings = times.map((time) => Progression.ofDay(time).meet(interval)).filter((meeting) => meeting !== null);
  }

  /** Whether there is no such instant at all. */
  get empty(): boolean {
    return (this.#meetings ?? this.#times).length === 0;
  }

  /** The first at or after an instant, or plus infinity. */
  from(at: EpochMs): EpochMs {
    if (this.#meetings !== undefined) {
      return this.#meetings.reduce((first, meeting) => Math.min(first, meeting.next(at - 1) ?? Infinity), Infinity);
    }
    const times = this.#times;
    if (times.length === 0) return Infinity;
    const time = modulo(at, DAY_MS);
    const index = countBelow(times, time);
    return index < times.length ? at - time + times[index]! : at - time + DAY_MS + times[0]!;
  }

  /** The last at or before an instant, or minus infinity. */
  upTo(at: EpochMs): EpochMs {
    if (this.#meetings !== undefined) {
      return this.#meetings.reduce((last, meeting) => Math.max(last, meeting.previous(at + 1) ?? -Infinity), -Infinity);
    }
    const times = this.#times;
    if (times.length === 0) return -Infinity;
    const time = modulo(at, DAY_MS);
    const index = countBelow(times, time + 1) - 1;
    return index >= 0 ? at - time + times[index]! : at - time - DAY_MS + times[times.length - 1]!;
  }
}

/** How many of a sorted list lie below a value. */
function countBelow(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
