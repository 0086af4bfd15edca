import { ConflictingJobIdError, JobNotFoundError, NeverFiresError } from '../errors/job-errors.js';
import { StoreFailedError, UnknownStoreError } from '../errors/scheduler-errors.js';
import { modifyJob, newRecord, rescheduleJob, reviveRecord } from '../core/edit.js';
import type { Decision } from '../core/draft.js';
import { wakeAt, type JobDefinition, type JobRecord, type JobStatus } from '../model/job.js';
import type { StoredJob } from '../ports/job-store.js';
import { isThenable } from './maybe-promise.js';
import type { NewJob } from './job-factory.js';
import type { StoreLoop } from './store-loop.js';

/** Selects jobs. Everything given must hold. */
export interface JobListQuery {
  /** Has all of these tags. */
  readonly tags?: readonly string[] | undefined;
  /** Name of the task. */
  readonly task?: string | undefined;
  readonly status?: Exclude<JobStatus, 'removed'> | readonly Exclude<JobStatus, 'removed'>[] | undefined;
  /** Occurs in the id, the name or the task, whatever the case. */
  readonly text?: string | undefined;
  /** Alias of the store. Default: all, one after another. */
  readonly jobStore?: string | undefined;
  /** Jobs at most; then `nextCursor` says where to go on. Default: all. */
  readonly limit?: number | undefined;
  /** Where a page before this one ended. */
  readonly cursor?: string | undefined;
}

export const VISIBLE: readonly JobStatus[] = ['active', 'paused', 'quarantined'];

/** Attempts to add one job against others who add and remove the same id. */
const MAX_ATTEMPTS = 20;

/** The loops of a scheduler by alias, and what goes for the jobs in all of them. */
export class JobDirectory {
  readonly #loops = new Map<string, StoreLoop>();

  add(loop: StoreLoop): void {
    this.#loops.set(loop.access.alias, loop);
  }

  delete(alias: string): void {
    this.#loops.delete(alias);
  }

  has(alias: string): boolean {
    return this.#loops.has(alias);
  }

  get loops(): readonly StoreLoop[] {
    return [...this.#loops.values()];
  }

  get aliases(): IterableIterator<string> {
    return this.#loops.keys();
  }

  /** @throws UnknownStoreError */
  require(alias: string): StoreLoop {
    const loop = this.#loops.get(alias);
    if (loop === undefined) throw new UnknownStoreError(alias, this.#loops.keys());
    return loop;
  }

  /** The loop whose store has a job. @throws JobNotFoundError, UnknownStoreError */
  async locate(id: string, alias: string | undefined): Promise<StoreLoop> {
    if (alias !== undefined) return this.require(alias);
    for (const loop of this.#loops.values()) {
      if (this.#loops.size === 1) return loop;
      const stored = await loop.access.get(id);
      if (stored !== undefined && stored.record.state.status !== 'removed') return loop;
    }
    throw new JobNotFoundError(id);
  }
}

export interface InsertResult {
  readonly stored: StoredJob;
  readonly replaced: boolean;
}

/**
 * Adds one job, or takes the place of the one with its id.
 *
 * @param remake - the definition as it is with the anchor of the job it replaces, to see whether the trigger is the same.
 * @throws ConflictingJobIdError, NeverFiresError, StoreFailedError
 */
export async function insertJob(
  loop: StoreLoop,
  job: NewJob,
  options: { readonly paused: boolean; readonly replaceExisting: boolean },
  node: string,
  remake: (anchor: number) => JobDefinition,
): Promise<InsertResult> {
  const { access } = loop;
  const { id, definition } = job;
  const fresh = newJobRecord(job, options.paused, loop.now());
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const inserted = access.insert([fresh]);
    const [added] = isThenable(inserted) ? await inserted : inserted;
    if (added !== undefined) {
      loop.expect(wakeAt(fresh));
      return { stored: added, replaced: false };
    }
    const existing = await access.get(id);
    if (existing === undefined) continue; // it went away in the meantime
    const { record } = existing;
    const isTombstone = record.state.status === 'removed';
    if (!isTombstone && !options.replaceExisting) throw new ConflictingJobIdError(id);
    const decision = isTombstone
      ? { next: reviveRecord(record, fresh), start: [], ledger: [], notices: [] }
      : replaceRecord(record, definition, remake, options.paused, { now: loop.now(), node });
    const [revision] = await access.commit([{ id, expected: existing.revision, next: decision.next, ledger: decision.ledger }]);
    if (revision === undefined) continue;
    const { next } = decision;
    loop.publish(next, decision);
    loop.expect(wakeAt(next));
    return { stored: { record: next, revision }, replaced: !isTombstone };
  }
  throw new StoreFailedError('add a job', access.alias, new Error(`${MAX_ATTEMPTS} attempts to add job "${id}" met other changes of it`));
}

/** @throws NeverFiresError unless it is added paused: a parked job is what such expressions are used for. */
export function newJobRecord({ id, definition }: NewJob, paused: boolean, now: number): JobRecord {
  const record = newRecord(id, definition, paused, now);
  if (record.state.nextFireTime === null && !paused) {
    throw new NeverFiresError(id, `${definition.trigger.kind} trigger ${JSON.stringify(definition.trigger)}`);
  }
  return record;
}

/** Whether nothing is left of a job that could still happen by itself. */
export function isSpent({ state }: JobRecord): boolean {
  return state.nextFireTime === null && state.runs.length === 0;
}

/** The new definition in the old one's place: an unchanged trigger keeps its next fire time, so a restart delays nothing. */
function replaceRecord(
  record: JobRecord,
  definition: JobDefinition,
  remake: (anchor: number) => JobDefinition,
  paused: boolean,
  context: { readonly now: number; readonly node: string },
): Decision & { readonly next: JobRecord } {
  const same = remake(record.definition.anchor);
  const unchanged =
    JSON.stringify(same.trigger) === JSON.stringify(record.definition.trigger) && record.state.status !== 'quarantined';
  const decision = unchanged
    ? modifyJob(record, same, context)
    : rescheduleJob(record, definition, context);
  const { next } = decision;
  const status = paused ? 'paused' : record.state.status === 'quarantined' ? 'active' : record.state.status;
  if (next === null || (status === 'active' && isSpent(next))) {
    throw new NeverFiresError(record.id, `${definition.trigger.kind} trigger ${JSON.stringify(definition.trigger)}`);
  }
  return { ...decision, next: status === next.state.status ? next : { ...next, state: { ...next.state, status, reason: null } } };
}
