import type { Connect, RedisConnection, Reply } from './driver.js';

/** What is needed of a client of the package redis (node-redis), version 5 or 6. */
export interface NodeRedisClient {
  duplicate(...args: never[]): unknown;
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand(...args: never[]): Promise<unknown>;
  subscribe(...args: never[]): Promise<unknown>;
  on(...args: never[]): unknown;
}

/** What is needed of a cluster of it. */
export interface NodeRedisCluster extends NodeRedisClient {
  nodeClient(...args: never[]): unknown;
}

/** The same, as it is called here. */
interface NodeRedis {
  connect(): Promise<unknown>;
  destroy(): void;
  unref?(): void;
  readonly options?: { readonly socket?: object } | undefined;
  sendCommand(...args: unknown[]): Promise<Reply>;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  ping(): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
}

/** Each connection is a duplicate of the client, which itself is left alone. */
export function overNodeRedis(client: NodeRedisClient | NodeRedisCluster, isCluster: boolean): Connect {
  const make = client.duplicate.bind(client) as unknown as (overrides: object) => NodeRedis;
  const { options } = client as unknown as NodeRedis;
  return async (onLost, connectTimeout) => {
    // Nothing is queued or connected again.
    const own = { disableOfflineQueue: true, commandsQueueMaxLength: undefined, socket: { ...options?.socket, connectTimeout, reconnectStrategy: false, socketTimeout: undefined } };
    const plain = { commandOptions: undefined };
    // A command that is sent to the wrong node has not been carried out, and is sent to the right one.
    const made = isCluster ? make({ ...plain, defaults: { ...(options as { defaults?: object } | undefined)?.defaults, ...own } }) : make({ ...plain, ...own });
    let last: Error | undefined;
    let isConnected = false;
    let isLost = false;
    const lost = (error: Error): void => {
      if (!isConnected || isLost) return;
      isLost = true;
      onLost(error);
    };
    // Without a strategy to connect again, an error is the end.
    made.on('error', (error: Error) => {
      last = error;
      if (!isCluster) lost(error);
    });
    for (const event of ['end', 'terminated', 'disconnect']) made.on(event, () => { lost(last ?? new Error('Socket closed unexpectedly')); });
    try {
      await made.connect();
    } catch (error) {
      destroy(made);
      throw error;
    }
    isConnected = true;
    // Whether the process goes on is for the scheduler to say.
    made.unref?.();
    return connectionOver(made, isCluster);
  };
}

function connectionOver(client: NodeRedis, isCluster: boolean): RedisConnection {
  return {
    send: async (key, command) => (isCluster ? client.sendCommand(key === '' ? undefined : key, false, command) : client.sendCommand(command)),
    subscribe: async (channel, onMessage) => { await client.subscribe(channel, onMessage); },
    ping: async () => (isCluster ? undefined : client.ping()),
    destroy: () => { destroy(client); },
  };
}

function destroy(client: NodeRedis): void {
  try {
    client.destroy();
  } catch {
    // It was closed already.
  }
}
