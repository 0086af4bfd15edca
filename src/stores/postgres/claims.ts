import type { ClaimRequest, ClaimScope, JobDemand, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Database } from './database.js';
import type { JobTable } from './job-table.js';
import { storable } from './texts.js';

/** One probe of the index for each lane, and in it the earliest. What no node here can serve is not looked at any further. */
const EVERY_LANE = `
  lanes AS (
    (SELECT lane, id, wake_at FROM {jobs} WHERE wake_at IS NOT NULL ORDER BY lane, wake_at LIMIT 1)
    UNION ALL
    SELECT n.* FROM lanes l CROSS JOIN LATERAL (
      SELECT lane, id, wake_at FROM {jobs} WHERE wake_at IS NOT NULL AND lane > l.lane ORDER BY lane, wake_at LIMIT 1
    ) n
  )`;
/** With what it asks for, as the job has it that stands for the lane: looked up by its id, whatever the planner thinks of how many there are. */
const LANE = 'lanes l CROSS JOIN LATERAL (SELECT task, task_version, executor, priority FROM {definitions} WHERE id = l.id LIMIT 1) d';

const LANES = `${EVERY_LANE}, servable AS MATERIALIZED (
    SELECT l.lane, d.priority, d.executor, l.wake_at, e.free FROM ${LANE}
    JOIN unnest($1::text[], $2::int[]) AS e (alias, free) ON e.alias = d.executor
    JOIN unnest($3::text[], $4::float8[]) AS t (task, version) ON t.task = d.task AND t.version >= d.task_version
  )`;

/**
 * What others are about to claim or write is passed over. The hiding is bounded on both sides: a clock that was wrong,
 * and set back, hides nothing for long. To lose it in a crash of the server harms nobody, so nobody waits for the disk.
 */
const claimSql = (withBodies: boolean): string => `
  WITH RECURSIVE ${LANES}, locked AS MATERIALIZED (
    SELECT j.place, j.wake_at, s.priority, s.executor, s.free FROM servable s CROSS JOIN LATERAL (
      SELECT ctid AS place, wake_at FROM {jobs}
      WHERE lane = s.lane AND wake_at <= $5 AND (claimed_until IS NULL OR claimed_until <= $5 OR claimed_until > $7)
      ORDER BY wake_at LIMIT s.free FOR UPDATE SKIP LOCKED
    ) j
    WHERE s.wake_at <= $5
  ), ranked AS (
    SELECT place, wake_at, priority, free, row_number() OVER (PARTITION BY executor ORDER BY priority DESC, wake_at) AS rank FROM locked
  ), claimed AS (
    UPDATE {jobs} SET claimed_until = $6
    WHERE ctid = ANY (ARRAY (SELECT place FROM ranked WHERE rank <= free ORDER BY priority DESC, wake_at LIMIT $8))
    RETURNING id, revision, definition, state, lane, wake_at
  )
  SELECT j.id, j.revision, j.definition, j.state${withBodies ? ', d.body' : ''}
  FROM claimed j JOIN servable s ON s.lane = j.lane ${withBodies ? 'JOIN {definitions} d ON d.id = j.id' : ''}
  ORDER BY s.priority DESC, j.wake_at`;
const CLAIM = claimSql(false);
const CLAIM_WITH_BODIES = claimSql(true);

/** Of the hidden ones only those are looked at that come before the first that is not. */
const NEXT = `
  WITH RECURSIVE ${LANES}
  SELECT min(least(v.wake_at, (
    SELECT min(claimed_until) FROM {jobs}
    WHERE lane = s.lane AND wake_at IS NOT NULL AND wake_at < coalesce(v.wake_at, 'infinity') AND claimed_until > wake_at
  )))
  FROM servable s LEFT JOIN LATERAL (
    SELECT wake_at FROM {jobs}
    WHERE lane = s.lane AND wake_at IS NOT NULL AND (claimed_until IS NULL OR claimed_until <= wake_at)
    ORDER BY wake_at LIMIT 1
  ) v ON true`;

const DEMANDS = `
  WITH RECURSIVE ${EVERY_LANE}
  SELECT d.task, d.task_version, d.executor, min(l.wake_at) FROM ${LANE} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`;

const MOST = 100_000;
const UNSYNCED = 'SET LOCAL synchronous_commit = off; ';

/**
 * Finds what is due, and hides it in the same round trip. Somebody who asks at the same moment gets what comes after,
 * or nothing: an empty answer does not say that nothing is due, and `nextWakeAt` says so then.
 */
export class Claims {
  readonly #database: Database;
  readonly #jobs: JobTable;

  constructor(database: Database, jobs: JobTable) {
    this.#database = database;
    this.#jobs = jobs;
  }

  async claim(request: ClaimRequest): Promise<StoredJob[]> {
    const { now, reserveMs } = request;
    const limit = Math.min(request.limit, MOST);
    const able = abilities(request, limit);
    if (able === undefined || limit <= 0) return [];
    const sql = this.#jobs.expectsBodies ? CLAIM_WITH_BODIES : CLAIM;
    return this.#jobs.readAll(await this.#database.query(sql, [...able, now, now + reserveMs, now + 2 * reserveMs, limit], UNSYNCED));
  }

  async nextWakeAt(scope: ClaimScope): Promise<EpochMs | null> {
    const able = abilities(scope, 1);
    if (able === undefined) return null;
    const [row] = await this.#database.query(NEXT, [...able]);
    const at = row?.[0] ?? null;
    return at === null ? null : Number(at);
  }

  async demands(): Promise<JobDemand[]> {
    const rows = await this.#database.query(DEMANDS);
    return rows.map(([task, version, executor, at]) => ({ task: task!, taskVersion: Number(version), executor: executor!, wakeAt: Number(at) }));
  }
}

/** Executors with room and tasks, as the statements take them; `undefined` where there is nothing to serve with. */
function abilities({ executors, tasks }: ClaimScope, most: number): unknown[] | undefined {
  const free = [...executors].filter(([, room]) => room > 0);
  if (free.length === 0 || tasks.size === 0) return undefined;
  return [
    free.map(([alias]) => storable(alias)),
    free.map(([, room]) => Math.max(1, Math.min(Math.floor(room), most))),
    [...tasks.keys()].map(storable),
    [...tasks.values()],
  ];
}
