/**
 * The package as it is built, and the peers. All are loaded by computed names, so that the project is linted and
 * compiled without them.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** `PUNCTUAL_DIST` measures another build than ../dist: one from before a change, for example. */
const dist = process.env['PUNCTUAL_DIST'];
const base = dist === undefined ? new URL('../../dist/', import.meta.url) : pathToFileURL(`${resolve(dist)}/`);

const IN_BENCH = 'Install it first: npm ci, in bench';
const IN_ROOT = 'Install it first: npm ci, in the root of the repository';

/** @returns {Promise<typeof import('punctual')>} */
export function loadPunctual() {
  return load(new URL('index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<typeof import('punctual/testing')>} */
export function loadTesting() {
  return load(new URL('testing/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<typeof import('punctual/sqlite')>} */
export function loadSqlite() {
  return load(new URL('stores/sqlite/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<typeof import('punctual/postgres')>} */
export function loadPostgres() {
  return load(new URL('stores/postgres/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<typeof import('pg')>} */
export async function loadPgDriver() {
  const { default: driver } = await load('pg', IN_ROOT);
  return driver;
}

/** @returns {Promise<typeof import('punctual/workers')>} */
export function loadWorkers() {
  return load(new URL('executors/workers/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<any>} The class of tinypool, which only the benchmarks use. */
export async function loadTinypool() {
  const { default: Tinypool } = await load('tinypool', IN_BENCH);
  return Tinypool;
}

/** @returns {Promise<typeof import('punctual/redis')>} */
export function loadRedis() {
  return load(new URL('stores/redis/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<typeof import('punctual/nats')>} */
export function loadNats() {
  return load(new URL('stores/nats/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<typeof import('ioredis')>} */
export function loadRedisDriver() {
  return load('ioredis', IN_ROOT);
}

/** @returns {Promise<typeof import('@nats-io/transport-node')>} */
export function loadNatsDriver() {
  return load('@nats-io/transport-node', IN_ROOT);
}

/** @returns {Promise<typeof import('@nats-io/kv')>} */
export function loadNatsKv() {
  return load('@nats-io/kv', IN_ROOT);
}

/** @returns {Promise<typeof import('punctual/amqp')>} */
export function loadAmqp() {
  return load(new URL('executors/amqp/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<typeof import('punctual/nats-executor')>} */
export function loadNatsExecutor() {
  return load(new URL('executors/nats/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<typeof import('punctual/bullmq')>} */
export function loadBullMqExecutor() {
  return load(new URL('executors/bullmq/index.js', base).href, 'Build it first: npm run build');
}

/** @returns {Promise<any>} The module @nats-io/jetstream, which comes with @nats-io/kv. */
export function loadJetStream() {
  return load('@nats-io/jetstream', IN_ROOT);
}

/** @returns {Promise<{ default: typeof import('amqplib') }>} */
export function loadAmqpDriver() {
  return load('amqplib', IN_ROOT);
}

/** @returns {Promise<any>} The module bullmq, which only the benchmarks use. */
export function loadBullMq() {
  return load('bullmq', 'Install it first: npm install --no-save bullmq@6.7.0, in bench');
}

/** @returns {Promise<typeof import('better-sqlite3')>} */
export async function loadSqliteDriver() {
  const { default: Database } = await load('better-sqlite3', IN_ROOT);
  return Database;
}

/** @typedef {'cron' | 'croner' | 'graphile-worker' | 'node-cron' | 'node-schedule' | 'pg-boss' | 'toad-scheduler'} Peer */

/**
 * @param {Peer} name
 * @returns {Promise<any>}
 */
export function loadPeer(name) {
  return load(name, 'Install the peers first: npm ci, in this folder');
}

/**
 * @param {string} specifier
 * @param {string} hint
 * @returns {Promise<any>}
 */
async function load(specifier, hint) {
  try {
    return await import(specifier);
  } catch (error) {
    throw new Error(`${specifier} cannot be loaded. ${hint}`, { cause: error });
  }
}
