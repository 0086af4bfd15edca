import { JobUnstorableError } from '../../errors/job-errors.js';
import type { JobRecord } from '../../model/job.js';
import type { Clock } from '../../ports/clock.js';
import type { JobCodec } from '../../ports/job-codec.js';
import type { JobChange, Revision, StoredJob } from '../../ports/job-store.js';
import { Batch } from './batch.js';
import { ApiError, translate, WRONG_LAST_SEQUENCE } from './errors.js';
import { EXPECTED, readStateHeader, recordHeaders, STATE, stateOutline, tombstoneHeaders, type OutlineReader } from './job-form.js';
import type { JobIndex } from './job-index.js';
import { encodeKey, isKey } from './keys.js';
import type { Link } from './link.js';
import type { Line, Outbox } from './outbox.js';
import { boxText, isTombstone, readBox, RecordReader, subjectOf, type Box, type Wanted } from './record-reader.js';
import { RecordTexts } from './record-texts.js';
import type { Scan } from './scan.js';
import { headerOf, type Names } from './streams.js';

/** Times an insert is tried where others add and remove the same id. */
const ATTEMPTS = 10;
/** Left of the largest message for headers. */
const HEADERS_BYTES = 16_384;

/** A record, or a tombstone, to be written. */
interface Next extends Box {
  readonly id: string;
  /** `null`: it is deleted. */
  readonly record: JobRecord | null;
  /** The state as text. */
  readonly state: string;
  /** The revision it replaces; 0 for none. */
  readonly expected: number;
  /** None of the lines was in a record before this time, on the monotonic clock. */
  readonly firstAt: number | undefined;
}

/** The new revision, or `undefined` where somebody else was faster. */
type Done = (revision: number | undefined) => void;
type Failed = (error: unknown) => void;

/** The records, and the revisions that decide who may write them: the numbers of their messages in the stream. */
export class JobTable {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #names: Names;
  readonly #index: JobIndex;
  readonly #outbox: Outbox;
  readonly #keepsLedger: boolean;
  readonly #outlines: OutlineReader;
  readonly #texts: RecordTexts;
  readonly #reader: RecordReader;
  /** Told of tombstones that this node wrote. */
  onDeleted: (id: string, revision: number) => void = () => undefined;

  constructor(parts: { link: Link; clock: Clock; codec: JobCodec; names: Names; index: JobIndex; outbox: Outbox; outlines: OutlineReader; scan: Scan; keepsLedger: boolean }) {
    this.#link = parts.link;
    this.#clock = parts.clock;
    this.#names = parts.names;
    this.#index = parts.index;
    this.#outbox = parts.outbox;
    this.#outlines = parts.outlines;
    this.#keepsLedger = parts.keepsLedger;
    this.#texts = new RecordTexts(parts.codec);
    this.#reader = new RecordReader({ ...parts, texts: this.#texts });
    parts.outbox.readLines = async (id) => {
      const message = await this.#reader.read(id);
      return message === undefined ? undefined : { revision: message.seq, lines: readBox(message.data) };
    };
  }

  async insert(records: readonly JobRecord[]): Promise<(StoredJob | undefined)[]> {
    // Before anything is sent: what cannot be written leaves nothing behind.
    const texts = records.map((record) => {
      encodeKey(record.id);
      return this.#texts.state(record);
    });
    const batch = new Batch<StoredJob | undefined>(records.length);
    const taken = new Set<string>();
    for (const [index, record] of records.entries()) {
      // Of one id given twice, the first is added.
      if (taken.has(record.id)) batch.set(index, undefined);
      else this.#insertOne(record, texts[index]!, (stored) => { batch.set(index, stored); }, (error) => { batch.fail(error); });
      taken.add(record.id);
    }
    return batch.all;
  }

