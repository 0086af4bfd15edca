import { SystemClock } from '../../clocks/system-clock.js';
import { BrokerError } from '../../errors/executor-errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import type { WorkerLimits } from './options.js';
import { RunDesk } from './run-desk.js';

/** Time for the broker to hear what became of the last runs. */
const SETTLE_MS = 2_000;

/** What a source of messages tells its worker. */
export interface SourceEvents {
  ready(): void;
  away(error: BrokerError): void;
}

/** Where the messages of a worker come from. It connects, and connects again, by itself. */
export interface Source {
  /** For messages: `RabbitMQ`. */
  readonly broker: string;
  readonly isReady: boolean;
  open(desk: RunDesk, clock: Clock, events: SourceEvents): void;
  /** Takes no more messages; what was taken can still be settled. */
  pause(): Promise<void>;
  close(): Promise<void>;
}

export interface CloseWorkerOptions {
  /** How long runs may go on until they are told to stop, and go back to the broker. Default: as long as they take. */
  readonly timeout?: DurationInput | undefined;
}

/** Executes runs that schedulers hand to a broker, from `start()` on. It connects again whenever the connection breaks. */
export class BrokerWorker {
  readonly #limits: WorkerLimits;
  readonly #source: Source;
  readonly #clock = new SystemClock();
  readonly #desk: RunDesk;
  #isStarted = false;
  #isAway = false;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #closing: Promise<void> | undefined;
  /** Nothing runs any more, and the broker knows what became of it, or nobody waits for that. */
  #isDone = false;
  #timeUp: TimerHandle | undefined;
  #enough: () => void = () => undefined;
  readonly #noMore = new Promise<void>((resolve) => { this.#enough = resolve; });

  /** @internal */
  constructor(source: Source, limits: WorkerLimits) {
    this.#source = source;
    this.#limits = limits;
    this.#desk = new RunDesk(limits, this.#clock);
  }

  /** Runs that go on. */
  get running(): number {
    return this.#desk.running;
  }

  /** Whether it takes runs now: connected, and not closed. */
  get isReady(): boolean {
    return this.#closing === undefined && this.#source.isReady;
  }

  /**
   * Connects, and resolves when it takes runs. Called again, it resolves when it takes runs again.
   *
   * @throws BrokerError when the next attempt to connect fails. Further ones follow all the same, until it is closed, so a
   * program may also log that and go on. Also when it was closed.
   */
  async start(): Promise<void> {
    if (this.#closing !== undefined) throw this.#closed();
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#source.open(this.#desk, this.#clock, {
        ready: () => { this.#isBack(); },
        away: (error) => { this.#goneAway(error); },
      });
    }
    if (this.#source.isReady) return;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /**
   * Takes no more runs, lets those that go on come to their end, tells the broker of them, and disconnects. A later call may
   * give less time.
   *
   * @throws InvalidOptionError
   */
  async close(options: CloseWorkerOptions = {}): Promise<void> {
    refuseUnknownKeys(options, '', ['timeout']);
    const { timeout } = options;
    const ms = timeout === undefined ? undefined : toMs(timeout, 'timeout');
    if (ms !== undefined && !this.#isDone) this.#limitTo(ms);
    this.#closing ??= this.#close();
    await this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #limitTo(ms: number): void {
    this.#timeUp?.cancel();
    this.#timeUp = this.#clock.setTimer(ms, () => {
      this.#desk.abortAll();
      this.#timeUp = this.#clock.setTimer(this.#limits.killMs + SETTLE_MS, () => {
        this.#limits.logger.warn(`${this.#source.broker} does not answer; what was not told to it comes again, to another worker`);
        this.#enough();
      });
    });
  }

  async #close(): Promise<void> {
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closed());
    // What comes until the broker has heard goes back.
    this.#desk.close();
    await this.#source.pause();
    await Promise.race([this.#desk.drained(), this.#noMore]);
    this.#isDone = true;
    this.#timeUp?.cancel();
    await this.#source.close();
  }

  #isBack(): void {
    if (this.#isAway) this.#limits.logger.info(`the worker is connected to ${this.#source.broker} again`);
    this.#isAway = false;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #goneAway(error: BrokerError): void {
    if (this.#isAway) this.#limits.logger.debug(`the worker has no connection to ${this.#source.broker} yet`, { error });
    else this.#limits.logger.error(`the worker has no connection to ${this.#source.broker}; it goes on trying`, { error });
    this.#isAway = true;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #closed(): BrokerError {
    return new BrokerError('closed', `The worker of ${this.#source.broker} was closed.`);
  }
}
