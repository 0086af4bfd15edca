import type { JobDefinition } from '../model/job.js';

/** A job that runs on each node, as a node follows it; `undefined` for a job of which one node takes each fire time. */
export function nodeDefinition(definition: JobDefinition): JobDefinition | undefined {
  const { onEachNode } = definition.trigger;
  return onEachNode === undefined ? undefined : { ...definition, trigger: onEachNode };
}
