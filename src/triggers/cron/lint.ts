import { Zone } from '../../time/zone.js';
import { timeOfDayText } from '../../time/time-of-day.js';
import { compileExpression, compileFields } from './compile.js';
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
}

/** The years whose changes are looked at; rules further off are guesses in the zone data itself. */
const FIRST_YEAR = 2025;
const LAST_YEAR = 2037;

/**
 * Warns of what is valid but often not meant: both day fields restricted, steps that do not divide their range, fixed
 * times that daylight saving skips, dates that never come.
 *
 * @returns nothing to say: an empty list.
 * @throws InvalidCronError when the expression is wrong, UnknownTimeZoneError.
 *
 * @example
 * ```ts
 * lintCron('*\/7 * 1 * 1', { timezone: 'UTC' }); // uneven-step, or-rule
 * ```
 */
export function lintCron(cron: string | CronFields, { timezone }: LintOptions = {}): CronWarning[] {
  const texts = typeof cron === 'string' ? undefined : toFieldTexts(cron);
  const read = texts === undefined ? readExpression(cron) : readFieldTexts(texts);
  // Any seed does: warnings are about what all of them have in common.
  const { matcher } = texts === undefined ? compileExpression(cron, '') : compileFields(texts, '');
  const zoneName = read.timezone ?? timezone;
  const zone = zoneName === undefined ? undefined : Zone.of(zoneName);
  const warnings = [...stepWarnings(read), ...orRule(read)];
  if (matcher?.next(0) === Infinity) {
    warnings.push({ code: 'never-fires', field: undefined, message: 'No date matches: it never fires.' });
  } else if (matcher?.fixedTime === true && zone !== undefined) warnings.push(...gapWarning(matcher, zone));
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

function gapWarning(matcher: CronMatcher, zone: Zone): CronWarning[] {
  const end = Date.UTC(LAST_YEAR + 1, 0) / 1000;
  for (let at = Date.UTC(FIRST_YEAR, 0) / 1000; at < end;) {
    const { from, to, offset, before } = zone.segment(at);
    const skipped = offset > before ? matcher.next(from + before) : Infinity;
    if (skipped < from + offset) {
      const [date = ''] = new Date(skipped * 1000).toISOString().split('T');
      const time = timeOfDayText(((skipped % 86_400) + 86_400) % 86_400);
      const message = `The time ${time} does not exist on every day in ${zone.name}: daylight saving skips it on ${date}.`;
      return [{ code: 'dst-gap', field: 'hour', message }];
    }
    at = to;
  }
  return [];
}
