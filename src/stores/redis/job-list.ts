import type { JobPage, JobQuery, StoredJob } from '../../ports/job-store.js';
import type { Reply } from './driver.js';
import { LIST, TASKS } from './job-scripts.js';
import { isBroken, isLookedUp, lookUp, rowsOf, type JobTable } from './job-table.js';
import type { Link } from './link.js';

/** Jobs looked at by one call. */
const PIECE = 1_000;
/** Jobs answered by one call where some may turn out not to be wanted. */
const CHUNK = 500;

/** Pages of jobs in order of id, by code point. */
export class JobList {
  readonly #link: Link;
  readonly #jobs: JobTable;

  constructor(link: Link, jobs: JobTable) {
    this.#link = link;
    this.#jobs = jobs;
  }

  async tasks(): Promise<string[]> {
    return (await this.#link.run(TASKS, [])) as string[];
  }

  async list(query: JobQuery): Promise<JobPage> {
    const { limit, statuses, text, triggerKind } = query;
    if (statuses?.length === 0) return { jobs: [], nextCursor: null };
    const kind = triggerKind !== undefined && !isLookedUp(triggerKind) ? triggerKind : undefined;
    const { along, others } = lookUps(query);
    const isScan = along === '' && others.length === 0 && statuses === undefined;
    const found: StoredJob[] = [];
    let after = query.after;
    for (;;) {
      const wanted = limit + 1 - found.length;
      // Whatever the page, no call holds up the server for long.
      const most = Math.min(PIECE, text === undefined && kind === undefined ? wanted : Math.max(CHUNK, wanted));
      const place = [along, after === undefined ? '0' : '1', after ?? '', String(isScan ? most : PIECE), String(most)];
      const letters = statuses?.map(([letter]) => letter).join('') ?? '';
      const [looked, isEnd, ...rows] = (await this.#link.run(LIST, [...place, letters, ...others])) as Reply[];
      for (const row of rowsOf(rows)) {
        const stored = this.#jobs.read(row);
        if (!fits(stored, text, kind)) continue;
        if (found.length === limit) return { jobs: found, nextCursor: found.at(-1)?.record.id ?? null };
        found.push(stored);
      }
      if (Number(isEnd) === 1) return { jobs: found, nextCursor: null };
      after = String(looked);
    }
  }
}

/** The look-up that is likely to leave the fewest, and those that are left to be checked. */
function lookUps({ tags = [], task, triggerKind, statuses, owner, running }: JobQuery): { along: string; others: string[] } {
  const all: string[] = [];
  if (running === true) all.push('r:');
  const [status] = statuses ?? [];
  if (statuses?.length === 1 && status !== undefined && status !== 'active') all.push(`s:${status[0]!}`);
  if (triggerKind !== undefined && isLookedUp(triggerKind)) all.push(lookUp('k', triggerKind));
  for (const tag of new Set(tags)) all.push(lookUp('g', tag));
  if (owner !== undefined) all.push(lookUp('o', owner));
  if (task !== undefined) all.push(lookUp('t', task));
  // What is no text of Redis's is in no entry, and not in that of the text it would be made into.
  if ([...tags, owner ?? '', task ?? ''].some(isBroken)) all.push('nothing');
  const [along = '', ...others] = all;
  return { along, others };
}

function fits({ record: { id, definition } }: StoredJob, text: string | undefined, kind: string | undefined): boolean {
  if (kind !== undefined && definition.trigger.kind !== kind) return false;
  if (text === undefined) return true;
  const wanted = text.toLowerCase();
  return [id, definition.name, definition.task].some((field) => field?.toLowerCase().includes(wanted) === true);
}
