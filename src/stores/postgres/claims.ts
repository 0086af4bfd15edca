import type { Clock } from '../../ports/clock.js';
import type { ClaimRequest, ClaimScope, JobChange, JobDemand, Revision, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Database } from './database.js';
import { InFlight } from './in-flight.js';
import type { Bodies, JobTable } from './job-table.js';
import type { PostgresMembers } from './postgres-members.js';
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

/** Hidden by another node. Bounded on both sides: a clock that was wrong, and set back, hides nothing for long. */
const VISIBLE = '(claimed_until IS NULL OR claimed_until <= $5 OR claimed_until > $7)';
/** What this process has in hand, and no other needs to know of. Hashed once, however many there are. */
const inHand = (place: number): string => `($${place}::text[] IS NULL OR id NOT IN (SELECT unnest($${place}::text[])))`;
const DUE = `lane = s.lane AND wake_at <= $5 AND ${VISIBLE} AND ${inHand(9)}`;
/** With whether a node beside this one may claim. */
const answer = (body: string): string => `j.id, j.revision, j.definition, j.state, ${body}, EXISTS (SELECT 1 FROM {members} WHERE node <> $10 AND expires_at > $5)`;

/**
 * What others are about to claim or write is passed over. To lose the hiding in a crash of the server harms nobody, so
 * nobody waits for the disk.
 */
const hidingSql = (body: string): string => `
  WITH RECURSIVE ${LANES}, locked AS MATERIALIZED (
    SELECT j.place, j.wake_at, s.priority, s.executor, s.free FROM servable s CROSS JOIN LATERAL (
      SELECT ctid AS place, wake_at FROM {jobs} WHERE ${DUE} ORDER BY wake_at LIMIT s.free FOR UPDATE SKIP LOCKED
    ) j
    WHERE s.wake_at <= $5
  ), ranked AS (
    SELECT place, wake_at, priority, free, row_number() OVER (PARTITION BY executor ORDER BY priority DESC, wake_at) AS rank FROM locked
  ), j AS (
    UPDATE {jobs} SET claimed_until = $6
    WHERE ctid = ANY (ARRAY (SELECT place FROM ranked WHERE rank <= free ORDER BY priority DESC, wake_at LIMIT $8))
    RETURNING id, revision, definition, state, lane, wake_at
  )
  SELECT ${answer(body)} FROM j JOIN servable s ON s.lane = j.lane ORDER BY s.priority DESC, j.wake_at`;

/** Where nobody else is there to hide from, a claim writes nothing. */
const readingSql = (body: string): string => `
  WITH RECURSIVE ${LANES}, ranked AS (
    SELECT j.*, s.priority, s.free, row_number() OVER (PARTITION BY s.executor ORDER BY s.priority DESC, j.wake_at) AS rank
    FROM servable s CROSS JOIN LATERAL (
      SELECT id, revision, definition, state, wake_at FROM {jobs} WHERE ${DUE} ORDER BY wake_at LIMIT s.free
    ) j
    WHERE s.wake_at <= $5
  ), j AS (
    SELECT * FROM ranked WHERE rank <= free ORDER BY priority DESC, wake_at LIMIT $8
  )
  SELECT ${answer(body)} FROM j ORDER BY j.priority DESC, j.wake_at`;

const BODY = '(SELECT body FROM {definitions} WHERE id = j.id)';
const BODIES: Readonly<Record<Bodies, string>> = {
  none: 'NULL',
  // Definitions of one revision are one text.
  firsts: `CASE WHEN row_number() OVER (PARTITION BY j.definition) = 1 THEN ${BODY} END`,
  all: BODY,
};
const statements = (sql: (body: string) => string): Readonly<Record<Bodies, string>> => ({ none: sql(BODIES.none), firsts: sql(BODIES.firsts), all: sql(BODIES.all) });
const HIDING = statements(hidingSql);
const READING = statements(readingSql);
/** Place in the rows of these of what says that others are there. */
const OTHERS = 5;

/** Of the hidden ones only those are looked at that come before the first that is not. */
const NEXT = `
  WITH RECURSIVE ${LANES}
  SELECT min(least(v.wake_at, (
    SELECT min(claimed_until) FROM {jobs}
    WHERE lane = s.lane AND wake_at IS NOT NULL AND wake_at < coalesce(v.wake_at, 'infinity') AND claimed_until > wake_at AND ${inHand(5)}
  )))
  FROM servable s LEFT JOIN LATERAL (
    SELECT wake_at FROM {jobs}
    WHERE lane = s.lane AND wake_at IS NOT NULL AND (claimed_until IS NULL OR claimed_until <= wake_at) AND ${inHand(5)}
    ORDER BY wake_at LIMIT 1
  ) v ON true`;

