import library from 'rrule';
import { describe, expect, test } from 'vitest';
import { InvalidOptionError, InvalidTriggerError, UnknownTriggerError } from '../../src/errors/errors.js';
import { triggerLaws } from '../../src/testing/contracts/trigger-laws.js';
import { readTrigger } from '../../src/triggers/codec.js';
import { TriggerRegistry } from '../../src/triggers/registry.js';
import { registerRRule, RRuleTrigger } from '../../src/triggers/rrule/index.js';
import { gridAround } from './support/grid.js';
import { fireTimes, fireTimesBefore } from './support/vectors.js';

const registry = registerRRule(new TriggerRegistry(), library);
type Options = ConstructorParameters<typeof RRuleTrigger>[1];

function make(rule: string, options: Omit<Options, 'library'> = {}): RRuleTrigger {
  return new RRuleTrigger(rule, { ...options, library });
}

const at = (text: string): number => Date.parse(text);
const NEW_YORK = 'DTSTART;TZID=America/New_York:';

// The examples of RFC 5545, 3.8.5.3, which say when each rule recurs (local times, New York).
describe('RFC 5545, 3.8.5.3', () => {
  test.each([
    [
      'daily for ten occurrences',
      '19970902T090000',
      'FREQ=DAILY;COUNT=10',
      ['1997-09-02T13:00:00Z', '1997-09-03T13:00:00Z'],
      '1997-09-11T13:00:00Z',
    ],
    [
      'daily until December 24, 1997',
      '19970902T090000',
      'FREQ=DAILY;UNTIL=19971224T000000Z',
      ['1997-09-02T13:00:00Z', '1997-09-03T13:00:00Z'],
      '1997-12-23T14:00:00Z',
    ],
    [
      'every other day',
      '19970902T090000',
      'FREQ=DAILY;INTERVAL=2',
      ['1997-09-02T13:00:00Z', '1997-09-04T13:00:00Z'],
      undefined,
    ],
    [
      'every ten days, five occurrences',
      '19970902T090000',
      'FREQ=DAILY;INTERVAL=10;COUNT=5',
      ['1997-09-02T13:00:00Z', '1997-09-12T13:00:00Z'],
      '1997-10-12T13:00:00Z',
    ],
    [
      'every other week on Tuesday and Thursday',
      '19970902T090000',
      'FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH',
      ['1997-09-02T13:00:00Z', '1997-09-04T13:00:00Z', '1997-09-16T13:00:00Z'],
      '1997-10-16T13:00:00Z',
    ],
    [
      'monthly on the first Friday',
      '19970905T090000',
      'FREQ=MONTHLY;COUNT=10;BYDAY=1FR',
      ['1997-09-05T13:00:00Z', '1997-10-03T13:00:00Z', '1997-11-07T14:00:00Z'],
      '1998-06-05T13:00:00Z',
    ],
    [
      'monthly on the third-to-last day',
      '19970928T090000',
      'FREQ=MONTHLY;BYMONTHDAY=-3',
      ['1997-09-28T13:00:00Z', '1997-10-29T14:00:00Z', '1997-11-28T14:00:00Z'],
      undefined,
    ],
    [
      'every 18 months on the 10th to the 15th',
      '19970910T090000',
      'FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15',
      ['1997-09-10T13:00:00Z', '1997-09-11T13:00:00Z'],
      '1999-03-13T14:00:00Z',
    ],
    [
      'every third year on the 1st, 100th and 200th day',
      '19970101T090000',
      'FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200',
      ['1997-01-01T14:00:00Z', '1997-04-10T13:00:00Z'],
      '2006-01-01T14:00:00Z',
    ],
    [
      'every Friday the 13th',
      '19980213T090000',
      'FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13',
      ['1998-02-13T14:00:00Z', '1998-03-13T14:00:00Z', '1998-11-13T14:00:00Z', '1999-08-13T13:00:00Z'],
      undefined,
    ],
    [
      'United States election day',
      '19961105T090000',
      'FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8',
      ['1996-11-05T14:00:00Z', '2000-11-07T14:00:00Z', '2004-11-02T14:00:00Z'],
      undefined,
    ],
    [
      'the second-to-last weekday of the month',
      '19970929T090000',
      'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2',
      ['1997-09-29T13:00:00Z', '1997-10-30T14:00:00Z', '1997-11-27T14:00:00Z'],
      undefined,
    ],
    [
      'every 20 minutes from 9:00 to 16:40',
      '19970902T090000',
      'FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16',
      ['1997-09-02T13:00:00Z', '1997-09-02T13:20:00Z'],
      undefined,
    ],
  ])('%s', (_name, start, rule, first, last) => {
    const trigger = make(`${NEW_YORK}${start}\nRRULE:${rule}`);
    expect(fireTimes(trigger, at(first[0] ?? '') - 1, first.length)).toEqual(first);
    if (last !== undefined) expect(fireTimesBefore(trigger, at('2037-01-01T00:00:00Z'), 1)).toEqual([last]);
  });
});

