import { InvalidOptionError } from '../../errors/errors.js';
import type { LedgerEntry, LedgerQuery, StoredResult, Verdict } from '../../model/ledger.js';
import type { ErrorInfo } from '../../model/run.js';
import type { Ledger, LedgerPage, LedgerPageRequest } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { parseJson } from '../../serializers/parse-object.js';
import type { Reply } from './driver.js';
import { LINES, PRUNED } from './ledger-scripts.js';
import type { Link } from './link.js';
import type { Line } from './plain-batch.js';

/** Entries looked at by one call. */
const PIECE = 1_000;
/** Texts of an entry in an answer: number, the fields, the result. */
const WIDTH = 10;
/** Jobs whose history may have become too long that are kept in mind. More are found again at their next entry. */
const MOST_GROWN = 10_000;

/** What of an entry is not looked for. */
type Rest = [reason: string | null, count: number, exact: 0 | 1, generation: number, attempt: number, startedAt: number | null, node: string, error: ErrorInfo | null];

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

  /** A line, as the script of a commit takes it. */
  args(entry: LedgerEntry): string[] {
    const { result } = entry;
    return [...this.line(entry), result === null ? '' : String(result.expiresAt), result === null ? '' : JSON.stringify(result)];
  }

  /** The same without its result. */
  line(entry: LedgerEntry): Line {
    const rest: Rest = [entry.reason, entry.count, entry.exact ? 1 : 0, entry.generation, entry.attempt, entry.startedAt, entry.node, entry.error];
    return [entry.runId ?? '', entry.verdict, String(entry.scheduledFor), String(entry.scheduledTo), entry.manual ? '1' : '0', String(entry.at), JSON.stringify(rest)];
  }

  /** The entries of a job are too many. */
  grown(jobId: string): void {
    if (this.grownJobs.size < MOST_GROWN) this.grownJobs.add(jobId);
  }

  async list(query: LedgerQuery & LedgerPageRequest): Promise<LedgerPage> {
    const { limit, newestFirst = false, verdicts, runId = '', from, to } = query;
    if (verdicts?.length === 0) return { entries: [], nextCursor: null };
    const source = sourceOf(query);
    const filter = [runId, verdicts === undefined ? '' : `,${verdicts.join(',')},`, String(from ?? ''), String(to ?? '')];
    const entries: LedgerEntry[] = [];
    let cursor: string | null = null;
    let after = query.after === undefined ? '' : readCursor(query.after);
    for (;;) {
      const wanted = limit + 1 - entries.length;
      const most = runId === '' && verdicts === undefined && from === undefined && to === undefined ? Math.min(PIECE, wanted) : PIECE;
      const page = (await this.#link.run(LINES, [source, newestFirst ? '1' : '0', after, String(most), String(wanted), ...filter])) as string[];
      for (let at = 2; at < page.length; at += WIDTH) {
        if (entries.length === limit) return { entries, nextCursor: cursor };
        entries.push(readLine(page.slice(at, at + WIDTH)));
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

function readLine([, jobId = '', runId = '', verdict, from, to, manual, at, restText = '', resultText = '']: readonly string[]): LedgerEntry {
  // One line that is damaged must not keep the others from being read.
  const parsed = parseJson(restText);
  const [reason, count, exact, generation, attempt, startedAt, node, error] = (Array.isArray(parsed) ? parsed : [null, 1, 0, 0, 0, null, '', null]) as Rest;
  return {
    jobId,
    runId: runId === '' ? null : runId,
    verdict: verdict as Verdict,
    reason,
    scheduledFor: Number(from),
    scheduledTo: Number(to),
    count,
    exact: exact === 1,
    manual: manual === '1',
    generation,
    attempt,
    startedAt,
    at: Number(at),
    node,
    error,
    // What nobody can read is for the scheduler to say so.
    result: resultText === '' ? null : ((parseJson(resultText) as StoredResult | undefined) ?? { value: { by: '', data: resultText }, omitted: null, expiresAt: 0 }),
  };
}
