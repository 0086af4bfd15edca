import type { Clock, TimerHandle } from '../../ports/clock.js';
import { readAck } from './acks.js';
import type { NatsMessage, NatsSubscription } from './driver.js';
import { translate } from './errors.js';
import type { Link } from './link.js';
import type { Names } from './streams.js';

const NS = 1_000_000;
const HEARTBEAT_MS = 5_000;
/** The server forgets the consumer of an executor that is gone. */
const INACTIVE_MS = 5 * 60_000;

/**
 * Reads the answers to one executor in their order, without a gap: the consumer is made anew, behind the last answer, when a
 * connection broke, when an answer is missing, and when the server has gone silent.
 */
export class Answers {
  readonly #link: Link;
  readonly #names: Names;
  readonly #clock: Clock;
  readonly #subject: string;
  readonly #answered: (text: string) => void;
  #subscription: NatsSubscription | undefined;
  #lastSequence = 0;
  #consumerSequence = 0;
  #generation = 0;
  #watch: TimerHandle | undefined;
  #consumer: string | undefined;
  #isClosed = false;

  constructor(link: Link, names: Names, clock: Clock, subject: string, answered: (text: string) => void) {
    this.#link = link;
    this.#names = names;
    this.#clock = clock;
    this.#subject = subject;
    this.#answered = answered;
  }

  /** @throws BrokerError, ApiError */
  async read(): Promise<void> {
    const generation = (this.#generation += 1);
    this.#subscription?.unsubscribe();
    this.#consumerSequence = 0;
    const inbox = this.#link.inbox();
    this.#subscription = this.#link.subscribe(inbox, (message) => { if (generation === this.#generation) this.#heard(message); });
    const place = this.#lastSequence === 0 ? { deliver_policy: 'all' } : { deliver_policy: 'by_start_sequence', opt_start_seq: this.#lastSequence + 1 };
    const config = {
      deliver_subject: inbox,
      ack_policy: 'none',
      filter_subject: this.#subject,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      idle_heartbeat: HEARTBEAT_MS * NS,
      inactive_threshold: INACTIVE_MS * NS,
      ...place,
    };
    const { name } = await this.#link.api<{ readonly name: string }>(`CONSUMER.CREATE.${this.#names.replies}`, { stream_name: this.#names.replies, config });
    this.#consumer = name;
    this.#expectHeartbeat();
  }

  /** Leaves nothing behind. */
  async forget(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.cancel();
    this.#subscription?.unsubscribe();
    if (this.#consumer !== undefined) await this.#link.api(`CONSUMER.DELETE.${this.#names.replies}.${this.#consumer}`);
    await this.#link.api(`STREAM.PURGE.${this.#names.replies}`, { filter: this.#subject });
  }

  stop(): void {
    this.#isClosed = true;
    this.#watch?.cancel();
    this.#subscription?.unsubscribe();
  }

  #heard({ data, headers, reply }: NatsMessage): void {
    this.#expectHeartbeat();
    const ack = readAck(reply);
    if (ack === undefined) {
      // A heartbeat says how far it is.
      const last = Number(headers?.get('Nats-Last-Consumer') ?? 0);
      if (last > this.#consumerSequence) this.#again();
      return;
    }
    if (ack.consumerSequence !== this.#consumerSequence + 1) {
      this.#again();
      return;
    }
    this.#consumerSequence = ack.consumerSequence;
    this.#lastSequence = ack.streamSequence;
    this.#answered(Buffer.from(data).toString());
  }

  #expectHeartbeat(): void {
    this.#watch?.cancel();
    if (!this.#isClosed) this.#watch = this.#clock.setTimer(3 * HEARTBEAT_MS, () => { this.#again(); }, false);
  }

  #again(): void {
    if (this.#isClosed || !this.#link.isUp) return;
    this.read().catch((error: unknown) => { this.#link.renew(translate(error)); });
  }
}
