import type { Database, Run } from './database.js';
import { fieldsOf, PostgresStoreError } from './errors.js';

/**
 * The tables, as the steps that lead to them: the n-th brings version n - 1 to version n. A step that was released is
 * never changed. `{jobs}` stands for the name of the table. Times are in ms, and come back as they were written.
 */
export const SCHEMA: readonly (readonly string[])[] = [
  [
    `CREATE SEQUENCE {revisions}`,

    // What is small and changes with each run. `lane` is what a node must have to serve a job, with the job's priority:
    // those that differ in none of it lie together in the index of what is due. `definition` is the revision at which the
    // definition was written, `lines` the ledger entries since they were last pruned. Half of a page is left free: a claim
    // then finds room beside its row, and touches no index.
    `CREATE TABLE {jobs} (
      id text COLLATE "C" PRIMARY KEY,
      revision bigint NOT NULL,
      definition bigint NOT NULL,
      wake_at double precision,
      claimed_until double precision,
      lines bigint NOT NULL DEFAULT 0,
      running integer NOT NULL,
      status text NOT NULL,
      lane text COLLATE "C" NOT NULL,
      state text NOT NULL
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)`,
    `CREATE INDEX jobs_due ON {jobs} (lane, wake_at) WHERE wake_at IS NOT NULL`,
    `CREATE INDEX jobs_running ON {jobs} (id) WHERE running > 0`,
    `CREATE INDEX jobs_at_rest ON {jobs} (id) WHERE status <> 'active'`,

    // What may be large and hardly ever changes. A row for each of the jobs, written together with that.
    `CREATE TABLE {definitions} (
      id text COLLATE "C" PRIMARY KEY,
      task_version double precision NOT NULL,
      priority double precision NOT NULL,
      executor text COLLATE "C" NOT NULL,
      task text COLLATE "C" NOT NULL,
      owner text COLLATE "C",
      trigger_kind text COLLATE "C" NOT NULL,
      tags text[] COLLATE "C" NOT NULL,
      name text,
      body text NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)`,
    `CREATE INDEX definitions_task ON {definitions} (task, id)`,
    `CREATE INDEX definitions_owner ON {definitions} (owner, id) WHERE owner IS NOT NULL`,
    `CREATE INDEX definitions_startup ON {definitions} (id) WHERE trigger_kind = 'startup'`,
    `CREATE INDEX definitions_tags ON {definitions} USING gin (tags) WHERE tags <> '{}'`,

    `CREATE TABLE {ledger} (
      seq bigserial PRIMARY KEY,
      job_id text COLLATE "C" NOT NULL,
      run_id text,
      verdict text NOT NULL,
      reason text,
      scheduled_for double precision NOT NULL,
      scheduled_to double precision NOT NULL,
      count double precision NOT NULL,
      exact boolean NOT NULL,
      manual boolean NOT NULL,
      generation double precision NOT NULL,
      attempt integer NOT NULL,
      started_at double precision,
      at double precision NOT NULL,
      node text NOT NULL,
      result_expires_at double precision,
      error text,
      result text
    )`,
    // A run is found by its job, whose id its own begins with: an index on runs would cost each of them a write.
    `CREATE INDEX ledger_job ON {ledger} (job_id, seq)`,
    `CREATE INDEX ledger_trouble ON {ledger} (seq) WHERE verdict <> 'succeeded'`,
    `CREATE INDEX ledger_results ON {ledger} (result_expires_at) WHERE result_expires_at IS NOT NULL`,

    // How far the history of a job is no longer complete; of all jobs that are gone, under ''.
    `CREATE TABLE {pruned} (job_id text COLLATE "C" PRIMARY KEY, through double precision NOT NULL)`,

    // One that was released has no end, and stays for its token.
    `CREATE TABLE {leases} (
      key text COLLATE "C" PRIMARY KEY,
      holder text COLLATE "C" NOT NULL,
      token bigint NOT NULL,
      expires_at double precision
    )`,
  ],
  [
    `CREATE TABLE {members} (
      node text COLLATE "C" PRIMARY KEY,
      about text NOT NULL,
      seen_at double precision NOT NULL,
      expires_at double precision NOT NULL
    )`,
    // By which a connection of the user's is told to lead here, and not to a schema of the same name elsewhere.
    `INSERT INTO {meta} VALUES ('id', gen_random_uuid())`,
  ],
  [
    // When a job of which something is expected is overdue; before all time once that was said.
    `ALTER TABLE {jobs} ADD COLUMN alarm_at double precision`,
    `CREATE INDEX jobs_alarm ON {jobs} (alarm_at) WHERE alarm_at IS NOT NULL`,
  ],
];

