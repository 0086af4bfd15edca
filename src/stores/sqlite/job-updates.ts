import type { Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';

/** What of a row changes less often than its state. A column that is named in an update costs its indexes work. */
export const WAKE = 1;
export const LEASE = 2;
export const STATUS = 4;
/** Always, where something is expected of the job: it is hardly ever the same. */
export const ALARM = 8;
export const ALL = WAKE | LEASE | STATUS | ALARM;

/** Rows written by one statement: to call one costs about as much as what it does to a row. */
const AT_ONCE = 32;

/** A row as it shall be, if it still has the revision that is expected. Of the columns that stay as they are nothing is written. */
export interface RowUpdate {
  readonly mask: number;
  readonly seq: number;
  readonly expected: number;
  readonly revision: number;
  /** Ledger entries more than before. */
  readonly lines: number;
  readonly state: string;
  readonly wakeAt: number | null;
  readonly leaseAt: number | null;
  readonly status: string;
  readonly alarmAt: number | null;
}

/** Updates of the same columns. */
interface Group {
  readonly columns: readonly string[];
  readonly one: SQLiteStatement;
  many: SQLiteStatement | undefined;
  /** Values of each. */
  readonly width: number;
  /** As long as they ever get: what wakes up to be filled again costs nothing. */
  readonly values: unknown[];
  /** What the caller knows them by. */
  readonly places: number[];
  count: number;
}

/** Where the row and the revision it gets are among the values of an update. */
const REVISION = 0;
const SEQ_FROM_END = 2;

/** Updates of rows whose definition stays, many at a time. */
export class JobUpdates {
  readonly #connection: Connection;
  readonly #groups: readonly Group[];
  readonly #isThere: SQLiteStatement;
  #lost: number[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#isThere = connection.prepareRows('SELECT 1 FROM {jobs} WHERE seq = ? AND revision = ?');
    this.#groups = Array.from({ length: ALL + 1 }, (_, mask): Group => {
      const columns = ['state'];
      if (mask & WAKE) columns.push('wake_at');
      if (mask & LEASE) columns.push('lease_at');
      if (mask & STATUS) columns.push('status');
      if (mask & ALARM) columns.push('alarm_at');
      const set = columns.map((column) => `, ${column} = ?`).join('');
      const one = connection.prepare(`UPDATE {jobs} SET revision = ?, lines = lines + ?${set} WHERE seq = ? AND revision = ?`);
      const width = columns.length + 4;
      const values = Array.from({ length: AT_ONCE * width }, () => null);
      return { columns, one, many: undefined, width, values, places: Array.from({ length: AT_ONCE }, () => 0), count: 0 };
    });
  }

  /** To be called in a transaction that writes, which ends with `flush`. */
  add(place: number, update: RowUpdate): void {
    const { mask } = update;
    const group = this.#groups[mask]!;
    const { values } = group;
    let at = group.count * group.width;
    values[at] = update.revision;
    values[(at += 1)] = update.lines;
    values[(at += 1)] = update.state;
    if (mask & WAKE) values[(at += 1)] = update.wakeAt;
    if (mask & LEASE) values[(at += 1)] = update.leaseAt;
    if (mask & STATUS) values[(at += 1)] = update.status;
    if (mask & ALARM) values[(at += 1)] = update.alarmAt;
    values[(at += 1)] = update.seq;
    values[at + 1] = update.expected;
    group.places[group.count] = place;
    group.count += 1;
    if (group.count === AT_ONCE) this.#writeMany(group);
  }

  /** Writes what waits. Answers the places of those that somebody else was first at, since this was last called. */
  flush(): readonly number[] {
    for (const group of this.#groups) if (group.count > 0) this.#writeEach(group);
    const lost = this.#lost;
    if (lost.length > 0) this.#lost = [];
    return lost;
  }

  /** The transaction was undone: what waits belongs to nothing. */
  undone(): void {
    this.#lost = [];
    for (const group of this.#groups) group.count = 0;
  }

  #writeMany(group: Group): void {
    const { values, places, width } = group;
    group.many ??= this.#connection.prepare(insteadOfRows(group.columns));
    let changes: number;
    try {
      // One by one: the driver takes much longer to look into a list.
      ({ changes } = group.many.run(...values));
    } catch (error) {
      if (!isRowGone(error)) throw error;
      this.#writeEach(group);
      return;
    }
    group.count = 0;
    if (changes === AT_ONCE) return;
    places.forEach((place, i) => {
      if (this.#isThere.get(values[(i + 1) * width - SEQ_FROM_END], values[i * width + REVISION]) === undefined) this.#lost.push(place);
    });
  }

  #writeEach(group: Group): void {
    const { values, places, width, one, count } = group;
    group.count = 0;
    for (let i = 0; i < count; i++) {
      if (one.run(...values.slice(i * width, (i + 1) * width)).changes === 0) this.#lost.push(places[i]!);
    }
  }
}

/**
 * SQLite has no quick update of many rows by a list of values, but an insert that finds its row there already. It never adds
 * one: a row that is gone would get bytes for an id, which the table, being strict, does not take. The lane has the
 * revision that is expected.
 */
function insteadOfRows(columns: readonly string[]): string {
  const given = ['revision', 'lines', ...columns, 'seq', 'lane'];
  const others = { id: `x'00'`, status: `''`, running: '0', definition: '0', tags: '0' };
  const missing = Object.entries(others).filter(([column]) => !given.includes(column));
  const row = `(${[...given.map(() => '?'), ...missing.map(([, value]) => value)].join()})`;
  return `INSERT INTO {jobs} (${[...given, ...missing.map(([column]) => column)].join()}) VALUES ${Array.from({ length: AT_ONCE }, () => row).join()}
    ON CONFLICT (seq) DO UPDATE SET revision = excluded.revision, lines = lines + excluded.lines${columns.map((column) => `, ${column} = excluded.${column}`).join('')}
    WHERE revision = excluded.lane`;
}

function isRowGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_CONSTRAINT_DATATYPE';
}
