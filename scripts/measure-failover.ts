/**
 * How long the runs of a node that dies or stops are without a node. Two processes on a store: one is killed with SIGKILL,
 * or told to stop while it has a run that never ends, or ends when its signal fires; the other takes it over.
 *
 *   npx tsx scripts/measure-failover.ts                               each engine that is here, leases of 15 s: some two minutes
 *   npx tsx scripts/measure-failover.ts --engine redis --lease 2000 --times 5
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AsyncScheduler, currentRun } from '../src/index.js';
import { storeOf } from '../test/scheduler/fixtures/stores.js';
import { missing, startEngine } from './campaign/engines.js';
import { ENGINES, type EngineName } from './campaign/plan.js';

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'all' },
    lease: { type: 'string', default: '15000' },
    times: { type: 'string', default: '1' },
  },
});
const leaseMs = Number(values.lease);
const engines = values.engine === 'all' ? ENGINES : ENGINES.filter((name) => name === values.engine);
if (engines.length === 0) throw new RangeError(`--engine takes one of ${ENGINES.join(', ')}, all`);

const fixture = fileURLToPath(new URL('../test/scheduler/fixtures/node-process.ts', import.meta.url));

function urlOf(engine: EngineName, port: number): string {
  if (engine === 'postgres') return `postgres://postgres@127.0.0.1:${port}/postgres`;
  return `${engine}://127.0.0.1:${port}`;
}

interface Failover {
  /** From the signal to the first line of the run's next attempt, in ms. */
  readonly takenMs: number;
  /** By how much other jobs were late meanwhile at the most, in ms. */
  readonly latestMs: number;
}

/** `stop-heeded`: its run ends when its signal fires. */
type How = 'kill' | 'stop' | 'stop-heeded';

async function measure(how: How, engine: EngineName, where: string, space: string): Promise<Failover> {
  const child = spawn(process.execPath, ['--import', 'tsx', fixture, engine, where, space, String(leaseMs), ...(how === 'stop-heeded' ? ['heeds'] : [])], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  let taken = (_at: number): void => undefined;
  const takenAt = new Promise<number>((resolve) => { taken = resolve; });
  let latestMs = 0;
  const scheduler = new AsyncScheduler({
    jobStores: { default: storeOf(engine, where, space) },
    leaseDuration: leaseMs,
    tasks: {
      long: () => { taken(performance.now()); },
      tick: () => { latestMs = Math.max(latestMs, Date.now() - currentRun().scheduledFor.getTime()); },
    },
  });
  try {
    await scheduler.start();
    await new Promise((resolve) => { setTimeout(resolve, leaseMs * (0.5 + Math.random() / 2)); });
    latestMs = 0;
    const since = performance.now();
    if (how === 'kill') child.kill('SIGKILL');
    else child.stdin.write('stop\n');
    const takenMs = (await takenAt) - since;
    await new Promise((resolve) => { setTimeout(resolve, 2_000); });
    return { takenMs, latestMs };
  } finally {
    await scheduler.shutdown();
    child.kill('SIGKILL');
  }
}

for (const name of engines) {
  const lack = missing(name);
  if (lack !== undefined) {
    console.log(`${name}: left out, ${lack}`);
    continue;
  }
  const folder = mkdtempSync(join(tmpdir(), 'punctual-failover-'));
  const engine = await startEngine(name);
  try {
    for (const how of ['kill', 'stop', 'stop-heeded'] as const) {
      const results: Failover[] = [];
      for (let time = 0; time < Number(values.times); time++) {
        const where = engine.server === undefined ? join(folder, `${how}_${time}.db`) : urlOf(name, engine.server.port);
        results.push(await measure(how, name, where, `failover_${how.replace('-', '_')}_${time}`));
      }
      const list = (key: keyof Failover): string => results.map((result) => Math.round(result[key])).join(', ');
      console.log(`${name}, ${how}, leases of ${leaseMs} ms: taken over after ${list('takenMs')} ms; other jobs at most ${list('latestMs')} ms late`);
    }
  } finally {
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
