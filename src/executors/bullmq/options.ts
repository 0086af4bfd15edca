import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import {
  EXECUTOR_OPTIONS,
  executorLimits,
  nonEmptyText,
  WORKER_OPTIONS,
  workerLimits,
  type BrokerExecutorOptions,
  type BrokerWorkerOptions,
  type ExecutorLimits,
  type WorkerLimits,
} from '../remote/options.js';
import { readConnection, type Connection } from './connection.js';

/** Where Redis is, and the queue. */
export interface BullMQPlace {
  /**
   * As BullMQ takes it: `{ host, port, username, password, db, tls }` or `{ url }`. Or a client of ioredis: connections are
   * made like it, and it stays as it is. Default `{ host: '127.0.0.1', port: 6379 }`.
   */
  readonly connection?: object | undefined;
  /** The queue with the runs. Default `'punctual'`. */
  readonly queue?: string | undefined;
  /** With which the keys of BullMQ begin. Default `'bull'`. */
  readonly prefix?: string | undefined;
}

export interface BullMQExecutorOptions extends BullMQPlace, BrokerExecutorOptions {}

export interface BullMQWorkerOptions extends BullMQPlace, BrokerWorkerOptions {
  /**
   * After how long without a sign of life of its worker a run goes to another. A worker whose event loop is held up for that
   * long counts as dead. Default 30 s.
   */
  readonly lockDuration?: DurationInput | undefined;
}

export interface PlaceSettings {
  readonly connection: Connection;
  readonly queue: string;
  readonly prefix: string;
  readonly timeoutMs: number;
}

export interface ExecutorSettings extends PlaceSettings {
  readonly limits: ExecutorLimits;
}

export interface WorkerSettings extends PlaceSettings {
  readonly limits: WorkerLimits;
  readonly lockMs: number;
}

const PLACE = ['connection', 'queue', 'prefix'] as const;

/** @throws InvalidOptionError */
export function readExecutorSettings(options: BullMQExecutorOptions): ExecutorSettings {
  refuseUnknownKeys(options, '', [...PLACE, ...EXECUTOR_OPTIONS]);
  const limits = executorLimits(options);
  return { ...readPlace(options, limits.timeoutMs), limits };
}

/** @throws InvalidOptionError */
export function readWorkerSettings(options: BullMQWorkerOptions): WorkerSettings {
  refuseUnknownKeys(options, '', [...PLACE, 'lockDuration', ...WORKER_OPTIONS]);
  const limits = workerLimits(options);
  return { ...readPlace(options, limits.timeoutMs), limits, lockMs: toMs(options.lockDuration ?? 30_000, 'lockDuration', 1_000) };
}

function readPlace({ connection, queue = 'punctual', prefix = 'bull' }: BullMQPlace, timeoutMs: number): PlaceSettings {
  if (nonEmptyText(queue, 'queue').includes(':')) throw new InvalidOptionError('queue', queue, 'a name without a colon');
  return { connection: readConnection(connection), queue, prefix: nonEmptyText(prefix, 'prefix'), timeoutMs };
}
