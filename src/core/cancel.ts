import type { JobRecord } from '../model/job.js';
import type { RunRecord } from '../model/run.js';
import { Draft, type ActContext, type Decision } from './draft.js';
import { dueAt, nextFire } from './fires.js';
import { scheduleOf } from './links/links.js';
import { settle } from './settle.js';

/**
 * The record with one of its runs called off; `undefined` when it has no such run, or that is asked to stop already. One
 * that waits, or is the next to come, gets its verdict at once. One that runs is asked to stop, and has its verdict from
 * whoever holds it.
 */
export function cancelRun(record: JobRecord, runId: string, reason: string, context: ActContext): Decision | undefined {
  const draft = new Draft(record, context);
  const runs: RunRecord[] = [];
  let found = false;
  for (const run of draft.runs) {
    if (run.id !== runId || (run.state === 'running' && run.abort !== null)) {
      runs.push(run);
      continue;
    }
    found = true;
    if (run.state === 'running') {
      runs.push({ ...run, abort: reason });
      continue;
    }
    const { scheduledFor, attempt } = run;
    draft.writeRun('cancelled', reason, run, null);
    draft.note({ type: 'jobCancelled', reason, runId, scheduledFor, attempt });
  }
  if (!found) return cancelNext(draft, runId, reason);
  draft.runs = runs;
  return settle(draft, draft.state());
}

/** The run of the fire time that comes next: none begins, and the one after it is next. @throws what the trigger throws. */
function cancelNext(draft: Draft, runId: string, reason: string): Decision | undefined {
  const { id, state } = draft.record;
  const definition = scheduleOf(draft.record);
  const fire = state.nextFireTime;
  const fires = state.status === 'active' || state.status === 'paused';
  if (!fires || fire === null || runId !== `${id}@${fire}`) return undefined;
  const ref = { scheduledFor: fire, attempt: 0 };
  draft.writeRun('cancelled', reason, { ...ref, state: 'waiting', id: runId, manual: false, catchUp: false, crashes: 0, args: null, cause: 'queued', readyAt: fire }, null);
  draft.note({ type: 'jobCancelled', reason, runId, ...ref });
  const next = definition.trigger.nextAfterCompletion === undefined ? nextFire(definition, fire) : null;
  const nextDueAt = next === null ? null : dueAt(id, definition, next);
  return settle(draft, draft.state({ nextFireTime: next, nextDueAt, lastFireTime: fire }));
}
