/** What of a row comes from the definition. */
export const DEFINITION_COLUMNS =
  'body text, lane text, executor text, task text, task_version float8, priority float8, owner text, trigger_kind text, tags text[], name text';
export const STATE_COLUMNS = 'state text, wake_at float8, status text, running int, alarm_at float8';

/** `same`: which was the first of its text. Definitions of one text have one revision, so that who has read one knows all. */
export const INSERT = `
  WITH given AS MATERIALIZED (
    SELECT r.*, nextval('{revisions}') AS revision
    FROM json_to_recordset($1::json) AS r (i int, same int, id text, ${STATE_COLUMNS}, ${DEFINITION_COLUMNS})
    ORDER BY r.id COLLATE "C", r.i
  ), added AS (
    INSERT INTO {jobs} (id, revision, definition, state, wake_at, status, running, alarm_at, lane)
    SELECT id, revision, min(revision) OVER (PARTITION BY same), state, wake_at, status, running, alarm_at, lane
    FROM given ORDER BY id COLLATE "C", i
    ON CONFLICT (id) DO NOTHING
    RETURNING id, revision
  ), defined AS (
    INSERT INTO {definitions} (id, body, executor, task, task_version, priority, owner, trigger_kind, tags, name)
    SELECT id, body, executor, task, task_version, priority, owner, trigger_kind, tags, name
    FROM given JOIN added USING (id, revision) ORDER BY id COLLATE "C"
  )
  SELECT id, revision FROM added`;

/** Of a commit, what is waited for: nothing that others have locked, or all of it. */
export type Locking = 'passing' | 'waiting';

/**
 * All changes of a batch at once. Rows are locked in the order of their ids, so that no two batches wait for each other
 * in a circle. With `SKIP LOCKED`, those that others have locked come back without a revision: they are looked for only
 * where some are missing.
 */
function statement(given: string, held: string, writes: readonly string[], won: readonly string[], ledger: string, locking: Locking): string {
  const locked = `
  UNION ALL SELECT c.i, NULL, NULL FROM given c JOIN {jobs} j ON j.id = c.id
  WHERE (SELECT count(*) FROM held) < (SELECT count(*) FROM given) AND j.revision = c.expected AND NOT EXISTS (SELECT 1 FROM held h WHERE h.i = c.i)`;
  return `
  WITH given AS MATERIALIZED (${given}), held AS MATERIALIZED (
    ${held}
    ORDER BY j.id FOR UPDATE OF j ${locking === 'passing' ? 'SKIP LOCKED' : ''}
  ), ${writes.join(', ')}, won AS (${won.map((name) => `SELECT i, id, revision, lines FROM ${name}`).join(' UNION ALL ')})${ledger}
  SELECT i, revision, lines FROM won${locking === 'passing' ? locked : ''}`;
}

const UPDATE_STATES = `updated AS (
    UPDATE {jobs} j SET
      revision = nextval('{revisions}'), claimed_until = NULL, lines = j.lines + h.lines,
      state = h.state, wake_at = h.wake_at, status = h.status, running = h.running, alarm_at = h.alarm_at
    FROM held h WHERE j.id = h.id AND h.state IS NOT NULL
    RETURNING h.i, j.id, j.revision, j.lines
  )`;

const DELETE = `deleted AS (
    DELETE FROM {jobs} j USING held h
    WHERE j.id = h.id AND h.state IS NULL
    RETURNING h.i, j.id, nextval('{revisions}') AS revision, NULL::bigint AS lines
  ), forgotten AS (
    DELETE FROM {definitions} d USING deleted g WHERE d.id = g.id
  )`;

export interface CommitParts {
  readonly updates: boolean;
  readonly deletes: boolean;
  readonly ledger: string;
  readonly locking: Locking;
}

/**
 * New states for definitions that must be those that are stored, and deletes, which have no state. It is what each run
 * is written with, so it comes as arrays: they are read in a fraction of the time that the server takes for JSON.
 */
export function statesSql({ updates, deletes, ledger, locking }: CommitParts): string {
  const names = [...(updates ? ['updated'] : []), ...(deletes ? ['deleted'] : [])];
  return statement(
    `SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::int[], $6::text[], $7::float8[], $8::text[], $9::int[], $10::float8[])
      AS c (i, id, expected, known, lines, state, wake_at, status, running, alarm_at)`,
    `SELECT c.* FROM {jobs} j JOIN given c ON c.id = j.id WHERE j.revision = c.expected AND (c.known IS NULL OR j.definition = c.known)`,
    [...(updates ? [UPDATE_STATES] : []), ...(deletes ? [DELETE] : [])],
    names,
    ledger,
    locking,
  );
}
/** How many parameters `statesSql` has; those of the ledger come after. */
export const STATES_PARAMETERS = 10;

