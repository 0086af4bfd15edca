import type { EpochMs } from '../../ports/trigger.js';
import { DAY_MS, isoWeekOfDay, monthOfDay, monthStart, weekdayOfDay } from '../../time/civil.js';
import { Zone } from '../../time/zone.js';
import { explainClock } from '../wall-clock/explain-clock.js';
import { toMatcher } from './compile.js';
import type { CronTrigger } from './cron-trigger.js';
import { FIELDS, type CronFieldName } from './fields.js';
import { readFieldTexts } from './object-form.js';
import { readExpression, type ReadCron } from './read-expression.js';

/** How one field of a cron trigger stands to an instant. */
export interface FieldExplanation {
  readonly field: CronFieldName;
  /** What the field says. */
  readonly wanted: string;
  /** What the clock or the calendar shows. */
  readonly actual: number;
  readonly matches: boolean;
}

/** What `explain` found. */
export interface CronExplanation {
  readonly local: string;
  readonly fields: readonly FieldExplanation[];
  readonly daylightSaving: string | undefined;
  readonly sentences: readonly string[];
}

const ORDER = ['year', 'month', 'week', 'day', 'dayOfWeek', 'hour', 'minute', 'second'] as const;

/** Why a cron trigger fires at an instant or does not. */
export function explainCron(trigger: CronTrigger, at: EpochMs, fires: boolean): CronExplanation {
  const cron = trigger.fields === undefined ? readExpression(trigger.expression) : readFieldTexts(trigger.fields);
  const zone = trigger.timezone === undefined ? Zone.system() : Zone.of(trigger.timezone);
  const local = zone.toLocal(at);
  const fields = explainFields(cron, local, trigger.seed);
  const byName = (name: CronFieldName): FieldExplanation | undefined => fields.find(({ field }) => field === name);
  const eitherDay = cron.join === 'or' && cron.fields.day?.open === false && cron.fields.dayOfWeek?.open === false;
  const dayMatches =
    eitherDay && fields.some(({ field, matches }) => matches && (field === 'day' || field === 'dayOfWeek'));
  const missed = fields.filter(({ field, matches }) => {
    return !matches && !(dayMatches && (field === 'day' || field === 'dayOfWeek'));
  });
  const sentences = missed.map(
    ({ field, wanted, actual }) => `${FIELDS[field].label} ${actual} is not in "${wanted}".`,
  );
  if (eitherDay && byName('day')?.matches !== byName('dayOfWeek')?.matches) {
    sentences.push('Both day fields are restricted, so either of them suffices.');
  }
  const wholeSecond = at % 1000 === 0;
  if (!wholeSecond) sentences.push('Cron fires on whole seconds.');
  const inBounds = at >= (trigger.startTime ?? -Infinity) && at <= (trigger.endTime ?? Infinity);
  if (!inBounds) sentences.push('It lies outside the bounds of the trigger.');
  const clockMatches = wholeSecond && missed.length === 0;
  const { local: shown, daylightSaving } = explainClock(trigger.dst, zone, at, clockMatches, fires);
  if (daylightSaving !== undefined) sentences.push(daylightSaving);
  return { local: shown, fields, daylightSaving, sentences };
}

function explainFields(cron: ReadCron, local: number, seed: string | undefined): FieldExplanation[] {
  const day = Math.floor(local / DAY_MS);
  const month = monthOfDay(day);
  const second = Math.floor((local - day * DAY_MS) / 1000);
  const actual: Readonly<Record<CronFieldName, number>> = {
    year: Math.floor(month / 12),
    month: (((month % 12) + 12) % 12) + 1,
    week: isoWeekOfDay(day),
    day: day - monthStart(month) + 1,
    dayOfWeek: weekdayOfDay(day),
    hour: Math.floor(second / 3600),
    minute: Math.floor(second / 60) % 60,
    second: second % 60,
  };
  const localSecond = Math.floor(local / 1000);
  return ORDER.flatMap((field) => {
    const wanted = cron.texts[field];
    const scanned = cron.fields[field];
    if (wanted === undefined || scanned === undefined) return [];
    // The field alone, all others open: then the matcher's answer is the field's.
    const alone: ReadCron = {
      fields: { [field]: scanned },
      texts: { [field]: wanted },
      join: 'and',
      timezone: undefined,
    };
    const matches = toMatcher(alone, seed)?.next(localSecond) === localSecond;
    return [{ field, wanted, actual: actual[field], matches }];
  });
}
