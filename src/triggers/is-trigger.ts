import { InvalidTriggerError } from '../errors/errors.js';
import type { Trigger } from '../ports/trigger.js';

/** Structural, never `instanceof`: triggers may come from another copy of the package, or be the user's own. */
export function isTrigger(value: unknown): value is Trigger {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    typeof value.kind === 'string' &&
    'next' in value &&
    typeof value.next === 'function' &&
    'toJSON' in value &&
    typeof value.toJSON === 'function'
  );
}

/**
 * A combination is a function of time, so its parts have to be.
 *
 * @throws InvalidTriggerError when a part waits for the end of a run or the start of a scheduler.
 */
export function checkPart(kind: string, part: Trigger): void {
  const starts = part.fireTimeFor !== undefined;
  const follows = part.follows !== undefined;
  if (!starts && !follows && part.nextAfterCompletion === undefined) return;
  const what = starts ? 'fires when a scheduler starts' : follows ? 'fires after the runs of other jobs' : 'counts from the end of the previous run';
  throw new InvalidTriggerError(
    `A part of ${kind} ${what}, which no function of time can know: give it a job of its own.`,
    part,
  );
}
