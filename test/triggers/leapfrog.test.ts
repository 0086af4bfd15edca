import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Trigger, TriggerJson } from '../../src/ports/trigger.js';
import { triggerLaws } from '../../src/testing/contracts/trigger-laws.js';
import { readTrigger } from '../../src/triggers/codec.js';
import { AndTrigger, ExceptTrigger, OrTrigger } from '../../src/triggers/combining.js';
import { CronTrigger } from '../../src/triggers/cron/cron-trigger.js';
import { DailyTrigger } from '../../src/triggers/daily.js';
import { DateTrigger } from '../../src/triggers/date.js';
import { IntervalTrigger } from '../../src/triggers/interval.js';
import { MonthlyTrigger } from '../../src/triggers/monthly.js';
import { meetOfIntervals, Progression } from '../../src/triggers/progression.js';
import { firesAt, TriggerSearchError } from '../../src/triggers/search.js';
import { SharedTimes } from '../../src/triggers/shared-times.js';
import type { DstRule } from '../../src/triggers/wall-clock/engine.js';
import { WeeklyTrigger } from '../../src/triggers/weekly.js';
import { gridAround } from './support/grid.js';

const at = (text: string): number => Date.parse(text);
const read = (json: TriggerJson): Trigger => readTrigger(json);
const utc = { timezone: 'UTC' };
const berlin = { timezone: 'Europe/Berlin' };
const SEED = 20260101;

const cron = (expression: string, options: object = utc): CronTrigger => new CronTrigger(expression, options);
const every = (period: number, startTime?: number, endTime?: number): IntervalTrigger =>
  new IntervalTrigger(period, { startTime, endTime });

/** Its fire times in `[from, to]`, one by one. */
function listed(trigger: Trigger, from: number, to: number): number[] {
  const times: number[] = [];
  for (let t = trigger.next(from - 1); t !== null && t <= to; t = trigger.next(t)) times.push(t);
  return times;
}

function listedBack(trigger: Trigger, from: number, to: number): number[] {
  const times: number[] = [];
  for (let t = trigger.previous?.(to + 1) ?? null; t !== null && t >= from; t = trigger.previous?.(t) ?? null) {
    times.unshift(t);
  }
  return times;
}

/** A trigger that counts what it is asked; of a kind nothing is known about. */
function counted(trigger: Trigger): { readonly trigger: Trigger; readonly asked: () => number } {
  let asked = 0;
  const counting: Trigger = {
    kind: 'counting',
    next: (t) => ((asked += 1), trigger.next(t)),
    previous: (t) => ((asked += 1), trigger.previous?.(t) ?? null),
    toJSON: () => ({ kind: 'counting', v: 1 }),
  };
  return { trigger: counting, asked: () => asked };
}

const smallInterval = fc
  .record({
    period: fc.integer({ min: 1, max: 30 }),
    start: fc.option(fc.integer({ min: -100, max: 100 })),
    end: fc.option(fc.integer({ min: -50, max: 300 })),
    anchored: fc.boolean(),
  })
  .map(({ period, start, end, anchored }) =>
    anchored
      ? new IntervalTrigger(period, { endTime: end ?? undefined }).withDefaults({ timezone: 'UTC', anchor: start ?? 7 })
      : every(period, start ?? undefined, end === null ? undefined : Math.max(end, start ?? end)),
  );

