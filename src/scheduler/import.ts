import { arrivedRecord, replaceByArrived } from '../core/arrival.js';
import { InvalidOptionError } from '../errors/errors.js';
import { ConflictingJobIdError } from '../errors/job-errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { JobRecord } from '../model/job.js';
import { addOrChange, insertMany, readMany, type Bulk } from './bulk.js';
import { firstRecord, isGone } from './job-directory.js';
import { requireAlarms } from './job-factory.js';
import { refuseCycles } from './links/cycles.js';
import { refuseFollowedOnEachNode } from './links/linking.js';
import { flag, nonEmpty, oneOf } from './policy.js';
import { readExport, type ReadJob } from './read-export.js';
import type { StoreLoop } from './store-loop.js';

/** How jobs are imported. */
export interface ImportOptions {
  /** Alias of the store that gets them all. Default: for each job the store with the alias it came from. */
  readonly jobStore?: string | undefined;
  /**
   * What becomes of a job whose id is taken. `'error'` (default): nothing is imported. `'replace'`: it takes the place of
   * the one there is, whose live runs go on. `'keep'`: the one there is stays as it is.
   */
  readonly onConflict?: 'error' | 'replace' | 'keep' | undefined;
  /** Only say what would be done. Default `false`. */
  readonly dryRun?: boolean | undefined;
}

/** What became of the jobs of an import: each id is in one of `added`, `replaced`, `kept` and `completed`. */
export interface ImportResult {
  readonly added: readonly string[];
  readonly replaced: readonly string[];
  /** Left as they were (`onConflict: 'keep'`). */
  readonly kept: readonly string[];
  /** Come to their end: no fire time is left of them but those that had a run where they came from, or here. */
  readonly completed: readonly string[];
  /** Of those added or replaced: in quarantine, because they were, or cannot be read here, or their trigger fails. */
  readonly quarantined: readonly string[];
}

type Outcome = Exclude<keyof ImportResult, 'quarantined'>;

interface Arrival {
  readonly record: JobRecord;
  /** In quarantine since it came here. */
  readonly isUnreadable: boolean;
  readonly index: number;
}

/** See `Scheduler.importJobs`. */
export async function importJobs(bulk: Bulk, data: unknown, options: ImportOptions): Promise<ImportResult> {
  refuseUnknownKeys(options, '', ['jobStore', 'onConflict', 'dryRun']);
  const into = options.jobStore === undefined ? undefined : nonEmpty(options.jobStore, 'jobStore');
  const onConflict = options.onConflict === undefined ? 'error' : oneOf(options.onConflict, 'onConflict', ['error', 'replace', 'keep'] as const);
  const dryRun = flag(options.dryRun, 'dryRun');
  const read = readExport(data, bulk.codec);
  const outcomes = new Array<Outcome>(read.length);
  const quarantined = new Set<number>();

  const imports: StoreImport[] = [];
  for (const [loop, jobs] of await byStore(bulk, read, into)) {
    const arrivals: Arrival[] = [];
    for (const [index, { record: exported }] of jobs) {
      const from = placed(bulk, loop, exported);
      const record = arrivedRecord(from, loop.now());
      if (record === undefined) outcomes[index] = 'completed';
      else arrivals.push({ record, isUnreadable: record.state.status === 'quarantined' && from.state.status !== 'quarantined', index });
      if (record?.state.status === 'quarantined') quarantined.add(index);
    }
    // So that nothing is imported when one of them cannot be stored.
    if (loop.access.store.durable) for (const { record } of arrivals) bulk.codec.encodeDefinition(record);
    imports.push({ loop, arrivals, taken: await takenIds(loop, arrivals, onConflict === 'replace') });
  }
  const conflicts = imports.flatMap(({ taken }) => [...taken]);
  const [first, ...others] = conflicts;
  if (onConflict === 'error' && first !== undefined) throw new ConflictingJobIdError([first, ...others], ADVICE);

  for (const { loop, arrivals } of imports) {
    const arriving = new Map(arrivals.map(({ record }) => [record.id, record]));
    await refuseCycles([...arriving.values()], async (id) => arriving.get(id) ?? (await loop.access.get(id))?.record);
  }

  for (const { loop, arrivals, taken } of imports) {
    const fresh = arrivals.filter(({ record }) => !taken.has(record.id));
    const added = dryRun ? new Set(fresh.map(({ record }) => record.id)) : await insertMany(bulk, loop, fresh.map(({ record }) => record));
    for (const arrival of arrivals) {
      const { id } = arrival.record;
      const wouldBe = onConflict === 'replace' ? 'replaced' : 'kept';
      const outcome = added.has(id) ? 'added' : dryRun ? wouldBe : await settle(bulk, loop, arrival.record, onConflict);
      outcomes[arrival.index] = outcome;
      // What it follows is told of it now, rather than when it is looked for.
      if (!dryRun && arrival.record.state.links !== undefined) await loop.courier.check(id);
      if (outcome === 'kept' || outcome === 'completed') quarantined.delete(arrival.index);
      else if (arrival.isUnreadable && !dryRun) {
        bulk.reporter.job(arrival.record, loop.access.alias, { type: 'jobQuarantined', reason: arrival.record.state.reason ?? '' });
      }
    }
  }
  const ids = (wanted: (index: number) => boolean): string[] => read.flatMap(({ record }, index) => (wanted(index) ? [record.id] : []));
  const having = (outcome: Outcome): string[] => ids((index) => outcomes[index] === outcome);
  return {
    added: having('added'),
    replaced: having('replaced'),
    kept: having('kept'),
    completed: having('completed'),
    quarantined: ids((index) => quarantined.has(index)),
  };
}

