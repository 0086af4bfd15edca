import type { AnnounceRequest, Member, Members } from '../../ports/job-store.js';
import type { Database } from './database.js';
import { storable } from './texts.js';

/** The nodes that use the schema, in a table that each keeps its own row of. Rows whose time is up go with the next that is written. */
export class PostgresMembers implements Members {
  readonly #database: Database;
  #self: { readonly node: string; readonly until: number } | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  async announce({ node, about, now, ttlMs }: AnnounceRequest): Promise<void> {
    await this.#database.query(
      `WITH gone AS (
         DELETE FROM {members} WHERE node = ANY (ARRAY (
           SELECT node FROM {members} WHERE expires_at <= $3 AND node <> $1 ORDER BY node LIMIT 100 FOR UPDATE SKIP LOCKED
         ))
       )
       INSERT INTO {members} VALUES ($1, $2, $3, $4)
       ON CONFLICT (node) DO UPDATE SET about = excluded.about, seen_at = excluded.seen_at, expires_at = excluded.expires_at`,
      [storable(node), storable(about), now, now + ttlMs],
      // Nothing rests on it, so nobody waits for the disk.
      'SET LOCAL synchronous_commit = off; ',
    );
    this.#self = { node, until: now + ttlMs };
  }

  /** The node that has said here that it is there, as long as others see it. */
  announced(now: number): string | undefined {
    return this.#self !== undefined && this.#self.until > now ? this.#self.node : undefined;
  }

  async list(now: number): Promise<readonly Member[]> {
    const rows = await this.#database.query('SELECT node, about, seen_at, expires_at FROM {members} WHERE expires_at > $1 ORDER BY node', [now]);
    return rows.map(([node, about, seenAt, expiresAt]) => ({ node: node!, about: about!, seenAt: Number(seenAt), expiresAt: Number(expiresAt) }));
  }

  async withdraw(node: string): Promise<void> {
    if (this.#self?.node === node) this.#self = undefined;
    await this.#database.query('DELETE FROM {members} WHERE node = $1', [storable(node)]);
  }
}
