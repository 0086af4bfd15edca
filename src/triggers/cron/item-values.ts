import { CronExpressionParser } from 'cron-parser';
import { bitsOf, type Bits60 } from './bits.js';
import { FIELDS, STRING_FIELDS, type CronFieldName, type FieldInfo } from './fields.js';
import { InvalidCronError } from './invalid-cron-error.js';
import type { CronItem } from './scan.js';

type RangeItem = Extract<CronItem, { type: 'range' }>;

/**
 * The values of a field's ranges. cron-parser expands every range and step; what it lacks is put around it: ranges
 * that wrap are given to it in two pieces, and lists are joined here, since it refuses lists that name a value twice.
 * A single number has nothing to expand.
 *
 * cron-parser takes some 15 µs a call, most of it for the object it returns, so each range is asked for once per
 * process: there are only so many that people write.
 */
export function valuesOf(info: FieldInfo, items: readonly CronItem[], source: string): Bits60 {
  let low = 0;
  let high = 0;
  for (const item of items) {
    if (item.type !== 'range') continue;
    const bits = item.from === item.to ? bitsOf([item.from % modulusOf(info)]) : expand(info, item, source);
    low |= bits.low;
    high |= bits.high;
  }
  return { low, high };
}

/** Weekday 7 is 0. No other field reaches its modulus. */
function modulusOf(info: FieldInfo): number {
  return info.name === 'dayOfWeek' ? 7 : info.max + 1;
}

function expand(info: FieldInfo, { from, to, step }: RangeItem, source: string): Bits60 {
  if (from <= to) return expandForward(info, from, to, step, source);
  const last = info.min + info.size - 1;
  // A weekday range from 7 starts at 0, and does not wrap after all.
  if (from > last) return expandForward(info, from - info.size, to, step, source);
  // The steps go on counting across the end of the field.
  const passed = (last - from) % step;
  const resumed = info.min + (step - passed - 1);
  const head = expandForward(info, from, last, step, source);
  if (resumed > to) return head;
  const tail = expandForward(info, resumed, to, step, source);
  return { low: head.low | tail.low, high: head.high | tail.high };
}

/** Bounded: once full it starts over, rather than let hostile input fill the memory. */
const MAX_CACHED = 4096;
const cache = new Map<string, Bits60>();

function expandForward(info: FieldInfo, from: number, to: number, step: number, source: string): Bits60 {
  if (from === to) return bitsOf([from % modulusOf(info)]);
  const key = `${info.name}:${from}-${to}/${step}`;
  let bits = cache.get(key);
  if (bits === undefined) {
    bits =
      info.name === 'week' || info.name === 'year'
        ? stepThrough(from, to, step)
        : parseRange(info, `${from}-${to}/${step}`, source);
    if (cache.size >= MAX_CACHED) cache.clear();
    cache.set(key, bits);
  }
  return bits;
}

/** Weeks are no field of cron-parser's. */
function stepThrough(from: number, to: number, step: number): Bits60 {
  const values: number[] = [];
  for (let value = from; value <= to; value += step) values.push(value);
  return bitsOf(values);
}

/** Where cron-parser keeps the values of each field. */
const PARSED = {
  second: 'second',
  minute: 'minute',
  hour: 'hour',
  day: 'dayOfMonth',
  month: 'month',
  dayOfWeek: 'dayOfWeek',
} as const satisfies Partial<Record<CronFieldName, string>>;

function parseRange(info: FieldInfo, text: string, source: string): Bits60 {
  const name = info.name as keyof typeof PARSED;
  try {
    // Single values elsewhere: cron-parser's cost grows with the number of values.
    const expression = STRING_FIELDS.map((field) => (field.name === name ? text : String(field.min))).join(' ');
    const { values } = CronExpressionParser.parse(expression).fields[PARSED[name]];
    return bitsOf(values.map((value) => Number(value) % modulusOf(FIELDS[name])));
  } catch (cause) {
    // The scanner has checked all that cron-parser does; should they ever differ, the stricter one is right.
    throw new InvalidCronError(
      source,
      {
        field: info.name,
        value: text,
        allowed: `${info.min}-${info.max}`,
        position: 0,
        reason: `${info.label} ${text} was refused by the parser.`,
      },
      { cause },
    );
  }
}
