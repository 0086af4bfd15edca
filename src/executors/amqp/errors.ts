import { BrokerError, type BrokerProblem } from '../../errors/executor-errors.js';

/** Answers of the server by their code. */
const BY_CODE: Readonly<Record<number, readonly [BrokerProblem, string]>> = {
  311: ['too-large', 'The message is larger than RabbitMQ takes.'],
  403: ['no-access', 'RabbitMQ does not let this user do that. Check its permissions (rabbitmqctl list_permissions).'],
  404: ['missing', 'An exchange or a queue is not there. Check `exchange` and `queue`, or declare it.'],
  405: ['mismatch', 'The queue belongs to another connection (it is exclusive). Give another `queue`.'],
  406: ['mismatch', 'RabbitMQ has the queue or the exchange with other properties. Give the same `queueArguments` everywhere, another name, or `declare: false`.'],
  530: ['no-access', 'RabbitMQ does not let this user into that virtual host, or there is none of that name. Check the path of the URL.'],
};

/** The error of connecting or of a channel, as one that says what to do. */
export function translate(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  const { code, message } = fieldsOf(error);
  const as = (reason: BrokerProblem, text: string): BrokerError => new BrokerError(reason, `${text} (${message})`, { cause: error });
  if (/message size|max_message_size/i.test(message)) return as('too-large', 'The message is larger than RabbitMQ takes (max_message_size). Keep large data elsewhere, and pass its key.');
  if (/ACCESS_REFUSED|ACCESS-REFUSED|\b403\b/.test(message) && /handshake/i.test(message)) return as('bad-login', 'RabbitMQ refuses the login. Check user and password in the URL; the user guest may only come from the same machine.');
  // The driver does not say why it was not let in once the login was right.
  if (/\b530\b|NOT_ALLOWED|NOT-ALLOWED|Expected ConnectionOpenOk; got <ConnectionClose/.test(message)) return as(...BY_CODE[530]!);
  const known = typeof code === 'number' ? BY_CODE[code] : undefined;
  if (known !== undefined) return as(...known);
  return as('unreachable', 'RabbitMQ cannot be reached, or the connection broke. Check that it runs, and the URL, port and firewall.');
}

function fieldsOf(error: unknown): { code: unknown; message: string } {
  if (!(error instanceof Error)) return { code: undefined, message: String(error) };
  const code = 'code' in error ? error.code : undefined;
  // Of a host with several addresses: nothing but a code.
  return { code, message: error.message === '' ? String(code) : error.message };
}
