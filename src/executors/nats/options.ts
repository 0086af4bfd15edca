import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { natsName, natsSource, replicaCount, SERVER_OPTIONS, type NatsServerOptions, type NatsSource } from '../../nats/server-options.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import {
  EXECUTOR_OPTIONS,
  executorLimits,
  WORKER_OPTIONS,
  workerLimits,
  type BrokerExecutorOptions,
  type BrokerWorkerOptions,
  type ExecutorLimits,
  type WorkerLimits,
} from '../remote/options.js';
import type { NatsConnectionLike } from './driver.js';

/** Where NATS is, and the streams. */
export interface NatsPlace extends NatsServerOptions<NatsConnectionLike> {
  /** The stream with the runs; beside it there are `<stream>-replies` for answers and `<stream>-dead` for dead letters. Default `'punctual-runs'`. */
  readonly stream?: string | undefined;
  /** Servers of a cluster that keep a copy each: 1, 3 or 5. Only when the streams are made. Default 1. */
  readonly replicas?: number | undefined;
  /** Whether streams and consumers are made where they are not there. Default `true`. */
  readonly declare?: boolean | undefined;
}

export interface NatsExecutorOptions extends NatsPlace, BrokerExecutorOptions {}

export interface NatsWorkerOptions extends NatsPlace, BrokerWorkerOptions {
  /**
   * After how long without a sign of life of its worker a run goes to another. A worker whose event loop is held up for that
   * long counts as dead. Only when the consumer is made. Default 30 s.
   */
  readonly ackWait?: DurationInput | undefined;
}

export interface LinkSettings {
  readonly source: NatsSource<NatsConnectionLike>;
  readonly stream: string;
  readonly replicas: number;
  readonly declare: boolean;
  readonly timeoutMs: number;
}

export interface ExecutorSettings extends LinkSettings {
  readonly limits: ExecutorLimits;
}

export interface WorkerSettings extends LinkSettings {
  readonly limits: WorkerLimits;
  readonly ackWaitMs: number;
}

const PLACE = [...SERVER_OPTIONS, 'stream', 'replicas', 'declare'] as const;
/** What is called of a connection. */
const METHODS = ['publish', 'subscribe', 'status', 'isClosed', 'flush'] as const;

/** @throws InvalidOptionError */
export function readExecutorSettings(target: string | NatsExecutorOptions): ExecutorSettings {
  const options: NatsExecutorOptions = typeof target === 'string' ? { servers: target } : target;
  refuseUnknownKeys(options, '', [...PLACE, ...EXECUTOR_OPTIONS]);
  const limits = executorLimits(options);
  return { ...readLink(options, limits.timeoutMs), limits };
}

/** @throws InvalidOptionError */
export function readWorkerSettings(options: NatsWorkerOptions): WorkerSettings {
  refuseUnknownKeys(options, '', [...PLACE, 'ackWait', ...WORKER_OPTIONS]);
  const limits = workerLimits(options);
  return { ...readLink(options, limits.timeoutMs), limits, ackWaitMs: toMs(options.ackWait ?? 30_000, 'ackWait', 1_000) };
}

function readLink(options: NatsPlace, timeoutMs: number): LinkSettings {
  const { stream = 'punctual-runs', replicas = 1, declare = true } = options;
  if (typeof declare !== 'boolean') throw new InvalidOptionError('declare', declare, 'true or false');
  return { source: natsSource(options, timeoutMs, METHODS), stream: natsName(stream, 'stream'), replicas: replicaCount(replicas), declare, timeoutMs };
}
