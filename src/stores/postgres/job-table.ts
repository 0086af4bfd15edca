import { alarmAt } from '../../model/alarm.js';
import { runningCount, wakeAt, type JobDefinition, type JobRecord } from '../../model/job.js';
import type { JobCodec, JsonObject } from '../../ports/job-codec.js';
import type { JobChange, Revision, StoredJob } from '../../ports/job-store.js';
import { parseObject } from '../../serializers/parse-object.js';
import { DefinitionCache } from '../shared/definition-cache.js';
import { SharedDefinitions, type ReadDefinition } from '../shared/shared-definitions.js';
import { readState, writeState } from '../shared/state-text.js';
import { Columns } from './columns.js';
import { directSql, INSERT, STATES_PARAMETERS, WHOLE_PARAMETERS, statesSql, wholeSql, type GoneNames, type Locking, type StateNames } from './commit-sql.js';
import type { Database, Row, Run } from './database.js';
import { PostgresStoreError, fieldsOf } from './errors.js';
import type { PostgresLedger } from './postgres-ledger.js';
import { requireKey, storable } from './texts.js';

const CACHED_DEFINITIONS = 10_000;
/** PostgreSQL, "Error Codes". */
const LOCK_NOT_AVAILABLE = '55P03';

/** Columns of a record, in the order in which `read` takes them, and the tables they come from. */
export const RECORD = 'j.id, j.revision, j.definition, j.state, d.body';
export const RECORDS = '{jobs} j JOIN {definitions} d ON d.id = j.id';

/** Which definitions come along: none, one of each text, or all, where those of one text are kept for each job. */
export type Bodies = 'none' | 'firsts' | 'all';

/** What of a row comes from the definition. */
interface DefinitionColumns {
  readonly body: string;
  readonly lane: string;
  readonly executor: string;
  readonly task: string;
  readonly task_version: number;
  readonly priority: number;
  readonly owner: string | null;
  readonly trigger_kind: string;
  readonly tags: readonly string[];
  readonly name: string | null;
}

interface StateColumns {
  readonly state: string | null;
  readonly wake_at: number | null;
  readonly status: string | null;
  readonly running: number | null;
  readonly alarm_at: number | null;
}
/** Of a job that goes. */
const NO_STATE: StateColumns = { state: null, wake_at: null, status: null, running: null, alarm_at: null };

/** A change that leaves the definition alone, or deletes the job. */
interface StateChange {
  readonly i: number;
  readonly change: JobChange;
  /** Revision of the definition that it is written for. */
  readonly known: number | null;
  readonly columns: StateColumns;
}

/**
 * How long rows that others have locked are waited for, once the rest of the batch is written. A claim or a commit takes
 * less; a transaction of the user's may take as long as it likes, and must not hold up the runs of other jobs.
 */
const WAIT_FOR_LOCKED = 'SET LOCAL lock_timeout = 250; ';
/** How long a batch is held up by a row that somebody has locked, before the others are written without it. */
const PASS_BY_LOCKED = 'SET LOCAL lock_timeout = 50; ';
/** A batch is looked up by its ids. Of a table of some thousand jobs the planner would rather read all. */
const BY_INDEX = 'SET LOCAL enable_seqscan = off; ';

/** The records, and the revisions that decide who may write them. */
export class JobTable {
  readonly #database: Database;
  readonly #codec: JobCodec;
  readonly #ledger: PostgresLedger;
  readonly #known = new DefinitionCache(CACHED_DEFINITIONS);
  /** The text of definitions that could not be read: they are written back as they were found. */
  readonly #unreadable = new WeakMap<JsonObject, string>();
  readonly #shared = new SharedDefinitions();
  readonly #run: Run = (text, values) => this.#database.query(text, values);
  readonly #runByIndex: Run = (text, values) => this.#database.query(text, values, BY_INDEX);
  /** What of the definitions of jobs that are claimed is likely not to be known here, as of those that were read last. */
  expects: Bodies = 'firsts';
  /** Told after each write that changed something. */
  onWritten: () => void = () => undefined;

