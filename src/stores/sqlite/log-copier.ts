import { resolve } from 'node:path';
import type { Clock } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { SQLiteDatabase } from './driver.js';
import { threadLog, type ThreadLog } from './log-thread.js';

/** Pages of the write-ahead log (of 4 KiB) from which on it is copied into the database, and both are synced to the disk: some milliseconds. As many as SQLite has by default. */
const PAGES = 1_000;
/** Pages from which on SQLite copies the log by itself, within a commit: where nobody gave it a turn of its own. */
const MOST_PAGES = 4_000;
/** Pages from which on a log that a thread copies is to begin anew: what was written meanwhile is copied here, so that nothing is left of it. */
const LONG = 2_500;
/**
 * Pages that a changed row comes to, until a copy has told how many there were: about six where each is a commit of its own,
 * a fifth in large batches, which share the pages of indexes. Rather too many: a log that is longer by then than SQLite lets
 * it become tells nothing.
 */
const PAGES_A_ROW = 2;
/** What a copy tells of one batch is not said of all. */
const SMOOTHING = 0.5;
/** A log that becomes long twice within so long has a thread to copy it. */
const OFTEN_MS = 10_000;

/**
 * Copies the write-ahead log into the database between two batches, in a turn of the event loop that has nothing else to
 * do; where there is much to do, in a thread, so that nothing waits for the disk. SQLite would do it at the end of a commit,
 * and hold up everything for the time of both. It does not tell how long the log is, so that is reckoned by the rows that
 * were written; each copy tells how many pages they came to.
 *
 * The log begins anew when all of it was copied and something is written then. A thread never gets to that while this
 * process goes on writing, so when the log has become long, the rest of it is copied here: it is short, and the thread has
 * the most of it behind it.
 */
export class LogCopier {
  readonly #database: SQLiteDatabase;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Whatever folder the program goes to later. */
  readonly #path: string;
  #rows = 0;
  #pagesARow = PAGES_A_ROW;
  /** Monotonic. */
  #copiedAt = Number.NEGATIVE_INFINITY;
  /** `null`: there cannot be one. */
  #thread: ThreadLog | null | undefined;
  #isCopying = false;
  /** Pages in the log when the thread had last copied it, or 0 where it begins anew. */
  #length = 0;

  constructor(database: SQLiteDatabase, clock: Clock, logger: Logger) {
    this.#database = database;
    this.#clock = clock;
    this.#logger = logger;
    this.#path = resolve(database.name);
    database.pragma(`wal_autocheckpoint = ${MOST_PAGES}`);
  }

  /** So many rows were changed. */
  wrote(rows: number): void {
    this.#rows += rows;
  }

  /** Copies the log if it has become long. Answers whether that took a while. */
  copy(): boolean {
    if (this.#isCopying) return false;
    if (this.#length >= LONG) {
      this.#copyHere();
      return true;
    }
    if (this.#rows * this.#pagesARow < PAGES) return false;
    const now = this.#clock.monotonic();
    const isOften = now - this.#copiedAt < OFTEN_MS;
    this.#copiedAt = now;
    const thread = isOften ? this.#inThread() : null;
    if (thread === null) {
      this.#copyHere();
      return true;
    }
    void this.#copyThere(thread);
    return false;
  }

  /** To be called before the database is closed: whoever closes it last takes the log away. Nothing to wait for where there was no thread. */
  close(): Promise<void> | undefined {
    const thread = this.#thread;
    this.#thread = null;
    return thread?.close();
  }

  #copyHere(): void {
    const rows = this.#rows;
    const before = this.#length;
    this.#rows = 0;
    this.#length = 0;
    try {
      // Waits for nobody: what somebody still reads stays in the log.
      const [answer] = this.#database.pragma('wal_checkpoint(PASSIVE)') as { readonly log: number }[];
      this.#learn((answer?.log ?? 0) - before, rows);
    } catch (error) {
      this.#logger.debug('the write-ahead log could not be copied; SQLite does it with one of the next commits', { error });
    }
  }

  async #copyThere(thread: ThreadLog): Promise<void> {
    const rows = this.#rows;
    const before = this.#length;
    this.#rows = 0;
    this.#isCopying = true;
    const answer = await thread.copy();
    this.#isCopying = false;
    if (answer === undefined) {
      this.#logger.debug('the write-ahead log is copied by no thread', { path: this.#path });
      this.#thread = null;
      this.#rows += rows;
      void thread.close();
      return;
    }
    // Where all of it was copied and nothing was written since, it begins anew by itself.
    this.#length = answer.checkpointed === answer.log && this.#rows === 0 ? 0 : answer.log;
    // What was written before it came to it is in the log, too.
    this.#learn(answer.log - before, rows + this.#rows);
  }

  /** The log has grown by so many pages with so many rows. Where it did not begin anew it tells nothing of these. */
  #learn(pages: number, rows: number): void {
    if (pages > 0 && pages < MOST_PAGES && rows > 0) this.#pagesARow += (pages / rows - this.#pagesARow) * SMOOTHING;
  }

  #inThread(): ThreadLog | null {
    if (this.#thread !== undefined) return this.#thread;
    try {
      this.#thread = threadLog(this.#clock, this.#database.constructor, this.#path, this.#database.pragma('synchronous', { simple: true }) as number);
    } catch (error) {
      this.#logger.debug('the write-ahead log is copied by no thread', { error, path: this.#path });
      this.#thread = null;
    }
    return this.#thread;
  }
}
