import { InvalidOptionError } from '../../errors/errors.js';
import type { LedgerEntry, LedgerQuery, StoredResult, Verdict } from '../../model/ledger.js';
import type { ErrorInfo } from '../../model/run.js';
import type { Ledger, LedgerPage, LedgerPageRequest } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { Columns } from './columns.js';
import type { Database, Row } from './database.js';
import { storable } from './texts.js';

const COLUMNS =
  'job_id, run_id, verdict, reason, scheduled_for, scheduled_to, count, exact, manual, generation, attempt, started_at, at, node, result_expires_at, error, result';
const TYPED =
  'i int, n int, job_id text, run_id text, verdict text, reason text, scheduled_for float8, scheduled_to float8, count float8, exact boolean, manual boolean, ' +
  'generation float8, attempt int, started_at float8, at float8, node text, result_expires_at float8, error text, result text';

/** Jobs whose history may have become too long that are kept in mind. More are found again at their next entry. */
const MOST_GROWN = 10_000;

/** The lines that come with a change; `i`: which of them. */
export interface ChangeLines {
  readonly i: number;
  readonly entries: readonly LedgerEntry[];
}

interface Line {
  readonly i: number;
  readonly entry: LedgerEntry;
}

/** The history. Its lines are written by the statement of the commit they belong to. */
export class PostgresLedger implements Ledger {
  readonly #database: Database;
  readonly #perJob: number;
  /** Entries of a job from which on the oldest go: some more than are kept, so that many go at a time. */
  readonly pruneAbove: number;
  /** Jobs whose history may be too long. */
  readonly grownJobs = new Set<string>();

  constructor(database: Database, perJob: number) {
    this.#database = database;
    this.#perJob = perJob;
    this.pruneAbove = perJob + Math.max(20, Math.ceil(perJob / 10));
  }

