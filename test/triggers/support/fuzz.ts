import { Cron } from 'croner';
import { CronExpressionParser } from 'cron-parser';
import { CronTrigger } from '../../../src/triggers/cron/cron-trigger.js';
import { seededRandom } from './oracle.js';
import { transitionsOf } from './grid.js';

/** What a comparison with the other engines came to. */
export interface FuzzReport {
  /** Fire times compared. */
  readonly compared: number;
  /** How often an engine refused an expression that we take, by engine. */
  readonly refused: Readonly<Record<'croner' | 'cron-parser', number>>;
  readonly differences: readonly string[];
}

const ZONES = [
  'UTC',
  'America/New_York',
  'Europe/Berlin',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'America/St_Johns',
  'Pacific/Auckland',
];
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAY = 86_400_000;
/** How many fire times of each expression are compared. */
const FIRES = 6;

/**
 * Compares random expressions with croner and cron-parser, away from changes of the clock, where all rules agree.
 * The same seed always makes the same expressions.
 */
export function fuzz(seed: number, rounds: number): FuzzReport {
  const random = seededRandom(seed);
  const refused = { croner: 0, 'cron-parser': 0 };
  const differences: string[] = [];
  let compared = 0;
  for (let round = 0; round < rounds; round += 1) {
    const expression = makeExpression(random);
    const timezone = pick(random, ZONES);
    const start = quietInstant(random, timezone);
    const ours = new CronTrigger(expression, { timezone });
    const wanted = firesOf((t) => ours.next(t), start, timezone);
    for (const engine of ['croner', 'cron-parser'] as const) {
      let theirs: number[];
      try {
        theirs =
          engine === 'croner'
            ? cronerFires(expression, timezone, start, wanted.length)
            : parserFires(expression, timezone, start, wanted.length);
      } catch {
        refused[engine] += 1;
        continue;
      }
      compared += wanted.length;
      const differs = wanted.findIndex((t, i) => t !== theirs[i]);
      if (differs >= 0) {
        differences.push(
          `"${expression}" in ${timezone} from ${show(start)}: ${show(wanted[differs])}, ${engine} says ${show(theirs[differs])}`,
        );
      }
    }
  }
  return { compared, refused, differences };
}

/** Our fire times, as far as they come before the next change of the clock. */
function firesOf(next: (after: number) => number | null, start: number, timezone: string): number[] {
  const fires: number[] = [];
  const end = nextChange(start, timezone) - 2 * DAY;
  for (let at = next(start); at !== null && at < end && fires.length < FIRES; at = next(at)) fires.push(at);
  return fires;
}

function cronerFires(expression: string, timezone: string, start: number, count: number): number[] {
  const cron = new Cron(expression, { timezone, paused: true });
  return cron.nextRuns(count, new Date(start)).map((date) => date.getTime());
}

function parserFires(expression: string, timezone: string, start: number, count: number): number[] {
  const cron = CronExpressionParser.parse(expression, { tz: timezone, currentDate: new Date(start) });
  return Array.from({ length: count }, () => cron.next().getTime());
}

const CHANGES = new Map<string, number[]>();

function changesOf(timezone: string): number[] {
  let changes = CHANGES.get(timezone);
  if (changes === undefined) CHANGES.set(timezone, (changes = transitionsOf(timezone, 2018, 2032)));
  return changes;
}

function nextChange(after: number, timezone: string): number {
  return changesOf(timezone).find((at) => at > after) ?? Date.UTC(2032, 0);
}

function quietInstant(random: () => number, timezone: string): number {
  for (;;) {
    const at = Math.floor((Date.UTC(2020, 0) + random() * (Date.UTC(2030, 0) - Date.UTC(2020, 0))) / 1000) * 1000;
    if (changesOf(timezone).every((change) => Math.abs(change - at) > 3 * DAY)) return at;
  }
}

function makeExpression(random: () => number): string {
  const field = (min: number, max: number, names: readonly string[] = [], nameOffset = 0): string => {
    const name = (value: number): string =>
      random() < 0.4 ? (names[value - nameOffset] ?? String(value)) : String(value);
    const item = (): string => {
      const low = min + Math.floor(random() * (max - min + 1));
      const high = low + Math.floor(random() * (max - low + 1));
      const step = 1 + Math.floor(random() * Math.max(1, (high - low) / 2));
      const shape = random();
      if (shape < 0.45) return name(low);
      if (shape < 0.7) return high === low ? name(low) : `${name(low)}-${name(high)}`;
      if (shape < 0.85) return high === low ? name(low) : `${low}-${high}/${step}`;
      return `*/${1 + Math.floor(random() * ((max - min) / 2))}`;
    };
    if (random() < 0.3) return '*';
    return Array.from({ length: random() < 0.75 ? 1 : 1 + Math.floor(random() * 3) }, item).join(',');
  };
  const day = random() < 0.1 ? 'L' : field(1, 31);
  const weekday =
    random() < 0.1 ? `${Math.floor(random() * 7)}#${1 + Math.floor(random() * 4)}` : field(0, 6, WEEKDAYS);
  const fields = [field(0, 59), field(0, 23), day, field(1, 12, MONTHS, 1), weekday];
  if (random() < 0.3) fields.unshift(field(0, 59));
  return fields.join(' ');
}

function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

function show(at: number | undefined): string {
  return at === undefined ? 'nothing' : new Date(at).toISOString();
}
