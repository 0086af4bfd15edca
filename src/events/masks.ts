import type { SchedulerEventType } from './events.js';

// The first seventeen have the values of APScheduler 3's constants; the others follow on.
export const EVENT_SCHEDULER_STARTED = 2 ** 0;
export const EVENT_SCHEDULER_SHUTDOWN = 2 ** 1;
export const EVENT_SCHEDULER_PAUSED = 2 ** 2;
export const EVENT_SCHEDULER_RESUMED = 2 ** 3;
export const EVENT_EXECUTOR_ADDED = 2 ** 4;
export const EVENT_EXECUTOR_REMOVED = 2 ** 5;
export const EVENT_JOBSTORE_ADDED = 2 ** 6;
export const EVENT_JOBSTORE_REMOVED = 2 ** 7;
export const EVENT_ALL_JOBS_REMOVED = 2 ** 8;
export const EVENT_JOB_ADDED = 2 ** 9;
export const EVENT_JOB_REMOVED = 2 ** 10;
/** Also covers `jobPaused` and `jobResumed`. */
export const EVENT_JOB_MODIFIED = 2 ** 11;
export const EVENT_JOB_EXECUTED = 2 ** 12;
export const EVENT_JOB_ERROR = 2 ** 13;
/** Also covers `jobOverdue` and `jobRecovered`. */
export const EVENT_JOB_MISSED = 2 ** 14;
export const EVENT_JOB_SUBMITTED = 2 ** 15;
/** Also covers `limitReached`. */
export const EVENT_JOB_MAX_INSTANCES = 2 ** 16;
export const EVENT_JOB_STARTED = 2 ** 17;
export const EVENT_JOB_COALESCED = 2 ** 18;
export const EVENT_JOB_SKIPPED = 2 ** 19;
export const EVENT_JOB_RETRY = 2 ** 20;
export const EVENT_JOB_TIMEOUT = 2 ** 21;
export const EVENT_JOB_CANCELLED = 2 ** 22;
export const EVENT_JOB_ABANDONED = 2 ** 23;
export const EVENT_JOB_QUARANTINED = 2 ** 24;
export const EVENT_JOB_COMPLETED = 2 ** 25;
export const EVENT_LEASE_LOST = 2 ** 26;
/** Also covers `clockSkew`, `eventLoopBlocked` and `nodeNameConflict`. */
export const EVENT_CLOCK_JUMP = 2 ** 27;
/** `storeUnavailable` and `storeRecovered`. */
export const EVENT_STORE_HEALTH = 2 ** 28;
/** Also covers `jobsUnserved`. */
export const EVENT_TASKS_UNKNOWN = 2 ** 29;
/** `leaderElected` and `leaderLost`. */
export const EVENT_LEADER = 2 ** 30;
export const EVENT_ALL = 2 ** 31 - 1;

/** The bit of each event type. */
export const EVENT_MASKS: Readonly<Record<SchedulerEventType, number>> = Object.freeze({
  schedulerStarted: EVENT_SCHEDULER_STARTED,
  schedulerShutdown: EVENT_SCHEDULER_SHUTDOWN,
  schedulerPaused: EVENT_SCHEDULER_PAUSED,
  schedulerResumed: EVENT_SCHEDULER_RESUMED,
  executorAdded: EVENT_EXECUTOR_ADDED,
  executorRemoved: EVENT_EXECUTOR_REMOVED,
  jobStoreAdded: EVENT_JOBSTORE_ADDED,
  jobStoreRemoved: EVENT_JOBSTORE_REMOVED,
  allJobsRemoved: EVENT_ALL_JOBS_REMOVED,
  jobAdded: EVENT_JOB_ADDED,
  jobRemoved: EVENT_JOB_REMOVED,
  jobModified: EVENT_JOB_MODIFIED,
  jobPaused: EVENT_JOB_MODIFIED,
  jobResumed: EVENT_JOB_MODIFIED,
  jobExecuted: EVENT_JOB_EXECUTED,
  jobError: EVENT_JOB_ERROR,
  jobMissed: EVENT_JOB_MISSED,
  jobOverdue: EVENT_JOB_MISSED,
  jobRecovered: EVENT_JOB_MISSED,
  jobSubmitted: EVENT_JOB_SUBMITTED,
  jobMaxInstances: EVENT_JOB_MAX_INSTANCES,
  jobStarted: EVENT_JOB_STARTED,
  jobCoalesced: EVENT_JOB_COALESCED,
  jobSkipped: EVENT_JOB_SKIPPED,
  jobRetry: EVENT_JOB_RETRY,
  jobTimeout: EVENT_JOB_TIMEOUT,
  jobCancelled: EVENT_JOB_CANCELLED,
  jobAbandoned: EVENT_JOB_ABANDONED,
  jobQuarantined: EVENT_JOB_QUARANTINED,
  jobCompleted: EVENT_JOB_COMPLETED,
  leaseLost: EVENT_LEASE_LOST,
  clockJump: EVENT_CLOCK_JUMP,
  clockSkew: EVENT_CLOCK_JUMP,
  eventLoopBlocked: EVENT_CLOCK_JUMP,
  nodeNameConflict: EVENT_CLOCK_JUMP,
  storeUnavailable: EVENT_STORE_HEALTH,
  storeRecovered: EVENT_STORE_HEALTH,
  tasksUnknown: EVENT_TASKS_UNKNOWN,
  leaderElected: EVENT_LEADER,
  leaderLost: EVENT_LEADER,
  jobsUnserved: EVENT_TASKS_UNKNOWN,
  limitReached: EVENT_JOB_MAX_INSTANCES,
});
