import assert from 'node:assert/strict';
import { after, AsyncScheduler, currentRun, IntervalTrigger, MemoryJobStore, type JobStore } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { test } from 'vitest';
import { connect, quiet, START, type Death } from './support.js';

interface Followed {
  readonly runId: string;
  readonly follows: readonly string[];
}

class World {
  readonly clock = new VirtualClock(START);
  readonly server = new MemoryJobStore({ shared: true, ledger: { perJob: 1_000 } });
  /** By job and run id, what its attempts were told that they follow. */
  readonly runs = new Map<string, Followed>();

  node(name: string, store: JobStore, isDead: () => boolean = () => false): AsyncScheduler {
    const scheduler = new AsyncScheduler({
      clock: this.clock, node: name, jobStores: { default: store }, leaseDuration: 3_000, maxSleep: 5_000, storeTimeout: 1_000, logger: quiet,
      jobDefaults: { coalesce: 'all', overlap: 'queueAll' },
    });
    scheduler.defineTask('work', (fails: boolean) => {
      if (isDead()) return;
      const { runId, follows } = currentRun();
      const seen = { runId, follows: follows.map((cause) => `${cause.runId ?? cause.jobId} ${cause.verdict}`) };
      const before = this.runs.get(runId);
      if (before !== undefined) assert.deepEqual(seen, before, 'each attempt of a run follows the same');
      this.runs.set(runId, seen);
      if (fails) throw new Error('as it should');
    });
    return scheduler;
  }

  async ends(jobId: string): Promise<string[]> {
    const { entries } = await this.server.ledger.list({ jobId, limit: 1_000 });
    return entries.filter(({ runId }) => runId !== null).map(({ runId, verdict }) => `${runId!} ${verdict}`);
  }

  of(jobId: string): Followed[] {
    return [...this.runs.values()].filter(({ runId }) => runId.startsWith(`${jobId}@`));
  }

  /** Each end has made one run of the follower, and no run came of nothing. */
  async checkPairs(source: string, follower: string, wanted: (end: string) => boolean = () => true): Promise<void> {
    const ends = (await this.ends(source)).filter(wanted);
    const followed = this.of(follower).map(({ follows }) => follows.find((cause) => cause.startsWith(`${source}@`)));
    assert.deepEqual([...followed].sort(), [...ends].sort(), `${follower} after ${source}`);
    assert.equal((await this.ends(follower)).length, this.of(follower).length);
  }
}

/** Plays until everything has ended. Answers how many writes the node made that may die. */
async function play(death: Death | undefined, isAlone: boolean): Promise<number> {
  const world = new World();
  const { clock, server } = world;
  let rescue: AsyncScheduler | undefined;
  const other = world.node('other', connect(server).store);
  const adder = connect(server);
  const calls = world.node('calls', adder.store);
  await calls.addJob('work', new IntervalTrigger({ seconds: 10 }), { id: 'source', args: [false], maxRuns: 3 });
  await calls.addJob('work', new IntervalTrigger({ seconds: 15 }), { id: 'failing', args: [true], maxRuns: 2 });
  await calls.addJob('work', after('source', 'any'), { id: 'first', args: [false] });
  await calls.addJob('work', after('first'), { id: 'second', args: [false] });
  await calls.addJob('work', after('failing', 'failure'), { id: 'alert', args: [false] });
  await calls.addJob('work', after(['source', 'first']), { id: 'both', args: [false] });
  await calls.enqueue('work', { id: 'a', args: [false], delay: 5_000 });
  await calls.enqueue('work', { id: 'b', args: [false], delay: 12_000 });
  await calls.enqueue('work', { id: 'c', args: [false], dependsOn: ['a', 'b'] });
  await calls.enqueue('work', { id: 'd', args: [false], dependsOn: 'c' });
  await calls.enqueue('work', { id: 'e', args: [true], dependsOn: 'd' });
  await calls.enqueue('work', { id: 'f', args: [false], dependsOn: 'e' });
  await calls.enqueue('work', { id: 'g', args: [false], dependsOn: 'f', onDependencyFailure: 'run' });

  const victim = connect(server, death, () => { rescue = other; });
  const node = world.node('victim', victim.store, victim.isDead);
  await node.start();
  if (!isAlone) await other.start();
  for (let second = 0; second < 200; second++) {
    await clock.advance(1_000);
    if (isAlone && rescue !== undefined) {
      await rescue.start();
      rescue = undefined;
    }
  }
  if (death !== undefined && !victim.isDead()) {
    await Promise.all([node, other, calls].map((scheduler) => scheduler.shutdown({ wait: false })));
    return Number.NEGATIVE_INFINITY;
  }
  assert.equal((await world.ends('source')).length, 3);
  await world.checkPairs('source', 'first');
  await world.checkPairs('first', 'second', (end) => end.endsWith(' succeeded'));
  await world.checkPairs('failing', 'alert');
  assert.equal(world.of('alert').length, 2);
  await world.checkPairs('source', 'both', (end) => end.endsWith(' succeeded'));
  for (const [id, verdict] of [['a', 'succeeded'], ['b', 'succeeded'], ['c', 'succeeded'], ['d', 'succeeded'], ['e', 'failed'], ['f', 'cancelled'], ['g', 'succeeded']] as const) {
    assert.deepEqual((await world.ends(id)).map((end) => end.split(' ')[1]), [verdict], id);
  }
  assert.deepEqual(world.of('c')[0]?.follows.map((cause) => cause.split('@')[0]), ['a', 'b']);
  assert.equal(world.of('f').length, 0);
  const left = server.list({ limit: 100 }).jobs.map(({ record }) => record);
  for (const { id, state } of left) assert.equal(state.links?.outbox, undefined, `all of ${id} is told`);
  assert.deepEqual(left.map(({ id }) => id), ['alert', 'both', 'failing', 'first', 'second', 'source']);
  for (const scheduler of [node, other, calls]) {
    const { ok } = scheduler === node && victim.isDead() ? { ok: true } : await scheduler.verifyLedger();
    assert.ok(ok);
  }
  await Promise.all([other, calls, ...(victim.isDead() ? [] : [node])].map((scheduler) => scheduler.shutdown({ wait: false })));
  return victim.writes();
}

for (const isAlone of [true, false]) {
  test(`each end is told once, whatever write a node dies with (${isAlone ? 'another takes its place' : 'beside another'})`, { timeout: 600_000 }, async () => {
    const writes = await play(undefined, isAlone);
    assert.ok(writes > 20, `${writes} writes`);
    for (let write = 0; write < writes; write++) {
      for (const isWritten of [false, true]) {
        try {
          await play({ write, isWritten }, isAlone);
        } catch (error) {
          if (error instanceof Error) error.message = `death with write ${write}, ${isWritten ? 'written' : 'not written'}: ${error.message}`;
          throw error;
        }
      }
    }
  });
}
