import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { InvalidOptionError, isPunctualError } from 'punctual';
import { SQLiteJobStore, SQLiteStoreError } from 'punctual/sqlite';
import { storeContext } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Connection } from '../../../src/stores/sqlite/connection.js';
import { errorFromLoading, errorFromOpening } from '../../../src/stores/sqlite/errors.js';
import { migrate, SCHEMA } from '../../../src/stores/sqlite/schema.js';
import { claim, jobRecord, runningRun, scope, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { openStore, temporaryFile, temporaryFolder } from './support.js';

type Target = ConstructorParameters<typeof SQLiteJobStore>[0];

async function errorOf(target: Target): Promise<SQLiteStoreError> {
  const error: unknown = await new SQLiteJobStore(target).open(storeContext()).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SQLiteStoreError)) throw new Error('it should have failed', { cause: error });
  expect(error.code).toBe('STORE_UNUSABLE');
  expect(isPunctualError(error)).toBe(true);
  return error;
}

function open(path: string, options?: Database.Options): Database.Database {
  const database = new Database(path, options);
  onTestFinished(() => { database.close(); });
  return database;
}

describe('options', () => {
  it.each<[string, unknown]>([
    ['path', ''],
    ['path', {}],
    ['path', undefined],
    ['path', { path: undefined }],
    ['options', 7],
    ['options', null],
    ['paht', { paht: 'jobs.db' }],
    ['path', { path: 'jobs.db', database: { prepare() {}, exec() {}, pragma() {} } }],
    ['database', { database: {} }],
    ['synchronous', { path: 'jobs.db', synchronous: 'normal' }],
    ['busyTimeout', { path: 'jobs.db', busyTimeout: -1 }],
    ['busyTimeout', { path: 'jobs.db', busyTimeout: { days: 30 } }],
    ['pollInterval', { path: 'jobs.db', pollInterval: 0 }],
    ['ledger.perJob', { path: 'jobs.db', ledger: { perJob: 1.5 } }],
    ['ledger.perJob', { path: 'jobs.db', ledger: { perJob: 1e300 } }],
    ['ledger.maxAge', { path: 'jobs.db', ledger: { maxAge: 'soon' } }],
    ['ledger.keep', { path: 'jobs.db', ledger: { keep: 1 } }],
    ['tablePrefix', { path: 'jobs.db', tablePrefix: 'a"; DROP TABLE x' }],
    ['tablePrefix', { path: 'jobs.db', tablePrefix: 'sqlite_' }],
  ])('refuses %s in %j', (option, target) => {
    expect(() => new SQLiteJobStore(target as string)).toThrow(InvalidOptionError);
    expect(() => new SQLiteJobStore(target as string)).toThrow(`\`${option}\``);
  });

  it('opens nothing before it is asked to, and says so', () => {
    const store = new SQLiteJobStore(join(temporaryFolder(), 'none', 'jobs.db'));
    expect(() => store.get('job')).toThrow(SQLiteStoreError);
    expect(() => store.ledger).toThrow('not open');
  });

  it('has one scheduler', async () => {
    const store = await openStore(':memory:');
    await expect(store.open(storeContext())).rejects.toMatchObject({ code: 'STORE_IN_USE' });
    await store.close();
    await store.close();
    await store.open(storeContext());
  });

  it('sets what it says on a connection of its own', async () => {
    const path = temporaryFile();
    await openStore({ path, busyTimeout: { seconds: 1 } });
    expect(open(path).pragma('journal_mode', { simple: true })).toBe('wal');
  });

  it('leaves a database of the user as it is, but for the log', async () => {
    const database = open(temporaryFile(), { timeout: 1_234 });
    database.pragma('synchronous = FULL');
    database.pragma('user_version = 77');
    database.defaultSafeIntegers(true);
    database.exec(`CREATE TABLE jobs (id INTEGER); INSERT INTO jobs VALUES (1)`);
    const store = await openStore(database);
    expect(store.insert([jobRecord('job')])[0]?.revision).toBe(1);
    expect(store.get('job')?.revision).toBe(1);
    await store.close();
    expect(database.open).toBe(true);
    const pragmas = ['synchronous', 'busy_timeout', 'user_version', 'journal_mode'].map((name) => database.pragma(name, { simple: true }));
    expect(pragmas).toEqual([2n, 1_234n, 77n, 'wal']);
    expect(database.prepare('SELECT count(*) FROM jobs').pluck().get()).toBe(1n);
    await store.open(storeContext());
    expect(store.get('job')).toBeDefined();
  });

  it('changes busy_timeout and synchronous of such a database where told to', async () => {
    const database = open(temporaryFile());
    await openStore({ database, busyTimeout: 700, synchronous: 'EXTRA' });
    expect([database.pragma('busy_timeout', { simple: true }), database.pragma('synchronous', { simple: true })]).toEqual([700, 3]);
  });

  it('keeps several sets of jobs in one file under different prefixes', async () => {
    const path = temporaryFile();
    const [a, b] = [await openStore({ path, tablePrefix: 'a_' }), await openStore({ path, tablePrefix: 'b_' })];
    a.insert([jobRecord('job', 1)]);
    expect(b.get('job')).toBeUndefined();
    b.insert([jobRecord('job', 2)]);
    expect([a, b].map((store) => store.get('job')?.record.state.nextDueAt)).toEqual([1, 2]);
  });
});

