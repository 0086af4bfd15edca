import { DAY_SECONDS, monthLength, monthOfDay, monthStart } from '../../time/civil.js';
import { has60, highestBit, lowestBit, nextBit, nextBit60, previousBit, previousBit60, type Bits60 } from './bits.js';
import { DayTable, type DayRule } from './day-rule.js';
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

/** The calendar repeats after 400 years; what has not come by then never comes. */
const CYCLE_MONTHS = 4800;

/** No month: the search is over. */
const NO_DAY = Number.NaN;

/**
 * Finds the local times an expression matches, on a calendar without time zones: seconds since 1970-01-01T00:00 on
 * the wall clock, where every day has 86,400. Integer arithmetic and bit scans only; nothing is allocated.
 *
 * The last month asked about is remembered, which changes no answer, only its price.
 */
export class CronMatcher {
  readonly fixedTime: boolean;
  readonly #secondLow: number;
  readonly #secondHigh: number;
  readonly #minuteLow: number;
  readonly #minuteHigh: number;
  readonly #hours: number;
  readonly #months: number;
  readonly #years: YearSet | undefined;
  readonly #days: DayTable;
  readonly #firstSecond: number;
  readonly #lastSecond: number;
  readonly #firstMinute: number;
  readonly #lastMinute: number;
  readonly #firstTime: number;
  readonly #lastTime: number;
  #month = Number.NaN;
  #monthStart = 0;
  #monthEnd = 0;
  #monthMask = 0;

  constructor(spec: CronSpec) {
    this.fixedTime = spec.fixedTime;
    this.#secondLow = spec.seconds.low;
    this.#secondHigh = spec.seconds.high;
    this.#minuteLow = spec.minutes.low;
    this.#minuteHigh = spec.minutes.high;
    this.#hours = spec.hours;
    this.#months = spec.months;
    this.#years = spec.years;
    this.#days = new DayTable(spec.days);
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
    if (this.#matchesDay(day)) {
      const time = this.#timeFrom(local - day * DAY_SECONDS);
      if (time >= 0) return day * DAY_SECONDS + time;
    }
    const later = this.#dayFrom(day + 1);
    return later === later ? later * DAY_SECONDS + this.#firstTime : Infinity;
  }

  /** The last matching local time at or before `local`, or minus infinity. */
  previous(local: number): number {
    const day = Math.floor(local / DAY_SECONDS);
    if (this.#matchesDay(day)) {
      const time = this.#timeUpTo(local - day * DAY_SECONDS);
      if (time >= 0) return day * DAY_SECONDS + time;
    }
    const earlier = this.#dayUpTo(day - 1);
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

  #matchesDay(day: number): boolean {
    if (!(day >= this.#monthStart && day < this.#monthEnd)) this.#enter(monthOfDay(day));
    return ((this.#monthMask >>> (day - this.#monthStart)) & 1) === 1;
  }

  /** The first matching day at or after `day`, or NaN. */
  #dayFrom(day: number): number {
    if (!(day >= this.#monthStart && day < this.#monthEnd)) this.#enter(monthOfDay(day));
    let found = nextBit(this.#monthMask, day - this.#monthStart);
    const limit = this.#years === undefined ? this.#month + CYCLE_MONTHS : Infinity;
    while (found < 0) {
      const month = this.#monthFrom(this.#month + 1);
      if (!(month <= limit)) return NO_DAY;
      this.#enter(month);
      found = nextBit(this.#monthMask, 0);
    }
    return this.#monthStart + found;
  }

  /** The last matching day at or before `day`, or NaN. */
  #dayUpTo(day: number): number {
    if (!(day >= this.#monthStart && day < this.#monthEnd)) this.#enter(monthOfDay(day));
    let found = previousBit(this.#monthMask, day - this.#monthStart);
    const limit = this.#years === undefined ? this.#month - CYCLE_MONTHS : -Infinity;
    while (found < 0) {
      const month = this.#monthUpTo(this.#month - 1);
      if (!(month >= limit)) return NO_DAY;
      this.#enter(month);
      found = previousBit(this.#monthMask, 30);
    }
    return this.#monthStart + found;
  }

  #enter(month: number): void {
    const start = monthStart(month);
    this.#month = month;
    this.#monthStart = start;
    this.#monthEnd = start + monthLength(month);
    const year = Math.floor(month / 12);
    const open =
      ((this.#months >>> (month - year * 12)) & 1) === 1 && (this.#years === undefined || this.#years.has(year));
    this.#monthMask = open ? this.#days.maskOf(month, start) : 0;
  }

  /** The first month at or after `month` that the month and year fields let in, or NaN. */
  #monthFrom(month: number): number {
    let year = Math.floor(month / 12);
    let index = nextBit(this.#months, month - year * 12);
    if (index < 0) {
      year += 1;
      index = lowestBit(this.#months);
    }
    if (this.#years === undefined || this.#years.has(year)) return year * 12 + index;
    return this.#years.from(year + 1) * 12 + lowestBit(this.#months);
  }

  /** The last month at or before `month` that the month and year fields let in, or NaN. */
  #monthUpTo(month: number): number {
    let year = Math.floor(month / 12);
    let index = previousBit(this.#months, month - year * 12);
    if (index < 0) {
      year -= 1;
      index = highestBit(this.#months);
    }
    if (this.#years === undefined || this.#years.has(year)) return year * 12 + index;
    return this.#years.upTo(year - 1) * 12 + highestBit(this.#months);
  }
}
