import type { EpochMs } from '../ports/trigger.js';
import type { StoredResult } from './ledger.js';
import type { RunCause } from './links.js';

interface RunBase {
  /** `<job id>@<fire time>` for a scheduled run, `<job id>#<token>` for a manual one: an idempotency key. */
  readonly id: string;
  /** The fire time. Never changed by lateness or jitter. A manual run has the instant it was asked for. */
  readonly scheduledFor: EpochMs;
  /** Attempts begun so far, this one included. 0 while the first has not begun. */
  readonly attempt: number;
  readonly manual: boolean;
  /** Makes up for a fire time that came up late, or stands for several. */
  readonly catchUp: boolean;
  /** Times a node died (or lost its lease) while it had this run. */
  readonly crashes: number;
  /** Arguments of a manual run that differ from the job's; `null` for the job's own. */
  readonly args: readonly unknown[] | null;
  /** Version of the task those are for. Not there for 1. */
  readonly argsVersion?: number;
  /** The runs it followed. Not there where it followed none. */
  readonly follows?: readonly RunCause[];
}

/** A run some node executes under a lease. */
export interface RunningRun extends RunBase {
  readonly state: 'running';
  /** The node that holds it. */
  readonly owner: string;
  /** The process behind that node, where its name is one that the next process has too. */
  readonly process?: string;
  /** Fencing token: grows with every start of this job. Only its holder may finish the run. */
  readonly token: number;
  /** When others may take it over. `null` in a store that dies with this process. */
  readonly leaseUntil: EpochMs | null;
  readonly startedAt: EpochMs;
  /** Why its holder is asked to abort it, if it is: `replaced`, `removed`, or what `cancelRun` was given. */
  readonly abort: string | null;
}

/** A run that no node executes at the moment. */
export interface WaitingRun extends RunBase {
  readonly state: 'waiting';
  /** `queued`: for a free slot. `retry`: after an error. `crash`: its node died, or handed it back. */
  readonly cause: 'queued' | 'retry' | 'crash';
  readonly readyAt: EpochMs;
}

/** A live run: it has no verdict yet. */
export type RunRecord = RunningRun | WaitingRun;

/** How an execution ended, as its node saw it. */
export type RunOutcome =
  | { readonly kind: 'succeeded'; readonly result: StoredResult | null }
  | { readonly kind: 'failed'; readonly error: ErrorInfo; readonly retryable: boolean; readonly timedOut: boolean }
  | { readonly kind: 'cancelled'; readonly reason: string; readonly error: ErrorInfo | null }
  /** Its task was not called, since it cannot take the arguments; `args` are those of the job. */
  | { readonly kind: 'refused'; readonly args: readonly unknown[]; readonly error: ErrorInfo };

/** An error as plain data, so that it can be stored and cross a process. */
export interface ErrorInfo {
  readonly name: string;
  readonly message: string;
  readonly code: string | null;
  readonly stack: string | null;
}
