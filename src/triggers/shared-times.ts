import type { EpochMs, Trigger } from '../ports/trigger.js';
import { DAY_MS, DAY_SECONDS, MAX_INSTANT } from '../time/civil.js';
import type { ZoneSegment } from '../time/zone.js';
import { joinCycles, leapNext, leapPrevious, type Cycle } from './cycle.js';
import { IntervalTrigger } from './interval.js';
import { modulo, Progression } from './progression.js';
import { DayTimes } from './day-times.js';
import { isExactly } from './search.js';
import { GAP_END, GAP_SHIFT } from './wall-clock/engine.js';
import { ordinaryClock, wallClockOf, type WallClock } from './wall-clock-parts.js';

/** How much work one search may still spend. Shared by all that help in it. */
export interface Budget {
  steps: number;
}

/** What is taken out: a trigger between its bounds. */
interface Excluded {
  readonly clock: WallClock | undefined;
  readonly progression: Progression | undefined;
  readonly start: EpochMs;
  readonly end: EpochMs;
}

/** Answers for as long as the offsets of all zones stay the same. In epoch milliseconds; `to` is not included. */
interface Stretch {
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Until here, clocks were changed just now, and what the rules make of that is left to the triggers themselves. */
  readonly unsettledTo: EpochMs;
  /** Milliseconds east of UTC, of each clock and, last, of the excluded one. */
  readonly offsets: readonly number[];
}

/** An interval is a set of times of day if it has no more of them than a clock. */
const MAX_TIMES = 86_400;

/**
 * A guide for a search: instants that several clocks and an interval may have in common, less those that another
 * trigger surely takes out. Nothing it leaves out is one of theirs, but not all it names need be: the search asks the triggers.
 *
 * As long as no zone changes its offset, the times of day that all clocks share, and the residues that an interval
 * leaves in a day, are one sorted list; when that is empty, months go by in one step. Around a change, where the rules
 * for daylight saving differ, every instant remains possible.
 */
export class SharedTimes {
  readonly #clocks: readonly WallClock[];
  readonly #progression: Progression | undefined;
  readonly #excluded: Excluded | undefined;
  /** Times of the UTC day, by the offsets and by whether something is taken out. */
  readonly #times = new Map<string, DayTimes>();
  readonly #cycle: Cycle | undefined;
  readonly #length: number;

  private constructor(
    clocks: readonly WallClock[],
    progression: Progression | undefined,
    excluded: Excluded | undefined,
    cycle: Cycle | undefined,
  ) {
    this.#clocks = clocks;
    this.#progression = progression;
    this.#excluded = excluded;
    this.#cycle = cycle;
    this.#length = Number(cycle?.length);
  }

  /**
   * @param progression - what the intervals among the parts have in common.
   * @returns undefined when the parts are of kinds that leave nothing to be seen beforehand.
   */
  static of(
    parts: readonly Trigger[],
    progression: Progression | undefined,
    without?: Trigger,
  ): SharedTimes | undefined {
    const known = parts.filter((part) => isExactly(part, IntervalTrigger) || wallClockOf(part) !== undefined);
    const clocks = known.map(wallClockOf).filter((clock) => clock !== undefined);
    const excluded = without === undefined ? undefined : excludedOf(without);
    const sources = clocks.length + (progression === undefined ? 0 : 1);
    if (sources === 0 || sources + (excluded === undefined ? 0 : 1) < 2) return undefined;
    if (clocks.length === 0 && DAY_MS / residue(progression) > MAX_TIMES) return undefined;
    const cycle = joinCycles(excluded === undefined || without === undefined ? known : [...known, without]);
    return new SharedTimes(clocks, progression, excluded, cycle);
  }

  /** Nothing they share lies after `after` and before the answer; `null` when nothing follows at all. */
  next(after: EpochMs, budget: Budget): EpochMs | null {
    const start = Math.max(Math.floor(after), -MAX_INSTANT - 1);
    let from = start + 1;
    while (from <= MAX_INSTANT && budget.steps > 0) {
      budget.steps -= 1;
      const stretch = this.#stretch(from);
      if (from < stretch.unsettledTo) {
        const possible = this.#progression === undefined ? from : (this.#progression.next(from - 1) ?? Infinity);
        if (possible < stretch.unsettledTo) return possible;
        from = stretch.unsettledTo;
      }
      const [found, sure] = this.#nextWithin(stretch, from, start, budget);
      if (sure) return found;
      from = this.#leapNext(start, found);
    }
    return from <= MAX_INSTANT ? from : null;
  }

