import { randomUUID } from 'node:crypto';
import { BrokerError } from '../../errors/executor-errors.js';
import type { ExecutorContext, RunRequest } from '../../ports/executor.js';
import type { Transport, TransportEvents } from '../remote/transport.js';
import { headersOf, type RunMessage } from '../remote/wire.js';
import type { AmqpConfirmChannel, AmqpMessage } from './driver.js';
import { Link } from './link.js';
import { controlExchange, declareControl, declareQueue, MOST_MS } from './names.js';
import type { ExecutorSettings } from './options.js';
import { Publisher } from './publish.js';

/** How long answers wait for an executor that is not connected. */
const REPLIES_EXPIRE_MS = 10 * 60_000;
const MOST_PRIORITY = 255;

/** The way of an executor to RabbitMQ: publishes runs, and hears answers in a queue of its own. */
export class AmqpTransport implements Transport {
  readonly broker = 'RabbitMQ';
  readonly #settings: ExecutorSettings;
  #link: Link | undefined;
  #publisher: Publisher | undefined;
  #context: ExecutorContext | undefined;
  #replyTo: string | null = null;

  constructor(settings: ExecutorSettings) {
    this.#settings = settings;
  }

  get isReady(): boolean {
    return this.#link?.channel !== undefined && !this.#link.isBlocked;
  }

  get isBlocked(): boolean {
    return this.#link?.isBlocked === true;
  }

  get replyTo(): string | null {
    return this.#replyTo;
  }

  open(context: ExecutorContext, events: TransportEvents): void {
    const { limits, queue } = this.#settings;
    this.#context = context;
    // Where the server says that it takes messages again there may be no channel yet, and the other way round.
    const ready = (): void => { if (this.isReady) events.ready(); };
    this.#replyTo = limits.awaitResult ? `${queue}.replies.${randomUUID()}` : null;
    const link: Link = new Link(this.#settings, context.clock, {
      setUp: (channel) => this.#setUp(channel, link, context, events),
      ready,
      away: (error) => {
        this.#publisher?.abandon();
        this.#publisher = undefined;
        events.away(error);
      },
      blocked: (reason) => { events.away(new BrokerError('blocked', `RabbitMQ takes no messages for now: ${reason}. Check its alarms (rabbitmq-diagnostics alarms).`)); },
      unblocked: ready,
    });
    this.#link = link;
    link.open();
  }

  async publish(message: RunMessage, run: RunRequest): Promise<void> {
    const publisher = this.#publisher;
    if (publisher === undefined || !this.isReady) throw new BrokerError('unreachable', 'There is no connection to RabbitMQ, or it takes no messages.');
    const { exchange, routingKey } = this.#settings;
    const { timeoutMs, priority } = run.policy;
    const properties: Record<string, unknown> = { headers: headersOf(message) };
    if (this.#replyTo !== null) {
      properties['replyTo'] = this.#replyTo;
      // What nobody waits for any more need not be run. The server counts: clocks of others say nothing about it.
      if (timeoutMs !== null && timeoutMs <= MOST_MS) properties['expiration'] = String(timeoutMs);
    }
    if (priority > 0) properties['priority'] = Math.min(priority, MOST_PRIORITY);
    await publisher.publish({ exchange, routingKey: routingKey(run), id: message.id, body: JSON.stringify(message), properties });
  }

  cancel(id: string, text: string): void {
    const exchange = controlExchange(this.#settings.queue);
    // Where nobody listens, nobody has it.
    this.#publisher?.publish({ exchange, routingKey: '', id: `cancel ${id}`, body: text, properties: { mandatory: false, persistent: false } }).catch((error: unknown) => {
      this.#context?.logger.debug('workers could not be told to stop a run; they are told when there is a connection', { id, error });
    });
  }

  async close(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    const replies = this.#replyTo;
    if (replies !== null) await link?.ask((channel) => channel.deleteQueue(replies));
    this.#publisher = undefined;
    await link?.close();
  }

  async #setUp(channel: AmqpConfirmChannel, link: Link, { clock }: ExecutorContext, events: TransportEvents): Promise<void> {
    const { exchange } = this.#settings;
    if (exchange === '') await declareQueue(channel, this.#settings);
    else await channel.checkExchange(exchange);
    const replies = this.#replyTo;
    if (replies !== null) {
      await declareControl(channel, this.#settings);
      await channel.assertQueue(replies, { durable: true, arguments: { 'x-expires': REPLIES_EXPIRE_MS } });
      await channel.consume(replies, (message) => {
        if (message === null) return;
        channel.ack(message);
        events.answered(textOf(message));
      });
    }
    this.#publisher = new Publisher(channel, clock, this.#settings.timeoutMs, link);
  }
}

function textOf({ content }: AmqpMessage): string {
  return content.toString();
}
