import { NO_RUNS, type JobRecord } from '../model/job.js';
import type { RunRef } from '../model/notice.js';
import type { ErrorInfo, RunningRun, RunOutcome, RunRecord, WaitingRun } from '../model/run.js';
import type { EpochMs } from '../ports/trigger.js';
import { toWaiting } from './decide.js';
import { Draft, type ActContext, type Decision } from './draft.js';
import { retryDelay } from './retry.js';
import { quarantine, settle } from './settle.js';

/** Which start of which run: only the holder of this token may change it. */
export interface RunToken {
  readonly id: string;
  readonly token: number;
}

/** The run as its holder sees it, or `undefined` when it is no longer theirs (lease lost, taken over, finished). */
export function heldRun(record: JobRecord, held: RunToken): RunningRun | undefined {
  const { runs } = record.state;
  const first = runs[0];
  if (first?.state === 'running' && first.token === held.token && first.id === held.id) return first;
  if (runs.length < 2) return undefined;
  for (const run of runs) {
    if (run.state === 'running' && run.token === held.token && run.id === held.id) return run;
  }
  return undefined;
}

/** The record after a run ended; `undefined` when the run is no longer this holder's to finish. */
export function finishRun(
  record: JobRecord,
  held: RunToken,
  outcome: RunOutcome,
  context: ActContext,
): Decision | undefined {
  const run = heldRun(record, held);
  if (run === undefined) return undefined;
  const draft = new Draft(record, context);
  let waiting: WaitingRun | null = null;
  switch (outcome.kind) {
    case 'succeeded':
      draft.writeRun('succeeded', null, run, null, outcome.result);
      break;
    case 'cancelled':
      draft.writeRun('cancelled', outcome.reason, run, outcome.error);
      draft.note({ type: 'jobCancelled', reason: outcome.reason, ...refTo(run) });
      break;
    case 'failed': {
      const { retry } = record.definition.policy;
      const again = retry !== null && outcome.retryable && run.attempt - run.crashes < retry.maxAttempts;
      if (again && run.abort === null && record.state.status !== 'removed') {
        const retryAt = context.now + retryDelay(retry, run.id, run.attempt - run.crashes);
        waiting = { ...toWaiting(run, retryAt), cause: 'retry' };
        draft.note({ type: 'jobRetry', retryAt, error: outcome.error, ...refTo(run) });
      } else {
        draft.writeRun('failed', outcome.timedOut ? 'timeout' : null, run, outcome.error);
      }
      break;
    }
    case 'refused':
      return refuseRun(draft, run, outcome.args, outcome.error);
    default:
      outcome satisfies never;
  }
  draft.runs = replaceRun(draft.runs, run, waiting);
  return settle(draft, draft.state());
}

/**
 * A run whose task cannot take its arguments. Those of a job stay what they are until somebody mends them: the job goes
 * into quarantine, and the run waits as if it had never begun. Who asked for a run by name is told at once.
 */
function refuseRun(draft: Draft, run: RunningRun, args: readonly unknown[], error: ErrorInfo): Decision {
  const { definition, state } = draft.record;
  const { status } = state;
  let waiting: WaitingRun | null = null;
  if (run.abort !== null || (status === 'removed' && !run.manual)) {
    const reason = run.abort ?? 'removed';
    draft.writeRun('cancelled', reason, run, error);
    draft.note({ type: 'jobCancelled', reason, ...refTo(run) });
  } else if (run.manual) {
    draft.writeRun('failed', 'invalid-arguments', run, error);
  } else {
    const attempt = run.attempt - 1;
    waiting = { ...toWaiting(run, draft.now), attempt, cause: attempt === 0 ? 'queued' : 'retry' };
  }
  draft.runs = replaceRun(draft.runs, run, waiting);
  // A paused job keeps its status, lest it fire once it is mended; it comes to this again when it is resumed. Arguments
  // that are not the very same may have been mended by now: the run begins again, and it shows.
  const isAtFault = run.args === null && definition.args === args;
  return status === 'active' && isAtFault ? quarantine(draft, error.message) : settle(draft, draft.state());
}

/** The record with the run's lease pushed out; `undefined` when it is no longer this holder's. */
export function renewRun(record: JobRecord, held: RunToken, leaseUntil: EpochMs): JobRecord | undefined {
  const run = heldRun(record, held);
  if (run === undefined) return undefined;
  const runs = replaceRun(record.state.runs, run, { ...run, leaseUntil });
  return { ...record, state: { ...record.state, runs } };
}

/**
 * The record with no lease that ends after `latest`: one was written while the clock was ahead. `undefined` when there
 * is none. A holder that lives renews it in time; one that does not is found out as late as any other.
 */
export function clampLeases(record: JobRecord, latest: EpochMs): JobRecord | undefined {
  let clamped = false;
  const runs = record.state.runs.map((run) => {
    if (run.state !== 'running' || run.leaseUntil === null || run.leaseUntil <= latest) return run;
    clamped = true;
    return { ...run, leaseUntil: latest };
  });
  return clamped ? { ...record, state: { ...record.state, runs } } : undefined;
}

/**
 * The record after its holder gave the run back unfinished (shutdown): `onCrash` says whether it is taken up
 * again at once, by whoever is first, or cancelled. Giving back is no crash, so it does not count as one.
 */
export function releaseRun(
  record: JobRecord,
  held: RunToken,
  reason: string,
  context: ActContext,
): Decision | undefined {
  const run = heldRun(record, held);
  if (run === undefined) return undefined;
  const draft = new Draft(record, context);
  const { onCrash } = record.definition.policy;
  const again = onCrash === 'retry' && run.abort === null && record.state.status !== 'removed';
  if (again) {
    draft.note({ type: 'jobAbandoned', owner: context.node, retried: true, ...refTo(run) });
  } else {
    const why = run.abort ?? reason;
    draft.writeRun('cancelled', why, run, null);
    draft.note({ type: 'jobCancelled', reason: why, ...refTo(run) });
  }
  draft.runs = replaceRun(draft.runs, run, again ? toWaiting(run, context.now) : null);
  return settle(draft, draft.state());
}

function refTo(run: RunRecord): RunRef {
  return { runId: run.id, scheduledFor: run.scheduledFor, attempt: run.attempt };
}

function replaceRun(runs: readonly RunRecord[], run: RunRecord, next: RunRecord | null): readonly RunRecord[] {
  // Mostly there is one.
  if (runs.length === 1) return next === null ? NO_RUNS : [next];
  return replaceAmong(runs, run, next);
}

function replaceAmong(runs: readonly RunRecord[], run: RunRecord, next: RunRecord | null): readonly RunRecord[] {
  return next === null ? runs.filter((r) => r !== run) : runs.map((r) => (r === run ? next : r));
}
