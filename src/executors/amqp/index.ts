/**
 * Runs handed to RabbitMQ, and workers that execute them, through the package `amqplib`, which is yours to install.
 *
 * @module
 */
export { AmqpExecutor } from './amqp-executor.js';
export { createAmqpWorker } from './create-worker.js';
export type { BrokerExecutor } from '../remote/broker-executor.js';
export type { BrokerWorker, CloseWorkerOptions } from '../remote/broker-worker.js';
export type { BrokerExecutorOptions, BrokerWorkerOptions, WorkerRunReport, WorkerTasks } from '../remote/options.js';
export type { AmqpExecutorOptions, AmqpPlace, AmqpWorkerOptions } from './options.js';
export type { AmqpConnectionLike } from './driver.js';
