import { InvalidOptionError } from '../errors/errors.js';
import type { EpochMs, Trigger, TriggerJson } from '../ports/trigger.js';
import { toInstant, type InstantInput } from '../time/instant.js';

/** How many fire times {@link TriggerBase.between} answers at most, unless told otherwise. */
const DEFAULT_LIMIT = 1000;

/** What all of punctual's own triggers offer beside the `Trigger` port. */
export abstract class TriggerBase implements Trigger {
  abstract readonly kind: string;
  abstract readonly jitter: number | undefined;
  abstract next(after: EpochMs): EpochMs | null;
  abstract previous(before: EpochMs): EpochMs | null;
  abstract toJSON(): TriggerJson;

  /** The trigger in plain English, for people and logs. Not meant to be parsed. */
  abstract describe(): string;

  /**
   * The next fire times after an instant, in order; fewer when the trigger ends.
   *
   * @param count - how many, at most.
   * @throws InvalidOptionError when `after` is no instant or `count` no positive integer.
   *
   * @example
   * ```ts
   * new CronTrigger('0 9 * * 1-5', { timezone: 'Europe/Berlin' }).nextRunTimes(3, Date.now());
   * ```
   */
  nextRunTimes(count: number, after: InstantInput): Date[] {
    return this.#list(toInstant(after, 'after'), Infinity, toLimit(count, 'count'));
  }

  /**
   * All fire times from one instant to another, both included, in order.
   *
   * @param limit - how many, at most. Default 1000: a trigger may fire every second of a century.
   * @throws InvalidOptionError when an argument is no instant, or `limit` no positive integer.
   */
  between(from: InstantInput, to: InstantInput, limit = DEFAULT_LIMIT): Date[] {
    return this.#list(toInstant(from, 'from') - 1, toInstant(to, 'to'), toLimit(limit, 'limit'));
  }

  /** Asks for no fire time more than is wanted: where they are rare, the next one may be long or in vain to look for. */
  #list(after: EpochMs, last: EpochMs, most: number): Date[] {
    const times: Date[] = [];
    for (let at = this.next(after); at !== null && at <= last; at = this.next(at)) {
      times.push(new Date(at));
      if (times.length === most) break;
    }
    return times;
  }
}

function toLimit(value: unknown, option: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw new InvalidOptionError(option, value, 'an integer of 1 or more');
  }
  return value;
}
