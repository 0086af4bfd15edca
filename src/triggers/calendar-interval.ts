import { InvalidOptionError } from '../errors/errors.js';
import type { EpochMs, TriggerDefaults, TriggerJson } from '../ports/trigger.js';
import { DAY_MS, MAX_INSTANT, monthLength, monthOfDay, monthStart } from '../time/civil.js';
import type { InstantInput } from '../time/instant.js';
import { timeOfDayText } from '../time/time-of-day.js';
import { dayText, toLocalDay } from '../time/local-date.js';
import { toZone, Zone } from '../time/zone.js';
import { TriggerBase } from './base.js';
import { checkOptions, checkOrder, checkSpec, refuseNaN, toJitter, type BoundOptions } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { listText, optionsText } from './words.js';

const OPTIONS: readonly string[] = ['startDate', 'endDate', 'timezone', 'jitter'];

/** The step of a {@link CalendarIntervalTrigger} and the time of day, on the clocks of its zone. */
export interface CalendarInterval {
  readonly years?: number | undefined;
  readonly months?: number | undefined;
  readonly weeks?: number | undefined;
  readonly days?: number | undefined;
  /** 0 to 23. Default 0. */
  readonly hour?: number | undefined;
  /** 0 to 59. Default 0. */
  readonly minute?: number | undefined;
  /** 0 to 59. Default 0. */
  readonly second?: number | undefined;
}

/** Options of a {@link CalendarIntervalTrigger}. */
export interface CalendarIntervalTriggerOptions extends Pick<BoundOptions, 'jitter'> {
  /**
   * The first date, `'2026-01-31'`, or an instant, whose date in the zone is meant. Default: the date on which the
   * job is added.
   */
  readonly startDate?: InstantInput | undefined;
  /** The last date on which it may fire. Default: none. */
  readonly endDate?: InstantInput | undefined;
  /** IANA zone. Default: the scheduler's. */
  readonly timezone?: string | undefined;
}

/** How many dates lie between two milestones. */
const MILESTONE = 256;

const STEPS = ['years', 'months', 'weeks', 'days'] as const;

/**
 * Fires every so many years, months, weeks and days, at a time of day on the clocks of its zone. Each date follows
 * from the one before: first the years and months are added, then the weeks and days.
 *
 * A date that does not exist is left out, not moved: from 31 January monthly, the next is 31 March. So is a date on
 * which daylight saving skips the time of day. If the time comes twice on a date, the first counts.
 * (The rules are those of APScheduler's trigger of the same name.)
 *
 * @example
 * ```ts
 * new CalendarIntervalTrigger({ months: 1, hour: 15 }, { startDate: '2026-01-31', timezone: 'Europe/Berlin' });
 * ```
 */
export class CalendarIntervalTrigger extends TriggerBase {
  readonly jitter: number | undefined;
  readonly #months: number;
  readonly #days: number;
  readonly #secondOfDay: number;
  readonly #zone: Zone | undefined;
  /** Undefined until a start is given or filled in; then dates count from 1970-01-01. */
  readonly #startDay: number | undefined;
  readonly #endDay: number | undefined;
  /** Every 256th date of the sequence, as far as it has been walked; for steps that cannot be computed. */
  #milestones: number[] | undefined;

