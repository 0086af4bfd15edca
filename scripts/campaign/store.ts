import Database from 'better-sqlite3';
import type { JobStore } from '../../src/index.js';
import { SQLiteJobStore } from '../../src/stores/sqlite/index.js';
import type { RoundPlan } from './plan.js';

/** The store of every process of a round. */
export function openStore({ database, perJob }: RoundPlan): JobStore {
  return new SQLiteJobStore({ path: database, ledger: { perJob } });
}

/** The same, on a connection that calls `strike` within its transactions: before and after each statement that writes. */
export function openDoomedStore({ database: path, perJob }: RoundPlan, strike: () => void): JobStore {
  const database = new Database(path);
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
