import { JobUnstorableError } from '../errors/job-errors.js';
import type { JobDefinition, JobPolicy, JobRecord, JobState, RetryPolicy } from '../model/job.js';
import type { RunRecord } from '../model/run.js';
import type { EncodedJob, JobCodec, JsonObject } from '../ports/job-codec.js';
import type { Trigger, TriggerJson, TriggerReader } from '../ports/trigger.js';
import { UnreadableTrigger } from './unreadable-trigger.js';

/** Bumped when the stored form changes; older forms are then brought up step by step when they are read. */
const VERSION = 1;

/** Records as plain JSON values. */
export class RecordCodec implements JobCodec {
  readonly #triggers: TriggerReader;

  constructor(triggers: TriggerReader) {
    this.#triggers = triggers;
  }

  encode({ id, definition, state }: JobRecord): EncodedJob {
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
    const newer = [definition, state].find((part) => part['v'] !== VERSION);
    const unreadable =
      newer === undefined ? undefined : new JobUnstorableError(`the record has version ${String(newer['v'])}, and this release knows ${VERSION}`);
    return {
      id,
      definition: this.#decodeDefinition(definition, unreadable),
      state: decodeState(state),
    };
  }

  #decodeDefinition(json: JsonObject, unreadable: Error | undefined): JobDefinition {
    const { v: _version, policy, ...rest } = json as unknown as Omit<JobDefinition, 'fn' | 'trigger'> & { v: unknown; trigger: TriggerJson };
    return {
      ...rest,
      fn: null,
      policy: decodePolicy(policy),
      trigger: unreadable === undefined ? this.#readTrigger(rest.trigger) : new UnreadableTrigger(rest.trigger, unreadable),
    };
  }

  #readTrigger(json: TriggerJson): Trigger {
    try {
      return this.#triggers.read(json);
    } catch (error) {
      return new UnreadableTrigger(json, error);
    }
  }
}

function decodeState(json: JsonObject): JobState {
  const { v: _version, ...state } = json as unknown as JobState & { v: unknown };
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
