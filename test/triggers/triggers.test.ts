import { describe, expect, test } from 'vitest';
import { isPunctualError } from '../../src/errors/base.js';
import {
  InvalidOptionError,
  InvalidTriggerError,
  UnknownTimeZoneError,
  UnknownTriggerError,
} from '../../src/errors/errors.js';
import type { Trigger, TriggerJson } from '../../src/ports/trigger.js';
import { CalendarIntervalTrigger } from '../../src/triggers/calendar-interval.js';
import { readTrigger } from '../../src/triggers/codec.js';
import { AndTrigger, OrTrigger } from '../../src/triggers/combining.js';
import { CronTrigger } from '../../src/triggers/cron/cron-trigger.js';
import { InvalidCronError } from '../../src/triggers/cron/invalid-cron-error.js';
import { DateTrigger } from '../../src/triggers/date.js';
import { ExceptTrigger } from '../../src/triggers/except.js';
import { IntervalTrigger } from '../../src/triggers/interval.js';
import { TriggerRegistry } from '../../src/triggers/registry.js';
import { HolidayCalendar } from '../../src/triggers/holiday-calendar.js';
import { MonthlyTrigger } from '../../src/triggers/monthly.js';
import { WeeklyTrigger } from '../../src/triggers/weekly.js';
import { WindowIntervalTrigger } from '../../src/triggers/window-interval.js';
import { StartupTrigger } from '../../src/triggers/startup.js';
import { searchPrevious, TriggerSearchError } from '../../src/triggers/search.js';
import { fireTimes } from './support/vectors.js';

const at = (text: string): number => Date.parse(text);
const DEFAULTS = { timezone: 'Asia/Tokyo', anchor: at('2026-01-01T00:00:10Z'), seed: 'job-1' };