  constructor(database: Database, codec: JobCodec, ledger: PostgresLedger) {
    this.#database = database;
    this.#codec = codec;
    this.#ledger = ledger;
  }

  async insert(records: readonly JobRecord[]): Promise<(StoredJob | undefined)[]> {
    const answers = await this.insertWith(this.#run, records);
    if (answers.some((stored) => stored !== undefined)) this.onWritten();
    return answers;
  }

  async insertWith(run: Run, records: readonly JobRecord[]): Promise<(StoredJob | undefined)[]> {
    if (records.length === 0) return [];
    const firsts = new Map<string, number>();
    const rows = records.map((record, i) => {
      requireKey(record.id, 'job id');
      const columns = this.#definitionColumns(record);
      const same = firsts.get(columns.body) ?? i;
      if (same === i) firsts.set(columns.body, i);
      return { i, same, id: record.id, ...this.#stateColumns(record), ...columns };
    });
    const added = new Map<string, number>();
    for (const [id, revision] of await run(INSERT, [JSON.stringify(rows)])) added.set(id!, Number(revision));
    return records.map((record) => {
      const revision = added.get(record.id);
      // Of one id given twice, the first was added.
      return added.delete(record.id) ? { record, revision: revision! } : undefined;
    });
  }

  async get(id: string, run: Run = this.#run): Promise<StoredJob | undefined> {
    const [row] = await run(`SELECT ${RECORD} FROM ${RECORDS} WHERE j.id = $1`, [storable(id)]);
    // What is no text of PostgreSQL's is nobody's id, and not that of the job it would be made into.
    return row?.[0] === id ? this.read(row) : undefined;
  }

  /** The record in a row that begins with the columns `RECORD`. */
  read([id, revision, definitionRevision, stateText, body]: Row): StoredJob {
    const state = readState(id!, stateText!);
    const record = this.#fromKnown(id!, Number(definitionRevision), state) ?? this.#decode(id!, Number(definitionRevision), state, body!);
    return { record, revision: Number(revision) };
  }

  /** Records of which the rows may be without a body: it is fetched where it is not known. */
  async readAll(rows: readonly Row[]): Promise<StoredJob[]> {
    const answers: (StoredJob | undefined)[] = new Array<undefined>(rows.length).fill(undefined);
    const revisions = new Set<string>();
    const unknown = new Set<string>();
    let repeated = 0;
    const read = (place: number, body: string | null): void => {
      const [id, revision, definitionRevision, stateText] = rows[place]!;
      const state = readState(id!, stateText!);
      let record = this.#fromKnown(id!, Number(definitionRevision), state);
      if (record === undefined && body !== null) {
        if (unknown.has(definitionRevision!)) repeated += 1;
        unknown.add(definitionRevision!);
        record = this.#decode(id!, Number(definitionRevision), state, body);
      }
      if (record !== undefined) answers[place] = { record, revision: Number(revision) };
    };
    // A text may be that of others, which are read by it.
    rows.forEach(([, , definition, , body], place) => {
      revisions.add(definition!);
      if (typeof body === 'string') read(place, body);
    });
    for (let place = 0; place < rows.length; place++) if (answers[place] === undefined) read(place, null);
    for (const firsts of [true, false]) {
      const missing = new Map<string, number>();
      const asked = new Set<string>();
      rows.forEach(([id, , definition], place) => {
        if (answers[place] !== undefined || (firsts && asked.has(definition!))) return;
        asked.add(definition!);
        missing.set(id!, place);
      });
      if (missing.size === 0) break;
      const found = await this.#runByIndex(`SELECT ${RECORD} FROM ${RECORDS} WHERE j.id = ANY ($1::text[])`, [[...missing.keys()]]);
      for (const [id, revision, , , body] of found) {
        const place = missing.get(id!)!;
        // One that was changed or is gone since is not to be had.
        if (revision === rows[place]![1]) read(place, body!);
      }
      for (let place = 0; firsts && place < rows.length; place++) if (answers[place] === undefined) read(place, null);
    }
    if (rows.length > 0) this.expects = repeated * 2 > rows.length ? 'all' : unknown.size * 8 >= revisions.size || revisions.size * 16 <= rows.length ? 'firsts' : 'none';
    return answers.filter((stored) => stored !== undefined);
  }

  #fromKnown(id: string, revision: number, state: JsonObject): JobRecord | undefined {
    const known = this.#known.get(id);
    if (known?.revision === revision) return this.#combine(id, state, known);
    const shared = this.#shared.at(revision);
    const record = shared && this.#combine(id, state, shared);
    if (record !== undefined) this.#known.set(id, { ...shared!, revision });
    return record;
  }

  #combine(id: string, state: JsonObject, { version, definition }: ReadDefinition): JobRecord | undefined {
    const record = this.#codec.decode({ id, definition: { v: version }, state }, definition);
    return record.definition === definition ? record : undefined;
  }

