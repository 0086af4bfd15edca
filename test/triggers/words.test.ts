import { describe, expect, test } from 'vitest';
import { InvalidOptionError } from '../../src/errors/errors.js';
import { CalendarIntervalTrigger } from '../../src/triggers/calendar-interval.js';
import { AndTrigger, OrTrigger } from '../../src/triggers/combining.js';
import { CronTrigger } from '../../src/triggers/cron/cron-trigger.js';
import { InvalidCronError } from '../../src/triggers/cron/invalid-cron-error.js';
import { lintCron } from '../../src/triggers/cron/lint.js';
import { DailyTrigger } from '../../src/triggers/daily.js';
import { DateTrigger } from '../../src/triggers/date.js';
import { ExceptTrigger } from '../../src/triggers/except.js';
import { explain } from '../../src/triggers/explain.js';
import { HolidayCalendar } from '../../src/triggers/holiday-calendar.js';
import { IntervalTrigger } from '../../src/triggers/interval.js';
import { MonthlyTrigger } from '../../src/triggers/monthly.js';
import { StartupTrigger } from '../../src/triggers/startup.js';
import { WeeklyTrigger } from '../../src/triggers/weekly.js';
import { WindowIntervalTrigger } from '../../src/triggers/window-interval.js';

const berlin = { timezone: 'Europe/Berlin' };

describe('describe', () => {
  test.each([
    [
      new CronTrigger('*/5 9-17 * * 1-5', berlin),
      'Every 5 minutes, between 09:00 and 17:59, Monday through Friday (Europe/Berlin)',
    ],
    [
      new CronTrigger('0 0 1,15 * 1', { timezone: 'UTC' }),
      'At 00:00, on day 1 and 15 of the month, and on Monday (UTC)',
    ],
    [new CronTrigger('CRON_TZ=Asia/Tokyo 0 22 * * *'), 'At 22:00 (Asia/Tokyo)'],
    [new CronTrigger('0 9 l * *'), 'At 09:00, on the last day of the month'],
    [new CronTrigger('0 9 15w jan-mar *'), new CronTrigger('0 9 15W JAN-MAR *').describe()],
    [new CronTrigger('0 9 l-3 * *'), new CronTrigger('0 9 L-3 * *').describe()],
    [new CronTrigger('0 9 * * 5l'), 'At 09:00, on the last Friday of the month'],
    [new CronTrigger('0 9 * * fril'), new CronTrigger('0 9 * * FRIL').describe()],
    [new CronTrigger('? ? ? * ?'), 'Every minute'],
    [new CronTrigger('0 0 * * 5#L'), 'At every time with day of week 5#L, hour 0, minute 0, second 0'],
    [
      new CronTrigger('0 0 1 * *,1'),
      'At every time with day of month 1, day of week *,1, hour 0, minute 0, second 0 (either day field suffices)',
    ],
    [new CronTrigger('0 0 L-3,15 * *'), 'At every time with day of month L-3,15, hour 0, minute 0, second 0'],
    [new CronTrigger({ second: '*' }), 'Every second'],
    [new CronTrigger('H 3 * * *'), 'At every time with hour 3, minute H, second 0'],
    [
      new CronTrigger({ day: 'last fri', hour: 17 }),
      'At every time with day of month last fri, hour 17, minute 0, second 0',
    ],
    [new IntervalTrigger({ hours: 1, minutes: 30 }), 'Every 1 hour 30 minutes'],
    [
      new IntervalTrigger({ weeks: 2 }, { startTime: '2026-01-01T00:00:00Z', jitter: 500 }),
      'Every 2 weeks, from 2026-01-01T00:00:00Z, delayed by up to 500 milliseconds',
    ],
    [new IntervalTrigger({ seconds: 30 }, { from: 'completion' }), 'Every 30 seconds after the previous run has ended'],
    [
      new CalendarIntervalTrigger({ months: 1, hour: 15 }, { startDate: '2026-01-31', ...berlin }),
      'Every 1 month at 15:00, from 2026-01-31 (Europe/Berlin)',
    ],
    [new DateTrigger('2026-05-01T09:00:00Z'), 'Once, at 2026-05-01T09:00:00Z'],
    [new DailyTrigger(['09:00', '13:30:15'], berlin), 'Every day at 09:00 and 13:30:15 (Europe/Berlin)'],
    [
      new WeeklyTrigger({ days: ['mon', 'thu', 'sun'], time: '10:00' }),
      'Every week on Monday, Thursday and Sunday at 10:00',
    ],
    [
      new MonthlyTrigger({ days: [1, 22, -1, -2], time: '12:00' }),
      'Every month on the 1st, the 22nd, the 2nd day from the end and the last day at 12:00',
    ],
    [
      new WindowIntervalTrigger({ minutes: 5 }, { from: '09:00', to: '17:00', days: 'mon-fri' }),
      'Every 5 minutes between 09:00 and 17:00, Monday to Friday',
    ],
    [new StartupTrigger({ delay: 5000 }), '5 seconds after the scheduler starts'],
    [new StartupTrigger({ jitter: 5000 }), 'When the scheduler starts, delayed by up to 5 seconds'],
    [
      new OrTrigger([new DailyTrigger('09:00'), new DateTrigger(0)]),
      'Every day at 09:00; or Once, at 1970-01-01T00:00:00Z',
    ],
    [
      new AndTrigger([new DailyTrigger('09:00'), new DateTrigger(0)]),
      'When all of these fall together: Every day at 09:00; Once, at 1970-01-01T00:00:00Z',
    ],
    [
      new OrTrigger([new DailyTrigger('09:00', { jitter: 5000 }), new DateTrigger(0)], { jitter: 1000 }),
      'Every day at 09:00; or Once, at 1970-01-01T00:00:00Z, delayed by up to 1 second',
    ],
    [
      new ExceptTrigger(new DailyTrigger('09:00'), new HolidayCalendar([], { name: 'holidays', ...berlin })),
      'Every day at 09:00; but not on the dates of the calendar "holidays"',
    ],
  ])('%#: %j', (trigger, words) => {
    expect(trigger.describe()).toBe(words);
  });
});

