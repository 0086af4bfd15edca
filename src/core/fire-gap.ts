import type { JobDefinition } from '../model/job.js';
import type { EpochMs } from '../ports/trigger.js';
import { nextFire, previousFire } from './fires.js';

/** A stretch of time without a fire time. */
export interface FireGap {
  readonly from: EpochMs;
  /** The fire time that ends it. */
  readonly to: EpochMs;
}

/** Looks ahead, each over one stretch of the length that is asked for: two weeks, for one of a day. */
const LOOKS = 14;

/**
 * The first stretch after `from` of at least `lengthMs` in which a job does not fire. Looks ahead a bounded way only, and past
 * all fire times of one stretch at a time: with a job of each second it costs no more than with one of each day.
 *
 * @throws when the trigger breaks its first law.
 */
export function longGap(definition: JobDefinition, from: EpochMs, lengthMs: number): FireGap | null {
  let at = from;
  for (let look = 0; look < LOOKS; look++) {
    const next = nextFire(definition, at);
    if (next === null) return null;
    if (next - at >= lengthMs) return { from: at, to: next };
    at = previousFire(definition, next, at + lengthMs) ?? next;
  }
  return null;
}
