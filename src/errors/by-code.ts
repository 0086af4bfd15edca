import type { PunctualError } from './base.js';
import type { DependencyCycleError, UnknownDependencyError } from './dependency-errors.js';
import type { InvalidOptionError, InvalidTriggerError, UnknownTimeZoneError, UnknownTriggerError } from './errors.js';
import type { BrokerError, NotCloneableError, TaskLoadError, UnsuitableTaskError, WorkerCrashedError } from './executor-errors.js';
import type { ConflictingJobIdError, InvalidArgumentsError, JobAbortedError, JobChangedError, JobNotFoundError, JobOwnedError, JobTimeoutError, JobUnstorableError, LeaseLostError, NeverFiresError, RunNotSucceededError, UnknownFormatError, UnknownTaskError } from './job-errors.js';
import type { EventOverflowError, InvalidStateError, SchedulerShutdownError, StoreFailedError, StoreInUseError, UnknownExecutorError, UnknownStoreError } from './scheduler-errors.js';

/** The class of the errors that have a code. */
export interface ErrorByCode {
  BROKER_FAILED: BrokerError;
  CONFLICTING_JOB_ID: ConflictingJobIdError;
  DEPENDENCY_CYCLE: DependencyCycleError;
  EVENT_OVERFLOW: EventOverflowError;
  INVALID_ARGUMENTS: InvalidArgumentsError;
  INVALID_OPTION: InvalidOptionError;
  INVALID_STATE: InvalidStateError;
  INVALID_TRIGGER: InvalidTriggerError;
  JOB_ABORTED: JobAbortedError;
  JOB_CHANGED: JobChangedError;
  JOB_NOT_FOUND: JobNotFoundError;
  JOB_OWNED: JobOwnedError;
  JOB_TIMEOUT: JobTimeoutError;
  JOB_UNSTORABLE: JobUnstorableError;
  LEASE_LOST: LeaseLostError;
  NEVER_FIRES: NeverFiresError;
  NOT_CLONEABLE: NotCloneableError;
  RUN_NOT_SUCCEEDED: RunNotSucceededError;
  SCHEDULER_SHUTDOWN: SchedulerShutdownError;
  STORE_FAILED: StoreFailedError;
  STORE_IN_USE: StoreInUseError;
  /** Each store that needs a driver has a class of its own, such as `SQLiteStoreError`. */
  STORE_UNUSABLE: PunctualError & { readonly reason: string };
  TASK_NOT_LOADED: TaskLoadError;
  UNKNOWN_DEPENDENCY: UnknownDependencyError;
  UNKNOWN_EXECUTOR: UnknownExecutorError;
  UNKNOWN_FORMAT: UnknownFormatError;
  UNKNOWN_STORE: UnknownStoreError;
  UNKNOWN_TASK: UnknownTaskError;
  UNKNOWN_TIMEZONE: UnknownTimeZoneError;
  UNKNOWN_TRIGGER: UnknownTriggerError;
  UNSUITABLE_TASK: UnsuitableTaskError;
  WORKER_CRASHED: WorkerCrashedError;
}