describe('between and nextRunTimes', () => {
  const hourly = new IntervalTrigger({ hours: 1 });

  test('include both ends, and stop at the limit', () => {
    expect(hourly.between(0, 7_200_000)).toEqual([new Date(0), new Date(3_600_000), new Date(7_200_000)]);
    expect(hourly.between('1970-01-01T00:00:00Z', new Date(7_200_000), 2)).toHaveLength(2);
    expect(hourly.between(1, 3_599_999)).toEqual([]);
  });

  test('count from after an instant', () => {
    expect(hourly.nextRunTimes(2, 0)).toEqual([new Date(3_600_000), new Date(7_200_000)]);
    expect(new DateTrigger(5).nextRunTimes(3, 0)).toEqual([new Date(5)]);
  });

  test('look for no more than was asked for', () => {
    class Once extends DateTrigger {
      override next(after: number): number | null {
        if (after >= this.at) throw new Error('asked for more');
        return super.next(after);
      }
    }
    expect(new Once(5).nextRunTimes(1, 0)).toEqual([new Date(5)]);
    expect(new Once(5).between(0, 10, 1)).toEqual([new Date(5)]);
  });

  test('refuse what is no instant or no number', () => {
    expect(() => hourly.between('soon', 0)).toThrow(InvalidOptionError);
    expect(() => hourly.nextRunTimes(0, 0)).toThrow(InvalidOptionError);
    expect(() => hourly.between(0, 1, 1.5)).toThrow(InvalidOptionError);
  });
});

describe('explain, of triggers other than cron', () => {
  const zone = { timezone: 'Europe/Berlin' };

  test('says what the clock shows, and what a change of it does', () => {
    const daily = new DailyTrigger('02:30', zone);
    expect(explain(daily, '2026-03-29T01:00:00Z')).toMatchObject({
      fires: true,
      local: '2026-03-29T03:00:00+02:00',
      daylightSaving: "The time 02:00 to 03:00 was skipped at 2026-03-29T01:00:00Z, and the rule 'vixie' makes up for it here.",
    });
    expect(explain(daily, '2026-10-25T01:30:00Z')).toMatchObject({ fires: false, daylightSaving: expect.stringContaining('fires in the first only') as string });
    const wrong = explain(new WeeklyTrigger({ days: ['mon'], time: '10:00' }, zone), '2026-06-02T08:00:00Z');
    expect(wrong).toMatchObject({ fires: false, local: '2026-06-02T10:00:00+02:00', daylightSaving: undefined });
    expect(wrong.text).toContain('What the clock shows is none of its times.');
    expect(explain(new MonthlyTrigger({ days: [2], time: '10:00' }, { ...zone, endTime: '2026-01-01T00:00:00Z' }), '2026-06-02T08:00:00Z').text).toContain('outside the bounds');
  });

  test('says which part of a combination fires', () => {
    const nine = new DailyTrigger('09:00', { timezone: 'UTC' });
    const every = new CronTrigger('0 * * * *', { timezone: 'UTC' });
    const at = '2026-06-02T09:00:00Z';
    expect(explain(new AndTrigger([nine, every]), at).text).toMatch(/^Fires .*Its part 1 \(.*\) fires then\. Its part 2 \(.*\) fires then\./);
    expect(explain(new OrTrigger([nine, every]), '2026-06-02T10:00:00Z').text).toMatch(/Its part 1 \(.*\) does not fire then\. Its part 2 \(.*\) fires then\./);
    expect(explain(new ExceptTrigger(every, nine), at).text).toMatch(/^Does not fire .*Its base \(.*\) fires then\. Its exception \(.*\) fires then\./);
    const holidays = new HolidayCalendar(['2026-06-02'], { timezone: 'UTC' });
    expect(explain(new ExceptTrigger(every, holidays), at).text).toContain('Its date is in the calendar.');
    expect(explain(new ExceptTrigger(every, holidays), '2026-06-03T09:00:00Z').text).toContain('Its date is not in the calendar.');
  });
});