describe('intervals within combinations', () => {
  test('meet as one by one', () => {
    fc.assert(
      fc.property(fc.array(smallInterval, { minLength: 1, maxLength: 4 }), (parts) => {
        const and = new AndTrigger(parts);
        const expected: number[] = [];
        for (let t = -300; t <= 600; t += 1) if (parts.every((part) => firesAt(part, t))) expected.push(t);
        expect(listed(and, -300, 600)).toEqual(expected);
        expect(listedBack(and, -300, 600)).toEqual(expected);
      }),
      { numRuns: 300, seed: SEED },
    );
  });

  test('are taken out as one by one', () => {
    fc.assert(
      fc.property(smallInterval, smallInterval, smallInterval, (base, a, b) => {
        for (const excluded of [a, new AndTrigger([a, b]), new OrTrigger([a, b])]) {
          const except = new ExceptTrigger(base, excluded);
          const expected: number[] = [];
          for (let t = -300; t <= 600; t += 1) if (firesAt(base, t) && !firesAt(excluded, t)) expected.push(t);
          expect(listed(except, -300, 600)).toEqual(expected);
          expect(listedBack(except, -300, 600)).toEqual(expected);
        }
      }),
      { numRuns: 200, seed: SEED },
    );
  });

  test('meet however rarely they do', () => {
    const period = fc.integer({ min: 1, max: 400 * 365 * 86_400_000 });
    const start = fc.integer({ min: -1e13, max: 1e13 });
    fc.assert(
      fc.property(period, period, start, start, (m, n, a, b) => {
        const and = new AndTrigger([every(m, a), every(n, b)]);
        const [gcd, far] = [gcdOf(m, n), Math.max(a, b)];
        const found = and.next(far - 1);
        if ((b - a) % gcd !== 0) expect(found).toBeNull();
        if (found === null) return;
        expect(found).toBeGreaterThanOrEqual(far);
        expect(Number((BigInt(found) - BigInt(a)) % BigInt(m))).toBe(0);
        expect(Number((BigInt(found) - BigInt(b)) % BigInt(n))).toBe(0);
        // No earlier one: there is one in each least common multiple, and this is in the first.
        expect(BigInt(found) - BigInt(far)).toBeLessThan((BigInt(m) * BigInt(n)) / BigInt(gcd));
        expect(and.previous(found + 1)).toBe(found);
        expect(and.previous(found)).toBeNull();
      }),
      { numRuns: 500, seed: SEED },
    );
  });

  test('with large periods that have no divisor in common', () => {
    const and = new AndTrigger([every(999_983, 1_000), every(1_000_003, 77_000)]);
    const first = and.next(0) ?? 0;
    expect([(first - 1_000) % 999_983, (first - 77_000) % 1_000_003]).toEqual([0, 0]);
    expect(first - 77_000).toBeLessThan(999_983 * 1_000_003);
    expect(and.next(first)).toBe(first + 999_983 * 1_000_003);
    expect(and.previous(first)).toBeNull();
  });

  test('that leave different residues never meet, and that is known at once', () => {
    const parts = [every(60_000, 0), every(90_000, 1)];
    expect(meetOfIntervals(parts)).toBeNull();
    const silent = counted(cron('* * * * *'));
    const and = new AndTrigger([...parts, silent.trigger]);
    expect([and.next(0), and.previous(0)]).toEqual([null, null]);
    expect(silent.asked()).toBe(0);
  });

  test('are merged before the others are asked, also from an "and" within', () => {
    const daily = counted(cron('0 9 * * *'));
    // Every 30 days, at nine.
    const and = new AndTrigger([
      new AndTrigger([every(7_200_000, 0), new AndTrigger([every(10_800_000, at('1970-01-01T09:00:00Z'))])]),
      daily.trigger,
      every(30 * 86_400_000, at('1970-01-01T09:00:00Z')),
    ]);
    expect(and.next(at('2026-01-01T00:00:00Z'))).toBeNull();
    const met = new AndTrigger([
      every(3_600_000, 0),
      daily.trigger,
      every(30 * 86_400_000, at('1970-01-01T09:00:00Z')),
    ]);
    expect(new Date(met.next(at('2026-01-01T00:00:00Z')) ?? 0).toISOString()).toBe('2026-01-07T09:00:00.000Z');
    expect(daily.asked()).toBeLessThan(5);
  });

  test('that the scheduler anchors do so first', () => {
    const and = new AndTrigger([new IntervalTrigger(4_000), new IntervalTrigger(6_000)]);
    expect(and.next(0)).toBe(12_000);
    expect(and.withDefaults({ timezone: 'UTC', anchor: 500 }).next(0)).toBe(12_500);
    expect(and.next(0)).toBe(12_000);
  });

  test('at the ends of time', () => {
    const [low, high] = [-8.64e15, 8.64e15];
    const rare = Progression.ofInterval(every(314_159_265_358_979, low))!.meet(
      Progression.ofInterval(every(299_792_458_000_001, low))!,
    )!;
    expect([rare.first, rare.last]).toEqual([low, low]);
    const pair = new AndTrigger([every(3e14 - 1, low), every(2 ** 48, low)]);
    expect(pair.next(-Infinity)).toBe(low);
    expect(pair.previous(Infinity)).toBe(low);
    expect(new AndTrigger([every(2, 0, high), every(1, high)]).previous(Infinity)).toBe(high);
    expect(() => pair.next(Number.NaN)).toThrow('after');
  });
});

