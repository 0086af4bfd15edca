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
/** The server has no place for a request, or is about to stop: for how long it is not asked again. */
const REFUSED_MS = 1_000;
/** The status of a request whose time is over. */
const EXPIRED = 408;

/** A request for messages that stands with the server. Its answers have the subjects of their runs: only its own subscription tells them apart. */
interface Pull {
  left: number;
  timer: TimerHandle;
  readonly messages: NatsSubscription;
}

/** The stream of runs: as many messages are asked for as there is room. */
export class NatsSource implements Source {
  readonly broker = 'NATS';
  readonly #settings: WorkerSettings;
  readonly #names: Names;
  #link: Link | undefined;
  #desk: RunDesk | undefined;
  #clock: Clock | undefined;
  readonly #pulls = new Set<Pull>();
  #inHand = 0;
  #control: NatsSubscription | undefined;
  #isPaused = false;
  #backAgain: (() => void)[] = [];

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
        this.#isBack();
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
    this.#isBack();
    // What is under way still comes.
    await this.#link?.last(() => Promise.all([...this.#pulls].map(({ messages }) => messages.drain())));
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
  }

  /** Asks for as many messages as there is room for; not for each alone, as long as enough can come: a server has few places for requests. */
  #pull(): void {
    const link = this.#link;
    if (link?.isUp !== true || this.#isPaused) return;
    let asked = 0;
    for (const { left } of this.#pulls) asked += left;
    const room = this.#settings.limits.concurrency - this.#inHand;
    const batch = room - asked;
    if (batch <= 0 || asked > room / 2) return;
    const reply = link.inbox();
    let messages: NatsSubscription;
    try {
      messages = link.subscribe(reply, (message) => { this.#heard(link, pull, message); });
    } catch {
      // The connection has just been closed, which its status tells.
      return;
    }
    // The server says when it is over; if that is lost, so is the request.
    const timer = this.#clock!.setTimer(2 * PULL_MS, () => { this.#pullEnded(pull); }, false);
    const pull: Pull = { left: batch, timer, messages };
    this.#pulls.add(pull);
    link.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#names.runs}.${this.#names.consumer}`, JSON.stringify({ batch, expires: PULL_MS * NS }), reply);
  }

  #heard(link: Link, pull: Pull, message: NatsMessage): void {
    const { code = 0, description = '' } = message.headers ?? {};
    if (code >= 400) {
      if (code === EXPIRED) this.#pullEnded(pull);
      else this.#refused(pull);
      // The consumer or its stream was deleted.
      if (code === 409 && /deleted/i.test(description)) link.renew(new BrokerError('missing', `The consumer of the stream ${JSON.stringify(this.#names.runs)} is gone: ${description}.`));
      else if (code === 503) link.renew(new BrokerError('missing', `The stream ${JSON.stringify(this.#names.runs)} does not answer: it is gone, or has no leader.`));
      return;
    }
    if (code > 0) return;
    this.#inHand += 1;
    // A request that is answered is told of no more, so that it has to be counted here.
    pull.left -= 1;
    if (pull.left <= 0) this.#pullEnded(pull);
    const delivery = new NatsDelivery(message, {
      link,
      names: this.#names,
      settings: this.#settings,
      clock: this.#clock!,
      reachable: () => this.#reachable(),
      over: () => {
        this.#inHand -= 1;
        this.#pull();
      },
    });
    if (delivery.delayMs > 0) delivery.later();
    else this.#desk?.receive(delivery);
  }

  /** Resolves when there is a connection, and when none is waited for any more. */
  async #reachable(): Promise<void> {
    if (!this.isReady && !this.#isPaused) await new Promise<void>((resolve) => this.#backAgain.push(resolve));
  }

  #isBack(): void {
    for (const resolve of this.#backAgain.splice(0)) resolve();
  }

  #pullEnded(pull: Pull): void {
    if (!this.#pulls.delete(pull)) return;
    pull.timer.cancel();
    pull.messages.unsubscribe();
    this.#pull();
  }

  /** It counts as standing for a moment: asking anew at once would be refused at once. */
  #refused(pull: Pull): void {
    if (!this.#pulls.has(pull)) return;
    pull.timer.cancel();
    pull.timer = this.#clock!.setTimer(REFUSED_MS, () => { this.#pullEnded(pull); }, false);
  }

  #forgetPulls(): void {
    for (const { timer, messages } of this.#pulls) {
      timer.cancel();
      messages.unsubscribe();
    }
    this.#pulls.clear();
  }
}
