import { InvalidOptionError } from '../../errors/errors.js';
import type { JobWriter } from '../../ports/job-store.js';
import { AS_TEXT, type Database, type Row, type Run } from './database.js';
import type { PostgresClient } from './driver.js';
import { fieldsOf, translate } from './errors.js';
import type { JobTable } from './job-table.js';

/** What is needed of the user's client. */
type UserClient = Pick<PostgresClient, 'query'>;

const ALLOWED = 'a connected client of pg, inside a transaction that you began on it';
const POOL_HINT = 'A pool may send each statement over another connection: take a client with pool.connect(), and send BEGIN.';

/** Writes inside transactions that the user began, on connections of the user's. What is written is there when they commit. */
export class UserTransactions {
  readonly #database: Database;
  readonly #jobs: JobTable;
  /** What others, and this process, are told of at the commit: the channel and what is said; `undefined`: nothing. */
  readonly #notice: readonly [channel: string, payload: string] | undefined;
  /** Clients that were seen to be connected to this database. */
  readonly #known = new WeakSet<UserClient>();

  constructor(database: Database, jobs: JobTable, notice: readonly [channel: string, payload: string] | undefined) {
    this.#database = database;
    this.#jobs = jobs;
    this.#notice = notice;
  }

  /** @throws InvalidOptionError */
  writer(given: unknown): JobWriter {
    const client = requireClient(given);
    const run = this.#runner(client);
    let checking: Promise<void> | undefined;
    const checked = async <T>(work: () => Promise<T>): Promise<T> => {
      await (checking ??= this.#check(client, run));
      return work();
    };
    const told = async <T extends readonly unknown[]>(answers: T): Promise<T> => {
      if (this.#notice !== undefined && answers.some((answer) => answer !== undefined)) await run('SELECT pg_notify($1, $2)', [...this.#notice]);
      return answers;
    };
    return {
      get: async (id) => checked(() => this.#jobs.get(id, run)),
      insert: async (records) => checked(async () => told(await this.#jobs.insertWith(run, records))),
      commit: async (changes) => checked(async () => told(await this.#jobs.commitWith(run, changes))),
    };
  }

  /** Nothing of the user's is changed: no setting, no time limit, and nothing is sent a second time. */
  #runner(client: UserClient): Run {
    return async (text, values): Promise<Row[]> => {
      const query = { text: this.#database.sql(text), rowMode: 'array', types: AS_TEXT, ...(values !== undefined && { values }) };
      try {
        return (await client.query(query)).rows as Row[];
      } catch (error) {
        const { message } = fieldsOf(error);
        if (/Client was closed|not queryable/.test(message)) throw new InvalidOptionError('client', given(client), ALLOWED, `This one is closed (${message}).`);
        throw translate(error, this.#database.schema);
      }
    };
  }

  /** By statements that cannot fail: an error would end the user's transaction. */
  async #check(client: UserClient, run: Run): Promise<void> {
    // Outside a transaction each statement is one, which begins with it. (One with parameters is several messages.)
    const [row] = await run(
      `SELECT transaction_timestamp() < statement_timestamp(), EXISTS (
         SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = '${this.#database.schema}' AND c.relname = 'meta'
       ), current_database()`,
    );
    const [isInside, isThere, name] = row ?? [];
    if (isInside !== 't') throw new InvalidOptionError('client', given(client), ALLOWED, 'This one has no transaction open: send BEGIN first.');
    if (this.#known.has(client)) return;
    const own = await this.#database.query(`SELECT value FROM {meta} WHERE key = 'id'`);
    const theirs = isThere === 't' ? await run(`SELECT value FROM {meta} WHERE key = 'id'`) : [];
    if (own[0]?.[0] === undefined || own[0][0] !== theirs[0]?.[0]) {
      const hint = `This one is connected to the database "${String(name)}", which does not have these jobs.`;
      throw new InvalidOptionError('client', given(client), 'a client that is connected to the database of the job store', hint);
    }
    this.#known.add(client);
  }
}

function requireClient(value: unknown): UserClient {
  const isObject = typeof value === 'object' && value !== null;
  if (!isObject || typeof (value as Partial<UserClient>).query !== 'function') throw new InvalidOptionError('client', value, ALLOWED);
  if ('totalCount' in value && 'idleCount' in value) throw new InvalidOptionError('client', given(value), ALLOWED, POOL_HINT);
  return value as UserClient;
}

/** A client has its password in it: no error shows it. */
function given(client: object): string {
  return client.constructor.name;
}
