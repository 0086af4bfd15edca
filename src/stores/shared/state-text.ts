import type { RunningRun } from '../../model/run.js';
import { NO_STATS, type JobStats } from '../../model/stats.js';
import type { JobOverdue, JobWatch } from '../../model/watch.js';
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
const BLANKS = Array.from({ length: LONGEST_ROOM + 1 }, (_, length) => ' '.repeat(length));

const COUNTS = Object.keys(NO_STATS) as (keyof JobStats)[];
const LAST_RUN = COUNTS.indexOf('lastRunId');
const LAST_SUCCESS = COUNTS.indexOf('lastSuccessAt');

/**
 * A state as text, without the names of its fields: it is written twice a run, and how long it is decides how many pages
 * of the database a batch changes. 0 stands for what is the same as another field: the due time of a fire time without
 * jitter, the fire time of the run for the last one, the token of the last start, the last success for the last end. A
 * state of another shape, which only a record that cannot be read has, keeps its names.
 *
 * @param room - length up to which it is filled with blanks, which JSON takes for what they are; beyond it, some more than
 *   the state needs. 0: not at all.
 */
export function writeState(jobId: string, json: JsonObject, room = 0): string {
  const { v, status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime, runs, stats, watch, links } = json;
  const isWhole =
    v !== undefined && status !== undefined && reason !== undefined && nextFireTime !== undefined && nextDueAt !== undefined &&
    lastFireTime !== undefined && runCount !== undefined && fence !== undefined && generation !== undefined && firstFireTime !== undefined;
  if (!isWhole || fieldsOf(json) !== STATE_FIELDS + (watch === undefined ? 0 : 1) + (links === undefined ? 0 : 1) || !isList(runs) || !runs.every(isObject) || !isObject(stats)) return JSON.stringify(json);
  if (nextDueAt === 0 && nextFireTime !== 0) return JSON.stringify(json);
  const last = toText(lastFireTime);
  const counts = stats === NO_STATS ? '0' : statsText(jobId, last, stats);
  const watching = watch === undefined ? '' : watchText(watch);
  if (counts === undefined || watching === undefined) return JSON.stringify(json);
  head[0] = `[${toText(v)}`;
  head[1] = toText(status);
  head[2] = toText(reason);
  head[3] = toText(nextFireTime);
  head[4] = nextDueAt === nextFireTime && nextDueAt !== null ? '0' : toText(nextDueAt);
  head[5] = last;
  head[6] = toText(runCount);
  head[7] = toText(fence);
  head[8] = toText(generation);
  head[9] = toText(firstFireTime);
  head[10] = runs.length === 0 ? '0' : runsText(jobId, runs, lastFireTime, last, fence);
  head[11] = links === undefined ? `${counts}${watching}]` : `${counts}${watching === '' ? ',0' : watching},${JSON.stringify(links)}]`;
  if (room > 0) {
    let length = head.length - 1;
    for (const part of head) length += part.length;
    const filled = length <= room ? room : Math.ceil(length / STEP) * STEP;
    if (filled <= LONGEST_ROOM) head[11] += BLANKS[filled - length]!;
  }
  return head.join();
}

/**
 * Lists that are filled again and again: a text that is put together piece by piece is a tree of pieces, which costs as
 * much again when the driver takes it.
 */
const head = Array.from({ length: 12 }, () => '');
const going = Array.from({ length: 10 }, () => '');
const counted = Array.from({ length: 10 }, () => '');

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

function runsText(jobId: string, runs: readonly Partial<RunningRun>[], lastFire: unknown, last: string, fence: unknown): string {
  let text = '';
  for (const run of runs) text += `${text === '' ? '[' : ','}${runText(jobId, run, lastFire, last, fence)}`;
  return `${text}]`;
}

/** @param last - `lastFire` as text. */
function runText(jobId: string, run: Partial<RunningRun>, lastFire: unknown, last: string, fence: unknown): string {
  const { state, id, scheduledFor, attempt, manual, catchUp, crashes, args, owner, process, token, leaseUntil, startedAt, abort } = run;
  const isPlain =
    state === 'running' && typeof id === 'string' && scheduledFor !== undefined && attempt !== undefined && typeof manual === 'boolean' &&
    typeof catchUp === 'boolean' && crashes !== undefined && args === null && owner !== undefined && token !== undefined &&
    leaseUntil !== undefined && startedAt !== undefined && abort !== undefined;
  if (!isPlain || fieldsOf(run) !== (process === undefined ? RUN_FIELDS : RUN_FIELDS + 1)) return JSON.stringify(run);
  if ((scheduledFor === 0 && lastFire !== 0) || (token === 0 && fence !== 0)) return JSON.stringify(run);
  const flags = manual ? (catchUp ? MANUAL + CATCH_UP : MANUAL) : catchUp ? CATCH_UP : 0;
  const isOfLastFire = scheduledFor === lastFire;
  const fire = isOfLastFire ? last : toText(scheduledFor);
  going[0] = isRunIdOf(id, jobId, fire) ? '0' : toText(id);
  going[1] = isOfLastFire ? '0' : fire;
  going[2] = toText(attempt);
  going[3] = toText(flags);
  going[4] = toText(crashes);
  going[5] = nameText(owner);
  going[6] = token === fence ? '0' : toText(token);
  going[7] = toText(leaseUntil);
  going[8] = toText(startedAt);
  going[9] = toText(abort);
  const text = going.join();
  return process === undefined ? `[${text}]` : `[${text},${toText(process)}]`;
}

