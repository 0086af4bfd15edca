import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
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

const MOST_REPLICAS = 5;

/** Where NATS is, and the streams. */
export interface NatsPlace {
  /** One address or several, such as `nats://host:4222`. Default `127.0.0.1:4222`. */
  readonly servers?: string | readonly string[] | undefined;
  /** In place of servers: a connection of `@nats-io/transport-node` or `@nats-io/nats-core`, which stays yours to close. Let it reconnect without an end. */
  readonly connection?: NatsConnectionLike | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** As `connect` of the driver takes it: for credentials files, NKeys and JWTs. */
  readonly authenticator?: unknown;
  /** As `connect` of the driver takes it. */
  readonly tls?: object | null | undefined;
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
  /** The user's connection, or what to make one with. */
  readonly source: { readonly connection: NatsConnectionLike } | { readonly config: Readonly<Record<string, unknown>> };
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

const LOGIN = ['servers', 'user', 'password', 'token', 'authenticator', 'tls'] as const;
const PLACE = [...LOGIN, 'connection', 'stream', 'replicas', 'declare'] as const;

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
  if (typeof stream !== 'string' || !/^[A-Za-z0-9_-]{1,50}$/.test(stream)) throw new InvalidOptionError('stream', stream, 'up to 50 letters, digits, underscores and hyphens');
  if (!Number.isSafeInteger(replicas) || replicas < 1 || replicas > MOST_REPLICAS) throw new InvalidOptionError('replicas', replicas, 'a whole number from 1 to 5');
  if (typeof declare !== 'boolean') throw new InvalidOptionError('declare', declare, 'true or false');
  return { source: sourceOf(options, timeoutMs), stream, replicas, declare, timeoutMs };
}

function sourceOf(options: NatsPlace, timeoutMs: number): LinkSettings['source'] {
  const { connection, servers, user, password, token, authenticator, tls } = options;
  if (connection !== undefined) {
    for (const option of LOGIN) if (options[option] !== undefined) throw new InvalidOptionError(option, options[option], 'nothing beside `connection`');
    if (!isConnection(connection)) throw new InvalidOptionError('connection', connection, 'a connection of @nats-io/transport-node or @nats-io/nats-core, version 3');
    return { connection };
  }
  const list = typeof servers === 'string' ? [servers] : servers;
  const isRight = list === undefined || (Array.isArray(list) && list.length > 0 && list.every(isAddress));
  if (!isRight) throw new InvalidOptionError('servers', servers, 'an address such as nats://host:4222, or a list of them');
  for (const [option, value] of Object.entries({ user, password, token })) {
    if (value !== undefined && typeof value !== 'string') throw new InvalidOptionError(option, value, 'a text');
  }
  // The driver would connect without either.
  if (password !== undefined && (user ?? '') === '') throw new InvalidOptionError('user', user, 'the user whose `password` is given');
  const given = Object.entries({ servers: list, user, pass: password, token, authenticator, tls }).filter(([, value]) => value !== undefined);
  return {
    config: {
      ...Object.fromEntries(given),
      name: 'punctual',
      timeout: timeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 250,
      // A login that is refused during a restart of the servers is refused for a while only.
      ignoreAuthErrorAbort: true,
      pingInterval: 15_000,
      maxPingOut: 2,
      noAsyncTraces: true,
    },
  };
}

function isAddress(server: unknown): boolean {
  if (typeof server !== 'string' || server.trim() === '') return false;
  const scheme = /^([a-z]+):\/\//i.exec(server)?.[1] ?? 'nats';
  return ['nats', 'tls'].includes(scheme.toLowerCase()) && URL.canParse(server.includes('://') ? server : `nats://${server}`);
}

function isConnection(value: unknown): value is NatsConnectionLike {
  if (typeof value !== 'object' || value === null) return false;
  return ['publish', 'subscribe', 'status', 'isClosed', 'flush'].every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
}
