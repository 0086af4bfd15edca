import { LeaderElection, MemoryJobStore, type Leadership, type Logger } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StoreLocks } from '../../src/locks/store-locks.js';
import { Connection, NodeClock } from './support/nodes.js';

const TTL = 10_000;
const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface Candidate {
  readonly node: string;
  readonly clock: NodeClock;
  readonly connection: Connection;
  readonly election: LeaderElection;
  readonly terms: Leadership[];
  readonly losses: unknown[];
}

function elect(count: number, work?: (leadership: Leadership, world: VirtualClock) => unknown): { world: VirtualClock; candidates: Candidate[] } {
  const world = new VirtualClock();
  const store = new MemoryJobStore();
  const candidates = Array.from({ length: count }, (_, i): Candidate => {
    const node = `n${i}`;
    const clock = new NodeClock(world);
    const connection = new Connection(world, clock, store.leases, true);
    const locks = new StoreLocks({ store: connection, opened: () => ({ clock, logger: silent }) });
    const terms: Leadership[] = [];
    const losses: unknown[] = [];
    const election = new LeaderElection(
      { lock: (name, options) => locks.lock(name, options), lockHolder: (name) => locks.holder(name) },
      {
        name: 'x',
        ttl: TTL,
        node,
        clock,
        logger: silent,
        onElected: (leadership) => {
          terms.push(leadership);
          return work?.(leadership, world);
        },
        onLost: (_, reason) => losses.push(reason),
      },
    );
    return { node, clock, connection, election, terms, losses };
  });
  onTestFinished(async () => {
    const stopping = Promise.all(candidates.map(({ election }) => election.stop()));
    await world.advance(TTL * 3);
    await stopping;
    expect(world.pendingTimers).toBe(0);
  });
  return { world, candidates };
}

async function answer<T>(world: VirtualClock, asked: Promise<T>): Promise<T> {
  let done = false;
  void asked.finally(() => { done = true; });
  while (!done) await world.advance(10);
  return asked;
}

const leaders = (candidates: readonly Candidate[]): Candidate[] => candidates.filter(({ election }) => election.isLeader);

describe('LeaderElection', () => {
  it('has one leader, whom all know, for as long as it renews', async () => {
    const { world, candidates } = elect(3);
    for (const { election } of candidates) election.start();
    await world.advance(1_000);
    const [leader] = leaders(candidates);
    for (let step = 0; step < 20; step++) {
      await world.advance(TTL / 2);
      expect(leaders(candidates)).toEqual([leader]);
    }
    for (const { election } of candidates) expect(await answer(world, election.leader())).toMatchObject({ owner: leader!.node, token: leader!.terms[0]!.token });
    expect(candidates.flatMap(({ terms }) => terms)).toHaveLength(1);
  });

  it('has the next within a moment when the leader stops', async () => {
    const { world, candidates } = elect(2);
    for (const { election } of candidates) election.start();
    await world.advance(1_000);
    const [leader] = leaders(candidates);
    const other = candidates.find((each) => each !== leader)!;
    await answer(world, leader!.election.stop());
    expect(leader!.terms[0]!.signal.aborted).toBe(true);
    expect(leader!.losses).toHaveLength(1);
    await world.advance(1_300);
    expect(leaders(candidates)).toEqual([other]);
    expect(other.terms[0]!.token).toBeGreaterThan(leader!.terms[0]!.token);
    // It may stand again, and waits for its turn.
    leader!.election.start();
    await world.advance(TTL * 2);
    expect(leaders(candidates)).toEqual([other]);
  });

  it('has the next once the lease is over when the leader dies, who has been told by then if he can hear', async () => {
    for (const way of ['frozen', 'cut off'] as const) {
      const { world, candidates } = elect(2);
      for (const { election } of candidates) election.start();
      await world.advance(1_000);
      const [leader] = leaders(candidates);
      const other = candidates.find((each) => each !== leader)!;
      if (way === 'frozen') leader!.clock.freeze();
      else leader!.connection.weather = () => ({ toMs: 0, fromMs: 0, fate: 'refused' });
      for (let step = 0; step < (TTL * 1.5) / 100; step++) {
        await world.advance(100);
        expect(leaders(candidates).length).toBeLessThanOrEqual(1);
      }
      expect(leaders(candidates)).toEqual([other]);
      expect(leader!.terms[0]!.signal.aborted).toBe(way === 'cut off');
      leader!.connection.weather = () => ({ toMs: 0, fromMs: 0, fate: 'ok' });
      leader!.clock.thaw();
      await world.advance(TTL);
      expect(leader!.losses[0]).toMatchObject({ code: 'LEASE_LOST' });
      expect(leaders(candidates)).toEqual([other]);
    }
  });

  it('waits for the work of a leader that stops before it gives its place away, though not for ever', async () => {
    const { world, candidates } = elect(2, async ({ signal }, clock) => {
      await clock.sleep(1e9, signal).catch(() => undefined);
      await clock.sleep(TTL / 2); // it tidies up
    });
    for (const { election } of candidates) election.start();
    await world.advance(1_000);
    const [leader] = leaders(candidates);
    const stopping = leader!.election.stop();
    await world.advance(TTL / 2 - 100);
    expect(leaders(candidates)).toEqual([]);
    await answer(world, stopping);
    await world.advance(1_300);
    expect(leaders(candidates)).toHaveLength(1);
  });

  it('goes on when a callback fails', async () => {
    const { world, candidates: [one] } = elect(1, () => {
      throw new Error('no leader by nature');
    });
    one!.election.start();
    one!.election.start();
    await world.advance(TTL);
    expect(one!.election.isLeader).toBe(true);
  });

  it.each([
    [{ name: '' }, 'name'],
    [{ name: 'x', ttl: 5 }, 'ttl'],
    [{ name: 'x', node: 7 }, 'node'],
    [{ name: 'x', onElected: 'me' }, 'onElected'],
    [{ name: 'x', onWon: () => undefined }, 'onWon'],
  ])('refuses %j', (options, option) => {
    expect(() => new LeaderElection(new MemoryJobStore(), options as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option }));
    expect(() => new LeaderElection({} as never, { name: 'x' })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option: 'store' }));
  });
});
