import { randomUUID } from 'node:crypto';
import type { ClaimRequest, ClaimScope, StoredJob } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { UNDO, type Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';
import { FOUND, WHOLE, type FoundRow, type JobTable } from './job-table.js';
import { FIRST_DUE, FIRST_LEASE, type Lanes } from './lanes.js';

/** Claims for which a process reckons with others once it has met one. */
const WARY_CLAIMS = 200;

type LaneRow = [id: number, executor: string, task: string, taskVersion: number, priority: number, firstDue: number | null, firstLease: number | null];

/** The two ways to be due. Each row that is due is found in one of them: the one that comes first. */
const WAYS = [
  { index: 'jobs_due', at: 'wake_at', isFirst: 'lease_at IS NULL OR lease_at >= wake_at' },
  { index: 'jobs_leased', at: 'lease_at', isFirst: 'wake_at IS NULL OR wake_at > lease_at' },
] as const;

/** How the rows of a lane are read that are due in one of them. */
interface Way {
  readonly due: SQLiteStatement;
  readonly dueWhole: SQLiteStatement;
  readonly first: SQLiteStatement;
}

interface Hidden {
  readonly revision: number;
  readonly until: EpochMs;
}

/** A lane with something due, read bit by bit as far as it is needed. */
interface LaneHead {
  readonly lane: number;
  readonly executor: string;
  readonly way: Way;
  readonly chunk: number;
  offset: number;
  rows: FoundRow[];
  next: number;
  isAtEnd: boolean;
}

/**
 * Finds what is due: one probe of each index for each lane, then the lanes this node can serve, the highest priority
 * first. What no node here can serve, and what sleeps, is never looked at, however much it is.
 *
 * What was answered is hidden until it is committed. Within this process a map does that, and nothing is written: only
 * `commit` decides who has a job. But processes that wake at the same moment would all claim the same batch, and all
 * but one lose it. So a process that meets another (a revision it did not give, a commit that was lost, a claim in the
 * table) for some time writes down what it claims, in one row per process, and leaves out what others wrote down there.
 * That costs one small write per batch, whatever its size. A claim names the revision, so a commit ends it without
 * touching it; one that a dead process left behind ends by itself.
 */
export class Claims {
  readonly #connection: Connection;
  readonly #jobs: JobTable;
  readonly #holder = randomUUID();
  readonly #laneRows: SQLiteStatement;
  readonly #ways: readonly [due: Way, leased: Way];
  readonly #others: SQLiteStatement;
  readonly #write: SQLiteStatement;
  readonly #drop: SQLiteStatement;
  /** By row: what this process has claimed and not committed. */
  readonly #hidden = new Map<number, Hidden>();
  #wary = 0;
  #hasWritten = false;
  /** Most of what was claimed last was not known to this process: it is cheaper to read states along with it. */
  #isStrange = true;

  constructor(connection: Connection, jobs: JobTable, lanes: Lanes) {
    this.#connection = connection;
    this.#jobs = jobs;
    this.#laneRows = connection.prepareRows(`SELECT id, executor, task, task_version, priority, ${FIRST_DUE}, ${FIRST_LEASE} FROM {lanes}`);
    const [due, leased] = WAYS.map(({ index, at, isFirst }): Way => {
      const inOrder = (columns: string, limits: string): SQLiteStatement =>
        connection.prepareRows(`SELECT ${columns} FROM {jobs} INDEXED BY {${index}} WHERE lane = ? AND ${at} IS NOT NULL${limits} ORDER BY ${at} LIMIT ? OFFSET ?`);
      const dueFirst = ` AND ${at} <= ? AND (${isFirst})`;
      // Without a look at which comes first: of runs that go on there may be many thousands to be passed over.
      return { due: inOrder(FOUND, dueFirst), dueWhole: inOrder(WHOLE, dueFirst), first: inOrder(FOUND, '') };
    });
    this.#ways = [due!, leased!];
    this.#others = connection.prepareRows('SELECT jobs FROM {claims} WHERE holder <> ?');
    this.#write = connection.prepare(
      'INSERT INTO {claims} VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until, jobs = excluded.jobs',
    );
    this.#drop = connection.prepare('DELETE FROM {claims} WHERE holder = ? OR until < ?');
    jobs.onWritten = (seq) => this.#hidden.delete(seq);
    const beWary = (): void => { this.#wary = WARY_CLAIMS; };
    jobs.onLost = beWary;
    lanes.onForeign = beWary;
  }

  claim(request: ClaimRequest): readonly StoredJob[] {
    for (const [seq, { until }] of this.#hidden) if (!isStanding(until, request)) this.#hidden.delete(seq);
    const answer = this.#connection.readTogether((): StoredJob[] | undefined => {
      const others = this.#hiddenByOthers(request);
      if (this.#wary === 0) return this.#find(request, others);
      // Nothing to claim is the normal end of a batch, and takes no lock.
      return this.#hasDue(request) ? undefined : [];
    });
    if (answer !== undefined) return answer;
    this.#wary -= 1;
    const claimed = this.#connection.write((): StoredJob[] | typeof UNDO => {
      const found = this.#find(request, this.#hiddenByOthers(request));
      if (found.length === 0) return UNDO;
      this.#writeDown(request.now);
      return found;
    });
    return claimed === UNDO ? [] : claimed;
  }

  nextWakeAt(scope: ClaimScope): EpochMs | null {
    return this.#connection.readTogether(() => {
      const others = this.#hiddenByOthers();
      let next = Number.POSITIVE_INFINITY;
      for (const row of this.#servable(scope)) {
        const first = firstOf(row);
        if (first >= next) continue;
        next = Math.min(next, this.#hidden.size + others.size === 0 ? first : this.#firstVisible(row[0], others));
      }
      return next === Number.POSITIVE_INFINITY ? null : next;
    });
  }

  /** Ends what this process has claimed, and what was left behind by those that ended before `now`. */
  release(now: EpochMs): void {
    this.#hidden.clear();
    if (this.#hasWritten) this.#connection.write(() => this.#drop.run(this.#holder, now));
    this.#hasWritten = false;
  }

  #find(request: ClaimRequest, others: ReadonlyMap<number, Hidden>): StoredJob[] {
    const lanes = this.#servable(request).filter((row) => firstOf(row) <= request.now);
    if (lanes.length === 0) return [];
    const free = new Map(request.executors);
    const claimed: StoredJob[] = [];
    const readBefore = this.#jobs.rowsRead;
    const until = request.now + request.reserveMs;
    const priorities = [...new Set(lanes.map((row) => row[4]))].sort((a, b) => b - a);
    for (const priority of priorities) {
      if (claimed.length >= request.limit) break;
      const heads = this.#headsOf(lanes.filter((row) => row[4] === priority), request, claimed.length, free);
      while (claimed.length < request.limit) {
        const head = this.#earliest(heads, free, request.now, others);
        const row = head?.rows[head.next];
        if (head === undefined || row === undefined) break;
        head.next += 1;
        const stored = this.#jobs.read(row);
        if (stored === undefined) continue;
        this.#hidden.set(row[0], { revision: row[2], until });
        free.set(head.executor, (free.get(head.executor) ?? 0) - 1);
        claimed.push(stored);
      }
    }
    if (claimed.length > 0) this.#isStrange = (this.#jobs.rowsRead - readBefore) * 2 > claimed.length;
    return claimed;
  }

  /** Lanes of one priority, once for each way in which something in them is due. */
  #headsOf(lanes: readonly LaneRow[], { now, limit }: ClaimRequest, claimed: number, free: ReadonlyMap<string, number>): LaneHead[] {
    const wanted = limit - claimed;
    const share = lanes.length === 1 ? wanted : Math.max(8, Math.ceil((wanted * 2) / lanes.length));
    return lanes.flatMap((row) => {
      const [lane, executor] = row;
      const chunk = Math.max(1, Math.min(share, wanted, free.get(executor) ?? 0));
      const ways = this.#ways.filter((_, way) => (row[5 + way] as number | null ?? Number.POSITIVE_INFINITY) <= now);
      return ways.map((way): LaneHead => ({ lane, executor, way, chunk, offset: 0, rows: [], next: 0, isAtEnd: false }));
    });
  }

  #earliest(heads: readonly LaneHead[], free: ReadonlyMap<string, number>, now: EpochMs, others: ReadonlyMap<number, Hidden>): LaneHead | undefined {
    let found: LaneHead | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const head of heads) {
      if ((free.get(head.executor) ?? 0) <= 0) continue;
      while (head.next >= head.rows.length && !head.isAtEnd) this.#readOn(head, now, others);
      const row = head.rows[head.next];
      if (row === undefined) continue;
      const at = timeOf(row);
      if (at >= least) continue;
      found = head;
      least = at;
    }
    return found;
  }

  #readOn(head: LaneHead, now: EpochMs, others: ReadonlyMap<number, Hidden>): void {
    const { due, dueWhole } = head.way;
    const rows = (this.#isStrange ? dueWhole : due).all(head.lane, now, head.chunk, head.offset) as FoundRow[];
    head.offset += rows.length;
    head.isAtEnd = rows.length < head.chunk;
    head.rows = this.#hidden.size + others.size === 0 ? rows : rows.filter((row) => hiddenBy(this.#hidden, others, row) === undefined);
    head.next = 0;
  }

  /** The time of the first job of a lane that is not hidden, or at which a hidden one reappears. */
  #firstVisible(lane: number, others: ReadonlyMap<number, Hidden>): EpochMs {
    const chunk = this.#hidden.size + others.size + 1;
    let next = Number.POSITIVE_INFINITY;
    for (const { first } of this.#ways) {
      for (const row of first.all(lane, chunk, 0) as FoundRow[]) {
        const hidden = hiddenBy(this.#hidden, others, row);
        next = Math.min(next, Math.max(hidden?.until ?? 0, timeOf(row)));
        if (hidden === undefined) break;
      }
    }
    return next;
  }

  #servable({ executors, tasks }: ClaimScope): LaneRow[] {
    return (this.#laneRows.all() as LaneRow[]).filter(
      ([, executor, task, taskVersion]) => (executors.get(executor) ?? 0) > 0 && (tasks.get(task) ?? 0) >= taskVersion,
    );
  }

  #hasDue(request: ClaimRequest): boolean {
    return this.#servable(request).some((row) => firstOf(row) <= request.now);
  }

  /** What other processes have written down; with `at`, what of it still stands. */
  #hiddenByOthers(at?: ClaimRequest): ReadonlyMap<number, Hidden> {
    const rows = this.#others.all(this.#holder) as [string][];
    if (rows.length === 0) return NOTHING;
    const hidden = new Map<number, Hidden>();
    for (const [text] of rows) {
      const jobs = readClaim(text);
      for (let i = 0; i + 2 < jobs.length; i += 3) {
        const until = jobs[i + 2]!;
        if (at === undefined || isStanding(until, at)) hidden.set(jobs[i]!, { revision: jobs[i + 1]!, until });
      }
    }
    if (hidden.size > 0) this.#wary = WARY_CLAIMS;
    return hidden;
  }

  #writeDown(now: EpochMs): void {
    const jobs: number[] = [];
    let latest = now;
    for (const [seq, { revision, until }] of this.#hidden) {
      jobs.push(seq, revision, until);
      latest = Math.max(latest, until);
    }
    this.#write.run(this.#holder, Math.ceil(latest), JSON.stringify(jobs));
    this.#hasWritten = true;
  }
}

