import { errorFromLoading } from './errors.js';

/** What is needed of the headers of a message. */
export interface NatsHeaders {
  /** Status of an answer that has no content; 0 for an ordinary message. */
  readonly code: number;
  readonly description: string;
  get(name: string): string;
  has(name: string): boolean;
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
}

/** What is needed of a connection of `@nats-io/transport-node` or `@nats-io/nats-core`, version 3. */
export interface NatsConnectionLike {
  readonly info?: { readonly version: string; readonly max_payload: number; readonly jetstream?: boolean } | undefined;
  publish(subject: string, data?: string | Uint8Array, options?: { reply?: string; headers?: unknown }): void;
  subscribe(subject: string, options: { callback: (error: Error | null, message: NatsMessage) => void }): NatsSubscription;
  status(): AsyncIterable<{ readonly type: string; readonly error?: Error }>;
  isClosed(): boolean;
}

export type OwnConnection = NatsConnectionLike & { close(): Promise<void> };

export interface Driver {
  connect(config: object): Promise<OwnConnection>;
  headers(): NatsHeaders;
  createInbox(prefix?: string): string;
}

export async function loadDriver(): Promise<Driver> {
  try {
    return await import('@nats-io/transport-node');
  } catch (error) {
    throw errorFromLoading(error);
  }
}
