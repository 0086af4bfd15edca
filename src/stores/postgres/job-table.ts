import { runningCount, wakeAt, type JobDefinition, type JobRecord } from '../../model/job.js';
import type { JobCodec, JsonObject } from '../../ports/job-codec.js';
import type { JobChange, Revision, StoredJob } from '../../ports/job-store.js';
import { parseObject } from '../../serializers/parse-object.js';
import { DefinitionCache, type KnownDefinition } from '../shared/definition-cache.js';
import type { Database, Row, Run } from './database.js';
import { PostgresStoreError, fieldsOf } from './errors.js';
import type { PostgresLedger } from './postgres-ledger.js';
import { requireKey, storable } from './texts.js';

const CACHED_DEFINITIONS = 10_000;
/** PostgreSQL, "Error Codes". */
const LOCK_NOT_AVAILABLE = '55P03';

/** Columns of a record, in the order in which `read` takes them. */
export const RECORD = 'id, revision, definition, state, body';

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
  readonly state: string;
  readonly wake_at: number | null;
  readonly status: string;
  readonly running: number;
}

const DEFINITION_COLUMNS =
  'body text, lane text, executor text, task text, task_version float8, priority float8, owner text, trigger_kind text, tags text[], name text';
const STATE_COLUMNS = 'state text, wake_at float8, status text, running int';

const INSERT = `
  WITH given AS (
    SELECT r.*, nextval('{revisions}') AS revision
    FROM json_to_recordset($1::json) AS r (i int, id text, ${STATE_COLUMNS}, ${DEFINITION_COLUMNS})
    ORDER BY r.id COLLATE "C", r.i
  )
  INSERT INTO {jobs} (id, revision, definition, state, wake_at, status, running, body, lane, executor, task, task_version, priority, owner, trigger_kind, tags, name)
  SELECT id, revision, revision, state, wake_at, status, running, body, lane, executor, task, task_version, priority, owner, trigger_kind, tags, name
  FROM given
  ON CONFLICT (id) DO NOTHING
  RETURNING id, revision`;

/**
 * How long rows that others have locked are waited for, once the rest of the batch is written. A claim or a commit takes
 * less; a transaction of the user's may take as long as it likes, and must not hold up the runs of other jobs.
 */
const WAIT_FOR_LOCKED = `SET LOCAL lock_timeout = 250; `;

/**
 * All changes of a batch at once. Rows are locked in the order of their ids, so that no two batches wait for each other
 * in a circle. With `SKIP LOCKED`, those that others have locked come back without a revision. A definition that is not sent must be the one that is stored; one that is the same text leaves its columns
 * alone: somebody may have written it who could not read it.
 */
