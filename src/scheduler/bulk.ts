import type { Decision } from '../core/draft.js';
import { isPunctualError } from '../errors/base.js';
import { StoreFailedError } from '../errors/scheduler-errors.js';
import type { JobDefinition, JobRecord } from '../model/job.js';
import type { Clock } from '../ports/clock.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { MaybePromise, StoredJob } from '../ports/job-store.js';
import { changeJob, type JobChangeResult } from './job-changes.js';
import { takePlace } from './job-directory.js';
import type { JobFactory } from './job-factory.js';
import type { Reporter } from './reporter.js';
import type { StoreLoop } from './store-loop.js';

/** What a scheduler lends to those that add and change many jobs at once. */
export interface Bulk {
  readonly node: string;
  readonly clock: Clock;
  readonly codec: JobCodec;
  readonly factory: JobFactory;
  readonly reporter: Reporter;
  /** Refuses a definition whose arguments its task would refuse. */
  readonly check: (definition: JobDefinition) => MaybePromise<void>;
  /** The loop of a store, opened. @throws UnknownStoreError, and what the store throws. */
  readonly open: (alias: string) => Promise<StoreLoop>;
  /** A job was added: says so, and sees that it fires. */
  readonly admit: (loop: StoreLoop, stored: StoredJob, replaced: boolean) => void;
}

const BATCH = 1_000;
/** Reads under way at one time: enough to hide the way to a database, few enough for its pool. */
const READS = 64;
/** Times that a job may come and go between two steps before that is reported instead. */
const MAX_ATTEMPTS = 20;

/** The records with these ids, those of removed jobs included. */
export async function readMany(loop: StoreLoop, ids: readonly string[]): Promise<Map<string, StoredJob>> {
  const found = new Map<string, StoredJob>();
  for (let at = 0; at < ids.length; at += READS) {
    const answers = await Promise.all(ids.slice(at, at + READS).map(async (id) => loop.access.get(id)));
    for (const stored of answers) if (stored !== undefined) found.set(stored.record.id, stored);
  }
  return found;
}

/** Adds the records whose id is free, and answers their ids. */
export async function insertMany(bulk: Bulk, loop: StoreLoop, records: readonly JobRecord[]): Promise<Set<string>> {
  const added = new Set<string>();
  for (let at = 0; at < records.length; at += BATCH) {
    for (const stored of await loop.access.insert(records.slice(at, at + BATCH))) {
      if (stored === undefined) continue;
      added.add(stored.record.id);
      bulk.admit(loop, stored, false);
    }
  }
  return added;
}

/**
 * Adds a job, or changes the one that has its id: whichever others leave to be done.
 *
 * @param makeFresh - the job as it would be added.
 * @param change - as of `changeJob`.
 * @returns what a change did; `undefined` when the job was added.
 * @throws StoreFailedError, and what `makeFresh` and `change` throw.
 */
export async function addOrChange(
  bulk: Bulk,
  loop: StoreLoop,
  id: string,
  makeFresh: () => JobRecord,
  change: (record: JobRecord) => Decision | undefined,
): Promise<JobChangeResult | undefined> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    try {
      return await changeJob(loop, bulk.clock, id, undefined, change);
    } catch (error) {
      if (!isPunctualError(error, 'JOB_NOT_FOUND')) throw error;
    }
    try {
      const fresh = makeFresh();
      const addition = { fresh, paused: false, replaceExisting: false, remake: () => fresh.definition };
      const { stored } = await takePlace(loop, addition, bulk.node);
      bulk.admit(loop, stored, false);
      return undefined;
    } catch (error) {
      if (!isPunctualError(error, 'CONFLICTING_JOB_ID')) throw error;
    }
  }
  throw new StoreFailedError('add a job', loop.access.alias, new Error(`job "${id}" came and went ${MAX_ATTEMPTS} times`));
}
