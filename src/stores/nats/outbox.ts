import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { EpochMs } from '../../ports/trigger.js';
import { translate, WRONG_LAST_SEQUENCE } from './errors.js';
import type { JobIndex } from './job-index.js';
import { EXPECTED } from './job-form.js';
import { encodeKey } from './keys.js';
import { headerLines, type Headers, type Link } from './link.js';
import { DUPLICATES_MS, headerOf, problemOf, readMessage, type Names } from './streams.js';

/** Which revision the commit of these entries replaced: of all commits on that one, exactly one has won. */
const COMMIT = 'Punctual-Commit';
/** The greatest fire time of the entries before it. */
export const BEFORE = 'Punctual-Before';

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const ATTEMPTS = 10;

/** A ledger entry on its way, as it is written in the record. */
export interface Line {
  /** Revision that its commit replaced. */
  readonly on: number;
  /** The greatest fire time of the entries before those of its commit. */
  readonly before: EpochMs | null;
  /** The entry, as JSON: it is written twice. */
  readonly text: string;
}

interface Box {
  readonly revision: number;
  readonly lines: readonly Line[];
}

/**
 * Brings ledger entries from the records, with which they are committed, to the ledger. Whoever committed them does so at
 * once; if it dies before, anybody does who finds them. The entries of a commit are one message, and are written once: those
 * of a job are written in their order, so that the last one there tells which are; what might have been written before is
 * written on the condition that the last one is still the same.
 */
export class Outbox {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #names: Names;
  readonly #index: JobIndex;
  /** Boxes of this node with lines still to be written. */
  readonly #boxes = new Map<string, Box>();
  /** By id: the revision of which all lines are known to be written. */
  readonly #written = new Map<string, number>();
  /** The last work on the lines of a job: they go one after the other. */
  readonly #working = new Map<string, Work>();
  #timer: TimerHandle | undefined;
  #retryMs = FIRST_RETRY_MS;
  #isClosed = false;
  #hasWarned = false;
  /** Reads lines of a record from the server. */
  readLines: (id: string) => Promise<{ readonly revision: number; readonly lines: readonly Line[] } | undefined> = async () => undefined;

  constructor(link: Link, { clock, logger }: { clock: Clock; logger: Logger }, names: Names, index: JobIndex) {
    this.#link = link;
    this.#clock = clock;
    this.#logger = logger;
    this.#names = names;
    this.#index = index;
  }

  /** Which of the lines that a record of this revision has are still to be written, for all that is known. */
  unwritten(id: string, revision: number, lines: readonly Line[]): readonly Line[] {
    return lines.length === 0 || this.#written.get(id) === revision ? [] : lines;
  }

  isWritten(id: string, revision: number): boolean {
    return this.#written.get(id) === revision;
  }

  /** A record was committed with these lines. `firstAt`: none of them was in a record before this time, on the monotonic clock. */
  committed(id: string, revision: number, lines: readonly Line[], firstAt: number | undefined): void {
    this.#written.delete(id);
    if (lines.length === 0) {
      this.#boxes.delete(id);
      return;
    }
    const box = { revision, lines };
    this.#boxes.set(id, box);
    if (firstAt !== undefined && !this.#working.has(id)) this.#writeFirst(id, box, firstAt);
    else this.#write(id, box).catch(() => { this.#retryLater(); });
  }

  /** A tombstone was cleared away, and the lines in it are written. */
  dropped(id: string, revision: number): void {
    if (this.#written.get(id) === revision) this.#written.delete(id);
  }

  /** Revisions mean something else from now on. */
  forget(): void {
    this.#written.clear();
  }

  /** Resolves when the lines of these jobs are in the ledger. @throws NatsStoreError */
  async settle(ids: Iterable<string>): Promise<void> {
    const work: Promise<void>[] = [];
    for (const id of ids) if (this.#index.boxed.has(id) || this.#boxes.has(id)) work.push(this.#settleOne(id));
    await Promise.all(work);
  }

  /** What was still to be written is written, if that goes. */
  async flush(): Promise<void> {
    await Promise.all([...this.#working.values()].map(async (work) => work.ended()));
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  async #settleOne(id: string): Promise<void> {
    await this.#working.get(id)?.ended();
    const boxed = this.#index.boxed.get(id);
    const box = this.#boxes.get(id);
    if (box !== undefined && (boxed === undefined || box.revision >= boxed.revision)) {
      await this.#write(id, box);
      return;
    }
    if (boxed === undefined || this.isWritten(id, boxed.revision)) return;
    const found = await this.readLines(id);
    if (found === undefined || found.lines.length === 0) return;
    await this.#write(id, found);
  }

  /**
   * The lines of one commit. As long as the server would know them again, they need no condition; later, because this process
   * stood still since the commit, another may have written them, and it is to be looked first.
   */
  #writeFirst(id: string, box: Box, firstAt: number): void {
    const work = this.#begin(id);
    const [commit] = byCommit(box.lines);
    this.#link.write({
      ...this.#messageOf(id, commit!, {}),
      before: firstAt + DUPLICATES_MS / 4,
      stored: () => {
        this.#wrote(id, box);
        this.#end(id, work);
      },
      failed: () => {
        this.#end(id, work);
        this.#retryLater();
      },
    });
  }

  /** One work after the other: what is written later shall find what was written before. */
  async #write(id: string, box: Box): Promise<void> {
    const before = this.#working.get(id);
    const work = this.#begin(id);
    try {
      await before?.ended();
      await this.#writeMissing(id, box.lines);
      this.#wrote(id, box);
    } finally {
      this.#end(id, work);
    }
  }

  #begin(id: string): Work {
    const work = new Work();
    this.#working.set(id, work);
    return work;
  }

