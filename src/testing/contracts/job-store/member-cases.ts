import assert from 'node:assert/strict';
import type { AnnounceRequest, JobStore, Member, Members } from '../../../ports/job-store.js';
import { T0 } from './records.js';
import type { JobStoreCase } from './subject.js';

/** Long enough for a store that lets a server forget by itself, in real time, what is over. */
const TTL = 3_600_000;

const says = (node: string, now: number, more: Partial<AnnounceRequest> = {}): AnnounceRequest => ({ node, about: `about ${node}`, now, ttlMs: TTL, ...more });

const namesOf = (members: readonly Member[]): string[] => members.map(({ node }) => node);

function membersOf({ members }: JobStore): Members {
  assert.ok(members !== undefined, 'the store has no members');
  return members;
}

export const memberCases: readonly JobStoreCase[] = [
  {
    name: 'nodes are listed in order of their names, each with what it said last and when',
    requires: ['members'],
    async run({ store }) {
      const members = membersOf(store);
      assert.deepEqual(await members.list(T0), []);
      await members.announce(says('b', T0, { about: 'early' }));
      await members.announce(says('a', T0 + 10));
      await members.announce(says('b', T0 + 20, { about: 'late', ttlMs: TTL + 1 }));
      assert.deepEqual(await members.list(T0 + 30), [
        { node: 'a', about: 'about a', seenAt: T0 + 10, expiresAt: T0 + 10 + TTL },
        { node: 'b', about: 'late', seenAt: T0 + 20, expiresAt: T0 + 20 + TTL + 1 },
      ]);
    },
  },
  {
    name: 'a node that says nothing any more is not listed once its time is up, and is there again when it speaks',
    requires: ['members'],
    async run({ store }) {
      const members = membersOf(store);
      await members.announce(says('a', T0));
      await members.announce(says('b', T0 + 1));
      assert.deepEqual(namesOf(await members.list(T0 + TTL - 1)), ['a', 'b']);
      assert.deepEqual(namesOf(await members.list(T0 + TTL)), ['b']);
      await members.announce(says('c', T0 + TTL));
      assert.deepEqual(namesOf(await members.list(T0 + TTL)), ['b', 'c']);
      await members.announce(says('a', T0 + TTL + 1));
      assert.deepEqual(namesOf(await members.list(T0 + TTL + 1)), ['a', 'c']);
    },
  },
  {
    name: 'a node that leaves is gone at once, and may come back',
    requires: ['members'],
    async run({ store }) {
      const members = membersOf(store);
      await members.withdraw('nobody');
      for (const node of ['a', 'A', 'ab']) await members.announce(says(node, T0));
      await members.withdraw('a');
      await members.withdraw('a');
      assert.deepEqual(namesOf(await members.list(T0)), ['A', 'ab']);
      await members.announce(says('a', T0 + 1));
      assert.deepEqual(namesOf(await members.list(T0 + 1)), ['A', 'a', 'ab']);
    },
  },
  {
    name: 'a node has any name and says up to 64 kB, in any letters',
    requires: ['members'],
    async run({ store }) {
      const members = membersOf(store);
      const names = ['.', '*', ' web 1 ', 'a.b.>', `O'Neill "x" \\ %_`, 'host:12:ab/cd#{e}', 'línea\nzwei', '節点'];
      const about = `'"\\ é 節 🙂 \n`.padEnd(65_000, 'x');
      for (const node of names) await members.announce(says(node, T0, { about }));
      const listed = await members.list(T0);
      assert.deepEqual(namesOf(listed).sort(), [...names].sort());
      for (const member of listed) assert.equal(member.about, about);
      for (const node of names) await members.withdraw(node);
      assert.deepEqual(await members.list(T0), []);
    },
  },
  {
    name: 'all connections see the same nodes',
    requires: ['members', 'connect'],
    async run({ store, connect }) {
      const here = membersOf(store);
      const there = membersOf(await connect!());
      await Promise.all(Array.from({ length: 20 }, async (_, i) => (i % 2 === 0 ? here : there).announce(says(`n${i % 10}`, T0))));
      const all = Array.from({ length: 10 }, (_, i) => `n${i}`);
      for (const members of [here, there]) assert.deepEqual(namesOf(await members.list(T0)), all);
      await there.withdraw('n0');
      await here.withdraw('n1');
      for (const members of [here, there]) assert.deepEqual(namesOf(await members.list(T0)), all.slice(2));
    },
  },
];
