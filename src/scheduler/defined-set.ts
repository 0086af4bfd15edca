import type { Decision } from '../core/draft.js';
import { modifyJob, removeJob, rescheduleJob } from '../core/edit.js';
import { inspectValue, isPunctualError } from '../errors/base.js';
import { InvalidOptionError } from '../errors/errors.js';
import { JobOwnedError, NeverFiresError } from '../errors/job-errors.js';
import { requireObject } from '../errors/options.js';
import type { JobDefinition, JobRecord } from '../model/job.js';
import type { JobCodec } from '../ports/job-codec.js';
import { addOrChange, type Bulk } from './bulk.js';
import { warnOfFalseAlarms } from './expectations.js';
import type { TriggerInput } from './job.js';
import { changeJob } from './job-changes.js';
import { differingFields } from './job-diff.js';
import { firstRecord, isGone, isSpent, VISIBLE } from './job-directory.js';
import { checkKeys, SPEC_KEYS, type TaskInput } from './job-factory.js';
import type { JobOptions } from './job-options.js';
import { DEPENDENCY_OPTIONS } from './links/dependencies.js';
import { refuseFollowedOnEachNode } from './links/linking.js';
import { flag, nonEmpty } from './policy.js';
import { isOver, withoutPast } from './past-fires.js';
import type { StoreLoop } from './store-loop.js';
import type { SyncChange, SyncCreation } from './sync-plan.js';

const PAGE = 1_000;
const AFTER = 'no such option: the trigger of a job that follows others is after()';
const REFUSED: Readonly<Record<string, string>> = { dependsOn: AFTER, onDependencyFailure: AFTER };

/** One definition for `sync`: as of `addJobs`, with an id. `paused` counts when the job is added, and not after. */
export type SyncJob = Omit<JobOptions, 'id' | 'jobStore' | 'replaceExisting' | 'dependsOn' | 'onDependencyFailure'> & {
  readonly id: string;
  readonly task: TaskInput;
  readonly trigger: TriggerInput;
  readonly args?: readonly unknown[] | undefined;
};

/** A definition, checked. */
export interface Wanted {
  readonly id: string;
  readonly fresh: JobRecord;
  readonly paused: boolean;
  /** Its schedule is over: all its fire times have passed, and what came up last has had its run. */
  readonly isOver: boolean;
  /** Its definition as of a job that was added at `anchor`. */
  readonly remake: (anchor: number) => JobDefinition;
}

/** What is to be done about one definition, or was. `undefined`: nothing. */
export type Step = { readonly create: SyncCreation } | { readonly change: SyncChange } | undefined;

/** The definitions of one owner, and the jobs they stand for. */
export class DefinedSet {
  readonly #bulk: Bulk;
  readonly #loop: StoreLoop;
  readonly #owner: string;
  readonly #adopt: boolean;
  /** Where the store writes records, what it would write is compared. */
  readonly #codec: JobCodec | undefined;

  constructor(bulk: Bulk, loop: StoreLoop, owner: string, adopt: boolean) {
    this.#bulk = bulk;
    this.#loop = loop;
    this.#owner = owner;
    this.#adopt = adopt;
    this.#codec = loop.access.store.durable ? bulk.codec : undefined;
  }

  /** The definitions, all of them checked. @throws as `addJob`. */
  async read(definitions: readonly SyncJob[]): Promise<Wanted[]> {
    if (!Array.isArray(definitions)) throw new InvalidOptionError('definitions', definitions, 'an array of jobs, each with id, task and trigger');
    const byId = new Map<string, Wanted>();
    for (const [index, definition] of (definitions as readonly SyncJob[]).entries()) {
      const path = `definitions[${index}]`;
      const wanted = await this.#readOne(definition, path);
      if (byId.has(wanted.id)) throw new InvalidOptionError(`${path}.id`, wanted.id, 'an id that no other definition has');
      byId.set(wanted.id, wanted);
    }
    return [...byId.values()];
  }

