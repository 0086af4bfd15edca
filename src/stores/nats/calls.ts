import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { NatsConnectionLike, NatsMessage, NatsSubscription } from './driver.js';

interface Call {
  readonly subject: string;
  /** On the monotonic clock. */
  readonly dueAt: number;
  readonly resolve: (message: NatsMessage) => void;
  readonly reject: (error: Error) => void;
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
  readonly #calls = new Map<string, Call>();
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

  /** Calls back once. */
  send(subject: string, payload: string, headers: unknown, resolve: Call['resolve'], reject: Call['reject']): void {
    const token = String((this.#count += 1));
    const reply = this.#prefix + token;
    // Out of Node's pool: the driver would make an array of its own for each text.
    this.#connection.publish(subject, Buffer.from(payload), headers === undefined ? { reply } : { reply, headers });
    this.#calls.set(token, { subject, dueAt: this.#clock.monotonic() + this.#timeoutMs, resolve, reject });
    this.#timer ??= this.#clock.setTimer(this.#timeoutMs, () => { this.#expire(); });
  }

  /** All calls under way fail. */
  fail(error: Error): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const { reject } of calls) reject(error);
  }

  /** The server says that something was not allowed. */
  refused(error: Error | undefined): void {
    const { operation, subject } = (error ?? {}) as { operation?: unknown; subject?: unknown };
    if (error === undefined || operation !== 'publish') return;
    for (const [token, call] of this.#calls) {
      if (call.subject !== subject) continue;
      this.#calls.delete(token);
      call.reject(error);
    }
  }

  close(error: Error): void {
    this.#subscription.unsubscribe();
    this.fail(error);
  }

  #answer(message: NatsMessage): void {
    const token = message.subject.slice(this.#prefix.length);
    const call = this.#calls.get(token);
    if (call === undefined) return;
    this.#calls.delete(token);
    if (message.headers?.code === 503 && message.data.length === 0) call.reject(named('NoRespondersError', `no responders: '${call.subject}'`));
    else call.resolve(message);
    if (this.#calls.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (const [token, { dueAt, reject }] of this.#calls) {
      if (dueAt > now) {
        this.#timer = this.#clock.setTimer(dueAt - now, () => { this.#expire(); });
        return;
      }
      this.#calls.delete(token);
      reject(named('TimeoutError', 'timeout'));
    }
  }
}

/** As the driver calls it. */
function named(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}
