import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { NatsConnectionLike, NatsMessage, NatsSubscription } from './driver.js';

/** A question. One of its callbacks is called, once, and must not throw. */
export interface Call {
  readonly subject: string;
  readonly payload: string;
  readonly headers: unknown;
  /** Not to be sent later than this, on the monotonic clock. */
  readonly before: number | undefined;
  readonly answered: (message: NatsMessage) => void;
  readonly failed: (error: Error) => void;
}

interface Pending {
  readonly call: Call;
  /** On the monotonic clock. */
  readonly dueAt: number;
}

/**
 * Questions and their answers on one subscription. The driver's own `request` sets a timer and makes an error, stack and
 * all, for each call that succeeds, which costs more than the rest of it. Here all calls share one timer: they are due in
 * the order in which they were made.
 */
export class Calls {
  readonly #connection: NatsConnectionLike;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #calls = new Map<string, Pending>();
  readonly #subscription: NatsSubscription;
  #count = 0;
  #timer: TimerHandle | undefined;

  constructor(connection: NatsConnectionLike, inbox: string, clock: Clock, timeoutMs: number) {
    this.#connection = connection;
    this.#prefix = `${inbox}.`;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#subscription = connection.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#answer(message);
        else this.fail(error);
      },
    });
  }

  /** @throws Error of the driver, and calls nothing back then. */
  send(call: Call): void {
    const { subject, payload, headers } = call;
    const token = String((this.#count += 1));
    const reply = this.#prefix + token;
    // Out of Node's pool: the driver would make an array of its own for each text.
    this.#connection.publish(subject, Buffer.from(payload), headers === undefined ? { reply } : { reply, headers });
    this.#calls.set(token, { call, dueAt: this.#clock.monotonic() + this.#timeoutMs });
    this.#timer ??= this.#clock.setTimer(this.#timeoutMs, () => { this.#expire(); });
  }

  /** All calls under way fail. */
  fail(error: Error): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const { call } of calls) call.failed(error);
  }

  /** The server says that something was not allowed. */
  refused(error: Error | undefined): void {
    const { operation, subject } = (error ?? {}) as { operation?: unknown; subject?: unknown };
    if (error === undefined || operation !== 'publish') return;
    for (const [token, { call }] of this.#calls) {
      if (call.subject !== subject) continue;
      this.#calls.delete(token);
      call.failed(error);
    }
  }

  close(error: Error): void {
    this.#subscription.unsubscribe();
    this.fail(error);
  }

  #answer(message: NatsMessage): void {
    const token = message.subject.slice(this.#prefix.length);
    const pending = this.#calls.get(token);
    if (pending === undefined) return;
    const { call } = pending;
    this.#calls.delete(token);
    if (message.headers?.code === 503 && message.data.length === 0) call.failed(named('NoRespondersError', `no responders: '${call.subject}'`));
    else call.answered(message);
    if (this.#calls.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (const [token, { call, dueAt }] of this.#calls) {
      if (dueAt > now) {
        this.#timer = this.#clock.setTimer(dueAt - now, () => { this.#expire(); });
        return;
      }
      this.#calls.delete(token);
      call.failed(named('TimeoutError', 'timeout'));
    }
  }
}

/** As the driver calls it. */
function named(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}
