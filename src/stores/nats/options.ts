import { InvalidOptionError } from '../../errors/errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import { natsName, natsSource, replicaCount, SERVER_OPTIONS, type NatsServerOptions, type NatsSource } from '../../nats/server-options.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import type { NatsConnectionLike } from './driver.js';

const MS_PER_DAY = 86_400_000;
const MAX_TIMEOUT_MS = 3_600_000;

export interface NatsJobStoreOptions extends NatsServerOptions<NatsConnectionLike> {
  /** What the connection is called in the server's reports. Default `'punctual'`. */
  readonly name?: string | undefined;
  /** The KV bucket with the jobs; the bucket of leases and the stream of the ledger are named after it. They are made where there are none. Default `'punctual'`. */
  readonly bucket?: string | undefined;
  /** Servers of a cluster that keep a copy each: 1, 3 or 5. Only when the streams are made. Default 1. */
  readonly replicas?: number | undefined;
  /** Most bytes that the bucket of jobs may take. Only when it is made. Default: what the account allows. */
  readonly maxBytes?: number | undefined;
  /** How long a connection or an answer is waited for. Default 10 s. */
  readonly timeout?: DurationInput | undefined;
  /** How much history is kept. Whoever opens the bucket last decides for all. */
  readonly ledger?:
    | {
        /** Entries of each job. Default 1,000; 0 keeps none. */
        readonly perJob?: number | undefined;
        /** Age at which entries are dropped. Default 30 days; `null`: never. */
        readonly maxAge?: DurationInput | null | undefined;
      }
    | undefined;
}

export interface Settings {
  readonly source: NatsSource<NatsConnectionLike>;
  readonly bucket: string;
  readonly replicas: number;
  readonly maxBytes: number | undefined;
  readonly timeoutMs: number;
  readonly perJob: number;
  readonly maxAgeMs: number | null;
}

/** What is called of a connection. */
const METHODS = ['publish', 'subscribe', 'status', 'isClosed'] as const;

/** @throws InvalidOptionError */
export function readSettings(target: string | NatsJobStoreOptions): Settings {
  const options: NatsJobStoreOptions = typeof target === 'string' ? { servers: target } : target;
  refuseUnknownKeys(options, '', [...SERVER_OPTIONS, 'name', 'bucket', 'replicas', 'maxBytes', 'timeout', 'ledger']);
  refuseUnknownKeys(options.ledger ?? {}, 'ledger', ['perJob', 'maxAge']);
  const { bucket = 'punctual', replicas = 1, maxBytes, timeout = 10_000 } = options;
  const { perJob = 1_000, maxAge = 30 * MS_PER_DAY } = options.ledger ?? {};
  if (maxBytes !== undefined && (!Number.isSafeInteger(maxBytes) || maxBytes < 1)) throw new InvalidOptionError('maxBytes', maxBytes, 'a whole number of 1 or more');
  if (!Number.isSafeInteger(perJob) || perJob < 0) throw new InvalidOptionError('ledger.perJob', perJob, 'a whole number of 0 or more');
  const timeoutMs = toMs(timeout, 'timeout', 1);
  if (timeoutMs > MAX_TIMEOUT_MS) throw new InvalidOptionError('timeout', timeout, 'a duration of at most an hour');
  return {
    source: natsSource(options, timeoutMs, METHODS),
    bucket: natsName(bucket, 'bucket'),
    replicas: replicaCount(replicas),
    maxBytes,
    timeoutMs,
    perJob,
    maxAgeMs: maxAge === null ? null : toMs(maxAge, 'ledger.maxAge', 1),
  };
}
