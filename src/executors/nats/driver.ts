import { driverError } from '../remote/driver-error.js';

/** What is needed of the headers of a message. */
export interface NatsHeaders {
  /** Status of a message without content; 0 for an ordinary one. */
  readonly code: number;
  readonly description: string;
  get(name: string): string;
  keys(): string[];
  set(name: string, value: string): void;
}

export interface NatsMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string | undefined;
  readonly headers?: NatsHeaders | undefined;
}

export interface NatsSubscription {
  unsubscribe(): void;
  drain(): Promise<void>;
}

/** What is needed of a connection of `@nats-io/transport-node` or `@nats-io/nats-core`, version 3. */
export interface NatsConnectionLike {
  publish(subject: string, data?: string, options?: { reply?: string; headers?: unknown }): void;
  subscribe(subject: string, options: { callback: (error: Error | null, message: NatsMessage) => void }): NatsSubscription;
  status(): AsyncIterable<{ readonly type: string; readonly error?: Error }>;
  isClosed(): boolean;
  flush(): Promise<void>;
}

export type OwnConnection = NatsConnectionLike & { close(): Promise<void>; reconnect(): Promise<void> };

export interface Driver {
  connect(config: object): Promise<OwnConnection>;
  headers(): NatsHeaders;
  createInbox(prefix?: string): string;
}

export async function loadDriver(): Promise<Driver> {
  try {
    return await import('@nats-io/transport-node');
  } catch (error) {
    throw driverError('NATS', '@nats-io/transport-node', error);
  }
}
