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
  readonly #rule: RecurrenceRule;
  /** Undefined for what cannot be moved: sets, and rules with a COUNT. */
  readonly #movable: MovableRule | undefined;

  constructor(library: RRuleLibrary, rule: RecurrenceRule) {
    this.#rule = rule;
    this.#movable = MovableRule.of(library, rule);
  }

  next(local: number): number {
    if (local > MAX_LOCAL) return Infinity;
    const from = Math.max(local, MIN_LOCAL);
    const rule = this.#movable?.movedBefore(from, 1) ?? this.#rule;
    return toSeconds(rule.after(new Date(from * 1000), true), Infinity);
  }

  previous(local: number): number {
    if (local < MIN_LOCAL) return -Infinity;
    const until = Math.min(local, MAX_LOCAL);
    for (let intervals = GROWTH; ; intervals *= GROWTH) {
      const moved = this.#movable?.movedBefore(until, intervals);
      const found = toSeconds((moved ?? this.#rule).before(new Date(until * 1000), true), -Infinity);
      if (moved === undefined || found !== -Infinity) return found;
    }
  }
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

  private constructor(library: RRuleLibrary, { options, origOptions }: RecurrenceRule, start: Date) {
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
    return isSet || count !== null || dtstart === null ? undefined : new MovableRule(library, rule, dtstart);
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