describe('far from its start', () => {
  test.each([
    'FREQ=SECONDLY;INTERVAL=7',
    'FREQ=MINUTELY;INTERVAL=11',
    'FREQ=HOURLY;INTERVAL=5',
    'FREQ=DAILY;INTERVAL=3',
    'FREQ=WEEKLY;INTERVAL=2',
    'FREQ=MONTHLY',
    'FREQ=MONTHLY;INTERVAL=5;BYDAY=-1FR',
    'FREQ=YEARLY;INTERVAL=3',
    'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29',
  ])(
    '%s is answered quickly, and as from its start',
    (rule) => {
      const trigger = make(`DTSTART:20000229T102030Z\nRRULE:${rule}`);
      const started = performance.now();
      const found = trigger.next(at('2026-01-01T00:00:00Z')) ?? 0;
      expect(trigger.previous(found + 1)).toBe(found);
      expect(performance.now() - started).toBeLessThan(1000);
      // Counted rules cannot be moved on: the library walks all the way.
      const counted = make(
        `DTSTART:20000229T102030Z\nRRULE:${rule};COUNT=${rule.includes('ONDLY') || rule.includes('MINUTELY') ? 100 : 50_000}`,
      );
      const start =
        rule.includes('ONDLY') || rule.includes('MINUTELY') ? at('2000-02-29T10:25:00Z') : at('2026-01-01T00:00:00Z');
      expect(fireTimes(trigger, start, 3)).toEqual(fireTimes(counted, start, 3));
    },
    30_000,
  );
});

describe('the laws', () => {
  const instants = [
    ...gridAround('America/New_York', 2024, 2026),
    at('1990-01-01T00:00:00Z'),
    at('2026-07-01T12:00:00.5Z'),
  ];
  const rules = [
    `${NEW_YORK}20240101T023000\nRRULE:FREQ=DAILY`,
    `${NEW_YORK}20240101T003000\nRRULE:FREQ=HOURLY;INTERVAL=3`,
    `${NEW_YORK}20240110T013000\nRRULE:FREQ=WEEKLY;BYDAY=SU,WE;UNTIL=20260101T000000Z\nEXDATE:20240310T013000\nRDATE:20240311T120000`,
    'DTSTART:20240131T000000Z\nRRULE:FREQ=MONTHLY;COUNT=20',
  ];
  const triggers = rules.map((rule) => make(rule));
  triggers.push(
    make('FREQ=WEEKLY;BYDAY=MO', {
      timezone: 'Europe/Berlin',
      dtstart: '2024-01-01T09:00',
      dst: 'match',
      jitter: 5,
    }),
  );

  test.each(triggerLaws.map((law) => [law.name, law] as const))('%s', (_name, law) => {
    for (const trigger of triggers) law.run(trigger, { instants, read: (json) => registry.read(json) });
  });
});

test('leaves out excluded dates and adds others', () => {
  const trigger = make(
    `${NEW_YORK}20260105T090000\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE;TZID=America/New_York:20260106T090000\nRDATE:20260120T140000Z`,
  );
  expect(fireTimes(trigger, 0, 9)).toEqual([
    '2026-01-05T14:00:00Z',
    '2026-01-07T14:00:00Z',
    '2026-01-08T14:00:00Z',
    '2026-01-20T14:00:00Z',
  ]);
});