  /** Nothing they share lies before `before` and after the answer; `null` when nothing does at all. */
  previous(before: EpochMs, budget: Budget): EpochMs | null {
    const start = Math.min(Math.ceil(before), MAX_INSTANT + 1);
    let until = start - 1;
    while (until >= -MAX_INSTANT && budget.steps > 0) {
      budget.steps -= 1;
      const stretch = this.#stretch(until);
      const [found, sure] = this.#previousWithin(stretch, until, start, budget);
      const last = Math.min(until, stretch.unsettledTo - 1);
      const possible = this.#progression === undefined ? last : (this.#progression.previous(last + 1) ?? -Infinity);
      if (possible >= stretch.from && possible > -Infinity) return sure ? Math.max(found, possible) : possible;
      if (sure) return found;
      until = this.#leapPrevious(start, found);
    }
    return until >= -MAX_INSTANT ? until : null;
  }

  #leapNext(after: EpochMs, at: EpochMs): EpochMs {
    return this.#cycle === undefined || at - after < this.#length ? at : leapNext(this.#cycle, after, at);
  }

  #leapPrevious(before: EpochMs, at: EpochMs): EpochMs {
    return this.#cycle === undefined || before - at < this.#length ? at : leapPrevious(this.#cycle, before, at);
  }

  #stretch(at: EpochMs): Stretch {
    const second = Math.floor(at / 1000);
    let [from, to, unsettledTo] = [-Infinity, Infinity, -Infinity];
    const offsets: number[] = [];
    const enter = ({ zone }: WallClock, unsettled: (segment: ZoneSegment) => number): void => {
      const segment = zone.segment(second);
      offsets.push(segment.offset * 1000);
      from = Math.max(from, segment.from * 1000);
      to = Math.min(to, segment.to * 1000);
      unsettledTo = Math.max(unsettledTo, (segment.from + unsettled(segment)) * 1000);
    };
    for (const clock of this.#clocks) enter(clock, (segment) => added(clock, segment));
    const { clock } = this.#excluded ?? {};
    if (clock !== undefined) enter(clock, (segment) => removed(clock, segment));
    return { from, to, unsettledTo, offsets };
  }

  /** The first possible instant from `from` on, or, not sure to be one, where to go on searching. */
  #nextWithin({ offsets, to }: Stretch, from: EpochMs, start: EpochMs, budget: Budget): readonly [EpochMs, boolean] {
    const free = this.#timesAt(offsets, false);
    if (free.empty) return [to, false];
    let at = from;
    for (; at < to && budget.steps > 0; at = this.#leapNext(start, at)) {
      budget.steps -= 1;
      const { active, to: same } = this.#exclusion(at, offsets);
      const aligned = (active ? this.#timesAt(offsets, true) : free).from(at);
      if (aligned >= same || aligned >= to) {
        at = Math.min(same, to);
        continue;
      }
      at = aligned;
      let agreed = true;
      for (const [i, { matcher }] of this.#clocks.entries()) {
        const offset = offsets[i]!;
        const matching = matcher.next((at + offset) / 1000) * 1000 - offset;
        if (matching === at) continue;
        at = matching;
        agreed = false;
        if (at >= to) break;
      }
      if (agreed) return [at, true];
    }
    return [Math.min(at, to), false];
  }

  /** The last possible instant up to `until`, or, not sure to be one, where to go on searching. */
  #previousWithin(
    { offsets, from }: Stretch,
    until: EpochMs,
    start: EpochMs,
    budget: Budget,
  ): readonly [EpochMs, boolean] {
    const free = this.#timesAt(offsets, false);
    if (free.empty) return [from - 1, false];
    let at = until;
    for (; at >= from && at > -Infinity && budget.steps > 0; at = this.#leapPrevious(start, at)) {
      budget.steps -= 1;
      const { active, from: same } = this.#exclusion(at, offsets);
      const aligned = (active ? this.#timesAt(offsets, true) : free).upTo(at);
      if (aligned < same || aligned < from) {
        at = Math.max(same, from) - 1;
        continue;
      }
      at = aligned;
      let agreed = true;
      for (const [i, { matcher }] of this.#clocks.entries()) {
        const offset = offsets[i]!;
        const matching = matcher.previous((at + offset) / 1000) * 1000 - offset;
        if (matching === at) continue;
        at = matching;
        agreed = false;
        if (at < from) break;
      }
      if (agreed) return [at, true];
    }
    return [Math.max(at, from - 1), false];
  }

  /** Whether something is taken out at an instant, and the time around it in which that stays the same. */
  #exclusion(at: EpochMs, offsets: readonly number[]): { active: boolean; from: EpochMs; to: EpochMs } {
    if (this.#excluded === undefined) return { active: false, from: -Infinity, to: Infinity };
    const { start, end, clock } = this.#excluded;
    if (at < start) return { active: false, from: -Infinity, to: start };
    if (at > end) return { active: false, from: end + 1, to: Infinity };
    if (clock === undefined) return { active: true, from: start, to: end + 1 };
    const offset = offsets[offsets.length - 1]! / 1000;
    const day = Math.floor((at / 1000 + offset) / DAY_SECONDS) * DAY_SECONDS;
    const active = clock.matcher.next(day) < day + DAY_SECONDS;
    const from = Math.max(start, (day - offset) * 1000);
    return { active, from, to: Math.min(end + 1, (day + DAY_SECONDS - offset) * 1000) };
  }

  #timesAt(offsets: readonly number[], excluding: boolean): DayTimes {
    const key = `${offsets.join()} ${excluding}`;
    let times = this.#times.get(key);
    if (times === undefined) {
      times = new DayTimes(this.#shared(offsets, excluding), this.#progression);
      this.#times.set(key, times);
    }
    return times;
  }

  #shared(offsets: readonly number[], excluding: boolean): number[] {
    const progression = this.#progression;
    const gcd = residue(progression);
    const phase = progression === undefined ? 0 : modulo(progression.first, gcd);
    let times: number[] = [];
    if (this.#clocks.length === 0) for (let time = phase; time < DAY_MS; time += gcd) times.push(time);
    for (const [i, clock] of this.#clocks.entries()) {
      const own = new Set(clock.times.map((time) => modulo(time * 1000 - offsets[i]!, DAY_MS)));
      times = i === 0 ? [...own] : times.filter((time) => own.has(time));
    }
    if (progression !== undefined) times = times.filter((time) => modulo(time - phase, gcd) === 0);
    if (excluding && this.#excluded !== undefined) {
      const { clock, progression: taken } = this.#excluded;
      const offset = offsets[offsets.length - 1]!;
      const out = new Set(clock?.times.map((time) => modulo(time * 1000 - offset, DAY_MS)));
      times = times.filter((time) => !out.has(time));
      if (taken !== undefined) times = times.filter((time) => modulo(time - taken.first, taken.period) !== 0);
    }
    return times.sort((a, b) => a - b);
  }
}

