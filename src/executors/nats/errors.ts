import { BrokerError, type BrokerProblem } from '../../errors/executor-errors.js';
import { ApiError, isFull, isUnanswered, isWithoutJetStream, NAME_IN_USE, NO_CONSUMER, NO_STREAM, OVERLAP } from '../../nats/api-error.js';

const TOO_LARGE = new Set([10_054, 10_055]);
const OTHERWISE = new Set([NAME_IN_USE, OVERLAP, 10_148, 10_013, 10_105]);

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

function fromApi(error: ApiError, as: (reason: BrokerProblem, text: string) => BrokerError): BrokerError {
  const { problem } = error;
  if (isWithoutJetStream(error)) return as('missing', 'JetStream is not on. Start the server with -js, and give the account JetStream.');
  if (problem === NO_STREAM || problem === NO_CONSUMER) return as('missing', 'The stream or its consumer is not there. Check `stream`, or have it declared.');
  if (TOO_LARGE.has(problem)) return as('too-large', 'The message is larger than the stream takes (max_msg_size). Keep large data elsewhere, and pass its key.');
  if (isFull(error)) return as('rejected', 'The stream has no room left, so JetStream does not take the message. Raise its limits (max_msgs, max_bytes), or make room.');
  if (OTHERWISE.has(problem)) return as('mismatch', 'There is a stream or a consumer of this name with other properties. Give another `stream`, or `declare: false`.');
  if (isUnanswered(error)) return as('unreachable', 'JetStream does not answer for now. Check the servers (nats server report jetstream).');
  return as('rejected', 'JetStream does not do what it is asked for.');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
