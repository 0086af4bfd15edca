import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsyncScheduler, currentRun, IntervalTrigger, MemoryJobStore } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NodeClock } from '../locks/support/nodes.js';
import { MemoryLogger, Recorder, SECOND, START } from './support/world.js';

interface Member {
  readonly scheduler: AsyncScheduler;
  readonly recorder: Recorder;
}

/** Schedulers in leader mode on one store, and which of them ran what. */
function group(nodes: readonly string[]): { clock: VirtualClock; members: Member[]; ran: string[]; store: JsonJobStore } {
  const clock = new VirtualClock(START);
  const store = new JsonJobStore();
  const ran: string[] = [];
  const members = nodes.map((node): Member => {
    const scheduler = new AsyncScheduler({ clock, node, timezone: 'UTC', jobStores: { default: store }, ha: { mode: 'leader' } });
    scheduler.defineTask('tick', () => { ran.push(node); });
    scheduler.defineTask('slow', async () => {
      await clock.sleep(40 * SECOND, currentRun().signal);
      ran.push(`${node} to the end`);
    });
    const recorder = new Recorder();
    scheduler.addListener(recorder.listener);
    return { scheduler, recorder };
  });
  onTestFinished(async () => {
    const stopping = Promise.all(members.map(({ scheduler }) => scheduler.shutdown({ wait: false })));
    await clock.advance(60 * SECOND);
    await stopping;
  });
  return { clock, members, ran, store };
}

async function start({ clock, members }: ReturnType<typeof group>): Promise<{ leader: Member; standby: Member }> {
  for (const { scheduler } of members) await scheduler.start();
  await clock.advance(SECOND);
  const leader = members.find(({ scheduler }) => scheduler.isLeader)!;
  return { leader, standby: members.find((member) => member !== leader)! };
}

describe('leader mode', () => {
  it('lets one node take on what is due, and calls on the others work', async () => {
    const world = group(['a', 'b', 'c']);
    const { clock, members, ran } = world;
    const { leader, standby } = await start(world);
    expect(members.filter(({ scheduler }) => scheduler.isLeader)).toEqual([leader]);
    expect(members.map(({ scheduler }) => scheduler.health().jobStores['default']?.role).sort()).toEqual(['leader', 'standby', 'standby']);
    const roles = (await standby.scheduler.getNodes()).map(({ node, role }) => [node, role]);
    expect(roles).toEqual(members.map(({ scheduler: { node } }) => [node, node === leader.scheduler.node ? 'leader' : 'standby']));
    expect((await standby.scheduler.leader())?.owner).toBe(leader.scheduler.node);
    expect(leader.recorder.of('leaderElected')).toMatchObject([{ jobStore: 'default', token: 1, node: leader.scheduler.node }]);
    await standby.scheduler.addJob('tick', new IntervalTrigger({ seconds: 1 }), { id: 'tick' });
    await clock.advance(60 * SECOND);
    expect(ran.length).toBeGreaterThan(50);
    expect(new Set(ran)).toEqual(new Set([leader.scheduler.node]));
    await standby.scheduler.pauseJob('tick');
    ran.length = 0;
    const handle = await standby.scheduler.runJob('tick');
    const result = handle.result();
    await clock.advance(35 * SECOND);
    await result;
    expect(ran).toEqual([leader.scheduler.node]);
  });

  it('hands over within a moment when the leader shuts down, while its tasks come to their end', async () => {
    const world = group(['a', 'b']);
    const { clock, ran } = world;
    const { leader, standby } = await start(world);
    await leader.scheduler.addJob('tick', new IntervalTrigger({ seconds: 1 }), { id: 'tick' });
    await leader.scheduler.addJob('slow', new Date(clock.now() + 1), { id: 'slow' });
    await clock.advance(5 * SECOND);
    const stopped = leader.scheduler.shutdown({ timeout: Number.POSITIVE_INFINITY });
    await clock.advance(SECOND);
    expect(standby.scheduler.isLeader).toBe(true);
    expect(leader.recorder.of('leaderLost')).toMatchObject([{ reason: 'stopped' }]);
    ran.length = 0;
    await clock.advance(60 * SECOND);
    await stopped;
    expect(ran.filter((line) => line !== standby.scheduler.node)).toEqual([`${leader.scheduler.node} to the end`]);
    expect((await standby.scheduler.verifyLedger()).ok).toBe(true);
  });

  it('steps down for a pause, and stands again after it', async () => {
    const world = group(['a', 'b']);
    const { clock } = world;
    const { leader, standby } = await start(world);
    await leader.scheduler.pause();
    await clock.advance(2 * SECOND);
    expect([leader.scheduler.isLeader, standby.scheduler.isLeader]).toEqual([false, true]);
    await leader.scheduler.resume();
    await clock.advance(20 * SECOND);
    expect([leader.scheduler.isLeader, standby.scheduler.isLeader]).toEqual([false, true]);
    const stopped = standby.scheduler.shutdown();
    await clock.advance(2 * SECOND);
    await stopped;
    expect(leader.scheduler.isLeader).toBe(true);
    expect(leader.recorder.of('leaderElected').map(({ token }) => token)).toEqual([1, 3]);
  });

  it('stops claiming when the lease is lost; what runs goes on under its own lease', async () => {
    const world = group(['a', 'b']);
    const { clock, ran, store } = world;
    const { leader, standby } = await start(world);
    await leader.scheduler.addJob('tick', new IntervalTrigger({ seconds: 1 }), { id: 'tick' });
    await leader.scheduler.addJob('slow', new Date(clock.now() + 1), { id: 'slow' });
    await clock.advance(2 * SECOND);
    const { leases } = store;
    await leases.acquire({ key: 'lock/leader:scheduler:default', holder: 'thief 0 20000', now: clock.now(), ttlMs: 20 * SECOND, force: true });
    await clock.advance(6 * SECOND);
    expect(leader.recorder.of('leaderLost')).toMatchObject([{ reason: 'lost' }]);
    expect(leader.scheduler.isLeader).toBe(false);
    ran.length = 0;
    await clock.advance(8 * SECOND);
    expect(ran).toEqual([]); // nobody leads
    await clock.advance(60 * SECOND);
    expect([leader, standby].filter(({ scheduler }) => scheduler.isLeader)).toHaveLength(1);
    expect(ran).toContain(`${leader.scheduler.node} to the end`);
    expect((await standby.scheduler.verifyLedger()).ok).toBe(true);
  });

  it('takes on nothing when it wakes from being frozen while another leads', async () => {
    const world = new VirtualClock(START);
    const store = new JsonJobStore();
    const ran: string[] = [];
    const nodes = ['a', 'b'].map((node) => {
      const clock = new NodeClock(world);
      const scheduler = new AsyncScheduler({ clock, node, timezone: 'UTC', jobStores: { default: store }, ha: { mode: 'leader' }, logger: new MemoryLogger() });
      scheduler.defineTask('tick', () => { ran.push(node); });
      onTestFinished(async () => {
        clock.thaw();
        const stopping = scheduler.shutdown({ wait: false });
        await world.advance(60 * SECOND);
        await stopping;
      });
      return { clock, scheduler };
    });
    for (const { scheduler } of nodes) await scheduler.start();
    await nodes[0]!.scheduler.addJob('tick', new IntervalTrigger({ seconds: 1 }), { id: 'tick' });
    await world.advance(5 * SECOND);
    const first = nodes.find(({ scheduler }) => scheduler.isLeader)!;
    const second = nodes.find((node) => node !== first)!;
    first.clock.freeze();
    await world.advance(40 * SECOND);
    expect(second.scheduler.isLeader).toBe(true);
    // What the frozen one finds first when it wakes is a job that is due.
    await second.scheduler.addJob('tick', new Date(world.now() - 1), { id: 'due' });
    const before = ran.length;
    first.clock.thaw();
    await world.advance(10 * SECOND);
    expect(new Set(ran.slice(before))).toEqual(new Set([second.scheduler.node]));
    expect(first.scheduler.isLeader).toBe(false);
  });

  it('needs nobody to lead a store that is not shared, and no leader by default', async () => {
    const clock = new VirtualClock(START);
    await using alone = new AsyncScheduler({ clock, ha: { mode: 'leader' } });
    await alone.start();
    expect(alone.isLeader).toBe(true);
    expect(alone.health().jobStores['default']?.role).toBe('active');
    expect(await alone.leader()).toBeUndefined();
    await using shared = new AsyncScheduler({ clock, jobStores: { default: new MemoryJobStore({ shared: true }) } });
    await shared.start();
    expect(shared.isLeader).toBe(false);
    expect(shared.health().jobStores['default']?.role).toBe('active');
  });

  it.each([
    [{ mode: 'boss' }, 'ha.mode'],
    [{ mode: 'leader', group: '' }, 'ha.group'],
    [{ mode: 'leader', leaseDuration: 5 }, 'ha.leaseDuration'],
    [{ role: 'leader' }, 'ha.role'],
  ])('refuses %j', (ha, option) => {
    expect(() => new AsyncScheduler({ ha: ha as never })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option }));
  });
});