test('reads each line in its own zone, however its names are spelled', () => {
  const trigger = make(
    'dtstart;tzid=Europe/Berlin:20260105T090000\nrrule:freq=daily;count=4\nEXDATE;TZID=America/New_York:20260106T030000',
  );
  expect(trigger.timezone).toBe('Europe/Berlin');
  expect(fireTimes(trigger, 0, 9)).toEqual(['2026-01-05T08:00:00Z', '2026-01-07T08:00:00Z', '2026-01-08T08:00:00Z']);
  const utc = make('EXDATE;TZID=Europe/Berlin:20260106T100000\nDTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;COUNT=2');
  expect(utc.timezone).toBe('UTC');
  expect(fireTimes(utc, 0, 9)).toEqual(['2026-01-05T09:00:00Z']);
});

test('moves a time in a gap on by its length, and takes the first of two', () => {
  const trigger = make(`${NEW_YORK}20250308T023000\nRRULE:FREQ=DAILY`);
  expect(fireTimes(trigger, 0, 3)).toEqual(['2025-03-08T07:30:00Z', '2025-03-09T07:30:00Z', '2025-03-10T06:30:00Z']);
  const overlap = make(`${NEW_YORK}20251101T013000\nRRULE:FREQ=DAILY`);
  expect(fireTimes(overlap, 0, 3)).toEqual(['2025-11-01T05:30:00Z', '2025-11-02T05:30:00Z', '2025-11-03T06:30:00Z']);
});

test('without a start begins when it is added', () => {
  const trigger = make('FREQ=DAILY');
  expect(() => trigger.next(0)).toThrow('has no start');
  const added = trigger.withDefaults({ timezone: 'Asia/Tokyo', anchor: at('2026-01-01T03:04:05.678Z') });
  expect(fireTimes(added, 0, 2)).toEqual(['2026-01-01T03:04:05Z', '2026-01-02T03:04:05Z']);
});

test('comes to a time of day by whole intervals, over midnight', () => {
  const trigger = make('DTSTART:20260101T080000Z\nRRULE:FREQ=HOURLY;INTERVAL=5;BYHOUR=9');
  expect(fireTimes(trigger, 0, 2)).toEqual(['2026-01-02T09:00:00Z', '2026-01-07T09:00:00Z']);
});

test('describes itself', () => {
  expect(make('FREQ=WEEKLY;BYDAY=MO,TH', { timezone: 'UTC' }).describe()).toBe('Every week on Monday, Thursday (UTC)');
  expect(make('FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1').describe()).toBe(
    'By the rule FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1',
  );
  expect(make('RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY').describe()).toBe('By the rule RRULE:FREQ=DAILY RRULE:FREQ=WEEKLY');
});

test.each([
  ['FREQ=MONTHLY', 'Every month, from 2026-01-31 at 09:30 (Europe/Berlin)'],
  ['FREQ=MONTHLY;BYDAY=-1FR;COUNT=3', 'Every month on the last Friday for 3 times, from 2026-01-31 at 09:30 (Europe/Berlin)'],
  ['FREQ=SECONDLY', undefined],
  ['FREQ=MINUTELY;INTERVAL=20;BYHOUR=9', undefined],
  ['FREQ=DAILY\nEXDATE:20260201T093000', undefined],
  ['FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYMONTH=3', undefined],
  ['FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=3', undefined],
  ['FREQ=DAILY;INTERVAL=2;BYDAY=MO,TU,WE,TH,FR', undefined],
])('says all that the rule %s says', (rule, words) => {
  const text = `DTSTART;TZID=Europe/Berlin:20260131T093000\nRRULE:${rule}`;
  expect(make(text).describe()).toBe(words ?? `By the rule ${text.replaceAll('\n', ' ')} (Europe/Berlin)`);
});

test('takes the package as a namespace', async () => {
  const namespace = { default: library };
  expect(new RRuleTrigger('FREQ=DAILY', { library: namespace as never, dtstart: 0, timezone: 'UTC' }).next(0)).toBe(86_400_000);
});

