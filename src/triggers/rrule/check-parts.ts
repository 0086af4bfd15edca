import { inspectValue } from '../../errors/base.js';
import { InvalidTriggerError } from '../../errors/errors.js';

const FREQUENCIES: readonly string[] = ['YEARLY', 'MONTHLY', 'WEEKLY', 'DAILY', 'HOURLY', 'MINUTELY', 'SECONDLY'];

/** The parts that are numbers, and what they may be (RFC 5545, 3.3.10); the largest, where it counts from the end too. */
const RANGES: Readonly<Record<string, { readonly min: number; readonly max: number; readonly signed?: true; readonly one?: true }>> = {
  INTERVAL: { min: 1, max: 999_999, one: true },
  COUNT: { min: 1, max: Number.MAX_SAFE_INTEGER, one: true },
  // No leap seconds: no clock here shows them.
  BYSECOND: { min: 0, max: 59 },
  BYMINUTE: { min: 0, max: 59 },
  BYHOUR: { min: 0, max: 23 },
  BYMONTHDAY: { min: 1, max: 31, signed: true },
  BYYEARDAY: { min: 1, max: 366, signed: true },
  BYWEEKNO: { min: 1, max: 53, signed: true },
  BYMONTH: { min: 1, max: 12 },
  BYSETPOS: { min: 1, max: 366, signed: true },
};

/**
 * Checks the parts of an RRULE or EXRULE, of which the package takes almost anything.
 *
 * @param rule - without its name: `FREQ=DAILY;BYHOUR=9`.
 * @throws InvalidTriggerError naming the part, its value and what it may be.
 */
export function checkParts(rule: string): void {
  const parts = new Map<string, string>();
  for (const part of rule.split(';')) {
    const [name = '', value = ''] = part.toUpperCase().split('=');
    if (parts.has(name)) refuse(name, part, 'to be there once');
    parts.set(name, value);
  }
  const frequency = parts.get('FREQ') ?? '';
  if (!FREQUENCIES.includes(frequency)) refuse('FREQ', frequency, `one of ${FREQUENCIES.join(', ')}`);
  for (const [name, value] of parts) {
    if (Object.hasOwn(RANGES, name)) checkNumbers(name, value);
    else if (name === 'BYDAY' || name === 'BYWEEKDAY') checkWeekdays(name, value, frequency);
    else if (name === 'WKST' && !/^(SU|MO|TU|WE|TH|FR|SA)$/.test(value)) refuse(name, value, 'SU, MO, TU, WE, TH, FR or SA');
  }
}

function checkNumbers(name: string, value: string): void {
  const { min, max, signed, one } = RANGES[name]!;
  const most = max === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${max}`;
  const range = `${one === true ? 'a number' : 'numbers'} from ${min} ${most}${signed === true ? `, or -${min} to -${max} from the end` : ''}`;
  const items = one === true ? [value] : value.split(',');
  for (const item of items) {
    const number = /^[+-]?\d{1,16}$/.test(item) ? Number(item) : NaN;
    const size = signed === true ? Math.abs(number) : number;
    if (!(size >= min && size <= max)) refuse(name, item, range);
  }
}

function checkWeekdays(name: string, value: string, frequency: string): void {
  const most = frequency === 'MONTHLY' ? 5 : frequency === 'YEARLY' ? 53 : 0;
  const which = most === 0 ? ` (numbers before them only with MONTHLY and YEARLY)` : `, each with a number from 1 to ${most} or -1 to -${most} before it or none`;
  for (const item of value.split(',')) {
    const match = /^([+-]?\d{1,2})?(SU|MO|TU|WE|TH|FR|SA)$/.exec(item);
    const n = match?.[1] === undefined ? 0 : Math.abs(Number(match[1]));
    if (match === null || n > most || (match[1] !== undefined && n === 0)) {
      refuse(name, item, `SU, MO, TU, WE, TH, FR or SA${which}`);
    }
  }
}

function refuse(name: string, value: string, allowed: string): never {
  throw new InvalidTriggerError(`Invalid recurrence rule: expected ${name} ${allowed.startsWith('to ') ? '' : 'to be '}${allowed}, got ${inspectValue(value)}.`, value);
}
