import type { JobStore, LedgerEntry, LedgerQuery, Revision } from 'punctual';
import type { RedisJobStore } from 'punctual/redis';
import { expect, it } from 'vitest';
import { lineOf } from '../../../src/stores/redis/ledger-line.js';
import { jobRecord, ledgerEntry, T0 } from '../../../src/testing/contracts/job-store/records.js';
import { describeRedis, freshPrefix, openStore, twoStores } from './support.js';

const DAY = 86_400_000;

/** Writes lines for a job, some at a time, and answers its revision. */
async function writeLines(store: JobStore, id: string, from: number, count: number, revision: Revision): Promise<Revision> {
  const ledger = Array.from({ length: count }, (_, i) => ledgerEntry(id, T0 + from + i));
  const [written] = await store.commit([{ id, expected: revision, next: jobRecord(id, T0), ledger }]);
  return written!;
}

async function maintainAll(store: JobStore, now: number): Promise<number> {
  let pieces = 0;
  while (await store.maintain!(now)) pieces += 1;
  return pieces;
}

async function fireTimes(store: JobStore, jobId?: string): Promise<number[]> {
  const { entries } = await store.ledger.list({ jobId, limit: 10_000 });
  return entries.map(({ scheduledFor }) => scheduledFor - T0);
}

describeRedis('retention', (server) => {
  it('keeps about so many entries of each job, and says what is no longer there', async () => {
    const [store] = await twoStores(server(), { ledger: { perJob: 50, maxAge: null } });
    const { revision } = (await store.insert([jobRecord('job')]))[0]!;
    let latest = await writeLines(store, 'job', 0, 70, revision);
    await maintainAll(store, T0);
    expect(await fireTimes(store, 'job')).toHaveLength(70);
    latest = await writeLines(store, 'job', 70, 800, latest);
    await maintainAll(store, T0);
    expect(await fireTimes(store, 'job')).toEqual(Array.from({ length: 50 }, (_, i) => 820 + i));
    expect(await fireTimes(store)).toHaveLength(50);
    expect(await store.ledger.prunedThrough('job')).toBe(T0 + 819);
    expect(await store.ledger.prunedThrough('other')).toBeNull();
    await writeLines(store, 'job', 870, 1, latest);
    expect(await maintainAll(store, T0)).toBe(0);
  });

  it('keeps none where told so, and notes that there were some', async () => {
    const [store] = await twoStores(server(), { ledger: { perJob: 0 } });
    const { revision } = (await store.insert([jobRecord('job')]))[0]!;
    await writeLines(store, 'job', 0, 3, revision);
    expect(await fireTimes(store)).toEqual([]);
    expect(await store.ledger.prunedThrough('job')).toBe(T0 + 2);
  });

  it('drops what is old and results that have run out; of jobs that are gone one note is left, and no key', async () => {
    const [store, other, prefix] = await twoStores(server(), { ledger: { maxAge: { days: 10 } } });
    const { revision } = (await store.insert([jobRecord('job')]))[0]!;
    const result = { value: { by: 'devalue', data: '[1]' }, omitted: null, expiresAt: T0 + DAY };
    const ledger = [ledgerEntry('job', T0, { result }), ...Array.from({ length: 600 }, (_, i) => ledgerEntry('job', T0 + 1 + i, { verdict: 'failed' }))];
    await store.commit([{ id: 'job', expected: revision, next: null, ledger }]);
    expect((await store.ledger.list({ jobId: 'job', limit: 1 })).entries[0]?.result).toEqual(result);
    await Promise.all([maintainAll(store, T0 + DAY), maintainAll(other, T0 + DAY)]);
    expect((await store.ledger.list({ jobId: 'job', limit: 1 })).entries[0]?.result).toBeNull();
    expect((await store.ledger.list({ verdicts: ['failed'], limit: 700, newestFirst: true })).entries).toHaveLength(600);
    await Promise.all([maintainAll(store, T0 + 11 * DAY), maintainAll(other, T0 + 11 * DAY)]);
    expect(await fireTimes(store)).toEqual([]);
    await maintainAll(store, T0 + 12 * DAY);
    expect(await store.ledger.prunedThrough('anybody')).toBe(T0 + 600);
    const keys = (await server().command('KEYS', `{${prefix}}:*`)) as string[];
    expect(keys.map((key) => key.slice(prefix.length + 3)).sort()).toEqual(['log', 'meta', 'pruned']);
  });
});

