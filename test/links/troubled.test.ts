import assert from 'node:assert/strict';
import { after, AsyncScheduler, currentRun, IntervalTrigger } from 'punctual';
import { test } from 'vitest';
import { hash32 } from '../../src/core/hash.js';
import { Connection, type NetworkFaults } from '../../src/testing/simulation/connection.js';
import { BASE, Host } from '../../src/testing/simulation/host.js';
import { Random } from '../../src/testing/simulation/random.js';
import { Report } from '../../src/testing/simulation/report.js';
import { SharedStore, type Audits } from '../../src/testing/simulation/shared-store.js';
import { World } from '../../src/testing/simulation/world.js';
import { quiet } from './support.js';

const LEASE_MS = 3_000;
const TROUBLE_MS = 60_000;

/** This test looks for itself. */
const unheard = { committed: () => [] };
const NO_AUDITS = { records: unheard, links: unheard, alarms: unheard } as unknown as Audits;

interface Machine {
  readonly host: Host;
  readonly connection: Connection;
  readonly scheduler: AsyncScheduler;
}

/**
 * Three machines that crash, freeze and are cut off, on a store that loses requests and answers, doubles writes and is down
 * at times. Then all is well again, and what has come of the chains is compared with what ended.
 */
async function play(seed: number): Promise<void> {
  const random = new Random(seed);
  const world = new World();
  const report = new Report(world, undefined);
  const server = new SharedStore(world, NO_AUDITS, report, 5_000, undefined);
  const faults: NetworkFaults = {
    synchronous: false, latencyMs: random.pick([0, 5, 20]), slow: 0.02,
    lostRequest: random.pick([0, 0.02]), lostAnswer: random.pick([0, 0.03]), doubled: random.pick([0, 0.03]), crashAtCommit: random.pick([0, 0.02]),
  };
  const follows = new Map<string, string>();
  const machines: Machine[] = [];
  let isWell = false;
  let births = 0;

  function boot(slot: number): void {
    const host = new Host(world, random.whole(-5_000, 5_000), 1, false);
    const name = `n${slot}.${++births}`;
    const crash = (): void => {
      if (!host.alive) return;
      host.crash();
      world.after(random.whole(100, 8_000), () => { boot(slot); });
    };
    const connection = new Connection({
      host, node: name, server, random: random.fork(), report, faults, shared: true, ownClock: true, patienceMs: LEASE_MS / 3,
      mayCrash: () => !isWell, crash, delivered: () => undefined,
    });
    connection.healed = isWell;
    const scheduler = new AsyncScheduler({
      clock: host, node: name, jobStores: { default: connection }, logger: quiet, leaseDuration: LEASE_MS, maxSleep: 2_000, storeTimeout: 1_000,
      jobDefaults: { coalesce: 'all', maxCatchUp: 1_000, overlap: 'queueAll', queueLimit: 10_000, maxInstances: 3, maxCrashes: 1_000 },
    });
    scheduler.defineTask('work', (id: string) => {
      const run = currentRun();
      const seen = run.follows.map((cause) => `${cause.runId ?? cause.jobId} ${cause.verdict}`).join();
      const before = follows.get(run.runId);
      if (before !== undefined && before !== seen) report.broken('links', `${run.runId} follows ${before}, and then ${seen}`);
      follows.set(run.runId, seen);
      const dice = hash32(`${run.runId} ${run.attempt}`, seed);
      return new Promise((resolve, reject) => {
        host.setTimer((dice >>> 4) % 700, () => {
          if (dice % 4 === 0 && id !== 'sure') reject(new Error('by chance'));
          else resolve('done');
        });
      });
    });
    machines[slot] = { host, connection, scheduler };
    const start = (): void => { void scheduler.start().catch(() => { host.setTimer(500, start); }); };
    start();
    const trouble = (meanMs: number, act: () => void): void => {
      world.after(random.next() * 2 * meanMs, () => {
        if (isWell || !host.alive) return;
        act();
        trouble(meanMs, act);
      });
    };
    trouble(20_000, crash);
    trouble(15_000, () => {
      host.freeze();
      world.after(random.whole(100, 2 * LEASE_MS), () => { if (host.alive) host.thaw(); });
    });
    trouble(15_000, () => { connection.cutOffUntil = world.time + random.whole(100, 2 * LEASE_MS); });
  }

  // Added while all is well, by somebody who stays so.
  const calm = new Connection({
    host: new Host(world, 0, 1, false), node: 'calm', server, random: random.fork(), report, faults: { ...faults, synchronous: true }, shared: true, ownClock: true,
    patienceMs: 1_000, mayCrash: () => false, crash: () => undefined, delivered: () => undefined,
  });
  const calls = new AsyncScheduler({ clock: new Host(world, 0, 1, false), node: 'calm', jobStores: { default: calm }, logger: quiet, jobDefaults: { coalesce: 'all', maxCatchUp: 1_000, overlap: 'queueAll', queueLimit: 10_000, maxInstances: 3, maxCrashes: 1_000 } });
  calls.defineTask('work', () => undefined);
  const at = (seconds: number): Date => new Date(BASE + seconds * 1_000);
  await calls.addJobs([
    { id: 'a', task: 'work', args: ['a'], trigger: new IntervalTrigger({ seconds: 4 }, { startTime: at(1) }), maxRuns: 12, retry: { maxAttempts: 2, delay: 300 } },
    { id: 'b', task: 'work', args: ['b'], trigger: new IntervalTrigger({ seconds: 7 }, { startTime: at(2) }), maxRuns: 7 },
    { id: 'after-a', task: 'work', args: ['after-a'], trigger: after('a', 'any') },
    { id: 'failed-a', task: 'work', args: ['failed-a'], trigger: after('a', 'failure') },
    { id: 'after-after', task: 'work', args: ['after-after'], trigger: after('after-a') },
    { id: 'either', task: 'work', args: ['either'], trigger: after(['b', 'after-a'], 'any', { mode: 'any' }) },
  ]);
  const steps = 10;
  for (let i = 0; i < steps; i++) {
    const on = [...new Set([random.whole(0, 9), random.whole(0, 9), random.whole(0, 9)])].filter((n) => n < i).map((n) => `s${n}`);
    await calls.addJob('work', at(1 + i * 3), { id: `s${i}`, args: ['sure'], ...(on.length === 0 ? {} : { dependsOn: on }) });
  }

  for (let slot = 0; slot < 3; slot++) boot(slot);
  world.after(random.whole(5_000, 40_000), () => { server.downUntil = world.time + random.whole(100, 6_000); });
  await world.runUntil(TROUBLE_MS, () => false);
  isWell = true;
  server.downUntil = 0;
  for (const { host, connection } of machines) {
    connection.healed = true;
    connection.cutOffUntil = 0;
    if (host.alive) host.thaw();
  }
  // As long as the longest wait that somebody may be in: back-off, lease, and looking after links.
  await world.runUntil(TROUBLE_MS + 200_000, () => false);

  assert.equal(report.breach, undefined);
  const ends = (id: string): string[] => {
    const { entries } = server.memory.ledger.list({ jobId: id, limit: 10_000 }) as { entries: readonly { runId: string | null; verdict: string }[] };
    return entries.map(({ runId, verdict }) => `${String(runId)} ${verdict}`);
  };
  const told = (id: string): string[] => [...follows].filter(([runId]) => runId.startsWith(`${id}@`)).map(([, seen]) => seen).sort();
  const check = (sources: readonly string[], follower: string, wanted: (end: string) => boolean): void => {
    assert.deepEqual(told(follower), sources.flatMap((source) => ends(source).filter(wanted)).sort(), `seed ${seed}: ${follower}`);
    assert.equal(ends(follower).length, told(follower).length, `seed ${seed}: each run of ${follower} has ended`);
  };
  assert.equal(ends('a').length, 12);
  assert.equal(ends('b').length, 7);
  check(['a'], 'after-a', () => true);
  check(['a'], 'failed-a', (end) => end.endsWith(' failed'));
  check(['after-a'], 'after-after', (end) => end.endsWith(' succeeded'));
  check(['b', 'after-a'], 'either', () => true);
  for (let i = 0; i < steps; i++) assert.deepEqual(ends(`s${i}`).map((end) => end.split(' ')[1]), ['succeeded'], `seed ${seed}: s${i}`);
  for (const { id, state } of server.records()) assert.equal(state.links?.outbox, undefined, `seed ${seed}: all of ${id} is told`);
}

test('whatever happens to nodes and store, each end is followed once', { timeout: 600_000 }, async () => {
  for (let seed = 1; seed <= 12; seed++) await play(seed);
});
