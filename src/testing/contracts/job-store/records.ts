import type { JobDefinition, JobPolicy, JobRecord, JobState } from '../../../model/job.js';
import { NO_RUNS } from '../../../model/job.js';
import type { LedgerEntry } from '../../../model/ledger.js';
import type { RunningRun, WaitingRun } from '../../../model/run.js';
import type { ClaimRequest, ClaimScope } from '../../../ports/job-store.js';
import { NO_STATS } from '../../../model/stats.js';
import type { EpochMs, TriggerJson } from '../../../ports/trigger.js';
import { IntervalTrigger } from '../../../triggers/interval.js';

/** An instant of no special meaning; the cases count from it. */
export const T0: EpochMs = Date.UTC(2026, 0, 1);

const POLICY: JobPolicy = Object.freeze({
  misfireGraceMs: null,
  coalesce: 'latest',
  maxCatchUp: 100,
  maxInstances: 1,
  overlap: 'skip',
  queueLimit: 100,
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

export interface RecordParts {
  readonly definition?: Partial<JobDefinition> | undefined;
  readonly policy?: Partial<JobPolicy> | undefined;
  readonly state?: Partial<JobState> | undefined;
}

/** A record whose fire time is due at `at`, or never (`null`). */
export function jobRecord(id: string, at: EpochMs | null = T0, { definition, policy, state }: RecordParts = {}): JobRecord {
  return {
    id,
    definition: {
      task: 'work',
      fn: null,
      args: [],
      trigger: new IntervalTrigger({ minutes: 1 }, { startTime: T0 }),
      anchor: T0,
      policy: policy === undefined ? POLICY : { ...POLICY, ...policy },
      name: null,
      tags: [],
      metadata: null,
      taskVersion: 1,
      owner: null,
      ...definition,
    },
    state: {
      status: 'active',
      reason: null,
      nextFireTime: at,
      nextDueAt: at,
      lastFireTime: null,
      runCount: 0,
      fence: T0,
      generation: T0,
      firstFireTime: at,
      runs: NO_RUNS,
      stats: NO_STATS,
      watch: null,
      ...state,
    },
  };
}

/** The record with another state. */
export function withState(record: JobRecord, state: Partial<JobState>): JobRecord {
  return { ...record, state: { ...record.state, ...state } };
}

/** The record due at another time. */
export function dueAt(record: JobRecord, at: EpochMs | null): JobRecord {
  return withState(record, { nextFireTime: at, nextDueAt: at });
}

export function runningRun(jobId: string, leaseUntil: EpochMs | null): RunningRun {
  return {
    state: 'running',
    id: `${jobId}@${T0}`,
    scheduledFor: T0,
    attempt: 1,
    manual: false,
    catchUp: false,
    crashes: 0,
    args: null,
    owner: 'elsewhere',
    token: T0 + 1,
    leaseUntil,
    startedAt: T0,
    abort: null,
  };
}

export function waitingRun(jobId: string, readyAt: EpochMs, manual = false): WaitingRun {
  return {
    state: 'waiting',
    id: manual ? `${jobId}#${T0}` : `${jobId}@${T0 - 60_000}`,
    scheduledFor: T0 - 60_000,
    attempt: 0,
    manual,
    catchUp: false,
    crashes: 0,
    args: null,
    cause: 'queued',
    readyAt,
  };
}

export function ledgerEntry(jobId: string, scheduledFor: EpochMs, parts: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    jobId,
    runId: `${jobId}@${scheduledFor}`,
    verdict: 'succeeded',
    reason: null,
    scheduledFor,
    scheduledTo: scheduledFor,
    count: 1,
    exact: true,
    manual: false,
    generation: T0,
    attempt: 1,
    startedAt: scheduledFor,
    at: scheduledFor + 5,
    node: 'contract',
    error: null,
    result: null,
    ...parts,
  };
}

/** What a node can do that has the task `work` and room in its default executor. */
export function scope(parts: Partial<ClaimScope> = {}): ClaimScope {
  return { executors: new Map([['default', 100]]), tasks: new Map([['work', 1]]), ...parts };
}

export function claim(now: EpochMs, parts: Partial<ClaimRequest> = {}): ClaimRequest {
  return { ...scope(), now, limit: 100, reserveMs: 1_000, ...parts };
}

/** Comparable plain data: live triggers by their stored form, and what is undefined left out. */
export function plain(record: JobRecord | undefined): unknown {
  if (record === undefined) return undefined;
  const trigger: TriggerJson = record.definition.trigger.toJSON();
  return JSON.parse(JSON.stringify({ ...record, definition: { ...record.definition, trigger } }));
}
