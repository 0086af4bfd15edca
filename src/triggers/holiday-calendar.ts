import { InvalidOptionError, InvalidTriggerError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import { inspectValue } from '../errors/base.js';
import type { EpochMs, Trigger, TriggerDefaults, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { DAY_MS } from '../time/civil.js';
import type { InstantInput } from '../time/instant.js';
import { dayText, toLocalDay } from '../time/local-date.js';
import { toZone, Zone } from '../time/zone.js';
import { checkOptions } from './bounds.js';
import { checkPart, isTrigger } from './is-trigger.js';

const OPTIONS: readonly string[] = ['name', 'timezone'];

/** Dates from one to another, both included. */
export interface DateRange {
  readonly from: InstantInput;
  readonly to: InstantInput;
}

/** What a {@link HolidayCalendar} is made of: a date, dates in a row, or every date on which a trigger fires. */
export type Holiday = InstantInput | DateRange | Trigger;

/** Options of a {@link HolidayCalendar}. */
export interface HolidayCalendarOptions {
  /**
   * With a name, stored triggers keep the name alone and find the dates in the registry that reads them: change the
   * calendar once, and every job follows. Without, they keep the dates.
   */
  readonly name?: string | undefined;
  /** IANA zone whose dates are meant. Default: the scheduler's; a calendar with a name must give it. */
  readonly timezone?: string | undefined;
}

/** The stored form of a calendar without a name. */
export interface HolidayCalendarJson {
  readonly dates: readonly (string | readonly [from: string, to: string])[];
  readonly triggers: readonly TriggerJson[];
  readonly timezone?: string;
}

/**
 * Dates on which nothing should run: give it to an `ExceptTrigger`.
 *
 * @example
 * ```ts
 * const holidays = new HolidayCalendar(
 *   ['2026-05-01', { from: '2026-12-24', to: '2027-01-01' }, new CronTrigger('0 0 3 10 *')],
 *   { name: 'holidays', timezone: 'Europe/Berlin' },
 * );
 * new ExceptTrigger(new CronTrigger('0 9 * * 1-5'), holidays);
 * ```
 */
export class HolidayCalendar {
  readonly name: string | undefined;
  /** Disjoint, in order; first and last day of each. */
  readonly #ranges: readonly (readonly [first: number, last: number])[];
  readonly #triggers: readonly Trigger[];
  readonly #zone: Zone | undefined;

  /**
   * @throws InvalidOptionError when a holiday is neither a date, a range nor a trigger, InvalidTriggerError when a trigger
   *   has no fire times of its own, UnknownTimeZoneError.
   */
  constructor(holidays: readonly Holiday[], options: HolidayCalendarOptions = {}) {
    if (!Array.isArray(holidays))
      throw new InvalidOptionError('holidays', holidays, 'a list of dates, ranges and triggers');
    checkOptions(options, OPTIONS);
    const { name } = options;
    if (name !== undefined && (typeof name !== 'string' || name === '')) {
      throw new InvalidOptionError('name', name, 'a non-empty string');
    }
    const given = holidays as readonly Holiday[];
    this.name = name;
    const zone = toZone(options.timezone, 'timezone');
    if (name !== undefined && zone === undefined) {
      throw new InvalidOptionError(
        'timezone',
        undefined,
        'an IANA time zone name',
        'A calendar with a name is shared by jobs of any scheduler, so it says itself whose dates it means.',
      );
    }
    this.#zone = zone;
    const triggers = given.filter(isTrigger);
    for (const trigger of triggers) checkPart('a holiday calendar', trigger);
    // The calendar's zone is the one its triggers are read in, unless they name another.
    this.#triggers =
      zone === undefined
        ? triggers
        : triggers.map((trigger) => trigger.withDefaults?.({ timezone: zone.name, anchor: 0 }) ?? trigger);
    this.#ranges = merge(
      given.flatMap((holiday, i) => (isTrigger(holiday) ? [] : [toRange(holiday, `holidays[${i}]`, this.#zone)])),
    );
  }

  /** IANA name, or undefined while the scheduler has not filled in its own. */
  get timezone(): string | undefined {
    return this.#zone?.name;
  }

  /** Whether an instant falls on one of the dates. */
  includes(at: EpochMs): boolean {
    return this.#isHoliday(this.#dayOf(at));
  }

  /** @internal The first instant after the holidays in a row that `at` falls on. */
  endAfter(at: EpochMs): EpochMs {
    const day = this.#dayOf(at);
    return this.#place.fromLocal(((this.#rangeOf(day)?.[1] ?? day) + 1) * DAY_MS, 'shift');
  }

  /** @internal The first instant of the holidays in a row that `at` falls on. */
  startBefore(at: EpochMs): EpochMs {
    const day = this.#dayOf(at);
    return this.#place.lastFromLocal((this.#rangeOf(day)?.[0] ?? day) * DAY_MS);
  }

  /** @internal This calendar, with the zone filled in. */
  withDefaults(defaults: TriggerDefaults): HolidayCalendar {
    const triggers = this.#triggers.map((trigger) => trigger.withDefaults?.(defaults) ?? trigger);
    if (this.#zone !== undefined && triggers.every((trigger, i) => trigger === this.#triggers[i])) return this;
    return new HolidayCalendar([...this.#rangesAsText(), ...triggers], {
      name: this.name,
      timezone: this.#zone?.name ?? defaults.timezone,
    });
  }

  /** What a stored trigger keeps of a calendar without a name. */
  toJSON(): HolidayCalendarJson {
    return {
      dates: this.#ranges.map(([from, to]) => (from === to ? dayText(from) : [dayText(from), dayText(to)])),
      triggers: this.#triggers.map((trigger) => trigger.toJSON()),
      ...(this.#zone === undefined ? {} : { timezone: this.#zone.name }),
    };
  }

  /** @internal */
  static read(json: unknown, reader: TriggerReader): HolidayCalendar {
    const { dates, triggers, timezone } = (
      typeof json === 'object' && json !== null ? json : {}
    ) as Partial<HolidayCalendarJson>;
    if (!Array.isArray(dates) || !Array.isArray(triggers)) {
      throw new InvalidTriggerError(`Not a stored holiday calendar: ${inspectValue(json)}.`, json);
    }
    const ranges = (dates as readonly unknown[]).map((date): Holiday =>
      Array.isArray(date) ? { from: String(date[0]), to: String(date[1]) } : String(date),
    );
    const parts = (triggers as readonly TriggerJson[]).map((trigger) => reader.read(trigger));
    return new HolidayCalendar([...ranges, ...parts], { timezone });
  }

  get #place(): Zone {
    return this.#zone ?? Zone.system();
  }

  #dayOf(at: EpochMs): number {
    return Math.floor(this.#place.toLocal(at) / DAY_MS);
  }

  #isHoliday(day: number): boolean {
    if (this.#rangeOf(day) !== undefined) return true;
    if (this.#triggers.length === 0) return false;
    const start = this.#place.fromLocal(day * DAY_MS, 'shift');
    const end = this.#place.fromLocal((day + 1) * DAY_MS, 'shift');
    return this.#triggers.some((trigger) => (trigger.next(start - 1) ?? Infinity) < end);
  }

  #rangeOf(day: number): readonly [first: number, last: number] | undefined {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.[1] ?? Infinity) < day) low = middle + 1;
      else high = middle;
    }
    const range = this.#ranges[low];
    return range !== undefined && range[0] <= day ? range : undefined;
  }

  #rangesAsText(): DateRange[] {
    return this.#ranges.map(([from, to]) => ({ from: dayText(from), to: dayText(to) }));
  }
}

/** Structural, as for triggers: a calendar may come from another copy of the package. */
export function isHolidayCalendar(value: unknown): value is HolidayCalendar {
  return (
    typeof value === 'object' && value !== null && 'includes' in value && 'endAfter' in value && 'startBefore' in value
  );
}

function toRange(
  holiday: Exclude<Holiday, Trigger>,
  option: string,
  zone: Zone | undefined,
): readonly [number, number] {
  if (typeof holiday === 'object' && (holiday as unknown) !== null && 'from' in holiday && 'to' in holiday) {
    refuseUnknownKeys(holiday, option, ['from', 'to']);
    const first = toLocalDay(holiday.from, `${option}.from`, zone);
    const last = toLocalDay(holiday.to, `${option}.to`, zone);
    if (first !== undefined && last !== undefined && first <= last) return [first, last];
    throw new InvalidOptionError(option, holiday, 'a range whose end is not before its start');
  }
  const day = toLocalDay(holiday, option, zone);
  if (day === undefined)
    throw new InvalidOptionError(option, holiday, "a date such as '2026-12-25', a range or a trigger");
  return [day, day];
}

/** Sorted, with ranges that touch made one. */
function merge(ranges: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const merged: (readonly [number, number])[] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before[1] + 1)
      merged[merged.length - 1] = [before[0], Math.max(before[1], last)];
    else merged.push([first, last]);
  }
  return merged;
}
