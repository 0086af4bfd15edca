import { isPunctualError } from '../../errors/base.js';
import { BrokerError } from '../../errors/executor-errors.js';
import { JobAbortedError } from '../../errors/job-errors.js';
import { InvalidStateError } from '../../errors/scheduler-errors.js';
import type { TimerHandle } from '../../ports/clock.js';
import type { Executor, ExecutorContext, ExecutorHealth, RunRequest } from '../../ports/executor.js';
import type { LogFields } from '../../ports/logger.js';
import { fromPlain } from '../shared/plain-value.js';
import { Deadlines } from './deadlines.js';
import type { ExecutorLimits } from './options.js';
import { isTransient, type Transport } from './transport.js';
import { Wire, type Answer, type RunMessage } from './wire.js';

/** Less than the time a shutdown gives aborted tasks, so that a run is over before it is handed back. */
const SHUTDOWN_CANCEL_MS = 500;

/** A run that was handed over, or is about to be. */
interface Work {
  readonly run: RunRequest;
  readonly message: RunMessage;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Once it was told to stop: how long an answer is waited for. */
  timer: TimerHandle | undefined;
  isOver: boolean;
  /** Why it was sent again. */
  problem: unknown;
}

/**
 * Hands runs to a broker. While there is no connection, or the broker takes no messages, `free` is 0: what is due stays in the
 * store, where a node with a connection takes it, and nothing fails for a broker's restart.
 */
export abstract class BrokerExecutor implements Executor {
  readonly isRemote = true;
  readonly #transport: Transport;
  readonly #limits: ExecutorLimits;
  readonly #wire: Wire;
  readonly #works = new Map<string, Work>();
  #context: ExecutorContext | undefined;
  /** Of those that nobody has confirmed, answered or called off yet. */
  #unconfirmed: Deadlines<Work> | undefined;
  /** Why it takes no runs, since it was last told that it does. */
  #problem: BrokerError | undefined;
  /** Told when there is a connection. */
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  #back: (() => void)[] = [];
  #drained: (() => void)[] = [];

  /** @internal */
  protected constructor(transport: Transport, limits: ExecutorLimits) {
    this.#transport = transport;
    this.#limits = limits;
    this.#wire = new Wire(limits.serializer);
  }

  get capacity(): number {
    return this.#limits.concurrency;
  }

  get free(): number {
    return this.#transport.isReady ? this.#limits.concurrency - this.#works.size : 0;
  }

