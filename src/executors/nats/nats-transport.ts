import { randomUUID } from 'node:crypto';
import { BrokerError } from '../../errors/executor-errors.js';
import type { ExecutorContext, RunRequest } from '../../ports/executor.js';
import type { Transport, TransportEvents } from '../remote/transport.js';
import { headersOf, type RunMessage } from '../remote/wire.js';
import { Answers } from './answers.js';
import { Link } from './link.js';
import type { ExecutorSettings } from './options.js';
import { declareReplies, declareRuns, Names } from './streams.js';

/** The way of an executor to NATS: stores runs in a stream, and reads answers from another. */
export class NatsTransport implements Transport {
  readonly broker = 'NATS';
  readonly isBlocked = false;
  readonly #settings: ExecutorSettings;
  readonly #names: Names;
  #link: Link | undefined;
  #answers: Answers | undefined;
  #replyTo: string | null = null;

  constructor(settings: ExecutorSettings) {
    this.#settings = settings;
    this.#names = new Names(settings);
  }

  get isReady(): boolean {
    return this.#link?.isUp === true;
  }

  get replyTo(): string | null {
    return this.#replyTo;
  }

  open({ clock }: ExecutorContext, events: TransportEvents): void {
    const replyTo = this.#settings.limits.awaitResult ? this.#names.reply(randomUUID()) : null;
    this.#replyTo = replyTo;
    const link: Link = new Link(this.#settings, clock, {
      setUp: async () => {
        await declareRuns(link, this.#names, this.#settings);
        if (replyTo === null) return;
        await declareReplies(link, this.#names, this.#settings);
        this.#answers ??= new Answers(link, this.#names, clock, replyTo, (text) => { events.answered(text); });
        await this.#answers.read();
      },
      ready: () => { events.ready(); },
      away: (error) => { events.away(error); },
    });
    this.#link = link;
    link.open();
  }

  async publish(message: RunMessage, { task }: RunRequest): Promise<void> {
    const link = this.#link;
    if (link?.isUp !== true) throw new BrokerError('unreachable', 'There is no connection to NATS.');
    try {
      await link.store(this.#names.run(task), JSON.stringify(message), { ...headersOf(message), 'Nats-Msg-Id': message.id });
    } catch (error) {
      // Somebody deleted the stream: no other run needs to find that out.
      if (error instanceof BrokerError && error.reason === 'missing') link.renew(error);
      throw error;
    }
  }

  cancel(_id: string, text: string): void {
    this.#link?.publish(this.#names.control, text);
  }

  async close(): Promise<void> {
    const link = this.#link;
    const answers = this.#answers;
    this.#link = undefined;
    this.#answers = undefined;
    await link?.last(async () => answers?.forget());
    answers?.stop();
    await link?.close();
  }
}
