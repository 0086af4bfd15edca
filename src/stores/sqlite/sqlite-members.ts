import type { AnnounceRequest, Member, Members } from '../../ports/job-store.js';
import type { EpochMs } from '../../ports/trigger.js';
import type { Connection } from './connection.js';
import type { SQLiteStatement } from './driver.js';

type Row = [node: string, about: string, seenAt: number, expiresAt: number];

/** Nodes in a table. Whoever speaks takes out those whose time is up. */
export class SQLiteMembers implements Members {
  readonly #connection: Connection;
  readonly #put: SQLiteStatement;
  readonly #dropOver: SQLiteStatement;
  readonly #list: SQLiteStatement;
  readonly #drop: SQLiteStatement;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#put = connection.prepare(
      'INSERT INTO {members} VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET about = excluded.about, seen_at = excluded.seen_at, expires_at = excluded.expires_at',
    );
    this.#dropOver = connection.prepare('DELETE FROM {members} WHERE expires_at <= ?');
    this.#list = connection.prepareRows('SELECT node, about, seen_at, expires_at FROM {members} WHERE expires_at > ? ORDER BY node');
    this.#drop = connection.prepare('DELETE FROM {members} WHERE node = ?');
  }

  announce({ node, about, now, ttlMs }: AnnounceRequest): void {
    this.#connection.write(() => {
      this.#dropOver.run(now);
      this.#put.run(node, about, now, now + ttlMs);
    });
  }

  list(now: EpochMs): Member[] {
    const rows = this.#connection.read(() => this.#list.all(now)) as Row[];
    return rows.map(([node, about, seenAt, expiresAt]) => ({ node, about, seenAt, expiresAt }));
  }

  withdraw(node: string): void {
    this.#connection.write(() => this.#drop.run(node));
  }
}
