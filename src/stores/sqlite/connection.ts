import { SQLiteStoreError, translate } from './errors.js';
import type { SQLiteDatabase, SQLiteStatement } from './driver.js';

/** A transaction is given up without an error: nothing of it is kept. */
export const UNDO = Symbol('undo');

/** One connection to the database, with its transactions and the names of its tables. */
export class Connection {
  readonly database: SQLiteDatabase;
  readonly #prefix: string;
  readonly #begin: SQLiteStatement;
  readonly #beginWriting: SQLiteStatement;
  readonly #commit: SQLiteStatement;
  readonly #rollback: SQLiteStatement;
  /** Called when a transaction was undone: what is remembered of it never happened. */
  onUndone: () => void = () => undefined;

  constructor(database: SQLiteDatabase, prefix: string) {
    this.database = database;
    this.#prefix = prefix;
    this.#begin = database.prepare('BEGIN');
    this.#beginWriting = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#rollback = database.prepare('ROLLBACK');
  }

  /** The statement with `{jobs}` and the like replaced by the names of the tables. */
  sql(text: string): string {
    return text.replace(/\{(\w+)\}/g, `${this.#prefix}$1`);
  }

  prepare(text: string): SQLiteStatement {
    const statement = this.database.prepare(this.sql(text));
    // The database may be somebody's who wants his integers as BigInt.
    statement.safeIntegers(false);
    return statement;
  }

  /** A statement that answers rows as arrays: the quickest. */
  prepareRows(text: string): SQLiteStatement {
    const statement = this.prepare(text);
    statement.raw(true);
    return statement;
  }

  /** One statement that reads. */
  read<T>(work: () => T): T {
    return this.#guard(work);
  }

  /** Several statements that read, and see one state of the database. */
  readTogether<T>(work: () => T): T {
    // Inside a transaction of the user's there is one state already.
    if (this.database.inTransaction) return this.#guard(work);
    return this.#transaction(this.#begin, work);
  }

  /** All of it is written, or nothing. */
  write<T>(work: () => T): T;
  write<T>(work: () => T | typeof UNDO): T | typeof UNDO;
  write<T>(work: () => T): T {
    if (this.database.inTransaction) {
      throw new SQLiteStoreError(
        'in-transaction',
        'The database given to SQLiteJobStore is in a transaction of yours, which would swallow what the scheduler writes. End it first, or give the store a connection of its own.',
      );
    }
    return this.#transaction(this.#beginWriting, work);
  }

  /** A file that cannot be written is opened for reading without a word, and would be found out by the first job. */
  requireWritable(): void {
    this.write(() => {
      const { changes } = this.prepare('UPDATE {counters} SET lane_epoch = lane_epoch').run();
      if (changes !== 1) throw new SQLiteStoreError('foreign-tables', `The table ${this.sql('{counters}')} in ${JSON.stringify(this.database.name)} has lost its row. Restore it from a backup.`);
      return UNDO;
    });
  }

  #transaction<T>(begin: SQLiteStatement, work: () => T): T {
    return this.#guard(() => {
      begin.run();
      try {
        const answer = work();
        if ((answer as unknown) === UNDO) this.#undo();
        else this.#commit.run();
        return answer;
      } catch (error) {
        this.#undo();
        throw error;
      }
    });
  }

  #undo(): void {
    try {
      // After some errors (a full disk) SQLite has undone it already.
      if (this.database.inTransaction) this.#rollback.run();
    } finally {
      this.onUndone();
    }
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw translate(error, this.database.name);
    }
  }
}
