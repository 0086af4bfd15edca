import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
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
import type { RunRequest } from '../../ports/executor.js';
import type { AmqpConnectionLike } from './driver.js';

/** Where RabbitMQ is, and the queue. */
export interface AmqpPlace {
  /** `amqp://user:password@host:5672/vhost`, or an object as `connect` of amqplib takes it. Default `amqp://127.0.0.1`. */
  readonly url?: string | Readonly<Record<string, unknown>> | undefined;
  /** As `connect` of amqplib takes it besides: certificates, `clientProperties`. */
  readonly socketOptions?: Readonly<Record<string, unknown>> | undefined;
  /** In place of a URL: a connection of amqplib, which stays yours to close. One that was made with `recovery` comes back by itself. */
  readonly connection?: AmqpConnectionLike | undefined;
  /** The queue with the runs. Default `'punctual'`. */
  readonly queue?: string | undefined;
  /** More of its properties, such as `{ 'x-queue-type': 'quorum' }`; the same for executors and workers. */
  readonly queueArguments?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Whether the queue, durable, and what belongs to it is made where it is not there. With `false` it has to be there:
   * `<queue>`, for answers that are awaited the fanout exchange `<queue>.control`, for workers the queue for dead letters.
   * Default `true`.
   */
  readonly declare?: boolean | undefined;
}

export interface AmqpExecutorOptions extends AmqpPlace, BrokerExecutorOptions {
  /** The exchange to publish to, which has to be there; routing is yours then. Default `''`, which leads to the queue by its name. */
  readonly exchange?: string | undefined;
  /** The routing key, or what makes it of a run. Default: the queue's name; with an `exchange`, the name of the task. */
  readonly routingKey?: string | ((run: RunRequest) => string) | undefined;
}

export interface AmqpWorkerOptions extends AmqpPlace, BrokerWorkerOptions {
  /**
   * The queue for messages that cannot be read, whose task is unknown, and whose run failed for good with nobody waiting. `null`:
   * they are rejected, and go where the queue's own dead letter exchange leads. Default: `<queue>.dead`.
   */
  readonly deadLetterQueue?: string | null | undefined;
}

export interface LinkSettings {
  /** The user's connection, or what to make one with. */
  readonly source: { readonly connection: AmqpConnectionLike } | { readonly url: string | object; readonly socket: object };
  readonly queue: string;
  readonly queueArguments: Readonly<Record<string, unknown>>;
  readonly declare: boolean;
  readonly timeoutMs: number;
}

export interface ExecutorSettings extends LinkSettings {
  readonly exchange: string;
  readonly routingKey: (run: RunRequest) => string;
  readonly limits: ExecutorLimits;
}

export interface WorkerSettings extends LinkSettings {
  readonly deadLetterQueue: string | null;
  readonly limits: WorkerLimits;
}

const PLACE = ['url', 'socketOptions', 'connection', 'queue', 'queueArguments', 'declare'] as const;
/** Names that RabbitMQ takes, with room for what is added to them. */
const MOST_BYTES = 180;
const HEARTBEAT_SECONDS = 10;

/** @throws InvalidOptionError */
export function readExecutorSettings(target: string | AmqpExecutorOptions): ExecutorSettings {
  const options: AmqpExecutorOptions = typeof target === 'string' ? { url: target } : target;
  refuseUnknownKeys(options, '', [...PLACE, 'exchange', 'routingKey', ...EXECUTOR_OPTIONS]);
  const limits = executorLimits(options);
  const { exchange = '', routingKey } = options;
  if (typeof exchange !== 'string') throw new InvalidOptionError('exchange', exchange, 'the name of an exchange');
  const link = readLink(options, limits.timeoutMs);
  return { ...link, exchange, routingKey: router(routingKey, exchange, link.queue), limits };
}

