import { InvalidOptionError } from '../errors/errors.js';
import type { EpochMs, TriggerDefaults, TriggerJson } from '../ports/trigger.js';
import { DAY_MS, DAY_SECONDS, MAX_INSTANT, weekdayOfDay } from '../time/civil.js';
import { toExactMs, type DurationInput } from '../time/duration.js';
import { formatDuration } from '../time/duration-text.js';
import { timeOfDayText, toTimeOfDay } from '../time/time-of-day.js';
import { toZone, Zone } from '../time/zone.js';
import { TriggerBase } from './base.js';
import { BOUND_OPTIONS, checkOptions, checkOrder, checkSpec, refuseNaN, toBound, toJitter, type BoundOptions } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { toWeekdays, weekdayNames, weekdaysText, type WeekdaysInput } from './wall-clock/days.js';
import { listText, optionsText } from './words.js';

/** The hours in which a {@link WindowIntervalTrigger} fires. */
export interface CalendarWindow {
  /** When the window opens: `'09:00'`. The first fire time is on it. */
  readonly from: string;
  /** When it closes: `'17:00'`. A fire time exactly on it counts. If not after `from`, it closes on the next day. */
  readonly to: string;
  /** On which weekdays it opens. Default: every day. */
  readonly days?: WeekdaysInput | undefined;
}

/** Options of a {@link WindowIntervalTrigger}. */
export interface WindowIntervalOptions extends BoundOptions {
  /** IANA zone whose clock opens and closes the window. Default: the scheduler's. */
  readonly timezone?: string | undefined;
}

const EVERY_DAY = 0x7f;

/**
 * Fires at an interval, but only within a window of the day: every 5 minutes between 09:00 and 17:00 on weekdays.
 *
 * The interval counts elapsed time from the opening of each window, so every day starts afresh and daylight saving
 * makes a window longer or shorter, never the interval. If daylight saving skips the opening or closing time, it
 * moves on by the length of the gap; if the time comes twice, the first counts.
 *
 * @example
 * ```ts
 * new WindowIntervalTrigger({ minutes: 5 }, { from: '09:00', to: '17:00', days: 'mon-fri' });
 * new WindowIntervalTrigger({ minutes: 30 }, { from: '22:00', to: '06:00' }); // overnight
 * ```
 */
export class WindowIntervalTrigger extends TriggerBase {
  /** The interval in milliseconds. */
  readonly every: number;
  readonly jitter: number | undefined;
  /** The first instant that may fire, if there is a bound. */
  readonly startTime: EpochMs | undefined;
  /** The last instant that may fire, if there is a bound. */
  readonly endTime: EpochMs | undefined;
  readonly #from: number;
  readonly #to: number;
  readonly #days: number;
  readonly #zone: Zone | undefined;

