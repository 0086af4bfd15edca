import type { EpochMs, Trigger, TriggerJson } from '../ports/trigger.js';

/**
 * Stands for a stored trigger that cannot be read here: an unknown kind, a newer version, broken fields. It keeps the
 * raw data and gives it back unchanged, and fails when asked, so that the planner puts its job into quarantine.
 */
export class UnreadableTrigger implements Trigger {
  readonly kind: string;
  readonly unreadable: Error;
  readonly #json: TriggerJson;

  constructor(json: TriggerJson, reason: unknown) {
    this.kind = typeof json.kind === 'string' ? json.kind : 'unreadable';
    this.#json = json;
    this.unreadable = reason instanceof Error ? reason : new Error(String(reason));
  }

  next(_after: EpochMs): EpochMs | null {
    throw this.unreadable;
  }

  toJSON(): TriggerJson {
    return this.#json;
  }
}
