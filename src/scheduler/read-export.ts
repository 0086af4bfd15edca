import { InvalidOptionError } from '../errors/errors.js';
import { UnknownFormatError } from '../errors/job-errors.js';
import { requireObject } from '../errors/options.js';
import type { JobPolicy, JobRecord } from '../model/job.js';
import { NO_STATS } from '../model/stats.js';
import type { EncodedJob, JobCodec, JsonObject } from '../ports/job-codec.js';
import { VISIBLE } from './job-directory.js';
import { checkTags } from './job-factory.js';
import { BUILT_IN_POLICY, nonEmpty, oneOf, resolvePolicy, whole } from './policy.js';
import { EXPORT_FORMAT, EXPORT_VERSION } from './transfer.js';

/** A job of a document. */
export interface ReadJob {
  readonly record: JobRecord;
  /** Where it is in the document, for messages. */
  readonly path: string;
  /** Alias of the store it was in. */
  readonly jobStore: string;
}

/**
 * The jobs of a document. What the codec cannot make sense of (a trigger of an unknown kind, a newer definition) comes
 * as the unreadable record that the codec makes of it.
 *
 * @throws UnknownFormatError, InvalidOptionError
 */
export function readExport(data: unknown, codec: JobCodec): ReadJob[] {
  requireObject(data, 'data');
  const { format, version, jobs } = data as JsonObject;
  if (format !== EXPORT_FORMAT) throw new UnknownFormatError(`These are no exported jobs: their \`format\` is not "${EXPORT_FORMAT}".`, version);
  if (version !== EXPORT_VERSION) {
    throw new UnknownFormatError(`The jobs were exported in version ${String(version)} of the form, and this release knows ${EXPORT_VERSION}.`, version);
  }
  if (!Array.isArray(jobs)) throw new InvalidOptionError('data.jobs', jobs, 'an array of exported jobs');
  return jobs.map((job: unknown, index) => readJob(job, `data.jobs[${index}]`, codec));
}

function readJob(job: unknown, path: string, codec: JobCodec): ReadJob {
  requireObject(job, path);
  const { id, jobStore, definition, state } = job as JsonObject;
  const encoded: EncodedJob = {
    id: nonEmpty(id, `${path}.id`),
    definition: copied(definition, `${path}.definition`),
    state: { ...copied(state, `${path}.state`), runs: [] },
  };
  const record = codec.decode(encoded);
  checkState(encoded.state, `${path}.state`);
  return { record: isReadable(record) ? checkDefinition(record, `${path}.definition`) : record, path, jobStore: nonEmpty(jobStore, `${path}.jobStore`) };
}

/** A copy, which nobody changes after it was checked. */
function copied(value: unknown, path: string): JsonObject {
  requireObject(value, path);
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

const INSTANTS = ['nextFireTime', 'nextDueAt', 'lastFireTime', 'firstFireTime'] as const;
/** What grows from the present instant must have room to. */
const MAX_INSTANT = 8.64e15;
const COUNTERS = ['runCount', 'fence', 'generation'] as const;
const LAST = ['lastRunId', 'lastVerdict', 'lastFinishedAt', 'lastDurationMs', 'lastSuccessAt'];

function checkState(state: JsonObject, path: string): void {
  oneOf(state['status'], `${path}.status`, VISIBLE);
  for (const field of INSTANTS) {
    const value = state[field];
    if (value !== null && !Number.isSafeInteger(value)) throw new InvalidOptionError(`${path}.${field}`, value, 'epoch milliseconds or null');
  }
  for (const field of COUNTERS) whole(state[field], `${path}.${field}`, 0, MAX_INSTANT);
  const stats = state['stats'];
  requireObject(stats, `${path}.stats`);
  for (const field of Object.keys(NO_STATS)) {
    // It came later than the others.
    if (field === 'consecutiveFailures' && (stats as JsonObject)[field] === undefined) continue;
    if (!LAST.includes(field)) checkCount((stats as JsonObject)[field], `${path}.stats.${field}`);
  }
}

/** Not `whole`: durations add up to fractions where a clock has them. */
function checkCount(value: unknown, path: string): void {
  if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return;
  throw new InvalidOptionError(path, value, 'a number of 0 or more');
}

/** Policies in ms by the option that makes each, where their names differ. */
const OPTION_OF: Readonly<Partial<Record<keyof JobPolicy, string>>> = {
  misfireGraceMs: 'misfireGraceTime',
  jitterMs: 'jitter',
  timeoutMs: 'timeout',
  resultTtlMs: 'resultTtl',
};

/** What cannot be read fails when it is asked, and is not asked for more: it may be right for a newer release. */
function isReadable({ definition }: JobRecord): boolean {
  try {
    definition.trigger.next(0);
    return true;
  } catch {
    return false;
  }
}

/** What could not be given to `addJob` must not come in by another door. A policy that is missing is the default. */
function checkDefinition(record: JobRecord, path: string): JobRecord {
  const { definition } = record;
  const { name, owner } = definition;
  const given = definition.policy as unknown as Record<string, unknown>;
  requireObject(given, `${path}.policy`);
  const options: Record<string, unknown> = {};
  for (const key of Object.keys(BUILT_IN_POLICY) as (keyof JobPolicy)[]) options[OPTION_OF[key] ?? key] = given[key];
  const { retry } = given;
  if (typeof retry === 'object' && retry !== null) {
    const { delayMs, maxDelayMs, ...rest } = retry as JsonObject;
    options['retry'] = { ...rest, delay: delayMs, maxDelay: maxDelayMs };
  }
  const { expect } = given;
  if (typeof expect === 'object' && expect !== null) {
    const { successWithinMs, maxLatenessMs, ...rest } = expect as JsonObject;
    options['expect'] = { ...rest, successWithin: successWithinMs, maxLateness: maxLatenessMs };
  }
  return {
    ...record,
    definition: {
      ...definition,
      task: nonEmpty(definition.task, `${path}.task`),
      taskVersion: whole(definition.taskVersion, `${path}.taskVersion`, 1),
      anchor: whole(definition.anchor, `${path}.anchor`, Number.MIN_SAFE_INTEGER),
      tags: checkTags(definition.tags),
      name: name === null ? null : nonEmpty(name, `${path}.name`),
      owner: owner === null ? null : nonEmpty(owner, `${path}.owner`),
      policy: resolvePolicy(BUILT_IN_POLICY, options, 'UTC', `${path}.policy.`),
    },
  };
}