const OLDEST_SERVER = 130_000;
/** How long a statement of a step, or the wait for another process that takes it, may last: tables may be large. */
const LONGEST_STEP_MS = 600_000;

/**
 * Brings the tables to the version of this release, one step and one transaction at a time. Of several processes that
 * start together one takes each step, and the others see that it is done.
 *
 * @throws PostgresStoreError when they are of a later release, or the server is not one to be used.
 */
export async function migrate(database: Database, steps: readonly (readonly string[])[] = SCHEMA): Promise<void> {
  await requireServer(database);
  const version = await versionOf(database, async (text, values) => database.query(text, values));
  if (version > steps.length) throw newerVersion(database, version, steps.length);
  if (version === steps.length) return;
  for (;;) {
    const done = await database.transaction(LONGEST_STEP_MS, async (run) => step(database, run, steps));
    if (done) return;
  }
}

async function requireServer(database: Database): Promise<void> {
  const [row] = await database.query(`SELECT current_setting('server_version_num'), current_setting('server_version'), current_setting('transaction_read_only')`);
  const [number, version, readOnly] = row ?? [];
  if (Number(number) < OLDEST_SERVER) throw new PostgresStoreError('old-server', `PostgresJobStore needs PostgreSQL 13 or later, and this server is ${String(version)}. Update it.`);
  if (readOnly === 'on') {
    throw new PostgresStoreError('read-only', 'The server takes no writes: it is a standby, or default_transaction_read_only is on. Connect to the primary.');
  }
}

/** Answers whether there was nothing left to do. */
async function step(database: Database, run: Run, steps: readonly (readonly string[])[]): Promise<boolean> {
  await run(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [`punctual ${database.schema}`]);
  const version = await versionOf(database, run);
  if (version > steps.length) throw newerVersion(database, version, steps.length);
  const statements = steps[version];
  if (statements === undefined) return true;
  // Who may not make schemas may still use one that was made for him.
  const [found] = await run(`SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1`, [database.schema]);
  if (found === undefined) await run(`CREATE SCHEMA "${database.schema}"`);
  await run('CREATE TABLE IF NOT EXISTS {meta} (key text COLLATE "C" PRIMARY KEY, value text NOT NULL)');
  for (const statement of statements) await run(statement);
  await run(`INSERT INTO {meta} VALUES ('schema', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, [String(version + 1)]);
  return false;
}

/**
 * 0 where there are no tables yet. It is the catalogue that is asked: `to_regclass` answers from what the connection
 * remembers, and that may be from before another process made the tables.
 */
async function versionOf(database: Database, run: Run): Promise<number> {
  const [table] = await run(
    `SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'meta'`,
    [database.schema],
  );
  if (table === undefined) return 0;
  try {
    const [row] = await run(`SELECT value FROM {meta} WHERE key = 'schema'`);
    const version = Number(row?.[0] ?? Number.NaN);
    if (Number.isInteger(version) && version >= 0) return version;
  } catch (error) {
    const { code } = fieldsOf(error instanceof PostgresStoreError ? error.cause : error);
    if (code !== '42703') throw error;
  }
  throw new PostgresStoreError('foreign-tables', `The table "${database.schema}".meta is not punctual's. Give another \`schema\`.`);
}

function newerVersion(database: Database, version: number, known: number): PostgresStoreError {
  return new PostgresStoreError(
    'newer-version',
    `The tables in the schema "${database.schema}" have version ${version}, and this release of punctual knows ${known}. Update punctual, or give another \`schema\`.`,
  );
}