describe('IntervalTrigger', () => {
  test('with a start fires first on it', () => {
    const trigger = new IntervalTrigger({ minutes: 5 }, { startTime: 1000 });
    expect(trigger.next(-1e9)).toBe(1000);
    expect(trigger.next(1000)).toBe(301_000);
    expect(trigger.previous(1000)).toBeNull();
  });

  test('without one lies on the epoch, until it is anchored: then it fires first one interval later', () => {
    const trigger = new IntervalTrigger({ minutes: 5 });
    expect(trigger.next(1)).toBe(300_000);
    const anchored = trigger.withDefaults(DEFAULTS);
    expect(anchored.next(0)).toBe(DEFAULTS.anchor + 300_000);
    expect(anchored.previous(DEFAULTS.anchor + 1)).toBeNull();
    expect(anchored.toJSON()).toEqual({ kind: 'interval', v: 1, every: 300_000, anchor: DEFAULTS.anchor });
  });

  test('leaves a start alone when defaults are filled in', () => {
    const trigger = new IntervalTrigger({ minutes: 5 }, { startTime: 0 });
    expect(trigger.withDefaults(DEFAULTS)).toBe(trigger);
  });

  test('includes both bounds', () => {
    const trigger = new IntervalTrigger({ seconds: 1 }, { startTime: 0, endTime: 3000 });
    expect(fireTimes(trigger, -1, 9)).toHaveLength(4);
    expect(trigger.next(2999)).toBe(3000);
    expect(trigger.next(3000)).toBeNull();
    expect(trigger.previous(1e9)).toBe(3000);
    expect(trigger.count(-1e9, 1e9)).toBe(4);
  });

  test('and every other repeating trigger refuses an end before the start', () => {
    const bounds = { startTime: 10, endTime: 5 };
    for (const make of [
      () => new IntervalTrigger({ seconds: 1 }, bounds),
      () => new CronTrigger('@daily', bounds),
      () => new WindowIntervalTrigger({ hours: 1 }, { from: '09:00', to: '17:00' }, bounds),
    ]) {
      expect(make).toThrow('not before the start');
    }
  });

  test('is exact however far its start lies', () => {
    const trigger = new IntervalTrigger({ milliseconds: 7 }, { startTime: -8.64e15 + 1 });
    for (const t of [8e15, 8e15 + 1, 8e15 + 12, 8.64e15 - 8]) {
      const next = trigger.next(t)!;
      expect(next).toBe(Number(BigInt(t) + 7n - ((BigInt(t) + 8640000000000000n - 1n) % 7n)));
      expect(trigger.previous(next + 1)).toBe(next);
      expect(trigger.previous(next)).toBe(next - 7);
    }
    expect(trigger.next(8.64e15)).toBeNull();
  });

  test('counts a century of seconds without walking through it', () => {
    const trigger = new IntervalTrigger({ seconds: 1 }, { startTime: 0 });
    expect(trigger.count(0, 100 * 365.25 * 86_400_000)).toBe(100 * 365.25 * 86_400 + 1);
  });

  test('from completion counts from the end of a run, within the bounds', () => {
    const trigger = new IntervalTrigger({ seconds: 30 }, { from: 'completion', startTime: 100_000, endTime: 200_000 });
    expect(trigger.nextAfterCompletion?.(110_123)).toBe(140_123);
    expect(trigger.nextAfterCompletion?.(1)).toBe(100_000);
    expect(trigger.nextAfterCompletion?.(170_001)).toBeNull();
    expect(new IntervalTrigger({ seconds: 30 }).nextAfterCompletion).toBeUndefined();
  });

  test.each<[unknown]>([
    [{}],
    [{ seconds: 0 }],
    [{ seconds: -5 }],
    [{ milliseconds: 0.4 }],
    [{ milliseconds: 1.5 }],
    [{ seconds: 1 / 3 }],
    [{ hours: NaN }],
    [{ hours: Infinity }],
    [{ minutes: '5' }],
    [{ fortnights: 1 }],
    [{ weeks: 1e9 }],
    [null],
    [0.4],
    [333.4],
    ['PT0.3333S'],
    ['5 minutes'],
  ])('refuses the interval %j', (interval) => {
    expect(() => new IntervalTrigger(interval as object)).toThrow(InvalidOptionError);
  });

  test('takes fractions that make whole milliseconds', () => {
    expect(new IntervalTrigger({ hours: 1.1 }).every).toBe(3_960_000);
    expect(new IntervalTrigger({ seconds: 0.25 }).every).toBe(250);
    expect(new IntervalTrigger('P0Y1DT0.25S').every).toBe(86_400_250);
  });

  test.each([
    { startTime: 'soon' },
    { startTime: '2026-01-01T00:00' },
    { from: 'start' },
    { jitter: -1 },
    { jitter: 'much' },
    { endTime: NaN },
  ])('refuses %j', (options) => {
    expect(() => new IntervalTrigger({ hours: 1 }, options as object)).toThrow(InvalidOptionError);
  });

  test('reads a local start in its zone', () => {
    const trigger = new IntervalTrigger({ hours: 1 }, { startTime: '2026-07-01T00:00', timezone: 'Europe/Berlin' });
    expect(trigger.next(0)).toBe(at('2026-06-30T22:00:00Z'));
    expect(() => new IntervalTrigger({ hours: 1 }, { timezone: 'Nowhere' })).toThrow(UnknownTimeZoneError);
  });
});

