import { expect, it } from 'vitest';
import { claim, jobRecord, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { insertOne } from '../../../src/testing/contracts/job-store/subject.js';
import type { NatsServer } from '../../support/nats-server.js';
import { describeNats, freshBucket, openConnection, openStore, twoStores } from './support.js';

/** What somebody does with the tool of the server. */
async function api(server: NatsServer, subject: string, payload: object = {}): Promise<Record<string, unknown>> {
  const connection = await openConnection(server);
  const { data } = await connection.request(`$JS.API.${subject}`, JSON.stringify(payload));
  const answer = JSON.parse(Buffer.from(data).toString()) as Record<string, unknown>;
  expect(answer['error']).toBeUndefined();
  return answer;
}

describeNats('what is done by hand to the streams of nodes that are alive', (server) => {
  it('the last message taken out does not hold up lists', async () => {
    const [a, b, bucket] = await twoStores(server());
    await insertOne(a, jobRecord('kept'));
    const { revision } = await insertOne(a, jobRecord('gone'));
    expect((await b.list({ limit: 9 })).jobs).toHaveLength(2);
    await insertOne(a, jobRecord('last'));
    const last = (await a.get('last'))!.revision as number;
    expect(last).toBeGreaterThan(revision as number);
    // Not heard of by a store that opens after it was taken out.
    await api(server(), `STREAM.MSG.DELETE.KV_${bucket}`, { seq: last });
    const late = await openStore({ servers: server().url, bucket });
    expect((await late.list({ limit: 9 })).jobs.map(({ record }) => record.id)).toEqual(['gone', 'kept']);
    // Those who have heard of it go on with what they know.
    for (const store of [a, b]) expect((await store.list({ limit: 9 })).jobs.map(({ record }) => record.id)).toEqual(expect.arrayContaining(['gone', 'kept']));
    await insertOne(late, jobRecord('next'));
    for (const store of [a, b, late]) expect((await store.list({ limit: 9 })).jobs.map(({ record }) => record.id)).toContain('next');
  });

  it('a stream that was deleted and made anew is read anew: what was known of the other is forgotten', async () => {
    const [a, , bucket] = await twoStores(server());
    for (let i = 0; i < 6; i++) await insertOne(a, jobRecord(`old-${i}`, T0));
    expect((await a.list({ limit: 9 })).jobs).toHaveLength(6);
    await api(server(), `STREAM.DELETE.KV_${bucket}`);
    const anew = await openStore({ servers: server().url, bucket });
    await insertOne(anew, jobRecord('old-5', T0 + 1, { definition: { args: ['new'] } }));
    const { jobs } = await a.list({ limit: 9 });
    expect(jobs.map(({ record, revision }) => [record.id, revision, record.definition.args])).toEqual([['old-5', 1, ['new']]]);
    expect((await a.claimDue(claim(T0 + 60_000))).map(({ record }) => record.id)).toEqual(['old-5']);
    expect(await a.commit([{ id: 'old-5', expected: 1, next: jobRecord('old-5', T0 + 2), ledger: [] }])).not.toEqual([undefined]);
    expect((await anew.get('old-5'))!.record.state.nextFireTime).toBe(T0 + 2);
  });

  it('a lease that was dropped goes on with a greater token, and the server drops those nobody wants', async () => {
    const [a, b, bucket] = await twoStores(server());
    const take = async (store: typeof a, holder: string): Promise<number> => (await store.leases.acquire({ key: 'k', holder, now: T0, ttlMs: 60_000 }))!.token;
    const tokens: number[] = [];
    for (let i = 0; i < 4; i++) {
      tokens.push(await take(i % 2 === 0 ? a : b, `holder ${i}`));
      await (i % 2 === 0 ? a : b).leases.release('k', `holder ${i}`);
    }
    await api(server(), `STREAM.PURGE.KV_${bucket}_leases`, { filter: `$KV.${bucket}_leases.lease.>` });
    tokens.push(await take(a, 'after'));
    expect(tokens).toEqual([...new Set(tokens)].sort((x, y) => x - y));
    const { config } = (await api(server(), `STREAM.INFO.KV_${bucket}_leases`)) as { config: { max_age: number } };
    expect(config.max_age / 1e6).toBe(30 * 86_400_000);
  });

  it('a bucket of leases that an earlier release made learns of that', async () => {
    const bucket = freshBucket();
    const first = await openStore({ servers: server().url, bucket });
    const held = await first.leases.acquire({ key: 'k', holder: 'h', now: T0, ttlMs: 60_000 });
    const { config } = (await api(server(), `STREAM.INFO.KV_${bucket}_leases`)) as { config: object };
    await api(server(), `STREAM.UPDATE.KV_${bucket}_leases`, { ...config, max_age: 0 });
    const next = await openStore({ servers: server().url, bucket });
    expect(await next.leases.get('k')).toEqual(held);
    const after = (await api(server(), `STREAM.INFO.KV_${bucket}_leases`)) as { config: { max_age: number } };
    expect(after.config.max_age).toBeGreaterThan(0);
  });
});
