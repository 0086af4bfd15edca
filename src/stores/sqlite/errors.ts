import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { PunctualError } from '../../errors/base.js';
import { JobUnstorableError } from '../../errors/job-errors.js';

/** Why a SQLite store cannot be used. */
export type SQLiteProblem =
  /** The package better-sqlite3 is not installed, or was not built for this Node. */
  | 'no-driver'
  | 'no-folder'
  | 'no-access'
  | 'read-only'
  /** The file is no SQLite database, or is damaged. */
  | 'corrupt'
  | 'disk-full'
  /** Another connection held the database for longer than `busyTimeout`. */
  | 'locked'
  /** Written by a later release of punctual. */
  | 'newer-version'
  /** The tables are not those of punctual, or not all of them are there. */
  | 'foreign-tables'
  /** The connection is closed, or was not opened yet. */
  | 'closed'
  /** The database that was handed over is in the middle of a transaction of somebody else. */
  | 'in-transaction'
  | 'io-error';

/** A SQLite database cannot be used, for a `reason` and with what to do about it. Nothing was overwritten. */
export class SQLiteStoreError extends PunctualError {
  readonly reason: SQLiteProblem;

  constructor(reason: SQLiteProblem, message: string, options?: ErrorOptions) {
    super('STORE_UNUSABLE', message, options);
    this.reason = reason;
  }
}

/** What went wrong while the driver was loaded. */
export function errorFromLoading(error: unknown): Error {
  const options = { cause: error };
  const { code, message } = fieldsOf(error);
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    return new SQLiteStoreError('no-driver', 'SQLiteJobStore needs the package better-sqlite3, which is not installed. Install it: npm install better-sqlite3', options);
  }
  return new SQLiteStoreError('no-driver', `The package better-sqlite3 cannot be loaded: ${message}. Build it again: npm rebuild better-sqlite3`, options);
}

/** What went wrong while the file was opened. */
export function errorFromOpening(error: unknown, path: string): Error {
  const { code, message } = fieldsOf(error);
  const options = { cause: error };
  if (code === 'ERR_DLOPEN_FAILED' || message.includes('bindings file')) {
    return new SQLiteStoreError('no-driver', 'better-sqlite3 is installed, but was not built for this Node. Build it again: npm rebuild better-sqlite3', options);
  }
  const folder = dirname(resolve(path));
  if (!existsSync(folder)) {
    return new SQLiteStoreError('no-folder', `There is no folder ${JSON.stringify(folder)} to put the database into. Make it first: mkdir(${JSON.stringify(folder)}, { recursive: true })`, options);
  }
  return translate(error, path);
}

/** What went wrong while the tables were made or looked at: a statement that does not fit them is of the tables' making. */
export function errorFromTables(error: unknown, path: string): Error {
  const { code, message } = fieldsOf(error);
  if (code !== 'SQLITE_ERROR') return translate(error, path);
  return new SQLiteStoreError(
    'foreign-tables',
    `Tables in ${JSON.stringify(path)} are not punctual's, or not all of them are there (${message}). Restore them from a backup, or give another \`tablePrefix\`.`,
    { cause: error },
  );
}

/** The error of a statement, as one that says what to do. What is not of SQLite stays as it is. */
export function translate(error: unknown, path: string): Error {
  const { code, message } = fieldsOf(error);
  const file = JSON.stringify(path);
  const unusable = (reason: SQLiteProblem, text: string): SQLiteStoreError => new SQLiteStoreError(reason, `${text} (${message})`, { cause: error });
  if (error instanceof PunctualError) return error;
  if (message.includes('database connection is not open')) return unusable('closed', `The connection to ${file} is closed. Close it only after the scheduler was shut down.`);
  switch (code.split('_').slice(0, 2).join('_')) {
    case 'SQLITE_NOTADB':
      return unusable('corrupt', `${file} is no SQLite database. Give another path, or move that file away.`);
    case 'SQLITE_CORRUPT':
      return unusable('corrupt', `The database ${file} is damaged. Restore it from a backup, or save what can be read: sqlite3 ${file} .recover`);
    case 'SQLITE_READONLY':
      return unusable('read-only', `The database ${file} cannot be written. Let this process write the file and its folder, and open it without { readonly: true }.`);
    case 'SQLITE_CANTOPEN':
    case 'SQLITE_PERM':
    case 'SQLITE_AUTH':
      return unusable('no-access', `The database ${file} cannot be opened. Let this process read and write the file and its folder; a folder is no database.`);
    case 'SQLITE_FULL':
      return unusable('disk-full', `There is no room left for the database ${file}: free some, or raise PRAGMA max_page_count. Nothing of the last write was kept.`);
    case 'SQLITE_BUSY':
    case 'SQLITE_LOCKED':
      return unusable('locked', `Another connection held the database ${file} for longer than \`busyTimeout\`. Keep write transactions short, or raise it.`);
    case 'SQLITE_IOERR':
      return unusable('io-error', `Reading or writing ${file} failed.`);
    case 'SQLITE_TOOBIG':
      return new JobUnstorableError('A record is too large for SQLite. Keep large data elsewhere, and pass its key.', { cause: error });
    default:
      return error instanceof Error ? error : new Error(String(error));
  }
}

/** Whether another connection was in the way. */
export function isBusy(error: unknown): boolean {
  return fieldsOf(error).code.startsWith('SQLITE_BUSY');
}

function fieldsOf(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return { code, message: error.message };
}
