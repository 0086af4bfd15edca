import type { Trigger } from '../ports/trigger.js';
import { formatDuration } from '../time/duration-text.js';

/** `a`, `a and b`, `a, b and c`. */
export function listText(items: readonly string[], last = 'and'): string {
  if (items.length < 2) return items[0] ?? '';
  return `${items.slice(0, -1).join(', ')} ${last} ${items[items.length - 1] ?? ''}`;
}

/** What bounds, zone and jitter add to a description. */
export function optionsText(options: {
  readonly timezone?: string | undefined;
  readonly startTime?: number | undefined;
  readonly endTime?: number | undefined;
  readonly jitter?: number | undefined;
}): string {
  const { timezone, startTime, endTime, jitter } = options;
  return [
    timezone === undefined ? '' : ` (${timezone})`,
    startTime === undefined ? '' : `, from ${instantText(startTime)}`,
    endTime === undefined ? '' : `, until ${instantText(endTime)}`,
    jitterText(jitter),
  ].join('');
}

function jitterText(jitter: number | undefined): string {
  return jitter === undefined ? '' : `, delayed by up to ${formatDuration(jitter)}`;
}

/** ISO 8601 in UTC, without milliseconds where there are none. */
export function instantText(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z');
}

/** `1st`, `2nd`, `3rd`, `4th`, … */
export function ordinal(n: number): string {
  const suffix = n % 100 >= 11 && n % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${suffix}`;
}

/** A trigger in words, as far as it has any. */
export function describeTrigger(trigger: Trigger): string {
  return 'describe' in trigger && typeof trigger.describe === 'function'
    ? String((trigger.describe as () => unknown)())
    : `"${trigger.kind}" trigger`;
}

/** A trigger as part of a combination, in words: its jitter has no effect there. */
export function partText(trigger: Trigger): string {
  const text = describeTrigger(trigger);
  const delay = jitterText(trigger.jitter);
  return delay !== '' && text.endsWith(delay) ? text.slice(0, -delay.length) : text;
}
