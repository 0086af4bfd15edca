import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Trigger, TriggerJson } from '../../src/ports/trigger.js';
import { triggerLaws } from '../../src/testing/contracts/trigger-laws.js';
import { after } from '../../src/triggers/after.js';
import { CalendarIntervalTrigger } from '../../src/triggers/calendar-interval.js';
import { readTrigger } from '../../src/triggers/codec.js';
import { AndTrigger, ExceptTrigger, OrTrigger } from '../../src/triggers/combining.js';
import { CronTrigger } from '../../src/triggers/cron/cron-trigger.js';
import type { DstRule } from '../../src/triggers/wall-clock/engine.js';
import { DailyTrigger } from '../../src/triggers/daily.js';
import { DateTrigger } from '../../src/triggers/date.js';
import { HolidayCalendar } from '../../src/triggers/holiday-calendar.js';
import { IntervalTrigger } from '../../src/triggers/interval.js';
import { MonthlyTrigger } from '../../src/triggers/monthly.js';
import { StartupTrigger } from '../../src/triggers/startup.js';
import { WeeklyTrigger } from '../../src/triggers/weekly.js';
import { WindowIntervalTrigger } from '../../src/triggers/window-interval.js';
import { gridAround, ZONES_OF_INTEREST } from './support/grid.js';

const at = (text: string): number => Date.parse(text);

/** Bounds, fire times and far-off instants that every trigger is asked about. */
const COMMON = [
  -8.64e15,
  -1e12 - 0.5,
  -1,
  0,
  0.5,
  1,
  at('2024-02-28T23:59:59.999Z'),
  at('2024-02-29T00:00:00Z'),
  at('2024-12-31T23:59:59Z'),
  at('2025-06-10T12:00:00.25Z'),
  at('2026-01-01T00:00:00Z'),
  at('2026-03-29T01:00:00Z'),
  at('2026-07-01T00:00:00Z') - 1,
  at('2026-07-01T00:00:00Z'),
  at('2099-12-31T23:59:59Z'),
  at('2400-02-29T12:00:00Z'),
  at('9999-12-31T23:59:59Z'),
  8.64e15 - 1,
  8.64e15,
];

const BOUNDS = { startTime: '2024-01-01T00:00:00.500Z', endTime: '2026-07-01T00:00:00Z' };
const BOUNDS_FROM_MIDNIGHT = { startTime: '2024-01-01T00:00:00Z', endTime: '2026-07-01T00:00:00Z' };
const berlin = { timezone: 'Europe/Berlin' };

