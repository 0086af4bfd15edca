import { NotCloneableError } from '../../errors/executor-errors.js';
import type { SerializedValue } from '../../model/ledger.js';
import type { RunCause } from '../../model/links.js';
import type { RunPolicy, RunRequest } from '../../ports/executor.js';
import type { Serializer } from '../../ports/serializer.js';
import { Serializers } from '../../serializers/serializers.js';
import { factsOf, type LogLevel, type RunFacts } from '../shared/run-facts.js';
import { fromPlain, toPlain, type PlainValue } from '../shared/plain-value.js';

const VERSION = 1;

/** A run as it travels: JSON, in which arguments and metadata are what the serializer made of them. Instants are epoch milliseconds. */
export interface RunMessage {
  readonly v: number;
  /** Of the run and its attempt, and the same however often it is sent. */
  readonly id: string;
  readonly runId: string;
  readonly jobId: string;
  readonly jobName: string | null;
  readonly task: string;
  readonly scheduledFor: number;
  readonly startedAt: number;
  readonly attempt: number;
  readonly isCatchUp: boolean;
  readonly isManual: boolean;
  readonly follows: readonly RunCause[];
  readonly nextRunTime: number | null;
  readonly tags: readonly string[];
  readonly metadata: SerializedValue | null;
  readonly args: SerializedValue;
  readonly policy: RunPolicy;
  readonly replyTo: string | null;
}

/** What a worker gets to know of a run. */
export interface ReceivedRun {
  readonly id: string;
  readonly facts: RunFacts;
  readonly args: readonly unknown[];
  readonly policy: RunPolicy;
  /** Where the answer goes; `null`: nobody waits for one. */
  readonly replyTo: string | null;
  /** The message for its next attempt. */
  next(): RunMessage;
}

/** From a worker to the executor that waits. */
export type Answer = { readonly id: string } & (
  | { readonly type: 'started' }
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string; readonly fields?: PlainValue | undefined }
  | { readonly type: 'done'; readonly value?: unknown }
  | { readonly type: 'failed'; readonly error: PlainValue }
);

/** From an executor to all workers: the run is to stop. */
export interface Cancellation {
  readonly id: string;
  readonly reason: unknown;
}

const DEFAULTS = { jobName: null, isCatchUp: false, isManual: false, follows: [], nextRunTime: null, tags: [], metadata: null, replyTo: null };

/** Writes and reads what executors and workers send each other. */
export class Wire {
  readonly #serializers: Serializers;

  constructor(serializer?: Serializer) {
    this.#serializers = new Serializers(serializer);
  }

  /** @throws NotCloneableError */
  run(request: RunRequest, replyTo: string | null): RunMessage {
    const { jobId, jobName, runId, task, scheduledFor, startedAt, attempt, isCatchUp, isManual, follows, nextRunTime, tags, metadata } = factsOf(request);
    const { timeoutMs, retry, onCrash, maxCrashes, priority } = request.policy;
    return {
      v: VERSION,
      id: messageId(runId, attempt),
      runId,
      jobId,
      jobName,
      task,
      scheduledFor: scheduledFor.getTime(),
      startedAt: startedAt.getTime(),
      attempt,
      isCatchUp,
      isManual,
      follows,
      nextRunTime: nextRunTime?.getTime() ?? null,
      tags,
      metadata: Object.keys(metadata).length === 0 ? null : this.#write(metadata, 'metadata'),
      args: this.#writeArgs(request.args),
      policy: { timeoutMs, retry: retry === null ? null : { ...retry, retryIf: null }, onCrash, maxCrashes, priority },
      replyTo,
    };
  }

