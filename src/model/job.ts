import type { EpochMs, Trigger } from '../ports/trigger.js';
import { linksWakeAt, isWaiting, type JobLinks } from './links.js';
import type { RunRecord } from './run.js';
import type { JobStats } from './stats.js';
import type { ExpectPolicy, JobWatch } from './watch.js';

/**
 * One document per job: what it is (`definition`) and where it stands (`state`). Immutable; every change is
 * a new record. A definition that did not change is the same object, so that a store may leave it unwritten.
 */
export interface JobRecord {
  readonly id: string;
  readonly definition: JobDefinition;
  readonly state: JobState;
}

export interface JobDefinition {
  /** Name of a registered task, or the name of a bare function (`fn`). */
  readonly task: string;
  /** A bare function, in a store that is not durable. */
  readonly fn: TaskFunction | null;
  readonly args: readonly unknown[];
  /** Version of the task its arguments are for. A node whose task is older leaves the job to a newer one. */
  readonly taskVersion: number;
  readonly trigger: Trigger;
  /** What an interval without a start time counts from. Kept, so that adding the same job again changes nothing. */
  readonly anchor: EpochMs;
  readonly policy: JobPolicy;
  readonly name: string | null;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** The set of definitions it belongs to (`sync`), if it belongs to one. */
  readonly owner: string | null;
}

/**
 * Any function can be a task.
 *
 * @privateRemarks `any` in the one place where it is right: parameters are contravariant, and a registry holds them all.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type TaskFunction = (...args: any[]) => unknown;

/** A task that is found by its place, so that another thread or process can load it. */
export interface TaskModule {
  /** A `file:` URL. */
  readonly url: string;
  /** Name of the export that is the task. */
  readonly export: string;
}

/** How fire times become runs. All times in ms. */
export interface JobPolicy {
  /** How late a fire time may start; `null`: as late as it likes. */
  readonly misfireGraceMs: number | null;
  readonly coalesce: CoalesceMode;
  /** Most runs that a catch-up with `coalesce: 'all'` makes; older fire times count as missed. */
  readonly maxCatchUp: number;
  /** Runs of the job at one time, across the cluster. */
  readonly maxInstances: number;
  readonly overlap: OverlapMode;
  /** Most runs `overlap: 'queueAll'` keeps waiting. */
  readonly queueLimit: number;
  /** Upper bound of the deterministic delay of each start. */
  readonly jitterMs: number;
  readonly retry: RetryPolicy | null;
  readonly timeoutMs: number | null;
  /** Scheduled runs after which the job is complete. */
  readonly maxRuns: number | null;
  /** First and last instant at which the job may fire, both inclusive. */
  readonly startTime: EpochMs | null;
  readonly endTime: EpochMs | null;
  /** What becomes of a run whose node died: the next attempt, or the verdict `abandoned`. */
  readonly onCrash: 'retry' | 'drop';
  /** Nodes that may die with a run before it is given up, so that a run that kills its process does not do so for ever. */
  readonly maxCrashes: number;
  /** Due jobs with a higher number are claimed first. */
  readonly priority: number;
  /** Whether one node takes each fire time of the job; `false`: each node does. */
  readonly exclusive: boolean;
  /** Alias of the executor. */
  readonly executor: string;
  /** How long a return value is kept in the ledger; `null`: it is not. */
  readonly resultTtlMs: number | null;
  /** Failed runs in a row after which the job is paused; `null`: it never is. */
  readonly maxConsecutiveFailures: number | null;
  /** When the job is overdue; `null`: never. */
  readonly expect: ExpectPolicy | null;
}

export type CoalesceMode = 'latest' | 'earliest' | 'all';
export type OverlapMode = 'skip' | 'queue' | 'queueAll' | 'replace' | 'allow';

export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  readonly delayMs: number;
  readonly backoff: 'fixed' | 'exponential';
  readonly maxDelayMs: number;
  /** Fraction (0 to 1) of the delay by which it may be shortened, deterministically per run and attempt. */
  readonly jitter: number;
  /** Which errors are worth another attempt. Not storable: for durable jobs it belongs to the task. */
  readonly retryIf: ((error: unknown, attempt: number) => boolean) | null;
}

/**
 * `active`: it fires. `paused`: it keeps its cursor and does not fire. `quarantined`: it cannot be read, its trigger
 * fails, or its task refuses its arguments; it is kept as it is. `removed`: gone for its users, kept until its last live
 * run has its verdict.
 */
export type JobStatus = 'active' | 'paused' | 'quarantined' | 'removed';

