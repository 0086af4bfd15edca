import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { NatsMessage, NatsSubscription } from './driver.js';
import { NatsStoreError } from './errors.js';
import type { Link } from './link.js';
import { findStream, type StreamInfo } from './streams.js';

const HEARTBEAT_MS = 2_000;
/** Silence after which the consumer is thought to be gone. */
const SILENCE_MS = 3 * HEARTBEAT_MS;
/** How long a message is waited for before it is looked whether it is still there. */
const GAP_MS = 200;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;
/** Tombstones are in the stream for longer than this, so that who was away for less has missed no delete. */
const MOST_AWAY_MS = 30_000;

export interface FeedListener {
  /** A message of the stream. */
  heard(message: NatsMessage, sequence: number): void;
  /** All there is will follow. `isOther`: of a stream that was made anew or restored, in which numbers mean something else. */
  reading(isOther: boolean): void;
  /** All there was up to a sequence has been heard. */
  read(upTo: number): void;
}

interface ConsumerInfo {
  readonly name: string;
  readonly num_pending: number;
  readonly delivered?: { readonly consumer_seq: number };
}

/**
 * Reads a stream from its beginning and goes on with what is added, in order and without a gap, over any number of broken
 * connections: an ordered consumer. Each message says its number; where one is missing, where the heartbeat stops, and
 * where the connection was away, another consumer begins after the last message that was heard. Who was away for long
 * reads everything anew, since what was deleted in between leaves no trace.
 */
export class Feed {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stream: string;
  readonly #listener: FeedListener;
  #subscription: NatsSubscription | undefined;
  #consumer: string | undefined;
  /** Number of the last message of this consumer, and in the stream. */
  #delivered = 0;
  #applied = 0;
  #created = '';
  /** Last heard of, on the monotonic clock. */
  #liveAt = 0;
  #isLive = false;
  /** While everything is read: how far. */
  #snapshot: { readonly upTo: number } | undefined;
  #round = 0;
  #retryMs = FIRST_RETRY_MS;
  #timer: TimerHandle | undefined;
  #stopBack: () => void = () => undefined;
  #isClosed = false;
  #hasWarned = false;
  #silence: TimerHandle | undefined;
  readonly #waiting = new Set<{ readonly upTo: number; readonly resolve: () => void }>();

  constructor(link: Link, { clock, logger }: { clock: Clock; logger: Logger }, stream: string, listener: FeedListener) {
    this.#link = link;
    this.#clock = clock;
    this.#logger = logger;
    this.#stream = stream;
    this.#listener = listener;
  }

  /** Whether it hears of everything that is written. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** Resolves when all there was has been heard. */
  async start(timeoutMs: number): Promise<void> {
    this.#stopBack = this.#link.onBack(() => { void this.#restart(); });
    await this.#begin(true);
    this.#watchSilence();
    await this.#until(this.#snapshot?.upTo ?? 0, timeoutMs, () => this.#snapshot === undefined);
  }

