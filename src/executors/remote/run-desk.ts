import { BrokerError, WorkerCrashedError } from '../../errors/executor-errors.js';
import { JobAbortedError, JobTimeoutError, UnknownTaskError } from '../../errors/job-errors.js';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { LogFields } from '../../ports/logger.js';
import type { LogLevel } from '../shared/run-facts.js';
import { runStorage } from '../shared/run-storage.js';
import { WorkerRun } from '../shared/worker-run.js';
import type { BurialReason, Delivery } from './delivery.js';
import type { WorkerLimits, WorkerRunReport } from './options.js';
import { Recent } from './recent.js';
import { Wire, type Answer, type ReceivedRun, type RunMessage } from './wire.js';

/** Outcomes that are kept, for messages that come again. */
const MOST_OUTCOMES = 5_000;
/** Runs that are known to be unwanted before they have come. */
const MOST_CANCELLED = 5_000;
const RETRY_SETTLING_MS = 1_000;

/** What is to be said of a message. */
type Outcome =
  | { readonly kind: 'answer'; readonly to: string; readonly text: string }
  | { readonly kind: 'done' }
  | { readonly kind: 'again'; readonly next: RunMessage; readonly delayMs: number }
  | { readonly kind: 'bury'; readonly reason: BurialReason; readonly error: unknown }
  | { readonly kind: 'giveBack' };

/** How a task ended. A value is text at once, so that nothing changes it any more; none where nobody waits for it. */
type End = { readonly value: string | null } | { readonly error: unknown };

interface Work {
  readonly received: ReceivedRun;
  readonly run: WorkerRun;
  /** All that are the same message: one that comes again while its run goes on is not run twice. */
  readonly deliveries: Delivery[];
  readonly startedMonotonic: number;
  /** Its timeout, then the time it has to stop. */
  timer: TimerHandle | undefined;
  isOver: boolean;
}

interface Waiting {
  readonly received: ReceivedRun;
  readonly delivery: Delivery;
}

/** Executes the runs that a broker hands out, each once, and says what became of them. */
export class RunDesk {
  readonly #limits: WorkerLimits;
  readonly #clock: Clock;
  readonly #wire: Wire;
  readonly #works = new Map<string, Work>();
  readonly #outcomes = new Recent<Outcome>(MOST_OUTCOMES);
  readonly #cancelled = new Recent<{ readonly reason: unknown }>(MOST_CANCELLED);
  /** What has come over a new connection, while runs of the one before go on. */
  #waiting: Waiting[] = [];
  #isClosing = false;
  #settling = 0;
  #idle: (() => void)[] = [];

  constructor(limits: WorkerLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#wire = new Wire(limits.serializer);
  }

  /** Runs that go on. */
  get running(): number {
    return this.#works.size;
  }

  /** A message has come. */
  receive(delivery: Delivery): void {
    let received: ReceivedRun;
    try {
      received = this.#wire.readRun(delivery.body);
    } catch (error) {
      this.#limits.logger.error('a message that is no run, or cannot be read, is laid aside', { error });
      void this.#settle([delivery], { kind: 'bury', reason: 'unreadable', error });
      return;
    }
    const work = this.#works.get(received.id);
    if (work !== undefined) {
      work.deliveries.push(delivery);
      return;
    }
    this.#take(received, delivery);
  }

  #take(received: ReceivedRun, delivery: Delivery): void {
    const outcome = this.#outcomes.get(received.id) ?? this.#refusal(received, delivery);
    if (outcome !== undefined) void this.#settle([delivery], outcome);
    else if (this.#works.size >= this.#limits.concurrency) this.#waiting.push({ received, delivery });
    else if (delivery.redeliveries === 0 || delivery.recount === undefined) this.#begin(received, delivery);
    else void this.#counted(delivery);
  }

  /** An executor has told all workers to stop a run. */
  cancel(text: string): void {
    try {
      const { id, reason } = this.#wire.readCancellation(text);
      const work = this.#works.get(id);
      if (work === undefined) this.#cancelled.set(id, { reason });
      else this.#abort(work, reason);
    } catch (error) {
      this.#limits.logger.error('what an executor told its workers cannot be read', { error });
    }
  }

