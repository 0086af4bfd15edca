import type { NatsConnection } from '@nats-io/transport-node';
import { SystemClock, type StoredJob } from 'punctual';
import type { NatsJobStore } from 'punctual/nats';
import { storeContext } from 'punctual/testing';
import { expect, it } from 'vitest';
import { claim, jobRecord, ledgerEntry, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { describeNats, freshBucket, openConnection, openStore } from './support.js';

const JOBS = 40;
const ids = Array.from({ length: JOBS }, (_, i) => `job-${i}`);

/** Tells what is sent, and sends some of it where nobody listens. */
function overheard(connection: NatsConnection, isLost: (subject: string) => boolean = () => false): { readonly connection: NatsConnection; readonly count: (part: string) => number } {
  const subjects: string[] = [];
  const publish: NatsConnection['publish'] = (subject, ...rest) => {
    subjects.push(subject);
    connection.publish(isLost(subject) ? 'nobody.listens' : subject, ...rest);
  };
  return {
    connection: Object.assign(Object.create(connection) as NatsConnection, { publish }),
    count: (part) => subjects.filter((subject) => subject.includes(part)).length,
  };
}

const sorted = (jobs: readonly StoredJob[]): StoredJob[] => [...jobs].sort((a, b) => Number(a.revision) - Number(b.revision));

/** Everything that is due, as a node claims it that has read none of it yet. */
async function claimAll(store: NatsJobStore): Promise<StoredJob[]> {
  return sorted(await store.claimDue(claim(T0 + 9, { limit: 1_000 })));
}

describeNats('records that are read together', (server) => {
  it('are those that each would be alone: definitions, states, and what is on its way to the ledger', async () => {
    const bucket = freshBucket();
    const writing = await openStore({ servers: server().url, bucket });
    await writing.insert(ids.map((id, i) => jobRecord(id, T0 + (i % 3), i % 2 === 0 ? {} : { definition: { args: [{ i }], tags: [`tag ä ${i}`] } })));
    const before = sorted((await writing.list({ limit: 1_000 })).jobs);
    // Of some there is another revision, elsewhere; of some only a tombstone.
    await writing.commit(before.slice(10, 20).map(({ record, revision }, i) => ({ id: record.id, expected: revision, next: jobRecord(record.id, T0 + 5), ledger: [ledgerEntry(record.id, T0 + i)] })));
    await writing.commit(before.slice(20, 23).map(({ record, revision }) => ({ id: record.id, expected: revision, next: null, ledger: [] })));
    const there = sorted((await writing.list({ limit: 1_000 })).jobs);
    expect(there).toHaveLength(JOBS - 3);

    const { connection, count } = overheard(await openConnection(server()));
    const reading = await openStore({ connection, bucket });
    const asked = count('STREAM.MSG.GET.');
    const claimed = await claimAll(reading);
    expect(claimed.map(({ record, revision }) => ({ ...record, revision }))).toEqual(there.map(({ record, revision }) => ({ ...record, revision })));
    expect(count('STREAM.MSG.GET.') - asked).toBe(0);
    // What was read can be committed, and its ledger goes on.
    const revisions = await reading.commit(claimed.map(({ record, revision }) => ({ id: record.id, expected: revision, next: jobRecord(record.id, T0 + 99), ledger: [ledgerEntry(record.id, T0 + 50)] })));
    expect(revisions).not.toContain(undefined);
    const { entries } = await writing.ledger.list({ limit: 1_000 });
    expect(entries).toHaveLength(10 + JOBS - 3);
  });

  it('are asked for one by one where the stream cannot be read, and for a while after', async () => {
    const bucket = freshBucket();
    const writing = await openStore({ servers: server().url, bucket });
    let isLost = false;
    let laterMs = 0;
    class LaterClock extends SystemClock {
      override monotonic(): number {
        return super.monotonic() + laterMs;
      }
    }
    const { connection, count } = overheard(await openConnection(server()), (subject) => isLost && subject.startsWith('$JS.API.CONSUMER.CREATE.'));
    const reading = await openStore({ connection, bucket }, storeContext(new LaterClock()));
    const askedFor = async (round: string): Promise<number> => {
      await writing.insert(ids.map((id) => jobRecord(`${round}-${id}`, T0)));
      await reading.tasks();
      const asked = count('STREAM.MSG.GET.');
      isLost = round === 'lost';
      expect((await claimAll(reading)).map(({ record }) => record.id)).toEqual(ids.map((id) => `${round}-${id}`));
      isLost = false;
      return count('STREAM.MSG.GET.') - asked;
    };
    expect(await askedFor('lost')).toBe(JOBS);
    expect(await askedFor('soon')).toBe(JOBS);
    laterMs = 30_000;
    expect(await askedFor('later')).toBe(0);
  });

  it('one whose trigger this release does not know is told from the others', async () => {
    const bucket = freshBucket();
    const writing = await openStore({ servers: server().url, bucket });
    await writing.insert(ids.map((id) => jobRecord(id, T0)));
    // As a later release may write it, with the headers of this one.
    const connection = await openConnection(server());
    const publish = connection.publish.bind(connection);
    connection.publish = (subject, data, options) => {
      const text = typeof data === 'string' ? data : Buffer.from(data ?? []).toString();
      publish(subject, text.replace('"kind":"interval"', '"kind":"later"'), options);
    };
    const newer = await openStore({ connection, bucket });
    await newer.insert([jobRecord('strange', T0)]);
    await writing.insert(ids.map((id) => jobRecord(`b-${id}`, T0)));
    const reading = await openStore({ servers: server().url, bucket });
    const claimed = await claimAll(reading);
    expect(claimed).toHaveLength(2 * JOBS + 1);
    expect(claimed.filter(({ record }) => record.definition.trigger.unreadable !== undefined).map(({ record }) => record.id)).toEqual(['strange']);
  });
});
