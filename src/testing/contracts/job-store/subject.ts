import type { Clock } from '../../../ports/clock.js';
import type { JobStore, MaybePromise, StoreContext, StoredJob } from '../../../ports/job-store.js';
import type { JobRecord } from '../../../model/job.js';
import { RecordCodec } from '../../../serializers/record-codec.js';
import { TriggerRegistry } from '../../../triggers/registry.js';
import { VirtualClock } from '../../virtual-clock.js';

/** What a case of the contract is run on. Each case wants a fresh one. */
export interface JobStoreSubject {
  /** Opened, and empty. */
  readonly store: JobStore;
  /** Opens another connection to the same jobs. Give it for a `shared` store. */
  readonly connect?: (() => MaybePromise<JobStore>) | undefined;
  /** Closes everything and opens the same jobs again, as the next start of a program would. Give it for a `durable` store. */
  readonly reopen?: (() => MaybePromise<JobStore>) | undefined;
}

/** What a store may lack, so that a case does not apply to it. */
export type JobStoreTrait = 'connect' | 'reopen' | 'watch' | 'now' | 'members' | 'alarms';

/** One obligation of the `JobStore` port. */
export interface JobStoreCase {
  readonly name: string;
  /** The case applies to subjects that have all of these. */
  readonly requires?: readonly JobStoreTrait[] | undefined;
  /** @throws AssertionError when the store does not keep it. */
  run(subject: JobStoreSubject): Promise<void>;
}

/** Which of `required` a subject lacks: run the case when the answer is empty, else say so and skip it. */
export function missingTraits(subject: JobStoreSubject, required: readonly JobStoreTrait[] = []): readonly JobStoreTrait[] {
  const has: Record<JobStoreTrait, boolean> = {
    connect: subject.connect !== undefined,
    reopen: subject.reopen !== undefined,
    watch: subject.store.watch !== undefined,
    now: subject.store.now !== undefined,
    members: subject.store.members !== undefined,
    alarms: subject.store.alarms !== undefined,
  };
  return required.filter((trait) => !has[trait]);
}

/**
 * What `JobStore.open` wants, for opening a store without a scheduler.
 *
 * @example
 * ```ts
 * const store = new MyJobStore(url);
 * await store.open(storeContext());
 * ```
 */
export function storeContext(clock: Clock = new VirtualClock(), node = 'contract'): StoreContext {
  const silent = (): void => undefined;
  return {
    clock,
    node,
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    codec: new RecordCodec(new TriggerRegistry()),
  };
}

// ── what the cases say often ──

export async function insertOne(store: JobStore, record: JobRecord): Promise<StoredJob> {
  const [stored] = await store.insert([record]);
  if (stored === undefined) throw new Error(`the id "${record.id}" was taken in a store that should be empty`);
  return stored;
}

export async function getRecord(store: JobStore, id: string): Promise<JobRecord | undefined> {
  return (await store.get(id))?.record;
}

export function ids(jobs: readonly StoredJob[]): string[] {
  return jobs.map(({ record }) => record.id);
}