  /** Resolves when everything that has been written by now has been heard. @throws NatsStoreError when that takes too long. */
  async catchUp(timeoutMs: number): Promise<void> {
    const info = await this.#info();
    const upTo = info.state.last_seq;
    const isDone = (): boolean => this.#created === info.created && this.#applied >= upTo && this.#snapshot === undefined;
    if (isDone()) return;
    if (info.created !== this.#created) void this.#restart(true);
    const stop = this.#lookForGaps(upTo);
    try {
      await this.#until(upTo, timeoutMs, isDone);
    } finally {
      stop();
    }
  }

  /** The last message of the stream may have been taken out by hand: it will never be heard, and need not be waited for. */
  #lookForGaps(upTo: number): () => void {
    let timer: TimerHandle | undefined;
    let isOver = false;
    const look = async (): Promise<void> => {
      const consumer = this.#consumer;
      try {
        if (consumer !== undefined && this.#snapshot === undefined) {
          const { num_pending: pending, delivered } = await this.#link.api<ConsumerInfo>(`CONSUMER.INFO.${this.#stream}.${consumer}`);
          const isAll = pending === 0 && delivered?.consumer_seq === this.#delivered && consumer === this.#consumer;
          if (isAll && this.#snapshot === undefined) this.#applied = Math.max(this.#applied, upTo);
        }
      } catch {
        // The consumer is gone, or the server away: the feed notices by itself.
      }
      this.#settle();
      if (!isOver) wait();
    };
    const wait = (): void => { timer = this.#clock.setTimer(GAP_MS, () => { void look(); }, false); };
    wait();
    return () => {
      isOver = true;
      timer?.cancel();
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#isLive = false;
    this.#round += 1;
    this.#timer?.cancel();
    this.#silence?.cancel();
    this.#stopBack();
    for (const { resolve } of this.#waiting) resolve();
    this.#leave();
  }

  async #info(): Promise<StreamInfo> {
    const info = await findStream(this.#link, this.#stream);
    if (info === undefined) {
      throw new NatsStoreError('foreign-stream', `The stream ${this.#stream} is gone: somebody deleted it. Open the store again to make it anew, or restore it from a backup.`);
    }
    return info;
  }

  async #until(upTo: number, timeoutMs: number, isDone: () => boolean): Promise<void> {
    if (isDone()) return;
    await new Promise<void>((resolve, reject) => {
      const waiting = {
        upTo,
        resolve: () => {
          if (!isDone() && !this.#isClosed) return;
          timer.cancel();
          this.#waiting.delete(waiting);
          resolve();
        },
      };
      const timer = this.#clock.setTimer(
        timeoutMs,
        () => {
          this.#waiting.delete(waiting);
          reject(new NatsStoreError('timeout', 'NATS did not tell in time what was written. Look for load there (nats server report jetstream), or raise `timeout`.'));
        },
        false,
      );
      this.#waiting.add(waiting);
    });
  }

  /** A consumer of its own, from the beginning or from after what was heard last. */
  async #begin(fromStart: boolean): Promise<void> {
    const round = (this.#round += 1);
    this.#leave();
    const { state, created } = await this.#info();
    if (round !== this.#round) return;
    // Made anew, or restored from a backup: its numbers have begun again.
    const isOther = created !== this.#created || state.last_seq < this.#applied;
    const isWhole = fromStart || isOther;
    if (isOther) this.#applied = 0;
    this.#created = created;
    this.#delivered = 0;
    if (isWhole) {
      this.#snapshot = { upTo: state.last_seq };
      this.#listener.reading(isOther);
    }
    const inbox = this.#link.inbox();
    this.#subscription = this.#link.subscribe(
      inbox,
      (message) => {
        if (round === this.#round) this.#take(message);
      },
      () => {
        if (round === this.#round) this.#isLive = false;
      },
    );
    const start = isWhole ? { deliver_policy: 'all' } : { deliver_policy: 'by_start_sequence', opt_start_seq: this.#applied + 1 };
    const consumer = await this.#link.api<ConsumerInfo>(`CONSUMER.CREATE.${this.#stream}`, {
      stream_name: this.#stream,
      config: {
        ...start,
        deliver_subject: inbox,
        ack_policy: 'none',
        max_deliver: 1,
        replay_policy: 'instant',
        headers_only: true,
        flow_control: true,
        idle_heartbeat: HEARTBEAT_MS * 1e6,
        inactive_threshold: 30_000 * 1e6,
        mem_storage: true,
        num_replicas: 1,
      },
    });
    if (round !== this.#round) return;
    this.#consumer = consumer.name;
    this.#isLive = true;
    this.#liveAt = this.#clock.monotonic();
    this.#retryMs = FIRST_RETRY_MS;
    this.#hasWarned = false;
    if (isWhole && state.last_seq === 0) this.#finishSnapshot();
    // Nothing that is still there was missed.
    if (this.#delivered === 0 && consumer.num_pending === 0) {
      this.#applied = Math.max(this.#applied, state.last_seq);
      this.#finishSnapshot();
    }
    this.#settle();
  }

  async #restart(fromStart = this.#snapshot !== undefined || this.#clock.monotonic() - this.#liveAt > MOST_AWAY_MS): Promise<void> {
    if (this.#isClosed) return;
    this.#timer?.cancel();
    this.#isLive = false;
    try {
      await this.#begin(fromStart);
    } catch (error) {
      if (this.#isClosed) return;
      const retryInMs = this.#retryMs;
      this.#retryMs = Math.min(retryInMs * 2, LONGEST_RETRY_MS);
      if (!this.#hasWarned) this.#logger.warn('NATS does not tell of changes for now: those of other processes are found later', { stream: this.#stream, error, retryInMs });
      this.#hasWarned = true;
      this.#timer = this.#clock.setTimer(retryInMs, () => { void this.#restart(fromStart); }, false);
    }
  }

  #watchSilence(): void {
    this.#silence = this.#clock.setTimer(
      SILENCE_MS,
      () => {
        if (this.#isClosed) return;
        if (this.#isLive && this.#clock.monotonic() - this.#liveAt >= SILENCE_MS) void this.#restart();
        this.#watchSilence();
      },
      false,
    );
  }

  #take(message: NatsMessage): void {
    this.#liveAt = this.#clock.monotonic();
    const { reply } = message;
    // Headers are read when they are asked for, and of what this node has written nobody needs to.
    const isStored = reply?.startsWith('$JS.ACK.') === true;
    const headers = isStored ? undefined : message.headers;
    if (headers?.code === 100) {
      // Flow control asks for an answer; a heartbeat asks when answers were lost, and tells what was sent last.
      const isBeat = reply === undefined || reply === '';
      const asked = isBeat ? headers.get('Nats-Consumer-Stalled') : reply;
      if (asked !== '') this.#link.tell(asked, '');
      const last = headers.get('Nats-Last-Consumer');
      if (isBeat && last !== '' && Number(last) !== this.#delivered) void this.#restart();
      return;
    }
    if (headers !== undefined && headers.code > 0) {
      void this.#restart();
      return;
    }
    const numbers = readReply(reply ?? '');
    if (numbers === undefined) return;
    if (numbers.delivered !== this.#delivered + 1) {
      void this.#restart();
      return;
    }
    this.#delivered = numbers.delivered;
    this.#listener.heard(message, numbers.sequence);
    this.#applied = numbers.sequence;
    if (this.#snapshot !== undefined && (numbers.pending === 0 || numbers.sequence >= this.#snapshot.upTo)) this.#finishSnapshot();
    this.#settle();
  }

  #finishSnapshot(): void {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return;
    this.#snapshot = undefined;
    this.#listener.read(snapshot.upTo);
  }

  #settle(): void {
    for (const { resolve } of this.#waiting) resolve();
  }

  #leave(): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    // Without, the server drops it by itself after a while.
    if (consumer !== undefined) this.#link.api(`CONSUMER.DELETE.${this.#stream}.${consumer}`).catch(() => undefined);
  }
}

/** What the server says of a message where the acknowledgement would go: `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<times>.<stream seq>.<consumer seq>.<time>.<pending>[.<token>]`. */
export function readReply(reply: string): { sequence: number; delivered: number; pending: number } | undefined {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens.length < 9) return undefined;
  const from = tokens.length === 9 ? 5 : 7;
  return { sequence: Number(tokens[from]), delivered: Number(tokens[from + 1]), pending: Number(tokens[from + 3]) };
}
