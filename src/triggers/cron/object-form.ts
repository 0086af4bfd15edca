import { InvalidOptionError } from '../../errors/errors.js';
import { toDaySet } from './day-rule.js';
import { FIELDS, type CronFieldName, type FieldInfo } from './fields.js';
import type { CompiledCron } from './expression.js';
import { valuesOf } from './item-values.js';
import { CronMatcher } from './matcher.js';
import { scanField, type ScannedField } from './scan.js';
import { seedItems } from './seed.js';
import { YearSet } from './year-set.js';
import type { Bits60 } from './bits.js';

/** One value of a field: a number, or an expression such as `'*\/5'`, `'mon-fri'`, `'1,15'`; or a list of them. */
export type CronFieldValue = number | string | readonly (number | string)[];

/**
 * A cron trigger by its fields. All given fields must match. A field left out is `'*'` if it is more significant
 * than the least significant one given, otherwise its minimum: `{ hour: 7 }` means 07:00:00 every day, `{ day: 1 }`
 * midnight on the first. (`week` and `dayOfWeek` left out never restrict.) These are APScheduler's rules, but for
 * weekday numbers: as in crontab, 0 and 7 are Sunday.
 */
export interface CronFields {
  /** 1970 to 9999. */
  readonly year?: CronFieldValue | undefined;
  /** 1 to 12 or `jan` to `dec`. */
  readonly month?: CronFieldValue | undefined;
  /** 1 to 31, `'last'`, `'2nd fri'`, `'last sun'`; also `L`, `L-3`, `15W`, `LW`. */
  readonly day?: CronFieldValue | undefined;
  /** ISO week, 1 to 53. */
  readonly week?: CronFieldValue | undefined;
  /** 0 to 7 or `sun` to `sat`; also `5L`, `5#2`. */
  readonly dayOfWeek?: CronFieldValue | undefined;
  /** 0 to 23. */
  readonly hour?: CronFieldValue | undefined;
  /** 0 to 59. */
  readonly minute?: CronFieldValue | undefined;
  /** 0 to 59. */
  readonly second?: CronFieldValue | undefined;
}

/** Most significant first: the order that decides what a field left out means. */
const ORDER: readonly FieldInfo[] = [
  FIELDS.year,
  FIELDS.month,
  FIELDS.day,
  FIELDS.week,
  FIELDS.dayOfWeek,
  FIELDS.hour,
  FIELDS.minute,
  FIELDS.second,
];

/** Longest text of a field read. */
const MAX_LENGTH = 1024;

const MAX_CACHED = 1024;
const cache = new Map<string, CompiledCron>();

/** Fields in their text form, most significant first: what a stored trigger keeps. */
export type CronFieldTexts = Readonly<Partial<Record<CronFieldName, string>>>;

/**
 * Checks the fields' types and writes each as text.
 *
 * @throws InvalidOptionError for an unknown field or a value of another type, or when there is no field at all.
 */
export function toFieldTexts(fields: unknown): CronFieldTexts {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw new InvalidOptionError('cron', fields, "an expression such as '0 9 * * 1-5' or fields such as { hour: 9 }");
  }
  const given = fields as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given)) {
    if (!ORDER.some((info) => info.name === name)) {
      throw new InvalidOptionError(`cron.${name}`, given[name], `one of ${ORDER.map((info) => info.name).join(', ')}`);
    }
  }
  const texts: Partial<Record<CronFieldName, string>> = {};
  for (const { name } of ORDER) {
    if (given[name] !== undefined) texts[name] = toText(name, given[name]);
  }
  if (Object.keys(texts).length === 0)
    throw new InvalidOptionError('cron', fields, 'at least one field, such as { hour: 9 }');
  return texts;
}

function toText(name: CronFieldName, value: unknown): string {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
  const ok =
    parts.length > 0 &&
    parts.every((part) => typeof part === 'string' || (typeof part === 'number' && Number.isInteger(part)));
  const text = ok ? parts.join(',') : '';
  if (!ok || text.length > MAX_LENGTH) {
    throw new InvalidOptionError(
      `cron.${name}`,
      value,
      "an integer, an expression such as '*/5' or 'mon-fri', or a list of them",
    );
  }
  return text;
}

/**
 * Compiles the object form.
 *
 * @throws InvalidCronError
 */
export function compileFields(texts: CronFieldTexts, seed?: string): CompiledCron {
  const key = JSON.stringify([texts, seed]);
  let compiled = cache.get(key);
  if (compiled === undefined) {
    compiled = { matcher: build(texts, seed), timezone: undefined };
    if (cache.size >= MAX_CACHED) cache.clear();
    cache.set(key, compiled);
  }
  return compiled;
}

function build(texts: CronFieldTexts, seed: string | undefined): CronMatcher | undefined {
  const leastGiven = ORDER.findLastIndex((info) => texts[info.name] !== undefined);
  const scanned = ORDER.map((info, i) => {
    const free = i < leastGiven || info.name === 'week' || info.name === 'dayOfWeek';
    const text = texts[info.name] ?? (free ? '*' : String(info.min));
    return scanField(text, info, { start: 0, end: text.length, words: true });
  });
  const fields = seedItems(scanned, ORDER, seed);
  if (fields === undefined) return undefined;
  const get = (name: CronFieldName): ScannedField =>
    at(
      fields,
      ORDER.findIndex((info) => info.name === name),
    );
  const bits = (name: CronFieldName): Bits60 => valuesOf(FIELDS[name], get(name).items, texts[name] ?? '*');
  const [second, minute, hour, day, week, weekday, year] = (
    ['second', 'minute', 'hour', 'day', 'week', 'dayOfWeek', 'year'] as const
  ).map(get) as [ScannedField, ScannedField, ScannedField, ScannedField, ScannedField, ScannedField, ScannedField];
  return new CronMatcher({
    seconds: bits('second'),
    minutes: bits('minute'),
    hours: bits('hour').low,
    months: bits('month').low >>> 1,
    days: {
      first: day.open ? undefined : toDaySet(day.items, bits('day'), 'day'),
      second: weekday.open ? undefined : toDaySet(weekday.items, bits('dayOfWeek'), 'dayOfWeek'),
      join: 'and',
      weeks: week.open ? undefined : bits('week'),
    },
    years: year.open ? undefined : new YearSet(year.items),
    fixedTime: !second.recurring && !minute.recurring && !hour.recurring,
  });
}

function at(fields: readonly ScannedField[], index: number): ScannedField {
  const field = fields[index];
  if (field === undefined) throw new RangeError(`no field ${index}`);
  return field;
}
