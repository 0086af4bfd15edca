import { DAY_SECONDS, monthOfDay, monthStart } from '../../time/civil.js';
import type { LocalMatcher } from '../wall-clock/engine.js';
import {
  DAILY,
  HOURLY,
  MINUTELY,
  SECONDLY,
  WEEKLY,
  YEARLY,
  type RecurrenceRule,
  type RRuleLibrary,
} from './library.js';

/** Local times the library can work with: years 0 to 9999. */
const MIN_LOCAL = -62_167_219_200;
const MAX_LOCAL = 253_402_300_799;

/** Seconds of the frequencies that have a fixed length on the wall clock. */
const PERIODS: Readonly<Partial<Record<number, number>>> = {
  [WEEKLY]: 7 * DAY_SECONDS,
  [DAILY]: DAY_SECONDS,
  [HOURLY]: 3600,
  [MINUTELY]: 60,
  [SECONDLY]: 1,
};

/** How much further back `previous` looks each time it has found nothing. */
const GROWTH = 8;

/**
 * The local times of a recurrence rule. The library walks from the start of a rule to the time in question, so a rule
 * that does not count is first moved on, by whole intervals, to shortly before it.
 */
export class RuleMatcher implements LocalMatcher {
  readonly #library: RRuleLibrary;
  readonly #rule: RecurrenceRule;
  #never: boolean | undefined;
  /** Undefined for what cannot be moved: sets, and rules with a COUNT. */
  readonly #movable: MovableRule | undefined;

  constructor(library: RRuleLibrary, rule: RecurrenceRule) {
    this.#library = library;
    this.#rule = rule;
    this.#movable = MovableRule.of(library, rule);
  }

  next(local: number): number {
    if (local > MAX_LOCAL || this.#neverFires()) return Infinity;
    const from = Math.max(local, MIN_LOCAL);
    const rule = this.#movable?.movedBefore(from, 1) ?? this.#rule;
    return toSeconds(rule.after(new Date(from * 1000), true), Infinity);
  }

  #neverFires(): boolean {
    return (this.#never ??= !('_rrule' in this.#rule) && !firesEver(this.#library, this.#rule));
  }

  previous(local: number): number {
    if (local < MIN_LOCAL || this.#neverFires()) return -Infinity;
    const until = Math.min(local, MAX_LOCAL);
    for (let intervals = GROWTH; ; intervals *= GROWTH) {
      const moved = this.#movable?.movedBefore(until, intervals);
      const found = toSeconds((moved ?? this.#rule).before(new Date(until * 1000), true), -Infinity);
      if (moved === undefined || found !== -Infinity) return found;
    }
  }
}

/**
 * Whether a rule has any times at all. The calendar repeats itself after 400 years, and a rule after as many of them as
 * its intervals take to begin anew; so it is asked where no more than that is left before the library gives up.
 */
export function firesEver(library: RRuleLibrary, rule: RecurrenceRule): boolean {
  const { freq, interval, dtstart } = rule.options;
  if (dtstart === null) return true;
  const calendar = 146_097 * DAY_SECONDS;
  const period = PERIODS[freq];
  const cycle =
    period === undefined
      ? leastCommonMultiple(interval, freq === YEARLY ? 400 : 4800) * (calendar / (freq === YEARLY ? 400 : 4800))
      : leastCommonMultiple(interval * period, calendar);
  const endless = { ...rule.origOptions, count: null, until: null };
  const movable = new MovableRule(library, rule.options, endless, dtstart);
  const late = movable.movedBefore(MAX_LOCAL - cycle, 1) ?? new library.RRule(endless, true);
  return late.after(dtstart, true) !== null;
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return (a / x) * b;
}

/**
 * Whether an hourly, minutely or secondly rule ever comes to a time of day it names, as every second hour from 08:00
 * never does to 09:00. rrule would look for it forever.
 */
export function reachesItsTimes({ options }: RecurrenceRule): boolean {
  const { freq, interval, dtstart, byhour, byminute, bysecond } = options;
  const period = PERIODS[freq] ?? Infinity;
  if (period > 3600 || dtstart === null) return true;
  let time = (((dtstart.getTime() / 1000) % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
  const fits = (values: readonly number[] | null, unit: number, size: number): boolean =>
    unit < period || values === null || values.length === 0 || values.includes(Math.floor(time / unit) % size);
  for (let steps = DAY_SECONDS / period; steps > 0; steps -= 1) {
    if (fits(byhour, 3600, 24) && fits(byminute, 60, 60) && fits(bysecond, 1, 60)) return true;
    time = (time + interval * period) % DAY_SECONDS;
  }
  return false;
}

function toSeconds(date: Date | null, none: number): number {
  return date === null ? none : date.getTime() / 1000;
}

/** A rule without a COUNT: what it matches does not depend on which of its intervals it starts in. */
class MovableRule {
  readonly #library: RRuleLibrary;
  readonly #options: object;
  readonly #start: number;
  readonly #frequency: number;
  readonly #interval: number;

  constructor(library: RRuleLibrary, options: RecurrenceRule['options'], origOptions: object, start: Date) {
    this.#library = library;
    this.#start = start.getTime() / 1000;
    this.#frequency = options.freq;
    this.#interval = options.interval;
    // What the rule leaves open comes from its start, and must not change with it.
    const { byhour, byminute, bysecond } = options;
    this.#options = {
      bymonth: options.bymonth,
      bymonthday: options.bymonthday,
      byweekday: options.byweekday,
      ...origOptions,
      byhour,
      byminute,
      bysecond,
    };
  }

  static of(library: RRuleLibrary, rule: RecurrenceRule): MovableRule | undefined {
    const { dtstart, count } = rule.options;
    const isSet = '_rrule' in rule;
    return isSet || count !== null || dtstart === null ? undefined : new MovableRule(library, rule.options, rule.origOptions, dtstart);
  }

  /** The rule as if it started at least so many intervals before `local`; undefined if that is before it starts. */
  movedBefore(local: number, intervals: number): RecurrenceRule | undefined {
    const start = this.#startBefore(local, intervals);
    if (start <= this.#start) return undefined;
    return new this.#library.RRule({ ...this.#options, dtstart: new Date(start * 1000) }, true);
  }

  #startBefore(local: number, intervals: number): number {
    const period = PERIODS[this.#frequency];
    if (period !== undefined) {
      const length = period * this.#interval;
      return this.#start + (Math.floor((local - this.#start) / length) - intervals) * length;
    }
    const length = this.#interval * (this.#frequency === YEARLY ? 12 : 1);
    const from = monthOfDay(Math.floor(this.#start / DAY_SECONDS));
    // Years are moved from January on, as they are counted.
    const origin = this.#frequency === YEARLY ? from - (((from % 12) + 12) % 12) : from;
    const passed = monthOfDay(Math.floor(local / DAY_SECONDS)) - origin;
    return monthStart(origin + (Math.floor(passed / length) - intervals) * length) * DAY_SECONDS;
  }
}
