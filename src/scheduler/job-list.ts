import { InvalidOptionError } from '../errors/errors.js';
import { refuseUnknownKeys } from '../errors/options.js';
import type { StoreContext, StoredJob } from '../ports/job-store.js';
import { VISIBLE, type JobDirectory, type JobListQuery } from './job-directory.js';
import { checkTags } from './job-factory.js';
import { flag, nonEmpty, oneOf, whole } from './policy.js';

/** A job as it was read, and the alias of the store that has it. */
export interface ListedJob {
  readonly alias: string;
  readonly stored: StoredJob;
}

const QUERY_KEYS: readonly (keyof JobListQuery)[] = ['tags', 'task', 'owner', 'status', 'overdue', 'text', 'jobStore', 'limit', 'cursor'];
const PAGE = 1_000;

/** The jobs that match, in order of store and id, and where the next page begins. @throws InvalidOptionError, UnknownStoreError */
export async function listJobs(
  directory: JobDirectory,
  context: StoreContext,
  query: JobListQuery,
): Promise<{ readonly jobs: readonly ListedJob[]; readonly nextCursor: string | null }> {
  refuseUnknownKeys(query, '', QUERY_KEYS);
  const limit = query.limit === undefined ? Number.POSITIVE_INFINITY : whole(query.limit, 'limit', 1);
  const [fromStore, fromId] = readCursor(query.cursor);
  if (fromStore !== undefined && !directory.has(fromStore)) throw badCursor(query.cursor);
  const statuses = query.status === undefined ? VISIBLE : [query.status].flat().map((status) => oneOf(status, 'status', VISIBLE));
  const tags = query.tags === undefined ? undefined : checkTags(query.tags);
  const task = query.task === undefined ? undefined : nonEmpty(query.task, 'task');
  const owner = query.owner === undefined ? undefined : nonEmpty(query.owner, 'owner');
  const text = query.text === undefined || query.text === '' ? undefined : nonEmpty(query.text, 'text');
  const overdue = flag(query.overdue, 'overdue') ? true : undefined;
  const jobs: ListedJob[] = [];
  let reached = fromStore === undefined;
  for (const loop of query.jobStore === undefined ? directory.loops : [directory.require(query.jobStore)]) {
    const { alias } = loop.access;
    // Of a store that cannot tell, nothing is expected.
    if (overdue !== undefined && loop.access.store.alarms === undefined) continue;
    const isFirst = !reached && alias === fromStore;
    reached ||= isFirst;
    if (!reached) continue;
    await loop.open(context);
    let after: string | undefined = isFirst ? fromId : undefined;
    do {
      const room = Math.min(PAGE, limit - jobs.length);
      if (room === 0) return { jobs, nextCursor: cursorAfter(jobs) };
      const page = await loop.access.list({ tags, task, owner, text, statuses, overdue, after, limit: room });
      for (const stored of page.jobs) jobs.push({ alias, stored });
      after = page.nextCursor ?? undefined;
    } while (after !== undefined);
  }
  return { jobs, nextCursor: null };
}

function cursorAfter(jobs: readonly ListedJob[]): string | null {
  const last = jobs.at(-1);
  return last === undefined ? null : JSON.stringify([last.alias, last.stored.record.id]);
}

function readCursor(cursor: string | undefined): [string?, string?] {
  if (cursor === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(cursor);
    if (Array.isArray(parsed) && parsed.length === 2 && parsed.every((part) => typeof part === 'string')) return parsed as [string, string];
  } catch {
    // said below
  }
  throw badCursor(cursor);
}

function badCursor(cursor: unknown): InvalidOptionError {
  return new InvalidOptionError('cursor', cursor, 'the nextCursor of an earlier page');
}
