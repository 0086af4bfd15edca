import type { PostgresPool, PostgresPoolClient, PostgresQuery, PostgresResult } from './driver.js';
import { isConflict, translate } from './errors.js';
import { inline } from './literal.js';

/** A row by the places of its columns, each value as the server wrote it. */
export type Row = readonly (string | null)[];

/** Sends one statement and answers its rows. */
export type Run = (text: string, values?: unknown[]) => Promise<Row[]>;

/** Times a statement is sent that others made the server undo. */
const ATTEMPTS = 3;
/** How much longer we wait than the server is told to work: its own word on what went wrong keeps the connection. */
const WAY_BACK_MS = 250;

/** The user may have changed how values are read; here they are read by those who asked. */
export const AS_TEXT = { getTypeParser: () => (value: string): string => value };

/**
 * The statements of a store. Each is one round trip and one transaction, and none relies on its connection, so that a
 * pooler may give each another one. None is prepared by name, for the same reason.
 *
 * How long the server may work on one is said in the same message and for that transaction alone: what nobody waits for
 * any more must not go on there, and a setting of the session would stay on a connection that a pooler lends to others.
 * Several statements in a message take no parameters, so these are written out.
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

  /** @param settings - of the server, for this statement. @throws PostgresStoreError */
  async query(text: string, values: unknown[] = [], settings = ''): Promise<Row[]> {
    const limits = `SET LOCAL statement_timeout = ${this.#timeoutMs}; ${settings}`;
    const query = this.#message(limits + inline(this.sql(text), values));
    for (let attempt = 1; ; attempt++) {
      try {
        const results = (await this.pool.query(query)) as unknown as PostgresResult[];
        return results.at(-1)!.rows as Row[];
      } catch (error) {
        if (attempt < ATTEMPTS && isConflict(error)) continue;
        throw translate(error, this.schema);
      }
    }
  }

  /** Several statements of which all are kept, or none, each of which may take so long. @throws PostgresStoreError */
  async transaction<T>(timeoutMs: number, work: (run: Run) => Promise<T>): Promise<T> {
    let client: PostgresPoolClient | undefined;
    let broken: Error | undefined;
    const onError = (error: Error): void => { broken = error; };
    try {
      const taken = (client = await this.pool.connect());
      taken.on('error', onError);
      const run: Run = async (text, values = []) => (await taken.query(this.#message(inline(this.sql(text), values), timeoutMs))).rows as Row[];
      await run('BEGIN');
      await run(`SET LOCAL statement_timeout = ${timeoutMs}`);
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

  #message(text: string, timeoutMs = this.#timeoutMs): PostgresQuery {
    // Also where a pool of the user's waits for ever: a server that hangs shall look like one that fails.
    const query = { text, rowMode: 'array', types: AS_TEXT, query_timeout: timeoutMs + WAY_BACK_MS };
    return query;
  }
}
