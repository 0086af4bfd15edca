import { JobUnstorableError } from '../errors/job-errors.js';
import { NO_RUNS, type JobDefinition, type JobPolicy, type JobRecord, type JobState, type RetryPolicy } from '../model/job.js';
import type { RunRecord } from '../model/run.js';
import type { EncodedJob, JobCodec, JsonObject } from '../ports/job-codec.js';
import type { Trigger, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { UnreadableTrigger } from './unreadable-trigger.js';

/** Bumped when the stored form changes; older forms are then brought up step by step when they are read. */
const VERSION = 1;

/** Records as plain JSON values. */
export class RecordCodec implements JobCodec {
  readonly #triggers: TriggerReader;
  /** What definitions that could not be read were made from, so that they are written back unchanged. */
  readonly #raw = new WeakMap<JobDefinition, EncodedJob>();

  constructor(triggers: TriggerReader) {
    this.#triggers = triggers;
  }

  encode({ id, definition, state }: JobRecord): EncodedJob {
    const raw = this.#raw.get(definition);
    if (raw !== undefined) return { id, definition: raw.definition, state: { ...raw.state, ...state } };
    const { task, fn, args, trigger, anchor, policy, name, tags, metadata } = definition;
    if (fn !== null) {
      throw new JobUnstorableError(`Job "${id}": a function cannot be stored. Register it: defineTask('${task}', fn), and add the job by that name.`);
    }
    assertPlain(args, `args of job "${id}"`);
    assertPlain(metadata, `metadata of job "${id}"`);
    for (const run of state.runs) assertPlain(run.args, `args of a run of job "${id}"`);
    return {
      id,
      definition: { v: VERSION, task, args, trigger: trigger.toJSON(), anchor, policy: encodePolicy(policy), name, tags, metadata },
      state: { ...state, v: VERSION },
    };
  }

  decode(encoded: EncodedJob): JobRecord {
    const { id, definition, state } = encoded;
    try {
      const newer = [definition, state].find((part) => part['v'] !== VERSION);
      if (newer !== undefined) throw new JobUnstorableError(`the record has version ${String(newer['v'])}, and this release knows ${VERSION}`);
      return { id, definition: this.#decodeDefinition(definition), state: decodeState(state) };
    } catch (error) {
      const record = unreadableRecord(encoded, error);
      this.#raw.set(record.definition, encoded);
      return record;
    }
  }

  #decodeDefinition(json: JsonObject): JobDefinition {
    const { v: _version, policy, ...rest } = json as unknown as Omit<JobDefinition, 'fn' | 'trigger'> & { v: unknown; trigger: TriggerJson };
    const whole = typeof rest.task === 'string' && Array.isArray(rest.args) && Array.isArray(rest.tags);
    if (!whole) throw new JobUnstorableError('the record has no task, no args or no tags');
    return { ...rest, fn: null, policy: decodePolicy(policy), trigger: this.#readTrigger(rest.trigger) };
  }

  #readTrigger(json: TriggerJson): Trigger {
    try {
      return this.#triggers.read(json);
    } catch (error) {
      return new UnreadableTrigger(json, error);
    }
  }
}

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
  executor: 'default',
});

/** As much of a record as can be read. Its trigger fails when asked, or it is in quarantine already. */
function unreadableRecord({ id, definition, state }: EncodedJob, error: unknown): JobRecord {
  const { task, args, trigger, anchor, policy, name, tags } = definition as Partial<JobDefinition>;
  return {
    id,
    definition: {
      task: typeof task === 'string' ? task : '',
      fn: null,
      args: Array.isArray(args) ? (args as unknown[]) : [],
      trigger: new UnreadableTrigger((trigger ?? { kind: 'unreadable', v: 0 }) as TriggerJson, error),
      anchor: anchor ?? 0,
      policy: { ...NO_POLICY, ...policy },
      name: name ?? null,
      tags: Array.isArray(tags) ? (tags as string[]) : [],
      metadata: null,
    },
    state: stateOrQuarantine(state, error),
  };
}

function stateOrQuarantine(json: JsonObject, error: unknown): JobState {
  try {
    return decodeState(json);
  } catch {
    const reason = error instanceof Error ? error.message : String(error);
    const { v: _version, ...rest } = json as unknown as Partial<JobState> & { v: unknown };
    const none = { nextFireTime: null, nextDueAt: null, lastFireTime: null, firstFireTime: null };
    const runs = Array.isArray(rest.runs) ? (rest.runs as RunRecord[]) : NO_RUNS;
    return { ...none, runCount: 0, fence: 0, generation: 0, ...rest, runs, status: 'quarantined', reason };
  }
}

function decodeState(json: JsonObject): JobState {
  const { v: _version, ...state } = json as unknown as JobState & { v: unknown };
  const whole = typeof state.status === 'string' && Array.isArray(state.runs);
  if (!whole) throw new JobUnstorableError('the record has no state');
  return { ...state, runs: Object.freeze(state.runs.map((run): RunRecord => ({ ...run }))) };
}

/** `retryIf` belongs to the task, which is looked up when a run fails. */
function encodePolicy(policy: JobPolicy): JsonObject {
  const { retry } = policy;
  return { ...policy, retry: retry === null ? null : { ...retry, retryIf: null } };
}

function decodePolicy(json: JobPolicy): JobPolicy {
  return { ...json, retry: json.retry === null ? null : ({ ...json.retry } satisfies RetryPolicy) };
}

/** @throws JobUnstorableError naming the place of the first value that JSON would lose or change. */
function assertPlain(value: unknown, path: string, seen: readonly unknown[] = []): void {
  const refuse = (what: string): never => {
    throw new JobUnstorableError(`The ${path} cannot be stored: ${what}. Allowed are null, booleans, finite numbers, strings, arrays and plain objects of these.`);
  };
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) refuse(`it is ${String(value)}`);
      return;
    case 'object':
      break;
    default:
      refuse(`it is of type ${typeof value}`);
  }
  if (value === null) return;
  if (seen.includes(value)) refuse('it contains itself');
  const inner = [...seen, value];
  if (Array.isArray(value)) {
    value.forEach((item, index) => { assertPlain(item, `${path}[${index}]`, inner); });
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) refuse(`it is an instance of ${(value as object).constructor.name}`);
  for (const [key, item] of Object.entries(value as object)) {
    if (item !== undefined) assertPlain(item, `${path}.${key}`, inner);
  }
}