describeRedis('a history that a release wrote that had a field for each part of an entry', (server) => {
  it('is read, found in every way, and dropped beside entries of one line; the store is of the present version from then on', async () => {
    const prefix = freshPrefix();
    const base = `{${prefix}}:`;
    const first = await openStore({ url: server().url(), prefix });
    await first.insert([jobRecord('a/b'), jobRecord('job')]);
    await first.close();
    await server().command('HSET', `${base}meta`, 'schema', '1', 'seq', '3');
    const error = { name: 'Error', message: 'no "luck"', code: null, stack: null };
    const entries = [
      ledgerEntry('a/b', T0, { runId: `a/b@${T0}` }),
      ledgerEntry('job', T0 + 1, { verdict: 'failed', reason: 'a\nreason', error, runId: 'job#"7"/é', manual: true }),
      ledgerEntry('job', T0 + 2, { verdict: 'missed', runId: null, count: 3, scheduledTo: T0 + 4, exact: false }),
    ];
    for (const [i, entry] of entries.entries()) {
      const number = String(i + 1);
      const rest = [entry.reason, entry.count, entry.exact ? 1 : 0, entry.generation, entry.attempt, entry.startedAt, entry.node, entry.error];
      const fields = { j: entry.jobId, r: entry.runId ?? '', v: entry.verdict, f: entry.scheduledFor, t: entry.scheduledTo, m: entry.manual ? 1 : 0, a: entry.at, e: JSON.stringify(rest) };
      await server().command('XADD', `${base}log`, `${number}-0`, ...Object.entries(fields).flat().map(String));
      await server().command('RPUSH', `${base}of:${entry.jobId}`, number);
      if (entry.verdict !== 'succeeded') await server().command('ZADD', `${base}trouble`, number, number);
    }
    const store = await openStore({ url: server().url(), prefix, ledger: { maxAge: { days: 10 } } });
    expect(await server().command('HGET', `${base}meta`, 'schema')).toBe('3');
    const added = ledgerEntry('job', T0 + 5, { runId: `job@${T0 + 5}` });
    await store.commit([{ id: 'job', expected: (await store.get('job'))!.revision, next: jobRecord('job', T0 + 6), ledger: [added] }]);
    const found = async (query: LedgerQuery): Promise<readonly LedgerEntry[]> => (await store.ledger.list({ ...query, limit: 10 })).entries;
    expect(await found({})).toEqual([...entries, added]);
    for (const entry of [...entries, added]) {
      if (entry.runId !== null) expect(await found({ runId: entry.runId })).toEqual([entry]);
      expect(await found({ jobId: entry.jobId, verdicts: [entry.verdict], from: entry.scheduledFor, to: entry.scheduledTo })).toEqual([entry]);
    }
    expect(await found({ verdicts: ['failed', 'missed'] })).toEqual(entries.slice(1));
    await maintainAll(store, T0 + 11 * DAY);
    expect(await found({})).toEqual([]);
    expect(await store.ledger.prunedThrough('job')).toBe(T0 + 5);
    expect(await store.ledger.prunedThrough('a/b')).toBe(T0);
  });
});