describe('explain', () => {
  test('goes field by field', () => {
    const explanation = explain(new CronTrigger('30 2 * * 1-5', berlin), '2026-06-06T00:45:00Z');
    expect(explanation.fires).toBe(false);
    expect(explanation.local).toBe('2026-06-06T02:45:00+02:00');
    expect(explanation.fields.filter(({ matches }) => !matches)).toEqual([
      { field: 'dayOfWeek', wanted: '1-5', actual: 6, matches: false },
      { field: 'minute', wanted: '30', actual: 45, matches: false },
    ]);
    expect(explanation.text).toContain('minute 45 is not in "30".');
    expect(explanation.next).toEqual(new Date('2026-06-08T00:30:00Z'));
    expect(explanation.previous).toEqual(new Date('2026-06-05T00:30:00Z'));
  });

  test('says that one of two day fields is enough', () => {
    const { fires, text } = explain(new CronTrigger('0 0 13 * 5', { timezone: 'UTC' }), '2026-01-13T00:00:00Z');
    expect(fires).toBe(true);
    expect(text).toContain('either of them suffices');
  });

  test('says what a gap does', () => {
    const trigger = new CronTrigger('30 2 * * *', berlin);
    const { fires, daylightSaving } = explain(trigger, '2026-03-29T01:00:00Z');
    expect(fires).toBe(true);
    expect(daylightSaving).toBe(
      "The time 02:00 to 03:00 was skipped at 2026-03-29T01:00:00Z, and the rule 'vixie' makes up for it here.",
    );
    expect(explain(new CronTrigger('0 3 * * *', berlin), '2026-03-29T01:00:00Z').daylightSaving).toBe(
      'The time 02:00 to 03:00 was skipped at 2026-03-29T01:00:00Z.',
    );
    const shifted = explain(new CronTrigger('30 2 * * *', { ...berlin, dst: 'compatible' }), '2026-03-29T01:30:00Z');
    expect(shifted.daylightSaving).toContain("'compatible' makes up for it here");
  });

  test('says what an overlap does', () => {
    const { fires, daylightSaving } = explain(new CronTrigger('30 2 * * *', berlin), '2026-10-25T01:30:00Z');
    expect(fires).toBe(false);
    expect(daylightSaving).toBe(
      "The time 02:00 to 03:00 comes twice; this is the second pass, and the rule 'vixie' fires in the first only.",
    );
    expect(explain(new CronTrigger('*/30 * * * *', berlin), '2026-10-25T01:30:00Z')).toMatchObject({
      fires: true,
      daylightSaving: 'The time 02:00 to 03:00 comes twice; this is the second pass.',
    });
  });

  test('says that bounds and fractions of seconds keep it from firing', () => {
    const bounded = new CronTrigger('* * * * *', { timezone: 'UTC', endTime: '2026-01-01T00:00:00Z' });
    expect(explain(bounded, '2026-01-01T00:01:00Z').text).toContain('outside the bounds');
    expect(explain(bounded, '2026-01-01T00:01:00Z').text).toContain('No fire time follows.');
    expect(explain(bounded, 500).text).toContain('whole seconds');
  });

  test('reads steps that only strings may have, and years and weeks of the object form', () => {
    expect(explain(new CronTrigger('15 5-23/24 * * *', { timezone: 'UTC' }), '2026-01-01T05:15:00Z').fires).toBe(true);
    const fields = explain(
      new CronTrigger({ year: 2027, week: 1 }, { timezone: 'UTC' }),
      '2026-01-01T00:00:00Z',
    ).fields;
    expect(fields.map(({ field, actual, matches }) => [field, actual, matches])).toEqual([
      ['year', 2026, false],
      ['month', 1, true],
      ['week', 1, true],
      ['day', 1, true],
      ['dayOfWeek', 4, true],
      ['hour', 0, true],
      ['minute', 0, true],
      ['second', 0, true],
    ]);
  });

  test('works at both ends of time', () => {
    for (const end of [-8.64e15, 8.64e15]) {
      for (const timezone of ['Asia/Tokyo', 'America/New_York']) {
        expect(explain(new CronTrigger('7 7 * * *', { timezone }), end).fires).toBe(false);
      }
    }
  });

  test.each([['0 9 * * *'], [null], [undefined]])('refuses the trigger %j', (trigger) => {
    expect(() => explain(trigger as never, 0)).toThrow(InvalidOptionError);
  });

  test('has something to say of every trigger', () => {
    const { fires, text, fields, local } = explain(new IntervalTrigger({ hours: 1 }), 3_600_000);
    expect([fires, fields, local]).toEqual([true, [], undefined]);
    expect(text).toBe('Fires at 1970-01-01T01:00:00Z. Every 1 hour. The next fire time is 1970-01-01T02:00:00Z.');
  });
});