  /** Takes on nothing more: what comes goes back. */
  close(): void {
    this.#isClosing = true;
    for (const { received, delivery } of this.#waiting.splice(0)) this.#take(received, delivery);
  }

  /** Resolves when what runs has ended, and everything is settled. */
  async drained(): Promise<void> {
    if (this.#works.size + this.#settling > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Tells what still runs to stop; it goes back to the broker. */
  abortAll(): void {
    for (const work of [...this.#works.values()]) this.#abort(work, new JobAbortedError('shutdown'));
  }

  // ── a run ──

  /** Why it is not run. */
  #refusal({ id, facts, policy, replyTo }: ReceivedRun, { redeliveries }: Delivery): Outcome | undefined {
    if (this.#isClosing) return { kind: 'giveBack' };
    const cancelled = this.#cancelled.get(id);
    if (cancelled !== undefined) return this.#failed(id, replyTo, cancelled.reason, 'failed');
    const most = policy.onCrash === 'drop' ? 0 : (this.#limits.maxRedeliveries ?? policy.maxCrashes);
    if (redeliveries > most) {
      const message = `The message of the run came back ${redeliveries} times, because its worker or the connection was gone before anybody said what became of it. It is given up.`;
      return this.#failed(id, replyTo, new WorkerCrashedError('lost', message), 'crashed');
    }
    if (!this.#limits.tasks.has(facts.task)) return this.#failed(id, replyTo, new UnknownTaskError(facts.task, this.#limits.tasks.keys(), 'worker'), 'unknown-task');
    return undefined;
  }

  #failed(id: string, replyTo: string | null, error: unknown, reason: BurialReason): Outcome {
    if (replyTo !== null) return { kind: 'answer', to: replyTo, text: this.#wire.answer({ id, type: 'failed', error: this.#wire.plain(error) }) };
    this.#limits.logger.error('a run that nobody waits for is laid aside', { message: id, reason, error });
    return { kind: 'bury', reason, error };
  }

  async #counted(delivery: Delivery): Promise<void> {
    try {
      await delivery.recount?.();
    } catch (error) {
      this.#limits.logger.debug('a message could not be put back; it comes again by itself', { error });
    }
  }

  #begin(received: ReceivedRun, delivery: Delivery): void {
    const { facts, args, policy, replyTo, id } = received;
    const run = new WorkerRun(facts, (level, message, fields) => { this.#log(work, level, message, fields); });
    const work: Work = { received, run, deliveries: [delivery], startedMonotonic: this.#clock.monotonic(), timer: undefined, isOver: false };
    this.#works.set(id, work);
    if (policy.timeoutMs !== null) {
      const { timeoutMs } = policy;
      work.timer = this.#clock.setTimer(timeoutMs, () => { this.#abort(work, new JobTimeoutError(timeoutMs)); }, false);
    }
    if (replyTo !== null) {
      delivery.reply(replyTo, this.#wire.answer({ id, type: 'started' })).catch((error: unknown) => {
        if (isGone(error)) this.#abort(work, new JobAbortedError('unawaited'));
      });
    }
    const fn = this.#limits.tasks.get(facts.task);
    void Promise.resolve()
      .then(() => runStorage.run(run, () => fn?.(...args)))
      .then(
        (value) => { this.#ended(work, this.#valueOf(work, value)); },
        (error: unknown) => { this.#ended(work, { error }); },
      );
  }

  #valueOf({ received: { id, replyTo } }: Work, value: unknown): End {
    if (replyTo === null) return { value: null };
    try {
      return { value: this.#wire.answer({ id, type: 'done', value }) };
    } catch (error) {
      return { error };
    }
  }

  #abort(work: Work, reason: unknown): void {
    if (work.isOver || work.run.abortReason !== undefined) return;
    work.timer?.cancel();
    const { killMs, logger } = this.#limits;
    work.timer = this.#clock.setTimer(killMs, () => {
      const { jobId, runId, task } = work.run;
      logger.error('a task does not stop although it was told to; its message is settled without it', { jobId, runId, task, reason });
      this.#ended(work, { error: reason });
    });
    runStorage.run(work.run, () => { work.run.abort(reason); });
  }

  #ended(work: Work, end: End): void {
    if (work.isOver) return;
    work.isOver = true;
    work.timer?.cancel();
    const { received, run, deliveries } = work;
    this.#works.delete(received.id);
    const reason = run.abortReason;
    // A task that was told that its time is up may end with whatever the signal made of it.
    const failure = reason instanceof JobTimeoutError ? { error: reason } : 'error' in end ? end : undefined;
    const outcome = 'value' in end && failure === undefined ? succeeded(received, end.value) : this.#failure(received, failure?.error, reason);
    if (outcome.kind !== 'giveBack') this.#outcomes.set(received.id, outcome);
    this.#report(work, outcome, failure);
    void this.#settle(deliveries, outcome);
    this.#fill();
  }

  /** Takes on what waits. One that is refused, put back or known already leaves its room to the next. */
  #fill(): void {
    while (this.#works.size < this.#limits.concurrency) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.receive(next.delivery);
    }
  }

  #failure(received: ReceivedRun, error: unknown, reason: unknown): Outcome {
    const { id, facts, policy, replyTo } = received;
    const isCutShort = reason instanceof JobAbortedError && reason.reason === 'shutdown' && this.#isClosing;
    if (isCutShort && policy.onCrash === 'retry') return { kind: 'giveBack' };
    if (replyTo === null && !isCutShort && policy.retry !== null && facts.attempt < policy.retry.maxAttempts) {
      return { kind: 'again', next: received.next(), delayMs: retryDelay(policy.retry, facts.attempt) };
    }
    return this.#failed(id, replyTo, error, 'failed');
  }

  #report(work: Work, { kind }: Outcome, failure: { readonly error: unknown } | undefined): void {
    const { runId, jobId, task, attempt } = work.run;
    const outcome = kind === 'again' ? 'retried' : kind === 'giveBack' ? 'handedBack' : failure === undefined ? 'succeeded' : 'failed';
    const durationMs = this.#clock.monotonic() - work.startedMonotonic;
    const report: WorkerRunReport = { runId, jobId, task, attempt, outcome, durationMs, ...failure };
    if (outcome === 'retried') this.#limits.logger.warn('a run failed, and is tried again', { jobId, runId, attempt, error: failure?.error });
    try {
      this.#limits.onRunEnd?.(report);
    } catch (failure) {
      this.#limits.logger.error('onRunEnd threw', { error: failure });
    }
  }

  #log(work: Work, level: LogLevel, message: string, fields: LogFields | undefined): void {
    const { id, replyTo } = work.received;
    const { jobId, runId, attempt } = work.run;
    if (replyTo === null) {
      this.#limits.logger[level](message, { jobId, runId, attempt, ...fields });
      return;
    }
    const answer: Answer = { id, type: 'log', level, message, ...(fields === undefined ? {} : { fields: this.#wire.plain(fields) }) };
    // A line that is lost must not fail the work it reports on.
    work.deliveries.at(-1)?.reply(replyTo, this.#wire.answer(answer)).catch(() => undefined);
  }

  // ── what is said of messages ──

  async #settle(deliveries: readonly Delivery[], outcome: Outcome): Promise<void> {
    this.#settling += 1;
    const last = deliveries.at(-1);
    if (last !== undefined) await this.#tell(last, outcome);
    for (const other of deliveries.slice(0, -1)) await other.done().catch(() => undefined);
    this.#settling -= 1;
    if (this.#works.size + this.#settling === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #tell(delivery: Delivery, outcome: Outcome): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#say(delivery, outcome);
        return;
      } catch (error) {
        if (delivery.reachable === undefined || this.#isClosing || !isCut(error)) {
          this.#limits.logger.warn('what became of a message could not be told to the broker; it comes again, and is not run again here', { error });
          await this.#settlingPause();
          await delivery.giveBack().catch(() => undefined);
          return;
        }
        if (tries === 1) this.#limits.logger.warn('what became of a message could not be told to the broker; it is told as soon as there is a connection again', { error });
        await Promise.all([delivery.reachable(), this.#settlingPause()]);
      }
    }
  }

  #settlingPause(): Promise<void> {
    return new Promise((resolve) => { this.#clock.setTimer(this.#isClosing ? 0 : RETRY_SETTLING_MS, resolve); });
  }

  async #say(delivery: Delivery, outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case 'answer':
        try {
          await delivery.reply(outcome.to, outcome.text);
        } catch (error) {
          if (!isGone(error)) throw error;
          this.#limits.logger.warn('the executor that waited for a run is gone; the answer has no receiver', { error });
        }
        return delivery.done();
      case 'done':
        return delivery.done();
      case 'again':
        return delivery.again(outcome.next, outcome.delayMs);
      case 'bury':
        return delivery.bury(outcome.reason, outcome.error);
      case 'giveBack':
        return delivery.giveBack();
    }
  }
}

function succeeded({ replyTo }: ReceivedRun, text: string | null): Outcome {
  return replyTo === null || text === null ? { kind: 'done' } : { kind: 'answer', to: replyTo, text };
}

/** As the scheduler reckons it. */
function retryDelay(retry: NonNullable<ReceivedRun['policy']['retry']>, attempt: number): number {
  const raw = retry.backoff === 'exponential' ? retry.delayMs * 2 ** Math.min(attempt - 1, 60) : retry.delayMs;
  return Math.round(Math.min(raw, retry.maxDelayMs) * (1 - retry.jitter * Math.random()));
}

/** Nobody knows whether it was heard. */
function isCut(error: unknown): boolean {
  return error instanceof BrokerError && (error.reason === 'unreachable' || error.reason === 'unconfirmed');
}

function isGone(error: unknown): boolean {
  return error instanceof BrokerError && error.reason === 'unroutable';
}
