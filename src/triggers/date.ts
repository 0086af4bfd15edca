import type { EpochMs, TriggerJson } from '../ports/trigger.js';
import { toInstant, type InstantInput } from '../time/instant.js';
import { TriggerBase } from './base.js';
import { JITTER_OPTION, checkOptions, refuseNaN, toJitter, type BoundOptions } from './bounds.js';
import { JsonFields } from './json-fields.js';
import { instantText, optionsText } from './words.js';

const OPTIONS: readonly string[] = ['timezone', ...JITTER_OPTION];

/** Options of a {@link DateTrigger}. */
export interface DateTriggerOptions extends Pick<BoundOptions, 'jitter'> {
  /** IANA zone in which a local ISO string is read. Without it, a string needs an offset. */
  readonly timezone?: string | undefined;
}

/**
 * Fires once.
 *
 * @example
 * ```ts
 * new DateTrigger('2026-05-01T09:00:00Z');
 * new DateTrigger('2026-05-01T09:00', { timezone: 'Europe/Berlin' });
 * ```
 */
export class DateTrigger extends TriggerBase {
  /** The one fire time. */
  readonly at: EpochMs;
  readonly jitter: number | undefined;

  /**
   * @param at - a `Date`, a luxon `DateTime`, epoch ms or an ISO string. A local time that daylight saving skips
   *   moves on by the length of the gap; of one that comes twice, the first is taken.
   * @throws InvalidOptionError when it is not an instant, UnknownTimeZoneError when the zone is unknown.
   */
  constructor(at: InstantInput, options: DateTriggerOptions = {}) {
    super();
    checkOptions(options, OPTIONS);
    this.at = toInstant(at, 'at', options.timezone);
    this.jitter = toJitter(options.jitter);
  }

  get kind(): 'date' {
    return 'date';
  }

  next(after: EpochMs): EpochMs | null {
    refuseNaN(after, 'after');
    return after < this.at ? this.at : null;
  }

  previous(before: EpochMs): EpochMs | null {
    refuseNaN(before, 'before');
    return before > this.at ? this.at : null;
  }

  /** A date that has passed when its job is added is still due; the job's misfire grace decides what that means. */
  first(): EpochMs {
    return this.at;
  }

  count(from: EpochMs, to: EpochMs): number {
    return from <= this.at && this.at <= to ? 1 : 0;
  }

  describe(): string {
    return `Once, at ${instantText(this.at)}${optionsText(this)}`;
  }

  toJSON(): TriggerJson {
    return { kind: 'date', v: 1, at: this.at, ...(this.jitter === undefined ? {} : { jitter: this.jitter }) };
  }

  /** @internal */
  static read(json: TriggerJson): DateTrigger {
    const fields = new JsonFields(json);
    return new DateTrigger(fields.number('at'), { jitter: fields.optionalNumber('jitter') });
  }
}
