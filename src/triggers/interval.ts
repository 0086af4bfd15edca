import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { EpochMs, TriggerDefaults, TriggerJson } from '../ports/trigger.js';
import { MAX_INSTANT } from '../time/civil.js';
import { MS_PER, toExactMs, toMs, type DurationParts } from '../time/duration.js';
import { formatDuration } from '../time/duration-text.js';
import { Zone } from '../time/zone.js';
import { TriggerBase } from './base.js';
import { BOUND_OPTIONS, checkOptions, checkOrder, refuseNaN, toBound, toJitter, type BoundOptions } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { instantText, optionsText } from './words.js';

const OPTIONS: readonly string[] = [...BOUND_OPTIONS, 'from'];

/** Options of an {@link IntervalTrigger}. */
export interface IntervalTriggerOptions extends BoundOptions {
  /** IANA zone in which local ISO strings for `startTime` and `endTime` are read. Nothing else depends on it. */
  readonly timezone?: string | undefined;
  /**
   * `'schedule'` (default): a fixed grid, whatever a run takes. `'completion'`: the pause between the end of one
   * run and the start of the next; `next` then forecasts on the grid.
   */
  readonly from?: 'schedule' | 'completion' | undefined;
}

/** Where the grid starts. */
const EPOCH = 0;
const AT_ANCHOR = 1;
const AFTER_ANCHOR = 2;
type Origin = typeof EPOCH | typeof AT_ANCHOR | typeof AFTER_ANCHOR;

const CALENDAR_HINT = 'Months and years differ in length: CalendarIntervalTrigger counts them on the calendar.';

const UNITS: readonly string[] = Object.keys(MS_PER);

/**
 * Fires again and again after a fixed length of elapsed time: a day is 24 hours, whatever daylight saving does
 * (`CalendarIntervalTrigger` counts days on the calendar).
 *
 * The fire times lie on a grid. With `startTime` the first is on it; without, the scheduler anchors the grid at the
 * moment the job is added, the first fire comes one interval later, and restarts do not move it. A trigger that
 * has no start and met no scheduler lies on the grid of the Unix epoch.
 *
 * @example
 * ```ts
 * new IntervalTrigger({ minutes: 5 });
 * new IntervalTrigger({ hours: 6 }, { startTime: '2026-01-01T00:00:00Z', endTime: '2026-02-01T00:00:00Z' });
 * new IntervalTrigger({ seconds: 30 }, { from: 'completion' });
 * ```
 */
export class IntervalTrigger extends TriggerBase {
  // Plain numbers and few of them: a million jobs hold one such object each.
  /** The interval in milliseconds. */
  readonly every: number;
  readonly #anchor: EpochMs;
  /** The last instant that may fire, or undefined. */
  readonly #end: EpochMs | undefined;
  readonly #origin: Origin;
  readonly #fromCompletion: boolean;
  readonly jitter: number | undefined;

