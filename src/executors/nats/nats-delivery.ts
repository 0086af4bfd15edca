import { randomUUID } from 'node:crypto';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { BurialReason, Delivery } from '../remote/delivery.js';
import { headersOf, type RunMessage } from '../remote/wire.js';
import { readAck } from './acks.js';
import type { NatsMessage } from './driver.js';
import type { Link } from './link.js';
import type { WorkerSettings } from './options.js';
import type { Names } from './streams.js';

/** How often a run came back in messages before this one. */
const REDELIVERIES = 'punctual-redeliveries';
/** Ms for which a retry is to wait. It is given back once, with this delay. */
const DELAY = 'punctual-delay';
/** A header is one line. */
const MOST_ERROR_TEXT = 1_000;
const NS = 1_000_000;

/** What deliveries share. */
export interface DeliveryHost {
  readonly link: Link;
  readonly names: Names;
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  /** Resolves when there is a connection, and when none is waited for any more. */
  reachable(): Promise<void>;
  /** It is in nobody's hands any more. */
  over(): void;
}

/** A message of a stream. As long as it is in hand, the server is told that somebody works on it. */
export class NatsDelivery implements Delivery {
  readonly redeliveries: number;
  /** It has yet to wait. */
  readonly delayMs: number;
  readonly #message: NatsMessage;
  readonly #host: DeliveryHost;
  #timer: TimerHandle | undefined;

  constructor(message: NatsMessage, host: DeliveryHost) {
    this.#message = message;
    this.#host = host;
    const delivered = readAck(message.reply)?.delivered ?? 1;
    const delay = this.#number(DELAY);
    this.delayMs = delivered === 1 ? delay : 0;
    this.redeliveries = Math.max(0, delivered - (delay > 0 ? 2 : 1)) + this.#number(REDELIVERIES);
    this.#work();
  }

  get body(): string {
    return Buffer.from(this.#message.data).toString();
  }

  reachable(): Promise<void> {
    return this.#host.reachable();
  }

  reply(to: string, text: string): Promise<void> {
    return this.#host.link.store(to, text, {});
  }

  async done(): Promise<void> {
    await this.#say('+ACK');
  }

  async again(next: RunMessage, delayMs: number): Promise<void> {
    const more: Record<string, string> = delayMs > 0 ? { [DELAY]: String(delayMs) } : {};
    await this.#host.link.store(this.#message.subject, JSON.stringify(next), { ...headersOf(next), ...more, 'Nats-Msg-Id': next.id });
    await this.#say('+ACK');
  }

  /**
   * As a new message: one that is only refused would look as if its worker had died. If that fails, the server is told of it no
   * more, and hands it out again when its time is up.
   */
  async giveBack(): Promise<void> {
    const headers = { ...this.#headers(), [REDELIVERIES]: String(this.redeliveries), 'Nats-Msg-Id': randomUUID() };
    try {
      await this.#host.link.store(this.#message.subject, this.body, headers);
      await this.#say('+ACK');
    } finally {
      this.#end();
    }
  }

  async bury(reason: BurialReason, error: unknown): Promise<void> {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const { link, names, clock } = this.#host;
    const headers = { 'punctual-dead-reason': reason, 'punctual-dead-error': text.replace(/[^\x20-\x7e]+/g, ' ').trim().slice(0, MOST_ERROR_TEXT), 'punctual-dead-at': new Date(clock.now()).toISOString() };
    await link.store(names.deadLetter, this.body, { ...this.#headers(), ...headers });
    await this.#say('+ACK');
  }

  /** Has it come again after its delay. */
  later(): void {
    this.#end();
    const { reply } = this.#message;
    if (reply !== undefined) this.#host.link.publish(reply, `-NAK ${JSON.stringify({ delay: this.delayMs * NS })}`);
  }

  #work(): void {
    const { clock, link, settings } = this.#host;
    this.#timer = clock.setTimer(
      settings.ackWaitMs / 3,
      () => {
        if (this.#message.reply !== undefined) link.publish(this.#message.reply, '+WPI');
        this.#work();
      },
      false,
    );
  }

  async #say(what: string): Promise<void> {
    const { reply } = this.#message;
    try {
      // It answers when it has heard.
      if (reply !== undefined) await this.#host.link.request(reply, what);
    } finally {
      this.#end();
    }
  }

  #end(): void {
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#host.over();
  }

  #headers(): Record<string, string> {
    const { headers } = this.#message;
    return Object.fromEntries((headers?.keys() ?? []).filter((name) => !name.startsWith('Nats-') && name !== DELAY).map((name) => [name, headers!.get(name)]));
  }

  #number(header: string): number {
    const value = Number(this.#message.headers?.get(header) ?? '');
    return Number.isFinite(value) && value > 0 ? value : 0;
  }
}
