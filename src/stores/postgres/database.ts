import type { PostgresPool, PostgresPoolClient, PostgresQuery } from './driver.js';
import { isConflict, translate } from './errors.js';

/** A row by the places of its columns, each value as the server wrote it. */
export type Row = readonly (string | null)[];

/** Times a statement is sent that others made the server undo. */
const ATTEMPTS = 3;

/** The user may have changed how values are read; here they are read by those who asked. */
const AS_TEXT = { getTypeParser: () => (value: string): string => value };

/**
 * The statements of a store. Each is one round trip and one transaction, and none relies on its connection, so that a
 * pooler may give each another one. None is prepared by name, for the same reason.
 */
export class Database {
  readonly pool: PostgresPool;
  readonly schema: string;
  readonly #timeoutMs: number;

  constructor(pool: PostgresPool, schema: string, timeoutMs: number) {
    this.pool = pool;
    this.schema = schema;
    this.#timeoutMs = timeoutMs;
  }

  /** The statement with `{jobs}` and the like replaced by the names of the tables. */
  sql(text: string): string {
    return text.replace(/\{(\w+)\}/g, `"${this.schema}".$1`);
  }

  /** @throws PostgresStoreError */
  async query(text: string, values: unknown[] = []): Promise<Row[]> {
    const query = this.#statement(text, values);
    for (let attempt = 1; ; attempt++) {
      try {
        return (await this.pool.query(query)).rows as Row[];
      } catch (error) {
        if (attempt < ATTEMPTS && isConflict(error)) continue;
        throw translate(error, this.schema);
      }
    }
  }

  /** Several statements of which all are kept, or none. @throws PostgresStoreError */
  async transaction<T>(work: (run: (text: string, values?: unknown[]) => Promise<Row[]>) => Promise<T>): Promise<T> {
    let client: PostgresPoolClient | undefined;
    let broken: Error | undefined;
    const onError = (error: Error): void => { broken = error; };
    try {
      const taken = (client = await this.pool.connect());
      taken.on('error', onError);
      const run = async (text: string, values: unknown[] = []): Promise<Row[]> => (await taken.query(this.#statement(text, values))).rows as Row[];
      await run('BEGIN');
      const answer = await work(run);
      await run('COMMIT');
      return answer;
    } catch (error) {
      // A connection that is closed takes its transaction with it.
      broken ??= error instanceof Error ? error : new Error(String(error));
      throw translate(error, this.schema);
    } finally {
      client?.removeListener('error', onError);
      client?.release(broken);
    }
  }

  #statement(text: string, values: unknown[]): PostgresQuery {
    // Also where a pool of the user's waits for ever: a server that hangs shall look like one that fails.
    const query = { text: this.sql(text), values, rowMode: 'array', types: AS_TEXT, query_timeout: this.#timeoutMs };
    return query;
  }
}
