import { ConflictingJobIdError, JobNotFoundError, NeverFiresError } from '../errors/job-errors.js';
import { StoreFailedError, UnknownStoreError } from '../errors/scheduler-errors.js';
import { modifyJob, newRecord, rescheduleJob, reviveRecord, withStatus } from '../core/edit.js';
import type { Decision } from '../core/draft.js';
import { nodeDefinition } from '../core/each-node.js';
import { replacedLinks, withLinks } from '../core/links/links.js';
import { awaitsEvent } from '../core/settle.js';
import { InvalidTriggerError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { JobDefinition, JobRecord, JobStatus } from '../model/job.js';
import { isWaiting } from '../model/links.js';
import type { JobWriter, StoredJob } from '../ports/job-store.js';
import type { NewJob } from './job-factory.js';
import type { Dependencies } from './links/dependencies.js';
import { refuseFollowedOnEachNode } from './links/linking.js';
import { nonEmpty } from './policy.js';
import type { StoreLoop } from './store-loop.js';

/** Selects jobs. Everything given must hold. */
export interface JobListQuery {
  /** Has all of these tags. */
  readonly tags?: readonly string[] | undefined;
  /** Name of the task. */
  readonly task?: string | undefined;
  /** The set of definitions it belongs to, as given to `sync`. */
  readonly owner?: string | undefined;
  readonly status?: Exclude<JobStatus, 'removed'> | readonly Exclude<JobStatus, 'removed'>[] | undefined;
  /** Overdue jobs only (`expect`), as `jobOverdue` told of them. */
  readonly overdue?: boolean | undefined;
  /** Occurs in the id, the name or the task, whatever the case. */
  readonly text?: string | undefined;
  /** Alias of the store. Default: all, one after another. */
  readonly jobStore?: string | undefined;
  /** Jobs at most; then `nextCursor` says where to go on. Default: all. */
  readonly limit?: number | undefined;
  /** Where a page before this one ended. */
  readonly cursor?: string | undefined;
}

export const VISIBLE: readonly Exclude<JobStatus, 'removed'>[] = ['active', 'paused', 'quarantined'];

/** Attempts to add one job against others who add and remove the same id. */
const MAX_ATTEMPTS = 20;

/** @throws InvalidOptionError */
export function checkSelector(id: unknown, options: object, keys: readonly string[]): void {
  nonEmpty(id, 'id');
  refuseUnknownKeys(options, '', keys);
}

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

/** A job about to be added. */
export interface Addition {
  readonly fresh: JobRecord;
  readonly paused: boolean;
  readonly replaceExisting: boolean;
  /** Its definition with the anchor of the job whose place it takes, to see whether the trigger is the same. */
  readonly remake: (anchor: number) => JobDefinition;
  /** What it waits for before it begins. */
  readonly dependencies?: Dependencies | undefined;
}

/**
 * Adds a job whose id was found taken: in the place of the one that has it, if it may be, or of one that was removed, of
 * which it answers what was `left`.
 *
 * @throws ConflictingJobIdError, NeverFiresError, StoreFailedError
 */
export async function takePlace(
  loop: StoreLoop,
  addition: Addition,
  node: string,
  writer: JobWriter = loop.access,
): Promise<{ stored: StoredJob; replaced: JobRecord | null; left: JobRecord | null }> {
  const { access } = loop;
  const { fresh, replaceExisting } = addition;
  const { id } = fresh;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const existing = await writer.get(id);
    if (existing === undefined) {
      // It went away in the meantime.
      const [stored] = await writer.insert([fresh]);
      if (stored !== undefined) return { stored, replaced: null, left: null };
      continue;
    }
    const { record } = existing;
    const isTombstone = record.state.status === 'removed';
    if (!isTombstone && !replaceExisting) throw new ConflictingJobIdError(id);
    const decision = isTombstone
      ? { next: reviveRecord(record, fresh), start: [], ledger: [], notices: [] }
      : replaceRecord(record, addition, { now: loop.now(), node });
    const { next } = decision;
    const [revision] = await writer.commit([{ id, expected: existing.revision, next, ledger: decision.ledger }]);
    if (revision === undefined) continue;
    // What is in a transaction of the user's may never come true.
    if (writer === access) loop.publish(next, decision, record);
    return { stored: { record: next, revision }, replaced: isTombstone ? null : record, left: isTombstone ? record : null };
  }
  throw new StoreFailedError('add a job', access.alias, new Error(`${MAX_ATTEMPTS} attempts to add job "${id}" met other changes of it`));
}

