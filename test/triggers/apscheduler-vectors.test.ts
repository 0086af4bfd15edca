import { describe, expect, test } from 'vitest';
import { isPunctualError } from '../../src/errors/base.js';
import type { Trigger } from '../../src/ports/trigger.js';
import { CalendarIntervalTrigger } from '../../src/triggers/calendar-interval.js';
import { AndTrigger, OrTrigger } from '../../src/triggers/combining.js';
import { CronTrigger } from '../../src/triggers/cron/cron-trigger.js';
import type { CronFields } from '../../src/triggers/cron/object-form.js';
import { DateTrigger } from '../../src/triggers/date.js';
import { IntervalTrigger } from '../../src/triggers/interval.js';
import { fireTimes, loadVectors } from './support/vectors.js';

type Keywords = Readonly<Record<string, number | string>>;

interface TriggerCase {
  readonly type?: 'interval' | 'calendar' | 'date' | 'and' | 'or' | 'cron';
  readonly kw?: Keywords;
  readonly tz: string;
  readonly start_date?: string;
  readonly end_date?: string;
  readonly run_date?: string;
  readonly triggers?: readonly TriggerCase[];
}

interface Vector extends TriggerCase {
  readonly id: string;
  readonly cat?: string;
  readonly now: string;
  readonly previous?: string;
  readonly next?: readonly string[];
  readonly expected?: readonly string[];
  readonly wall_match?: readonly string[];
  readonly quirk?: string;
  readonly error?: string;
  readonly must?: 'reject';
}

const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** APScheduler counts weekdays from Monday, we as crontab does: names mean the same in both. */
function toWeekdays(value: number | string): number | string {
  return String(value)
    .split(',')
    .map((item) => {
      const [range = '', step] = item.trim().split('/');
      const days =
        range === '*' && step !== undefined
          ? 'mon-sun'
          : range.replace(/\d+/g, (digits) => WEEKDAYS[Number(digits)] ?? digits);
      return step === undefined ? days : `${range.includes('-') || range === '*' ? days : `${days}-sun`}/${step}`;
    })
    .join(',');
}

function toFields(kw: Keywords): CronFields {
  const fields: Record<string, number | string> = {};
  for (const [name, value] of Object.entries(kw)) {
    if (name === 'day_of_week') fields['dayOfWeek'] = toWeekdays(value);
    else fields[name] = value;
  }
  return fields;
}

/** Python's `2024-10-05 10:54:43.500000`, local where there is no Z. */
function toIso(text: string | undefined): string | undefined {
  return text?.replace(' ', 'T');
}

function make(vector: TriggerCase, previous?: string): Trigger {
  const kw = vector.kw ?? {};
  const bounds = { timezone: vector.tz, startTime: toIso(vector.start_date), endTime: toIso(vector.end_date) };
  switch (vector.type ?? 'cron') {
    case 'interval':
      // APScheduler counts from the previous fire time where there is one; that is what our start means.
      return new IntervalTrigger(kw, {
        ...bounds,
        startTime: previous ?? bounds.startTime,
      });
    case 'calendar':
      return new CalendarIntervalTrigger(kw, {
        timezone: vector.tz,
        startDate: vector.start_date,
        endDate: vector.end_date,
      });
    case 'date':
      return new DateTrigger(toIso(vector.run_date) ?? '', { timezone: vector.tz });
    case 'or':
      return new OrTrigger((vector.triggers ?? []).map((part) => make(part)));
    case 'and':
      return new AndTrigger((vector.triggers ?? []).map((part) => make(part)));
    case 'cron':
      return new CronTrigger(toFields(kw), { ...bounds, dst: 'match' });
  }
}

function refused(action: () => unknown): boolean {
  try {
    action();
  } catch (error) {
    expect(isPunctualError(error), String(error)).toBe(true);
    return true;
  }
  return false;
}

/** What APScheduler refuses and we take: as in string expressions, whose field syntax is the same. */
const ACCEPTED: Readonly<Record<string, string>> = {
  'af-0639': 'weekday 7 is Sunday, as in crontab',
  'af-0653': 'a range that goes backwards wraps around',
  'af-0664': 'L is the last day of the month',
  'af-0684': 'APScheduler ignores a step after names; here it is one',
  'af-0686': 'APScheduler ignores a step after names; here it is one',
};

const fields = loadVectors<Vector>('apscheduler-fields.jsonl');

describe.each([...new Set(fields.map(({ cat }) => cat ?? ''))])('APScheduler cron keywords: %s', (cat) => {
  const cases = fields.filter((vector) => vector.cat === cat);

  test.each(cases.map((vector) => [vector.id, JSON.stringify(vector.kw), vector] as const))(
    '%s %s',
    (id, _kw, vector) => {
      if (ACCEPTED[id] !== undefined) {
        expect(make(vector).next(Date.parse(vector.now)), ACCEPTED[id]).toBeGreaterThan(Date.parse(vector.now));
      } else if (vector.error !== undefined || vector.quirk !== undefined) {
        // A quirk is trailing text that APScheduler overlooks.
        expect(refused(() => make(vector))).toBe(true);
      } else {
        const expected = vector.wall_match ?? vector.expected ?? vector.next ?? [];
        expect(fireTimes(make(vector), Date.parse(vector.now) - 1, Math.max(1, expected.length))).toEqual(expected);
      }
    },
  );
});

const others = loadVectors<Vector>('apscheduler-interval.jsonl');

/** From where the first `next` of a case counts. */
function startOf(vector: Vector): number {
  // APScheduler's calendar trigger starts with its start date, however long past.
  if (vector.type === 'calendar') return -8.64e15;
  // A date that has fired does not fire again.
  if (vector.type === 'date') return vector.previous === undefined ? -8.64e15 : (make(vector).next(-8.64e15) ?? 0);
  if (vector.previous !== undefined) return Date.parse(vector.previous);
  return Date.parse(vector.now) - 1;
}

describe.each([...new Set(others.map(({ type }) => type ?? ''))])('APScheduler %s triggers', (type) => {
  const cases = others.filter((vector) => vector.type === type);

  test.each(cases.map((vector) => [vector.id, vector.cat ?? '', vector] as const))('%s %s', (_id, cat, vector) => {
    if (vector.error !== undefined || vector.must === 'reject' || cat === 'zero') {
      expect(refused(() => make(vector))).toBe(true);
      return;
    }
    const expected = (vector.expected ?? vector.next ?? []).map((text) => text.replace(/(\.\d*?)0+Z$/, '$1Z'));
    // Bounds the wrong way round leave nothing there, and are refused here.
    if (type === 'interval' && expected.length === 0 && refused(() => make(vector, vector.previous))) return;
    if (type === 'and' && expected.length === 0) {
      // Parts that never agree end the search one way or the other.
      expect(() => make(vector).next(startOf(vector)) ?? raise()).toThrow(/gave up after|never/);
      return;
    }
    expect(fireTimes(make(vector, vector.previous), startOf(vector), Math.max(1, expected.length))).toEqual(expected);
  });
});

function raise(): never {
  throw new Error('never fires');
}