  /** @param message - as text, or what that says. @throws what is wrong with it. */
  readRun(message: unknown): ReceivedRun {
    const body = (typeof message === 'string' ? JSON.parse(message) : message) as Partial<RunMessage> | null | undefined;
    if (typeof body !== 'object' || body === null) throw new TypeError('it is no object');
    if (body.v !== VERSION) throw new TypeError(`it has version ${String(body.v)}, and this worker reads version ${VERSION}`);
    requireKinds(body, { id: 'string', runId: 'string', jobId: 'string', task: 'string', scheduledFor: 'number', startedAt: 'number', attempt: 'number', args: 'object', policy: 'object' });
    // Left out by who writes such messages by hand.
    const run: RunMessage = { ...DEFAULTS, ...(body as RunMessage) };
    const args = this.#serializers.read(run.args);
    if (!Array.isArray(args)) throw new TypeError('its arguments are no array');
    const metadata = run.metadata === null ? {} : (this.#serializers.read(run.metadata) as Readonly<Record<string, unknown>>);
    const { id, runId, jobId, jobName, task, attempt, isCatchUp, isManual, follows, nextRunTime, tags, policy, replyTo } = run;
    const facts: RunFacts = {
      jobId,
      jobName,
      runId,
      task,
      scheduledFor: new Date(run.scheduledFor),
      startedAt: new Date(run.startedAt),
      attempt,
      isCatchUp,
      isManual,
      follows,
      nextRunTime: nextRunTime === null ? null : new Date(nextRunTime),
      tags,
      metadata,
    };
    return { id, facts, args, policy, replyTo, next: () => ({ ...run, id: messageId(runId, attempt + 1), attempt: attempt + 1 }) };
  }

  /** @throws NotCloneableError when the result cannot be written. */
  answer(answer: Answer): string {
    if (answer.type !== 'done') return JSON.stringify(answer.type === 'started' ? answer : this.#wrap(answer));
    return JSON.stringify({ id: answer.id, type: 'done', content: this.#write(answer.value, 'result') });
  }

  /** @throws what is wrong with it. */
  readAnswer(text: string): Answer {
    const { id, type, content } = JSON.parse(text) as { readonly id: string; readonly type: Answer['type']; readonly content?: SerializedValue };
    if (typeof id !== 'string') throw new TypeError('it has no id');
    const value = content === undefined ? undefined : this.#serializers.read(content);
    return (type === 'done' ? { id, type, value } : { id, type, ...(value as object | undefined) }) as Answer;
  }

  cancellation({ id, reason }: Cancellation): string {
    return JSON.stringify({ id, content: this.#serializers.write(this.plain(reason)) });
  }

  /** @throws what is wrong with it. */
  readCancellation(text: string): Cancellation {
    const { id, content } = JSON.parse(text) as { readonly id: string; readonly content: SerializedValue };
    return { id, reason: fromPlain(this.#serializers.read(content) as PlainValue) };
  }

  /** Takes apart whatever was thrown or logged. Never throws. */
  plain(value: unknown): PlainValue {
    return toPlain(value, (part) => this.#carries(part));
  }

  #wrap({ id, type, ...rest }: Exclude<Answer, { type: 'started' }>): object {
    return { id, type, content: this.#serializers.write(rest) };
  }

  #carries(value: unknown): boolean {
    if (value === null || typeof value === 'string' || typeof value === 'number') return true;
    try {
      this.#serializers.write(value);
      return true;
    } catch {
      return false;
    }
  }

  #writeArgs(args: readonly unknown[]): SerializedValue {
    try {
      return this.#serializers.write(args);
    } catch (error) {
      const index = args.findIndex((arg) => !this.#carries(arg));
      if (index < 0) throw new NotCloneableError('args', detailOf(error));
      return this.#write(args[index], `args[${index}]`);
    }
  }

  #write(value: unknown, what: string): SerializedValue {
    try {
      return this.#serializers.write(value);
    } catch (error) {
      throw new NotCloneableError(what, detailOf(error));
    }
  }
}

function messageId(runId: string, attempt: number): string {
  return headerText(`${runId}:${attempt}`);
}

/** What a message says too, for those who route, watch or debug where messages have headers. */
export function headersOf({ runId, jobId, task, scheduledFor, startedAt, attempt, policy }: RunMessage): Record<string, string> {
  const headers: Record<string, string> = {
    'punctual-run-id': headerText(runId),
    'punctual-job-id': headerText(jobId),
    'punctual-task': headerText(task),
    'punctual-scheduled-for': new Date(scheduledFor).toISOString(),
    'punctual-attempt': String(attempt),
  };
  if (policy.timeoutMs !== null) headers['punctual-deadline'] = new Date(startedAt + policy.timeoutMs).toISOString();
  return headers;
}

/** As it may stand in a header of any broker: what is not printable ASCII is written as in an address. */
function headerText(text: string): string {
  return /^[\x21-\x24\x26-\x7e]*$/.test(text) ? text : encodeURIComponent(text);
}

function requireKinds(body: object, kinds: Readonly<Record<string, string>>): void {
  for (const [key, kind] of Object.entries(kinds)) {
    const value = (body as Readonly<Record<string, unknown>>)[key];
    if (typeof value !== kind || value === null) throw new TypeError(`its \`${key}\` is no ${kind}`);
  }
}

function detailOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `${message}.`;
}
