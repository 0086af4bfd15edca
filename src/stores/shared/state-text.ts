import type { RunningRun } from '../../model/run.js';
import { NO_STATS, type JobStats } from '../../model/stats.js';
import type { JobOverdue, JobWatch } from '../../model/watch.js';
import type { JsonObject } from '../../ports/job-codec.js';
import { parseJson, parseObject } from '../../serializers/parse-object.js';
import { beginText, codeAt, cutText, endText, putBlanks, putCode, putNumber, putText, textLength } from './text-buffer.js';

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
  watch?: WatchList | 0,
  /** After 0 for no watch, where there is none. */
  links?: unknown,
];

/** Of an alarm that holds, also why, since when, and when it was raised. */
type WatchList = [since: unknown, why?: unknown, deadline?: unknown, raisedAt?: unknown];
const STATE_FIELDS = 12;

/** A run that goes on, as a list: 0 stands for the id that a run for its fire time has (see also `writeState`). One of another shape keeps its names. */
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

/** Longer states are not filled up: with the arguments of runs that somebody asked for, they would keep for good what they needed once. */
export const LONGEST_ROOM = 512;
/** What a room grows by: counts have more digits from time to time. */
const STEP = 16;

const COUNTS = Object.keys(NO_STATS).length;

const COMMA = 44;
const ZERO = 48;
const BEGIN = 91;
const END = 93;

/**
 * A state as text, without the names of its fields: it is written twice a run, and how long it is decides how many pages
 * of the database a batch changes. 0 stands for what is the same as another field: the due time of a fire time without
 * jitter, the fire time of the run for the last one, the token of the last start, the last success for the last end. A
 * state of another shape, which only a record that cannot be read has, keeps its names.
 *
 * @param room - length in bytes up to which it is filled with blanks, which JSON takes for what they are; beyond it, some more than
 *   the state needs. 0: not at all.
 */
export function writeState(jobId: string, json: JsonObject, room = 0): string {
  beginText();
  if (putState(jobId, json) && room > 0) {
    const length = textLength();
    const filled = length <= room ? room : Math.ceil(length / STEP) * STEP;
    if (filled <= LONGEST_ROOM) putBlanks(filled - length);
  }
  return endText();
}

/** The same, as part of the text that is being written. Answers whether it was without names. */
export function putState(jobId: string, json: JsonObject): boolean {
  const from = textLength();
  if (putList(jobId, json)) return true;
  cutText(from);
  putText(JSON.stringify(json));
  return false;
}

function putList(jobId: string, json: JsonObject): boolean {
  const { v, status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime, runs, stats, watch, links } = json;
  const isWhole =
    v !== undefined && status !== undefined && reason !== undefined && nextFireTime !== undefined && nextDueAt !== undefined &&
    lastFireTime !== undefined && runCount !== undefined && fence !== undefined && generation !== undefined && firstFireTime !== undefined;
  if (!isWhole || fieldsOf(json) !== STATE_FIELDS + (watch === undefined ? 0 : 1) + (links === undefined ? 0 : 1) || !isList(runs) || !runs.every(isObject) || !isObject(stats)) return false;
  if (nextDueAt === 0 && nextFireTime !== 0) return false;
  putCode(BEGIN);
  putValue(v);
  putNext(status);
  putNext(reason);
  putNext(nextFireTime);
  if (nextDueAt === nextFireTime && nextDueAt !== null) putZero();
  else putNext(nextDueAt);
  putNext(lastFireTime);
  putNext(runCount);
  putNext(fence);
  putNext(generation);
  putNext(firstFireTime);
  if (runs.length === 0) putZero();
  else putRuns(jobId, runs, lastFireTime, fence);
  if (stats === NO_STATS) putZero();
  else if (!putStats(jobId, lastFireTime, stats)) return false;
  if (watch !== undefined && !putWatch(watch)) return false;
  if (links !== undefined) {
    if (watch === undefined) putZero();
    putCode(COMMA);
    putText(JSON.stringify(links));
  }
  putCode(END);
  return true;
}

/** Of numbers and null the same as JSON's, in a fraction of the time. */
function putValue(value: unknown): void {
  if (typeof value === 'number') putNumber(value);
  else if (value === null) putText('null');
  else putText(value === 'active' ? '"active"' : value === 'succeeded' ? '"succeeded"' : JSON.stringify(value));
}

function putNext(value: unknown): void {
  putCode(COMMA);
  putValue(value);
}

function putZero(): void {
  putCode(COMMA);
  putCode(ZERO);
}

