import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { FIELDS, type CronFieldName, type FieldInfo } from './fields.js';
import type { ReadCron } from './read-expression.js';
import { scanField, type ScannedField } from './scan.js';

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
  refuseUnknownKeys(given, 'cron', ORDER.map(({ name }) => name), undefined, 'field');
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
 * Reads the object form, filling in the fields left out.
 *
 * @throws InvalidCronError
 */
export function readFieldTexts(texts: CronFieldTexts): ReadCron {
  const leastGiven = ORDER.findLastIndex((info) => texts[info.name] !== undefined);
  const fields: Partial<Record<CronFieldName, ScannedField>> = {};
  const full: Partial<Record<CronFieldName, string>> = {};
  ORDER.forEach((info, i) => {
    const free = i < leastGiven || info.name === 'week' || info.name === 'dayOfWeek';
    const text = texts[info.name] ?? (free ? '*' : String(info.min));
    fields[info.name] = scanField(text, info, { start: 0, end: text.length, words: true });
    full[info.name] = text;
  });
  return { fields, texts: full, join: 'and', timezone: undefined };
}
