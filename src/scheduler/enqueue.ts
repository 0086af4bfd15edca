import { ConflictingJobIdError } from '../errors/job-errors.js';
import { InvalidOptionError } from '../errors/errors.js';
import type { Decision } from '../core/draft.js';
import type { JobDefinition, JobRecord } from '../model/job.js';
import type { Clock } from '../ports/clock.js';
import type { JobCodec } from '../ports/job-codec.js';
import type { JobWriter, MaybePromise } from '../ports/job-store.js';
import { toMs, type DurationInput } from '../time/duration.js';
import { toInstant, type InstantInput } from '../time/instant.js';
import type { JobAdder } from './job-adder.js';
import { changeRecord } from './job-changes.js';
import { isGone, type Addition } from './job-directory.js';
import { ADD_KEYS, checkKeys, type TaskInput } from './job-factory.js';
import { requireObject } from '../errors/options.js';
import type { InTransaction, JobOptions } from './job-options.js';
import { nonEmpty } from './policy.js';
import { awaitElsewhere, endOf, isToCome, type RunHandle, type RunHandles } from './run-handles.js';
import type { StoreLoop } from './store-loop.js';

/** Of a job that is no run of the task, which `replaceExisting` has nothing to do with. */
const CONFLICT_ADVICE = 'It has a schedule, or is for another task. Give another id.';

/** What can be said of a task that is run once. */
export interface EnqueueOptions extends Omit<JobOptions, 'exclusive' | 'paused' | 'replaceExisting' | 'startTime' | 'endTime' | 'maxRuns'>, InTransaction {
  /** How long to wait. Default: not at all. */
  readonly delay?: DurationInput | undefined;
  /** In place of a delay: the instant. One that has passed is now. */
  readonly at?: InstantInput | undefined;
}

export type AnyEnqueueOptions = EnqueueOptions & { readonly args?: readonly unknown[] | undefined };

/** `options` may be left out exactly when nothing in it is required. */
export type EnqueueRest<A extends readonly unknown[]> = [] extends A
  ? [options?: EnqueueOptions & { readonly args?: A | undefined }]
  : [options: EnqueueOptions & { readonly args: A }];

export interface EnqueueHost {
  readonly loop: StoreLoop;
  readonly adder: JobAdder;
  readonly handles: RunHandles;
  readonly codec: JobCodec;
  readonly clock: Clock;
  check(definition: JobDefinition): MaybePromise<void>;
}

const REFUSED = ['exclusive', 'paused', 'replaceExisting', 'startTime', 'endTime', 'maxRuns'];
const KEYS = [...ADD_KEYS.filter((key) => !REFUSED.includes(key)), 'delay', 'at', 'client'];
const ONCE = 'a task that is run once knows `delay` and `at`; what has a schedule is added with addJob';

/** How long a job with an id is not due at most, while the history is asked whether its run is over. */
const HOLD_MS = 10_000;

