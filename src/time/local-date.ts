import { InvalidOptionError } from '../errors/errors.js';
import { DAY_MS } from './civil.js';
import { isoToMs, toInstant } from './instant.js';
import { Zone } from './zone.js';

const ALLOWED = "a date ('2026-05-01') or an instant";

/**
 * The day number of a date: an ISO date as it stands, of an instant the date in the zone (the system's, when none
 * is given).
 *
 * @throws InvalidOptionError when it is neither.
 */
export function toLocalDay(input: unknown, option: string, zone: Zone | undefined): number | undefined {
  if (input === undefined || input === null) return undefined;
  if (typeof input === 'string' && !/t/i.test(input)) {
    const date = isoToMs(input);
    if (date === undefined) throw new InvalidOptionError(option, input, ALLOWED);
    return Math.floor(date / DAY_MS);
  }
  const place = zone ?? Zone.system();
  return Math.floor(place.toLocal(toInstant(input, option, place.name)) / DAY_MS);
}

/** ISO date of a day number. */
export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, -'T00:00:00.000Z'.length);
}
