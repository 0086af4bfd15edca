import type { Lease, LeaseRequest, Leases } from '../../ports/job-store.js';
import { UNDO, type Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';

type Row = [holder: string, token: number, expiresAt: number | null];

/** Leases in a table. One that was released has no end, and stays for its token. */
export class SQLiteLeases implements Leases {
  readonly #connection: Connection;
  readonly #find: SQLiteStatement;
  readonly #put: SQLiteStatement;
  readonly #release: SQLiteStatement;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#find = connection.prepareRows('SELECT holder, token, expires_at FROM {leases} WHERE key = ?');
    this.#put = connection.prepare(
      'INSERT INTO {leases} VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET holder = excluded.holder, token = excluded.token, expires_at = excluded.expires_at',
    );
    this.#release = connection.prepare(`UPDATE {leases} SET holder = '', expires_at = NULL WHERE key = ? AND holder = ? AND expires_at IS NOT NULL`);
  }

  acquire({ key, holder, now, ttlMs, force = false }: LeaseRequest): Lease | undefined {
    const lease = this.#connection.write((): Lease | typeof UNDO => {
      const [heldBy, token, heldUntil] = (this.#find.get(key) as Row | undefined) ?? ['', 0, null];
      const isOwn = heldUntil !== null && heldBy === holder;
      if (heldUntil !== null && !isOwn && !force && heldUntil > now) return UNDO;
      const next = { key, holder, token: token + (isOwn ? 0 : 1), expiresAt: isOwn ? Math.max(heldUntil, now + ttlMs) : now + ttlMs };
      this.#put.run(key, holder, next.token, next.expiresAt);
      return next;
    });
    return lease === UNDO ? undefined : lease;
  }

  get(key: string): Lease | undefined {
    const row = this.#connection.read(() => this.#find.get(key)) as Row | undefined;
    if (row === undefined || row[2] === null) return undefined;
    return { key, holder: row[0], token: row[1], expiresAt: row[2] };
  }

  release(key: string, holder: string): void {
    this.#connection.write(() => this.#release.run(key, holder));
  }
}
