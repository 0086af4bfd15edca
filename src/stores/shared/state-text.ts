import type { RunningRun } from '../../model/run.js';
import { NO_STATS, type JobStats } from '../../model/stats.js';
import type { JsonObject } from '../../ports/job-codec.js';
import { parseJson, parseObject } from '../../serializers/parse-object.js';

/** Fields of a state as the codec writes it, by their place in the text. Never changed: a new one goes to the end. */
type StateList = [
  v: unknown,
  status: unknown,
  reason: unknown,
  nextFireTime: unknown,
  nextDueAt: unknown,
  lastFireTime: unknown,
  runCount: unknown,
  fence: unknown,
  generation: unknown,
  firstFireTime: unknown,
  /** 0 stands for an empty list. */
  runs: unknown,
  /** 0 stands for no counts. */
  stats: unknown,
];
const STATE_FIELDS = 12;

/** A run that goes on, as a list: 0 stands for the id that a run for its fire time has. One of another shape keeps its names. */
type RunList = [
  id: unknown,
  scheduledFor: unknown,
  attempt: unknown,
  flags: number,
  crashes: unknown,
  owner: unknown,
  token: unknown,
  leaseUntil: unknown,
  startedAt: unknown,
  abort: unknown,
  process?: unknown,
];
const RUN_FIELDS = 13;
const MANUAL = 1;
const CATCH_UP = 2;

const COUNTS = Object.keys(NO_STATS) as (keyof JobStats)[];
const LAST_RUN = COUNTS.indexOf('lastRunId');

/**
 * A state as text, without the names of its fields: it is written twice a run, and how long it is decides how many pages
 * of the database a batch changes. A state of another shape, which only a record that cannot be read has, keeps its names.
 */
export function writeState(jobId: string, json: JsonObject): string {
  const { v, status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime, runs, stats } = json;
  const isWhole =
    v !== undefined && status !== undefined && reason !== undefined && nextFireTime !== undefined && nextDueAt !== undefined &&
    lastFireTime !== undefined && runCount !== undefined && fence !== undefined && generation !== undefined && firstFireTime !== undefined;
  if (!isWhole || Object.keys(json).length !== STATE_FIELDS || !isList(runs) || !runs.every(isObject) || !isObject(stats)) return JSON.stringify(json);
  const counts = statsText(jobId, lastFireTime, stats);
  if (counts === undefined) return JSON.stringify(json);
  return (
    `[${toText(v)},${toText(status)},${toText(reason)},${toText(nextFireTime)},${toText(nextDueAt)},${toText(lastFireTime)},` +
    `${toText(runCount)},${toText(fence)},${toText(generation)},${toText(firstFireTime)},${runsText(jobId, runs)},${counts}]`
  );
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function runsText(jobId: string, runs: readonly Partial<RunningRun>[]): string {
  if (runs.length === 0) return '0';
  let text = '';
  for (const run of runs) text += `${text === '' ? '[' : ','}${runText(jobId, run)}`;
  return `${text}]`;
}

function runText(jobId: string, run: Partial<RunningRun>): string {
  const { state, id, scheduledFor, attempt, manual, catchUp, crashes, args, owner, process, token, leaseUntil, startedAt, abort } = run;
  const isPlain =
    state === 'running' && typeof id === 'string' && scheduledFor !== undefined && attempt !== undefined && typeof manual === 'boolean' &&
    typeof catchUp === 'boolean' && crashes !== undefined && args === null && owner !== undefined && token !== undefined &&
    leaseUntil !== undefined && startedAt !== undefined && abort !== undefined;
  if (!isPlain || Object.keys(run).length !== (process === undefined ? RUN_FIELDS : RUN_FIELDS + 1)) return JSON.stringify(run);
  const flags = (manual ? MANUAL : 0) + (catchUp ? CATCH_UP : 0);
  return (
    `[${id === runIdOf(jobId, scheduledFor) ? '0' : toText(id)},${toText(scheduledFor)},${toText(attempt)},${flags},${toText(crashes)},` +
    `${toText(owner)},${toText(token)},${toText(leaseUntil)},${toText(startedAt)},${toText(abort)}${process === undefined ? '' : `,${toText(process)}`}]`
  );
}

/** `undefined` for what are no counts. */
function statsText(jobId: string, lastFireTime: unknown, stats: Partial<JobStats>): string | undefined {
  if (stats === NO_STATS) return '0';
  const { lastRunId } = stats;
  if ((lastRunId !== null && typeof lastRunId !== 'string') || Object.keys(stats).length !== COUNTS.length) return undefined;
  let text = '';
  for (const count of COUNTS) {
    const value = stats[count];
    if (value === undefined) return undefined;
    const isOfLastFire = count === 'lastRunId' && value === runIdOf(jobId, lastFireTime);
    text += `${text === '' ? '[' : ','}${isOfLastFire ? '0' : toText(value)}`;
  }
  return `${text}]`;
}

/** The id of the run for a fire time, as the planner makes it. */
function runIdOf(jobId: string, fire: unknown): string {
  return `${jobId}@${String(fire)}`;
}

/** Of numbers and null the same as JSON's, in a fraction of the time. */
function toText(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return value === 'active' ? '"active"' : value === 'succeeded' ? '"succeeded"' : JSON.stringify(value);
}

export function readState(jobId: string, text: string): JsonObject {
  const value = parseJson(text);
  if (!Array.isArray(value)) return parseObject(text);
  const [v, status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime, runs, stats] = value as StateList;
  return {
    v,
    status,
    reason,
    nextFireTime,
    nextDueAt,
    lastFireTime,
    runCount,
    fence,
    generation,
    firstFireTime,
    runs: runs === 0 ? [] : readRuns(jobId, runs),
    stats: stats === 0 ? NO_STATS : countsOf(jobId, lastFireTime, stats),
  };
}

function readRuns(jobId: string, runs: unknown): unknown {
  return Array.isArray(runs) ? (runs as readonly unknown[]).map((run) => (Array.isArray(run) ? readRun(jobId, run as unknown as RunList) : run)) : runs;
}

function readRun(jobId: string, [id, scheduledFor, attempt, flags, crashes, owner, token, leaseUntil, startedAt, abort, process]: RunList): unknown {
  const run = {
    state: 'running',
    id: id === 0 ? runIdOf(jobId, scheduledFor) : id,
    scheduledFor,
    attempt,
    manual: (flags & MANUAL) !== 0,
    catchUp: (flags & CATCH_UP) !== 0,
    crashes,
    args: null,
    owner,
    token,
    leaseUntil,
    startedAt,
    abort,
  };
  return process === undefined ? run : { ...run, process };
}

function countsOf(jobId: string, lastFireTime: unknown, values: unknown): unknown {
  if (!Array.isArray(values)) return values;
  const counts: Record<string, unknown> = {};
  for (let index = 0; index < COUNTS.length; index++) counts[COUNTS[index]!] = (values as readonly unknown[])[index];
  if (values[LAST_RUN] === 0) counts['lastRunId'] = runIdOf(jobId, lastFireTime);
  return counts;
}
