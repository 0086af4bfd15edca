import { JobUnstorableError } from '../../errors/job-errors.js';
import type { JobDefinition, JobRecord } from '../../model/job.js';
import type { LedgerEntry } from '../../model/ledger.js';
import type { JobCodec, JsonObject } from '../../ports/job-codec.js';
import type { JobChange, Revision, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { parseJson, parseObject } from '../../serializers/parse-object.js';
import { ApiError, translate, WRONG_LAST_SEQUENCE } from './errors.js';
import { hasImmutableValues } from '../shared/shared-definitions.js';
import type { JobIndex } from './job-index.js';
import type { OutlineReader} from './job-form.js';
import { aboutText, EXPECTED, headersOf, JOB, OPERATION, readStateHeader, STATE, stateOutline, tombstoneHeaders } from './job-form.js';
import { encodeKey, isKey } from './keys.js';
import type { Headers, Link } from './link.js';
import type { Line, Outbox } from './outbox.js';
import { RecordCache, type KnownRecord } from './record-cache.js';
import { headerOf, readMessage, type Names, type StoredMessage } from './streams.js';

const CACHED_RECORDS = 10_000;
const MOST_SIMILAR = 500;
/** Times an insert is tried where others add and remove the same id. */
const ATTEMPTS = 10;
/** Left of the largest message for headers. */
const HEADERS_BYTES = 16_384;

/** What the definition begins with, and what comes after it. */
const HEAD = '{"v":1,"definition":';
const MIDDLE = ',"state":';

/** The records, and the revisions that decide who may write them: the numbers of their messages in the stream. */
export class JobTable {
  readonly #link: Link;
  readonly #codec: JobCodec;
  readonly #names: Names;
  readonly #index: JobIndex;
  readonly #outbox: Outbox;
  readonly #keepsLedger: boolean;
  readonly #outlines: OutlineReader;
  #cache = new RecordCache(CACHED_RECORDS);
  /** Definitions as text: they change less often than they are written. */
  readonly #texts = new WeakMap<JobDefinition, { readonly definition: string; readonly about: string }>();
  /** Of those that are indexed alike, the definition that was read last: jobs that were added together often differ in nothing but the id. */
  readonly #similar = new Map<string, { readonly text: string; readonly definition: JobDefinition }>();
  /** The text of definitions that could not be read: they are written back as they were found. */
  readonly #unreadable = new WeakMap<JsonObject, string>();
  /** Told of tombstones that this node wrote. */
  onDeleted: (id: string, revision: number) => void = () => undefined;

  constructor(parts: { link: Link; codec: JobCodec; names: Names; index: JobIndex; outbox: Outbox; outlines: OutlineReader; keepsLedger: boolean }) {
    this.#link = parts.link;
    this.#codec = parts.codec;
    this.#names = parts.names;
    this.#index = parts.index;
    this.#outbox = parts.outbox;
    this.#outlines = parts.outlines;
    this.#keepsLedger = parts.keepsLedger;
    parts.outbox.readLines = async (id) => {
      const message = await this.#read(id);
      return message === undefined ? undefined : { revision: message.seq, lines: readBox(message.data).lines };
    };
  }

  async insert(records: readonly JobRecord[]): Promise<(StoredJob | undefined)[]> {
    // Before anything is sent: what cannot be written leaves nothing behind.
    const texts = records.map((record) => {
      encodeKey(record.id);
      return this.#stateText(record);
    });
    const taken = new Set<string>();
    return Promise.all(
      records.map(async (record, index) => {
        // Of one id given twice, the first is added.
        if (taken.has(record.id)) return undefined;
        taken.add(record.id);
        return this.#insertOne(record, texts[index]!);
      }),
    );
  }

  async #insertOne(record: JobRecord, state: string): Promise<StoredJob | undefined> {
    const { id } = record;
    let lines: readonly Line[] = [];
    let high: EpochMs | null = null;
    for (let expected = 0, attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const revision = await this.#put(record, expected, state, lines, high, false);
      if (revision !== undefined) return { record, revision };
      const found = await this.#read(id);
      if (found !== undefined && !isTombstone(found)) {
        this.#learn(id, found);
        return undefined;
      }
      expected = found?.seq ?? 0;
      // What a job that is gone has left in its tombstone goes on with its successor.
      const box = found === undefined ? undefined : readBox(found.data);
      lines = found === undefined || box === undefined ? [] : this.#outbox.unwritten(id, found.seq, box.lines);
      high = found === undefined ? null : (readStateHeader(headerOf(found.headers, STATE))?.high ?? null);
    }
    return undefined;
  }

  async get(id: string): Promise<StoredJob | undefined> {
    if (!isKey(id)) return undefined;
    const message = await this.#read(id);
    if (message === undefined || isTombstone(message)) {
      if (message !== undefined) this.#index.drop(id, message.seq, readBox(message.data).lines.length > 0);
      return undefined;
    }
    const { record, revision } = this.#learn(id, message);
    return { record, revision };
  }

  /** The stream is another one. */
  forget(): void {
    this.#cache = new RecordCache(CACHED_RECORDS);
  }

  /** The record of this revision or a later one, from memory where it is there. */
  async fetch(id: string, revision: number): Promise<StoredJob | undefined> {
    const known = this.#cache.get(id);
    return known?.revision === revision ? { record: known.record, revision } : this.get(id);
  }

  async commit(changes: readonly JobChange[]): Promise<(Revision | undefined)[]> {
    const texts = changes.map(({ next }) => (next === null ? '' : this.#stateText(next)));
    return Promise.all(changes.map(async (change, index) => this.#commitOne(change, texts[index]!)));
  }

  async #commitOne({ id, expected, next, ledger }: JobChange, state: string): Promise<Revision | undefined> {
    if (!isKey(id)) return undefined;
    const replaced = Number(expected);
    const before = this.#knownBox(id, replaced) ?? (await this.#boxAt(id, replaced));
    if (before === undefined) return undefined;
    const carried = this.#outbox.unwritten(id, replaced, before.lines);
    let { high } = before;
    const lines: Line[] = [...carried];
    for (const entry of ledger) {
      if (this.#keepsLedger) lines.push({ on: replaced, before: before.high, entry });
      if (!entry.manual) high = Math.max(high ?? entry.scheduledTo, entry.scheduledTo);
    }
    const isFirst = carried.length === 0;
    return next === null ? this.#remove(id, replaced, lines, high, isFirst) : this.#put(next, replaced, state, lines, high, isFirst);
  }

  /** What a record of this revision has on its way to the ledger, as far as this node knows. */
  #knownBox(id: string, revision: number): Box | undefined {
    const known = this.#cache.get(id);
    if (known?.revision === revision) return known;
    const entry = this.#index.get(id);
    return entry?.revision === revision && !entry.record.isBoxed ? { lines: [], high: entry.record.high } : undefined;
  }

  /** The same, as the server knows it; `undefined` where somebody else has written it since. */
  async #boxAt(id: string, revision: number): Promise<Box | undefined> {
    const entry = this.#index.get(id);
    // A revision that is older than what is known is lost; one that is newer is not known here yet.
    if (entry !== undefined && entry.revision > revision) return undefined;
    const message = await this.#read(id);
    if (message === undefined || isTombstone(message) || message.seq !== revision) return undefined;
    return this.#learn(id, message);
  }

  async #put(record: JobRecord, expected: number, state: string, lines: readonly Line[], high: EpochMs | null, isFirst: boolean): Promise<number | undefined> {
    const { id } = record;
    const { definition, about } = this.#definitionText(record);
    const outline = stateOutline(record, lines.length > 0, high);
    const body = `${HEAD}${definition}${MIDDLE}${state}${boxText(lines)}}`;
    const revision = await this.#store(id, body, headersOf(about, outline), expected);
    if (revision === undefined) return undefined;
    if (this.#codec.isUnreadable(record.definition)) this.#cache.delete(id);
    else if (isImmutable(record)) this.#cache.set(id, { revision, record, definition, lines, high });
    // Before the index: what is boxed there is to be known as on its way.
    this.#index.put(id, revision, { definition: this.#outlines.about(about)!, ...outline });
    this.#outbox.committed(id, revision, lines, isFirst);
    return revision;
  }

  async #remove(id: string, expected: number, lines: readonly Line[], high: EpochMs | null, isFirst: boolean): Promise<number | undefined> {
    const isBoxed = lines.length > 0;
    const revision = await this.#store(id, isBoxed ? `{"v":1${boxText(lines)}}` : '', tombstoneHeaders(isBoxed, high), expected);
    if (revision === undefined) return undefined;
    this.#cache.delete(id);
    this.#index.drop(id, revision, isBoxed);
    this.#outbox.committed(id, revision, lines, isFirst);
    this.onDeleted(id, revision);
    return revision;
  }

  /** Takes out of a record at rest what is in the ledger by now. Answers whether nobody was faster. */
  async clearBox(id: string, revision: number): Promise<void> {
    const message = await this.#read(id);
    if (message?.seq !== revision || isTombstone(message)) return;
    const { record, high } = this.#learn(id, message);
    await this.#put(record, revision, this.#stateText(record), [], high, true);
  }

  async #store(id: string, body: string, headers: Headers, expected: number): Promise<number | undefined> {
    this.#requireSize(id, body);
    try {
      const { seq } = await this.#link.store(this.#subjectOf(id), body, { ...headers, [EXPECTED]: String(expected) });
      return seq;
    } catch (error) {
      if (error instanceof ApiError && error.problem === WRONG_LAST_SEQUENCE) return undefined;
      throw translate(error);
    }
  }

  #requireSize(id: string, body: string): void {
    const most = (this.#link.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADERS_BYTES;
    if (body.length * 3 <= most || Buffer.byteLength(body) <= most) return;
    throw new JobUnstorableError(`Job "${id}" is too large for NATS: it takes ${Buffer.byteLength(body)} bytes, and ${most} are left of max_payload. Keep large data elsewhere, and pass its key.`);
  }

  async #read(id: string): Promise<StoredMessage | undefined> {
    return readMessage(this.#link, this.#names.jobs, { last_by_subj: this.#subjectOf(id) });
  }

  #subjectOf(id: string): string {
    return `${this.#names.jobSubject}${encodeKey(id)}`;
  }

  /** Makes a record of a message, and puts it into the index. */
  #learn(id: string, { seq, data, headers }: StoredMessage): KnownRecord {
    const known = this.#cache.get(id);
    if (known?.revision === seq) return known;
    const box = readBox(data);
    const { record, definition } = this.#decode(id, data, headerOf(headers, JOB) ?? '', known);
    const high = readStateHeader(headerOf(headers, STATE))?.high ?? null;
    const read = { revision: seq, record, definition, lines: box.lines, high };
    // The codec knows a record it could not read by its definition, which must then not be combined with another state.
    if (this.#codec.isUnreadable(record.definition)) this.#unreadable.set(this.#codec.encodeDefinition(record), definition);
    else {
      this.#cache.set(id, read);
      this.#texts.set(record.definition, { definition, about: headerOf(headers, JOB) ?? aboutText(record) });
    }
    const outline = { definition: this.#outlines.about(headerOf(headers, JOB) ?? aboutText(record))!, ...stateOutline(record, box.lines.length > 0, high) };
    this.#index.put(id, seq, outline);
    return read;
  }

  #decode(id: string, body: string, about: string, known: KnownRecord | undefined): { record: JobRecord; definition: string } {
    const own = known && this.#combine(id, body, known.definition, known.record.definition);
    if (own !== undefined) return own;
    const similar = this.#similar.get(about);
    const same = similar && this.#combine(id, body, similar.text, similar.definition);
    if (same !== undefined) return same;
    const whole = parseObject(body);
    const json = objectOf(whole['definition'], body);
    const record = this.#codec.decode({ id, definition: json, state: objectOf(whole['state'], body) });
    const definition = JSON.stringify(json);
    if (!this.#codec.isUnreadable(record.definition) && isShareable(record.definition)) this.#share(about, definition, record.definition);
    return { record, definition };
  }

  /** The record of a body that begins with a definition that has been read. `undefined` where it does not, or its state cannot be read. */
  #combine(id: string, body: string, text: string, definition: JobDefinition): { record: JobRecord; definition: string } | undefined {
    if (!body.startsWith(MIDDLE, HEAD.length + text.length) || !body.startsWith(text, HEAD.length)) return undefined;
    const { state } = parseObject(`{"v":1${body.slice(HEAD.length + text.length)}`);
    const record = this.#codec.decode({ id, definition: { v: versionOf(text) }, state: objectOf(state, body) }, definition);
    return record.definition === definition ? { record, definition: text } : undefined;
  }

  #share(about: string, text: string, definition: JobDefinition): void {
    if (this.#similar.size >= MOST_SIMILAR) this.#similar.clear();
    this.#similar.set(about, { text, definition });
  }

  #stateText(record: JobRecord): string {
    this.#definitionText(record);
    return JSON.stringify(this.#codec.encodeState(record));
  }

  #definitionText(record: JobRecord): { readonly definition: string; readonly about: string } {
    const known = this.#texts.get(record.definition);
    if (known !== undefined) return known;
    const encoded = this.#codec.encodeDefinition(record);
    const texts = { definition: this.#unreadable.get(encoded) ?? JSON.stringify(encoded), about: aboutText(record) };
    if (isFrozen(record.definition)) this.#texts.set(record.definition, texts);
    return texts;
  }
}

