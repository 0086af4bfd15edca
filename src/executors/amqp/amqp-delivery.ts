import type { Clock } from '../../ports/clock.js';
import type { BurialReason, Delivery } from '../remote/delivery.js';
import { headersOf, type RunMessage } from '../remote/wire.js';
import type { AmqpConfirmChannel, AmqpMessage } from './driver.js';
import { delayQueue, MOST_MS } from './names.js';
import type { WorkerSettings } from './options.js';
import type { Publisher } from './publish.js';

/** How often a message came back, where the queue does not count (a quorum queue does). */
const DELIVERIES = 'punctual-redeliveries';
/** More than this in a header could be more than the server takes. */
const MOST_ERROR_TEXT = 1_000;
/** How long a queue for delays outlives its last message. */
const DELAY_EXPIRES_MS = 60_000;
const LONGEST_DELAY_MS = MOST_MS - DELAY_EXPIRES_MS;

let publications = 0;

/** A message of RabbitMQ. What it says goes over the channel it came from: when that is gone, the message comes again. */
export class AmqpDelivery implements Delivery {
  readonly redeliveries: number;
  readonly recount: (() => Promise<void>) | undefined;
  readonly #message: AmqpMessage;
  readonly #channel: AmqpConfirmChannel;
  readonly #publisher: Publisher;
  readonly #settings: WorkerSettings;
  readonly #clock: Clock;

  constructor(message: AmqpMessage, channel: AmqpConfirmChannel, publisher: Publisher, settings: WorkerSettings, clock: Clock) {
    this.#clock = clock;
    this.#message = message;
    this.#channel = channel;
    this.#publisher = publisher;
    this.#settings = settings;
    const { headers = {} } = message.properties;
    const byServer = headers['x-delivery-count'];
    const counted = typeof headers[DELIVERIES] === 'number' ? headers[DELIVERIES] : 0;
    const isUncounted = typeof byServer !== 'number' && message.fields.redelivered === true;
    this.redeliveries = counted + (typeof byServer === 'number' ? byServer : isUncounted ? 1 : 0);
    this.recount = isUncounted ? () => this.#instead() : undefined;
  }

  get body(): string {
    return this.#message.content.toString();
  }

  reply(to: string, text: string): Promise<void> {
    return this.#publish(to, text);
  }

  async done(): Promise<void> {
    this.#channel.ack(this.#message);
  }

  async again(next: RunMessage, delayMs: number): Promise<void> {
    const { queue } = this.#settings;
    const delay = roundUp(delayMs);
    const publication = { exchange: '', id: next.id, body: JSON.stringify(next), properties: { headers: headersOf(next) } };
    if (delay === 0) {
      await this.#publisher.publish({ ...publication, routingKey: queue });
    } else {
      // It lies there for as long as the delay, and then goes where the dead letters of that queue go: back.
      const waiting = delayQueue(queue, delay);
      const target = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue };
      await this.#channel.assertQueue(waiting, { durable: true, arguments: { ...target, 'x-message-ttl': delay, 'x-expires': delay + DELAY_EXPIRES_MS } });
      await this.#publisher.publish({ ...publication, routingKey: waiting });
    }
    this.#channel.ack(this.#message);
  }

  async giveBack(): Promise<void> {
    // Put back as it is: `nack` would make it look as if a worker had died with it.
    await this.#instead();
  }

  async bury(reason: BurialReason, error: unknown): Promise<void> {
    const { deadLetterQueue } = this.#settings;
    if (deadLetterQueue === null) {
      this.#channel.nack(this.#message, false, false);
      return;
    }
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const headers = { 'punctual-dead-reason': reason, 'punctual-dead-error': text.slice(0, MOST_ERROR_TEXT), 'punctual-dead-at': new Date(this.#clock.now()).toISOString() };
    await this.#publish(deadLetterQueue, this.#message.content, headers);
    this.#channel.ack(this.#message);
  }

  /** Puts the same message back, with the number of times it came, then takes this one away. */
  async #instead(): Promise<void> {
    await this.#publish(this.#settings.queue, this.#message.content, { [DELIVERIES]: this.redeliveries });
    this.#channel.ack(this.#message);
  }

  /** @param headers - in addition to those of this message, with whose properties the other one is sent. Not given: it is one of its own. */
  async #publish(queue: string, body: string | Buffer, headers?: Readonly<Record<string, unknown>>): Promise<void> {
    publications += 1;
    const { messageId, ...kept } = headers === undefined ? {} : keptOf(this.#message, headers);
    const id = typeof messageId === 'string' ? messageId : `p${publications}`;
    await this.#publisher.publish({ exchange: '', routingKey: queue, id, body, properties: kept });
  }
}

function keptOf({ properties }: AmqpMessage, more: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { messageId, replyTo, expiration, priority, contentType, correlationId, type, headers } = properties as Readonly<Record<string, unknown>>;
  // The server's own count begins anew.
  const all = { ...(headers as object | undefined), 'x-delivery-count': undefined, ...more };
  const kept = { messageId, replyTo, expiration, priority, contentType, correlationId, type, headers: defined(all) };
  return defined(kept);
}

function defined(values: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** With two digits, so that there are few queues however delays differ; and no longer than the queue of a delay may last. */
function roundUp(delayMs: number): number {
  if (delayMs <= 100) return Math.ceil(delayMs / 10) * 10;
  const unit = 10 ** (Math.floor(Math.log10(delayMs)) - 1);
  return Math.min(Math.ceil(delayMs / unit) * unit, LONGEST_DELAY_MS);
}
