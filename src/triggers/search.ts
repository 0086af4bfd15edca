import { InvalidTriggerError } from '../errors/errors.js';
import type { EpochMs, Trigger } from '../ports/trigger.js';
import { MAX_INSTANT } from '../time/civil.js';

/** Rounds a combination may take for one answer before it is given up. Some tens of milliseconds of work. */
export const MAX_ROUNDS = 20_000;

/**
 * Rounds before a search takes its parts apart to see what they can have in common: nearly every answer is found
 * sooner, and then costs nothing but the questions.
 */
export const PATIENCE = 64;

/**
 * Steps on plain numbers, cheaper than rounds by far, that the same answer may take: one for each day of two cycles of
 * 400 years and the time in between in which zones change their rules.
 */
export const MAX_STEPS = 600_000;

/**
 * A combination of triggers was searched as far as is reasonable without finding its next fire time, and it could not
 * be known either that there is none (then the answer is `null`). Most likely its parts never agree, or everything is
 * excluded: say what you mean with one cron expression, or with bounds on a part.
 */
export class TriggerSearchError extends InvalidTriggerError {
  constructor(kind: string, from: EpochMs, reached: EpochMs, trigger: Trigger) {
    super(
      `The "${kind}" trigger has no fire time between ${toText(from)} and ${toText(reached)}; gave up after as many steps as one answer may take. ` +
        `A common cause: ${kind === 'except' ? 'all that the base has is excluded' : 'its parts never agree'}.`,
      trigger,
    );
  }
}

function toText(at: EpochMs): string {
  return Math.abs(at) <= MAX_INSTANT ? new Date(at).toISOString() : String(at);
}

/**
 * Whether a trigger is of a class of ours and of none derived from it: whoever derives one may answer otherwise, and
 * then nothing but the answers is known.
 */
export function isExactly<T extends Trigger>(trigger: Trigger, kind: { readonly prototype: T }): trigger is T {
  return Object.getPrototypeOf(trigger) === kind.prototype;
}

/** Whether an instant is one of the trigger's. */
export function firesAt(trigger: Trigger, at: EpochMs): boolean {
  return trigger.next(at - 1) === at;
}

/** The part of a trigger that a search asks. */
export type Searchable = Pick<Trigger, 'next' | 'previous'>;

/** The last instant before `before`, of triggers that answer `previous` and of those that do not. */
export function previousOf(trigger: Searchable, before: EpochMs): EpochMs | null {
  return trigger.previous === undefined ? searchPrevious(trigger, before) : trigger.previous(before);
}

/**
 * `previous` through `next` alone. As `next` is monotone, the instants `a` with `next(a) < before` end somewhere,
 * and `next` of the last of them is the answer: found by doubling steps back, then halving, in about 100 questions.
 */
export function searchPrevious(trigger: Searchable, before: EpochMs): EpochMs | null {
  const limit = Math.min(Math.ceil(before), MAX_INSTANT + 1);
  const isBefore = (a: EpochMs): boolean => {
    const at = trigger.next(a);
    return at !== null && at < before;
  };
  let high = limit;
  let low = limit;
  for (let step = 1; ; step *= 2) {
    low = Math.max(limit - step, -MAX_INSTANT - 1);
    if (isBefore(low)) break;
    if (low <= -MAX_INSTANT - 1) return null;
    high = low;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isBefore(middle)) low = middle;
    else high = middle;
  }
  return trigger.next(low);
}
