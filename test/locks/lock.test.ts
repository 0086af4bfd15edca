import { isPunctualError, MemoryJobStore, type Lock, type Logger } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { StoreLocks } from '../../src/locks/store-locks.js';
import { Connection, NodeClock, type Weather } from './support/nodes.js';

const TTL = 10_000;
const OK: Weather = { toMs: 0, fromMs: 0, fate: 'ok' };
const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

class Node {
  readonly clock: NodeClock;
  readonly connection: Connection;
  readonly locks: StoreLocks;

  constructor(world: VirtualClock, { leases }: MemoryJobStore, { skewMs = 0, rate = 1, hasClock = false } = {}) {
    this.clock = new NodeClock(world, skewMs, rate);
    this.connection = new Connection(world, this.clock, leases, hasClock);
    this.locks = new StoreLocks({ store: this.connection, opened: () => ({ clock: this.clock, logger: silent }) });
  }
}

function cluster(...options: { skewMs?: number; rate?: number; hasClock?: boolean }[]): { world: VirtualClock; store: MemoryJobStore; nodes: Node[] } {
  const world = new VirtualClock();
  const store = new MemoryJobStore();
  return { world, store, nodes: options.map((each) => new Node(world, store, each)) };
}

async function answer<T>(world: VirtualClock, asked: Promise<T>, limitMs = 120_000): Promise<T> {
  let done = false;
  const mark = (): void => {
    done = true;
  };
  asked.then(mark, mark);
  for (let waited = 0; !done && waited < limitMs; waited += 10) await world.advance(10);
  if (!done) throw new Error('no answer');
  return asked;
}

async function taken(world: VirtualClock, node: Node, wait = 0): Promise<Lock> {
  const lock = await answer(world, node.locks.lock('x', { ttl: TTL, wait }));
  if (lock === undefined) throw new Error('another has it');
  return lock;
}

describe('a lock whose store fails', () => {
  it('is kept if one renewal in its time comes through', async () => {
    const { world, nodes: [node] } = cluster({});
    const lock = await taken(world, node!);
    node!.connection.weather = () => ({ ...OK, fate: 'refused' });
    await world.advance(TTL * 0.85);
    expect(lock.isHeld).toBe(true);
    node!.connection.weather = () => OK;
    await world.advance(TTL * 3);
    expect(lock.isHeld).toBe(true);
    expect(lock.signal.aborted).toBe(false);
  });

  it('is given up before another may have it, and says why', async () => {
    const { world, nodes: [node, other] } = cluster({}, {});
    const lock = await taken(world, node!);
    const lostAt = new Promise<number>((resolve) => { lock.signal.addEventListener('abort', () => { resolve(world.monotonic()); }); });
    const next = other!.locks.lock('x', { ttl: TTL, wait: Number.POSITIVE_INFINITY }).then((theirs) => ({ theirs, at: world.monotonic() }));
    await world.advance(TTL);
    node!.connection.weather = () => ({ ...OK, fate: 'refused' });
    const { theirs, at } = await answer(world, next);
    expect(await lostAt).toBeLessThanOrEqual(at - TTL * 0.09);
    expect(at).toBeLessThan(TTL * 2.2);
    expect(theirs!.token).toBeGreaterThan(lock.token);
    expect(isPunctualError(lock.signal.reason, 'LEASE_LOST')).toBe(true);
    expect((lock.signal.reason as Error).cause).toMatchObject({ message: 'the store is away' });
    await lock.release();
    expect(theirs!.isHeld).toBe(true);
  });

  it('counts trust from before it asked, however late the answer came', async () => {
    const { world, nodes: [node] } = cluster({});
    node!.connection.weather = () => ({ ...OK, fromMs: TTL * 0.3 });
    const lock = await taken(world, node!);
    expect(world.monotonic()).toBeGreaterThanOrEqual(TTL * 0.3);
    node!.connection.weather = () => ({ ...OK, fate: 'refused' });
    await world.advance(TTL * 0.9 - world.monotonic() - 1);
    expect(lock.signal.aborted).toBe(false);
    await world.advance(2);
    expect(lock.signal.aborted).toBe(true);
  });

  it('is renewed when the store hangs, not only when it refuses', async () => {
    const { world, nodes: [node] } = cluster({});
    const lock = await taken(world, node!);
    let calls = 0;
    node!.connection.weather = () => (++calls === 1 ? { ...OK, toMs: 1e9 } : OK);
    await world.advance(TTL * 2);
    expect(calls).toBeGreaterThan(3);
    expect(lock.isHeld).toBe(true);
  });

  it('is released when the store is back; else the release ends with the lease', async () => {
    const { world, store, nodes: [node, other] } = cluster({}, {});
    const first = await taken(world, node!);
    let isAway = true;
    node!.connection.weather = () => (isAway ? { ...OK, fate: 'refused' } : OK);
    const releasing = first.release();
    expect(first.signal.aborted).toBe(true);
    await world.advance(TTL / 2);
    isAway = false;
    await answer(world, releasing, TTL / 4);
    expect(store.leases.get('lock/x')).toBeUndefined();
    const second = await taken(world, other!);
    other!.connection.weather = () => ({ ...OK, fate: 'refused' });
    await answer(world, second.release(), TTL + 1_000);
  });

  it('throws what the store throws when it cannot be asked, and leaves nothing behind that was granted unheard', async () => {
    const { world, store, nodes: [node, other] } = cluster({}, {});
    node!.connection.weather = () => {
      node!.connection.weather = () => OK;
      return { ...OK, fate: 'answer lost' };
    };
    await expect(answer(world, node!.locks.lock('x', { ttl: TTL }))).rejects.toThrow('the answer was lost');
    await world.advance(10);
    expect(store.leases.get('lock/x')).toBeUndefined();
    // With time to wait, the same holder asks again and is given the same lease.
    node!.connection.weather = () => {
      node!.connection.weather = () => OK;
      return { ...OK, fate: 'answer lost' };
    };
    const lock = await taken(world, node!, TTL);
    expect(world.monotonic()).toBeLessThan(TTL / 2);
    expect(await answer(world, other!.locks.lock('x', { ttl: TTL }))).toBeUndefined();
    await answer(world, lock.release());
  });
});