  async #readOne(definition: SyncJob, path: string): Promise<Wanted> {
    try {
      const wanted = this.#wanted(definition, path);
      await this.#bulk.check(wanted.fresh.definition);
      const fresh = await withoutPast(this.#loop, wanted.fresh);
      return { ...wanted, fresh, isOver: !wanted.paused && isSpent(fresh) && isOver(fresh, this.#loop.now()) };
    } catch (error) {
      // Of fifty definitions it should be said which.
      if (isPunctualError(error) && !error.message.includes(path)) error.message = `${path} (${inspectValue((definition as { id?: unknown }).id)}): ${error.message}`;
      throw error;
    }
  }

  #wanted(definition: SyncJob, path: string): Omit<Wanted, 'isOver'> {
    requireObject(definition, path);
    const { task, trigger, ...options } = definition;
    const id = nonEmpty(options.id, `${path}.id`);
    const paused = flag(options.paused, `${path}.paused`);
    for (const option of ['jobStore', 'replaceExisting', ...DEPENDENCY_OPTIONS]) {
      if (Object.hasOwn(options, option)) throw new InvalidOptionError(`${path}.${option}`, (options as Record<string, unknown>)[option], REFUSED[option] ?? 'no such option: sync() has one store for all, and changes what is there');
    }
    checkKeys(definition, SPEC_KEYS);
    const now = this.#loop.now();
    const { store } = this.#loop.access;
    const remake = (anchor: number): JobDefinition => {
      const { definition: made } = this.#bulk.factory.create(task, trigger, options, store, anchor);
      return { ...made, owner: this.#owner };
    };
    const fresh = firstRecord(id, remake(now), paused, now);
    // So that nothing is written when one of them cannot be stored.
    this.#codec?.encodeDefinition(fresh);
    return { id, fresh, paused, remake };
  }

  /** The stored jobs of the set, by id. */
  async ownJobs(): Promise<Map<string, JobRecord>> {
    const jobs = new Map<string, JobRecord>();
    for (let after: string | undefined; ;) {
      const page = await this.#loop.access.list({ owner: this.#owner, statuses: VISIBLE, after, limit: PAGE });
      for (const { record } of page.jobs) jobs.set(record.id, record);
      if (page.nextCursor === null) return jobs;
      after = page.nextCursor;
    }
  }

  /** @throws JobOwnedError naming every job that is not the set's own. */
  refuseForeign(records: readonly JobRecord[]): void {
    if (this.#adopt) return;
    const foreign = records.filter(({ definition, state }) => state.status !== 'removed' && definition.owner !== this.#owner);
    if (foreign.length === 0) return;
    throw new JobOwnedError(this.#owner, foreign.map(({ id, definition }) => ({ id, owner: definition.owner })));
  }

  /** What is to be done about a definition. @throws NeverFiresError */
  plan(wanted: Wanted, existing: JobRecord | undefined): Step {
    if (existing === undefined || existing.state.status === 'removed') return wanted.isOver ? undefined : creation(this.#checkFires(wanted));
    return this.#change(wanted, existing)?.step;
  }

  /** Does it: as the store has the job by now, whatever others have done to it since it was read. */
  async carryOut(wanted: Wanted): Promise<Step> {
    let changed: Change | undefined;
    const result = await addOrChange(
      this.#bulk,
      this.#loop,
      wanted.id,
      () => this.#checkFires(wanted),
      (record) => {
        this.refuseForeign([record]);
        changed = this.#change(wanted, record);
        return changed?.decision;
      },
    );
    if (result === undefined) return creation(wanted.fresh);
    if (changed === undefined) return undefined;
    const nextRunTime = result.record.state.nextFireTime;
    this.#bulk.reporter.job(result.record, this.#loop.access.alias, { type: 'jobModified', changed: changed.step.change.fields, nextRunTime });
    warnOfFalseAlarms(this.#bulk.reporter, result.record, this.#loop.access.alias, this.#loop.now());
    return changed.step;
  }

  /** Removes a job that is still of the set. Answers whether this call did. */
  async remove(id: string): Promise<boolean> {
    const { clock, node, reporter } = this.#bulk;
    try {
      const { decision, record } = await changeJob(this.#loop, clock, id, undefined, (current) =>
        current.definition.owner === this.#owner ? removeJob(current, { now: this.#loop.now(), node }) : undefined,
      );
      if (decision !== undefined) reporter.job(record, this.#loop.access.alias, { type: 'jobRemoved', reason: 'requested' });
      return decision !== undefined;
    } catch (error) {
      if (isPunctualError(error, 'JOB_NOT_FOUND')) return false; // somebody else removed it
      throw error;
    }
  }

  #checkFires({ fresh, paused }: Wanted): JobRecord {
    if (!paused && isSpent(fresh)) throw neverFires(fresh);
    return fresh;
  }

  /** The change that makes a job what is wanted; `undefined` when it is that. */
  #change(wanted: Wanted, record: JobRecord): Change | undefined {
    const { status } = record.state;
    const same = wanted.remake(record.definition.anchor);
    const fields = differingFields(record, same, this.#codec);
    const isMended = status === 'quarantined';
    if (isMended) fields.push('status');
    if (fields.length === 0) return undefined;
    refuseFollowedOnEachNode(record, same);
    const context = { now: this.#loop.now(), node: this.#bulk.node };
    const decision =
      isMended || fields.includes('trigger')
        ? rescheduleJob(record, wanted.remake(context.now), context)
        : modifyJob(record, same, context);
    const { next } = decision;
    if (isGone(next)) throw neverFires(wanted.fresh);
    const changed: JobRecord = isMended
      ? { ...next, state: { ...next.state, status: wanted.paused ? 'paused' : 'active', reason: null } }
      : next;
    if (changed.state.status === 'active' && isSpent(changed)) throw neverFires(wanted.fresh);
    return { decision: { ...decision, next: changed }, step: { change: { id: wanted.id, fields, nextRunTime: runTime(changed) } } };
  }
}

interface Change {
  readonly decision: Decision;
  readonly step: { readonly change: SyncChange };
}

function creation(record: JobRecord): Step {
  return { create: { id: record.id, nextRunTime: runTime(record) } };
}

function runTime({ state }: JobRecord): Date | null {
  return state.status !== 'active' || state.nextFireTime === null ? null : new Date(state.nextFireTime);
}

function neverFires({ id, definition: { trigger } }: JobRecord): NeverFiresError {
  return new NeverFiresError(id, `${trigger.kind} trigger ${JSON.stringify(trigger)}`);
}
