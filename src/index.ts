export { AsyncScheduler } from './async-scheduler.js';

// The scheduler's face
export type { EventFace } from './scheduler/event-face.js';
export { Job } from './scheduler/job.js';
export type { ChangeOptions, JobOperations, JobSelector, JobStatistics, LiveRun, OverdueJob, RemoveJobOptions, RunJobOptions, TriggerInput } from './scheduler/job.js';
export type { JobListQuery } from './scheduler/job-directory.js';
export type { SyncJob } from './scheduler/defined-set.js';
export type { ImportOptions, ImportResult } from './scheduler/import.js';
export type { TaskInput } from './scheduler/job-factory.js';
export type { AddJobOptions, AddJobRest, InTransaction, JobChanges, JobOptions, JobPolicyOptions, ExpectOptions, RetryOptions } from './scheduler/job-options.js';
export type { RunQuery, RunReport, RunReports } from './scheduler/ledger-view.js';
export type { LedgerProblem, LedgerReport } from './scheduler/verify-ledger.js';
export type { FieldsFirstLogger } from './scheduler/logging.js';
export type { HighAvailabilityOptions } from './scheduler/high-availability.js';
export type { LimitReport } from './scheduler/limits/admission.js';
export type { LimitSubject } from './scheduler/limits/limit-rules.js';
export type { LimitOptions, LimitsOptions, RateLimitOptions } from './scheduler/limits/limit-options.js';
export type { NodeRole } from './scheduler/leadership.js';
export type { FailedAttempt, OnError } from './scheduler/on-error.js';
export type { SchedulerOptions } from './scheduler/options.js';
export type { EnqueueOptions, EnqueueRest } from './scheduler/enqueue.js';
export type { DependencyInput, DependencyOptions } from './scheduler/links/dependencies.js';
export type { CancelOptions } from './scheduler/run-face.js';
export type { RunHandle } from './scheduler/run-handles.js';
export type { JobList, JobSpec, Scheduler } from './scheduler/scheduler.js';
export type { ArgsOf, ResultOf, TaskArguments, TaskResult } from './scheduler/task-face.js';
export { remoteTask } from './scheduler/remote-task.js';
export type { RemoteTask } from './scheduler/remote-task.js';
export type { TaskModuleInput } from './scheduler/task-module.js';
export type { SyncOptions } from './scheduler/sync.js';
export type { SyncChange, SyncCreation, SyncPlan } from './scheduler/sync-plan.js';
export type { ExportedJob, JobExport } from './scheduler/transfer.js';
export type { ClockSkew, ExecutorRoom } from './scheduler/node-card.js';
export type { NodeInfo } from './scheduler/node-face.js';
export type { NodeRun } from './scheduler/node-runs.js';
export type { SchedulerHealth, ShutdownOptions, StoreHealthReport } from './scheduler/scheduler-base.js';
export type { ArgumentsSchema, SchemaInput, SchemaOutput, TaskOptions, TaskUpgrade } from './scheduler/task-options.js';
export type { AnyTasks, TaskMap, TaskRef, TaskShapes } from './scheduler/tasks.js';
export type { SchedulerState } from './core/lifecycle.js';