describe('leader mode of processes on one SQLite file', () => {
  it('has another leader within the lease when the leader is killed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'punctual-leader-'));
    const path = join(folder, 'jobs.db');
    const children: ChildProcess[] = [];
    onTestFinished(() => {
      for (const child of children) child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    });
    const watcher = new SQLiteJobStore(path);
    const launch = async (node: string): Promise<ChildProcess> => {
      const child = spawn(process.execPath, [...process.execArgv, '--import', 'tsx', new URL('fixtures/leader.ts', import.meta.url).pathname, path, node], { stdio: ['ignore', 'pipe', 'inherit'] });
      children.push(child);
      await new Promise<void>((resolve, reject) => {
        child.stdout.once('data', () => { resolve(); });
        child.once('exit', (code) => { reject(new Error(`it ended with ${code}`)); });
      });
      return child;
    };
    const leader = async (): Promise<string | undefined> => (await watcher.lockHolder('leader:scheduler:default'))?.owner;
    const until = async (isSo: () => Promise<boolean>): Promise<number> => {
      const since = performance.now();
      while (!(await isSo())) {
        if (performance.now() - since > 60_000) throw new Error('it did not come about within a minute');
        await new Promise((resolve) => { setTimeout(resolve, 100); });
      }
      return performance.now() - since;
    };
    const processes = new Map<string, ChildProcess>();
    for (const node of ['a', 'b']) processes.set(node, await launch(node));
    await until(async () => (await leader()) !== undefined);
    const first = (await leader())!;
    const second = first === 'a' ? 'b' : 'a';
    processes.get(first)!.kill('SIGKILL');
    await until(async () => (await leader()) === second);
    // And it does the work.
    await using looker = new AsyncScheduler({ jobStores: { default: watcher } });
    await until(async () => (await looker.getRuns({ jobId: 'tick', limit: 1, newestFirst: true }))[0]?.node === second);
    expect((await looker.verifyLedger()).ok).toBe(true);
  }, 120_000);
});