const TRIGGERS: Readonly<Record<string, Trigger>> = {
  date: new DateTrigger('2026-07-01T00:00:00Z'),
  'date in a gap': new DateTrigger('2026-03-29T02:30', berlin),
  'interval without a start': new IntervalTrigger({ minutes: 7, seconds: 3 }),
  'interval with bounds': new IntervalTrigger({ hours: 5 }, BOUNDS),
  'interval of a millisecond': new IntervalTrigger({ milliseconds: 1 }, BOUNDS),
  'interval of weeks': new IntervalTrigger({ weeks: 3 }, { startTime: '2024-03-01T00:00:00Z', jitter: 500 }),
  'interval with an anchor': new IntervalTrigger({ minutes: 10 }).withDefaults({
    timezone: 'UTC',
    anchor: at('2025-05-05T05:05:05.005Z'),
  }),
  'interval from completion': new IntervalTrigger({ seconds: 90 }, { ...BOUNDS, from: 'completion' }),
  'calendar, monthly on the 31st': new CalendarIntervalTrigger(
    { months: 1, hour: 2, minute: 30 },
    { ...berlin, startDate: '2024-01-31' },
  ),
  'calendar, daily in a gap': new CalendarIntervalTrigger(
    { days: 1, hour: 2, minute: 30 },
    { ...berlin, startDate: '2024-01-01', endDate: '2026-12-31' },
  ),
  'calendar, fortnightly over Apia': new CalendarIntervalTrigger(
    { weeks: 2, hour: 9 },
    { timezone: 'Pacific/Apia', startDate: '2011-12-16' },
  ),
  'calendar, leap day': new CalendarIntervalTrigger({ years: 1 }, { ...berlin, startDate: '2024-02-29' }),
  'calendar, mixed step': new CalendarIntervalTrigger(
    { months: 1, days: 1, second: 1 },
    { timezone: 'UTC', startDate: '2024-01-30' },
  ),
  'calendar without defaults': new CalendarIntervalTrigger({ months: 5, hour: 23 }),
  or: new OrTrigger([
    new CronTrigger('0 9 * * 1-5', berlin),
    new IntervalTrigger({ hours: 7 }, BOUNDS),
    new DateTrigger('2026-07-01T00:00:00Z'),
  ]),
  and: new AndTrigger([new CronTrigger('0 */2 * * *', berlin), new CronTrigger('0 */3 * * *', berlin)]),
  'and with an interval': new AndTrigger(
    [new IntervalTrigger({ minutes: 30 }, BOUNDS_FROM_MIDNIGHT), new CronTrigger('0 2 * * *', berlin)],
    { jitter: 9 },
  ),
  daily: new DailyTrigger(['02:30', '09:00', '23:59:59'], berlin),
  'daily, all rules': new OrTrigger(
    (['match', 'compatible', 'skipFirst'] as const).map((dst) => new DailyTrigger('02:15', { ...berlin, dst })),
  ),
  weekly: new WeeklyTrigger(
    { days: 'fri-sun', time: ['00:00', '02:30'] },
    { timezone: 'America/New_York', jitter: 50 },
  ),
  monthly: new MonthlyTrigger({ days: [1, 15, 31, -1, -3], time: '12:00' }, { ...berlin, ...BOUNDS }),
  'monthly without a zone': new MonthlyTrigger({ days: 30, time: '02:30' }),
  window: new WindowIntervalTrigger({ minutes: 25 }, { from: '09:00', to: '17:00', days: 'mon-fri' }, berlin),
  'window overnight': new WindowIntervalTrigger(
    { minutes: 45 },
    { from: '22:00', to: '02:30' },
    { timezone: 'America/New_York', ...BOUNDS },
  ),
  'window of a whole day': new WindowIntervalTrigger({ hours: 7 }, { from: '02:30', to: '02:30' }, berlin),
  'window without a zone': new WindowIntervalTrigger('PT1H', { from: '01:00', to: '05:00' }),
  after: after(['load', 'check'], 'any', { mode: 'any', jitter: 7 }),
  startup: new StartupTrigger({ delay: { seconds: 5 }, jitter: 7 }),
  'except holidays': new ExceptTrigger(
    new CronTrigger('*/20 * * * *', berlin),
    new HolidayCalendar(
      ['2026-03-29', { from: '2024-12-24', to: '2025-01-06' }, new CronTrigger('0 12 * 10 *')],
      berlin,
    ),
  ),
  'except holidays without a zone': new ExceptTrigger(
    new DailyTrigger('09:00'),
    new HolidayCalendar([
      '2026-01-01',
      new DailyTrigger('00:00', { startTime: '2023-06-01T00:00:00Z', endTime: '2024-01-01T00:00:00Z' }),
    ]),
  ),
  except: new ExceptTrigger(
    new CronTrigger('30 * * * *', berlin),
    new CronTrigger('30 2 * * *', { ...berlin, dst: 'match' }),
  ),
  nested: new OrTrigger([
    new AndTrigger([new IntervalTrigger({ hours: 1 }), new IntervalTrigger({ minutes: 90 })]),
    new ExceptTrigger(new CronTrigger('@daily', berlin), new DateTrigger('2026-01-01T00:00:00+01:00')),
  ]),
  'cron with bounds': new CronTrigger('*/10 * * * *', { timezone: 'UTC', ...BOUNDS }),
  'cron that never fires': new CronTrigger('0 0 30 2 *', berlin),
  'cron of a leap day': new CronTrigger('0 0 29 2 *', { timezone: 'America/New_York' }),
  'cron with seconds': new CronTrigger('*/7 1,59 2 * * *', { timezone: 'America/New_York' }),
  'cron without a zone': new CronTrigger('0 4 8-14 * *'),
  'cron with a seed': new CronTrigger('H H(0-6) * * *', { ...berlin, seed: 'job-1' }),
  'cron object': new CronTrigger({ day: 'last fri', hour: 17 }, berlin),
  'cron object with weeks': new CronTrigger({ week: '*/2', dayOfWeek: 'mon,thu' }, berlin),
  'cron object with years': new CronTrigger(
    { year: '2024-2030/2', month: 3, day: '2nd sun,last', hour: '2', minute: '*/20' },
    { timezone: 'America/New_York' },
  ),
};

const read = (json: TriggerJson): Trigger => readTrigger(json);

