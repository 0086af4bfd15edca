import { InvalidTriggerError } from '../errors/errors.js';
import type { EpochMs, Trigger, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { isTrigger } from './is-trigger.js';

/**
 * What stands in a shared store for a schedule that each node follows by itself (`exclusive: false`). It has no fire time
 * that a node could claim for all. It is of the kind `startup`, because like that it begins when a scheduler starts, and
 * because every store finds that kind without looking at every job.
 */
export class EachNodeTrigger implements Trigger {
  readonly kind = 'startup';
  readonly onEachNode: Trigger;

  constructor(onEachNode: Trigger) {
    this.onEachNode = onEachNode;
  }

  get jitter(): number | undefined {
    return this.onEachNode.jitter;
  }

  /** Always `null`: no start of one scheduler is a fire time for all. */
  fireTimeFor(_startedAt: EpochMs): null {
    return null;
  }

  /** Always `null`: see the class. */
  next(_after: EpochMs): null {
    return null;
  }

  toJSON(): TriggerJson {
    return { kind: 'startup', v: 1, onEachNode: this.onEachNode.toJSON() };
  }

  /** @internal */
  static read(json: TriggerJson, reader: TriggerReader): EachNodeTrigger {
    const inner = reader.read(json['onEachNode'] as TriggerJson);
    if (!isTrigger(inner) || inner.onEachNode !== undefined) {
      throw new InvalidTriggerError('Stored trigger for each node: it does not hold the trigger that a node follows.', json);
    }
    return new EachNodeTrigger(inner);
  }
}
