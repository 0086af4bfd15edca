import { SystemClock } from '../../clocks/system-clock.js';
import { BrokerError } from '../../errors/executor-errors.js';
import { refuseUnknownKeys } from '../../errors/options.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import { toMs, type DurationInput } from '../../time/duration.js';
import type { WorkerLimits } from './options.js';
import { RunDesk } from './run-desk.js';

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

/** Executes runs that schedulers hand to a broker. It connects as soon as it is made, and again whenever the connection breaks. */
export class BrokerWorker {
  readonly #limits: WorkerLimits;
  readonly #source: Source;
  readonly #clock = new SystemClock();
  readonly #desk: RunDesk;
  #isAway = false;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #closing: Promise<void> | undefined;
  #timeUp: TimerHandle | undefined;

  /** @internal */
  constructor(source: Source, limits: WorkerLimits) {
    this.#source = source;
    this.#limits = limits;
    this.#desk = new RunDesk(limits, this.#clock);
    source.open(this.#desk, this.#clock, {
      ready: () => { this.#isBack(); },
      away: (error) => { this.#goneAway(error); },
    });
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
   * Resolves when it takes runs.
   *
   * @throws BrokerError when the next attempt to connect fails (further ones follow all the same), and when it is closed.
   */
  async ready(): Promise<void> {
    if (this.#closing !== undefined) throw this.#closed();
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
    if (timeout !== undefined) this.#limitTo(toMs(timeout, 'timeout'));
    this.#closing ??= this.#close();
    await this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #limitTo(ms: number): void {
    this.#timeUp?.cancel();
    this.#timeUp = this.#clock.setTimer(ms, () => { this.#desk.abortAll(); }, false);
  }

  async #close(): Promise<void> {
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closed());
    // What comes until the broker has heard goes back.
    this.#desk.close();
    await this.#source.pause();
    await this.#desk.drained();
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