  #decode(id: string, revision: number, state: JsonObject, body: string): JobRecord {
    const shared = this.#shared.get(body);
    const same = shared && this.#combine(id, state, shared);
    if (shared !== undefined && same !== undefined) {
      this.#known.set(id, { ...shared, revision });
      this.#shared.add(body, shared, revision);
      return same;
    }
    const definition = parseObject(body);
    const record = this.#codec.decode({ id, definition, state });
    // The codec knows a record it could not read by its definition, which must then not be combined with another state.
    if (this.#codec.isUnreadable(record.definition)) this.#unreadable.set(this.#codec.encodeDefinition(record), body);
    else {
      const read = { version: definition['v'], definition: record.definition };
      this.#known.set(id, { ...read, revision });
      this.#shared.add(body, read, revision);
    }
    return record;
  }

  async commit(changes: readonly JobChange[]): Promise<(Revision | undefined)[]> {
    const answers = changes.map((): Revision | undefined => undefined);
    const isDone = await this.#writeDirectly(changes, answers);
    let locked = isDone ? [] : await this.#write(this.#runByIndex, 'passing', changes, changes.map((_, i) => i), answers);
    if (locked.length > 0) {
      try {
        locked = await this.#write((text, values) => this.#database.query(text, values, BY_INDEX + WAIT_FOR_LOCKED), 'waiting', changes, locked, answers);
      } catch (error) {
        if (!isAboutLocks(error)) throw error;
        // Those that were only in bad company. The others have to be asked for again.
        await this.#write(this.#runByIndex, 'passing', changes, locked, answers);
      }
    }
    if (answers.some((revision) => revision !== undefined)) this.onWritten();
    return answers;
  }

