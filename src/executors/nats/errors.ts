import { BrokerError, type BrokerProblem } from '../../errors/executor-errors.js';

/** An answer of JetStream that says what is wrong. */
export class ApiError extends Error {
  /** As HTTP has it. */
  readonly status: number;
  /** The number of the problem (`err_code`); 0 where there is none. See server/errors.json of nats-server. */
  readonly problem: number;

  constructor(status: number, problem: number, description: string) {
    super(description);
    this.name = 'ApiError';
    this.status = status;
    this.problem = problem;
  }
}

export const NO_STREAM = 10_059;
export const NO_CONSUMER = 10_014;
const NO_JETSTREAM = new Set([10_039, 10_076, 10_108]);
const FULL = new Set([10_002, 10_023, 10_028, 10_047, 10_077, 10_122, 10_083]);
const TOO_LARGE = new Set([10_054, 10_055]);
const OTHERWISE = new Set([10_058, 10_065, 10_148, 10_013, 10_105]);

/** The error of a call or of connecting, as one that says what to do. */
export function translate(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  const as = (reason: BrokerProblem, text: string): BrokerError => new BrokerError(reason, `${text} (${messageOf(error)})`, { cause: error });
  if (error instanceof ApiError) return fromApi(error, as);
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    // By name: the package may be there twice, and then `instanceof` does not tell.
    switch (cause.name) {
      case 'PermissionViolationError':
        return as('no-access', 'The NATS user may not publish or subscribe to what is needed: the subjects of the streams, `$JS.API.>`, `$JS.ACK.>` and its inbox.');
      case 'AuthorizationError':
      case 'UserAuthenticationExpiredError':
        return as('bad-login', 'NATS refuses the login. Check user and password, token or credentials, and the authorization of the server.');
      case 'NoRespondersError':
        return as('missing', 'No stream takes the message: it is not there, or JetStream is not on or has no leader for now. Check the servers (nats server report jetstream).');
      case 'TimeoutError':
        return as('unconfirmed', 'NATS did not answer in time. Look for load and slow disks there, or raise `timeout`.');
      default:
    }
    if (/max_payload/i.test(cause.message)) return as('too-large', 'The message is larger than NATS takes (max_payload). Keep large data elsewhere, and pass its key.');
    if (/authorization violation|authentication/i.test(cause.message)) return as('bad-login', 'NATS refuses the login. Check user and password, token or credentials, and the authorization of the server.');
  }
  return as('unreachable', 'NATS cannot be reached, or the connection broke. Check that it runs, and `servers`, port and firewall.');
}

function fromApi({ problem, status, message }: ApiError, as: (reason: BrokerProblem, text: string) => BrokerError): BrokerError {
  if (NO_JETSTREAM.has(problem)) return as('missing', 'JetStream is not on. Start the server with -js, and give the account JetStream.');
  if (problem === NO_STREAM || problem === NO_CONSUMER) return as('missing', 'The stream or its consumer is not there. Check `stream`, or have it declared.');
  if (TOO_LARGE.has(problem)) return as('too-large', 'The message is larger than the stream takes (max_msg_size). Keep large data elsewhere, and pass its key.');
  if (FULL.has(problem) || /maximum (bytes|messages)|insufficient|no space/i.test(message)) return as('rejected', 'The stream has no room left, so JetStream does not take the message. Raise its limits (max_msgs, max_bytes), or make room.');
  if (OTHERWISE.has(problem)) return as('mismatch', 'There is a stream or a consumer of this name with other properties. Give another `stream`, or `declare: false`.');
  if (status === 503 || status === 408) return as('unreachable', 'JetStream does not answer for now. Check the servers (nats server report jetstream).');
  return as('rejected', 'JetStream does not do what it is asked for.');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