describe('a process that was blocked', () => {
  it('keeps the lock if nobody has taken it meanwhile, and does not trust it before it knows', async () => {
    const { world, nodes: [node] } = cluster({});
    const lock = await taken(world, node!);
    node!.clock.freeze();
    await world.advance(TTL * 5);
    node!.connection.weather = () => ({ ...OK, fromMs: TTL * 0.05 });
    expect(lock.isHeld).toBe(false);
    node!.clock.thaw();
    expect(lock.signal.aborted).toBe(false);
    await world.advance(TTL * 0.04);
    expect(lock.isHeld).toBe(false);
    await world.advance(TTL * 0.1);
    expect(lock.isHeld).toBe(true);
    await world.advance(TTL * 3);
    expect(lock.isHeld).toBe(true);
  });

  it('loses it if another has it, or had it', async () => {
    for (const gaveBack of [false, true]) {
      const { world, store, nodes: [node, other] } = cluster({}, {});
      const lock = await taken(world, node!);
      node!.clock.freeze();
      await world.advance(TTL * 2);
      const theirs = await taken(world, other!);
      if (gaveBack) await answer(world, theirs.release());
      node!.clock.thaw();
      await world.advance(10);
      expect(isPunctualError(lock.signal.reason, 'LEASE_LOST')).toBe(true);
      expect(theirs.isHeld).toBe(!gaveBack);
      // What it was given when it asked is a tenure that nobody wanted.
      if (gaveBack) expect(store.leases.get('lock/x')).toBeUndefined();
    }
  });

  it('loses it when the store does not answer in a moment', async () => {
    const { world, nodes: [node] } = cluster({});
    const lock = await taken(world, node!);
    node!.clock.freeze();
    await world.advance(TTL * 2);
    node!.connection.weather = () => ({ ...OK, toMs: 1e9 });
    node!.clock.thaw();
    await world.advance(TTL * 0.11);
    expect(isPunctualError(lock.signal.reason, 'LEASE_LOST')).toBe(true);
  });
});

