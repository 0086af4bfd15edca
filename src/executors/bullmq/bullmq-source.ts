import type { Clock } from '../../ports/clock.js';
import type { Source, SourceEvents } from '../remote/broker-worker.js';
import type { RunDesk } from '../remote/run-desk.js';
import { BullMQDelivery } from './bullmq-delivery.js';
import type { BullWorker } from './driver.js';
import { CANCEL_EVENT } from './names.js';
import type { WorkerSettings } from './options.js';
import { Parts } from './parts.js';

/** The desk counts by itself, and says what is too often. */
const NO_LIMIT = 1_000_000;
/** Between attempts to fetch a job, or to say what became of one. */
const RETRY_MS = 1_000;

/** A queue of BullMQ, and the events by which executors tell of runs that are to stop. */
export class BullMQSource implements Source {
  readonly broker = 'Redis (BullMQ)';
  readonly #settings: WorkerSettings;
  #parts: Parts | undefined;
  #worker: BullWorker | undefined;
  #isPaused = false;
  /** Of which BullMQ has not heard yet what became of them. */
  readonly #open = new Set<BullMQDelivery>();

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
  }

  get isReady(): boolean {
    return this.#parts?.isReady === true;
  }

  open(desk: RunDesk, clock: Clock, events: SourceEvents): void {
    const { queue: name, prefix, limits, lockMs } = this.#settings;
    const parts = new Parts(this.#settings, clock, {
      make: (driver, connection) => {
        const options = { connection, prefix };
        const process = async (job: ConstructorParameters<typeof BullMQDelivery>[0], token?: string): Promise<void> => {
          const delivery = new BullMQDelivery(job, token, driver, clock);
          this.#open.add(delivery);
          desk.receive(delivery);
          try {
            await delivery.over;
          } finally {
            this.#open.delete(delivery);
          }
        };
        const worker = new driver.Worker(name, process, { ...options, concurrency: limits.concurrency, autorun: false, lockDuration: lockMs, stalledInterval: lockMs, runRetryDelay: RETRY_MS, maxStalledCount: NO_LIMIT });
        this.#worker = worker;
        const control = new driver.QueueEvents(name, options);
        control.on(CANCEL_EVENT, ({ text }: { readonly text: string }) => { desk.cancel(text); });
        return [worker, control];
      },
      made: async () => {
        if (this.#isPaused) return;
        this.#worker?.run().catch((error: unknown) => { limits.logger.error('the worker of BullMQ has ended', { error }); });
      },
      ready: () => { events.ready(); },
      away: (error) => { events.away(error); },
    });
    this.#parts = parts;
    parts.open();
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    // It says so to itself; what it has fetched still comes.
    await this.#worker?.pause(true);
  }

  async close(): Promise<void> {
    // BullMQ would wait for them without an end.
    for (const delivery of this.#open) delivery.forget();
    await this.#parts?.close();
  }
}
