import { InvalidOptionError } from '../errors/errors.js';

const ALLOWED = "a time of day such as '09:00' or '17:30:15'";

/**
 * Second of the day of `'09:00'` or `'09:00:30'`.
 *
 * @throws InvalidOptionError when it is no time of day. `'24:00'` is none: say `'00:00'`.
 */
export function toTimeOfDay(input: unknown, option: string): number {
  const match = typeof input === 'string' && input.length <= 8 ? /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(input) : null;
  if (match === null) throw new InvalidOptionError(option, input, ALLOWED);
  const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59) throw new InvalidOptionError(option, input, ALLOWED);
  return hour * 3600 + minute * 60 + second;
}

/**
 * One or more times of day, in order, each once.
 *
 * @throws InvalidOptionError when there is none, or one is no time of day.
 */
export function toTimesOfDay(input: unknown, option: string): number[] {
  const given: readonly unknown[] = Array.isArray(input) ? input : [input];
  if (given.length === 0) throw new InvalidOptionError(option, input, 'at least one time of day');
  return [
    ...new Set(given.map((time, i) => toTimeOfDay(time, Array.isArray(input) ? `${option}[${i}]` : option))),
  ].sort((a, b) => a - b);
}

/** `'09:00'`, or `'09:00:30'` where there are seconds. */
export function timeOfDayText(secondOfDay: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const second = secondOfDay % 60;
  const text = `${two(Math.floor(secondOfDay / 3600))}:${two(Math.floor(secondOfDay / 60) % 60)}`;
  return second === 0 ? text : `${text}:${two(second)}`;
}