function gcdOf(a: number, b: number): number {
  return b === 0 ? a : gcdOf(b, a % b);
}

const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia', 'Asia/Kathmandu'];
const RULES: readonly DstRule[] = ['vixie', 'match', 'compatible', 'skipFirst'];
const EXPRESSIONS = [
  '*/20 * * * *',
  '10 */2 * * *',
  '0 9 * * *',
  '30 2 * * *',
  '45 2 * * *',
  '0 3 * * *',
  '30 1,3 * * *',
  '0,30 1-3 * * 0',
  '0 0 1 * *',
  '15,45 * * * 6',
];

const clock = fc
  .record({
    timezone: fc.constantFrom(...ZONES),
    dst: fc.constantFrom(...RULES),
    expression: fc.constantFrom(...EXPRESSIONS),
    kind: fc.constantFrom('cron', 'daily', 'weekly', 'monthly', 'bounded'),
  })
  .map(({ timezone, dst, expression, kind }): Trigger => {
    const options = { timezone, dst };
    if (kind === 'daily') return new DailyTrigger(['02:15', '02:30', '03:00'], options);
    if (kind === 'weekly') return new WeeklyTrigger({ days: ['sun', 'mon'], time: ['01:30', '02:30'] }, options);
    if (kind === 'monthly') return new MonthlyTrigger({ days: [1, 4, 25, 29, -1], time: ['00:00', '02:45'] }, options);
    const bounds = kind === 'bounded' ? { startTime: '2020-01-01T00:00:00Z', endTime: '2026-06-01T00:00:00Z' } : {};
    return new CronTrigger(expression, { ...options, ...bounds });
  });
const quarters = fc
  .record({
    period: fc.constantFrom(900_000, 1_800_000, 3_600_000, 25_200_000),
    start: fc.integer({ min: 0, max: 95 }),
  })
  .map(({ period, start }) => every(period, start * 900_000));
const GRID = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe'].flatMap((zone) =>
  gridAround(zone, 2025, 2026),
);
const moment = fc.oneof(fc.constantFrom(...GRID), fc.constantFrom(...gridAround('Pacific/Apia', 2011, 2012)));

describe('clocks within combinations', () => {
  const DAYS = 4 * 86_400_000;

  test('agree as one by one, and the guide leaves nothing out', () => {
    fc.assert(
      fc.property(
        fc.array(clock, { minLength: 1, maxLength: 3 }),
        fc.option(quarters),
        moment,
        (clocks, interval, t) => {
          const parts = interval === null ? clocks : [...clocks, interval];
          const and = new AndTrigger(parts);
          const expected = listed(parts[0]!, t - DAYS, t + DAYS).filter((x) => parts.every((part) => firesAt(part, x)));
          const found = expected.length === 0 ? [] : listed(and, t - DAYS, t + DAYS);
          expect(found).toEqual(expected);
          expect(expected.length === 0 ? [] : listedBack(and, t - DAYS, t + DAYS)).toEqual(expected);
          guides(SharedTimes.of(parts, meetOfIntervals(parts) ?? undefined), expected, t - DAYS, t + DAYS);
        },
      ),
      { numRuns: 400, seed: SEED },
    );
  });

  test('are taken out as one by one, and the guide leaves nothing out', () => {
    const part = fc.oneof(clock, quarters);
    fc.assert(
      fc.property(part, part, moment, (base, excluded, t) => {
        const except = new ExceptTrigger(base, excluded);
        const expected = listed(base, t - DAYS, t + DAYS).filter((x) => !firesAt(excluded, x));
        expect(expected.length === 0 ? [] : listed(except, t - DAYS, t + DAYS)).toEqual(expected);
        expect(expected.length === 0 ? [] : listedBack(except, t - DAYS, t + DAYS)).toEqual(expected);
        const guide = SharedTimes.of([base], meetOfIntervals([base]) ?? undefined, excluded);
        guides(guide, expected, t - DAYS, t + DAYS);
      }),
      { numRuns: 150, seed: SEED },
    );
  });

  test('a cycle of 400 years is none where years are counted', () => {
    const seconds = new CronTrigger({ year: 5000, month: '*', day: '*', hour: '*', minute: '*', second: '*/2' }, utc);
    const guide = SharedTimes.of([seconds, cron('0,1-59/2 * * * * *')], undefined);
    expect(guide?.next(at('2026-01-01T00:00:00Z'), { steps: 1e6 })).toBe(Date.UTC(5000, 0, 1));
    expect(guide?.previous(Date.UTC(9999, 0, 1), { steps: 1e6 })).toBe(Date.UTC(5000, 11, 31, 23, 59, 0));
  });

  /** From anywhere, the next it names is not beyond the next there is. */
  function guides(guide: SharedTimes | undefined, expected: readonly number[], from: number, to: number): void {
    if (guide === undefined) return;
    for (let i = 0; i < expected.length; i += 1) {
      const fire = expected[i]!;
      for (const t of [expected[i - 1] ?? from, fire - 1, fire - 3_600_000]) {
        if (t >= fire) continue;
        const named = guide.next(t, { steps: 1e6 });
        expect(named).not.toBeNull();
        expect(named).toBeGreaterThan(t);
        expect(named).toBeLessThanOrEqual(Math.min(...expected.filter((x) => x > t)));
      }
      for (const t of [expected[i + 1] ?? to, fire + 1, fire + 3_600_000]) {
        if (t <= fire) continue;
        const named = guide.previous(t, { steps: 1e6 });
        expect(named).not.toBeNull();
        expect(named).toBeLessThan(t);
        expect(named).toBeGreaterThanOrEqual(Math.max(...expected.filter((x) => x < t)));
      }
    }
  }
});

