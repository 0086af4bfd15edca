import { BrokerError } from '../../errors/executor-errors.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { AmqpConfirmChannel, AmqpMessage } from './driver.js';
import { translate } from './errors.js';

/** A message that no answer came for yet. */
interface Pending {
  readonly resolve: () => void;
  readonly reject: (error: BrokerError) => void;
  readonly sentMonotonic: number;
  readonly bytes: number;
  /** No queue takes it: the server says so just before it confirms. */
  isReturned: boolean;
}

export interface Publication {
  readonly exchange: string;
  readonly routingKey: string;
  readonly id: string;
  readonly body: string | Buffer;
  readonly properties?: object;
}

/** Who looks after the connection. */
export interface PublisherWatcher {
  readonly isBlocked: boolean;
  suspect(error: BrokerError): void;
}

/** Publishes on one channel, with confirms, and with a word when no queue takes a message. */
export class Publisher {
  readonly #channel: AmqpConfirmChannel;
  readonly #clock: Clock;
  readonly #pending = new Set<Pending>();
  /** For what comes back: those that are sent twice at one time come back twice. */
  readonly #byId = new Map<string, Pending>();
  #failure: BrokerError | undefined;
  readonly #timeoutMs: number;
  readonly #watcher: PublisherWatcher;
  #watch: TimerHandle | undefined;

  constructor(channel: AmqpConfirmChannel, clock: Clock, timeoutMs: number, watcher: PublisherWatcher) {
    this.#channel = channel;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#watcher = watcher;
    channel.on('return', (message: AmqpMessage) => {
      const pending = this.#byId.get(String(message.properties.messageId));
      if (pending !== undefined) pending.isReturned = true;
    });
    channel.on('error', (error: Error) => { this.#failure = translate(error); });
    channel.on('close', () => { this.abandon(); });
  }

  /** Resolves when the server has it. @throws BrokerError */
  publish({ exchange, routingKey, id, body, properties }: Publication): Promise<void> {
    return new Promise((resolve, reject) => {
      const content = typeof body === 'string' ? Buffer.from(body) : body;
      const pending: Pending = { resolve, reject, sentMonotonic: this.#clock.monotonic(), bytes: content.length, isReturned: false };
      this.#pending.add(pending);
      this.#byId.set(id, pending);
      const options = { persistent: true, mandatory: true, messageId: id, contentType: 'application/json', ...properties };
      const confirmed = (error: unknown): void => {
        // Of a channel that closes its own end tells more, in a moment.
        if (error instanceof Error && !error.message.includes('nacked')) return;
        if (!this.#forget(id, pending)) return;
        if (pending.isReturned) reject(new BrokerError('unroutable', `No queue takes the message: from the exchange ${JSON.stringify(exchange)} nothing leads on with the routing key ${JSON.stringify(routingKey)}. Bind a queue, or declare it.`));
        else if (error == null) resolve();
        else reject(new BrokerError('rejected', 'RabbitMQ does not take the message: a queue is full (x-max-length with overflow reject-publish), or cannot keep it.', { cause: error }));
      };
      this.#watchConfirms();
      try {
        this.#channel.publish(exchange, routingKey, content, options, confirmed);
      } catch (error) {
        this.#forget(id, pending);
        if (error instanceof RangeError) reject(new BrokerError('too-large', 'The headers of the message are too large: the ids of job and task are in them.', { cause: error }));
        else reject(error instanceof TypeError ? new BrokerError('rejected', `The message cannot be sent: ${error.message}`, { cause: error }) : lost(error));
      }
    });
  }

  #forget(id: string, pending: Pending): boolean {
    if (this.#byId.get(id) === pending) this.#byId.delete(id);
    return this.#pending.delete(pending);
  }

  /** A server that does not confirm in time is as good as gone, unless it has said that it takes nothing for now. */
  #watchConfirms(): void {
    if (this.#watch !== undefined) return;
    const timeoutMs = this.#timeoutMs;
    const look = (): void => {
      this.#watch = undefined;
      const [oldest] = this.#pending;
      if (oldest === undefined) return;
      const isLate = this.#clock.monotonic() - oldest.sentMonotonic >= timeoutMs;
      if (isLate && !this.#watcher.isBlocked) this.#watcher.suspect(new BrokerError('unconfirmed', `RabbitMQ did not confirm a message within ${timeoutMs} ms (\`timeout\`).`));
      else this.#watchConfirms();
    };
    this.#watch = this.#clock.setTimer(timeoutMs, look, false);
  }

  /** The channel is gone, or given up. */
  abandon(): void {
    this.#watch?.cancel();
    const failure = this.#failure;
    const all = [...this.#pending];
    this.#pending.clear();
    this.#byId.clear();
    // The server names no message. Of those under way it was the largest, and the others go out again.
    const largest = failure?.reason === 'too-large' ? all.reduce((most, one) => (one.bytes > most.bytes ? one : most), all[0]!) : undefined;
    for (const pending of all) {
      const isTheirs = failure !== undefined && failure.reason !== 'unreachable' && failure.reason !== 'too-large';
      pending.reject(isTheirs || pending === largest ? failure! : lost(failure));
    }
  }
}

function lost(cause: unknown): BrokerError {
  return new BrokerError('unreachable', 'The connection to RabbitMQ broke before it confirmed the message. It may have it all the same.', cause === undefined ? undefined : { cause });
}
