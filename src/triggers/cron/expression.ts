import { InvalidTriggerError } from '../../errors/errors.js';
import { STRING_FIELDS, type FieldInfo } from './fields.js';
import { toDaySet } from './day-rule.js';
import { InvalidCronError, quote } from './invalid-cron-error.js';
import { valuesOf } from './item-values.js';
import { CronMatcher } from './matcher.js';
import { NICKNAMES } from './nicknames.js';
import { scanField, type ScannedField } from './scan.js';
import { seedItems } from './seed.js';

/** A compiled expression. Shared by every trigger that uses the same text. */
export interface CompiledCron {
  /** Undefined while the expression has `H` items and no seed. */
  readonly matcher: CronMatcher | undefined;
  /** The zone of a `CRON_TZ=` or `TZ=` prefix. */
  readonly timezone: string | undefined;
}

/** Longest expression read. Naming every value of every field takes less than half of it. */
const MAX_LENGTH = 1024;

/** Bounded: once full, the least recently added half of it goes. */
const MAX_CACHED = 2048;
const cache = new Map<string, CompiledCron>();

/**
 * Compiles a string expression: five fields, or six with seconds first, or a nickname such as `@daily`; a
 * `CRON_TZ=Europe/Berlin` or `TZ=` prefix may name the zone.
 *
 * @param seed - spreads `H` items; the same seed always gives the same times.
 * @throws InvalidCronError
 */
export function compileExpression(expression: unknown, seed?: string): CompiledCron {
  if (typeof expression !== 'string')
    throw new InvalidTriggerError('A cron expression is a string such as "0 9 * * 1-5".', expression);
  const key = seed === undefined ? expression : `${expression}\n${seed}`;
  let compiled = cache.get(key);
  if (compiled === undefined) {
    compiled = compile(expression, seed);
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

interface Token {
  readonly start: number;
  readonly end: number;
}

function compile(source: string, seed: string | undefined): CompiledCron {
  if (source.length > MAX_LENGTH) {
    throw new InvalidCronError(source.slice(0, MAX_LENGTH), {
      value: '',
      allowed: `at most ${MAX_LENGTH} characters`,
      position: MAX_LENGTH,
      reason: `it has ${source.length} characters, expected at most ${MAX_LENGTH}.`,
    });
  }
  let tokens = split(source);
  let timezone: string | undefined;
  const first = tokens[0];
  if (first !== undefined) {
    const prefix = zonePrefix(source, first);
    if (prefix !== undefined) {
      timezone = prefix;
      tokens = tokens.slice(1);
    }
  }
  const [only] = tokens;
  if (only !== undefined && source[only.start] === '@') {
    const text = tokens.length === 1 ? NICKNAMES.get(source.slice(only.start, only.end).toLowerCase()) : undefined;
    if (text === undefined) refuseNickname(source, only, tokens);
    return { matcher: matcherOf(text, split(text), seed), timezone };
  }
  return { matcher: matcherOf(source, tokens, seed), timezone };
}

function matcherOf(text: string, tokens: readonly Token[], seed: string | undefined): CronMatcher | undefined {
  if (tokens.length !== 5 && tokens.length !== 6) refuseCount(text, tokens);
  const hasSeconds = tokens.length === 6;
  const scanned: ScannedField[] = [];
  STRING_FIELDS.forEach((info, i) => {
    const token = tokens[hasSeconds ? i : i - 1];
    scanned.push(token === undefined ? AT_ZERO : scanField(text, info, token));
  });
  const fields = seedItems(scanned, STRING_FIELDS, seed);
  return fields === undefined ? undefined : buildMatcher(fields, text);
}

/** The second of a five-field expression. */
const AT_ZERO: ScannedField = { items: [{ type: 'range', from: 0, to: 0, step: 1 }], open: false, recurring: false };

function buildMatcher(fields: readonly ScannedField[], text: string): CronMatcher {
  const values = fields.map(({ items }, i) => valuesOf(infoAt(i), items, text));
  const [second, minute, hour, day, month, weekday] = fields;
  const [seconds, minutes, hours, days, months, weekdays] = values;
  if (
    !second ||
    !minute ||
    !hour ||
    !day ||
    !month ||
    !weekday ||
    !seconds ||
    !minutes ||
    !hours ||
    !days ||
    !months ||
    !weekdays
  ) {
    throw new RangeError('an expression has six fields');
  }
  return new CronMatcher({
    seconds,
    minutes,
    hours: hours.low,
    months: months.low >>> 1,
    days: {
      first: day.open ? undefined : toDaySet(day.items, days, 'day'),
      second: weekday.open ? undefined : toDaySet(weekday.items, weekdays, 'dayOfWeek'),
      join: 'or',
      weeks: undefined,
    },
    years: undefined,
    fixedTime: !second.recurring && !minute.recurring && !hour.recurring,
  });
}

function infoAt(index: number): FieldInfo {
  const info = STRING_FIELDS[index];
  if (info === undefined) throw new RangeError(`no field ${index}`);
  return info;
}

/** Splits at ASCII white space, and at nothing else: a full-width blank is no separator. */
function split(text: string): Token[] {
  const tokens: Token[] = [];
  let start = -1;
  for (let i = 0; i <= text.length; i += 1) {
    const code = i < text.length ? text.charCodeAt(i) : 32;
    const blank = code === 32 || (code >= 9 && code <= 13);
    if (!blank && start < 0) start = i;
    else if (blank && start >= 0) {
      tokens.push({ start, end: i });
      start = -1;
    }
  }
  return tokens;
}

function zonePrefix(text: string, { start, end }: Token): string | undefined {
  const token = text.slice(start, end);
  const equals = token.indexOf('=');
  if (equals < 0) return undefined;
  const name = token.slice(0, equals);
  return name === 'CRON_TZ' || name === 'TZ' ? token.slice(equals + 1) : undefined;
}

function refuseNickname(text: string, token: Token, tokens: readonly Token[]): never {
  const value = text.slice(token.start, token.end);
  const allowed = [...NICKNAMES.keys()].join(', ');
  const extra = tokens[1];
  if (extra !== undefined && NICKNAMES.has(value.toLowerCase())) {
    const rest = text.slice(extra.start).trimEnd();
    throw new InvalidCronError(text, {
      value: rest,
      allowed: 'nothing',
      position: extra.start,
      reason: `nothing may follow ${value}.`,
    });
  }
  throw new InvalidCronError(text, {
    value,
    allowed,
    position: token.start,
    reason: `${quote(value)} is no nickname, expected ${allowed}.`,
  });
}

function refuseCount(text: string, tokens: readonly Token[]): never {
  const allowed = '5 fields (minute hour day month weekday) or 6 (seconds first)';
  const surplus = tokens[6];
  const position = surplus?.start ?? text.trimEnd().length;
  const hint = tokens.length === 7 ? ' A year goes into the object form: { year: 2030, month: 1, … }.' : '';
  throw new InvalidCronError(text, {
    value: surplus === undefined ? '' : text.slice(surplus.start).trimEnd(),
    allowed,
    position,
    reason: `it has ${tokens.length} field${tokens.length === 1 ? '' : 's'}, expected ${allowed}.${hint}`,
  });
}