  /**
   * @param interval - its parts, which add up (fractions are allowed where they make whole milliseconds), or milliseconds,
   *   or ISO 8601 (`'PT5M'`).
   * @throws InvalidOptionError when the interval is below 1 ms or an option is invalid, UnknownTimeZoneError.
   */
  constructor(interval: DurationParts | number | string, options: IntervalTriggerOptions = {}) {
    super();
    const anchor = (options as HiddenOptions | null)?.[ANCHOR];
    if (anchor !== undefined && interval instanceof IntervalTrigger) {
      // From `withDefaults`, for each of a million jobs: everything was checked when the original was made.
      this.every = interval.every;
      this.#anchor = anchor;
      this.#end = interval.#end;
      this.#origin = AFTER_ANCHOR;
      this.#fromCompletion = interval.#fromCompletion;
      this.jitter = interval.jitter;
      return;
    }
    checkOptions(options, OPTIONS);
    const zone = options.timezone === undefined ? undefined : Zone.of(options.timezone).name;
    const start = toBound(options.startTime, 'startTime', zone);
    const hidden = options as HiddenOptions;
    this.every = toInterval(interval);
    this.#anchor = start ?? hidden[ANCHOR] ?? 0;
    this.#end = toBound(options.endTime, 'endTime', zone);
    this.#origin = start !== undefined ? AT_ANCHOR : hidden[ANCHOR] !== undefined ? AFTER_ANCHOR : EPOCH;
    checkOrder(start, this.#end, 'endTime', options.endTime);
    this.#fromCompletion = toFrom(options.from);
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'interval' {
    return 'interval';
  }

  /** Where the grid starts: the first fire time, or the moment from which the first interval runs. */
  get anchor(): EpochMs {
    return this.#anchor;
  }

  next(after: EpochMs): EpochMs | null {
    refuseNaN(after, 'after');
    const every = this.every;
    const anchor = this.#anchor;
    const origin = this.#origin;
    // Whole first: a fraction tiny enough would be lost in the subtraction.
    const whole = after < -MAX_INSTANT ? -MAX_INSTANT - 1 : Math.floor(after);
    const passed = whole - anchor;
    if (passed > Number.MAX_SAFE_INTEGER) return this.#nextFar(whole);
    let step = Math.floor(passed / every) + 1;
    if (origin !== EPOCH) {
      const first = origin === AT_ANCHOR ? 0 : 1;
      if (step < first) step = first;
    }
    const at = anchor + step * every;
    const end = this.#end;
    if (end !== undefined ? at <= end : at <= MAX_INSTANT) return at;
    return null;
  }

  previous(before: EpochMs): EpochMs | null {
    refuseNaN(before, 'before');
    const every = this.every;
    const anchor = this.#anchor;
    const end = this.#end;
    const limit = end !== undefined && before > end ? end + 1 : Math.min(Math.ceil(before), MAX_INSTANT + 1);
    if (limit - anchor > Number.MAX_SAFE_INTEGER) return limit - 1 - this.#remainder(limit - 1);
    const step = Math.ceil((limit - anchor) / every) - 1;
    const origin = this.#origin;
    const first = origin === EPOCH ? Math.ceil((-MAX_INSTANT - anchor) / every) : origin === AT_ANCHOR ? 0 : 1;
    if (step >= first) return anchor + step * every;
    return null;
  }

  /** Further from the anchor than numbers are exact: the remainders are. */
  #nextFar(whole: number): EpochMs | null {
    const at = whole - this.#remainder(whole) + this.every;
    return at <= (this.#end ?? MAX_INSTANT) ? at : null;
  }

  /** What is left of the way from the anchor to an instant after whole intervals. */
  #remainder(at: number): number {
    const every = this.every;
    return (((at % every) - (this.#anchor % every)) % every + every) % every;
  }

  count(from: EpochMs, to: EpochMs): number {
    const first = this.next(Math.ceil(from) - 1);
    if (first === null || first > to) return 0;
    const last = this.previous(Math.floor(to) + 1);
    return last === null ? 0 : Math.round((last - first) / this.every) + 1;
  }

  /** Present when made with `from: 'completion'`: the first fire time is one interval after a run ended. */
  get nextAfterCompletion(): ((completedAt: EpochMs) => EpochMs | null) | undefined {
    return this.#fromCompletion ? nextAfterCompletion : undefined;
  }

  /** @internal One interval after `completedAt`, but within the bounds. */
  afterCompletion(completedAt: EpochMs): EpochMs | null {
    refuseNaN(completedAt, 'completedAt');
    const earliest = this.#origin === AT_ANCHOR ? this.#anchor : -MAX_INSTANT;
    const at = Math.max(Math.ceil(completedAt + this.every), earliest);
    return at <= (this.#end ?? MAX_INSTANT) ? at : null;
  }

  withDefaults(defaults: TriggerDefaults): IntervalTrigger {
    if (this.#origin !== EPOCH) return this;
    return new IntervalTrigger(
      this as unknown as DurationParts,
      { [ANCHOR]: defaults.anchor } as IntervalTriggerOptions,
    );
  }

  describe(): string {
    const start = this.#origin === AT_ANCHOR ? `, from ${instantText(this.#anchor)}` : '';
    const pause = this.#fromCompletion ? ' after the previous run has ended' : '';
    return `Every ${formatDuration(this.every)}${pause}${start}${optionsText({ endTime: this.#end, jitter: this.jitter })}`;
  }

  toJSON(): TriggerJson {
    return {
      kind: 'interval',
      v: 1,
      every: this.every,
      ...(this.#origin === AT_ANCHOR ? { startTime: this.#anchor } : {}),
      ...(this.#origin === AFTER_ANCHOR ? { anchor: this.#anchor } : {}),
      ...(this.#end === undefined ? {} : { endTime: this.#end }),
      ...(this.#fromCompletion ? { from: 'completion' } : {}),
      ...(this.jitter === undefined ? {} : { jitter: this.jitter }),
    };
  }

  /** @internal */
  static read(json: TriggerJson): IntervalTrigger {
    const fields = new JsonFields(json);
    return new IntervalTrigger({ milliseconds: fields.number('every') }, {
      startTime: fields.optionalNumber('startTime'),
      endTime: fields.optionalNumber('endTime'),
      jitter: fields.optionalNumber('jitter'),
      from: fields.optionalString('from') as IntervalTriggerOptions['from'],
      [ANCHOR]: toBound(fields.optionalNumber('anchor'), 'anchor'),
    } as IntervalTriggerOptions);
  }
}

/** How a scheduler's anchor reaches the constructor; not a name callers could come to rely on. */
const ANCHOR: unique symbol = Symbol('anchor');
interface HiddenOptions {
  readonly [ANCHOR]?: EpochMs | undefined;
}

// One function for all instances: a closure each would double their size.
function nextAfterCompletion(this: IntervalTrigger, completedAt: EpochMs): EpochMs | null {
  return this.afterCompletion(completedAt);
}

function toFrom(input: unknown): boolean {
  if (input !== undefined && input !== 'schedule' && input !== 'completion') {
    throw new InvalidOptionError('from', input, "'schedule' or 'completion'");
  }
  return input === 'completion';
}

function toInterval(input: unknown): number {
  if (typeof input === 'string' && /^P0*[1-9]\d*[YM]/.test(input)) {
    throw new InvalidOptionError('interval', input, 'a duration of a fixed length', CALENDAR_HINT);
  }
  if (typeof input === 'number' || typeof input === 'string') return toExactMs(input, 'interval');
  if (typeof input !== 'object' || input === null) {
    throw new InvalidOptionError('interval', input, 'parts such as { minutes: 5 }');
  }
  let total = 0;
  for (const unit in input) {
    const value = (input as Record<string, unknown>)[unit];
    if (!Object.hasOwn(MS_PER, unit)) {
      const hint = /^(month|year)s?$/i.test(unit) ? CALENDAR_HINT : undefined;
      refuseUnknownKeys({ [unit]: value }, 'interval', UNITS, hint, 'unit');
    }
    if (value === undefined) continue;
    if (typeof value !== 'number' || !(value >= 0) || value === Infinity) {
      throw new InvalidOptionError(`interval.${unit}`, value, 'a number of 0 or more');
    }
    total += value * MS_PER[unit as keyof DurationParts];
  }
  const every = Math.round(total);
  // A third of a second would lose a millisecond a day: better to say so than to round in silence.
  if (Math.abs(total - every) > 1e-3) {
    throw new InvalidOptionError(
      'interval',
      input,
      'a whole number of milliseconds',
      `Its parts add up to ${total} ms.`,
    );
  }
  if (every < 1) throw new InvalidOptionError('interval', input, 'parts that add up to 1 ms or more');
  return toMs(every, 'interval', 1);
}