export interface JobState {
  readonly status: JobStatus;
  /** Why it is paused or quarantined. */
  readonly reason: string | null;
  /** The cursor: the fire time that comes next. `null` when there is none, or while a run "from completion" goes on. */
  readonly nextFireTime: EpochMs | null;
  /** When that fire time is due: the same instant, plus its jitter. */
  readonly nextDueAt: EpochMs | null;
  /** The latest fire time that was dealt with. */
  readonly lastFireTime: EpochMs | null;
  /** Scheduled runs started so far, for `maxRuns`. */
  readonly runCount: number;
  /** Only ever grows: the token of each start and the generation of each schedule are taken from it. */
  readonly fence: number;
  /** Changes with the trigger. Within one generation the fire times are those of one trigger, without a hole. */
  readonly generation: number;
  /** The first fire time of this generation. */
  readonly firstFireTime: EpochMs | null;
  /** Runs without a verdict, wherever they are. */
  readonly runs: readonly RunRecord[];
  /** What its ledger entries add up to, those included that were dropped since. */
  readonly stats: JobStats;
  /** How it stands with what is expected of it; `null` where nothing is. */
  readonly watch: JobWatch | null;
  /** What ties it to other jobs. Not there where nothing does. */
  readonly links?: JobLinks;
  /** Of a job that each node runs: what the nodes are asked to call off. Not there where that is nothing. */
  readonly cancels?: readonly CancelRequest[];
}

/** Each node is asked to call off its run of this id. */
export interface CancelRequest {
  readonly runId: string;
  readonly reason: string;
  readonly at: EpochMs;
}

export const NO_RUNS: readonly RunRecord[] = Object.freeze([]);

/** Runs that may go on at one time. */
export function slotLimit(policy: JobPolicy): number {
  return policy.overlap === 'allow' ? Number.POSITIVE_INFINITY : policy.maxInstances;
}

/** Live leases. Slots are counted from these, never kept in a counter that a crash could leave wrong. */
export function runningCount(runs: readonly RunRecord[]): number {
  // Mostly there is one. Going through a list costs an iterator, since some lists are frozen and others are not.
  if (runs.length === 1) return runs[0]!.state === 'running' ? 1 : 0;
  let count = 0;
  for (const run of runs) if (run.state === 'running') count += 1;
  return count;
}

/** When a record next needs attention, or `null` for never: the index every store keeps. */
export function wakeAt(record: JobRecord): EpochMs | null {
  return earlierOf(beginAt(record), leaseEnd(record.state.runs));
}

/** The part of `wakeAt` that has nothing to do with the runs that go on: when there is something to begin, or to tell. */
export function beginAt(record: JobRecord): EpochMs | null {
  const { state, definition } = record;
  const active = state.status === 'active';
  const { runs, links } = state;
  let earliest = active && !isWaiting(state) ? state.nextDueAt : null;
  if (links !== undefined) {
    const at = linksWakeAt(links);
    if (at !== null && (earliest === null || at < earliest)) earliest = at;
  }
  if (runs.length === 0 || (runs.length === 1 && runs[0]!.state === 'running')) return earliest;
  // A waiting run without a free slot wakes nobody: the run that frees the slot rewrites the record.
  if (runningCount(runs) >= slotLimit(definition.policy)) return earliest;
  for (const run of runs) if (run.state === 'waiting' && mayStart(record, run)) earliest = earlierOf(earliest, run.readyAt);
  return earliest;
}

/** When the first of the leases ends under which runs go on. `null`: none goes on, or none of them ends. */
export function leaseEnd(runs: readonly RunRecord[]): EpochMs | null {
  // Mostly there is one.
  if (runs.length === 1) return runs[0]!.state === 'running' ? runs[0]!.leaseUntil : null;
  let earliest: EpochMs | null = null;
  for (const run of runs) if (run.state === 'running') earliest = earlierOf(earliest, run.leaseUntil);
  return earliest;
}

/** `null`: never. */
function earlierOf(a: EpochMs | null, b: EpochMs | null): EpochMs | null {
  if (a === null || b === null) return a ?? b;
  return b < a ? b : a;
}

/**
 * Pausing holds back what the schedule made; a run somebody asked for by name goes on. Of what cannot be read nothing is
 * run: its arguments may be the very thing that is not known.
 */
export function mayStart({ definition, state: { status } }: JobRecord, run: RunRecord): boolean {
  if (definition.trigger.unreadable !== undefined) return false;
  return status === 'active' || (run.manual && status !== 'removed');
}
