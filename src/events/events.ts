import type { JobNotice, RunRef } from '../model/notice.js';
import type { ErrorInfo } from '../model/run.js';
import type { JobDemand } from '../ports/job-store.js';
import type { EpochMs } from '../ports/trigger.js';

/** Every event says what, when, and which scheduler. Times are epoch milliseconds; payloads are plain data. */
export interface EventBase {
  readonly at: EpochMs;
  /** The scheduler (node) that publishes it. */
  readonly node: string;
}

/** What every event about a job says. */
export interface JobEventBase extends EventBase {
  readonly jobId: string;
  readonly jobStore: string;
  readonly task: string;
  readonly tags: readonly string[];
}

/** What every event about a run says. */
export interface RunEventBase extends JobEventBase, RunRef {
  readonly isManual: boolean;
  readonly isCatchUp: boolean;
}

/** Facts about a scheduler. */
export type SchedulerLifecycleEvent = EventBase &
  (
    | { readonly type: 'schedulerStarted' }
    | { readonly type: 'schedulerPaused' }
    | { readonly type: 'schedulerResumed' }
    /** `handedBack`: runs that were still going when the shutdown's time was up. */
    | { readonly type: 'schedulerShutdown'; readonly handedBack: number }
    | { readonly type: 'executorAdded'; readonly executor: string }
    | { readonly type: 'executorRemoved'; readonly executor: string }
    | { readonly type: 'jobStoreAdded'; readonly jobStore: string }
    | { readonly type: 'jobStoreRemoved'; readonly jobStore: string }
    | { readonly type: 'allJobsRemoved'; readonly jobStore: string | null; readonly count: number }
    /** Wall time and elapsed time disagree: somebody set the clock, or the machine slept. Positive: forwards. */
    | { readonly type: 'clockJump'; readonly byMs: number }
    /**
     * The clock of this machine is off by more than a second against the clock of a job store. Jobs go by the store's
     * clock and are not concerned; what this machine writes down of times is. `byMs`: store minus machine; the truth lies
     * no further from it than `errorMs`.
     */
    | { readonly type: 'clockSkew'; readonly jobStore: string; readonly byMs: number; readonly errorMs: number }
    /**
     * The event loop was held up for `blockedMs` or a little longer, by code that computes without a break, or because the
     * process was stopped. One of `runs` did it (the first ten of `runCount`): those that went on, and those that ended
     * then. `risksLeases`: it was long enough to cost a renewal of leases.
     */
    | {
        readonly type: 'eventLoopBlocked';
        readonly blockedMs: number;
        readonly risksLeases: boolean;
        readonly runs: readonly { readonly jobId: string; readonly runId: string; readonly task: string; readonly jobStore: string }[];
        readonly runCount: number;
      }
    /** `retryInMs`: when it is tried again. Running jobs go on; their results are written once it is back. */
    | {
        readonly type: 'storeUnavailable';
        readonly jobStore: string;
        readonly operation: string;
        readonly error: ErrorInfo;
        readonly retryInMs: number;
      }
    /** Stored jobs refer to tasks that are not defined in this process: they wait for one that has them. */
    | { readonly type: 'tasksUnknown'; readonly jobStore: string; readonly tasks: readonly string[] }
    /** Active jobs ask for a task, a version of it or an executor that no live node has: they wait. Told by each node that finds it. */
    | { readonly type: 'jobsUnserved'; readonly jobStore: string; readonly demands: readonly JobDemand[] }
    /**
     * Another scheduler lives under this one's `node` name, and speaks up in the same job store: who it is. Give each a name of
     * its own: each takes runs of the other for left behind.
     */
    | { readonly type: 'nodeNameConflict'; readonly jobStore: string; readonly host: string; readonly pid: number; readonly startedAt: EpochMs }
    /** In leader mode: this node takes on what is due in the job store from now on. `token` grows with each leader. */
    | { readonly type: 'leaderElected'; readonly jobStore: string; readonly token: number }
    /** It does no more: because it was stopped or paused, or because the lease was lost. */
    | { readonly type: 'leaderLost'; readonly jobStore: string; readonly token: number; readonly reason: 'stopped' | 'lost' }
    /**
     * Something that is due waits for a limit, where nothing did before. `freeAt`: when there is room for one, if that is known:
     * with a rate it is, with concurrency it depends on when a run ends. Told by each node that finds it.
     */
    | {
        readonly type: 'limitReached';
        readonly jobStore: string;
        readonly subject: 'task' | 'tag';
        /** Of the task, or the tag. */
        readonly name: string;
        readonly kind: 'concurrency' | 'rate';
        readonly freeAt: EpochMs | null;
      }
    | { readonly type: 'storeRecovered'; readonly jobStore: string; readonly downMs: number }
  );

/** Facts about a job's definition and standing. */
export type JobChangeEvent = JobEventBase &
  (
    | { readonly type: 'jobAdded'; readonly nextRunTime: EpochMs | null; readonly replaced: boolean }
    | { readonly type: 'jobModified'; readonly changed: readonly string[]; readonly nextRunTime: EpochMs | null }
    /** By a call. A job that failed too often is paused with the reason `max-consecutive-failures`, and more to say (`JobNotice`). */
    | { readonly type: 'jobPaused'; readonly reason: null }
    | { readonly type: 'jobResumed'; readonly nextRunTime: EpochMs | null }
    /** By whom: a call, or because nothing is left of it. */
    | { readonly type: 'jobRemoved'; readonly reason: 'requested' | 'completed' }
  );

/** Facts about a run. */
export type RunEvent = RunEventBase &
  (
    /** Claimed and recorded: this node has it. */
    | { readonly type: 'jobSubmitted'; readonly latenessMs: number }
    | { readonly type: 'jobStarted' }
    | { readonly type: 'jobExecuted'; readonly durationMs: number; readonly result: unknown }
    /** The run is over, and failed: no attempt follows. `cause` is the error as it was thrown. */
    | { readonly type: 'jobError'; readonly durationMs: number; readonly error: ErrorInfo; readonly cause: unknown }
    | { readonly type: 'jobTimeout'; readonly timeoutMs: number }
    /** This node had the run and lost it: its result will not be recorded. */
    | { readonly type: 'leaseLost' }
  );

/** What the planner reports, stamped. */
export type NoticeEvent = JobEventBase & JobNotice;

/** Every event there is. */
export type SchedulerEvent = SchedulerLifecycleEvent | JobChangeEvent | NoticeEvent | RunEvent;

export type SchedulerEventType = SchedulerEvent['type'];

/** The event of one type. */
export type EventOf<T extends SchedulerEventType> = Extract<SchedulerEvent, { readonly type: T }>;

/** Listener signatures by type, derived from the union. */
export type SchedulerEventMap = {
  [T in SchedulerEventType]: (event: EventOf<T>) => unknown;
};
