import { describe, expect, test } from 'vitest';
import {
  InvalidOptionError,
  InvalidTriggerError,
  UnknownTimeZoneError,
  UnknownTriggerError,
} from '../../src/errors/errors.js';
import { CronTrigger } from '../../src/triggers/cron/cron-trigger.js';
import { DailyTrigger } from '../../src/triggers/daily.js';
import { ExceptTrigger } from '../../src/triggers/except.js';
import { HolidayCalendar } from '../../src/triggers/holiday-calendar.js';
import { IntervalTrigger } from '../../src/triggers/interval.js';
import { MonthlyTrigger } from '../../src/triggers/monthly.js';
import { TriggerRegistry } from '../../src/triggers/registry.js';
import { TriggerSearchError } from '../../src/triggers/search.js';
import { StartupTrigger } from '../../src/triggers/startup.js';
import { WeeklyTrigger } from '../../src/triggers/weekly.js';
import { WindowIntervalTrigger } from '../../src/triggers/window-interval.js';
import { fireTimes } from './support/vectors.js';

const berlin = { timezone: 'Europe/Berlin' };
const at = (text: string): number => Date.parse(text);

describe('DailyTrigger', () => {
  test('fires at each of its times, whatever their order', () => {
    const trigger = new DailyTrigger(['13:30', '09:00', '09:00'], berlin);
    expect(trigger.times).toEqual(['09:00', '13:30']);
    expect(fireTimes(trigger, at('2026-01-05T08:00:00Z'), 3)).toEqual([
      '2026-01-05T12:30:00Z',
      '2026-01-06T08:00:00Z',
      '2026-01-06T12:30:00Z',
    ]);
  });

  test('makes up for a time that daylight saving skips, and runs a repeated one once', () => {
    const trigger = new DailyTrigger('02:30', berlin);
    expect(fireTimes(trigger, at('2026-03-28T12:00:00Z'), 2)).toEqual(['2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z']);
    expect(fireTimes(trigger, at('2026-10-24T12:00:00Z'), 2)).toEqual(['2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z']);
  });

  test('takes the other rules', () => {
    const next = (dst: 'match' | 'compatible' | 'skipFirst'): string[] =>
      fireTimes(new DailyTrigger('02:30', { ...berlin, dst }), at('2026-03-28T12:00:00Z'), 1);
    expect(next('match')).toEqual(['2026-03-30T00:30:00Z']);
    expect(next('compatible')).toEqual(['2026-03-29T01:30:00Z']);
    expect(next('skipFirst')).toEqual(['2026-03-30T00:30:00Z']);
  });

  test.each([[[]], ['24:00'], ['9'], ['09:60'], [['09:00', 'noon']], [9], ['09:00:00:00'], [null]])(
    'refuses %j',
    (times) => {
      expect(() => new DailyTrigger(times as string)).toThrow(InvalidOptionError);
    },
  );
});

describe('WeeklyTrigger', () => {
  test('fires on its days', () => {
    const trigger = new WeeklyTrigger({ days: ['mon', 4], time: '10:00' }, berlin);
    expect(trigger.days).toEqual(['mon', 'thu']);
    expect(fireTimes(trigger, at('2026-01-01T12:00:00Z'), 3)).toEqual([
      '2026-01-05T09:00:00Z',
      '2026-01-08T09:00:00Z',
      '2026-01-12T09:00:00Z',
    ]);
  });

  test('takes ranges, 0 and 7 for Sunday', () => {
    expect(new WeeklyTrigger({ days: 'fri-mon', time: '10:00' }).days).toEqual(['mon', 'fri', 'sat', 'sun']);
    expect(new WeeklyTrigger({ days: [0], time: '10:00' }).days).toEqual(
      new WeeklyTrigger({ days: [7], time: '10:00' }).days,
    );
  });

  test.each([[[]], ['monday'], ['5L'], ['mon#1'], [8], [['mon', null]], ['']])('refuses %j as days', (days) => {
    expect(() => new WeeklyTrigger({ days: days as string, time: '10:00' })).toThrow(InvalidOptionError);
  });

  test('refuses no schedule', () => {
    expect(() => new WeeklyTrigger(null as never)).toThrow(InvalidOptionError);
    expect(() => new MonthlyTrigger('x' as never)).toThrow(InvalidOptionError);
    expect(() => new WindowIntervalTrigger({ hours: 1 }, null as never)).toThrow(InvalidOptionError);
  });
});

