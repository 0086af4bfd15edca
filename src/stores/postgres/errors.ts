import { PunctualError } from '../../errors/base.js';
import { JobUnstorableError } from '../../errors/job-errors.js';
import { strangeness } from '../shared/strangers.js';

/** Why a PostgreSQL store cannot be used. */
export type PostgresProblem =
  /** The package pg is not installed, or cannot be loaded. */
  | 'no-driver'
  /** Nobody answers there, the connection broke, or the server is starting or stopping. */
  | 'unreachable'
  /** The server answers, but not in time. */
  | 'timeout'
  /** The password is wrong or missing, or the server lets the role in from nowhere. */
  | 'bad-login'
  | 'no-database'
  /** The role may not make the schema, or not use what is in it. */
  | 'no-access'
  | 'read-only'
  | 'disk-full'
  | 'too-many-connections'
  /** Older than PostgreSQL 13. */
  | 'old-server'
  /** Written by a later release of punctual. */
  | 'newer-version'
  /** What is in the schema is not punctual's, or not all of it is there. */
  | 'foreign-tables'
  /** The store or the pool is closed, or the store was not opened yet. */
  | 'closed';

/** A PostgreSQL database cannot be used, for a `reason` and with what to do about it. Nothing was overwritten. */
export class PostgresStoreError extends PunctualError {
  readonly reason: PostgresProblem;

  constructor(reason: PostgresProblem, message: string, options?: ErrorOptions) {
    super('STORE_UNUSABLE', message, options);
    this.reason = reason;
  }
}

/** What went wrong while the driver was loaded. */
export function errorFromLoading(error: unknown): Error {
  const { code, message } = fieldsOf(error);
  const options = { cause: error };
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    return new PostgresStoreError('no-driver', 'PostgresJobStore needs the package pg, which is not installed. Install it: npm install pg', options);
  }
  return new PostgresStoreError('no-driver', `The package pg cannot be loaded: ${message}. Install it again: npm install pg`, options);
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
  '57P01',
  '57P02',
  '57P03',
  '57P05',
]);

/** The error of a statement or of connecting, as one that says what to do. What is of neither stays as it is. */
export function translate(error: unknown, schema: string): Error {
  if (error instanceof PunctualError) return error;
  const { code, message } = fieldsOf(error);
  const unusable = (reason: PostgresProblem, text: string): PostgresStoreError => new PostgresStoreError(reason, `${text} (${message})`, { cause: error });
  // What the server says with a code of its own (SQLSTATE), it says as PostgreSQL.
  const strange = /^[0-9A-Z]{5}$/.test(code) ? undefined : strangeness(error);
  if (strange === 'tls') {
    return unusable('unreachable', 'The connection to PostgreSQL cannot be encrypted as both sides want it. Check `ssl` (or `sslmode` in the connection string) and the certificates, and that PostgreSQL is what answers there.');
  }
  if (strange === 'protocol') return unusable('unreachable', 'What answers there is not PostgreSQL. Check host and port.');
  if (message.includes('Query read timeout') || code === '57014' || code === '55P03') {
    return unusable('timeout', 'PostgreSQL did not answer in time. Look for locks and load there (pg_stat_activity), or raise `timeout`.');
  }
  if (message.includes('after calling end on the pool') || message.includes('Client was closed')) {
    return unusable('closed', 'The pool of PostgresJobStore is closed. Close it only after the scheduler was shut down.');
  }
  if (/due to connection timeout|timeout exceeded when trying to connect|^timeout expired/i.test(message)) {
    return unusable('unreachable', 'There was no connection to PostgreSQL in time. Check host, port and firewall, that PostgreSQL is what listens there, and `ssl`; if all connections are busy (`max`, or the `max` of your pool), raise that.');
  }
  if (UNREACHABLE.has(code) || code.startsWith('08') || /Connection terminated|connection error/i.test(message)) {
    return unusable('unreachable', 'PostgreSQL cannot be reached. Check that the server runs, and host, port and firewall.');
  }
  if (code.startsWith('28') || /^SASL|password must be a string|requires? .*password/i.test(message)) {
    return unusable('bad-login', 'PostgreSQL refuses the login. Check user and password (or PGUSER and PGPASSWORD), and pg_hba.conf on the server.');
  }
  switch (code) {
    case '3D000':
      return unusable('no-database', 'The database does not exist. Make it first (createdb), or correct the name in the connection.');
    case '42501':
      return unusable(
        'no-access',
        `The role may not do what PostgresJobStore needs in the schema "${schema}". Let it make the schema (GRANT CREATE ON DATABASE … TO …), or make it the owner of it (CREATE SCHEMA "${schema}" AUTHORIZATION …).`,
      );
    case '25006':
      return unusable('read-only', 'The server takes no writes: it is a standby, or default_transaction_read_only is on. Connect to the primary.');
    case '53100':
      return unusable('disk-full', 'The disk of the server is full. Nothing of the last write was kept.');
    case '53300':
      return unusable('too-many-connections', 'The server has no connection left. Raise max_connections there, or lower `max`, or put a pooler in between.');
    case '42P01':
    case '42703':
    case '42804':
    case '3F000':
      return unusable('foreign-tables', `What is in the schema "${schema}" is not punctual's, or not all of it is there. Restore it from a backup, or give another \`schema\`.`);
    case '54000':
      return new JobUnstorableError('A record is too large for PostgreSQL. Keep large data elsewhere, and pass its key.', { cause: error });
    default:
      return error instanceof Error ? error : new Error(String(error));
  }
}

/** Whether the statement was undone because of others, and may be sent again. */
export function isConflict(error: unknown): boolean {
  const { code } = fieldsOf(error);
  return code === '40001' || code === '40P01';
}

export function fieldsOf(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  // Of several addresses that were tried, each has an error of its own, and the sum has no text.
  const { message } = error;
  return { code, message: message === '' ? code : message };
}
