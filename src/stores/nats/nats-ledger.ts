import { InvalidOptionError } from '../../errors/errors.js';
import type { LedgerEntry, LedgerQuery } from '../../model/ledger.js';
import type { Ledger, LedgerPage, LedgerPageRequest } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import { parseJson } from '../../serializers/parse-object.js';
import type { NatsMessage } from './driver.js';
import type { JobIndex } from './job-index.js';
import { encodeKey, isKey } from './keys.js';
import type { Link } from './link.js';
import { BEFORE, type Outbox } from './outbox.js';
import type { Scan } from './scan.js';
import { findStream, type Names } from './streams.js';

/** Sequences looked at first where the newest come first; more each time, as long as too little is found. */
const FIRST_STRETCH = 512;
const LONGEST_STRETCH = 65_536;

const decoder = new TextDecoder();

/** Where an entry is: its message in the stream, and its place among those of the commit. */
interface Place {
  readonly sequence: number;
  readonly place: number;
}

interface Found extends Place {
  readonly entry: LedgerEntry;
}

/** The history: a stream with a subject for each job, of which the server drops the oldest. */
export class NatsLedger implements Ledger {
  readonly #link: Link;
  readonly #names: Names;
  readonly #index: JobIndex;
  readonly #outbox: Outbox;
  readonly #scan: Scan;
  readonly #keepsAny: boolean;
  readonly #catchUp: () => Promise<void>;
  readonly #now: () => EpochMs;

  constructor(parts: { link: Link; names: Names; index: JobIndex; outbox: Outbox; scan: Scan; keepsAny: boolean; catchUp: () => Promise<void>; now: () => EpochMs }) {
    this.#link = parts.link;
    this.#names = parts.names;
    this.#index = parts.index;
    this.#outbox = parts.outbox;
    this.#scan = parts.scan;
    this.#keepsAny = parts.keepsAny;
    this.#catchUp = parts.catchUp;
    this.#now = parts.now;
  }

  async list(query: LedgerQuery & LedgerPageRequest): Promise<LedgerPage> {
    const { jobId, runId, verdicts, after, limit, newestFirst = false } = query;
    const cursor = after === undefined ? undefined : readCursor(after);
    const jobs = (jobId !== undefined ? [jobId] : runId !== undefined ? jobsOfRun(runId) : undefined)?.filter(isKey);
    if (!this.#keepsAny || verdicts?.length === 0 || jobs?.length === 0) return { entries: [], nextCursor: null };
    await this.#settle(jobs);
    // All of it without a pattern: servers miscount what is left to read of a pattern where a subject has lost its oldest.
    const subjects = jobs?.map((id) => this.#subjectOf(id)) ?? [undefined];
    const found: Found[] = [];
    for (const subject of subjects) found.push(...(await (newestFirst ? this.#newest(subject, cursor, query, jobs !== undefined) : this.#oldest(subject, cursor, query))));
    found.sort((a, b) => (newestFirst ? compare(b, a) : compare(a, b)));
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return { entries: page.map(({ entry }) => entry), nextCursor: found.length > limit && last !== undefined ? `${last.sequence}.${last.place}` : null };
  }

  async prunedThrough(jobId: string): Promise<EpochMs | null> {
    if (!isKey(jobId)) return null;
    await this.#settle([jobId]);
    const high = this.#index.get(jobId)?.record.high ?? null;
    if (!this.#keepsAny) return high;
    let before: EpochMs | null | undefined;
    await this.#scan.read(this.#subjectOf(jobId), 1, ({ headers }) => {
      const text = headers?.get(BEFORE) ?? '';
      before = text === '' ? null : Number(text);
      return false;
    });
    // Where nothing is left, all there was has been dropped.
    return before === undefined ? high : before;
  }

  /** What still travels in records comes into the ledger, so that it is read in its place. */
  async #settle(jobs: readonly string[] | undefined): Promise<void> {
    await this.#catchUp();
    await this.#outbox.settle(jobs ?? [...this.#index.boxed.keys()]);
  }

  async #oldest(subject: string | undefined, after: Place | undefined, query: LedgerQuery & LedgerPageRequest): Promise<Found[]> {
    const found: Found[] = [];
    await this.#scan.read(subject, after?.sequence ?? 1, (message, sequence) => {
      for (const entry of this.#read(message, sequence)) {
        if ((after === undefined || compare(entry, after) > 0) && matches(entry.entry, query)) found.push(entry);
      }
      return found.length <= query.limit;
    });
    return found;
  }

  /** A stream is read forwards only: a stretch at a time, from the end back to the beginning. Of one job it is all at once. */
  async #newest(subject: string | undefined, before: Place | undefined, query: LedgerQuery & LedgerPageRequest, isOneJob: boolean): Promise<Found[]> {
    const { first_seq: first, last_seq: last } = (await findStream(this.#link, this.#names.ledger))?.state ?? { first_seq: 0, last_seq: 0 };
    const found: Found[] = [];
    let end = Math.min(last, before?.sequence ?? last);
    for (let stretch = isOneJob ? Number.POSITIVE_INFINITY : FIRST_STRETCH; end >= Math.max(1, first) && found.length <= query.limit; stretch = Math.min(stretch * 2, LONGEST_STRETCH)) {
      const start = Math.max(first, end - stretch + 1, 1);
      const part: Found[] = [];
      await this.#scan.read(subject, start, (message, sequence) => {
        if (sequence > end) return false;
        for (const entry of this.#read(message, sequence)) {
          if ((before === undefined || compare(entry, before) < 0) && matches(entry.entry, query)) part.push(entry);
        }
        return sequence < end;
      });
      found.push(...part.reverse());
      end = start - 1;
    }
    return found;
  }

  #read({ data }: NatsMessage, sequence: number): Found[] {
    const entries = parseJson(decoder.decode(data));
    if (!Array.isArray(entries)) return [];
    const now = this.#now();
    return (entries as LedgerEntry[]).map((entry, place) => {
      // The stream cannot be changed: what may be forgotten is no longer shown, and goes with its entry.
      const isOver = entry.result !== null && entry.result.expiresAt <= now;
      return { sequence, place, entry: isOver ? { ...entry, result: null } : entry };
    });
  }

  #subjectOf(id: string): string {
    return `${this.#names.ledgerSubject}${encodeKey(id)}`;
  }
}

/** The jobs a run may belong to: its id is the job's, then `@` with a fire time or `#` with a token. */
function jobsOfRun(runId: string): string[] {
  return ['@', '#'].filter((mark) => runId.includes(mark)).map((mark) => runId.slice(0, runId.lastIndexOf(mark)));
}

function compare(a: Place, b: Place): number {
  return a.sequence - b.sequence || a.place - b.place;
}

function readCursor(cursor: string): Place {
  const [, sequence, place] = /^(\d+)\.(\d+)$/.exec(cursor) ?? [];
  if (sequence !== undefined && place !== undefined) return { sequence: Number(sequence), place: Number(place) };
  throw new InvalidOptionError('cursor', cursor, 'the nextCursor of an earlier page');
}

function matches(entry: LedgerEntry, { jobId, runId, verdicts, from, to }: LedgerQuery): boolean {
  if (jobId !== undefined && entry.jobId !== jobId) return false;
  if (runId !== undefined && entry.runId !== runId) return false;
  if (verdicts !== undefined && !verdicts.includes(entry.verdict)) return false;
  if (from !== undefined && entry.scheduledTo < from) return false;
  return to === undefined || entry.scheduledFor <= to;
}