  /** @throws InvalidOptionError, UnknownTimeZoneError. */
  constructor(interval: DurationInput, window: CalendarWindow, options: WindowIntervalOptions = {}) {
    super();
    checkOptions(options, BOUND_OPTIONS);
    checkSpec(window, 'window', ['from', 'to', 'days'], "{ from: '09:00', to: '17:00' }");
    this.every = toExactMs(interval, 'interval');
    this.#from = toTimeOfDay(window.from, 'window.from');
    this.#to = toTimeOfDay(window.to, 'window.to');
    this.#days = window.days === undefined ? EVERY_DAY : toWeekdays(window.days, 'window.days');
    const length = (this.#to > this.#from ? this.#to - this.#from : this.#to - this.#from + DAY_SECONDS) * 1000;
    if (this.every > length) {
      const allowed = `a duration no longer than the window, ${formatDuration(length)}`;
      throw new InvalidOptionError('interval', interval, allowed, 'For one fire time a day, write new DailyTrigger.');
    }
    this.#zone = toZone(options.timezone, 'timezone');
    this.startTime = toBound(options.startTime, 'startTime', this.#zone?.name);
    this.endTime = toBound(options.endTime, 'endTime', this.#zone?.name);
    checkOrder(this.startTime, this.endTime, 'endTime', options.endTime);
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'windowInterval' {
    return 'windowInterval';
  }

  /** IANA name, or undefined while the scheduler has not filled in its own. */
  get timezone(): string | undefined {
    return this.#zone?.name;
  }

  next(after: EpochMs): EpochMs | null {
    refuseNaN(after, 'after');
    const from = Math.max(Math.floor(after), (this.startTime ?? -MAX_INSTANT) - 1, -MAX_INSTANT - 1);
    const last = Math.min(this.endTime ?? MAX_INSTANT, MAX_INSTANT);
    const zone = this.#zone ?? Zone.system();
    // Two days early for the zone's offset, one more for a window that opened the day before.
    const lastDay = Math.floor(last / DAY_MS) + 2;
    for (let day = Math.floor(from / DAY_MS) - 3; day <= lastDay; day += 1) {
      const found = this.#firstIn(zone, day, from);
      if (found === Infinity) continue;
      // One that closes in a gap may do so after the next has opened.
      const at = Math.min(found, this.#firstIn(zone, day + 1, from));
      return at <= last ? at : null;
    }
    return null;
  }

  previous(before: EpochMs): EpochMs | null {
    refuseNaN(before, 'before');
    const until = Math.min(Math.ceil(before), (this.endTime ?? MAX_INSTANT) + 1, MAX_INSTANT + 1);
    const first = Math.max(this.startTime ?? -MAX_INSTANT, -MAX_INSTANT);
    const zone = this.#zone ?? Zone.system();
    const firstDay = Math.floor(first / DAY_MS) - 3;
    for (let day = Math.floor(until / DAY_MS) + 2; day >= firstDay; day -= 1) {
      const found = this.#lastIn(zone, day, until);
      if (found === -Infinity) continue;
      const at = Math.max(found, this.#lastIn(zone, day - 1, until));
      return at >= first ? at : null;
    }
    return null;
  }

  describe(): string {
    const days = this.#days === EVERY_DAY ? '' : `, ${listText(weekdaysText(this.#days))}`;
    const hours = `between ${timeOfDayText(this.#from)} and ${timeOfDayText(this.#to)}`;
    return `Every ${formatDuration(this.every)} ${hours}${days}${optionsText(this)}`;
  }

  withDefaults({ timezone }: TriggerDefaults): WindowIntervalTrigger {
    return this.#zone === undefined ? WindowIntervalTrigger.read({ ...this.toJSON(), timezone }) : this;
  }

  toJSON(): TriggerJson {
    return {
      kind: 'windowInterval',
      v: 1,
      every: this.every,
      from: timeOfDayText(this.#from),
      to: timeOfDayText(this.#to),
      ...(this.#days === EVERY_DAY ? {} : { days: weekdayNames(this.#days) }),
      ...(this.#zone === undefined ? {} : { timezone: this.#zone.name }),
      ...(this.startTime === undefined ? {} : { startTime: this.startTime }),
      ...(this.endTime === undefined ? {} : { endTime: this.endTime }),
      ...(this.jitter === undefined ? {} : { jitter: this.jitter }),
    };
  }

  /** @internal */
  static read(json: TriggerJson): WindowIntervalTrigger {
    const fields = new JsonFields(json);
    const window: CalendarWindow = {
      from: fields.string('from'),
      to: fields.string('to'),
      days: fields.get('days') as WeekdaysInput | undefined,
    };
    return new WindowIntervalTrigger(fields.number('every'), window, {
      timezone: fields.optionalString('timezone'),
      startTime: fields.optionalNumber('startTime'),
      endTime: fields.optionalNumber('endTime'),
      jitter: fields.optionalNumber('jitter'),
    });
  }

  /** The first fire time after `from` in the window that opens on a day, or plus infinity. */
  #firstIn(zone: Zone, day: number, from: EpochMs): number {
    if (!this.#opensOn(day)) return Infinity;
    const opens = this.#opening(zone, day);
    const at = from < opens ? opens : opens + (Math.floor((from - opens) / this.every) + 1) * this.every;
    return at <= this.#closing(zone, day) ? at : Infinity;
  }

  /** The last fire time before `until` in the window that opens on a day, or minus infinity. */
  #lastIn(zone: Zone, day: number, until: EpochMs): number {
    if (!this.#opensOn(day)) return -Infinity;
    const opens = this.#opening(zone, day);
    const limit = Math.min(this.#closing(zone, day), until - 1);
    return limit >= opens ? opens + Math.floor((limit - opens) / this.every) * this.every : -Infinity;
  }

  #opensOn(day: number): boolean {
    return ((this.#days >>> weekdayOfDay(day)) & 1) === 1;
  }

  #opening(zone: Zone, day: number): EpochMs {
    return zone.fromLocal(day * DAY_MS + this.#from * 1000, 'shift');
  }

  #closing(zone: Zone, day: number): EpochMs {
    const closes = this.#to > this.#from ? day : day + 1;
    return zone.fromLocal(closes * DAY_MS + this.#to * 1000, 'shift');
  }
}
