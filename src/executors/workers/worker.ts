import type { WorkerEnd } from '../../errors/executor-errors.js';
import type { FromWorker, ToWorker } from './messages.js';

/** How a worker ended. */
export interface WorkerExit {
  readonly reason: WorkerEnd;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** What was thrown, if something was. */
  readonly cause?: unknown;
}

/** What a worker tells. */
export interface WorkerEvents {
  message(message: FromWorker): void;
  /** Once, after the last message. */
  exited(exit: WorkerExit): void;
}

/** A thread or a process. */
export interface Worker {
  /** @throws where something cannot be cloned. */
  post(message: ToWorker): void;
  /** Whether it keeps this process running. */
  keepAlive(on: boolean): void;
  /** Asks one that has nothing to do to end. */
  dismiss(): void;
  /** Ends it, whatever it does. */
  terminate(): void;
  /** How many of the runs it was given it has begun, also when it is gone. One that ended before that has done nothing of it. */
  readonly begun: number;
}

/** The kinds of worker differ in this. */
export interface WorkerKind {
  /** `thread`, for messages. */
  readonly name: string;
  /** @throws when it cannot be started. */
  start(events: WorkerEvents): Worker;
  /** Copies a value as the channel would. @throws where it cannot be cloned. */
  clone(value: unknown): void;
}
