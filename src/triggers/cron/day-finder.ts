import { monthLength, monthOfDay, monthStart } from '../../time/civil.js';
import { highestBit, lowestBit, nextBit, previousBit } from './bits.js';
import { DayTable, type DayRule } from './day-rule.js';
import type { YearSet } from './year-set.js';

/** The calendar repeats after 400 years; what has not come by then never comes. */
const CYCLE_MONTHS = 4800;

/** No month: the search is over. */
const NO_DAY = Number.NaN;

/**
 * The days (counted from 1970-01-01) that a rule, its months and its years let in.
 *
 * The last month asked about is remembered, which changes no answer, only its price.
 */
export class DayFinder {
  readonly #table: DayTable;
  readonly #months: number;
  readonly #years: YearSet | undefined;
  #month = Number.NaN;
  #monthStart = 0;
  #monthEnd = 0;
  #monthMask = 0;
  /** Known to let in no day at all, once a search through the whole cycle has found none. */
  #barren = false;

  /**
   * @param months - bit 0 is January.
   * @param years - undefined: every year.
   */
  constructor(rule: DayRule, months: number, years: YearSet | undefined) {
    this.#table = new DayTable(rule);
    this.#months = months;
    this.#years = years;
  }

  /** Whether a day is in the set. */
  has(day: number): boolean {
    if (!(day >= this.#monthStart && day < this.#monthEnd)) this.#enter(monthOfDay(day));
    return ((this.#monthMask >>> (day - this.#monthStart)) & 1) === 1;
  }

  /** The first matching day at or after `day`, or NaN. */
  from(day: number): number {
    if (this.#barren) return NO_DAY;
    if (!(day >= this.#monthStart && day < this.#monthEnd)) this.#enter(monthOfDay(day));
    let found = nextBit(this.#monthMask, day - this.#monthStart);
    const limit = this.#years === undefined ? this.#month + CYCLE_MONTHS : Infinity;
    while (found < 0) {
      const month = this.#monthFrom(this.#month + 1);
      if (!(month <= limit)) return this.#giveUp();
      this.#enter(month);
      found = nextBit(this.#monthMask, 0);
    }
    return this.#monthStart + found;
  }

  /** The last matching day at or before `day`, or NaN. */
  upTo(day: number): number {
    if (this.#barren) return NO_DAY;
    if (!(day >= this.#monthStart && day < this.#monthEnd)) this.#enter(monthOfDay(day));
    let found = previousBit(this.#monthMask, day - this.#monthStart);
    const limit = this.#years === undefined ? this.#month - CYCLE_MONTHS : -Infinity;
    while (found < 0) {
      const month = this.#monthUpTo(this.#month - 1);
      if (!(month >= limit)) return this.#giveUp();
      this.#enter(month);
      found = previousBit(this.#monthMask, 30);
    }
    return this.#monthStart + found;
  }

  #giveUp(): number {
    // With years, the search may just have come to the end of them.
    this.#barren = this.#years === undefined;
    return NO_DAY;
  }

  #enter(month: number): void {
    const start = monthStart(month);
    this.#month = month;
    this.#monthStart = start;
    this.#monthEnd = start + monthLength(month);
    const year = Math.floor(month / 12);
    const open =
      ((this.#months >>> (month - year * 12)) & 1) === 1 && (this.#years === undefined || this.#years.has(year));
    this.#monthMask = open ? this.#table.maskOf(month, start) : 0;
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
