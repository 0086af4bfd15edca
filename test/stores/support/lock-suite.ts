import { setTimeout as sleep } from 'node:timers/promises';
import { isPunctualError, type JobStore, type Lock, type LockOptions, type LockStore } from 'punctual';
import type { VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';

export type LockableStore = JobStore & LockStore;

/** One set of leases, to which stores are opened as processes would. */
export interface LockSubject {
  /** Opens a store on the leases; the subject closes it. */
  connect(): Promise<LockableStore>;
  /** A store on the same leases that nobody has opened, where a store needs opening. */
  alone?(): LockableStore;
  /** That of the stores, if they have no clock of their own; else the test waits for real. */
  readonly clock?: VirtualClock;
  close(): Promise<void>;
}

/** Shortest lease there is: real servers make the test wait for it. */
const TTL = 1_000;

/**
 * What `store.lock` promises, as tests over one kind of store. Cases that need others to be slow, to fail or to be set wrong
 * are those of test/locks, on a clock that obeys.
 */
export function lockSuite(kind: string, make: () => Promise<LockSubject>): void {
  describe(`locks: ${kind}`, () => {
    async function subject(): Promise<{ one: LockableStore; two: LockableStore; subject: LockSubject }> {
      const made = await make();
      onTestFinished(() => made.close());
      return { one: await made.connect(), two: await made.connect(), subject: made };
    }
    const elapse = async ({ clock }: LockSubject, ms: number): Promise<void> => (clock === undefined ? sleep(ms) : clock.advance(ms));
    /** Lets time pass until there is an answer. */
    async function answer<T>(of: LockSubject, asked: Promise<T>, limitMs = 20_000): Promise<T> {
      let done = false;
      const mark = (): void => {
        done = true;
      };
      asked.then(mark, mark);
      for (let waited = 0; !done && waited < limitMs; waited += 50) await elapse(of, 50);
      if (!done) throw new Error(`no answer within ${limitMs} ms`);
      return asked;
    }
    async function taken(of: LockSubject, asked: Promise<Lock | undefined>): Promise<Lock> {
      const lock = await answer(of, asked);
      if (lock === undefined) throw new Error('another has the lock');
      return lock;
    }

    it('has one holder, until that releases it; tokens grow', async () => {
      const { one, two, subject: of } = await subject();
      const first = await taken(of, one.lock('a', { ttl: TTL * 10 }));
      expect(first).toMatchObject({ name: 'a', isHeld: true });
      expect(await answer(of, two.lock('a'))).toBeUndefined();
      expect(await answer(of, one.lock('a'))).toBeUndefined(); // it knows no owner: not even the same store
      const other = await taken(of, two.lock('b'));
      expect(first.signal.aborted).toBe(false);
      await answer(of, first.release());
      expect(first.isHeld).toBe(false);
      expect(first.signal.aborted).toBe(true);
      const second = await taken(of, two.lock('a', { ttl: TTL * 10 }));
      expect(second.token).toBeGreaterThan(first.token);
      await answer(of, first.release()); // no longer its own
      expect(await answer(of, one.lock('a'))).toBeUndefined();
      expect(second.isHeld).toBe(true);
      await answer(of, Promise.all([second.release(), other[Symbol.asyncDispose]()]));
    });

    it('is renewed for as long as it is held', async () => {
      const { one, two, subject: of } = await subject();
      const lock = await taken(of, one.lock('a', { ttl: TTL }));
      const end = lock.expiresAt.getTime();
      await elapse(of, TTL * 2.5);
      expect(lock.expiresAt.getTime()).toBeGreaterThan(end);
      expect(lock.isHeld).toBe(true);
      expect(await answer(of, two.lock('a'))).toBeUndefined();
      await answer(of, lock.release());
    });

    it('tells who has it', async () => {
      const { one, two, subject: of } = await subject();
      expect(await answer(of, two.lockHolder('a'))).toBeUndefined();
      const lock = await taken(of, one.lock('a', { ttl: TTL * 10, owner: 'the first of two' }));
      expect(await answer(of, two.lockHolder('a'))).toEqual({ owner: 'the first of two', token: lock.token, expiresAt: lock.expiresAt });
      await answer(of, lock.release());
      expect(await answer(of, two.lockHolder('a'))).toBeUndefined();
    });

    it('goes to one who waits when it is released, and to each of many in turn', async () => {
      const { one, two, subject: of } = await subject();
      const tokens: number[] = [];
      let inside = 0;
      let most = 0;
      async function work(store: LockableStore): Promise<void> {
        await using lock = await store.lock('a', { ttl: TTL * 20, wait: Number.POSITIVE_INFINITY });
        if (lock === undefined) throw new Error('the wait had no end');
        tokens.push(lock.token);
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
      }
      await answer(of, Promise.all([one, two, one, two].map(work)), 30_000);
      expect(most).toBe(1);
      expect(tokens).toHaveLength(4);
      expect(new Set(tokens).size).toBe(4);
      expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    });

    it('goes to one who waits when its holder died', async () => {
      const { one, two, subject: of } = await subject();
      const now = one.now === undefined ? of.clock!.now() : await one.now();
      const dead = await one.leases.acquire({ key: 'lock/a', holder: 'dead 0 1000', now, ttlMs: TTL });
      expect(await answer(of, two.lock('a', { ttl: TTL }))).toBeUndefined();
      const lock = await taken(of, two.lock('a', { ttl: TTL, wait: TTL * 15 }));
      expect(lock.token).toBeGreaterThan(dead!.token);
      await answer(of, lock.release());
    });

    it('is waited for no longer than was said, and not after an abort', async () => {
      const { one, two, subject: of } = await subject();
      const lock = await taken(of, one.lock('a', { ttl: TTL * 30 }));
      expect(await answer(of, two.lock('a', { wait: 300 }))).toBeUndefined();
      const reason = new Error('enough');
      const controller = new AbortController();
      const asked = two.lock('a', { wait: Number.POSITIVE_INFINITY, signal: controller.signal });
      const refused = expect(asked).rejects.toBe(reason);
      await elapse(of, 100);
      controller.abort(reason);
      await answer(of, refused);
      await expect(two.lock('a', { signal: controller.signal })).rejects.toBe(reason);
      expect(lock.isHeld).toBe(true);
      await answer(of, lock.release());
    });

    it('is lost when another has taken it by force: the signal says so', async () => {
      const { one, two, subject: of } = await subject();
      const lock = await taken(of, one.lock('a', { ttl: TTL }));
      const now = one.now === undefined ? of.clock!.now() : await one.now();
      const thief = await two.leases.acquire({ key: 'lock/a', holder: 'thief 0 60000', now, ttlMs: 60_000, force: true });
      const lost = new Promise((resolve) => { lock.signal.addEventListener('abort', resolve); });
      await answer(of, lost);
      expect(isPunctualError(lock.signal.reason, 'LEASE_LOST')).toBe(true);
      expect(lock.isHeld).toBe(false);
      await answer(of, lock.release()); // does not take it from the thief
      expect(await two.leases.get('lock/a')).toMatchObject({ token: thief!.token });
    });

    it('has any name', async () => {
      const { one, two, subject: of } = await subject();
      const names = ['a b', 'ä/ö:ü', '*.>', '😀', "it's; DROP TABLE", 'A', 'a', 'x'.repeat(200)];
      const locks: Lock[] = [];
      for (const name of names) locks.push(await taken(of, one.lock(name, { ttl: TTL * 30 })));
      for (const name of names) expect(await answer(of, two.lock(name))).toBeUndefined();
      await answer(of, Promise.all(locks.map((lock) => lock.release())));
    });

    it('needs no scheduler, and leaves nothing open', async ({ skip }) => {
      const { one, subject: of } = await subject();
      if (of.alone === undefined) skip('its leases need no opening');
      const alone = of.alone!();
      const options: LockOptions = of.clock === undefined ? { ttl: TTL * 30 } : { ttl: TTL * 30, clock: of.clock };
      const lock = await taken(of, alone.lock('a', options));
      expect(await answer(of, one.lock('a'))).toBeUndefined();
      expect(await answer(of, alone.lock('a', options))).toBeUndefined();
      expect(await answer(of, alone.lockHolder('a', options.clock === undefined ? {} : { clock: options.clock }))).toMatchObject({ token: lock.token });
      await answer(of, lock.release());
      const next = await taken(of, one.lock('a', { ttl: TTL * 30 }));
      expect(next.token).toBeGreaterThan(lock.token);
      await answer(of, next.release());
    });
  });
}
