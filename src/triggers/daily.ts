import type { TriggerDefaults, TriggerJson } from '../ports/trigger.js';
import { timeOfDayText, toTimesOfDay } from '../time/time-of-day.js';
import { toZone } from '../time/zone.js';
import { WALL_CLOCK_OPTIONS, checkOptions } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { allDays } from './wall-clock/days.js';
import { readWallClockOptions } from './wall-clock/read-options.js';
import { TimesMatcher } from './wall-clock/times-matcher.js';
import { WallClockTrigger, type WallClockOptions } from './wall-clock/wall-clock-trigger.js';
import { listText, optionsText } from './words.js';

/**
 * Fires every day at given times, which need not share a minute as those of one cron expression must.
 *
 * @example
 * ```ts
 * new DailyTrigger(['09:00', '13:30'], { timezone: 'Europe/Berlin' });
 * ```
 */
export class DailyTrigger extends WallClockTrigger {
  readonly #times: readonly number[];

  /**
   * @param times - `'09:00'` or `'09:00:30'`, one or several.
   * @throws InvalidOptionError, UnknownTimeZoneError.
   */
  constructor(times: string | readonly string[], options: WallClockOptions = {}) {
    checkOptions(options, WALL_CLOCK_OPTIONS);
    const seconds = toTimesOfDay(times, 'times');
    super(new TimesMatcher(allDays(), seconds), true, toZone(options.timezone, 'timezone'), options);
    this.#times = seconds;
  }

  get kind(): 'daily' {
    return 'daily';
  }

  /** The times of day, in order. */
  get times(): readonly string[] {
    return this.#times.map(timeOfDayText);
  }

  describe(): string {
    return `Every day at ${listText(this.times)}${optionsText(this)}`;
  }

  withDefaults({ timezone }: TriggerDefaults): DailyTrigger {
    return this.timezone === undefined ? DailyTrigger.read({ ...this.toJSON(), timezone }) : this;
  }

  toJSON(): TriggerJson {
    return { kind: 'daily', v: 1, times: this.times, ...this.optionsJson() };
  }

  /** @internal */
  static read(json: TriggerJson): DailyTrigger {
    const fields = new JsonFields(json);
    return new DailyTrigger(fields.array('times') as readonly string[], readWallClockOptions(fields));
  }
}
