import type { CancelRequest, JobDefinition, JobRecord } from '../model/job.js';
import type { EpochMs } from '../ports/trigger.js';
import type { ActContext, Decision } from './draft.js';
import { nextFire } from './fires.js';

/** How long a request stays, and for how long after its fire time, for nodes that are late. */
const ASKED_FOR_MS = 3_600_000;
/** Requests that a record keeps; the oldest goes first. */
const MOST_REQUESTS = 100;

/** A job that runs on each node, as a node follows it; `undefined` for a job of which one node takes each fire time. */
export function nodeDefinition(definition: JobDefinition): JobDefinition | undefined {
  const { onEachNode } = definition.trigger;
  return onEachNode === undefined ? undefined : { ...definition, trigger: onEachNode };
}

/**
 * The record of a job that each node runs, with the request to call off the run of a fire time. `undefined` for any other
 * job, for a run that somebody asked for (each node numbers its own), for a fire time that others come before (no node would
 * take notice of that), and when the nodes have been asked already. @throws what the trigger throws.
 */
export function askNodesToCancel(record: JobRecord, runId: string, reason: string, { now }: ActContext): Decision | undefined {
  const { id, definition, state } = record;
  if (definition.trigger.onEachNode === undefined || state.status === 'removed' || !runId.startsWith(`${id}@`)) return undefined;
  const fireTime = ({ length }: string, run: string): EpochMs => Number(run.slice(length + 1));
  const asked = (state.cancels ?? []).filter((request) => Math.max(request.at, fireTime(id, request.runId)) > now - ASKED_FOR_MS);
  const isAsked = (run: string): boolean => asked.some((request) => request.runId === run);
  if (isAsked(runId)) return undefined;
  const at = fireTime(id, runId);
  const own = nodeDefinition(definition) ?? definition;
  // What is measured from the end of a run comes at another time on each node.
  if (at > now && own.trigger.nextAfterCompletion === undefined) {
    let next = nextFire(own, now);
    while (next !== null && isAsked(`${id}@${next}`)) next = nextFire(own, next);
    if (next !== null && at > next) return undefined;
  }
  const cancels: readonly CancelRequest[] = [...asked, { runId, reason, at: now }].slice(-MOST_REQUESTS);
  return { next: { ...record, state: { ...state, cancels } }, start: [], ledger: [], notices: [] };
}

/** What a node that knew the record as `known` has not been asked before. */
export function newCancels(record: JobRecord, known: JobRecord | undefined): readonly CancelRequest[] {
  const before = known?.state.cancels ?? [];
  return (record.state.cancels ?? []).filter(({ runId, at }) => !before.some((old) => old.runId === runId && old.at === at));
}
