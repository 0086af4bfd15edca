import { BrokerError } from '../../errors/executor-errors.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { Source, SourceEvents } from '../remote/broker-worker.js';
import type { RunDesk } from '../remote/run-desk.js';
import type { NatsMessage, NatsSubscription } from './driver.js';
import { Link } from './link.js';
import { NatsDelivery } from './nats-delivery.js';
import type { WorkerSettings } from './options.js';
import { declareConsumer, declareDead, declareReplies, declareRuns, Names } from './streams.js';

const NS = 1_000_000;
/** How long a request for messages stands; then it is made anew. */
const PULL_MS = 30_000;

/** A request for messages that stands with the server. */
interface Pull {
  left: number;
  readonly timer: TimerHandle;
}

/** The stream of runs: as many messages are asked for as there is room. */
export class NatsSource implements Source {
  readonly broker = 'NATS';
  readonly #settings: WorkerSettings;
  readonly #names: Names;
  #link: Link | undefined;
  #desk: RunDesk | undefined;
  #clock: Clock | undefined;
  readonly #pulls = new Map<string, Pull>();
  #inbox = '';
  #count = 0;
  #inHand = 0;
  #messages: NatsSubscription | undefined;
  #control: NatsSubscription | undefined;
  #isPaused = false;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    this.#names = new Names(settings);
  }

  get isReady(): boolean {
    return this.#link?.isUp === true;
  }

  open(desk: RunDesk, clock: Clock, events: SourceEvents): void {
    this.#desk = desk;
    this.#clock = clock;
    const link: Link = new Link(this.#settings, clock, {
      setUp: () => this.#setUp(link),
      ready: () => {
        events.ready();
        this.#pull();
      },
      away: (error) => {
        this.#forgetPulls();
        events.away(error);
      },
    });
    this.#link = link;
    link.open();
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    const messages = this.#messages;
    // What is under way still comes.
    if (messages !== undefined) await this.#link?.last(() => messages.drain());
    this.#forgetPulls();
  }

  async close(): Promise<void> {
    this.#control?.unsubscribe();
    await this.#link?.close();
  }

  async #setUp(link: Link): Promise<void> {
    const names = this.#names;
    await declareRuns(link, names, this.#settings);
    await declareReplies(link, names, this.#settings);
    await declareDead(link, names, this.#settings);
    await declareConsumer(link, names, this.#settings);
    this.#control?.unsubscribe();
    this.#control = link.subscribe(names.control, ({ data }) => { this.#desk?.cancel(Buffer.from(data).toString()); });
    this.#forgetPulls();
    this.#messages?.unsubscribe();
    this.#messages = undefined;
    if (this.#isPaused) return;
    this.#inbox = link.inbox();
    this.#messages = link.subscribe(`${this.#inbox}.*`, (message) => { this.#heard(link, message); });
  }

  /** Asks for as many messages as there is room for. */
  #pull(): void {
    const link = this.#link;
    if (link?.isUp !== true || this.#isPaused) return;
    let asked = 0;
    for (const { left } of this.#pulls.values()) asked += left;
    const batch = this.#settings.limits.concurrency - this.#inHand - asked;
    if (batch <= 0) return;
    const reply = `${this.#inbox}.${(this.#count += 1)}`;
    // The server says when it is over; if that is lost, so is the request.
    const timer = this.#clock!.setTimer(2 * PULL_MS, () => { this.#pullEnded(reply); }, false);
    this.#pulls.set(reply, { left: batch, timer });
    link.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#names.runs}.${this.#names.consumer}`, JSON.stringify({ batch, expires: PULL_MS * NS }), reply);
  }

  #heard(link: Link, message: NatsMessage): void {
    const { code = 0, description = '' } = message.headers ?? {};
    if (code >= 400) {
      this.#pullEnded(message.subject);
      // The consumer or its stream was deleted.
      if (code === 409 && /deleted/i.test(description)) link.renew(new BrokerError('missing', `The consumer of the stream ${JSON.stringify(this.#names.runs)} is gone: ${description}.`));
      else if (code === 503) link.renew(new BrokerError('missing', `The stream ${JSON.stringify(this.#names.runs)} does not answer: it is gone, or has no leader.`));
      return;
    }
    if (code > 0) return;
    this.#inHand += 1;
    // It has the subject of its run, and does not say which request it answers: mostly the oldest. A request that is
    // answered is told of no more, so that it has to be counted here.
    const [oldest] = this.#pulls;
    if (oldest !== undefined && (oldest[1].left -= 1) === 0) this.#pullEnded(oldest[0]);
    const delivery = new NatsDelivery(message, {
      link,
      names: this.#names,
      settings: this.#settings,
      clock: this.#clock!,
      over: () => {
        this.#inHand -= 1;
        this.#pull();
      },
    });
    if (delivery.delayMs > 0) delivery.later();
    else this.#desk?.receive(delivery);
  }

  #pullEnded(reply: string): void {
    const pull = this.#pulls.get(reply);
    if (pull === undefined) return;
    pull.timer.cancel();
    this.#pulls.delete(reply);
    this.#pull();
  }

  #forgetPulls(): void {
    for (const { timer } of this.#pulls.values()) timer.cancel();
    this.#pulls.clear();
  }
}
