import { CronTrigger } from '../../../src/triggers/cron/cron-trigger.js';
import type { DstRule } from '../../../src/triggers/wall-clock/engine.js';
import { Zone } from '../../../src/time/zone.js';

/** A local time, as the milliseconds at which UTC shows the same. */
type Wall = number;

/** An expression beside a predicate that says the same without any of the code under test. */
interface Sample {
  readonly expression: string;
  readonly fixed: boolean;
  matches(hour: number, minute: number, day: number, weekday: number, month: number): boolean;
}

const SAMPLES: readonly Sample[] = [
  { expression: '*/3 * * * *', fixed: false, matches: (_h, m) => m % 3 === 0 },
  { expression: '*/15 * * * *', fixed: false, matches: (_h, m) => m % 15 === 0 },
  { expression: '0 * * * *', fixed: false, matches: (_h, m) => m === 0 },
  { expression: '*/20 2 * * *', fixed: false, matches: (h, m) => h === 2 && m % 20 === 0 },
  { expression: '30 */2 * * *', fixed: false, matches: (h, m) => h % 2 === 0 && m === 30 },
  { expression: '0 0 * * *', fixed: true, matches: (h, m) => h === 0 && m === 0 },
  { expression: '30 1 * * *', fixed: true, matches: (h, m) => h === 1 && m === 30 },
  { expression: '0,30 2 * * *', fixed: true, matches: (h, m) => h === 2 && (m === 0 || m === 30) },
  { expression: '15 0-3,23 * * *', fixed: true, matches: (h, m) => (h <= 3 || h === 23) && m === 15 },
  { expression: '45 2 * * 0', fixed: true, matches: (h, m, _d, w) => h === 2 && m === 45 && w === 0 },
  {
    expression: '5 1 15,31 3,10 6',
    fixed: true,
    matches: (h, m, d, w, mon) => h === 1 && m === 5 && (d === 15 || d === 31 || w === 6) && (mon === 3 || mon === 10),
  },
];

const RULES: readonly DstRule[] = ['vixie', 'match', 'compatible', 'skipFirst'];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** What is compared; the longest shift, by a date left out, is a day. */
const BEFORE = 6 * HOUR;
const AFTER = 26 * HOUR;
/** What is looked at. */
const WINDOW = 27 * HOUR;

/** A minute on the wall clock. */
interface WallMinute {
  readonly wall: Wall;
  readonly hour: number;
  readonly minute: number;
  readonly day: number;
  readonly weekday: number;
  readonly month: number;
}

function minutesBetween(from: Wall, to: Wall): WallMinute[] {
  const found: WallMinute[] = [];
  for (let wall = Math.ceil(from / MINUTE) * MINUTE; wall < to; wall += MINUTE) {
    const date = new Date(wall);
    found.push({
      wall,
      hour: date.getUTCHours(),
      minute: date.getUTCMinutes(),
      day: date.getUTCDate(),
      weekday: date.getUTCDay(),
      month: date.getUTCMonth() + 1,
    });
  }
  return found;
}

/** Every minute the clocks show before a change, skip because of it, and show after it. */
interface Surroundings {
  readonly at: number;
  readonly before: number;
  readonly after: number;
  readonly early: readonly WallMinute[];
  readonly skipped: readonly WallMinute[];
  readonly late: readonly WallMinute[];
}

/**
 * The fire times around a transition under each rule, straight from the rules' definitions: every wall time of every
 * minute to either side is looked at.
 */
function expected(
  sample: Sample,
  { at, before, after, early, skipped, late }: Surroundings,
): Record<DstRule, number[]> {
  const matching = (minutes: readonly WallMinute[]): Wall[] =>
    minutes
      .filter(({ hour, minute, day, weekday, month }) => sample.matches(hour, minute, day, weekday, month))
      .map(({ wall }) => wall);
  const first = matching(early).map((wall) => wall - before);
  const second = matching(late);
  const gap = matching(skipped);
  const once = second.filter((wall) => wall >= at + before).map((wall) => wall - after);
  const match = [...first, ...second.map((wall) => wall - after)];
  const skipFirst = [...first, ...once];
  const compatible = [...skipFirst, ...gap.map((wall) => wall - before)];
  const caughtUp = gap.length > 0 && after - before < 3 * HOUR ? [at] : [];
  const inOrder = (fires: readonly number[]): number[] =>
    [...new Set(fires)].filter((t) => t >= at - BEFORE && t < at + AFTER).sort((a, b) => a - b);
  return {
    match: inOrder(match),
    skipFirst: inOrder(skipFirst),
    compatible: inOrder(compatible),
    vixie: inOrder(sample.fixed ? [...skipFirst, ...caughtUp] : match),
  };
}

/** What a zone's clocks show, from `Intl` alone, with none of the code under test. */
export class WallClock {
  readonly #format: Intl.DateTimeFormat;

  constructor(timezone: string) {
    this.#format = new Intl.DateTimeFormat('en-GB', {
      timeZone: timezone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
  }

  /** Milliseconds east of UTC. */
  offsetAt(at: number): number {
    const parts = Object.fromEntries(this.#format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1000) * 1000;
  }
}

/**
 * Compares triggers with the definitions around one transition, forwards and backwards.
 *
 * @returns what differs.
 */
export function compareAround(timezone: string, clock: WallClock, at: number): string[] {
  const faults: string[] = [];
  const before = clock.offsetAt(at - 1000);
  const after = clock.offsetAt(at);
  const surroundings: Surroundings = {
    at,
    before,
    after,
    early: minutesBetween(at - WINDOW + before, at + before),
    skipped: minutesBetween(at + before, at + after),
    late: minutesBetween(at + after, at + WINDOW + after),
  };
  for (const sample of SAMPLES) {
    const wantedUnder = expected(sample, surroundings);
    for (const rule of RULES) {
      const trigger = new CronTrigger(sample.expression, { timezone, dst: rule });
      const wanted = wantedUnder[rule];
      const forwards: number[] = [];
      const backwards: number[] = [];
      const [from, to] = [at - BEFORE, at + AFTER];
      for (let t = trigger.next(from - 1); t !== null && t < to; t = trigger.next(t)) forwards.push(t);
      for (let t = trigger.previous(to); t !== null && t >= from; t = trigger.previous(t)) backwards.unshift(t);
      for (const [way, found] of [
        ['forwards', forwards],
        ['backwards', backwards],
      ] as const) {
        if (found.length !== wanted.length || found.some((t, i) => t !== wanted[i])) {
          const first = wanted.findIndex((t, i) => t !== found[i]);
          faults.push(
            `${timezone} ${new Date(at).toISOString()} ${rule} "${sample.expression}" ${way}: ${show(found[first])} instead of ${show(wanted[first])}`,
          );
        }
      }
    }
  }
  return faults;
}

function show(at: number | undefined): string {
  return at === undefined ? 'nothing' : new Date(at).toISOString();
}

/** Compares a zone's table with `Intl` at given instants. */
export function compareOffsets(timezone: string, clock: WallClock, instants: Iterable<number>): string[] {
  const zone = Zone.of(timezone);
  const faults: string[] = [];
  for (const at of instants) {
    const [found, wanted] = [zone.offsetAt(at), clock.offsetAt(at)];
    if (found !== wanted)
      faults.push(`${timezone} ${new Date(at).toISOString()}: offset ${found} instead of ${wanted}`);
  }
  return faults;
}

/** Numbers from 0 to 1 that are the same in every run (mulberry32, T. Ettinger). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