describeRedis('a history whose numbers are all in lists, one for each job, as a release wrote it', (server) => {
  /** What it would have written for these, of one line each. */
  async function writeListed(base: string, entries: readonly LedgerEntry[]): Promise<void> {
    for (const entry of entries) {
      const number = Number(await server().command('HINCRBY', `${base}meta`, 'seq', 1));
      await server().command('XADD', `${base}log`, `${number}-0`, entry.jobId, lineOf(entry));
      await server().command('RPUSH', `${base}of:${entry.jobId}`, number);
    }
  }

  async function storeOf(jobs: readonly string[], entries: readonly LedgerEntry[], ledger = {}): Promise<[RedisJobStore, string]> {
    const prefix = freshPrefix();
    const base = `{${prefix}}:`;
    const first = await openStore({ url: server().url(), prefix });
    await first.insert(jobs.map((id) => jobRecord(id)));
    await first.close();
    await server().command('HSET', `${base}meta`, 'schema', '2');
    await writeListed(base, entries);
    const store = await openStore({ url: server().url(), prefix, ledger });
    expect(await server().command('HGET', `${base}meta`, 'schema')).toBe('3');
    return [store, base];
  }

  async function pages(store: JobStore, newestFirst: boolean, limit: number): Promise<number[]> {
    const found: number[] = [];
    let after: string | undefined;
    do {
      const page = await store.ledger.list({ jobId: 'job', limit, newestFirst, after });
      found.push(...page.entries.map(({ scheduledFor }) => scheduledFor - T0));
      after = page.nextCursor ?? undefined;
    } while (after !== undefined);
    return found;
  }

  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

  it('is read and goes on in one order, in pages of any size, from both ends', async () => {
    const old = upTo(30).map((i) => ledgerEntry(i % 3 === 2 ? 'other' : 'job', T0 + i));
    const [store] = await storeOf(['job', 'other'], old);
    let { revision } = (await store.get('job'))!;
    for (let at = 30; at < 70; at++) {
      const wanted = [...old.filter(({ jobId }) => jobId === 'job').map(({ scheduledFor }) => scheduledFor - T0), ...upTo(at).slice(30)];
      expect(await pages(store, at % 2 === 0, (at % 7) + 1)).toEqual(at % 2 === 0 ? wanted.reverse() : wanted);
      revision = await writeLines(store, 'job', at, 1, revision);
    }
    expect(await fireTimes(store, 'other')).toEqual(upTo(30).filter((i) => i % 3 === 2));
    expect(await fireTimes(store)).toEqual(upTo(70));
  });

  it('is kept to so many entries of a job, and leaves nothing when it is old', async () => {
    const [store, base] = await storeOf(['job', 'other'], upTo(30).map((i) => ledgerEntry(i === 0 ? 'other' : 'job', T0 + i)), { perJob: 3, maxAge: { days: 10 } });
    await writeLines(store, 'job', 30, 28, (await store.get('job'))!.revision);
    await maintainAll(store, T0 + 60);
    expect(await fireTimes(store, 'job')).toEqual([55, 56, 57]);
    expect(await fireTimes(store)).toEqual([0, 55, 56, 57]);
    expect(await store.ledger.prunedThrough('job')).toBe(T0 + 54);
    await maintainAll(store, T0 + 11 * DAY);
    expect(await fireTimes(store)).toEqual([]);
    const keys = (await server().command('KEYS', `${base}*`)) as string[];
    expect(keys.filter((key) => key.includes('of:') || key.includes('latest'))).toEqual([]);
  });

  it('stays in order while a process of that release still writes', async () => {
    const [store, base] = await storeOf(['job'], [ledgerEntry('job', T0)]);
    let { revision } = (await store.get('job'))!;
    for (let at = 1; at < 60; at++) {
      if (at % 5 === 0) await writeListed(base, [ledgerEntry('job', T0 + at)]);
      else revision = await writeLines(store, 'job', at, 1, revision);
      expect(await pages(store, false, 4)).toEqual(upTo(at + 1));
      expect(await pages(store, true, 9)).toEqual(upTo(at + 1).reverse());
    }
    const numbers = (await server().command('LRANGE', `${base}of:job`, 0, -1)) as string[];
    expect(numbers.length).toBeGreaterThan(40);
  });
});

describeRedis('a history from the midst of which entries were dropped', (server) => {
  it('goes on before and after them: instants of several clocks are in no order', async () => {
    const [store, , prefix] = await twoStores(server(), { ledger: { maxAge: { days: 10 } } });
    const { revision } = (await store.insert([jobRecord('job')]))[0]!;
    // The list has some of them, and the text of the latest the others.
    const isOld = (i: number): boolean => i % 4 === 1 || i === 28;
    const entries = Array.from({ length: 30 }, (_, i) => ledgerEntry('job', T0 + i, { at: isOld(i) ? T0 : T0 + 5 * DAY }));
    let expected = revision;
    for (const entry of entries) expected = (await store.commit([{ id: 'job', expected, next: jobRecord('job', T0), ledger: [entry] }]))[0]!;
    expect(await server().command('LLEN', `{${prefix}}:of:job`)).toBeGreaterThan(10);
    await maintainAll(store, T0 + 11 * DAY);
    const kept = entries.map(({ scheduledFor }) => scheduledFor - T0).filter((i) => !isOld(i));
    expect(await fireTimes(store, 'job')).toEqual(kept);
    expect(await fireTimes(store)).toEqual(kept);
    const numbers = [...((await server().command('LRANGE', `{${prefix}}:of:job`, 0, -1)) as string[]), ...String(await server().command('HGET', `{${prefix}}:latest`, 'job')).split(' ')];
    expect(numbers.map(Number)).toEqual(kept.map((i) => i + 1));
    await writeLines(store, 'job', 30, 1, expected);
    expect(await fireTimes(store, 'job')).toEqual([...kept, 30]);
  });

  it('also where somebody took them out of the stream by hand', async () => {
    const [store, , prefix] = await twoStores(server());
    await writeLines(store, 'job', 0, 20, (await store.insert([jobRecord('job')]))[0]!.revision);
    for (const number of [3, 4, 19]) await server().command('XDEL', `{${prefix}}:log`, `${number}-0`);
    const kept = Array.from({ length: 20 }, (_, i) => i).filter((i) => ![2, 3, 18].includes(i));
    expect(await fireTimes(store, 'job')).toEqual(kept);
  });
});
