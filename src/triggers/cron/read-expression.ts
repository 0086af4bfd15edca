import { InvalidTriggerError } from '../../errors/errors.js';
import { STRING_FIELDS, type CronFieldName } from './fields.js';
import { InvalidCronError, quote } from './invalid-cron-error.js';
import { NICKNAMES } from './nicknames.js';
import { scanField, type ScannedField } from './scan.js';

/** An expression read, but not yet compiled. Fields that its form does not have are missing. */
export interface ReadCron {
  readonly fields: Readonly<Partial<Record<CronFieldName, ScannedField>>>;
  /** Each field as it was written; the second of a five-field expression as `0`. */
  readonly texts: Readonly<Partial<Record<CronFieldName, string>>>;
  /** How two restricted day fields combine. */
  readonly join: 'or' | 'and';
  /** The zone of a `CRON_TZ=` or `TZ=` prefix. */
  readonly timezone: string | undefined;
}

/** Longest expression read. Naming every value of every field takes less than half of it. */
const MAX_LENGTH = 1024;

interface Token {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a string expression: five fields, or six with seconds first, or a nickname such as `@daily`; a
 * `CRON_TZ=Europe/Berlin` or `TZ=` prefix may name the zone.
 *
 * @throws InvalidCronError
 */
export function readExpression(source: unknown): ReadCron {
  if (typeof source !== 'string') {
    throw new InvalidTriggerError('A cron expression is a string such as "0 9 * * 1-5".', source);
  }
  if (source.length > MAX_LENGTH) {
    throw new InvalidCronError(source.slice(0, MAX_LENGTH), {
      value: '',
      allowed: `at most ${MAX_LENGTH} characters`,
      position: MAX_LENGTH,
      reason: `it has ${source.length} characters, expected at most ${MAX_LENGTH}.`,
    });
  }
  let tokens = split(source);
  const first = tokens[0];
  const timezone = first === undefined ? undefined : zonePrefix(source, first);
  if (timezone !== undefined) tokens = tokens.slice(1);
  const [only] = tokens;
  if (only === undefined || source[only.start] !== '@') return readFields(source, tokens, timezone);
  const text = tokens.length === 1 ? NICKNAMES.get(source.slice(only.start, only.end).toLowerCase()) : undefined;
  if (text === undefined) refuseNickname(source, only, tokens);
  return readFields(text, split(text), timezone);
}

function readFields(text: string, tokens: readonly Token[], timezone: string | undefined): ReadCron {
  if (tokens.length !== 5 && tokens.length !== 6) refuseCount(text, tokens);
  const fields: Partial<Record<CronFieldName, ScannedField>> = {};
  const texts: Partial<Record<CronFieldName, string>> = {};
  const skipped = STRING_FIELDS.length - tokens.length;
  STRING_FIELDS.forEach((info, i) => {
    const token = tokens[i - skipped];
    fields[info.name] = token === undefined ? AT_ZERO : scanField(text, info, token);
    texts[info.name] = token === undefined ? '0' : text.slice(token.start, token.end);
  });
  return { fields, texts, join: 'or', timezone };
}

/** The second of a five-field expression. */
const AT_ZERO: ScannedField = { items: [{ type: 'range', from: 0, to: 0, step: 1 }], open: false, recurring: false };

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
    const reason = `nothing may follow ${value}.`;
    throw new InvalidCronError(text, { value: rest, allowed: 'nothing', position: extra.start, reason });
  }
  const hints: Readonly<Record<string, string>> = {
    '@reboot': ' For that, use a StartupTrigger.',
    '@every': ' For that, use an IntervalTrigger: new IntervalTrigger({ minutes: 5 }).',
  };
  const hint = hints[value.toLowerCase()] ?? '';
  const reason = `${quote(value)} is no nickname, expected ${allowed}.${hint}`;
  throw new InvalidCronError(text, { value, allowed, position: token.start, reason });
}

function refuseCount(text: string, tokens: readonly Token[]): never {
  const allowed = '5 fields (minute hour day month weekday) or 6 (seconds first)';
  const surplus = tokens[6];
  const hint = tokens.length === 7 ? ' A year goes into the object form: { year: 2030, month: 1, … }.' : notCron(text);
  throw new InvalidCronError(text, {
    value: surplus === undefined ? '' : text.slice(surplus.start).trimEnd(),
    allowed,
    position: surplus?.start ?? text.trimEnd().length,
    reason: `it has ${tokens.length} field${tokens.length === 1 ? '' : 's'}, expected ${allowed}.${hint}`,
  });
}

/** What to use instead, for texts that say clearly what they mean. */
function notCron(text: string): string {
  if (/^\s*(every\b|P[T\d]|\d+\s*([smhd]\b|ms|sec|min|hour|day|week))/i.test(text)) return ' For that, use an IntervalTrigger: new IntervalTrigger({ minutes: 5 }).';
  return /^\s*\d{4}-\d\d-\d\d/.test(text) ? ' For one instant, use a Date or a DateTrigger.' : '';
}
