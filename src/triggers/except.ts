import { inspectValue } from '../errors/base.js';
import { InvalidTriggerError } from '../errors/errors.js';
import type { EpochMs, Trigger, TriggerDefaults, TriggerJson } from '../ports/trigger.js';
import { TriggerBase } from './base.js';
import { JITTER_OPTION, checkOptions, refuseNaN, toJitter } from './bounds.js';
import type { CombiningOptions } from './combining.js';
import { CYCLE, joinCycles, type Cycle } from './cycle.js';
import { Difference } from './difference.js';
import { HolidayCalendar, isHolidayCalendar } from './holiday-calendar.js';
import { checkPart, isTrigger } from './is-trigger.js';
import { JsonFields } from './json-fields.js';
import type { TriggerRegistry } from './registry.js';
import { isExactly, MAX_ROUNDS, previousOf, TriggerSearchError } from './search.js';
import { firstOf } from './past-dates.js';
import { optionsText, partText } from './words.js';

/**
 * Fires when `base` does, except at the instants of another trigger, or on the dates of a calendar.
 *
 * @example Every hour, but not at noon; every workday, but not on holidays.
 * ```ts
 * new ExceptTrigger(new CronTrigger('0 * * * *'), new CronTrigger('0 12 * * *'));
 * new ExceptTrigger(new CronTrigger('0 9 * * 1-5'), new HolidayCalendar(['2026-05-01', '2026-12-25']));
 * ```
 */
export class ExceptTrigger extends TriggerBase {
  readonly base: Trigger;
  readonly excluded: Trigger | HolidayCalendar;
  readonly jitter: number | undefined;
  /** Worked out when it is first needed. */
  #difference: Difference | undefined;

  /**
   * @throws InvalidTriggerError when `base` is no trigger, `excluded` neither a trigger nor a calendar, or one of them
   *   has no fire times of its own.
   */
  constructor(base: Trigger, excluded: Trigger | HolidayCalendar, options: CombiningOptions = {}) {
    super();
    if (!isTrigger(base)) throw new InvalidTriggerError('The base of an "except" trigger is not a trigger.', base);
    if (!isTrigger(excluded) && !isHolidayCalendar(excluded)) {
      throw new InvalidTriggerError(
        `An "except" trigger excludes a trigger or a HolidayCalendar, got ${inspectValue(excluded)}. For dates, write new HolidayCalendar(['2026-12-25']).`,
        excluded,
      );
    }
    checkPart('an "except" trigger', base);
    if (isTrigger(excluded)) checkPart('an "except" trigger', excluded);
    checkOptions(options, JITTER_OPTION);
    this.base = base;
    this.excluded = excluded;
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'except' {
    return 'except';
  }

  /**
   * `null` also where it can be seen that all that follows is excluded.
   *
   * @throws TriggerSearchError when that cannot be seen, and too many instants in a row are excluded.
   */
  next(after: EpochMs): EpochMs | null {
    const { base, excluded } = this;
    if (isTrigger(excluded)) return this.#differenceFrom(excluded).next(after);
    refuseNaN(after, 'after');
    let at = base.next(after);
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (at === null || !excluded.includes(at)) return at;
      // However dense the base is, holidays in a row are left in one step.
      at = base.next(Math.max(at, excluded.endAfter(at) - 1));
    }
    throw new TriggerSearchError('except', after, at ?? after, this);
  }

  /** @throws TriggerSearchError as {@link ExceptTrigger.next}. */
  previous(before: EpochMs): EpochMs | null {
    const { base, excluded } = this;
    if (isTrigger(excluded)) return this.#differenceFrom(excluded).previous(before);
    refuseNaN(before, 'before');
    let at = previousOf(base, before);
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (at === null || !excluded.includes(at)) return at;
      at = previousOf(base, Math.min(at, excluded.startBefore(at)));
    }
    throw new TriggerSearchError('except', at ?? before, before, this);
  }

  /** A date that has passed is still due, unless it is excluded. */
  first(now: EpochMs): EpochMs | null {
    const owed = firstOf(this.base, now);
    const at = owed === null ? null : this.next(owed - 1);
    return at !== null && at <= now ? at : null;
  }

  /** @internal */
  [CYCLE](): Cycle | undefined {
    return isExactly(this, ExceptTrigger) && isTrigger(this.excluded)
      ? joinCycles([this.base, this.excluded])
      : undefined;
  }

  #differenceFrom(excluded: Trigger): Difference {
    return (this.#difference ??= new Difference(this, this.base, excluded));
  }

  describe(): string {
    const { excluded } = this;
    const exception = isTrigger(excluded)
      ? `at: ${partText(excluded)}`
      : `on the dates of ${calendarText(excluded)}`;
    return `${partText(this.base)}; but not ${exception}${optionsText({ jitter: this.jitter })}`;
  }

  withDefaults(defaults: TriggerDefaults): ExceptTrigger {
    const base = this.base.withDefaults?.(defaults) ?? this.base;
    const excluded = this.excluded.withDefaults?.(defaults) ?? this.excluded;
    if (base === this.base && excluded === this.excluded) return this;
    return new ExceptTrigger(base, excluded, { jitter: this.jitter });
  }

  toJSON(): TriggerJson {
    const { excluded } = this;
    return {
      kind: 'except',
      v: 1,
      base: this.base.toJSON(),
      ...(isTrigger(excluded) ? { excluded: excluded.toJSON() } : { calendar: excluded.name ?? excluded.toJSON() }),
      ...(this.jitter === undefined ? {} : { jitter: this.jitter }),
    };
  }

  /** @internal */
  static read(json: TriggerJson, registry: TriggerRegistry): ExceptTrigger {
    const fields = new JsonFields(json);
    const calendar = fields.get('calendar');
    const excluded =
      calendar === undefined
        ? registry.read(fields.object('excluded') as TriggerJson)
        : readCalendar(calendar, registry);
    const base = registry.read(fields.object('base') as TriggerJson);
    return new ExceptTrigger(base, excluded, { jitter: fields.optionalNumber('jitter') });
  }
}

function readCalendar(calendar: unknown, registry: TriggerRegistry): HolidayCalendar {
  return typeof calendar === 'string' ? registry.calendar(calendar) : HolidayCalendar.read(calendar, registry);
}

function calendarText(calendar: HolidayCalendar): string {
  return calendar.name === undefined ? 'a calendar' : `the calendar "${calendar.name}"`;
}
