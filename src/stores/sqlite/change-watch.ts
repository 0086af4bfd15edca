import { watch as watchFile } from 'node:fs';
import type { Clock, TimerHandle } from '../../ports/clock.js';
import type { SQLiteDatabase } from './driver.js';

/** The log is written a moment before what was written is there to be seen. */
const SETTLED_MS = 20;

/**
 * Notices what others write to the jobs: other processes, and other stores that were given the same `Database`. SQLite
 * has no messages: it is looked for from time to time, and as soon as the write-ahead log is seen to change.
 */
export class ChangeWatch {
  readonly #database: SQLiteDatabase;
  readonly #clock: Clock;
  readonly #pollMs: number;
  /** Whether others have written since this was last asked. */
  readonly #hasChanged: () => boolean;
  readonly #listeners = new Set<() => void>();
  #timer: TimerHandle | undefined;
  #hint: TimerHandle | undefined;
  #stopHints: (() => void) | undefined;

  constructor(database: SQLiteDatabase, clock: Clock, pollMs: number, hasChanged: () => boolean) {
    this.#database = database;
    this.#clock = clock;
    this.#pollMs = pollMs;
    this.#hasChanged = hasChanged;
  }

  /** Answers how to stop. */
  listen(onChange: () => void): () => void {
    // Each call is told by itself, also if the function is the same.
    const listener = (): void => { onChange(); };
    if (this.#listeners.size === 0) this.#start();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.stop();
    };
  }

  #start(): void {
    this.#hasChanged();
    this.#stopHints = this.#watchLog();
    this.#poll();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#hint?.cancel();
    this.#hint = undefined;
    this.#stopHints?.();
    this.#stopHints = undefined;
  }

  #poll(): void {
    this.#timer = this.#clock.setTimer(
      this.#pollMs,
      () => {
        this.#poll();
        this.#look();
      },
      false,
    );
  }

  #look(): void {
    if (this.#timer === undefined || !this.#database.open) return;
    let hasChanged = false;
    try {
      hasChanged = this.#hasChanged();
    } catch {
      // What is wrong with the database is said by the next call that needs it.
      return;
    }
    if (hasChanged) for (const listener of this.#listeners) listener();
  }

  /** Own writes come here too, so there is at most one timer, and nothing but a look. */
  #hinted(): void {
    this.#look();
    if (this.#timer === undefined) return;
    this.#hint ??= this.#clock.setTimer(
      SETTLED_MS,
      () => {
        this.#hint = undefined;
        this.#look();
      },
      false,
    );
  }

  /** A hint, which some systems and file systems do not give: polling goes on beside it. */
  #watchLog(): (() => void) | undefined {
    try {
      const watcher = watchFile(`${this.#database.name}-wal`, { persistent: false }, () => { this.#hinted(); });
      watcher.on('error', () => { watcher.close(); });
      return () => { watcher.close(); };
    } catch {
      return undefined;
    }
  }
}
