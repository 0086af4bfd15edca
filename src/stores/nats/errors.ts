import { PunctualError } from '../../errors/base.js';
import { JobUnstorableError } from '../../errors/job-errors.js';
import { ApiError, isFull, isUnanswered, isWithoutJetStream, NAME_IN_USE, NO_STREAM, OVERLAP } from '../../nats/api-error.js';
import { strangeness } from '../shared/strangers.js';

/** Why a NATS store cannot be used. */
export type NatsProblem =
  /** The package @nats-io/transport-node is not installed, or cannot be loaded. */
  | 'no-driver'
  /** Nobody answers there, the connection broke, or the stream has no leader for now. */
  | 'unreachable'
  /** The server is there, but does not answer in time. */
  | 'timeout'
  /** User, password, token or key are wrong or missing. */
  | 'bad-login'
  /** The user may not publish or subscribe to what the store needs. */
  | 'no-access'
  /** The server runs without JetStream, or the account has none. */
  | 'no-jetstream'
  /** Older than NATS 2.9. */
  | 'old-server'
  /** The stream, the account or the disk has no room left. */
  | 'storage-full'
  /** There are fewer servers than `replicas` asks for. */
  | 'too-few-servers'
  /** A stream of this name is there that is not punctual's, or a stream was deleted while the store was open. */
  | 'foreign-stream'
  /** Written by a later release of punctual. */
  | 'newer-version'
  /** The store or the connection is closed, or the store was not opened yet. */
  | 'closed';

/** A NATS server cannot be used, for a `reason` and with what to do about it. Nothing was overwritten. */
export class NatsStoreError extends PunctualError {
  readonly reason: NatsProblem;

  constructor(reason: NatsProblem, message: string, options?: ErrorOptions) {
    super('STORE_UNUSABLE', message, options);
    this.reason = reason;
  }
}

export { ApiError, NAME_IN_USE, NO_MESSAGE, NO_STREAM, WRONG_LAST_SEQUENCE } from '../../nats/api-error.js';

const FEW_SERVERS = new Set([10005, 10074, 10115]);

/** What went wrong while the driver was loaded. */
export function errorFromLoading(error: unknown): Error {
  const { code, message } = fieldsOf(error);
  const options = { cause: error };
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    return new NatsStoreError('no-driver', 'NatsJobStore needs the package @nats-io/transport-node, which is not installed. Install it: npm install @nats-io/transport-node', options);
  }
  return new NatsStoreError('no-driver', `The package @nats-io/transport-node cannot be loaded: ${message}. Install it again: npm install @nats-io/transport-node`, options);
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']);

/** The error of a call or of connecting, as one that says what to do. What is of neither stays as it is. */
export function translate(error: unknown): Error {
  if (error instanceof PunctualError) return error;
  if (error instanceof ApiError) return fromApi(error);
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const known = fromDriver(cause, error);
    if (known !== undefined) return known;
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** The error of connecting: what is late there says nothing of load. */
export function translateConnecting(error: unknown): Error {
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new NatsStoreError('unreachable', `There was no connection to NATS in time. Check \`servers\`, port and firewall, that NATS is what listens there, and \`tls\`. (${error.message})`, { cause: error });
  }
  return translate(error);
}

function fromDriver(error: Error, whole: unknown): NatsStoreError | JobUnstorableError | undefined {
  const { code, message } = fieldsOf(error);
  const unusable = (reason: NatsProblem, text: string): NatsStoreError => new NatsStoreError(reason, `${text} (${message})`, { cause: whole });
  // By name: the package may be there twice, and then `instanceof` does not tell.
  switch (error.name) {
    case 'PermissionViolationError':
      return unusable('no-access', 'The NATS user may not do what NatsJobStore needs. Let it publish and subscribe to the subjects that the documentation lists under "Permissions".');
    case 'AuthorizationError':
    case 'UserAuthenticationExpiredError':
      return unusable('bad-login', 'NATS refuses the login. Check user and password, token or credentials, and the authorization of the server.');
    case 'NoResponders':
    case 'NoRespondersError':
      return unusable('unreachable', 'JetStream does not answer: the stream has no leader for now, or JetStream was turned off. Check the servers (nats server report jetstream).');
    case 'ClosedConnectionError':
    case 'DrainingConnectionError':
      return unusable('closed', 'The connection of NatsJobStore is closed. Close it only after the scheduler was shut down, and let it reconnect without an end (maxReconnectAttempts: -1).');
    case 'TimeoutError':
      return unusable('timeout', 'NATS did not answer in time. Look for load and slow disks there (nats server report jetstream), or raise `timeout`.');
    default:
  }
  const strange = strangeness(error);
  if (strange === 'tls') return unusable('unreachable', 'The connection to NATS cannot be encrypted as both sides want it. Check `tls`, the certificates, and that NATS is what answers there.');
  if (strange === 'protocol') return unusable('unreachable', 'What answers there is not NATS. Check `servers` and the port.');
  if (/max_payload/i.test(message)) return new JobUnstorableError('A record is too large for NATS (max_payload). Keep large data elsewhere, and pass its key.', { cause: whole });
  if (/authorization violation|authentication/i.test(message)) {
    return unusable('bad-login', 'NATS refuses the login. Check user and password, token or credentials, and the authorization of the server.');
  }
  if (UNREACHABLE.has(code) || /connection refused|CONNECTION_REFUSED|getaddrinfo|disconnected|no servers/i.test(message)) {
    return unusable('unreachable', 'NATS cannot be reached. Check that the server runs, and `servers`, port and firewall.');
  }
  return undefined;
}

function fromApi(error: ApiError): Error {
  const { problem, message } = error;
  const unusable = (reason: NatsProblem, text: string): NatsStoreError => new NatsStoreError(reason, `${text} (${message})`, { cause: error });
  if (isWithoutJetStream(error)) {
    return unusable('no-jetstream', 'JetStream is not on. Start the server with -js (or a jetstream block in its configuration), and give the account JetStream.');
  }
  if (FEW_SERVERS.has(problem)) return unusable('too-few-servers', 'There are fewer JetStream servers than `replicas` asks for, or too few of them run. Lower `replicas`, or start more.');
  if (isFull(error)) {
    return unusable('storage-full', 'JetStream has no room left. Nothing of the last write was kept. Raise the limits (max_bytes of the stream, max_file_store, the account), or make room.');
  }
  if (problem === NO_STREAM) return unusable('foreign-stream', 'A stream of NatsJobStore is gone: somebody deleted it. Open the store again to make it anew, or restore it from a backup.');
  if (problem === OVERLAP || problem === NAME_IN_USE) return unusable('foreign-stream', 'There is a stream already with these subjects or this name that is not punctual’s. Give another `bucket`.');
  if (isUnanswered(error)) return unusable('unreachable', 'JetStream does not answer for now. Check the servers (nats server report jetstream).');
  if (/message size exceeds/i.test(message)) return new JobUnstorableError('A record is too large for NATS. Keep large data elsewhere, and pass its key.', { cause: error });
  return error;
}

export function fieldsOf(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return { code, message: error.message === '' ? code : error.message };
}