const commitSql = (ledger: string, locking: '' | 'SKIP LOCKED'): string => `
  WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json)
      AS c (i int, id text, expected bigint, known bigint, gone boolean, lines int, ${STATE_COLUMNS}, ${DEFINITION_COLUMNS})
  ), held AS MATERIALIZED (
    SELECT j.id, c.i FROM {jobs} j JOIN given c ON c.id = j.id
    WHERE j.revision = c.expected AND (c.gone OR c.body IS NOT NULL OR j.definition = c.known)
    ORDER BY j.id FOR UPDATE OF j ${locking}
  ), updated AS (
    UPDATE {jobs} j SET
      revision = n.revision, claimed_until = NULL, lines = j.lines + c.lines,
      state = c.state, wake_at = c.wake_at, status = c.status, running = c.running,
      definition = CASE WHEN c.body <> j.body THEN n.revision ELSE j.definition END,
      body = CASE WHEN c.body <> j.body THEN c.body ELSE j.body END,
      lane = CASE WHEN c.body <> j.body THEN c.lane ELSE j.lane END,
      executor = CASE WHEN c.body <> j.body THEN c.executor ELSE j.executor END,
      task = CASE WHEN c.body <> j.body THEN c.task ELSE j.task END,
      task_version = CASE WHEN c.body <> j.body THEN c.task_version ELSE j.task_version END,
      priority = CASE WHEN c.body <> j.body THEN c.priority ELSE j.priority END,
      owner = CASE WHEN c.body <> j.body THEN c.owner ELSE j.owner END,
      trigger_kind = CASE WHEN c.body <> j.body THEN c.trigger_kind ELSE j.trigger_kind END,
      tags = CASE WHEN c.body <> j.body THEN c.tags ELSE j.tags END,
      name = CASE WHEN c.body <> j.body THEN c.name ELSE j.name END
    FROM given c JOIN held h ON h.i = c.i CROSS JOIN LATERAL (SELECT nextval('{revisions}') AS revision WHERE c.i IS NOT NULL) n
    WHERE j.id = c.id AND j.revision = c.expected AND NOT c.gone
    RETURNING c.i, j.revision, j.lines
  ), deleted AS (
    DELETE FROM {jobs} j USING given c JOIN held h ON h.i = c.i
    WHERE j.id = c.id AND j.revision = c.expected AND c.gone
    RETURNING c.i, nextval('{revisions}') AS revision, NULL::bigint AS lines
  ), won AS (
    SELECT * FROM updated UNION ALL SELECT * FROM deleted
  )${ledger}
  SELECT i, revision, lines FROM won${
    locking === ''
      ? ''
      : `
  UNION ALL SELECT c.i, NULL, NULL FROM given c JOIN {jobs} j ON j.id = c.id WHERE j.revision = c.expected AND NOT EXISTS (SELECT 1 FROM held h WHERE h.i = c.i)`
  }`;

/** The statements of a commit: passing over what others have locked, or waiting for it. */
interface CommitSql {
  readonly passing: string;
  readonly waiting: string;
}

/** The records, and the revisions that decide who may write them. */
export class JobTable {
  readonly #database: Database;
  readonly #codec: JobCodec;
  readonly #ledger: PostgresLedger;
  readonly #known = new DefinitionCache(CACHED_DEFINITIONS);
  /** The text of definitions that could not be read: they are written back as they were found. */
  readonly #unreadable = new WeakMap<JsonObject, string>();
  readonly #commit: CommitSql;
  readonly #commitWithLedger: CommitSql;
  readonly #run: Run = (text, values) => this.#database.query(text, values);
  /** Told after each write that changed something. */
  onWritten: () => void = () => undefined;

  constructor(database: Database, codec: JobCodec, ledger: PostgresLedger) {
    this.#database = database;
    this.#codec = codec;
    this.#ledger = ledger;
    const both = (lines: string): CommitSql => ({ passing: commitSql(lines, 'SKIP LOCKED'), waiting: commitSql(lines, '') });
    this.#commit = both('');
    this.#commitWithLedger = both(ledger.appendSql);
  }

