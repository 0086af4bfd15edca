import { BrokerError } from '../../errors/executor-errors.js';
import type { Clock } from '../../ports/clock.js';
import type { BurialReason, Delivery } from '../remote/delivery.js';
import type { RunMessage } from '../remote/wire.js';
import type { BullJob, Driver } from './driver.js';
import { translate } from './errors.js';
import type { AnswerProgress } from './names.js';

/** A job of BullMQ that is being processed. BullMQ hears what becomes of it by how its processor ends. */
export class BullMQDelivery implements Delivery {
  /** How the processor is to end. */
  readonly over: Promise<void>;
  readonly #job: BullJob;
  readonly #token: string | undefined;
  readonly #driver: Driver;
  readonly #clock: Clock;
  #end: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(job: BullJob, token: string | undefined, driver: Driver, clock: Clock) {
    this.#job = job;
    this.#token = token;
    this.#driver = driver;
    this.#clock = clock;
    this.over = new Promise<void>((resolve, reject) => { this.#end = { resolve, reject }; });
  }

  get body(): unknown {
    return this.#job.data;
  }

  get redeliveries(): number {
    return this.#job.stalledCounter ?? 0;
  }

  async reply(to: string, text: string): Promise<void> {
    const progress: AnswerProgress = { to, text };
    await this.#does(this.#job.updateProgress(progress));
  }

  async done(): Promise<void> {
    this.#end?.resolve();
  }

  async again(next: RunMessage, delayMs: number): Promise<void> {
    await this.#does(this.#job.updateData(next));
    await this.#does(this.#job.moveToDelayed(this.#clock.now() + delayMs, this.#token));
    this.#end?.reject(new this.#driver.DelayedError());
  }

  async giveBack(): Promise<void> {
    try {
      await this.#does(this.#job.moveToWait(this.#token));
    } finally {
      this.forget();
    }
  }

  /** Says nothing of it to Redis: it comes again once its lock has run out. */
  forget(): void {
    this.#end?.reject(new this.#driver.WaitingError());
  }

  /** BullMQ keeps jobs that failed for good, with the reason, until somebody retries or removes them. */
  async bury(reason: BurialReason, error: unknown): Promise<void> {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#end?.reject(new this.#driver.UnrecoverableError(`${reason}: ${text}`));
  }

  async #does(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      const isGone = error instanceof Error && /Missing (key|lock)/i.test(error.message);
      throw isGone ? new BrokerError('missing', `The job is not this worker’s any more: its lock has run out, or it was removed. (${error.message})`, { cause: error }) : translate(error);
    }
  }
}
