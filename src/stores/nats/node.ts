import type { JobAlarms, JobDemand, JobPage, JobQuery, StoreContext, StoredJob } from '../../ports/job-store.js';
import { parseJson } from '../../serializers/parse-object.js';
import { overInTime } from '../../locks/in-time.js';
import { pause } from '../../locks/pause.js';
import { Claims } from './claims.js';
import type { NatsMessage, NatsSubscription } from './driver.js';
import { NatsStoreError } from './errors.js';
import { Feed } from './feed.js';
import { Housekeeping } from './housekeeping.js';
import { JOB, OPERATION, OutlineReader, readStateHeader, STATE } from './job-form.js';
import { JobIndex, matches, type JobEntry } from './job-index.js';
import { JobTable } from './job-table.js';
import { decodeKey } from './keys.js';
import type { Link } from './link.js';
import { NatsLeases } from './nats-leases.js';
import { NatsLedger } from './nats-ledger.js';
import { NatsMembers } from './nats-members.js';
import type { Settings } from './options.js';
import { Outbox } from './outbox.js';
import { Scan } from './scan.js';
import { ServerClock } from './server-clock.js';
import type { Names } from './streams.js';

/** Jobs looked at before others have a turn. */
const PIECE = 5_000;
/** How often a stream is written to for the first time, and the pause between, in ms. */
const FIRST_WRITES = 20;
const FIRST_WRITE_PAUSE_MS = 50;

/** What there is while a store is open, put together. */
export class Node {
  readonly index: JobIndex;
  readonly jobs: JobTable;
  readonly claims: Claims;
  readonly ledger: NatsLedger;
  readonly leases: NatsLeases;
  readonly members: NatsMembers;
  readonly clock: ServerClock;
  readonly housekeeping: Housekeeping;
  readonly #context: StoreContext;
  readonly #link: Link;
  readonly #names: Names;
  readonly #timeoutMs: number;
  readonly #end: () => Promise<void>;
  readonly #outlines = new OutlineReader();
  readonly #outbox: Outbox;
  readonly #feed: Feed;
  readonly #listeners = new Set<() => void>();
  #subscription: NatsSubscription | undefined;
  /** While everything is read: what has been seen. */
  #seen: Set<string> | undefined;
  #isTelling = false;

