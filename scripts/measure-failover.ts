/**
 * How long the runs of a node that dies or stops are without a node: `npx tsx scripts/measure-failover.ts [lease in ms]`.
 * Two processes on one SQLite file, or on PostgreSQL with DATABASE_URL; takes as long as three leases.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AsyncScheduler, currentRun } from '../src/index.js';
import { PostgresJobStore } from '../src/stores/postgres/index.js';
import { SQLiteJobStore } from '../src/stores/sqlite/index.js';

const leaseMs = Number(process.argv[2] ?? 15_000);
const url = process.env['DATABASE_URL'];
const fixture = fileURLToPath(new URL('../test/scheduler/fixtures/node-process.ts', import.meta.url));

async function measure(how: 'kill' | 'stop'): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'punctual-failover-'));
  const path = join(folder, 'jobs.db');
  const schema = `failover_${process.pid}_${how}`;
  const args = url === undefined ? ['sqlite', path, '-'] : ['postgres', url, schema];
  const child = spawn(process.execPath, ['--import', 'tsx', fixture, ...args, String(leaseMs)], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  let taken = (_at: number): void => undefined;
  const takenAt = new Promise<number>((resolve) => { taken = resolve; });
  let latest = 0;
  const scheduler = new AsyncScheduler({
    jobStores: { default: url === undefined ? new SQLiteJobStore(path) : new PostgresJobStore({ connectionString: url, schema }) },
    leaseDuration: leaseMs,
    tasks: {
      long: () => { taken(Date.now()); },
      tick: () => { latest = Math.max(latest, Date.now() - currentRun().scheduledFor.getTime()); },
    },
  });
  await scheduler.start();
  await new Promise((resolve) => { setTimeout(resolve, leaseMs / 2); });
  latest = 0;
  const since = Date.now();
  if (how === 'kill') child.kill('SIGKILL');
  else child.stdin.write('stop\n');
  const ms = (await takenAt) - since;
  await new Promise((resolve) => { setTimeout(resolve, 2_000); });
  await scheduler.shutdown();
  child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
  return `${how}, leases of ${leaseMs} ms: taken over after ${ms} ms; other jobs at most ${latest} ms late`;
}

for (const how of ['kill', 'stop'] as const) console.log(await measure(how));