/** @throws InvalidOptionError */
export function readWorkerSettings(options: AmqpWorkerOptions): WorkerSettings {
  refuseUnknownKeys(options, '', [...PLACE, 'deadLetterQueue', ...WORKER_OPTIONS]);
  const limits = workerLimits(options);
  const link = readLink(options, limits.timeoutMs);
  const { deadLetterQueue = `${link.queue}.dead` } = options;
  if (deadLetterQueue === link.queue) throw new InvalidOptionError('deadLetterQueue', deadLetterQueue, 'another queue than that of the runs');
  return { ...link, deadLetterQueue: deadLetterQueue === null ? null : queueName(deadLetterQueue, 'deadLetterQueue'), limits };
}

function readLink(options: AmqpPlace, timeoutMs: number): LinkSettings {
  const { queueArguments = {}, declare = true } = options;
  if (typeof declare !== 'boolean') throw new InvalidOptionError('declare', declare, 'true or false');
  if (typeof queueArguments !== 'object' || queueArguments === null) throw new InvalidOptionError('queueArguments', queueArguments, 'an object');
  return { source: sourceOf(options, timeoutMs), queue: queueName(options.queue ?? 'punctual', 'queue'), queueArguments, declare, timeoutMs };
}

function sourceOf({ connection, url, socketOptions = {} }: AmqpPlace, timeoutMs: number): LinkSettings['source'] {
  if (connection !== undefined) {
    if (url !== undefined) throw new InvalidOptionError('url', hidden(url), 'nothing beside `connection`');
    const { createConfirmChannel, on, removeListener } = (typeof connection === 'object' ? (connection ?? {}) : {}) as Partial<AmqpConnectionLike>;
    if (![createConfirmChannel, on, removeListener].every((method) => typeof method === 'function')) {
      throw new InvalidOptionError('connection', connection, 'a connection of amqplib, as its `connect` with promises answers it');
    }
    return { connection };
  }
  if (typeof socketOptions !== 'object' || socketOptions === null) throw new InvalidOptionError('socketOptions', socketOptions, 'an object');
  if ('recovery' in socketOptions) throw new InvalidOptionError('socketOptions.recovery', socketOptions['recovery'], 'nothing: it connects again by itself', 'To recover as you like, give your own `connection`.');
  const { clientProperties } = socketOptions as { readonly clientProperties?: object };
  return { url: withHeartbeat(url ?? 'amqp://127.0.0.1'), socket: { noDelay: true, ...socketOptions, timeout: timeoutMs, clientProperties: { connection_name: 'punctual', ...clientProperties } } };
}

/** That of the server is a minute, after which a dead connection is noticed in two to three. */
function withHeartbeat(url: unknown): string | object {
  if (typeof url === 'object' && url !== null) return { heartbeat: HEARTBEAT_SECONDS, ...url };
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !['amqp:', 'amqps:'].includes(parsed.protocol)) {
    throw new InvalidOptionError('url', hidden(url), 'an address such as amqp://user:password@host:5672/vhost');
  }
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(HEARTBEAT_SECONDS));
  return parsed.href;
}

/** An address may have a password. */
function hidden(url: unknown): unknown {
  return typeof url === 'string' ? url.replace(/\/\/[^@/]*@/, '//…@') : url;
}

function queueName(name: unknown, option: string): string {
  const text = nonEmptyText(name, option);
  if (Buffer.byteLength(text) > MOST_BYTES || text.startsWith('amq.')) throw new InvalidOptionError(option, name, `up to ${MOST_BYTES} bytes that do not begin with "amq."`);
  return text;
}

function router(routingKey: unknown, exchange: string, queue: string): (run: RunRequest) => string {
  if (typeof routingKey === 'function') return routingKey as (run: RunRequest) => string;
  if (routingKey !== undefined && typeof routingKey !== 'string') throw new InvalidOptionError('routingKey', routingKey, 'a text, or a function that makes one of a run');
  if (routingKey !== undefined) return () => routingKey;
  return exchange === '' ? () => queue : ({ task }) => task;
}
