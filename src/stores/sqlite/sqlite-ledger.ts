import { InvalidOptionError } from '../../errors/errors.js';
import type { LedgerEntry, LedgerQuery, StoredResult, Verdict } from '../../model/ledger.js';
import type { ErrorInfo } from '../../model/run.js';
import type { Ledger, LedgerPage, LedgerPageRequest } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';

const COLUMNS =
  'job_id, run_id, verdict, reason, scheduled_for, scheduled_to, count, exact, manual, generation, attempt, started_at, at, node, result_expires_at, error, result';

type Row = [
  seq: number,
  jobId: string,
  runId: string | null,
  verdict: Verdict,
  reason: string | null,
  scheduledFor: number,
  scheduledTo: number,
  count: number,
  exact: number,
  manual: number,
  generation: number,
  attempt: number,
  startedAt: number | null,
  at: number,
  node: string,
  resultExpiresAt: number | null,
  error: string | null,
  result: string | null,
];

/** Successes written by one statement, and what each has that the others have not. */
const AT_ONCE = 32;
const SUCCESS_VALUES = 9;

/** Jobs whose history may have become too long that are kept in mind. More are found again at their next entry. */
const MOST_GROWN = 10_000;

/** The history. A line is written in the transaction of the commit it belongs to. */
export class SQLiteLedger implements Ledger {
  readonly #connection: Connection;
  readonly #perJob: number;
  /** Entries of a job from which on the oldest go: some more than are kept, so that many go at a time. */
  readonly pruneAbove: number;
  readonly #insert: SQLiteStatement;
  readonly #insertSuccess: SQLiteStatement;
  readonly #insertSuccesses: SQLiteStatement;
  /** Values of successes that wait to be written several at a time: a statement costs about as much as two lines. */
  readonly #successes: unknown[] = Array.from({ length: AT_ONCE * SUCCESS_VALUES }, () => null);
  #waiting = 0;
  readonly #prune: SQLiteStatement;
  readonly #pruned: SQLiteStatement;
  readonly #queries = new Map<string, SQLiteStatement>();
  /** Jobs whose history may be too long. */
  readonly grownJobs = new Set<string>();
  /** Told when the history of a job was found to be, or made, short enough. */
  onShort: (jobId: string, lines: number) => void = () => undefined;

