import { daysFromCivil, isLeapYear, isoWeekOfDay, monthLength, weekdayOfDay, yearOfMonth } from '../../time/civil.js';
import { bitsOf, has60, type Bits60 } from './bits.js';
import type { CronItem } from './scan.js';

/** Days a field names, in ways that depend on the month. Masks of days have bit 0 for the first. */
export interface DaySet {
  /** Days of the month by number. */
  readonly days: number;
  /** Bit 0 is the last day, bit 3 the third before it. */
  readonly fromEnd: number;
  /** Working days (Monday to Friday) nearest to these days of the month, within the month. */
  readonly nearest: number;
  /** The month's last working day. */
  readonly lastWorkday: boolean;
  /** Weekdays, bit 0 for Sunday. */
  readonly weekdays: number;
  /** Weekdays' n-th occurrences: bit `7 * (n - 1) + weekday`, as a set since it takes 35 bits. */
  readonly nth: Bits60;
  /** Last occurrences of weekdays, bit 0 for Sunday. */
  readonly lastOf: number;
}

/** Which days of a month an expression fires on. */
export interface DayRule {
  /** Undefined where the field leaves all days open. */
  readonly first: DaySet | undefined;
  readonly second: DaySet | undefined;
  /** How two restricted fields combine: crontab(5) says `or`, APScheduler's keyword form `and`. */
  readonly join: 'or' | 'and';
  /** ISO weeks, in the object form. */
  readonly weeks: Bits60 | undefined;
}

/** Collects the items of a day field; ranges have become `values`. */
export function toDaySet(items: readonly CronItem[], values: Bits60, kind: 'day' | 'dayOfWeek'): DaySet {
  let fromEnd = 0;
  let nearest = 0;
  let lastOf = 0;
  let lastWorkday = false;
  const nth: number[] = [];
  for (const item of items) {
    if (item.type === 'last') fromEnd |= 1 << item.offset;
    else if (item.type === 'nearest') nearest |= 1 << (item.day - 1);
    else if (item.type === 'lastWorkday') lastWorkday = true;
    else if (item.type === 'nth') nth.push(7 * (item.n - 1) + item.weekday);
    else if (item.type === 'lastOf') lastOf |= 1 << item.weekday;
  }
  const mask = kind === 'day' ? (values.low >>> 1) | (values.high << 29) : values.low;
  return {
    days: kind === 'day' ? mask & 0x7fff_ffff : 0,
    fromEnd,
    nearest,
    lastWorkday,
    weekdays: kind === 'day' ? 0 : mask,
    nth: bitsOf(nth),
    lastOf,
  };
}

/**
 * Masks of a month's days, worked out once for each shape a month can have and then looked up. A shape is the month's
 * length and the weekday it starts on; where weeks are restricted it is the whole calendar of its year, and whether the
 * year before was a leap year: a year's first days may belong to the last week of that one.
 */
export class DayTable {
  readonly #rule: DayRule;
  readonly #masks: Int32Array;

  constructor(rule: DayRule) {
    this.#rule = rule;
    this.#masks = new Int32Array(rule.weeks === undefined ? 28 : 252).fill(UNKNOWN);
  }

  /** The days of a month (counted from January of year 0) as a mask. */
  maskOf(month: number, start: number): number {
    const shape = this.#shapeOf(month, start);
    const known = this.#masks[shape] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    return (this.#masks[shape] = maskOfMonth(this.#rule, start, monthLength(month)));
  }

  #shapeOf(month: number, start: number): number {
    if (this.#rule.weeks === undefined) return (monthLength(month) - 28) * 7 + weekdayOfDay(start);
    const year = yearOfMonth(month);
    const leap = isLeapYear(year) ? 14 : isLeapYear(year - 1) ? 7 : 0;
    return (leap + weekdayOfDay(daysFromCivil(year, 1, 1))) * 12 + (month - year * 12);
  }
}

/** No mask is negative. */
const UNKNOWN = -1;

function maskOfMonth(rule: DayRule, start: number, length: number): number {
  const all = 0x7fff_ffff >>> (31 - length);
  const weekday = weekdayOfDay(start);
  const first = rule.first === undefined ? all : maskOfSet(rule.first, weekday, length);
  const second = rule.second === undefined ? all : maskOfSet(rule.second, weekday, length);
  const bothRestricted = rule.first !== undefined && rule.second !== undefined;
  let mask = (bothRestricted && rule.join === 'or' ? first | second : first & second) & all;
  if (rule.weeks !== undefined) {
    for (let i = 0; i < length; i += 1) {
      if (!has60(rule.weeks.low, rule.weeks.high, isoWeekOfDay(start + i))) mask &= ~(1 << i);
    }
  }
  return mask;
}

/** @param weekday - of the month's first day. */
function maskOfSet(set: DaySet, weekday: number, length: number): number {
  let mask = set.days & (0x7fff_ffff >>> (31 - length));
  for (let i = 0; i < length; i += 1) {
    const fromEnd = length - 1 - i;
    const bit = (weekday + i) % 7;
    const isLastOf = fromEnd < 7 && ((set.lastOf >>> bit) & 1) === 1;
    const isNth = has60(set.nth.low, set.nth.high, 7 * Math.floor(i / 7) + bit);
    if (((set.fromEnd >>> fromEnd) & 1) === 1 || ((set.weekdays >>> bit) & 1) === 1 || isLastOf || isNth)
      mask |= 1 << i;
    // A day the month does not have is skipped rather than taken as its last.
    if (((set.nearest >>> i) & 1) === 1) mask |= 1 << nearestWorkday(i, weekday, length);
  }
  if (set.lastWorkday) mask |= 1 << nearestWorkday(length - 1, weekday, length);
  return mask;
}

/** Index of the working day nearest to day `i`, without leaving the month. */
function nearestWorkday(i: number, weekday: number, length: number): number {
  const bit = (weekday + i) % 7;
  if (bit === 6) return i === 0 ? i + 2 : i - 1;
  if (bit === 0) return i === length - 1 ? i - 2 : i + 1;
  return i;
}
