import type { Argument, Connect, RedisConnection, Reply } from './driver.js';

/** What is needed of a `Redis` or a `Cluster` of the package ioredis, version 5 or 6. */
export interface IoredisClient {
  readonly options: object;
  duplicate(...args: never[]): unknown;
  connect(): Promise<unknown>;
  disconnect(): void;
  call(command: string, ...args: never[]): unknown;
  subscribe(...channels: never[]): unknown;
  on(...args: never[]): unknown;
}

/** The same, as it is called here. */
interface Ioredis {
  readonly options: { readonly db?: number | undefined };
  connect(): Promise<unknown>;
  disconnect(): void;
  readonly stream?: { unref?: () => unknown } | undefined;
  nodes?(): readonly Ioredis[];
  call(command: Argument, ...args: Argument[]): Promise<Reply>;
  subscribe(channel: string): Promise<unknown>;
  ping(): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
}

/** Nothing is repeated, queued or connected again, and numbers are numbers. */
const ONCE = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  maxRetriesPerRequest: 0,
  retryStrategy: null,
  reconnectOnError: null,
  stringNumbers: false,
  replyMapping: 'legacy',
  enableReadyCheck: true,
};

/** Each connection is a duplicate of the client, which itself is left alone. */
export function overIoredis(client: IoredisClient): Connect {
  const isCluster = 'nodes' in client;
  const make = client.duplicate.bind(client) as unknown as (...args: unknown[]) => Ioredis;
  return async (onLost, connectTimeout) => {
    const own = { ...ONCE, connectTimeout, commandTimeout: undefined, keyPrefix: undefined };
    // The nodes of a cluster are connected by it when it first needs them; what is sent until then fails with the connection.
    const { retryStrategy: _, lazyConnect: __, enableOfflineQueue: ___, ...node } = own;
    const made = isCluster
      ? make([], {
          lazyConnect: true,
          enableOfflineQueue: false,
          keyPrefix: undefined,
          clusterRetryStrategy: () => null,
          // A command that failed with its connection may have been carried out.
          retryDelayOnFailover: 0,
          retryDelayOnClusterDown: 0,
          slotsRefreshTimeout: connectTimeout,
          redisOptions: node,
        })
      : make(own);
    let last: Error | undefined;
    let isLost = false;
    made.on('error', (error: Error) => { last = (error as { lastNodeError?: Error }).lastNodeError ?? error; });
    made.on('end', () => {
      if (isLost) return;
      isLost = true;
      onLost(last ?? new Error('Connection is closed'));
    });
    try {
      await made.connect();
      // It does so itself, and says nothing when there is no such database: everything would be in number 0.
      const { db } = made.options;
      if (!isCluster && db !== undefined && db !== 0) await made.call('SELECT', String(db));
    } catch (error) {
      made.disconnect();
      // What went wrong is in the event; the call itself says only that the connection is closed.
      throw last ?? error;
    }
    last = undefined;
    // Whether the process goes on is for the scheduler to say.
    for (const one of made.nodes?.() ?? [made]) one.stream?.unref?.();
    return connectionOver(made);
  };
}

function connectionOver(client: Ioredis): RedisConnection {
  return {
    send: async (_key, [command = '', ...args]) => client.call(command, ...args),
    subscribe: async (channel, onMessage) => {
      client.on('message', (from: string, message: string) => {
        if (from === channel) onMessage(message);
      });
      await client.subscribe(channel);
    },
    ping: async () => client.ping(),
    destroy: () => { client.disconnect(); },
  };
}
