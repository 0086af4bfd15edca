import type { Decision } from '../core/draft.js';
import { JobChangedError, JobNotFoundError } from '../errors/job-errors.js';
import { StoreFailedError } from '../errors/scheduler-errors.js';
import { wakeAt, type JobRecord } from '../model/job.js';
import type { Clock } from '../ports/clock.js';
import type { MaybePromise, Revision, StoredJob } from '../ports/job-store.js';
import { isThenable } from '../time/thenable.js';
import { BackOff } from './back-off.js';
import type { StoreLoop } from './store-loop.js';

/** Attempts at one change before the contention is reported instead. With back-off that is more than half a minute. */
const MAX_ATTEMPTS = 30;
/** Of these the first few follow at once. */
const ATTEMPTS_WITHOUT_WAIT = 5;

export interface JobChangeResult {
  /** As it is now; `undefined` when the change deleted it. */
  readonly stored: StoredJob | undefined;
  readonly record: JobRecord;
  /** `undefined` when there was nothing to change. */
  readonly decision: Decision | undefined;
}

/**
 * Reads a job, changes it, and writes it if nobody else did in the meantime; else does so again.
 *
 * @param change - answers `undefined` when there is nothing to change.
 * @param check - asked before each attempt, and waited for: what it throws, the caller gets.
 * @param ifRevision - gives up with an error unless the job still has this revision.
 * @throws JobNotFoundError, JobChangedError, StoreFailedError, and what `change` throws.
 */
export async function changeJob(
  loop: StoreLoop,
  clock: Clock,
  id: string,
  ifRevision: Revision | undefined,
  change: (record: JobRecord) => Decision | undefined,
  check?: (record: JobRecord) => MaybePromise<void>,
): Promise<JobChangeResult> {
  const result = await changeRecord(loop, clock, id, (record, revision) => {
    if (record.state.status === 'removed') throw new JobNotFoundError(id, loop.access.alias);
    if (ifRevision !== undefined && revision !== ifRevision) throw new JobChangedError(id);
    return change(record);
  }, check);
  if (result === undefined) throw new JobNotFoundError(id, loop.access.alias);
  return result;
}

/** The same for a record that may be gone for its users, or gone altogether (`undefined`). */
export async function changeRecord(
  loop: StoreLoop,
  clock: Clock,
  id: string,
  change: (record: JobRecord, revision: Revision) => Decision | undefined,
  check?: (record: JobRecord) => MaybePromise<void>,
): Promise<JobChangeResult | undefined> {
  const { access } = loop;
  let backOff: BackOff | undefined;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const read = access.get(id);
    const stored = isThenable(read) ? await read : read;
    if (stored === undefined) return undefined;
    const { record } = stored;
    const checking = check?.(record);
    if (isThenable(checking)) await checking;
    const decision = change(record, stored.revision);
    if (decision === undefined) return { stored, record, decision };
    const askedAt = clock.monotonic();
    const answer = access.commit([{ id, expected: stored.revision, next: decision.next, ledger: decision.ledger }]);
    const [revision] = isThenable(answer) ? await answer : answer;
    if (revision !== undefined) {
      loop.apply(record, decision, revision, askedAt);
      const { next } = decision;
      if (loop.nodeJobs !== undefined) await loop.nodeJobs.tell(record, next);
      if (next === null) return { stored: undefined, record, decision };
      loop.expect(wakeAt(next));
      return { stored: { record: next, revision }, record: next, decision };
    }
    backOff ??= new BackOff(`${loop.planContext().node}/${id}`);
    const delay = backOff.next();
    if (attempt >= ATTEMPTS_WITHOUT_WAIT) await new Promise<void>((resolve) => { clock.setTimer(delay / 10, resolve); });
  }
  throw new StoreFailedError('change job', access.alias, new Error(`${MAX_ATTEMPTS} attempts to change job "${id}" met other changes of it`));
}