// Triggers
export type { TriggerBase } from './triggers/base.js';
export { after, AfterTrigger } from './triggers/after.js';
export type { AfterOptions, SourceInput } from './triggers/after.js';
export type { BoundOptions } from './triggers/bounds.js';
export { CalendarIntervalTrigger } from './triggers/calendar-interval.js';
export type { CalendarInterval, CalendarIntervalTriggerOptions } from './triggers/calendar-interval.js';
export { AndTrigger, ExceptTrigger, OrTrigger } from './triggers/combining.js';
export type { CombiningOptions } from './triggers/combining.js';
export { CronTrigger } from './triggers/cron/cron-trigger.js';
export type { CronTriggerOptions } from './triggers/cron/cron-trigger.js';
export type { CronExplanation, FieldExplanation } from './triggers/cron/explain-cron.js';
export type { CronFieldName } from './triggers/cron/fields.js';
export { InvalidCronError } from './triggers/cron/invalid-cron-error.js';
export type { CronFault } from './triggers/cron/invalid-cron-error.js';
export { lintCron } from './triggers/cron/lint.js';
export type { CronWarning, LintOptions } from './triggers/cron/lint.js';
export type { CronFields, CronFieldTexts, CronFieldValue } from './triggers/cron/object-form.js';
export { DailyTrigger } from './triggers/daily.js';
export { DateTrigger } from './triggers/date.js';
export type { DateTriggerOptions } from './triggers/date.js';
export { explain } from './triggers/explain.js';
export type { Explanation } from './triggers/explain.js';
export { HolidayCalendar } from './triggers/holiday-calendar.js';
export type { DateRange, Holiday, HolidayCalendarJson, HolidayCalendarOptions } from './triggers/holiday-calendar.js';
export { IntervalTrigger } from './triggers/interval.js';
export type { IntervalTriggerOptions } from './triggers/interval.js';
export { MonthlyTrigger } from './triggers/monthly.js';
export type { MonthlySchedule } from './triggers/monthly.js';
export { TriggerRegistry } from './triggers/registry.js';
export type { ReadTrigger } from './triggers/registry.js';
export { TriggerSearchError } from './triggers/search.js';
export { StartupTrigger } from './triggers/startup.js';
export type { StartupTriggerOptions } from './triggers/startup.js';
export type { Weekday, WeekdaysInput } from './triggers/wall-clock/days.js';
export type { DstRule } from './triggers/wall-clock/engine.js';
export type { WallClockOptions, WallClockTrigger } from './triggers/wall-clock/wall-clock-trigger.js';
export { WeeklyTrigger } from './triggers/weekly.js';
export type { WeeklySchedule } from './triggers/weekly.js';
export { WindowIntervalTrigger } from './triggers/window-interval.js';
export type { CalendarWindow, WindowIntervalOptions } from './triggers/window-interval.js';

// Stores, executors, clocks
export { MemoryJobStore } from './stores/memory/memory-job-store.js';
export type { MemoryJobStoreOptions } from './stores/memory/memory-job-store.js';
export { AsyncExecutor } from './executors/inline/async-executor.js';
export type { AsyncExecutorOptions } from './executors/inline/async-executor.js';
export { currentRun } from './executors/shared/run-storage.js';
export { SystemClock } from './clocks/system-clock.js';

// Locks
export { LeaderElection } from './locks/leader-election.js';
export type { LeaderElectionOptions, Leadership } from './locks/leader-election.js';
export type { Lock } from './locks/lock.js';
export type { LockHolder, LockOptions } from './locks/lock-options.js';
export type { LockingStore, LockStore } from './locks/locking-store.js';

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
export type { ErrorByCode } from './errors/by-code.js';
export * from './errors/dependency-errors.js';
export * from './errors/errors.js';
export * from './errors/executor-errors.js';
export * from './errors/job-errors.js';
export * from './errors/scheduler-errors.js';

// Ports and records, for adapters
export type * from './ports/clock.js';
export type * from './ports/executor.js';
export type * from './ports/job-codec.js';
export type * from './ports/job-store.js';
export type * from './ports/logger.js';
export type * from './ports/serializer.js';
export type * from './ports/standard-schema.js';
export type * from './ports/trigger.js';
export type { CancelRequest, CoalesceMode, JobDefinition, JobPolicy, JobRecord, JobState, JobStatus, OverlapMode, RetryPolicy, TaskFunction, TaskModule } from './model/job.js';
export type { LedgerEntry, LedgerQuery, SerializedValue, StoredResult, Verdict } from './model/ledger.js';
export type { EndKind, FollowedVerdict, Follower, Heard, JobLinks, LinkNotice, MetWait, PendingFire, RunCause, Wait } from './model/links.js';
export type { BlockingRun, FireRange, JobNotice, RecoveryReason, RunRef, SkipReason } from './model/notice.js';
export type { ErrorInfo, RunningRun, RunOutcome, RunRecord, WaitingRun } from './model/run.js';
export type { JobStats } from './model/stats.js';
export { alarmAt, RAISED } from './model/alarm.js';
export { wakeAt } from './model/job.js';
export type { ExpectPolicy, JobOverdue, JobWatch, OverdueReason } from './model/watch.js';
export { TaggedSerializer } from './serializers/tagged-serializer.js';
export type { DurationInput, DurationParts } from './time/duration.js';
export type { InstantInput } from './time/instant.js';
