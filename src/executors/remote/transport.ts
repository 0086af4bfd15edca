import { BrokerError } from '../../errors/executor-errors.js';
import type { ExecutorContext, RunRequest } from '../../ports/executor.js';
import type { RunMessage } from './wire.js';

/** What a transport tells its executor. */
export interface TransportEvents {
  /** It is connected, or takes messages again. */
  ready(): void;
  /** There is no connection (any more), or an attempt at one has failed. It goes on trying. */
  away(error: BrokerError): void;
  /** An answer of a worker, as it came. */
  answered(text: string): void;
}

/** The way to a broker, as an executor needs it. It connects, and connects again, by itself. */
export interface Transport {
  /** For messages: `RabbitMQ`. */
  readonly broker: string;
  /** Whether it takes messages now. */
  readonly isReady: boolean;
  /** The broker takes no messages for now, although there is a connection. */
  readonly isBlocked: boolean;
  /** Where workers send answers; `null` where nobody waits for any. */
  readonly replyTo: string | null;
  open(context: ExecutorContext, events: TransportEvents): void;
  /**
   * Resolves once the broker has the message. Rejects at once where there is no connection.
   *
   * @throws BrokerError; one that {@link isTransient} leaves open whether the broker has it.
   */
  publish(message: RunMessage, run: RunRequest): Promise<void>;
  /** Tells all workers to stop a run, as far as there is a connection. */
  cancel(id: string, text: string): void;
  close(): Promise<void>;
}

/** Whether the same message may be sent again once there is a connection. */
export function isTransient(error: unknown): boolean {
  return error instanceof BrokerError && (error.reason === 'unreachable' || error.reason === 'unconfirmed');
}