test.each([
  'FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30',
  'FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30',
  'FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30',
  'FREQ=YEARLY;INTERVAL=3;BYMONTH=2;BYMONTHDAY=30',
  'FREQ=DAILY;INTERVAL=7;BYDAY=TU;BYMONTH=1',
  'FREQ=DAILY;COUNT=5;BYMONTH=2;BYMONTHDAY=30',
])('finds out soon that %s never fires', (rule) => {
  const trigger = make(`DTSTART:20260101T000000Z\nRRULE:${rule}`);
  // A search through all the years would take seconds each time, and the test its limit.
  for (let i = 0; i < 50; i += 1) expect([trigger.next(i), trigger.previous(at('2030-01-01T00:00:00Z') + i)]).toEqual([null, null]);
  const both = make(`DTSTART:20260101T000000Z\nRRULE:${rule}\nRRULE:FREQ=YEARLY`);
  expect(both.next(at('2026-06-01T00:00:00Z'))).toBe(at('2027-01-01T00:00:00Z'));
});

test.each([
  ['FREQ=FOO', 'FREQ'],
  ['BYHOUR=9;BYMINUTE=0', 'RRULE'],
  ['RRULE:BYHOUR=9', 'FREQ'],
  ['FREQ=DAILY;BYHOUR=25', 'expected BYHOUR to be numbers from 0 to 23, got "25"'],
  ['FREQ=DAILY;BYMINUTE=75', 'BYMINUTE'],
  ['FREQ=DAILY;COUNT=-1', 'COUNT'],
  ['FREQ=MONTHLY;BYMONTHDAY=99', 'BYMONTHDAY'],
  ['FREQ=MONTHLY;BYMONTHDAY=0', 'or -1 to -31 from the end'],
  ['FREQ=YEARLY;BYMONTH=13', 'BYMONTH'],
  ['FREQ=YEARLY;BYWEEKNO=60', 'BYWEEKNO'],
  ['FREQ=MONTHLY;BYDAY=6FR', 'BYDAY'],
  ['FREQ=WEEKLY;BYDAY=1FR', 'BYDAY'],
  ['FREQ=WEEKLY;BYDAY=XX', 'got "XX"'],
  ['FREQ=MONTHLY;BYDAY=MO;BYSETPOS=400', 'BYSETPOS'],
  ['FREQ=WEEKLY;WKST=X', 'WKST'],
  ['FREQ=DAILY;FREQ=WEEKLY', 'FREQ'],
])('says what is wrong with %s', (rule, message) => {
  expect(() => make(rule)).toThrow(InvalidTriggerError);
  expect(() => make(rule)).toThrow(message);
});

test('is unknown to a registry until it is registered', () => {
  expect(() => readTrigger(make('DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY').toJSON())).toThrow(UnknownTriggerError);
});

test.each<[unknown]>([
  [''],
  ['daily'],
  ['RRULE:'],
  ['FREQ=SOMETIMES'],
  ['FREQ=DAILY;FOO=1'],
  ['DTSTART:20260101T000000Z'],
  [5],
  ['SUMMARY:x\nRRULE:FREQ=DAILY'],
  ['FREQ=DAILY;INTERVAL=0'],
  ['FREQ=DAILY;INTERVAL=-1'],
  ['DTSTART:20260101T080000Z\nRRULE:FREQ=HOURLY;INTERVAL=2;BYHOUR=9'],
  ['DTSTART:20260101T080000Z\nRRULE:FREQ=MINUTELY;BYMINUTE=60'],
  ['DTSTART:20260101T080000Z\nRRULE:FREQ=DAILY\nEXRULE:FREQ=SECONDLY;INTERVAL=2;BYSECOND=1'],
  [`FREQ=DAILY;BYHOUR=${'1,'.repeat(9000)}1`],
])('refuses %j', (rule) => {
  let error: unknown;
  try {
    make(rule as string);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(InvalidTriggerError);
});

test('refuses a zone or a start that the rule contradicts', () => {
  const rule = `${NEW_YORK}20260101T090000\nRRULE:FREQ=DAILY`;
  expect(() => make(rule, { timezone: 'UTC' })).toThrow(InvalidOptionError);
  expect(() => make(rule, { dtstart: 0 })).toThrow(InvalidOptionError);
});

test.each([[undefined], [null], [{}], ['rrule']])('asks for the package, not %j', (other) => {
  expect(() => new RRuleTrigger('FREQ=DAILY', { library: other as never })).toThrow('npm install rrule');
});
