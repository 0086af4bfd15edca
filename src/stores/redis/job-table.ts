import { randomBytes } from 'node:crypto';
import { JobUnstorableError } from '../../errors/job-errors.js';
import { alarmAt } from '../../model/alarm.js';
import { runningCount, wakeAt, type JobRecord } from '../../model/job.js';
import type { JobCodec, JsonObject } from '../../ports/job-codec.js';
import type { JobChange, Revision, StoredJob } from '../../ports/job-store.js';
import { parseObject } from '../../serializers/parse-object.js';
import { DefinitionCache } from '../shared/definition-cache.js';
import { SharedDefinitions, type ReadDefinition } from '../shared/shared-definitions.js';
import { readState, stateOf, writeState } from '../shared/state-text.js';
import type { Reply } from './driver.js';
import { COMMIT, COMMIT_PLAIN } from './commit-scripts.js';
import { partsOf, type Head } from './head.js';
import { INSERT, READ } from './job-scripts.js';
import { laneOf } from './lanes.js';
import type { Link } from './link.js';
import { PlainBatch, type KnownJob } from './plain-batch.js';
import type { RedisLedger } from './redis-ledger.js';

const CACHED_DEFINITIONS = 10_000;
/** Records written by one call, so that none holds up the server for long. */
const PIECE = 1_000;

/** A record as it is stored. */
export interface Row {
  readonly id: string;
  readonly head: string;
  /** Its text, or what that is JSON for. */
  readonly state: unknown;
  /** `undefined` where it was not asked for. */
  readonly body: string | undefined;
}

/** The records, and the revisions that decide who may write them. */
export class JobTable {
  readonly #link: Link;
  readonly #codec: JobCodec;
  readonly #ledger: RedisLedger;
  readonly #known = new DefinitionCache<string, KnownJob>(CACHED_DEFINITIONS);
  readonly #shared = new SharedDefinitions<string>();
  /** The text of definitions that could not be read: they are written back as they were found. */
  readonly #unreadable = new WeakMap<JsonObject, string>();
  /**
   * Revisions are made here, of this store's own name and a count: a counter on the server could go back in a failover
   * to a replica that had not yet heard of the latest, and one revision would be two records'.
   */
  readonly #self = randomBytes(9).toString('base64url');
  #made = 0;
  /** Told after each write that changed something. */
  onWritten: () => void = () => undefined;

  constructor(link: Link, codec: JobCodec, ledger: RedisLedger) {
    this.#link = link;
    this.#codec = codec;
    this.#ledger = ledger;
  }