  /**
   * @throws InvalidOptionError when no step is given or a part is out of range, UnknownTimeZoneError.
   */
  constructor(interval: CalendarInterval, options: CalendarIntervalTriggerOptions = {}) {
    super();
    checkOptions(options, OPTIONS);
    checkInterval(interval);
    const [years, months, weeks, days] = STEPS.map((unit) => toPart(interval, unit, 1_000_000)) as [
      number,
      number,
      number,
      number,
    ];
    this.#months = years * 12 + months;
    this.#days = weeks * 7 + days;
    if (this.#months + this.#days === 0)
      throw new InvalidOptionError('interval', interval, `a step: at least one of ${STEPS.join(', ')}`);
    this.#secondOfDay =
      toPart(interval, 'hour', 23) * 3600 + toPart(interval, 'minute', 59) * 60 + toPart(interval, 'second', 59);
    this.#zone = toZone(options.timezone, 'timezone');
    this.#startDay = toLocalDay(options.startDate, 'startDate', this.#zone);
    this.#endDay = toLocalDay(options.endDate, 'endDate', this.#zone);
    this.jitter = toJitter(options.jitter);
    checkOrder(this.#startDay, this.#endDay, 'endDate', options.endDate);
  }

  get kind(): 'calendarInterval' {
    return 'calendarInterval';
  }

  /** IANA name, or undefined while the scheduler has not filled in its own. */
  get timezone(): string | undefined {
    return this.#zone?.name;
  }

  next(after: EpochMs): EpochMs | null {
    refuseNaN(after, 'after');
    if (after >= MAX_INSTANT) return null;
    const zone = this.#zone ?? Zone.system();
    // Two days early: no local date is further from the date in UTC.
    const from = Math.floor(Math.max(after, -MAX_INSTANT) / DAY_MS) - 2;
    const last = Math.min(this.#endDay ?? Infinity, MAX_INSTANT / DAY_MS);
    for (let day = this.#dateFrom(from); day <= last; day = this.#dateFrom(day + 1)) {
      const at = zone.fromLocal(day * DAY_MS + this.#secondOfDay * 1000, 'none');
      if (at !== null && at > after) return at <= MAX_INSTANT ? at : null;
    }
    return null;
  }

  previous(before: EpochMs): EpochMs | null {
    refuseNaN(before, 'before');
    const zone = this.#zone ?? Zone.system();
    const from = Math.floor(Math.min(before, MAX_INSTANT) / DAY_MS) + 2;
    for (
      let day = this.#dateUpTo(Math.min(from, this.#endDay ?? Infinity));
      day > -Infinity;
      day = this.#dateUpTo(day - 1)
    ) {
      const at = zone.fromLocal(day * DAY_MS + this.#secondOfDay * 1000, 'none');
      if (at !== null && at < before && at <= MAX_INSTANT) return at;
    }
    return null;
  }

  withDefaults(defaults: TriggerDefaults): CalendarIntervalTrigger {
    if (this.#zone !== undefined && this.#startDay !== undefined) return this;
    const zone = this.#zone ?? Zone.of(defaults.timezone);
    const startDay = this.#startDay ?? Math.floor(zone.toLocal(defaults.anchor) / DAY_MS);
    return CalendarIntervalTrigger.read({ ...this.toJSON(), timezone: zone.name, startDate: dayText(startDay) });
  }

  describe(): string {
    const parts = [
      [Math.floor(this.#months / 12), 'year'],
      [this.#months % 12, 'month'],
      [this.#days % 7 === 0 ? this.#days / 7 : 0, 'week'],
      [this.#days % 7 === 0 ? 0 : this.#days, 'day'],
    ] as const;
    const step = parts.flatMap(([n, unit]) => (n === 0 ? [] : [n === 1 ? `1 ${unit}` : `${n} ${unit}s`]));
    const start = this.#startDay === undefined ? '' : `, from ${dayText(this.#startDay)}`;
    const end = this.#endDay === undefined ? '' : `, until ${dayText(this.#endDay)}`;
    return `Every ${listText(step)} at ${timeOfDayText(this.#secondOfDay)}${start}${end}${optionsText(this)}`;
  }

  toJSON(): TriggerJson {
    const seconds = this.#secondOfDay;
    return {
      kind: 'calendarInterval',
      v: 1,
      months: this.#months,
      days: this.#days,
      hour: Math.floor(seconds / 3600),
      minute: Math.floor(seconds / 60) % 60,
      second: seconds % 60,
      ...(this.#zone === undefined ? {} : { timezone: this.#zone.name }),
      ...(this.#startDay === undefined ? {} : { startDate: dayText(this.#startDay) }),
      ...(this.#endDay === undefined ? {} : { endDate: dayText(this.#endDay) }),
      ...(this.jitter === undefined ? {} : { jitter: this.jitter }),
    };
  }

  /** @internal */
  static read(json: TriggerJson): CalendarIntervalTrigger {
    const fields = new JsonFields(json);
    return new CalendarIntervalTrigger(
      {
        months: fields.number('months'),
        days: fields.number('days'),
        hour: fields.number('hour'),
        minute: fields.number('minute'),
        second: fields.number('second'),
      },
      {
        timezone: fields.optionalString('timezone'),
        startDate: fields.optionalString('startDate'),
        endDate: fields.optionalString('endDate'),
        jitter: fields.optionalNumber('jitter'),
      },
    );
  }

  /** The first date of the sequence on or after `day`. */
  #dateFrom(day: number): number {
    const start = this.#startDay ?? 0;
    if (day <= start) return start;
    if (this.#months === 0) return start + Math.ceil((day - start) / this.#days) * this.#days;
    if (this.#days === 0) {
      const startMonth = monthOfDay(start);
      const dayOfMonth = start - monthStart(startMonth);
      let month = startMonth + Math.floor((monthOfDay(day) - startMonth) / this.#months) * this.#months;
      while (dayOfMonth >= monthLength(month) || monthStart(month) + dayOfMonth < day) month += this.#months;
      return monthStart(month) + dayOfMonth;
    }
    const date = this.#walkUpTo(day, start);
    return date === day ? date : this.#following(date);
  }

  /** The last date of the sequence on or before `day`, or minus infinity. */
  #dateUpTo(day: number): number {
    const start = this.#startDay ?? 0;
    if (day < start) return -Infinity;
    if (this.#months === 0) return start + Math.floor((day - start) / this.#days) * this.#days;
    if (this.#days === 0) {
      const startMonth = monthOfDay(start);
      const dayOfMonth = start - monthStart(startMonth);
      let month = startMonth + Math.floor((monthOfDay(day) - startMonth) / this.#months) * this.#months;
      while (dayOfMonth >= monthLength(month) || monthStart(month) + dayOfMonth > day) month -= this.#months;
      return monthStart(month) + dayOfMonth;
    }
    return this.#walkUpTo(day, start);
  }

  /**
   * The last date on or before `day`, which is not before the start, when months and days are both added: then each
   * date follows from the one before, and there is no formula.
   */
  #walkUpTo(day: number, start: number): number {
    const milestones = (this.#milestones ??= [start]);
    let low = 0;
    let high = milestones.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((milestones[middle] ?? start) <= day) low = middle;
      else high = middle;
    }
    let date = milestones[low] ?? start;
    let index = low * MILESTONE;
    for (let later = this.#following(date); later <= day; later = this.#following(date)) {
      date = later;
      index += 1;
      if (index === milestones.length * MILESTONE) milestones.push(date);
    }
    return date;
  }

  #following(date: number): number {
    let month = monthOfDay(date);
    const dayOfMonth = date - monthStart(month);
    do month += this.#months;
    while (dayOfMonth >= monthLength(month));
    return monthStart(month) + dayOfMonth + this.#days;
  }
}

function checkInterval(interval: unknown): void {
  checkSpec(interval, 'interval', [...STEPS, 'hour', 'minute', 'second'], '{ months: 1, hour: 15 }');
}

function toPart(interval: CalendarInterval, part: keyof CalendarInterval, max: number): number {
  const value: unknown = interval[part];
  if (value === undefined) return 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    throw new InvalidOptionError(`interval.${part}`, value, `an integer from 0 to ${max}`);
  }
  return value;
}
