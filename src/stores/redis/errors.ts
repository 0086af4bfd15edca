import { PunctualError } from '../../errors/base.js';
import { strangeness } from '../shared/strangers.js';

/** Why a Redis store cannot be used. */
export type RedisProblem =
  /** Neither ioredis nor redis is installed, or it cannot be loaded. */
  | 'no-driver'
  /** Nobody answers there, the connection broke, or the server is starting, stopping or changing its master. */
  | 'unreachable'
  /** The server does not answer in time. */
  | 'timeout'
  /** User or password is wrong or missing. */
  | 'bad-login'
  /** The user may not do what the store needs (NOPERM), or the server lets nobody in from there. */
  | 'no-access'
  | 'read-only'
  /** The server has reached its `maxmemory`, and drops nothing. */
  | 'out-of-memory'
  /** The server cannot write its disk (MISCONF), or has too few replicas (NOREPLICAS): it refuses writes. */
  | 'refuses-writes'
  /** Older than Redis 6.2. */
  | 'old-server'
  /** Written by a later release of punctual. */
  | 'newer-version'
  /** Under the prefix is what is not punctual's. */
  | 'foreign-keys'
  /** The server has no database of that number. */
  | 'no-database'
  /** The store is closed, or was not opened yet. */
  | 'closed';

/** A Redis server cannot be used, for a `reason` and with what to do about it. Nothing was overwritten. */
export class RedisStoreError extends PunctualError {
  readonly reason: RedisProblem;

  constructor(reason: RedisProblem, message: string, options?: ErrorOptions) {
    super('STORE_UNUSABLE', message, options);
    this.reason = reason;
  }
}

