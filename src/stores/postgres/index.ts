/**
 * Jobs in a PostgreSQL database, through the package `pg`, which is yours to install.
 *
 * @module
 */
export { PostgresJobStore } from './postgres-job-store.js';
export { PostgresStoreError } from './errors.js';
export type { PostgresProblem } from './errors.js';
export type { PostgresJobStoreOptions } from './options.js';
export type { PostgresPool, PostgresPoolClient, PostgresQuery, PostgresResult } from './driver.js';
