import { errorFromLoading, errorFromOpening } from './errors.js';

/** What is needed of a prepared statement of `better-sqlite3`. */
export interface SQLiteStatement {
  run(...params: unknown[]): { readonly changes: number; readonly lastInsertRowid: number | bigint };
  get(...params: unknown[]): unknown;
  all(...params: unknown[]): unknown[];
  iterate(...params: unknown[]): Iterable<unknown>;
  raw(toggle?: boolean): unknown;
  safeIntegers(toggle?: boolean): unknown;
}

/** What is needed of a `Database` of the package `better-sqlite3`, version 12. It is yours to install. */
export interface SQLiteDatabase {
  readonly open: boolean;
  readonly inTransaction: boolean;
  /** Whether it lives in memory, or is temporary. */
  readonly memory: boolean;
  readonly readonly: boolean;
  /** The path it was opened with. */
  readonly name: string;
  prepare(sql: string): SQLiteStatement;
  exec(sql: string): unknown;
  pragma(sql: string, options?: { simple?: boolean }): unknown;
  close(): unknown;
}

type DatabaseClass = new (path: string, options: { timeout: number }) => SQLiteDatabase;

/** Opens the file, and makes it where there is none. @throws SQLiteStoreError */
export async function openDatabase(path: string, busyTimeoutMs: number): Promise<SQLiteDatabase> {
  const Database = await loadDriver();
  try {
    return new Database(path, { timeout: busyTimeoutMs });
  } catch (error) {
    throw errorFromOpening(error, path);
  }
}

async function loadDriver(): Promise<DatabaseClass> {
  try {
    const driver = (await import('better-sqlite3')) as unknown as { default: DatabaseClass };
    return driver.default;
  } catch (error) {
    throw errorFromLoading(error);
  }
}