describe('MonthlyTrigger', () => {
  test('counts days from either end', () => {
    const trigger = new MonthlyTrigger({ days: [1, 15, -1], time: '12:00' }, { timezone: 'UTC' });
    expect(fireTimes(trigger, at('2024-02-01T12:00:00Z'), 4)).toEqual([
      '2024-02-15T12:00:00Z',
      '2024-02-29T12:00:00Z',
      '2024-03-01T12:00:00Z',
      '2024-03-15T12:00:00Z',
    ]);
  });

  test('leaves out a day the month does not have', () => {
    expect(
      fireTimes(new MonthlyTrigger({ days: 31, time: '00:00' }, { timezone: 'UTC' }), at('2026-01-31T00:00:00Z'), 2),
    ).toEqual(['2026-03-31T00:00:00Z', '2026-05-31T00:00:00Z']);
    expect(
      fireTimes(new MonthlyTrigger({ days: -31, time: '00:00' }, { timezone: 'UTC' }), at('2026-01-01T00:00:00Z'), 2),
    ).toEqual(['2026-03-01T00:00:00Z', '2026-05-01T00:00:00Z']);
  });

  test.each([[0], [32], [-32], [1.5], [[]], ['1']])('refuses %j as days', (days) => {
    expect(() => new MonthlyTrigger({ days: days as number, time: '10:00' })).toThrow(InvalidOptionError);
  });
});

describe('WindowIntervalTrigger', () => {
  test('refuses an interval longer than its window', () => {
    expect(() => new WindowIntervalTrigger({ days: 2 }, { from: '09:00', to: '17:00' })).toThrow('no longer than the window, 8 hours');
    expect(() => new WindowIntervalTrigger({ hours: 9 }, { from: '22:00', to: '06:00' })).toThrow(InvalidOptionError);
    expect(new WindowIntervalTrigger({ hours: 24 }, { from: '09:00', to: '09:00' }).every).toBe(86_400_000);
  });

  test('fires within the window, both ends included, on its days', () => {
    const trigger = new WindowIntervalTrigger(
      { minutes: 240 },
      { from: '09:00', to: '17:00', days: 'mon-fri' },
      berlin,
    );
    expect(fireTimes(trigger, at('2026-01-01T12:00:00Z'), 6)).toEqual([
      '2026-01-01T16:00:00Z',
      '2026-01-02T08:00:00Z',
      '2026-01-02T12:00:00Z',
      '2026-01-02T16:00:00Z',
      '2026-01-05T08:00:00Z',
      '2026-01-05T12:00:00Z',
    ]);
  });

  test('starts afresh with each window', () => {
    const trigger = new WindowIntervalTrigger({ minutes: 50 }, { from: '09:00', to: '10:30' }, { timezone: 'UTC' });
    expect(fireTimes(trigger, at('2026-01-01T00:00:00Z'), 4)).toEqual([
      '2026-01-01T09:00:00Z',
      '2026-01-01T09:50:00Z',
      '2026-01-02T09:00:00Z',
      '2026-01-02T09:50:00Z',
    ]);
  });

  test('goes over midnight, and keeps elapsed time over a change of the clock', () => {
    const trigger = new WindowIntervalTrigger({ hours: 1 }, { from: '23:00', to: '04:00', days: 'sat' }, berlin);
    // Saturday 28 March: from 23:00 to 04:00 is four hours that night.
    expect(fireTimes(trigger, at('2026-03-28T12:00:00Z'), 6)).toEqual([
      '2026-03-28T22:00:00Z',
      '2026-03-28T23:00:00Z',
      '2026-03-29T00:00:00Z',
      '2026-03-29T01:00:00Z',
      '2026-03-29T02:00:00Z',
      '2026-04-04T21:00:00Z',
    ]);
  });

  test('leaves no opening out, nor anything before it, when the window of the night closes late', () => {
    const trigger = new WindowIntervalTrigger({ minutes: 50 }, { from: '03:00', to: '02:30' }, berlin);
    // The window of 28 March closes at 02:30, which is 03:30 that night: half an hour after the next has opened.
    const times = ['2026-03-29T00:30:00Z', '2026-03-29T01:00:00Z', '2026-03-29T01:20:00Z', '2026-03-29T01:50:00Z'];
    expect(fireTimes(trigger, at('2026-03-29T00:00:00Z'), 4)).toEqual(times);
    expect(times.map((_, i) => trigger.previous(at(times[i + 1] ?? '2026-03-29T01:51:00Z')))).toEqual(times.map(at));
  });

  test('fires below a second', () => {
    const trigger = new WindowIntervalTrigger(
      { milliseconds: 250 },
      { from: '09:00', to: '09:00:01' },
      { timezone: 'UTC' },
    );
    expect(fireTimes(trigger, at('2026-01-01T09:00:00.600Z'), 3)).toEqual([
      '2026-01-01T09:00:00.75Z',
      '2026-01-01T09:00:01Z',
      '2026-01-02T09:00:00Z',
    ]);
  });

  test.each([[0], [-1], ['often'], [NaN]])('refuses the interval %j', (interval) => {
    expect(() => new WindowIntervalTrigger(interval as number, { from: '09:00', to: '10:00' })).toThrow(
      InvalidOptionError,
    );
  });
});

