import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { NatsConnectionLike, NatsHeaders, NatsMessage, NatsSubscription } from './driver.js';

interface Call {
  readonly subject: string;
  /** On the monotonic clock. */
  readonly dueAt: number;
  readonly resolve: (message: NatsMessage) => void;
  readonly reject: (error: Error) => void;
}

/** Questions and their answers over one connection, with one timer for all: they are due in the order in which they were made. */
export class Calls {
  readonly #connection: NatsConnectionLike;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #calls = new Map<string, Call>();
  readonly #subscription: NatsSubscription;
  readonly #onLate: () => void;
  #count = 0;
  #timer: TimerHandle | undefined;

  /** @param onLate - told when an answer did not come in time. */
  constructor(connection: NatsConnectionLike, inbox: string, clock: Clock, timeoutMs: number, onLate: () => void) {
    this.#connection = connection;
    this.#prefix = `${inbox}.`;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onLate = onLate;
    this.#subscription = connection.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#answer(message);
        else this.fail(error);
      },
    });
  }

  send(subject: string, payload: string, headers?: NatsHeaders): Promise<NatsMessage> {
    return new Promise((resolve, reject) => {
      const token = String((this.#count += 1));
      const reply = this.#prefix + token;
      this.#connection.publish(subject, payload, headers === undefined ? { reply } : { reply, headers });
      this.#calls.set(token, { subject, dueAt: this.#clock.monotonic() + this.#timeoutMs, resolve, reject });
      this.#timer ??= this.#clock.setTimer(this.#timeoutMs, () => { this.#expire(); });
    });
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
    if (message.headers?.code === 503 && message.data.length === 0) call.reject(Object.assign(new Error(`no responders: '${call.subject}'`), { name: 'NoRespondersError' }));
    else call.resolve(message);
    if (this.#calls.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    let isLate = false;
    for (const [token, { dueAt, reject, subject }] of this.#calls) {
      if (dueAt > now) {
        this.#timer = this.#clock.setTimer(dueAt - now, () => { this.#expire(); });
        break;
      }
      isLate = true;
      this.#calls.delete(token);
      reject(Object.assign(new Error(`no answer from '${subject}'`), { name: 'TimeoutError' }));
    }
    if (isLate) this.#onLate();
  }
}
