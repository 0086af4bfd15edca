import type { Trigger, TriggerJson } from '../ports/trigger.js';
import { TriggerRegistry } from './registry.js';

let builtIn: TriggerRegistry | undefined;

/**
 * Reads a stored trigger of one of punctual's own kinds. Triggers of your own are read by a
 * {@link TriggerRegistry} that knows them.
 *
 * @throws UnknownTriggerError, InvalidTriggerError: see {@link TriggerRegistry.read}.
 */
export function readTrigger(json: TriggerJson): Trigger {
  return (builtIn ??= new TriggerRegistry()).read(json);
}
