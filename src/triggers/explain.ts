import { InvalidOptionError } from '../errors/errors.js';
import type { EpochMs, Trigger } from '../ports/trigger.js';
import { MAX_INSTANT } from '../time/civil.js';
import { toInstant, type InstantInput } from '../time/instant.js';
import { Zone } from '../time/zone.js';
import type { CronTrigger } from './cron/cron-trigger.js';
import { explainCron, type FieldExplanation } from './cron/explain-cron.js';
import type { OrTrigger } from './combining.js';
import type { ExceptTrigger } from './except.js';
import { isTrigger } from './is-trigger.js';
import { explainClock, type ClockExplanation } from './wall-clock/explain-clock.js';
import type { WallClockTrigger } from './wall-clock/wall-clock-trigger.js';
import { firesAt, previousOf } from './search.js';
import { describeTrigger, instantText } from './words.js';

/** Why a trigger fires at an instant, or does not. */
export interface Explanation {
  readonly at: Date;
  readonly fires: boolean;
  /** What the clock of the trigger's zone shows then, such as `2026-03-29T03:00:00+02:00`; of triggers that go by a clock. */
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
 * Says why a trigger fires at an instant or does not: field by field for cron, part by part for combinations, and what a
 * change of the clock does for triggers that go by one.
 *
 * @throws InvalidOptionError when `trigger` is none or `at` is no instant.
 *
 * @example
 * ```ts
 * explain(new CronTrigger('30 2 * * *', { timezone: 'Europe/Berlin' }), '2026-03-29T01:00:00Z').text;
 * // Fires at 2026-03-29T01:00:00Z (2026-03-29T03:00:00+02:00). … 02:00 to 03:00 was skipped …
 * ```
 */
export function explain(trigger: Trigger, at: InstantInput): Explanation {
  if (!isTrigger(trigger)) {
    throw new InvalidOptionError('trigger', trigger, "a trigger such as new CronTrigger('0 9 * * *')");
  }
  const instant = toInstant(at, 'at');
  const fires = firesAt(trigger, instant);
  const cron = isCron(trigger) ? explainCron(trigger, instant, fires) : undefined;
  const clock = cron ?? (isWallClock(trigger) ? explainWallClock(trigger, instant, fires) : undefined);
  const previous = previousOf(trigger, instant);
  const next = instant < MAX_INSTANT ? trigger.next(instant) : null;
  const sentences = [
    `${fires ? 'Fires' : 'Does not fire'} at ${instantText(instant)}${clock === undefined ? '' : ` (${clock.local})`}.`,
    `${describeTrigger(trigger)}.`,
    ...(clock?.sentences ?? explainParts(trigger, instant)),
    next === null ? 'No fire time follows.' : `The next fire time is ${instantText(next)}.`,
  ];
  return {
    at: new Date(instant),
    fires,
    local: clock?.local,
    fields: cron?.fields ?? [],
    daylightSaving: clock?.daylightSaving,
    previous: toDate(previous),
    next: toDate(next),
    text: sentences.join(' '),
  };
}

/** By kind, never `instanceof`: the trigger may come from another copy of the package. */
function isCron(trigger: Trigger): trigger is CronTrigger {
  return trigger.kind === 'cron' && 'expression' in trigger && 'dst' in trigger;
}

/** Those that go by a clock, but for cron. */
function isWallClock(trigger: Trigger): trigger is WallClockTrigger {
  return 'clockShows' in trigger && typeof trigger.clockShows === 'function' && 'dst' in trigger;
}

function explainWallClock(
  trigger: WallClockTrigger,
  at: EpochMs,
  fires: boolean,
): ClockExplanation & { readonly sentences: readonly string[] } {
  const zone = trigger.timezone === undefined ? Zone.system() : Zone.of(trigger.timezone);
  const clockMatches = trigger.clockShows(zone.toLocal(at));
  const clock = explainClock(trigger.dst, zone, at, clockMatches, fires);
  const sentences: string[] = [];
  if (!clockMatches) sentences.push('What the clock shows is none of its times.');
  const inBounds = at >= (trigger.startTime ?? -Infinity) && at <= (trigger.endTime ?? Infinity);
  if (!inBounds) sentences.push('It lies outside the bounds of the trigger.');
  if (clock.daylightSaving !== undefined) sentences.push(clock.daylightSaving);
  return { ...clock, sentences };
}

/** What each part of a combination has to say. */
function explainParts(trigger: Trigger, at: EpochMs): string[] {
  const { triggers, base, excluded } = trigger as Partial<Pick<OrTrigger, 'triggers'> & Pick<ExceptTrigger, 'base' | 'excluded'>>;
  if (trigger.kind === 'except' && base !== undefined && excluded !== undefined) {
    const sentences = [partText('base', base, at)];
    if (isTrigger(excluded)) sentences.push(partText('exception', excluded, at));
    else sentences.push(`Its date is ${excluded.includes(at) ? '' : 'not '}in the calendar.`);
    return sentences;
  }
  if ((trigger.kind !== 'or' && trigger.kind !== 'and') || triggers === undefined) return [];
  return triggers.map((part, index) => partText(`part ${index + 1}`, part, at));
}

function partText(name: string, part: Trigger, at: EpochMs): string {
  return `Its ${name} (${describeTrigger(part)}) ${firesAt(part, at) ? 'fires' : 'does not fire'} then.`;
}

function toDate(at: EpochMs | null): Date | null {
  return at === null ? null : new Date(at);
}
