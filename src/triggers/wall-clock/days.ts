import { InvalidOptionError } from '../../errors/errors.js';
import { DayFinder } from '../cron/day-finder.js';
import type { DayRule, DaySet } from '../cron/day-rule.js';
import { FIELDS } from '../cron/fields.js';
import { InvalidCronError } from '../cron/invalid-cron-error.js';
import { valuesOf } from '../cron/item-values.js';
import { scanField } from '../cron/scan.js';

/** A weekday: `'mon'`, or 0 to 7, where 0 and 7 are Sunday. */
export type Weekday = 'sun' | 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | number;

/** Weekdays one by one, or as text such as `'mon-fri'`. */
export type WeekdaysInput = string | readonly Weekday[];

const NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const LONG_NAMES = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const ALL_MONTHS = 0xfff;
const ALL_WEEKDAYS = 0x7f;

/**
 * Weekdays as a mask, bit 0 for Sunday.
 *
 * @throws InvalidOptionError when there is none, or one is no weekday.
 */
export function toWeekdays(input: unknown, option: string): number {
  const given: readonly unknown[] = Array.isArray(input) ? input : [input];
  const allowed = "weekdays such as ['mon', 'thu'] or 'mon-fri', of sun, mon, tue, wed, thu, fri, sat or 0-7";
  if (!given.every((day) => typeof day === 'string' || typeof day === 'number')) {
    throw new InvalidOptionError(option, input, allowed);
  }
  const text = given.join(',');
  try {
    const { items } = scanField(text, FIELDS.dayOfWeek, { start: 0, end: text.length, words: true });
    if (items.every(({ type }) => type === 'range')) return valuesOf(FIELDS.dayOfWeek, items, text).low;
  } catch (error) {
    if (!(error instanceof InvalidCronError)) throw error;
  }
  throw new InvalidOptionError(option, input, allowed);
}

/** The names of the weekdays in a mask, Monday first. */
export function weekdayNames(mask: number): (typeof NAMES)[number][] {
  return [1, 2, 3, 4, 5, 6, 0].filter((day) => ((mask >>> day) & 1) === 1).map((day) => NAMES[day] ?? 'sun');
}

/** The weekdays in a mask in words. */
export function weekdaysText(mask: number): string[] {
  if (mask === ALL_WEEKDAYS) return ['every day'];
  if (mask === 0b011_1110) return ['Monday to Friday'];
  return [1, 2, 3, 4, 5, 6, 0].filter((day) => ((mask >>> day) & 1) === 1).map((day) => LONG_NAMES[day] ?? '');
}

const NOTHING: DaySet = {
  days: 0,
  fromEnd: 0,
  nearest: 0,
  lastWorkday: false,
  weekdays: 0,
  nth: { low: 0, high: 0 },
  lastOf: 0,
};

/** Every day. */
export function allDays(): DayFinder {
  return finder(undefined);
}

/** The weekdays of a mask. */
export function daysOfWeek(mask: number): DayFinder {
  return finder(mask === ALL_WEEKDAYS ? undefined : { ...NOTHING, weekdays: mask });
}

/** Days of the month: 1 is the first, -1 the last. */
export function daysOfMonth(days: readonly number[]): DayFinder {
  let fromStart = 0;
  let fromEnd = 0;
  for (const day of days) {
    if (day > 0) fromStart |= 1 << (day - 1);
    else fromEnd |= 1 << (-day - 1);
  }
  return finder({ ...NOTHING, days: fromStart, fromEnd });
}

function finder(set: DaySet | undefined): DayFinder {
  const rule: DayRule = { first: set, second: undefined, join: 'and', weeks: undefined };
  return new DayFinder(rule, ALL_MONTHS, undefined);
}
