import { BrokerError } from '../../errors/executor-errors.js';
import type { Clock } from '../../ports/clock.js';
import type { Source, SourceEvents } from '../remote/broker-worker.js';
import type { RunDesk } from '../remote/run-desk.js';
import { AmqpDelivery } from './amqp-delivery.js';
import type { AmqpConfirmChannel } from './driver.js';
import { Link } from './link.js';
import { controlExchange, declareControl, declareQueue } from './names.js';
import type { WorkerSettings } from './options.js';
import { Publisher } from './publish.js';

/** A queue of RabbitMQ, and the exchange on which executors tell of runs that are to stop. */
export class AmqpSource implements Source {
  readonly broker = 'RabbitMQ';
  readonly #settings: WorkerSettings;
  #link: Link | undefined;
  #consumer: { readonly channel: AmqpConfirmChannel; readonly tag: string } | undefined;
  #isPaused = false;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
  }

  get isReady(): boolean {
    return this.#link?.channel !== undefined;
  }

  open(desk: RunDesk, clock: Clock, events: SourceEvents): void {
    const link: Link = new Link(this.#settings, clock, {
      setUp: (channel) => this.#setUp(channel, link, desk, clock),
      ready: () => { events.ready(); },
      away: (error: BrokerError) => {
        this.#consumer = undefined;
        events.away(error);
      },
      blocked: (reason) => { this.#settings.limits.logger.warn('RabbitMQ takes no messages for now; what becomes of runs is told to it later', { reason }); },
      unblocked: () => undefined,
    });
    this.#link = link;
    link.open();
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer !== undefined) await this.#link?.ask(() => consumer.channel.cancel(consumer.tag));
  }

  async close(): Promise<void> {
    await this.#link?.close();
  }

  async #setUp(channel: AmqpConfirmChannel, link: Link, desk: RunDesk, clock: Clock): Promise<void> {
    const { queue, deadLetterQueue, declare, limits } = this.#settings;
    await declareQueue(channel, this.#settings);
    if (deadLetterQueue !== null) await (declare ? channel.assertQueue(deadLetterQueue, { durable: true }) : channel.checkQueue(deadLetterQueue));
    await declareControl(channel, this.#settings);
    const control = await channel.assertQueue('', { exclusive: true, autoDelete: true });
    await channel.bindQueue(control.queue, controlExchange(queue), '');
    await channel.consume(control.queue, (message) => {
      if (message !== null) desk.cancel(message.content.toString());
    }, { noAck: true });
    const publisher = new Publisher(channel, clock, limits.timeoutMs, link);
    if (this.#isPaused) return;
    await channel.prefetch(limits.concurrency);
    const { consumerTag } = await channel.consume(queue, (message) => {
      if (message !== null) desk.receive(new AmqpDelivery(message, channel, publisher, this.#settings, clock));
      // The queue was deleted, or its node is gone: everything anew.
      else if (!this.#isPaused) link.suspect(new BrokerError('missing', `The queue ${JSON.stringify(queue)} was deleted, or its node is gone.`));
    });
    this.#consumer = { channel, tag: consumerTag };
  }
}
