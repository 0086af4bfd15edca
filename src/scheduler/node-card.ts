import { hostname } from 'node:os';
import type { SchedulerState } from '../core/lifecycle.js';
import type { JobDemand } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';
import type { ExecutorPool } from './executor-pool.js';
import type { NodeRole } from './leadership.js';
import type { NodeRun, NodeRuns } from './node-runs.js';

/** What a node says of itself to the others. */
export interface NodeCard {
  readonly state: 'running' | 'paused' | 'stopping';
  /** In the store it tells this. */
  readonly role: NodeRole;
  readonly host: string;
  readonly pid: number;
  readonly startedAt: EpochMs;
  /** Tasks and their versions: the first of them, where they are very many. */
  readonly tasks: ReadonlyMap<string, number>;
  readonly taskCount: number;
  readonly executors: ReadonlyMap<string, ExecutorRoom>;
  /** The store's clock minus this machine's, where the store has one. */
  readonly clockSkew: ClockSkew | null;
  /** Identity of the process, where its name is one that the next process has too. */
  readonly process?: string | undefined;
  /** What it runs of the jobs that each node runs: nobody else could tell. Not there where it runs none. */
  readonly jobs?: NodeRuns | undefined;
}

/** The room in an executor of a node. */
export interface ExecutorRoom {
  /** Runs at one time; `Infinity`: no limit; `null`: the executor does not tell. */
  readonly capacity: number | null;
  readonly free: number;
}

/** How far a machine's clock is from the clock of a store. */
export interface ClockSkew {
  /** Clock of the store minus clock of the machine: negative where the machine is ahead. */
  readonly byMs: number;
  /** The truth lies no further from `byMs` than this. */
  readonly errorMs: number;
}

/** Bytes that tasks, and executors, may take of the 64 kB that a store must take. */
const TASK_BYTES = 40_000;
const EXECUTOR_BYTES = 16_000;
const RUN_BYTES = 6_000;

/** What a scheduler is, for itself and for others. */
export function describeNode(
  state: SchedulerState,
  startedAt: EpochMs,
  tasks: ReadonlyMap<string, number>,
  executors: ExecutorPool,
  clockSkew: ClockSkew | null,
): Omit<NodeCard, 'role'> {
  return {
    state: state === 'paused' || state === 'stopping' ? state : 'running',
    host: hostname(),
    pid: process.pid,
    startedAt,
    tasks,
    taskCount: tasks.size,
    executors: new Map([...executors.entries()].map(([alias, { capacity = null }]) => [alias, { capacity, free: Math.max(0, executors.free(alias)) }])),
    clockSkew,
  };
}

export function writeCard(card: NodeCard): string {
  const executors = [...card.executors].map(([alias, { capacity, free }]) => [alias, capacity === null ? -1 : finite(capacity), finite(free)] as const);
  const { jobs } = card;
  const runs = jobs?.running.map(({ jobId, task, executor, runId, scheduledFor, startedAt, attempt }) => [jobId, task, executor, runId, scheduledFor.getTime(), startedAt.getTime(), attempt] as const);
  const written: Written['jobs'] = jobs && { runs: within(RUN_BYTES, runs ?? []), count: jobs.runningCount };
  return JSON.stringify({ ...card, v: 1, jobs: written, tasks: within(TASK_BYTES, [...card.tasks]), executors: within(EXECUTOR_BYTES, executors) });
}

/** `undefined` for what this release cannot read; that a node is there is known all the same. */
export function readCard(about: string): NodeCard | undefined {
  try {
    const { v, tasks, executors, jobs, ...card } = JSON.parse(about) as Written;
    if (v !== 1) return undefined;
    return {
      ...card,
      jobs: jobs && { running: jobs.runs.map(readRun), runningCount: jobs.count },
      tasks: new Map(tasks),
      executors: new Map(executors.map(([alias, capacity, free]) => [alias, { capacity: capacity === -1 ? null : endless(capacity), free: endless(free) }])),
    };
  } catch {
    return undefined;
  }
}

/** Whether a node can do what a job asks of it. One that said too little is believed to. */
export function canServe(card: NodeCard | undefined, { task, taskVersion, executor }: JobDemand): boolean {
  if (card === undefined) return true;
  const version = card.tasks.get(task) ?? (card.tasks.size < card.taskCount ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
  return version >= taskVersion && card.executors.has(executor);
}

function readRun([jobId, task, executor, runId, scheduledFor, startedAt, attempt]: WrittenRun): NodeRun {
  return { jobId, task, executor, runId, scheduledFor: new Date(scheduledFor), startedAt: new Date(startedAt), attempt, leaseUntil: null };
}

type WrittenRun = readonly [jobId: string, task: string, executor: string, runId: string, scheduledFor: EpochMs, startedAt: EpochMs, attempt: number];

type Written = Omit<NodeCard, 'tasks' | 'executors' | 'jobs'> & {
  readonly v: number;
  readonly tasks: readonly (readonly [string, number])[];
  readonly executors: readonly (readonly [string, number | null, number | null])[];
  /** Not there in what an earlier release says. */
  readonly jobs?: { readonly runs: readonly WrittenRun[]; readonly count: number } | undefined;
};

/** JSON has no infinity. */
function finite(count: number): number | null {
  return Number.isFinite(count) ? count : null;
}

function endless(count: number | null): number {
  return count ?? Number.POSITIVE_INFINITY;
}

function within<T>(most: number, entries: readonly T[]): readonly T[] {
  let bytes = 0;
  const end = entries.findIndex((entry) => (bytes += Buffer.byteLength(JSON.stringify(entry)) + 1) > most);
  return end === -1 ? entries : entries.slice(0, end);
}
