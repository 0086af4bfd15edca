/**
 * Runs handed to a queue of BullMQ, and workers that execute them, through the package `bullmq`, which is yours to install.
 *
 * @module
 */
export { BullMQExecutor } from './bullmq-executor.js';
export { createBullMQWorker } from './create-worker.js';
export type { BrokerExecutor } from '../remote/broker-executor.js';
export type { BrokerWorker, CloseWorkerOptions } from '../remote/broker-worker.js';
export type { BrokerExecutorOptions, BrokerWorkerOptions, WorkerRunReport, WorkerTasks } from '../remote/options.js';
export type { BullMQExecutorOptions, BullMQPlace, BullMQWorkerOptions } from './options.js';
