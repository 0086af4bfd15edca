import type { RunContext } from '../../ports/executor.js';
import type { LogFields, Logger } from '../../ports/logger.js';
import type { LogLevel, RunFacts } from './run-facts.js';

export type WriteLog = (level: LogLevel, message: string, fields: LogFields | undefined) => void;

/** What `currentRun()` answers in a worker. */
export class WorkerRun implements RunContext {
  readonly jobId: string;
  readonly jobName: string | null;
  readonly runId: string;
  readonly task: string;
  readonly scheduledFor: Date;
  readonly startedAt: Date;
  readonly attempt: number;
  readonly isCatchUp: boolean;
  readonly isManual: boolean;
  readonly follows: RunFacts['follows'];
  readonly nextRunTime: Date | null;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly #write: WriteLog;
  // Dear to make, and most tasks ask for neither.
  #logger: Logger | undefined;
  #controller: AbortController | undefined;

  constructor(facts: RunFacts, write: WriteLog) {
    this.jobId = facts.jobId;
    this.jobName = facts.jobName;
    this.runId = facts.runId;
    this.task = facts.task;
    this.scheduledFor = facts.scheduledFor;
    this.startedAt = facts.startedAt;
    this.attempt = facts.attempt;
    this.isCatchUp = facts.isCatchUp;
    this.isManual = facts.isManual;
    this.follows = facts.follows;
    this.nextRunTime = facts.nextRunTime;
    this.tags = facts.tags;
    this.metadata = facts.metadata;
    this.#write = write;
  }

  get signal(): AbortSignal {
    return this.#ownController.signal;
  }

  /** Writes to the logger of the scheduler. */
  get logger(): Logger {
    return (this.#logger ??= loggerBy(this.#write));
  }

  /** Why it was told to stop, if it was. */
  get abortReason(): unknown {
    return this.#controller?.signal.reason as unknown;
  }

  abort(reason: unknown): void {
    this.#ownController.abort(reason);
  }

  get #ownController(): AbortController {
    return (this.#controller ??= new AbortController());
  }
}

function loggerBy(write: WriteLog): Logger {
  return {
    debug: (message, fields) => { write('debug', message, fields); },
    info: (message, fields) => { write('info', message, fields); },
    warn: (message, fields) => { write('warn', message, fields); },
    error: (message, fields) => { write('error', message, fields); },
  };
}
