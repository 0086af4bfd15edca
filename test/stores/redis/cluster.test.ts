import { Cluster } from 'ioredis';
import type { RedisClient } from 'punctual/redis';
import { createCluster } from 'redis';
import { expect, it, onTestFinished, vi } from 'vitest';
import { claim, jobRecord, ledgerEntry, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { RedisServer } from '../../support/redis-server.js';
import { describeRedis, freshPrefix, openStore } from './support.js';

/** A node of a cluster. */
async function startNode(): Promise<RedisServer> {
  const node = await RedisServer.start({ appendonly: 'no', 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1' });
  onTestFinished(() => node.stop());
  return node;
}

/** A cluster of so many nodes, the first of which has all slots. */
async function startCluster(count: number): Promise<[RedisServer, ...RedisServer[]]> {
  const first = await startNode();
  const nodes: [RedisServer, ...RedisServer[]] = [first];
  while (nodes.length < count) nodes.push(await startNode());
  await first.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
  for (const { port } of nodes.slice(1)) await first.command('CLUSTER', 'MEET', '127.0.0.1', port);
  for (const node of nodes) {
    await expect.poll(async () => {
      const info = String(await node.command('CLUSTER', 'INFO'));
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${count}`);
    }, { timeout: 30_000 }).toBe(true);
  }
  return nodes;
}

function clientOf(kind: 'ioredis' | 'redis', { port }: RedisServer): RedisClient {
  if (kind === 'redis') return createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] });
  const cluster = new Cluster([{ host: '127.0.0.1', port }], { lazyConnect: true });
  cluster.on('error', () => undefined);
  return cluster;
}

describeRedis('a cluster', () => {
  it.each(['ioredis', 'redis'] as const)('is used with a client of %s; while the slot is moved to another node nothing is taken, and it is whole then', { timeout: 90_000 }, async (kind) => {
    const [from, to] = await startCluster(2);
    const prefix = freshPrefix();
    const [store, other] = [await openStore({ client: clientOf(kind, from), prefix }), await openStore({ client: clientOf(kind, from), prefix })];
    const told = vi.fn();
    await store.watch(told);
    const [stored] = await other.insert([jobRecord('job')]);
    await expect.poll(() => told.mock.calls.length, { timeout: 15_000 }).toBeGreaterThan(0);
    expect((await store.claimDue(claim(T0)))[0]?.revision).toBe(stored!.revision);
    expect(await store.now()).toBeGreaterThan(1e12);
    const slot = Number(await from.command('CLUSTER', 'KEYSLOT', `{${prefix}}`));
    const [source, target] = [String(await from.command('CLUSTER', 'MYID')), String(await to!.command('CLUSTER', 'MYID'))];
    const change = { id: 'job', expected: stored!.revision, next: jobRecord('job', T0 + 1), ledger: [ledgerEntry('job', T0)] };
    const isRefused = async (): Promise<void> => {
      const refused = { code: 'STORE_UNUSABLE', reason: 'unreachable', message: expect.stringContaining('being moved') };
      await expect(store.insert([jobRecord('job')])).rejects.toMatchObject(refused);
      await expect(store.commit([change])).rejects.toMatchObject(refused);
      await expect(store.get('job')).rejects.toMatchObject(refused);
      await expect(store.leases.acquire({ key: 'k', holder: 'h', now: T0, ttlMs: 1_000 })).rejects.toMatchObject(refused);
    };
    await to!.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source);
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target);
    await isRefused();
    expect(await to!.command('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(0);
    const keys = ((await from.command('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]).sort();
    expect(keys.length).toBeGreaterThan(4);
    const move = (some: readonly string[]): Promise<unknown> => from.command('MIGRATE', '127.0.0.1', to!.port, '', 0, 10_000, 'KEYS', ...some);
    await move(keys.slice(0, keys.length / 2));
    await isRefused();
    await move(keys.slice(keys.length / 2));
    for (const node of [to!, from]) await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', target);
    await expect.poll(() => store.get('job').then((job) => job?.revision, String), { timeout: 30_000 }).toBe(stored!.revision);
    expect(await store.insert([jobRecord('job')])).toEqual([undefined]);
    expect(await store.commit([change])).toEqual([expect.any(String)]);
    expect((await store.ledger.list({ limit: 9 })).entries).toHaveLength(1);
  });
});
