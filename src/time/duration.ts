import { Duration } from 'luxon';
import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';

/** A length of time by its parts; they add up. A day is 24 hours and a week 7 days. */
export interface DurationParts {
  readonly weeks?: number | undefined;
  readonly days?: number | undefined;
  readonly hours?: number | undefined;
  readonly minutes?: number | undefined;
  readonly seconds?: number | undefined;
  readonly milliseconds?: number | undefined;
}

/** Milliseconds, parts such as `{ minutes: 5 }`, a luxon `Duration`, or ISO 8601 such as `'PT5M'`. */
export type DurationInput = number | string | DurationParts | { toMillis(): number };

/** Milliseconds in one of each unit. */
export const MS_PER: Readonly<Record<keyof DurationParts, number>> = {
  weeks: 604_800_000,
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1,
};

const ALLOWED = "a duration of %MIN% or more: milliseconds, { minutes: 5 }, a luxon Duration, or ISO 8601 ('PT5M')";

const NO_FIXED_LENGTH = Object.fromEntries(['month', 'months', 'year', 'years'].map((unit) => [unit, 'Months and years differ in length: say it in days or hours.']));

/** Longest duration accepted: 10,000 years. Keeps every instant within what a `Date` can hold. */
const MAX_MS = 10_000 * 366 * 86_400_000;

/**
 * Milliseconds of a duration.
 *
 * @param option - the option's name, for the error.
 * @param min - least number of milliseconds accepted.
 * @throws InvalidOptionError when it is not a duration, has a part that is none, or is below `min`.
 */
export function toMs(input: unknown, option: string, min = 0): number {
  if (typeof input === 'object' && input !== null && !Array.isArray(input) && !('toMillis' in input)) refuseUnknownParts(input, option);
  const ms = parse(input);
  if (ms === undefined || !Number.isFinite(ms) || ms < min || ms > MAX_MS) {
    throw new InvalidOptionError(option, input, ALLOWED.replace('%MIN%', min === 0 ? '0' : `${min} ms`));
  }
  return Math.round(ms);
}

/**
 * Milliseconds of a duration that is to be kept exactly: a third of a millisecond lost every second adds up.
 *
 * @throws InvalidOptionError as {@link toMs}, and when it is no whole number of milliseconds, 1 or more.
 */
export function toExactMs(input: unknown, option: string): number {
  const ms = toMs(input, option, 1);
  const given = parse(input) ?? ms;
  // luxon cuts off what is less than a millisecond.
  const isCut = typeof input === 'string' && /[.,]\d{3}\d*[1-9]\d*S$/.test(input);
  if (!isCut && Math.abs(given - ms) <= 1e-3) return ms;
  throw new InvalidOptionError(option, input, 'a whole number of milliseconds');
}

/** @throws InvalidOptionError naming the part that was meant: `{ minute: 5 }` may be a minute of the hour. */
function refuseUnknownParts(input: object, option: string): void {
  refuseUnknownKeys(input, option, Object.keys(MS_PER), NO_FIXED_LENGTH, 'unit');
}

function parse(input: unknown): number | undefined {
  if (typeof input === 'number') return input;
  if (typeof input === 'string') return isoToMs(input);
  if (typeof input !== 'object' || input === null) return undefined;
  // Structural, never `instanceof`: luxon exists as an ESM and a CommonJS copy in one process.
  if ('toMillis' in input && typeof input.toMillis === 'function') return Number((input.toMillis as () => unknown)());
  let total = 0;
  let parts = 0;
  for (const [unit, value] of Object.entries(input)) {
    if (value === undefined) continue;
    if (typeof value !== 'number') return undefined;
    total += value * MS_PER[unit as keyof DurationParts];
    parts += 1;
  }
  return parts === 0 ? undefined : total;
}

function isoToMs(text: string): number | undefined {
  if (!/^[+-]?P/.test(text)) return undefined;
  const duration = Duration.fromISO(text);
  // Years and months have no fixed length; CalendarIntervalTrigger is for those.
  if (!duration.isValid || duration.years !== 0 || duration.months !== 0 || duration.quarters !== 0) return undefined;
  return duration.toMillis();
}