describe('every trigger', () => {
  const cron = new CronTrigger('@daily', { timezone: 'UTC' });
  const holidays = new HolidayCalendar(['2026-05-01'], { timezone: 'UTC' });
  const triggers = [
    cron,
    new IntervalTrigger({ hours: 1 }),
    new WindowIntervalTrigger({ hours: 1 }, { from: '09:00', to: '17:00' }),
    new CalendarIntervalTrigger({ days: 1 }),
    new DateTrigger(5),
    new StartupTrigger(),
    new OrTrigger([cron]),
    new AndTrigger([cron]),
    new ExceptTrigger(cron, new DateTrigger(5)),
    new ExceptTrigger(cron, holidays),
  ];

  test.each(triggers.map((trigger) => [trigger.kind, trigger] as const))('%s refuses what is no instant', (_kind, trigger) => {
    for (const value of [NaN, undefined, null, '2026-01-01T00:00:00Z', new Date()]) {
      expect(() => trigger.next(value as never)).toThrow(InvalidOptionError);
      expect(() => trigger.previous(value as never)).toThrow(InvalidOptionError);
    }
  });

  test.each<[() => unknown, string]>([
    [() => new WeeklyTrigger({ days: ['mon'], time: '10:00', timezone: 'UTC' } as never), 'There is no option `schedule.timezone`'],
    [() => new MonthlyTrigger({ day: 5, days: [1], time: '10:00' } as never), 'There is no option `schedule.day`; did you mean `days`?'],
    [() => new MonthlyTrigger([1, 15] as never), "expected an object such as { days: [1, -1], time: '12:00' }"],
    [() => new WindowIntervalTrigger(5, { from: '09:00', to: '17:00', weekdays: 'mon' } as never), 'window.weekdays'],
    [() => new CalendarIntervalTrigger({ month: 1 } as never), 'There is no option `interval.month`; did you mean `months`?'],
    [() => new HolidayCalendar([{ from: '2026-05-01', to: '2026-05-02', name: 'x' } as never]), 'holidays[0].name'],
    [() => new CronTrigger({ dow: 'mon' } as never), 'There is no field `cron.dow`; did you mean `dayOfWeek`? Expected one of'],
    [() => new CronTrigger({ day_of_week: 'mon' } as never), 'did you mean `dayOfWeek`?'],
    [() => new CronTrigger({ Hour: 5 } as never), 'did you mean `hour`?'],
    [() => new CronTrigger('@daily', { tz: 'UTC' } as never), 'did you mean `timezone`?'],
    [() => new IntervalTrigger({ minute: 5 } as never), 'There is no unit `interval.minute`; did you mean `minutes`?'],
    [() => new IntervalTrigger({ months: 1 } as never), 'CalendarIntervalTrigger'],
    [() => new IntervalTrigger('P1M'), 'CalendarIntervalTrigger'],
    [() => new WeeklyTrigger({ days: ['Monday'] as never, time: '10:00' }), 'sun, mon, tue'],
  ])('says what is wrong with its first argument: %s', (make, message) => {
    expect(caught(make)).toBeInstanceOf(InvalidOptionError);
    expect(make).toThrow(message);
  });
});

