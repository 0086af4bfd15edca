/**
 * Runs handed to NATS JetStream, and workers that execute them, through the package `@nats-io/transport-node`, which is yours
 * to install.
 *
 * @module
 */
export { NatsExecutor } from './nats-executor.js';
export { createNatsWorker } from './create-worker.js';
export type { BrokerExecutor } from '../remote/broker-executor.js';
export type { BrokerWorker, CloseWorkerOptions } from '../remote/broker-worker.js';
export type { BrokerExecutorOptions, BrokerWorkerOptions, WorkerRunReport, WorkerTasks } from '../remote/options.js';
export type { NatsExecutorOptions, NatsPlace, NatsWorkerOptions } from './options.js';
export type { NatsServerOptions } from '../../nats/server-options.js';
export type { NatsConnectionLike, NatsHeaders, NatsMessage, NatsSubscription } from './driver.js';
