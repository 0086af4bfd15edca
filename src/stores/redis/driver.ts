import type { Buffer } from 'node:buffer';
import { errorFromLoading, translate } from './errors.js';
import { overIoredis, type IoredisClient } from './ioredis-driver.js';
import { overNodeRedis, type NodeRedisClient, type NodeRedisCluster } from './node-redis-driver.js';
import type { Place } from './options.js';

/** A client or a cluster of the package ioredis (5 or 6) or redis (node-redis 5 or 6). */
export type RedisClient = IoredisClient | NodeRedisClient | NodeRedisCluster;

/** Of a command. */
export type Argument = string | Buffer;

/** What a server answers: lists of texts, numbers and nothing. */
export type Reply = string | number | null | readonly Reply[];

/**
 * One connection that is made once and never by itself again. What is sent on it is sent once, or not at all: nothing
 * waits in it for a better time.
 */
export interface RedisConnection {
  /** A command with one key, or none (`''`), by which a cluster finds the node. */
  send(key: string, command: readonly Argument[]): Promise<Reply>;
  subscribe(channel: string, onMessage: (message: string) => void): Promise<void>;
  ping(): Promise<unknown>;
  /** At once; what waits for an answer fails. */
  destroy(): void;
}

/** Makes connections. `onLost` is called once when one ends that was made, whoever ended it. */
export type Connect = (onLost: (error: Error) => void, connectTimeoutMs: number) => Promise<RedisConnection>;

/** Which driver a client is of, by what it can do; `undefined` where it is none. */
export function kindOf(client: unknown): 'ioredis' | 'node-redis' | 'node-redis-cluster' | undefined {
  if ((typeof client !== 'object' && typeof client !== 'function') || client === null) return undefined;
  const has = (...methods: string[]): boolean => methods.every((method) => typeof (client as Record<string, unknown>)[method] === 'function');
  if (!has('duplicate', 'connect', 'on')) return undefined;
  if (has('call', 'disconnect', 'subscribe')) return 'ioredis';
  if (!has('sendCommand', 'subscribe', 'destroy')) return undefined;
  return has('nodeClient') ? 'node-redis-cluster' : 'node-redis';
}

/** Connects as the user's client does. */
export function connectLike(client: RedisClient): Connect {
  if (kindOf(client) === 'ioredis') return overIoredis(client as IoredisClient);
  return overNodeRedis(client as NodeRedisClient | NodeRedisCluster, kindOf(client) === 'node-redis-cluster');
}

/** Connects with the driver that is installed: ioredis, or else redis. @throws RedisStoreError */
export async function connectTo(place: Place): Promise<Connect> {
  const errors: unknown[] = [];
  for (const load of [loadIoredis, loadNodeRedis]) {
    let make: ((place: Place) => Connect) | undefined;
    try {
      make = await load();
    } catch (error) {
      errors.push(error);
      continue;
    }
    try {
      return make(place);
    } catch (error) {
      throw translate(error);
    }
  }
  throw errorFromLoading(errors);
}

export async function loadIoredis(): Promise<(place: Place) => Connect> {
  const { Redis } = (await import('ioredis')) as unknown as { Redis: new (...args: unknown[]) => IoredisClient };
  return ({ url, tls, ...place }) => {
    const options = { ...place, ...(tls === undefined || tls === false ? {} : { tls: tls === true ? {} : tls }), lazyConnect: true };
    return overIoredis(url === undefined ? new Redis(options) : new Redis(url, options));
  };
}

export async function loadNodeRedis(): Promise<(place: Place) => Connect> {
  const { createClient } = (await import('redis')) as unknown as { createClient: (options: object) => NodeRedisClient };
  return ({ url, host, port, db, tls, connectionName, username, password }) => {
    const secure = tls === undefined || tls === false ? {} : { tls: true, ...(tls === true ? {} : tls) };
    const given = Object.entries({ url, username, password, database: db, name: connectionName === '' ? undefined : connectionName });
    const socket = Object.fromEntries(Object.entries({ host, port, ...secure }).filter(([, value]) => value !== undefined));
    return overNodeRedis(createClient({ ...Object.fromEntries(given.filter(([, value]) => value !== undefined)), socket }), false);
  };
}