const NEVER: Readonly<Record<string, Trigger>> = {
  'two times of day': new AndTrigger([cron('0 9 * * *', berlin), cron('0 10 * * *', berlin)]),
  'two times of day in different zones': new AndTrigger([cron('0 9 * * *', berlin), cron('0 9 * * *')]),
  'two times of day, compatible': new AndTrigger([
    cron('0 9 * * *', { ...berlin, dst: 'compatible' }),
    cron('0 10 * * *', { ...berlin, dst: 'compatible' }),
  ]),
  'even and odd seconds': new AndTrigger([cron('*/2 * * * * *', berlin), cron('1/2 * * * * *', berlin)]),
  'even and odd seconds, anywhere': new AndTrigger([
    cron('*/2 * * * * *', { timezone: 'Asia/Tokyo' }),
    cron('1/2 * * * * *', berlin),
  ]),
  'two weekdays': new AndTrigger([cron('0 9 * * 1', berlin), cron('0 9 * * 2', berlin)]),
  'two days of the month': new AndTrigger([cron('* * 1-15 * *'), cron('* * 16-31 * *')]),
  'a day that never comes': new AndTrigger([cron('0 0 30 * *'), cron('0 0 * 2 *')]),
  'a clock and an interval beside it': new AndTrigger([cron('0 * * * *', berlin), every(3_600_000, 1_800_000)]),
  'a clock and an interval in another unit': new AndTrigger([cron('0 9 * * *'), every(7 * 3_600_000, 1)]),
  'daily, weekly and monthly': new AndTrigger([
    new DailyTrigger('09:00', utc),
    new WeeklyTrigger({ days: 'mon', time: '09:00' }, utc),
    new MonthlyTrigger({ days: 1, time: '09:01' }, utc),
  ]),
  'parts that end and begin': new AndTrigger([
    cron('0 9 * * *', { ...utc, endTime: '2026-01-01T00:00:00Z' }),
    cron('0 9 * * *', { ...utc, startTime: '2027-01-01T00:00:00Z' }),
  ]),
  'an "or" of intervals': new AndTrigger([new OrTrigger([every(4_000, 0), every(6_000, 0)]), every(2_000, 1)]),
  'an interval without itself': new ExceptTrigger(every(1), every(1)),
  'an interval without a denser one': new ExceptTrigger(every(60_000), every(1_000)),
  'an interval without two halves': new ExceptTrigger(
    every(1_000),
    new OrTrigger([every(2_000, 0), every(2_000, -8e12 + 1_000)]),
  ),
  'minutes without seconds': new ExceptTrigger(cron('* * * * *', berlin), cron('* * * * * *', berlin)),
  'seconds without seconds': new ExceptTrigger(cron('* * * * * *', berlin), cron('* * * * * *')),
  'a clock without an interval': new ExceptTrigger(cron('*/5 * * * *', berlin), every(60_000)),
  'an interval without a clock': new ExceptTrigger(every(7 * 60_000), cron('* * * * *', berlin)),
  'daily without itself': new ExceptTrigger(cron('0 9 * * *', berlin), new DailyTrigger('09:00', berlin)),
  'what is left of an "and"': new ExceptTrigger(
    new AndTrigger([cron('* * * * * *'), every(2_000)]),
    cron('*/2 * * * * *'),
  ),
};

