/**
 * Jobs in a SQLite database, through the package `better-sqlite3`, which is yours to install.
 *
 * @module
 */
export { SQLiteJobStore } from './sqlite-job-store.js';
export { SQLiteStoreError } from './errors.js';
export type { SQLiteProblem } from './errors.js';
export type { SQLiteJobStoreOptions } from './options.js';
export type { SQLiteDatabase, SQLiteStatement } from './driver.js';
