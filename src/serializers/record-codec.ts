import { JobUnstorableError } from '../errors/job-errors.js';
import type { JobDefinition, JobPolicy, JobRecord, JobState, RetryPolicy } from '../model/job.js';
import type { SerializedValue } from '../model/ledger.js';
import type { RunRecord } from '../model/run.js';
import type { EncodedJob, JobCodec, JsonObject } from '../ports/job-codec.js';
import type { Serializer } from '../ports/serializer.js';
import type { Trigger, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { readState, readStateSafely } from './read-state.js';
import { Serializers } from './serializers.js';
import { UnreadableTrigger } from './unreadable-trigger.js';

/** Bumped when the stored form changes; older forms are then brought up step by step when they are read. */
const VERSION = 1;

/** Records as plain JSON values. What is the user's own (arguments, metadata) goes through a serializer. */
export class RecordCodec implements JobCodec {
  readonly #triggers: TriggerReader;
  readonly #serializers: Serializers;
  /** What definitions that could not be read were made from, and the state that was made of theirs, so that they are written back unchanged. */
  readonly #raw = new WeakMap<JobDefinition, EncodedJob & { readonly shown: JobState }>();

  /** @param serializer - writes arguments, metadata and results. */
  constructor(triggers: TriggerReader, serializer?: Serializer) {
    this.#triggers = triggers;
    this.#serializers = new Serializers(serializer);
  }

  encode(record: JobRecord): EncodedJob {
    return { id: record.id, definition: this.encodeDefinition(record), state: this.encodeState(record) };
  }

  encodeDefinition({ id, definition }: JobRecord): JsonObject {
    const raw = this.#raw.get(definition);
    if (raw !== undefined) return raw.definition;
    const { fn, args, trigger, policy, metadata, ...rest } = definition;
    if (fn !== null) {
      throw new JobUnstorableError(`Job "${id}": a function cannot be stored. Register it: defineTask('${rest.task}', fn), and add the job by that name.`);
    }
    return {
      v: VERSION,
      ...rest,
      args: this.#write(args, `args of job "${id}"`),
      trigger: trigger.toJSON(),
      policy: encodePolicy(policy),
      metadata: metadata === null ? null : this.#write(metadata, `metadata of job "${id}"`),
    };
  }

  encodeState({ id, definition, state }: JobRecord): JsonObject {
    const raw = this.#raw.get(definition);
    if (raw !== undefined) {
      // Of a job that cannot be read, what nobody has changed is left as it was: it may be more than could be read.
      const changed = Object.entries(state).filter(([field, value]) => value !== raw.shown[field as keyof JobState]);
      const written = { ...raw.state, ...Object.fromEntries(changed), status: state.status, reason: state.reason };
      return state.links === undefined && raw.shown.links !== undefined ? { ...written, links: undefined } : written;
    }
    if (!hasOwnArguments(state.runs)) return versioned(state);
    const runs = state.runs.map((run) => (run.args === null ? run : { ...run, args: this.#write(run.args, `args of a run of job "${id}"`) }));
    return { ...versioned(state), runs };
  }

  decode(encoded: EncodedJob, known?: JobDefinition): JobRecord {
    const { id, definition, state } = encoded;
    try {
      const newer = definition['v'] === VERSION ? state : definition;
      if (newer['v'] !== VERSION) throw new JobUnstorableError(`the record has version ${String(newer['v'])}, and this release knows ${VERSION}`);
      return { id, definition: known ?? this.#decodeDefinition(definition), state: this.#decodeState(state) };
    } catch (error) {
      const record = unreadableRecord(encoded, error);
      this.#raw.set(record.definition, { ...encoded, shown: record.state });
      return record;
    }
  }

  isUnreadable(definition: JobDefinition): boolean {
    return this.#raw.has(definition);
  }

  serialize(value: unknown): SerializedValue {
    return this.#write(value, 'value');
  }

  deserialize(value: SerializedValue): unknown {
    return this.#serializers.read(value);
  }

  /** @throws JobUnstorableError naming the place of the first value that would be lost or changed. */
  #write(value: unknown, what: string): SerializedValue {
    try {
      return this.#serializers.write(value);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new JobUnstorableError(`The ${what} cannot be stored: ${reason}.${this.#serializers.isDefault ? ALLOWED : ''}`, { cause: error });
    }
  }

  #decodeDefinition(json: JsonObject): JobDefinition {
    const { v: _version, policy, ...rest } = json as unknown as StoredDefinition;
    const whole = typeof rest.task === 'string' && typeof rest.args === 'object' && Array.isArray(rest.tags);
    if (!whole) throw new JobUnstorableError('the record has no task, no args or no tags');
    const args = this.#serializers.read(rest.args);
    if (!Array.isArray(args)) throw new JobUnstorableError('the arguments are not a list');
    return {
      ...rest,
      fn: null,
      // Handles show what the store remembers: a change to it would be written with the next change of the job.
      args: deepFreeze(args) as unknown[],
      metadata: rest.metadata === null ? null : (deepFreeze(this.#serializers.read(rest.metadata)) as JobDefinition['metadata']),
      policy: decodePolicy(policy),
      trigger: this.#readTrigger(rest.trigger),
    };
  }

  #readTrigger(json: TriggerJson): Trigger {
    try {
      return this.#triggers.read(json);
    } catch (error) {
      return new UnreadableTrigger(json, error);
    }
  }

  #decodeState(json: JsonObject): JobState {
    const state = readState(json);
    if (!hasOwnArguments(state.runs)) return state;
    const runs = state.runs.map((run) => (run.args === null ? run : { ...run, args: this.#serializers.read(run.args as unknown as SerializedValue) as unknown[] }));
    return { ...state, runs: Object.freeze(runs) };
  }
}

function hasOwnArguments(runs: readonly RunRecord[]): boolean {
  return runs.length > 0 && runs.some((run) => run.args !== null);
}

/** Field by field, and always in this order: this is the hot path. */
function versioned(state: JobState): JsonObject {
  const { status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime, runs, stats, watch, links, cancels } = state;
  const json: Readonly<Record<'v' | Exclude<keyof JobState, 'watch' | 'links' | 'cancels'>, unknown>> = {
    v: VERSION,
    status,
    reason,
    nextFireTime,
    nextDueAt,
    lastFireTime,
    runCount,
    fence,
    generation,
    firstFireTime,
    runs,
    stats,
  };
  if (watch === null && links === undefined && cancels === undefined) return json;
  return {
    ...json,
    ...(watch === null ? undefined : { watch }),
    ...(links === undefined ? undefined : { links }),
    ...(cancels === undefined ? undefined : { cancels }),
  };
}

const ALLOWED =
  ' Allowed is plain data: what JSON has, and Date, Map, Set, BigInt, undefined, RegExp, URL, Buffer, typed arrays. ' +
  'Pass an id instead of an instance, and look it up in the task; or give the scheduler a `serializer` that knows the class.';

type StoredDefinition = Omit<JobDefinition, 'fn' | 'trigger' | 'args' | 'metadata'> & {
  readonly v: unknown;
  readonly trigger: TriggerJson;
  readonly args: SerializedValue;
  readonly metadata: SerializedValue | null;
};

/** Policies of a record that has none that can be read: it goes into quarantine, and none of them comes to bear. */
const NO_POLICY: JobPolicy = Object.freeze({
  misfireGraceMs: null,
  coalesce: 'latest',
  maxCatchUp: 1,
  maxInstances: 1,
  overlap: 'skip',
  queueLimit: 1,
  jitterMs: 0,
  retry: null,
  timeoutMs: null,
  maxRuns: null,
  startTime: null,
  endTime: null,
  onCrash: 'retry',
  maxCrashes: 3,
  priority: 0,
  exclusive: true,
  executor: 'default',
  resultTtlMs: null,
  maxConsecutiveFailures: null,
  expect: null,
});

/** As much of a record as can be read. Its trigger fails when asked, or it is in quarantine already. */
function unreadableRecord({ id, definition, state }: EncodedJob, error: unknown): JobRecord {
  const { task, trigger, anchor, policy, name, tags, taskVersion, owner } = definition as Partial<JobDefinition>;
  return {
    id,
    definition: {
      task: typeof task === 'string' ? task : '',
      fn: null,
      args: [],
      taskVersion: typeof taskVersion === 'number' ? taskVersion : 1,
      trigger: new UnreadableTrigger((trigger ?? { kind: 'unreadable', v: 0 }) as TriggerJson, error),
      anchor: typeof anchor === 'number' ? anchor : 0,
      policy: readPolicy(policy),
      name: typeof name === 'string' ? name : null,
      tags: Array.isArray(tags) ? (tags as unknown[]).filter((tag) => typeof tag === 'string') : [],
      metadata: null,
      owner: typeof owner === 'string' ? owner : null,
    },
    state: readStateSafely(state, error),
  };
}

/** Those policies that are of the type they have here. */
function readPolicy(json: unknown): JobPolicy {
  const given = Object.entries(typeof json === 'object' && json !== null ? json : {});
  const readable = given.filter(([key, value]) => {
    const expected: unknown = NO_POLICY[key as keyof JobPolicy];
    return expected === null || typeof value === typeof expected;
  });
  return { ...NO_POLICY, ...Object.fromEntries(readable) };
}

/** `retryIf` belongs to the task, which is looked up when a run fails. */
function encodePolicy(policy: JobPolicy): JsonObject {
  const { retry } = policy;
  // These defaults take no room in every record, and are not there in those from before there was a choice.
  const { exclusive, maxConsecutiveFailures, expect } = policy;
  const chosen = { exclusive: exclusive ? undefined : false, maxConsecutiveFailures: maxConsecutiveFailures ?? undefined, expect: expect ?? undefined };
  return { ...policy, ...chosen, retry: retry === null ? null : { ...retry, retryIf: null } };
}

function decodePolicy(json: JobPolicy): JobPolicy {
  const { exclusive = true, maxConsecutiveFailures = null, expect = null } = json as Partial<JobPolicy>;
  return { ...json, exclusive, maxConsecutiveFailures, expect, retry: json.retry === null ? null : ({ ...json.retry } satisfies RetryPolicy) };
}

/** Plain objects and arrays, all the way down. A Date, a Map or a Set cannot be frozen. */
function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) deepFreeze(item);
  return value;
}