describe.each(Object.entries(NEVER))('%s never come', (_name, trigger) => {
  test('and that is an answer, not an error', () => {
    for (const t of [at('2026-01-01T00:00:00Z'), at('2500-01-01T00:00:00Z')]) expect(trigger.next(t)).toBeNull();
    for (const t of [at('2026-01-01T00:00:00Z'), at('1500-01-01T00:00:00Z')]) {
      const found = trigger.previous?.(t) ?? null;
      // Zones once changed their clocks by odd amounts.
      if (found !== null) expect(found).toBeLessThan(at('1990-01-01T00:00:00Z'));
    }
  });
});

/** One by one: the interval, a second short of a day, comes back to nine o'clock. */
const SLOW_MEETING = ((): string => {
  const daily = cron('0 9 * * *', berlin);
  for (let t = at('2026-01-05T08:00:00Z') + 86_399_000; ; t += 86_399_000) {
    if (firesAt(daily, t)) return new Date(t).toISOString();
  }
})();

const SELDOM: Readonly<Record<string, readonly [Trigger, from: string, next: string]>> = {
  'where daylight saving brings them together': [
    new AndTrigger([cron('30 2 * * *', berlin), cron('45 2 * * *', berlin)]),
    '2026-04-01T00:00:00Z',
    '2027-03-28T01:00:00.000Z',
  ],
  'where a shifted time meets a shown one': [
    new AndTrigger([
      cron('30 2 * * *', { ...berlin, dst: 'compatible' }),
      cron('30 3 * * *', { ...berlin, dst: 'compatible' }),
    ]),
    '2026-04-01T00:00:00Z',
    '2027-03-28T01:30:00.000Z',
  ],
  'where a zone is off its usual distance': [
    new AndTrigger([cron('0 14 * * *', berlin), cron('0 9 * * *', { timezone: 'America/New_York' })]),
    '2026-04-01T00:00:00Z',
    '2026-10-25T13:00:00.000Z',
  ],
  'on a leap day that is a Monday': [
    new AndTrigger([cron('0 0 29 2 *'), cron('* * * * 1')]),
    '2026-01-01T00:00:00Z',
    '2044-02-29T00:00:00.000Z',
  ],
  'at noon on Mondays, among other seconds': [
    new AndTrigger([
      cron('*/2 * * * * *', berlin),
      cron('0-59 0 12 * * 1', berlin),
      cron('0,1-59/2 * * * * *', berlin),
    ]),
    '2026-01-01T00:00:00Z',
    '2026-01-05T11:00:00.000Z',
  ],
  'in a year': [
    new AndTrigger([new CronTrigger({ year: 5000, hour: 9 }, utc), cron('0 9 29 2 *')]),
    '2026-01-01T00:00:00Z',
    'never',
  ],
  'in a leap year': [
    new AndTrigger([new CronTrigger({ year: '5000-5004', month: '*', day: '*', hour: 9 }, utc), cron('0 9 29 2 *')]),
    '2026-01-01T00:00:00Z',
    '+005004-02-29T09:00:00.000Z'.replace('+00', ''),
  ],
  'where an interval has no measure in common with the day': [
    new AndTrigger([cron('0 9 * * *'), every(999_983, at('2026-01-01T09:00:00Z'))]),
    '2026-01-01T09:00:00Z',
    new Date(at('2026-01-01T09:00:00Z') + 999_983 * 86_400_000).toISOString(),
  ],
  'where such an interval comes round to a time of day again': [
    new AndTrigger([cron('0 9 * * *', berlin), every(86_399_000, at('2026-01-05T08:00:00Z'))]),
    '2026-01-05T08:00:00Z',
    SLOW_MEETING,
  ],
  'after the seconds of a year': [
    new ExceptTrigger(
      cron('* * * * * *'),
      cron('* * * * * *', { ...utc, startTime: '2026-01-01T00:00:00Z', endTime: '2026-12-31T23:59:59Z' }),
    ),
    '2026-01-01T00:00:00Z',
    '2027-01-01T00:00:00.000Z',
  ],
  'in the only hour that is left': [
    new ExceptTrigger(cron('* * * * * *', berlin), cron('* * 0-22 * * *', berlin)),
    '2026-01-01T00:00:00Z',
    '2026-01-01T22:00:00.000Z',
  ],
  'after the end of a dense interval': [
    new ExceptTrigger(every(60_000, 0), every(1, 0, at('2030-01-01T00:00:00Z'))),
    '2026-01-01T00:00:00Z',
    '2030-01-01T00:01:00.000Z',
  ],
};

