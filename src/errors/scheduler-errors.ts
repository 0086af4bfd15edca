import { inspectValue, PunctualError } from './base.js';

/** What was asked does not go with the state of the scheduler (or job) now. */
export class InvalidStateError extends PunctualError {
  constructor(message: string) {
    super('INVALID_STATE', message);
  }
}

/** The scheduler was shut down while something waited for it. */
export class SchedulerShutdownError extends PunctualError {
  constructor(what: string) {
    super('SCHEDULER_SHUTDOWN', `${what}: the scheduler was shut down.`);
  }
}

/** No job store under this alias. */
export class UnknownStoreError extends PunctualError {
  constructor(alias: string, known: Iterable<string>) {
    super('UNKNOWN_STORE', unknownAlias('job store', alias, known, 'jobStores', 'addJobStore'));
  }
}

/** No executor under this alias. */
export class UnknownExecutorError extends PunctualError {
  constructor(alias: string, known: Iterable<string>) {
    super('UNKNOWN_EXECUTOR', unknownAlias('executor', alias, known, 'executors', 'addExecutor'));
  }
}

function unknownAlias(what: string, alias: string, known: Iterable<string>, option: string, method: string): string {
  const names = [...known].map((name) => JSON.stringify(name)).join(', ');
  return `Unknown ${what} ${inspectValue(alias)}; there is ${names}. Name it in the \`${option}\` option, or add it with \`${method}()\`.`;
}

/** A job store that cannot be shared has a scheduler already. */
export class StoreInUseError extends PunctualError {
  constructor(message: string) {
    super('STORE_IN_USE', message);
  }
}

/** A job store failed to do what a call needs. `cause` has the store's own error. Nothing is known to have changed. */
export class StoreFailedError extends PunctualError {
  readonly operation: string;

  constructor(operation: string, jobStore: string, cause: unknown) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    super('STORE_FAILED', `Job store "${jobStore}" failed to ${operation}: ${detail}`, { cause });
    this.operation = operation;
  }
}

/** The reader of an event stream was too slow, and events would have been dropped unseen. */
export class EventOverflowError extends PunctualError {
  constructor(limit: number) {
    super(
      'EVENT_OVERFLOW',
      `More than ${limit} events waited to be read. Read them faster, select fewer types, or raise \`limit\`.`,
    );
  }
}