  #insertOne(record: JobRecord, state: string, done: (stored: StoredJob | undefined) => void, failed: Failed): void {
    const next = { id: record.id, record, state, expected: 0, lines: [], high: null, firstAt: undefined };
    this.#put(
      next,
      (revision) => {
        if (revision !== undefined) done({ record, revision });
        else this.#insertAgain(next).then(done, failed);
      },
      failed,
    );
  }

  /** There was a message of this id. */
  async #insertAgain(next: Next & { readonly record: JobRecord }): Promise<StoredJob | undefined> {
    const { id, record } = next;
    for (let attempt = 2; attempt <= ATTEMPTS; attempt++) {
      const found = await this.#reader.read(id);
      if (found !== undefined && !isTombstone(found)) {
        this.#reader.learn(id, found);
        return undefined;
      }
      // What a job that is gone has left in its tombstone goes on with its successor.
      const lines = found === undefined ? [] : this.#outbox.unwritten(id, found.seq, readBox(found.data));
      const high = found === undefined ? null : (readStateHeader(headerOf(found.headers, STATE))?.high ?? null);
      const revision = await this.#putNow({ ...next, expected: found?.seq ?? 0, lines, high });
      if (revision !== undefined) return { record, revision };
    }
    return undefined;
  }

  async get(id: string): Promise<StoredJob | undefined> {
    return this.#reader.get(id);
  }

  /** The records of these revisions or later ones, from memory where they are there. */
  async fetch(wanted: readonly Wanted[]): Promise<(StoredJob | undefined)[]> {
    return this.#reader.fetch(wanted);
  }

  /** The stream is another one. */
  forget(): void {
    this.#reader.forget();
  }

  async commit(changes: readonly JobChange[]): Promise<(Revision | undefined)[]> {
    const texts = changes.map(({ next }) => (next === null ? '' : this.#texts.state(next)));
    const batch = new Batch<Revision | undefined>(changes.length);
    const failed: Failed = (error) => { batch.fail(error); };
    for (const [index, change] of changes.entries()) this.#commitOne(change, texts[index]!, (revision) => { batch.set(index, revision); }, failed);
    return batch.all;
  }

  #commitOne(change: JobChange, state: string, done: Done, failed: Failed): void {
    const { id } = change;
    if (!isKey(id)) {
      done(undefined);
      return;
    }
    const expected = Number(change.expected);
    const box = this.#reader.knownBox(id, expected);
    if (box !== undefined) this.#put(this.#nextOf(change, expected, state, box), done, failed);
    else {
      const look = async (): Promise<number | undefined> => {
        const read = await this.#reader.readBox(id, expected);
        return read === undefined ? undefined : this.#putNow(this.#nextOf(change, expected, state, read));
      };
      look().then(done, failed);
    }
  }

  #nextOf({ id, next: record, ledger }: JobChange, expected: number, state: string, before: Box): Next {
    const carried = this.#outbox.unwritten(id, expected, before.lines);
    const lines: Line[] = [...carried];
    let { high } = before;
    for (const entry of ledger) {
      if (this.#keepsLedger) lines.push({ on: expected, before: before.high, text: JSON.stringify(entry) });
      if (!entry.manual) high = Math.max(high ?? entry.scheduledTo, entry.scheduledTo);
    }
    return { id, record, state, expected, lines, high, firstAt: carried.length === 0 ? this.#clock.monotonic() : undefined };
  }

  /** Takes out of a record at rest what is in the ledger by now. */
  async clearBox(id: string, revision: number): Promise<void> {
    const message = await this.#reader.read(id);
    if (message?.seq !== revision || isTombstone(message)) return;
    const { record, high } = this.#reader.learn(id, message);
    await this.#putNow({ id, record, state: this.#texts.state(record), expected: revision, lines: [], high, firstAt: undefined });
  }

  async #putNow(next: Next): Promise<number | undefined> {
    return new Promise((done, failed) => { this.#put(next, done, failed); });
  }

  #put(next: Next, done: Done, failed: Failed): void {
    try {
      if (next.record === null) this.#remove(next, done, failed);
      else this.#replace(next, next.record, done, failed);
    } catch (error) {
      failed(error);
    }
  }

  #replace(next: Next, record: JobRecord, done: Done, failed: Failed): void {
    const { id, lines, high, state, firstAt } = next;
    const { definition, about } = this.#texts.definition(record);
    const outline = stateOutline(record, lines.length > 0, high);
    const stored = (revision: number): void => {
      this.#reader.wrote(id, record, { revision, definition, lines, high });
      // Before the index: what is boxed there is to be known as on its way.
      this.#index.put(id, revision, { definition: this.#outlines.about(about)!, ...outline });
      this.#outbox.committed(id, revision, lines, firstAt);
      done(revision);
    };
    this.#store(next, this.#texts.body(definition, state, boxText(lines)), recordHeaders(about, outline), stored, done, failed);
  }

  #remove(next: Next, done: Done, failed: Failed): void {
    const { id, lines, high, firstAt } = next;
    const isBoxed = lines.length > 0;
    const stored = (revision: number): void => {
      this.#reader.drop(id);
      this.#index.drop(id, revision, isBoxed);
      this.#outbox.committed(id, revision, lines, firstAt);
      this.onDeleted(id, revision);
      done(revision);
    };
    this.#store(next, isBoxed ? `{"v":1${boxText(lines)}}` : '', tombstoneHeaders(isBoxed, high), stored, done, failed);
  }

  #store({ id, expected }: Next, payload: string, headers: string, stored: (revision: number) => void, done: Done, failed: Failed): void {
    this.#requireSize(id, payload);
    this.#link.write({
      subject: subjectOf(this.#names, id),
      payload,
      headers: `${headers}${EXPECTED}: ${expected}\r\n`,
      stored,
      failed: (error) => {
        if (error instanceof ApiError && error.problem === WRONG_LAST_SEQUENCE) done(undefined);
        else failed(translate(error));
      },
    });
  }

  #requireSize(id: string, body: string): void {
    const most = (this.#link.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADERS_BYTES;
    if (body.length * 3 <= most || Buffer.byteLength(body) <= most) return;
    throw new JobUnstorableError(`Job "${id}" is too large for NATS: it takes ${Buffer.byteLength(body)} bytes, and ${most} are left of max_payload. Keep large data elsewhere, and pass its key.`);
  }
}
