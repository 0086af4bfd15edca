import { toInstant, type InstantInput } from '../../time/instant.js';
import { Zone } from '../../time/zone.js';
import { timeOfDayText } from '../../time/time-of-day.js';
import { checkOptions } from '../bounds.js';
import { toMatcher } from './compile.js';
import { FIELDS, type CronFieldName } from './fields.js';
import type { CronMatcher } from './matcher.js';
import { readFieldTexts, toFieldTexts, type CronFields } from './object-form.js';
import { readExpression, type ReadCron } from './read-expression.js';

/** Something about a valid expression that often surprises. */
export interface CronWarning {
  readonly code: 'or-rule' | 'uneven-step' | 'wide-step' | 'dst-gap' | 'never-fires';
  /** The field it is about, unless it is about the whole expression. */
  readonly field: CronFieldName | undefined;
  readonly message: string;
}

/** Options of {@link lintCron}. */
export interface LintOptions {
  /** IANA zone whose daylight-saving gaps are looked at. Without it, or a zone in the expression, none are. */
  readonly timezone?: string | undefined;
  /** From when on gaps are looked for, such as `Date.now()`. Default: the start of 2025. */
  readonly from?: InstantInput | undefined;
}

const OPTIONS: readonly string[] = ['timezone', 'from'];

/** Where gaps are looked for when nothing is said: nothing here reads the clock. */
const FROM = Date.UTC(2025, 0);

/** How many years' changes are looked at; rules further off are guesses in the zone data itself. */
const YEARS = 12;

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

/** An `H` is warned of only if whichever value these pick for it is one to warn of. */
const SEEDS: readonly string[] = Array.from({ length: 16 }, (_, i) => `job-${i}`);

/**
 * Warns of what is valid but often not meant: both day fields restricted, steps that do not divide their range, fixed
 * times that daylight saving skips, dates that never come.
 *
 * @returns nothing to say: an empty list.
 * @throws InvalidCronError when the expression is wrong, InvalidOptionError when an option is, UnknownTimeZoneError.
 *
 * @example
 * ```ts
 * lintCron('*\/7 * 1 * 1', { timezone: 'UTC' }); // uneven-step, or-rule
 * ```
 */
export function lintCron(cron: string | CronFields, options: LintOptions = {}): CronWarning[] {
  checkOptions(options, OPTIONS);
  const { timezone } = options;
  const from = options.from === undefined ? undefined : toInstant(options.from, 'from', timezone);
  const texts = typeof cron === 'string' ? undefined : toFieldTexts(cron);
  const read = texts === undefined ? readExpression(cron) : readFieldTexts(texts);
  const matcher = toMatcher(read, undefined);
  const matchers = matcher === undefined ? SEEDS.map((seed) => toMatcher(read, seed)) : [matcher];
  const zoneName = read.timezone ?? timezone;
  const zone = zoneName === undefined ? undefined : Zone.of(zoneName);
  const warnings = [...stepWarnings(read), ...orRule(read)];
  if (matchers.every((each) => each?.next(0) === Infinity)) {
    warnings.push({ code: 'never-fires', field: undefined, message: 'No date matches: it never fires.' });
  } else if (zone !== undefined) {
    const gaps = matchers.map((each) => (each?.fixedTime === true ? gapWarning(each, zone, from) : []));
    if (gaps.every(({ length }) => length > 0)) warnings.push(...(gaps[0] ?? []));
  }
  return warnings;
}

function orRule({ fields, join }: ReadCron): CronWarning[] {
  if (join === 'and' || fields.day?.open !== false || fields.dayOfWeek?.open !== false) return [];
  const message =
    'Day of month and day of week are both restricted: it fires on days that match either. ' +
    'The object form fires on days that match both.';
  return [{ code: 'or-rule', field: 'dayOfWeek', message }];
}

function stepWarnings({ fields }: ReadCron): CronWarning[] {
  return Object.entries(fields).flatMap(([name, { items }]) => {
    const field = name as CronFieldName;
    const { label, min, size } = FIELDS[field];
    return items.flatMap((item): CronWarning[] => {
      if (item.type !== 'range' || item.step === 1) return [];
      const length = item.to >= item.from ? item.to - item.from + 1 : item.to - item.from + 1 + size;
      if (item.step >= length) {
        const message = `A step of ${item.step} is wider than its range: the ${label} is always ${item.from}.`;
        return [{ code: 'wide-step', field, message }];
      }
      // Months differ in length, so days never divide evenly; years do not start over.
      if (field === 'year' || item.from !== min || length !== size || (size % item.step === 0 && field !== 'day'))
        return [];
      const message = `A step of ${item.step} does not divide ${field === 'day' ? 'every month' : size}: the last interval before the ${label} starts over is shorter.`;
      return [{ code: 'uneven-step', field, message }];
    });
  });
}

/** @param after - undefined: the date depends on the day one looks, and is left out. */
function gapWarning(matcher: CronMatcher, zone: Zone, after: number | undefined): CronWarning[] {
  const begin = (after ?? FROM) / 1000;
  const end = begin + YEARS * 366 * 86_400;
  for (let at = begin; at < end;) {
    const { from, to, offset, before } = zone.segment(at);
    const skipped = offset > before && from >= begin ? matcher.next(from + before) : Infinity;
    if (skipped < from + offset) {
      const day = new Date(skipped * 1000);
      const date = after === undefined ? `in ${MONTHS[day.getUTCMonth()] ?? ''}` : `next on ${day.toISOString().slice(0, 10)}`;
      const time = timeOfDayText(((skipped % 86_400) + 86_400) % 86_400);
      const message = `The time ${time} does not exist on every day in ${zone.name}: daylight saving skips it ${date}.`;
      return [{ code: 'dst-gap', field: 'hour', message }];
    }
    at = to;
  }
  return [];
}