  /**
   * What the statement of a commit has besides for the lines that come with its changes, and the parameters of that, which
   * follow on so many others: `won` are the changes that are written.
   */
  append(changes: readonly ChangeLines[], parameters: number): { sql: string; values: unknown[] } {
    const plain: Line[] = [];
    const others: object[] = [];
    const node = changes.find(({ entries }) => entries.length > 0)?.entries[0]?.node;
    for (const { i, entries } of changes) {
      if (this.#perJob > 0 && entries.every((entry) => isPlain(entry, node))) for (const entry of entries) plain.push({ i, entry });
      else for (const entry of entries) others.push({ n: others.length, ...columns(entry, i) });
    }
    let sql = '';
    const values: unknown[] = [];
    if (plain.length > 0) {
      const columns = new Columns('l', parameters);
      const at = columns.add('scheduled_for', 'float8', plain.map(({ entry }) => entry.scheduledFor));
      const isOfFireTime = plain.every(({ entry }) => Number.isSafeInteger(entry.scheduledFor) && entry.runId === `${entry.jobId}@${entry.scheduledFor}`);
      const parts = {
        job_id: 'won.id',
        // As the planner makes it, so that most need not be sent.
        run_id: isOfFireTime ? `won.id || '@' || (${at})::bigint` : columns.add('run_id', 'text', plain.map(({ entry }) => storable(entry.runId!))),
        verdict: `'succeeded'`,
        scheduled_for: at,
        scheduled_to: at,
        count: '1',
        exact: 'true',
        manual: 'false',
        generation: columns.add('generation', 'float8', plain.map(({ entry }) => entry.generation)),
        attempt: columns.add('attempt', 'int', plain.map(({ entry }) => entry.attempt)),
        started_at: columns.add('started_at', 'float8', plain.map(({ entry }) => entry.startedAt)),
        at: columns.add('at', 'float8', plain.map(({ entry }) => entry.at)),
        node: columns.add('node', 'text', [storable(node!)]),
      };
      const change = columns.add('i', 'int', plain.map(({ i }) => i), true);
      sql += `, successes AS (
    INSERT INTO {ledger} (${Object.keys(parts).join(', ')}) SELECT ${Object.values(parts).join(', ')}
    FROM ${columns.rows} JOIN won ON won.i = ${change} ORDER BY l.n
  )`;
      values.push(...columns.values);
    }
    const place = (value: unknown): string => `$${parameters + values.push(value)}`;
    if (others.length > 0) {
      const lines = `json_to_recordset(${place(JSON.stringify(others))}::json) AS l (${TYPED}) JOIN won ON won.i = l.i`;
      sql +=
        this.#perJob > 0
          ? `, lines AS (INSERT INTO {ledger} (${COLUMNS}) SELECT ${COLUMNS} FROM ${lines} ORDER BY l.n)`
          : `, lines AS (
            INSERT INTO {pruned} AS p SELECT job_id, max(scheduled_to) FROM ${lines} WHERE NOT manual GROUP BY job_id ORDER BY job_id
            ON CONFLICT (job_id) DO UPDATE SET through = greatest(p.through, excluded.through))`;
    }
    return { sql, values };
  }

  /** A job has so many entries, for all that is known. */
  grown(jobId: string, lines: number): void {
    if (lines > this.pruneAbove && this.#perJob > 0 && this.grownJobs.size < MOST_GROWN) this.grownJobs.add(jobId);
  }

  /**
   * Lines have their numbers before they are committed, so one that was read past may come up later. The pages that follow
   * a first one therefore end at the latest line there was to be seen then: they have all that was written before, and of no job a
   * line without those before it. The lines of a job are numbered in the order in which they are committed, because
   * its record is locked by then.
   */
  async list(query: LedgerQuery & LedgerPageRequest): Promise<LedgerPage> {
    const { sql, values } = select(query);
    const rows = await this.#database.query(sql, values);
    const hasMore = rows.length > query.limit;
    const page = hasMore ? rows.slice(0, query.limit) : rows;
    const last = page.at(-1);
    return { entries: page.map(readRow), nextCursor: hasMore && last !== undefined ? `${last[0]!}-${last.at(-1)!}` : null };
  }

  async prunedThrough(jobId: string): Promise<EpochMs | null> {
    const [row] = await this.#database.query(`SELECT max(through) FROM {pruned} WHERE job_id IN ($1, '')`, [storable(jobId)]);
    return optional(row?.[0]);
  }
}

/** What nearly all entries are: half as much to send, and to read. */
function isPlain({ verdict, reason, runId, scheduledFor, scheduledTo, count, exact, manual, node, error, result }: LedgerEntry, of: string | undefined): boolean {
  const isOne = scheduledTo === scheduledFor && count === 1 && exact;
  return verdict === 'succeeded' && isOne && !manual && runId !== null && reason === null && error === null && result === null && node === of;
}

/** A line, as the statement of a commit takes it; `change`: which change it belongs to. */
function columns(entry: LedgerEntry, change: number): object {
  const { error, result, reason, runId } = entry;
  return {
    i: change,
    job_id: storable(entry.jobId),
    run_id: runId === null ? null : storable(runId),
    verdict: entry.verdict,
    reason: reason === null ? null : storable(reason),
    scheduled_for: entry.scheduledFor,
    scheduled_to: entry.scheduledTo,
    count: entry.count,
    exact: entry.exact,
    manual: entry.manual,
    generation: entry.generation,
    attempt: entry.attempt,
    started_at: entry.startedAt,
    at: entry.at,
    node: storable(entry.node),
    result_expires_at: result?.expiresAt ?? null,
    error: error === null ? null : JSON.stringify(error),
    result: result === null ? null : JSON.stringify(result),
  };
}

function select(query: LedgerQuery & LedgerPageRequest): { sql: string; values: unknown[] } {
  const { jobId, runId, verdicts, from, to, after, newestFirst = false } = query;
  const parts: string[] = [];
  const values: unknown[] = [];
  const add = (condition: string, value: unknown): void => {
    values.push(value);
    parts.push(condition.replace('?', `$${values.length}`));
  };
  if (jobId !== undefined) add('job_id = ?', storable(jobId));
  else if (runId !== undefined) add('job_id = ANY (?::text[])', jobsOfRun(storable(runId)));
  if (runId !== undefined) add('run_id = ?', storable(runId));
  if (verdicts !== undefined) {
    add('verdict = ANY (?::text[])', verdicts);
    // What went wrong is rare, has an index of its own, and is what people look for.
    if (jobId === undefined && runId === undefined && !verdicts.includes('succeeded')) parts.push(`verdict <> 'succeeded'`);
  }
  if (from !== undefined) add('scheduled_to >= ?', from);
  if (to !== undefined) add('scheduled_for <= ?', to);
  let latest = '(SELECT max(seq) FROM {ledger})';
  if (after !== undefined) {
    const cursor = readCursor(after);
    add(newestFirst ? 'seq < ?' : 'seq > ?', cursor.seq);
    add('seq <= ?', cursor.latest);
    latest = String(cursor.latest);
  }
  const where = parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`;
  return { sql: `SELECT seq, ${COLUMNS}, ${latest} FROM {ledger} ${where} ORDER BY seq ${newestFirst ? 'DESC' : 'ASC'} LIMIT ${query.limit + 1}`, values };
}

/** The jobs a run may belong to: its id is the job's, then `@` with a fire time or `#` with a token. */
function jobsOfRun(runId: string): string[] {
  return ['@', '#'].map((mark) => runId.slice(0, Math.max(0, runId.lastIndexOf(mark))));
}

/** Where a page ended, and the latest line there was when the first of its pages was read. */
function readCursor(cursor: string): { seq: number; latest: number } {
  const [, seq, latest] = /^(\d{1,19})-(\d{1,19})$/.exec(cursor) ?? [];
  if (seq !== undefined) return { seq: Number(seq), latest: Number(latest) };
  throw new InvalidOptionError('cursor', cursor, 'the nextCursor of an earlier page');
}

function optional(value: string | null | undefined): number | null {
  return value === null || value === undefined ? null : Number(value);
}

function readRow(row: Row): LedgerEntry {
  const [, jobId, runId, verdict, reason, scheduledFor, scheduledTo, count, exact, manual, generation, attempt, startedAt, at, node, expiresAt, error, result] = row;
  return {
    jobId: jobId!,
    runId: runId ?? null,
    verdict: verdict as Verdict,
    reason: reason ?? null,
    scheduledFor: Number(scheduledFor),
    scheduledTo: Number(scheduledTo),
    count: Number(count),
    exact: exact === 't',
    manual: manual === 't',
    generation: Number(generation),
    attempt: Number(attempt),
    startedAt: optional(startedAt),
    at: Number(at),
    node: node!,
    error: typeof error !== 'string' ? null : ((parse(error) as ErrorInfo | undefined) ?? { name: 'Error', message: error, code: null, stack: null }),
    // What nobody can read is for the scheduler to say so.
    result:
      typeof result !== 'string'
        ? null
        : ((parse(result) as StoredResult | undefined) ?? { value: { by: '', data: result }, omitted: null, expiresAt: optional(expiresAt) ?? 0 }),
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
