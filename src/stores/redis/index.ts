/**
 * Jobs in Redis (6.2 or later) or Valkey, through the package `ioredis` or `redis`, which is yours to install.
 *
 * @module
 */
export { RedisJobStore } from './redis-job-store.js';
export { RedisStoreError } from './errors.js';
export type { RedisProblem } from './errors.js';
export type { RedisJobStoreOptions } from './options.js';
export type { RedisClient } from './driver.js';
export type { IoredisClient } from './ioredis-driver.js';
export type { NodeRedisClient, NodeRedisCluster } from './node-redis-driver.js';
