import type { Zone } from '../../time/zone.js';

/**
 * A set of local times, on a calendar without time zones: seconds since 1970-01-01T00:00 on the wall clock, where
 * every day has 86,400 of them.
 */
export interface LocalMatcher {
  /** The first member at or after `local` (whole seconds), or plus infinity. */
  next(local: number): number;
  /** The last member at or before `local` (whole seconds), or minus infinity. */
  previous(local: number): number;
}

/**
 * What daylight saving does to a trigger that goes by the clock on the wall.
 *
 * - `'vixie'`: a fixed-time expression (no `*`, `?` or `/` in second, minute and hour) whose time falls in a gap of
 *   less than three hours runs once at the first instant after the gap, and runs in the first pass of an overlap
 *   only; every other expression follows the clock. As Debian's cron(8) documents it.
 * - `'match'`: every instant at which the clock shows a matching time.
 * - `'compatible'`: a time in a gap moves on by the length of the gap, of a repeated time the first pass counts
 *   (RFC 5545 and Temporal's `compatible`).
 * - `'skipFirst'`: a time in a gap is left out, of a repeated time the first pass counts (POSIX OCPS, systemd).
 */
export type DstRule = 'vixie' | 'match' | 'compatible' | 'skipFirst';

/** What becomes of matching times in a gap: nothing, one run at its end, or all of them, shifted. */
export const GAP_NONE = 0;
export const GAP_END = 1;
export const GAP_SHIFT = 2;

/** A {@link DstRule} applied to one expression. */
export interface DstPlan {
  readonly gap: typeof GAP_NONE | typeof GAP_END | typeof GAP_SHIFT;
  /** Whether repeated times run in both passes. */
  readonly both: boolean;
}

const FOLLOW_CLOCK: DstPlan = { gap: GAP_NONE, both: true };
const VIXIE_FIXED: DstPlan = { gap: GAP_END, both: false };
const COMPATIBLE: DstPlan = { gap: GAP_SHIFT, both: false };
const SKIP_FIRST: DstPlan = { gap: GAP_NONE, both: false };

/** The plan a rule makes for an expression. */
export function planOf(rule: DstRule, fixedTime: boolean): DstPlan {
  if (rule === 'compatible') return COMPATIBLE;
  if (rule === 'skipFirst') return SKIP_FIRST;
  return rule === 'vixie' && fixedTime ? VIXIE_FIXED : FOLLOW_CLOCK;
}

/** The last second a `Date` can hold. */
const MAX_SECONDS = 8.64e12;

/** Gaps of this length or more are corrections of the calendar, not daylight saving (cron(8)). */
const LONG_GAP = 3 * 3600;

/** Longer than any two offsets differ: what lies two days ahead on one clock lies ahead on every clock. */
const TWO_DAYS = 2 * 86_400;

/**
 * The first fire time at or after `from`, in epoch seconds, or plus infinity.
 *
 * The zone is walked one stretch of constant offset at a time: inside a stretch local time and real time run in
 * step, so the answer is the matcher's. What the rule adds or takes away happens at the start of a stretch.
 */
export function nextFire(matcher: LocalMatcher, zone: Zone, { gap, both }: DstPlan, from: number): number {
  let start = from;
  while (start <= MAX_SECONDS) {
    const segment = zone.segment(start);
    const { offset, before } = segment;
    let low = start + offset;
    let special = Infinity;
    if (offset !== before) {
      const changed = segment.from;
      if (offset < before) {
        if (!both && low < changed + before) low = changed + before;
      } else if (gap === GAP_END) {
        if (start <= changed && offset - before < LONG_GAP && matcher.next(changed + before) < changed + offset)
          return changed;
      } else if (gap === GAP_SHIFT && start < changed + offset - before) {
        const skipped = matcher.next((start < changed ? changed : start) + before);
        if (skipped < changed + offset) special = skipped - before;
      }
    }
    const local = matcher.next(low);
    const regular = local - offset;
    const found = regular < special ? regular : special;
    if (found < segment.to) return found <= MAX_SECONDS ? found : Infinity;
    const searched = segment.to - start;
    if (local === Infinity && searched >= TWO_DAYS) return Infinity;
    // Nothing matches until `local`, so nothing can fire until shortly before it, whatever the offsets in between.
    // Close to the change that is not so: an overlap might repeat a time before `low`.
    start = searched >= TWO_DAYS && regular - TWO_DAYS > segment.to ? regular - TWO_DAYS : segment.to;
  }
  return Infinity;
}

/** The last fire time at or before `until`, in epoch seconds, or minus infinity. The mirror of {@link nextFire}. */
export function previousFire(matcher: LocalMatcher, zone: Zone, { gap, both }: DstPlan, until: number): number {
  let end = until;
  while (end >= -MAX_SECONDS) {
    const segment = zone.segment(end);
    const { offset, before } = segment;
    const changed = segment.from;
    let low = changed + offset;
    let special = -Infinity;
    if (offset < before) {
      if (!both) low = changed + before;
    } else if (offset > before) {
      if (gap === GAP_END) {
        if (offset - before < LONG_GAP && matcher.next(changed + before) < changed + offset) special = changed;
      } else if (gap === GAP_SHIFT) {
        const skipped = matcher.previous(Math.min(changed + offset - 1, end + before));
        if (skipped >= changed + before) special = skipped - before;
      }
    }
    const local = matcher.previous(end + offset);
    const regular = local >= low ? local - offset : -Infinity;
    const found = regular > special ? regular : special;
    if (found >= changed && found > -Infinity) return found >= -MAX_SECONDS ? found : -Infinity;
    const searched = end - changed;
    if (local === -Infinity && searched >= TWO_DAYS) return -Infinity;
    const leap = local - offset + TWO_DAYS;
    end = searched >= TWO_DAYS && leap < changed ? leap : changed - 1;
  }
  return -Infinity;
}