  /** Whether runs can be handed over now, and if not, the error it met last, or that it is connecting. */
  health(): ExecutorHealth {
    if (this.#context === undefined || this.#transport.isReady) return { ok: true };
    return { ok: false, error: this.#problem ?? new BrokerError('unreachable', `The executor is still connecting to ${this.#transport.broker}.`) };
  }

  /**
   * Resolves when runs can be handed over: at once, if there is a connection, and the broker takes messages.
   *
   * @throws BrokerError when the next attempt to connect fails (further ones follow all the same); InvalidStateError when the
   * executor is not open: its scheduler opens it when it starts.
   */
  async ready(): Promise<void> {
    if (this.#context === undefined) throw notOpened();
    if (this.#transport.isReady) return;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  open(context: ExecutorContext): void {
    this.#context = context;
    this.#problem = undefined;
    this.#unconfirmed = new Deadlines(context.clock, this.#limits.publishMs, (work) => { this.#settle(work, undefined, this.#lateError(work)); });
    this.#transport.open(context, {
      ready: () => { if (this.#context === context) this.#isBack(); },
      away: (error) => { if (this.#context === context) this.#away(error); },
      answered: (text) => { if (this.#context === context) this.#answered(text); },
    });
  }

  execute(run: RunRequest): Promise<unknown> {
    if (this.#context === undefined) throw notOpened();
    const message = this.#wire.run(run, this.#transport.replyTo);
    return new Promise((resolve, reject) => {
      const work: Work = { run, message, resolve, reject, timer: undefined, isOver: false, problem: undefined };
      this.#works.set(message.id, work);
      if (run.abortReason !== undefined) {
        this.#settle(work, undefined, run.abortReason);
        return;
      }
      this.#unconfirmed?.add(work);
      run.onAbort = () => { this.#abort(work); };
      void this.#handOver(work);
    });
  }

  /** Waits for runs that nobody told to stop, then closes what `open` opened. */
  async close(): Promise<void> {
    for (const work of [...this.#works.values()]) if (work.run.abortReason !== undefined) this.#settle(work, undefined, work.run.abortReason);
    if (this.#works.size > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
    this.#context = undefined;
    const closed = new BrokerError('closed', `The executor of ${this.#transport.broker} was closed.`);
    for (const { reject } of this.#waiting.splice(0)) reject(closed);
    await this.#transport.close();
  }

  // ── handing over ──

  /** Sends it until the broker has it, or it is over. */
  async #handOver(work: Work): Promise<void> {
    while (!work.isOver) {
      try {
        await this.#transport.publish(work.message, work.run);
        break;
      } catch (error) {
        if (!isTransient(error)) {
          this.#settle(work, undefined, error);
          return;
        }
        work.problem = error;
        if (!this.#transport.isReady) await new Promise<void>((resolve) => this.#back.push(resolve));
      }
    }
    if (work.isOver) return;
    if (!this.#limits.awaitResult) this.#settle(work, undefined);
    else this.#unconfirmed?.delete(work);
  }

  #lateError({ problem }: Work): BrokerError {
    const { broker, isBlocked } = this.#transport;
    const cause = problem === undefined ? undefined : { cause: problem };
    const after = `within ${this.#limits.publishMs} ms (\`publishTimeout\`)`;
    if (isBlocked) return new BrokerError('blocked', `${broker} takes no messages for now, and did not take that of the run ${after}. It is short of memory or disk: check its alarms.`, cause);
    return new BrokerError('unconfirmed', `${broker} did not confirm the message of the run ${after}. It may have it all the same.`, cause);
  }

  #abort(work: Work): void {
    const reason = work.run.abortReason;
    if (!this.#limits.awaitResult) {
      this.#settle(work, undefined, reason);
      return;
    }
    const isShutdown = isPunctualError(reason, 'JOB_ABORTED') && reason.reason === 'shutdown';
    const { cancelMs } = this.#limits;
    const graceMs = isShutdown ? Math.min(cancelMs, SHUTDOWN_CANCEL_MS) : cancelMs;
    this.#cancel(work.message.id, reason);
    this.#unconfirmed?.delete(work);
    work.timer = this.#required.clock.setTimer(graceMs, () => {
      const message = `No worker answered within ${graceMs} ms after the run was told to stop. If one has it, it was told as well, or will be when it tells that it begins.`;
      this.#settle(work, undefined, new BrokerError('no-answer', message, { cause: reason }));
    });
  }

  #cancel(id: string, reason: unknown): void {
    this.#transport.cancel(id, this.#wire.cancellation({ id, reason }));
  }

  /** The run is over for this executor. */
  #settle(work: Work, value: unknown, ...failure: [unknown?]): void {
    if (work.isOver) return;
    work.isOver = true;
    work.timer?.cancel();
    this.#unconfirmed?.delete(work);
    work.run.onAbort = null;
    this.#works.delete(work.message.id);
    if (failure.length > 0) work.reject(failure[0]);
    else work.resolve(value);
    if (this.#works.size === 0) for (const resolve of this.#drained.splice(0)) resolve();
  }

  // ── what the transport tells ──

  #isBack(): void {
    const { logger, roomMade } = this.#required;
    if (this.#problem !== undefined) logger.info(`${this.#transport.broker} takes runs again`);
    this.#problem = undefined;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
    for (const resolve of this.#back.splice(0)) resolve();
    // Those that were told to stop while nobody could be told.
    for (const { message, run } of this.#works.values()) if (run.abortReason !== undefined) this.#cancel(message.id, run.abortReason);
    roomMade();
  }

  #away(error: BrokerError): void {
    const { logger } = this.#required;
    if (this.#problem !== undefined) logger.debug(`${this.#transport.broker} takes no runs yet`, { error });
    else logger.error(`${this.#transport.broker} takes no runs: what is due waits, or other nodes take it`, { error });
    this.#problem = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #answered(text: string): void {
    let answer: Answer;
    try {
      answer = this.#wire.readAnswer(text);
    } catch (error) {
      this.#unreadable(text, error);
      return;
    }
    const work = this.#works.get(answer.id);
    if (work === undefined) {
      // Told to stop before a worker had it: nobody waits for it any more.
      if (answer.type === 'started') this.#cancel(answer.id, new JobAbortedError('unawaited'));
      return;
    }
    // Whatever became of the confirm: somebody has it.
    this.#unconfirmed?.delete(work);
    switch (answer.type) {
      case 'started':
        if (work.run.abortReason !== undefined) this.#cancel(answer.id, work.run.abortReason);
        return;
      case 'log': {
        const fields = answer.fields === undefined ? undefined : (fromPlain(answer.fields) as LogFields);
        work.run.context.logger[answer.level](answer.message, fields);
        return;
      }
      case 'done':
        this.#settle(work, answer.value);
        return;
      case 'failed':
        this.#settle(work, undefined, fromPlain(answer.error));
    }
  }

  /** An answer that ends a run must not be lost, even if nobody knows what it says. */
  #unreadable(text: string, error: unknown): void {
    const { logger } = this.#required;
    let id: unknown;
    try {
      ({ id } = JSON.parse(text) as { readonly id?: unknown });
    } catch {
      // It is of nobody.
    }
    logger.error('an answer of a worker cannot be read', { id, error });
    const work = typeof id === 'string' ? this.#works.get(id) : undefined;
    if (work !== undefined) this.#settle(work, undefined, error);
  }

  get #required(): ExecutorContext {
    if (this.#context !== undefined) return this.#context;
    throw notOpened();
  }
}

function notOpened(): InvalidStateError {
  return new InvalidStateError('This executor was not opened: give it to a scheduler, as one of its `executors`, and start that.');
}
