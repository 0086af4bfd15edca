import { randomUUID } from 'node:crypto';
import { BrokerError } from '../../errors/executor-errors.js';
import type { ExecutorContext, RunRequest } from '../../ports/executor.js';
import type { Transport, TransportEvents } from '../remote/transport.js';
import type { RunMessage } from '../remote/wire.js';
import type { BullProducer, BullQueue } from './driver.js';
import { CANCEL_EVENT, jobIdOf, type AnswerProgress } from './names.js';
import type { ExecutorSettings } from './options.js';
import { Parts } from './parts.js';

/** For how long (seconds) and of how many jobs that have ended BullMQ knows the id, so that they are not added again. */
const KEPT = { age: 3_600, count: 10_000 } as const;
/** As many events as BullMQ keeps of a queue by itself. */
const EVENTS = 10_000;

/** The way of an executor to a queue of BullMQ: adds jobs, and hears answers among the events of the queue. */
export class BullMQTransport implements Transport {
  readonly broker = 'Redis (BullMQ)';
  readonly isBlocked = false;
  readonly #settings: ExecutorSettings;
  #parts: Parts | undefined;
  #queue: BullQueue | undefined;
  #producer: BullProducer | undefined;
  #replyTo: string | null = null;

  constructor(settings: ExecutorSettings) {
    this.#settings = settings;
  }

  get isReady(): boolean {
    return this.#parts?.isReady === true;
  }

  get replyTo(): string | null {
    return this.#replyTo;
  }

  open({ clock }: ExecutorContext, events: TransportEvents): void {
    const { queue: name, prefix, limits } = this.#settings;
    const replyTo = limits.awaitResult ? randomUUID() : null;
    this.#replyTo = replyTo;
    const parts = new Parts(this.#settings, clock, {
      make: ({ Queue, QueueEvents, QueueEventsProducer }, connection) => {
        const options = { connection, prefix };
        const queue = new Queue(name, options);
        this.#queue = queue;
        if (replyTo === null) return [queue];
        // From the first event there is, so that none is missed: each says for whom it is.
        const answers = new QueueEvents(name, { ...options, lastEventId: '0-0' });
        answers.on('progress', ({ data }: { readonly data: Partial<AnswerProgress> }) => {
          if (typeof data === 'object' && data.to === replyTo && typeof data.text === 'string') events.answered(data.text);
        });
        const producer = new QueueEventsProducer(name, options);
        this.#producer = producer;
        return [queue, answers, producer];
      },
      made: async () => undefined,
      ready: () => { events.ready(); },
      away: (error) => { events.away(error); },
    });
    this.#parts = parts;
    parts.open();
  }

  publish(message: RunMessage, { task }: RunRequest): Promise<void> {
    const queue = this.#queue;
    const parts = this.#parts;
    if (queue === undefined || parts?.isReady !== true) return Promise.reject(new BrokerError('unreachable', 'There is no connection to Redis.'));
    // It is added once, however often it is sent: BullMQ leaves a job alone whose id it knows.
    return parts.inTime(queue.add(task, message, { jobId: jobIdOf(message.id), attempts: 1, removeOnComplete: KEPT }));
  }

  cancel(_id: string, text: string): void {
    // Where it fails there is no connection, and it is told once there is one.
    if (this.isReady) this.#producer?.publishEvent({ eventName: CANCEL_EVENT, text }, EVENTS).catch(() => undefined);
  }

  async close(): Promise<void> {
    const parts = this.#parts;
    this.#parts = undefined;
    this.#queue = undefined;
    this.#producer = undefined;
    await parts?.close();
  }
}