const DEMANDS = `
  WITH RECURSIVE ${EVERY_LANE}
  SELECT d.task, d.task_version, d.executor, min(l.wake_at) FROM ${LANE} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`;

const MOST = 100_000;
const UNSYNCED = 'SET LOCAL synchronous_commit = off; ';

/** How long claims are hidden after one of which another had a job: others are there that nobody knows of. */
const CONTENDED_MS = 30_000;

/**
 * Finds what is due, and keeps it from other nodes in the same round trip: in the table where there are any, else by
 * remembering what is in hand here. Who asks at the same moment as somebody else gets what comes after, or nothing: an
 * empty answer does not say that nothing is due, and `nextWakeAt` says so then.
 */
export class Claims {
  readonly #database: Database;
  readonly #jobs: JobTable;
  readonly #members: PostgresMembers;
  readonly #clock: Clock;
  readonly #inFlight = new InFlight();
  /** Claims that only read and are not answered yet: what they will answer is not known to be in hand. */
  #reading = 0;
  /** What the last claim that was answered something knew. */
  #isAlone = true;
  /** Monotonic. */
  #contendedUntil = Number.NEGATIVE_INFINITY;

  constructor(database: Database, jobs: JobTable, members: PostgresMembers, clock: Clock) {
    this.#database = database;
    this.#jobs = jobs;
    this.#members = members;
    this.#clock = clock;
  }

  async claim(request: ClaimRequest): Promise<StoredJob[]> {
    const { now, reserveMs } = request;
    const limit = Math.min(request.limit, MOST);
    const able = abilities(request, limit);
    if (able === undefined || limit <= 0) return [];
    const bodies = this.#jobs.expects;
    // Others can only know of a node that has said that it is there: until then it hides what it takes.
    const self = this.#members.announced(now);
    const values = (): unknown[] => [...able, now, now + reserveMs, now + 2 * reserveMs, limit, orNull(this.#inFlight.at(now, reserveMs)), storable(self ?? '')];
    if (self !== undefined && this.#isAlone && this.#reading === 0 && this.#clock.monotonic() >= this.#contendedUntil) {
      this.#reading += 1;
      try {
        const rows = await this.#database.query(READING[bodies], values());
        if (rows.length === 0) return [];
        if (rows[0]![OTHERS] !== 't') {
          const due = await this.#jobs.readAll(rows);
          this.#inFlight.add(due, now + reserveMs);
          return due;
        }
      } finally {
        this.#reading -= 1;
      }
    }
    const rows = await this.#database.query(HIDING[bodies], values(), UNSYNCED);
    if (rows.length > 0) this.#isAlone = rows[0]![OTHERS] === 'f';
    return this.#jobs.readAll(rows);
  }

  /** What became of a commit: `undefined` where that is not known. */
  written(changes: readonly JobChange[], answers: readonly (Revision | undefined)[] | undefined): void {
    let isLost = false;
    changes.forEach(({ id }, i) => {
      if (this.#inFlight.delete(id) && answers !== undefined && answers[i] === undefined) isLost = true;
    });
    if (isLost) this.#contendedUntil = this.#clock.monotonic() + CONTENDED_MS;
  }

  async nextWakeAt(scope: ClaimScope): Promise<EpochMs | null> {
    const able = abilities(scope, 1);
    if (able === undefined) return null;
    const { ids, firstUntil } = this.#inFlight;
    const [row] = await this.#database.query(NEXT, [...able, orNull(ids)]);
    const at = row?.[0] ?? null;
    if (at === null || firstUntil === null) return at === null ? firstUntil : Number(at);
    return Math.min(Number(at), firstUntil);
  }

  async demands(): Promise<JobDemand[]> {
    const rows = await this.#database.query(DEMANDS);
    return rows.map(([task, version, executor, at]) => ({ task: task!, taskVersion: Number(version), executor: executor!, wakeAt: Number(at) }));
  }
}

function orNull(ids: readonly string[]): readonly string[] | null {
  return ids.length === 0 ? null : ids;
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