const NOTHING: ReadonlyMap<number, Hidden> = new Map();

/** Whether a claim still hides. It is bounded on both sides: a clock that was wrong, and set back, hides nothing for long. */
function isStanding(until: EpochMs, { now, reserveMs }: ClaimRequest): boolean {
  return until > now && until <= now + 2 * reserveMs;
}

/** Row, revision and end of each job in turn. What cannot be read hides nothing: a claim is no more than a courtesy. */
function readClaim(text: string): readonly number[] {
  try {
    const jobs: unknown = JSON.parse(text);
    return Array.isArray(jobs) ? (jobs as number[]) : [];
  } catch {
    return [];
  }
}

/** When something in a lane wakes first, whatever hides it. */
function firstOf([, , , , , due, lease]: LaneRow): EpochMs {
  return Math.min(due ?? Number.POSITIVE_INFINITY, lease ?? Number.POSITIVE_INFINITY);
}

/** When a row wakes that was found by one of its times. */
function timeOf([, , , wakes, leased]: FoundRow): EpochMs {
  return Math.min(wakes ?? Number.POSITIVE_INFINITY, leased ?? Number.POSITIVE_INFINITY);
}

function hiddenBy(own: ReadonlyMap<number, Hidden>, others: ReadonlyMap<number, Hidden>, [seq, , revision]: FoundRow): Hidden | undefined {
  for (const hidden of [own.get(seq), others.get(seq)]) if (hidden?.revision === revision) return hidden;
  return undefined;
}