  async insert(records: readonly JobRecord[]): Promise<(StoredJob | undefined)[]> {
    // All of them, before the first is written.
    const rows = records.map((record) => {
      requireKey(record.id, 'job id');
      return [record.id, ...this.#stateArgs(record), ...this.#definitionArgs(record)];
    });
    const answers: (StoredJob | undefined)[] = [];
    for (let from = 0; from < rows.length; from += PIECE) {
      const piece = rows.slice(from, from + PIECE);
      const nonce = this.#nonce();
      const added = (await this.#link.run(INSERT, [listText([nonce, String(piece.length), ...piece.flat()])])) as Reply[];
      added.forEach((isAdded, i) => answers.push(Number(isAdded) === 1 ? { record: records[from + i]!, revision: nonce } : undefined));
    }
    if (answers.some((answer) => answer !== undefined)) this.onWritten();
    return answers;
  }

  async get(id: string): Promise<StoredJob | undefined> {
    // What is no text of Redis's is nobody's id, and not that of the job it would be made into.
    if (isBroken(id)) return undefined;
    const [row] = await this.rows([id]);
    return row === undefined ? undefined : this.read(row);
  }

  /** Those of the records that are there. */
  async rows(ids: readonly string[]): Promise<Row[]> {
    return rowsOf([ids, ...((await this.#link.run(READ, ids)) as Reply[])]);
  }

  read(row: Row): StoredJob {
    return this.readKnown(row) ?? this.#readWhole(row);
  }

  /** A record that can be read without its definition, or by the text of it that is known; `undefined` where it takes the definition. */
  readKnown({ id, head, state, body = '' }: Row): StoredJob | undefined {
    const parts = partsOf(head);
    const { revision, definition: definitionRevision } = parts;
    const known = this.#known.get(id);
    const isKnown = known?.revision === definitionRevision;
    const found = isKnown ? known : (this.#shared.at(definitionRevision) ?? this.#shared.get(body));
    const record = found && this.#combine(id, readRow(id, state), found);
    if (record === undefined) return undefined;
    if (isKnown) {
      known.current = revision;
      known.status = parts.status;
      known.running = parts.running;
      known.lane = parts.lane;
    } else this.#remember(id, parts, body, found!);
    return { record, revision };
  }

  #readWhole({ id, head, state, body = '' }: Row): StoredJob {
    const parts = partsOf(head);
    const definition = parseObject(body);
    const record = this.#codec.decode({ id, definition, state: readRow(id, state) });
    // The codec knows a record it could not read by its definition, which must then not be combined with another state.
    if (this.#codec.isUnreadable(record.definition)) this.#unreadable.set(this.#codec.encodeDefinition(record), body);
    else this.#remember(id, parts, body, { version: definition['v'], definition: record.definition });
    return { record, revision: parts.revision };
  }

  #remember(id: string, { revision: current, definition: revision, status, running, lane }: Head, body: string, read: ReadDefinition): void {
    this.#known.set(id, { current, revision, status, running, lane, version: read.version, definition: read.definition });
    if (body !== '') this.#shared.add(body, read, revision);
  }

  /** `undefined` where the state cannot be read: then the record is to be decoded as a whole. */
  #combine(id: string, state: JsonObject, { version, definition }: ReadDefinition): JobRecord | undefined {
    const record = this.#codec.decode({ id, definition: { v: version }, state }, definition);
    return record.definition === definition ? record : undefined;
  }

  async commit(changes: readonly JobChange[]): Promise<(Revision | undefined)[]> {
    const answers = changes.map((): Revision | undefined => undefined);
    // All of them, before the first is written.
    const calls = this.#calls(changes, answers);
    try {
      // Many of them one after the other, so that others have their turn.
      if (changes.length > PIECE) for (const call of calls) await call();
      // Whoever hears of a failure may rely on it that nothing is on its way any more.
      else for (const ended of await Promise.allSettled(calls.map(async (call) => call()))) if (ended.status === 'rejected') throw ended.reason;
    } finally {
      if (answers.some((answer) => answer !== undefined)) this.onWritten();
    }
    return answers;
  }

  /** What is to be sent. Each call enters what it comes to into the answers. */
  #calls(changes: readonly JobChange[], answers: (Revision | undefined)[]): (() => Promise<void>)[] {
    const calls: (() => Promise<void>)[] = [];
    /** That are being filled: of changes without a line for the ledger, and of those with one. */
    const plain: (PlainBatch | undefined)[] = [];
    const batches: PlainBatch[] = [];
    let others: { places: number[]; drafts: string[][] } | undefined;
    changes.forEach((change, place) => {
      const lines = change.ledger.length;
      const known = this.#known.get(change.id);
      if (known !== undefined && isPlain(change, known) && (lines === 0 || this.#ledger.keeps)) {
        let batch = plain[lines];
        if (batch === undefined || batch.changes.length === PIECE) {
          plain[lines] = batch = new PlainBatch(this.#nonce());
          batches.push(batch);
        }
        const [wake, flags] = indexed(change.next);
        if (batch.add({ place, known, next: change.next, wake, flags, entry: change.ledger[0] })) return;
      }
      if (others === undefined || others.places.length === PIECE) {
        others = { places: [], drafts: [] };
        calls.push(this.#otherCall(changes, others, answers));
      }
      others.places.push(place);
      others.drafts.push(this.#draft(change));
    });
    for (const batch of batches) if (batch.changes.length > 0) calls.push(this.#plainCall(batch, answers));
    return calls;
  }

  #plainCall(batch: PlainBatch, answers: (Revision | undefined)[]): () => Promise<void> {
    const args = batch.args((record) => this.#codec.encodeState(record), this.#ledger.pruneAbove);
    return async () => {
      const [lost, grown] = (await this.#link.run(COMMIT_PLAIN, args)) as Reply[][];
      const isLost = new Set(lost!.map(Number));
      batch.changes.forEach((change, i) => {
        if (isLost.has(i + 1)) return;
        answers[change.place] = batch.revision;
        batch.written(change);
      });
      for (const at of grown!) this.#ledger.grown(batch.changes[Number(at) - 1]!.next.id);
    };
  }

  #otherCall(changes: readonly JobChange[], { places, drafts }: { places: number[]; drafts: string[][] }, answers: (Revision | undefined)[]): () => Promise<void> {
    const nonce = this.#nonce();
    return async () => {
      const won = (await this.#link.run(COMMIT, [listText([nonce, this.#ledger.keeps ? '1' : '0', String(drafts.length), ...drafts.flat()])])) as Reply[];
      won.forEach((answer, i) => {
        const lines = Number(answer) - 1;
        if (lines < 0) return;
        const place = places[i]!;
        const { id, next } = changes[place]!;
        answers[place] = `${nonce}.${i + 1}`;
        if (next === null) this.#known.delete(id);
        if (lines > this.#ledger.pruneAbove) this.#ledger.grown(id);
      });
    };
  }

  #draft({ id, expected, next, ledger }: JobChange): string[] {
    const args = [id, String(expected), 'd', String(ledger.length)];
    if (next !== null) {
      const known = this.#known.get(id);
      const isKnown = known?.definition === next.definition;
      args[2] = isKnown ? 's' : 'b';
      args.push(...this.#stateArgs(next), ...(isKnown ? [known.revision] : this.#definitionArgs(next)));
    }
    for (const entry of ledger) args.push(...this.#ledger.args(entry));
    return args;
  }

  #nonce(): string {
    this.#made += 1;
    return `${this.#made.toString(36)}.${this.#self}`;
  }

  /** Wake-up, flags, alarm, state. */
  #stateArgs(record: JobRecord): [wake: string, flags: string, alarm: string, state: string] {
    const alarm = record.definition.policy.expect == null ? '' : String(alarmAt(record) ?? '-');
    return [...indexed(record), alarm, writeState(record.id, this.#codec.encodeState(record))];
  }

  /** Definition, lane, number of look-ups, look-ups. */
  #definitionArgs(record: JobRecord): string[] {
    const encoded = this.#codec.encodeDefinition(record);
    const found = this.#unreadable.get(encoded);
    const { task, owner, trigger, tags, policy } = record.definition;
    const texts = [...new Set<unknown>(tags)].filter((tag) => typeof tag === 'string');
    if (found === undefined) {
      requireKey(task, 'task');
      requireKey(policy.executor, 'executor');
      if (owner !== null) requireKey(owner, 'owner');
      for (const tag of texts) requireKey(tag, 'tag');
    }
    const looks = [lookUp('t', task), ...texts.map((tag) => lookUp('g', tag))];
    if (owner !== null) looks.push(lookUp('o', owner));
    if (isLookedUp(trigger.kind)) looks.push(lookUp('k', trigger.kind));
    return [found ?? JSON.stringify(encoded), laneOf(record.definition), String(looks.length), ...looks];
  }
}

/** What the head has of a state. */
function indexed(record: JobRecord): [wake: string, flags: string] {
  const { status, runs } = record.state;
  const at = wakeAt(record);
  return [at === null ? '-' : String(at), `${status[0]!}${runs.length > 0 && runningCount(runs) > 0 ? 1 : 0}`];
}

/** What the entries of an index begin with: the length keeps one value from being the beginning of another. */
export function lookUp(kind: 't' | 'g' | 'o' | 'k', value: string): string {
  return `${kind}${Buffer.byteLength(value)}:${value}`;
}

/** The only kind of trigger that jobs are looked up by at each start; of the others a store may hold a million. */
export function isLookedUp(triggerKind: string): boolean {
  return triggerKind === 'startup';
}

export function rowsOf([ids, heads, states, bodies]: readonly (Reply | readonly string[] | undefined)[]): Row[] {
  const rows: Row[] = [];
  (ids as string[]).forEach((id, i) => {
    const head = (heads as (string | null)[])[i];
    if (typeof head !== 'string') return;
    rows.push({ id, head, state: (states as (string | null)[])[i] ?? '', body: (bodies as (string | null)[])[i] ?? undefined });
  });
  return rows;
}

function readRow(id: string, state: unknown): JsonObject {
  return typeof state === 'string' ? readState(id, state) : stateOf(id, state);
}

/** Whether nothing but its state, its wake-up and its history is to be written, of what this process knows as it is to be found. */
function isPlain(change: JobChange, known: KnownJob): change is JobChange & { readonly next: JobRecord } {
  const { expected, next, ledger } = change;
  if (next?.definition !== known.definition || ledger.length > 1) return false;
  if (next.definition.policy.expect != null || (ledger.some(({ result }) => result !== null))) return false;
  return expected === known.current;
}

/** Thousands of arguments as one: drivers and the server take each by itself, which costs more than to read a list. */
function listText(texts: readonly string[]): string {
  return wellFormed(JSON.stringify(texts));
}

/** What is half of a surrogate pair becomes the character that stands for it, as it does on every way to a server. */
function wellFormed(json: string): string {
  if (!/\\ud[89a-f]/.test(json)) return json;
  return JSON.stringify(JSON.parse(json), (_, value: unknown) => (typeof value === 'string' ? Buffer.from(value).toString() : value));
}

export function isBroken(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

/** @throws JobUnstorableError where a text that is looked up by would come back as another one. */
function requireKey(text: string, what: string): void {
  if (!isBroken(text)) return;
  throw new JobUnstorableError(`The ${what} ${JSON.stringify(text.slice(0, 80))} cannot be stored in Redis: it has half of a surrogate pair, which is no character.`);
}
