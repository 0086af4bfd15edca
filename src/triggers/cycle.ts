import type { EpochMs, Trigger } from '../ports/trigger.js';
import { DAY_MS, MAX_INSTANT } from '../time/civil.js';
import { DateTrigger } from './date.js';
import { IntervalTrigger } from './interval.js';
import { lcm, Progression } from './progression.js';
import { isExactly } from './search.js';
import { hasYears, ordinaryClock } from './wall-clock-parts.js';
import { WindowIntervalTrigger } from './window-interval.js';

/**
 * After what time a trigger repeats itself. It bounds a search: whatever is put together from triggers that repeat
 * themselves repeats itself too, so what has not come within one cycle does not come before something begins or ends.
 */
export interface Cycle {
  /** The length in milliseconds. */
  readonly length: bigint;
  /** Where one pattern ends and another begins: from each of these instants to the next, the cycles are alike. */
  readonly breaks: readonly EpochMs[];
}

/** The Gregorian calendar repeats itself after 400 years, to the weekday. */
const CALENDAR_CYCLE = 146_097 * DAY_MS;

/** Up to 1800 no clock was ever changed; from 2129 on every zone follows a rule for the year, as {@link Zone} has it. */
const ZONES = [CALENDAR_CYCLE, [Date.UTC(1799, 11, 28), Date.UTC(2130, 0, 3)]] as const;

/** A cron trigger's `year` field has years up to 9999: no cycle is shorter than that. */
const YEARS = [25 * CALENDAR_CYCLE, [...ZONES[1], Date.UTC(10_000, 0, 3)]] as const;

const NOTHING: Cycle = { length: 1n, breaks: [] };

/** Combinations answer for themselves, under a name nobody comes upon by accident. */
export const CYCLE: unique symbol = Symbol('cycle');

/** The cycle of a trigger, or undefined when it is not known to have one. */
export function cycleOf(trigger: Trigger): Cycle | undefined {
  if (CYCLE in trigger) return (trigger as { [CYCLE](): Cycle | undefined })[CYCLE]();
  if (isExactly(trigger, IntervalTrigger)) {
    const progression = Progression.ofInterval(trigger);
    return progression === null ? NOTHING : within(progression.period, progression.first, progression.last);
  }
  if (isExactly(trigger, DateTrigger)) return within(1, trigger.at, trigger.at);
  if (ordinaryClock(trigger) || isExactly(trigger, WindowIntervalTrigger)) {
    const { startTime, endTime } = trigger;
    // A window that is open at the start is the same window, only with its first fire times left out.
    const [length, breaks] = hasYears(trigger) ? YEARS : ZONES;
    return within(length, startTime, endTime, breaks);
  }
  return undefined;
}

function within(
  length: number,
  start: EpochMs | undefined,
  end: EpochMs | undefined,
  breaks: readonly EpochMs[] = [],
): Cycle {
  const bounds = [start ?? -Infinity, (end ?? Infinity) + 1];
  // Bounds that leave no room for one more cycle outside them are none.
  const real = bounds.filter((at, i) => Math.abs(i === 0 ? at - length : at + length) <= MAX_INSTANT + 1);
  return { length: BigInt(length), breaks: [...breaks, ...real] };
}

/** The cycle of several triggers joined in whatever way: or, and, or the one without the other. */
export function joinCycles(triggers: readonly Trigger[]): Cycle | undefined {
  let length = 1n;
  const breaks = new Set<EpochMs>();
  for (const trigger of triggers) {
    const cycle = cycleOf(trigger);
    if (cycle === undefined) return undefined;
    length = lcm(length, cycle.length);
    for (const at of cycle.breaks) breaks.add(at);
  }
  return { length, breaks: [...breaks].sort((a, b) => a - b) };
}

/**
 * Where a search that began after `after` may go on, having found nothing before `at`: there, or, if that was a whole
 * cycle, at the next break, which may be plus infinity.
 */
export function leapNext({ length, breaks }: Cycle, after: EpochMs, at: EpochMs): EpochMs {
  const index = breaks.findLastIndex((start) => start <= at);
  const clear = Math.max(after + 1, breaks[index] ?? -Infinity);
  return at - clear > Number(length) ? (breaks[index + 1] ?? Infinity) : at;
}

/** The same for a search backwards: the first instant that need not be searched again, or minus infinity. */
export function leapPrevious({ length, breaks }: Cycle, before: EpochMs, at: EpochMs): EpochMs {
  const index = breaks.findIndex((end) => end > at);
  const clear = Math.min(before, index < 0 ? Infinity : breaks[index]!) - 1;
  return clear - at > Number(length) ? (breaks[index < 0 ? breaks.length - 1 : index - 1] ?? -Infinity) - 1 : at;
}