  #end(id: string, work: Work): void {
    if (this.#working.get(id) === work) this.#working.delete(id);
    work.end();
  }

  #wrote(id: string, box: Box): void {
    this.#written.set(id, box.revision);
    if (this.#boxes.get(id) === box) this.#boxes.delete(id);
    // Of a record that is gone, or has been written since, nobody will ask.
    if (this.#index.boxed.get(id)?.revision !== box.revision) this.#written.delete(id);
    this.#retryMs = FIRST_RETRY_MS;
    this.#hasWarned = false;
  }

  async #writeMissing(id: string, lines: readonly Line[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const last = await readMessage(this.#link, this.#names.ledger, { last_by_subj: this.#subjectOf(id) });
      const written = Number((last === undefined ? undefined : headerOf(last.headers, COMMIT)) ?? 0);
      let sequence = last?.seq ?? 0;
      try {
        for (const commit of byCommit(lines)) {
          if (commit[0].on > written) sequence = await this.#publish(id, commit, { [EXPECTED]: String(sequence) });
        }
        return;
      } catch (error) {
        // Somebody else writes them at this moment.
        if (problemOf(error) !== WRONG_LAST_SEQUENCE || attempt === ATTEMPTS) throw translate(error);
      }
    }
  }

  async #publish(id: string, commit: Commit, condition: Headers): Promise<number> {
    return new Promise((stored, failed) => { this.#link.write({ ...this.#messageOf(id, commit, condition), stored, failed }); });
  }

  #messageOf(id: string, commit: Commit, condition: Headers): { subject: string; payload: string; headers: string } {
    const [{ on, before }] = commit;
    const key = encodeKey(id);
    const last = before === null ? '' : `${BEFORE}: ${before}\r\n`;
    return {
      subject: `${this.#names.ledgerSubject}${key}`,
      payload: `[${commit.map(({ text }) => text).join()}]`,
      headers: `Nats-Msg-Id: ${key}:${on}\r\n${COMMIT}: ${on}\r\n${last}${headerLines(condition)}`,
    };
  }

  #subjectOf(id: string): string {
    return `${this.#names.ledgerSubject}${encodeKey(id)}`;
  }

  #retryLater(): void {
    if (this.#isClosed || this.#timer !== undefined) return;
    const retryInMs = this.#retryMs;
    this.#retryMs = Math.min(retryInMs * 2, LONGEST_RETRY_MS);
    this.#timer = this.#clock.setTimer(
      retryInMs,
      () => {
        this.#timer = undefined;
        this.settle([...this.#boxes.keys()]).catch((error: unknown) => {
          if (this.#isClosed) return;
          if (!this.#hasWarned) this.#logger.warn('the ledger in NATS takes no entries for now: they wait in the records', { error, jobs: this.#boxes.size });
          this.#hasWarned = true;
          this.#retryLater();
        });
      },
      false,
    );
  }
}

/** Something under way that others may wait for. Mostly nobody does, and then it costs no promise. */
class Work {
  #waiting: (() => void)[] | undefined;
  #isOver = false;

  async ended(): Promise<void> {
    if (this.#isOver) return;
    await new Promise<void>((resolve) => { (this.#waiting ??= []).push(resolve); });
  }

  end(): void {
    this.#isOver = true;
    for (const resolve of this.#waiting ?? []) resolve();
  }
}

type Commit = readonly [Line, ...Line[]];

function byCommit(lines: readonly Line[]): Commit[] {
  const commits: [Line, ...Line[]][] = [];
  for (const line of lines) {
    const last = commits.at(-1);
    if (last?.[0].on === line.on) last.push(line);
    else commits.push([line]);
  }
  return commits;
}