describe('CronTrigger', () => {
  test('takes the zone of the scheduler, once', () => {
    const trigger = new CronTrigger('0 9 * * *').withDefaults(DEFAULTS);
    expect(trigger.timezone).toBe('Asia/Tokyo');
    expect(trigger.next(at('2026-01-01T00:00:00Z'))).toBe(at('2026-01-02T00:00:00Z'));
    expect(trigger.withDefaults({ ...DEFAULTS, timezone: 'UTC' })).toBe(trigger);
  });

  test('reads the zone of a prefix', () => {
    expect(new CronTrigger('CRON_TZ=Asia/Tokyo 0 9 * * *').next(0)).toBe(86_400_000);
    expect(new CronTrigger('TZ=UTC @daily').timezone).toBe('UTC');
    expect(() => new CronTrigger('TZ=UTC @daily', { timezone: 'Asia/Tokyo' })).toThrow(InvalidOptionError);
    expect(() => new CronTrigger('TZ=Nowhere @daily')).toThrow(UnknownTimeZoneError);
    expect(new CronTrigger('TZ=UTC @daily', { timezone: 'UTC' }).timezone).toBe('UTC');
  });

  test('spreads H by the seed: the same for the same, different for different ones', () => {
    const times = (seed: string): string[] => fireTimes(new CronTrigger('H H * * *', { timezone: 'UTC', seed }), 0, 2);
    expect(times('job-1')).toEqual(times('job-1'));
    expect(new Set(Array.from({ length: 50 }, (_, i) => times(`job-${i}`)[0])).size).toBeGreaterThan(45);
    expect(new CronTrigger('H H * * *', { timezone: 'UTC' }).withDefaults(DEFAULTS).next(0)).toBe(
      new CronTrigger('H H * * *', { timezone: 'UTC', seed: 'job-1' }).next(0),
    );
  });

  test('keeps H within its range and on its step', () => {
    for (let i = 0; i < 100; i += 1) {
      const seed = `job-${i}`;
      const minutes = fireTimes(new CronTrigger('H(10-19) H/6 H * *', { timezone: 'UTC', seed }), 0, 60).map(
        (text) => new Date(text),
      );
      expect(new Set(minutes.map((date) => date.getUTCMinutes())).size).toBe(1);
      expect(minutes.every((date) => date.getUTCMinutes() >= 10 && date.getUTCMinutes() <= 19)).toBe(true);
      expect(new Set(minutes.map((date) => date.getUTCHours() % 6)).size).toBe(1);
      expect(new Set(minutes.map((date) => date.getUTCHours())).size).toBe(4);
      expect(minutes.every((date) => date.getUTCDate() <= 28)).toBe(true);
    }
  });

  test('asked without a seed says what is missing', () => {
    const trigger = new CronTrigger('H * * * *');
    expect(() => trigger.next(0)).toThrow(InvalidTriggerError);
    expect(() => trigger.previous(0)).toThrow('H');
  });

  test('points at the fault', () => {
    const error = caught(() => new CronTrigger('0 25 * * *'));
    expect(error).toBeInstanceOf(InvalidCronError);
    expect(isPunctualError(error, 'INVALID_TRIGGER')).toBe(true);
    expect(error).toMatchObject({ expression: '0 25 * * *', field: 'hour', value: '25', allowed: '0-23', position: 2 });
    expect((error as Error).message).toBe(
      'Invalid cron expression: hour 25 is out of range, expected 0-23.\n  0 25 * * *\n    ^^',
    );
  });

  test('shows long and unprintable input safely', () => {
    const message = (expression: string): string => (caught(() => new CronTrigger(expression)) as Error).message;
    expect(message(`0 0 * * ${'1,'.repeat(200)}x`)).toMatch(/\n {2}.{60}\n {2} *\^\n?$/);
    expect(message('\u001b[31m * * * *')).not.toContain('\u001b');
  });

  test.each<[unknown]>([
    [undefined],
    [null],
    [5],
    [[]],
    [{}],
    [{ hours: 5 }],
    [{ hour: 1.5 }],
    [{ hour: [] }],
    [{ hour: null }],
    [{ minute: 'x'.repeat(2000) }],
  ])('refuses %j', (cron) => {
    expect(isPunctualError(caught(() => new CronTrigger(cron as string)))).toBe(true);
  });

  test.each([{ dst: 'sometimes' }, { seed: 5 }, { timezone: 5 }, { startTime: '2026-01-01T00:00' }])(
    'refuses the option %j',
    (options) => {
      expect(() => new CronTrigger('@daily', options as object)).toThrow(InvalidOptionError);
    },
  );

  test.each([
    ['0 22-3/2 * * *', [0, 2, 22]],
    ['0 22-5/3 * * *', [1, 4, 22]],
    ['0 23-1 * * *', [0, 1, 23]],
    ['0 20-19/6 * * *', [2, 8, 14, 20]],
  ])('goes on counting the steps of %s over midnight', (expression, hours) => {
    const fires = fireTimes(new CronTrigger(expression, { timezone: 'UTC' }), -1, 24).map((text) =>
      new Date(text).getUTCHours(),
    );
    expect([...new Set(fires)].sort((a, b) => a - b)).toEqual(hours);
  });

  test('goes on to the end of the field from a weekday 7', () => {
    expect(fireTimes(new CronTrigger('0 0 * * 7/2', { timezone: 'UTC' }), 0, 2)).toEqual(['1970-01-04T00:00:00Z', '1970-01-11T00:00:00Z']);
    expect(new CronTrigger({ dayOfWeek: '7/2' }, { timezone: 'UTC' }).next(0)).toBe(at('1970-01-04T00:00:00Z'));
  });

  test('takes lists of numbers and texts in the object form', () => {
    const trigger = new CronTrigger({ hour: [3, '5-6'], minute: [0, '*/30'] }, { timezone: 'UTC' });
    expect(fireTimes(trigger, 0, 7)).toEqual([
      '1970-01-01T03:00:00Z',
      '1970-01-01T03:30:00Z',
      '1970-01-01T05:00:00Z',
      '1970-01-01T05:30:00Z',
      '1970-01-01T06:00:00Z',
      '1970-01-01T06:30:00Z',
      '1970-01-02T03:00:00Z',
    ]);
  });

  test('knows the ISO weeks of a January, whichever year it was asked about before', () => {
    const trigger = new CronTrigger({ week: 53 }, { timezone: 'UTC' });
    // Both years begin on a Saturday, but only the one before the first has a week 53.
    expect(trigger.next(at('2004-12-31T12:00:00Z'))).toBe(at('2005-01-01T00:00:00Z'));
    expect(trigger.next(at('2010-12-31T12:00:00Z'))).toBe(at('2015-12-28T00:00:00Z'));
  });

  test('is not taken for another one that was compiled before', () => {
    new CronTrigger('0 0 * * *', { seed: 'job-1' });
    expect(() => new CronTrigger('0 0 * * *\njob-1')).toThrow(InvalidCronError);
    new CronTrigger({ hour: 7 });
    expect(() => new CronTrigger('[{"hour":"7"},null]')).toThrow(InvalidCronError);
  });

  test('never fires after the last of its years', () => {
    const trigger = new CronTrigger({ year: '2030,2032-2036/2', month: 2, day: 29 }, { timezone: 'UTC' });
    expect(fireTimes(trigger, 0, 9)).toEqual(['2032-02-29T00:00:00Z', '2036-02-29T00:00:00Z']);
    expect(trigger.previous(at('9999-01-01T00:00:00Z'))).toBe(at('2036-02-29T00:00:00Z'));
  });

  test('finds out in bounded time that it never fires', () => {
    const start = performance.now();
    expect(new CronTrigger('0 0 30 2 *', { timezone: 'Europe/Berlin' }).next(0)).toBeNull();
    expect(new CronTrigger('0 0 31 2,4,6,9,11 *', { timezone: 'Europe/Berlin' }).previous(0)).toBeNull();
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('refuses NaN, and has nothing at either end of time', () => {
    const trigger = new CronTrigger('@hourly', { timezone: 'UTC' });
    expect(() => trigger.next(NaN)).toThrow(InvalidOptionError);
    expect(() => trigger.previous(NaN)).toThrow(InvalidOptionError);
    expect([
      trigger.next(Infinity),
      trigger.next(8.64e15),
      trigger.previous(-Infinity),
      trigger.previous(-8.64e15),
    ]).toEqual([null, null, null, null]);
    expect([trigger.next(-Infinity), trigger.previous(Infinity)]).toEqual([-8.64e15, 8.64e15]);
  });
});

describe('CalendarIntervalTrigger', () => {
  test('starts on the date of the day it is added', () => {
    const trigger = new CalendarIntervalTrigger({ days: 2, hour: 8 }).withDefaults(DEFAULTS);
    // 2026-01-01T00:00:10Z is 09:00:10 on the same date in Tokyo: that day's 08:00 has passed.
    expect(trigger.toJSON()).toMatchObject({ startDate: '2026-01-01', timezone: 'Asia/Tokyo' });
    expect(trigger.next(DEFAULTS.anchor)).toBe(at('2026-01-02T23:00:00Z'));
  });

  test.each<[object, object?]>([
    [{}],
    [{ hour: 5 }],
    [{ days: 0 }],
    [{ days: -1 }],
    [{ days: 1.5 }],
    [{ days: 1, hour: 24 }],
    [{ days: 1, minute: 60 }],
    [{ fortnights: 1 }],
    [{ days: 1 }, { startDate: 'tomorrow' }],
    [{ days: 1 }, { startDate: '2026-02-30' }],
    [{ days: 1 }, { startDate: '2026-02-02', endDate: '2026-02-01' }],
  ])('refuses %j %j', (interval, options = {}) => {
    expect(() => new CalendarIntervalTrigger(interval, options)).toThrow(InvalidOptionError);
  });
});

describe('DateTrigger', () => {
  test.each(['12:00', 'T12:00', '2026-05-01T09:00:00+02:00[Europe/Berlin]', '2026-05-01T09:00[Asia/Tokyo]'])(
    'refuses %j, which is no instant by itself',
    (text) => {
      expect(() => new DateTrigger(text, { timezone: 'Europe/Berlin' })).toThrow(InvalidOptionError);
      expect(() => new CalendarIntervalTrigger({ days: 1 }, { startDate: text })).toThrow(InvalidOptionError);
    },
  );

  test.each([null, { timeZone: 'UTC' }])('refuses the options %j', (options) => {
    expect(() => new DateTrigger('2026-05-01T09:00Z', options as object)).toThrow(InvalidOptionError);
    expect(() => new IntervalTrigger({ hours: 1 }, options as object)).toThrow(InvalidOptionError);
  });

  test('is soon done with a text of any length', () => {
    const start = performance.now();
    for (const piece of ['T', '1', '2026-05-01T', '-01']) {
      expect(() => new DateTrigger(piece.repeat(50_000))).toThrow(InvalidOptionError);
    }
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe('OrTrigger, AndTrigger', () => {
  test('fill in the defaults of their parts, or are left alone', () => {
    const filled = new OrTrigger([new CronTrigger('@daily'), new IntervalTrigger({ hours: 1 })]).withDefaults(DEFAULTS);
    expect(filled.triggers.map((part) => part.toJSON())).toMatchObject([
      { timezone: 'Asia/Tokyo' },
      { anchor: DEFAULTS.anchor },
    ]);
    expect(filled.withDefaults(DEFAULTS)).toBe(filled);
  });

  test.each<[unknown]>([[[]], [undefined], [[5]], [[null]], [[{ next: () => null }]], ['ab']])('refuse %j', (parts) => {
    expect(() => new OrTrigger(parts as Trigger[])).toThrow(InvalidTriggerError);
    expect(() => new AndTrigger(parts as Trigger[])).toThrow(InvalidTriggerError);
  });

  test('take parts that know no previous', () => {
    const part: Trigger = {
      kind: 'x',
      next: (t) => (Math.floor(t / 1000) + 1) * 1000,
      toJSON: () => ({ kind: 'x', v: 1 }),
    };
    expect(new OrTrigger([part]).previous(5500)).toBe(5000);
    expect(new AndTrigger([part, new IntervalTrigger({ seconds: 3 })]).previous(5500)).toBe(3000);
  });

  test('refuse parts that are no function of time', () => {
    const cron = new CronTrigger('@daily');
    for (const part of [new StartupTrigger(), new IntervalTrigger({ hours: 1 }, { from: 'completion' })]) {
      for (const make of [
        () => new OrTrigger([cron, part]),
        () => new AndTrigger([part, cron]),
        () => new ExceptTrigger(part, cron),
        () => new ExceptTrigger(cron, part),
        () => new HolidayCalendar([part]),
      ]) {
        expect(make).toThrow(InvalidTriggerError);
        expect(make).toThrow('give it a job of its own');
      }
    }
  });

  test('begin with dates that have passed, as far as no other part has fired since', () => {
    const dates = [new DateTrigger(5000), new DateTrigger(7000)];
    const late = new DateTrigger(20_000);
    const every = (seconds: number): Trigger => new IntervalTrigger({ seconds });
    expect(new OrTrigger([...dates, late]).first(10_000)).toBe(5000);
    expect(new OrTrigger([new OrTrigger(dates), every(6)]).first(8000)).toBe(7000);
    expect(new OrTrigger([...dates, every(4)]).first(10_000)).toBeNull();
    expect(new OrTrigger([late, every(4)]).first(10_000)).toBeNull();
    expect(new AndTrigger([dates[0]!, every(5)]).first(10_000)).toBe(5000);
    expect(new AndTrigger([dates[0]!, every(4)]).first(10_000)).toBeNull();
    expect(new ExceptTrigger(new OrTrigger(dates), every(5)).first(10_000)).toBe(7000);
    expect(new ExceptTrigger(every(5), every(10)).first(10_000)).toBeNull();
  });

  test('ExceptTrigger says what it got, and of a search in vain that all is excluded', () => {
    const cron = new CronTrigger('@daily', { timezone: 'UTC' });
    expect(() => new ExceptTrigger(cron, '2026-02-26' as never)).toThrow('got "2026-02-26"');
    const same: Trigger = { kind: 'x', next: (t) => cron.next(t), toJSON: () => cron.toJSON() };
    expect(() => new ExceptTrigger(cron, same).next(0)).toThrow('all that the base has is excluded');
  });

  test('parts that never agree have no fire time, or, when nothing is known of them, end in an error', () => {
    const parts = [
      new CronTrigger('0 1 * * *', { timezone: 'UTC' }),
      new CronTrigger('0 2 * * *', { timezone: 'UTC' }),
    ];
    const never = new AndTrigger(parts);
    expect([never.next(0), never.previous(0)]).toEqual([null, null]);
    const unknown = parts.map((part): Trigger => ({
      kind: 'x',
      next: (t) => part.next(t),
      toJSON: () => part.toJSON(),
    }));
    expect(() => new AndTrigger(unknown).next(0)).toThrow(TriggerSearchError);
  });
});

test('previous is found through next alone', () => {
  const cron = new CronTrigger('0 0 29 2 *', { timezone: 'UTC' });
  let asked = 0;
  const counting: Trigger = { kind: 'x', next: (t) => ((asked += 1), cron.next(t)), toJSON: () => cron.toJSON() };
  expect(searchPrevious(counting, at('2026-01-01T00:00:00Z'))).toBe(at('2024-02-29T00:00:00Z'));
  expect(asked).toBeLessThan(130);
  expect(searchPrevious(new DateTrigger(5), 5)).toBeNull();
  expect(searchPrevious(new DateTrigger(5), 5.5)).toBe(5);
});

describe('TriggerRegistry', () => {
  const custom: Trigger = { kind: 'custom', next: () => null, toJSON: () => ({ kind: 'custom', v: 2 }) };

  test('reads kinds that were registered, also within combinations', () => {
    const registry = new TriggerRegistry().register('custom', () => custom, 2);
    const combined = { kind: 'or', v: 1, triggers: [custom.toJSON(), new DateTrigger(5).toJSON()] };
    expect(registry.read(combined)).toBeInstanceOf(OrTrigger);
    expect(() => readTrigger(combined)).toThrow(UnknownTriggerError);
    expect(registry.kinds).toContain('custom');
  });

  test('refuses an unknown kind and a newer version as unknown', () => {
    for (const json of [
      { kind: 'lunar', v: 1 },
      { kind: 'date', v: 2, at: 5 },
    ]) {
      expect(() => readTrigger(json)).toThrow(UnknownTriggerError);
    }
    expect(() => readTrigger({ kind: 'lunar', v: 1 })).toThrow(/register it/);
  });

  test.each<[unknown]>([
    [undefined],
    [null],
    ['date'],
    [{}],
    [{ kind: 5, v: 1 }],
    [{ kind: 'date' }],
    [{ kind: 'date', v: 0, at: 5 }],
    [{ kind: 'date', v: 1.5, at: 5 }],
    [{ kind: 'date', v: 1, at: '5' }],
    [{ kind: 'date', v: 1 }],
    [{ kind: 'cron', v: 1 }],
    [{ kind: 'cron', v: 1, expression: '61 * * * *' }],
    [{ kind: 'cron', v: 1, expression: '@daily', timezone: 'Nowhere' }],
    [{ kind: 'cron', v: 1, expression: '@daily', dst: 'x' }],
    [{ kind: 'interval', v: 1, every: 0 }],
    [{ kind: 'calendarInterval', v: 1, months: 0, days: 0, hour: 0, minute: 0, second: 0 }],
    [{ kind: 'or', v: 1, triggers: [] }],
    [{ kind: 'or', v: 1, triggers: [null] }],
    [{ kind: 'except', v: 1, base: 5 }],
    [{ kind: 'daily', v: 1, times: 'x' }],
  ])('refuses %j as invalid', (json) => {
    const error = caught(() => readTrigger(json as TriggerJson));
    expect(isPunctualError(error, 'INVALID_TRIGGER'), String(error)).toBe(true);
  });

  test('turns whatever a reader throws into its own error, with the cause', () => {
    const registry = new TriggerRegistry().register('broken', () => {
      throw new RangeError('no');
    });
    expect(caught(() => registry.read({ kind: 'broken', v: 1 }))).toMatchObject({
      code: 'INVALID_TRIGGER',
      cause: new RangeError('no'),
    });
  });

  test('refuses kinds that are taken, nameless or without a reader', () => {
    const registry = new TriggerRegistry();
    expect(() => registry.register('cron', () => custom)).toThrow(InvalidOptionError);
    expect(() => registry.register('', () => custom)).toThrow(InvalidOptionError);
    expect(() => registry.register('x', null as never)).toThrow(InvalidOptionError);
    expect(() => registry.register('x', () => custom, 0)).toThrow(InvalidOptionError);
  });
});

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
