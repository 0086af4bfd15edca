import { RAISED } from '../../model/alarm.js';
import type { JobAlarms, JobPage, JobQuery, StoredJob } from '../../ports/job-store.js';
import type { Database, Row } from './database.js';
import { RECORD, RECORDS, type JobTable } from './job-table.js';
import { storable } from './texts.js';

/** Rows fetched at a time where some may turn out not to be wanted. */
const CHUNK = 500;
const COLUMNS = `${RECORD}, d.task, d.name`;

/** Pages of jobs in order of id, by code point. */
export class JobList {
  readonly #database: Database;
  readonly #jobs: JobTable;

  constructor(database: Database, jobs: JobTable) {
    this.#database = database;
    this.#jobs = jobs;
  }

  /** From one to the next along the index, however many jobs there are. */
  async tasks(): Promise<string[]> {
    const rows = await this.#database.query(
      `WITH RECURSIVE tasks AS (
         (SELECT task FROM {definitions} ORDER BY task LIMIT 1)
         UNION ALL
         SELECT n.task FROM tasks t CROSS JOIN LATERAL (SELECT task FROM {definitions} WHERE task > t.task ORDER BY task LIMIT 1) n
       ) SELECT task FROM tasks`,
    );
    return rows.map(([task]) => task!);
  }

  /** Two probes of the index; what is overdue is counted along it. */
  async alarms(): Promise<JobAlarms> {
    const [row] = await this.#database.query(
      `SELECT (SELECT alarm_at FROM {jobs} WHERE alarm_at > $1 ORDER BY alarm_at LIMIT 1), (SELECT count(*) FROM {jobs} WHERE alarm_at = $1)`,
      [RAISED],
    );
    const [nextAt, overdue] = row ?? [];
    return { nextAt: nextAt == null ? null : Number(nextAt), overdue: Number(overdue) };
  }

  async list(query: JobQuery): Promise<JobPage> {
    if (query.statuses?.length === 0) return { jobs: [], nextCursor: null };
    const { limit, text } = query;
    const chunk = text !== undefined ? Math.max(CHUNK, limit + 1) : limit + 1;
    const found: StoredJob[] = [];
    let after = query.after === undefined ? undefined : storable(query.after);
    for (;;) {
      const { where, values } = conditions(query, after);
      const rows = await this.#database.query(`SELECT ${COLUMNS} FROM ${RECORDS} ${where} ORDER BY j.id LIMIT ${chunk}`, values);
      for (const row of rows) {
        if (text !== undefined && !hasText(row, text)) continue;
        found.push(this.#jobs.read(row));
        if (found.length > limit) return { jobs: found.slice(0, limit), nextCursor: found[limit - 1]?.record.id ?? null };
      }
      if (rows.length < chunk) return { jobs: found, nextCursor: null };
      after = rows.at(-1)?.[0] ?? undefined;
    }
  }
}

const TASK = 5;
const NAME = 6;

function hasText(row: Row, text: string): boolean {
  const wanted = text.toLowerCase();
  return [row[0], row[NAME], row[TASK]].some((field) => field?.toLowerCase().includes(wanted) === true);
}

/** What an index is made for is said in the words of that index. */
function conditions({ tags = [], task, triggerKind, statuses, owner, running, overdue, alarmBy, text }: JobQuery, after: string | undefined): { where: string; values: unknown[] } {
  const parts: string[] = [];
  const values: unknown[] = [];
  const add = (condition: string, value: unknown): void => {
    values.push(value);
    parts.push(condition.replace('?', `$${values.length}`));
  };
  if (tags.length > 0) {
    parts.push(`tags <> '{}'`);
    add('tags @> ?::text[]', tags.map(storable));
  }
  if (task !== undefined) add('task = ?', storable(task));
  if (triggerKind === 'startup') parts.push(`trigger_kind = 'startup'`);
  else if (triggerKind !== undefined) add('trigger_kind = ?', storable(triggerKind));
  if (statuses !== undefined) {
    if (!statuses.includes('active')) parts.push(`status <> 'active'`);
    add('status = ANY (?::text[])', statuses);
  }
  if (owner !== undefined) add('owner = ?', storable(owner));
  if (running === true) parts.push('running > 0');
  if (overdue === true) add('alarm_at = ?', RAISED);
  if (alarmBy !== undefined) {
    add('alarm_at > ?', RAISED);
    add('alarm_at <= ?', alarmBy);
  }
  // Lower case is JavaScript's affair, but where the text is of A to Z, the server sorts out most.
  if (text !== undefined && /^[\x20-\x7e]*$/.test(text) && !/[ki]/i.test(text)) {
    add(`position(? IN lower((j.id || chr(10) || coalesce(name, '') || chr(10) || task) COLLATE "C")) > 0`, text.toLowerCase());
  }
  if (after !== undefined) {
    // Either table may be the one that is read in order.
    add('j.id > ?', after);
    add('d.id > ?', after);
  }
  return { where: parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`, values };
}
