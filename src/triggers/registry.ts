import { inspectValue, isPunctualError } from '../errors/base.js';
import { InvalidOptionError, InvalidTriggerError, UnknownTriggerError } from '../errors/errors.js';
import type { Trigger, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { BUILT_IN } from './built-in.js';
import { isHolidayCalendar, type HolidayCalendar } from './holiday-calendar.js';

/**
 * Makes a trigger from its stored form. Parts of a combination are read through `registry`, so that they may be of
 * any kind the registry knows.
 */
export type ReadTrigger = (json: TriggerJson, registry: TriggerRegistry) => Trigger;

interface Entry {
  readonly read: ReadTrigger;
  readonly version: number;
}

/**
 * The kinds of trigger a process can read back from a store: all of punctual's own, and those you register. Each
 * scheduler has its own, so that two in one process may differ.
 *
 * @example
 * ```ts
 * const triggers = new TriggerRegistry().register('fullMoon', (json) => new FullMoonTrigger(json['since'] as number));
 * ```
 */
export class TriggerRegistry implements TriggerReader {
  readonly #kinds = new Map<string, Entry>([...BUILT_IN].map(([kind, read]) => [kind, { read, version: 1 }]));
  readonly #calendars = new Map<string, HolidayCalendar>();

  /** The kinds that can be read. */
  get kinds(): readonly string[] {
    return [...this.#kinds.keys()];
  }

  /**
   * Adds a kind of trigger.
   *
   * @param version - the newest `v` that `read` understands. A stored trigger with a newer one is refused, never
   *   guessed at. Default 1.
   * @returns this registry.
   * @throws InvalidOptionError when the kind is taken or not a non-empty string.
   */
  register(kind: string, read: ReadTrigger, version = 1): this {
    if (typeof kind !== 'string' || kind === '') throw new InvalidOptionError('kind', kind, 'a non-empty string');
    if (typeof read !== 'function')
      throw new InvalidOptionError('read', read, 'a function that makes a trigger from its stored form');
    if (!Number.isInteger(version) || version < 1)
      throw new InvalidOptionError('version', version, 'an integer of 1 or more');
    if (this.#kinds.has(kind)) throw new InvalidOptionError('kind', kind, 'a kind that is not registered yet');
    this.#kinds.set(kind, { read, version });
    return this;
  }

  /**
   * Makes a named calendar known, in place of one of the same name: stored triggers that name it use it when they are
   * read next.
   *
   * @returns this registry.
   * @throws InvalidOptionError when it is no calendar, or has no name.
   */
  defineCalendar(calendar: HolidayCalendar): this {
    if (!isHolidayCalendar(calendar) || calendar.name === undefined) {
      throw new InvalidOptionError('calendar', calendar, 'a HolidayCalendar with a name');
    }
    this.#calendars.set(calendar.name, calendar);
    return this;
  }

  /** @throws UnknownTriggerError when no calendar of that name is defined. */
  calendar(name: string): HolidayCalendar {
    const calendar = this.#calendars.get(name);
    if (calendar !== undefined) return calendar;
    throw new UnknownTriggerError(
      'except',
      `Unknown calendar ${inspectValue(name)}: a stored trigger excludes its dates. ` +
        'Define it with defineCalendar before the scheduler starts.',
    );
  }

  /**
   * @throws UnknownTriggerError when the kind is not registered or the version newer; InvalidTriggerError when the
   *   fields make no trigger. Both keep what was stored.
   */
  read(json: TriggerJson): Trigger {
    const { kind, v }: { readonly kind: unknown; readonly v: unknown } = isRecord(json)
      ? json
      : { kind: undefined, v: undefined };
    if (typeof kind !== 'string') throw new InvalidTriggerError(`Not a stored trigger: ${inspectValue(json)}.`, json);
    const entry = this.#kinds.get(kind);
    if (entry === undefined) {
      throw new UnknownTriggerError(
        kind,
        `Unknown trigger kind ${inspectValue(kind)}: this process can read ${this.kinds.join(', ')}. ` +
          'If it is one of yours, register it with the scheduler before it starts.',
      );
    }
    if (!Number.isInteger(v) || (v as number) < 1) {
      throw new InvalidTriggerError(
        `Stored ${kind} trigger: expected \`v\` to be a version, got ${inspectValue(v)}.`,
        json,
      );
    }
    if ((v as number) > entry.version) {
      throw new UnknownTriggerError(
        kind,
        `Stored ${kind} trigger has version ${String(v)}, but this process reads up to ${entry.version}. ` +
          'It was written by a newer release: upgrade this process.',
      );
    }
    try {
      return entry.read(json, this);
    } catch (error) {
      // What a constructor says of a caller's option is, here, news about the stored record.
      if (isPunctualError(error, 'UNKNOWN_TRIGGER') || isPunctualError(error, 'INVALID_TRIGGER')) throw error;
      const reason = error instanceof Error ? error.message : inspectValue(error);
      throw new InvalidTriggerError(`Stored ${kind} trigger cannot be read: ${reason}`, json, { cause: error });
    }
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
