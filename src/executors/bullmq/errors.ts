import { BrokerError, type BrokerProblem } from '../../errors/executor-errors.js';
import { driverError } from '../remote/driver-error.js';

/** The error of connecting or of a command, as one that says what to do. */
export function translate(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  const message = error instanceof Error ? error.message || String((error as NodeJS.ErrnoException).code) : String(error);
  const as = (reason: BrokerProblem, text: string): BrokerError => new BrokerError(reason, `${text} (${message})`, { cause: error });
  if (message.includes('could not load the optional \'ioredis\'')) return driverError('BullMQ', 'ioredis', error);
  if (/WRONGPASS|NOAUTH|invalid password|invalid username/i.test(message)) return as('bad-login', 'Redis refuses the login. Check user and password of `connection`.');
  if (/NOPERM/i.test(message)) return as('no-access', 'The Redis user may not do what BullMQ needs.');
  if (/\bOOM\b|maxmemory/i.test(message)) return as('rejected', 'Redis is full, and does not take the job. Raise maxmemory, or make room.');
  if (/READONLY|MISCONF/i.test(message)) return as('rejected', 'Redis takes no writes: it is a replica, or cannot save to its disk.');
  return as('unreachable', 'Redis cannot be reached, or the connection broke. Check that it runs, and host, port and firewall.');
}
