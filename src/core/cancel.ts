import type { JobRecord } from '../model/job.js';
import type { RunRecord } from '../model/run.js';
import { Draft, type Decision } from './draft.js';
import type { ActContext } from './finish.js';
import { settle } from './settle.js';

/**
 * The record with one of its runs called off; `undefined` when it has no such run, or that is asked to stop already. One
 * that waits gets its verdict at once. One that runs is asked to stop, and has its verdict from whoever holds it.
 */
export function cancelRun(record: JobRecord, runId: string, reason: string, context: ActContext): Decision | undefined {
  const draft = new Draft(record, context.now, context.node);
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
  if (!found) return undefined;
  draft.runs = runs;
  return settle(draft, draft.state());
}
