import { RAISED } from '../../model/alarm.js';
import { runningCount } from '../../model/job.js';
import type { JobAlarms, JobPage, JobQuery, StoredJob } from '../../ports/job-store.js';
import type { Reply } from './driver.js';
import { COMMON } from './job-scripts.js';
import type { JobTable } from './job-table.js';
import { script, type Link } from './link.js';

/** What stands for a raised alarm. Answers the earliest alarm that was not raised (nothing without one), and how many were. */
const ALARMS = script(`${COMMON}
local first = call('ZRANGEBYSCORE', B .. 'alarms', '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return { first[2] or '', call('ZCOUNT', B .. 'alarms', ARGV[1], ARGV[1]) }
`);

/** From which alarm to which. */
const IDS = script(`${COMMON}
return call('ZRANGEBYSCORE', B .. 'alarms', ARGV[1], ARGV[2])
`);

/** Cursor, how many. Takes out what is no job: a release that knew of no alarms deletes jobs without theirs. */
export const MEND_ALARMS = script(`${COMMON}
local page, ids, gone = call('ZSCAN', B .. 'alarms', ARGV[1], 'COUNT', ARGV[2]), {}, {}
for i = 1, #page[2], 2 do add(ids, page[2][i]) end
local heads = fetch(B .. 'head', ids)
for i, id in ipairs(ids) do if not heads[i] then add(gone, id) end end
many('ZREM', B .. 'alarms', gone)
return { page[1], #gone }
`);

/** Records read by one call. */
const PIECE = 500;

/** The jobs of which something is expected. */
export class Alarms {
  readonly #link: Link;
  readonly #jobs: JobTable;

  constructor(link: Link, jobs: JobTable) {
    this.#link = link;
    this.#jobs = jobs;
  }

  async alarms(): Promise<JobAlarms> {
    const [first, overdue] = (await this.#link.run(ALARMS, [String(RAISED)])) as Reply[];
    return { nextAt: first === '' ? null : Number(first), overdue: Number(overdue) };
  }

  /** A page of those that are overdue. They are few among many, and put in order here: the server sorts as its locale says. */
  async list(query: JobQuery): Promise<JobPage> {
    const { overdue, alarmBy, limit, after } = query;
    // Nothing is both.
    if (overdue === true && alarmBy !== undefined) return { jobs: [], nextCursor: null };
    const range = alarmBy === undefined ? [String(RAISED), String(RAISED)] : [`(${RAISED}`, String(alarmBy)];
    const ids = ((await this.#link.run(IDS, range)) as string[]).sort(byCodePoint);
    const left = after === undefined ? ids : ids.filter((id) => byCodePoint(id, after) > 0);
    const found: StoredJob[] = [];
    for (let from = 0; from < left.length; from += PIECE) {
      for (const row of await this.#jobs.rows(left.slice(from, from + PIECE))) {
        const stored = this.#jobs.read(row);
        if (!matches(stored, query)) continue;
        if (found.length === limit) return { jobs: found, nextCursor: found.at(-1)?.record.id ?? null };
        found.push(stored);
      }
    }
    return { jobs: found, nextCursor: null };
  }
}

function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function matches({ record: { id, definition, state } }: StoredJob, { tags = [], task, triggerKind, statuses, owner, running, text }: JobQuery): boolean {
  if (statuses !== undefined && !statuses.includes(state.status)) return false;
  if (task !== undefined && definition.task !== task) return false;
  if (triggerKind !== undefined && definition.trigger.kind !== triggerKind) return false;
  if (owner !== undefined && definition.owner !== owner) return false;
  if (running === true && runningCount(state.runs) === 0) return false;
  if (!tags.every((tag) => definition.tags.includes(tag))) return false;
  if (text === undefined) return true;
  const wanted = text.toLowerCase();
  return [id, definition.name, definition.task].some((field) => field?.toLowerCase().includes(wanted) === true);
}
