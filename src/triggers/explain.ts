import type { EpochMs, Trigger } from '../ports/trigger.js';
import { MAX_INSTANT } from '../time/civil.js';
import { toInstant, type InstantInput } from '../time/instant.js';
import type { CronTrigger } from './cron/cron-trigger.js';
import { explainCron, type FieldExplanation } from './cron/explain-cron.js';
import { firesAt, previousOf } from './search.js';
import { describeTrigger, instantText } from './words.js';

/** Why a trigger fires at an instant, or does not. */
export interface Explanation {
  readonly at: Date;
  readonly fires: boolean;
  /** What the clock of the trigger's zone shows then, such as `2026-03-29T03:00:00+02:00`; wall-clock triggers only. */
  readonly local: string | undefined;
  /** Field by field, for cron triggers. */
  readonly fields: readonly FieldExplanation[];
  /** What daylight saving does at this instant, if anything. */
  readonly daylightSaving: string | undefined;
  /** The last fire time before. */
  readonly previous: Date | null;
  /** The first fire time after. */
  readonly next: Date | null;
  /** All of this in sentences. */
  readonly text: string;
}

/**
 * Says why a trigger fires at an instant or does not: field by field for cron, and what a change of the clock does.
 *
 * @throws InvalidOptionError when `at` is no instant.
 *
 * @example
 * ```ts
 * explain(new CronTrigger('30 2 * * *', { timezone: 'Europe/Berlin' }), '2026-03-29T01:00:00Z').text;
 * // Fires at 2026-03-29T01:00:00Z (2026-03-29T03:00:00+02:00). … 02:00 to 03:00 was skipped …
 * ```
 */
export function explain(trigger: Trigger, at: InstantInput): Explanation {
  const instant = toInstant(at, 'at');
  const fires = firesAt(trigger, instant);
  const cron = isCron(trigger) ? explainCron(trigger, instant, fires) : undefined;
  const previous = previousOf(trigger, instant);
  const next = instant < MAX_INSTANT ? trigger.next(instant) : null;
  const sentences = [
    `${fires ? 'Fires' : 'Does not fire'} at ${instantText(instant)}${cron === undefined ? '' : ` (${cron.local})`}.`,
    `${describeTrigger(trigger)}.`,
    ...(cron?.sentences ?? []),
    next === null ? 'No fire time follows.' : `The next fire time is ${instantText(next)}.`,
  ];
  return {
    at: new Date(instant),
    fires,
    local: cron?.local,
    fields: cron?.fields ?? [],
    daylightSaving: cron?.daylightSaving,
    previous: toDate(previous),
    next: toDate(next),
    text: sentences.join(' '),
  };
}

/** By kind, never `instanceof`: the trigger may come from another copy of the package. */
function isCron(trigger: Trigger): trigger is CronTrigger {
  return trigger.kind === 'cron' && 'expression' in trigger && 'dst' in trigger;
}

function toDate(at: EpochMs | null): Date | null {
  return at === null ? null : new Date(at);
}
