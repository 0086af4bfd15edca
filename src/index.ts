export { AsyncScheduler } from './async-scheduler.js';

// The scheduler's face
export { Job } from './scheduler/job.js';
export type { ChangeOptions, JobOperations, JobSelector, LiveRun, RunJobOptions, TriggerInput } from './scheduler/job.js';
export type { JobListQuery } from './scheduler/job-directory.js';
export type { TaskInput } from './scheduler/job-factory.js';
export type { AddJobOptions, AddJobRest, JobChanges, JobOptions, JobPolicyOptions, RetryOptions } from './scheduler/job-options.js';
export type { LedgerProblem, LedgerReport, RunQuery, RunReport, RunReports } from './scheduler/ledger-view.js';
export type { FieldsFirstLogger } from './scheduler/logging.js';
export type { SchedulerOptions } from './scheduler/options.js';
export type { RunHandle } from './scheduler/run-handles.js';
export type { ArgsOf, JobList, JobSpec, Scheduler } from './scheduler/scheduler.js';
export type { SchedulerHealth, ShutdownOptions } from './scheduler/scheduler-base.js';
export type { TaskMap, TaskRef } from './scheduler/tasks.js';
export type { SchedulerState } from './core/lifecycle.js';

// Triggers
export { CalendarIntervalTrigger } from './triggers/calendar-interval.js';
export { AndTrigger, ExceptTrigger, OrTrigger } from './triggers/combining.js';
export { CronTrigger } from './triggers/cron/cron-trigger.js';
export { DateTrigger } from './triggers/date.js';
export { IntervalTrigger } from './triggers/interval.js';
export { TriggerRegistry } from './triggers/registry.js';

// Stores, executors, clocks
export { MemoryJobStore } from './stores/memory/memory-job-store.js';
export type { MemoryJobStoreOptions } from './stores/memory/memory-job-store.js';
export { AsyncExecutor } from './executors/inline/async-executor.js';
export type { AsyncExecutorOptions } from './executors/inline/async-executor.js';
export { currentRun } from './executors/inline/run-storage.js';
export { SystemClock } from './clocks/system-clock.js';

// Events
export * from './events/masks.js';
export type { EventStreamOptions } from './events/event-hub.js';
export type {
  EventBase,
  EventOf,
  JobChangeEvent,
  JobEventBase,
  NoticeEvent,
  RunEvent,
  RunEventBase,
  SchedulerEvent,
  SchedulerEventMap,
  SchedulerEventType,
  SchedulerLifecycleEvent,
} from './events/events.js';

// Errors
export { isPunctualError, PunctualError } from './errors/base.js';
export type { ErrorCode } from './errors/base.js';
export * from './errors/errors.js';
export * from './errors/job-errors.js';
export * from './errors/scheduler-errors.js';

// Ports and records, for adapters
export type * from './ports/clock.js';
export type * from './ports/executor.js';
export type * from './ports/job-codec.js';
export type * from './ports/job-store.js';
export type * from './ports/logger.js';
export type * from './ports/trigger.js';
export type { CoalesceMode, JobDefinition, JobPolicy, JobRecord, JobState, JobStatus, OverlapMode, RetryPolicy, TaskFunction } from './model/job.js';
export type { LedgerEntry, LedgerQuery, Verdict } from './model/ledger.js';
export type { BlockingRun, FireRange, JobNotice, RunRef, SkipReason } from './model/notice.js';
export type { AbortReason, ErrorInfo, RunningRun, RunOutcome, RunRecord, WaitingRun } from './model/run.js';
export type { DurationInput, DurationParts } from './time/duration.js';
export type { InstantInput } from './time/instant.js';