/** @throws NeverFiresError unless it is added paused: a parked job is what such expressions are used for. */
export function newJobRecord({ id, definition }: NewJob, paused: boolean, now: number): JobRecord {
  const record = firstRecord(id, definition, paused, now);
  if (!paused && asking(definition, () => isSpent(record))) {
    throw new NeverFiresError(id, `${definition.trigger.kind} trigger ${JSON.stringify(definition.trigger)}`);
  }
  return record;
}

/** @throws InvalidTriggerError when what the trigger answers is no fire time. */
export function firstRecord(id: string, definition: JobDefinition, paused: boolean, now: number): JobRecord {
  return asking(definition, () => newRecord(id, definition, paused, now));
}

/** @throws InvalidTriggerError when what the trigger of the definition answers is no fire time. */
export function asking<T>(definition: JobDefinition, plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InvalidTriggerError(`Invalid trigger: ${error.message}.`, definition.trigger, { cause: error });
  }
}

/** Whether a record is gone for its users, or altogether. */
export function isGone(record: JobRecord | null | undefined): record is null | undefined | (JobRecord & { readonly state: { readonly status: 'removed' } }) {
  return record == null || record.state.status === 'removed';
}

/** Whether nothing is left of a job that could still happen by itself. */
export function isSpent(record: JobRecord): boolean {
  return record.state.runs.length === 0 && hasNoFireTime(record);
}

/** Whether its schedule is over. One that each node follows by itself is judged by when it began. */
export function hasNoFireTime({ id, state, definition }: JobRecord): boolean {
  const own = nodeDefinition(definition);
  if (own !== undefined) return hasNoFireTime(newRecord(id, own, false, state.generation));
  return state.nextFireTime === null && !awaitsEvent(definition);
}

/** The new definition in the old one's place: an unchanged trigger keeps its next fire time, so a restart delays nothing. */
function replaceRecord(
  record: JobRecord,
  { fresh, paused, remake }: Addition,
  context: { readonly now: number; readonly node: string },
): Decision & { readonly next: JobRecord } {
  // Whose set it is in is no part of what it is replaced with.
  const { owner } = record.definition;
  const definition: JobDefinition = { ...fresh.definition, owner };
  const same: JobDefinition = { ...remake(record.definition.anchor), owner };
  refuseFollowedOnEachNode(record, definition);
  // One that waited, and need not any more, begins now.
  const begins = isWaiting(record.state) && !isWaiting(fresh.state);
  const unchanged =
    !begins && JSON.stringify(same.trigger) === JSON.stringify(record.definition.trigger) && record.state.status !== 'quarantined';
  const decision = unchanged
    ? modifyJob(record, same, context)
    : asking(definition, () => rescheduleJob(record, definition, context));
  const { next } = decision;
  const status = paused ? 'paused' : record.state.status === 'quarantined' ? 'active' : record.state.status;
  if (isGone(next) || (status === 'active' && isSpent(next))) {
    throw new NeverFiresError(record.id, `${definition.trigger.kind} trigger ${JSON.stringify(definition.trigger)}`);
  }
  const links = replacedLinks(next.state.links, fresh.state.links, !unchanged);
  const linked = links === next.state.links ? next : { ...next, state: withLinks(next.state, links) };
  return status === next.state.status ? { ...decision, next: linked } : withStatus(decision, linked, status, context);
}
