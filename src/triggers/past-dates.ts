import type { EpochMs, Trigger } from '../ports/trigger.js';

/** The fire time, at or before `now`, that a trigger still owes although it has passed; `null` when it owes none. */
export function firstOf(trigger: Trigger, now: EpochMs): EpochMs | null {
  const at = trigger.first?.(now) ?? null;
  return at !== null && at <= now ? at : null;
}
