import assert from 'node:assert/strict';
import type { Lease, LeaseRequest } from '../../../ports/job-store.js';
import { T0 } from './records.js';
import { comesTrue } from './hints.js';
import type { JobStoreCase } from './subject.js';

const request = (holder: string, now: number, more: Partial<LeaseRequest> = {}): LeaseRequest => ({ key: 'k', holder, now, ttlMs: 100, ...more });

export const leaseCases: readonly JobStoreCase[] = [
  {
    name: 'a lease has one holder until it runs out, and is another one’s then, with a greater token',
    async run({ store: { leases } }) {
      assert.equal(await leases.get('k'), undefined);
      const first = await leases.acquire(request('a', T0));
      assert.deepEqual([first?.key, first?.holder, first?.expiresAt], ['k', 'a', T0 + 100]);
      assert.equal(await leases.acquire(request('b', T0 + 99)), undefined);
      assert.deepEqual(await leases.get('k'), first);
      const second = await leases.acquire(request('b', T0 + 100));
      assert.equal(second?.holder, 'b');
      assert.ok(second.token > first!.token, 'the token did not grow');
      assert.equal(await leases.acquire(request('a', T0 + 101)), undefined);
      assert.equal((await leases.acquire(request('a', T0 + 101, { key: 'other' })))?.holder, 'a', 'keys have to do with one another');
    },
  },
  {
    name: 'its holder renews a lease and keeps the token, even when it had run out unnoticed',
    async run({ store: { leases } }) {
      const first = await leases.acquire(request('a', T0));
      const renewed = await leases.acquire(request('a', T0 + 50));
      assert.deepEqual([renewed?.token, renewed?.expiresAt], [first?.token, T0 + 150]);
      const late = await leases.acquire(request('a', T0 + 999));
      assert.deepEqual([late?.token, late?.expiresAt], [first?.token, T0 + 1_099]);
    },
  },
  {
    name: 'a renewal that was held up on its way does not make a lease end sooner',
    async run({ store: { leases } }) {
      const first = await leases.acquire(request('a', T0));
      await leases.acquire(request('a', T0 + 50));
      const late = await leases.acquire(request('a', T0 + 30));
      assert.deepEqual([late?.token, late?.expiresAt], [first?.token, T0 + 150]);
      assert.equal((await leases.get('k'))?.expiresAt, T0 + 150);
      await leases.release('k', 'a');
      const next = await leases.acquire(request('a', T0 + 40));
      assert.equal(next?.expiresAt, T0 + 140, 'a released lease has an end');
    },
  },
  {
    name: 'a lease that has run out is still there to be read, until somebody takes it',
    async run({ store: { leases } }) {
      const lease = await leases.acquire(request('a', T0));
      await leases.acquire(request('b', T0 + 500, { key: 'other' }));
      assert.deepEqual(await leases.get('k'), lease);
    },
  },
  {
    name: 'a released lease is free at once, its next token greater; only the holder can release it',
    async run({ store: { leases } }) {
      const first = await leases.acquire(request('a', T0));
      await leases.release('k', 'b');
      assert.equal((await leases.get('k'))?.holder, 'a');
      await leases.release('k', 'a');
      await leases.release('k', 'a');
      await leases.release('nobody has it', 'a');
      assert.equal(await leases.get('k'), undefined);
      const second = await leases.acquire(request('b', T0 + 1));
      assert.ok(second !== undefined && second.token > first!.token, 'the token did not grow');
      await leases.release('k', 'b');
      const third = await leases.acquire(request('b', T0 + 2));
      assert.ok(third !== undefined && third.token > second.token, 'a token was used for two tenures');
    },
  },
  {
    name: 'force takes a lease from whoever has it, with a greater token',
    async run({ store: { leases } }) {
      const first = await leases.acquire(request('a', T0));
      const second = await leases.acquire(request('b', T0 + 1, { force: true }));
      assert.equal(second?.holder, 'b');
      assert.ok(second.token > first!.token, 'the token did not grow');
      await leases.release('k', 'a');
      assert.equal((await leases.get('k'))?.holder, 'b');
    },
  },
  {
    name: 'of many who ask for a lease at one time exactly one gets it, over all connections',
    requires: ['connect'],
    async run({ store, connect }) {
      const other = await connect!();
      const asked = Array.from({ length: 20 }, async (_, i) => (i % 2 === 0 ? store : other).leases.acquire(request(`n${i}`, T0)));
      const got = (await Promise.all(asked)).filter((lease): lease is Lease => lease !== undefined);
      assert.equal(got.length, 1);
      for (const { leases } of [store, other]) assert.deepEqual(await leases.get('k'), got[0]);
    },
  },
  {
    name: 'who watches a lease is told when it is released, where a store can tell, until he stops',
    requires: ['connect'],
    async run({ store, connect }) {
      if (store.leases.watch === undefined) return;
      const other = await connect!();
      const told: string[] = [];
      const stop = await store.leases.watch('k', () => told.push('k'));
      const stopOther = await store.leases.watch('other', () => told.push('other'));
      for (const { leases } of [store, other]) {
        told.length = 0;
        await leases.acquire(request('a', T0));
        await leases.release('k', 'nobody');
        await leases.release('k', 'a');
        assert.ok(await comesTrue(() => told.length > 0) && told.includes('k'), 'no hint came of the release');
        assert.ok(!told.includes('other'), 'told of another lease');
      }
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      told.length = 0;
      await stop();
      await store.leases.acquire(request('b', T0));
      await store.leases.release('k', 'b');
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(told, [], 'told after it had stopped watching');
      await stopOther();
    },
  },
  {
    name: 'who watches a lease twice with one function is told until he has stopped both',
    requires: [],
    async run({ store }) {
      if (store.leases.watch === undefined) return;
      let told = 0;
      const onRelease = (): void => { told += 1; };
      const stopOne = await store.leases.watch('k', onRelease);
      const stopOther = await store.leases.watch('k', onRelease);
      await stopOne();
      await store.leases.acquire(request('a', T0));
      await store.leases.release('k', 'a');
      assert.ok(await comesTrue(() => told > 0), 'no hint came of the release after one of two watches had ended');
      await stopOther();
    },
  },
  {
    name: 'leases are there after reopening',
    requires: ['reopen'],
    async run({ store, reopen }) {
      const lease = await store.leases.acquire(request('a', T0, { holder: 'a "quoted" holder', ttlMs: 3e12 }));
      assert.deepEqual(await (await reopen!()).leases.get('k'), lease);
    },
  },
];