  constructor(link: Link, names: Names, context: StoreContext, { timeoutMs, perJob }: Settings, end: () => Promise<void>) {
    const { clock } = context;
    this.#context = context;
    this.#link = link;
    this.#names = names;
    this.#timeoutMs = timeoutMs;
    this.#end = end;
    const index = (this.index = new JobIndex(() => clock.monotonic()));
    const outbox = (this.#outbox = new Outbox(link, context, names, index));
    const scan = (stream: string): Scan => new Scan(link, clock, stream, timeoutMs);
    this.jobs = new JobTable({ link, clock, codec: context.codec, names, index, outbox, outlines: this.#outlines, scan: scan(names.jobs), keepsLedger: perJob > 0 });
    this.claims = new Claims(link, clock, names, index, this.jobs);
    this.clock = new ServerClock(link, clock, names);
    this.leases = new NatsLeases(link, names);
    this.members = new NatsMembers(link, names);
    this.housekeeping = new Housekeeping({ link, clock, names, index, jobs: this.jobs, outbox });
    this.jobs.onDeleted = (id, revision) => { this.housekeeping.deleted(id, revision); };
    this.ledger = new NatsLedger({ link, names, index, outbox, scan: scan(names.ledger), keepsAny: perJob > 0, catchUp: async () => this.#catchUp(), now: () => this.clock.estimate() });
    this.#feed = new Feed(link, context, names.jobs, {
      heard: (message, sequence) => { this.#heard(message, sequence); },
      reading: (isOther) => {
        if (isOther) this.#forget();
        this.#seen = new Set();
      },
      read: (upTo) => { this.#read(upTo); },
    });
  }

  async start(): Promise<void> {
    this.claims.start();
    this.#subscription = this.#link.subscribe(`${this.#names.notices}.cleared`, ({ data }) => {
      const revisions = parseJson(Buffer.from(data).toString());
      if (Array.isArray(revisions)) this.housekeeping.cleared(revisions as number[]);
    });
    try {
      await Promise.all([this.#feed.start(this.#timeoutMs), this.#firstWrite()]);
    } catch (error) {
      this.#stop();
      throw error;
    }
  }

  /** A stream that another node made a moment ago is told of by the server before it listens. */
  async #firstWrite(): Promise<void> {
    for (let left = FIRST_WRITES; ; left -= 1) {
      try {
        await this.clock.measure();
        return;
      } catch (error) {
        if (left === 0 || !(error instanceof NatsStoreError) || error.reason !== 'unreachable') throw error;
      }
      await pause(this.#context.clock, FIRST_WRITE_PAUSE_MS);
    }
  }

  /** @param mostMs - how long what was still to be written is waited for. */
  async close(mostMs: number): Promise<void> {
    this.#listeners.clear();
    await overInTime(this.#context.clock, mostMs, this.#outbox.flush());
    this.#stop();
    await this.#end();
  }

  #stop(): void {
    this.#outbox.close();
    this.leases.close();
    this.claims.close();
    this.#subscription?.unsubscribe();
    this.#feed.close();
  }

  /** Waits a little for a connection that broke. @throws NatsStoreError when it does not come back. */
  connected(): Promise<void> {
    return this.#link.connected();
  }

  /** What matches in the index is fetched, and looked at again: it may have changed. */
  async list(query: JobQuery): Promise<JobPage> {
    if (query.statuses?.length === 0) return { jobs: [], nextCursor: null };
    await this.#catchUp();
    const jobs: StoredJob[] = [];
    let batch: JobEntry[] = [];
    const take = async (): Promise<void> => {
      const found = await this.jobs.fetch(batch);
      for (const stored of found) {
        const entry = stored === undefined ? undefined : this.index.get(stored.record.id);
        if (stored !== undefined && entry !== undefined && matches(entry, query)) jobs.push(stored);
      }
      batch = [];
    };
    for (const entry of this.index.find(query)) {
      batch.push(entry);
      if (jobs.length + batch.length <= query.limit) continue;
      await take();
      if (jobs.length > query.limit) return { jobs: jobs.slice(0, query.limit), nextCursor: jobs[query.limit - 1]?.record.id ?? null };
    }
    await take();
    return { jobs, nextCursor: null };
  }

  async tasks(): Promise<string[]> {
    await this.#catchUp();
    return this.index.tasks();
  }

  /** All is in memory, and looked at a piece at a time. */
  async demands(): Promise<JobDemand[]> {
    await this.#catchUp();
    const demands = new Map<string, JobDemand>();
    let looked = 0;
    for (const { record } of this.index.entries()) {
      if ((looked += 1) % PIECE === 0) await new Promise<void>((resolve) => { this.#context.clock.defer(resolve); });
      const { definition: { task, taskVersion, policy: { executor } }, wakeAt } = record;
      const key = JSON.stringify([task, taskVersion, executor]);
      if (wakeAt !== null && wakeAt < (demands.get(key)?.wakeAt ?? Number.POSITIVE_INFINITY)) demands.set(key, { task, taskVersion, executor, wakeAt });
    }
    return [...demands.values()];
  }

  async alarms(): Promise<JobAlarms> {
    await this.#catchUp();
    return this.index.alarms.alarms();
  }

  watch(onChange: () => void): () => void {
    // Each call is told by itself, also if the function is the same.
    const listener = (): void => { onChange(); };
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }

  async #catchUp(): Promise<void> {
    return this.#feed.catchUp(this.#timeoutMs);
  }

  /** What is known of another stream says nothing of this one. */
  #forget(): void {
    this.index.clear();
    this.jobs.forget();
    this.#outbox.forget();
    this.housekeeping.forget();
  }

  #heard(message: NatsMessage, sequence: number): void {
    const id = decodeKey(message.subject.slice(this.#names.jobSubject.length));
    if (id === undefined) return;
    if (this.index.get(id)?.revision === sequence) {
      // It was written here.
      this.#seen?.add(id);
      this.index.readUpTo(sequence);
      return;
    }
    const { headers } = message;
    let isNews: boolean;
    if (headers?.has(OPERATION) === true) {
      const isBoxed = readStateHeader(headers.get(STATE))?.isBoxed === true;
      isNews = this.index.drop(id, sequence, isBoxed);
      this.housekeeping.heardOf(id, sequence);
      this.#seenBoxed(id, isBoxed);
    } else {
      this.#seen?.add(id);
      const known = this.index.get(id);
      if (known !== undefined && known.revision >= sequence) isNews = false;
      else {
        const outline = this.#outlines.read(headers?.get(JOB), headers?.get(STATE));
        isNews = outline !== undefined && this.index.put(id, sequence, outline);
        // Somebody has written it with another tool: what it says has to be read.
        if (outline === undefined) void this.jobs.get(id).then(() => { this.#changed(); }, () => undefined);
      }
    }
    this.index.readUpTo(sequence);
    if (isNews) this.#changed();
  }

  #seenBoxed(id: string, isBoxed: boolean): void {
    if (isBoxed) this.#seen?.add(id);
  }

  #read(upTo: number): void {
    const seen = this.#seen;
    this.#seen = undefined;
    if (seen !== undefined) this.index.keepOnly((id) => seen.has(id), upTo);
    this.#changed();
  }

  /** However much is heard in one turn, one call tells of it. */
  #changed(): void {
    if (this.#isTelling || this.#listeners.size === 0) return;
    this.#isTelling = true;
    this.#context.clock.defer(() => {
      this.#isTelling = false;
      for (const listener of this.#listeners) listener();
    });
  }
}
