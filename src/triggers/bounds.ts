import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { EpochMs } from '../ports/trigger.js';
import { toMs, type DurationInput } from '../time/duration.js';
import { toInstant, type InstantInput } from '../time/instant.js';

/** Options that every repeating trigger takes. */
export interface BoundOptions {
  /** No fire time before this instant; one exactly on it counts. Local ISO strings are read in `timezone`. */
  readonly startTime?: InstantInput | undefined;
  /** No fire time after this instant; one exactly on it counts, and it is not before `startTime`. Local ISO strings are read in `timezone`. */
  readonly endTime?: InstantInput | undefined;
  /** Upper bound of the deterministic delay a scheduler adds to each start. Default: none. */
  readonly jitter?: DurationInput | undefined;
}

/**
 * An optional bound.
 *
 * @throws InvalidOptionError when it is not an instant.
 */
export function toBound(input: unknown, option: string, timezone?: string): EpochMs | undefined {
  return input === undefined || input === null ? undefined : toInstant(input, option, timezone);
}

/** @throws InvalidOptionError when the end lies before the start. */
export function checkOrder(start: EpochMs | undefined, end: EpochMs | undefined, option: string, value: unknown): void {
  if (start !== undefined && end !== undefined && end < start)
    throw new InvalidOptionError(option, value, 'an instant not before the start');
}

/** @throws InvalidOptionError when it is not a duration. */
export function toJitter(input: unknown): number | undefined {
  if (input === undefined || input === null) return undefined;
  const ms = toMs(input, 'jitter');
  return ms === 0 ? undefined : ms;
}

/** Names of the options a trigger may take: its own, and those of its family. */
export const JITTER_OPTION: readonly string[] = ['jitter'];
export const BOUND_OPTIONS: readonly string[] = ['startTime', 'endTime', 'timezone', ...JITTER_OPTION];
export const WALL_CLOCK_OPTIONS: readonly string[] = [...BOUND_OPTIONS, 'dst'];

/** @throws InvalidOptionError when options are no object, or have a name that is none of `allowed`. */
export function checkOptions(options: unknown, allowed: readonly string[]): void {
  if (typeof options === 'string' && allowed.includes('timezone')) {
    throw new InvalidOptionError('options', options, 'an object', `For a time zone, write { timezone: '${options}' }.`);
  }
  refuseUnknownKeys(options, '', allowed);
}

/**
 * Checks the first argument of a trigger that says what it does by names.
 *
 * @param example - of what is expected, for the error.
 * @throws InvalidOptionError when it is no object, or has a name that is none of `allowed`.
 */
export function checkSpec(spec: unknown, name: string, allowed: readonly string[], example: string): asserts spec is object {
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) {
    throw new InvalidOptionError(name, spec, `an object such as ${example}`);
  }
  refuseUnknownKeys(spec, name, allowed);
}

/** @throws InvalidOptionError: what is no number, as NaN, is no instant, and a trigger must not answer for it. */
export function refuseNaN(instant: unknown, option: string): void {
  if (typeof instant !== 'number' || Number.isNaN(instant)) throw new InvalidOptionError(option, instant, 'an instant in epoch milliseconds');
}
