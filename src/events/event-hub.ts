import { EventEmitter } from 'eventemitter3';
import { EventOverflowError } from '../errors/scheduler-errors.js';
import type { Logger } from '../ports/logger.js';
import { isThenable } from '../time/thenable.js';
import type { EventOf, SchedulerEvent, SchedulerEventType } from './events.js';
import { EVENT_ALL, EVENT_MASKS } from './masks.js';

type AnyListener = (event: never) => unknown;

/** Which events a stream delivers, and how many may wait to be read. */
export interface EventStreamOptions<T extends SchedulerEventType = SchedulerEventType> {
  /** Types to deliver; all when left out. */
  readonly types?: readonly T[] | undefined;
  /** Ends the stream when it fires. */
  readonly signal?: AbortSignal | undefined;
  /** Events that may wait to be read; one more ends the stream with an error. Default 10,000. */
  readonly limit?: number | undefined;
}

/**
 * Publishes events. A listener that throws, or rejects, is a bug in the listener: it is logged, the other
 * listeners are called, and the scheduler goes on.
 */
export class EventHub {
  readonly #emitter = new EventEmitter();
  readonly #logger: Logger;
  readonly #streams = new Set<EventStream>();
  readonly #catchAll = new Set<AnyListener>();
  /** What to hand to the emitter for a listener, so that `off` finds it again. */
  readonly #guards = new WeakMap<AnyListener, AnyListener>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Whether anybody would see an event of this type. Building one costs more than asking. */
  has(type: SchedulerEventType): boolean {
    if (this.#emitter.listenerCount(type) > 0) return true;
    if (this.#streams.size === 0) return false;
    for (const stream of this.#streams) if (stream.wants(type)) return true;
    return false;
  }

  /** Whether a listener was added for this type in particular: one that takes everything is no sign that anybody cares. */
  hears(type: SchedulerEventType): boolean {
    return this.#emitter.listenerCount(type) > this.#catchAll.size;
  }

  emit(event: SchedulerEvent): void {
    this.#emitter.emit(event.type, event);
    if (this.#streams.size === 0) return;
    for (const stream of this.#streams) stream.push(event);
  }

  on(type: SchedulerEventType, listener: AnyListener): void {
    this.#emitter.on(type, this.#guard(listener) as (event: SchedulerEvent) => void);
  }

  once(type: SchedulerEventType, listener: AnyListener): void {
    this.#emitter.once(type, this.#guard(listener) as (event: SchedulerEvent) => void);
  }

  off(type: SchedulerEventType, listener: AnyListener): void {
    const guard = this.#guards.get(listener);
    if (guard !== undefined) this.#emitter.off(type, guard as (event: SchedulerEvent) => void);
  }

  /** Adds a listener for every type whose bit is in `mask`. */
  addListener(listener: AnyListener, mask: number): void {
    this.removeListener(listener); // as in APScheduler, adding again replaces
    for (const type of typesOf(mask)) this.on(type, listener);
    if (mask === EVENT_ALL) this.#catchAll.add(listener);
  }

  removeListener(listener: AnyListener): void {
    for (const type of typesOf(EVENT_ALL)) this.off(type, listener);
    this.#catchAll.delete(listener);
  }

  stream<T extends SchedulerEventType>(options: EventStreamOptions<T>): AsyncIterableIterator<EventOf<T>> {
    const stream = new EventStream(options, (ended) => this.#streams.delete(ended));
    if (options.signal?.aborted === true) stream.end();
    else this.#streams.add(stream);
    return stream as unknown as AsyncIterableIterator<EventOf<T>>;
  }

  /** Ends every stream; events that wait are still delivered. */
  endStreams(): void {
    for (const stream of this.#streams) stream.end();
  }

  #guard(listener: AnyListener): AnyListener {
    const known = this.#guards.get(listener);
    if (known !== undefined) return known;
    const guard = (event: SchedulerEvent): void => {
      try {
        const answer: unknown = (listener as (event: SchedulerEvent) => unknown)(event);
        if (isThenable(answer)) {
          answer.then(undefined, (error: unknown) => {
            this.#failed(event, error);
          });
        }
      } catch (error) {
        this.#failed(event, error);
      }
    };
    this.#guards.set(listener, guard);
    return guard;
  }

  #failed(event: SchedulerEvent, error: unknown): void {
    try {
      this.#logger.error(`a listener for "${event.type}" failed`, { error, event });
    } catch {
      // the logger fails as well: there is nobody left to tell
    }
  }
}

function typesOf(mask: number): SchedulerEventType[] {
  return (Object.keys(EVENT_MASKS) as SchedulerEventType[]).filter((type) => (EVENT_MASKS[type] & mask) !== 0);
}

interface Waiter {
  resolve(result: IteratorResult<SchedulerEvent>): void;
  reject(error: unknown): void;
}

class EventStream implements AsyncIterableIterator<SchedulerEvent> {
  readonly #types: ReadonlySet<SchedulerEventType> | null;
  readonly #limit: number;
  readonly #onEnd: (stream: EventStream) => void;
  #queue: SchedulerEvent[] = [];
  #waiters: Waiter[] = [];
  #ended = false;
  #error: EventOverflowError | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => { this.end(); };

  constructor(options: EventStreamOptions, onEnd: (stream: EventStream) => void) {
    this.#types = options.types === undefined ? null : new Set(options.types);
    this.#limit = options.limit ?? 10_000;
    this.#onEnd = onEnd;
    this.#signal = options.signal;
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  wants(type: SchedulerEventType): boolean {
    return !this.#ended && (this.#types === null || this.#types.has(type));
  }

  push(event: SchedulerEvent): void {
    if (!this.wants(event.type)) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: event });
    } else if (this.#queue.length < this.#limit) {
      this.#queue.push(event);
    } else {
      this.#error = new EventOverflowError(this.#limit);
      this.end();
    }
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#onEnd(this);
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<SchedulerEvent>> {
    const event = this.#queue.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<SchedulerEvent>> {
    this.#queue = [];
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
