import type { Connection } from './connection.js';
import { SQLiteStoreError } from './errors.js';

/**
 * The tables, as the steps that lead to them: the n-th brings version n - 1 to version n. A step that was released is
 * never changed. `{jobs}` stands for the name of the table.
 */
export const SCHEMA: readonly string[] = [
  `
  -- One row. \`revision\` is the latest that was given; \`lane_epoch\` grows when lanes go, so that none is used after.
  CREATE TABLE {counters} (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    lane_epoch INTEGER NOT NULL
  ) STRICT;
  INSERT INTO {counters} VALUES (1, 0, 0);

  -- What a node must have to serve a job. Claims look at lanes first, so that jobs nobody here can serve cost nothing.
  CREATE TABLE {lanes} (
    id INTEGER PRIMARY KEY,
    executor TEXT NOT NULL,
    task TEXT NOT NULL,
    task_version REAL NOT NULL,
    priority REAL NOT NULL,
    UNIQUE (task, executor, task_version, priority)
  ) STRICT;

  -- What is small and changes with each run. \`definition\` is the revision at which the definition was written,
  -- \`lines\` the ledger entries since they were last pruned. The state comes last: it is the longest.
  CREATE TABLE {jobs} (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    wake_at INTEGER,
    status TEXT NOT NULL,
    running INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    tags INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    state TEXT NOT NULL
  ) STRICT;
  CREATE INDEX {jobs_due} ON {jobs} (lane, wake_at) WHERE wake_at IS NOT NULL;
  CREATE INDEX {jobs_lane} ON {jobs} (lane, id);
  CREATE INDEX {jobs_running} ON {jobs} (running) WHERE running > 0;
  CREATE INDEX {jobs_at_rest} ON {jobs} (id) WHERE status <> 'active';

  -- What may be large and hardly ever changes.
  CREATE TABLE {definitions} (
    job INTEGER PRIMARY KEY,
    owner TEXT,
    trigger_kind TEXT NOT NULL,
    name TEXT,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX {definitions_owner} ON {definitions} (owner) WHERE owner IS NOT NULL;
  CREATE INDEX {definitions_startup} ON {definitions} (job) WHERE trigger_kind = 'startup';

  CREATE TABLE {tags} (
    tag TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (tag, id)
  ) STRICT, WITHOUT ROWID;

  -- What processes that work at the same time have claimed and not committed yet.
  CREATE TABLE {claims} (
    holder TEXT PRIMARY KEY,
    until INTEGER NOT NULL,
    jobs TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Times are REAL so that they come back as they were written, whatever clock they came from.
  CREATE TABLE {ledger} (
    seq INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    run_id TEXT,
    verdict TEXT NOT NULL,
    reason TEXT,
    scheduled_for REAL NOT NULL,
    scheduled_to REAL NOT NULL,
    count REAL NOT NULL,
    exact INTEGER NOT NULL,
    manual INTEGER NOT NULL,
    generation REAL NOT NULL,
    attempt INTEGER NOT NULL,
    started_at REAL,
    at REAL NOT NULL,
    node TEXT NOT NULL,
    result_expires_at REAL,
    error TEXT,
    result TEXT
  ) STRICT;
  -- A run is found by its job, whose id its own begins with: an index on runs would cost each of them a write.
  CREATE INDEX {ledger_job} ON {ledger} (job_id);
  CREATE INDEX {ledger_trouble} ON {ledger} (seq) WHERE verdict <> 'succeeded';
  CREATE INDEX {ledger_results} ON {ledger} (result_expires_at) WHERE result_expires_at IS NOT NULL;

  -- How far the history of a job is no longer complete; of all jobs that are gone, under ''.
  CREATE TABLE {pruned} (
    job_id TEXT PRIMARY KEY,
    through REAL NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE {leases} (
    key TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    expires_at REAL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- What each node last said of itself, and until when that counts.
  CREATE TABLE {members} (
    node TEXT PRIMARY KEY,
    about TEXT NOT NULL,
    seen_at REAL NOT NULL,
    expires_at REAL NOT NULL
  ) STRICT;
  `,
  `
  -- When a job of which something is expected is overdue; before all time once that was said.
  ALTER TABLE {jobs} ADD COLUMN alarm_at REAL;
  CREATE INDEX {jobs_alarm} ON {jobs} (alarm_at) WHERE alarm_at IS NOT NULL;
  `,
  `
  -- When the first lease of its runs ends: infinite where none does, and nothing where none goes on. \`wake_at\` is from now on
  -- what there is to do beside them, so that a run that ends changes nothing there. \`running\` is not used any more.
  ALTER TABLE {jobs} ADD COLUMN lease_at REAL;
  UPDATE {jobs} SET lease_at = coalesce(wake_at, 9e999) WHERE running > 0;
  DROP INDEX {jobs_running};
  CREATE INDEX {jobs_leased} ON {jobs} (lane, lease_at) WHERE lease_at IS NOT NULL;
  `,
];

/**
 * Brings the tables to the version of this release, one step and one transaction at a time. Of several processes that
 * start together one takes each step, and the others see that it is done.
 *
 * @throws SQLiteStoreError when they are of a later release. Nothing was changed then.
 */
export function migrate(connection: Connection, steps: readonly string[] = SCHEMA): void {
  if (versionOf(connection) === steps.length) return;
  for (;;) {
    const done = connection.write(() => {
      const version = versionOf(connection);
      if (version > steps.length) throw newerVersion(connection, version, steps.length);
      const step = steps[version];
      if (step === undefined) return true;
      connection.database.exec(connection.sql('CREATE TABLE IF NOT EXISTS {meta} (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID'));
      connection.database.exec(connection.sql(step));
      connection.prepare(`INSERT INTO {meta} VALUES ('schema', ?) ON CONFLICT DO UPDATE SET value = excluded.value`).run(String(version + 1));
      return false;
    });
    if (done) return;
  }
}

/** 0 where there are no tables yet. It is kept in a table: `user_version` may be the user's own. */
function versionOf(connection: Connection): number {
  const table = connection.read(() => connection.prepare(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE`).get(connection.sql('{meta}')));
  if (table === undefined) return 0;
  const row = connection.read(() => connection.prepareRows(`SELECT value FROM {meta} WHERE key = 'schema'`).get()) as [string] | undefined;
  const version = Number(row?.[0]);
  if (Number.isInteger(version) && version >= 0) return version;
  throw new SQLiteStoreError(
    'foreign-tables',
    `The table ${connection.sql('{meta}')} in ${JSON.stringify(connection.database.name)} is not punctual's. Give another \`tablePrefix\`.`,
  );
}

function newerVersion(connection: Connection, version: number, known: number): SQLiteStoreError {
  return new SQLiteStoreError(
    'newer-version',
    `The tables in ${JSON.stringify(connection.database.name)} have version ${version}, and this release of punctual knows ${known}. ` +
      'Update punctual, or give another `path` or `tablePrefix`.',
  );
}