describe('databases that cannot be used', () => {
  it('a missing folder', async () => {
    const error = await errorOf(join(temporaryFolder(), 'missing', 'jobs.db'));
    expect(error).toMatchObject({ reason: 'no-folder', message: expect.stringContaining('mkdir') });
  });

  it('a folder in place of a file', async () => {
    expect((await errorOf(temporaryFolder())).reason).toBe('no-access');
  });

  it('a file that is something else, which stays as it is', async () => {
    const path = temporaryFile();
    const text = 'Dear diary, '.repeat(1_000);
    writeFileSync(path, text);
    expect(await errorOf(path)).toMatchObject({ reason: 'corrupt', message: expect.stringContaining('no SQLite database') });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  it('a damaged file', async () => {
    const path = temporaryFile();
    const store = await openStore(path);
    store.insert(Array.from({ length: 500 }, (_, i) => jobRecord(`job${i}`)));
    await store.close();
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 4_096);
    writeFileSync(path, bytes);
    expect((await errorOf(path)).reason).toBe('corrupt');
  });

  it('a database opened for reading, a closed one, and one in a transaction', async () => {
    const path = temporaryFile();
    await (await openStore(path)).close();
    expect((await errorOf(open(path, { readonly: true }))).reason).toBe('read-only');
    const closed = open(path);
    closed.close();
    expect((await errorOf(closed)).reason).toBe('closed');
    const busy = open(path);
    busy.exec('BEGIN');
    expect((await errorOf(busy)).reason).toBe('in-transaction');
  });

  it('a file that cannot be written', async () => {
    const path = temporaryFile();
    await (await openStore(path)).close();
    const database = open(path);
    database.pragma('query_only = ON'); // as root, modes of files hold nobody back
    expect(await errorOf(database)).toMatchObject({ reason: 'read-only' });
  });

  it('one that is closed under the store', async () => {
    const database = open(temporaryFile());
    const store = await openStore(database);
    database.close();
    expect(() => store.get('job')).toThrow(expect.objectContaining({ reason: 'closed' }));
    expect(() => store.insert([jobRecord('job')])).toThrow(expect.objectContaining({ reason: 'closed' }));
    await store.close();
  });

  it('one that another connection holds for too long', async () => {
    const path = temporaryFile();
    const store = await openStore({ path, busyTimeout: 20 });
    const other = open(path);
    other.exec('BEGIN IMMEDIATE');
    expect(() => store.insert([jobRecord('job')])).toThrow(expect.objectContaining({ reason: 'locked' }));
    other.exec('COMMIT');
    expect(store.insert([jobRecord('job')])[0]).toBeDefined();
  });

  it('a transaction of the user’s that is still open when the store writes', async () => {
    const database = open(temporaryFile());
    const store = await openStore(database);
    database.exec('BEGIN');
    expect(() => store.insert([jobRecord('job')])).toThrow(expect.objectContaining({ reason: 'in-transaction' }));
    expect(store.get('job')).toBeUndefined();
    database.exec('ROLLBACK');
    expect(store.insert([jobRecord('job')])[0]).toBeDefined();
  });

  it('a full disk: nothing of the write is kept, and the store goes on when there is room', async () => {
    const database = open(temporaryFile());
    const store = await openStore(database);
    const [stored] = store.insert([jobRecord('first')]);
    database.pragma(`max_page_count = ${Number(database.pragma('page_count', { simple: true })) + 2}`);
    const many = Array.from({ length: 500 }, (_, i) => jobRecord(`job${i}`, 0, { definition: { task: `task${i}` } }));
    expect(() => store.insert(many)).toThrow(expect.objectContaining({ reason: 'disk-full' }));
    expect(store.list({ limit: 10 }).jobs.map(({ record }) => record.id)).toEqual(['first']);
    database.pragma('max_page_count = 100000');
    expect(store.insert(many).every((answer) => answer !== undefined)).toBe(true);
    expect(store.commit([{ id: 'first', expected: stored!.revision, next: null, ledger: [] }])[0]).toBeDefined();
    expect(store.list({ task: 'task7', limit: 10 }).jobs).toHaveLength(1);
  });

  it('a driver that was not built for this Node', () => {
    const error = errorFromOpening(Object.assign(new Error('dlopen failed'), { code: 'ERR_DLOPEN_FAILED' }), 'jobs.db');
    expect(error).toMatchObject({ reason: 'no-driver', message: expect.stringContaining('npm rebuild better-sqlite3') });
  });

  it('a driver that is not installed', () => {
    const error = errorFromLoading(Object.assign(new Error(`Cannot find package 'better-sqlite3'`), { code: 'ERR_MODULE_NOT_FOUND' }));
    expect(error).toMatchObject({ code: 'STORE_UNUSABLE', reason: 'no-driver', message: expect.stringContaining('npm install better-sqlite3') });
    expect(errorFromLoading(new Error('broken'))).toMatchObject({ reason: 'no-driver', message: expect.stringContaining('broken') });
  });
});

describe('versions of the tables', () => {
  it('those of a later release are refused and left as they are', async () => {
    const path = temporaryFile();
    await (await openStore(path)).close();
    const database = open(path);
    database.exec(`UPDATE punctual_meta SET value = '99'`);
    database.exec('CREATE TABLE punctual_later (x)');
    const error = await errorOf(path);
    expect(error.reason).toBe('newer-version');
    expect(error.message).toContain('version 99');
    expect(database.prepare('SELECT value FROM punctual_meta').pluck().get()).toBe('99');
  });

  it('tables of somebody else under the same name are refused', async () => {
    const database = open(temporaryFile());
    database.exec(`CREATE TABLE punctual_meta (key TEXT PRIMARY KEY, value TEXT); INSERT INTO punctual_meta VALUES ('schema', 'mine')`);
    expect((await errorOf(database)).reason).toBe('foreign-tables');
  });

  it.each(['DROP TABLE punctual_leases', 'DROP INDEX punctual_jobs_due', 'DELETE FROM punctual_counters', 'DROP TABLE punctual_meta'])('tables that are not whole are refused: %s', async (damage) => {
    const path = temporaryFile();
    await (await openStore(path)).close();
    const database = open(path);
    database.exec(damage);
    expect((await errorOf(database)).reason).toBe('foreign-tables');
    expect(database.inTransaction).toBe(false);
  });

  it('the case of a prefix does not count, as in SQLite', async () => {
    const path = temporaryFile();
    (await openStore(path)).insert([jobRecord('job')]);
    const store = await openStore({ path, tablePrefix: 'PUNCTUAL_' });
    expect(store.get('job')).toBeDefined();
  });

  it('each version is brought up by the steps that it lacks, each in a transaction of its own', () => {
    const steps = ['CREATE TABLE {a} (x) STRICT;'.replace('(x)', '(x INTEGER)'), 'ALTER TABLE {a} ADD COLUMN y INTEGER; INSERT INTO {a} VALUES (1, 2);', 'CREATE INDEX {i} ON {a} (y);'];
    for (let from = 0; from <= steps.length; from++) {
      const connection = new Connection(open(':memory:'), 'p_');
      migrate(connection, steps.slice(0, from));
      migrate(connection, steps);
      migrate(connection, steps);
      expect(connection.prepare('SELECT x, y FROM {a}').all()).toEqual([{ x: 1, y: 2 }]);
      expect(connection.prepare(`SELECT value FROM {meta} WHERE key = 'schema'`).get()).toEqual({ value: '3' });
    }
  });

  it.each(SCHEMA.slice(1).map((_, i) => i + 1))('a file of version %i keeps its jobs, and learns what came later', async (version) => {
    const [path, model] = [temporaryFile(), temporaryFile()];
    const before = new Database(path);
    migrate(new Connection(before, 'punctual_'), SCHEMA.slice(0, version));
    (await openStore(model)).insert([jobRecord('old'), jobRecord('tagged', T0 + 60_000, { definition: { tags: ['x'] }, state: { runs: [runningRun('tagged', T0 + 5)] } })]);
    // As a process of that release would have written them.
    before.exec(`ATTACH '${model}' AS model`);
    for (const table of ['counters', 'lanes', 'jobs', 'definitions', 'tags']) {
      const columns = (before.prepare(`SELECT name FROM pragma_table_info('punctual_${table}')`).all() as { name: string }[]).map(({ name }) => name).join(', ');
      before.exec(`INSERT OR REPLACE INTO punctual_${table} (${columns}) SELECT ${columns} FROM model.punctual_${table}`);
    }
    before.exec(`UPDATE punctual_jobs SET running = 1, wake_at = ${T0 + 5} WHERE id = 'tagged'`);
    before.close();

    const store = await openStore(path);
    expect(store.list({ running: true, limit: 5 }).jobs.map(({ record }) => record.id)).toEqual(['tagged']);
    expect(store.nextWakeAt(scope())).toBe(T0);
    expect(store.get('old')?.record).toEqual(jobRecord('old'));
    expect(store.list({ tags: ['x'], limit: 5 }).jobs.map(({ record }) => record.id)).toEqual(['tagged']);
    await store.members!.announce({ node: 'n', about: '', now: T0, ttlMs: 1 });
    expect(store.members!.list(T0)).toHaveLength(1);
    expect(store.alarms()).toEqual({ nextAt: null, overdue: 0 });
    const { record, revision } = store.get('old')!;
    const expecting = { ...record, definition: { ...record.definition, policy: { ...record.definition.policy, expect: { successWithinMs: 7, maxLatenessMs: null } } } };
    store.commit([{ id: 'old', expected: revision, next: { ...expecting, state: { ...record.state, watch: { since: T0, overdue: null } } }, ledger: [] }]);
    expect(store.alarms()).toEqual({ nextAt: T0 + 7, overdue: 0 });
    expect(store.claimDue(claim(T0 + 4))).toHaveLength(1);
    const [tagged] = store.claimDue(claim(T0 + 5));
    store.commit([{ id: 'tagged', expected: tagged!.revision, next: { ...tagged!.record, state: { ...tagged!.record.state, runs: [] } }, ledger: [] }]);
    expect(store.list({ running: true, limit: 5 }).jobs).toEqual([]);
    const claimedAt = (now: number): string[] => store.claimDue(claim(now, { reserveMs: 1_000_000 })).map(({ record }) => record.id);
    expect(claimedAt(T0 + 59_999)).toEqual(['old']);
    expect(claimedAt(T0 + 60_000)).toEqual(['tagged']);
  });

  it('a step that fails leaves the version before it', () => {
    const connection = new Connection(open(':memory:'), 'p_');
    expect(() => { migrate(connection, ['CREATE TABLE {a} (x INTEGER) STRICT', 'CREATE TABLE {b} (x INTEGER) STRICT; CREATE TABLE {a} (x INTEGER)']); }).toThrow('already exists');
    expect(connection.prepare('SELECT value FROM {meta}').get()).toEqual({ value: '1' });
    expect(() => connection.prepare('SELECT * FROM {b}')).toThrow('no such table');
    migrate(connection, ['…', 'CREATE TABLE {b} (x INTEGER)']);
    expect(connection.prepare('SELECT * FROM {b}').all()).toEqual([]);
  });

  it('several that open a new file at once get on', async () => {
    const path = temporaryFile();
    const stores = await Promise.all(Array.from({ length: 5 }, () => openStore(path)));
    stores.forEach((store, i) => { store.insert([jobRecord(`job${i}`)]); });
    expect(stores[0]!.list({ limit: 10 }).jobs).toHaveLength(5);
  });

  it('a folder made later is found by the next attempt', async () => {
    const folder = join(temporaryFolder(), 'later');
    const store = new SQLiteJobStore(join(folder, 'jobs.db'));
    await expect(store.open(storeContext())).rejects.toThrow('no folder');
    mkdirSync(folder);
    await store.open(storeContext());
    await store.close();
  });
});

it('a commit that finds the database locked leaves what it claimed free to be claimed again', async () => {
  const path = temporaryFile();
  const store = new SQLiteJobStore({ path, busyTimeout: 1 });
  await store.open(storeContext());
  store.insert([jobRecord('job', T0)]);
  const [claimed] = store.claimDue(claim(T0));
  const other = new Database(path);
  other.exec('BEGIN IMMEDIATE');
  expect(() => store.commit([{ id: 'job', expected: claimed!.revision, next: claimed!.record, ledger: [] }])).toThrow(/locked/);
  other.exec('ROLLBACK');
  expect(store.claimDue(claim(T0))).toHaveLength(1);
  other.close();
  await store.close();
});
