import type { JobDefinition } from '../../model/job.js';
import type { Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';

/** When the first job of a lane has something to begin, and when the first lease in it ends: a probe of an index each. */
export const FIRST_DUE = '(SELECT wake_at FROM {jobs} INDEXED BY {jobs_due} WHERE lane = {lanes}.id AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1)';
export const FIRST_LEASE = '(SELECT lease_at FROM {jobs} INDEXED BY {jobs_leased} WHERE lane = {lanes}.id AND lease_at IS NOT NULL ORDER BY lease_at LIMIT 1)';

/** Lanes kept in mind; one may make a lane for each of a million priorities. */
const CACHE_LIMIT = 10_000;

/**
 * Revisions and lanes. A lane is what a node must have to serve a job (executor, task, version of the task), with the
 * job's priority: jobs that differ in none of these lie together in the index of what is due.
 */
export class Lanes {
  readonly #connection: Connection;
  readonly #take: SQLiteStatement;
  readonly #find: SQLiteStatement;
  readonly #add: SQLiteStatement;
  readonly #dropEmpty: SQLiteStatement;
  readonly #findEmpty: SQLiteStatement;
  readonly #ids = new Map<string, number>();
  readonly #revision: SQLiteStatement;
  #epoch = 0;
  /** The latest revision this process knows of. */
  #latest = 0;
  /** Lanes were added in the transaction that goes on. */
  #hasAdded = false;
  /** `#latest` before the transaction that goes on. */
  #before: number | undefined;
  #foreign = false;
  /** Told when somebody else has written. */
  onForeign: () => void = () => undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#revision = connection.prepareRows('SELECT revision FROM {counters}');
    this.#take = connection.prepareRows('UPDATE {counters} SET revision = revision + ? WHERE one = 1 RETURNING revision, lane_epoch');
    this.#find = connection.prepareRows('SELECT id FROM {lanes} WHERE task = ? AND executor = ? AND task_version = ? AND priority = ?');
    this.#add = connection.prepare('INSERT INTO {lanes} (task, executor, task_version, priority) VALUES (?, ?, ?, ?)');
    this.#findEmpty = connection.prepareRows('SELECT id FROM {lanes} WHERE NOT EXISTS (SELECT 1 FROM {jobs} WHERE lane = {lanes}.id) LIMIT 1');
    this.#dropEmpty = connection.prepare('DELETE FROM {lanes} WHERE NOT EXISTS (SELECT 1 FROM {jobs} WHERE lane = {lanes}.id)');
    this.#latest = this.#readRevision();
  }

  /**
   * Begins a transaction that writes: answers the first of `count` revisions that nobody ever had. They are counted over
   * all jobs, so that one is never used again for an id that comes back.
   */
  takeRevisions(count: number): number {
    const [last, epoch] = this.#take.get(count) as [number, number];
    if (last - count !== this.#latest) {
      this.#foreign = true;
      this.onForeign();
    }
    this.#before = last - count;
    this.#latest = last;
    if (epoch !== this.#epoch) this.#ids.clear();
    this.#epoch = epoch;
    return last - count + 1;
  }

  /** Whether other processes have written since this was last asked. */
  takeForeign(): boolean {
    const now = this.#readRevision();
    const foreign = this.#foreign || now !== this.#latest;
    this.#latest = now;
    this.#foreign = false;
    return foreign;
  }

  /** The lane of a definition. To be called after `takeRevisions`, in its transaction. */
  of({ task, taskVersion, policy: { executor, priority } }: JobDefinition): number {
    const key = `${taskVersion} ${priority} ${executor.length} ${executor}${task}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const found = this.#find.get(task, executor, taskVersion, priority) as [number] | undefined;
    const id = found?.[0] ?? Number(this.#add.run(task, executor, taskVersion, priority).lastInsertRowid);
    if (found === undefined) this.#hasAdded = true;
    if (this.#ids.size >= CACHE_LIMIT) this.#ids.clear();
    this.#ids.set(key, id);
    return id;
  }

  /** A transaction was undone, and with it the lanes it added. */
  undone(): void {
    if (this.#hasAdded) this.#ids.clear();
    if (this.#before !== undefined) this.#latest = this.#before;
    this.committed();
  }

  committed(): void {
    this.#hasAdded = false;
    this.#before = undefined;
  }

  /** Takes out lanes that no job is in. Answers whether there were any. */
  dropEmpty(): boolean {
    if (this.#connection.read(() => this.#findEmpty.get()) === undefined) return false;
    this.#connection.write(() => {
      this.#dropEmpty.run();
      this.#connection.prepare('UPDATE {counters} SET lane_epoch = lane_epoch + 1').run();
    });
    return true;
  }

  #readRevision(): number {
    return (this.#revision.get() as [number])[0];
  }
}