test.each(Object.entries(SELDOM))('some come seldom: %s', (_name, [trigger, from, expected]) => {
  const found = trigger.next(at(from));
  expect(found === null ? 'never' : new Date(found).toISOString()).toBe(expected);
  if (found !== null) expect(trigger.previous?.(found + 1)).toBe(found);
});

describe('the bound', () => {
  test('is on what the parts are asked, and ends in an error where nothing is known of them', () => {
    const [a, b] = [counted(every(1_000, 0)), counted(every(1_000, 500))];
    const and = new AndTrigger([a.trigger, b.trigger]);
    expect(() => and.next(0)).toThrow(TriggerSearchError);
    expect(() => and.previous(1e6)).not.toThrow();
    expect(a.asked() + b.asked()).toBeLessThan(25_000);
    const except = new ExceptTrigger(a.trigger, every(1));
    expect(() => except.next(0)).toThrow(TriggerSearchError);
  });

  test('is reached by alternatives that never agree with the rest, of which no more is known than their answers', () => {
    const alternatives = new OrTrigger([cron('0 9 * * *', berlin), cron('0 10 * * *', berlin)]);
    const and = new AndTrigger([alternatives, cron('30 * * * *', berlin)]);
    expect(() => and.next(at('2026-01-01T00:00:00Z'))).toThrow(TriggerSearchError);
  });

  test('a class derived from one of ours is known by its answers only', () => {
    class Odd extends IntervalTrigger {
      override next(after: number): number {
        return Math.floor(after / 2) * 2 + (after % 2 === 0 ? 1 : 3);
      }
    }
    expect(new AndTrigger([new Odd(1_000), every(5, 0)]).next(0)).toBe(5);
    expect(new ExceptTrigger(every(5, 0), new Odd(1_000)).next(0)).toBe(10);
  });

  test('an answer costs few questions where parts agree often', () => {
    const dense = counted(cron('* * * * * *'));
    const sparse = counted(cron('0 0 1 1 *'));
    const and = new AndTrigger([dense.trigger, sparse.trigger]);
    expect(and.next(at('2026-06-01T00:00:00Z'))).toBe(at('2027-01-01T00:00:00Z'));
    expect(dense.asked() + sparse.asked()).toBeLessThan(5);
  });

  test('the error names the triggers, the time and the steps', () => {
    const odd = counted(every(2_000, 1)).trigger;
    expect(() => new AndTrigger([odd, every(2_000)]).next(0)).toThrow(/"and".*gave up after/);
  });
});

describe('keep the laws', () => {
  const combined: Readonly<Record<string, Trigger>> = {
    ...NEVER,
    ...Object.fromEntries(Object.entries(SELDOM).map(([name, [trigger]]) => [name, trigger])),
    'a rare meeting': new AndTrigger([every(999_983, 0), every(1_000_003, 0)]),
    nested: new AndTrigger([
      new OrTrigger([every(900_000, 0), cron('0 9 * * *', berlin)]),
      new ExceptTrigger(
        cron('*/15 * * * *', berlin),
        new AndTrigger([every(3_600_000, 0), cron('0 */2 * * *', berlin)]),
      ),
      new ExceptTrigger(every(900_000, 0), new DateTrigger('2026-07-01T00:00:00Z')),
    ]),
  };
  // Of what is nested, less can be seen: no search through all of prehistory.
  const instants = [-1, 0, 0.5, at('2026-01-01T00:00:00Z'), ...gridAround('Europe/Berlin', 2026, 2027)];

  test.each(Object.entries(combined))('%s', { timeout: 120_000 }, (name, trigger) => {
    // To see that nothing ever comes is a long search each time, and the same from everywhere.
    const chosen = name in NEVER ? instants.filter((_, i) => i % 48 === 0) : instants;
    const asked = name === 'nested' ? instants : [-8.64e15, ...chosen, 8.64e15];
    const around = asked.flatMap((t) => [trigger.next(t) ?? t]).flatMap((t) => [t - 1, t, t + 1]);
    for (const law of triggerLaws) law.run(trigger, { instants: [...asked, ...around.slice(0, name in NEVER ? 3 : 60)], read });
  });
});
