import type { Logger } from '../../ports/logger.js';
import type { SQLiteDatabase } from './driver.js';

/** Pages of the write-ahead log (of 4 KiB) from which on it is copied into the database, and both are synced to the disk: some milliseconds. As many as SQLite has by default. */
const PAGES = 1_000;
/** Pages from which on SQLite copies the log by itself, within a commit: where nobody gave it a turn of its own. */
const MOST_PAGES = 4_000;
/**
 * Pages that a changed row comes to, until a copy has told how many there were: about six where each is a commit of its own,
 * a fifth in large batches, which share the pages of indexes. Rather too many: a log that is longer by then than SQLite lets
 * it become tells nothing.
 */
const PAGES_A_ROW = 2;
/** What a copy tells of one batch is not said of all. */
const SMOOTHING = 0.5;

/**
 * Copies the write-ahead log into the database between two batches, in a turn of the event loop that has nothing else to
 * do. SQLite would do it at the end of a commit, and hold up everything for the time of both. It does not tell how long
 * the log is, so that is reckoned by the rows that were written; each copy tells how many pages they came to.
 */
export class LogCopier {
  readonly #database: SQLiteDatabase;
  readonly #logger: Logger;
  #rows = 0;
  #pagesARow = PAGES_A_ROW;

  constructor(database: SQLiteDatabase, logger: Logger) {
    this.#database = database;
    this.#logger = logger;
    database.pragma(`wal_autocheckpoint = ${MOST_PAGES}`);
  }

  /** So many rows were changed. */
  wrote(rows: number): void {
    this.#rows += rows;
  }

  /** Copies the log if it has become long. Answers whether it did. */
  copy(): boolean {
    const rows = this.#rows;
    if (rows * this.#pagesARow < PAGES) return false;
    this.#rows = 0;
    try {
      // Waits for nobody: what somebody still reads stays in the log.
      const [answer] = this.#database.pragma('wal_checkpoint(PASSIVE)') as { readonly log: number }[];
      const pages = answer?.log ?? 0;
      // The log begins anew once all of it was copied; where it does not, it tells nothing of these rows.
      if (pages > 0 && pages < MOST_PAGES) this.#pagesARow += (pages / rows - this.#pagesARow) * SMOOTHING;
    } catch (error) {
      this.#logger.debug('the write-ahead log could not be copied; SQLite does it with one of the next commits', { error });
    }
    return true;
  }
}
