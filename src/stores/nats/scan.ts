import type { NatsMessage } from './driver.js';
import { NatsStoreError } from './errors.js';
import { readReply } from './feed.js';
import type { Link } from './link.js';
import type { Clock } from '../../ports/clock.js';

/** Messages asked for at a time. */
const BATCH = 256;
/** How long the server keeps what is left of a reader that did not say goodbye. */
const INACTIVE_MS = 30_000;

interface ConsumerInfo {
  readonly name: string;
  readonly num_pending: number;
}

/** Reads a stretch of a stream from one of its sequences on, a batch at a time, until `take` has enough. */
export class Scan {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #stream: string;
  readonly #timeoutMs: number;

  constructor(link: Link, clock: Clock, stream: string, timeoutMs: number) {
    this.#link = link;
    this.#clock = clock;
    this.#stream = stream;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param subject - of this alone; `undefined` for whatever is there.
   * @param take - answers whether it wants more.
   * @param to - what comes after this sequence is not asked for, as far as that can be told.
   * @throws NatsStoreError
   */
  async read(subject: string | undefined, from: number, take: (message: NatsMessage, sequence: number) => boolean, to = Number.POSITIVE_INFINITY): Promise<void> {
    const consumer = await this.#link.api<ConsumerInfo>(`CONSUMER.CREATE.${this.#stream}`, {
      stream_name: this.#stream,
      config: {
        ...(subject === undefined ? {} : { filter_subject: subject }),
        deliver_policy: 'by_start_sequence',
        opt_start_seq: Math.max(1, from),
        ack_policy: 'none',
        max_deliver: 1,
        replay_policy: 'instant',
        inactive_threshold: INACTIVE_MS * 1e6,
        mem_storage: true,
        num_replicas: 1,
      },
    });
    try {
      for (let pending = consumer.num_pending, next = from, wantsMore = true; pending > 0 && next <= to && wantsMore; ) {
        const batch = await this.#next(consumer.name, Math.min(BATCH, pending, to - next + 1));
        if (batch.length === 0) return;
        for (const message of batch) {
          const numbers = readReply(message.reply ?? '');
          if (numbers === undefined) continue;
          ({ pending } = numbers);
          next = numbers.sequence + 1;
          if (wantsMore) wantsMore = take(message, numbers.sequence);
        }
      }
    } finally {
      this.#link.api(`CONSUMER.DELETE.${this.#stream}.${consumer.name}`).catch(() => undefined);
    }
  }

  /** Up to `count` messages; fewer where some are gone in the meantime. */
  async #next(consumer: string, count: number): Promise<NatsMessage[]> {
    const inbox = this.#link.inbox();
    const found: NatsMessage[] = [];
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        timer.cancel();
        stopWaiting();
        subscription.unsubscribe();
        if (error === undefined) resolve(found);
        else reject(error);
      };
      const timer = this.#clock.setTimer(this.#timeoutMs, () => { end(new NatsStoreError('timeout', 'NATS did not send in time what is stored. Look for load there (nats server report jetstream), or raise `timeout`.')); }, false);
      const stopWaiting = this.#link.onBack(() => { end(new NatsStoreError('unreachable', 'The connection to NATS broke while what is stored was read.')); });
      const subscription = this.#link.subscribe(
        inbox,
        (message) => {
          const code = message.headers?.code ?? 0;
          if (code === 404 || code === 408) end();
          else if (code === 0 || message.data.length > 0) {
            found.push(message);
            if (found.length === count) end();
          } else if (code !== 100) end(new NatsStoreError('unreachable', `NATS stopped sending what is stored: ${message.headers?.description ?? ''}. Check the servers (nats server report jetstream).`));
        },
        (error) => { end(error); },
      );
      const expires = Math.max(1, this.#timeoutMs / 2) * 1e6;
      this.#link.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${consumer}`, JSON.stringify({ batch: count, expires: Math.round(expires), no_wait: true }), inbox);
    });
  }
}