/** Without a list of them, since this is the hot path. */
function fieldsOf(json: object): number {
  let count = 0;
  // One that is inherited makes the state keep its names, which is right as well.
  for (const _field in json) count += 1;
  return count;
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function putRuns(jobId: string, runs: readonly Partial<RunningRun>[], lastFire: unknown, fence: unknown): void {
  putCode(COMMA);
  putCode(BEGIN);
  for (let i = 0; i < runs.length; i++) {
    if (i > 0) putCode(COMMA);
    putRun(jobId, runs[i]!, lastFire, fence);
  }
  putCode(END);
}

function putRun(jobId: string, run: Partial<RunningRun>, lastFire: unknown, fence: unknown): void {
  const { state, id, scheduledFor, attempt, manual, catchUp, crashes, args, owner, process, token, leaseUntil, startedAt, abort } = run;
  const isPlain =
    state === 'running' && typeof id === 'string' && scheduledFor !== undefined && attempt !== undefined && typeof manual === 'boolean' &&
    typeof catchUp === 'boolean' && crashes !== undefined && args === null && owner !== undefined && token !== undefined &&
    leaseUntil !== undefined && startedAt !== undefined && abort !== undefined;
  const hasOthers = !isPlain || fieldsOf(run) !== (process === undefined ? RUN_FIELDS : RUN_FIELDS + 1);
  if (hasOthers || (scheduledFor === 0 && lastFire !== 0) || (token === 0 && fence !== 0)) {
    putText(JSON.stringify(run));
    return;
  }
  putCode(BEGIN);
  if (isRunIdOf(id, jobId, scheduledFor)) putCode(ZERO);
  else putValue(id);
  if (scheduledFor === lastFire) putZero();
  else putNext(scheduledFor);
  putNext(attempt);
  putNext(manual ? (catchUp ? MANUAL + CATCH_UP : MANUAL) : catchUp ? CATCH_UP : 0);
  putNext(crashes);
  putCode(COMMA);
  putName(owner);
  if (token === fence) putZero();
  else putNext(token);
  putNext(leaseUntil);
  putNext(startedAt);
  putNext(abort);
  if (process !== undefined) putNext(process);
  putCode(END);
}

/** Answers whether it is a watch. */
function putWatch(watch: unknown): boolean {
  if (!isObject(watch) || Object.keys(watch).length !== 2) return false;
  const { since, overdue } = watch as Partial<JobWatch>;
  if (since === undefined || overdue === undefined) return false;
  if (overdue === null) {
    putText(`,${JSON.stringify([since])}`);
    return true;
  }
  if (!isObject(overdue) || Object.keys(overdue).length !== 3) return false;
  const { why, deadline, raisedAt } = overdue as Partial<JobOverdue>;
  if (why === undefined || deadline === undefined || raisedAt === undefined) return false;
  putText(`,${JSON.stringify([since, why, deadline, raisedAt])}`);
  return true;
}

/** Answers whether they are counts. */
function putStats(jobId: string, lastFire: unknown, stats: Partial<JobStats>): boolean {
  const { succeeded, failed, cancelled, abandoned, missed, coalesced, skipped, timedRuns, totalDurationMs, lastRunId, lastVerdict, lastFinishedAt, lastDurationMs } = stats;
  const { consecutiveFailures, lastSuccessAt } = stats;
  const isWhole =
    succeeded !== undefined && failed !== undefined && cancelled !== undefined && abandoned !== undefined && missed !== undefined &&
    coalesced !== undefined && skipped !== undefined && timedRuns !== undefined && totalDurationMs !== undefined &&
    (lastRunId === null || typeof lastRunId === 'string') && lastVerdict !== undefined && lastFinishedAt !== undefined && lastDurationMs !== undefined &&
    consecutiveFailures !== undefined && lastSuccessAt !== undefined;
  if (!isWhole || fieldsOf(stats) !== COUNTS || (lastSuccessAt === 0 && lastFinishedAt !== 0)) return false;
  putCode(COMMA);
  putCode(BEGIN);
  putValue(succeeded);
  if (failed === 0 && cancelled === 0 && abandoned === 0 && missed === 0 && coalesced === 0 && skipped === 0) putText(',0,0,0,0,0,0');
  else {
    putNext(failed);
    putNext(cancelled);
    putNext(abandoned);
    putNext(missed);
    putNext(coalesced);
    putNext(skipped);
  }
  putNext(timedRuns);
  putNext(totalDurationMs);
  if (lastRunId !== null && isRunIdOf(lastRunId, jobId, lastFire)) putZero();
  else putNext(lastRunId);
  putNext(lastVerdict);
  putNext(lastFinishedAt);
  putNext(lastDurationMs);
  putNext(consecutiveFailures);
  if (lastSuccessAt === lastFinishedAt && lastSuccessAt !== null) putZero();
  else putNext(lastSuccessAt);
  putCode(END);
  return true;
}

/** The id of the run for a fire time, as the planner makes it. */
export function runIdOf(jobId: string, fire: unknown): string {
  return `${jobId}@${String(fire)}`;
}

/** The same as a comparison with `runIdOf`, for most without making one. */
export function isRunIdOf(id: string, jobId: string, fire: unknown): boolean {
  const at = jobId.length;
  if (codeAt(id, at) !== 64 || !id.startsWith(jobId)) return false;
  if (typeof fire !== 'number' || !Number.isSafeInteger(fire) || fire < 0) return id === runIdOf(jobId, fire);
  // Read as a number, and from a number of as many digits: what is not written as numbers are is made and compared.
  let value = 0;
  for (let i = at + 1; i < id.length; i++) {
    const digit = codeAt(id, i) - ZERO;
    if (digit < 0 || digit > 9 || (digit === 0 && i === at + 1)) return id === runIdOf(jobId, fire);
    value = value * 10 + digit;
  }
  return value === fire && id.length > at + 1;
}

let latestName: unknown;
let latestText = '';

/** A process writes its own name again and again. */
export function putName(name: unknown): void {
  if (name !== latestName) {
    latestText = JSON.stringify(name);
    latestName = name;
  }
  putText(latestText);
}

export function readState(jobId: string, text: string): JsonObject {
  const value = parseJson(text);
  return typeof value === 'object' && value !== null ? stateOf(jobId, value) : parseObject(text);
}

/** The same of what the text is JSON for. */
export function stateOf(jobId: string, value: unknown): JsonObject {
  if (!Array.isArray(value)) return isObject(value) ? (value as JsonObject) : { unreadable: JSON.stringify(value) };
  const [v, status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime, runs, stats, watch, links] = value as StateList;
  const state = {
    v,
    status,
    reason,
    nextFireTime,
    nextDueAt: nextDueAt === 0 ? nextFireTime : nextDueAt,
    lastFireTime,
    runCount,
    fence,
    generation,
    firstFireTime,
    runs: runs === 0 ? [] : readRuns(jobId, runs, lastFireTime, fence),
    stats: stats === 0 ? NO_STATS : countsOf(jobId, lastFireTime, stats),
  };
  if (watch === undefined) return state;
  const whole = Array.isArray(watch) ? { ...state, watch: watchOf(watch) } : state;
  return links === undefined ? whole : { ...whole, links };
}

function watchOf([since, why, deadline, raisedAt]: WatchList): unknown {
  return { since, overdue: why === undefined ? null : { why, deadline, raisedAt } };
}

function readRuns(jobId: string, runs: unknown, lastFire: unknown, fence: unknown): unknown {
  if (!isList(runs)) return runs;
  return runs.map((run) => (isList(run) ? readRun(jobId, run as unknown as RunList, lastFire, fence) : run));
}

function readRun(jobId: string, list: RunList, lastFire: unknown, fence: unknown): unknown {
  const [id, fire, attempt, flags, crashes, owner, token, leaseUntil, startedAt, abort, process] = list;
  const scheduledFor = fire === 0 ? lastFire : fire;
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
    token: token === 0 ? fence : token,
    leaseUntil,
    startedAt,
    abort,
  };
  return process === undefined ? run : { ...run, process };
}

function countsOf(jobId: string, lastFireTime: unknown, values: unknown): unknown {
  if (!Array.isArray(values)) return values;
  const [succeeded, failed, cancelled, abandoned, missed, coalesced, skipped, timedRuns, totalDurationMs, lastRunId, lastVerdict, lastFinishedAt] = values as readonly unknown[];
  const [lastDurationMs, consecutiveFailures, lastSuccessAt] = [values[12], values[13], values[14]] as readonly unknown[];
  const counts: Readonly<Record<keyof JobStats, unknown>> = {
    succeeded,
    failed,
    cancelled,
    abandoned,
    missed,
    coalesced,
    skipped,
    timedRuns,
    totalDurationMs,
    lastRunId: lastRunId === 0 ? runIdOf(jobId, lastFireTime) : lastRunId,
    lastVerdict,
    lastFinishedAt,
    lastDurationMs,
    consecutiveFailures,
    lastSuccessAt: lastSuccessAt === 0 ? lastFinishedAt : lastSuccessAt,
  };
  return counts;
}
