import { RAISED } from '../../model/alarm.js';
import type { JobAlarms, JobDemand, JobPage, JobQuery, StoredJob } from '../../ports/job-store.js';
import type { Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';
import type { JobTable } from './job-table.js';
import { FIRST_DUE, FIRST_LEASE } from './lanes.js';

type Row = [seq: number, id: string, revision: number, task: string, name: string | null];

/** Kinds of queries kept prepared: a query of 1,000 tags is another one than that of 1,001. */
const MOST_STATEMENTS = 200;

/** Pages of jobs in order of id, by code point. */
export class JobList {
  readonly #connection: Connection;
  readonly #jobs: JobTable;
  readonly #statements = new Map<string, SQLiteStatement>();
  readonly #lanesOf: SQLiteStatement;
  readonly #taskNames: SQLiteStatement;
  readonly #demands: SQLiteStatement;
  readonly #alarms: SQLiteStatement;

  constructor(connection: Connection, jobs: JobTable) {
    this.#connection = connection;
    this.#jobs = jobs;
    this.#lanesOf = connection.prepareRows('SELECT id FROM {lanes} WHERE task = ?');
    this.#taskNames = connection.prepareRows(
      'SELECT DISTINCT task FROM {lanes} WHERE EXISTS (SELECT 1 FROM {jobs} WHERE lane = {lanes}.id) ORDER BY task',
    );
    // Two probes of the index; what is overdue is counted along it.
    this.#alarms = connection.prepareRows(
      `SELECT (SELECT alarm_at FROM {jobs} INDEXED BY {jobs_alarm} WHERE alarm_at > ? ORDER BY alarm_at LIMIT 1),
         (SELECT count(*) FROM {jobs} INDEXED BY {jobs_alarm} WHERE alarm_at = ?)`,
    );
    this.#demands = connection.prepareRows(
      `SELECT task, task_version, executor, min(at) FROM (
         SELECT task, task_version, executor, ${FIRST_DUE} AS at FROM {lanes}
         UNION ALL SELECT task, task_version, executor, ${FIRST_LEASE} FROM {lanes}
       ) WHERE at < 9e999 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
    );
  }

  tasks(): string[] {
    return (this.#connection.read(() => this.#taskNames.all()) as [string][]).map(([task]) => task);
  }

  /** One probe of each index for each lane. */
  demands(): JobDemand[] {
    const rows = this.#connection.read(() => this.#demands.all()) as [string, number, string, number][];
    return rows.map(([task, taskVersion, executor, wakeAt]) => ({ task, taskVersion, executor, wakeAt }));
  }

  alarms(): JobAlarms {
    const [nextAt, overdue] = this.#connection.read(() => this.#alarms.get(RAISED, RAISED)) as [number | null, number];
    return { nextAt, overdue };
  }

  list(query: JobQuery): JobPage {
    return this.#connection.readTogether(() => {
      // No row has one of no statuses, and SQLite finds no plan for it.
      if (query.statuses?.length === 0) return { jobs: [], nextCursor: null };
      const lanes = query.task === undefined ? [] : (this.#lanesOf.all(query.task) as [number][]).map(([lane]) => lane);
      if (query.task !== undefined && lanes.length === 0) return { jobs: [], nextCursor: null };
      const { sql, values } = select(query, lanes);
      if (this.#statements.size > MOST_STATEMENTS) this.#statements.clear();
      let statement = this.#statements.get(sql);
      if (statement === undefined) this.#statements.set(sql, (statement = this.#connection.prepareRows(sql)));
      const rows = collect(statement.iterate(...values) as Iterable<Row>, query);
      const page = rows.slice(0, query.limit).flatMap(([seq, id, revision]): StoredJob[] => {
        const stored = this.#jobs.at(seq, id, revision);
        return stored === undefined ? [] : [stored];
      });
      return { jobs: page, nextCursor: rows.length > query.limit ? (rows[query.limit - 1]?.[1] ?? null) : null };
    });
  }
}

/** As many rows as fill the page, and one to tell whether there are more. */
function collect(rows: Iterable<Row>, { text, limit }: JobQuery): Row[] {
  const found: Row[] = [];
  const wanted = text?.toLowerCase();
  for (const row of rows) {
    if (wanted !== undefined && ![row[1], row[4] ?? '', row[3]].some((field) => field.toLowerCase().includes(wanted))) continue;
    found.push(row);
    if (found.length > limit) break;
  }
  return found;
}

/**
 * The rows of a query, in order of id. Which index leads is decided here, where it is known what is rare: SQLite, which
 * knows nothing of the contents, would rather walk along a million ids than sort three rows.
 */
function select(query: JobQuery, lanes: readonly number[]): { sql: string; values: unknown[] } {
  const { tags = [], triggerKind, statuses, owner, running, overdue, alarmBy, text, after } = query;
  const conditions: string[] = [];
  const values: unknown[] = [];
  const add = (condition: string, ...given: unknown[]): void => {
    conditions.push(condition);
    values.push(...given);
  };
  const [firstTag, ...moreTags] = tags;
  let from = '{jobs} j LEFT JOIN {definitions} d ON d.job = j.seq';
  const leadBy = (index: string): void => { from = from.replace('{jobs} j', `{jobs} j INDEXED BY {${index}}`); };
  let id = 'j.id';
  if (overdue === true || alarmBy !== undefined) {
    leadBy('jobs_alarm');
    if (overdue === true) add('j.alarm_at = ?', RAISED);
    if (alarmBy !== undefined) add('j.alarm_at > ? AND j.alarm_at <= ?', RAISED, alarmBy);
  } else if (running === true) {
    leadBy('jobs_leased');
    add('j.lease_at IS NOT NULL');
  } else if (triggerKind === 'startup') {
    from = '{definitions} d INDEXED BY {definitions_startup} CROSS JOIN {jobs} j ON j.seq = d.job';
    add(`d.trigger_kind = 'startup'`);
  } else if (firstTag !== undefined) {
    from = '{tags} t CROSS JOIN {jobs} j ON j.id = t.id CROSS JOIN {definitions} d ON d.job = j.seq';
    id = 't.id';
  } else if (owner !== undefined) {
    from = '{definitions} d INDEXED BY {definitions_owner} CROSS JOIN {jobs} j ON j.seq = d.job';
  } else if (lanes.length === 1) leadBy('jobs_lane');
  else if (statuses?.includes('active') === false) {
    leadBy('jobs_at_rest');
    add(`j.status <> 'active'`);
  }
  if (running === true && (overdue === true || alarmBy !== undefined)) add('j.lease_at IS NOT NULL');
  if (id === 't.id') add('t.tag = ?', firstTag);
  for (const tag of id === 't.id' ? moreTags : tags) add('EXISTS (SELECT 1 FROM {tags} WHERE tag = ? AND id = j.id)', tag);
  if (triggerKind !== undefined && triggerKind !== 'startup') add('d.trigger_kind = ?', triggerKind);
  else if (triggerKind === 'startup') add(`d.trigger_kind = 'startup'`);
  if (owner !== undefined) add('d.owner = ?', owner);
  if (lanes.length === 1) add('j.lane = ?', lanes[0]);
  else if (lanes.length > 1) add(`j.lane IN (SELECT value FROM json_each(?))`, JSON.stringify(lanes));
  if (statuses !== undefined) add(`j.status IN (${statuses.map(() => '?').join(', ')})`, ...statuses);
  // Lower case is JavaScript's affair (SQLite's knows A to Z), but where the text is of those, SQLite sorts out most.
  if (text !== undefined && /^[\x20-\x7e]*$/.test(text) && !/[ki]/i.test(text)) {
    add(`instr(lower(j.id || char(10) || coalesce(d.name, '') || char(10) || (SELECT task FROM {lanes} WHERE id = j.lane)), ?) > 0`, text.toLowerCase());
  }
  if (after !== undefined) add(`${id} > ?`, after);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const task = '(SELECT task FROM {lanes} WHERE id = j.lane)';
  return { sql: `SELECT j.seq, j.id, j.revision, ${task}, d.name FROM ${from} ${where} ORDER BY ${id}`, values };
}