describe('a wall clock that is set, in a store that goes by it', () => {
  it('does not take the lock from its holder when it is set forward while others wait', async () => {
    const { world, nodes: [node, other] } = cluster({}, {});
    const lock = await taken(world, node!);
    const waiting = other!.locks.lock('x', { ttl: TTL, wait: Number.POSITIVE_INFINITY });
    let theirs: Lock | undefined;
    void waiting.then((got) => { theirs = got; });
    await world.advance(TTL / 3 + 100);
    for (const { clock } of [node!, other!]) clock.jump(3_600_000);
    await world.advance(TTL * 2);
    expect(theirs).toBeUndefined();
    expect(lock.isHeld).toBe(true);
    await answer(world, lock.release());
    expect((await answer(world, waiting))!.isHeld).toBe(true);
  });

  it('does not keep the lock of a dead holder from others when it is set back', async () => {
    for (const wait of [Number.POSITIVE_INFINITY, 0]) {
      const { world, nodes: [node, other, third] } = cluster({}, {}, {});
      await taken(world, node!);
      node!.clock.freeze();
      for (const { clock } of [other!, third!]) clock.jump(-3_600_000);
      let lock: Lock | undefined;
      for (let tries = 0; lock === undefined && tries < 100; tries++) {
        lock = await answer(world, other!.locks.lock('x', { ttl: TTL, wait }));
        await world.advance(TTL / 10);
      }
      expect(world.monotonic()).toBeLessThan(TTL * 1.5);
      // And it ends when it should, by the clock as it is now.
      expect(lock!.expiresAt.getTime()).toBeLessThanOrEqual(other!.clock.now() + TTL);
      other!.clock.freeze();
      const next = await taken(world, third!, TTL * 2);
      expect(next.token).toBeGreaterThan(lock!.token);
    }
  });
});

/** A small generator of numbers in [0, 1) that a seed decides (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe('two holders', () => {
  it('never overlap, whatever clocks, networks and processes do', { timeout: 60_000 }, async () => {
    const totals = { released: 0, losses: 0 };
    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) {
      const { released, losses } = await world(seed);
      totals.released += released;
      totals.losses += losses;
    }
    // The worlds were neither too kind nor too harsh to show anything.
    expect(totals.released).toBeGreaterThan(60);
    expect(totals.losses).toBeGreaterThan(5);
  });

  async function world(seed: number): Promise<{ released: number; losses: number }> {
    const draw = random(seed);
    const { world: time, nodes } = cluster(
      { hasClock: true },
      { hasClock: true, skewMs: 3_600_000, rate: 1.01 },
      { hasClock: true, skewMs: -86_400_000, rate: 0.99 },
      { hasClock: true, skewMs: 900 },
    );
    const held = new Map<Node, Lock>();
    const tokens: number[] = [];
    let losses = 0;
    let released = 0;
    let isOver = false;
    const weather = (): Weather => {
      const luck = draw();
      const slow = (): number => (draw() < 0.05 ? draw() * TTL : draw() * 200);
      return { toMs: slow(), fromMs: slow(), fate: luck < 0.1 ? 'refused' : luck < 0.2 ? 'answer lost' : 'ok' };
    };
    /** Those that believe to have it, awake or frozen: what a frozen one believes by its clock holds when it goes on. */
    const believers = (): Node[] => [...held].filter(([, lock]) => lock.isHeld).map(([node]) => node);
    async function live(node: Node): Promise<void> {
      while (!isOver) {
        const lock = await node.locks.lock('x', { ttl: TTL, wait: 60_000 }).catch(() => undefined);
        if (lock === undefined) continue;
        held.set(node, lock);
        tokens.push(lock.token);
        expect(believers()).toEqual([node]);
        // Whoever had it before has been told, unless it has been unable to hear.
        for (const [other, earlier] of held) if (other !== node && !other.clock.isFrozen) expect(earlier.isHeld).toBe(false);
        await time.sleep(draw() * TTL * 3, lock.signal).catch(() => { losses += 1; });
        await lock.release();
        held.delete(node);
        released += 1;
        await time.sleep(draw() * 1_000);
      }
    }
    for (const node of nodes) node.connection.weather = weather;
    const failures: unknown[] = [];
    for (const node of nodes) void live(node).catch((error: unknown) => { failures.push(error); });
    for (let step = 0; step < 3_000; step++) {
      await time.advance(100);
      expect(believers().length).toBeLessThanOrEqual(1);
      const node = nodes[Math.floor(draw() * nodes.length)]!;
      if (node.clock.isFrozen ? draw() < 0.04 : draw() < 0.01) node.clock[node.clock.isFrozen ? 'thaw' : 'freeze']();
      if (draw() < 0.01) node.clock.jump((draw() - 0.5) * 7_200_000);
    }
    isOver = true;
    expect(failures).toEqual([]);
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    expect(new Set(tokens).size).toBe(tokens.length);
    return { released, losses };
  }
});

