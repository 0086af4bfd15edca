import type { Lease, LeaseRequest, Leases } from '../../ports/job-store.js';
import type { Database } from './database.js';

/** Leases in a table. One that was released has no end, and stays for its token. */
export class PostgresLeases implements Leases {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async acquire({ key, holder, now, ttlMs, force = false }: LeaseRequest): Promise<Lease | undefined> {
    const [row] = await this.#database.query(
      `INSERT INTO {leases} AS l VALUES ($1, $2, 1, $3::float8)
       ON CONFLICT (key) DO UPDATE SET
         holder = excluded.holder,
         token = l.token + CASE WHEN l.holder = excluded.holder AND l.expires_at IS NOT NULL THEN 0 ELSE 1 END,
         expires_at = CASE WHEN l.holder = excluded.holder THEN GREATEST(l.expires_at, excluded.expires_at) ELSE excluded.expires_at END
       WHERE l.expires_at IS NULL OR l.holder = excluded.holder OR l.expires_at <= $4::float8 OR $5::boolean
       RETURNING token, expires_at`,
      [key, holder, now + ttlMs, now, force],
    );
    return row === undefined ? undefined : { key, holder, token: Number(row[0]), expiresAt: Number(row[1]) };
  }

  async get(key: string): Promise<Lease | undefined> {
    const [row] = await this.#database.query('SELECT holder, token, expires_at FROM {leases} WHERE key = $1 AND expires_at IS NOT NULL', [key]);
    return row === undefined ? undefined : { key, holder: row[0]!, token: Number(row[1]), expiresAt: Number(row[2]) };
  }

  async release(key: string, holder: string): Promise<void> {
    await this.#database.query(`UPDATE {leases} SET holder = '', expires_at = NULL WHERE key = $1 AND holder = $2 AND expires_at IS NOT NULL`, [key, holder]);
  }
}
