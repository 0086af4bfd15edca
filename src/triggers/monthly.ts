import { InvalidOptionError } from '../errors/errors.js';
import type { TriggerDefaults, TriggerJson } from '../ports/trigger.js';
import { timeOfDayText, toTimesOfDay } from '../time/time-of-day.js';
import { toZone } from '../time/zone.js';
import { WALL_CLOCK_OPTIONS, checkOptions, checkSpec } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { daysOfMonth } from './wall-clock/days.js';
import { readWallClockOptions } from './wall-clock/read-options.js';
import { TimesMatcher } from './wall-clock/times-matcher.js';
import { WallClockTrigger, type WallClockOptions } from './wall-clock/wall-clock-trigger.js';
import { listText, optionsText, ordinal } from './words.js';

/** When a {@link MonthlyTrigger} fires. */
export interface MonthlySchedule {
  /** 1 to 31; -1 is the last day, -2 the one before it, to -31. A day that a month does not have is left out. */
  readonly days: number | readonly number[];
  /** `'12:00'` or `'12:00:30'`, one or several. */
  readonly time: string | readonly string[];
}

/**
 * Fires on given days of the month at given times.
 *
 * @example
 * ```ts
 * new MonthlyTrigger({ days: [1, 15, -1], time: '12:00' });
 * ```
 */
export class MonthlyTrigger extends WallClockTrigger {
  /** The days, those counted from the end last. */
  readonly days: readonly number[];
  readonly #times: readonly number[];

  /** @throws InvalidOptionError, UnknownTimeZoneError. */
  constructor(schedule: MonthlySchedule, options: WallClockOptions = {}) {
    checkOptions(options, WALL_CLOCK_OPTIONS);
    checkSpec(schedule, 'schedule', ['days', 'time'], "{ days: [1, -1], time: '12:00' }");
    const days = toDays(schedule.days);
    const times = toTimesOfDay(schedule.time, 'time');
    super(new TimesMatcher(daysOfMonth(days), times), true, toZone(options.timezone, 'timezone'), options);
    this.days = days;
    this.#times = times;
  }

  get kind(): 'monthly' {
    return 'monthly';
  }

  /** The times of day, in order. */
  get times(): readonly string[] {
    return this.#times.map(timeOfDayText);
  }

  describe(): string {
    return `Every month on ${listText(this.days.map(dayText))} at ${listText(this.times)}${optionsText(this)}`;
  }

  withDefaults({ timezone }: TriggerDefaults): MonthlyTrigger {
    return this.timezone === undefined ? MonthlyTrigger.read({ ...this.toJSON(), timezone }) : this;
  }

  toJSON(): TriggerJson {
    return { kind: 'monthly', v: 1, days: this.days, times: this.times, ...this.optionsJson() };
  }

  /** @internal */
  static read(json: TriggerJson): MonthlyTrigger {
    const fields = new JsonFields(json);
    const schedule = {
      days: fields.array('days') as readonly number[],
      time: fields.array('times') as readonly string[],
    };
    return new MonthlyTrigger(schedule, readWallClockOptions(fields));
  }
}

function toDays(input: unknown): number[] {
  const given: readonly unknown[] = Array.isArray(input) ? input : [input];
  const days = given.filter((day): day is number => typeof day === 'number' && Number.isInteger(day));
  if (days.length === 0 || days.length < given.length || days.some((day) => day === 0 || Math.abs(day) > 31)) {
    throw new InvalidOptionError('days', input, 'days of the month: 1 to 31, or -1 (the last) to -31');
  }
  // Positive days first, then from the end of the month backwards.
  return [...new Set(days)].sort((a, b) => (a > 0 === b > 0 ? a - b : b - a));
}

function dayText(day: number): string {
  if (day > 0) return `the ${ordinal(day)}`;
  return day === -1 ? 'the last day' : `the ${ordinal(-day)} day from the end`;
}