describe.each(Object.entries(TRIGGERS))('%s', (_name, trigger) => {
  const grid = gridAround('Europe/Berlin', 2024, 2027).concat(
    gridAround('America/New_York', 2025, 2027),
    gridAround('Pacific/Apia', 2011, 2013),
  );
  const around = grid.flatMap((t) => (t % 3 === 0 ? [trigger.next(t) ?? t] : [])).flatMap((t) => [t - 1, t, t + 1]);
  const instants = [...COMMON, ...grid, ...around];

  test.each(triggerLaws.map((law) => [law.name, law] as const))('%s', (_law, law) => {
    law.run(trigger, { instants, read });
  });

  test.each(triggerLaws.map((law) => [law.name, law] as const))('at random instants: %s', (_law, law) => {
    const instant = fc.oneof(
      fc.integer({ min: at('2023-01-01'), max: at('2028-01-01') }),
      fc.double({ min: -1e13, max: 1e13, noNaN: true }),
    );
    fc.assert(
      fc.property(fc.array(instant, { minLength: 1, maxLength: 6 }), (times) =>
        law.run(trigger, { instants: times, read }),
      ),
      { numRuns: 30, seed: 20260101 },
    );
  });
});

const EXPRESSIONS = [
  '* * * * *',
  '*/15 * * * *',
  '0 * * * *',
  '30 1 * * *',
  '0 0 * * *',
  '0,30 2 * * *',
  '30 1,2,3 * * *',
  '*/20 2 * * *',
  '15 0-23/2 * * 0',
  '0 0 2 29,30,L * 1#1',
];
const RULES: readonly DstRule[] = ['vixie', 'match', 'compatible', 'skipFirst'];

describe.each(ZONES_OF_INTEREST)('cron around the transitions of %s', (timezone) => {
  const grid = gridAround(timezone, 1985, 2030);

  test.each(RULES)('keeps the laws under %s', (dst) => {
    for (const expression of EXPRESSIONS) {
      const trigger = new CronTrigger(expression, { timezone, dst });
      for (const law of triggerLaws) law.run(trigger, { instants: grid, read });
    }
  });
});

describe('the laws themselves', () => {
  // Each breaks one law: a suite that cannot fail proves nothing.
  const hourly = new IntervalTrigger({ hours: 1 });
  const json = hourly.toJSON();
  const next = (t: number): number => Math.floor(t / 3_600_000) * 3_600_000 + 3_600_000;
  let calls = 0;
  const mutants: Readonly<Record<string, Trigger>> = {
    'answers the instant itself': { kind: 'interval', next: (t) => next(t - 1), toJSON: () => json },
    'answers fractions': { kind: 'interval', next: (t) => next(t) + 0.5, toJSON: () => json },
    remembers: { kind: 'interval', next: (t) => next(t) + 3_600_000 * ((calls += 1) % 2), toJSON: () => json },
    'goes back': {
      kind: 'interval',
      next: (t) => next(t) + (t % 7_200_000 < 3_600_000 ? 7_200_000 : 0),
      toJSON: () => json,
    },
    'leaves one out': { kind: 'interval', next: (t) => next(next(t)), toJSON: () => json },
    'forgets in JSON': { kind: 'interval', next, toJSON: () => ({ ...json, every: 7_200_000 }) },
    'previous misses': { kind: 'interval', next, previous: (t) => next(t) - 10_800_000, toJSON: () => json },
    'previous invents': { kind: 'interval', next, previous: (t) => t - 1, toJSON: () => json },
    'previous gives up': { kind: 'interval', next, previous: () => null, toJSON: () => json },
    miscounts: { kind: 'interval', next, count: () => 7, toJSON: () => json },
    'completes in the past': { kind: 'interval', next, nextAfterCompletion: (t) => t, toJSON: () => json },
    'fills in twice': {
      kind: 'interval',
      next,
      toJSON: () => json,
      withDefaults: ({ anchor }) => ({ ...mutantAnchored(anchor) }),
    },
  };
  function mutantAnchored(anchor: number): Trigger {
    return {
      kind: 'interval',
      next,
      toJSON: () => ({ ...json, anchor }),
      withDefaults: (defaults) => mutantAnchored(defaults.anchor),
    };
  }

  test.each(Object.entries(mutants))('catch a trigger that %s', (_name, mutant) => {
    const instants = gridAround('Europe/Berlin', 2024, 2026);
    const caught = triggerLaws.filter((law) => {
      try {
        law.run(mutant, { instants, read });
        return false;
      } catch {
        return true;
      }
    });
    expect(caught.map((law) => law.name)).not.toEqual([]);
  });
});