  /** What nearly all batches are: new states and deletes, of jobs that nobody else has locked. Answers whether it was one. */
  async #writeDirectly(changes: readonly JobChange[], answers: (Revision | undefined)[]): Promise<boolean> {
    const known: number[] = [];
    const states: StateColumns[] = [];
    /** Places of the changes. */
    const kept: number[] = [];
    const gone: number[] = [];
    for (let i = 0; i < changes.length; i++) {
      const { id, next } = changes[i]!;
      if (next === null) {
        gone.push(i);
        continue;
      }
      const definition = this.#known.get(id);
      if (definition?.definition !== next.definition) return false;
      known.push(definition.revision);
      states.push(this.#stateColumns(next));
      kept.push(i);
    }
    if (changes.length === 0) return true;
    // As the statement counts them.
    const order = gone.length === 0 ? kept : [...kept, ...gone];
    const { columns, names } = statesOf(kept.map((i) => changes[i]!), known, states);
    const { columns: columnsGone, names: namesGone } = goneOf(gone.map((i) => changes[i]!), columns.values.length);
    const values = [...columns.values, ...columnsGone.values];
    const ledger = this.#ledger.append(order.map((place, i) => ({ i, entries: changes[place]!.ledger })), values.length);
    const sql = directSql({ states: names, stateCount: kept.length, gone: namesGone, goneCount: gone.length, pruneAbove: this.#ledger.pruneAbove, ledger: ledger.sql });
    let rows: Row[];
    try {
      rows = await this.#database.query(sql, [...values, ...ledger.values], BY_INDEX + PASS_BY_LOCKED);
    } catch (error) {
      if (isAboutLocks(error)) return false;
      throw error;
    }
    for (const [text, won, grown] of rows) {
      const revision = Number(text);
      if (won === null) answers.fill(revision);
      else for (const i of won!.split(',')) answers[order[Number(i)]!] = revision;
      for (const line of grown?.split(',') ?? []) {
        const [i, lines] = line.split(' ');
        this.#ledger.grown(changes[order[Number(i)]!]!.id, Number(lines));
      }
    }
    for (const i of gone) if (answers[i] !== undefined) this.#forget(changes[i]!);
    return true;
  }

  /** What was written is no more. How long its history is nobody counts any longer. */
  #forget({ id, ledger }: JobChange): void {
    this.#known.delete(id);
    if (ledger.length > 0) this.#ledger.grown(id, Number.POSITIVE_INFINITY);
  }

  /** Waits for what others have locked. */
  async commitWith(run: Run, changes: readonly JobChange[]): Promise<(Revision | undefined)[]> {
    const answers = changes.map((): Revision | undefined => undefined);
    await this.#write(run, 'waiting', changes, changes.map((_, i) => i), answers);
    return answers;
  }

  /** Writes the changes at these places, and notes the new revisions. Answers the places of those that others have locked. */
  async #write(run: Run, locking: Locking, changes: readonly JobChange[], places: readonly number[], answers: (Revision | undefined)[]): Promise<number[]> {
    const states: StateChange[] = [];
    const whole: object[] = [];
    for (const i of places) {
      const change = changes[i]!;
      const { id, next } = change;
      const known = next === null ? undefined : this.#known.get(id);
      if (next === null) states.push({ i, change, known: null, columns: NO_STATE });
      else if (known?.definition === next.definition) states.push({ i, change, known: known.revision, columns: this.#stateColumns(next) });
      else whole.push({ i, id: storable(id), expected: Number(change.expected), lines: change.ledger.length, ...this.#stateColumns(next), ...this.#definitionColumns(next) });
    }
    const rows: Row[] = [];
    if (states.length > 0) rows.push(...(await this.#writeStates(run, locking, states)));
    if (whole.length > 0) {
      const given = new Set(states.map(({ i }) => i));
      const lines = places.filter((i) => !given.has(i)).map((i) => ({ i, entries: changes[i]!.ledger }));
      const ledger = this.#ledger.append(lines, WHOLE_PARAMETERS);
      rows.push(...(await run(wholeSql(ledger.sql, locking), [JSON.stringify(whole), ...ledger.values])));
    }
    return this.#note(rows, changes, answers);
  }

  async #writeStates(run: Run, locking: Locking, states: readonly StateChange[]): Promise<Row[]> {
    const ledger = this.#ledger.append(states.map(({ i, change }) => ({ i, entries: change.ledger })), STATES_PARAMETERS);
    const gone = states.filter(({ change }) => change.next === null).length;
    const sql = statesSql({ updates: gone < states.length, deletes: gone > 0, ledger: ledger.sql, locking });
    return run(sql, [
      states.map(({ i }) => i),
      states.map(({ change }) => storable(change.id)),
      states.map(({ change }) => Number(change.expected)),
      states.map(({ known }) => known),
      states.map(({ change }) => change.ledger.length),
      states.map(({ columns }) => columns.state),
      states.map(({ columns }) => columns.wake_at),
      states.map(({ columns }) => columns.status),
      states.map(({ columns }) => columns.running),
      states.map(({ columns }) => columns.alarm_at),
      ...ledger.values,
    ]);
  }

  /** Answers the places of the changes that others have locked. */
  #note(rows: readonly Row[], changes: readonly JobChange[], answers: (Revision | undefined)[]): number[] {
    const locked: number[] = [];
    for (const [i, revision, count] of rows) {
      const index = Number(i);
      if (revision === null) {
        locked.push(index);
        continue;
      }
      const { id, ledger, next } = changes[index]!;
      answers[index] = Number(revision);
      if (next === null) this.#forget(changes[index]!);
      else if (ledger.length > 0) this.#ledger.grown(id, Number(count));
    }
    return locked;
  }

  #stateColumns(record: JobRecord): StateColumns {
    const { status, runs } = record.state;
    const at = wakeAt(record);
    return { state: writeState(record.id, this.#codec.encodeState(record)), wake_at: at, status, running: runningCount(runs), alarm_at: alarmAt(record) };
  }

  #definitionColumns(record: JobRecord): DefinitionColumns {
    const encoded = this.#codec.encodeDefinition(record);
    const found = this.#unreadable.get(encoded);
    const { task, taskVersion, owner, trigger, name, tags, policy } = record.definition;
    const kept = onlyTexts(tags);
    if (found === undefined) {
      requireKey(task, 'task');
      requireKey(policy.executor, 'executor');
      if (owner !== null) requireKey(owner, 'owner');
      for (const tag of kept) requireKey(tag, 'tag');
    }
    return {
      body: found ?? JSON.stringify(encoded),
      lane: laneOf(record.definition),
      executor: storable(policy.executor),
      task: storable(task),
      task_version: taskVersion,
      priority: policy.priority,
      owner: owner === null ? null : storable(owner),
      trigger_kind: storable(trigger.kind),
      tags: kept.map(storable),
      name: name === null ? null : storable(name),
    };
  }
}

/** New states as columns, and what the statement calls them. */
function statesOf(changes: readonly JobChange[], known: readonly number[], states: readonly StateColumns[]): { columns: Columns; names: StateNames | undefined } {
  const columns = new Columns('c');
  if (changes.length === 0) return { columns, names: undefined };
  const names = {
    id: columns.add('id', 'text', changes.map(({ id }) => storable(id)), true),
    expected: columns.add('expected', 'bigint', changes.map(({ expected }) => Number(expected))),
    known: columns.add('known', 'bigint', known),
    lines: columns.add('lines', 'int', changes.map(({ ledger }) => ledger.length)),
    state: columns.add('state', 'text', states.map(({ state }) => state)),
    wake_at: columns.add('wake_at', 'float8', states.map(({ wake_at: at }) => at)),
    status: columns.add('status', 'text', states.map(({ status }) => status)),
    running: columns.add('running', 'int', states.map(({ running }) => running)),
    alarm_at: columns.add('alarm_at', 'float8', states.map(({ alarm_at: at }) => at)),
  };
  return { columns, names: { ...names, rows: columns.rows } };
}

/** Deletes, the same, after so many parameters. */
function goneOf(changes: readonly JobChange[], parameters: number): { columns: Columns; names: GoneNames | undefined } {
  const columns = new Columns('g', parameters);
  if (changes.length === 0) return { columns, names: undefined };
  const names = {
    id: columns.add('id', 'text', changes.map(({ id }) => storable(id)), true),
    expected: columns.add('expected', 'bigint', changes.map(({ expected }) => Number(expected))),
  };
  return { columns, names: { ...names, rows: columns.rows } };
}

/** The same for jobs that the same nodes can serve, and that are equally urgent. */
function laneOf({ task, taskVersion, policy: { executor, priority } }: JobDefinition): string {
  return storable(`${priority} ${taskVersion} ${executor.length} ${executor}${task}`);
}

function isAboutLocks(error: unknown): boolean {
  return error instanceof PostgresStoreError && fieldsOf(error.cause).code === LOCK_NOT_AVAILABLE;
}

function onlyTexts(tags: readonly unknown[]): string[] {
  return [...new Set(tags)].filter((tag) => typeof tag === 'string');
}