interface Box {
  readonly lines: readonly Line[];
  readonly high: EpochMs | null;
}

function boxText(lines: readonly Line[]): string {
  return lines.length === 0 ? '' : `,"outbox":${JSON.stringify(lines.map(({ on, before, entry }) => [on, before, entry]))}`;
}

/** The lines in a record or a tombstone. Most have none, and need not be parsed to tell. */
function readBox(body: string): { readonly lines: readonly Line[] } {
  if (!body.includes('"outbox":')) return { lines: [] };
  const { outbox } = parseObject(body);
  if (!Array.isArray(outbox)) return { lines: [] };
  return { lines: (outbox as [number, EpochMs | null, LedgerEntry][]).map(([on, before, entry]) => ({ on, before, entry })) };
}

export function isTombstone({ headers }: StoredMessage): boolean {
  return headerOf(headers, OPERATION) !== undefined;
}

function versionOf(definition: string): unknown {
  const [, version] = /^\{"v":(\d+)[,}]/.exec(definition) ?? [];
  return version === undefined ? (parseJson(definition) as { v?: unknown } | undefined)?.v : Number(version);
}

function objectOf(value: unknown, body: string): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : { unreadable: body };
}

/** Whether several records may have it: nobody can change any of it. */
function isShareable(definition: JobDefinition): boolean {
  if (!hasImmutableValues(definition) || definition.trigger.unreadable !== undefined) return false;
  Object.freeze(definition.tags);
  return true;
}

/** What a caller may still change must not be shown to others later: arguments it holds on to. */
function isImmutable({ definition, state }: JobRecord): boolean {
  return isFrozen(definition) && state.runs.every(({ args }) => args === null || areFrozen(args));
}

function isFrozen({ args, metadata }: JobDefinition): boolean {
  return areFrozen(args) && (metadata === null || Object.isFrozen(metadata));
}

/** Read by the codec, which freezes all of it; or nothing that can be changed. */
function areFrozen(args: readonly unknown[]): boolean {
  return Object.isFrozen(args) || args.every((value) => value === null || typeof value !== 'object');
}