  async insert(records: readonly JobRecord[]): Promise<(StoredJob | undefined)[]> {
    const answers = await this.insertWith(this.#run, records);
    if (answers.some((stored) => stored !== undefined)) this.onWritten();
    return answers;
  }

  async insertWith(run: Run, records: readonly JobRecord[]): Promise<(StoredJob | undefined)[]> {
    if (records.length === 0) return [];
    const rows = records.map((record, i) => {
      requireKey(record.id, 'job id');
      return { i, id: record.id, ...this.#stateColumns(record), ...this.#definitionColumns(record) };
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
    const [row] = await run(`SELECT ${RECORD} FROM {jobs} WHERE id = $1`, [storable(id)]);
    // What is no text of PostgreSQL's is nobody's id, and not that of the job it would be made into.
    return row?.[0] === id ? this.read(row) : undefined;
  }

  /** The record in a row that begins with the columns `RECORD`. */
  read([id, revision, definitionRevision, stateText, body]: Row): StoredJob {
    const record = this.#decode(id!, Number(definitionRevision), stateText!, body!);
    return { record, revision: Number(revision) };
  }

  #decode(id: string, revision: number, stateText: string, body: string): JobRecord {
    const state = parseObject(stateText);
    const known = this.#known.get(id);
    if (known?.revision === revision) {
      const record = this.#codec.decode({ id, definition: { v: known.version }, state }, known.definition);
      if (record.definition === known.definition) return record;
    }
    const definition = parseObject(body);
    const record = this.#codec.decode({ id, definition, state });
    // The codec knows a record it could not read by its definition, which must then not be combined with another state.
    if (this.#codec.isUnreadable(record.definition)) this.#unreadable.set(this.#codec.encodeDefinition(record), body);
    else this.#known.set(id, { revision, version: definition['v'], definition: record.definition });
    return record;
  }

  async commit(changes: readonly JobChange[]): Promise<(Revision | undefined)[]> {
    const answers = changes.map((): Revision | undefined => undefined);
    let locked = await this.#write(this.#run, 'passing', changes, changes.map((_, i) => i), answers);
    if (locked.length > 0) {
      try {
        locked = await this.#write((text, values) => this.#database.query(text, values, WAIT_FOR_LOCKED), 'waiting', changes, locked, answers);
      } catch (error) {
        if (!(error instanceof PostgresStoreError) || fieldsOf(error.cause).code !== LOCK_NOT_AVAILABLE) throw error;
        // Those that were only in bad company. The others have to be asked for again.
        await this.#write(this.#run, 'passing', changes, locked, answers);
      }
    }
    if (answers.some((revision) => revision !== undefined)) this.onWritten();
    return answers;
  }

  /** Waits for what others have locked. */
  async commitWith(run: Run, changes: readonly JobChange[]): Promise<(Revision | undefined)[]> {
    const answers = changes.map((): Revision | undefined => undefined);
    await this.#write(run, 'waiting', changes, changes.map((_, i) => i), answers);
    return answers;
  }

  /** Writes the changes at these places, and notes the new revisions. Answers the places of those that others have locked. */
  async #write(run: Run, mode: keyof CommitSql, changes: readonly JobChange[], places: readonly number[], answers: (Revision | undefined)[]): Promise<number[]> {
    if (places.length === 0) return [];
    const given = places.map((i) => this.#draft(changes[i]!, i));
    const lines = places.flatMap((i) => changes[i]!.ledger.map((entry) => this.#ledger.columns(entry, i)));
    const rows =
      lines.length === 0
        ? await run(this.#commit[mode], [JSON.stringify(given)])
        : await run(this.#commitWithLedger[mode], [JSON.stringify(given), JSON.stringify(lines.map((line, n) => ({ ...line, n })))]);
    const locked: number[] = [];
    for (const [i, revision, count] of rows) {
      const index = Number(i);
      if (revision === null) {
        locked.push(index);
        continue;
      }
      const { id, ledger, next } = changes[index]!;
      answers[index] = Number(revision);
      if (next === null) this.#known.delete(id);
      if (ledger.length > 0) this.#ledger.grown(id, count === null ? Number.POSITIVE_INFINITY : Number(count));
    }
    return locked;
  }

  #draft({ id, expected, next, ledger }: JobChange, i: number): object {
    const change = { i, id: storable(id), expected: Number(expected), lines: ledger.length };
    if (next === null) return { ...change, gone: true };
    const known: KnownDefinition | undefined = this.#known.get(id);
    const definition = known?.definition === next.definition ? { known: known.revision } : this.#definitionColumns(next);
    return { ...change, gone: false, ...this.#stateColumns(next), ...definition };
  }

  #stateColumns(record: JobRecord): StateColumns {
    const { status, runs } = record.state;
    const at = wakeAt(record);
    return { state: JSON.stringify(this.#codec.encodeState(record)), wake_at: at, status, running: runningCount(runs) };
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

/** The same for jobs that the same nodes can serve, and that are equally urgent. */
function laneOf({ task, taskVersion, policy: { executor, priority } }: JobDefinition): string {
  return storable(`${priority} ${taskVersion} ${executor.length} ${executor}${task}`);
}

function onlyTexts(tags: readonly unknown[]): string[] {
  return [...new Set(tags)].filter((tag) => typeof tag === 'string');
}