/** None of the drivers could be loaded: what was said of each. */
export function errorFromLoading(errors: readonly unknown[]): RedisStoreError {
  const options = { cause: errors[0] };
  const broken = errors.find((error) => !['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(fieldsOf(error).code));
  if (broken === undefined) {
    return new RedisStoreError('no-driver', 'RedisJobStore needs the package ioredis or redis, and neither is installed. Install one: npm install ioredis', options);
  }
  return new RedisStoreError('no-driver', `The driver for Redis cannot be loaded: ${fieldsOf(broken).message}. Install it again: npm install ioredis`, { cause: broken });
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'EACCES',
]);

const MOVING = 'The slot of the prefix is being moved to another node of the Redis cluster. Nothing is read or written until that is done.';

/** By the word an error of the server begins with. */
const BY_WORD: Readonly<Record<string, readonly [RedisProblem, string]>> = {
  NOAUTH: ['bad-login', 'Redis wants a password. Give `password` (and `username`), or put them into the `url`.'],
  WRONGPASS: ['bad-login', 'Redis refuses the login. Check `username` and `password`, or those in the `url`.'],
  NOPERM: [
    'no-access',
    'The user may not do what RedisJobStore needs. Let it use the keys and the channel that begin with the prefix, and the commands: ACL SETUSER … ~{punctual}* &{punctual}* +@all -@dangerous +info.',
  ],
  DENIED: ['no-access', 'Redis runs in protected mode and lets nobody in from another machine. Set a password there, or bind it to an address.'],
  READONLY: ['read-only', 'The server takes no writes: it is a replica. Connect to the master, through Sentinel or an address that follows it.'],
  OOM: [
    'out-of-memory',
    'Redis has reached its maxmemory and takes no more. Raise maxmemory, keep less history (`ledger`), or move what else is there to another server. Nothing of the last write was kept.',
  ],
  MISCONF: ['refuses-writes', 'Redis cannot save to its disk and refuses writes. Make room there, and look into its log.'],
  NOREPLICAS: ['refuses-writes', 'Redis has fewer replicas than min-replicas-to-write and refuses writes. Bring a replica back.'],
  LOADING: ['unreachable', 'Redis is loading its data. It is there in a moment.'],
  MASTERDOWN: ['unreachable', 'Redis is a replica without its master. Wait for the failover, or connect to the master.'],
  CLUSTERDOWN: ['unreachable', 'The Redis cluster is down, or does not serve the slot of the prefix. Look at CLUSTER INFO.'],
  MOVED: ['unreachable', 'The server is a node of a cluster, and another one has the keys. Give a cluster client: new Redis.Cluster(…) or createCluster(…).'],
  ASK: ['unreachable', MOVING],
  TRYAGAIN: ['unreachable', MOVING],
  BUSY: ['timeout', 'Redis is busy with a script. Look for it there (SLOWLOG GET), and end it (SCRIPT KILL).'],
  WRONGTYPE: ['foreign-keys', 'Under the prefix are keys that are not punctual’s. Give another `prefix`.'],
};

/** The error of a call or of connecting, as one that says what to do. What is of neither stays as it is. */
export function translate(error: unknown): Error {
  if (error instanceof PunctualError) return error;
  const { code, message, name } = fieldsOf(error);
  const unusable = (reason: RedisProblem, text: string): RedisStoreError => new RedisStoreError(reason, `${text} (${message})`, { cause: error });
  const strange = strangeness(error);
  if (strange === 'tls') {
    return unusable('unreachable', 'The connection to Redis cannot be encrypted as both sides want it. Check `tls` (or rediss:// in the `url`), the certificates, and that Redis is what answers there.');
  }
  if (strange === 'protocol') return unusable('unreachable', 'What answers there is not Redis. Check host and port.');
  // Of an error inside a script, Redis before version 7 puts its own words in front.
  const words = message.match(/\b[A-Z]{3,}\b/g) ?? [];
  for (const word of words) {
    const known = Object.hasOwn(BY_WORD, word) ? BY_WORD[word] : undefined;
    if (known !== undefined) return unusable(...known);
  }
  if (/DB index is out of range|SELECT is not allowed/i.test(message)) {
    return unusable('no-database', 'The server has no database of that number. Give another in `url` or `db`, and another `prefix` where several share one; a cluster has number 0 only.');
  }
  // A script in a slot that is being moved; a node of which a client has not heard yet.
  if (/non local key|Cannot find node/i.test(message)) return unusable('unreachable', MOVING);
  // As the servers before version 6 say it, and drivers that log in by themselves.
  if (/invalid (username-)?password|AUTH failed|without any password/i.test(message)) {
    return unusable('bad-login', 'Redis refuses the login. Check `username` and `password`, or those in the `url`.');
  }
  // Redis 7 says so of a command inside a script.
  if (/executing the script can't/i.test(message)) return unusable(...BY_WORD['NOPERM']!);
  if (/command not allowed when used memory/i.test(message)) return unusable(...BY_WORD['OOM']!);
  if (
    UNREACHABLE.has(code) ||
    /Connection is closed|Stream isn't writeable|Socket closed|client is (closed|offline)|ECONN|Connection timeout|connect ETIMEDOUT|All sentinels|slots cache|None of startup nodes|max retries per request|enableReadyCheck/i.test(message) ||
    /^(ConnectionTimeoutError|SocketClosedUnexpectedlyError|ClientOfflineError|ClientClosedError|DisconnectsClientError|AbortError|MaxRetriesPerRequestError|ClusterAllFailedError|RootNodesUnavailableError|SocketTimeoutError)$/.test(name)
  ) {
    return unusable('unreachable', 'Redis cannot be reached. Check that the server runs, and host, port, TLS and firewall.');
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** Whether the script is not in the server's memory: it was restarted, or somebody sent SCRIPT FLUSH. */
export function isNoScript(error: unknown): boolean {
  return fieldsOf(error).message.startsWith('NOSCRIPT');
}

/** Whether another connection may reach a server that takes what this one refuses: a master that became a replica. */
export function isWrongServer(error: unknown): boolean {
  return /\b(READONLY|MASTERDOWN|MOVED)\b/.test(fieldsOf(error).message);
}

export function fieldsOf(error: unknown): { code: string; message: string; name: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error), name: '' };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  // Of several addresses that were tried, each has an error of its own, and the sum has no text.
  const { message } = error;
  return { code, message: message === '' ? code : message, name: error.constructor.name };
}
