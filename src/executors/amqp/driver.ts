import { driverError } from '../remote/driver-error.js';

/** What is needed of a message of amqplib. */
export interface AmqpMessage {
  readonly content: Buffer;
  readonly fields: { readonly redelivered?: boolean; readonly routingKey: string };
  readonly properties: { readonly messageId?: unknown; readonly headers?: Readonly<Record<string, unknown>> | undefined };
}

/** What is needed of a confirm channel of amqplib. */
export interface AmqpConfirmChannel {
  publish(exchange: string, routingKey: string, content: Buffer, options: object, callback: (error: unknown) => void): boolean;
  assertQueue(queue: string, options?: object): Promise<{ readonly queue: string }>;
  checkQueue(queue: string): Promise<unknown>;
  deleteQueue(queue: string): Promise<unknown>;
  assertExchange(exchange: string, type: string, options?: object): Promise<unknown>;
  checkExchange(exchange: string): Promise<unknown>;
  bindQueue(queue: string, exchange: string, pattern: string): Promise<unknown>;
  prefetch(count: number): Promise<unknown>;
  consume(queue: string, listener: (message: AmqpMessage | null) => void, options?: object): Promise<{ readonly consumerTag: string }>;
  cancel(consumerTag: string): Promise<unknown>;
  ack(message: AmqpMessage): void;
  nack(message: AmqpMessage, allUpTo: boolean, requeue: boolean): void;
  close(): Promise<void>;
  on(event: string, listener: (...args: never[]) => void): unknown;
}

/** What is needed of a connection of amqplib, version 1 or 2, be it a plain one or one with `recovery`. */
export interface AmqpConnectionLike {
  createConfirmChannel(): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  removeListener(event: string, listener: (...args: unknown[]) => void): unknown;
}

export type OwnConnection = AmqpConnectionLike & { close(): Promise<void> };

export interface Driver {
  connect(url: string | object, socketOptions: object): Promise<OwnConnection>;
}

export async function loadDriver(): Promise<Driver> {
  try {
    const found = (await import('amqplib')) as unknown as Driver & { readonly default?: Driver };
    // It is CommonJS: of that, `import` may give the whole as `default` only.
    return typeof found.connect === 'function' ? found : (found.default ?? found);
  } catch (error) {
    throw driverError('RabbitMQ', 'amqplib', error);
  }
}
