import { describe, expect, test } from 'vitest';
import { UnknownTimeZoneError } from '../../src/errors/errors.js';
import { Zone } from '../../src/time/zone.js';
import { findTransitions } from '../../src/time/zone-transitions.js';
import { compareAround, compareOffsets, seededRandom, WallClock } from './support/oracle.js';
import { transitionsOf, ZONES_OF_INTEREST } from './support/grid.js';

const HOUR = 3_600_000;
const ZONES = Intl.supportedValuesOf('timeZone');

// Every zone and every change from 1970 to 2037 takes minutes: scripts/check-zones.ts does that. Here, each zone is
// asked about some years, the same in every run.
describe('every zone of Intl', () => {
  test(`fires as the rules define around changes of ${ZONES.length} zones`, () => {
    const random = seededRandom(19700101);
    const faults: string[] = [];
    let compared = 0;
    for (const timezone of ZONES) {
      const clock = new WallClock(timezone);
      const year = 1970 + Math.floor(random() * 67);
      const changes = transitionsOf(timezone, year, year + 2);
      // A gap here, an overlap there.
      for (const at of changes.slice(0, 2).filter((_, i) => changes.length === 1 || i === compared % 2)) {
        faults.push(...compareAround(timezone, clock, at));
        compared += 1;
      }
    }
    expect(faults).toEqual([]);
    expect(compared).toBeGreaterThan(100);
  }, 60_000);

  test('has the offsets of Intl at random instants, far ones too', () => {
    const random = seededRandom(7);
    const faults: string[] = [];
    for (const timezone of ZONES) {
      const clock = new WallClock(timezone);
      const near = Array.from({ length: 6 }, () =>
        Math.floor(Date.UTC(1970, 0) + random() * (Date.UTC(2038, 0) - Date.UTC(1970, 0))),
      );
      const far = [
        Date.UTC(1801, 5),
        Date.UTC(1900, 0),
        Date.UTC(2101, 6, 4),
        Date.UTC(2131, 2, 14, 7),
        Date.UTC(2400, 1, 29),
        Date.UTC(9999, 9, 31),
      ];
      faults.push(...compareOffsets(timezone, clock, [...near, ...far]));
    }
    expect(faults).toEqual([]);
  });
});

describe.each(ZONES_OF_INTEREST.filter((zone) => zone !== 'UTC'))('%s', (timezone) => {
  test('fires as the rules define around changes from 1985 to 2030', () => {
    const clock = new WallClock(timezone);
    const transitions = transitionsOf(timezone, 1985, 2030);
    expect(transitions.length).toBeGreaterThan(0);
    // Every third: an odd stride meets gaps and overlaps alike.
    const some = transitions.filter((_, i) => i % 3 === 0 || transitions.length < 12);
    expect(some.flatMap((at) => compareAround(timezone, clock, at))).toEqual([]);
  }, 60_000);
});

describe('Zone', () => {
  const berlin = Zone.of('Europe/Berlin');

  test('is one object a name', () => {
    expect(Zone.of('Europe/Berlin')).toBe(berlin);
  });

  test.each(['', 'Nowhere/Land', '+01:00', '-05:00', 'Europe/Berlin ', 42, null, undefined])('refuses %j', (name) => {
    expect(() => Zone.of(name)).toThrow(UnknownTimeZoneError);
  });

  test('finds changes a week apart', () => {
    // Brazil ended a daylight-saving time it had begun a week before.
    expect(transitionsOf('America/Recife', 2000, 2001).map((at) => new Date(at).toISOString())).toEqual([
      '2000-02-27T02:00:00.000Z',
      '2000-10-08T03:00:00.000Z',
      '2000-10-15T02:00:00.000Z',
    ]);
  });

  test('has offsets of seconds', () => {
    expect(Zone.of('Africa/Monrovia').offsetAt(Date.UTC(1971, 5, 1))).toBe(-(44 * 60 + 30) * 1000);
  });

  test('follows the yearly rule beyond the zone data', () => {
    const changes = transitionsOf('America/New_York', 2500, 2501).map((at) => new Date(at).toISOString());
    expect(changes).toEqual(['2500-03-14T07:00:00.000Z', '2500-11-07T06:00:00.000Z']);
  });

  test('moves a time in a gap on by its length, or says there is none', () => {
    const local = Date.UTC(2026, 2, 29, 2, 30);
    expect(berlin.fromLocal(local, 'shift')).toBe(Date.UTC(2026, 2, 29, 1, 30));
    expect(berlin.fromLocal(local, 'none')).toBeNull();
  });

  test('takes the first of two passes, or the last when asked', () => {
    const local = Date.UTC(2026, 9, 25, 2, 30);
    expect(berlin.fromLocal(local, 'none')).toBe(Date.UTC(2026, 9, 25, 0, 30));
    expect(berlin.lastFromLocal(local)).toBe(Date.UTC(2026, 9, 25, 1, 30));
    expect(berlin.lastFromLocal(local + 24 * HOUR)).toBe(Date.UTC(2026, 9, 26, 1, 30));
  });

  test('needs no Intl for UTC, however far', () => {
    expect(Zone.of('UTC').segment(8.64e12)).toEqual({ from: -Infinity, to: Infinity, offset: 0, before: 0 });
  });

  test('knows, at the start of a year, of a change in the last hours of the one before', () => {
    // Bangladesh ended its only daylight-saving time at the end of 2009.
    expect(Zone.of('Asia/Dhaka').segment(Date.UTC(2010, 0, 1) / 1000)).toMatchObject({
      from: Date.UTC(2009, 11, 31, 17) / 1000,
      before: 7 * 3600,
      offset: 6 * 3600,
    });
  });

  test('misses no two changes that undo each other within a week, wherever they lie', () => {
    const [day, from] = [86_400, 0];
    for (let start = 10 * day; start < 30 * day; start += 7 * 3600) {
      const end = start + 7 * day - 3600;
      const found = findTransitions((at) => (at >= start && at < end ? 3600 : 0), from, 60 * day);
      expect(found).toEqual([
        { at: start, before: 0, offset: 3600 },
        { at: end, before: 3600, offset: 0 },
      ]);
    }
  });
});
