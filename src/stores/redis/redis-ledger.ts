import { InvalidOptionError } from '../../errors/errors.js';
import type { LedgerEntry, LedgerQuery } from '../../model/ledger.js';
import type { Ledger, LedgerPage, LedgerPageRequest } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Reply } from './driver.js';
import { lineOf, readLine } from './ledger-line.js';
import { LINES, PRUNED } from './ledger-scripts.js';
import type { Link } from './link.js';

/** Entries looked at by one call. */
const PIECE = 1_000;
/** Texts of an entry in an answer: number, job, line, result. */
const WIDTH = 4;
/** Jobs whose history may have become too long that are kept in mind. More are found again at their next entry. */
const MOST_GROWN = 10_000;

/** The history. Its lines are written by the script of the commit they belong to. */
export class RedisLedger implements Ledger {
  readonly #link: Link;
  /** Whether there is any. */
  readonly keeps: boolean;
  /** Entries of a job from which on the oldest go: some more than are kept, so that many go at a time. */
  readonly pruneAbove: number;
  /** Jobs whose history is too long. */
  readonly grownJobs = new Set<string>();

  constructor(link: Link, perJob: number) {
    this.#link = link;
    this.keeps = perJob > 0;
    this.pruneAbove = perJob + Math.max(20, Math.ceil(perJob / 10));
  }

  /** An entry, as the script of a commit takes it that works out what else is to be written. */
  args(entry: LedgerEntry): string[] {
    const { verdict, scheduledTo, manual, result } = entry;
    return [lineOf(entry), verdict, String(scheduledTo), manual ? '1' : '0', result === null ? '' : String(result.expiresAt), result === null ? '' : JSON.stringify(result)];
  }

  /** The entries of a job are too many. */
  grown(jobId: string): void {
    if (this.grownJobs.size < MOST_GROWN) this.grownJobs.add(jobId);
  }

  async list(query: LedgerQuery & LedgerPageRequest): Promise<LedgerPage> {
    const { limit, newestFirst = false, verdicts, runId = '', from, to } = query;
    if (verdicts?.length === 0) return { entries: [], nextCursor: null };
    const source = sourceOf(query);
    const filter = [runId, verdicts === undefined ? '' : `,${verdicts.join(',')},`, String(from ?? ''), String(to ?? ''), `[${JSON.stringify(runId)},`];
    const entries: LedgerEntry[] = [];
    let cursor: string | null = null;
    let after = query.after === undefined ? '' : readCursor(query.after);
    for (;;) {
      const wanted = limit + 1 - entries.length;
      const most = runId === '' && verdicts === undefined && from === undefined && to === undefined ? Math.min(PIECE, wanted) : PIECE;
      const page = (await this.#link.run(LINES, [source, newestFirst ? '1' : '0', after, String(most), String(wanted), ...filter])) as string[];
      for (let at = 2; at < page.length; at += WIDTH) {
        if (entries.length === limit) return { entries, nextCursor: cursor };
        entries.push(readLine(page[at + 1]!, page[at + 2]!, page[at + 3]!));
        cursor = page[at]!;
      }
      if (Number(page[1]) === 1) return { entries, nextCursor: null };
      after = String(page[0]);
    }
  }

  async prunedThrough(jobId: string): Promise<EpochMs | null> {
    const noted = ((await this.#link.run(PRUNED, [jobId])) as Reply[]).filter((at) => typeof at === 'string');
    return noted.length === 0 ? null : Math.max(...noted.map(Number));
  }
}

/** What went wrong is rare, has an index of its own, and is what people look for. */
function sourceOf({ jobId, runId, verdicts }: LedgerQuery): string {
  const job = jobId ?? (runId === undefined ? undefined : jobOfRun(runId));
  if (job !== undefined) return `of:${job}`;
  return verdicts?.includes('succeeded') === false ? 'trouble' : 'log';
}

/** The id of a run is its job's, then `@` with a fire time or `#` with a token. */
function jobOfRun(runId: string): string {
  return runId.slice(0, Math.max(0, runId.lastIndexOf('@'), runId.lastIndexOf('#')));
}

function readCursor(cursor: string): string {
  if (/^\d{1,16}$/.test(cursor)) return cursor;
  throw new InvalidOptionError('cursor', cursor, 'the nextCursor of an earlier page');
}
