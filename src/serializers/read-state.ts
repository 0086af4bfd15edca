import { JobUnstorableError } from '../errors/job-errors.js';
import { NO_RUNS, type CancelRequest, type JobState } from '../model/job.js';
import type { JobLinks } from '../model/links.js';
import type { RunRecord } from '../model/run.js';
import { NO_STATS, type JobStats } from '../model/stats.js';
import type { JobOverdue, JobWatch } from '../model/watch.js';
import type { JsonObject } from '../ports/job-codec.js';

type Check = (value: unknown) => boolean;

const isNumber: Check = (value) => typeof value === 'number';
const isText: Check = (value) => typeof value === 'string';
const isInstant: Check = (value) => value === null || isNumber(value);
const isReason: Check = (value) => value === null || isText(value);

/** What the planner reckons with. Of another shape it would make it throw, or write what a store refuses. */
const STATE: Readonly<Record<Exclude<keyof JobState, 'links' | 'cancels'>, Check>> = {
  status: isText,
  reason: isReason,
  nextFireTime: isInstant,
  nextDueAt: isInstant,
  lastFireTime: isInstant,
  runCount: isNumber,
  fence: isNumber,
  generation: isNumber,
  firstFireTime: isInstant,
  runs: (value) => Array.isArray(value) && value.every(isRun),
  stats: isStats,
  watch: isWatch,
};

/** What every record has. `consecutiveFailures` came later. */
const COUNTERS = Object.keys(NO_STATS).filter((field) => !field.startsWith('last') && field !== 'consecutiveFailures');
/** Not in every record: as many fields fewer than there are may be there. */
const OPTIONAL = 1;

const NONE: JobState = Object.freeze({
  status: 'quarantined',
  reason: null,
  nextFireTime: null,
  nextDueAt: null,
  lastFireTime: null,
  runCount: 0,
  fence: 0,
  generation: 0,
  firstFireTime: null,
  runs: NO_RUNS,
  stats: NO_STATS,
  watch: null,
});

const FIELDS = Object.keys(STATE) as (keyof typeof STATE)[];

/** @throws JobUnstorableError naming a field that cannot be read. */
export function readState(json: JsonObject): JobState {
  if (!isReadable(json)) {
    const field = FIELDS.find((name) => !STATE[name](json[name]));
    throw new JobUnstorableError(`the record has no state, or none with a readable \`${String(field)}\``);
  }
  const state = json as unknown as JobState;
  const runs = state.runs.length === 0 ? NO_RUNS : Object.freeze([...state.runs]);
  const stats = wholeStats(state.stats);
  const watch = (state as Partial<JobState>).watch ?? null;
  if (Object.keys(json).length > FIELDS.length + 1 - (json['watch'] === undefined ? OPTIONAL : 0)) {
    const { v: _version, ...others } = json;
    const { links, cancels } = others;
    if (links !== undefined && !areLinks(links)) throw new JobUnstorableError('the record has no readable `links`');
    if (cancels !== undefined && !areCancels(cancels)) throw new JobUnstorableError('the record has no readable `cancels`');
    return { ...(others as unknown as JobState), runs, stats, watch };
  }
  // Field by field, since this is the hot path.
  const { status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime } = state;
  return { status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime, runs, stats, watch };
}

/** The same as all checks of `STATE`, without a call for each: this is the hot path. */
function isReadable({ status, reason, nextFireTime, nextDueAt, lastFireTime, runCount, fence, generation, firstFireTime, runs, stats, watch }: JsonObject): boolean {
  return (
    typeof status === 'string' && (reason === null || typeof reason === 'string') &&
    (nextFireTime === null || typeof nextFireTime === 'number') && (nextDueAt === null || typeof nextDueAt === 'number') &&
    (lastFireTime === null || typeof lastFireTime === 'number') && typeof runCount === 'number' && typeof fence === 'number' &&
    typeof generation === 'number' && (firstFireTime === null || typeof firstFireTime === 'number') &&
    STATE.runs(runs) && isStats(stats) && isWatch(watch)
  );
}

/** The counts of an earlier release, with what it did not count. */
function wholeStats(stats: JobStats): JobStats {
  const { consecutiveFailures, lastSuccessAt } = stats as Partial<JobStats>;
  if (typeof consecutiveFailures === 'number' && lastSuccessAt !== undefined) return stats;
  return { ...stats, consecutiveFailures: consecutiveFailures ?? 0, lastSuccessAt: stats.lastVerdict === 'succeeded' ? stats.lastFinishedAt : null };
}

/** As much of a state as can be read, in quarantine where that is not all of it. */
export function readStateSafely(json: JsonObject, error: unknown): JobState {
  try {
    return readState(json);
  } catch {
    const { v: _version, ...rest } = json;
    const readable = Object.entries(rest).filter(([field, value]) => field === 'links' ? areLinks(value) : field === 'cancels' ? areCancels(value) : !Object.hasOwn(STATE, field) || STATE[field as keyof typeof STATE](value));
    const reason = error instanceof Error ? error.message : String(error);
    return { ...NONE, ...Object.fromEntries(readable), status: 'quarantined', reason };
  }
}

function isRun(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const run = value as Record<keyof RunRecord | 'leaseUntil' | 'readyAt', unknown>;
  const { state, id, scheduledFor, attempt } = run;
  const isWhole = isText(id) && isNumber(scheduledFor) && isNumber(attempt) && run.args !== undefined;
  return isWhole && (state === 'running' ? isInstant(run.leaseUntil) : state === 'waiting' && isNumber(run.readyAt));
}

const LISTS: readonly (keyof JobLinks)[] = ['followers', 'outbox', 'waits', 'met', 'heard', 'pending'];
const INSTANTS: readonly (keyof JobLinks)[] = ['deliverAt', 'checkAt'];

function areLinks(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const links = value as Readonly<Record<keyof JobLinks, unknown>>;
  const isOptional = (field: keyof JobLinks, check: Check): boolean => links[field] === undefined || check(links[field]);
  const isListOf: Check = (list) => Array.isArray(list) && list.length > 0 && list.every((item) => typeof item === 'object' && item !== null);
  return isNumber(links.since) && LISTS.every((field) => isOptional(field, isListOf)) && INSTANTS.every((field) => isOptional(field, isNumber));
}

function areCancels(value: unknown): boolean {
  return Array.isArray(value) && value.every((item: unknown) => {
    if (typeof item !== 'object' || item === null) return false;
    const { runId, reason, at } = item as Record<keyof CancelRequest, unknown>;
    return isText(runId) && isText(reason) && isNumber(at);
  });
}

function isStats(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return value === NO_STATS || COUNTERS.every((field) => isNumber((value as Record<keyof JobStats, unknown>)[field as keyof JobStats]));
}

function isWatch(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (typeof value !== 'object') return false;
  const { since, overdue, waitedUntil } = value as Record<keyof JobWatch, unknown>;
  if (!isNumber(since) || overdue === undefined || (waitedUntil !== undefined && !isNumber(waitedUntil))) return false;
  if (overdue === null) return true;
  const { why, deadline, raisedAt } = overdue as Record<keyof JobOverdue, unknown>;
  return (why === 'no-success' || why === 'not-started') && isNumber(deadline) && isNumber(raisedAt);
}