describe('lintCron', () => {
  const codes = (...args: Parameters<typeof lintCron>): string[] => lintCron(...args).map(({ code }) => code);

  test.each([
    ['0 9 * * 1-5', []],
    ['*/15 */2 * * *', []],
    ['0 0 1 * 1', ['or-rule']],
    ['0 0 */2 * *', ['uneven-step']],
    ['*/7 * * * *', ['uneven-step']],
    ['0 */5 * * *', ['uneven-step']],
    ['15 5-23/24 * * *', ['wide-step']],
    ['0 0 30 2 *', ['never-fires']],
    ['*/7 * 1 * 1', ['uneven-step', 'or-rule']],
    ['H H * * *', []],
    ['0 0 H(29-31) 2 *', []],
    ['0 0 H(30-31) 2 *', ['never-fires']],
    ['@daily', []],
  ])('%s: %j', (expression, expected) => {
    expect(codes(expression, { timezone: 'UTC' })).toEqual(expected);
  });

  test('warns of a fixed time that daylight saving skips in the zone', () => {
    expect(lintCron('30 2 * * *', berlin)).toEqual([
      {
        code: 'dst-gap',
        field: 'hour',
        message: 'The time 02:30 does not exist on every day in Europe/Berlin: daylight saving skips it in March.',
      },
    ]);
    expect(lintCron('30 2 * * *', { ...berlin, from: '2026-11-21T00:00:00Z' })[0]?.message).toContain('skips it next on 2027-03-28.');
    expect(lintCron('30 2 * * *', { ...berlin, from: '2026-03-29T01:00:01Z' })[0]?.message).toContain('skips it next on 2027-03-28.');
    expect(codes('30 2 * * *', { ...berlin, from: '9999-12-31T00:00:00Z' })).toEqual(['dst-gap']);
    expect(codes('CRON_TZ=America/New_York 15 2 * * *')).toEqual(['dst-gap']);
    expect(codes('30 2 * * *')).toEqual([]);
    expect(codes('30 3 * * *', berlin)).toEqual([]);
    expect(codes('*/30 2 * * *', berlin)).toEqual([]);
    expect(codes('30 2 * * 1', berlin)).toEqual([]);
    expect(codes('H 2 * * *', berlin)).toEqual(['dst-gap']);
    expect(codes('H H(1-3) * * *', berlin)).toEqual([]);
  });

  test('reads the object form, where both day fields must match', () => {
    expect(codes({ day: '13', dayOfWeek: 'fri' })).toEqual([]);
    expect(codes({ year: 2020, month: 2, day: 30 })).toEqual(['never-fires']);
    expect(codes({ minute: '*/7' })).toEqual(['uneven-step']);
  });

  test('refuses what is wrong', () => {
    expect(() => lintCron('61 * * * *')).toThrow(InvalidCronError);
    expect(() => lintCron('30 2 * * *', { timeZone: 'Europe/Berlin' } as object)).toThrow(InvalidOptionError);
  });
});