  constructor(connection: Connection, perJob: number) {
    this.#connection = connection;
    this.#perJob = perJob;
    this.pruneAbove = perJob + Math.max(20, Math.ceil(perJob / 10));
    this.#insert = connection.prepare(`INSERT INTO {ledger} (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    // What nearly all entries are: half as much to bind.
    const success = `(?, ?, 'succeeded', NULL, ?, ?, 1, 1, 0, ?, ?, ?, ?, ?, NULL, NULL, NULL)`;
    this.#insertSuccess = connection.prepare(`INSERT INTO {ledger} (${COLUMNS}) VALUES ${success}`);
    this.#insertSuccesses = connection.prepare(`INSERT INTO {ledger} (${COLUMNS}) VALUES ${Array.from({ length: AT_ONCE }, () => success).join()}`);
    this.#prune = connection.prepare(
      'INSERT INTO {pruned} VALUES (?, ?) ON CONFLICT DO UPDATE SET through = max(through, excluded.through)',
    );
    this.#pruned = connection.prepareRows(`SELECT max(through) FROM {pruned} WHERE job_id IN (?, '')`);
  }

  /** To be called in a transaction that writes, and that calls `flush` when it has appended all. */
  append(entry: LedgerEntry): void {
    if (this.#perJob === 0) {
      if (!entry.manual) this.prune(entry.jobId, entry.scheduledTo);
      return;
    }
    const { error, result } = entry;
    if (isPlainSuccess(entry)) {
      this.#appendSuccess(entry);
      return;
    }
    this.flush();
    this.#insert.run(
      entry.jobId,
      entry.runId,
      entry.verdict,
      entry.reason,
      entry.scheduledFor,
      entry.scheduledTo,
      entry.count,
      entry.exact ? 1 : 0,
      entry.manual ? 1 : 0,
      entry.generation,
      entry.attempt,
      entry.startedAt,
      entry.at,
      entry.node,
      result?.expiresAt ?? null,
      error === null ? null : JSON.stringify(error),
      result === null ? null : JSON.stringify(result),
    );
  }

  #appendSuccess(entry: LedgerEntry): void {
    const values = this.#successes;
    const at = this.#waiting * SUCCESS_VALUES;
    values[at] = entry.jobId;
    values[at + 1] = entry.runId;
    values[at + 2] = entry.scheduledFor;
    values[at + 3] = entry.scheduledTo;
    values[at + 4] = entry.generation;
    values[at + 5] = entry.attempt;
    values[at + 6] = entry.startedAt;
    values[at + 7] = entry.at;
    values[at + 8] = entry.node;
    this.#waiting += 1;
    if (this.#waiting < AT_ONCE) return;
    this.#waiting = 0;
    this.#insertSuccesses.run(...values);
  }

  /** Writes what waits, in the order in which it was appended. */
  flush(): void {
    const count = this.#waiting;
    this.#waiting = 0;
    for (let i = 0; i < count; i++) this.#insertSuccess.run(...this.#successes.slice(i * SUCCESS_VALUES, (i + 1) * SUCCESS_VALUES));
  }

  /** The transaction was undone: what waits belongs to nothing. */
  undone(): void {
    this.#waiting = 0;
  }

  /** The history of a job is no longer complete up to `through`. `''`: those of all jobs that are gone. */
  prune(jobId: string, through: EpochMs): void {
    this.#prune.run(jobId, through);
  }

  /** A job has so many entries, for all that is known. */
  grown(jobId: string, lines: number): void {
    if (lines > this.pruneAbove && this.#perJob > 0 && this.grownJobs.size < MOST_GROWN) this.grownJobs.add(jobId);
  }

  list(query: LedgerQuery & LedgerPageRequest): LedgerPage {
    const { sql, values } = select(query);
    let statement = this.#queries.get(sql);
    if (statement === undefined) this.#queries.set(sql, (statement = this.#connection.prepareRows(sql)));
    const prepared = statement;
    const rows = this.#connection.read(() => prepared.all(...values, query.limit + 1)) as Row[];
    const hasMore = rows.length > query.limit;
    const page = hasMore ? rows.slice(0, query.limit) : rows;
    return { entries: page.map(readRow), nextCursor: hasMore ? String(page.at(-1)?.[0]) : null };
  }

  prunedThrough(jobId: string): EpochMs | null {
    return (this.#connection.read(() => this.#pruned.get(jobId)) as [number | null])[0];
  }
}

function isPlainSuccess({ verdict, reason, scheduledFor, scheduledTo, count, exact, manual, error, result }: LedgerEntry): boolean {
  const isOne = scheduledTo === scheduledFor && count === 1 && exact;
  return verdict === 'succeeded' && isOne && !manual && reason === null && error === null && result === null;
}

function select(query: LedgerQuery & LedgerPageRequest): { sql: string; values: unknown[] } {
  const { jobId, runId, verdicts, from, to, after, newestFirst = false } = query;
  const conditions: string[] = [];
  const values: unknown[] = [];
  const add = (condition: string, ...given: unknown[]): void => {
    conditions.push(condition);
    values.push(...given);
  };
  if (jobId !== undefined) add('job_id = ?', jobId);
  else if (runId !== undefined) add('job_id IN (?, ?)', ...jobsOfRun(runId));
  if (runId !== undefined) add('run_id = ?', runId);
  if (verdicts !== undefined) {
    add(`verdict IN (${verdicts.map(() => '?').join(', ')})`, ...verdicts);
    // What went wrong is rare, has an index of its own, and is what people look for.
    if (jobId === undefined && runId === undefined && !verdicts.includes('succeeded')) add(`verdict <> 'succeeded'`);
  }
  if (from !== undefined) add('scheduled_to >= ?', from);
  if (to !== undefined) add('scheduled_for <= ?', to);
  if (after !== undefined) add(newestFirst ? 'seq < ?' : 'seq > ?', readCursor(after));
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  return { sql: `SELECT seq, ${COLUMNS} FROM {ledger} ${where} ORDER BY seq ${newestFirst ? 'DESC' : 'ASC'} LIMIT ?`, values };
}

/** The jobs a run may belong to: its id is the job's, then `@` with a fire time or `#` with a token. */
function jobsOfRun(runId: string): [string, string] {
  return [runId.slice(0, Math.max(0, runId.lastIndexOf('@'))), runId.slice(0, Math.max(0, runId.lastIndexOf('#')))];
}

function readCursor(cursor: string): number {
  const seq = Number(cursor);
  if (Number.isInteger(seq)) return seq;
  throw new InvalidOptionError('cursor', cursor, 'the nextCursor of an earlier page');
}

function readRow(row: Row): LedgerEntry {
  const [, jobId, runId, verdict, reason, scheduledFor, scheduledTo, count, exact, manual, generation, attempt, startedAt, at, node, expiresAt, error, result] = row;
  return {
    jobId,
    runId,
    verdict,
    reason,
    scheduledFor,
    scheduledTo,
    count,
    exact: exact === 1,
    manual: manual === 1,
    generation,
    attempt,
    startedAt,
    at,
    node,
    error: error === null ? null : (parse(error) as ErrorInfo | undefined) ?? { name: 'Error', message: error, code: null, stack: null },
    // What nobody can read is for the scheduler to say so.
    result: result === null ? null : (parse(result) as StoredResult | undefined) ?? { value: { by: '', data: result }, omitted: null, expiresAt: expiresAt ?? 0 },
  };
}

/** One line that is damaged must not keep the others from being read. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
