import type { Bits60 } from './bits.js';
import { toDaySet } from './day-rule.js';
import { FIELDS, type CronFieldName, type FieldInfo } from './fields.js';
import { valuesOf } from './item-values.js';
import { CronMatcher } from './matcher.js';
import { readFieldTexts, type CronFieldTexts } from './object-form.js';
import { readExpression, type ReadCron } from './read-expression.js';
import type { ScannedField } from './scan.js';
import { seedFields } from './seed.js';
import { YearSet } from './year-set.js';

/** A compiled expression. Shared by every trigger that uses the same text. */
export interface CompiledCron {
  /** Undefined while the expression has `H` items and no seed. */
  readonly matcher: CronMatcher | undefined;
  /** The zone of a `CRON_TZ=` or `TZ=` prefix. */
  readonly timezone: string | undefined;
}

/** Bounded: once full, the older half goes, rather than let ever new expressions fill the memory. */
const MAX_CACHED = 2048;
const cache = new Map<string, CompiledCron>();

/**
 * Compiles a string expression, or takes it from the cache.
 *
 * @param seed - spreads `H` items; the same seed always gives the same times.
 * @throws InvalidCronError
 */
export function compileExpression(expression: unknown, seed?: string): CompiledCron {
  // `=` keeps a text apart from the lists that are the keys of everything else.
  const key = seed === undefined ? `=${String(expression)}` : JSON.stringify([expression, seed]);
  return cached(key, () => readExpression(expression), seed);
}

/**
 * Compiles the object form, or takes it from the cache.
 *
 * @throws InvalidCronError
 */
export function compileFields(texts: CronFieldTexts, seed?: string): CompiledCron {
  return cached(JSON.stringify([texts, seed]), () => readFieldTexts(texts), seed);
}

function cached(key: string, read: () => ReadCron, seed: string | undefined): CompiledCron {
  let compiled = cache.get(key);
  if (compiled === undefined) {
    const cron = read();
    compiled = { matcher: toMatcher(cron, seed), timezone: cron.timezone };
    if (cache.size >= MAX_CACHED) evictHalf();
    cache.set(key, compiled);
  }
  return compiled;
}

function evictHalf(): void {
  let left = MAX_CACHED / 2;
  for (const key of cache.keys()) {
    cache.delete(key);
    left -= 1;
    if (left === 0) return;
  }
}

/**
 * Compiles what has been read; fields that are missing leave everything open.
 *
 * @returns undefined when there are `H` items but no seed.
 */
export function toMatcher(cron: ReadCron, seed: string | undefined): CronMatcher | undefined {
  const fields = seedFields(cron.fields, seed);
  if (fields === undefined) return undefined;
  const get = (name: CronFieldName): ScannedField => fields[name] ?? openField(FIELDS[name]);
  const bits = (name: CronFieldName): Bits60 => valuesOf(FIELDS[name], get(name).items, cron.texts[name] ?? '*');
  const day = get('day');
  const weekday = get('dayOfWeek');
  const year = get('year');
  return new CronMatcher({
    seconds: bits('second'),
    minutes: bits('minute'),
    hours: bits('hour').low,
    months: bits('month').low >>> 1,
    days: {
      first: day.open ? undefined : toDaySet(day.items, bits('day'), 'day'),
      second: weekday.open ? undefined : toDaySet(weekday.items, bits('dayOfWeek'), 'dayOfWeek'),
      join: cron.join,
      weeks: get('week').open ? undefined : bits('week'),
    },
    years: year.open ? undefined : new YearSet(year.items),
    fixedTime: !get('second').recurring && !get('minute').recurring && !get('hour').recurring,
  });
}

function openField({ min, size }: FieldInfo): ScannedField {
  return { items: [{ type: 'range', from: min, to: min + size - 1, step: 1 }], open: true, recurring: true };
}
