import { DateTime } from 'luxon';
import { InvalidOptionError } from '../errors/errors.js';
import type { EpochMs } from '../ports/trigger.js';
import { Zone } from './zone.js';

/** A `Date`, a luxon `DateTime`, epoch milliseconds, or an ISO 8601 string with an offset. */
export type InstantInput = Date | number | string | { toMillis(): number };

const ALLOWED =
  "an instant: a Date, a luxon DateTime, epoch milliseconds, or an ISO 8601 string with an offset ('2026-05-01T09:00:00Z')";

/** The range of `Date`: ±100,000,000 days (ECMA-262, 21.4.1.1). */
const LIMIT = 8.64e15;

/** Longest text read: far longer than any instant is written. */
const MAX_LENGTH = 64;

/**
 * Epoch milliseconds of an instant. A string without an offset is read in `timezone` when one is given, and
 * refused otherwise, because its meaning would depend on the machine. In a daylight-saving gap it moves
 * forward by the gap, in an overlap it is the first pass (Temporal's `compatible`).
 *
 * @throws InvalidOptionError when it is not an instant.
 */
export function toInstant(input: unknown, option: string, timezone?: string): EpochMs {
  const ms = parse(input, timezone);
  if (ms === undefined || !Number.isFinite(ms) || Math.abs(ms) > LIMIT)
    throw new InvalidOptionError(option, input, ALLOWED);
  return Math.round(ms);
}

function parse(input: unknown, timezone: string | undefined): number | undefined {
  if (typeof input === 'number') return input;
  if (typeof input === 'string') return parseIso(input, timezone);
  if (typeof input !== 'object' || input === null) return undefined;
  if (Object.prototype.toString.call(input) === '[object Date]') return (input as Date).getTime();
  // Structural, never `instanceof`: luxon exists as an ESM and a CommonJS copy in one process.
  if ('toMillis' in input && typeof input.toMillis === 'function') return Number((input.toMillis as () => unknown)());
  return undefined;
}

function parseIso(text: string, timezone: string | undefined): number | undefined {
  const ms = isoToMs(text);
  if (ms === undefined || /T.*(Z|[+-]\d{2}(:?\d{2})?)$/i.test(text)) return ms;
  // Without an offset, what was read as UTC is what the zone's clocks show.
  return timezone === undefined ? undefined : Zone.of(timezone).fromLocal(ms, 'shift');
}

/**
 * Epoch milliseconds of an ISO 8601 text, read in UTC if it has no offset; undefined when it is none. It starts with a
 * date: luxon takes a time alone for today's, and so for another instant every day. A zone in brackets is refused.
 */
export function isoToMs(text: string): number | undefined {
  if (text.length > MAX_LENGTH || !/^[+-]?\d{4}[^[]*$/.test(text)) return undefined;
  const parsed = DateTime.fromISO(text, { zone: 'UTC' });
  return parsed.isValid ? parsed.toMillis() : undefined;
}
