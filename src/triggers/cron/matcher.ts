import { DAY_SECONDS } from '../../time/civil.js';
import { has60, highestBit, lowestBit, nextBit, nextBit60, previousBit, previousBit60, type Bits60 } from './bits.js';
import type { LocalMatcher } from '../wall-clock/engine.js';
import { DayFinder } from './day-finder.js';
import type { DayRule } from './day-rule.js';
import type { YearSet } from './year-set.js';

/** What an expression says, ready for the {@link CronMatcher}. */
export interface CronSpec {
  readonly seconds: Bits60;
  readonly minutes: Bits60;
  /** Bit 0 is midnight. */
  readonly hours: number;
  /** Bit 0 is January. */
  readonly months: number;
  readonly days: DayRule;
  /** Undefined: every year. */
  readonly years: YearSet | undefined;
  /** No `*`, `?` or `/` in second, minute and hour. */
  readonly fixedTime: boolean;
}

/**
 * The local times an expression matches. Integer arithmetic and bit scans only; nothing is allocated.
 */
export class CronMatcher implements LocalMatcher {
  readonly fixedTime: boolean;
  readonly #secondLow: number;
  readonly #secondHigh: number;
  readonly #minuteLow: number;
  readonly #minuteHigh: number;
  readonly #hours: number;
  readonly #days: DayFinder;
  readonly #firstSecond: number;
  readonly #lastSecond: number;
  readonly #firstMinute: number;
  readonly #lastMinute: number;
  readonly #firstTime: number;
  readonly #lastTime: number;

  constructor(spec: CronSpec) {
    this.fixedTime = spec.fixedTime;
    this.#secondLow = spec.seconds.low;
    this.#secondHigh = spec.seconds.high;
    this.#minuteLow = spec.minutes.low;
    this.#minuteHigh = spec.minutes.high;
    this.#hours = spec.hours;
    this.#days = new DayFinder(spec.days, spec.months, spec.years);
    this.#firstSecond = nextBit60(spec.seconds.low, spec.seconds.high, 0);
    this.#lastSecond = previousBit60(spec.seconds.low, spec.seconds.high, 59);
    this.#firstMinute = nextBit60(spec.minutes.low, spec.minutes.high, 0);
    this.#lastMinute = previousBit60(spec.minutes.low, spec.minutes.high, 59);
    this.#firstTime = lowestBit(spec.hours) * 3600 + this.#firstMinute * 60 + this.#firstSecond;
    this.#lastTime = highestBit(spec.hours) * 3600 + this.#lastMinute * 60 + this.#lastSecond;
  }

  /** The first matching local time at or after `local`, or plus infinity. */
  next(local: number): number {
    const day = Math.floor(local / DAY_SECONDS);
    if (this.#days.has(day)) {
      const time = this.#timeFrom(local - day * DAY_SECONDS);
      if (time >= 0) return day * DAY_SECONDS + time;
    }
    const later = this.#days.from(day + 1);
    return later === later ? later * DAY_SECONDS + this.#firstTime : Infinity;
  }

  /** The last matching local time at or before `local`, or minus infinity. */
  previous(local: number): number {
    const day = Math.floor(local / DAY_SECONDS);
    if (this.#days.has(day)) {
      const time = this.#timeUpTo(local - day * DAY_SECONDS);
      if (time >= 0) return day * DAY_SECONDS + time;
    }
    const earlier = this.#days.upTo(day - 1);
    return earlier === earlier ? earlier * DAY_SECONDS + this.#lastTime : -Infinity;
  }

  /** Second of the day at or after `from`, or -1. */
  #timeFrom(from: number): number {
    let hour = (from / 3600) | 0;
    if (((this.#hours >>> hour) & 1) === 1) {
      const rest = from - hour * 3600;
      let minute = (rest / 60) | 0;
      if (has60(this.#minuteLow, this.#minuteHigh, minute)) {
        const second = nextBit60(this.#secondLow, this.#secondHigh, rest - minute * 60);
        if (second >= 0) return hour * 3600 + minute * 60 + second;
      }
      minute = nextBit60(this.#minuteLow, this.#minuteHigh, minute + 1);
      if (minute >= 0) return hour * 3600 + minute * 60 + this.#firstSecond;
    }
    hour = nextBit(this.#hours, hour + 1);
    return hour < 0 ? -1 : hour * 3600 + this.#firstMinute * 60 + this.#firstSecond;
  }

  /** Second of the day at or before `from`, or -1. */
  #timeUpTo(from: number): number {
    let hour = (from / 3600) | 0;
    if (((this.#hours >>> hour) & 1) === 1) {
      const rest = from - hour * 3600;
      let minute = (rest / 60) | 0;
      if (has60(this.#minuteLow, this.#minuteHigh, minute)) {
        const second = previousBit60(this.#secondLow, this.#secondHigh, rest - minute * 60);
        if (second >= 0) return hour * 3600 + minute * 60 + second;
      }
      minute = previousBit60(this.#minuteLow, this.#minuteHigh, minute - 1);
      if (minute >= 0) return hour * 3600 + minute * 60 + this.#lastSecond;
    }
    hour = previousBit(this.#hours, hour - 1);
    return hour < 0 ? -1 : hour * 3600 + this.#lastMinute * 60 + this.#lastSecond;
  }
}