describe('StartupTrigger', () => {
  test('has no fire time of its own, but owes one to each start', () => {
    const trigger = new StartupTrigger({ delay: { seconds: 30 } });
    expect(trigger.next(0)).toBeNull();
    expect(trigger.fireTimeFor(1_000)).toBe(31_000);
    expect(trigger.fireTimeFor(8.64e15)).toBeNull();
    expect(new StartupTrigger().toJSON()).toEqual({ kind: 'startup', v: 1 });
  });
});

describe('HolidayCalendar', () => {
  const workdays = new CronTrigger('0 9 * * 1-5', berlin);

  test('keeps a trigger from firing on its dates', () => {
    const calendar = new HolidayCalendar(['2026-01-01', { from: '2026-01-05', to: '2026-01-07' }], berlin);
    expect(fireTimes(new ExceptTrigger(workdays, calendar), at('2025-12-31T00:00:00Z'), 4)).toEqual([
      '2025-12-31T08:00:00Z',
      '2026-01-02T08:00:00Z',
      '2026-01-08T08:00:00Z',
      '2026-01-09T08:00:00Z',
    ]);
  });

  test('takes the dates on which a trigger fires', () => {
    const calendar = new HolidayCalendar([new CronTrigger('0 12 1 * *')], berlin);
    expect(calendar.includes(at('2026-04-30T22:00:00Z'))).toBe(true);
    expect(calendar.includes(at('2026-04-30T21:59:59Z'))).toBe(false);
    expect(calendar.includes(at('2026-05-01T22:00:00Z'))).toBe(false);
  });

  test('means the dates of its zone', () => {
    const calendar = new HolidayCalendar(['2026-01-01'], { timezone: 'Asia/Tokyo' });
    expect(calendar.includes(at('2025-12-31T15:00:00Z'))).toBe(true);
    expect(calendar.includes(at('2026-01-01T15:00:00Z'))).toBe(false);
  });

  test('leaves a long holiday in one step, however dense the trigger', () => {
    const always = new IntervalTrigger({ milliseconds: 1 });
    const trigger = new ExceptTrigger(
      always,
      new HolidayCalendar([{ from: '1990-01-01', to: '2025-12-31' }], { timezone: 'UTC' }),
    );
    expect(trigger.next(at('1995-06-01T00:00:00Z'))).toBe(at('2026-01-01T00:00:00Z'));
    expect(trigger.previous(at('1995-06-01T00:00:00Z'))).toBe(at('1990-01-01T00:00:00Z') - 1);
  });

  test('by name is stored as the name, and read from the registry', () => {
    const calendar = new HolidayCalendar(['2026-01-02'], { name: 'holidays', ...berlin });
    const trigger = new ExceptTrigger(workdays, calendar);
    const json = trigger.toJSON();
    expect(json['calendar']).toBe('holidays');
    expect(() => new TriggerRegistry().read(json)).toThrow(UnknownTriggerError);
    const registry = new TriggerRegistry().defineCalendar(calendar);
    expect(registry.read(json).next(at('2026-01-01T12:00:00Z'))).toBe(at('2026-01-05T08:00:00Z'));
    registry.defineCalendar(new HolidayCalendar([], { name: 'holidays', ...berlin }));
    expect(registry.read(json).next(at('2026-01-01T12:00:00Z'))).toBe(at('2026-01-02T08:00:00Z'));
  });

  test('refuses what is no holiday', () => {
    expect(() => new HolidayCalendar(['soon'])).toThrow(InvalidOptionError);
    expect(() => new HolidayCalendar([{ from: '2026-02-01', to: '2026-01-01' }])).toThrow(InvalidOptionError);
    expect(() => new HolidayCalendar('2026-01-01' as never)).toThrow(InvalidOptionError);
    expect(() => new HolidayCalendar([null as never])).toThrow(InvalidOptionError);
    expect(() => new HolidayCalendar([], { timeZone: 'UTC' } as object)).toThrow('did you mean `timezone`');
    expect(() => new HolidayCalendar(['2026-01-01'], { name: 'x' })).toThrow('time zone');
    expect(() => new HolidayCalendar(['2026-01-01'], { timezone: 'Nowhere' })).toThrow(UnknownTimeZoneError);
    expect(() => new ExceptTrigger(workdays, {} as never)).toThrow(InvalidTriggerError);
    expect(() => new ExceptTrigger({} as never, workdays)).toThrow(InvalidTriggerError);
    expect(() => new TriggerRegistry().defineCalendar(new HolidayCalendar([]))).toThrow(InvalidOptionError);
  });
});

test('a search that finds nothing ends in an error that says so', () => {
  const { next, previous, toJSON } = {
    next: (t: number) => t + 1,
    previous: (t: number) => t - 1,
    toJSON: () => ({ kind: 'x', v: 1 }),
  };
  const everything = { kind: 'x', next, previous, toJSON };
  const trigger = new ExceptTrigger(everything, everything);
  expect(() => trigger.next(0)).toThrow(TriggerSearchError);
  expect(() => trigger.previous(0)).toThrow('gave up after');
});