/** Whole records. A definition of the same text leaves its columns alone: somebody may have written it who could not read it. */
export function wholeSql(ledger: string, locking: Locking): string {
  return statement(
    `SELECT * FROM json_to_recordset($1::json) AS c (i int, id text, expected bigint, lines int, ${STATE_COLUMNS}, ${DEFINITION_COLUMNS})`,
    `SELECT c.*, c.body <> d.body AS redefines, nextval('{revisions}') AS revision
    FROM given c JOIN {jobs} j ON j.id = c.id JOIN {definitions} d ON d.id = j.id WHERE j.revision = c.expected`,
    [
      `updated AS (
    UPDATE {jobs} j SET
      revision = h.revision, claimed_until = NULL, lines = j.lines + h.lines,
      state = h.state, wake_at = h.wake_at, status = h.status, running = h.running, alarm_at = h.alarm_at,
      definition = CASE WHEN h.redefines THEN h.revision ELSE j.definition END,
      lane = CASE WHEN h.redefines THEN h.lane ELSE j.lane END
    FROM held h WHERE j.id = h.id
    RETURNING h.i, j.id, j.revision, j.lines
  ), redefined AS (
    UPDATE {definitions} d SET
      body = h.body, executor = h.executor, task = h.task, task_version = h.task_version, priority = h.priority,
      owner = h.owner, trigger_kind = h.trigger_kind, tags = h.tags, name = h.name
    FROM held h WHERE d.id = h.id AND h.redefines
  )`,
    ],
    ['updated'],
    ledger,
    locking,
  );
}
export const WHOLE_PARAMETERS = 1;

/** Of new states for stored definitions, as the statement names them. */
export interface StateNames {
  readonly rows: string;
  readonly id: string;
  readonly expected: string;
  readonly known: string;
  readonly lines: string;
  readonly state: string;
  readonly wake_at: string;
  readonly status: string;
  readonly running: string;
  readonly alarm_at: string;
}

/** Of jobs that go, the same. */
export type GoneNames = Pick<StateNames, 'rows' | 'id' | 'expected'>;

export interface DirectParts {
  /** New states, and how many there are. */
  readonly states: StateNames | undefined;
  readonly stateCount: number;
  /** Deletes; they are counted on from the states. */
  readonly gone: GoneNames | undefined;
  readonly goneCount: number;
  readonly pruneAbove: number;
  readonly ledger: string;
}

/**
 * The same for new states and deletes as long as nobody has locked any of them, which is the rule: rows are not looked up
 * and locked before they are written. All new states of a batch get one revision, and all that goes another. For each the
 * answer has one row: those that won, where it is not all of the batch, and those whose history may be too long.
 */
export function directSql({ states, stateCount, gone, goneCount, pruneAbove, ledger }: DirectParts): string {
  const updated = states && `updated AS (
    UPDATE {jobs} j SET
      revision = (SELECT nextval('{revisions}')), claimed_until = NULL, lines = j.lines + ${states.lines},
      state = ${states.state}, wake_at = ${states.wake_at}, status = ${states.status}, running = ${states.running}, alarm_at = ${states.alarm_at}
    FROM ${states.rows}
    WHERE j.id = ${states.id} AND j.revision = ${states.expected} AND j.definition = ${states.known}
    RETURNING c.n::int - 1 AS i, j.id, j.revision, j.lines
  )`;
  const deleted = gone && `deleted AS (
    DELETE FROM {jobs} j USING ${gone.rows}
    WHERE j.id = ${gone.id} AND j.revision = ${gone.expected}
    RETURNING g.n::int - 1 + ${stateCount} AS i, j.id, (SELECT nextval('{revisions}')) AS revision, NULL::bigint AS lines
  ), forgotten AS (
    DELETE FROM {definitions} d USING deleted g WHERE d.id = g.id
  )`;
  const parts = [updated, deleted].filter((part) => part !== undefined);
  const won = [states && 'updated', gone && 'deleted'].flatMap((name) => (name === undefined ? [] : [`SELECT i, id, revision, lines FROM ${name}`]));
  return `
  WITH ${parts.join(', ')}, won AS (${won.join(' UNION ALL ')})${ledger}
  SELECT revision, CASE WHEN count(*) < ${stateCount + goneCount} THEN string_agg(i::text, ',') END, string_agg(CASE WHEN lines > ${pruneAbove} THEN i || ' ' || lines END, ',')
  FROM won GROUP BY revision`;
}
