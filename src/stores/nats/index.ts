/**
 * Jobs in a KV bucket of NATS JetStream, through the package `@nats-io/transport-node`, which is yours to install.
 *
 * @module
 */
export { NatsJobStore } from './nats-job-store.js';
export { NatsStoreError } from './errors.js';
export type { NatsProblem } from './errors.js';
export type { NatsJobStoreOptions } from './options.js';
export type { NatsServerOptions } from '../../nats/server-options.js';
export type { NatsConnectionLike, NatsHeaders, NatsMessage, NatsSubscription } from './driver.js';