/** `undefined` for what is no watch. */
function watchText(watch: unknown): string | undefined {
  if (!isObject(watch) || Object.keys(watch).length !== 2) return undefined;
  const { since, overdue } = watch as Partial<JobWatch>;
  if (since === undefined) return undefined;
  if (overdue === null) return `,[${toText(since)}]`;
  if (!isObject(overdue) || Object.keys(overdue).length !== 3) return undefined;
  const { why, deadline, raisedAt } = overdue as Partial<JobOverdue>;
  if (why === undefined || deadline === undefined || raisedAt === undefined) return undefined;
  return `,[${toText(since)},${toText(why)},${toText(deadline)},${toText(raisedAt)}]`;
}

/** `undefined` for what are no counts. */
function statsText(jobId: string, last: string, stats: Partial<JobStats>): string | undefined {
  const { succeeded, failed, cancelled, abandoned, missed, coalesced, skipped, timedRuns, totalDurationMs, lastRunId, lastVerdict, lastFinishedAt, lastDurationMs } = stats;
  const { consecutiveFailures, lastSuccessAt } = stats;
  const isWhole =
    succeeded !== undefined && failed !== undefined && cancelled !== undefined && abandoned !== undefined && missed !== undefined &&
    coalesced !== undefined && skipped !== undefined && timedRuns !== undefined && totalDurationMs !== undefined &&
    (lastRunId === null || typeof lastRunId === 'string') && lastVerdict !== undefined && lastFinishedAt !== undefined && lastDurationMs !== undefined &&
    consecutiveFailures !== undefined && lastSuccessAt !== undefined;
  if (!isWhole || fieldsOf(stats) !== COUNTS.length || (lastSuccessAt === 0 && lastFinishedAt !== 0)) return undefined;
  const run = lastRunId !== null && isRunIdOf(lastRunId, jobId, last) ? '0' : toText(lastRunId);
  const troubles =
    failed === 0 && cancelled === 0 && abandoned === 0 && missed === 0 && coalesced === 0 && skipped === 0
      ? '0,0,0,0,0,0'
      : `${toText(failed)},${toText(cancelled)},${toText(abandoned)},${toText(missed)},${toText(coalesced)},${toText(skipped)}`;
  counted[0] = toText(succeeded);
  counted[1] = troubles;
  counted[2] = toText(timedRuns);
  counted[3] = toText(totalDurationMs);
  counted[4] = run;
  counted[5] = toText(lastVerdict);
  counted[6] = toText(lastFinishedAt);
  counted[7] = toText(lastDurationMs);
  counted[8] = toText(consecutiveFailures);
  counted[9] = lastSuccessAt === lastFinishedAt && lastSuccessAt !== null ? '0' : toText(lastSuccessAt);
  return `[${counted.join()}]`;
}

/** The id of the run for a fire time, as the planner makes it. */
function runIdOf(jobId: string, fire: unknown): string {
  return `${jobId}@${String(fire)}`;
}

/** The same as a comparison with `runIdOf`, without making one. @param fire - as text. */
function isRunIdOf(id: string, jobId: string, fire: string): boolean {
  return id.length === jobId.length + 1 + fire.length && id.endsWith(fire) && id[jobId.length] === '@' && id.startsWith(jobId);
}

/** Of numbers and null the same as JSON's, in a fraction of the time. */
function toText(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return value === 'active' ? '"active"' : value === 'succeeded' ? '"succeeded"' : JSON.stringify(value);
}

let latestName: unknown;
let latestText = '';

/** A process writes its own name again and again. */
function nameText(name: unknown): string {
  if (name !== latestName) {
    latestText = toText(name);
    latestName = name;
  }
  return latestText;
}

export function readState(jobId: string, text: string): JsonObject {
  const value = parseJson(text);
  if (!Array.isArray(value)) return parseObject(text);
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
  const counts: Record<string, unknown> = {};
  for (let index = 0; index < COUNTS.length; index++) counts[COUNTS[index]!] = (values as readonly unknown[])[index];
  if (values[LAST_RUN] === 0) counts['lastRunId'] = runIdOf(jobId, lastFireTime);
  if (values[LAST_SUCCESS] === 0) counts['lastSuccessAt'] = counts['lastFinishedAt'];
  return counts;
}