/** The record as it stands in this store. A schedule that was each node's and becomes the store's, or the reverse, begins now. */
function placed(bulk: Bulk, loop: StoreLoop, record: JobRecord): JobRecord {
  const { id, state } = record;
  if (record.definition.trigger.unreadable !== undefined) return record;
  requireAlarms(record.definition.policy, loop.access.store);
  const definition = bulk.factory.placed(record.definition, record.definition.policy.exclusive || !loop.access.store.shared);
  if (definition === record.definition) return record;
  const { nextFireTime, nextDueAt } = firstRecord(id, definition, false, loop.now()).state;
  return { id, definition, state: { ...state, nextFireTime, nextDueAt } };
}

interface StoreImport {
  readonly loop: StoreLoop;
  readonly arrivals: readonly Arrival[];
  /** Ids that a job has already. */
  readonly taken: ReadonlySet<string>;
}

const ADVICE = "Nothing was imported. Say what becomes of them: `onConflict: 'replace'` or `'keep'`.";

/** The jobs for each store, with the index of each in the document. @throws InvalidOptionError, UnknownStoreError */
async function byStore(bulk: Bulk, read: readonly ReadJob[], into: string | undefined): Promise<Map<StoreLoop, Map<number, ReadJob>>> {
  const loops = new Map<string, StoreLoop>();
  const jobs = new Map<StoreLoop, Map<number, ReadJob>>();
  const seen = new Map<StoreLoop, Set<string>>();
  for (const [index, job] of read.entries()) {
    const alias = into ?? job.jobStore;
    const loop = loops.get(alias) ?? (await bulk.open(alias));
    loops.set(alias, loop);
    const ids = seen.get(loop) ?? new Set();
    if (ids.has(job.record.id)) throw new InvalidOptionError(`${job.path}.id`, job.record.id, 'an id that no other job for the same store has');
    seen.set(loop, ids.add(job.record.id));
    const own = jobs.get(loop) ?? new Map<number, ReadJob>();
    jobs.set(loop, own.set(index, job));
  }
  return jobs;
}

async function takenIds(loop: StoreLoop, arrivals: readonly Arrival[], replaces: boolean): Promise<Set<string>> {
  const existing = await readMany(loop, arrivals.map(({ record }) => record.id));
  for (const { record } of replaces ? arrivals : []) {
    const current = existing.get(record.id)?.record;
    if (current !== undefined) refuseFollowedOnEachNode(current, record.definition);
  }
  return new Set([...existing.values()].flatMap(({ record }) => (record.state.status === 'removed' ? [] : [record.id])));
}

/** One whose id was found taken, by a job or by what is left of one. */
async function settle(bulk: Bulk, loop: StoreLoop, arrived: JobRecord, onConflict: 'error' | 'replace' | 'keep'): Promise<Outcome> {
  const { id } = arrived;
  const result = await addOrChange(
    bulk,
    loop,
    id,
    () => arrived,
    (record) => {
      if (onConflict === 'error') throw new ConflictingJobIdError(id);
      return onConflict === 'keep' ? undefined : replaceByArrived(record, arrived, { now: loop.now(), node: bulk.node });
    },
  );
  if (result === undefined) return 'added';
  if (result.decision === undefined) return 'kept';
  if (result.stored === undefined || isGone(result.stored.record)) return 'completed';
  bulk.admit(loop, result.stored, true);
  return 'replaced';
}
