import type { TriggerDefaults, TriggerJson } from '../ports/trigger.js';
import { timeOfDayText, toTimesOfDay } from '../time/time-of-day.js';
import { toZone } from '../time/zone.js';
import { WALL_CLOCK_OPTIONS, checkOptions, checkSpec } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { daysOfWeek, toWeekdays, weekdayNames, weekdaysText, type WeekdaysInput } from './wall-clock/days.js';
import { readWallClockOptions } from './wall-clock/read-options.js';
import { TimesMatcher } from './wall-clock/times-matcher.js';
import { WallClockTrigger, type WallClockOptions } from './wall-clock/wall-clock-trigger.js';
import { listText, optionsText } from './words.js';

/** When a {@link WeeklyTrigger} fires. */
export interface WeeklySchedule {
  /** `['mon', 'thu']`, `'mon-fri'`, or numbers, where 0 and 7 are Sunday. */
  readonly days: WeekdaysInput;
  /** `'10:00'` or `'10:00:30'`, one or several. */
  readonly time: string | readonly string[];
}

/**
 * Fires on given weekdays at given times.
 *
 * @example
 * ```ts
 * new WeeklyTrigger({ days: ['mon', 'thu'], time: '10:00' });
 * ```
 */
export class WeeklyTrigger extends WallClockTrigger {
  readonly #days: number;
  readonly #times: readonly number[];

  /** @throws InvalidOptionError, UnknownTimeZoneError. */
  constructor(schedule: WeeklySchedule, options: WallClockOptions = {}) {
    checkOptions(options, WALL_CLOCK_OPTIONS);
    checkSpec(schedule, 'schedule', ['days', 'time'], "{ days: ['mon'], time: '10:00' }");
    const days = toWeekdays(schedule.days, 'days');
    const times = toTimesOfDay(schedule.time, 'time');
    super(new TimesMatcher(daysOfWeek(days), times), true, toZone(options.timezone, 'timezone'), options);
    this.#days = days;
    this.#times = times;
  }

  get kind(): 'weekly' {
    return 'weekly';
  }

  /** The weekdays, Monday first. */
  get days(): readonly string[] {
    return weekdayNames(this.#days);
  }

  /** The times of day, in order. */
  get times(): readonly string[] {
    return this.#times.map(timeOfDayText);
  }

  describe(): string {
    return `Every week on ${listText(weekdaysText(this.#days))} at ${listText(this.times)}${optionsText(this)}`;
  }

  withDefaults({ timezone }: TriggerDefaults): WeeklyTrigger {
    return this.timezone === undefined ? WeeklyTrigger.read({ ...this.toJSON(), timezone }) : this;
  }

  toJSON(): TriggerJson {
    return { kind: 'weekly', v: 1, days: this.days, times: this.times, ...this.optionsJson() };
  }

  /** @internal */
  static read(json: TriggerJson): WeeklyTrigger {
    const fields = new JsonFields(json);
    const schedule = { days: fields.array('days') as WeekdaysInput, time: fields.array('times') as readonly string[] };
    return new WeeklyTrigger(schedule, readWallClockOptions(fields));
  }
}
