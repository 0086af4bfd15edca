import type { JobPolicy, TaskFunction, TaskModule } from '../model/job.js';
import type { RunCause } from '../model/links.js';
import type { Clock } from './clock.js';
import type { Logger } from './logger.js';

/** What an executor gets from its scheduler. */
export interface ExecutorContext {
  readonly clock: Clock;
  readonly logger: Logger;
  /** To be called when `free` has grown without a run's end, so that what waits for it is looked for at once. */
  readonly roomMade: () => void;
}

/** What an executor says of itself. */
export interface ExecutorHealth {
  /** Whether it can work now: it is connected, and what it needs is there. One that is busy is well. */
  readonly ok: boolean;
  /** Why it cannot, as far as it is known: the error it met last. */
  readonly error?: unknown;
}

/** Where runs execute: the event loop, worker threads, child processes, a broker. */
export interface Executor {
  /** How many more runs it takes now. The scheduler claims no more than that, so that free nodes take the rest. */
  readonly free: number;
  /** How many it takes when it runs none, for those who look at nodes. `Infinity`: no limit. */
  readonly capacity?: number | undefined;

  /**
   * Whether it runs tasks where the functions of this process are not: then it takes only tasks given as a module and
   * the name of an export. Jobs with any other are refused when they are added. Default `false`.
   */
  readonly needsModule?: boolean;

  /**
   * Whether it hands runs to workers that find the task by its name. Then it takes tasks given as `{ remote: true }` as well,
   * which no other executor does, and no function without a name. Default `false`.
   */
  readonly isRemote?: boolean;

  /** Called before the first run, and again before the first after a `close`. */
  open?(context: ExecutorContext): void;

  /**
   * Executes one run. Answers or resolves with the task's value, throws or rejects with the task's error.
   * Must honour `run.signal`, or `run.onAbort`, as far as it can: one that can end a task which does not listen gives it some
   * time for that, ends it, and rejects. Is never called while `free` is 0.
   */
  execute(run: RunRequest): unknown;

  /** How it is, at once and without asking anybody, for `scheduler.health()`. Left out: it always works. */
  health?(): ExecutorHealth;

  /** Called once, when no run is left or the shutdown's time is up. */
  close?(): void | Promise<void>;
}

export interface RunRequest {
  readonly runId: string;
  readonly jobId: string;
  readonly task: string;
  /** The task as it is defined in this process. Of one given as a module it loads that first. */
  readonly fn: TaskFunction;
  /** Where the task is found, if it was given as a module. */
  readonly module: TaskModule | null;
  readonly args: readonly unknown[];
  /** Made when it is first asked for: what only needs to know that a run is to stop has `abortReason` and `onAbort` for less. */
  readonly signal: AbortSignal;
  /** Why the run is to stop, as `signal.reason` has it; `undefined` as long as it is not. */
  readonly abortReason: Error | undefined;
  /** Called once, when the run is to stop. For the executor that has the run to set, and to set to `null` again; `null` at first. */
  onAbort: (() => void) | null;
  /** What `currentRun()` answers inside the task. */
  readonly context: RunContext;
  /** What holds for the run, for an executor that leaves it to others to keep to it. */
  readonly policy: RunPolicy;
}

/** What of a job's policy holds for each of its runs. */
export type RunPolicy = Pick<JobPolicy, 'timeoutMs' | 'retry' | 'onCrash' | 'maxCrashes' | 'priority'>;

/** What a task can know of the run it is executed for. See `currentRun()`. */
export interface RunContext {
  readonly jobId: string;
  readonly jobName: string | null;
  readonly runId: string;
  readonly task: string;
  /** The nominal fire time. For a manual run, when it was asked for. */
  readonly scheduledFor: Date;
  readonly startedAt: Date;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The run makes up for a fire time that came up late, or stands for several that were coalesced. */
  readonly isCatchUp: boolean;
  /** The run was asked for with `runJob`. */
  readonly isManual: boolean;
  /** The runs it follows: those its `after` trigger heard of, or that its job depended on. Mostly none. */
  readonly follows: readonly RunCause[];
  /** Fires on timeout, cancellation, replacement, shutdown and on loss of the lease; `signal.reason` says which. */
  readonly signal: AbortSignal;
  /** When the job fires next, as far as was known when this run started. */
  readonly nextRunTime: Date | null;
  /** Adds the ids of job and run to each line. */
  readonly logger: Logger;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}