/** A job with one fire time, and a handle for its run. @throws as `addJob` */
export async function enqueue(host: EnqueueHost, task: TaskInput, options: AnyEnqueueOptions): Promise<RunHandle> {
  const { loop, adder, handles, codec, clock } = host;
  const { client, delay, at, ...given } = options;
  for (const key of REFUSED) if (key in given) throw new InvalidOptionError(key, (given as Record<string, unknown>)[key], `nothing: ${ONCE}`);
  requireObject(options, 'options');
  checkKeys(options, KEYS);
  const fireTime = Math.max(loop.now(), dueTime(loop.now(), delay, at));
  const id = given.id === undefined ? `run:${globalThis.crypto.randomUUID()}` : nonEmpty(given.id, 'id');
  const writer = client === undefined ? loop.access : loop.access.within(client);
  const addition = adder.prepare(loop, task, new Date(fireTime), { ...given, id, exclusive: true });
  await host.check(addition.fresh.definition);

  const awaited = (runId: string, dueAt: number, isWritten: boolean): RunHandle => {
    const handle = handles.create(id, runId);
    if (loop.access.store.shared) awaitElsewhere(handles, loop, clock, codec, runId, dueAt, isWritten);
    return handle;
  };
  /** The run that the history has under this id. */
  const past = async (): Promise<RunHandle | undefined> => {
    const { entries } = await loop.access.listLedger({ jobId: id, newestFirst: true, limit: 1 });
    const [entry] = entries;
    if (entry?.runId == null) return undefined;
    const handle = handles.create(id, entry.runId);
    handles.settle(entry.runId, endOf(entry, codec, loop.now()));
    return handle;
  };
  /** The run of the job that has the id already. `own`: the handle there is. @throws `conflict` where that is no such job. */
  const joined = async (conflict: ConflictingJobIdError, own: RunHandle): Promise<RunHandle> => {
    const existing = (await writer.get(id))?.record;
    if (existing !== undefined && !isOver(existing)) {
      const runId = soleRun(existing, addition.fresh);
      if (runId === undefined) throw conflict;
      // One that has not begun is taken back by whoever added it, if the history has a run already.
      const over = existing.state.runs.length === 0 ? await past() : undefined;
      if (over !== undefined) return over;
      if (runId === own.runId) {
        handles.written(runId);
        return own;
      }
      const run = awaited(runId, loop.now(), true);
      // It may have ended after it was looked at, and before anybody waited for it.
      if (isToCome((await writer.get(id))?.record, runId) || !handles.isPending(runId)) return run;
      handles.discard(runId);
    }
    // Its run has ended since it was in the way.
    const over = await past();
    if (over !== undefined) return over;
    throw conflict;
  };
  /** Of two handles for one run, the one that was there first: it may know the value, of which the history may keep nothing. */
  const insteadOf = (own: RunHandle, other: RunHandle): RunHandle => {
    if (other.runId === own.runId) return own;
    handles.discard(own.runId);
    return other;
  };
  if (given.id !== undefined) {
    const over = await past();
    if (over !== undefined && isOver((await writer.get(id))?.record)) return over;
  }
  // Before the write, because the run may be over by the time it returns.
  const handle = awaited(`${id}@${fireTime}`, fireTime, false);
  try {
    const [linked = addition] = await adder.link(loop, [addition], writer);
    if (given.id === undefined) {
      await adder.addNew(loop, linked, writer);
      // What is in a transaction of the user's may never be there.
      if (client === undefined) handles.written(handle.runId);
      return handle;
    }
    const over = await addUnlessOver(host, linked, writer, past);
    if (over !== undefined) return insteadOf(handle, over);
    if (client === undefined) handles.written(handle.runId);
    return handle;
  } catch (error) {
    try {
      if (!(error instanceof ConflictingJobIdError) || given.id === undefined) throw error;
      return insteadOf(handle, await joined(new ConflictingJobIdError(id, CONFLICT_ADVICE), handle));
    } catch (failure) {
      handles.discard(handle.runId);
      throw failure;
    }
  }
}

/**
 * Adds a job of which the history had nothing to say when it was asked. By the time it is added another process may have
 * added, run and finished one with its id, so the history is asked once more. Until then the job is not due; if this process
 * dies meanwhile, it is soon. Answers the run that there was.
 */
async function addUnlessOver(host: EnqueueHost, addition: Addition, writer: JobWriter, past: () => Promise<RunHandle | undefined>): Promise<RunHandle | undefined> {
  const { loop, adder, clock } = host;
  const { fresh } = addition;
  const { id, state } = fresh;
  const heldUntil = loop.now() + HOLD_MS;
  // What is in a transaction of the user's begins when that is over.
  const isHeld = writer === loop.access && state.nextDueAt !== null && state.nextDueAt < heldUntil;
  const held: JobRecord = isHeld ? { ...fresh, state: { ...state, nextDueAt: heldUntil } } : fresh;
  const { stored, isNew, left } = await adder.place(loop, { ...addition, fresh: held }, writer);
  try {
    const over = isNew ? await past() : undefined;
    if (over !== undefined) {
      const [revision] = await writer.commit([{ id, expected: stored.revision, next: left, ledger: [] }]);
      // If somebody has changed it since, it is theirs.
      if (revision !== undefined) return over;
    }
  } catch (error) {
    // The caller may ask again; it is added all the same.
    adder.admit(loop, stored, null, writer);
    throw error;
  }
  if (isHeld) {
    const release = (record: JobRecord): Decision | undefined =>
      record.state.nextDueAt === heldUntil ? { next: { ...record, state: { ...record.state, nextDueAt: state.nextDueAt } }, start: [], ledger: [], notices: [] } : undefined;
    try {
      await changeRecord(loop, clock, id, release);
    } catch {
      // It is added, and begins when the time is up.
    }
  }
  adder.admit(loop, stored, null, writer);
  return undefined;
}

function dueTime(now: number, delay: DurationInput | undefined, at: InstantInput | undefined): number {
  if (at === undefined) return now + toMs(delay ?? 0, 'delay');
  if (delay !== undefined) throw new InvalidOptionError('at', at, 'nothing beside `delay`: one of the two says when');
  return toInstant(at, 'at');
}

/** Of a job that is over something may be left for those who follow it. */
function isOver(record: JobRecord | undefined): boolean {
  return record === undefined || (isGone(record) && record.state.runs.length === 0);
}

/** The id of the one run of a job that was enqueued for the same task; `undefined` when it is something else. */
function soleRun({ definition, state }: JobRecord, wanted: JobRecord): string | undefined {
  if (definition.trigger.kind !== wanted.definition.trigger.kind || definition.task !== wanted.definition.task) return undefined;
  const [run] = state.runs;
  if (run !== undefined) return run.id;
  return state.nextFireTime === null ? undefined : `${wanted.id}@${state.nextFireTime}`;
}
