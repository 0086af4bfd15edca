import type { JobRecord } from '../../model/job.js';
import type { LedgerEntry } from '../../model/ledger.js';
import type { Clock } from '../../ports/clock.js';
import type { StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { parseObject } from '../../serializers/parse-object.js';
import type { JobIndex } from './job-index.js';
import { Batch } from './batch.js';
import type { NatsMessage } from './driver.js';
import { aboutText, JOB, OPERATION, readStateHeader, STATE, stateOutline, type OutlineReader } from './job-form.js';
import { encodeKey, isKey } from './keys.js';
import type { Link } from './link.js';
import type { Line } from './outbox.js';
import { RecordCache, type KnownRecord } from './record-cache.js';
import { isImmutable, isRecord, type RecordTexts } from './record-texts.js';
import type { Scan } from './scan.js';
import { headerOf, readMessage, type Names, type StoredMessage } from './streams.js';

const CACHED_RECORDS = 10_000;
/** From how many records on a stretch of the stream is read in place of each by itself. */
const LEAST_TOGETHER = 16;
/** Numbers between two records wanted that are read over, and all numbers of a stretch for each that is wanted, at most. */
const WIDEST_GAP = 16;
const MOST_PER_RECORD = 4;
/** Stretches read for one answer. */
const MOST_STRETCHES = 4;
/** How long records are asked for one by one after a stretch could not be read: the next one may be waited for in vain as long. */
const APART_MS = 30_000;

const decoder = new TextDecoder();

/** A record, as the index knows it. */
export interface Wanted {
  readonly id: string;
  readonly revision: number;
}

/** What a record has on its way to the ledger, and the greatest fire time that ever was. */
export interface Box {
  readonly lines: readonly Line[];
  readonly high: EpochMs | null;
}

/** Reads records: from memory where this node has read or written them last, from the leader of the stream otherwise. */
export class RecordReader {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #names: Names;
  readonly #index: JobIndex;
  readonly #texts: RecordTexts;
  readonly #outlines: OutlineReader;
  readonly #scan: Scan;
  #cache = new RecordCache(CACHED_RECORDS);
  /** Monotonic. */
  #apartUntil = Number.NEGATIVE_INFINITY;

  constructor(parts: { link: Link; clock: Clock; names: Names; index: JobIndex; texts: RecordTexts; outlines: OutlineReader; scan: Scan }) {
    this.#link = parts.link;
    this.#clock = parts.clock;
    this.#names = parts.names;
    this.#index = parts.index;
    this.#texts = parts.texts;
    this.#outlines = parts.outlines;
    this.#scan = parts.scan;
  }

  async get(id: string): Promise<StoredJob | undefined> {
    if (!isKey(id)) return undefined;
    const message = await this.read(id);
    if (message === undefined || isTombstone(message)) {
      if (message !== undefined) this.#index.drop(id, message.seq, readBox(message.data).length > 0);
      return undefined;
    }
    const { record, revision } = this.learn(id, message);
    return { record, revision };
  }

  /** The records of these revisions or later ones, from memory where they are there. */
  async fetch(wanted: readonly Wanted[]): Promise<(StoredJob | undefined)[]> {
    const missing = wanted.filter(({ id, revision }) => this.#cache.get(id)?.revision !== revision);
    if (missing.length >= LEAST_TOGETHER && this.#clock.monotonic() >= this.#apartUntil) await this.#readTogether(missing);
    const batch = new Batch<StoredJob | undefined>(wanted.length);
    for (const [index, { id, revision }] of wanted.entries()) {
      const known = this.#cache.get(id);
      if (known?.revision === revision) batch.set(index, { record: known.record, revision });
      else this.get(id).then((stored) => { batch.set(index, stored); }, (error: unknown) => { batch.fail(error); });
    }
    return batch.all;
  }

  /**
   * What was written together is often wanted together, and lies together in the stream: a consumer brings a stretch of it for
   * a fraction of what it costs to ask for each record. It may be one of a replica that is behind: what it does not bring, and
   * what it cannot be had for, is asked for by itself.
   */
  async #readTogether(wanted: readonly Wanted[]): Promise<void> {
    const stretches = stretchesOf(wanted).sort((a, b) => b.length - a.length).slice(0, MOST_STRETCHES);
    const outcomes = await Promise.allSettled(
      stretches.map(async (stretch) => {
        const ids = new Map(stretch.map(({ id, revision }) => [revision, id]));
        const take = (message: NatsMessage, sequence: number): boolean => {
          const id = ids.get(sequence);
          if (id !== undefined && message.subject === subjectOf(this.#names, id)) this.#learnIndexed(id, sequence, decoder.decode(message.data));
          return true;
        };
        await this.#scan.read(undefined, stretch[0]!.revision, take, stretch.at(-1)!.revision);
      }),
    );
    // To make a consumer takes more of a cluster than to answer for a record: its meta leader, and a server that has room.
    if (outcomes.some(({ status }) => status === 'rejected')) this.#apartUntil = this.#clock.monotonic() + APART_MS;
  }

  /** The index has what is in the headers, which the driver takes long to read. */
  #learnIndexed(id: string, revision: number, data: string): void {
    const entry = this.#index.get(id);
    const known = this.#cache.get(id);
    if (entry?.revision !== revision || known?.revision === revision || !isRecord(data)) return;
    const { definition: { text }, high } = entry.record;
    const { record, definition } = this.#texts.read(id, data, text, known);
    if (!this.#texts.isUnreadable(record)) this.#cache.set(id, { revision, record, definition, lines: readBox(data), high });
  }

  /** The last message of a job, which may be a tombstone. */
  async read(id: string): Promise<StoredMessage | undefined> {
    return readMessage(this.#link, this.#names.jobs, { last_by_subj: subjectOf(this.#names, id) });
  }

  /** The box of a record of this revision, as far as this node knows. */
  knownBox(id: string, revision: number): Box | undefined {
    const known = this.#cache.get(id);
    if (known?.revision === revision) return known;
    const entry = this.#index.get(id);
    return entry?.revision === revision && !entry.record.isBoxed ? { lines: [], high: entry.record.high } : undefined;
  }

  /** The same, as the server knows it; `undefined` where somebody else has written it since. */
  async readBox(id: string, revision: number): Promise<Box | undefined> {
    const entry = this.#index.get(id);
    // A revision that is older than what is known is lost; one that is newer is not known here yet.
    if (entry !== undefined && entry.revision > revision) return undefined;
    const message = await this.read(id);
    if (message === undefined || isTombstone(message) || message.seq !== revision) return undefined;
    return this.learn(id, message);
  }

  /** Makes a record of a message, and puts it into the index. */
  learn(id: string, { seq, data, headers }: StoredMessage): KnownRecord {
    const known = this.#cache.get(id);
    if (known?.revision === seq) return known;
    const lines = readBox(data);
    const about = headerOf(headers, JOB);
    const { record, definition } = this.#texts.read(id, data, about, known);
    const high = readStateHeader(headerOf(headers, STATE))?.high ?? null;
    const read = { revision: seq, record, definition, lines, high };
    if (!this.#texts.isUnreadable(record)) this.#cache.set(id, read);
    this.#index.put(id, seq, { definition: this.#outlines.about(about ?? aboutText(record))!, ...stateOutline(record, lines.length > 0, high) });
    return read;
  }

  /** This node has written it. */
  wrote(id: string, record: JobRecord, written: Omit<KnownRecord, 'record'>): void {
    if (this.#texts.isUnreadable(record)) this.#cache.delete(id);
    else if (isImmutable(record)) this.#cache.set(id, { ...written, record });
  }

  drop(id: string): void {
    this.#cache.delete(id);
  }

  /** The stream is another one. */
  forget(): void {
    this.#cache = new RecordCache(CACHED_RECORDS);
  }
}

export function subjectOf({ jobSubject }: Names, id: string): string {
  return `${jobSubject}${encodeKey(id)}`;
}

/** As a member of a record or a tombstone, after what comes before it. */
export function boxText(lines: readonly Line[]): string {
  return lines.length === 0 ? '' : `,"outbox":[${lines.map(({ on, before, text }) => `[${on},${before},${text}]`).join()}]`;
}

/** The lines in a record or a tombstone. Most have none, and need not be parsed to tell. */
export function readBox(body: string): readonly Line[] {
  if (!body.includes('"outbox":')) return [];
  const { outbox } = parseObject(body);
  if (!Array.isArray(outbox)) return [];
  return (outbox as [number, EpochMs | null, LedgerEntry][]).map(([on, before, entry]) => ({ on, before, text: JSON.stringify(entry) }));
}

export function isTombstone({ headers }: StoredMessage): boolean {
  return headerOf(headers, OPERATION) !== undefined;
}

/** In order, and parted where so much else lies between that it is not worth while to read over it. */
function stretchesOf(wanted: readonly Wanted[]): Wanted[][] {
  const stretches: Wanted[][] = [];
  let last: Wanted[] = [];
  for (const one of [...wanted].sort((a, b) => a.revision - b.revision)) {
    if (last.length === 0 || one.revision - last.at(-1)!.revision > WIDEST_GAP) stretches.push((last = []));
    last.push(one);
  }
  return stretches.filter((stretch) => {
    const numbers = stretch.at(-1)!.revision - stretch[0]!.revision + 1;
    return stretch.length >= LEAST_TOGETHER && numbers <= stretch.length * MOST_PER_RECORD;
  });
}