/** Clocks, and intervals that fit into a day: of others, it depends on the day what they take out. */
function excludedOf(trigger: Trigger): Excluded | undefined {
  if (isExactly(trigger, IntervalTrigger)) {
    const progression = Progression.ofInterval(trigger);
    if (progression === null || DAY_MS % progression.period !== 0) return undefined;
    const { first: start, last: end } = progression;
    // Beyond its last member there is none, but neither is there anything else to take out.
    return { clock: undefined, progression, start, end: end + progression.period > MAX_INSTANT ? Infinity : end };
  }
  const clock = wallClockOf(trigger);
  if (clock === undefined || !ordinaryClock(trigger)) return undefined;
  return { clock, progression: undefined, start: trigger.startTime ?? -Infinity, end: trigger.endTime ?? Infinity };
}

/** Seconds after a change in which a clock may fire at times it does not show, or would not show otherwise. */
function added({ plan }: WallClock, { offset, before }: ZoneSegment): number {
  if (offset <= before) return 0;
  if (plan.gap === GAP_SHIFT) return offset - before;
  return plan.gap === GAP_END ? 1 : 0;
}

/** Seconds after a change in which a clock may not fire at times it shows. */
function removed({ plan }: WallClock, { offset, before }: ZoneSegment): number {
  return offset < before && !plan.both ? before - offset : 0;
}

/** Milliseconds at which the times of day repeat that a progression has on one day or another. */
function residue(progression: Progression | undefined): number {
  let [gcd, rest] = [DAY_MS, progression?.period ?? 1];
  // An inexact period belongs to two instants at most: they say nothing about times of day.
  if (!Number.isSafeInteger(rest)) rest = 1;
  while (rest !== 0) [gcd, rest] = [rest, gcd % rest];
  return gcd;
}
