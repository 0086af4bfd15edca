import { JobUnstorableError } from '../../errors/job-errors.js';
import { alarmAt } from '../../model/alarm.js';
import { beginAt, leaseEnd, runningCount, type JobDefinition, type JobRecord, type JobStatus } from '../../model/job.js';
import type { JobCodec, JsonObject } from '../../ports/job-codec.js';
import type { JobChange, Revision, StoredJob } from '../../ports/job-store.js';
import { UNDO, type Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';
import { ALARM, ALL, JobUpdates, LEASE, STATUS, WAKE } from './job-updates.js';
import type { Lanes } from './lanes.js';
import { RecordCache, type Entry } from './record-cache.js';
import { hasImmutableValues, SharedDefinitions } from '../shared/shared-definitions.js';
import { parseObject } from '../../serializers/parse-object.js';
import { LONGEST_ROOM, readState, writeState } from '../shared/state-text.js';
import type { SQLiteLedger } from './sqlite-ledger.js';

const CACHED_RECORDS = 10_000;

/**
 * What a state comes to while a run goes on, but for the name of the node. States are written with as many blanks as it takes
 * to come to this: a row that keeps its length is overwritten where it is, and one that grows makes SQLite divide its page.
 */
const STATE_ROOM = 209;
/** What an instant takes in a row. */
const LEASE_BYTES = 6;
/** A change ready to be written, before the database is locked for it. */
interface Draft {
  readonly change: JobChange;
  readonly entry: Entry | undefined;
  readonly state: string;
  readonly wakeAt: number | null;
  readonly leaseAt: number | null;
  readonly alarmAt: number | null;
  /** The definition as text; `null` where it is the one that is stored. */
  readonly definition: string | null;
}

/** A row that was found, with what else there is of it where it is likely to be needed. */
export type FoundRow = [
  seq: number,
  id: string,
  revision: number,
  wakeAt: number | null,
  leaseAt: number | null,
  definition?: number,
  lines?: number,
  state?: string,
];

type Row = Required<FoundRow>;
type WholeRow = [...Row, body: string | null];

export const FOUND = 'seq, id, revision, wake_at, lease_at';
export const WHOLE = `${FOUND}, definition, lines, state`;

type Place = [seq: number, tags: number];

/** A record as text, and `v` of its definition. */
interface EncodedRow {
  readonly version: unknown;
  readonly definition: string;
  readonly state: string;
}

/** `known`: what is in the row is what its entry will say. `lost`: somebody else was first. */
type Outcome = 'known' | 'written' | 'lost';

/** The records, and the revisions that decide who may write them. */
export class JobTable {
  readonly #connection: Connection;
  readonly #codec: JobCodec;
  readonly #lanes: Lanes;
  readonly #ledger: SQLiteLedger;
  readonly #cache = new RecordCache(CACHED_RECORDS);
  readonly #definitions = new SharedDefinitions();
  readonly #insertJob: SQLiteStatement;
  readonly #insertDefinition: SQLiteStatement;
  readonly #insertTag: SQLiteStatement;
  readonly #deleteTag: SQLiteStatement;
  readonly #whereIs: SQLiteStatement;
  readonly #atRevision: SQLiteStatement;
  readonly #readRow: SQLiteStatement;
  readonly #readWhole: SQLiteStatement;
  readonly #readDefinition: SQLiteStatement;
  readonly #updates: JobUpdates;
  readonly #updateWhole: SQLiteStatement;
  readonly #updateDefinition: SQLiteStatement;
  readonly #deleteJob: SQLiteStatement;
  readonly #deleteDefinition: SQLiteStatement;
  /** Told of each row that was written, by what it was before. */
  onWritten: (seq: number) => void = () => undefined;
  /** Told when somebody else was first. */
  onLost: () => void = () => undefined;

  /** Records that were not known, and had to be read. */
  rowsRead = 0;
  /** Length to which a state is filled up. */
  readonly #room: number;

  constructor(connection: Connection, codec: JobCodec, lanes: Lanes, ledger: SQLiteLedger, node: string) {
    this.#room = Math.min(LONGEST_ROOM, STATE_ROOM + node.length);
    this.#connection = connection;
    this.#codec = codec;
    this.#lanes = lanes;
    this.#ledger = ledger;
    ledger.onShort = (jobId, lines) => {
      const entry = this.#cache.get(jobId);
      if (entry !== undefined) entry.lines = lines;
    };
    this.#insertJob = connection.prepare(
      `INSERT INTO {jobs} (id, revision, lane, wake_at, status, running, lease_at, alarm_at, definition, tags, lines, state)
       VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, 0, ?) ON CONFLICT (id) DO NOTHING`,
    );
    this.#insertDefinition = connection.prepare('INSERT INTO {definitions} (job, owner, trigger_kind, name, body) VALUES (?, ?, ?, ?, ?)');
    this.#insertTag = connection.prepare('INSERT INTO {tags} (tag, id) VALUES (?, ?) ON CONFLICT DO NOTHING');
    this.#deleteTag = connection.prepare('DELETE FROM {tags} WHERE tag = ? AND id = ?');
    this.#whereIs = connection.prepareRows('SELECT seq, revision FROM {jobs} WHERE id = ?');
    this.#atRevision = connection.prepareRows('SELECT seq, tags FROM {jobs} WHERE id = ? AND revision = ?');
    this.#readRow = connection.prepareRows(`SELECT ${WHOLE} FROM {jobs} WHERE seq = ?`);
    this.#readWhole = connection.prepareRows(`SELECT ${WHOLE}, (SELECT body FROM {definitions} WHERE job = seq) FROM {jobs} WHERE seq = ?`);
    this.#readDefinition = connection.prepareRows('SELECT body FROM {definitions} WHERE job = ?');
    this.#updates = new JobUpdates(connection);
    this.#updateWhole = connection.prepare(
      `UPDATE {jobs} SET revision = ?, lines = lines + ?, state = ?, wake_at = ?, lease_at = ?, status = ?, alarm_at = ?, lane = ?, definition = ?, tags = ?
       WHERE seq = ? AND revision = ?`,
    );
    this.#updateDefinition = connection.prepare('UPDATE {definitions} SET owner = ?, trigger_kind = ?, name = ?, body = ? WHERE job = ?');
    this.#deleteJob = connection.prepare('DELETE FROM {jobs} WHERE seq = ? AND revision = ?');
    this.#deleteDefinition = connection.prepare('DELETE FROM {definitions} WHERE job = ?');
  }

  insert(records: readonly JobRecord[]): (StoredJob | undefined)[] {
    if (records.length === 0) return [];
    // Before the database is locked: what cannot be written leaves nothing behind, and nobody waits for the writing of it.
    const encoded = records.map((record) => {
      requireWellFormed(record);
      const definition = this.#codec.encodeDefinition(record);
      return { version: definition['v'], definition: JSON.stringify(definition), state: this.#stateText(record, leaseOf(record), this.#room) };
    });
    const answers = this.#connection.write(() => {
      const first = this.#lanes.takeRevisions(records.length);
      let definitionRevision = first;
      return records.map((record, index): Entry | undefined => {
        const { definition } = encoded[index]!;
        // Those of one text have one revision, so that it is read once for all of them.
        if (definition !== encoded[index - 1]?.definition) definitionRevision = first + index;
        return this.#insertOne(record, first + index, definitionRevision, encoded[index]!);
      });
    });
    this.#lanes.committed();
    for (const entry of answers) {
      // Many a job is long in coming, so that they take only the room that nobody else needs.
      if (entry !== undefined && this.#cache.hasRoom && isImmutable(entry.stored.record)) this.#cache.set(entry.stored.record.id, entry);
    }
    return answers.map((entry) => entry?.stored);
  }

  /** Answers what there is to know of the row. */
  #insertOne(record: JobRecord, revision: number, definitionRevision: number, { version, definition: body, state }: EncodedRow): Entry | undefined {
    const { id, definition } = record;
    const lane = this.#lanes.of(definition);
    const tags = tagsOf(definition);
    const [wakes, leased] = [wakeOf(record), leaseOf(record)];
    const added = this.#insertJob.run(id, revision, lane, wakes, record.state.status, leased, alarmAt(record), definitionRevision, tags.length, state);
    if (added.changes === 0) return undefined;
    const seq = Number(added.lastInsertRowid);
    this.#insertDefinition.run(seq, definition.owner, definition.trigger.kind, definition.name, body);
    for (const tag of tags) this.#insertTag.run(tag, id);
    return { seq, revision, definitionRevision, version, lines: 0, wakeAt: wakes, leaseAt: leased, room: roomOf(state, leased), stored: { record, revision } };
  }

  get(id: string): StoredJob | undefined {
    return this.#connection.readTogether(() => {
      const place = this.#whereIs.get(id) as [seq: number, revision: number] | undefined;
      return place && this.at(place[0], id, place[1]);
    });
  }

  /** The record in a row of which id and revision are known. To be called in a transaction. */
  at(seq: number, id: string, revision: number): StoredJob | undefined {
    const cached = this.#cache.get(id);
    if (cached?.revision === revision) return cached.stored;
    // The definition with it where it is sure to be needed.
    const row = (cached === undefined ? this.#readWhole : this.#readRow).get(seq) as WholeRow | Row | undefined;
    return row && this.#read(row as Row, cached, row[8]);
  }

  /** The record in a row. To be called in the transaction in which it was found. */
  read(row: FoundRow): StoredJob | undefined {
    const cached = this.#cache.get(row[1]);
    if (cached?.revision === row[2]) return cached.stored;
    this.rowsRead += 1;
    if (row[7] !== undefined) return this.#read(row as Row, cached);
    const whole = this.#readRow.get(row[0]) as Row | undefined;
    return whole && this.#read(whole, cached);
  }

  #read(row: Row, cached: Entry | undefined, body?: string | null): StoredJob {
    const [seq, id, revision, wakes, leased, definitionRevision, lines, state] = row;
    const known = cached?.definitionRevision === definitionRevision ? cached : undefined;
    const decoded = this.#decode(seq, id, state, known, definitionRevision, body);
    const stored = { record: decoded.record, revision };
    if (decoded.isWhole) {
      const { version } = decoded;
      this.#cache.set(id, { seq, revision, definitionRevision, version, lines, wakeAt: wakes, leaseAt: leased, room: roomOf(state, leased), stored });
    }
    return stored;
  }

  #decode(seq: number, id: string, stateText: string, known: Entry | undefined, revision: number, body?: string | null): { record: JobRecord; version: unknown; isWhole: boolean } {
    const state = readState(id, stateText);
    if (known !== undefined) {
      const { definition } = known.stored.record;
      const record = this.#codec.decode({ id, definition: { v: known.version }, state }, definition);
      if (record.definition === definition) return { record, version: known.version, isWhole: true };
    }
    const written = this.#definitions.at(revision);
    if (written !== undefined) {
      const record = this.#codec.decode({ id, definition: { v: written.version }, state }, written.definition);
      if (record.definition === written.definition) return { record, version: written.version, isWhole: true };
    }
    const text = body ?? this.#bodyOf(seq);
    const shared = this.#definitions.get(text);
    if (shared !== undefined) {
      const record = this.#codec.decode({ id, definition: { v: shared.version }, state }, shared.definition);
      if (record.definition === shared.definition) {
        this.#definitions.add(text, shared, revision);
        return { record, version: shared.version, isWhole: true };
      }
    }
    const definition = parseObject(text);
    const version = definition['v'];
    const record = this.#codec.decode({ id, definition, state });
    // What could not be read is written back as it was found: the codec knows such a record by its definition, which
    // must then not be combined with another state.
    const isWhole = !this.#codec.isUnreadable(record.definition);
    if (isWhole) this.#definitions.add(text, { definition: record.definition, version }, revision);
    return { record, version, isWhole };
  }

  commit(changes: readonly JobChange[]): (Revision | undefined)[] {
    if (changes.length === 0) return [];
    const drafts = changes.map((change) => this.#draft(change));
    try {
      return this.#commitDrafts(changes, drafts);
    } catch (error) {
      // Nothing was written, so what was claimed for it is free again.
      for (const { entry } of drafts) if (entry !== undefined) this.onWritten(entry.seq);
      throw error;
    }
  }

  #commitDrafts(changes: readonly JobChange[], drafts: readonly Draft[]): (Revision | undefined)[] {
    const answers = changes.map((): number | undefined => undefined);
    /** Whether what is known of a row is what was written. */
    let outcomes: Outcome[] = [];
    let won = 0;
    this.#connection.write(() => {
      const first = this.#lanes.takeRevisions(changes.length);
      outcomes = drafts.map((draft, index) => (draft.change.next === null ? this.#delete(draft) : this.#replace(draft, draft.change.next, first + index, index)));
      for (const index of this.#updates.flush()) outcomes[index] = 'lost';
      for (let index = 0; index < drafts.length; index++) {
        if (outcomes[index] === 'lost') continue;
        for (const line of drafts[index]!.change.ledger) this.#ledger.append(line);
        answers[index] = first + index;
        won += 1;
      }
      this.#ledger.flush();
      // To lose everything, as happens when several processes claim the same, shall cost no write.
      return won === 0 ? UNDO : undefined;
    });
    this.#lanes.committed();
    if (won < changes.length) this.onLost();
    for (let index = 0; index < drafts.length; index++) {
      const draft = drafts[index]!;
      const { change, entry } = draft;
      if (entry !== undefined) this.onWritten(entry.seq);
      const revision = answers[index];
      if (revision === undefined) continue;
      const isKnown = outcomes[index] === 'known';
      if (entry !== undefined && change.next !== null && isKnown) keepUp(entry, draft, change.next, revision);
      else this.#cache.delete(change.id);
      if (change.ledger.length > 0) this.#ledger.grown(change.id, isKnown && entry !== undefined ? entry.lines : Number.POSITIVE_INFINITY);
    }
    return answers;
  }

  /** A transaction was undone, and with it what waits to be written. */
  undone(): void {
    this.#updates.undone();
  }

  #draft(change: JobChange): Draft {
    const { id, expected, next } = change;
    const cached = this.#cache.get(id);
    const entry = cached?.revision === expected ? cached : undefined;
    if (next === null) return { change, entry, state: '', wakeAt: null, leaseAt: null, alarmAt: null, definition: null };
    const isSame = entry?.stored.record.definition === next.definition;
    const leased = leaseOf(next);
    return {
      change,
      entry,
      state: this.#stateText(next, leased, entry?.room ?? this.#room),
      wakeAt: wakeOf(next),
      leaseAt: leased,
      alarmAt: alarmAt(next),
      definition: isSame ? null : JSON.stringify(this.#codec.encodeDefinition(next)),
    };
  }

  #stateText(record: JobRecord, leased: number | null, given: number): string {
    const room = given > LONGEST_ROOM ? this.#room : given;
    return writeState(record.id, this.#codec.encodeState(record), leased === null ? room : room - LEASE_BYTES);
  }

  /** @param place - by which `#updates` tells whether somebody else was first. */
  #replace(draft: Draft, next: JobRecord, revision: number, place: number): Outcome {
    const { entry, state, definition, change, wakeAt, leaseAt } = draft;
    const lines = change.ledger.length;
    if (entry === undefined || definition !== null) return this.#replaceWhole(draft, next, revision, place, definition ?? '');
    const { status } = next.state;
    const mask =
      (wakeAt === entry.wakeAt ? 0 : WAKE) | (leaseAt === entry.leaseAt ? 0 : LEASE) |
      (status === entry.stored.record.state.status ? 0 : STATUS) | (next.definition.policy.expect == null ? 0 : ALARM);
    this.#updates.add(place, { mask, seq: entry.seq, expected: entry.revision, revision, lines, state, wakeAt, leaseAt, status, alarmAt: draft.alarmAt });
    // The arguments of a run that somebody asked for by name are that caller's objects.
    const { runs } = next.state;
    const isOwn = runs.length === 0 || (runs.length === 1 ? runs[0]!.args === null : runs.every(({ args }) => args === null));
    return isOwn ? 'known' : 'written';
  }

  #replaceWhole(draft: Draft, next: JobRecord, revision: number, place: number, body: string): Outcome {
    const { id, expected } = draft.change;
    const { state, wakeAt, leaseAt, alarmAt } = draft;
    const { status } = next.state;
    const lines = draft.change.ledger.length;
    const found = this.#atRevision.get(id, expected) as Place | undefined;
    if (found === undefined) return 'lost';
    const [seq] = found;
    const stored = parseObject(this.#bodyOf(seq));
    if (JSON.stringify(stored) === body) {
      // Also what cannot be read, and is to keep its place: it may be read by another release, or be mended.
      this.#updates.add(place, { mask: ALL, seq, expected: Number(expected), revision, lines, state, wakeAt, leaseAt, status, alarmAt });
      return 'written';
    }
    const before = tagsIn(stored);
    const { definition } = next;
    const after = tagsOf(definition);
    const lane = this.#lanes.of(definition);
    this.#updateWhole.run(revision, lines, state, wakeAt, leaseAt, status satisfies JobStatus, alarmAt, lane, revision, after.length, seq, expected);
    this.#updateDefinition.run(definition.owner, definition.trigger.kind, definition.name, body, seq);
    for (const tag of before) if (!after.includes(tag)) this.#deleteTag.run(tag, id);
    for (const tag of after) if (!before.includes(tag)) this.#insertTag.run(tag, id);
    return 'written';
  }

  #delete({ change: { id, expected } }: Draft): Outcome {
    const place = this.#atRevision.get(id, expected) as Place | undefined;
    if (place === undefined) return 'lost';
    const [seq, tagCount] = place;
    if (tagCount > 0) for (const tag of tagsIn(parseObject(this.#bodyOf(seq)))) this.#deleteTag.run(tag, id);
    this.#deleteJob.run(seq, expected);
    this.#deleteDefinition.run(seq);
    return 'written';
  }

  #bodyOf(seq: number): string {
    return (this.#readDefinition.get(seq) as [string] | undefined)?.[0] ?? '';
  }
}

/** What was written is what is known. */
function keepUp(entry: Entry, { change, state, wakeAt, leaseAt }: Draft, next: JobRecord, revision: number): void {
  entry.revision = revision;
  entry.lines += change.ledger.length;
  entry.wakeAt = wakeAt;
  entry.leaseAt = leaseAt;
  entry.room = roomOf(state, leaseAt);
  entry.stored = { record: next, revision };
}

/** Whether nobody can change what the record holds: arguments and metadata are otherwise the caller's own objects. */
function isImmutable({ definition, state }: JobRecord): boolean {
  return state.runs.length === 0 && hasImmutableValues(definition);
}

/** When the row is due but for its leases. The index has whole milliseconds; a part of one rather comes late, so that what is claimed is due. */
function wakeOf(record: JobRecord): number | null {
  const at = beginAt(record);
  return at === null ? null : Math.ceil(at);
}

/** The column that says when the first lease ends: infinite where none does, `null` where no run goes on. */
function leaseOf({ state: { runs } }: JobRecord): number | null {
  if (runs.length === 0) return null;
  const at = leaseEnd(runs);
  if (at !== null) return Math.ceil(at);
  return runningCount(runs) > 0 ? Number.POSITIVE_INFINITY : null;
}

/** Length that a state has with its blanks; what the lease needs in the row is left out of them. */
function roomOf(state: string, leased: number | null): number {
  return leased === null ? state.length : state.length + LEASE_BYTES;
}

/** The tags in a definition as it is stored. */
function tagsIn({ tags }: JsonObject): string[] {
  return Array.isArray(tags) ? onlyTexts(tags) : [];
}

function tagsOf({ tags }: JobDefinition): readonly string[] {
  return tags.length === 0 ? tags : onlyTexts(tags);
}

function onlyTexts(tags: readonly unknown[]): string[] {
  return [...new Set(tags)].filter((tag) => typeof tag === 'string');
}

/** SQLite keeps text as UTF-8, where half of a surrogate pair has no place: two ids would become one. */
function requireWellFormed({ id }: JobRecord): void {
  if (!/\p{Surrogate}/u.test(id)) return;
  throw new JobUnstorableError(`The job id ${JSON.stringify(id)} cannot be stored: it has half of a surrogate pair, which is no character.`);
}