describe('options of a lock', () => {
  it.each([
    [{ ttl: 10 }, 'ttl'],
    [{ ttl: { weeks: 2 } }, 'ttl'],
    [{ wait: -1 }, 'wait'],
    [{ wait: 'soon' }, 'wait'],
    [{ signal: {} }, 'signal'],
    [{ owner: '' }, 'owner'],
    [{ tll: 5_000 }, 'tll'],
  ])('refuses %j', async (options, option) => {
    const store = new MemoryJobStore();
    await expect(store.lock('x', options as object)).rejects.toMatchObject({ code: 'INVALID_OPTION', option });
    expect(await store.lockHolder('x')).toBeUndefined();
  });

  it.each([[''], ['x'.repeat(201)], [undefined]])('refuses the name %j', async (name) => {
    await expect(new MemoryJobStore().lock(name!)).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'name' });
  });

  it('needs neither scheduler nor clock', async () => {
    const store = new MemoryJobStore();
    let inside: Lock | undefined;
    {
      await using lock = await store.lock('x');
      inside = lock;
      expect(lock?.isHeld).toBe(true);
      expect(await store.lock('x')).toBeUndefined();
      expect((await store.lockHolder('x'))?.owner).toContain(String(process.pid));
    }
    expect(inside?.isHeld).toBe(false);
    expect((inside?.signal.reason as Error).name).toBe('AbortError');
  });
});

describe('a store that does not answer', () => {
  const hangs = async (): Promise<never> => new Promise(() => undefined);
  const waiting = { ttl: TTL, wait: Number.POSITIVE_INFINITY };

  /** A store of which no scheduler has anything open. */
  function closed(open: () => Promise<void>): { locks: StoreLocks; closings: () => number } {
    let closings = 0;
    const another = (): MemoryJobStore => {
      const store = new MemoryJobStore();
      return Object.assign(store, { open, close: () => { closings += 1; } });
    };
    return { locks: new StoreLocks({ store: new MemoryJobStore(), opened: () => undefined, another }), closings: () => closings };
  }

  it('keeps nobody waiting beyond the signal while it is opened', async () => {
    const world = new VirtualClock();
    const { locks } = closed(hangs);
    const controller = new AbortController();
    const asked = locks.lock('x', { ...waiting, clock: world, signal: controller.signal });
    await world.advance(5_000);
    controller.abort(new Error('no time'));
    await expect(answer(world, asked, 1_000)).rejects.toThrow('no time');
  });

  it('is given up when it takes too long to open', async () => {
    const world = new VirtualClock();
    const { locks } = closed(hangs);
    await expect(answer(world, locks.lock('x', { clock: world }), 31_000)).rejects.toThrow('gave no answer within');
    await expect(answer(world, locks.holder('x', world), 31_000)).rejects.toThrow('gave no answer within');
  });

  it('is opened again by who waits, and closed after the last of them', async () => {
    const world = new VirtualClock();
    let attempts = 0;
    const { locks, closings } = closed(async () => {
      attempts += 1;
      await world.sleep(1);
      if (attempts < 3) throw new Error('not yet');
    });
    const lock = await answer(world, locks.lock('x', { ...waiting, clock: world }));
    expect([attempts, lock?.isHeld, closings()]).toEqual([3, true, 0]);
    await answer(world, lock!.release());
    await world.advance(1_000);
    expect(closings()).toBe(1);
  });

  it('may never begin to tell of releases: they are looked for, and the wait can be called off', async () => {
    const { world, nodes: [node, other] } = cluster({}, {});
    const lock = await taken(world, node!);
    other!.connection.leases.watch = hangs;
    const asked = other!.locks.lock('x', waiting);
    await world.advance(3_000);
    await answer(world, lock.release());
    const next = await answer(world, asked, 1_000);
    expect(next?.isHeld).toBe(true);
    const controller = new AbortController();
    node!.connection.leases.watch = hangs;
    const third = node!.locks.lock('x', { ...waiting, signal: controller.signal });
    await world.advance(500);
    controller.abort(new Error('no time'));
    await expect(answer(world, third, 20)).rejects.toThrow('no time');
  });
});
