import Database from 'better-sqlite3';
import type { JobStore } from '../../src/index.js';
import { NatsJobStore } from '../../src/stores/nats/index.js';
import { PostgresJobStore } from '../../src/stores/postgres/index.js';
import { RedisJobStore } from '../../src/stores/redis/index.js';
import { SQLiteJobStore } from '../../src/stores/sqlite/index.js';
import type { RoundPlan } from './plan.js';

/** The store of every process of a round. @param port - of the server, or of the proxy in front of it */
export function openStore({ engine, place, perJob }: RoundPlan, port: number): JobStore {
  const ledger = { perJob };
  switch (engine) {
    case 'sqlite':
      return new SQLiteJobStore({ path: place, ledger });
    case 'nats':
      return new NatsJobStore({ servers: `nats://127.0.0.1:${port}`, bucket: place, ledger });
    case 'redis':
      return new RedisJobStore({ url: `redis://127.0.0.1:${port}/0`, prefix: place, ledger });
    case 'postgres':
      return new PostgresJobStore({ connectionString: `postgres://postgres@127.0.0.1:${port}/postgres`, schema: place, ledger });
    default:
      throw new Error(`no such engine: ${String(engine satisfies never)}`);
  }
}

/** The same, but it calls `strike` while it commits: in SQLite within the transaction, else once what is to be written was sent. */
export function openDoomedStore(plan: RoundPlan, port: number, strike: () => void): JobStore {
  if (plan.engine === 'sqlite') return openDoomedDatabase(plan, strike);
  const store = openStore(plan, port);
  const commit = store.commit.bind(store);
  return Object.assign(store, {
    commit: (...changes: Parameters<JobStore['commit']>) => {
      const answer = commit(...changes);
      // Now nothing of it has left this process, in a turn all of it; later it may be with the server, or be answered.
      for (const delayMs of [0, 1, 3]) setTimeout(strike, delayMs).unref();
      setImmediate(strike);
      return answer;
    },
  });
}

/** On a connection that calls `strike` before and after each statement that writes. */
function openDoomedDatabase({ place, perJob }: RoundPlan, strike: () => void): JobStore {
  const database = new Database(place);
  const prepare = database.prepare.bind(database);
  const doomed = (text: string): Database.Statement => {
    const statement = prepare(text);
    const run = statement.run.bind(statement);
    statement.run = (...values: unknown[]) => {
      if (database.inTransaction) strike();
      const answer = run(...values);
      strike();
      return answer;
    };
    return statement;
  };
  return new SQLiteJobStore({
    database: Object.assign(database, { prepare: doomed }),
    synchronous: 'NORMAL',
    busyTimeout: 5_000,
    ledger: { perJob },
  });
}
