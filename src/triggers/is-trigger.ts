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
