import { Zone } from '../../../src/time/zone.js';

const HOUR = 3_600_000;
const STEPS = [0, 1, 1000, 60_000, 15 * 60_000, 30 * 60_000, HOUR, 2 * HOUR, 3 * HOUR, 24 * HOUR];
const OFFSETS = [...new Set(STEPS.flatMap((step) => [-step, step]))];

/** Every change of offset of a zone between two years, in epoch ms. */
export function transitionsOf(timezone: string, fromYear: number, toYear: number): number[] {
  const zone = Zone.of(timezone);
  const found: number[] = [];
  const end = Date.UTC(toYear, 0, 1) / 1000;
  for (let at = Date.UTC(fromYear, 0, 1) / 1000; at < end;) {
    const segment = zone.segment(at);
    if (segment.before !== segment.offset && segment.from >= Date.UTC(fromYear, 0, 1) / 1000)
      found.push(segment.from * 1000);
    at = segment.to;
  }
  return [...new Set(found)];
}

/** Instants around every transition: on it, and at fixed distances to either side. */
export function gridAround(timezone: string, fromYear: number, toYear: number): number[] {
  return transitionsOf(timezone, fromYear, toYear).flatMap((at) => OFFSETS.map((offset) => at + offset));
}

/** Zones whose changes differ in kind: half an hour, two hours, midnight, a skipped day, a negative summer time. */
export const ZONES_OF_INTEREST = [
  'UTC',
  'America/New_York',
  'Europe/London',
  'Europe/Dublin',
  'Australia/Lord_Howe',
  'America/Sao_Paulo',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Pacific/Apia',
  'Pacific/Kiritimati',
  'Antarctica/Troll',
  'Asia/Kathmandu',
  'Asia/Pyongyang',
  'America/St_Johns',
  'America/Caracas',
] as const;
