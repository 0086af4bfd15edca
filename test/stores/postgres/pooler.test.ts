import { AsyncScheduler, SystemClock } from 'punctual';
import { PostgresJobStore } from 'punctual/postgres';
import { jobStoreContract, storeContext, VirtualClock } from 'punctual/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { claim, jobRecord, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { MemoryLogger } from '../../scheduler/support/world.js';
import { PgBouncer, pgbouncerBinary } from '../../support/pgbouncer.js';
import { describePostgres, freshSchema, openStore } from './support.js';

/** What concerns connections: transactions, locks, several stores at once. Without `watch`, which does not work here. */
const CASES = jobStoreContract.filter(({ name, requires }) => /at once|at one time|concurrent|all connections|reopening|both or neither|ledger pages/.test(name) && !requires?.includes('watch'));

const isThere = pgbouncerBinary() !== undefined || Boolean(process.env['CI']);

describe.skipIf(!isThere)(`behind PgBouncer in transaction mode${isThere ? '' : ' (left out: it is not here; apt-get install pgbouncer)'}`, () => {
  describePostgres('PostgresJobStore', (server) => {
    let pooler: PgBouncer;
    beforeAll(async () => { pooler = await PgBouncer.start(server().port); });
    afterAll(() => pooler.stop());

    it('there are cases to run', () => {
      expect(CASES.length).toBeGreaterThan(5);
    });

    for (const { name, run } of CASES) {
      it(name, async () => {
        const schema = freshSchema();
        const open = (): Promise<PostgresJobStore> => openStore({ schema, connectionString: pooler.url() });
        const store = await open();
        await run({
          store,
          connect: open,
          reopen: async () => {
            await store.close();
            return open();
          },
        });
      });
    }

    it('says once that changes are found by polling, because LISTEN does not work', async () => {
      const logger = new MemoryLogger();
      const clock = new VirtualClock();
      const store = await openStore({ connectionString: pooler.url(), schema: freshSchema() }, { ...storeContext(clock), logger });
      const stop = await store.watch(() => undefined);
      const others = await openStore({ connectionString: pooler.url(), schema: freshSchema() });
      // Whether a notice comes by chance is up to the pooler: it reads from a connection only while that is lent.
      await others.insert([jobRecord('job')]);
      await clock.advance(5_000);
      expect(logger.messages('warn')).toEqual([expect.stringContaining('found by polling')]);
      await stop();
    });

    it('leaves no setting behind on the connections of others', async () => {
      const store = await openStore({ connectionString: pooler.url(), schema: freshSchema(), timeout: 1_234 }, storeContext(new SystemClock()));
      await store.claimDue(claim(T0));
      const client = new pg.Client({ connectionString: pooler.url() });
      await client.connect();
      onTestFinished(() => client.end());
      for (let i = 0; i < 4; i++) expect((await client.query(`SELECT current_setting('statement_timeout') AS t`)).rows).toEqual([{ t: '0' }]);
    });

    it('a scheduler runs what another added, and what is added in a transaction of the user', async () => {
      const schema = freshSchema();
      const runs: string[] = [];
      const make = (): AsyncScheduler => {
        const scheduler = new AsyncScheduler({
          jobStores: { default: new PostgresJobStore({ connectionString: pooler.url(), schema }) },
          logger: new MemoryLogger(),
          maxSleep: 500,
          tasks: { work: (name: string) => { runs.push(name); } },
        });
        onTestFinished(() => scheduler.shutdown({ wait: false }));
        return scheduler;
      };
      const [a, b] = [make(), make()];
      await a.start();
      await b.addJob('work', new Date(), { id: 'other', args: ['other'] });
      await expect.poll(() => runs, { timeout: 15_000 }).toEqual(['other']);
      const client = new pg.Client({ connectionString: pooler.url() });
      await client.connect();
      onTestFinished(() => client.end());
      await client.query('BEGIN');
      await a.addJob('work', new Date(), { id: 'mine', args: ['mine'], client });
      await client.query('COMMIT');
      await expect.poll(() => runs, { timeout: 15_000 }).toEqual(['other', 'mine']);
    });
  });
});
